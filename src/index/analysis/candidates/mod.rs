//! The values that an attribute may have, as far as the tests of a link can tell them apart.
//!
//! The lists hold a value for every way in which any visit at all can answer the tests. Where that cannot be had, a
//! loose candidate stands for the rest: it may answer as it likes, so that nothing is called impossible for want of it.
//! The first of each list is what a visit has to which nothing else applies.

mod addresses;
mod callers;
mod places;
mod texts;
mod times;

use ipnet::IpNet;
use jiff::Timestamp;

use super::{
    sample::Value,
    steps::Steps,
    subject::{Subject, Test},
};
use crate::domain::{
    client::{Browser, DeviceClass, Os, TrafficClass, Version},
    condition::{CountTest, Predicate},
    fact::Fact,
    language::LanguageRange,
    name::{PartnerCode, ProgramId, Tag},
};

/// A value, or what stands for many.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) value: Value,
    pub(super) loose: Loose,
}

/// Which answers of a candidate are not settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Loose {
    /// None: the value is what it is.
    No,
    /// Those about weekday and hour.
    Hours,
    /// All.
    All,
}

impl Candidate {
    pub(super) fn exact(value: Value) -> Self {
        Self { value, loose: Loose::No }
    }

    pub(super) fn loose(value: Value) -> Self {
        Self { value, loose: Loose::All }
    }
}

/// What decides on the values besides the tests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    /// The link's own window.
    pub(super) start: Option<Timestamp>,
    pub(super) expire: Option<Timestamp>,
    pub(super) now: Timestamp,
    /// The languages that the visitor's is chosen from.
    pub(super) languages: &'a [LanguageRange],
    /// The addresses of the shop's own people.
    pub(super) internal: &'a [IpNet],
}

