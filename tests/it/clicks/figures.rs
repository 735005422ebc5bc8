//! Figures are those of the clicks, whatever is asked and however far counting is.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};
use smartlinks::{
    domain::{
        click::Click,
        fact::Fact,
        stats::{Dimension, Granularity, Pieces, StatsQuery},
    },
    store::{Figures, NotCounted, Store, StoreConfig, clicks::Days},
};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::support::{
    clicks::{Crowd, batch},
    database::Database,
    objects::shop_id,
};

const ZONES: [&str; 6] =
    ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe"];

/// Megabytes that are never reached here.
const PLENTY: u64 = 1_000;

fn zone(name: &str) -> TimeZone {
    jiff::tz::db().get(name).unwrap()
}

/// Four days around the last change of the clock in Berlin.
fn around_a_change() -> (Timestamp, Timestamp) {
    let (berlin, lately) = (zone("Europe/Berlin"), Timestamp::now() - SignedDuration::from_hours(72));
    let change = berlin.preceding(lately).next().unwrap().timestamp();
    let hours = SignedDuration::from_hours;
    (change - hours(50), change + hours(46))
}

/// Brings clicks of three local logs, and returns them.
async fn bring(store: &Store, crowd: &mut Crowd, round: u64) -> Vec<Click> {
    let mut all = Vec::new();
    let days = Days::kept(Timestamp::now(), 366);
    for source in 1..=3_u128 {
        let mut ingestor = store.ingestor().await.unwrap();
        let source = Uuid::from_u128(source);
        let clicks = crowd.clicks(150);
        ingestor.ingest(&batch(source, round * 150, &clicks), days).await.unwrap();
        all.extend(clicks);
    }
    all
}

/// Returns a click's value of a dimension.
pub(super) fn value(click: &Click, dimension: Dimension) -> String {
    let unknown = |text: Option<&str>| text.unwrap_or("?").to_owned();
    let none = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let slug = click.slug.as_ref().map(|slug| slug.as_str());
    match dimension {
        Dimension::Link => none(slug),
        Dimension::Partner => none(click.partner.as_ref().map(|code| code.as_str())),
        Dimension::Program => none(click.program.as_ref().map(|program| program.as_str())),
        Dimension::Rule => {
            click.rule.as_ref().map_or_else(String::new, |rule| format!("{}/{rule}", slug.unwrap()))
        }
        Dimension::Variant => click.variant.as_ref().map_or_else(String::new, |variant| {
            format!("{}/{}/{variant}", slug.unwrap(), click.rule.as_ref().unwrap())
        }),
        Dimension::Country => unknown(click.country.map(|country| country.as_str())),
        Dimension::Device => unknown(click.device.map(|device| device.as_str())),
        Dimension::Os => unknown(click.os.map(|os| os.as_str())),
        Dimension::Browser => unknown(click.browser.map(|browser| browser.as_str())),
        Dimension::Language => unknown(click.language.as_deref()),
        Dimension::Referrer => match &click.referrer {
            Fact::Known(host) => host.clone(),
            Fact::Absent => String::new(),
            Fact::Unknown => "?".to_owned(),
        },
        Dimension::Channel => click.channel.as_str().to_owned(),
        Dimension::Class => click.traffic.as_str().to_owned(),
        Dimension::Reason => click.reason.as_str().to_owned(),
    }
}

type Expected = BTreeMap<String, BTreeMap<usize, Figures>>;

/// Counts click by click.
fn naive(clicks: &[Click], query: &StatsQuery) -> Expected {
    let bounds = query.pieces.bounds();
    let (mut expected, mut seen) = (Expected::new(), BTreeSet::new());
    for click in clicks {
        let time = click.id.time();
        let Some(piece) = bounds.windows(2).position(|piece| piece[0] <= time && time < piece[1]) else {
            continue;
        };
        let is_chosen =
            |(dimension, values): (&Dimension, &BTreeSet<String>)| values.contains(&value(click, *dimension));
        if click.shop != query.shop || !query.filters.iter().all(is_chosen) {
            continue;
        }
        let value = query.dimension.map_or_else(String::new, |dimension| value(click, dimension));
        let figures = expected.entry(value.clone()).or_default().entry(piece).or_default();
        figures.clicks += 1;
        let day = time.to_zoned(TimeZone::UTC).date();
        if let Some(visitor) = click.visitor.filter(|_| query.visitors)
            && seen.insert((value, piece, day, visitor))
        {
            figures.visitors += 1;
        }
    }
    expected
}

fn any<T: Copy>(random: &mut StdRng, of: &[T]) -> T {
    *of.choose(random).unwrap()
}

