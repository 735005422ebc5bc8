//! Integration tests.

mod cases;
mod country;
mod gateway;
mod index;
mod resolver;
