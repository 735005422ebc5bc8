//! Smart Links: referral links that send each click to the page that suits the visitor, and can say why.
//!
//! The rooms, and what each is for. Data flows one way; `tests/layering.rs` holds who may use whom.

pub mod classify;
pub mod cli;
pub mod config;
pub mod dev;
pub mod domain;
pub mod gateway;
pub mod index;
pub mod live;
pub mod proto;
pub mod rpc;
pub mod store;
pub mod telemetry;
