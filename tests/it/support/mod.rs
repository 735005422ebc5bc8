//! What the tests share.

pub(crate) mod clicks;
pub(crate) mod database;
pub(crate) mod dev;
pub(crate) mod http;
pub(crate) mod objects;
pub(crate) mod own_postgres;
pub(crate) mod proxy;
pub(crate) mod requests;
pub(crate) mod server;
