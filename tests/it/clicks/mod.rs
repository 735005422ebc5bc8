//! Clicks on their way from the local log to PostgreSQL, and from there to whoever counts them.

mod ledger;
mod shipping;
mod stream;
mod wrong_requests;
