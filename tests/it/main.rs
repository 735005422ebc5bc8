//! Integration tests: against a real PostgreSQL, each in a database of its own.

mod store;
mod support;
