//! `QueryStats` over the wire: defaults, series, the top, pages, and what is refused.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use smartlinks::{
    domain::{click::Click, client::TrafficClass, visit::ResolveReason},
    proto::{
        self, QueryStatsRequest, QueryStatsResponse, StatsDimension, StatsFilter, StatsGranularity,
        StatsMeasure, StatsSeries, click_stats_client::ClickStatsClient, stats_series::Key,
    },
    store::clicks::Days,
};
use tonic::{Code, transport::Channel};
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::support::{
    clicks::{Crowd, batch},
    database::Database,
    objects::put_shop,
    server::{TestServer, eventually},
};

type Stats = ClickStatsClient<Channel>;

/// A server with clicks of the last three days.
struct World {
    server: TestServer,
    clicks: Vec<Click>,
    times: (Timestamp, Timestamp),
    database: Database,
}

impl World {
    async fn start() -> Self {
        let database = Database::create().await;
        let store = database.store();
        put_shop(&store, "acme").await;
        let now = Timestamp::now();
        let times = (now - SignedDuration::from_hours(72), now);
        let clicks = Crowd::new(3, times).clicks(900);
        let mut ingestor = store.ingestor().await.unwrap();
        let days = Days::kept(now, 30);
        ingestor.ingest(&batch(Uuid::from_u128(1), 0, &clicks), days).await.unwrap();
        Self { server: TestServer::ready(database.url()).await, clicks, times, database }
    }

    fn request(&self) -> QueryStatsRequest {
        let time = |time: Timestamp| prost_types::Timestamp { seconds: time.as_second(), nanos: 0 };
        QueryStatsRequest {
            shop: "acme".into(),
            start_time: Some(time(self.times.0 - SignedDuration::from_secs(5))),
            end_time: Some(time(self.times.1 + SignedDuration::from_secs(5))),
            ..QueryStatsRequest::default()
        }
    }

    fn stats(&self) -> Stats {
        self.server.stats()
    }

    /// Counts clicks of acme by what is made of them.
    fn count(&self, key: impl Fn(&Click) -> Option<String>) -> BTreeMap<String, i64> {
        let mut counts = BTreeMap::new();
        for key in self.clicks.iter().filter(|click| click.shop.as_str() == "acme").filter_map(key) {
            *counts.entry(key).or_default() += 1;
        }
        counts
    }
}

/// Tells whether a click counts unless asked otherwise.
fn counts(click: &Click) -> bool {
    let reasons = [ResolveReason::Rule, ResolveReason::Default];
    click.traffic == TrafficClass::Human && reasons.contains(&click.reason)
}

async fn ask(stats: &mut Stats, request: QueryStatsRequest) -> QueryStatsResponse {
    stats.query_stats(request).await.unwrap().into_inner()
}

fn clicks_of(series: &StatsSeries) -> i64 {
    series.total.as_ref().unwrap().clicks
}

