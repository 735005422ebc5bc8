//! Clicks on their way from the visitor over the local log to PostgreSQL, and from there to whoever counts them.

mod ledger;
mod outages;
mod recording;
mod retention;
mod shipping;
mod soak;
mod starts;
mod stream;
mod world;
mod wrong_requests;
