//! The gateway over real HTTP, in front of the real resolver or of one that does as it is told.

mod answers;
mod balance;
mod bounds;
mod fixture;
mod query;
mod resolver_away;
mod restarts;
mod stopping;
mod unsent;
