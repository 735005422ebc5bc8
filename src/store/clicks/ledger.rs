//! The ledger: what was done to the log, in order.

use jiff::civil::Date;
use tokio_postgres::{Client, Transaction};
use uuid::Uuid;

use super::{ingest::Ingested, sql_error};
use crate::store::errors::StoreError;

/// Draws the number that the rows of an entry carry.
pub(super) async fn next_batch(transaction: &Transaction<'_>) -> Result<i64, StoreError> {
    let drawn = transaction.query_one("SELECT nextval('clicks.batch')", &[]).await;
    Ok(drawn.map_err(sql_error)?.get(0))
}

/// Where clicks came from.
pub(super) struct Origin {
    pub(super) source: Uuid,
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) lost: i64,
}

/// Takes the next position and writes what was added at it, and how far the local log is in. The last statement of its
/// transaction: everyone else who changes the log waits from here to the commit.
pub(super) async fn enter(
    transaction: &Transaction<'_>,
    batch: i64,
    origin: &Origin,
    ingested: &Ingested,
) -> Result<i64, StoreError> {
    let statement = "
        WITH head AS (UPDATE clicks.head SET position = position + 1 RETURNING position),
        progress AS (
            INSERT INTO clicks.progress (source, sequence, position) SELECT $2, $4, position FROM head
            ON CONFLICT (source) DO UPDATE
                SET sequence = excluded.sequence, position = excluded.position, at = clock_timestamp()
        )
        INSERT INTO clicks.ledger (position, batch, kind, source, first_sequence, last_sequence, delivered, applied,
            duplicates, rejected, lost, min_at, max_at)
        SELECT position, $1, 'clicks', $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 FROM head
        RETURNING position";
    let Ingested { applied, duplicates, rejected, times, position: _ } = *ingested;
    let delivered = applied + duplicates + rejected;
    let (earliest, latest) = (times.map(|(earliest, _)| earliest), times.map(|(_, latest)| latest));
    let row = transaction
        .query_one(
            statement,
            &[
                &batch,
                &origin.source,
                &origin.first,
                &origin.last,
                &delivered,
                &applied,
                &duplicates,
                &rejected,
                &origin.lost,
                &earliest,
                &latest,
            ],
        )
        .await;
    Ok(row.map_err(sql_error)?.get(0))
}

/// Takes the next position and writes at it that a day was removed because it was too old. The last statement of its
/// transaction, as that of [`enter`].
pub(super) async fn enter_expiry(
    transaction: &Transaction<'_>,
    day: Date,
    removed: i64,
) -> Result<(), StoreError> {
    let statement = "
        WITH head AS (UPDATE clicks.head SET position = position + 1 RETURNING position)
        INSERT INTO clicks.ledger (position, batch, kind, removed, scope)
        SELECT position, nextval('clicks.batch'), 'expiry', $1, jsonb_build_object('day', $2::text) FROM head";
    transaction.execute(statement, &[&removed, &day.to_string()]).await.map_err(sql_error)?;
    Ok(())
}

/// Begins a new epoch if the tables are in another cluster than before, or in another of its timelines: a copy or a
/// standby took over, and may not have everything that was there.
pub(super) async fn follow_cluster(client: &Client) -> Result<(), StoreError> {
    let statement = "
        UPDATE clicks.head SET epoch = gen_random_uuid(), system_identifier = now.system, timeline = now.timeline
        FROM (SELECT system_identifier AS system, timeline_id AS timeline
              FROM pg_control_system(), pg_control_checkpoint()) AS now
        WHERE (head.system_identifier, head.timeline) IS DISTINCT FROM (now.system, now.timeline)";
    client.execute(statement, &[]).await.map_err(sql_error)?;
    Ok(())
}

/// Begins a new epoch.
pub(super) async fn renew_epoch(client: &Client) -> Result<(), StoreError> {
    let statement = "UPDATE clicks.head SET epoch = gen_random_uuid()";
    client.execute(statement, &[]).await.map_err(sql_error)?;
    Ok(())
}
