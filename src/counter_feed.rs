//! Brings to the counters of rules what PostgreSQL has counted, and what the local log holds behind it.
//!
//! Nothing is read while no rule looks at a counter.

use std::time::Duration;

use jiff::Timestamp;
use tokio::{
    sync::watch,
    task::spawn_blocking,
    time::{Instant, sleep, sleep_until},
};
use uuid::Uuid;

use crate::{
    counters::{Counters, Own, Reading},
    index::CountedShop,
    live::{self, Live},
    spool::{self, Batch, Reader, Sequence, Spool, SpoolError},
    store::{
        Store, StoreError,
        clicks::{CounterReader, CountersOf, CountersRead},
    },
    telemetry::{log::Causes, metrics::Metrics},
};

/// How often it is looked whether more was counted. A read that takes long makes room: see [`REST`].
const EVERY: Duration = Duration::from_millis(250);
/// How many times as long as a read took is waited until the next.
const REST: u32 = 4;
/// How often everything is read although no more was counted: an erasure of what is not in the log any more moves nothing.
const ANEW: Duration = Duration::from_secs(5);
/// How long is waited before a new try: doubled from the one to the other while it does not help.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// Clicks, and about how many bytes, of the local log that are read at once.
const CHUNK: (usize, usize) = (10_000, 4 * 1_024 * 1_024);

/// Keeps the counters of a server up to date.
pub struct CounterFeed {
    counters: Counters,
    live: Live,
    spool: Spool,
    store: Store,
    metrics: Metrics,
}

/// What ended a connection.
enum Ended {
    Store(StoreError),
    Spool(SpoolError),
}

impl From<StoreError> for Ended {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<SpoolError> for Ended {
    fn from(error: SpoolError) -> Self {
        Self::Spool(error)
    }
}

/// How far the counters were read.
#[derive(Clone, Copy)]
struct Mark {
    source: Uuid,
    rolled: Sequence,
    position: i64,
    at: Instant,
}

impl CounterFeed {
    /// Prepares a feed; it connects when a rule looks at a counter.
    pub fn new(counters: Counters, live: Live, spool: Spool, store: Store, metrics: Metrics) -> Self {
        Self { counters, live, spool, store, metrics }
    }

    /// Reads until `stop` is true. May be dropped at any time.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            () = self.feed_for_ever() => {}
            // A sender that is gone says stop too.
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    async fn feed_for_ever(&self) {
        let mut index = self.live.subscribe();
        let mut pause = BACK_OFF.0;
        let mut mark = None;
        loop {
            self.wait_for_use(&mut index).await;
            let begun = mark.map(|mark: Mark| mark.at);
            let ended = self.feed(&mut index, &mut mark).await;
            if mark.map(|mark| mark.at) != begun {
                pause = BACK_OFF.0;
            }
            let Err(ended) = ended else { continue };
            // Said once for each time that the database is away.
            if pause == BACK_OFF.0 {
                warn(&ended);
            }
            self.metrics.counter_failures.inc();
            sleep(pause).await;
            pause = (pause * 2).min(BACK_OFF.1);
        }
    }

    /// Waits until some rule looks at a counter. From then on clicks are counted as they come, whether PostgreSQL is there
    /// or not.
    async fn wait_for_use(&self, index: &mut watch::Receiver<live::Status>) {
        loop {
            index.mark_unchanged();
            let counted = self.counted();
            self.counters.track(&counted);
            if !counted.is_empty() {
                return;
            }
            self.metrics.counters_read.set(0.0);
            // The sender is ours: it cannot be gone.
            index.changed().await.ok();
        }
    }

    /// Reads over one connection, until it breaks or no rule looks any more.
    async fn feed(
        &self,
        index: &mut watch::Receiver<live::Status>,
        mark: &mut Option<Mark>,
    ) -> Result<(), Ended> {
        let mut reader = self.store.counter_reader().await?;
        loop {
            index.mark_unchanged();
            let counted = self.counted();
            self.counters.track(&counted);
            if counted.is_empty() {
                return Ok(());
            }
            let begun = Instant::now();
            self.read(&mut reader, &counted, mark).await?;
            self.metrics.counters_read.set(Timestamp::now().as_duration().as_secs_f64());
            let next = Instant::now() + EVERY.max(begun.elapsed() * REST);
            // What a new rule looks at is read at once.
            while self.counted() == counted {
                tokio::select! {
                    () = sleep_until(next) => break,
                    _ = index.changed() => {}
                }
            }
        }
    }

