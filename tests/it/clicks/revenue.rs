//! Figures of conversions are those of the orders, whatever is asked.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};
use smartlinks::{
    domain::{
        click::Click,
        conversion::{Amount, Conversion, Kind, OrderId, Properties},
        currency::Currency,
        erasure::ErasureScope,
        orders::Outcome,
        stats::{ConversionTime, Dimension, StatsQuery},
    },
    proto::{Money, QueryStatsRequest, StatsConversionTime, StatsDimension, StatsMeasure, stats_series::Key},
    store::{Store, clicks::Days},
};
use uuid::Uuid;

use super::{
    figures::{question, value},
    orders::{World, order, refund, time},
};
use crate::support::{
    clicks::{Crowd, at, batch, click},
    database::Database,
    objects::shop_id,
};

/// An order or refund with its click.
struct Told {
    click: Click,
    at: Timestamp,
    is_order: bool,
    /// With its sign.
    amount: i64,
    currency: Currency,
}

type Row = BTreeMap<(String, usize), (i64, BTreeMap<Currency, i64>)>;

/// Counts one by one.
fn naive(all: &[Told], query: &StatsQuery) -> Row {
    let bounds = query.pieces.bounds();
    let mut row = Row::new();
    for told in all {
        let time = match query.conversions.unwrap() {
            ConversionTime::Conversion => told.at,
            ConversionTime::Click => told.click.id.time(),
        };
        let Some(piece) = bounds.windows(2).position(|piece| piece[0] <= time && time < piece[1]) else {
            continue;
        };
        let is_chosen = |(dimension, values): (&Dimension, &BTreeSet<String>)| {
            values.contains(&value(&told.click, *dimension))
        };
        if told.click.shop != query.shop || !query.filters.iter().all(is_chosen) {
            continue;
        }
        let value = query.dimension.map_or_else(String::new, |dimension| value(&told.click, dimension));
        let (orders, revenue) = row.entry((value, piece)).or_default();
        *orders += i64::from(told.is_order);
        *revenue.entry(told.currency).or_default() += told.amount;
    }
    row
}

async fn counted(store: &Store, query: &StatsQuery) -> Row {
    let stats = store.stats(query, 1_000).await.unwrap();
    let cells = stats.figures.into_iter().flat_map(|(value, row)| {
        row.into_iter()
            .map(move |(piece, figures)| ((value.clone(), piece), (figures.conversions, figures.revenue)))
    });
    cells.filter(|(_, (orders, revenue))| *orders > 0 || !revenue.is_empty()).collect()
}

/// Records an order for most clicks, and refunds of some.
async fn buy(store: &Store, random: &mut StdRng, clicks: &[Click]) -> Vec<Told> {
    let currencies = ["EUR", "USD", "JPY"].map(|code| Currency::parse(code).unwrap());
    let mut all = Vec::new();
    for shop in ["acme", "other"] {
        let mut conversions = Vec::new();
        for (number, click) in clicks.iter().filter(|click| click.shop.as_str() == shop).enumerate() {
            let minutes = SignedDuration::from_mins(random.random_range(0..2_000));
            let at = (click.id.time() + minutes).min(Timestamp::now());
            let at = Timestamp::from_microsecond(at.as_microsecond()).unwrap();
            let (order, currency) = (format!("{number}"), *currencies.choose(random).unwrap());
            let amount = random.random_range(0..10_000);
            let mut parts = vec![(true, amount, Kind::Order(click.id))];
            if amount > 10 && random.random_ratio(1, 3) {
                let back = random.random_range(1..=amount);
                parts.push((false, -back, Kind::Refund(OrderId::parse("r").unwrap())));
            }
            for (is_order, amount, kind) in parts {
                all.push(Told { click: click.clone(), at, is_order, amount, currency });
                let order = OrderId::parse(&order).unwrap();
                let amount = Amount::paid(amount.abs()).unwrap();
                conversions.push(Conversion {
                    order,
                    kind,
                    at,
                    amount,
                    currency,
                    properties: Properties::new(),
                });
            }
        }
        let done = store.record_conversions(&shop_id(shop), &conversions, Timestamp::now()).await.unwrap();
        assert!(done.outcomes.iter().all(|outcome| *outcome == Ok(Outcome::Applied)));
    }
    all
}

