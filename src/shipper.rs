//! Ships the local log to PostgreSQL: in order, in batches, for as long as it takes.
//!
//! How far it is, PostgreSQL says, on every connection anew: it may have been restored to an earlier state, or a batch may
//! have gone in whose answer was lost. What a batch cannot add is put aside there; nothing but PostgreSQL itself makes the
//! others wait.

use std::time::Duration;

use jiff::Timestamp;
use tokio::{sync::watch, task::block_in_place, time::sleep};
use uuid::Uuid;

use crate::{
    spool::{self, Batch, Reader, Sequence, Spool, SpoolError},
    store::{
        Store, StoreError,
        clicks::{Days, Delivery, Frame, Ingestor, NotIngested},
    },
    telemetry::{log::Causes, metrics::Metrics},
};

/// Clicks of one batch at most. Half as many are tried when that takes too long, and twice as many again when it does not.
const BATCH_CLICKS: usize = 10_000;
/// Bytes of one batch, about.
const BATCH_BYTES: usize = 4 * 1_024 * 1_024;
/// How long is waited before a new try: doubled from the one to the other while it does not help.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// How the shipper works.
#[derive(Clone, Copy, Debug)]
pub struct ShipperSettings {
    /// How long clicks are gathered before they are shipped together.
    pub gather: Duration,
    /// For how many days clicks are kept; older ones are not taken any more.
    pub retention_days: u16,
}

/// Ships one local log.
pub struct Shipper {
    spool: Spool,
    store: Store,
    metrics: Metrics,
    settings: ShipperSettings,
}

/// What ended a connection.
enum Ended {
    /// PostgreSQL does not answer.
    Store(StoreError),
    /// The local log cannot be read.
    Spool(SpoolError),
    /// The local log is somewhere else than PostgreSQL says: it is asked again.
    Elsewhere,
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

impl Shipper {
    /// Prepares a shipper; it connects when it runs.
    pub fn new(spool: Spool, store: Store, metrics: Metrics, settings: ShipperSettings) -> Self {
        Self { spool, store, metrics, settings }
    }

    /// Ships until `stop` is true and nothing is left; what is left when this is dropped is shipped after the next
    /// start. Needs the multi-thread runtime.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut pause = BACK_OFF.0;
        let mut silent = false;
        let mut most = BATCH_CLICKS;
        loop {
            let begun = self.spool.depth().shipped;
            let ended = match self.ship(&mut stop, &mut most).await {
                Ok(()) => return,
                Err(ended) => ended,
            };
            if self.spool.depth().shipped != begun {
                (pause, silent) = (BACK_OFF.0, false);
            }
            match ended {
                Ended::Elsewhere => continue,
                // Less may be done in time; of a database that hangs nothing is, and it is asked for as little until it works.
                Ended::Store(StoreError::TooSlow(cause)) if most > 1 => {
                    most /= 2;
                    tracing::warn!(cause, most, "shipping takes too long, fewer clicks are shipped at once");
                }
                Ended::Store(error) if !silent => {
                    tracing::warn!(error = %Causes(&error), "clicks cannot be shipped for now, they are kept here");
                }
                Ended::Spool(error) if !silent => {
                    tracing::error!(%error, "the local log of clicks cannot be read");
                }
                Ended::Store(_) | Ended::Spool(_) => {}
            }
            self.metrics.ship_failures.inc();
            silent = true;
            sleep(pause).await;
            pause = (pause * 2).min(BACK_OFF.1);
        }
    }

    /// Ships over one connection, until it breaks or everything is done.
    async fn ship(&self, stop: &mut watch::Receiver<bool>, most: &mut usize) -> Result<(), Ended> {
        let mut ingestor = self.store.ingestor().await?;
        let mut voyage = self.begin(&ingestor).await?;
        let mut confirmed = self.spool.confirmed();
        loop {
            confirmed.mark_unchanged();
            let mut unknown = 0;
            let Some(delivery) = block_in_place(|| voyage.load(*most, &mut unknown))? else {
                if *stop.borrow() && self.spool.depth().written == voyage.after {
                    return Ok(());
                }
                tokio::select! {
                    changed = confirmed.changed() => if changed.is_err() { return Ok(()) },
                    _ = stop.wait_for(|stop| *stop), if !*stop.borrow() => {}
                }
                if !*stop.borrow() {
                    // The first of many, probably.
                    sleep(self.settings.gather).await;
                }
                continue;
            };
            let days = Days::kept(Timestamp::now(), self.settings.retention_days);
            let ingested = match ingestor.ingest(&delivery, days).await {
                Ok(ingested) => ingested,
                Err(NotIngested::Elsewhere { .. }) => return Err(Ended::Elsewhere),
                Err(NotIngested::Store(error)) => return Err(error.into()),
            };
            *most = (*most * 2).min(BATCH_CLICKS);
            self.metrics.unknown_names.inc_by(unknown);
            self.tell_lost(delivery.after, delivery.first - delivery.after - 1);
            if ingested.rejected > 0 {
                tracing::warn!(
                    rejected = ingested.rejected,
                    "clicks could not be added, they are in clicks.rejected"
                );
            }
            let count = |clicks: i32| u64::try_from(clicks).unwrap_or_default();
            self.metrics.clicks_shipped.inc_by(count(ingested.applied));
            self.metrics.clicks_duplicate.inc_by(count(ingested.duplicates));
            self.metrics.clicks_rejected.inc_by(count(ingested.rejected));
            voyage.after = delivery.first + delivery.frames.len() as u64 - 1;
            self.spool.set_shipped(voyage.after);
        }
    }

