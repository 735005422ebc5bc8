//! The whole service, as its users see it.

mod health;
mod replicas;

