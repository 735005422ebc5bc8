//! Days of clicks are opened ahead and removed when they are too old, whatever came in between.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, ToSpan, civil::Date, tz::TimeZone};
use smartlinks::store::{
    Store, StoreConfig,
    clicks::{Days, DaysKept, Delivery, Frame},
};
use tokio::time::timeout;
use uuid::Uuid;

use super::world::World;
use crate::support::{
    clicks::{at, click},
    server::{PATIENCE, eventually, recording},
};

/// Adds so many clicks of a day that is so many days ago, lets them be counted, and returns the day.
async fn add(store: &Store, count: u64, days_ago: i64) -> Date {
    let day = deliver(store, count, days_ago).await;
    store.rollups().await.unwrap().roll(1_000_000).await.unwrap();
    day
}

/// Adds so many clicks of a day that is so many days ago, and returns the day.
async fn deliver(store: &Store, count: u64, days_ago: i64) -> Date {
    let now = Timestamp::now();
    let frames = (0..count).map(|number| {
        let id = at(number, SignedDuration::from_hours(24 * days_ago));
        Frame { content: Vec::new(), click: Ok(click(id)) }
    });
    let delivery = Delivery { source: Uuid::new_v4(), after: 0, first: 1, frames: frames.collect() };
    store.ingestor().await.unwrap().ingest(&delivery, Days::kept(now, 1_000)).await.unwrap();
    now.to_zoned(TimeZone::UTC).date() - days_ago.days()
}

async fn keep(store: &Store) -> DaysKept {
    store.keep_click_days(Timestamp::now(), 30).await.unwrap().expect("somebody else is at it")
}