fn value_of(series: &StatsSeries) -> &str {
    match series.key.as_ref().unwrap() {
        Key::Value(value) => value,
        Key::Unknown(_) => "?",
        Key::Others(_) => "others",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn human_clicks_that_a_link_answered_count_unless_asked_otherwise() {
    let world = World::start().await;
    let mut stats = world.stats();
    let answer = ask(&mut stats, world.request()).await;
    let expected = world.count(|click| counts(click).then(String::new))[""];
    assert_eq!((answer.series.len(), answer.total_clicks, answer.as_of_position), (1, expected, 1));
    let [series] = &answer.series[..] else { panic!("{answer:?}") };
    assert_eq!((value_of(series), clicks_of(series), series.points.len()), ("", expected, 0));
    assert_eq!(series.total.as_ref().unwrap().daily_visitors, None);
    // By class all classes, and still only clicks that a link answered.
    let by_class = QueryStatsRequest { dimension: StatsDimension::Class.into(), ..world.request() };
    let answer = ask(&mut stats, by_class).await;
    let is_answered = |click: &Click| matches!(click.reason, ResolveReason::Rule | ResolveReason::Default);
    let expected = world.count(|click| is_answered(click).then(|| click.traffic.to_string()));
    let found: BTreeMap<_, _> =
        answer.series.iter().map(|series| (value_of(series).to_owned(), clicks_of(series))).collect();
    assert_eq!(found, expected);
    // What is counted in the meantime changes nothing.
    let client = world.database.client().await;
    let client = &client;
    eventually("the clicks are counted", || async move {
        let row = client.query_one("SELECT position FROM clicks.roller", &[]).await.unwrap();
        (row.get::<_, i64>(0) == 1).then_some(())
    })
    .await;
    let by_class = QueryStatsRequest { dimension: StatsDimension::Class.into(), ..world.request() };
    assert_eq!(ask(&mut stats, by_class).await, answer);
}

#[tokio::test(flavor = "multi_thread")]
async fn series_have_every_piece_of_time() {
    let world = World::start().await;
    let request = QueryStatsRequest {
        granularity: StatsGranularity::Hour.into(),
        time_zone: "asia/kolkata".into(),
        measures: vec![StatsMeasure::DailyVisitors.into()],
        ..world.request()
    };
    let answer = ask(&mut world.stats(), request.clone()).await;
    let [series] = &answer.series[..] else { panic!("{answer:?}") };
    assert!((73..=74).contains(&series.points.len()), "{}", series.points.len());
    let starts: Vec<i64> = series.points.iter().map(|point| point.start_time.unwrap().seconds).collect();
    assert_eq!(starts[0], request.start_time.unwrap().seconds);
    assert!(starts[1..].iter().all(|start| start.rem_euclid(3_600) == 1_800), "{starts:?}");
    let sum: i64 = series.points.iter().map(|point| point.figures.as_ref().unwrap().clicks).sum();
    assert_eq!(sum, clicks_of(series));
    assert!(series.points.iter().any(|point| point.figures.as_ref().unwrap().daily_visitors.unwrap() > 0));
    // Nothing there is not nothing said.
    let before = QueryStatsRequest {
        start_time: Some(prost_types::Timestamp { seconds: 1_000_000_000, nanos: 0 }),
        end_time: Some(prost_types::Timestamp { seconds: 1_000_007_200, nanos: 0 }),
        ..request
    };
    let answer = ask(&mut world.stats(), before).await;
    let points = &answer.series[0].points;
    assert_eq!((answer.total_clicks, points.len()), (0, 3));
    assert!(points.iter().all(|point| point.figures.as_ref().unwrap().daily_visitors == Some(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn zone_of_the_shop_counts_unless_the_question_names_one() {
    let world = World::start().await;
    let mut stats = world.stats();
    let asked = |zone: &str| QueryStatsRequest {
        granularity: StatsGranularity::Day.into(),
        time_zone: zone.into(),
        ..world.request()
    };
    let (utc, kolkata) =
        (ask(&mut stats, asked("UTC")).await.series, ask(&mut stats, asked("Asia/Kolkata")).await.series);
    assert_ne!(utc, kolkata);
    assert_eq!(ask(&mut stats, asked("")).await.series, utc);
    let set = "UPDATE shop SET settings = settings || '{\"time_zone\": \"Asia/Kolkata\"}' WHERE id = 'acme'";
    world.database.client().await.batch_execute(set).await.unwrap();
    assert_eq!(ask(&mut stats, asked("")).await.series, kolkata);
    assert_eq!(ask(&mut stats, asked("UTC")).await.series, utc);
}

#[tokio::test(flavor = "multi_thread")]
async fn top_is_followed_by_the_sum_of_the_others() {
    let world = World::start().await;
    let by = |top| QueryStatsRequest {
        dimension: StatsDimension::Referrer.into(),
        granularity: StatsGranularity::Day.into(),
        top,
        ..world.request()
    };
    let referrer = |click: &Click| match &click.referrer {
        smartlinks::domain::fact::Fact::Known(host) => host.clone(),
        smartlinks::domain::fact::Fact::Absent => String::new(),
        smartlinks::domain::fact::Fact::Unknown => "?".to_owned(),
    };
    let mut expected: Vec<_> =
        world.count(|click| counts(click).then(|| referrer(click))).into_iter().collect();
    expected.sort_by_key(|(_, clicks)| std::cmp::Reverse(*clicks));
    assert_eq!(expected.len(), 4);
    let all = ask(&mut world.stats(), by(10)).await;
    let found: Vec<_> =
        all.series.iter().map(|series| (value_of(series).to_owned(), clicks_of(series))).collect();
    assert_eq!(found, expected);
    let two = ask(&mut world.stats(), by(2)).await;
    assert_eq!(two.series[..2], all.series[..2]);
    let [.., others] = &two.series[..] else { panic!("{two:?}") };
    assert_eq!(others.key, Some(Key::Others(proto::OtherValues { count: 2 })));
    assert_eq!(clicks_of(others), expected[2].1 + expected[3].1);
    assert_eq!(others.points.len(), all.series[0].points.len());
    assert_eq!(two.total_clicks, all.total_clicks);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_hold_every_value_once_and_belong_to_their_question() {
    let world = World::start().await;
    let mut stats = world.stats();
    let request =
        QueryStatsRequest { dimension: StatsDimension::Rule.into(), page_size: 2, ..world.request() };
    let (mut values, mut token) = (Vec::new(), String::new());
    loop {
        let page = ask(&mut stats, QueryStatsRequest { page_token: token, ..request.clone() }).await;
        assert!(page.series.len() <= 2);
        values.extend(page.series.iter().map(|series| (value_of(series).to_owned(), clicks_of(series))));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let rule = |click: &Click| match (&click.slug, &click.rule) {
        (Some(slug), Some(rule)) => format!("{slug}/{rule}"),
        (_, _) => String::new(),
    };
    let expected = world.count(|click| counts(click).then(|| rule(click)));
    assert_eq!(values, expected.into_iter().collect::<Vec<_>>());
    assert!(values.len() > 4);
    let first = ask(&mut stats, request.clone()).await;
    let mut other = QueryStatsRequest { page_token: first.next_page_token, ..request };
    other.dimension = StatsDimension::Link.into();
    let refused = stats.query_stats(other).await.unwrap_err();
    assert_eq!(refused.get_details_error_info().unwrap().reason, "INVALID_PAGE_TOKEN");
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_choose_by_any_value_of_each_dimension() {
    let world = World::start().await;
    let filter = |dimension: StatsDimension, values: &[&str], unknown| StatsFilter {
        dimension: dimension.into(),
        values: values.iter().map(|value| (*value).to_owned()).collect(),
        unknown,
    };
    let request = QueryStatsRequest {
        filters: vec![
            filter(StatsDimension::Country, &["de", "FR"], true),
            filter(StatsDimension::Class, &["bot", "human"], false),
            filter(StatsDimension::Partner, &["Anna", ""], false),
            filter(StatsDimension::Reason, &["not_found"], false),
        ],
        dimension: StatsDimension::Country.into(),
        ..world.request()
    };
    let answer = ask(&mut world.stats(), request).await;
    let expected = world.count(|click| {
        let country = click.country.map_or("?", |country| country.as_str());
        let partner = click.partner.as_ref().map_or("", |partner| partner.as_str());
        let chosen =
            country != "IN" && ["anna", ""].contains(&partner) && click.reason.as_str() == "not_found";
        chosen.then(|| country.to_owned())
    });
    let found: BTreeMap<_, _> =
        answer.series.iter().map(|series| (value_of(series).to_owned(), clicks_of(series))).collect();
    assert_eq!(found, expected);
    assert_eq!(found.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_questions_are_refused_with_the_field() {
    let world = World::start().await;
    let filter = |dimension: StatsDimension, values: &[&str], unknown| QueryStatsRequest {
        filters: vec![StatsFilter {
            dimension: dimension.into(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            unknown,
        }],
        ..world.request()
    };
    let base = || world.request();
    let by_link = || QueryStatsRequest { dimension: StatsDimension::Link.into(), ..base() };
    let mut twice = filter(StatsDimension::Link, &["sale"], false);
    twice.filters.push(twice.filters[0].clone());
    let many: Vec<String> = (0..101).map(|number| format!("l{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let long = Some(prost_types::Timestamp { seconds: 0, nanos: 0 });
    let cases = [
        (QueryStatsRequest { shop: String::new(), ..base() }, "shop", "REQUIRED", ""),
        (QueryStatsRequest { start_time: None, ..base() }, "start_time", "REQUIRED", ""),
        (
            QueryStatsRequest { end_time: base().start_time, ..base() },
            "end_time",
            "OUT_OF_RANGE",
            "not after",
        ),
        (
            QueryStatsRequest { start_time: long, granularity: StatsGranularity::Hour.into(), ..base() },
            "end_time",
            "OUT_OF_RANGE",
            "10000 pieces",
        ),
        (
            QueryStatsRequest { time_zone: "Europe/Berlon".into(), ..base() },
            "time_zone",
            "UNKNOWN_VALUE",
            "Europe/Berlin",
        ),
        (QueryStatsRequest { granularity: 77, ..base() }, "granularity", "UNKNOWN_VALUE", "77"),
        (QueryStatsRequest { dimension: -1, ..base() }, "dimension", "UNKNOWN_VALUE", "-1"),
        (QueryStatsRequest { measures: vec![1, 0], ..base() }, "measures[1]", "REQUIRED", ""),
        (QueryStatsRequest { measures: vec![9], ..base() }, "measures[0]", "UNKNOWN_VALUE", ""),
        (QueryStatsRequest { top: 5, ..base() }, "top", "CONFLICT", "dimension"),
        (QueryStatsRequest { top: 101, ..by_link() }, "top", "OUT_OF_RANGE", "100"),
        (QueryStatsRequest { top: -1, ..by_link() }, "top", "OUT_OF_RANGE", ""),
        (QueryStatsRequest { page_size: -1, ..base() }, "page_size", "OUT_OF_RANGE", ""),
        (QueryStatsRequest { page_token: "x".into(), ..base() }, "page_token", "INVALID_PAGE_TOKEN", ""),
        (filter(StatsDimension::Unspecified, &["x"], false), "filters[0].dimension", "REQUIRED", ""),
        (filter(StatsDimension::Link, &[], false), "filters[0].values", "REQUIRED", ""),
        (filter(StatsDimension::Link, &["a b"], false), "filters[0].values[0]", "MALFORMED", ""),
        (
            filter(StatsDimension::Rule, &["", "sale"], false),
            "filters[0].values[1]",
            "MALFORMED",
            "slug/rule",
        ),
        (filter(StatsDimension::Link, &many, false), "filters[0].values", "TOO_LONG", "100"),
        (filter(StatsDimension::Link, &["sale"], true), "filters[0].unknown", "CONFLICT", ""),
        (filter(StatsDimension::Country, &["UK"], false), "filters[0].values[0]", "UNKNOWN_VALUE", "GB"),
        (filter(StatsDimension::Device, &["phone"], false), "filters[0].values[0]", "UNKNOWN_VALUE", ""),
        (filter(StatsDimension::Referrer, &["a ?"], false), "filters[0].values[0]", "MALFORMED", ""),
        (twice, "filters[1].dimension", "DUPLICATE", ""),
    ];
    for (request, field, reason, says) in cases {
        let refused = world.stats().query_stats(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{field}: {refused:?}");
        let violations = refused.get_details_bad_request().unwrap().field_violations;
        let [violation] = &violations[..] else { panic!("{violations:?}") };
        assert_eq!((violation.field.as_str(), violation.reason.as_str()), (field, reason), "{violation:?}");
        assert!(violation.description.contains(says), "{violation:?}");
    }
    let nobody = QueryStatsRequest { shop: "nobody".into(), ..base() };
    let refused = world.stats().query_stats(nobody).await.unwrap_err();
    assert_eq!(refused.get_details_error_info().unwrap().reason, "SHOP_NOT_FOUND");
}
