//! Times: between any two ends of windows, every weekday and hour.

use std::collections::{BTreeSet, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::{
    super::{
        sample::Value,
        steps::{Spent, Steps},
    },
    Candidate, Frame, Loose, Test, predicates, sorted,
};
use crate::domain::{condition::Predicate, window::ZoneName};

/// How long one looks for every weekday and hour; longer than a week, since clocks are changed and days are skipped.
const SAMPLE: SignedDuration = SignedDuration::from_hours(15 * 24);
/// Hours of a week.
const WEEK: usize = 7 * 24;
/// Times that are looked at; beyond them weekdays and hours are taken to be anything.
const MOST: usize = 20_000;
/// What it costs to find the next hour of one clock, in the steps of a search.
const HOUR_STEPS: usize = 8;

/// Returns a time for everything that windows and hours tell apart, within the link's own window. Where it takes too many
/// steps or times, weekdays and hours are taken to be anything.
pub(super) fn times(tests: &[Test<'_>], frame: Frame<'_>, steps: &mut Steps) -> Vec<Candidate> {
    let zones = zones(tests);
    let mut found = Vec::new();
    for (begin, end) in spans(tests, frame) {
        let first =
            begin.unwrap_or_else(|| end.map_or(frame.now, |end| before(end, SignedDuration::from_secs(1))));
        if zones.is_empty() {
            found.push(Candidate::exact(Value::Time(first)));
            continue;
        }
        let sample = Sample::of(begin, end, frame.now);
        let most = MOST.saturating_sub(found.len());
        let points = sample.points(&zones, most, steps).unwrap_or_default();
        let shows_all = |zone: &ZoneName| {
            let shown: HashSet<_> = points.iter().map(|time| zone.weekday_and_hour(*time)).collect();
            shown.len() == WEEK
        };
        let is_whole = match zones.as_slice() {
            [zone] => sample.is_whole || shows_all(zone),
            _ => sample.is_whole,
        };
        found.extend(points.iter().map(|time| Candidate::exact(Value::Time(*time))));
        if points.is_empty() || !is_whole {
            found.push(Candidate { value: Value::Time(first), loose: Loose::Hours });
        }
    }
    found
}

fn before(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_sub(by).unwrap_or(Timestamp::MIN)
}

fn zones<'t>(tests: &'t [Test<'t>]) -> Vec<&'t ZoneName> {
    let zones = predicates(tests).filter_map(|predicate| {
        let Predicate::Weekly(hours) = predicate else { return None };
        Some(hours.zone())
    });
    let mut zones: Vec<&ZoneName> = zones.collect();
    zones.sort_unstable_by_key(|zone| zone.as_str());
    zones.dedup();
    zones
}

/// A span of time, open where there is no end.
type Span = (Option<Timestamp>, Option<Timestamp>);

/// Cuts the link's window at every end of a window and at the present: what is to come first, then what was, backwards.
fn spans(tests: &[Test<'_>], frame: Frame<'_>) -> Vec<Span> {
    let windows = predicates(tests).filter_map(|predicate| {
        let Predicate::Time(window) = predicate else { return None };
        Some(window.ends())
    });
    let ends = windows.flat_map(|(start, end)| start.into_iter().chain(end)).chain([frame.now]);
    let is_inside = |time: &Timestamp| {
        frame.start.is_none_or(|start| *time > start) && frame.expire.is_none_or(|expire| *time < expire)
    };
    let cuts = sorted(ends.filter(is_inside)).into_iter().map(Some);
    let begins: Vec<_> = std::iter::once(frame.start).chain(cuts.clone()).collect();
    let all: Vec<Span> = begins.into_iter().zip(cuts.chain([frame.expire])).collect();
    let is_past = |(_, end): &Span| end.is_some_and(|end| end <= frame.now);
    let (past, mut spans): (Vec<Span>, Vec<Span>) = all.into_iter().partition(is_past);
    spans.extend(past.into_iter().rev());
    spans
}

/// The part of a span in which weekdays and hours are looked for.
struct Sample {
    from: Timestamp,
    to: Timestamp,
    /// Whether it is all of the span.
    is_whole: bool,
}

impl Sample {
    fn of(begin: Option<Timestamp>, end: Option<Timestamp>, now: Timestamp) -> Self {
        let Some(from) = begin else {
            let to = end.unwrap_or(now);
            return Self { from: before(to, SAMPLE), to, is_whole: false };
        };
        let most = from.checked_add(SAMPLE).unwrap_or(Timestamp::MAX);
        let to = end.map_or(most, |end| end.min(most));
        Self { from, to, is_whole: end == Some(to) }
    }

    /// Returns the start, and every instant at which a clock begins to show another hour; fails if that takes more steps
    /// or points than there may be.
    fn points(
        &self,
        zones: &[&ZoneName],
        most: usize,
        steps: &mut Steps,
    ) -> Result<BTreeSet<Timestamp>, Spent> {
        let mut points = BTreeSet::from([self.from]);
        for zone in zones {
            let mut time = self.from;
            while let Some(next) = next_hour(zone, time).filter(|next| *next < self.to) {
                steps.take(HOUR_STEPS)?;
                points.insert(next);
                if points.len() > most {
                    return Err(Spent);
                }
                time = next;
            }
        }
        Ok(points)
    }
}

/// Returns when the clock of a zone shows another hour or is changed.
fn next_hour(zone: &ZoneName, time: Timestamp) -> Option<Timestamp> {
    let shown = zone.zone().to_datetime(time);
    let past = i64::from(shown.minute()) * 60 + i64::from(shown.second());
    let rest = SignedDuration::new(3_600 - past, 0) - SignedDuration::new(0, shown.subsec_nanosecond());
    let turn = time.checked_add(rest).ok()?;
    let change = zone.zone().following(time).next().map(|change| change.timestamp());
    Some(change.map_or(turn, |change| turn.min(change)))
}
