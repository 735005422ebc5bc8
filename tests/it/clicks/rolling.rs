//! Whatever comes when, late, twice, or while the roller is killed: what is counted is what is in the log.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, ToSpan, civil::Date, tz::TimeZone};
use rand::{RngExt, rngs::StdRng};
use smartlinks::{
    domain::{click::Click, name::ShopId},
    roller::Roller,
    store::{
        Store,
        clicks::{Days, Ingestor, Rolled},
    },
    telemetry::metrics::Metrics,
};
use tokio::{sync::watch, task::JoinSet};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::support::{
    clicks::{Crowd, batch},
    database::Database,
    server::eventually,
};

/// Clicks that are counted at once: few, so that there is more to come in between.
const PIECE: u64 = 150;

/// What is counted, and the same out of the log; the one or the other way round must be empty.
const SAME: [(&str, &str); 9] = [
    (
        "SELECT shop, at, traffic, reason, clicks FROM clicks.stats_shop_quarter",
        "SELECT shop, date_trunc('hour', at) + floor(extract(minute FROM at) / 15) * interval '15 minutes', traffic, reason, count(*)
         FROM clicks.click GROUP BY 1, 2, 3, 4",
    ),
    (
        "SELECT shop, day, slug, traffic, reason, clicks FROM clicks.stats_link_day",
        "SELECT shop, (at AT TIME ZONE 'UTC')::date, coalesce(slug, ''), traffic, reason, count(*)
         FROM clicks.click GROUP BY 1, 2, 3, 4, 5",
    ),
    (
        "SELECT shop, day, partner, traffic, reason, clicks FROM clicks.stats_partner_day",
        "SELECT shop, (at AT TIME ZONE 'UTC')::date, coalesce(partner, ''), traffic, reason, count(*)
         FROM clicks.click GROUP BY 1, 2, 3, 4, 5",
    ),
    (
        "SELECT shop, day, partner, slug, traffic, reason, clicks FROM clicks.stats_link_partner_day",
        "SELECT shop, (at AT TIME ZONE 'UTC')::date, coalesce(partner, ''), coalesce(slug, ''), traffic, reason, count(*)
         FROM clicks.click GROUP BY 1, 2, 3, 4, 5, 6",
    ),
    (
        "SELECT shop, dimension, day, value, traffic, reason, clicks FROM clicks.stats_dim_day",
        "SELECT shop, dimension, (at AT TIME ZONE 'UTC')::date, value, traffic, reason, count(*)
         FROM clicks.click CROSS JOIN LATERAL (VALUES
            ('program', coalesce(program, '')),
            ('rule', CASE WHEN rule IS NULL THEN '' ELSE concat(slug, '/', rule) END),
            ('variant', CASE WHEN variant IS NULL THEN '' ELSE concat(slug, '/', rule, '/', variant) END),
            ('country', coalesce(country, '?')), ('device', coalesce(device, '?')), ('os', coalesce(os, '?')),
            ('browser', coalesce(browser, '?')), ('language', coalesce(language, '?')),
            ('referrer', coalesce(referrer, '?')), ('channel', channel)) AS single (dimension, value)
         GROUP BY 1, 2, 3, 4, 5, 6",
    ),
    (
        "SELECT shop, scope, day, partner, slug, visitors FROM clicks.stats_visitors_day",
        "WITH counted AS (
            SELECT shop, (at AT TIME ZONE 'UTC')::date AS day, visitor, coalesce(slug, '') AS slug,
                coalesce(partner, '') AS partner
            FROM clicks.click WHERE traffic = 'human' AND reason IN ('rule', 'default') AND visitor IS NOT NULL
         )
         SELECT shop, 'shop', day, '', '', count(DISTINCT visitor) FROM counted GROUP BY 1, 3
         UNION ALL SELECT shop, 'link', day, '', slug, count(DISTINCT visitor) FROM counted GROUP BY 1, 3, 5
         UNION ALL SELECT shop, 'partner', day, partner, '', count(DISTINCT visitor) FROM counted GROUP BY 1, 3, 4
         UNION ALL SELECT shop, 'link_partner', day, partner, slug, count(DISTINCT visitor) FROM counted
            GROUP BY 1, 3, 4, 5",
    ),
    (
        "SELECT shop, slug, clicks FROM clicks.counter_link",
        "SELECT shop, slug, count(*) FROM clicks.click
         WHERE traffic = 'human' AND reason IN ('rule', 'default') AND slug IS NOT NULL GROUP BY 1, 2",
    ),
    (
        "SELECT shop, partner, clicks FROM clicks.counter_partner",
        "SELECT shop, partner, count(*) FROM clicks.click
         WHERE traffic = 'human' AND reason IN ('rule', 'default') AND partner IS NOT NULL GROUP BY 1, 2",
    ),
    ("SELECT source, sequence FROM clicks.rolled", "SELECT source, sequence FROM clicks.progress"),
];

