//! What is forgotten.

use diesel::{
    OptionalExtension, QueryableByName, sql_query,
    sql_types::{BigInt, Integer},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::{
    Store,
    errors::StoreError,
    pool::{WRITING, begin, end},
};
use crate::domain::limits;

/// For how many hours changes are kept: whoever was away for longer reads everything.
const CHANGE_HOURS: i32 = 24;

/// What was forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// How many changes.
    pub changes: usize,
    /// How many request ids.
    pub requests: usize,
}

impl Store {
    /// Forgets changes and request ids that are older than 24 hours, and returns how many. Histories stay.
    pub async fn prune(&self) -> Result<Pruned, StoreError> {
        let mut connection = self.connections.get().await?;
        let requests =
            sql_query("DELETE FROM request WHERE at < clock_timestamp() - make_interval(hours => $1)")
                .bind::<Integer, _>(i32::try_from(limits::REQUEST_ID_HOURS).unwrap_or(i32::MAX))
                .execute(&mut connection)
                .await?;
        begin(&mut connection, WRITING).await?;
        let outcome = prune_changes(&mut connection).await;
        let changes = end(&mut connection, outcome).await?;
        Ok(Pruned { changes, requests })
    }
}

#[derive(QueryableByName)]
struct Last {
    #[diesel(sql_type = BigInt)]
    revision: i64,
}

async fn prune_changes(connection: &mut AsyncPgConnection) -> Result<usize, StoreError> {
    // In the order of the revisions, which is that of the times: stops before the first that is young enough. The one
    // before it, or the newest of all, stays however old it is: followers compare when theirs was committed.
    let last: Option<Last> = sql_query(
        "SELECT coalesce(
            (SELECT revision - 2 FROM change WHERE at >= clock_timestamp() - make_interval(hours => $1)
             ORDER BY revision LIMIT 1),
            (SELECT max(revision) - 1 FROM change)) AS revision
         WHERE EXISTS (SELECT FROM change)",
    )
    .bind::<Integer, _>(CHANGE_HOURS)
    .get_result(connection)
    .await
    .optional()?;
    let Some(Last { revision }) = last else { return Ok(0) };
    let pruned = sql_query("DELETE FROM change WHERE revision <= $1")
        .bind::<BigInt, _>(revision)
        .execute(connection)
        .await?;
    if pruned > 0 {
        // Last, because it makes those wait who write.
        sql_query("UPDATE installation SET changes_after = greatest(changes_after, $1)")
            .bind::<BigInt, _>(revision)
            .execute(connection)
            .await?;
    }
    Ok(pruned)
}
