//! Statistics: what is asked of the log of clicks, and how time is divided for it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};

use super::{
    fault::{Problem, Reason},
    limits,
    name::ShopId,
    named::named_enum,
};

/// The value of a dimension that is unknown; no name is written so.
pub const UNKNOWN: &str = "?";
/// The value of a dimension when it is known that there is none.
pub const NONE: &str = "";

named_enum! {
    /// By what clicks are told apart.
    pub enum Dimension: "dimension" {
        /// The link, by its slug.
        Link = "link",
        /// The credited partner.
        Partner = "partner",
        /// The program that the partner was in.
        Program = "program",
        /// The rule that decided, as `slug/rule`.
        Rule = "rule",
        /// The country.
        Country = "country",
        /// The kind of device.
        Device = "device",
        /// The operating system.
        Os = "os",
        /// The browser or app.
        Browser = "browser",
        /// The language that the visitor likes best.
        Language = "language",
        /// The host of the referring page.
        Referrer = "referrer",
        /// How the visitor came.
        Channel = "channel",
        /// The class of traffic.
        Class = "class",
        /// Why the visitor went where it went.
        Reason = "reason",
    }
}

named_enum! {
    /// How long the pieces are into which time is divided, on the clock of a zone.
    pub enum Granularity: "granularity" {
        /// One piece.
        Total = "total",
        /// From hour to hour.
        Hour = "hour",
        /// From midnight to midnight.
        Day = "day",
        /// From Monday to Monday.
        Week = "week",
        /// From the first of a month to the next.
        Month = "month",
    }
}

/// What is asked of the clicks of a shop.
#[derive(Clone, Debug)]
pub struct StatsQuery {
    /// The shop.
    pub shop: ShopId,
    /// The pieces of time.
    pub pieces: Pieces,
    /// By what clicks are told apart.
    pub dimension: Option<Dimension>,
    /// Only these values.
    pub filters: BTreeMap<Dimension, BTreeSet<String>>,
    /// Whether visitors are asked for.
    pub visitors: bool,
}

/// Pieces of time without gaps: each begins where the one before it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pieces {
    bounds: Vec<Timestamp>,
}

/// What is counted together once and for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A quarter of an hour.
    Quarter,
    /// A UTC day.
    Day,
}

impl Unit {
    const fn milliseconds(self) -> i64 {
        match self {
            Self::Quarter => 15 * 60 * 1_000,
            Self::Day => 24 * 60 * 60 * 1_000,
        }
    }
}

/// Spans of time in order that neither overlap nor touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans {
    /// Where they begin and end, in turn.
    edges: Vec<Timestamp>,
}

impl Spans {
    /// Returns where they begin and end, in turn.
    pub fn edges(&self) -> &[Timestamp] {
        &self.edges
    }

    /// Returns where the first begins and the last ends, unless there are none.
    pub fn ends(&self) -> Option<(Timestamp, Timestamp)> {
        self.edges.first().copied().zip(self.edges.last().copied())
    }

    /// Tells whether a span begins before `end` and ends after `start`.
    pub fn touch(&self, start: Timestamp, end: Timestamp) -> bool {
        // The first edge after the start: it ends a span that is touched, or begins the next.
        let after = self.edges.partition_point(|edge| *edge <= start);
        after % 2 == 1 || self.edges.get(after).is_some_and(|begin| *begin < end)
    }

    /// Returns whole UTC days that hold all of them.
    pub fn widened(&self) -> Self {
        let mut widened = Self::default();
        for span in self.edges.chunks(2) {
            let (start, end) = (floor(span[0], Unit::Day), ceil(span[1], Unit::Day));
            match widened.edges.last_mut() {
                Some(last) if *last >= start => *last = end,
                Some(_) | None => widened.edges.extend([start, end]),
            }
        }
        widened
    }

    fn push(&mut self, start: Timestamp, end: Timestamp) {
        if start >= end {
            return;
        }
        match self.edges.last_mut() {
            Some(last) if *last == start => *last = end,
            Some(_) | None => self.edges.extend([start, end]),
        }
    }
}

