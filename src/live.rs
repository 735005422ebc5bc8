//! The index in use: the feed publishes it, whoever answers loads it or waits for it.

use std::{fmt, sync::Arc, time::Duration};

use arc_swap::{ArcSwapOption, Guard};
use jiff::Timestamp;
use tokio::{sync::watch, time::timeout};

use crate::{domain::revision::Revision, index::Snapshot};

/// Where an index came from when it was loaded whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The database.
    Database,
    /// The copy on disk, because the database could not be reached at the start.
    Disk,
}

/// What is known of the index in use, besides what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The revision in use; `None` before the first index.
    pub revision: Option<Revision>,
    /// Where the index came from; `None` before the first.
    pub source: Option<Source>,
    /// When the index was last known to be up to date with the database.
    pub confirmed_at: Option<Timestamp>,
    /// Differences from the database that the periodic comparison has mended; should stay 0.
    pub repairs: u64,
}

/// Says that the index did not reach a revision in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behind {
    /// The revision that was waited for.
    pub wanted: Revision,
    /// The revision in use; `None` = there is no index yet.
    pub has: Option<Revision>,
}

impl fmt::Display for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.has {
            Some(has) => write!(f, "the index is at revision {has}, not yet at {}", self.wanted),
            None => write!(f, "the index has not been loaded yet, so revision {} is not there", self.wanted),
        }
    }
}

impl std::error::Error for Behind {}

/// The index in use. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Live(Arc<Shared>);

#[derive(Default)]
struct Shared {
    snapshot: ArcSwapOption<Snapshot>,
    /// Wakes those who wait for a revision.
    status: watch::Sender<Status>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("status", &*self.status.borrow()).finish_non_exhaustive()
    }
}

impl Live {
    /// Starts without an index.
    pub fn new() -> Self {
        Self::default()
    }

    /// Loads the index in use without locking or counting; not to be held across an `await`. `None` before the first.
    pub fn load(&self) -> Guard<Option<Arc<Snapshot>>> {
        self.0.snapshot.load()
    }

    /// Loads the index in use for keeps. `None` before the first.
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.0.snapshot.load_full()
    }

    /// Puts an index in use, and wakes those who wait for its revision.
    pub fn publish(&self, snapshot: Arc<Snapshot>, source: Source) {
        let revision = snapshot.revision();
        // Who is woken must find the index: so the swap comes first.
        self.0.snapshot.store(Some(snapshot));
        self.0.status.send_modify(|status| {
            status.revision = Some(revision);
            status.source = Some(source);
        });
    }

    /// Remembers that the index was up to date with the database at this time. Wakes nobody.
    pub fn confirm(&self, at: Timestamp) {
        self.0.status.send_if_modified(|status| {
            status.confirmed_at = Some(at);
            false
        });
    }

    /// Counts differences from the database that were mended. Wakes nobody.
    pub fn repaired(&self, differences: u64) {
        self.0.status.send_if_modified(|status| {
            status.repairs += differences;
            false
        });
    }

    /// Returns what is known of the index in use.
    pub fn status(&self) -> Status {
        *self.0.status.borrow()
    }

    /// Follows the index: the receiver is woken by every publish.
    pub fn subscribe(&self) -> watch::Receiver<Status> {
        self.0.status.subscribe()
    }

    /// Waits until the index is at least at this revision, but no longer than `most`.
    pub async fn wait_for(&self, revision: Revision, most: Duration) -> Result<(), Behind> {
        let mut status = self.subscribe();
        let reached = status.wait_for(|status| status.revision.is_some_and(|has| has >= revision));
        // The sender cannot be gone: it is ours.
        let reached = matches!(timeout(most, reached).await, Ok(Ok(_)));
        if reached { Ok(()) } else { Err(Behind { wanted: revision, has: self.status().revision }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Writer;

    fn at(revision: i64) -> Arc<Snapshot> {
        Writer::new().apply([], Revision(revision))
    }

    #[test]
    fn nothing_is_there_before_the_first_publish() {
        let live = Live::new();
        assert!(live.load().is_none());
        assert_eq!(live.status(), Status::default());
    }

    #[test]
    fn publish_is_seen_by_every_clone() {
        let live = Live::new();
        let clone = live.clone();
        live.publish(at(3), Source::Disk);
        assert_eq!(clone.load().as_ref().map(|snapshot| snapshot.revision()), Some(Revision(3)));
        let now = Timestamp::UNIX_EPOCH;
        live.confirm(now);
        live.repaired(2);
        let expected = Status {
            revision: Some(Revision(3)),
            source: Some(Source::Disk),
            confirmed_at: Some(now),
            repairs: 2,
        };
        assert_eq!(clone.status(), expected);
    }

    #[tokio::test]
    async fn waiters_are_woken_by_their_revision() {
        let live = Live::new();
        let waiter = live.clone();
        let wait = tokio::spawn(async move { waiter.wait_for(Revision(2), Duration::from_secs(60)).await });
        live.publish(at(1), Source::Database);
        live.publish(at(2), Source::Database);
        assert_eq!(wait.await.unwrap(), Ok(()));
        assert_eq!(live.wait_for(Revision(1), Duration::ZERO).await, Ok(()));
    }

    #[tokio::test]
    async fn waiting_ends_with_what_is_there() {
        let live = Live::new();
        let behind = live.wait_for(Revision(9), Duration::ZERO).await;
        assert_eq!(behind, Err(Behind { wanted: Revision(9), has: None }));
        live.publish(at(8), Source::Database);
        let behind = live.wait_for(Revision(9), Duration::ZERO).await.unwrap_err();
        assert_eq!(behind.to_string(), "the index is at revision 8, not yet at 9");
    }
}
