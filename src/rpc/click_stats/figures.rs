//! `QueryStats`: figures of clicks.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    ops::Bound::{Excluded, Unbounded},
};

use super::{
    ClickStatsService,
    query::{self, Measures, Question},
};
use crate::{
    domain::{
        currency::Currency,
        limits,
        stats::{NONE, StatsQuery, UNKNOWN},
    },
    proto::{self, ErrorReason, QueryStatsRequest, QueryStatsResponse, stats_series::Key},
    rpc::{
        caller::{Caller, Scope},
        convert::time,
        pages::Page,
        status::Failure,
    },
    store::{Figures, NotCounted, Stats, StoreError},
};

/// Counts what is asked.
pub(super) async fn query(
    service: &ClickStatsService,
    caller: Caller,
    request: QueryStatsRequest,
) -> Result<QueryStatsResponse, Failure> {
    let mut question = query::read(&request, query::ZONE)?;
    let shop = &question.query.shop;
    caller.may(Scope::Stats, Some(shop))?;
    let Some(known) = service.store.get_shop(shop).await? else {
        let text = format!("there is no shop `{shop}`");
        return Err(Failure::new(ErrorReason::ShopNotFound, text).with("shop", shop));
    };
    if let Some(zone) = known.stored.value.settings.time_zone {
        question = query::read(&request, zone.as_str())?;
    }
    let counted = service.store.stats(&question.query, limits::STATS_READ_MEGABYTES).await;
    answer(question, counted.map_err(not_counted)?).await
}

/// What is known of one value.
pub(in crate::rpc) type Row = BTreeMap<usize, Figures>;

async fn answer(question: Question, mut stats: Stats) -> Result<QueryStatsResponse, Failure> {
    let Question { query, measures, by_time, top, page } = question;
    if query.dimension.is_none() {
        stats.figures.entry(NONE.to_owned()).or_default();
    }
    let total_clicks = stats.figures.values().map(|row| sum(row).clicks).sum();
    let as_of_position = stats.position;
    let written = |key, row: &Row| write(&query, measures, by_time, key, row);
    let (series, next_page_token) = match top {
        Some(top) => (top_of(stats.figures, top, written), String::new()),
        None => page_of(stats.figures, page, written).await?,
    };
    Ok(QueryStatsResponse { series, next_page_token, total_clicks, as_of_position })
}

/// Writes the values with the most clicks, and all others as one.
fn top_of(
    figures: BTreeMap<String, Row>,
    top: usize,
    written: impl Fn(Key, &Row) -> proto::StatsSeries,
) -> Vec<proto::StatsSeries> {
    let mut rows: Vec<_> = figures.into_iter().collect();
    // Stable: of the same number, in the order of values.
    rows.sort_by_key(|(_, row)| Reverse(sum(row).clicks));
    let rest = rows.split_off(top.min(rows.len()));
    let mut series: Vec<_> = rows.into_iter().map(|(value, row)| written(key(value), &row)).collect();
    if !rest.is_empty() {
        let count = i64::try_from(rest.len()).unwrap_or(i64::MAX);
        let mut others = Row::new();
        for (piece, figures) in rest.into_iter().flat_map(|(_, row)| row) {
            add(others.entry(piece).or_default(), &figures);
        }
        series.push(written(Key::Others(proto::OtherValues { count }), &others));
    }
    series
}

/// Writes a page of all values in their order, which does not change while clicks come in.
async fn page_of(
    figures: BTreeMap<String, Row>,
    page: Page<String>,
    written: impl Fn(Key, &Row) -> proto::StatsSeries,
) -> Result<(Vec<proto::StatsSeries>, String), Failure> {
    let figures = &figures;
    let rows = |after: Option<String>, limit| async move {
        let from = after.map_or(Unbounded, Excluded);
        Ok(figures.range((from, Unbounded)).take(limit).collect::<Vec<_>>())
    };
    let cursor = |(value, _): &(&String, &Row)| (*value).clone();
    page.collect(rows, cursor, |(value, row)| Some(written(key(value.clone()), row))).await
}

fn key(value: String) -> Key {
    if value == UNKNOWN { Key::Unknown(proto::UnknownValue {}) } else { Key::Value(value) }
}

