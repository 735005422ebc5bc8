//! The ledger: what was done to the log, in order.

use jiff::{Timestamp, civil::Date};
use tokio_postgres::{Client, Transaction, types::ToSql};
use uuid::Uuid;

use super::{ingest::Ingested, sql_error};
use crate::{
    domain::erasure::{ErasureScope, write_visitor},
    store::errors::StoreError,
};

/// Draws the number that the rows of an entry carry.
pub(super) async fn next_batch(transaction: &Transaction<'_>) -> Result<i64, StoreError> {
    let drawn = transaction.query_one("SELECT nextval('clicks.batch')", &[]).await;
    Ok(drawn.map_err(sql_error)?.get(0))
}

/// Returns the last number of a local log that is in; `None` if nothing of it ever was.
pub(super) async fn progress(client: &Client, source: Uuid) -> Result<Option<u64>, StoreError> {
    let statement = "SELECT sequence FROM clicks.progress WHERE source = $1";
    let row = client.query_opt(statement, &[&source]).await.map_err(sql_error)?;
    Ok(row.map(|row| u64::try_from(row.get::<_, i64>(0)).unwrap_or_default()))
}

/// Where clicks came from.
pub(super) struct Origin {
    pub(super) source: Uuid,
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) lost: i64,
}

/// Takes the next position and writes what was added at it, and how far the local log is in. The last statement of its
/// transaction: everyone else who changes the log waits from here to the commit. `None` = meanwhile someone else brought
/// the local log further, and nothing is to be committed.
pub(super) async fn enter(
    transaction: &Transaction<'_>,
    batch: i64,
    origin: &Origin,
    ingested: &Ingested,
) -> Result<Option<i64>, StoreError> {
    let statement = "
        WITH head AS (UPDATE clicks.head SET position = position + 1 RETURNING position),
        progress AS (
            INSERT INTO clicks.progress AS known (source, sequence, position) SELECT $2, $4, position FROM head
            ON CONFLICT (source) DO UPDATE
                SET sequence = excluded.sequence, position = excluded.position, at = clock_timestamp()
                WHERE known.sequence = $3::bigint - 1 - $9::bigint
            RETURNING position
        )
        INSERT INTO clicks.ledger (position, batch, kind, source, first_sequence, last_sequence, delivered, applied,
            duplicates, rejected, lost, min_at, max_at)
        SELECT position, $1, 'clicks', $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 FROM progress
        RETURNING position";
    let Ingested { applied, duplicates, rejected, times, position: _ } = *ingested;
    let delivered = applied + duplicates + rejected;
    let (earliest, latest) = (times.map(|(earliest, _)| earliest), times.map(|(_, latest)| latest));
    let row = transaction
        .query_opt(
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
    Ok(row.map_err(sql_error)?.map(|row| row.get(0)))
}

/// Takes the next position and writes at it that a day was removed because it was too old, or what one shop had of it, with
/// the times of the earliest and the latest click. The last statement of its transaction, as that of [`enter`].
pub(super) async fn enter_expiry(
    transaction: &Transaction<'_>,
    day: Date,
    shop: Option<(&str, Option<(Timestamp, Timestamp)>)>,
    removed: i64,
) -> Result<(), StoreError> {
    let statement = "
        WITH head AS (UPDATE clicks.head SET position = position + 1 RETURNING position)
        INSERT INTO clicks.ledger (position, batch, kind, removed, scope, min_at, max_at)
        SELECT position, nextval('clicks.batch'), 'expiry', $1,
            jsonb_strip_nulls(jsonb_build_object('day', $2::text, 'shop', $3::text)), $4, $5 FROM head";
    let times = shop.and_then(|(_, times)| times);
    let (earliest, latest) = (times.map(|(earliest, _)| earliest), times.map(|(_, latest)| latest));
    let values: [&(dyn ToSql + Sync); 5] =
        [&removed, &day.to_string(), &shop.map(|(shop, _)| shop), &earliest, &latest];
    transaction.execute(statement, &values).await.map_err(sql_error)?;
    Ok(())
}

/// What became of conversions.
pub(super) struct ConversionsEntry {
    pub(super) applied: usize,
    pub(super) duplicates: usize,
    pub(super) rejected: usize,
    /// The times of the earliest and the latest that were applied.
    pub(super) times: Option<(Timestamp, Timestamp)>,
}

/// Takes the next position and writes what became of conversions. The last statement of its transaction, as that of
/// [`enter`].
pub(super) async fn enter_conversions(
    transaction: &Transaction<'_>,
    batch: i64,
    entry: &ConversionsEntry,
) -> Result<i64, StoreError> {
    let statement = "
        WITH head AS (UPDATE clicks.head SET position = position + 1 RETURNING position)
        INSERT INTO clicks.ledger (position, batch, kind, first_sequence, last_sequence, delivered, applied, duplicates,
            rejected, min_at, max_at)
        SELECT position, $1, 'conversions', 1, $2::integer, $2 + $3::integer + $4::integer, $2, $3, $4, $5, $6
        FROM head RETURNING position";
    let count = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    let (applied, duplicates) = (count(entry.applied), count(entry.duplicates));
    let (earliest, latest) =
        (entry.times.map(|(earliest, _)| earliest), entry.times.map(|(_, latest)| latest));
    let values: [&(dyn ToSql + Sync); 6] =
        [&batch, &applied, &duplicates, &count(entry.rejected), &earliest, &latest];
    Ok(transaction.query_one(statement, &values).await.map_err(sql_error)?.get(0))
}

/// What an erasure removed in one transaction.
pub(super) struct ErasureEntry<'a> {
    pub(super) shop: &'a str,
    pub(super) scope: &'a ErasureScope,
    pub(super) clicks: i64,
    pub(super) conversions: i64,
    /// The times of the earliest and the latest click.
    pub(super) times: Option<(Timestamp, Timestamp)>,
}

