//! Smart Links.

pub mod classify;
pub mod domain;
