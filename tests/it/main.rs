//! Integration tests.

mod cases;
mod index;