/// Takes the next position and writes what was erased. The last statement of its transaction, as that of [`enter`].
pub(super) async fn enter_erasure(
    transaction: &Transaction<'_>,
    entry: &ErasureEntry<'_>,
) -> Result<i64, StoreError> {
    let statement = "
        WITH head AS (UPDATE clicks.head SET position = position + 1 RETURNING position)
        INSERT INTO clicks.ledger (position, batch, kind, removed, removed_conversions, min_at, max_at, scope)
        SELECT position, nextval('clicks.batch'), 'erasure', $1, $2, $3, $4,
            jsonb_strip_nulls(jsonb_build_object('shop', $5::text, 'partner', $6::text, 'day', $7::text,
                'visitor', $8::text))
        FROM head RETURNING position";
    let (mut partner, mut day, mut visitor) = (None, None, None);
    match entry.scope {
        ErasureScope::Partner(code) => partner = Some(code.as_str()),
        ErasureScope::Day(date) => day = Some(date.to_string()),
        ErasureScope::Visitor(key) => visitor = Some(write_visitor(*key)),
        ErasureScope::Everything => {}
    }
    let (earliest, latest) =
        (entry.times.map(|(earliest, _)| earliest), entry.times.map(|(_, latest)| latest));
    let values: [&(dyn ToSql + Sync); 8] =
        [&entry.clicks, &entry.conversions, &earliest, &latest, &entry.shop, &partner, &day, &visitor];
    Ok(transaction.query_one(statement, &values).await.map_err(sql_error)?.get(0))
}

/// Begins a new epoch if the tables are in another cluster than before, or in another of its timelines: a copy or a
/// standby took over, and may not have everything that was there. Whoever connects asks: after such a change everyone does.
pub(super) async fn follow_cluster(client: &Client) -> Result<(), StoreError> {
    // The checkpoint knows the timeline only a while after a promotion; of a standby nobody can write, or ask for it.
    let now = "SELECT system_identifier AS system, CASE WHEN NOT pg_is_in_recovery()
            THEN ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::integer END AS timeline
        FROM pg_control_system()";
    let differs = format!(
        "SELECT now.timeline IS NOT NULL AND (head.system_identifier, head.timeline) <> (now.system, now.timeline)
         FROM clicks.head, ({now}) AS now"
    );
    if !client.query_one(&differs, &[]).await.map_err(sql_error)?.get::<_, bool>(0) {
        return Ok(());
    }
    let renew = format!(
        "UPDATE clicks.head SET epoch = gen_random_uuid(), system_identifier = now.system, timeline = now.timeline
         FROM ({now}) AS now WHERE (head.system_identifier, head.timeline) <> (now.system, now.timeline)"
    );
    client.execute(&renew, &[]).await.map_err(sql_error)?;
    Ok(())
}

/// Begins a new epoch.
pub(super) async fn renew_epoch(client: &Client) -> Result<(), StoreError> {
    let statement = "UPDATE clicks.head SET epoch = gen_random_uuid()";
    client.execute(statement, &[]).await.map_err(sql_error)?;
    Ok(())
}