/// Makes up a question about clicks of a time.
pub(super) fn question(
    random: &mut StdRng,
    clicks: &[Click],
    (start, end): (Timestamp, Timestamp),
) -> StatsQuery {
    let zone = zone(any(random, &ZONES));
    let round = |time: Timestamp, random: &mut StdRng| {
        let step = any(random, &[1, 900_000, 3_600_000, 86_400_000_i64, 86_400_000]);
        Timestamp::from_millisecond(time.as_millisecond() / step * step).unwrap()
    };
    let granularity = any(random, Granularity::ALL);
    let pieces = loop {
        let mut time = || {
            let time =
                random.random_range(start.as_millisecond() - 90_000_000..end.as_millisecond() + 90_000_000);
            round(Timestamp::from_millisecond(time).unwrap(), random)
        };
        let (one, other) = (time(), time());
        if let Ok(pieces) = Pieces::divide(one.min(other), one.max(other), granularity, &zone) {
            break pieces;
        }
    };
    let mut filters = BTreeMap::new();
    if random.random_ratio(4, 5) {
        filters.insert(Dimension::Class, BTreeSet::from(["human".to_owned()]));
        filters.insert(Dimension::Reason, BTreeSet::from(["default".to_owned(), "rule".to_owned()]));
    }
    for _ in 0..any(random, &[0, 0, 1, 1, 2, 3]) {
        let dimension = if random.random() {
            any(random, &[Dimension::Link, Dimension::Partner])
        } else {
            any(random, Dimension::ALL)
        };
        let count = random.random_range(1..4);
        let values = (0..count).map(|_| value(clicks.choose(random).unwrap(), dimension)).collect();
        filters.insert(dimension, values);
    }
    let dimension = match random.random_range(0..4) {
        0 => None,
        1 => Some(Dimension::Link),
        2 => Some(Dimension::Partner),
        _ => Some(any(random, Dimension::ALL)),
    };
    let shop = shop_id(any(random, &["acme", "acme", "other", "nobody"]));
    StatsQuery { shop, pieces, dimension, filters, visitors: random.random(), conversions: None }
}

