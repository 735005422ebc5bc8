//! Smart Links: referral links that send each click to the page that suits the visitor, and can say why.
//!
//! The rooms, and what each is for. Data flows one way; `tests/layering.rs` holds who may use whom.
//!
//! Pure, without I/O, clock, wire or database:
//!
//! - [`domain`] – the words: shops, partners, links, rules, visits, as values that only checks make
//! - [`classify`] – raw facts of a request → attributes of a visit
//! - [`index`] – everything that an answer needs, in memory, at one revision
//!
//! Edges, each of which hides one outside world:
//!
//! - [`store`] – PostgreSQL
//! - [`live`] – the index in use
//! - [`counters`] – how often links were clicked on, as rules may look at it
//! - [`spool`] – the local log of clicks
//! - [`proto`] – the contracts
//! - [`rpc`] – gRPC
//! - [`gateway`] – browsers
//! - [`config`], [`telemetry`] – settings; log and metrics
//!
//! Running things:
//!
//! - [`feed`] – keeps the index up to date
//! - [`recorder`] – keeps each click in the local log before its answer leaves
//! - [`visitors`] – tells visitors from each other without keeping who they are
//! - [`shipper`] – brings the local log of clicks to PostgreSQL
//! - [`keeper`] – makes the days of clicks and the keys of visitors in PostgreSQL, and removes those that are too old;
//!   writes publishes into their links whose time has come
//! - [`roller`] – counts the clicks that arrived there
//! - [`counter_feed`] – brings what was counted to the rules that look at it
//! - [`server`] – a whole server
//! - [`dev`] – everything on one machine
//! - [`cli`] – verbs for a terminal

pub mod classify;
pub mod cli;
pub mod config;
pub mod counter_feed;
pub mod counters;
pub mod dev;
pub mod domain;
pub mod feed;
pub mod gateway;
pub mod index;
pub mod keeper;
pub mod live;
pub mod proto;
pub mod recorder;
pub mod roller;
pub mod rpc;
pub mod server;
pub mod shipper;
pub mod spool;
pub mod store;
pub mod telemetry;
pub mod visitors;
