//! Clicks on their way from the visitor over the local log to PostgreSQL.

mod outages;
mod recording;
mod retention;
mod shipping;
mod soak;
mod starts;
mod world;
