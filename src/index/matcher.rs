//! Decides whether a condition holds for a visit, in three values.
//!
//! Conditions are evaluated as they are: their constructors have sorted and checked all lists, and links share them, so
//! a second form would only have to be kept equal to the first.

mod looks;
mod possible;

pub use self::looks::{Look, Seen, Subject};
pub(super) use self::{
    looks::looks,
    possible::{Truths, possible},
};
use super::facts::Facts;
use crate::classify::address;
use crate::domain::{
    client::Version,
    condition::{Attribute, CallerTest, Condition, Predicate, QueryTest, VersionRange},
    decimal::Decimal,
    fact::Fact,
    host::Host,
    one_of::OneOf,
    query::pieces,
};

/// What is known of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// We could not look.
    Unknown,
}

impl Truth {
    /// Tests a fact: what is absent fits no test.
    fn of<T>(fact: Fact<T>, test: impl FnOnce(T) -> bool) -> Self {
        match fact {
            Fact::Known(value) => test(value).into(),
            Fact::Absent => Self::False,
            Fact::Unknown => Self::Unknown,
        }
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// Evaluates a condition.
pub(super) fn evaluate<'a>(condition: &'a Condition, facts: &Facts<'a>) -> Truth {
    match condition {
        Condition::All(group) => {
            let mut all = Truth::True;
            for member in group.members() {
                match evaluate(member, facts) {
                    Truth::False => return Truth::False,
                    Truth::Unknown => all = Truth::Unknown,
                    Truth::True => {}
                }
            }
            all
        }
        Condition::Any(group) => {
            let mut any = Truth::False;
            for member in group.members() {
                match evaluate(member, facts) {
                    Truth::True => return Truth::True,
                    Truth::Unknown => any = Truth::Unknown,
                    Truth::False => {}
                }
            }
            any
        }
        Condition::Not(member) => match evaluate(member, facts) {
            Truth::True => Truth::False,
            Truth::False => Truth::True,
            Truth::Unknown => Truth::Unknown,
        },
        Condition::IsKnown(attribute) => is_known(attribute, facts).into(),
        Condition::Is(predicate) => holds(predicate, facts),
    }
}

fn is_known(attribute: &Attribute, facts: &Facts<'_>) -> bool {
    let agent = &facts.visit.agent;
    match attribute {
        Attribute::Device => !agent.device.is_unknown(),
        Attribute::Os => !agent.os.is_unknown(),
        Attribute::OsVersion => !agent.os_version.is_unknown(),
        Attribute::Browser => !agent.browser.is_unknown(),
        Attribute::BrowserVersion => !agent.browser_version.is_unknown(),
        Attribute::Language => !facts.language().is_unknown(),
        Attribute::Country => !facts.visit.country.is_unknown(),
        Attribute::ReferrerHost => !facts.referrer_host().is_unknown(),
        Attribute::ClientAddress => !facts.visit.address.is_unknown(),
        Attribute::Partner => true,
        Attribute::VisitorTotalVisits => !facts.visitor_total().is_unknown(),
        Attribute::LinkTotalVisits => !facts.link_total().is_unknown(),
        Attribute::PartnerTotalVisits => !facts.partner_total().is_unknown(),
        Attribute::Caller(name) => facts.visit.attributes.contains_key(name.as_str()),
    }
}

fn holds<'a>(predicate: &'a Predicate, facts: &Facts<'a>) -> Truth {
    let visit = facts.visit;
    let agent = &visit.agent;
    match predicate {
        Predicate::Device(classes) => Truth::of(agent.device, |class| classes.contains(&class)),
        Predicate::Os { families, versions: range } => versioned(families, agent.os, range, agent.os_version),
        Predicate::Browser { families, versions: range } => {
            versioned(families, agent.browser, range, agent.browser_version)
        }
        // The language is the one that the link supports and suits best: ranges that merely cover it do not count.
        Predicate::Language(ranges) => Truth::of(facts.language(), |language| ranges.contains(&language)),
        Predicate::Country(countries) => Truth::of(visit.country, |country| countries.contains(&country)),
        Predicate::Continent(continents) => {
            Truth::of(visit.country, |country| continents.contains(&country.continent()))
        }
        Predicate::InEu {} => Truth::of(visit.country, |country| country.in_eu()),
        Predicate::NewVisitor {} => Truth::of(facts.visitor_total(), |total| total <= 1),
        Predicate::VisitorTotalVisits(test) => Truth::of(facts.visitor_total(), |total| test.holds(total)),
        Predicate::LinkTotalVisits(test) => Truth::of(facts.link_total(), |total| test.holds(total)),
        Predicate::PartnerTotalVisits(test) => Truth::of(facts.partner_total(), |total| test.holds(total)),
        Predicate::ReferrerHost { hosts, include_subdomains } => {
            Truth::of(facts.referrer_host(), |host| is_listed(host, hosts, *include_subdomains))
        }
        Predicate::Query { name, test } => query_holds(visit.query, name.as_str(), test).into(),
        Predicate::ClientAddress(blocks) => {
            Truth::of(visit.address, |address| address::is_within(address, blocks.as_slice()))
        }
        Predicate::Traffic(classes) => classes.contains(&facts.traffic).into(),
        Predicate::Time(window) => window.contains(visit.time).into(),
        Predicate::Weekly(hours) => hours.contains_local(facts.weekday_and_hour(hours.zone())).into(),
        // Nobody credited is a fact: these are never unknown.
        Predicate::Partner(codes) => {
            facts.partner.is_some_and(|partner| codes.contains(&partner.code)).into()
        }
        Predicate::Program(programs) => {
            let program = facts.partner.and_then(|partner| partner.program());
            program.is_some_and(|program| programs.contains(program)).into()
        }
        Predicate::PartnerTag(tags) => {
            let credited = facts.partner.map_or(&[][..], |partner| partner.tags());
            credited.iter().any(|tag| tags.contains(tag)).into()
        }
        Predicate::Caller { name, test } => {
            visit.attributes.get(name.as_str()).map_or(Truth::Unknown, |value| caller_holds(value, test))
        }
    }
}

