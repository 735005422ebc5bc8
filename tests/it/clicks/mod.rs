//! Clicks on their way from the local log to PostgreSQL, what is counted of them there, and from there to whoever asks.

mod conversions;
mod erasure;
mod figures;
mod ledger;
mod orders;
mod query;
mod revenue;
mod rolling;
mod shipping;
mod stream;
mod wrong_requests;
