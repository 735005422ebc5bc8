//! A shop may keep clicks for a shorter time than the installation: they go in pieces that the ledger proves, and what is
//! counted of them stays.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, ToSpan, civil::Date, tz::TimeZone};
use smartlinks::{
    domain::{
        erasure::ErasureScope,
        stats::{Dimension, Granularity, Pieces, StatsQuery},
    },
    proto::{Shop, UpdateShopRequest},
    store::{
        NotCounted, Store,
        clicks::{Days, Delivery, Frame, ShopExpiry},
    },
};
use tokio::time::timeout;
use uuid::Uuid;

use super::world::World;
use crate::{
    admin::fixture::{mask, refusal},
    support::{
        clicks::{at, click},
        objects::shop_id,
        server::{TestServer, eventually, recording},
    },
};

/// Two shops of which `acme` keeps clicks for 10 days, in an installation that keeps them for 400.
struct Kept {
    world: World,
    store: Store,
    /// How many clicks were made.
    made: u64,
}

impl Kept {
    async fn new() -> Self {
        let world = World::new().await;
        let store = world.database.store();
        let kept = Self { world, store, made: 0 };
        kept.keeps(10).await;
        kept
    }

    async fn keeps(&self, days: i32) {
        let settings = format!(
            "UPDATE shop SET settings = settings || '{{\"click_retention_days\": {days}}}' WHERE id = 'acme'"
        );
        self.world.client.batch_execute(&settings).await.unwrap();
    }

    /// Brings so many clicks of each shop of a day that is so many days ago.
    async fn deliver(&mut self, count: u64, days_ago: i64) -> Date {
        let ago = SignedDuration::from_hours(24 * days_ago);
        let clicks = (self.made..self.made + count).flat_map(|number| {
            ["acme", "bravo"].map(|shop| {
                let mut click = click(at(number, ago));
                click.shop = shop.to_owned().try_into().unwrap();
                Frame { content: Vec::new(), click: Ok(click) }
            })
        });
        let delivery = Delivery { source: Uuid::new_v4(), after: 0, first: 1, frames: clicks.collect() };
        let days = Days::kept(Timestamp::now(), 400);
        self.store.ingestor().await.unwrap().ingest(&delivery, days).await.unwrap();
        self.made += count;
        Timestamp::now().to_zoned(TimeZone::UTC).date() - days_ago.days()
    }

    async fn roll(&self) {
        self.store.rollups().await.unwrap().roll(1_000_000).await.unwrap();
    }

    async fn keep(&self) -> Vec<ShopExpiry> {
        let kept = self.store.keep_click_days(Timestamp::now(), 400).await.unwrap();
        kept.expect("somebody else is at it").shops
    }

    /// Checks that what is there of the shops is this, and that the ledger proves it.
    async fn has(&self, acme: i64, bravo: i64) {
        for (shop, clicks) in [("acme", acme), ("bravo", bravo)] {
            let there = format!("SELECT count(*) FROM clicks.click WHERE shop = '{shop}'");
            assert_eq!(self.world.number(&there).await, clicks, "{shop}");
        }
        self.world.adds_up().await;
        assert_eq!(self.store.check_ledger(None, None).await.unwrap().differences, []);
    }

    async fn counted(&self, shop: &str) -> i64 {
        let counted = format!("SELECT sum(clicks) FROM clicks.stats_link_day WHERE shop = '{shop}'");
        self.world.number(&counted).await
    }

