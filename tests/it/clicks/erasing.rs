//! What is counted while somebody erases: nothing is counted that is gone, and nothing is counted anew in vain.

use jiff::{SignedDuration, Timestamp};
use smartlinks::{
    domain::erasure::ErasureScope,
    store::{
        Store,
        clicks::{Days, Rolled},
    },
};
use tokio_postgres::Client;
use uuid::Uuid;

use super::rolling::{figures_equal_the_log, number};
use crate::support::{
    clicks::{Crowd, batch},
    database::Database,
    objects::shop_id,
};

/// Brings two entries of 300 clicks each, of which the first is counted.
async fn half_counted(store: &Store) {
    let now = Timestamp::now();
    let clicks = Crowd::new(8, (now - SignedDuration::from_hours(60), now)).clicks(600);
    let mut ingestor = store.ingestor().await.unwrap();
    let days = Days::kept(now, 30);
    for (after, part) in [(0, &clicks[..300]), (300, &clicks[300..])] {
        ingestor.ingest(&batch(Uuid::from_u128(1), after, part), days).await.unwrap();
        if after == 0 {
            roll_all(store).await;
        }
    }
}

async fn roll_all(store: &Store) {
    let mut rollups = store.rollups().await.unwrap();
    while rollups.roll(1).await.unwrap() != Rolled::UpToDate {}
}

/// Checks that the counters that rules look at are what is in the log.
pub(super) async fn counters_equal_the_log(client: &Client, case: &str) {
    for (table, name) in [("counter_link", "slug"), ("counter_partner", "partner")] {
        let query =
            format!("SELECT shop, {name}, clicks FROM clicks.{table} WHERE clicks > 0 ORDER BY shop, {name}");
        let log = format!(
            "SELECT shop, {name}, count(*) FROM clicks.click WHERE {name} IS NOT NULL AND traffic = 'human'
             AND reason IN ('rule', 'default') GROUP BY 1, 2 ORDER BY shop, {name}"
        );
        let rows = async |query: &str| -> Vec<(String, String, i64)> {
            let rows = client.query(query, &[]).await.unwrap();
            rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
        };
        assert_eq!(rows(&query).await, rows(&log).await, "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clicks_that_are_counted_while_they_are_erased_leave_the_counters() {
    for scope in [
        ErasureScope::Everything,
        ErasureScope::Partner("anna".to_owned().try_into().unwrap()),
        ErasureScope::Visitor([3; 16]),
    ] {
        let case = format!("{scope:?}");
        let database = Database::create().await;
        let (store, client) = (database.store(), database.client().await);
        half_counted(&store).await;
        let mut eraser = store.eraser(&shop_id("acme"), &scope).await.unwrap();
        // Those of the second entry are counted when it has begun, and not all of the first are erased.
        eraser.step(20).await.unwrap();
        eraser.step(20).await.unwrap();
        roll_all(&store).await;
        while eraser.step(20).await.unwrap().is_some() {}
        counters_equal_the_log(&client, &case).await;
        let left = "SELECT count(*) FROM clicks.counter_partner WHERE shop = 'acme' AND partner = 'anna'";
        let is_left = i64::from(matches!(scope, ErasureScope::Visitor(_)));
        assert_eq!(number(&client, left).await, is_left, "{case}: not even the name is left");
        figures_equal_the_log(&client).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn days_are_counted_anew_once_and_not_while_somebody_erases() {
    let database = Database::create().await;
    let (store, client) = (database.store(), database.client().await);
    half_counted(&store).await;
    roll_all(&store).await;
    let scope = ErasureScope::Partner("anna".to_owned().try_into().unwrap());
    let mut eraser = store.eraser(&shop_id("acme"), &scope).await.unwrap();
    while eraser.step(5).await.unwrap().unwrap().clicks == 0 {}
    let marks = "SELECT count(*) FROM clicks.reroll";
    assert!(number(&client, marks).await > 0);
    // Whoever erases has not finished with the day: it would have to be counted again.
    let mut rollups = store.rollups().await.unwrap();
    assert!(!rollups.reroll_next(None).await.unwrap());
    assert!(number(&client, marks).await > 0);
    drop(eraser);
    let days = number(&client, marks).await;
    // Whoever erased is gone a moment later; of two who find the marks each takes others.
    let (mut first, mut second) = (store.rollups().await.unwrap(), store.rollups().await.unwrap());
    let mut done = 0;
    while done < days {
        let (one, other) = tokio::join!(first.reroll_next(None), second.reroll_next(None));
        done += i64::from(one.unwrap()) + i64::from(other.unwrap());
    }
    assert_eq!((done, number(&client, marks).await), (days, 0));
    figures_equal_the_log(&client).await;
}