    /// Asks how far this log is, and goes there.
    async fn begin(&self, ingestor: &Ingestor) -> Result<Voyage, Ended> {
        let source = Uuid::from_bytes(*self.spool.source().bytes());
        let held = *self.spool.confirmed().borrow();
        match ingestor.progress(source).await? {
            Some(progress) if progress > held || self.is_other(ingestor, source).await? => {
                // The numbers of this folder stand for other clicks there: what is shipped twice is known by its id.
                let source = self.spool.renew_source()?;
                tracing::error!(
                    progress,
                    held,
                    %source,
                    "PostgreSQL has other clicks of this local log than it holds, as if its folder had been restored or \
                     copied; all of it is shipped under a new id"
                );
                Ok(Voyage::new(&self.spool, Uuid::from_bytes(*source.bytes()), self.spool.oldest() - 1))
            }
            Some(progress) => {
                let shipped = self.spool.depth().shipped;
                if progress < shipped {
                    tracing::warn!(
                        progress,
                        shipped,
                        "PostgreSQL is behind what it had, as after a restore; clicks are shipped again"
                    );
                    ingestor.renew_epoch().await?;
                }
                if progress > shipped {
                    // A batch went in whose answer was lost.
                    self.tell_lost(shipped, ingestor.lost(source, shipped).await?);
                }
                self.spool.set_shipped(progress);
                Ok(Voyage::new(&self.spool, source, progress))
            }
            None => {
                let (after, shipped) = (self.spool.oldest() - 1, self.spool.depth().shipped);
                if after < shipped {
                    tracing::warn!(
                        shipped,
                        "PostgreSQL does not know this local log any more, as after a restore; clicks are shipped again"
                    );
                    ingestor.renew_epoch().await?;
                }
                self.spool.set_shipped(after);
                Ok(Voyage::new(&self.spool, source, after))
            }
        }
    }

    /// Says that clicks behind a number are lost, if any are.
    fn tell_lost(&self, after: Sequence, lost: u64) {
        if lost > 0 {
            tracing::error!(first = after + 1, lost, "clicks of the local log cannot be read any more");
            self.metrics.clicks_lost.inc_by(lost);
        }
    }

    /// Tells whether the last click that PostgreSQL has of this log is another one here, as far as both can be seen.
    async fn is_other(&self, ingestor: &Ingestor, source: Uuid) -> Result<bool, Ended> {
        let Some((sequence, there)) = ingestor.last_click(source).await? else { return Ok(false) };
        let mut reader = Reader::new(self.spool.clone(), sequence);
        match block_in_place(|| reader.batch(1, 1))? {
            Batch::Frames { contents, .. } => {
                let here = contents.first().and_then(|content| spool::decode(content).ok());
                Ok(here.is_some_and(|here| here.id.uuid() != there))
            }
            Batch::Missing { .. } | Batch::UpToDate => Ok(false),
        }
    }
}

/// The way of one log over one connection.
#[derive(Debug)]
struct Voyage {
    source: Uuid,
    /// The last frame that is in.
    after: Sequence,
    reader: Reader,
}

impl Voyage {
    fn new(spool: &Spool, source: Uuid, after: Sequence) -> Self {
        Self { source, after, reader: Reader::new(spool.clone(), after + 1) }
    }

    /// Reads the next batch, and counts the names in it that this version does not know; `None` if there is nothing to be
    /// told.
    fn load(&mut self, most: usize, unknown: &mut u64) -> Result<Option<Delivery>, SpoolError> {
        self.reader.seek(self.after + 1);
        let mut delivery =
            Delivery { source: self.source, after: self.after, first: self.after + 1, frames: Vec::new() };
        loop {
            match self.reader.batch(most, BATCH_BYTES)? {
                Batch::Frames { contents, .. } => {
                    delivery.frames = contents.into_iter().map(|content| frame(content, unknown)).collect();
                    return Ok(Some(delivery));
                }
                Batch::Missing { last, .. } => delivery.first = last + 1,
                Batch::UpToDate => return Ok((delivery.first > self.after + 1).then_some(delivery)),
            }
        }
    }
}

fn frame(content: Vec<u8>, unknown: &mut u64) -> Frame {
    let click = spool::decode_counting(&content, unknown).map_err(|unreadable| unreadable.to_string());
    Frame { content, click }
}
