//! The service tested from outside: one binary, so that it is linked once.

mod cases;
mod country;
mod dev;
mod docs;
mod index;
mod service;
mod support;
