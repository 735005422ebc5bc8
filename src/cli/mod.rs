//! Client verbs: what a person at a terminal does with a running server.

pub mod call;
