//! The service tested from outside: one binary, so that it is linked once.

mod admin;
mod browser;
mod cases;
mod chart;
mod clicks;
mod country;
mod dev;
mod docs;
mod examples;
mod gateway;
mod index;
mod resolver;
mod service;
mod store;
mod support;
mod walkthrough;
