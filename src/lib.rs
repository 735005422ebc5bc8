//! Smart Links: referral links that send each click to the page that suits the visitor, and can say why.
//!
//! The rooms, and what each is for. Data flows one way; `tests/layering.rs` holds who may use whom.

pub mod classify;
pub mod config;
pub mod domain;
pub mod index;
pub mod proto;
pub mod telemetry;
