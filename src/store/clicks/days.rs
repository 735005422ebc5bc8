//! The partitions of the log: one for each UTC day, made ahead, without stopping who writes.

use std::{collections::BTreeSet, ops::RangeInclusive};

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use tokio_postgres::{Client, Row, Transaction};

use super::{row::COLUMNS, sql_error};
use crate::store::errors::StoreError;

/// Keeps two processes from making partitions at once: a number that nobody else is likely to use.
const LOCK: i64 = 0x5_3A27_11C6;

/// The days that clicks may be of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days {
    /// The first.
    pub first: Date,
    /// The last.
    pub last: Date,
}

impl Days {
    /// Returns the days that are kept for so long, and tomorrow.
    pub fn kept(now: Timestamp, retention_days: u16) -> Self {
        let today = day_of(now);
        let first = today.saturating_sub(i32::from(retention_days).days());
        Self { first, last: today.saturating_add(1.day()) }
    }

    /// Tells whether a day is among them.
    pub fn contains(self, day: Date) -> bool {
        (self.first..=self.last).contains(&day)
    }
}

/// Returns the UTC day of a time.
pub(super) fn day_of(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

/// Returns the table of a day.
pub(super) fn table_of(day: Date) -> String {
    day.strftime("clicks.click_%Y%m%d").to_string()
}

/// Returns the days that have a partition.
pub(super) async fn open(client: &Client) -> Result<BTreeSet<Date>, StoreError> {
    let names = "SELECT relname::text FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
        WHERE inhparent = 'clicks.click'::regclass AND NOT inhdetachpending";
    named(client, names).await
}

/// Returns the days whose table is there and no partition any more: their rows still have to be entered as removed.
pub(super) async fn detached(client: &Client) -> Result<BTreeSet<Date>, StoreError> {
    let names = "SELECT relname::text FROM pg_class
        WHERE relnamespace = 'clicks'::regnamespace AND relkind = 'r' AND NOT relispartition";
    named(client, names).await
}

/// Tells which of some days are put away, or about to be, and not entered as removed yet. Their clicks are no longer among
/// those of the log, and still count.
pub(super) async fn put_away(
    transaction: &Transaction<'_>,
    of: &RangeInclusive<Date>,
) -> Result<BTreeSet<Date>, StoreError> {
    let names = "SELECT relname::text FROM pg_class
        WHERE relnamespace = 'clicks'::regnamespace AND relkind = 'r' AND relname ~ '^click_[0-9]{8}$'
            AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = pg_class.oid AND NOT inhdetachpending)";
    let rows = transaction.query(names, &[]).await.map_err(sql_error)?;
    Ok(days_in(&rows).into_iter().filter(|day| of.contains(day)).collect())
}

/// Selects the tables of days of which all clicks of a shop, the first value, are there: that take clicks, were never
/// removed before the clicks came that they have, and are not too old for the shop.
pub(in crate::store) const WHOLE: &str = "pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
    WHERE inhparent = 'clicks.click'::regclass AND NOT inhdetachpending
        AND relname::text NOT IN (SELECT 'click_' || replace(scope ->> 'day', '-', '') FROM clicks.ledger
            WHERE kind = 'expiry' AND NOT scope ? 'shop')
        AND relname::text >= coalesce(
            (SELECT to_char(gone_before, '\"click_\"YYYYMMDD') FROM clicks.shop_expiry WHERE shop = $1), '')";

/// Returns the days that take clicks and of which all clicks of a shop are there.
pub(super) async fn whole(transaction: &Transaction<'_>, shop: &str) -> Result<BTreeSet<Date>, StoreError> {
    let names = format!("SELECT relname::text FROM {WHOLE}");
    Ok(days_in(&transaction.query(&names, &[&shop]).await.map_err(sql_error)?))
}

/// Tells whether all clicks of a shop are there that a day ever had, be it in a table that is put away.
pub(super) async fn is_whole(
    transaction: &Transaction<'_>,
    shop: &str,
    day: Date,
) -> Result<bool, StoreError> {
    let statement = format!(
        "SELECT to_regclass($2) IS NOT NULL
            AND NOT EXISTS (SELECT FROM clicks.shop_expiry WHERE shop = $1 AND gone_before > '{day}')
            AND NOT EXISTS (SELECT FROM clicks.ledger
                WHERE kind = 'expiry' AND NOT scope ? 'shop' AND scope ->> 'day' = '{day}')"
    );
    let row = transaction.query_one(&statement, &[&shop, &table_of(day)]).await.map_err(sql_error)?;
    Ok(row.get(0))
}

