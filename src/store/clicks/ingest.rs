//! Batches of a local log go in: each once, and nothing that is wrong with one click stops the others.

use std::{
    collections::{BTreeSet, HashSet},
    ops::Range,
    time::Duration,
};

use jiff::{Timestamp, civil::Date};
use tokio::time::timeout;
use tokio_postgres::{
    Client, Transaction,
    error::SqlState,
    types::{ToSql, Type},
};
use uuid::Uuid;

use super::{
    days::{self, Days, day_of},
    ledger::{self, Origin},
    read, row,
    session::Session,
    sql_error,
};
use crate::{
    domain::click::Click,
    store::{Store, errors::StoreError},
};

/// How long a batch may take: beyond it the database hangs rather than works.
const BATCH_TIMEOUT: Duration = Duration::from_secs(60);

/// Frames of one local log, without a gap.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The local log.
    pub source: Uuid,
    /// The last number that is in already.
    pub after: u64,
    /// The number of the first frame; those between can not be read any more.
    pub first: u64,
    /// The frames; may be none, if only losses are to be told.
    pub frames: Vec<Frame>,
}

/// A click as it came out of the local log.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The bytes, kept if the click cannot be added.
    pub content: Vec<u8>,
    /// The click, or why it cannot be read.
    pub click: Result<Click, String>,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ingested {
    /// Where it stands in the ledger.
    pub position: i64,
    /// How many clicks were added.
    pub applied: i32,
    /// How many were there already.
    pub duplicates: i32,
    /// How many were put aside.
    pub rejected: i32,
    /// The times of the earliest and the latest that were added.
    pub times: Option<(Timestamp, Timestamp)>,
}

/// Why a batch did not go in.
#[derive(Debug)]
pub enum NotIngested {
    /// The local log is not where it thinks it is: go on after this number, or from the beginning if it is not known.
    Elsewhere {
        /// The last number that is in.
        progress: Option<u64>,
    },
    /// The database could not.
    Store(StoreError),
}

impl From<StoreError> for NotIngested {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// A connection of its own, over which one local log goes in.
#[derive(Debug)]
pub struct Ingestor {
    client: Session,
    open_days: BTreeSet<Date>,
    /// Whether the last piece brought clicks that were there already: the next may, too.
    was_twice: bool,
}

impl Store {
    /// Connects for one local log.
    pub async fn ingestor(&self) -> Result<Ingestor, StoreError> {
        let client = Session::open(self.connections.target(), BATCH_TIMEOUT).await?;
        let staging = "CREATE TEMP TABLE staging (LIKE clicks.click) ON COMMIT DELETE ROWS";
        client.batch_execute(staging).await.map_err(sql_error)?;
        ledger::follow_cluster(&client).await?;
        Ok(Ingestor { client, open_days: BTreeSet::new(), was_twice: false })
    }
}

impl Ingestor {
    /// Makes everyone who remembers positions ask anew: some may have been taken back.
    pub async fn renew_epoch(&self) -> Result<(), StoreError> {
        ledger::renew_epoch(&self.client).await
    }

    /// Returns the last number of a local log that is in; `None` if nothing of it ever was.
    pub async fn progress(&self, source: Uuid) -> Result<Option<u64>, StoreError> {
        ledger::progress(&self.client, source).await
    }

    /// Returns how many clicks of a local log behind this number were told to be lost, in its last entries.
    pub async fn lost(&self, source: Uuid, after: u64) -> Result<u64, StoreError> {
        let statement = "SELECT coalesce(sum(lost), 0)::bigint FROM clicks.ledger
            WHERE source = $1 AND last_sequence > $2
                AND position > (SELECT position FROM clicks.progress WHERE source = $1) - 1000";
        let row = self.client.query_one(statement, &[&source, &number(after)]).await.map_err(sql_error)?;
        Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or_default())
    }