pub(super) async fn number(client: &Client, query: &str) -> i64 {
    client.query_one(&format!("SELECT ({query})::bigint"), &[]).await.unwrap().get(0)
}

/// Checks that all that is counted is what is in the log, and that something is.
async fn equals_the_log(client: &Client) {
    check_same(client, &SAME).await;
}

/// Checks that what is counted by time is what is in the log, and that something is.
pub(super) async fn figures_equal_the_log(client: &Client) {
    check_same(client, &SAME[..6]).await;
}

/// Checks that the clicks that are counted are those in the log, and that there are some.
pub(super) async fn clicks_equal_the_log(client: &Client) {
    check_same(client, &SAME[..5]).await;
}

async fn check_same(client: &Client, same: &[(&str, &str)]) {
    for (counted, log) in same {
        let wrong = format!(
            "SELECT count(*) FROM ((({counted}) EXCEPT ALL ({log})) UNION ALL (({log}) EXCEPT ALL ({counted}))) AS wrong"
        );
        assert_eq!(number(client, &wrong).await, 0, "{counted}");
        assert!(
            number(client, &format!("SELECT count(*) FROM ({counted}) AS counted")).await > 0,
            "{counted}"
        );
    }
}

fn days() -> Days {
    Days::kept(Timestamp::now(), 30)
}

/// The last three days.
fn lately() -> (Timestamp, Timestamp) {
    let now = Timestamp::now();
    (now - SignedDuration::from_hours(72), now)
}

async fn ingest(ingestor: &mut Ingestor, source: Uuid, after: u64, clicks: &[Click]) {
    ingestor.ingest(&batch(source, after, clicks), days()).await.unwrap();
}

/// Counts until nothing is left.
async fn roll_all(store: &Store) {
    let mut rollups = store.rollups().await.unwrap();
    while rollups.roll(PIECE).await.unwrap() != Rolled::UpToDate {}
}

