//! Integration tests.

mod cases;
mod country;
mod docs;
mod index;
