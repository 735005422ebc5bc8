//! Follows the ledger and counts: the numbers and the position up to which they go change in one transaction.

use std::{collections::BTreeMap, time::Duration};

use jiff::{Timestamp, ToSpan, civil::Date};
use tokio::{task::JoinHandle, time::timeout};
use tokio_postgres::{Client, NoTls, Row, Transaction};
use uuid::Uuid;

use super::{days, rollups, shop_retention, sql_error, waiting};
use crate::{
    domain::name::ShopId,
    store::{Store, errors::StoreError},
};

/// How long a piece may take: beyond it the database hangs, or the piece is too great for it.
const ROLL_TIMEOUT: Duration = Duration::from_secs(60);
/// Entries of the ledger that are read at once.
const ENTRIES: i64 = 1_000;
/// Pages of those who were there that are searched at once for what is to be forgotten: some 100,000 visits.
const FORGOTTEN: i64 = 1_024;

/// A connection of its own, over which clicks are counted.
#[derive(Debug)]
pub struct Rollups {
    pub(super) client: Client,
    connection: JoinHandle<()>,
    /// Before this day nobody is known any more.
    forgotten: Option<Date>,
}

/// What came of a try to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rolled {
    /// Somebody else is at it.
    Elsewhere,
    /// There was nothing new.
    UpToDate,
    /// So many clicks were counted; there may be more.
    Clicks(u64),
}

/// How far counting is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behind {
    /// The last entry that is counted.
    pub position: i64,
    /// When the first entry was written that is not.
    pub since: Option<Timestamp>,
}

impl Drop for Rollups {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Store {
    /// Connects for counting.
    pub async fn rollups(&self) -> Result<Rollups, StoreError> {
        let connecting = self.connections.target().connect(NoTls);
        let (client, connection) = connecting.await.map_err(|error| StoreError::Unavailable(error.into()))?;
        // What goes wrong with the connection is told to whoever uses it.
        let connection = tokio::spawn(async { connection.await.unwrap_or_default() });
        let rollups = Rollups { client, connection, forgotten: None };
        // What is lost with the server is counted again: the numbers and the position get lost together, and whatever is
        // written later because of them makes them durable too, since there is one log of writes.
        let settings = format!(
            "SET statement_timeout = {limit}; SET idle_in_transaction_session_timeout = {limit};
             SET work_mem = '64MB'; SET synchronous_commit = off;",
            limit = ROLL_TIMEOUT.as_millis(),
        );
        rollups.client.batch_execute(&settings).await.map_err(sql_error)?;
        Ok(rollups)
    }
}

impl Rollups {
    /// Counts the next entries of the ledger, one at least, and no more clicks than `most` if there are more than one.
    pub async fn roll(&mut self, most: u64) -> Result<Rolled, StoreError> {
        let rolling = roll(&mut self.client, most);
        timeout(ROLL_TIMEOUT, rolling).await.map_err(|late| StoreError::TooSlow(late.into()))?
    }

    /// Counts a UTC day of a shop anew from its clicks, as far as the ledger is counted. Says no, and changes nothing, if
    /// clicks of the day may be gone because the log does not have the day any more. Counters of rules stay.
    pub async fn reroll_day(&mut self, shop: &ShopId, day: Date) -> Result<bool, StoreError> {
        let transaction = self.client.transaction().await.map_err(sql_error)?;
        let table = "SELECT to_regclass($1) IS NOT NULL";
        let table = transaction.query_one(table, &[&days::table_of(day)]).await.map_err(sql_error)?;
        let is_gone = day < shop_retention::gone_before(&transaction, shop.as_str()).await?;
        if is_gone || !table.get::<_, bool>(0) {
            return Ok(false);
        }
        let position = "SELECT position FROM clicks.roller FOR UPDATE";
        let position: i64 = transaction.query_one(position, &[]).await.map_err(sql_error)?.get(0);
        // First of all: what is erased from here on marks the day again.
        unmark(&transaction, shop.as_str(), day).await?;
        let next = day.saturating_add(1.day());
        // What is behind the position is counted when its turn comes.
        let clicks = format!(
            "click.shop = $1 AND click.at >= '{day} 00:00:00+00' AND click.at < '{next} 00:00:00+00'
             AND NOT EXISTS (SELECT FROM clicks.ledger WHERE ledger.batch = click.batch AND position > $2)"
        );
        rollups::remove(&transaction, shop.as_str(), &day.to_string()).await?;
        rollups::count(&transaction, &clicks, &[&shop.as_str(), &position], false).await?;
        transaction.commit().await.map_err(sql_error)?;
        Ok(true)
    }

