//! What the tests share.

pub mod http;
pub mod proxy;
pub mod requests;
pub mod server;
