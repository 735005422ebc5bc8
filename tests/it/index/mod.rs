//! The index from outside: records in, answers out.

mod analysis;
mod conditions;
mod counted;
mod credit;
mod explain;
mod feeding;
mod laws;
mod locations;
mod naive;
mod publishes;
mod random;
mod replay;
mod states;
mod utm;
mod world;
