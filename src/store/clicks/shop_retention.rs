//! Clicks of shops that keep them for a shorter time than the installation: removed in pieces, each of which is one short
//! transaction with its entry in the ledger. Whatever stops it, the next look goes on.
//!
//! That clicks of a day may be gone is written before the first of them goes, since nothing may be counted from them any
//! more; what is counted stays. What came late for a day that was searched already is found by the ledger.

use std::ops::Range;

use jiff::{Timestamp, ToSpan, civil::Date};
use tokio::time::Instant;
use tokio_postgres::{Client, Transaction, types::ToSql};

use super::{
    days::{self, Days, day_of},
    ledger, sql_error,
};
use crate::{domain::name::ShopId, store::errors::StoreError};

/// Pages of a day that one transaction looks at: some 25,000 clicks.
const PAGES: i64 = 1_024;
/// Entries with late clicks whose clicks go in one transaction.
const LATE: i64 = 20;
/// Visitors that one statement forgets.
const VISITORS: i64 = 20_000;

/// Clicks of a shop that were removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShopExpiry {
    /// The shop.
    pub shop: ShopId,
    /// The first day of which it keeps clicks.
    pub first: Date,
    /// How many were removed.
    pub clicks: i64,
    /// Whether some are left for the next look.
    pub is_unfinished: bool,
}

/// How far the clicks of a shop are removed.
#[derive(Clone, Copy)]
struct Progress {
    done_before: Date,
    position: i64,
}

/// Keeps the clicks of a shop as they are while it is erased from: for as long as the connection lasts.
pub(super) async fn hold(client: &Client, shop: &ShopId) -> Result<(), StoreError> {
    let statement = "SELECT pg_advisory_lock_shared(hashtext('retention'), hashtext($1))";
    client.execute(statement, &[&shop.as_str()]).await.map_err(sql_error)?;
    Ok(())
}

/// Tells whether clicks of a day may go, and keeps it so until the transaction ends: nobody erases clicks of the shop, and
/// none that were erased are counted still.
async fn is_free(transaction: &Transaction<'_>, shop: &str, day: Date) -> Result<bool, StoreError> {
    let statement = "SELECT NOT EXISTS (SELECT FROM clicks.reroll WHERE shop = $1 AND day = $2)";
    Ok(is_held_by_nobody(transaction, shop).await?
        && transaction.query_one(statement, &[&shop, &day]).await.map_err(sql_error)?.get(0))
}

/// Tells whether nobody erases clicks of a shop, and keeps it so until the transaction ends.
pub(super) async fn is_held_by_nobody(transaction: &Transaction<'_>, shop: &str) -> Result<bool, StoreError> {
    let statement = "SELECT pg_try_advisory_xact_lock(hashtext('retention'), hashtext($1))";
    Ok(transaction.query_one(statement, &[&shop]).await.map_err(sql_error)?.get(0))
}

/// Removes the clicks that shops do not keep any more, until a deadline.
pub(super) async fn keep(
    client: &mut Client,
    now: Timestamp,
    retention_days: u16,
    deadline: Instant,
) -> Result<Vec<ShopExpiry>, StoreError> {
    let shops = "SELECT id, (settings ->> 'click_retention_days')::integer FROM shop
        WHERE jsonb_typeof(settings -> 'click_retention_days') = 'number' ORDER BY id";
    let mut kept = Vec::new();
    for row in client.query(shops, &[]).await.map_err(sql_error)? {
        let id: String = row.get(0);
        let days = u16::try_from(row.get::<_, i32>(1)).unwrap_or(u16::MAX);
        // The shorter of the two counts; days as a whole are removed anyway.
        if days >= retention_days {
            continue;
        }
        let Ok(shop) = ShopId::try_from(id) else { continue };
        let first = Days::kept(now, days).first;
        let mut expiry = Expiry { client, shop: &shop, deadline, clicks: 0 };
        let is_unfinished = !expiry.run(first).await?;
        let clicks = expiry.clicks;
        if clicks > 0 || is_unfinished {
            kept.push(ShopExpiry { shop, first, clicks, is_unfinished });
        }
    }
    Ok(kept)
}

/// The removal of clicks of one shop.
struct Expiry<'a> {
    client: &'a mut Client,
    shop: &'a ShopId,
    deadline: Instant,
    clicks: i64,
}

