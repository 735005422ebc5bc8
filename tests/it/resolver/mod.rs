//! `LinkResolver` over real gRPC, with an index that needs no database.

mod explain;
pub(crate) mod fixture;
mod stream;
mod unary;
