//! Windows of time: absolute ones, and weekly ones on the wall clock of a zone.

use jiff::{Timestamp, civil::Weekday, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::{
    ends::Ends,
    fault::{Problem, Reason},
    host::shown,
    limits,
};

/// A span of time; the start is in it, the end is not.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Ends<Timestamp>", into = "Ends<Timestamp>")]
pub struct TimeWindow {
    start: Option<Timestamp>,
    end: Option<Timestamp>,
}

impl TimeWindow {
    /// Takes at least one end, and a start before the end.
    pub fn new(start: Option<Timestamp>, end: Option<Timestamp>) -> Result<Self, Problem> {
        match (start, end) {
            (None, None) => Err(Problem::required("the start or the end")),
            (Some(start), Some(end)) if start >= end => {
                Err(Problem::new(Reason::OutOfRange, format!("the end {end} is not after the start {start}")))
            }
            _ => Ok(Self { start, end }),
        }
    }

    /// Returns whether the instant is in the window.
    pub fn contains(&self, time: Timestamp) -> bool {
        self.start.is_none_or(|start| time >= start) && self.end.is_none_or(|end| time < end)
    }

    /// Returns both ends.
    pub fn ends(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        (self.start, self.end)
    }
}

impl TryFrom<Ends<Timestamp>> for TimeWindow {
    type Error = Problem;

    fn try_from(ends: Ends<Timestamp>) -> Result<Self, Problem> {
        Self::new(ends.from, ends.below)
    }
}

impl From<TimeWindow> for Ends<Timestamp> {
    fn from(window: TimeWindow) -> Self {
        Self { from: window.start, below: window.end }
    }
}

/// Hours on weekdays in a time zone, on the wall clock there.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "WeeklyHoursParts", into = "WeeklyHoursParts")]
pub struct WeeklyHours {
    /// Bit 0 is Monday.
    days: u8,
    start: i8,
    end: i8,
    zone: ZoneName,
}

/// The written form of [`WeeklyHours`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WeeklyHoursParts {
    /// Days on which the window begins, 1 = Monday to 7.
    pub weekdays: Vec<i8>,
    /// The first hour, 0 to 23.
    pub start_hour: i32,
    /// The hour at which it ends, 1 to 24.
    pub end_hour: i32,
    /// A name of the IANA time zone database.
    pub time_zone: String,
}

impl WeeklyHours {
    /// Takes hours on weekdays. A window whose end is not after its start runs into the next day.
    pub fn new(days: &[Weekday], start_hour: i32, end_hour: i32, zone: ZoneName) -> Result<Self, Problem> {
        if days.is_empty() {
            return Err(Problem::required("a weekday"));
        }
        let in_range =
            (0..=23).contains(&start_hour) && (1..=24).contains(&end_hour) && start_hour != end_hour;
        let (Ok(start), Ok(end), true) = (i8::try_from(start_hour), i8::try_from(end_hour), in_range) else {
            return Err(Problem::new(
                Reason::OutOfRange,
                "hours run from 0 to 23 and end at 1 to 24, not where they start; all day is 0 to 24",
            ));
        };
        let days = days.iter().fold(0, |days, day| days | 1 << day.to_monday_zero_offset());
        Ok(Self { days, start, end, zone })
    }

    /// Returns whether the instant is in the window. Hours after midnight belong to the day on which it began.
    pub fn contains(&self, time: Timestamp) -> bool {
        self.contains_local(self.zone.weekday_and_hour(time))
    }

    /// Returns whether weekday and hour on the clock of [`Self::zone`] are in the window.
    pub fn contains_local(&self, (today, hour): (Weekday, i8)) -> bool {
        let on = |day: Weekday| self.days & 1 << day.to_monday_zero_offset() != 0;
        if self.start < self.end {
            return on(today) && hour >= self.start && hour < self.end;
        }
        (on(today) && hour >= self.start) || (on(today.previous()) && hour < self.end)
    }

    /// Returns the zone by whose clock the hours are meant.
    pub fn zone(&self) -> &ZoneName {
        &self.zone
    }

    /// Returns the written form.
    pub fn parts(&self) -> WeeklyHoursParts {
        WeeklyHoursParts {
            weekdays: (0..7).filter(|day| self.days & 1 << day != 0).map(|day| day + 1).collect(),
            start_hour: self.start.into(),
            end_hour: self.end.into(),
            time_zone: self.zone.as_str().to_owned(),
        }
    }
}

impl TryFrom<WeeklyHoursParts> for WeeklyHours {
    type Error = Problem;

