//! The door for browsers: makes a visit of an HTTP request, asks the resolver, and makes HTTP of its answer.
//!
//! It decides nothing: which link, partner and location are meant is the resolver's business.

mod accept;
mod connection;
mod cookie;
mod page;
mod proxies;
mod reply;
pub mod resolver;
mod route;
mod serve;
mod texts;
mod visit;

pub use cookie::Cookies;
pub use serve::{Gateway, GatewayError, Limits, serve};