/// Brings clicks of three local logs, some of which bring the same.
async fn bring(store: &Store, seed: u64) {
    let mut writers = JoinSet::new();
    for writer in 1..=3_u64 {
        let store = store.clone();
        writers.spawn(async move {
            let mut ingestor = store.ingestor().await.unwrap();
            let source = Uuid::from_u128(u128::from(seed * 10 + writer));
            // Every other writer makes up the same clicks.
            let mut crowd = Crowd::new(seed * 10 + writer % 2, lately());
            let mut after = 0;
            for size in [1, 90, 20, 200, 7] {
                ingest(&mut ingestor, source, after, &crowd.clicks(size)).await;
                after += size as u64;
            }
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
}

#[tokio::test]
async fn rollers_that_are_killed_anywhere_leave_what_is_in_the_log() {
    let database = Database::create().await;
    let (store, client) = (database.store(), database.client().await);
    let mut random: StdRng = rand::SeedableRng::seed_from_u64(7);
    for seed in 1..=3 {
        let bringing = bring(&store, seed);
        let rolling = async {
            for _ in 0..12 {
                let mut rollups = store.rollups().await.unwrap();
                let span = Duration::from_micros(random.random_range(0..30_000));
                // Dropped in the middle of whatever it does, with its connection.
                tokio::time::timeout(span, async {
                    loop {
                        rollups.roll(PIECE).await.unwrap();
                    }
                })
                .await
                .unwrap_err();
            }
        };
        tokio::join!(bringing, rolling);
    }
    roll_all(&store).await;
    equals_the_log(&client).await;
    assert_eq!(number(&client, "SELECT position FROM clicks.roller").await, 45);
}

/// Makes the database give up, as after its timeout, on whoever counts more clicks at once than this.
fn slow_beyond(clicks: u64) -> String {
    format!(
        "CREATE FUNCTION too_slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF (SELECT sum(clicks) FROM added) > {clicks} THEN
                 RAISE EXCEPTION 'canceling statement due to statement timeout' USING ERRCODE = '57014';
             END IF;
             RETURN NULL;
         END $$;
         CREATE TRIGGER too_slow AFTER INSERT ON clicks.stats_link_day REFERENCING NEW TABLE AS added
             EXECUTE FUNCTION too_slow();"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn piece_that_takes_too_long_is_counted_in_smaller_ones() {
    let database = Database::create().await;
    let (store, client) = (database.store(), database.client().await);
    bring(&store, 9).await;
    // Less than all of them, and more than any entry has.
    client.batch_execute(&slow_beyond(250)).await.unwrap();
    let (stop, stopped) = watch::channel(false);
    let metrics = Metrics::new().0;
    let roller = tokio::spawn(Roller::new(store, metrics.clone(), Duration::from_millis(1)).run(stopped));
    let client_ref = &client;
    eventually("everything is counted", || async move {
        let behind = "SELECT head.position - roller.position FROM clicks.head, clicks.roller";
        (number(client_ref, behind).await == 0).then_some(())
    })
    .await;
    stop.send_replace(true);
    roller.await.unwrap();
    equals_the_log(&client).await;
    assert!(metrics.roll_failures.get() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn rollers_of_several_servers_count_once() {
    let database = Database::create().await;
    let (store, client) = (database.store(), database.client().await);
    let (stop, stopped) = watch::channel(false);
    let (metrics, mut rollers) = (Metrics::new().0, JoinSet::new());
    for _ in 0..3 {
        let roller = Roller::new(store.clone(), metrics.clone(), Duration::from_millis(1));
        rollers.spawn(roller.run(stopped.clone()));
    }
    bring(&store, 4).await;
    let (client_ref, metrics_ref) = (&client, &metrics);
    let clicks = number(&client, "SELECT count(*) FROM clicks.click").await;
    // Whoever counted the last ones may hear of it after the others.
    let counted = || i64::try_from(metrics_ref.clicks_rolled.get()).unwrap();
    eventually("everything is counted", || async move {
        let behind = "SELECT head.position - roller.position FROM clicks.head, clicks.roller";
        (number(client_ref, behind).await == 0
            && metrics_ref.rolled_position.get() == 15
            && counted() >= clicks)
            .then_some(())
    })
    .await;
    stop.send_replace(true);
    while let Some(roller) = rollers.join_next().await {
        roller.unwrap();
    }
    equals_the_log(&client).await;
    assert_eq!(counted(), clicks);
    assert_eq!(metrics.roll_failures.get(), 0);
    assert!(metrics.roll_lag.get() >= 0.0);
}

#[tokio::test]
async fn who_counts_keeps_others_from_it() {
    let database = Database::create().await;
    let store = database.store();
    bring(&store, 5).await;
    let mut client = database.client().await;
    let held = client.transaction().await.unwrap();
    held.query("SELECT FROM clicks.roller FOR UPDATE", &[]).await.unwrap();
    let mut rollups = store.rollups().await.unwrap();
    assert_eq!(rollups.roll(PIECE).await.unwrap(), Rolled::Elsewhere);
    held.commit().await.unwrap();
    assert!(matches!(rollups.roll(PIECE).await.unwrap(), Rolled::Clicks(1..=PIECE)));
    let behind = rollups.behind().await.unwrap();
    assert!(behind.position > 0 && behind.since.is_some_and(|since| since <= Timestamp::now()));
    roll_all(&store).await;
    assert_eq!(rollups.behind().await.unwrap().since, None);
}

#[tokio::test]
async fn late_clicks_count_for_their_own_day() {
    let database = Database::create().await;
    let (store, client) = (database.store(), database.client().await);
    let mut ingestor = store.ingestor().await.unwrap();
    let source = Uuid::from_u128(1);
    ingest(&mut ingestor, source, 0, &Crowd::new(1, lately()).clicks(300)).await;
    roll_all(&store).await;
    let hours = SignedDuration::from_hours;
    let week_ago = Timestamp::now() - hours(24 * 7);
    let late = Crowd::new(2, (week_ago, week_ago + hours(1))).clicks(200);
    ingest(&mut ingestor, source, 300, &late).await;
    roll_all(&store).await;
    equals_the_log(&client).await;
    let day = week_ago.to_zoned(TimeZone::UTC).date();
    let of_then =
        format!("SELECT sum(clicks) FROM clicks.stats_link_day WHERE day IN ('{day}', date '{day}' + 1)");
    assert_eq!(number(&client, &of_then).await, 200);
}

#[tokio::test]
async fn day_counted_anew_has_the_same_numbers() {
    let database = Database::create().await;
    let (store, client) = (database.store(), database.client().await);
    bring(&store, 6).await;
    let mut rollups = store.rollups().await.unwrap();
    // A part of the ledger only: what is behind must not be counted twice later.
    assert!(matches!(rollups.roll(PIECE).await.unwrap(), Rolled::Clicks(_)));
    let everything = "SELECT md5(string_agg(line, ',' ORDER BY line)) FROM (
        SELECT row_to_json(t)::text AS line FROM clicks.stats_shop_quarter t
        UNION ALL SELECT row_to_json(t)::text FROM clicks.stats_link_day t
        UNION ALL SELECT row_to_json(t)::text FROM clicks.stats_partner_day t
        UNION ALL SELECT row_to_json(t)::text FROM clicks.stats_link_partner_day t
        UNION ALL SELECT row_to_json(t)::text FROM clicks.stats_dim_day t
        UNION ALL SELECT row_to_json(t)::text FROM clicks.stats_visitors_day t
        UNION ALL SELECT row_to_json(t)::text FROM clicks.visitor_day t
        UNION ALL SELECT row_to_json(t)::text FROM clicks.counter_link t
        UNION ALL SELECT row_to_json(t)::text FROM clicks.counter_partner t) AS lines";
    let sum = async || -> String { client.query_one(everything, &[]).await.unwrap().get(0) };
    let shop: ShopId = "acme".to_owned().try_into().unwrap();
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let open: Vec<Date> = (0..=3).map(|ago| today.saturating_sub(ago.days())).collect();
    for _ in 0..2 {
        let before = sum().await;
        for day in &open {
            assert!(rollups.reroll_day(&shop, *day).await.unwrap());
        }
        assert_eq!(sum().await, before);
        roll_all(&store).await;
        equals_the_log(&client).await;
    }
    // What was spoilt is mended.
    client.batch_execute("UPDATE clicks.stats_link_day SET clicks = 0 WHERE shop = 'acme'").await.unwrap();
    client.batch_execute("DELETE FROM clicks.visitor_day WHERE shop = 'acme'").await.unwrap();
    for day in open {
        assert!(rollups.reroll_day(&shop, day).await.unwrap());
    }
    equals_the_log(&client).await;
    // A day that the log does not have is left as it is.
    assert!(!rollups.reroll_day(&shop, today.saturating_sub(20.days())).await.unwrap());
}

#[tokio::test]
async fn numbers_outlive_the_clicks() {
    let database = Database::create().await;
    let (store, client) = (database.store(), database.client().await);
    bring(&store, 8).await;
    roll_all(&store).await;
    let counted = number(&client, "SELECT sum(clicks) FROM clicks.stats_shop_quarter").await;
    let known = number(&client, "SELECT count(DISTINCT day) FROM clicks.visitor_day").await;
    let first: String = client
        .query_one("SELECT min(inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = 'clicks.click'::regclass", &[])
        .await
        .unwrap()
        .get(0);
    let expiry = format!(
        "ALTER TABLE clicks.click DETACH PARTITION {first}; DROP TABLE {first};
         WITH head AS (UPDATE clicks.head SET position = position + 1 RETURNING position)
         INSERT INTO clicks.ledger (position, batch, kind, removed)
         SELECT position, nextval('clicks.batch'), 'expiry', 1 FROM head;"
    );
    client.batch_execute(&expiry).await.unwrap();
    roll_all(&store).await;
    assert_eq!(number(&client, "SELECT sum(clicks) FROM clicks.stats_shop_quarter").await, counted);
    let behind = "SELECT head.position - roller.position FROM clicks.head, clicks.roller";
    assert_eq!(number(&client, behind).await, 0);
    let mut rollups = store.rollups().await.unwrap();
    while rollups.forget_visitors().await.unwrap() {}
    assert_eq!(number(&client, "SELECT count(DISTINCT day) FROM clicks.visitor_day").await, known - 1);
    assert!(number(&client, "SELECT sum(visitors) FROM clicks.stats_visitors_day").await > 0);
}

#[tokio::test]
async fn day_that_is_put_away_meanwhile_takes_nothing_from_what_is_counted_of_others() {
    let database = Database::create().await;
    let (store, client) = (database.store(), database.client().await);
    bring(&store, 4).await;
    // While clicks of the last days are counted, one of another century is put away.
    let put_away = "CREATE FUNCTION put_away() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             CREATE TABLE IF NOT EXISTS clicks.click_19991231 (LIKE clicks.click);
             RETURN NULL;
         END $$;
         CREATE TRIGGER put_away AFTER INSERT ON clicks.stats_link_day EXECUTE FUNCTION put_away()";
    client.batch_execute(put_away).await.unwrap();
    assert!(matches!(store.rollups().await.unwrap().roll(PIECE).await.unwrap(), Rolled::Clicks(_)));
}