    /// Returns the last click that a local log brought here, with its number there; `None` if its last entry added none,
    /// or none is left of it.
    pub async fn last_click(&self, source: Uuid) -> Result<Option<(u64, Uuid)>, StoreError> {
        let entry = "SELECT batch, min_at, max_at FROM clicks.ledger
            WHERE position = (SELECT position FROM clicks.progress WHERE source = $1) AND min_at IS NOT NULL";
        let Some(entry) = self.client.query_opt(entry, &[&source]).await.map_err(sql_error)? else {
            return Ok(None);
        };
        let (batch, earliest, latest): (i64, Timestamp, Timestamp) =
            (entry.get(0), entry.get(1), entry.get(2));
        let (lowest, highest) = (read::id_from(earliest), read::id_to(latest));
        let click = "SELECT sequence, id FROM clicks.click
            WHERE at BETWEEN $1 AND $2 AND id BETWEEN $3 AND $4 AND batch = $5 ORDER BY sequence DESC LIMIT 1";
        let values: [(&(dyn ToSql + Sync), Type); 5] = [
            (&earliest, Type::TIMESTAMPTZ),
            (&latest, Type::TIMESTAMPTZ),
            (&lowest, Type::UUID),
            (&highest, Type::UUID),
            (&batch, Type::INT8),
        ];
        let rows = self.client.query_typed(click, &values).await.map_err(sql_error)?;
        Ok(rows.first().map(|row| (u64::try_from(row.get::<_, i64>(0)).unwrap_or_default(), row.get(1))))
    }

    /// Adds a batch, each click once. What cannot be added is put aside; for its sake the batch may be divided into
    /// several entries of the ledger, of which the last is returned with the sums of all.
    pub async fn ingest(&mut self, delivery: &Delivery, days: Days) -> Result<Ingested, NotIngested> {
        self.open(delivery, days).await?;
        let mut sum = Ingested::default();
        let (mut part, mut most) = (0..delivery.frames.len(), delivery.frames.len());
        let (mut refused, mut looked_again) = (None, false);
        loop {
            let was_refused = refused.is_some();
            let piece = Piece { delivery, part: part.clone(), refused: refused.take() };
            let first = if self.was_twice { Way::Staged } else { Way::Straight };
            let outcome = timeout(BATCH_TIMEOUT, piece.write(&mut self.client, &self.open_days, first)).await;
            match outcome.map_err(|late| StoreError::TooSlow(late.into()))? {
                Ok(ingested) => {
                    looked_again = false;
                    self.was_twice = ingested.duplicates > 0;
                    sum.add(&ingested);
                }
                Err(Trouble::Not(not)) => return Err(not),
                Err(Trouble::Closed(_)) if !looked_again => {
                    looked_again = true;
                    self.open_days.clear();
                    self.open(delivery, days).await?;
                    continue;
                }
                // Nothing that could be put aside is in the way.
                Err(Trouble::Row(problem) | Trouble::Closed(problem)) if was_refused || part.is_empty() => {
                    return Err(StoreError::Other(problem.into()).into());
                }
                Err(Trouble::Row(problem) | Trouble::Closed(problem)) if part.len() == 1 => {
                    refused = Some(problem);
                    continue;
                }
                Err(Trouble::Row(_) | Trouble::Closed(_)) => {
                    most = part.len() / 2;
                    part.end = part.start + most;
                    continue;
                }
            }
            if part.end == delivery.frames.len() {
                return Ok(sum);
            }
            // Twice as many again: what is spoilt is behind.
            most = (most * 2).max(1);
            part = part.end..delivery.frames.len().min(part.end + most);
        }
    }

    /// Makes the partitions that a batch needs and that may be.
    async fn open(&mut self, delivery: &Delivery, days: Days) -> Result<(), StoreError> {
        let clicks = delivery.frames.iter().filter_map(|frame| frame.click.as_ref().ok());
        let needed: BTreeSet<_> = clicks.map(|click| day_of(click.id.time())).collect();
        if needed.is_subset(&self.open_days) {
            return Ok(());
        }
        self.open_days = days::open(&self.client).await?;
        for day in needed.into_iter().filter(|day| days.contains(*day)) {
            if self.open_days.insert(day) {
                days::make(&mut self.client, day).await?;
            }
        }
        Ok(())
    }
}

impl Ingested {
    fn add(&mut self, other: &Self) {
        self.position = other.position;
        self.applied += other.applied;
        self.duplicates += other.duplicates;
        self.rejected += other.rejected;
        self.times = match (self.times, other.times) {
            (Some((earliest, latest)), Some((first, last))) => Some((earliest.min(first), latest.max(last))),
            (times, None) | (None, times) => times,
        };
    }
}

/// Why a piece was not written.
enum Trouble {
    /// One of its rows cannot be written at all.
    Row(String),
    /// A day that was open is not any more: another server removed it.
    Closed(String),
    Not(NotIngested),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Not(error.into())
    }
}

/// A part of a batch that goes in with one transaction.
struct Piece<'a> {
    delivery: &'a Delivery,
    part: Range<usize>,
    /// Why its only click is put aside.
    refused: Option<String>,
}

