//! Statistics: what is asked of the log of clicks, and how time is divided for it.

#[cfg(test)]
mod tests;

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
        /// The variant that the visitor got, as `slug/rule/variant`.
        Variant = "variant",
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
    /// Whether conversions are asked for, and by which time.
    pub conversions: Option<ConversionTime>,
}

named_enum! {
    /// Which time of a conversion tells the piece that it is in.
    pub enum ConversionTime: "time of conversions" {
        /// When the order was made or paid back.
        Conversion = "conversion",
        /// When the click was that brought the order about.
        Click = "click",
    }
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
    /// Takes one span; none if it ends before or when it begins.
    pub fn of(start: Timestamp, end: Timestamp) -> Self {
        let mut spans = Self::default();
        spans.push(start, end);
        spans
    }

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
        Spans::of(self.bounds[0], self.bounds[self.count()])
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
