//! Time is divided as the clock of a zone shows.

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
