//! What a developer's machine needs and production does not: a private PostgreSQL, and the lock that keeps a second
//! `smartlinks dev` out of the same folder.
//!
//! Everything lives under `.smartlinks/` in the working folder, except sockets, whose paths must be short.

pub mod lock;
mod past;
pub mod postgres;
mod run;
pub mod sample;
mod secrets;
mod site;

pub use run::run;
