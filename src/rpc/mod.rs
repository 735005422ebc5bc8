//! The gRPC face of the service: turns messages into values, asks, and turns values into messages.
//!
//! Every handler does the same: convert, `caller.may(…)`, call, convert.

pub mod caller;
pub mod click_stats;
pub mod convert;
pub mod layers;
pub mod link_admin;
pub mod link_resolver;
mod pages;
pub mod status;
pub mod token;
mod work;

/// Bytes of a request at most: 1,000 links of a batch, or 10,000 partners that a link is shared with, fit many times.
pub const MAX_REQUEST_BYTES: usize = 16 * 1_024 * 1_024;
/// Bytes of an answer at most: an object is answered whole, with what the server adds to it.
pub const MAX_ANSWER_BYTES: usize = 32 * 1_024 * 1_024;