    /// Reads once.
    async fn read(
        &self,
        reader: &mut CounterReader,
        counted: &[CountedShop],
        mark: &mut Option<Mark>,
    ) -> Result<(), Ended> {
        let is_unread = self.counters.are_unread(counted);
        let (source, renewed) = self.spool.source_since();
        let source = Uuid::from_bytes(*source.bytes());
        let same = mark.filter(|mark| !is_unread && mark.source == source && mark.at.elapsed() < ANEW);
        let read = reader.read(source, &of(counted), same.map(|mark| mark.position)).await?;
        let Some(CountersRead { position, rolled, links, partners }) = read else { return Ok(()) };
        // What PostgreSQL may have counted under an earlier id of the log is not added again; what it has not, it will.
        let rolled = rolled.max(renewed);
        let is_behind = mark.is_some_and(|mark| mark.source != source || rolled < mark.rolled);
        let own = if is_unread || is_behind { self.own(rolled, counted).await? } else { Own::default() };
        self.counters.apply(counted, &Reading { rolled, links, partners }, own);
        *mark = Some(Mark { source, rolled, position, at: Instant::now() });
        Ok(())
    }

    /// Reads the clicks of the local log behind `rolled`. Those from here on are counted as they come; a few that are under
    /// way when their link's first rule comes that looks are missed until PostgreSQL has counted them.
    async fn own(&self, rolled: Sequence, counted: &[CountedShop]) -> Result<Own, Ended> {
        let written = self.spool.depth().written;
        self.spool.wait_for(written).await?;
        let (spool, counted) = (self.spool.clone(), counted.to_vec());
        let own = spawn_blocking(move || own(&spool, rolled, written, &counted)).await;
        Ok(own.map_err(|error| StoreError::Other(error.into()))??)
    }

    /// Returns what has to be counted.
    fn counted(&self) -> Vec<CountedShop> {
        self.live.load().as_ref().map_or_else(Vec::new, |snapshot| snapshot.counted())
    }
}

fn warn(ended: &Ended) {
    match ended {
        Ended::Store(error) => {
            let error = Causes(error);
            tracing::warn!(%error, "counters of rules cannot be read for now, clicks of other servers are not in them");
        }
        Ended::Spool(error) => {
            tracing::error!(%error, "counters of rules cannot be known: the local log cannot be read");
        }
    }
}

fn of(counted: &[CountedShop]) -> CountersOf {
    let links = counted
        .iter()
        .flat_map(|counted| counted.links.iter().map(|slug| (counted.shop.clone(), slug.clone())));
    let partners_of = counted.iter().filter(|counted| counted.partners);
    CountersOf {
        links: links.collect(),
        partners_of: partners_of.map(|counted| counted.shop.clone()).collect(),
    }
}

/// Reads the clicks of the local log behind `rolled` that count. What is gone from it, PostgreSQL has, and will count.
fn own(
    spool: &Spool,
    rolled: Sequence,
    written: Sequence,
    counted: &[CountedShop],
) -> Result<Own, SpoolError> {
    let mut found = Own::default();
    let mut reader = Reader::new(spool.clone(), rolled + 1);
    while reader.next_sequence() <= written {
        match reader.batch(CHUNK.0, CHUNK.1)? {
            Batch::Frames { first, contents } => {
                for (sequence, content) in (first..).zip(contents) {
                    // One that cannot be read is put aside by PostgreSQL, and counts nowhere.
                    if let Ok(click) = spool::decode(&content) {
                        found.add(click, sequence, counted);
                    }
                }
            }
            Batch::Missing { .. } => {}
            Batch::UpToDate => break,
        }
    }
    Ok(found)
}
