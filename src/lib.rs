//! Smart Links.

pub mod classify;
pub mod dev;
pub mod domain;