/// The numbers of clicks, and what is to be done with them.
struct Sorted<'a> {
    good: Vec<(i64, &'a Click)>,
    bad: Vec<(i64, &'a Frame, String)>,
    /// Clicks that are among the good already.
    twice: i32,
}

impl Piece<'_> {
    async fn write(
        &self,
        client: &mut Client,
        open_days: &BTreeSet<Date>,
        first: Way,
    ) -> Result<Ingested, Trouble> {
        let sorted = self.sort(open_days);
        match self.write_once(client, &sorted, first).await {
            // Some are there already: which ones is asked only then, because asking costs more than copying.
            Err(Unwritten::Twice) => match self.write_once(client, &sorted, Way::Staged).await {
                Err(Unwritten::Twice) => {
                    Err(StoreError::Conflict("a click arrived twice at once".into()).into())
                }
                Err(Unwritten::Because(trouble)) => Err(trouble),
                Ok(ingested) => Ok(ingested),
            },
            Err(Unwritten::Because(trouble)) => Err(trouble),
            Ok(ingested) => Ok(ingested),
        }
    }

    fn sort(&self, open_days: &BTreeSet<Date>) -> Sorted<'_> {
        let mut sorted = Sorted { good: Vec::with_capacity(self.part.len()), bad: Vec::new(), twice: 0 };
        let mut seen = HashSet::with_capacity(self.part.len());
        let frames = &self.delivery.frames[self.part.clone()];
        for (sequence, frame) in (self.first()..).zip(frames) {
            let problem = match (&self.refused, &frame.click) {
                (Some(refused), _) => refused.clone(),
                (None, Err(problem)) => problem.clone(),
                (None, Ok(click)) if open_days.contains(&day_of(click.id.time())) => {
                    if seen.insert((click.id.uuid(), &click.shop)) {
                        sorted.good.push((sequence, click));
                    } else {
                        sorted.twice += 1;
                    }
                    continue;
                }
                (None, Ok(click)) => format!("its day, {}, is not open", day_of(click.id.time())),
            };
            sorted.bad.push((sequence, frame, problem));
        }
        sorted
    }

    /// Returns the number of the first frame.
    fn first(&self) -> i64 {
        number(self.delivery.first) + number(self.part.start as u64)
    }

    async fn write_once(
        &self,
        client: &mut Client,
        sorted: &Sorted<'_>,
        way: Way,
    ) -> Result<Ingested, Unwritten> {
        let transaction = client.transaction().await.map_err(sql_error)?;
        let first = self.first();
        // The numbers that cannot be read stand before the first piece.
        let after = if self.part.start == 0 { number(self.delivery.after) } else { first - 1 };
        self.check(&transaction, after).await?;
        let batch = ledger::next_batch(&transaction).await?;
        let clicks = sorted.good.iter().copied();
        let delivered = i32::try_from(sorted.good.len()).unwrap_or(i32::MAX);
        let applied = match way {
            Way::Straight => {
                row::copy(&transaction, "clicks.click", batch, clicks).await?;
                delivered
            }
            Way::Staged => {
                row::copy(&transaction, "staging", batch, clicks).await?;
                merge(&transaction).await?
            }
        };
        self.put_aside(&transaction, batch, &sorted.bad).await?;
        let times = sorted.good.iter().map(|(_, click)| click.id.time());
        let times = times.clone().min().zip(times.max()).filter(|_| applied > 0);
        let rejected = i32::try_from(sorted.bad.len()).unwrap_or(i32::MAX);
        let mut ingested = Ingested {
            position: 0,
            applied,
            duplicates: delivered - applied + sorted.twice,
            rejected,
            times,
        };
        let last = first + number(self.part.len() as u64) - 1;
        let origin = Origin { source: self.delivery.source, first, last, lost: first - 1 - after };
        let Some(position) = ledger::enter(&transaction, batch, &origin, &ingested).await? else {
            // Of a log that was not known there was no row yet that would have kept the other one waiting.
            self.check(&transaction, after).await?;
            return Err(StoreError::Conflict("a local log was brought further by two at once".into()).into());
        };
        ingested.position = position;
        transaction.commit().await.map_err(sql_error)?;
        Ok(ingested)
    }

    /// Checks that the local log is where it thinks it is, and keeps everyone else from bringing it further.
    async fn check(&self, transaction: &Transaction<'_>, after: i64) -> Result<(), Unwritten> {
        let statement = "SELECT sequence FROM clicks.progress WHERE source = $1 FOR UPDATE";
        let row = transaction.query_opt(statement, &[&self.delivery.source]).await.map_err(sql_error)?;
        let progress: Option<i64> = row.map(|row| row.get(0));
        // A log that is not known yet may begin anywhere: what came before was shipped elsewhere, or is gone.
        if progress.is_none_or(|progress| progress == after) {
            return Ok(());
        }
        let progress = progress.and_then(|progress| u64::try_from(progress).ok());
        Err(Trouble::Not(NotIngested::Elsewhere { progress }).into())
    }

    async fn put_aside(
        &self,
        transaction: &Transaction<'_>,
        batch: i64,
        bad: &[(i64, &Frame, String)],
    ) -> Result<(), Unwritten> {
        if bad.is_empty() {
            return Ok(());
        }
        // One statement: one for each would not be done in time where the database is far away.
        let statement = "INSERT INTO clicks.rejected (batch, source, sequence, reason, content, shop, click_at, partner,
                visitor)
            SELECT $1, $2, one.* FROM unnest($3::bigint[], $4::text[], $5::bytea[], $6::text[], $7::timestamptz[],
                $8::text[], $9::bytea[]) AS one";
        let sequences: Vec<_> = bad.iter().map(|(sequence, _, _)| *sequence).collect();
        let reasons: Vec<_> = bad.iter().map(|(_, _, reason)| reason.as_str()).collect();
        let contents: Vec<_> = bad.iter().map(|(_, frame, _)| &frame.content[..]).collect();
        let clicks = bad.iter().map(|(_, frame, _)| frame.click.as_ref().ok());
        let shops: Vec<_> = clicks.clone().map(|click| click.map(|click| click.shop.as_str())).collect();
        let times: Vec<_> = clicks.clone().map(|click| click.map(|click| click.id.time())).collect();
        let partners: Vec<_> = clicks.clone().map(|click| Some(click?.partner.as_ref()?.as_str())).collect();
        let visitors: Vec<_> = clicks.map(|click| Some(&click?.visitor.as_ref()?[..])).collect();
        let values: [&(dyn ToSql + Sync); 9] = [
            &batch,
            &self.delivery.source,
            &sequences,
            &reasons,
            &contents,
            &shops,
            &times,
            &partners,
            &visitors,
        ];
        transaction.execute(statement, &values).await.map_err(sql_error)?;
        Ok(())
    }
}

