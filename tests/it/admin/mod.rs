//! `LinkAdmin` over real gRPC against real PostgreSQL.

mod bad_input;
mod fixture;