fn write(query: &StatsQuery, measures: Measures, by_time: bool, key: Key, row: &Row) -> proto::StatsSeries {
    let pieces = if by_time { query.pieces.count() } else { 0 };
    let starts = query.pieces.bounds().iter().take(pieces).enumerate();
    let points = starts.map(|(at, start)| proto::StatsPoint {
        start_time: Some(time::write(*start)),
        figures: Some(write_figures(row.get(&at).cloned().unwrap_or_default(), measures)),
    });
    let total = Some(write_figures(sum(row), measures));
    proto::StatsSeries { key: Some(key), total, points: points.collect() }
}

/// Writes the figures that were asked for.
pub(in crate::rpc) fn write_figures(figures: Figures, measures: Measures) -> proto::StatsFigures {
    let money = |(currency, amount): (Currency, i64)| proto::Money { currency: currency.to_string(), amount };
    let revenue = if measures.revenue { figures.revenue } else { BTreeMap::new() };
    proto::StatsFigures {
        clicks: figures.clicks,
        daily_visitors: measures.visitors.then_some(figures.visitors),
        conversions: measures.conversions.then_some(figures.conversions),
        revenue: revenue.into_iter().map(money).collect(),
    }
}

pub(in crate::rpc) fn sum(row: &Row) -> Figures {
    let mut sum = Figures::default();
    row.values().for_each(|piece| add(&mut sum, piece));
    sum
}

fn add(sum: &mut Figures, figures: &Figures) {
    sum.clicks += figures.clicks;
    sum.visitors += figures.visitors;
    sum.conversions += figures.conversions;
    for (currency, amount) in &figures.revenue {
        let revenue = sum.revenue.entry(*currency).or_default();
        *revenue = revenue.saturating_add(*amount);
    }
}

/// Says what to ask instead.
pub(in crate::rpc) fn not_counted(not: NotCounted) -> Failure {
    let text = match not {
        NotCounted::TooManyClicks { megabytes } => format!(
            "this takes {megabytes} MB of single clicks, at most {most} MB are read; ask for a shorter time, or for \
             what is counted: whole UTC days by one dimension, or by link and partner, and quarters of an hour of the \
             whole shop",
            most = limits::STATS_READ_MEGABYTES
        ),
        NotCounted::Gone { day } => format!(
            "this takes single clicks of {day}, which are not kept any more; ask for a later time, or for what is \
             counted: whole UTC days by one dimension, or by link and partner, and quarters of an hour of the whole shop"
        ),
        NotCounted::TooManyFigures => format!(
            "there are more than {} values times pieces of time; ask for longer pieces, a shorter time, or some values \
             by a filter",
            limits::STATS_FIGURES
        ),
        NotCounted::Behind { clicks } => {
            let text = format!(
                "{clicks} clicks are not counted yet, at most {} are read one by one; ask again when counting has caught \
                 up, or for a time before them",
                limits::STATS_BEHIND_CLICKS
            );
            return Failure::new(ErrorReason::Overloaded, text);
        }
        NotCounted::Busy => {
            let text = "this server is counting as much as it counts at a time; ask again in a moment, or another server";
            return Failure::new(ErrorReason::Overloaded, text);
        }
        NotCounted::Store(StoreError::TooSlow(_)) => {
            "there is more to count than a statement may take time for; ask for a shorter time".to_owned()
        }
        NotCounted::Store(error) => return error.into(),
    };
    Failure::new(ErrorReason::QueryTooBroad, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_broad_is_told_with_what_to_ask_instead() {
        let day = "2026-03-04".parse().unwrap();
        let slow = NotCounted::Store(StoreError::TooSlow("x".into()));
        for (not, says) in [
            (NotCounted::TooManyClicks { megabytes: 5_000 }, "5000 MB"),
            (NotCounted::Gone { day }, "2026-03-04"),
            (NotCounted::TooManyFigures, "filter"),
            (slow, "shorter time"),
        ] {
            let failure = not_counted(not);
            assert_eq!(failure.reason(), ErrorReason::QueryTooBroad);
            assert!(failure.text().contains(says) && failure.text().contains("ask for"), "{failure}");
        }
        let behind = not_counted(NotCounted::Behind { clicks: 3_000_000 });
        assert_eq!(behind.reason(), ErrorReason::Overloaded);
        assert!(behind.text().contains("3000000 clicks are not counted yet"), "{behind}");
        assert_eq!(not_counted(NotCounted::Busy).reason(), ErrorReason::Overloaded);
        let away = not_counted(NotCounted::Store(StoreError::Unavailable("x".into())));
        assert_eq!(away.reason(), ErrorReason::DatabaseUnavailable);
    }
}