/// Returns the names of the partitions.
async fn partitions(world: &World) -> Vec<String> {
    let names = "SELECT relname::text FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
        WHERE inhparent = 'clicks.click'::regclass ORDER BY 1";
    world.client.query(names, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn old_days_go_with_an_entry_and_days_ahead_are_made() {
    let world = World::new().await;
    let store = world.database.store();
    let (first, second) = (add(&store, 7, 50).await, add(&store, 4, 31).await);
    add(&store, 5, 30).await;
    add(&store, 6, 0).await;
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    assert_eq!(keep(&store).await.dropped, [(first, 7), (second, 4)]);
    let kept = [-30, 0, 1, 2, 3].map(|days| (today + days.days()).strftime("click_%Y%m%d").to_string());
    assert_eq!(partitions(&world).await, kept);
    assert_eq!(world.number("SELECT count(*) FROM clicks.click").await, 11);
    let entries =
        "SELECT scope ->> 'day', removed FROM clicks.ledger WHERE kind = 'expiry' ORDER BY position";
    let entries = world.client.query(entries, &[]).await.unwrap();
    let entries: Vec<(String, i64)> = entries.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(entries, [(first.to_string(), 7), (second.to_string(), 4)]);
    world.adds_up().await;
    // Nothing is done twice.
    assert_eq!(keep(&store).await.dropped, []);
    world.adds_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn day_stays_until_its_clicks_are_counted() {
    let world = World::new().await;
    let store = world.database.store();
    let (counted, uncounted) = (add(&store, 3, 50).await, deliver(&store, 4, 40).await);
    assert_eq!(keep(&store).await.dropped, [(counted, 3)]);
    store.rollups().await.unwrap().roll(1_000_000).await.unwrap();
    assert_eq!(keep(&store).await.dropped, [(uncounted, 4)]);
    assert_eq!(world.number("SELECT sum(clicks)::bigint FROM clicks.stats_link_day").await, 7);
    world.adds_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn removal_that_was_interrupted_is_finished() {
    let world = World::new().await;
    let store = world.database.store();
    let mut days = Vec::new();
    for (count, days_ago) in [(3, 60), (4, 61), (5, 62)] {
        days.push((add(&store, count, days_ago).await, i64::try_from(count).unwrap()));
    }
    days.sort_unstable();
    let table = |(day, _): &(Date, i64)| day.strftime("clicks.click_%Y%m%d").to_string();
    // One was detached, and the server ended before it was entered.
    let detach = format!("ALTER TABLE clicks.click DETACH PARTITION {}", table(&days[0]));
    world.client.batch_execute(&detach).await.unwrap();
    // Of another one the detaching itself was cut off half-way, by somebody who reads.
    let reader = world.database.client().await;
    reader.batch_execute("BEGIN; SELECT count(*) FROM clicks.click").await.unwrap();
    world.client.batch_execute("SET statement_timeout = '300ms'").await.unwrap();
    let detach = format!("ALTER TABLE clicks.click DETACH PARTITION {} CONCURRENTLY", table(&days[1]));
    world.client.batch_execute(&detach).await.unwrap_err();
    world.client.batch_execute("RESET statement_timeout").await.unwrap();
    assert_eq!(world.number("SELECT count(*) FROM pg_inherits WHERE inhdetachpending").await, 1);
    reader.batch_execute("COMMIT").await.unwrap();

    assert_eq!(keep(&store).await.dropped, days);
    assert_eq!(world.number("SELECT sum(removed) FROM clicks.ledger").await, 12);
    world.adds_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn removal_waits_for_who_reads_and_stops_nobody_who_writes() {
    let world = World::new().await;
    let store = world.database.store();
    let day = add(&store, 3, 60).await;
    let reader = world.database.client().await;
    reader.batch_execute("BEGIN; SELECT count(*) FROM clicks.click").await.unwrap();
    let keeping = tokio::spawn({
        let store = store.clone();
        async move { keep(&store).await }
    });
    let pending = "SELECT count(*) FROM pg_inherits WHERE inhdetachpending";
    eventually("a day that is being detached", || async { (world.number(pending).await == 1).then_some(()) })
        .await;
    // Meanwhile clicks go in, and days are opened; of two servers one looks after the days.
    timeout(PATIENCE, add(&store, 5, 0)).await.unwrap();
    timeout(PATIENCE, add(&store, 5, 3)).await.unwrap();
    assert_eq!(store.keep_click_days(Timestamp::now(), 30).await.unwrap(), None);
    assert!(!keeping.is_finished());
    reader.batch_execute("COMMIT").await.unwrap();
    let kept = timeout(PATIENCE, keeping).await.unwrap().unwrap();
    assert_eq!(kept.dropped, [(day, 3)]);
    world.adds_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn detached_day_that_is_wanted_again_comes_back() {
    let world = World::new().await;
    let store = world.database.store();
    let day = add(&store, 3, 10).await;
    let detach = format!("ALTER TABLE clicks.click DETACH PARTITION {}", day.strftime("clicks.click_%Y%m%d"));
    world.client.batch_execute(&detach).await.unwrap();
    let late = Frame { content: Vec::new(), click: Ok(click(at(99, SignedDuration::from_hours(240)))) };
    let delivery = Delivery { source: Uuid::new_v4(), after: 0, first: 1, frames: vec![late] };
    let days = Days::kept(Timestamp::now(), 400);
    store.ingestor().await.unwrap().ingest(&delivery, days).await.unwrap();
    assert_eq!(world.number("SELECT count(*) FROM clicks.click").await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn server_looks_after_the_days_at_its_start() {
    let world = World::new().await;
    let store = world.database.store();
    add(&store, 2, 401).await;
    let folder = tempfile::tempdir().unwrap();
    let server = world.serve(recording(world.database.url(), folder.path())).await;
    eventually("the old day to go", || async {
        (world.number("SELECT sum(removed) FROM clicks.ledger").await == 2).then_some(())
    })
    .await;
    timeout(Duration::from_secs(20), server.stop()).await.unwrap();
    world.adds_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_need_only_be_members_of_the_role_that_owns_the_tables() {
    let world = World::new().await;
    let owner: String = world.client.query_one("SELECT current_user::text", &[]).await.unwrap().get(0);
    let role = format!("server_{}", Uuid::new_v4().simple());
    let make = format!("CREATE ROLE {role} LOGIN NOSUPERUSER; GRANT {owner} TO {role}");
    world.client.batch_execute(&make).await.unwrap();
    let url = world.database.url().replace(&format!("//{owner}@"), &format!("//{role}@"));
    assert_ne!(url, world.database.url());
    let store = Store::connect(&StoreConfig { url, ..world.database.config() }).unwrap();
    add(&store, 3, 1).await;
    let day = add(&store, 4, 40).await;
    assert_eq!(keep(&store).await.dropped, [(day, 4)]);
    world.adds_up().await;
    let forget = format!("REASSIGN OWNED BY {role} TO {owner}; DROP OWNED BY {role}; DROP ROLE {role}");
    world.client.batch_execute(&forget).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn clock_that_is_a_year_ahead_removes_nothing() {
    let world = World::new().await;
    let store = world.database.store();
    for days_ago in [0, 10, 29] {
        add(&store, 3, days_ago).await;
    }
    let old = add(&store, 4, 31).await;
    let ahead = Timestamp::now() + SignedDuration::from_hours(24 * 366);
    let kept = store.keep_click_days(ahead, 30).await.unwrap().unwrap();
    assert_eq!(kept.dropped, [(old, 4)], "by the database's clock this one is too old");
    assert_eq!(world.number("SELECT count(*) FROM clicks.click").await, 9);
    // One that is behind keeps more, not less.
    let older = add(&store, 5, 35).await;
    let behind = Timestamp::now() - SignedDuration::from_hours(24 * 10);
    assert_eq!(store.keep_click_days(behind, 30).await.unwrap().unwrap().dropped, []);
    assert_eq!(keep(&store).await.dropped, [(older, 5)]);
    world.adds_up().await;
}

/// Returns clicks of a day that is so many days ago, and as many of now.
fn old_and_new(numbers: std::ops::Range<u64>, days_ago: i64) -> Vec<Frame> {
    let ago = [SignedDuration::from_hours(24 * days_ago), SignedDuration::ZERO];
    let clicks = numbers.flat_map(|number| ago.map(|ago| click(at(number, ago))));
    clicks.map(|click| Frame { content: b"as it was".to_vec(), click: Ok(click) }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn day_that_another_server_removed_is_put_aside_whole() {
    let world = World::new().await;
    let store = world.database.store();
    let (mut ingestor, source) = (store.ingestor().await.unwrap(), Uuid::new_v4());
    let days = |kept| Days::kept(Timestamp::now(), kept);
    let delivery = |after, frames| Delivery { source, after, first: after + 1, frames };
    // This connection knows the day, and another server, which keeps clicks for 30 days, removes it.
    ingestor.ingest(&delivery(0, old_and_new(0..1, 40)), days(400)).await.unwrap();
    store.rollups().await.unwrap().roll(1_000_000).await.unwrap();
    assert_eq!(keep(&store).await.dropped.len(), 1);
    let entries = world.number("SELECT count(*) FROM clicks.ledger").await;
    let done = ingestor.ingest(&delivery(2, old_and_new(1..251, 40)), days(30)).await.unwrap();
    assert_eq!((done.applied, done.rejected), (250, 250));
    assert_eq!(world.number("SELECT count(*) FROM clicks.ledger").await, entries + 1, "in one piece");
    let because = "SELECT count(*) FROM clicks.rejected WHERE reason LIKE 'its day, %, is not open'";
    assert_eq!(world.number(because).await, 250);
    world.adds_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn day_that_another_server_removed_too_early_is_opened_again() {
    let world = World::new().await;
    let store = world.database.store();
    let (mut ingestor, source) = (store.ingestor().await.unwrap(), Uuid::new_v4());
    let days = Days::kept(Timestamp::now(), 400);
    let delivery = |after, frames| Delivery { source, after, first: after + 1, frames };
    ingestor.ingest(&delivery(0, old_and_new(0..1, 40)), days).await.unwrap();
    store.rollups().await.unwrap().roll(1_000_000).await.unwrap();
    assert_eq!(keep(&store).await.dropped.len(), 1);
    let clicks = old_and_new(1..51, 40);
    let done = ingestor.ingest(&delivery(2, clicks.clone()), days).await.unwrap();
    assert_eq!((done.applied, done.rejected), (100, 0));
    // The same of one that is there and no partition any more; a batch that brings some twice notices as well.
    let day = Timestamp::now().to_zoned(TimeZone::UTC).date() - 40.days();
    let detach = format!("ALTER TABLE clicks.click DETACH PARTITION {}", day.strftime("clicks.click_%Y%m%d"));
    world.client.batch_execute(&detach).await.unwrap();
    let done = ingestor
        .ingest(&delivery(102, [&clicks[80..], &old_and_new(51..61, 40)].concat()), days)
        .await
        .unwrap();
    assert_eq!((done.applied, done.duplicates, done.rejected), (20, 20, 0));
    assert_eq!(world.number("SELECT max(position) FROM clicks.ledger").await, 4);
    world.adds_up().await;
}

/// Detaches a day as the keeper does, and is killed right after.
async fn detach_and_die(world: &World, day: Date) {
    let table = day.strftime("clicks.click_%Y%m%d");
    let detach = format!("ALTER TABLE clicks.click DETACH PARTITION {table} CONCURRENTLY");
    world.client.batch_execute(&detach).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn late_clicks_of_a_day_that_is_detached_are_counted_before_it_goes() {
    let world = World::new().await;
    let store = world.database.store();
    let day = add(&store, 3, 50).await;
    // They came when the keeper had looked already.
    deliver(&store, 4, 50).await;
    detach_and_die(&world, day).await;
    assert_eq!(keep(&store).await.dropped, [], "four are not counted");
    store.rollups().await.unwrap().roll(1_000_000).await.unwrap();
    assert_eq!(world.number("SELECT sum(clicks) FROM clicks.stats_link_day").await, 7);
    assert_eq!(keep(&store).await.dropped, [(day, 7)]);
    assert_eq!(world.number("SELECT sum(removed) FROM clicks.ledger").await, 7);
    world.adds_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn detached_day_of_which_clicks_were_erased_is_counted_anew_before_it_goes() {
    let world = World::new().await;
    let store = world.database.store();
    let day = add(&store, 5, 50).await;
    // The server that erased died before it could count anew.
    let erase = r#"WITH gone AS (DELETE FROM clicks.click WHERE id IN (SELECT id FROM clicks.click LIMIT 2))
        INSERT INTO clicks.reroll (shop, day) SELECT 'acme', ((now() AT TIME ZONE 'UTC')::date - 50);
        UPDATE clicks.head SET position = position + 1;
        INSERT INTO clicks.ledger (position, batch, kind, removed, scope)
            SELECT position, 99, 'erasure', 2, '{"shop": "acme"}' FROM clicks.head"#;
    world.client.batch_execute(erase).await.unwrap();
    detach_and_die(&world, day).await;
    assert_eq!(keep(&store).await.dropped, [], "it has to be counted anew");
    let mut rollups = store.rollups().await.unwrap();
    while rollups.reroll_next(None).await.unwrap() {}
    assert_eq!(world.number("SELECT sum(clicks) FROM clicks.stats_link_day").await, 3);
    rollups.roll(1_000_000).await.unwrap();
    assert_eq!(keep(&store).await.dropped, [(day, 3)]);
    world.adds_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn detached_day_that_is_kept_longer_now_comes_back() {
    let world = World::new().await;
    let store = world.database.store();
    let day = add(&store, 3, 50).await;
    detach_and_die(&world, day).await;
    // Then the retention was raised.
    let kept = store.keep_click_days(Timestamp::now(), 60).await.unwrap().unwrap();
    assert_eq!(kept, DaysKept { returned: vec![day], ..DaysKept::default() });
    assert_eq!(world.number("SELECT count(*) FROM clicks.click").await, 3);
    world.adds_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_put_aside_is_emptied_when_it_is_too_old() {
    let world = World::new().await;
    let store = world.database.store();
    let mut ingestor = store.ingestor().await.unwrap();
    let delivery = Delivery { source: Uuid::new_v4(), after: 0, first: 1, frames: old_and_new(0..6, 60) };
    let done = ingestor.ingest(&delivery, Days::kept(Timestamp::now(), 30)).await.unwrap();
    assert_eq!((done.applied, done.rejected), (6, 6));
    // Two are older than the installation keeps clicks, and of the others two older than their shop does.
    let shop = r#"UPDATE shop SET settings = settings || '{"click_retention_days": 10}' WHERE id = 'acme';
        UPDATE clicks.rejected SET shop = 'bravo' WHERE sequence > 5;
        UPDATE clicks.rejected SET at = at - interval '31 days' WHERE sequence IN (7, 9);
        UPDATE clicks.rejected SET at = at - interval '11 days' WHERE sequence IN (1, 3, 11)"#;
    world.client.batch_execute(shop).await.unwrap();
    keep(&store).await;
    let left = "SELECT sum(sequence) FROM clicks.rejected WHERE content <> ''";
    assert_eq!(world.number(left).await, 5 + 11);
    let emptied = "SELECT count(*) FROM clicks.rejected WHERE reason = 'expired'
        AND num_nonnulls(shop, click_at, partner, visitor) = 0";
    assert_eq!(world.number(emptied).await, 4);
    world.adds_up().await;
    assert_eq!(store.check_ledger(None, None).await.unwrap().differences, []);
}
