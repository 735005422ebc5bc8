//! The local log of clicks: opened before anything is served, closed when everything has ended.

use std::{io::Write, time::Duration};

use tokio::{
    sync::watch,
    task::{JoinSet, spawn_blocking},
};

use super::{ServeError, stopped, store};
use crate::{
    config::{
        clicks::{Clicks, RecordSettings},
        ship::ShipSettings,
    },
    counter_feed::CounterFeed,
    counters::Counters,
    keeper,
    live::Live,
    recorder::{self, AnswerAfter, Recorder, WhenFull},
    shipper::{Shipper, ShipperSettings},
    spool::{self, Spool, SpoolError, SpoolSettings},
    store::Store,
    telemetry::metrics::Metrics,
};

/// How long clicks are gathered before they are shipped together.
const GATHER: Duration = Duration::from_millis(200);

/// The local log of a server.
pub(super) struct ClickLog {
    spool: Spool,
    settings: RecordSettings,
    /// Clicks come no more: what is left is shipped.
    finish: watch::Sender<bool>,
}

impl ClickLog {
    /// Opens the log, if clicks are recorded.
    pub(super) fn open(settings: &Clicks) -> Result<Option<Self>, ServeError> {
        let settings = match settings {
            Clicks::Record(settings) => settings.clone(),
            Clicks::Ignore => return Ok(None),
        };
        let spool = Spool::open(SpoolSettings {
            folder: settings.folder.clone(),
            segment_bytes: settings.segment_bytes,
            limit_bytes: settings.limit_bytes,
            retained_bytes: settings.retained_bytes,
            retained_for: settings.retained_for,
            // With answers that wait, whatever came while the disk was busy goes with the next time.
            sync_every: settings.sync_every.unwrap_or(Duration::ZERO),
        });
        let spool = spool.map_err(|error| ServeError(format!("SMARTLINKS_STATE_DIR: {error}")))?;
        Ok(Some(Self { spool, settings, finish: watch::channel(false).0 }))
    }

    /// Starts what works on the log, and returns what writes it.
    pub(super) fn start(
        &self,
        store: &Store,
        live: &Live,
        counters: &Counters,
        metrics: &Metrics,
        stopping: watch::Receiver<bool>,
        tasks: &mut JoinSet<()>,
    ) -> Recorder {
        let retention_days = self.settings.retention_days;
        let settings = ShipperSettings { gather: GATHER, retention_days };
        let shipper = Shipper::new(self.spool.clone(), store.clone(), metrics.clone(), settings);
        tasks.spawn(shipper.run(self.finish.subscribe()));
        let depth = recorder::measure(self.spool.clone(), metrics.clone(), stopped(stopping.clone()));
        tasks.spawn(depth);
        tasks.spawn(keeper::run(store.clone(), metrics.clone(), retention_days, stopped(stopping.clone())));
        let (store, live, counters) = (store.clone(), live.clone(), counters.clone());
        let feed = CounterFeed::new(counters, live, self.spool.clone(), store, metrics.clone());
        tasks.spawn(feed.run(stopping));
        let when_full = if self.settings.refuse_when_full { WhenFull::Refuse } else { WhenFull::Answer };
        let answer_after = match self.settings.sync_every {
            Some(_) => AnswerAfter::Write,
            None => AnswerAfter::Sync,
        };
        Recorder::new(self.spool.clone(), metrics.clone(), when_full, answer_after)
    }

    /// Lets the shipper end once nothing is left.
    pub(super) fn finish(&self) {
        self.finish.send_replace(true);
    }

    /// Closes the log; what is left in it is shipped after the next start.
    pub(super) async fn close(self) {
        let depth = self.spool.depth();
        let left = depth.written.saturating_sub(depth.shipped);
        if left > 0 {
            tracing::warn!(left, "clicks are left in the local log, they are shipped after the next start");
        }
        // Waits for the disk.
        spawn_blocking(move || self.spool.close()).await.ok();
    }
}

/// Ships what is in a log that no server owns any more, until nothing is left or `stop` resolves, and says how much.
pub async fn ship(
    settings: ShipSettings,
    stop: impl Future<Output = ()>,
    out: &mut impl Write,
) -> Result<(), ServeError> {
    let folder = &settings.spool;
    let failed = |error: SpoolError| ServeError(format!("--spool: {error}"));
    if !spool::is_log(folder) {
        let text = "holds no log of clicks; name the folder `clicks` in a server's state folder";
        return Err(ServeError(format!("--spool: {} {text}", folder.display())));
    }
    let store = store(&settings.database, "smartlinks ship")?;
    let spool = Spool::open(SpoolSettings {
        folder: folder.clone(),
        // Nothing is written into it.
        segment_bytes: 1_024 * 1_024,
        limit_bytes: u64::MAX,
        retained_bytes: u64::MAX,
        retained_for: Duration::MAX,
        sync_every: Duration::from_millis(50),
    });
    let spool = spool.map_err(failed)?;
    let (metrics, _registry) = Metrics::new();
    let shipping = ShipperSettings { gather: Duration::ZERO, retention_days: settings.retention_days };
    let shipper = Shipper::new(spool.clone(), store, metrics.clone(), shipping);
    let (_finish, finished) = watch::channel(true);
    let done = tokio::select! {
        () = shipper.run(finished) => true,
        () = stop => false,
    };
    let depth = spool.depth();
    spool.close();
    let (added, known) = (metrics.clicks_shipped.get(), metrics.clicks_duplicate.get());
    let (rejected, lost) = (metrics.clicks_rejected.get(), metrics.clicks_lost.get());
    let left = depth.written.saturating_sub(depth.shipped);
    let text = format!(
        "{added} clicks were added, {known} were there already, {rejected} were put aside, {lost} cannot be read, {left} are left"
    );
    writeln!(out, "{text}").map_err(|error| ServeError(format!("cannot write: {error}")))?;
    if done { Ok(()) } else { Err(ServeError("stopped before everything was shipped".into())) }
}
