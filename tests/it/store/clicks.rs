//! The log of clicks: in once, in order, whatever comes twice, late or broken.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use smartlinks::{
    domain::click::Click,
    store::clicks::{Days, Delivery, Frame, Ingested, Ingestor, NotIngested},
};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::support::{
    clicks::{at, click},
    database::Database,
    server::eventually,
};

fn frame(click: Click) -> Frame {
    Frame { content: b"as it was".to_vec(), click: Ok(click) }
}

/// Numbers of clicks that are there once and for all.
fn frames(numbers: std::ops::RangeInclusive<u64>) -> Vec<Frame> {
    numbers.map(|number| frame(click(at(number, SignedDuration::ZERO)))).collect()
}

fn delivery(source: Uuid, after: u64, frames: Vec<Frame>) -> Delivery {
    Delivery { source, after, first: after + 1, frames }
}

fn days() -> Days {
    Days::kept(Timestamp::now(), 30)
}

async fn ingest(ingestor: &mut Ingestor, delivery: &Delivery) -> Ingested {
    ingestor.ingest(delivery, days()).await.unwrap()
}

async fn count(client: &Client, query: &str) -> i64 {
    client.query_one(&format!("SELECT ({query})::bigint"), &[]).await.unwrap().get(0)
}

const SOURCE: Uuid = Uuid::from_u128(0xa);

#[tokio::test]
async fn putting_aside_takes_one_statement_however_many_there_are() {
    let database = Database::create().await;
    let client = database.client().await;
    let counted = "CREATE TABLE statements (at timestamptz);
        CREATE FUNCTION count_statement() RETURNS trigger LANGUAGE plpgsql
            AS 'BEGIN INSERT INTO statements VALUES (now()); RETURN NULL; END';
        CREATE TRIGGER counted AFTER INSERT ON clicks.rejected EXECUTE FUNCTION count_statement();
        GRANT ALL ON statements TO public";
    client.batch_execute(counted).await.unwrap();
    let unreadable = |number: u8| Frame { content: vec![number], click: Err(format!("no {number}")) };
    let mut ingestor = database.store().ingestor().await.unwrap();
    let ingested =
        ingest(&mut ingestor, &delivery(Uuid::from_u128(1), 0, (1..=200).map(unreadable).collect())).await;
    assert_eq!(ingested.rejected, 200);
    assert_eq!(count(&client, "SELECT count(*) FROM statements").await, 1);
    let whole = "SELECT count(*) FROM clicks.rejected WHERE reason = 'no ' || sequence
        AND get_byte(content, 0) = sequence";
    assert_eq!(count(&client, whole).await, 200);
}

#[tokio::test]
async fn batches_go_in_once_and_progress_is_remembered() {
    let database = Database::create().await;
    let (store, client) = (database.store(), database.client().await);
    let mut ingestor = store.ingestor().await.unwrap();
    assert_eq!(ingestor.progress(SOURCE).await.unwrap(), None);
    let first = delivery(SOURCE, 0, frames(1..=100));
    let done = ingest(&mut ingestor, &first).await;
    assert_eq!((done.position, done.applied, done.duplicates, done.rejected), (1, 100, 0, 0));
    // The answer was lost, and it comes again.
    let again = ingestor.ingest(&first, days()).await.unwrap_err();
    assert!(matches!(again, NotIngested::Elsewhere { progress: Some(100) }), "{again:?}");
    // A part was left out.
    let ahead = ingestor.ingest(&delivery(SOURCE, 150, frames(151..=160)), days()).await.unwrap_err();
    assert!(matches!(ahead, NotIngested::Elsewhere { progress: Some(100) }), "{ahead:?}");
    let done = ingest(&mut ingestor, &delivery(SOURCE, 100, frames(101..=110))).await;
    assert_eq!((done.position, done.applied), (2, 10));
    drop(ingestor);
    assert_eq!(store.ingestor().await.unwrap().progress(SOURCE).await.unwrap(), Some(110));
    assert_eq!(count(&client, "SELECT count(*) FROM clicks.click").await, 110);
    assert_eq!(count(&client, "SELECT sum(applied) - sum(removed) FROM clicks.ledger").await, 110);
}