/// Tests family and version; the version matters only if the family fits and the range has ends.
fn versioned<T: Ord>(
    families: &OneOf<T>,
    family: Fact<T>,
    range: &VersionRange,
    version: Fact<Version>,
) -> Truth {
    match Truth::of(family, |family| families.contains(&family)) {
        Truth::True if !range.is_any() => Truth::of(version, |version| range.contains(version)),
        other @ (Truth::True | Truth::False | Truth::Unknown) => other,
    }
}

/// Returns whether a host is listed, or below a listed one if those count.
fn is_listed(host: &str, hosts: &OneOf<Host>, include_subdomains: bool) -> bool {
    if hosts.contains(host) {
        return true;
    }
    let mut below = host;
    while include_subdomains && let Some((_, parent)) = below.split_once('.') {
        if hosts.contains(parent) {
            return true;
        }
        below = parent;
    }
    false
}

fn query_holds(query: &str, name: &str, test: &QueryTest) -> bool {
    let mut named = pieces(query).filter(|piece| piece.name().is_some_and(|found| found == name));
    match test {
        QueryTest::Present => named.next().is_some(),
        QueryTest::WithoutValue => named.any(|piece| piece.value().is_none()),
        QueryTest::Equals(values) => {
            named.filter_map(|piece| piece.value()).any(|value| values.contains(value.as_ref()))
        }
        QueryTest::Contains(needle) => {
            named.filter_map(|piece| piece.value()).any(|value| value.contains(needle.as_str()))
        }
        QueryTest::StartsWith(needle) => {
            named.filter_map(|piece| piece.value()).any(|value| value.starts_with(needle.as_str()))
        }
    }
}

fn caller_holds(value: &str, test: &CallerTest) -> Truth {
    let number = |test: &dyn Fn(Decimal) -> bool| Truth::of(Fact::or_unknown(Decimal::parse(value)), test);
    match test {
        CallerTest::Equals(values) => values.contains(value).into(),
        CallerTest::Contains(needle) => value.contains(needle.as_str()).into(),
        CallerTest::StartsWith(needle) => value.starts_with(needle.as_str()).into(),
        CallerTest::LessThan(bound) => number(&|number| number < *bound),
        CallerTest::AtMost(bound) => number(&|number| number <= *bound),
        CallerTest::GreaterThan(bound) => number(&|number| number > *bound),
        CallerTest::AtLeast(bound) => number(&|number| number >= *bound),
    }
}