/// Returns the choices that a subject takes part in, each with its candidates: one choice, or of a set one for each value
/// that may be in it.
pub(super) fn choices(
    subject: Subject<'_>,
    tests: &[Test<'_>],
    frame: Frame<'_>,
    steps: &mut Steps,
) -> Vec<Vec<Candidate>> {
    let known = |all: Vec<Value>| vec![all.into_iter().map(Candidate::exact).collect()];
    match subject {
        Subject::Device => known(facts(DeviceClass::ALL, Value::Device)),
        Subject::Os => known(facts(Os::ALL, Value::Os)),
        Subject::Browser => known(facts(Browser::ALL, Value::Browser)),
        Subject::OsVersion => known(facts(&versions(tests), Value::OsVersion)),
        Subject::BrowserVersion => known(facts(&versions(tests), Value::BrowserVersion)),
        Subject::Traffic => known(TrafficClass::ALL.iter().copied().map(Value::Traffic).collect()),
        Subject::Country => known(places::countries(tests)),
        Subject::Language => known(places::languages(frame.languages)),
        Subject::ReferrerHost => known(places::referrers(tests)),
        Subject::ClientAddress => known(addresses::addresses(tests, frame.internal)),
        Subject::Time => vec![times::times(tests, frame, steps)],
        Subject::Partner => known(partners(tests)),
        Subject::Program => known(programs(tests)),
        Subject::PartnerTags => tags(tests),
        Subject::VisitorTotalVisits => known(totals(tests, Value::VisitorTotal)),
        Subject::LinkTotalVisits => known(totals(tests, Value::LinkTotal)),
        // By way of nobody, nobody has come.
        Subject::PartnerTotalVisits => {
            let nobody = Value::PartnerTotal(Fact::Known(0));
            known([nobody].into_iter().chain(totals(tests, Value::PartnerTotal)).collect())
        }
        Subject::Query(name) => texts::parameters(name, tests),
        Subject::Caller(name) => vec![callers::facts(name, tests)],
    }
}

/// Returns every value, and that it is unknown.
fn facts<T: Copy>(values: &[T], make: fn(Fact<T>) -> Value) -> Vec<Value> {
    values.iter().copied().map(Fact::Known).chain([Fact::Unknown]).map(make).collect()
}

/// Returns a version between any two that matter.
fn versions(tests: &[Test<'_>]) -> Vec<Version> {
    let ranges = tests.iter().filter_map(|test| {
        let (Test::OsVersion(range) | Test::BrowserVersion(range)) = test else { return None };
        Some(range.ends())
    });
    let ends = ranges.flat_map(|(min, below)| min.into_iter().chain(below));
    sorted(ends.chain([Version::from_parts([0; 5])]))
}

/// Returns unknown, and a count between any two that matter. This visit is counted too.
fn totals(tests: &[Test<'_>], make: fn(Fact<u64>) -> Value) -> Vec<Value> {
    let bounds = predicates(tests).filter_map(|predicate| {
        let (Predicate::VisitorTotalVisits(test)
        | Predicate::LinkTotalVisits(test)
        | Predicate::PartnerTotalVisits(test)) = predicate
        else {
            return None;
        };
        Some(bound(*test))
    });
    counts(bounds, 1).map(make).collect()
}

/// Returns unknown, and counts from the least possible one on between any two bounds.
fn counts(bounds: impl Iterator<Item = u64>, least: u64) -> impl Iterator<Item = Fact<u64>> {
    let around = bounds.flat_map(|bound| [bound.saturating_sub(1), bound, bound.saturating_add(1)]);
    let all = sorted(around.chain([least, least + 1]).filter(move |count| *count >= least));
    [Fact::Unknown].into_iter().chain(all.into_iter().map(Fact::Known))
}

fn bound(test: CountTest) -> u64 {
    match test {
        CountTest::Equals(bound)
        | CountTest::LessThan(bound)
        | CountTest::AtMost(bound)
        | CountTest::GreaterThan(bound)
        | CountTest::AtLeast(bound) => bound,
    }
}

fn partners(tests: &[Test<'_>]) -> Vec<Value> {
    let named = predicates(tests).filter_map(|predicate| {
        let Predicate::Partner(codes) = predicate else { return None };
        Some(codes.iter().cloned())
    });
    let named: Vec<PartnerCode> = sorted(named.flatten());
    let other = unlisted("any-other", &named, PartnerCode::as_str, |text| PartnerCode::parse(text).ok());
    [None].into_iter().chain([other]).chain(named.into_iter().map(Some)).map(Value::Partner).collect()
}

fn programs(tests: &[Test<'_>]) -> Vec<Value> {
    let named = predicates(tests).filter_map(|predicate| {
        let Predicate::Program(programs) = predicate else { return None };
        Some(programs.iter().cloned())
    });
    let named: Vec<ProgramId> = sorted(named.flatten());
    [None].into_iter().chain(named.into_iter().map(Some)).map(Value::Program).collect()
}

fn tags(tests: &[Test<'_>]) -> Vec<Vec<Candidate>> {
    let named = predicates(tests).filter_map(|predicate| {
        let Predicate::PartnerTag(tags) = predicate else { return None };
        Some(tags.iter().cloned())
    });
    let choice = |tag: Tag| [false, true].map(|has| Candidate::exact(Value::Tag(tag.clone(), has))).to_vec();
    sorted(named.flatten()).into_iter().map(choice).collect()
}

/// Returns the predicates among tests.
fn predicates<'t>(tests: &'t [Test<'t>]) -> impl Iterator<Item = &'t Predicate> {
    tests.iter().filter_map(|test| {
        let Test::Holds(predicate) = test else { return None };
        Some(*predicate)
    })
}

fn sorted<T: Ord>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut values: Vec<T> = values.collect();
    values.sort_unstable();
    values.dedup();
    values
}

/// Makes a name that is not in a sorted list.
fn unlisted<T>(
    base: &str,
    listed: &[T],
    text: fn(&T) -> &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Option<T> {
    let free = |name: &String| listed.binary_search_by(|it| text(it).cmp(name)).is_err();
    let mut names = std::iter::once(base.to_owned()).chain((2..).map(|at: usize| format!("{base}-{at}")));
    parse(&names.find(free)?)
}
