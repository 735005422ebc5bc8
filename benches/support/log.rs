//! A local log of clicks as a server has it, on the disk that the build is on.

use std::time::Duration;

use smartlinks::{
    recorder::{AnswerAfter, Recorder, WhenFull},
    rpc::link_resolver::Resolver,
    spool::{Spool, SpoolSettings},
    telemetry::metrics::Metrics,
};
use tempfile::TempDir;

use crate::world;

/// A log, and how many clicks could not be kept in it.
pub(crate) struct Log {
    pub(crate) spool: Spool,
    pub(crate) metrics: Metrics,
    _folder: TempDir,
}

impl Log {
    pub(crate) fn open() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let spool = Spool::open(SpoolSettings {
            folder: folder.path().to_owned(),
            segment_bytes: smartlinks::config::clicks::SEGMENT_BYTES,
            limit_bytes: 4 << 30,
            // What a round has written goes when the next one begins to write.
            retained_bytes: 0,
            retained_for: Duration::from_secs(3_600),
            sync_every: Duration::from_millis(50),
        });
        Self { spool: spool.expect("a log"), metrics: Metrics::new().0, _folder: folder }
    }

    /// Makes a resolver whose clicks are kept here before they are answered.
    pub(crate) fn resolver(&self) -> Resolver {
        let (spool, metrics) = (self.spool.clone(), self.metrics.clone());
        let recorder = Recorder::new(spool, metrics, WhenFull::Answer, AnswerAfter::Write);
        world::resolver_with(recorder, &self.metrics)
    }

    /// Lets go of what was written, as if it were in PostgreSQL.
    pub(crate) fn forget(&self) {
        self.spool.set_shipped(self.spool.depth().written);
    }

    /// Fails if a click was answered and not kept.
    pub(crate) fn assert_complete(&self) {
        let metrics = &self.metrics;
        assert_eq!(metrics.clicks_unrecorded.get(), 0, "clicks were answered and not kept");
        assert_eq!(metrics.clicks_recorded.get(), self.spool.depth().written);
    }
}
