//! What the dashboard of a shop asks.

use jiff::{SignedDuration, Timestamp, ToSpan, civil::Date, tz::TimeZone};
use smartlinks::proto::{
    QueryStatsRequest, StatsDimension as By, StatsFilter, StatsGranularity as Each, StatsMeasure as Measure,
};

use super::crowd::{SHOP, code, slug};

/// The days that questions are about.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    /// The day on which the log begins.
    pub(crate) first: Date,
    /// Today.
    pub(crate) today: Date,
}

impl Times {
    /// Returns when a day begins there, so many days before tomorrow.
    fn ago(self, days: i32, zone: &str) -> Option<prost_types::Timestamp> {
        let day = self.today.saturating_add((1 - days).days());
        wire(day.at(0, 0, 0, 0).in_tz(zone).expect("a zone").timestamp())
    }

    /// Returns a question about the last days, on the clock of a zone.
    pub(crate) fn last(self, days: i32, zone: &str) -> QueryStatsRequest {
        QueryStatsRequest {
            shop: SHOP.to_owned(),
            start_time: self.ago(days, zone),
            end_time: self.ago(0, zone),
            time_zone: zone.to_owned(),
            ..QueryStatsRequest::default()
        }
    }
}

pub(crate) fn wire(time: Timestamp) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds: time.as_second(), nanos: 0 })
}

/// Returns the questions of a dashboard, each with its name.
pub(crate) fn dashboard(times: Times) -> Vec<(&'static str, QueryStatsRequest)> {
    let last = |days| times.last(days, "UTC");
    let top = |by: By, top, request| QueryStatsRequest { dimension: by.into(), top, ..request };
    let only = |dimension: By, value: String| {
        vec![StatsFilter { dimension: dimension.into(), values: vec![value], unknown: false }]
    };
    let since = SignedDuration::from_hours(90 * 24);
    let beginning = times.first.at(0, 0, 0, 0).to_zoned(TimeZone::UTC).expect("a time").timestamp() - since;
    vec![
        (
            "clicks by day, 30 days, Europe/Berlin",
            QueryStatsRequest { granularity: Each::Day.into(), ..times.last(30, "Europe/Berlin") },
        ),
        ("top 10 links, 30 days", top(By::Link, 10, last(30))),
        ("top 10 links, 90 days", top(By::Link, 10, last(90))),
        ("top 10 partners, 30 days", top(By::Partner, 10, last(30))),
        (
            "one link by day, 30 days",
            QueryStatsRequest { granularity: Each::Day.into(), filters: only(By::Link, slug(7)), ..last(30) },
        ),
        (
            "one link by hour, 2 days",
            QueryStatsRequest { granularity: Each::Hour.into(), filters: only(By::Link, slug(7)), ..last(2) },
        ),
        ("top 20 countries, 30 days", top(By::Country, 20, last(30))),
        (
            "devices by day, 30 days",
            QueryStatsRequest { granularity: Each::Day.into(), ..top(By::Device, 10, last(30)) },
        ),
        (
            "top 10 links of a partner, 90 days",
            QueryStatsRequest { filters: only(By::Partner, code(7)), ..top(By::Link, 10, last(90)) },
        ),
        (
            "conversions and revenue by day, 30 days",
            QueryStatsRequest {
                granularity: Each::Day.into(),
                measures: vec![Measure::Conversions.into(), Measure::Revenue.into()],
                ..last(30)
            },
        ),
        (
            "daily visitors by day, 30 days",
            QueryStatsRequest {
                granularity: Each::Day.into(),
                measures: vec![Measure::DailyVisitors.into()],
                ..last(30)
            },
        ),
        (
            "classes by day, 30 days",
            QueryStatsRequest { granularity: Each::Day.into(), ..top(By::Class, 10, last(30)) },
        ),
        ("reasons, 30 days", top(By::Reason, 10, last(30))),
        (
            "clicks by month, 6 months, Europe/Berlin",
            QueryStatsRequest {
                granularity: Each::Month.into(),
                start_time: wire(beginning),
                ..times.last(90, "Europe/Berlin")
            },
        ),
    ]
}

/// Returns a question that nothing but single clicks answers.
pub(crate) fn scan(times: Times, days: i32) -> QueryStatsRequest {
    QueryStatsRequest {
        dimension: By::Country.into(),
        top: 20,
        filters: vec![StatsFilter {
            dimension: By::Device.into(),
            values: vec!["mobile".to_owned()],
            unknown: false,
        }],
        ..times.last(days, "UTC")
    }
}
