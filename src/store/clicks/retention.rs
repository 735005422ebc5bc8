//! Days are opened ahead and removed when they are too old, without stopping who writes.
//!
//! A day goes in three steps, each of which may be the last one before a crash: it is detached, which PostgreSQL does in
//! two transactions and finishes when it is asked again; then, since nothing can come in any more, its rows are entered
//! into the ledger and dropped in one transaction, unless some of them still have to be counted. A table that is detached
//! and still there is a day that was not entered yet: who counts reads it too, and it comes back if it is wanted again.

use std::time::Duration;

use jiff::{Timestamp, ToSpan, civil::Date};
use tokio::time::{Instant, timeout};
use tokio_postgres::Client;

use super::{
    days::{self, Days, day_of},
    ledger,
    session::Session,
    shop_retention::{self, ShopExpiry},
    sql_error,
};
use crate::{
    domain::{
        erasure::{FORGOTTEN_VISITOR, write_visitor},
        limits,
    },
    store::{Store, errors::StoreError},
};

/// Keeps two servers from looking after the days at once: a number that nobody else is likely to use.
const LOCK: i64 = 0x5_3A27_11C7;
/// How many days are opened ahead.
const DAYS_AHEAD: i32 = 3;
/// How long it all may take: a day is detached once the transactions that began before have ended.
const MOST: Duration = Duration::from_secs(10 * 60);

/// How long clicks of shops may be removed before the rest is left for the next look.
const MOST_SHOPS: Duration = Duration::from_secs(4 * 60);

/// Entries of the ledger that are searched at once.
const SEARCHED: i64 = 50_000;

/// Clicks that were put aside that are emptied at once.
const EMPTIED: u64 = 10_000;

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DaysKept {
    /// Days that were removed, each with how many clicks it had.
    pub dropped: Vec<(Date, i64)>,
    /// Days that were put away by a removal that is not wanted any more, and are back.
    pub returned: Vec<Date>,
    /// Days that are put away and have to be counted before they go.
    pub waiting: Vec<Date>,
    /// Shops that keep clicks for a shorter time, and had some to be removed.
    pub shops: Vec<ShopExpiry>,
    /// For how many days the server kept clicks that looked before, if for another time.
    pub otherwise: Option<i32>,
}

impl Store {
    /// Returns for how many days clicks are kept, as the server has it that looked last; none if none ever did.
    pub async fn click_retention_days(&self) -> Result<Option<i32>, StoreError> {
        let statement = "SELECT days FROM clicks.retention";
        let read = async |client: &mut Client| client.query_opt(statement, &[]).await.map_err(sql_error);
        Ok(self.click_readers.read(read).await?.map(|row| row.get(0)))
    }

    /// Opens the days ahead and removes those before the retention, by the earlier of this clock and that of the database.
    /// Returns nothing if another server is at it.
    pub async fn keep_click_days(
        &self,
        now: Timestamp,
        retention_days: u16,
    ) -> Result<Option<DaysKept>, StoreError> {
        let mut session = Session::open(self.connections.target(), MOST).await?;
        let kept = timeout(MOST, keep(&mut session, now, retention_days)).await;
        let kept = kept.map_err(|late| StoreError::Unavailable(late.into()))??;
        // Else the lock goes with the connection, a moment later.
        session.batch_execute("SELECT pg_advisory_unlock_all()").await.map_err(sql_error)?;
        Ok(kept)
    }
}

async fn keep(
    client: &mut Client,
    now: Timestamp,
    retention_days: u16,
) -> Result<Option<DaysKept>, StoreError> {
    let locked = client.query_one("SELECT pg_try_advisory_lock($1)", &[&LOCK]).await.map_err(sql_error)?;
    if !locked.get::<_, bool>(0) {
        return Ok(None);
    }
    // A clock that is ahead would remove what is to be kept.
    let theirs = client.query_one("SELECT now()", &[]).await.map_err(sql_error)?;
    let now = now.min(theirs.get(0));
    let today = day_of(now);
    for ahead in 0..=DAYS_AHEAD {
        days::make(client, today.saturating_add(ahead.days())).await?;
    }
    let first = Days::kept(now, retention_days).first;
    // PostgreSQL detaches one at a time: what was interrupted comes first.
    let pending = "SELECT relname::text FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
        WHERE inhparent = 'clicks.click'::regclass AND inhdetachpending";
    for row in client.query(pending, &[]).await.map_err(sql_error)? {
        let name: String = row.get(0);
        let finish = format!("ALTER TABLE clicks.click DETACH PARTITION clicks.{name} FINALIZE");
        client.batch_execute(&finish).await.map_err(sql_error)?;
    }
    let uncounted = first_uncounted(client).await?;
    for day in days::open(client).await?.range(..first.min(uncounted)) {
        let detach =
            format!("ALTER TABLE clicks.click DETACH PARTITION {} CONCURRENTLY", days::table_of(*day));
        client.batch_execute(&detach).await.map_err(sql_error)?;
    }
    let mut kept = DaysKept { otherwise: tell(client, retention_days).await?, ..DaysKept::default() };
    for day in days::detached(client).await? {
        if day >= first {
            // The retention was raised meanwhile.
            days::make(client, day).await?;
            kept.returned.push(day);
        } else if let Some(clicks) = remove(client, day).await? {
            kept.dropped.push((day, clicks));
        } else {
            kept.waiting.push(day);
        }
    }
    while forget_erased(client).await? {}
    while empty_rejected(client, now, retention_days).await? {}
    kept.shops = shop_retention::keep(client, now, retention_days, Instant::now() + MOST_SHOPS).await?;
    Ok(Some(kept))
}

