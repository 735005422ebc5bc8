//! Clicks on their way from the local log to PostgreSQL, and what is counted of them there.

mod figures;
mod query;
mod rolling;
mod shipping;
