//! Integration tests: real gRPC, against a real PostgreSQL, each in a database of its own.

mod admin;
mod store;
mod support;