impl Expiry<'_> {
    /// Removes clicks of days before the first; returns whether all are gone.
    async fn run(&mut self, first: Date) -> Result<bool, StoreError> {
        let open = days::open(self.client).await?;
        let counted = "SELECT position FROM clicks.roller";
        let counted: i64 = self.client.query_one(counted, &[]).await.map_err(sql_error)?.get(0);
        let progress = self.progress(first).await?;
        if let Some(progress) = progress
            && !self.remove_late(progress, counted).await?
        {
            return Ok(false);
        }
        for day in open.range(progress.map_or(Date::MIN, |progress| progress.done_before)..first) {
            if !self.remove_day(*day, counted).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads how far it is. If the shop keeps clicks longer now than before, days are searched again.
    async fn progress(&self, first: Date) -> Result<Option<Progress>, StoreError> {
        let statement = "UPDATE clicks.shop_expiry SET done_before = least(done_before, $2)
            WHERE shop = $1 RETURNING done_before, position";
        let row =
            self.client.query_opt(statement, &[&self.shop.as_str(), &first]).await.map_err(sql_error)?;
        Ok(row.map(|row| Progress { done_before: row.get(0), position: row.get(1) }))
    }

    /// Removes clicks that came for days that were searched already.
    async fn remove_late(&mut self, progress: Progress, counted: i64) -> Result<bool, StoreError> {
        let Progress { done_before, mut position } = progress;
        let late = format!(
            "SELECT array_agg(batch), min(min_at), max(position) FROM (
                SELECT batch, min_at, position FROM clicks.ledger
                WHERE position > $1 AND position <= $2 AND kind = 'clicks' AND min_at < '{done_before} 00:00:00+00'
                ORDER BY position LIMIT {LATE}
             ) AS entry"
        );
        while position < counted {
            let row = self.client.query_one(&late, &[&position, &counted]).await.map_err(sql_error)?;
            let batches: Vec<i64> = row.get::<_, Option<_>>(0).unwrap_or_default();
            let earliest = row.get::<_, Option<Timestamp>>(1).map_or(done_before, day_of);
            for day in days::open(self.client).await?.range(earliest..done_before) {
                let values: [&(dyn ToSql + Sync); 2] = [&self.shop.as_str(), &batches];
                let removed = self.remove(*day, "AND batch = ANY($2)", &values).await?;
                let Some(removed) = removed else { return Ok(false) };
                if removed > 0 {
                    self.forget_visitors(*day).await?;
                }
            }
            position = row.get::<_, Option<i64>>(2).unwrap_or(counted);
            let done = "UPDATE clicks.shop_expiry SET position = $2 WHERE shop = $1";
            self.client.execute(done, &[&self.shop.as_str(), &position]).await.map_err(sql_error)?;
        }
        Ok(true)
    }

    /// Removes the clicks of a day, unless that is done.
    async fn remove_day(&mut self, day: Date, counted: i64) -> Result<bool, StoreError> {
        let (shop, next) = (self.shop.as_str(), day.saturating_add(1.day()));
        let transaction = self.client.transaction().await.map_err(sql_error)?;
        if !is_free(&transaction, shop, day).await? {
            return Ok(false);
        }
        let begin = "INSERT INTO clicks.shop_expiry AS kept (shop, gone_before, done_before, position)
            VALUES ($1, $2, $3, $4)
            ON CONFLICT (shop) DO UPDATE SET gone_before = greatest(kept.gone_before, excluded.gone_before)";
        transaction.execute(begin, &[&shop, &next, &day, &counted]).await.map_err(sql_error)?;
        transaction.commit().await.map_err(sql_error)?;
        for pages in self.pages(day).await? {
            let chosen = format!(
                "AND ctid >= '({},0)' AND ctid < '({},0)' AND batch NOT IN (
                    SELECT batch FROM clicks.ledger WHERE position > (SELECT position FROM clicks.roller))",
                pages.start, pages.end
            );
            let removed = self.remove(day, &chosen, &[&self.shop.as_str()]).await?;
            if removed.is_none() || Instant::now() >= self.deadline {
                return Ok(false);
            }
        }
        self.forget_visitors(day).await?;
        let done = "UPDATE clicks.shop_expiry SET done_before = $2 WHERE shop = $1";
        self.client.execute(done, &[&self.shop.as_str(), &next]).await.map_err(sql_error)?;
        Ok(true)
    }

    /// Forgets who was there on a day.
    async fn forget_visitors(&self, day: Date) -> Result<(), StoreError> {
        let forget = format!(
            "DELETE FROM clicks.visitor_day WHERE ctid = ANY (ARRAY(
                SELECT ctid FROM clicks.visitor_day WHERE day = $2 AND shop = $1 LIMIT {VISITORS}))"
        );
        while self.client.execute(&forget, &[&self.shop.as_str(), &day]).await.map_err(sql_error)? > 0 {}
        Ok(())
    }

    /// Divides a day into pieces; none if nothing of the shop was counted on it.
    async fn pages(&self, day: Date) -> Result<Vec<Range<i64>>, StoreError> {
        let statement = format!(
            "SELECT CASE WHEN EXISTS (SELECT FROM clicks.stats_shop_quarter WHERE shop = $1
                    AND at >= '{day} 00:00:00+00' AND at < timestamptz '{day} 00:00:00+00' + interval '24 hours')
                THEN pg_relation_size('{table}') / current_setting('block_size')::bigint + 1 ELSE 0 END",
            table = days::table_of(day)
        );
        let row = self.client.query_one(&statement, &[&self.shop.as_str()]).await.map_err(sql_error)?;
        let count = row.get::<_, i64>(0);
        let step = usize::try_from(PAGES).unwrap_or(usize::MAX);
        Ok((0..count).step_by(step).map(|start| start..start + PAGES).collect())
    }

    /// Removes chosen clicks of the shop, which is the first value, from a day; none if it may not for now.
    async fn remove(
        &mut self,
        day: Date,
        chosen: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<i64>, StoreError> {
        let shop = self.shop.as_str();
        let transaction = self.client.transaction().await.map_err(sql_error)?;
        if !is_free(&transaction, shop, day).await? {
            return Ok(None);
        }
        let statement = format!(
            "WITH gone AS (DELETE FROM {table} WHERE shop = $1 {chosen} RETURNING at)
             SELECT count(*), min(at), max(at) FROM gone",
            table = days::table_of(day)
        );
        let row = transaction.query_one(&statement, values).await.map_err(sql_error)?;
        let (removed, times) = (row.get(0), row.get::<_, Option<Timestamp>>(1).zip(row.get(2)));
        if removed > 0 {
            ledger::enter_expiry(&transaction, day, Some((shop, times)), removed).await?;
            transaction.commit().await.map_err(sql_error)?;
        }
        self.clicks += removed;
        Ok(Some(removed))
    }
}