    /// Counts the next day anew of which clicks were erased, of this shop or of any. Returns whether there was one.
    pub async fn reroll_next(&mut self, shop: Option<&ShopId>) -> Result<bool, StoreError> {
        let next = "SELECT shop, day FROM clicks.reroll WHERE $1::text IS NULL OR shop = $1
            ORDER BY shop, day LIMIT 1";
        let row = self.client.query_opt(next, &[&shop.map(ShopId::as_str)]).await.map_err(sql_error)?;
        let Some(row) = row else { return Ok(false) };
        let (shop, day): (String, Date) = (row.get(0), row.get(1));
        let of_shop = shop.clone().try_into();
        let of_shop = of_shop.map_err(|cause: crate::domain::fault::Problem| StoreError::Corrupt {
            object: "reroll".to_owned(),
            cause: cause.into(),
        })?;
        if !self.reroll_day(&of_shop, day).await? {
            tracing::warn!(shop, %day, "a day cannot be counted anew after an erasure: the log does not have it any more");
            let transaction = self.client.transaction().await.map_err(sql_error)?;
            unmark(&transaction, &shop, day).await?;
            transaction.commit().await.map_err(sql_error)?;
        }
        Ok(true)
    }

    /// Credits conversions whose clicks have come, and puts those aside that waited too long. Returns how many it looked
    /// after.
    pub async fn settle_conversions(&mut self) -> Result<u64, StoreError> {
        let settling = waiting::settle(&mut self.client);
        timeout(ROLL_TIMEOUT, settling).await.map_err(|late| StoreError::Unavailable(late.into()))?
    }

    /// Returns how far counting is, whoever does it.
    pub async fn behind(&self) -> Result<Behind, StoreError> {
        let statement =
            "SELECT position, (SELECT at FROM clicks.ledger WHERE ledger.position = roller.position + 1)
            FROM clicks.roller";
        let row = self.client.query_one(statement, &[]).await.map_err(sql_error)?;
        Ok(Behind { position: row.get(0), since: row.get(1) })
    }

