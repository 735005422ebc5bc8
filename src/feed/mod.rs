//! Keeps the index in use up to date with PostgreSQL.
//!
//! A notification wakes, asking every few seconds is the fallback, and a comparison of everything every few minutes
//! mends what both have missed; its counter should stay 0. Each read is one transaction and becomes visible at once,
//! as exactly the revision that it read. Without PostgreSQL the index stays as it is; a server that starts then uses
//! its copy on disk and loads everything anew when PostgreSQL is back.

mod chores;
mod copy;
mod rows;

use std::{future::Future, path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{
    sync::watch,
    task::block_in_place,
    time::{Instant, sleep, timeout},
};
use uuid::Uuid;

use crate::{
    domain::{fingerprint::IndexedKind, revision::Revision, split::SplitKey, visitor::SealedKey},
    index::{Record, Snapshot, Writer},
    live::{Live, Source},
    store::{Changes, FeedRow, Store, StoreError},
    telemetry::{
        log::Causes,
        metrics::{Metrics, SourceLabels},
    },
};

use self::chores::{Chores, Done};

/// How often changes and request ids that are too old are forgotten.
const PRUNE_INTERVAL: Duration = Duration::from_secs(3_600);
/// How long reading everything may take.
const EVERYTHING_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// How the feed works.
#[derive(Clone, Debug)]
pub struct FeedSettings {
    /// How often PostgreSQL is asked for changes, besides its notifications.
    pub poll_interval: Duration,
    /// How long PostgreSQL may take to tell what changed.
    pub answer_timeout: Duration,
    /// How often everything is compared.
    pub compare_interval: Duration,
    /// The folder of the copy on disk; without it there is none.
    pub copy_folder: Option<PathBuf>,
    /// How often the copy is written, if anything changed.
    pub copy_interval: Duration,
    /// The key of splits; without one it is that of the installation.
    pub split_key: Option<SplitKey>,
}

/// The feed. It alone writes the index.
pub struct Feed {
    store: Store,
    live: Live,
    metrics: Metrics,
    settings: FeedSettings,
    writer: Writer,
    /// Where the index in use came from; `None` = there is none yet.
    source: Option<Source>,
    /// Whether PostgreSQL answered last time, for those who follow.
    reachable: watch::Sender<bool>,
    /// Whether the tables are known to be those that this program was made for.
    schema_checked: bool,
    /// Whether it was logged that PostgreSQL does not answer.
    lost_before: bool,
    /// The database that the index was read from, and when its revision was committed there.
    origin: Option<(Uuid, Timestamp)>,
    /// What differed at the last comparison and was still different after reading everything again.
    unmended: Vec<(IndexedKind, u8)>,
    /// What the copy on disk holds.
    copied: Option<Held>,
}

impl Feed {
    /// Prepares a feed; nothing is read yet.
    ///
    /// `reachable` is told whether PostgreSQL answers.
    pub fn new(
        store: Store,
        live: Live,
        metrics: Metrics,
        settings: FeedSettings,
        reachable: watch::Sender<bool>,
    ) -> Self {
        let writer = Writer::new();
        Self {
            store,
            live,
            metrics,
            settings,
            writer,
            source: None,
            reachable,
            schema_checked: false,
            lost_before: false,
            origin: None,
            unmended: Vec::new(),
            copied: None,
        }
    }

    /// Feeds the index until `stop` resolves, then writes the copy a last time. Needs the multi-thread runtime.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        // Interest comes before the first read: what is committed after that read wakes us.
        let mut wakeups = self.store.listen();
        let mut chores = Chores::new(self.settings.compare_interval);
        loop {
            tokio::select! {
                () = self.follow() => {}
                () = &mut stop => break,
            }
            self.start(&mut chores);
            tokio::select! {
                () = wakeups.woken() => {}
                () = sleep(self.settings.poll_interval) => {}
                done = chores.next() => self.finish(done).await,
                () = &mut stop => break,
            }
        }
        if let Some(copy) = self.copy_of_something_new() {
            let done = chores::save(copy.folder, copy.snapshot, copy.confirmed_at).await;
            self.finish(done).await;
        }
    }

    /// Starts the chores that are due.
    fn start(&self, chores: &mut Chores) {
        if let Some(copy) = self.copy_of_something_new() {
            chores.copy(self.settings.copy_interval, copy.folder, copy.snapshot, copy.confirmed_at);
        }
        if self.is_current() {
            chores.compare(self.settings.compare_interval, self.store.clone(), self.live.clone());
            chores.prune(PRUNE_INTERVAL, self.store.clone());
        }
    }

    /// Takes in what came of a chore.
    async fn finish(&mut self, done: Done) {
        match done {
            Done::Copied(held, Ok(())) => {
                self.metrics.copies.inc();
                self.copied = Some(held);
            }
            Done::Copied(_, Err(error)) => {
                self.metrics.copy_failures.inc();
                tracing::error!(error, "cannot write the copy of the index, check SMARTLINKS_STATE_DIR");
            }
            Done::Compared(Ok(differing)) => self.mend(differing.unwrap_or_default()).await,
            Done::Compared(Err(error)) => {
                self.metrics.feed_failures.inc();
                tracing::warn!(error = %Causes(&error), "cannot compare the index with PostgreSQL");
            }
            Done::Pruned(Ok(())) => {}
            Done::Pruned(Err(error)) => {
                tracing::warn!(error = %Causes(&error), "cannot forget old changes");
            }
        }
    }

    /// Returns whether the index came from PostgreSQL and PostgreSQL answered last time.
    fn is_current(&self) -> bool {
        *self.reachable.borrow() && self.source == Some(Source::Database)
    }

    /// Reads what is new, or everything if there is nothing to go on from.
    async fn follow(&mut self) {
        match self.read().await {
            Ok(()) => {
                self.live.confirm(Timestamp::now());
                self.metrics.index_confirmed.set(Timestamp::now().as_duration().as_secs_f64());
                if std::mem::take(&mut self.lost_before) {
                    tracing::info!("PostgreSQL answers again");
                }
                self.tell(true);
            }
            Err(error) => self.lost(&error),
        }
    }

    async fn read(&mut self) -> Result<(), StoreError> {
        if !self.schema_checked {
            if !in_time(self.settings.answer_timeout, self.store.schema_is_current()).await? {
                let text = "the tables are not up to date, run `smartlinks migrate`";
                return Err(StoreError::Unavailable(text.into()));
            }
            self.schema_checked = true;
        }
        match self.source {
            Some(Source::Database) => self.read_since(self.writer.snapshot().revision()).await,
            Some(Source::Disk) | None => self.read_all().await,
        }
    }

    /// Notes that PostgreSQL did not answer; without any index, falls back on the copy.
    fn lost(&mut self, error: &StoreError) {
        self.metrics.feed_failures.inc();
        if !std::mem::replace(&mut self.lost_before, true) {
            tracing::warn!(error = %Causes(error), "cannot read from PostgreSQL, the index stays as it is");
        }
        self.tell(false);
        if self.source.is_none() {
            self.read_copy();
        }
    }

    fn tell(&self, is_reachable: bool) {
        self.reachable.send_if_modified(|before| std::mem::replace(before, is_reachable) != is_reachable);
    }

    async fn read_since(&mut self, since: Revision) -> Result<(), StoreError> {
        let mut read: Vec<FeedRow> = Vec::new();
        let changes = self.store.head_and_changes(Some(since), |mut piece| read.append(&mut piece));
        let feed = in_time(self.settings.answer_timeout, changes).await?;
        // Another database, or this one after a restore, may have gone as far on another way.
        let seen = feed.since_committed_at.map(|committed_at| (feed.installation, committed_at));
        let is_ours = since == Revision::default() || seen == self.origin;
        match feed.changes {
            Changes::Since if is_ours && feed.head == since => {
                self.take_visitor_keys(feed.visitor_keys);
                Ok(())
            }
            Changes::Since if is_ours => {
                self.metrics.feed_changes.inc_by(u64::try_from(read.len()).unwrap_or(u64::MAX));
                let records = read.into_iter().filter_map(rows::record);
                let records = records.chain([Record::VisitorKeys(feed.visitor_keys)]);
                let snapshot = block_in_place(|| self.writer.apply(records, feed.head));
                self.origin = Some((feed.installation, feed.committed_at));
                self.publish(snapshot, Source::Database);
                Ok(())
            }
            Changes::Since | Changes::TooOld | Changes::Full => {
                tracing::warn!(
                    index.revision = since.0,
                    database.revision = feed.head.0,
                    "the changes since the index was read are not there, or PostgreSQL was restored: reading everything",
                );
                self.read_all().await
            }
        }
    }

    /// Reads everything beside the index in use, then puts it in its place.
    async fn read_all(&mut self) -> Result<(), StoreError> {
        let began = Instant::now();
        let mut writer = Writer::new();
        let take = |piece: Vec<FeedRow>| {
            // Compiling many links takes a while: other tasks of this thread move to another one.
            block_in_place(|| writer.apply(piece.into_iter().filter_map(rows::record), Revision::default()));
        };
        let feed = in_time(EVERYTHING_TIMEOUT, self.store.head_and_changes(None, take)).await?;
        let split_key = self.settings.split_key.unwrap_or(SplitKey::of_installation(feed.installation));
        let keys = [Record::VisitorKeys(feed.visitor_keys), Record::SplitKey(split_key)];
        let read = writer.apply(keys, feed.head);
        // What cannot be read keeps the form that it had before.
        let old = self.writer.snapshot();
        let kept: Vec<_> =
            read.broken().filter_map(|broken| old.link_record(&broken.shop, &broken.slug)).collect();
        let snapshot = block_in_place(|| writer.apply(kept, feed.head));
        self.writer = writer;
        self.origin = Some((feed.installation, feed.committed_at));
        self.publish(snapshot, Source::Database);
        self.loaded("database", began);
        Ok(())
    }

    /// Takes in the keys of visitors, which come and go without a revision.
    fn take_visitor_keys(&mut self, keys: Vec<SealedKey>) {
        let snapshot = self.writer.snapshot();
        if **snapshot.visitor_keys() != *keys {
            let revision = snapshot.revision();
            let snapshot = self.writer.apply([Record::VisitorKeys(keys)], revision);
            self.publish(snapshot, Source::Database);
        }
    }

    fn read_copy(&mut self) {
        let Some(folder) = &self.settings.copy_folder else { return };
        let began = Instant::now();
        match block_in_place(|| copy::load(folder)) {
            Ok(copy::Loaded { writer, confirmed_at }) => {
                self.writer = writer;
                self.copied = Some(Held::by(self.writer.snapshot()));
                // One that was made of a secret is not in the copy.
                self.writer.apply(self.settings.split_key.map(Record::SplitKey), Revision::default());
                if let Some(confirmed_at) = confirmed_at {
                    self.live.confirm(confirmed_at);
                    self.metrics.index_confirmed.set(confirmed_at.as_duration().as_secs_f64());
                }
                self.publish(Arc::clone(self.writer.snapshot()), Source::Disk);
                self.loaded("disk", began);
            }
            Err(copy::CopyError::Missing) => {}
            Err(error) => {
                tracing::error!(file = %copy::path(folder).display(), error = %error, "cannot use the copy of the index");
            }
        }
    }

    fn publish(&mut self, snapshot: Arc<Snapshot>, source: Source) {
        let counts = snapshot.counts();
        let broken = snapshot.broken().count();
        self.metrics.index_revision.set(snapshot.revision().0);
        self.metrics.index_links.set(i64::try_from(counts.links).unwrap_or(i64::MAX));
        self.metrics.index_broken_links.set(i64::try_from(broken).unwrap_or(i64::MAX));
        self.source = Some(source);
        self.live.publish(snapshot, source);
    }

    fn loaded(&self, source: &'static str, began: Instant) {
        self.metrics.index_loads.get_or_create(&SourceLabels { source }).inc();
        let (snapshot, confirmed) = (self.writer.snapshot(), self.live.status().confirmed_at);
        tracing::info!(
            index.source = source,
            index.revision = snapshot.revision().0,
            index.links = snapshot.counts().links,
            index.confirmed_at = confirmed.map(tracing::field::display),
            duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            "the index is loaded",
        );
    }

    /// Reads everything again if the index differs from PostgreSQL.
    async fn mend(&mut self, differing: Vec<(IndexedKind, u8)>) {
        // What was no better after reading everything is unreadable: reading it again would not help.
        if differing.is_empty() || differing == self.unmended {
            return;
        }
        let count = u64::try_from(differing.len()).unwrap_or(u64::MAX);
        tracing::error!(count, "the index differs from PostgreSQL in this many buckets: reading everything");
        if let Err(error) = self.read_all().await {
            return self.lost(&error);
        }
        self.unmended = differing;
        self.metrics.feed_repairs.inc_by(count);
        self.live.repaired(count);
    }

    /// Returns what is to be copied, if there is something new: what came from the disk is there already.
    fn copy_of_something_new(&self) -> Option<Copy> {
        let folder = self.settings.copy_folder.clone()?;
        let snapshot = Arc::clone(self.writer.snapshot());
        let is_new = self.source == Some(Source::Database) && self.copied != Some(Held::by(&snapshot));
        is_new.then(|| Copy { folder, snapshot, confirmed_at: self.live.status().confirmed_at })
    }
}

/// What tells one index from another, for the copy on disk. A key of visitors that was deleted goes from there too.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Held {
    revision: Revision,
    visitor_keys: Arc<[SealedKey]>,
}

impl Held {
    fn by(snapshot: &Snapshot) -> Self {
        Self { revision: snapshot.revision(), visitor_keys: Arc::clone(snapshot.visitor_keys()) }
    }
}

/// What is copied to disk.
struct Copy {
    folder: PathBuf,
    snapshot: Arc<Snapshot>,
    confirmed_at: Option<Timestamp>,
}

/// Waits for an answer, but not for ever: a connection that is half open never answers.
async fn in_time<T>(
    most: Duration,
    answer: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let silent = || StoreError::Unavailable("it did not answer in time".into());
    timeout(most, answer).await.unwrap_or_else(|_| Err(silent()))
}
