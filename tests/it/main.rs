//! Integration tests: the rooms, the cases, real gRPC, real HTTP.

mod cases;
mod gateway;
mod index;
mod resolver;