async fn number(client: &Client, query: &str) -> i64 {
    client.query_one(&format!("SELECT ({query})::bigint"), &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn figures_are_those_of_the_clicks_however_far_counting_is() {
    let database = Database::create().await;
    let (store, client) = (database.store(), database.client().await);
    let mut random: StdRng = rand::SeedableRng::seed_from_u64(11);
    let times = around_a_change();
    let (mut crowd, mut clicks) = (Crowd::new(1, times), Vec::new());
    let mut rollups = store.rollups().await.unwrap();
    let (mut asked, mut found) = (0, 0);
    for round in 0..4 {
        clicks.extend(bring(&store, &mut crowd, round).await);
        let position = i64::try_from(round + 1).unwrap() * 3;
        // Nothing is counted, then some, all, and again some.
        for _ in 0..any(&mut random, &[0, 1, 3]) {
            rollups.roll(1).await.unwrap();
        }
        for _ in 0..60 {
            let query = question(&mut random, &clicks, times);
            let stats = store.stats(&query, PLENTY).await.unwrap();
            assert_eq!(stats.position, position);
            let expected = naive(&clicks, &query);
            assert_eq!(stats.figures, expected, "{query:?}");
            asked += 1;
            found += usize::from(!expected.is_empty());
        }
    }
    assert!(number(&client, "SELECT position FROM clicks.roller").await < 12);
    while rollups.behind().await.unwrap().since.is_some() {
        rollups.roll(1_000).await.unwrap();
    }
    for _ in 0..120 {
        let query = question(&mut random, &clicks, times);
        assert_eq!(store.stats(&query, PLENTY).await.unwrap().figures, naive(&clicks, &query), "{query:?}");
    }
    assert!(found * 2 > asked, "{found} of {asked} questions had an answer");
}

/// Asks for something of one shop.
fn ask(times: (Timestamp, Timestamp), granularity: Granularity, dimension: Option<Dimension>) -> StatsQuery {
    let pieces = Pieces::divide(times.0, times.1, granularity, &TimeZone::UTC).unwrap();
    StatsQuery {
        shop: shop_id("acme"),
        pieces,
        dimension,
        filters: BTreeMap::new(),
        visitors: false,
        conversions: None,
    }
}

#[tokio::test]
async fn what_is_counted_needs_no_single_click() {
    let database = Database::create().await;
    let (store, client) = (database.store(), database.client().await);
    let times = around_a_change();
    let day = |time: Timestamp| time.to_zoned(TimeZone::UTC).start_of_day().unwrap().timestamp();
    let whole = (day(times.0), day(times.1) + SignedDuration::from_hours(24));
    let clicks = bring(&store, &mut Crowd::new(2, times), 0).await;
    let mut rollups = store.rollups().await.unwrap();
    while rollups.behind().await.unwrap().since.is_some() {
        rollups.roll(1_000).await.unwrap();
    }
    let counted = |dimension: Option<Dimension>, granularity| ask(whole, granularity, dimension);
    let mut cheap: Vec<_> = Dimension::ALL.iter().map(|by| counted(Some(*by), Granularity::Day)).collect();
    cheap.push(counted(None, Granularity::Hour));
    let mut of_anna = counted(Some(Dimension::Link), Granularity::Week);
    of_anna.filters.insert(Dimension::Partner, BTreeSet::from(["anna".to_owned()]));
    cheap.push(of_anna);
    let mut both = counted(Some(Dimension::Country), Granularity::Day);
    both.filters.insert(Dimension::Partner, BTreeSet::from(["anna".to_owned()]));
    let by_hour = counted(Some(Dimension::Link), Granularity::Hour);
    for query in &cheap {
        assert_eq!(store.stats(query, 0).await.unwrap().figures, naive(&clicks, query), "{query:?}");
    }
    for query in [&both, &by_hour] {
        let refused = store.stats(query, 0).await.unwrap_err();
        assert!(matches!(refused, NotCounted::TooManyClicks { megabytes: 1.. }), "{refused:?}");
        assert_eq!(store.stats(query, PLENTY).await.unwrap().figures, naive(&clicks, query));
    }
    // The first day is dropped: what was counted of it stays, and nothing is made up from what is left.
    let first = whole.0.to_zoned(TimeZone::UTC).date();
    let table = first.strftime("clicks.click_%Y%m%d").to_string();
    client
        .batch_execute(&format!("ALTER TABLE clicks.click DETACH PARTITION {table}; DROP TABLE {table}"))
        .await
        .unwrap();
    for query in &cheap {
        assert_eq!(store.stats(query, 0).await.unwrap().figures, naive(&clicks, query), "{query:?}");
    }
    for query in [&both, &by_hour] {
        let refused = store.stats(query, PLENTY).await.unwrap_err();
        assert!(matches!(refused, NotCounted::Gone { day } if day == first), "{refused:?}");
    }
    let later = (whole.0 + SignedDuration::from_hours(24), whole.1);
    let by_hour = ask(later, Granularity::Hour, Some(Dimension::Link));
    assert_eq!(store.stats(&by_hour, PLENTY).await.unwrap().figures, naive(&clicks, &by_hour));
}

/// Dashboards that ask for much at once are told to wait; nobody else is.
#[tokio::test]
async fn only_a_few_questions_are_answered_at_a_time() {
    let database = Database::create().await;
    let config = StoreConfig { wait_timeout: Duration::from_secs(3), ..database.config() };
    let (store, mut client) = (Store::connect(&config).unwrap(), database.client().await);
    let query = ask(around_a_change(), Granularity::Day, Some(Dimension::Link));
    let held = client.transaction().await.unwrap();
    held.batch_execute("LOCK TABLE clicks.stats_link_day IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let (told, mut answers) = tokio::sync::mpsc::channel(16);
    for _ in 0..6 {
        let (store, query, told) = (store.clone(), query.clone(), told.clone());
        tokio::spawn(async move { told.send(store.stats(&query, PLENTY).await).await });
    }
    // Three wait for the table, and three for these.
    for _ in 0..3 {
        let refused = answers.recv().await.unwrap().unwrap_err();
        assert!(matches!(refused, NotCounted::Busy), "{refused:?}");
    }
    assert!(store.get_shop(&shop_id("acme")).await.unwrap().is_none());
    held.commit().await.unwrap();
    for _ in 0..3 {
        assert_eq!(answers.recv().await.unwrap().unwrap().figures, BTreeMap::new());
    }
}

#[tokio::test]
async fn counting_that_is_far_behind_is_waited_for() {
    let database = Database::create().await;
    let (store, client) = (database.store(), database.client().await);
    let times = around_a_change();
    let clicks = bring(&store, &mut Crowd::new(3, times), 0).await;
    let query = ask(times, Granularity::Hour, None);
    assert_eq!(store.stats(&query, PLENTY).await.unwrap().figures, naive(&clicks, &query));
    let more = "UPDATE clicks.ledger SET delivered = delivered + 2000000, applied = applied + 2000000";
    client.batch_execute(&format!("{more} WHERE position = 3")).await.unwrap();
    let refused = store.stats(&query, PLENTY).await.unwrap_err();
    assert!(matches!(refused, NotCounted::Behind { clicks: 2_000_450 }), "{refused:?}");
    // Of the time before them nothing is missing.
    let before = (times.0 - SignedDuration::from_hours(100), times.0 - SignedDuration::from_hours(1));
    let query = ask(before, Granularity::Hour, None);
    assert_eq!(store.stats(&query, PLENTY).await.unwrap().figures, BTreeMap::new());
}
