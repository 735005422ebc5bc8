//! PostgreSQL: the only room that names diesel and tokio-postgres.
//!
//! Objects are written whole, all that a call writes in one transaction under one revision ([`Store::commit`]). The
//! transaction takes the next revision under one row lock before anything else, so that revisions commit in their
//! order and a reader that remembers the last one never misses an earlier one.

pub mod clicks;
mod commit;
mod errors;
mod feed;
mod fingerprints;
mod history;
mod links;
mod listen;
mod migrate;
mod objects;
mod pool;
mod portal;
mod prune;
mod publishes;
mod references;
mod rows;
mod schema;
mod stats;
mod types;
mod visitor_keys;

use std::{fmt, time::Duration};

pub use commit::{
    Commit, Committed, Expect, NotSettled, OnPending, PublishTime, Put, RequestKey, Settled, Settlements,
    Write,
};
pub use errors::{Cause, CommitError, LoopEnd, MissingReference, StoreError, Taken};
pub use feed::{Changes, Feed, FeedAhead, FeedLink, FeedRow};
pub use listen::Wakeups;
use pool::Connections;
pub use prune::Pruned;
pub use publishes::{Ahead, ListPublishes, Publish, PublishEnd, PublishState, PublishedLink, Term};
pub use stats::{Draws, Figures, NotCounted, Split, SplitQuery, Stats};
pub use types::{
    Kind, LinkCursor, LinkFilter, LinkKey, LinkOrder, ListLinks, ListedLink, Membership, NAMED_REFERENCES,
    PartnerFilter, Past, PublishKey, Reference, References, SharingChange, SharingPage, SharingSummary,
    Stored, StoredShop,
};
pub use visitor_keys::VisitorKeysKept;

/// How the database is reached.
#[derive(Clone)]
pub struct StoreConfig {
    /// Where it is: `postgres://user@host/database`, `postgres://user@/database?host=/socket/folder`, or
    /// `host=… user=… dbname=…`.
    pub url: String,
    /// How many connections are open at most, besides those for figures, for clicks, and the one that listens.
    pub pool_size: usize,
    /// How long a call waits for a free connection, and how long a new one may take to be made.
    pub wait_timeout: Duration,
    /// How long one statement may take.
    pub statement_timeout: Duration,
    /// What the database shows as the name of our connections.
    pub application_name: String,
}

impl fmt::Debug for StoreConfig {
    /// Leaves out the address, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreConfig")
            .field("pool_size", &self.pool_size)
            .field("wait_timeout", &self.wait_timeout)
            .field("statement_timeout", &self.statement_timeout)
            .field("application_name", &self.application_name)
            .finish_non_exhaustive()
    }
}

/// Runs what takes long without waiting, as reading thousands of links does, beside the threads that serve others.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| StoreError::Other(error.into()))?
}

/// The database. Clones share their connections.
#[derive(Clone)]
pub struct Store {
    connections: Connections,
    /// For figures, which may take long: whoever asks for many keeps nobody from writing, nor the feed from reading.
    figures: Connections,
    click_readers: clicks::Readers,
}

impl Store {
    /// Prepares connections; makes none yet, so the database may be away.
    pub fn connect(config: &StoreConfig) -> Result<Self, StoreError> {
        let connections = Connections::new(config)?;
        let figures = Connections::new(&StoreConfig { pool_size: stats::CONNECTIONS, ..config.clone() })?;
        let click_readers = clicks::Readers::new(connections.target().clone(), config)?;
        Ok(Self { connections, figures, click_readers })
    }
}
