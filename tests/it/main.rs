//! Integration tests.

mod cases;
mod country;
mod index;
