//! What somebody wants to know who looks after the log: which days it has, and how far it is.

use std::collections::BTreeSet;

use jiff::{Timestamp, civil::Date};
use tokio_postgres::Client;
use uuid::Uuid;

use super::{days, ledger, sql_error};
use crate::store::{Store, errors::StoreError};

/// How the log stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What PostgreSQL says of itself.
    pub server: String,
    /// The time there.
    pub now: Timestamp,
    /// The days that take clicks.
    pub days: BTreeSet<Date>,
    /// The last position of the ledger.
    pub position: i64,
    /// The last that is counted.
    pub counted: i64,
    /// How many clicks are put aside and not emptied.
    pub rejected: i64,
}

impl Store {
    /// Looks at how the log stands.
    pub async fn click_standing(&self) -> Result<Standing, StoreError> {
        let work = async |client: &mut Client| {
            let statement = "SELECT current_setting('server_version'), clock_timestamp(), head.position,
                    roller.position, (SELECT count(*) FROM clicks.rejected WHERE content <> '' AND source IS NOT NULL)
                FROM clicks.head, clicks.roller";
            let row = client.query_one(statement, &[]).await.map_err(sql_error)?;
            Ok(Standing {
                server: row.get(0),
                now: row.get(1),
                days: days::open(client).await?,
                position: row.get(2),
                counted: row.get(3),
                rejected: row.get(4),
            })
        };
        self.click_readers.read(work).await
    }

    /// Returns the last number of a local log that is in; `None` if nothing of it ever was.
    pub async fn click_progress(&self, source: Uuid) -> Result<Option<u64>, StoreError> {
        let work = async |client: &mut Client| ledger::progress(client, source).await;
        self.click_readers.read(work).await
    }

    /// Begins a new epoch of the ledger: everyone who remembers positions asks anew. Returns the old and the new one.
    pub async fn renew_click_epoch(&self) -> Result<(Uuid, Uuid), StoreError> {
        let work = async |client: &mut Client| {
            let epoch = async |client: &Client| {
                let row = client.query_one("SELECT epoch FROM clicks.head", &[]).await.map_err(sql_error)?;
                Ok::<Uuid, StoreError>(row.get(0))
            };
            let before = epoch(client).await?;
            ledger::follow_cluster(client).await?;
            ledger::renew_epoch(client).await?;
            Ok((before, epoch(client).await?))
        };
        self.click_readers.read(work).await
    }
}
