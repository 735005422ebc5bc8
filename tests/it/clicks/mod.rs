//! Clicks on their way from the local log to PostgreSQL.

mod shipping;
