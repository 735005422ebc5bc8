//! `LinkAdmin` over real gRPC against real PostgreSQL.

mod bad_input;
mod batches;
mod check;
mod deletes;
pub(crate) mod fixture;
mod golden;
mod history;
mod layers;
mod links;
mod pages;
pub(crate) mod publishes;
mod repeats;
mod rollback;
mod sharing;
mod shops;
