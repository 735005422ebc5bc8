//! The local log is shipped whole, each click once, whatever happens to PostgreSQL or to the folder.

use std::{fs, path::Path, time::Duration};

use jiff::{SignedDuration, Timestamp};
use smartlinks::{
    domain::{click::Click, click_id::ClickId},
    shipper::{Shipper, ShipperSettings},
    spool::{self, Batch, Reader, Spool, SpoolSettings},
    store::{
        Store, StoreConfig,
        clicks::{Days, Delivery},
    },
    telemetry::metrics::Metrics,
};
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinHandle, time::timeout};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::support::{
    clicks::{at, batch, click},
    database::Database,
    proxy::Proxy,
    server::PATIENCE,
};

/// A local log with a shipper behind it.
struct Line {
    spool: Spool,
    metrics: Metrics,
    stop: watch::Sender<bool>,
    shipping: JoinHandle<()>,
}

fn open(folder: &Path) -> Spool {
    let settings = SpoolSettings {
        folder: folder.to_owned(),
        segment_bytes: 16 * 1_024,
        limit_bytes: 64 * 1_024 * 1_024,
        retained_bytes: 64 * 1_024 * 1_024,
        retained_for: Duration::from_secs(3_600),
        sync_every: Duration::from_millis(1),
    };
    Spool::open(settings).unwrap()
}

impl Line {
    fn start(folder: &Path, store: Store) -> Self {
        let (spool, metrics) = (open(folder), Metrics::new().0);
        let settings = ShipperSettings { gather: Duration::from_millis(1), retention_days: 30 };
        let (stop, stopped) = watch::channel(false);
        let shipper = Shipper::new(spool.clone(), store, metrics.clone(), settings);
        Self { spool, metrics, stop, shipping: tokio::spawn(shipper.run(stopped)) }
    }

    /// Writes clicks with these numbers.
    fn click(&self, numbers: std::ops::RangeInclusive<u64>) {
        for number in numbers {
            self.spool.append(&spool::encode(&click(at(number, SignedDuration::ZERO)))).unwrap();
        }
    }

