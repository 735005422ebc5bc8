//! Turns raw request facts into visit attributes.

pub mod user_agent;
