//! Conditions of rules: groups and one typed predicate per attribute.

use ipnet::IpNet;
use jiff::{Timestamp, civil::Weekday, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::{
    client::{Browser, DeviceClass, Os, TrafficClass, Version},
    decimal::Decimal,
    fault::{Problem, Reason},
    geo::{Continent, Country},
    host::{Host, shown},
    language::LanguageRange,
    limits,
    name::{PartnerCode, ProgramId, Tag},
    one_of::OneOf,
    text::{checked_texts, length},
};

/// A condition on a visit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Every member holds.
    All(Group),
    /// Some member holds.
    Any(Group),
    /// The member does not hold.
    Not(Box<Condition>),
    /// The attribute is known, be it known to be absent.
    IsKnown(Attribute),
    /// The predicate holds.
    Is(Predicate),
}

impl Condition {
    /// Checks that the condition is at most 8 levels deep and has at most 200 nodes.
    pub fn check_size(&self) -> Result<(), Problem> {
        let (depth, nodes) = self.size();
        let over = |what: &str, is: usize, most: usize| {
            Err(Problem::new(
                Reason::TooLong,
                format!("the condition has {is} {what}, at most {most} are allowed"),
            ))
        };
        if depth > limits::CONDITION_DEPTH {
            return over("levels", depth, limits::CONDITION_DEPTH);
        }
        if nodes > limits::CONDITION_NODES {
            return over("nodes", nodes, limits::CONDITION_NODES);
        }
        Ok(())
    }

    /// Returns levels and nodes.
    fn size(&self) -> (usize, usize) {
        let members = match self {
            Self::All(group) | Self::Any(group) => group.members(),
            Self::Not(member) => std::slice::from_ref(member.as_ref()),
            Self::IsKnown(_) | Self::Is(_) => &[],
        };
        let (depth, nodes) =
            members.iter().map(Self::size).fold((0, 0), |(depth, nodes), (d, n)| (depth.max(d), nodes + n));
        (depth + 1, nodes + 1)
    }

    /// Calls `visit` with every predicate.
    pub fn for_each_predicate<'a>(&'a self, visit: &mut impl FnMut(&'a Predicate)) {
        match self {
            Self::All(group) | Self::Any(group) => {
                group.members().iter().for_each(|member| member.for_each_predicate(visit));
            }
            Self::Not(member) => member.for_each_predicate(visit),
            Self::IsKnown(_) => {}
            Self::Is(predicate) => visit(predicate),
        }
    }
}

/// The members of a group; at least one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<Condition>", into = "Vec<Condition>")]
pub struct Group(Box<[Condition]>);

impl Group {
    /// Takes at least one member: what an empty group should mean is anybody's guess.
    pub fn new(members: Vec<Condition>) -> Result<Self, Problem> {
        if members.is_empty() {
            return Err(Problem::required("a member of the group"));
        }
        Ok(Self(members.into()))
    }

    /// Returns the members in order.
    pub fn members(&self) -> &[Condition] {
        &self.0
    }
}

impl TryFrom<Vec<Condition>> for Group {
    type Error = Problem;

    fn try_from(members: Vec<Condition>) -> Result<Self, Problem> {
        Self::new(members)
    }
}

impl From<Group> for Vec<Condition> {
    fn from(group: Group) -> Vec<Condition> {
        group.0.into()
    }
}

/// An attribute that [`Condition::IsKnown`] can ask about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attribute {
    /// The class of device.
    Device,
    /// The operating system.
    Os,
    /// The version of the operating system.
    OsVersion,
    /// The browser.
    Browser,
    /// The version of the browser.
    BrowserVersion,
    /// The language.
    Language,
    /// The country, and with it the continent and the European Union.
    Country,
    /// The host of the referring page.
    ReferrerHost,
    /// The visitor's address.
    ClientAddress,
    /// Partner, program and tags; always known.
    Partner,
    /// A fact of the caller.
    Caller(AttributeName),
}

/// One test of one attribute.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Predicate {
    /// The device is of one of these classes.
    Device(OneOf<DeviceClass>),
    /// The operating system is of one of these families and its version in the range.
    Os {
        /// The families.
        families: OneOf<Os>,
        /// The versions; a version that is not known matters only if they have ends.
        #[serde(default)]
        versions: VersionRange,
    },
    /// The browser is of one of these families and its version in the range.
    Browser {
        /// The families.
        families: OneOf<Browser>,
        /// The versions; a version that is not known matters only if they have ends.
        #[serde(default)]
        versions: VersionRange,
    },
    /// The language is in one of these ranges.
    Language(OneOf<LanguageRange>),
    /// The country is one of these.
    Country(OneOf<Country>),
    /// The continent is one of these.
    Continent(OneOf<Continent>),
    /// The country is in the European Union.
    InEu {},
    /// The referring host is one of these, or below one of them.
    ReferrerHost {
        /// The hosts.
        hosts: OneOf<Host>,
        /// Whether hosts below them match too.
        include_subdomains: bool,
    },
    /// A parameter of the visitor's query.
    Query {
        /// Its decoded name.
        name: ParameterName,
        /// What is tested.
        test: QueryTest,
    },
    /// The address is in one of these blocks.
    ClientAddress(OneOf<IpNet>),
    /// The traffic is of one of these classes.
    Traffic(OneOf<TrafficClass>),
    /// The time of the visit is in the window.
    Time(TimeWindow),
    /// Weekday and hour of the visit are in the window.
    Weekly(WeeklyHours),
    /// The credited partner is one of these.
    Partner(OneOf<PartnerCode>),
    /// The credited partner's program is one of these.
    Program(OneOf<ProgramId>),
    /// The credited partner has one of these tags.
    PartnerTag(OneOf<Tag>),
    /// A fact of the caller.
    Caller {
        /// Its name.
        name: AttributeName,
        /// What is tested.
        test: CallerTest,
    },
}