impl Pieces {
    /// Divides the time from `start` to `end` on the clock of a zone. The first and the last piece may be shorter.
    pub fn divide(
        start: Timestamp,
        end: Timestamp,
        granularity: Granularity,
        zone: &TimeZone,
    ) -> Result<Self, Problem> {
        if start >= end {
            let text = format!("the end {end} is not after the start {start}");
            return Err(Problem::new(Reason::OutOfRange, text));
        }
        // Clicks have milliseconds: those from a finer start on are those from the next one on.
        let (start, end) = (up(start), up(end));
        let hours = (end.as_second() - start.as_second()) / 3_600;
        // The least that a piece lasts, give or take a change of the clock.
        let least = match granularity {
            Granularity::Total => i64::MAX,
            Granularity::Hour => 1,
            Granularity::Day => 22,
            Granularity::Week => 7 * 24 - 2,
            Granularity::Month => 28 * 24 - 2,
        };
        let most = limits::STATS_POINTS;
        if hours / least > i64::try_from(most).unwrap_or(i64::MAX) {
            let text =
                format!("there are more than {most} pieces from {start} to {end}; ask for longer ones");
            return Err(Problem::new(Reason::OutOfRange, text));
        }
        let mut bounds = vec![start];
        let inner: Box<dyn Iterator<Item = Timestamp>> = match granularity {
            Granularity::Total => Box::new(std::iter::empty()),
            Granularity::Hour => Box::new(hours_of(start, zone)),
            Granularity::Day => {
                Box::new(days_of(first_day(start, zone), zone, |day| day.checked_add(1.day())))
            }
            Granularity::Week => {
                let day = first_day(start, zone);
                let monday = day.checked_sub(i32::from(day.weekday().to_monday_zero_offset()).days());
                Box::new(days_of(monday.unwrap_or(day), zone, |day| day.checked_add(7.days())))
            }
            Granularity::Month => Box::new(days_of(first_day(start, zone).first_of_month(), zone, |day| {
                day.checked_add(1.month())
            })),
        };
        bounds.extend(inner.skip_while(|bound| *bound <= start).take_while(|bound| *bound < end));
        // Two ends within one millisecond hold no click, nor does a day that a zone left out.
        bounds.push(end);
        bounds.dedup();
        Ok(Self { bounds })
    }

    /// Returns where each piece begins, and where the last one ends.
    pub fn bounds(&self) -> &[Timestamp] {
        &self.bounds
    }

    /// Returns how many pieces there are.
    pub fn count(&self) -> usize {
        self.bounds.len() - 1
    }

    /// Returns what whole units lie in one piece each, and what time is left beside them.
    pub fn covered(&self, unit: Unit) -> (Spans, Spans) {
        let (mut whole, mut rest) = (Spans::default(), Spans::default());
        for piece in self.bounds.windows(2) {
            let (start, end) = (ceil(piece[0], unit), floor(piece[1], unit));
            if start < end {
                rest.push(piece[0], start);
                whole.push(start, end);
                rest.push(end, piece[1]);
            } else {
                rest.push(piece[0], piece[1]);
            }
        }
        (whole, rest)
    }

    /// Returns the whole time.
    pub fn all(&self) -> Spans {
        let mut spans = Spans::default();
        spans.push(self.bounds[0], self.bounds[self.count()]);
        spans
    }
}

/// Rounds up to milliseconds.
fn up(time: Timestamp) -> Timestamp {
    let millisecond = (time.as_nanosecond() + 999_999).div_euclid(1_000_000);
    let millisecond = i64::try_from(millisecond).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(millisecond).unwrap_or(Timestamp::MAX)
}

fn floor(time: Timestamp, unit: Unit) -> Timestamp {
    let floored = time.as_millisecond().div_euclid(unit.milliseconds()) * unit.milliseconds();
    Timestamp::from_millisecond(floored).unwrap_or(Timestamp::MIN)
}

fn ceil(time: Timestamp, unit: Unit) -> Timestamp {
    let floored = floor(time, unit);
    if floored == time {
        return time;
    }
    Timestamp::from_millisecond(floored.as_millisecond() + unit.milliseconds()).unwrap_or(Timestamp::MAX)
}

fn first_day(start: Timestamp, zone: &TimeZone) -> Date {
    zone.to_datetime(start).date()
}

/// Returns when days begin, from the first on.
fn days_of<'z>(
    first: Date,
    zone: &'z TimeZone,
    next: impl Fn(Date) -> Result<Date, jiff::Error> + 'z,
) -> impl Iterator<Item = Timestamp> + 'z {
    let days = std::iter::successors(Some(first), move |day| next(*day).ok());
    // Where a change of the clock swallows midnight, the day begins with what comes after it.
    days.map_while(|day| zone.to_timestamp(day.at(0, 0, 0, 0)).ok())
}

