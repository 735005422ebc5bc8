//! The store against a real PostgreSQL.

mod batches;
mod checks;
mod clicks;
mod commits;
mod connections;
mod feed;
mod lists;
mod migrations;
mod sharing;
