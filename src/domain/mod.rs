//! The words of the service: what a link, a rule, a visit is.

pub mod client;
pub mod fact;
pub mod geo;
pub mod language;
pub mod named;
