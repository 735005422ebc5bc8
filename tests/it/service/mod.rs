//! The whole service, as its users see it.

mod faults;
mod health;
mod replicas;
mod rights;