#[tokio::test]
async fn click_is_a_row_as_it_was() {
    let database = Database::create().await;
    let mut ingestor = database.store().ingestor().await.unwrap();
    let one = click(at(1, SignedDuration::from_mins(5)));
    ingest(&mut ingestor, &delivery(SOURCE, 41, vec![frame(one.clone())])).await;
    let row = "SELECT row_to_json(click)::text FROM clicks.click";
    let row: String = database.client().await.query_one(row, &[]).await.unwrap().get(0);
    let row: serde_json::Value = serde_json::from_str(&row).unwrap();
    let time: Timestamp = row["at"].as_str().unwrap().parse().unwrap();
    assert_eq!(time, one.id.time());
    let expected = serde_json::json!({
        "at": row["at"], "batch": 1, "sequence": 42, "id": one.id.to_string(), "shop": "acme", "slug": "sale",
        "revision": 3, "channel": "link", "reason": "default", "rule": null, "destination": "/sale",
        "partner": "anna", "program": null, "attribution": "credited", "traffic": "human",
        "traffic_why": "nothing else", "country": null, "device": null, "os": null, "browser": null,
        "variant": null,
        "language": "de", "referrer": "", "visitor": "\\x04040404040404040404040404040404",
        "sub_ids": ["s1", "x"], "visitor_total": null, "link_total": 9, "partner_total": null,
    });
    assert_eq!(row, expected);
}

#[tokio::test]
async fn click_that_two_logs_bring_counts_once() {
    let database = Database::create().await;
    let (store, client) = (database.store(), database.client().await);
    let (mut one, mut two) = (store.ingestor().await.unwrap(), store.ingestor().await.unwrap());
    let (shared, own) = (frames(1..=50), frames(51..=60));
    ingest(&mut one, &delivery(SOURCE, 0, shared.clone())).await;
    // Twice in one batch as well.
    let all: Vec<_> = shared.iter().chain(&own).chain(&own[..3]).cloned().collect();
    let done = ingest(&mut two, &delivery(Uuid::from_u128(0xb), 0, all)).await;
    assert_eq!((done.applied, done.duplicates), (10, 53));
    assert_eq!(count(&client, "SELECT count(*) FROM clicks.click").await, 60);
    // The same id in another shop is another click.
    let mut elsewhere = shared[0].clone();
    elsewhere.click.as_mut().unwrap().shop = "other".to_owned().try_into().unwrap();
    let done = ingest(&mut one, &delivery(SOURCE, 50, vec![elsewhere])).await;
    assert_eq!((done.applied, done.duplicates), (1, 0));
}

#[tokio::test]
async fn what_is_late_absurd_or_unreadable_is_put_aside_and_stops_nothing() {
    let database = Database::create().await;
    let (store, client) = (database.store(), database.client().await);
    let mut ingestor = store.ingestor().await.unwrap();
    let hours = SignedDuration::from_hours;
    let mut wrong = click(at(5, SignedDuration::ZERO));
    wrong.destination = "/with\0in".to_owned();
    let batch = vec![
        frame(click(at(1, hours(24 * 29)))),
        frame(click(at(2, hours(24 * 40)))),
        frame(click(at(3, hours(24 * 365 * 56)))),
        frame(click(at(4, hours(-24 * 365 * 73)))),
        frame(wrong),
        Frame { content: vec![0, 255], click: Err("not a click".to_owned()) },
        frame(click(at(7, SignedDuration::ZERO))),
    ];
    let done = ingest(&mut ingestor, &delivery(SOURCE, 0, batch)).await;
    assert_eq!((done.applied, done.duplicates, done.rejected), (2, 0, 5));
    assert_eq!(ingestor.progress(SOURCE).await.unwrap(), Some(7));
    let rows = client.query("SELECT sequence, reason, content FROM clicks.rejected ORDER BY sequence", &[]);
    let rows = rows.await.unwrap();
    let rejected: Vec<(i64, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let numbers: Vec<_> = rejected.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [2, 3, 4, 5, 6]);
    assert!(
        rejected[0].1.starts_with("its day, ") && rejected[0].1.ends_with(", is not open"),
        "{rejected:?}"
    );
    assert!(rejected[3].1.contains("0x00"), "{rejected:?}");
    assert_eq!(rejected[4].1, "not a click");
    assert_eq!(rows[4].get::<_, Vec<u8>>(2), [0, 255]);
    let sums = "SELECT sum(delivered) - sum(applied + duplicates + rejected) FROM clicks.ledger";
    assert_eq!(count(&client, sums).await, 0);
    let range = "SELECT min(first_sequence) * 1000 + max(last_sequence) FROM clicks.ledger";
    assert_eq!(count(&client, range).await, 1_007);
}

#[tokio::test]
async fn lost_numbers_stand_in_the_ledger() {
    let database = Database::create().await;
    let (store, client) = (database.store(), database.client().await);
    let mut ingestor = store.ingestor().await.unwrap();
    ingest(&mut ingestor, &delivery(SOURCE, 0, frames(1..=3))).await;
    let lost = Delivery { source: SOURCE, after: 3, first: 9, frames: frames(9..=9) };
    ingest(&mut ingestor, &lost).await;
    let nothing_left = Delivery { source: SOURCE, after: 9, first: 12, frames: Vec::new() };
    ingest(&mut ingestor, &nothing_left).await;
    assert_eq!(ingestor.progress(SOURCE).await.unwrap(), Some(11));
    assert_eq!(count(&client, "SELECT sum(lost) FROM clicks.ledger").await, 5 + 2);
}

