//! Integration tests.

mod cases;