#[tokio::test]
async fn figures_are_those_of_the_orders() {
    let database = Database::create().await;
    let store = database.store();
    let mut random: StdRng = rand::SeedableRng::seed_from_u64(5);
    let now = Timestamp::now();
    let times = (now - SignedDuration::from_hours(96), now);
    let clicks = Crowd::new(4, times).clicks(400);
    let mut ingestor = store.ingestor().await.unwrap();
    ingestor.ingest(&batch(Uuid::from_u128(1), 0, &clicks), Days::kept(now, 30)).await.unwrap();
    let mut all = buy(&store, &mut random, &clicks).await;
    let mut found = 0;
    for round in 0..2 {
        for _ in 0..120 {
            let by = *[ConversionTime::Conversion, ConversionTime::Click].choose(&mut random).unwrap();
            let query = StatsQuery { conversions: Some(by), ..question(&mut random, &clicks, times) };
            let expected = naive(&all, &query);
            assert_eq!(counted(&store, &query).await, expected, "{query:?}");
            found += usize::from(!expected.is_empty());
        }
        // The orders outlive their clicks; without a partner they count for nobody.
        if round == 0 {
            let anna = ErasureScope::Partner("anna".to_owned().try_into().unwrap());
            let shop = shop_id("acme");
            let erased = store.erase_clicks(&shop, &anna).await.unwrap();
            assert!(erased.clicks > 0 && erased.nameless > 0 && erased.conversions == 0);
            for told in all.iter_mut().filter(|told| told.click.shop == shop) {
                if told.click.partner.as_ref().is_some_and(|code| code.as_str() == "anna") {
                    forget(&mut told.click);
                }
            }
        }
    }
    assert!(found > 60, "{found}");
}

/// Makes a click what is left of it in a conversion.
fn forget(click: &mut Click) {
    let day: Date = click.id.time().to_zoned(TimeZone::UTC).date();
    let noon = TimeZone::UTC.to_timestamp(day.at(12, 0, 0, 0)).unwrap();
    click.id = smartlinks::domain::click_id::ClickId::new(noon, [0; 10]);
    (click.partner, click.program) = (None, None);
    (click.country, click.device, click.os, click.browser) = (None, None, None, None);
    (click.language, click.referrer) = (None, smartlinks::domain::fact::Fact::Unknown);
}

#[tokio::test(flavor = "multi_thread")]
async fn revenue_comes_over_the_wire_if_it_is_asked_for() {
    let mut world = World::start().await;
    let now = Timestamp::now();
    let hours = SignedDuration::from_hours;
    let one = click(at(1, hours(60)));
    world.writer.add(vec![one.clone()]).await;
    let late = smartlinks::proto::NewConversion { conversion_time: time(now), ..refund(&one, "1", "r", 300) };
    let mut dollars = order(&one, "2", 50);
    dollars.amount.as_mut().unwrap().currency = "USD".into();
    world.record(vec![order(&one, "1", 1_000), late, dollars]).await;
    let ask =
        async |from: i64, measures: Vec<StatsMeasure>, by: StatsConversionTime, dimension: StatsDimension| {
            let request = QueryStatsRequest {
                shop: "acme".into(),
                start_time: time(now - hours(from)),
                end_time: time(now + hours(1)),
                measures: measures.into_iter().map(i32::from).collect(),
                conversion_time: by.into(),
                dimension: dimension.into(),
                ..QueryStatsRequest::default()
            };
            let answer = world.server.stats().query_stats(request).await.unwrap().into_inner();
            let series = answer.series.into_iter().next().unwrap();
            (series.key.unwrap(), series.total.unwrap())
        };
    let both = || vec![StatsMeasure::Conversions, StatsMeasure::Revenue];
    let (unset, click_time) = (StatsConversionTime::Unspecified, StatsConversionTime::Click);
    let money = |currency: &str, amount| Money { currency: currency.into(), amount };
    let (key, figures) = ask(90, both(), unset, StatsDimension::Partner).await;
    assert_eq!(key, Key::Value("anna".into()));
    assert_eq!((figures.clicks, figures.conversions), (1, Some(2)));
    assert_eq!(figures.revenue, [money("EUR", 700), money("USD", 50)]);
    // The last day has the refund alone by its own time, and nothing by that of the click.
    let (_, figures) = ask(24, both(), unset, StatsDimension::Unspecified).await;
    assert_eq!(
        (figures.clicks, figures.conversions, figures.revenue),
        (0, Some(0), vec![money("EUR", -300)])
    );
    let (_, figures) = ask(24, both(), click_time, StatsDimension::Unspecified).await;
    assert_eq!((figures.conversions, figures.revenue), (Some(0), vec![]));
    let (_, figures) = ask(90, vec![StatsMeasure::Conversions], click_time, StatsDimension::Country).await;
    assert_eq!((figures.conversions, figures.revenue), (Some(2), vec![]));
    let (_, figures) = ask(90, vec![], unset, StatsDimension::Unspecified).await;
    assert_eq!((figures.conversions, figures.revenue), (None, vec![]));
}
