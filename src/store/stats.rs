//! Statistics: what is counted already, and single clicks where that does not tell.
//!
//! An answer is of one instant: what is counted up to the roller's position, the clicks behind it, and of the pieces of
//! time and the values that nothing is counted of, the clicks themselves.

mod conversions;
mod plan;
mod split;
mod statement;

use std::collections::BTreeMap;

use diesel::{
    QueryableByName, sql_query,
    sql_types::{Array, BigInt, Date as SqlDate, Nullable, Text, Timestamptz},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use jiff::civil::Date;

pub use self::split::{Draws, Split, SplitQuery};
use self::{
    plan::Plan,
    statement::{Cell, Statement},
};
use super::{
    Store, clicks,
    errors::StoreError,
    pool::{ONE_INSTANT, begin, end},
};
use crate::domain::{
    currency::Currency,
    limits,
    stats::{Spans, StatsQuery},
};

/// Connections that questions for figures have; others wait for one.
pub(super) const CONNECTIONS: usize = 3;

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// The last entry of the ledger that is in it.
    pub position: i64,
    /// The figures of each value, which is empty without a dimension, in each piece of time that has any.
    pub figures: BTreeMap<String, BTreeMap<usize, Figures>>,
}

/// Figures of one piece of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Clicks.
    pub clicks: i64,
    /// Visitors, each once on each UTC day, if they were asked for.
    pub visitors: i64,
    /// Orders, if conversions were asked for.
    pub conversions: i64,
    /// What was paid less what was paid back, by currency, if conversions were asked for.
    pub revenue: BTreeMap<Currency, i64>,
}

/// Why something is not counted.
#[derive(Debug)]
pub enum NotCounted {
    /// So many megabytes of single clicks would have to be read.
    TooManyClicks {
        /// How many.
        megabytes: u64,
    },
    /// It takes single clicks of this day, which are not in the log any more.
    Gone {
        /// The first such day.
        day: Date,
    },
    /// There are more values times pieces of time than are counted for one answer.
    TooManyFigures,
    /// So many clicks of the log are not counted yet.
    Behind {
        /// How many.
        clicks: u64,
    },
    /// As much is being counted as is counted at a time.
    Busy,
    /// The database could not.
    Store(StoreError),
}