    /// Forgets who was there on days that take no more clicks because they are no longer in the log.
    pub async fn forget_visitors(&mut self) -> Result<(), StoreError> {
        let Some(first) = days::open(&self.client).await?.first().copied() else { return Ok(()) };
        if self.forgotten == Some(first) {
            return Ok(());
        }
        let pages =
            "SELECT pg_relation_size('clicks.visitor_day') / current_setting('block_size')::bigint + 1";
        let pages: i64 = self.client.query_one(pages, &[]).await.map_err(sql_error)?.get(0);
        let mut page = 0;
        while page < pages {
            let end = page + FORGOTTEN;
            let statement = format!(
                "DELETE FROM clicks.visitor_day
                 WHERE ctid >= '({page},0)' AND ctid < '({end},0)' AND day < '{first}'"
            );
            self.client.batch_execute(&statement).await.map_err(sql_error)?;
            page = end;
        }
        self.forgotten = Some(first);
        Ok(())
    }
}

/// Takes the mark away that a day has to be counted anew.
async fn unmark(transaction: &Transaction<'_>, shop: &str, day: Date) -> Result<(), StoreError> {
    let statement = "DELETE FROM clicks.reroll WHERE shop = $1 AND day = $2";
    transaction.execute(statement, &[&shop, &day]).await.map_err(sql_error)?;
    Ok(())
}

/// Entries of the ledger in their order.
#[derive(Default)]
struct Entries {
    last: Option<i64>,
    clicks: u64,
    batches: Vec<i64>,
    /// When the earliest and the latest click was.
    times: Option<(Timestamp, Timestamp)>,
    /// How far each local log comes with them.
    sources: BTreeMap<Uuid, i64>,
}

async fn roll(client: &mut Client, most: u64) -> Result<Rolled, StoreError> {
    let transaction = client.transaction().await.map_err(sql_error)?;
    let position = "SELECT position FROM clicks.roller FOR UPDATE SKIP LOCKED";
    let Some(row) = transaction.query_opt(position, &[]).await.map_err(sql_error)? else {
        return Ok(Rolled::Elsewhere);
    };
    let entries = Entries::after(&transaction, row.get(0), most).await?;
    let Some(last) = entries.last else { return Ok(Rolled::UpToDate) };
    if let Some((earliest, latest)) = entries.times {
        let (from, to) = (entries.batches.iter().min(), entries.batches.iter().max());
        // The least and the greatest number find the pages, the times the partitions.
        let clicks = "click.batch = ANY($1) AND click.batch >= $2 AND click.batch <= $3
            AND click.at >= $4 AND click.at <= $5";
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
            [&entries.batches, &from, &to, &earliest, &latest];
        rollups::count(&transaction, clicks, &values, true).await?;
    }
    let (sources, sequences): (Vec<_>, Vec<_>) = entries.sources.into_iter().unzip();
    let rolled = "INSERT INTO clicks.rolled (source, sequence) SELECT * FROM unnest($1::uuid[], $2::bigint[])
        ON CONFLICT (source) DO UPDATE SET sequence = excluded.sequence";
    transaction.execute(rolled, &[&sources, &sequences]).await.map_err(sql_error)?;
    let position = "UPDATE clicks.roller SET position = $1, at = clock_timestamp()";
    transaction.execute(position, &[&last]).await.map_err(sql_error)?;
    transaction.commit().await.map_err(sql_error)?;
    Ok(Rolled::Clicks(entries.clicks))
}

impl Entries {
    async fn after(transaction: &Transaction<'_>, position: i64, most: u64) -> Result<Self, StoreError> {
        let statement = format!(
            "SELECT position, kind, batch, source, last_sequence, applied, min_at, max_at FROM clicks.ledger
             WHERE position > $1 ORDER BY position LIMIT {ENTRIES}"
        );
        let rows = transaction.query(&statement, &[&position]).await.map_err(sql_error)?;
        let mut entries = Self::default();
        for row in &rows {
            let applied = u64::try_from(row.get::<_, i32>("applied")).unwrap_or_default();
            if entries.last.is_some() && entries.clicks + applied > most {
                break;
            }
            entries.last = Some(row.get("position"));
            // Conversions are no clicks, and what is counted outlives the rows that an expiry removes.
            if row.get::<_, &str>("kind") == "clicks" {
                entries.take(row, applied);
            }
        }
        Ok(entries)
    }

    fn take(&mut self, row: &Row, applied: u64) {
        if let (Some(source), Some(sequence)) = (row.get("source"), row.get("last_sequence")) {
            self.sources.insert(source, sequence);
        }
        let times: Option<(Timestamp, Timestamp)> =
            row.get::<_, Option<Timestamp>>("min_at").zip(row.get("max_at"));
        let Some((earliest, latest)) = times else { return };
        self.clicks += applied;
        self.batches.push(row.get("batch"));
        let (first, last) = self.times.unwrap_or((earliest, latest));
        self.times = Some((earliest.min(first), latest.max(last)));
    }
}