/// Writes how the visitor of a click from this day on is read: null if nobody knows any more who was there on its day, and
/// nobody is to be counted twice.
pub(super) async fn visitor(transaction: &Transaction<'_>, from: Date) -> Result<String, StoreError> {
    let statement = "SELECT greatest((SELECT max(gone_before) FROM clicks.shop_expiry),
        (SELECT max(scope ->> 'day')::date + 1 FROM clicks.ledger WHERE kind = 'expiry' AND NOT scope ? 'shop'))";
    let row = transaction.query_one(statement, &[]).await.map_err(sql_error)?;
    let Some(gone) = row.get::<_, Option<Date>>(0).filter(|gone| from < *gone) else {
        return Ok("click.visitor".to_owned());
    };
    Ok(format!(
        "CASE WHEN click.at >= '{gone} 00:00:00+00' THEN click.visitor
            WHEN EXISTS (SELECT FROM clicks.shop_expiry
                WHERE shop_expiry.shop = click.shop AND gone_before > (click.at AT TIME ZONE 'UTC')::date) THEN NULL
            WHEN EXISTS (SELECT FROM clicks.ledger WHERE kind = 'expiry' AND NOT scope ? 'shop'
                AND scope ->> 'day' = to_char(click.at AT TIME ZONE 'UTC', 'YYYY-MM-DD')) THEN NULL
            ELSE click.visitor END"
    ))
}

/// Writes where the clicks of the log are found together with those of days that are put away.
pub(super) fn with(put_away: &BTreeSet<Date>) -> String {
    if put_away.is_empty() {
        return "clicks.click".to_owned();
    }
    let more = put_away.iter().map(|day| format!(" UNION ALL SELECT {COLUMNS} FROM {}", table_of(*day)));
    format!("(SELECT {COLUMNS} FROM clicks.click{}) AS click", more.collect::<String>())
}

async fn named(client: &Client, names: &str) -> Result<BTreeSet<Date>, StoreError> {
    let rows = client.query(names, &[]).await.map_err(sql_error)?;
    Ok(days_in(&rows))
}

fn days_in(rows: &[Row]) -> BTreeSet<Date> {
    rows.iter().filter_map(|row| Date::strptime("click_%Y%m%d", row.get::<_, &str>(0)).ok()).collect()
}

/// Makes the partition of a day, unless it is there.
///
/// `CREATE TABLE … PARTITION OF` would wait for every transaction that writes, and make those wait that come after it;
/// ATTACH does not, and needs no look at the rows because the check says what they are. A table of that day that was
/// detached before comes back with its rows.
pub(super) async fn make(client: &mut Client, day: Date) -> Result<(), StoreError> {
    let (table, next) = (table_of(day), day.saturating_add(1.day()));
    let transaction = client.transaction().await.map_err(sql_error)?;
    let state = "SELECT table_oid IS NOT NULL, EXISTS (SELECT FROM pg_inherits WHERE inhrelid = table_oid)
        FROM to_regclass($1) AS table_oid";
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await.map_err(sql_error)?;
    let state = transaction.query_one(state, &[&table]).await.map_err(sql_error)?;
    let (is_there, is_attached): (bool, bool) = (state.get(0), state.get(1));
    if is_attached {
        return Ok(());
    }
    if !is_there {
        let create = format!(
            "CREATE TABLE {table} (LIKE clicks.click INCLUDING ALL,
                 CONSTRAINT day CHECK (at >= '{day} 00:00:00+00' AND at < '{next} 00:00:00+00'))"
        );
        transaction.batch_execute(&create).await.map_err(sql_error)?;
    }
    let attach = format!(
        "ALTER TABLE clicks.click ATTACH PARTITION {table}
             FOR VALUES FROM ('{day} 00:00:00+00') TO ('{next} 00:00:00+00');
         ALTER TABLE {table} DROP CONSTRAINT IF EXISTS day;"
    );
    transaction.batch_execute(&attach).await.map_err(sql_error)?;
    transaction.commit().await.map_err(sql_error)
}
