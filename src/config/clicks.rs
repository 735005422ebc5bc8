//! Settings of recording clicks.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Reader, shown_size};

/// Bytes of one file of the local log.
pub const SEGMENT_BYTES: u64 = 32 * 1_024 * 1_024;
/// The least that the local log may take: what is written, what comes next, and some that wait.
const LEAST_BYTES: u64 = 4 * SEGMENT_BYTES;
/// The folder of the local log within the state folder.
const FOLDER: &str = "clicks";

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Flags of recording clicks.
#[derive(Clone, Debug, clap::Args)]
pub struct ClickArgs {
    /// What is done with clicks: `record` or `ignore`.
    #[arg(long, env = "SMARTLINKS_CLICKS", default_value = "record", value_name = "WHAT")]
    pub clicks: String,
    /// How much the local log of clicks may take while PostgreSQL is away.
    #[arg(long, env = "SMARTLINKS_SPOOL_LIMIT", default_value = "4GiB", value_name = "SIZE")]
    pub spool_limit: String,
    /// What becomes of visitors whose click cannot be recorded: `answer` or `refuse`.
    #[arg(long, env = "SMARTLINKS_SPOOL_FULL", default_value = "answer", value_name = "WHAT")]
    pub spool_full: String,
    /// How long a click may wait for the disk after its answer; `always` = the answer waits for the disk.
    #[arg(long, env = "SMARTLINKS_SPOOL_SYNC", default_value = "50ms", value_name = "TIME")]
    pub spool_sync: String,
    /// How much of the local log is kept after PostgreSQL has it.
    #[arg(long, env = "SMARTLINKS_SPOOL_RETAIN", default_value = "1GiB", value_name = "SIZE")]
    pub spool_retain: String,
    /// How long it is kept.
    #[arg(long, env = "SMARTLINKS_SPOOL_RETAIN_FOR", default_value = "1h", value_name = "TIME")]
    pub spool_retain_for: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print them")]
    pub retention: RetentionArgs,
}

/// For how long PostgreSQL keeps clicks.
#[derive(Clone, Debug, clap::Args)]
pub struct RetentionArgs {
    /// For how many days PostgreSQL keeps clicks.
    #[arg(long, env = "SMARTLINKS_CLICK_RETENTION_DAYS", default_value = "400", value_name = "DAYS")]
    pub click_retention_days: String,
}

impl RetentionArgs {
    /// Checks the flag.
    pub fn read(&self, reader: &mut Reader) -> Option<u16> {
        // A click may be a day old when it comes, and wait for PostgreSQL besides.
        let days = reader.number("SMARTLINKS_CLICK_RETENTION_DAYS", &self.click_retention_days, 3..=36_500);
        days.and_then(|days| u16::try_from(days).ok())
    }
}

/// What is done with clicks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clicks {
    /// They are recorded.
    Record(RecordSettings),
    /// They are answered and forgotten.
    Ignore,
}

/// How clicks are recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordSettings {
    /// The folder of the local log.
    pub folder: PathBuf,
    /// Bytes of one of its files.
    pub segment_bytes: u64,
    /// Bytes that it may take.
    pub limit_bytes: u64,
    /// Whether visitors are refused whose click cannot be recorded.
    pub refuse_when_full: bool,
    /// How long a click may wait for the disk; `None` = its answer waits.
    pub sync_every: Option<Duration>,
    /// Bytes that are kept after PostgreSQL has them.
    pub retained_bytes: u64,
    /// How long they are kept.
    pub retained_for: Duration,
    /// For how many days PostgreSQL keeps clicks.
    pub retention_days: u16,
}

impl RecordSettings {
    /// Returns the defaults, in this state folder.
    pub fn within(state_dir: &Path) -> Self {
        Self {
            folder: state_dir.join(FOLDER),
            segment_bytes: SEGMENT_BYTES,
            limit_bytes: 4 << 30,
            refuse_when_full: false,
            sync_every: Some(Duration::from_millis(50)),
            retained_bytes: 1 << 30,
            retained_for: Duration::from_secs(3_600),
            retention_days: 400,
        }
    }
}

impl ClickArgs {
    /// Checks the flags.
    pub fn read(&self, state_dir: Option<&Path>, reader: &mut Reader) -> Option<Clicks> {
        let records = match self.clicks.as_str() {
            "record" => Some(true),
            "ignore" => Some(false),
            other => {
                reader.fault("SMARTLINKS_CLICKS", format!("`{other}` is not `record` or `ignore`"));
                None
            }
        };
        if records == Some(true) && state_dir.is_none() {
            let text = "is not set, but clicks are recorded there first; write a folder that survives restarts, \
                        or SMARTLINKS_CLICKS=ignore to record none";
            reader.fault("SMARTLINKS_STATE_DIR", text);
        }
        let limit = reader.size("SMARTLINKS_SPOOL_LIMIT", &self.spool_limit, LEAST_BYTES);
        let refuse = match self.spool_full.as_str() {
            "answer" => Some(false),
            "refuse" => Some(true),
            other => {
                reader.fault("SMARTLINKS_SPOOL_FULL", format!("`{other}` is not `answer` or `refuse`"));
                None
            }
        };
        let sync = self.sync(reader);
        let retain = reader.size("SMARTLINKS_SPOOL_RETAIN", &self.spool_retain, 0);
        let retain_for =
            reader.duration("SMARTLINKS_SPOOL_RETAIN_FOR", &self.spool_retain_for, Duration::ZERO, 30 * DAY);
        let retention = self.retention.read(reader);
        let settings = RecordSettings {
            // Without a state folder nothing is recorded, or it was a fault.
            folder: state_dir.unwrap_or(Path::new("")).join(FOLDER),
            segment_bytes: SEGMENT_BYTES,
            limit_bytes: limit?,
            refuse_when_full: refuse?,
            sync_every: sync?,
            retained_bytes: retain?,
            retained_for: retain_for?,
            retention_days: retention?,
        };
        Some(if records? { Clicks::Record(settings) } else { Clicks::Ignore })
    }

    fn sync(&self, reader: &mut Reader) -> Option<Option<Duration>> {
        match self.spool_sync.as_str() {
            "always" => Some(None),
            time => {
                let millisecond = Duration::from_millis(1);
                let most = Duration::from_secs(60);
                reader.duration("SMARTLINKS_SPOOL_SYNC", time, millisecond, most).map(Some)
            }
        }
    }
}

impl Clicks {
    /// Returns every setting and its effective value.
    pub(super) fn effective(&self) -> Vec<(&'static str, String)> {
        let Self::Record(settings) = self else { return vec![("SMARTLINKS_CLICKS", "ignore".into())] };
        let full = if settings.refuse_when_full { "refuse" } else { "answer" };
        let sync = settings.sync_every.map_or("always".into(), |every| format!("{every:?}"));
        vec![
            ("SMARTLINKS_CLICKS", "record".into()),
            ("SMARTLINKS_SPOOL_LIMIT", shown_size(settings.limit_bytes)),
            ("SMARTLINKS_SPOOL_FULL", full.into()),
            ("SMARTLINKS_SPOOL_SYNC", sync),
            ("SMARTLINKS_SPOOL_RETAIN", shown_size(settings.retained_bytes)),
            ("SMARTLINKS_SPOOL_RETAIN_FOR", format!("{:?}", settings.retained_for)),
            ("SMARTLINKS_CLICK_RETENTION_DAYS", settings.retention_days.to_string()),
        ]
    }
}
