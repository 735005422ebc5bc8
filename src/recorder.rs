//! Keeps each click in the local log before its answer leaves.

mod age;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use tokio::{
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};

use self::age::Notes;
use crate::{
    domain::click::Click,
    spool::{self, Batch, Reader, Sequence, Spool, SpoolError},
    telemetry::metrics::Metrics,
};

/// How often the depth of the log is looked at.
const MEASURE_INTERVAL: Duration = Duration::from_secs(1);

/// What becomes of a visitor whose click cannot be kept: the log is full, or the disk refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// It is answered, and the click is lost and counted.
    Answer,
    /// It is refused.
    Refuse,
}

/// What a click's answer waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerAfter {
    /// The system has the click: the end of the process does not take it away.
    Write,
    /// The disk has confirmed it: the end of the machine does not take it away either.
    Sync,
}

/// Keeps clicks, or is told not to. Clones share everything.
#[derive(Clone, Debug)]
pub struct Recorder {
    /// `None` = clicks are not kept.
    book: Option<Arc<Book>>,
}

#[derive(Debug)]
struct Book {
    spool: Spool,
    metrics: Metrics,
    when_full: WhenFull,
    answer_after: AnswerAfter,
    /// Whether the last click could not be kept: said once in the log, not with each click.
    failing: AtomicBool,
}

/// A click that is not kept and whose visitor is to be refused.
#[derive(Clone, Debug)]
pub struct NotRecorded(SpoolError);

impl fmt::Display for NotRecorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the click was not recorded: {}", self.0)
    }
}

impl std::error::Error for NotRecorded {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// A click that the disk has still to confirm before it is answered.
#[derive(Debug)]
pub struct Pending {
    book: Arc<Book>,
    sequence: Sequence,
}

impl Recorder {
    /// Keeps clicks in a local log.
    pub fn new(spool: Spool, metrics: Metrics, when_full: WhenFull, answer_after: AnswerAfter) -> Self {
        let failing = AtomicBool::new(false);
        Self { book: Some(Arc::new(Book { spool, metrics, when_full, answer_after, failing })) }
    }

    /// Keeps nothing.
    pub fn ignoring() -> Self {
        Self { book: None }
    }

    /// Keeps a click; what is returned, if anything, is to be waited for before the click is answered.
    pub fn record(&self, click: impl FnOnce() -> Click) -> Result<Option<Pending>, NotRecorded> {
        let Some(book) = &self.book else { return Ok(None) };
        match book.spool.append(&spool::encode(&click())) {
            Ok(sequence) => {
                book.works();
                Ok(match book.answer_after {
                    AnswerAfter::Write => None,
                    AnswerAfter::Sync => Some(Pending { book: Arc::clone(book), sequence }),
                })
            }
            Err(error) => book.fails(error).map(|()| None),
        }
    }
}

impl Pending {
    /// Waits until the disk has confirmed the click, or cannot any more.
    pub async fn confirmed(self) -> Result<(), NotRecorded> {
        match self.book.spool.wait_for(self.sequence).await {
            Ok(()) => Ok(()),
            Err(error) => self.book.fails(error),
        }
    }
}

impl Book {
    fn works(&self) {
        self.metrics.clicks_recorded.inc();
        if self.failing.load(Ordering::Relaxed) && self.failing.swap(false, Ordering::Relaxed) {
            tracing::info!("clicks are recorded again");
        }
    }

    fn fails(&self, error: SpoolError) -> Result<(), NotRecorded> {
        if !self.failing.swap(true, Ordering::Relaxed) {
            let refused = self.when_full == WhenFull::Refuse;
            tracing::error!(%error, refused, "clicks cannot be recorded");
        }
        match self.when_full {
            WhenFull::Answer => {
                self.metrics.clicks_unrecorded.inc();
                Ok(())
            }
            WhenFull::Refuse => {
                self.metrics.clicks_refused.inc();
                Err(NotRecorded(error))
            }
        }
    }
}

/// Returns the time of the first click that was left in a local log when it was opened, if it can be read.
async fn left_since(spool: &Spool) -> Option<Timestamp> {
    let depth = spool.depth();
    if depth.written <= depth.shipped {
        return None;
    }
    let mut reader = Reader::new(spool.clone(), depth.shipped + 1);
    match spawn_blocking(move || reader.batch(1, 1)).await.ok()?.ok()? {
        Batch::Frames { contents, .. } => Some(spool::decode(contents.first()?).ok()?.id.time()),
        Batch::Missing { .. } | Batch::UpToDate => None,
    }
}

/// Tells metrics how much is in a local log, until `stop` resolves.
pub async fn measure(spool: Spool, metrics: Metrics, stop: impl Future<Output = ()>) {
    let mut ticks = interval(MEASURE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let ticking = async {
        let mut notes = Notes::default();
        if let Some(at) = left_since(&spool).await {
            notes.add(spool.depth().written, at);
        }
        loop {
            ticks.tick().await;
            let (depth, now) = (spool.depth(), Timestamp::now());
            notes.add(depth.written, now);
            metrics.spool_oldest.set(notes.waited(depth.shipped, now).as_secs_f64());
            metrics.spool_clicks.set(number(depth.written.saturating_sub(depth.shipped)));
            metrics.spool_bytes.set(number(depth.bytes));
        }
    };
    tokio::select! {
        () = ticking => {}
        () = stop => {}
    }
}
