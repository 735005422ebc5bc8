//! Follows the ledger and counts: the numbers and the position up to which they go change in one transaction.

use std::{collections::BTreeMap, time::Duration};

use jiff::{Timestamp, ToSpan, civil::Date};
use tokio::time::timeout;
use tokio_postgres::{Client, Row, Transaction};
use uuid::Uuid;

use super::{days, rollups, session::Session, shop_retention, sql_error, waiting};
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
    pub(super) client: Session,
    /// How far conversions that wait are looked through.
    waiting: waiting::Looked,
    /// Before which day nobody is to be known any more, and from which page on somebody may be.
    forgotten: Option<(Date, i64)>,
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

impl Store {
    /// Connects for counting.
    pub async fn rollups(&self) -> Result<Rollups, StoreError> {
        let client = Session::open(self.connections.target(), ROLL_TIMEOUT).await?;
        client.batch_execute("SET work_mem = '64MB'").await.map_err(sql_error)?;
        Ok(Rollups { client, waiting: waiting::Looked::default(), forgotten: None })
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
        let position = "SELECT position FROM clicks.roller FOR UPDATE";
        let position = transaction.query_one(position, &[]).await.map_err(sql_error)?.get(0);
        unmark(&transaction, shop.as_str(), day).await?;
        let is_whole = recount(&transaction, shop.as_str(), day, position).await?;
        if is_whole {
            transaction.commit().await.map_err(sql_error)?;
        }
        Ok(is_whole)
    }

    /// Counts the next day anew of which clicks were erased: of this shop, for whoever erases, or of any of which nobody
    /// erases just now, unless somebody else counts. Returns whether there was one.
    pub async fn reroll_next(&mut self, shop: Option<&ShopId>) -> Result<bool, StoreError> {
        let marked = "SELECT shop, min(day) FROM clicks.reroll WHERE $1::text IS NULL OR shop = $1
            GROUP BY shop ORDER BY shop";
        let marked = self.client.query(marked, &[&shop.map(ShopId::as_str)]).await.map_err(sql_error)?;
        let mut failed = None;
        for row in marked {
            match self.reroll_marked(row.get(0), row.get(1), shop.is_some()).await {
                Ok(Some(counted)) => return Ok(counted),
                Ok(None) => {}
                // The others are not held up by a day that takes too long.
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(false), Err)
    }

    /// Counts a marked day anew; `None` = it is not for us, look at the next. `waits` for whoever counts.
    async fn reroll_marked(&mut self, of: &str, day: Date, waits: bool) -> Result<Option<bool>, StoreError> {
        let transaction = self.client.transaction().await.map_err(sql_error)?;
        // First of all: what is erased from here on marks the day again.
        let position = match waits {
            true => "SELECT position FROM clicks.roller FOR UPDATE",
            false => "SELECT position FROM clicks.roller FOR UPDATE SKIP LOCKED",
        };
        let position = transaction.query_opt(position, &[]).await.map_err(sql_error)?;
        let Some(position) = position.map(|row| row.get(0)) else { return Ok(Some(false)) };
        let is_free = waits || shop_retention::is_held_by_nobody(&transaction, of).await?;
        // Somebody else may have done it since.
        if !is_free || !unmark(&transaction, of, day).await? {
            return Ok(None);
        }
        if !recount(&transaction, of, day, position).await? {
            tracing::warn!(shop = of, %day, "a day cannot be counted anew after an erasure: the log does not have it any more");
        }
        transaction.commit().await.map_err(sql_error)?;
        Ok(Some(true))
    }

    /// Looks through the next conversions that wait, from the first again behind the last: credits those whose clicks have
    /// come, and puts those aside that waited too long. Returns how many these were.
    pub async fn settle_conversions(&mut self) -> Result<u64, StoreError> {
        let settling = waiting::settle(&mut self.client, &mut self.waiting);
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

    /// Forgets who was there on days that take no more clicks because they are no longer in the log: some at once. Returns
    /// whether there may be more.
    pub async fn forget_visitors(&mut self) -> Result<bool, StoreError> {
        let Some(first) = days::open(&self.client).await?.first().copied() else { return Ok(false) };
        let pages =
            "SELECT pg_relation_size('clicks.visitor_day') / current_setting('block_size')::bigint + 1";
        let pages: i64 = self.client.query_one(pages, &[]).await.map_err(sql_error)?.get(0);
        let (_, page) = self.forgotten.filter(|(before, _)| *before == first).unwrap_or((first, 0));
        if page >= pages {
            return Ok(false);
        }
        let end = (page + FORGOTTEN).min(pages);
        let statement = format!(
            "DELETE FROM clicks.visitor_day
             WHERE ctid >= '({page},0)' AND ctid < '({end},0)' AND day < '{first}'"
        );
        self.client.batch_execute(&statement).await.map_err(sql_error)?;
        self.forgotten = Some((first, end));
        Ok(end < pages)
    }
}

/// Takes the mark away that a day has to be counted anew; returns whether there was one.
async fn unmark(transaction: &Transaction<'_>, shop: &str, day: Date) -> Result<bool, StoreError> {
    let statement = "DELETE FROM clicks.reroll WHERE shop = $1 AND day = $2";
    Ok(transaction.execute(statement, &[&shop, &day]).await.map_err(sql_error)? > 0)
}

/// Counts a day of a shop anew up to a position, unless clicks of it may be gone. Whoever calls keeps others from counting.
async fn recount(
    transaction: &Transaction<'_>,
    shop: &str,
    day: Date,
    position: i64,
) -> Result<bool, StoreError> {
    if !days::is_whole(transaction, shop, day).await? {
        return Ok(false);
    }
    let next = day.saturating_add(1.day());
    // What is behind the position is counted when its turn comes.
    let clicks = format!(
        "click.shop = $1 AND click.at >= '{day} 00:00:00+00' AND click.at < '{next} 00:00:00+00'
         AND NOT EXISTS (SELECT FROM clicks.ledger WHERE ledger.batch = click.batch AND position > $2)"
    );
    rollups::remove(transaction, shop, &day.to_string()).await?;
    rollups::count(transaction, day..=day, &clicks, &[&shop, &position], false).await?;
    Ok(true)
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
    // What PostgreSQL loses in a crash is counted again: the numbers and the position are lost together, and whatever is
    // written later because of them makes them durable too, since there is one log of writes. Erasures wait for the disk.
    transaction.batch_execute("SET LOCAL synchronous_commit = off").await.map_err(sql_error)?;
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
        let of = days::day_of(earliest)..=days::day_of(latest);
        rollups::count(&transaction, of, clicks, &values, true).await?;
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