/// Returns when hours begin after `start`: when the clock shows a whole one, or another than a quarter of an hour ago.
fn hours_of(start: Timestamp, zone: &TimeZone) -> impl Iterator<Item = Timestamp> {
    let quarter = Unit::Quarter.milliseconds();
    let first = floor(start, Unit::Quarter);
    let quarters = std::iter::successors(Some(first), move |time| {
        Timestamp::from_millisecond(time.as_millisecond() + quarter).ok()
    });
    let shown = |time| {
        let local = zone.to_datetime(time);
        (local.date(), local.hour(), local.minute())
    };
    let mut before = shown(first);
    quarters.skip(1).filter(move |time| {
        let now = shown(*time);
        let last = std::mem::replace(&mut before, now);
        now.2 == 0 || (now.0, now.1) != (last.0, last.1)
    })
}

#[cfg(test)]
mod tests {
    use jiff::tz::Offset;
    use proptest::prelude::*;

    use super::*;

    const ZONES: [&str; 7] = [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Asia/Kolkata",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        "America/Santiago",
    ];

    fn zone(name: &str) -> TimeZone {
        jiff::tz::db().get(name).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn starts(start: &str, end: &str, granularity: Granularity, name: &str) -> Vec<String> {
        let pieces = Pieces::divide(at(start), at(end), granularity, &zone(name)).unwrap();
        pieces.bounds().iter().map(Timestamp::to_string).collect()
    }

    #[test]
    fn days_are_as_long_as_the_clock_says() {
        // The clock goes back at 01:00 UTC on the 25th.
        assert_eq!(
            starts("2026-10-24T00:00:00Z", "2026-10-26T12:00:00Z", Granularity::Day, "Europe/Berlin"),
            ["2026-10-24T00:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", "2026-10-26T12:00:00Z"]
        );
        // Midnight of the 6th is left out there: the day begins at one.
        assert_eq!(
            starts("2026-09-05T12:00:00Z", "2026-09-07T12:00:00Z", Granularity::Day, "America/Santiago"),
            ["2026-09-05T12:00:00Z", "2026-09-06T04:00:00Z", "2026-09-07T03:00:00Z", "2026-09-07T12:00:00Z"]
        );
        // A zone that left a day out has no piece for it.
        assert_eq!(
            starts("2011-12-29T12:00:00Z", "2011-12-31T12:00:00Z", Granularity::Day, "Pacific/Apia"),
            ["2011-12-29T12:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z", "2011-12-31T12:00:00Z"]
        );
    }

    #[test]
    fn hours_weeks_and_months_begin_where_the_clock_says() {
        assert_eq!(
            starts("2026-10-25T00:30:00Z", "2026-10-25T02:00:00Z", Granularity::Hour, "Europe/Berlin"),
            ["2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"]
        );
        assert_eq!(
            starts("2026-10-25T00:00:00Z", "2026-10-25T01:45:00Z", Granularity::Hour, "Asia/Kolkata"),
            ["2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T01:45:00Z"]
        );
        assert_eq!(
            starts("2026-11-22T00:00:00Z", "2026-11-30T00:00:00Z", Granularity::Week, "UTC"),
            ["2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"]
        );
        assert_eq!(
            starts("2026-03-01T00:00:00Z", "2026-05-01T00:00:00Z", Granularity::Month, "Europe/Berlin"),
            ["2026-03-01T00:00:00Z", "2026-03-31T22:00:00Z", "2026-04-30T22:00:00Z", "2026-05-01T00:00:00Z"]
        );
    }

    #[test]
    fn bounds_of_time_are_checked() {
        let divide = |start: &str, end: &str, granularity| {
            Pieces::divide(at(start), at(end), granularity, &TimeZone::UTC).map(|pieces| pieces.count())
        };
        let (first, last) = ("0001-01-01T00:00:00Z", "9999-12-30T00:00:00Z");
        assert_eq!(divide(first, last, Granularity::Total), Ok(1));
        for granularity in [Granularity::Hour, Granularity::Day, Granularity::Week, Granularity::Month] {
            assert_eq!(divide(first, last, granularity).unwrap_err().reason, Reason::OutOfRange);
        }
        assert_eq!(divide(last, last, Granularity::Total).unwrap_err().reason, Reason::OutOfRange);
        assert_eq!(divide("2026-01-01T00:00:00Z", "2027-02-01T00:00:00Z", Granularity::Hour), Ok(9_504));
        // No click has a time between two milliseconds.
        assert_eq!(divide("2026-01-01T00:00:00.0001Z", "2026-01-01T00:00:00.0002Z", Granularity::Day), Ok(0));
        assert_eq!(divide("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.0002Z", Granularity::Day), Ok(1));
    }

    #[test]
    fn spans_are_widened_to_days_and_touched_at_their_ends() {
        let mut spans = Spans::default();
        spans.push(at("2026-01-01T22:00:00Z"), at("2026-01-02T00:00:00Z"));
        spans.push(at("2026-01-02T22:00:00Z"), at("2026-01-02T23:00:00Z"));
        spans.push(at("2026-01-05T00:00:00Z"), at("2026-01-06T01:00:00Z"));
        let days =
            ["2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z", "2026-01-05T00:00:00Z", "2026-01-07T00:00:00Z"];
        assert_eq!(spans.widened().edges(), days.map(at));
        let touched = |start: &str, end: &str| spans.touch(at(start), at(end));
        assert!(touched("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"));
        assert!(touched("2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"));
        assert!(!touched("2026-01-03T00:00:00Z", "2026-01-05T00:00:00Z"));
        assert!(touched("2026-01-06T00:00:00Z", "2026-01-07T00:00:00Z"));
        assert!(!touched("2026-01-06T01:00:00Z", "2026-01-07T00:00:00Z"));
    }

    /// What a clock there shows of a piece of time.
    fn shown(time: Timestamp, granularity: Granularity, zone: &TimeZone) -> (Date, i8, Offset) {
        let (local, offset) = (zone.to_datetime(time), zone.to_offset(time));
        let date = local.date();
        match granularity {
            Granularity::Total => (Date::ZERO, 0, Offset::UTC),
            Granularity::Hour => (date, local.hour(), offset),
            Granularity::Day => (date, 0, Offset::UTC),
            Granularity::Week => {
                let since = i32::from(date.weekday().to_monday_zero_offset());
                (date.checked_sub(since.days()).unwrap(), 0, Offset::UTC)
            }
            Granularity::Month => (date.first_of_month(), 0, Offset::UTC),
        }
    }

    proptest! {
        #[test]
        fn pieces_are_what_a_clock_shows(
            start in 1_767_225_600_000..1_798_761_600_000_i64,
            quarters in 1..20_000_i64,
            odd in 0..900_000_i64,
            name in prop::sample::select(&ZONES[..]),
            granularity in prop::sample::select(Granularity::ALL),
        ) {
            let time = |millisecond| Timestamp::from_millisecond(millisecond).unwrap();
            let (from, to, zone) = (time(start), time(start + quarters * 900_000 + odd), zone(name));
            let pieces = Pieces::divide(from, to, granularity, &zone).unwrap();
            prop_assert_eq!((pieces.bounds()[0], pieces.bounds()[pieces.count()]), (from, to));
            for piece in pieces.bounds().windows(2) {
                prop_assert!(piece[0] < piece[1]);
                let first = shown(piece[0], granularity, &zone);
                let last = shown(time(piece[1].as_millisecond() - 1), granularity, &zone);
                // Where the clock jumps by half an hour, an hour is as long as it shows.
                prop_assert!(first == last || name == "Australia/Lord_Howe" && (first.0, first.1) == (last.0, last.1));
                prop_assert!(piece[1] == to || shown(piece[1], granularity, &zone) != last);
            }
            for unit in [Unit::Quarter, Unit::Day] {
                let (whole, rest) = pieces.covered(unit);
                prop_assert!(whole.edges().iter().all(|edge| floor(*edge, unit) == *edge));
                let length = |spans: &Spans| -> i64 {
                    spans.edges().chunks(2).map(|span| span[1].as_millisecond() - span[0].as_millisecond()).sum()
                };
                prop_assert_eq!(length(&whole) + length(&rest), to.as_millisecond() - start);
                for spans in [&whole, &rest] {
                    prop_assert!(spans.edges().windows(2).all(|edges| edges[0] < edges[1]));
                }
                prop_assert!(!whole.edges().chunks(2).any(|span| rest.touch(span[0], span[1])));
            }
        }
    }
}
