//! The index from outside: records in, answers out.

mod conditions;
mod credit;
mod feeding;
mod locations;
mod states;
mod utm;
mod world;