impl From<StoreError> for NotCounted {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<diesel::result::Error> for NotCounted {
    fn from(error: diesel::result::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Store {
    /// Counts clicks, reading no more than so many megabytes of single ones.
    pub async fn stats(&self, query: &StatsQuery, most_megabytes: u64) -> Result<Stats, NotCounted> {
        let mut connection = self.figures.get_unless_busy().await?.ok_or(NotCounted::Busy)?;
        begin(&mut connection, ONE_INSTANT).await?;
        let outcome = count(&mut connection, query, most_megabytes).await;
        end(&mut connection, outcome).await
    }
}

async fn count(
    connection: &mut AsyncPgConnection,
    query: &StatsQuery,
    most_megabytes: u64,
) -> Result<Stats, NotCounted> {
    let head = head(connection).await?;
    let mut plans = vec![Plan::of_clicks(query)];
    plans.extend(query.visitors.then(|| Plan::of_visitors(query)));
    let open = if plans.iter().any(|plan| plan.rest.ends().is_some()) {
        let open = open_days(connection, query.shop.as_str()).await?;
        check_single_clicks(connection, query, &plans, &open, most_megabytes).await?;
        open
    } else {
        BTreeMap::new()
    };
    let behind = u64::try_from(head.clicks).unwrap_or_default();
    if behind > limits::STATS_BEHIND_CLICKS && plans.iter().any(|plan| plan.reads_tail(&head)) {
        return Err(NotCounted::Behind { clicks: behind });
    }
    let mut stats = Stats { position: head.position, ..Stats::default() };
    for plan in &plans {
        for statement in plan.statements(query, &head, &open) {
            add(connection, statement, &mut stats, plan.figure()).await?;
        }
    }
    if let Some(time) = query.conversions {
        for statement in conversions::statements(query, time) {
            conversions::add(connection, statement, &mut stats).await?;
        }
    }
    Ok(stats)
}

/// How far the ledger and counting are.
#[derive(QueryableByName)]
struct Head {
    #[diesel(sql_type = BigInt)]
    position: i64,
    /// The entries that are not counted, and how many clicks these are.
    #[diesel(sql_type = Nullable<Array<BigInt>>)]
    batches: Option<Vec<i64>>,
    #[diesel(sql_type = BigInt)]
    clicks: i64,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    earliest: Option<jiff_diesel::Timestamp>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    latest: Option<jiff_diesel::Timestamp>,
}

async fn head(connection: &mut AsyncPgConnection) -> Result<Head, NotCounted> {
    let statement = "
        SELECT head.position, tail.* FROM clicks.head, (
            SELECT array_agg(batch) AS batches, coalesce(sum(applied), 0) AS clicks, min(min_at) AS earliest,
                max(max_at) AS latest
            FROM clicks.ledger
            WHERE position > (SELECT position FROM clicks.roller) AND kind = 'clicks' AND applied > 0
        ) AS tail";
    Ok(sql_query(statement).get_result(connection).await?)
}

/// A day of the log.
#[derive(QueryableByName)]
struct Partition {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = BigInt)]
    bytes: i64,
}

#[derive(QueryableByName)]
struct Missing {
    #[diesel(sql_type = Nullable<SqlDate>)]
    day: Option<jiff_diesel::Date>,
}

/// Returns the days of which all single clicks of the shop are there, with how many bytes they are.
async fn open_days(
    connection: &mut AsyncPgConnection,
    shop: &str,
) -> Result<BTreeMap<Date, u64>, NotCounted> {
    let statement =
        format!("SELECT relname::text AS name, pg_table_size(pg_class.oid) AS bytes FROM {}", clicks::WHOLE);
    let partitions: Vec<Partition> = sql_query(statement).bind::<Text, _>(shop).load(connection).await?;
    let day = |partition: Partition| {
        let day = Date::strptime("click_%Y%m%d", partition.name).ok()?;
        Some((day, u64::try_from(partition.bytes).unwrap_or_default()))
    };
    Ok(partitions.into_iter().filter_map(day).collect())
}

/// Checks that the single clicks that the plans read are there, and not too many.
async fn check_single_clicks(
    connection: &mut AsyncPgConnection,
    query: &StatsQuery,
    plans: &[Plan],
    open: &BTreeMap<Date, u64>,
    most_megabytes: u64,
) -> Result<(), NotCounted> {
    let is_read = |day: Date| plans.iter().any(|plan| plan.reads(day));
    let bytes: u64 = open.iter().filter(|(day, _)| is_read(**day)).map(|(_, bytes)| bytes).sum();
    check_size(bytes, most_megabytes)?;
    for plan in plans {
        check_kept(connection, query.shop.as_str(), &plan.rest, open).await?;
    }
    Ok(())
}

/// Checks that the single clicks of a time are there, and not too many.
async fn check_days(
    connection: &mut AsyncPgConnection,
    shop: &str,
    time: &Spans,
    open: &BTreeMap<Date, u64>,
    most_megabytes: u64,
) -> Result<(), NotCounted> {
    let is_read = |day: Date| plan::touches(time, day);
    let bytes: u64 = open.iter().filter(|(day, _)| is_read(**day)).map(|(_, bytes)| bytes).sum();
    check_size(bytes, most_megabytes)?;
    check_kept(connection, shop, time, open).await
}

fn check_size(bytes: u64, most_megabytes: u64) -> Result<(), NotCounted> {
    let megabytes = bytes.div_ceil(1_024 * 1_024);
    if megabytes > most_megabytes { Err(NotCounted::TooManyClicks { megabytes }) } else { Ok(()) }
}

/// Checks that no day of the time has left the log on which the shop had clicks.
async fn check_kept(
    connection: &mut AsyncPgConnection,
    shop: &str,
    time: &Spans,
    open: &BTreeMap<Date, u64>,
) -> Result<(), NotCounted> {
    let Some(statement) = statement::missing(shop, &time.widened(), open) else { return Ok(()) };
    let missing: Missing = statement.into_query().get_result(connection).await?;
    missing.day.map_or(Ok(()), |day| Err(NotCounted::Gone { day: day.to_jiff() }))
}

/// Adds what a statement counts.
async fn add(
    connection: &mut AsyncPgConnection,
    statement: Statement,
    stats: &mut Stats,
    figure: fn(&mut Figures) -> &mut i64,
) -> Result<(), NotCounted> {
    let cells: Vec<Cell> = statement.into_query().load(connection).await?;
    if cells.len() > limits::STATS_FIGURES {
        return Err(NotCounted::TooManyFigures);
    }
    for Cell { piece, value, figure: count } in cells {
        let figures = stats.figures.entry(value).or_default();
        *figure(figures.entry(usize::try_from(piece).unwrap_or_default()).or_default()) += count;
    }
    Ok(())
}
