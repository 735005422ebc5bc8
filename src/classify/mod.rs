//! Turns raw request facts into visit attributes.

pub mod address;
pub mod geo;
pub mod user_agent;
