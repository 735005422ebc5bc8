//! Days are opened ahead and removed when they are too old, without stopping who writes.
//!
//! A day goes in three steps, each of which may be the last one before a crash: it is detached, which PostgreSQL does in
//! two transactions and finishes when it is asked again; then, since nothing can come in any more, its rows are counted,
//! entered into the ledger and dropped in one transaction. A table that is detached and still there is a day that was not
//! entered yet.

use std::time::Duration;

use jiff::{Timestamp, ToSpan, civil::Date};
use tokio::{task::JoinHandle, time::timeout};
use tokio_postgres::{Client, NoTls};

use super::{
    days::{self, Days, day_of},
    ledger, sql_error,
};
use crate::store::{Store, errors::StoreError};

/// Keeps two servers from looking after the days at once: a number that nobody else is likely to use.
const LOCK: i64 = 0x5_3A27_11C7;
/// How many days are opened ahead.
const DAYS_AHEAD: i32 = 3;
/// How long it all may take: a day is detached once the transactions that began before have ended.
const MOST: Duration = Duration::from_secs(10 * 60);

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DaysKept {
    /// Days that were removed, each with how many clicks it had.
    pub dropped: Vec<(Date, i64)>,
}

impl Store {
    /// Opens the days ahead and removes those before the retention. Returns nothing if another server is at it.
    pub async fn keep_click_days(&self, retention_days: u16) -> Result<Option<DaysKept>, StoreError> {
        let connecting = self.connections.target().connect(NoTls);
        let (mut client, connection) =
            connecting.await.map_err(|error| StoreError::Unavailable(error.into()))?;
        // What goes wrong with the connection is told to whoever uses it.
        let connection = Ending(tokio::spawn(async { connection.await.unwrap_or_default() }));
        let kept = timeout(MOST, keep(&mut client, Timestamp::now(), retention_days)).await;
        // The lock goes with the connection.
        drop(connection);
        kept.map_err(|late| StoreError::Unavailable(late.into()))?
    }
}

/// Ends the task of a connection.
struct Ending(JoinHandle<()>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn keep(
    client: &mut Client,
    now: Timestamp,
    retention_days: u16,
) -> Result<Option<DaysKept>, StoreError> {
    let settings = format!(
        "SET statement_timeout = {limit}; SET idle_in_transaction_session_timeout = {limit}",
        limit = MOST.as_millis()
    );
    client.batch_execute(&settings).await.map_err(sql_error)?;
    let locked = client.query_one("SELECT pg_try_advisory_lock($1)", &[&LOCK]).await.map_err(sql_error)?;
    if !locked.get::<_, bool>(0) {
        return Ok(None);
    }
    let today = day_of(now);
    for ahead in 0..=DAYS_AHEAD {
        days::make(client, today.saturating_add(ahead.days())).await?;
    }
    let first = Days::kept(now, retention_days).first.min(first_uncounted(client).await?);
    // PostgreSQL detaches one at a time: what was interrupted comes first.
    let pending = "SELECT relname::text FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
        WHERE inhparent = 'clicks.click'::regclass AND inhdetachpending";
    for row in client.query(pending, &[]).await.map_err(sql_error)? {
        let name: String = row.get(0);
        let finish = format!("ALTER TABLE clicks.click DETACH PARTITION clicks.{name} FINALIZE");
        client.batch_execute(&finish).await.map_err(sql_error)?;
    }
    for day in days::open(client).await?.range(..first) {
        let detach =
            format!("ALTER TABLE clicks.click DETACH PARTITION {} CONCURRENTLY", days::table_of(*day));
        client.batch_execute(&detach).await.map_err(sql_error)?;
    }
    let mut dropped = Vec::new();
    for day in days::detached(client).await?.range(..first) {
        dropped.push((*day, remove(client, *day).await?));
    }
    Ok(Some(DaysKept { dropped }))
}

/// Returns the first day of a click that is not counted yet, or of which clicks were erased that are counted still: what
/// is counted outlives the day, and would be wrong for ever.
async fn first_uncounted(client: &Client) -> Result<Date, StoreError> {
    let statement = "SELECT min(min_at), (SELECT min(day) FROM clicks.reroll) FROM clicks.ledger
        WHERE position > (SELECT position FROM clicks.roller)";
    let row = client.query_one(statement, &[]).await.map_err(sql_error)?;
    let uncounted = row.get::<_, Option<Timestamp>>(0).map_or(Date::MAX, day_of);
    Ok(uncounted.min(row.get::<_, Option<Date>>(1).unwrap_or(Date::MAX)))
}

/// Removes a day that is detached, and returns how many clicks it had.
async fn remove(client: &mut Client, day: Date) -> Result<i64, StoreError> {
    let table = days::table_of(day);
    let transaction = client.transaction().await.map_err(sql_error)?;
    let locked = format!("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE");
    transaction.batch_execute(&locked).await.map_err(sql_error)?;
    let counted = transaction.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await;
    let removed: i64 = counted.map_err(sql_error)?.get(0);
    transaction.batch_execute(&format!("DROP TABLE {table}")).await.map_err(sql_error)?;
    ledger::enter_expiry(&transaction, day, removed).await?;
    transaction.commit().await.map_err(sql_error)?;
    Ok(removed)
}
