//! Conditions of rules: groups and one typed predicate per attribute.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{
    client::{Browser, DeviceClass, Os, TrafficClass, Version},
    decimal::Decimal,
    ends::Ends,
    fault::{Problem, Reason},
    geo::{Continent, Country},
    host::{Host, shown},
    language::LanguageRange,
    limits,
    name::{PartnerCode, ProgramId, Tag},
    one_of::OneOf,
    text::{checked_texts, length},
    window::{TimeWindow, WeeklyHours},
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

    /// Returns how many nodes it has, groups and `not` included.
    pub fn nodes(&self) -> usize {
        self.size().1
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
    /// How often the visitor has come, and with it whether the visitor is new.
    VisitorTotalVisits,
    /// How often people have clicked on the link.
    LinkTotalVisits,
    /// How often people have clicked on links of the shop by way of the credited partner.
    PartnerTotalVisits,
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
    /// The visit is the visitor's first.
    NewVisitor {},
    /// How often the visitor has come, this visit included.
    VisitorTotalVisits(CountTest),
    /// How often people have clicked on the link, this visit included.
    LinkTotalVisits(CountTest),
    /// How often people have clicked on links of the shop by way of the credited partner, this visit included; 0 if nobody
    /// is credited.
    PartnerTotalVisits(CountTest),
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

/// What is tested of a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CountTest {
    /// It is this.
    Equals(u64),
    /// It is less.
    LessThan(u64),
    /// It is this or less.
    AtMost(u64),
    /// It is greater.
    GreaterThan(u64),
    /// It is this or greater.
    AtLeast(u64),
}

impl CountTest {
    /// Returns whether a count passes.
    pub fn holds(self, count: u64) -> bool {
        match self {
            Self::Equals(bound) => count == bound,
            Self::LessThan(bound) => count < bound,
            Self::AtMost(bound) => count <= bound,
            Self::GreaterThan(bound) => count > bound,
            Self::AtLeast(bound) => count >= bound,
        }
    }
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

#[cfg(test)]
mod tests {
    use jiff::{Timestamp, civil::Weekday};

    use super::*;
    use crate::domain::window::ZoneName;

    fn hours(days: &[Weekday], start: i32, end: i32, zone: &str) -> WeeklyHours {
        WeeklyHours::new(days, start, end, ZoneName::parse(zone).unwrap()).unwrap()
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
