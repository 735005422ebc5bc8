//! Integration tests: real gRPC, real HTTP.

mod cases;
mod country;
mod gateway;
mod index;
mod resolver;
