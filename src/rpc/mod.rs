//! The gRPC face of the service: turns messages into values, asks, and turns values into messages.
//!
//! Every handler does the same: convert, `caller.may(…)`, call, convert.

pub mod caller;
pub mod convert;
pub mod layers;
pub mod link_resolver;
pub mod status;
