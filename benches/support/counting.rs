//! The log while clicks go in and are counted.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use smartlinks::{
    roller::Roller,
    store::{
        Store,
        clicks::{Days, Ingestor},
    },
    telemetry::metrics::Metrics,
};
use tokio::{sync::watch, task::JoinHandle, time::sleep};
use tokio_postgres::Client;
use uuid::Uuid;

use super::crowd;

/// A local log that goes in.
pub(crate) struct Writer {
    ingestor: Ingestor,
    source: Uuid,
    after: u64,
}

impl Writer {
    pub(crate) async fn new(store: &Store) -> Self {
        let ingestor = store.ingestor().await.expect("a connection");
        Self { ingestor, source: Uuid::now_v7(), after: 0 }
    }

    /// Adds a batch.
    pub(crate) async fn add(&mut self, contents: Vec<Vec<u8>>) {
        let delivery = crowd::delivery(self.source, self.after, contents);
        self.after += delivery.frames.len() as u64;
        let ingested = self.ingestor.ingest(&delivery, Days::kept(Timestamp::now(), 100)).await;
        let ingested = ingested.expect("a batch that goes in");
        assert_eq!(usize::try_from(ingested.applied), Ok(delivery.frames.len()));
    }
}

/// A roller that counts until it is stopped.
pub(crate) struct Counting {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Counting {
    pub(crate) fn start(store: &Store) -> Self {
        let (stop, stopped) = watch::channel(false);
        let roller = Roller::new(store.clone(), Metrics::new().0, Duration::from_millis(250));
        Self { stop, task: tokio::spawn(roller.run(stopped)) }
    }

    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        self.task.await.expect("no panic");
    }
}

/// How far counting is behind.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Behind {
    pub(crate) clicks: i64,
    pub(crate) seconds: f64,
}

pub(crate) async fn behind(client: &Client) -> Behind {
    let statement = "SELECT coalesce(sum(applied), 0)::bigint,
            coalesce(extract(epoch FROM clock_timestamp() - min(at)), 0)::float8
        FROM clicks.ledger WHERE position > (SELECT position FROM clicks.roller)";
    let row = client.query_one(statement, &[]).await.expect("an answer");
    Behind { clicks: row.get(0), seconds: row.get(1) }
}

/// Waits until everything is counted.
pub(crate) async fn all_is_counted(client: &Client) {
    let begun = Instant::now();
    loop {
        let Behind { clicks, seconds } = behind(client).await;
        if clicks == 0 {
            return;
        }
        let in_time = begun.elapsed() < Duration::from_secs(600);
        assert!(in_time, "{clicks} clicks are not counted, the oldest of them for {seconds:.0} s");
        sleep(Duration::from_millis(10)).await;
    }
}