/// How rows are written.
#[derive(Clone, Copy)]
enum Way {
    /// Into the log itself; one that is there already stops all.
    Straight,
    /// Into a table of the connection's own, and from there what is not in the log.
    Staged,
}

/// Why a transaction was given up.
enum Unwritten {
    /// A click is there already.
    Twice,
    Because(Trouble),
}

impl From<Trouble> for Unwritten {
    fn from(trouble: Trouble) -> Self {
        Self::Because(trouble)
    }
}

impl From<StoreError> for Unwritten {
    fn from(error: StoreError) -> Self {
        let state = |error: &StoreError| match error {
            StoreError::Other(cause) => cause.downcast_ref::<tokio_postgres::Error>()?.code().cloned(),
            StoreError::Unavailable(_)
            | StoreError::TooSlow(_)
            | StoreError::Conflict(_)
            | StoreError::Corrupt { .. } => None,
        };
        match state(&error) {
            Some(SqlState::UNIQUE_VIOLATION) => Self::Twice,
            // The log has no other checks than those of its days.
            Some(SqlState::CHECK_VIOLATION) => {
                let StoreError::Other(cause) = error else { return Self::Because(error.into()) };
                Self::Because(Trouble::Closed(describe(cause.as_ref())))
            }
            // Classes 22 and 23: what is written is wrong, not the one who writes it.
            Some(state) if state.code().starts_with("22") || state.code().starts_with("23") => {
                let StoreError::Other(cause) = error else { return Self::Because(error.into()) };
                Self::Because(Trouble::Row(describe(cause.as_ref())))
            }
            Some(_) | None => Self::Because(error.into()),
        }
    }
}

/// Writes an error with its causes: the database's own words are among them.
fn describe(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Moves what is not in the log yet from the connection's own table into it.
async fn merge(transaction: &Transaction<'_>) -> Result<i32, Unwritten> {
    let statement = format!(
        "INSERT INTO clicks.click ({columns})
         SELECT {columns} FROM staging
         ON CONFLICT DO NOTHING",
        columns = row::COLUMNS
    );
    let applied = transaction.execute(&statement, &[]).await.map_err(sql_error)?;
    Ok(i32::try_from(applied).unwrap_or(i32::MAX))
}

/// Numbers are far below what a bigint holds.
fn number(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}
