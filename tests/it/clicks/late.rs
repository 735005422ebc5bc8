//! Clicks that come for a day that was removed: they are counted, and nobody takes them for all that the day had.

use jiff::{SignedDuration, Timestamp, ToSpan, civil::Date, tz::TimeZone};
use smartlinks::{
    domain::{
        click::Click,
        erasure::ErasureScope,
        stats::{Dimension, Granularity, Pieces, StatsQuery},
    },
    store::{
        NotCounted, Store,
        clicks::{Days, Rolled},
    },
};
use uuid::Uuid;

use super::world::World;
use crate::support::{
    clicks::{at, batch, click},
    objects::shop_id,
};

/// How many days ago the day is that was removed.
const AGO: i64 = 40;

/// A day that a server removed which keeps clicks for 30 days, with late clicks from one that keeps them for longer.
struct Late {
    world: World,
    store: Store,
    day: Date,
}

/// Returns clicks of the day, each of a visitor of its own from this number on.
fn clicks(numbers: std::ops::Range<u8>) -> Vec<Click> {
    let one = |number: u8| {
        let id = at(u64::from(number), SignedDuration::from_hours(24 * AGO));
        Click { visitor: Some([number; 16]), ..click(id) }
    };
    numbers.map(one).collect()
}

impl Late {
    /// Seven clicks were there; three of them and three new ones come late.
    async fn new() -> Self {
        let world = World::new().await;
        let store = world.database.store();
        let day = Timestamp::now().to_zoned(TimeZone::UTC).date() - AGO.days();
        let late = Self { world, store, day };
        late.deliver(&clicks(0..7)).await;
        assert_eq!(late.keep(30).await, [(day, 7)]);
        let mut rollups = late.store.rollups().await.unwrap();
        while rollups.forget_visitors().await.unwrap() {}
        late.deliver(&clicks(4..10)).await;
        late
    }

    async fn deliver(&self, clicks: &[Click]) {
        let days = Days::kept(Timestamp::now(), 400);
        let delivery = batch(Uuid::new_v4(), 0, clicks);
        self.store.ingestor().await.unwrap().ingest(&delivery, days).await.unwrap();
        let mut rollups = self.store.rollups().await.unwrap();
        while rollups.roll(1_000).await.unwrap() != Rolled::UpToDate {}
    }

    async fn keep(&self, retention_days: u16) -> Vec<(Date, i64)> {
        let kept = self.store.keep_click_days(Timestamp::now(), retention_days).await.unwrap();
        kept.expect("somebody else is at it").dropped
    }

    async fn counted(&self) -> i64 {
        self.world.number("SELECT sum(clicks) FROM clicks.stats_link_day").await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn late_clicks_are_added_to_what_is_counted() {
    let late = Late::new().await;
    assert_eq!(late.counted().await, 13);
    let shop = "SELECT visitors FROM clicks.stats_visitors_day WHERE scope = 'shop'";
    assert_eq!(late.world.number(shop).await, 7, "nobody knows who of the others was there before");
    assert_eq!(late.world.number("SELECT count(*) FROM clicks.visitor_day").await, 0);
    // They go when their time has come, for the second time.
    assert_eq!(late.keep(30).await, [(late.day, 6)]);
    assert_eq!(late.counted().await, 13);
    late.world.adds_up().await;
    assert_eq!(late.store.check_ledger(None, None).await.unwrap().differences, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_are_not_answered_from_late_clicks_alone() {
    let late = Late::new().await;
    let now = Timestamp::now();
    let query = StatsQuery {
        shop: shop_id("acme"),
        pieces: Pieces::divide(
            now - SignedDuration::from_hours(24 * AGO + 1),
            now,
            Granularity::Total,
            &TimeZone::UTC,
        )
        .unwrap(),
        dimension: Some(Dimension::Link),
        filters: Default::default(),
        visitors: false,
        conversions: None,
    };
    let gone = late.store.stats(&query, 2_048).await.unwrap_err();
    assert!(matches!(gone, NotCounted::Gone { day } if day == late.day), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn erasures_leave_what_is_counted_of_the_day() {
    let late = Late::new().await;
    let mut rollups = late.store.rollups().await.unwrap();
    assert!(!rollups.reroll_day(&shop_id("acme"), late.day).await.unwrap());
    let erased = late.store.erase_clicks(&shop_id("acme"), &ErasureScope::Visitor([9; 16])).await.unwrap();
    assert_eq!(erased.clicks, 1);
    assert_eq!(late.world.number("SELECT count(*) FROM clicks.reroll").await, 0);
    assert_eq!(late.counted().await, 13, "the clicks that it is counted from are gone");
    // What is summed up by a partner goes with the partner, as of every day that is gone.
    let anna = ErasureScope::Partner("anna".to_owned().try_into().unwrap());
    assert_eq!(late.store.erase_clicks(&shop_id("acme"), &anna).await.unwrap().clicks, 5);
    let by_partner = "SELECT count(*) FROM clicks.stats_partner_day WHERE partner = 'anna'";
    assert_eq!(late.world.number(by_partner).await, 0);
    assert_eq!(late.counted().await, 13);
    let day = ErasureScope::Day(late.day);
    late.store.erase_clicks(&shop_id("acme"), &day).await.unwrap();
    assert_eq!(late.world.number("SELECT count(*) FROM clicks.stats_link_day").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn day_that_comes_back_with_its_rows_is_whole() {
    let late = Late::new().await;
    let other = late.day + 3.days();
    let id = at(99, SignedDuration::from_hours(24 * (AGO - 3)));
    late.deliver(&[click(id)]).await;
    let table = other.strftime("click_%Y%m%d");
    let detach = format!("ALTER TABLE clicks.click DETACH PARTITION clicks.{table} CONCURRENTLY");
    late.world.client.batch_execute(&detach).await.unwrap();
    let kept = late.store.keep_click_days(Timestamp::now(), 60).await.unwrap().unwrap();
    assert_eq!(kept.returned, [other]);
    let mut rollups = late.store.rollups().await.unwrap();
    assert!(rollups.reroll_day(&shop_id("acme"), other).await.unwrap());
    assert!(!rollups.reroll_day(&shop_id("acme"), late.day).await.unwrap());
}
