//! Integration tests: real gRPC, real HTTP.

mod gateway;
mod resolver;