    fn try_from(parts: WeeklyHoursParts) -> Result<Self, Problem> {
        let day = |&day: &i8| {
            Weekday::from_monday_one_offset(day)
                .map_err(|_| Problem::new(Reason::UnknownValue, format!("there is no weekday {day}")))
        };
        let days = parts.weekdays.iter().map(day).collect::<Result<Vec<_>, _>>()?;
        Self::new(&days, parts.start_hour, parts.end_hour, ZoneName::parse(&parts.time_zone)?)
    }
}

impl From<WeeklyHours> for WeeklyHoursParts {
    fn from(hours: WeeklyHours) -> Self {
        hours.parts()
    }
}

/// A time zone by its name in the IANA time zone database.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ZoneName {
    name: Box<str>,
    zone: TimeZone,
}

impl ZoneName {
    /// Takes `Europe/Berlin`, without case; says the nearest name otherwise.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        if text.is_empty() {
            return Err(Problem::required("the time zone"));
        }
        if text.len() > limits::NAME_BYTES {
            return Err(Problem::new(Reason::UnknownValue, format!("`{}` is no time zone", shown(text))));
        }
        if let Ok(zone) = jiff::tz::db().get(text)
            && let Some(name) = zone.iana_name()
        {
            return Ok(Self { name: name.into(), zone });
        }
        let given: String = text.chars().take(limits::NAME_BYTES).collect();
        let likeness =
            |name: &str| strsim::jaro_winkler(&given.to_ascii_lowercase(), &name.to_ascii_lowercase());
        let nearest = jiff::tz::db()
            .available()
            .map(|name| (likeness(name.as_str()), name))
            .max_by(|(left, _), (right, _)| left.total_cmp(right))
            .map_or_else(String::new, |(_, name)| format!(", did you mean `{name}`"));
        let text = format!("`{}` is no name of the IANA time zone database{nearest}", shown(text));
        Err(Problem::new(Reason::UnknownValue, text))
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// Returns the zone.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Returns what the clock there shows.
    pub fn weekday_and_hour(&self, time: Timestamp) -> (Weekday, i8) {
        let local = self.zone.to_datetime(time);
        (local.weekday(), local.hour())
    }
}

impl TryFrom<String> for ZoneName {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self, Problem> {
        Self::parse(&text)
    }
}

impl From<ZoneName> for String {
    fn from(zone: ZoneName) -> Self {
        zone.name.into()
    }
}

impl PartialEq for ZoneName {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for ZoneName {}

impl std::hash::Hash for ZoneName {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(days: &[Weekday], start: i32, end: i32, zone: &str) -> WeeklyHours {
        WeeklyHours::new(days, start, end, ZoneName::parse(zone).unwrap()).unwrap()
    }

    #[test]
    fn hours_after_midnight_belong_to_the_day_on_which_the_window_began() {
        let friday_night = hours(&[Weekday::Friday], 22, 4, "UTC");
        for (time, inside) in [
            ("2026-01-02T21:59:59Z", false), // a Friday
            ("2026-01-02T22:00:00Z", true),
            ("2026-01-03T03:59:59Z", true),
            ("2026-01-03T04:00:00Z", false),
            ("2026-01-02T01:00:00Z", false),
            ("2026-01-03T22:00:00Z", false),
        ] {
            assert_eq!(friday_night.contains(time.parse().unwrap()), inside, "{time}");
        }
    }

    #[test]
    fn hours_follow_the_wall_clock_through_a_change_of_time() {
        let morning = hours(&[Weekday::Sunday], 3, 24, "Europe/Berlin");
        // On 2026-03-29 the clock jumps from 2 to 3 at 01:00 UTC.
        assert!(!morning.contains("2026-03-29T00:59:59Z".parse().unwrap()));
        assert!(morning.contains("2026-03-29T01:00:00Z".parse().unwrap()));
        assert!(morning.contains("2026-03-29T21:59:59Z".parse().unwrap()));
        assert!(!morning.contains("2026-03-29T22:00:00Z".parse().unwrap()));
    }

    #[test]
    fn zones_hours_and_windows_are_checked() {
        assert!(ZoneName::parse("Europe/Berlon").unwrap_err().text.contains("Europe/Berlin"));
        assert_eq!(ZoneName::parse("europe/berlin").unwrap().as_str(), "Europe/Berlin");
        let utc = || ZoneName::parse("UTC").unwrap();
        for (start, end) in [(-1, 5), (24, 5), (5, 0), (5, 25), (5, 5), (i32::MAX, 1)] {
            assert!(WeeklyHours::new(&[Weekday::Monday], start, end, utc()).is_err(), "{start} {end}");
        }
        assert!(WeeklyHours::new(&[], 1, 2, utc()).is_err());
        assert!(TimeWindow::new(None, None).is_err());
        assert!(TimeWindow::new(Some(Timestamp::UNIX_EPOCH), Some(Timestamp::UNIX_EPOCH)).is_err());
    }
}
