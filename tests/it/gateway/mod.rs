//! The gateway over real HTTP, in front of the real resolver or of one that does as it is told.

mod answers;
mod balance;
mod bounds;
mod cookies;
pub(crate) mod fixture;
mod http_2;
mod pages;
mod proxies;
mod query;
mod resolver_away;
mod restarts;
mod stopping;
mod unsent;
mod untidy;
