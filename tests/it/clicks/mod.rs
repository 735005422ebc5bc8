//! Clicks on their way from the visitor over the local log to PostgreSQL, and from there to whoever counts them.

mod conversions;
mod counters;
mod doctor;
mod erasure;
mod explain;
mod faults;
mod figures;
mod ledger;
mod orders;
mod outages;
mod publishes;
mod query;
mod recording;
mod replay;
mod retention;
mod revenue;
mod rolling;
mod shipping;
mod shop_retention;
mod soak;
mod splits;
mod starts;
mod stream;
mod visitors;
mod world;
mod wrong_requests;