/// A range of versions; open on the sides that are not set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Ends<Version>", into = "Ends<Version>")]
pub struct VersionRange {
    min: Option<Version>,
    below: Option<Version>,
}

/// The written form of a range; an end that is not set is not written.
#[derive(Serialize, Deserialize)]
struct Ends<T> {
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    below: Option<T>,
}

impl VersionRange {
    /// Takes the first version that matches and the first that does not any more.
    pub fn new(min: Option<Version>, below: Option<Version>) -> Result<Self, Problem> {
        if let (Some(min), Some(below)) = (min, below)
            && min >= below
        {
            let text = format!("no version is at least {min} and below {below}");
            return Err(Problem::new(Reason::OutOfRange, text));
        }
        Ok(Self { min, below })
    }

    /// Returns whether any version is in the range, a version that is not known included.
    pub fn is_any(&self) -> bool {
        self.min.is_none() && self.below.is_none()
    }

    /// Returns whether the version is in the range.
    pub fn contains(&self, version: Version) -> bool {
        self.min.is_none_or(|min| version >= min) && self.below.is_none_or(|below| version < below)
    }

    /// Returns both ends.
    pub fn ends(&self) -> (Option<Version>, Option<Version>) {
        (self.min, self.below)
    }
}

impl TryFrom<Ends<Version>> for VersionRange {
    type Error = Problem;

    fn try_from(ends: Ends<Version>) -> Result<Self, Problem> {
        Self::new(ends.from, ends.below)
    }
}

impl From<VersionRange> for Ends<Version> {
    fn from(range: VersionRange) -> Self {
        Self { from: range.min, below: range.below }
    }
}

checked_texts! {
    /// The decoded name of a query parameter: 1 to 256 bytes.
    ParameterName, |text| length(text, "the parameter name", limits::PARAMETER_NAME_BYTES, true);
    /// A value to compare with: at most 512 bytes, may be empty.
    Value, |text| length(text, "the value", limits::VALUE_BYTES, false);
    /// A text to look for in a value: 1 to 512 bytes.
    Needle, |text| length(text, "the text to look for", limits::VALUE_BYTES, true);
    /// The name of a caller's fact: `[A-Za-z0-9_.-]{1,64}`.
    AttributeName, |text| {
        length(text, "the attribute name", limits::NAME_BYTES, true)?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        text.bytes().all(plain).then_some(()).ok_or_else(|| {
            let text = format!("the attribute name `{}` may hold letters, digits, `_`, `.` and `-`", shown(text));
            Problem::new(Reason::Malformed, text)
        })
    };
}

/// What is tested of a query parameter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueryTest {
    /// It is there.
    Present,
    /// It is there, without `=`.
    WithoutValue,
    /// Its value equals one of these.
    Equals(OneOf<Value>),
    /// Its value contains this.
    Contains(Needle),
    /// Its value starts with this.
    StartsWith(Needle),
}

/// What is tested of a caller's fact.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallerTest {
    /// It equals one of these, as text.
    Equals(OneOf<Value>),
    /// It contains this.
    Contains(Needle),
    /// It starts with this.
    StartsWith(Needle),
    /// It is a smaller number.
    LessThan(Decimal),
    /// It is this number or a smaller one.
    AtMost(Decimal),
    /// It is a greater number.
    GreaterThan(Decimal),
    /// It is this number or a greater one.
    AtLeast(Decimal),
}

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
#[derive(Clone, Debug)]
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

    /// Returns what the clock there shows.
    pub fn weekday_and_hour(&self, time: Timestamp) -> (Weekday, i8) {
        let local = self.zone.to_datetime(time);
        (local.weekday(), local.hour())
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

    #[test]
    fn texts_hold_what_the_database_can_keep() {
        assert_eq!(Value::parse("a\0b").unwrap_err().reason, Reason::Malformed);
        assert!(Needle::parse("\0").is_err());
        assert!(ParameterName::parse("a\0").is_err());
        assert!(Value::parse("a\u{1}b\u{10ffff}").is_ok());
    }

    #[test]
    fn size_is_limited() {
        let leaf = || Condition::Is(Predicate::InEu {});
        let mut deep = leaf();
        for _ in 1..limits::CONDITION_DEPTH {
            deep = Condition::Not(Box::new(deep));
        }
        assert!(deep.check_size().is_ok());
        assert!(Condition::Not(Box::new(deep)).check_size().is_err());
        let wide = |members| Condition::All(Group::new(vec![leaf(); members]).unwrap());
        assert!(wide(limits::CONDITION_NODES - 1).check_size().is_ok());
        assert!(wide(limits::CONDITION_NODES).check_size().is_err());
    }

    #[test]
    fn written_form_reads_back_equal() {
        let condition = Condition::Any(
            Group::new(vec![
                Condition::Is(Predicate::Weekly(hours(
                    &[Weekday::Monday, Weekday::Sunday],
                    22,
                    4,
                    "Asia/Kolkata",
                ))),
                Condition::Is(Predicate::Time(TimeWindow::new(Some(Timestamp::UNIX_EPOCH), None).unwrap())),
                Condition::Is(Predicate::Os {
                    families: OneOf::new(vec![Os::ALL[1], Os::ALL[0]]).unwrap(),
                    versions: VersionRange::new(Version::parse("17"), Version::parse("18.2")).unwrap(),
                }),
                Condition::IsKnown(Attribute::Caller(AttributeName::parse("customer.tier").unwrap())),
            ])
            .unwrap(),
        );
        let json = serde_json::to_string(&condition).unwrap();
        assert_eq!(serde_json::from_str::<Condition>(&json).unwrap(), condition);
    }
}
