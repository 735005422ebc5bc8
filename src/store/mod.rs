//! PostgreSQL: the only room that names diesel and tokio-postgres.
//!
//! Objects are written whole, all that a call writes in one transaction under one revision ([`Store::commit`]). The
//! transaction takes the next revision under one row lock before anything else, so that revisions commit in their
//! order and a reader that remembers the last one never misses an earlier one.

mod commit;
mod errors;
mod feed;
mod listen;
mod reads;
mod types;

use std::time::Duration;

pub use commit::{Commit, Committed, Expect, Put, RequestKey, Write};
pub use errors::{Cause, CommitError, LoopEnd, MissingReference, StoreError, Taken};
pub use feed::{Changes, Feed, FeedLink, FeedRow};
pub use listen::Wakeups;
pub use types::{
    Kind, LinkCursor, LinkFilter, LinkKey, LinkOrder, ListLinks, ListedLink, NAMED_REFERENCES, PartnerFilter,
    Reference, References, SharingChange, SharingPage, SharingSummary, Stored, StoredShop,
};

/// How the database is reached.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Where it is: `postgres://user@host/database`, `postgres://user@/database?host=/socket/folder`, or
    /// `host=… user=… dbname=…`.
    pub url: String,
    /// How many connections are open at most, besides the one that listens.
    pub pool_size: usize,
    /// How long a call waits for a connection, and for a new one to be made.
    pub wait_timeout: Duration,
    /// How long one statement may take.
    pub statement_timeout: Duration,
    /// What the database shows as the name of our connections.
    pub application_name: String,
}

/// The database. Clones share their connections.
#[derive(Clone)]
pub struct Store {}

impl Store {
    /// Prepares connections; makes none yet, so the database may be away.
    pub fn connect(config: StoreConfig) -> Result<Self, StoreError> {
        todo!()
    }

    /// Brings the tables up to date, one process at a time. Needs the multi-thread runtime.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        todo!()
    }

    /// Returns whether the tables have every migration that this program knows.
    pub async fn schema_is_current(&self) -> Result<bool, StoreError> {
        todo!()
    }

    /// Asks the database for a sign of life.
    pub async fn ping(&self) -> Result<(), StoreError> {
        todo!()
    }

    /// Forgets changes and request ids that are older than 24 hours, and returns how many. Histories stay.
    pub async fn prune(&self) -> Result<Pruned, StoreError> {
        todo!()
    }
}

/// What was forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// How many changes.
    pub changes: usize,
    /// How many request ids.
    pub requests: usize,
}