    /// Waits until everything that was written is shipped.
    async fn is_empty(&self) {
        let empty = async {
            while self.spool.depth().shipped < self.spool.depth().written {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, empty).await.expect("clicks were not shipped");
    }

    /// Stops when everything is shipped.
    async fn finish(self) {
        self.stop.send_replace(true);
        timeout(PATIENCE, self.shipping).await.expect("the shipper did not end").unwrap();
    }

    /// Stops in the middle, as a kill does.
    async fn kill(self) {
        self.shipping.abort();
        self.shipping.await.ok();
    }
}

async fn number(client: &Client, query: &str) -> i64 {
    client.query_one(&format!("SELECT ({query})::bigint"), &[]).await.unwrap().get(0)
}

/// Checks that clicks with the numbers 1 to `last` are there, each once, and that the ledger says so.
async fn has_each_once(client: &Client, last: i64) {
    assert_eq!(number(client, "SELECT count(*) FROM clicks.click").await, last);
    assert_eq!(number(client, "SELECT count(DISTINCT id) FROM clicks.click").await, last);
    assert_eq!(number(client, "SELECT sum(applied) FROM clicks.ledger").await, last);
    assert_eq!(number(client, "SELECT sum(lost) + sum(rejected) FROM clicks.ledger").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn clicks_are_shipped_in_order_over_restarts() {
    let (database, folder) = (Database::create().await, tempfile::tempdir().unwrap());
    for start in 0..3 {
        let line = Line::start(folder.path(), database.store());
        line.click(start * 500 + 1..=start * 500 + 500);
        line.finish().await;
    }
    let client = database.client().await;
    has_each_once(&client, 1_500).await;
    // Rows stand in the order of the log within the order of the ledger.
    let disorder =
        "SELECT count(*) FROM (SELECT sequence, lag(sequence) OVER (ORDER BY position, sequence) AS before
        FROM clicks.click JOIN clicks.ledger USING (batch)) AS rows WHERE sequence <> before + 1";
    assert_eq!(number(&client, disorder).await, 0);
    assert_eq!(number(&client, "SELECT sequence FROM clicks.progress").await, 1_500);
}

#[tokio::test(flavor = "multi_thread")]
async fn database_that_comes_and_goes_gets_every_click_once() {
    let (database, folder) = (Database::create().await, tempfile::tempdir().unwrap());
    let proxy = Proxy::open(&database).await;
    let store = Store::connect(&StoreConfig { url: proxy.url().to_owned(), ..database.config() }).unwrap();
    let line = Line::start(folder.path(), store);
    for round in 0..6 {
        line.click(round * 300 + 1..=round * 300 + 300);
        if round % 2 == 0 {
            proxy.cut();
            line.click(10_000 + round..=10_000 + round);
            proxy.mend();
        }
    }
    line.is_empty().await;
    line.finish().await;
    has_each_once(&database.client().await, 6 * 300 + 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shipper_that_is_killed_again_and_again_ships_every_click_once() {
    let (database, folder) = (Database::create().await, tempfile::tempdir().unwrap());
    for round in 0..15 {
        let line = Line::start(folder.path(), database.store());
        line.click(round * 100 + 1..=round * 100 + 100);
        for _ in 0..round * 7 {
            tokio::task::yield_now().await;
        }
        line.kill().await;
    }
    let line = Line::start(folder.path(), database.store());
    line.finish().await;
    has_each_once(&database.client().await, 1_500).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn restored_database_gets_back_what_it_lost() {
    let (database, folder) = (Database::create().await, tempfile::tempdir().unwrap());
    let client = database.client().await;
    let line = Line::start(folder.path(), database.store());
    line.click(1..=400);
    line.is_empty().await;
    let then = number(&client, "SELECT sequence FROM clicks.progress").await;
    let before: String = client.query_one("SELECT epoch::text FROM clicks.head", &[]).await.unwrap().get(0);
    let saved = "CREATE TABLE saved AS SELECT batch FROM clicks.ledger";
    client.batch_execute(saved).await.unwrap();
    line.click(401..=900);
    line.is_empty().await;
    line.kill().await;
    let restore = format!(
        "DELETE FROM clicks.click WHERE batch NOT IN (SELECT batch FROM saved);
         DELETE FROM clicks.ledger WHERE batch NOT IN (SELECT batch FROM saved);
         UPDATE clicks.progress SET sequence = {then};
         UPDATE clicks.head SET position = (SELECT max(position) FROM clicks.ledger);"
    );
    client.batch_execute(&restore).await.unwrap();
    // What was shipped stands in the folder too, once the log was closed.
    let line = Line::start(folder.path(), database.store());
    line.click(901..=950);
    line.finish().await;
    has_each_once(&client, 950).await;
    let after: String = client.query_one("SELECT epoch::text FROM clicks.head", &[]).await.unwrap().get(0);
    assert_ne!(after, before, "positions were taken back");
}

#[tokio::test(flavor = "multi_thread")]
async fn database_restored_to_before_the_log_was_known_begins_a_new_epoch() {
    let (database, folder) = (Database::create().await, tempfile::tempdir().unwrap());
    let client = database.client().await;
    let line = Line::start(folder.path(), database.store());
    line.click(1..=100);
    line.finish().await;
    let epoch = "SELECT epoch::text FROM clicks.head";
    let before: String = client.query_one(epoch, &[]).await.unwrap().get(0);
    let restore = "DELETE FROM clicks.click; DELETE FROM clicks.ledger; DELETE FROM clicks.progress;
        UPDATE clicks.head SET position = 0";
    client.batch_execute(restore).await.unwrap();
    let line = Line::start(folder.path(), database.store());
    line.finish().await;
    has_each_once(&client, 100).await;
    let after: String = client.query_one(epoch, &[]).await.unwrap().get(0);
    assert_ne!(after, before, "positions were taken back");
}

fn copy(from: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.path().join(path.file_name().unwrap())).unwrap();
    }
    to
}

#[tokio::test(flavor = "multi_thread")]
async fn folder_that_was_restored_loses_and_repeats_nothing() {
    let (database, folder) = (Database::create().await, tempfile::tempdir().unwrap());
    let line = Line::start(folder.path(), database.store());
    line.click(1..=100);
    line.finish().await;
    let old = copy(folder.path());
    let line = Line::start(folder.path(), database.store());
    line.click(101..=300);
    line.finish().await;
    // The numbers 101 and on are given again, to other clicks.
    let line = Line::start(old.path(), database.store());
    line.click(301..=350);
    line.finish().await;
    has_each_once(&database.client().await, 350).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn restored_folder_that_grew_before_it_was_shipped_loses_and_repeats_nothing() {
    let (database, folder) = (Database::create().await, tempfile::tempdir().unwrap());
    let line = Line::start(folder.path(), database.store());
    line.click(1..=100);
    line.finish().await;
    let old = copy(folder.path());
    let line = Line::start(folder.path(), database.store());
    line.click(101..=110);
    line.finish().await;
    // While PostgreSQL is away the log grows beyond what PostgreSQL has of it: its number alone tells nothing.
    {
        let spool = open(old.path());
        for number in 111..=150 {
            spool.append(&spool::encode(&click(at(number, SignedDuration::ZERO)))).unwrap();
        }
    }
    let line = Line::start(old.path(), database.store());
    line.finish().await;
    has_each_once(&database.client().await, 150).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_of_one_folder_that_live_at_once_lose_and_repeat_nothing() {
    let (database, folder) = (Database::create().await, tempfile::tempdir().unwrap());
    let line = Line::start(folder.path(), database.store());
    line.click(1..=100);
    line.finish().await;
    let copied = copy(folder.path());
    let lines = [folder.path(), copied.path()].map(|folder| Line::start(folder, database.store()));
    assert_eq!(lines[0].spool.source(), lines[1].spool.source());
    // Both give the numbers 101 and on to clicks of their own, now together and now in turns.
    for round in 0..10 {
        for (place, line) in (0..).zip(&lines) {
            let first = 101 + round * 40 + place * 20;
            line.click(first..=first + 19);
            if round % 2 == 0 {
                line.is_empty().await;
            }
        }
    }
    assert_ne!(lines[0].spool.source(), lines[1].spool.source(), "one of them has an id of its own now");
    for line in lines {
        line.finish().await;
    }
    has_each_once(&database.client().await, 500).await;
    let audit = database.store().check_ledger(None, None).await.unwrap();
    assert_eq!(audit.differences, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn clock_that_steps_back_changes_neither_order_nor_count() {
    let (database, folder) = (Database::create().await, tempfile::tempdir().unwrap());
    let line = Line::start(folder.path(), database.store());
    // Two hours back, in the middle of the night a day back, and the day after forward again.
    for (number, hours) in (1..).zip([0, 0, 2, 2, 26, 26, 1, 0]) {
        let click = click(at(number, SignedDuration::from_hours(hours)));
        line.spool.append(&spool::encode(&click)).unwrap();
    }
    line.is_empty().await;
    // What was shipped before is not shipped again, whatever its time.
    line.kill().await;
    let line = Line::start(folder.path(), database.store());
    line.click(9..=9);
    line.finish().await;
    let client = database.client().await;
    has_each_once(&client, 9).await;
    let sequences =
        client.query("SELECT sequence, id FROM clicks.click ORDER BY sequence", &[]).await.unwrap();
    let sequences: Vec<i64> = sequences.iter().map(|row| row.get(0)).collect();
    assert_eq!(sequences, (1..=9).collect::<Vec<_>>());
    let audit = database.store().check_ledger(None, None).await.unwrap();
    assert_eq!(audit.differences, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn clicks_of_1970_and_2099_in_the_local_log_are_put_aside_and_block_nothing() {
    let (database, folder) = (Database::create().await, tempfile::tempdir().unwrap());
    let line = Line::start(folder.path(), database.store());
    line.click(1..=10);
    for (number, time) in [(11, "1970-01-01T00:00:01Z"), (12, "2099-12-31T23:59:59Z")] {
        let mut random = [0; 10];
        random[9] = number;
        let id = ClickId::new(time.parse().unwrap(), random);
        line.spool.append(&spool::encode(&click(id))).unwrap();
    }
    line.click(13..=20);
    line.is_empty().await;
    assert_eq!(line.metrics.clicks_rejected.get(), 2);
    line.finish().await;
    let client = database.client().await;
    assert_eq!(number(&client, "SELECT count(*) FROM clicks.click").await, 18);
    let reasons = client.query("SELECT reason FROM clicks.rejected ORDER BY sequence", &[]).await.unwrap();
    let reasons: Vec<String> = reasons.iter().map(|row| row.get(0)).collect();
    assert_eq!(reasons, ["its day, 1970-01-01, is not open", "its day, 2099-12-31, is not open"]);
    let days = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'clicks.click'::regclass";
    assert!(number(&client, days).await <= 2, "no days are made for them");
}

#[tokio::test(flavor = "multi_thread")]
async fn clicks_that_cannot_be_read_are_counted_and_pass() {
    let (database, folder) = (Database::create().await, tempfile::tempdir().unwrap());
    {
        let spool = open(folder.path());
        for number in 1..=300 {
            spool.append(&spool::encode(&click(at(number, SignedDuration::ZERO)))).unwrap();
        }
    }
    let mut segments: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "segment"))
        .collect();
    segments.sort();
    fs::remove_file(&segments[1]).unwrap();
    let line = Line::start(folder.path(), database.store());
    line.is_empty().await;
    let lost = i64::try_from(line.metrics.clicks_lost.get()).unwrap();
    assert!(lost > 10);
    line.finish().await;
    let client = database.client().await;
    assert_eq!(number(&client, "SELECT count(*) FROM clicks.click").await, 300 - lost);
    assert_eq!(number(&client, "SELECT sum(lost) FROM clicks.ledger").await, lost);
    assert_eq!(number(&client, "SELECT sequence FROM clicks.progress").await, 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn batch_that_takes_too_long_is_shipped_in_smaller_ones() {
    let (database, folder) = (Database::create().await, tempfile::tempdir().unwrap());
    let client = database.client().await;
    // The database gives up, as after its timeout, on whoever brings more than 300 at once.
    let slow = "CREATE FUNCTION too_slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF (SELECT count(*) FROM added) > 300 THEN
                 RAISE EXCEPTION 'canceling statement due to statement timeout' USING ERRCODE = '57014';
             END IF;
             RETURN NULL;
         END $$;
         CREATE TRIGGER too_slow AFTER INSERT ON clicks.click REFERENCING NEW TABLE AS added
             EXECUTE FUNCTION too_slow();";
    client.batch_execute(slow).await.unwrap();
    {
        let spool = open(folder.path());
        for number in 1..=1_000 {
            spool.append(&spool::encode(&click(at(number, SignedDuration::ZERO)))).unwrap();
        }
    }
    let line = Line::start(folder.path(), database.store());
    line.finish().await;
    has_each_once(&client, 1_000).await;
}

#[tokio::test]
async fn whatever_refuses_a_piece_without_clicks_is_told() {
    let database = Database::create().await;
    let client = database.client().await;
    client.batch_execute("ALTER TABLE clicks.ledger ADD CHECK (lost = 0)").await.unwrap();
    let mut ingestor = database.store().ingestor().await.unwrap();
    let losses = Delivery { source: Uuid::from_u128(1), after: 0, first: 5, frames: Vec::new() };
    let told = timeout(PATIENCE, ingestor.ingest(&losses, Days::kept(Timestamp::now(), 30))).await;
    assert!(told.expect("it is tried for ever").is_err());
}

#[tokio::test]
async fn click_that_a_batch_brings_twice_counts_once() {
    let database = Database::create().await;
    let mut ingestor = database.store().ingestor().await.unwrap();
    let days = Days::kept(Timestamp::now(), 30);
    let one = |number| click(at(number, SignedDuration::ZERO));
    let (first, second, third) = (one(1), one(2), one(3));
    let source = Uuid::from_u128(1);
    let mut deliver = async |after, clicks: &[Click]| {
        let done = ingestor.ingest(&batch(source, after, clicks), days).await.unwrap();
        (done.applied, done.duplicates)
    };
    assert_eq!(deliver(0, &[first.clone(), first.clone()]).await, (1, 1));
    assert_eq!(deliver(2, &[first.clone(), second.clone(), second.clone()]).await, (1, 2));
    assert_eq!(deliver(5, &[third]).await, (1, 0));
    assert_eq!(deliver(6, &[first, second]).await, (0, 2));
    has_each_once(&database.client().await, 3).await;
}

#[tokio::test]
async fn postgres_is_told_to_notice_that_we_vanished() {
    let database = Database::create().await;
    let _reader = database.store().counter_reader().await.unwrap();
    let told = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND query LIKE '%tcp_keepalives_idle = 10;%tcp_keepalives_count = 3;%tcp_user_timeout = 30000;%random_page_cost = 1.1'";
    assert_eq!(number(&database.client().await, told).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn losses_of_a_batch_whose_answer_was_lost_are_told() {
    let (database, folder) = (Database::create().await, tempfile::tempdir().unwrap());
    let source = {
        let spool = open(folder.path());
        for number in 1..=10 {
            spool.append(&spool::encode(&click(at(number, SignedDuration::ZERO)))).unwrap();
        }
        Uuid::from_bytes(*spool.source().bytes())
    };
    // The first four could not be read, five and six went in with that, and nobody heard of it.
    let mut spooled = Vec::new();
    let spool = open(folder.path());
    if let Batch::Frames { contents, .. } = Reader::new(spool.clone(), 5).batch(2, 1 << 20).unwrap() {
        spooled.extend(contents.iter().map(|content| spool::decode(content).unwrap()));
    }
    drop(spool);
    let delivery = Delivery { first: 5, ..batch(source, 0, &spooled) };
    let days = Days::kept(Timestamp::now(), 30);
    database.store().ingestor().await.unwrap().ingest(&delivery, days).await.unwrap();
    let line = Line::start(folder.path(), database.store());
    let metrics = line.metrics.clone();
    line.finish().await;
    assert_eq!((metrics.clicks_lost.get(), metrics.clicks_shipped.get()), (4, 4));
}