    fn expiry(clicks: i64, is_unfinished: bool) -> ShopExpiry {
        let first = Timestamp::now().to_zoned(TimeZone::UTC).date() - 10.days();
        ShopExpiry { shop: shop_id("acme"), first, clicks, is_unfinished }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clicks_that_a_shop_does_not_keep_go_and_what_is_counted_stays() {
    let mut kept = Kept::new().await;
    for days_ago in [12, 11, 10, 0] {
        kept.deliver(50, days_ago).await;
    }
    kept.roll().await;
    assert_eq!(kept.keep().await, [Kept::expiry(100, false)]);
    kept.has(100, 200).await;
    let entries = "SELECT count(*) FROM clicks.ledger WHERE kind = 'expiry' AND removed = 50
        AND scope ->> 'shop' = 'acme' AND min_at::date::text = scope ->> 'day' AND max_at IS NOT NULL";
    assert_eq!(kept.world.number(entries).await, 2);
    assert_eq!((kept.counted("acme").await, kept.counted("bravo").await), (200, 200));
    let visitors = "SELECT count(DISTINCT day) FROM clicks.visitor_day WHERE shop =";
    assert_eq!(kept.world.number(&format!("{visitors} 'acme'")).await, 2);
    assert_eq!(kept.world.number(&format!("{visitors} 'bravo'")).await, 4);
    // Nothing is done twice.
    assert_eq!(kept.keep().await, []);
    kept.has(100, 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn late_clicks_are_counted_before_they_go() {
    let mut kept = Kept::new().await;
    kept.deliver(30, 20).await;
    assert_eq!(kept.keep().await, [], "nothing is counted yet");
    kept.has(30, 30).await;
    kept.roll().await;
    assert_eq!(kept.keep().await, [Kept::expiry(30, false)]);
    // A server that was cut off for long brings more of the same day, and of one that had none.
    kept.deliver(7, 20).await;
    kept.deliver(5, 19).await;
    assert_eq!(kept.keep().await, []);
    kept.has(12, 42).await;
    kept.roll().await;
    assert_eq!(kept.keep().await, [Kept::expiry(12, false)]);
    kept.has(0, 42).await;
    assert_eq!(kept.counted("acme").await, 42);
}

#[tokio::test(flavor = "multi_thread")]
async fn visitor_whom_nobody_knows_any_more_is_not_counted_twice() {
    let mut kept = Kept::new().await;
    kept.deliver(30, 20).await;
    kept.roll().await;
    assert_eq!(kept.keep().await, [Kept::expiry(30, false)]);
    // All are of one visitor.
    kept.deliver(7, 20).await;
    kept.roll().await;
    assert_eq!(kept.keep().await, [Kept::expiry(7, false)]);
    for (shop, known) in [("acme", 0), ("bravo", 1)] {
        let visitors = format!(
            "SELECT sum(visitors) FROM clicks.stats_visitors_day WHERE shop = '{shop}' AND scope = 'shop'"
        );
        assert_eq!(kept.world.number(&visitors).await, 1, "{shop}");
        let rows = format!("SELECT count(*) FROM clicks.visitor_day WHERE shop = '{shop}'");
        assert_eq!(kept.world.number(&rows).await, known, "{shop}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn longer_time_than_that_of_the_installation_changes_nothing() {
    let mut kept = Kept::new().await;
    kept.keeps(500).await;
    kept.deliver(5, 399).await;
    let gone = kept.deliver(5, 400).await;
    kept.roll().await;
    let looked = kept.store.keep_click_days(Timestamp::now(), 399).await.unwrap().unwrap();
    assert_eq!((looked.dropped, looked.shops), (vec![(gone, 10)], Vec::new()));
    kept.has(5, 5).await;
    // And one that became longer takes nothing away any more.
    kept.keeps(10).await;
    kept.deliver(5, 11).await;
    kept.deliver(5, 12).await;
    kept.roll().await;
    assert_eq!(kept.keep().await, [Kept::expiry(15, false)]);
    kept.keeps(200).await;
    kept.deliver(5, 30).await;
    kept.roll().await;
    assert_eq!(kept.keep().await, []);
    kept.has(5, 20).await;
    kept.keeps(10).await;
    assert_eq!(kept.keep().await, [Kept::expiry(5, false)]);
    kept.has(0, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_killed_at_any_moment_leaves_what_is_proved() {
    let mut kept = Kept::new().await;
    for days_ago in 11..31 {
        kept.deliver(40, days_ago).await;
    }
    kept.roll().await;
    let mut step = 1_000;
    loop {
        let looked = timeout(Duration::from_micros(step), kept.store.keep_click_days(Timestamp::now(), 400));
        let finished = looked.await.is_ok_and(|kept| kept.unwrap().is_some());
        // Its connection ends a moment later, and with it what was not committed.
        eventually("the lock to be free", || async {
            let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database =
                (SELECT oid FROM pg_database WHERE datname = current_database())";
            (kept.world.number(locks).await == 0).then_some(())
        })
        .await;
        kept.world.adds_up().await;
        assert_eq!(kept.store.check_ledger(None, None).await.unwrap().differences, []);
        assert_eq!(kept.counted("acme").await, 800);
        if finished {
            break;
        }
        step += 3_000;
    }
    kept.has(0, 800).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn erasure_and_removal_do_not_get_in_each_others_way() {
    let mut kept = Kept::new().await;
    kept.deliver(20, 15).await;
    kept.deliver(20, 5).await;
    kept.roll().await;
    let scope = ErasureScope::Partner("anna".to_owned().try_into().unwrap());
    let eraser = kept.store.eraser(&shop_id("acme"), &scope).await.unwrap();
    assert_eq!(kept.keep().await, [Kept::expiry(0, true)]);
    kept.has(40, 40).await;
    drop(eraser);
    eventually("the removal", || async { (kept.keep().await == [Kept::expiry(20, false)]).then_some(()) })
        .await;
    // The day is there for the other shop; nothing of acme's is counted from it any more.
    let day = Timestamp::now().to_zoned(TimeZone::UTC).date() - 15.days();
    assert!(!kept.store.rollups().await.unwrap().reroll_day(&shop_id("acme"), day).await.unwrap());
    assert!(kept.store.rollups().await.unwrap().reroll_day(&shop_id("bravo"), day).await.unwrap());
    assert_eq!((kept.counted("acme").await, kept.counted("bravo").await), (40, 40));
    // What came late and is erased leaves no mark that nobody could fulfil.
    kept.deliver(3, 15).await;
    kept.roll().await;
    let erased = kept.store.erase_clicks(&shop_id("acme"), &scope).await.unwrap();
    assert_eq!(erased.clicks, 23);
    assert_eq!(kept.world.number("SELECT count(*) FROM clicks.reroll").await, 0);
    let by_partner = "SELECT count(*) FROM clicks.stats_partner_day WHERE shop = 'acme' AND partner = 'anna'";
    assert_eq!(kept.world.number(by_partner).await, 0);
    kept.has(0, 43).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_that_need_single_clicks_of_a_day_that_is_gone_are_refused() {
    let mut kept = Kept::new().await;
    kept.deliver(20, 15).await;
    kept.roll().await;
    kept.keep().await;
    let now = Timestamp::now();
    let count = async |shop: &str, dimension| {
        let start = now - SignedDuration::from_hours(24 * 15 + 1);
        let query = StatsQuery {
            shop: shop_id(shop),
            pieces: Pieces::divide(start, now, Granularity::Total, &TimeZone::UTC).unwrap(),
            dimension,
            filters: Default::default(),
            visitors: false,
            conversions: None,
        };
        kept.store.stats(&query, 2_048).await
    };
    let gone = count("acme", Some(Dimension::Link)).await.unwrap_err();
    assert!(matches!(gone, NotCounted::Gone { .. }), "{gone:?}");
    let there = count("bravo", Some(Dimension::Link)).await.unwrap();
    assert_eq!(there.figures["sale"][&0].clicks, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn shops_say_for_how_long_and_are_warned_if_it_is_too_long() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let server = world.serve(recording(world.database.url(), folder.path())).await;
    eventually("the first look", || async {
        (world.number("SELECT count(*) FROM clicks.retention WHERE days = 400").await == 1).then_some(())
    })
    .await;
    let update = async |server: &TestServer, days| {
        let shop = Shop { id: "acme".into(), click_retention_days: days, ..Shop::default() };
        let update_mask = mask(&["click_retention_days"]);
        let request = UpdateShopRequest { shop: Some(shop), update_mask, ..Default::default() };
        server.admin().update_shop(request).await.map(tonic::Response::into_inner)
    };
    for (days, warned) in [(10, false), (400, false), (401, true), (36_500, true), (0, false)] {
        let answer = update(&server, days).await.unwrap();
        assert_eq!(answer.shop.unwrap().click_retention_days, days);
        let fields: Vec<_> = answer.warnings.iter().map(|warning| warning.field.as_str()).collect();
        assert_eq!(fields, if warned { vec!["shop.click_retention_days"] } else { Vec::new() }, "{days}");
    }
    let shop = Shop { id: "acme".into(), time_zone: "europe/berlin".into(), ..Shop::default() };
    let update_mask = mask(&["time_zone"]);
    let request = UpdateShopRequest { shop: Some(shop), update_mask, ..Default::default() };
    let shop = server.admin().update_shop(request).await.unwrap().into_inner().shop.unwrap();
    assert_eq!(shop.time_zone, "Europe/Berlin");
    for days in [-1, 36_501, i32::MAX] {
        let (_, reason, field) = refusal(&update(&server, days).await.unwrap_err());
        assert_eq!(
            (reason.as_str(), field.as_str()),
            ("OUT_OF_RANGE", "shop.click_retention_days"),
            "{days}"
        );
    }
    server.stop().await;
}