/// Forgets the keys of visitors who were erased long ago, from the next entries of the ledger; returns whether there are
/// more. Whoever reads the stream has erased them as well by then.
async fn forget_erased(client: &mut Client) -> Result<bool, StoreError> {
    let transaction = client.transaction().await.map_err(sql_error)?;
    let old = format!(
        "SELECT forgotten, max(position), count(*) FROM clicks.retention, LATERAL (
            SELECT position, at FROM clicks.ledger WHERE position > forgotten ORDER BY position LIMIT {SEARCHED}
         ) AS next
         WHERE next.at < now() - interval '{days} days' GROUP BY forgotten",
        days = limits::ERASED_VISITOR_DAYS
    );
    let Some(row) = transaction.query_opt(&old, &[]).await.map_err(sql_error)? else { return Ok(false) };
    let (after, last): (i64, i64) = (row.get(0), row.get(1));
    let forget = "UPDATE clicks.ledger SET scope = scope || jsonb_build_object('visitor', $3::text)
        WHERE position > $1 AND position <= $2 AND kind = 'erasure' AND scope ? 'visitor'";
    let forgotten = write_visitor(FORGOTTEN_VISITOR);
    transaction.execute(forget, &[&after, &last, &forgotten]).await.map_err(sql_error)?;
    let done = "UPDATE clicks.retention SET forgotten = $1";
    transaction.execute(done, &[&last]).await.map_err(sql_error)?;
    transaction.commit().await.map_err(sql_error)?;
    Ok(row.get::<_, i64>(2) == SEARCHED)
}

/// Empties some of what was put aside longer ago than it or its shop keeps clicks; returns whether there may be more. Rows
/// stay, so that the ledger still finds as many as it says.
async fn empty_rejected(client: &Client, now: Timestamp, retention_days: u16) -> Result<bool, StoreError> {
    let empty = format!(
        "UPDATE clicks.rejected SET reason = 'expired', content = '', shop = NULL, click_at = NULL, partner = NULL,
            visitor = NULL
         WHERE ctid = ANY (ARRAY(
            SELECT aside.ctid FROM clicks.rejected AS aside LEFT JOIN shop ON shop.id = aside.shop
            WHERE content <> '' AND aside.at < $1::timestamptz - interval '1 day' * least($2::integer,
                CASE WHEN jsonb_typeof(settings -> 'click_retention_days') = 'number'
                    THEN (settings ->> 'click_retention_days')::integer END)
            LIMIT {EMPTIED}))"
    );
    let emptied = client.execute(&empty, &[&now, &i32::from(retention_days)]).await.map_err(sql_error)?;
    Ok(emptied == EMPTIED)
}

/// Writes for how many days this server keeps clicks, and returns for how many the one did that looked before, if they
/// differ.
async fn tell(client: &Client, retention_days: u16) -> Result<Option<i32>, StoreError> {
    let statement = "WITH before AS (SELECT days FROM clicks.retention), now AS (
            INSERT INTO clicks.retention (days) VALUES ($1)
            ON CONFLICT (one) DO UPDATE SET days = excluded.days, at = clock_timestamp()
        ) SELECT days FROM before WHERE days <> $1";
    let row = client.query_opt(statement, &[&i32::from(retention_days)]).await.map_err(sql_error)?;
    Ok(row.map(|row| row.get(0)))
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

/// Removes a day that is detached, and returns how many clicks it had. Leaves it if somebody took it back meanwhile, or if
/// not everything of it is counted yet: clicks that came after the last look count too.
async fn remove(client: &mut Client, day: Date) -> Result<Option<i64>, StoreError> {
    let table = days::table_of(day);
    let transaction = client.transaction().await.map_err(sql_error)?;
    let locked = format!("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE");
    transaction.batch_execute(&locked).await.map_err(sql_error)?;
    let state = format!(
        "SELECT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = '{table}'::regclass)
            OR EXISTS (SELECT FROM clicks.reroll WHERE day = '{day}')
            OR EXISTS (SELECT FROM {table} WHERE batch IN ({UNCOUNTED}))"
    );
    if transaction.query_one(&state, &[]).await.map_err(sql_error)?.get(0) {
        return Ok(None);
    }
    let counted = transaction.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await;
    let removed: i64 = counted.map_err(sql_error)?.get(0);
    transaction.batch_execute(&format!("DROP TABLE {table}")).await.map_err(sql_error)?;
    ledger::enter_expiry(&transaction, day, None, removed).await?;
    transaction.commit().await.map_err(sql_error)?;
    Ok(Some(removed))
}

/// The batches that are not counted yet.
const UNCOUNTED: &str =
    "SELECT batch FROM clicks.ledger WHERE position > (SELECT position FROM clicks.roller)";
