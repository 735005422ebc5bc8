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
    counters::Ticket,
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

/// A click in the form in which it is kept.
#[derive(Debug)]
pub struct Note {
    record: Vec<u8>,
    ticket: Option<Ticket>,
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

    /// Writes a click down, to be kept; `None` = clicks are not kept. A click that is not kept after all leaves no trace
    /// in the counters that it has a ticket for.
    pub fn note(&self, ticket: Option<Ticket>, click: impl FnOnce() -> Click) -> Option<Note> {
        self.book.is_some().then(|| Note { record: spool::encode(&click()), ticket })
    }

    /// Keeps a click; what is returned, if anything, is to be waited for before the click is answered.
    pub fn keep(&self, note: Note) -> Result<Option<Pending>, NotRecorded> {
        let Some(book) = &self.book else { return Ok(None) };
        let fate = book.spool.append(note.as_ref());
        book.settle(note, fate)
    }

    /// Keeps clicks that came together, with one write; each has a fate of its own, see [`Recorder::keep`].
    pub fn keep_all(&self, notes: Vec<Note>) -> Vec<Result<Option<Pending>, NotRecorded>> {
        let Some(book) = &self.book else { return notes.iter().map(|_| Ok(None)).collect() };
        let fates = book.spool.append_all(&notes);
        notes.into_iter().zip(fates).map(|(note, fate)| book.settle(note, fate)).collect()
    }
}

impl Pending {
    /// Waits until the disk has confirmed the click, or cannot any more.
    pub async fn confirmed(self) -> Result<(), NotRecorded> {
        match self.book.spool.wait_for(self.sequence).await {
            Ok(()) => {
                self.book.works();
                Ok(())
            }
            Err(error) => self.book.fails(error),
        }
    }
}

impl AsRef<[u8]> for Note {
    fn as_ref(&self) -> &[u8] {
        &self.record
    }
}

impl Book {
    /// Says what the log's answer to a click means for its visitor.
    fn settle(
        self: &Arc<Self>,
        note: Note,
        fate: Result<Sequence, SpoolError>,
    ) -> Result<Option<Pending>, NotRecorded> {
        match fate {
            Ok(sequence) => {
                if let Some(ticket) = note.ticket {
                    ticket.written(sequence);
                }
                Ok(match self.answer_after {
                    AnswerAfter::Write => {
                        self.works();
                        None
                    }
                    // Whether it works the disk says.
                    AnswerAfter::Sync => Some(Pending { book: Arc::clone(self), sequence }),
                })
            }
            Err(error) => self.fails(error).map(|()| None),
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{
            click::Counters,
            click_id::ClickId,
            client::TrafficClass,
            fact::Fact,
            revision::Revision,
            visit::{Attribution, Channel, ResolveReason},
        },
        spool::SpoolSettings,
    };

    fn click() -> Click {
        Click {
            id: ClickId::new("2026-11-22T10:00:00Z".parse().unwrap(), [7; 10]),
            shop: "acme".to_owned().try_into().unwrap(),
            slug: None,
            revision: Revision(1),
            channel: Channel::Link,
            reason: ResolveReason::Default,
            rule: None,
            variant: None,
            destination: "/sale".to_owned(),
            partner: None,
            program: None,
            attribution: Attribution::NoPartner,
            traffic: TrafficClass::Human,
            traffic_why: String::new(),
            country: None,
            device: None,
            os: None,
            browser: None,
            language: None,
            referrer: Fact::Absent,
            visitor: None,
            sub_ids: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// A click whose answer waits for a disk that fails, and one after it, are each counted as one thing.
    async fn counted(when_full: WhenFull) -> (u64, u64, u64) {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(SpoolSettings {
            folder: folder.path().to_owned(),
            segment_bytes: 4_096,
            limit_bytes: 1_024 * 1_024,
            retained_bytes: 0,
            retained_for: Duration::ZERO,
            sync_every: Duration::from_secs(3_600),
        });
        let (spool, metrics) = (spool.unwrap(), Metrics::new().0);
        let recorder = Recorder::new(spool.clone(), metrics.clone(), when_full, AnswerAfter::Sync);
        let pending = recorder.keep(recorder.note(None, click).unwrap()).unwrap().unwrap();
        spool.fail();
        let refused = when_full == WhenFull::Refuse;
        assert_eq!(pending.confirmed().await.is_err(), refused);
        assert_eq!(recorder.keep(recorder.note(None, click).unwrap()).is_err(), refused);
        (metrics.clicks_recorded.get(), metrics.clicks_unrecorded.get(), metrics.clicks_refused.get())
    }

    #[tokio::test]
    async fn click_that_the_disk_does_not_confirm_is_not_recorded() {
        assert_eq!(counted(WhenFull::Answer).await, (0, 2, 0));
        assert_eq!(counted(WhenFull::Refuse).await, (0, 0, 2));
    }
}