#[tokio::test]
async fn positions_have_no_gaps_whoever_writes() {
    let database = Database::create().await;
    let (store, client) = (database.store(), database.client().await);
    let writers = (0..4_u64).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut ingestor = store.ingestor().await.unwrap();
            let source = Uuid::from_u128(u128::from(writer) + 1);
            for batch in 0..10 {
                let first = writer * 1_000 + batch * 20;
                ingest(&mut ingestor, &delivery(source, batch * 20, frames(first + 1..=first + 20))).await;
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let rows = client.query("SELECT position FROM clicks.ledger ORDER BY position", &[]).await.unwrap();
    let positions: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(positions, (1..=40).collect::<Vec<_>>());
    assert_eq!(count(&client, "SELECT count(*) FROM clicks.click").await, 800);
    assert_eq!(count(&client, "SELECT position FROM clicks.head").await, 40);
}

#[tokio::test]
async fn of_two_who_begin_one_log_at_once_one_is_sent_back() {
    let database = Database::create().await;
    let mut client = database.client().await;
    let watcher = database.client().await;
    // Both have looked at how far the log is, and wait for their place in the ledger.
    let held = client.transaction().await.unwrap();
    held.execute("SELECT FROM clicks.head FOR UPDATE", &[]).await.unwrap();
    let both = [1..=10, 11..=15].map(|numbers| {
        let store = database.store();
        tokio::spawn(async move {
            let mut ingestor = store.ingestor().await.unwrap();
            ingestor.ingest(&delivery(SOURCE, 0, frames(numbers)), days()).await
        })
    });
    let waiting = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%UPDATE clicks.head%'";
    eventually("two who wait", || async { (count(&watcher, waiting).await == 2).then_some(()) }).await;
    held.commit().await.unwrap();
    let mut written = Vec::new();
    let mut sent_back = Vec::new();
    for one in both {
        match one.await.unwrap() {
            Ok(ingested) => written.push(i64::from(ingested.applied)),
            Err(NotIngested::Elsewhere { progress }) => sent_back.push(progress),
            Err(NotIngested::Store(error)) => panic!("{error:?}"),
        }
    }
    let progress = count(&watcher, "SELECT sequence FROM clicks.progress").await;
    assert_eq!(written, [progress]);
    assert_eq!(sent_back, [u64::try_from(progress).ok()]);
    assert_eq!(count(&watcher, "SELECT count(*) FROM clicks.click").await, progress);
    assert_eq!(database.store().check_ledger(None, None).await.unwrap().differences, []);
}

#[tokio::test]
async fn partition_is_made_while_somebody_writes() {
    let database = Database::create().await;
    let store = database.store();
    let mut ingestor = store.ingestor().await.unwrap();
    ingest(&mut ingestor, &delivery(SOURCE, 0, frames(1..=1))).await;
    let mut writer = database.client().await;
    let open = writer.transaction().await.unwrap();
    let copied = "INSERT INTO clicks.click (at, batch, sequence, id, shop, revision, channel, reason, destination,
        attribution, traffic, traffic_why) SELECT at, 99, 99, gen_random_uuid(), 'x', 1, '', '', '', '', '', ''
        FROM clicks.click";
    open.execute(copied, &[]).await.unwrap();
    // Yesterday's partition is not there yet, and the other transaction is not over.
    let yesterday = frame(click(at(2, SignedDuration::from_hours(24))));
    let done = ingest(&mut ingestor, &delivery(SOURCE, 1, vec![yesterday])).await;
    assert_eq!(done.applied, 1);
    open.commit().await.unwrap();
    let names = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'clicks.click'::regclass";
    let names = database.client().await.query(names, &[]).await.unwrap();
    assert_eq!(names.iter().map(|row| row.get::<_, String>(0)).collect::<BTreeSet<_>>().len(), 2);
}

#[tokio::test]
async fn database_that_goes_away_is_told_from_a_batch_that_is_wrong() {
    let database = Database::create().await;
    let mut ingestor = database.store().ingestor().await.unwrap();
    let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    assert!(count(&database.client().await, kill).await >= 1);
    let error = ingestor.ingest(&delivery(SOURCE, 0, frames(1..=5)), days()).await.unwrap_err();
    assert!(matches!(error, NotIngested::Store(smartlinks::store::StoreError::Unavailable(_))), "{error:?}");
}
