//! Slow work beside the feed: edits go on being followed while it runs.

use std::{path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{
    task::{JoinSet, spawn_blocking},
    time::Instant,
};

use super::{Held, copy};
use crate::{
    domain::fingerprint::{Fingerprints, IndexedKind},
    index::Snapshot,
    live::Live,
    store::{Store, StoreError},
};

/// How long a comparison waits for the index to reach the revision that PostgreSQL told.
const REVISION_WAIT: Duration = Duration::from_secs(2);
/// How often a comparison is tried while commits come in between.
const COMPARISONS: usize = 5;

/// What came of a chore.
pub(super) enum Done {
    /// The index that holds this was copied to disk, or not.
    Copied(Held, Result<(), String>),
    /// These buckets differ; nothing is known if commits came in between each time.
    Compared(Result<Option<Vec<(IndexedKind, u8)>>, StoreError>),
    /// Old changes were forgotten, or not.
    Pruned(Result<(), StoreError>),
}

/// A kind of chore.
#[derive(Clone, Copy)]
enum Kind {
    Copy,
    Compare,
    Prune,
}

/// The chores under way, at most one of each kind, and when the next of each kind is due.
pub(super) struct Chores {
    running: JoinSet<(Kind, Done)>,
    is_running: [bool; 3],
    due: [Instant; 3],
}

impl Chores {
    /// Begins: the comparison is due after its interval, the others at once.
    pub(super) fn new(compare_interval: Duration) -> Self {
        let now = Instant::now();
        Self { running: JoinSet::new(), is_running: [false; 3], due: [now, now + compare_interval, now] }
    }

    /// Copies the index to disk, if that is due.
    pub(super) fn copy(
        &mut self,
        every: Duration,
        folder: PathBuf,
        snapshot: Arc<Snapshot>,
        confirmed_at: Option<Timestamp>,
    ) {
        self.start(Kind::Copy, every, async move { save(folder, snapshot, confirmed_at).await });
    }

    /// Compares the index in use with PostgreSQL, if that is due.
    pub(super) fn compare(&mut self, every: Duration, store: Store, live: Live) {
        self.start(Kind::Compare, every, async move { Done::Compared(compare(&store, &live).await) });
    }

    /// Forgets changes that are too old, if that is due.
    pub(super) fn prune(&mut self, every: Duration, store: Store) {
        self.start(Kind::Prune, every, async move { Done::Pruned(store.prune().await.map(drop)) });
    }

    fn start(&mut self, kind: Kind, every: Duration, work: impl Future<Output = Done> + Send + 'static) {
        let (now, at) = (Instant::now(), kind as usize);
        if self.is_running[at] || now < self.due[at] {
            return;
        }
        self.is_running[at] = true;
        self.due[at] = now + every;
        self.running.spawn(async move { (kind, work.await) });
    }

    /// Waits for a chore to end; for ever if none is under way.
    pub(super) async fn next(&mut self) -> Done {
        loop {
            match self.running.join_next().await {
                Some(Ok((kind, done))) => {
                    self.is_running[kind as usize] = false;
                    return done;
                }
                Some(Err(panicked)) => {
                    // Which one it was is not known: none is started again.
                    tracing::error!(error = %panicked, "a chore of the feed has panicked");
                }
                None => std::future::pending().await,
            }
        }
    }
}

/// Writes the copy of an index.
pub(super) async fn save(folder: PathBuf, snapshot: Arc<Snapshot>, confirmed_at: Option<Timestamp>) -> Done {
    let held = Held::by(&snapshot);
    let saved = spawn_blocking(move || copy::save(&folder, &snapshot, confirmed_at)).await;
    let saved =
        saved.map_err(|error| error.to_string()).and_then(|saved| saved.map_err(|error| error.to_string()));
    Done::Copied(held, saved)
}

/// Returns the buckets in which the index and PostgreSQL differ at the same revision.
async fn compare(store: &Store, live: &Live) -> Result<Option<Vec<(IndexedKind, u8)>>, StoreError> {
    for _ in 0..COMPARISONS {
        let (revision, theirs) = store.fingerprints().await?;
        // An index that does not get there is behind, which is not what is looked for here.
        if live.wait_for(revision, REVISION_WAIT).await.is_err() {
            return Ok(None);
        }
        let Some(snapshot) = live.snapshot().filter(|snapshot| snapshot.revision() == revision) else {
            continue;
        };
        let ours = spawn_blocking(move || snapshot.fingerprints()).await;
        let ours: Fingerprints = ours.map_err(|error| StoreError::Other(error.into()))?;
        return Ok(Some(ours.differing(&theirs).collect()));
    }
    Ok(None)
}
