//! `LinkResolver` over real gRPC, with an index that needs no database.

pub(crate) mod fixture;
mod stream;
mod unary;
