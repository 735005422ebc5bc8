//! A second reading of the conditions, without any thought of speed, that the index must agree with.

use std::{cell::Cell, net::IpAddr};

use jiff::{Timestamp, tz::TimeZone};
use proptest::{collection::vec, prelude::*, test_runner::TestRunner};
use smartlinks::domain::{
    client::{AutomationKind, TrafficClass, UserAgent},
    condition::{Attribute, CallerTest, Condition, CountTest, Predicate, QueryTest, VersionRange},
    decimal::Decimal,
    fact::Fact,
    link::Rule,
    visit::ResolveReason,
    visitor::VisitorMode,
    window::WeeklyHoursParts,
};

use super::{
    random,
    world::{Ask, World},
};

/// Everything that conditions look at, found out in advance.
struct Facts<'a> {
    ask: &'a Ask,
    /// The ranges and qualities of `Accept-Language`; `None` = not sent.
    languages: Option<&'a [(String, u16)]>,
    /// Every range that an enabled rule names.
    supported: &'a [String],
    partner: Option<&'a str>,
    program: Option<&'a str>,
    tags: Vec<&'a str>,
    mode: VisitorMode,
}

/// True, false or unknown.
type Truth = Option<bool>;

fn fact<T>(fact: Fact<T>, test: impl FnOnce(T) -> bool) -> Truth {
    match fact {
        Fact::Known(value) => Some(test(value)),
        Fact::Absent => Some(false),
        Fact::Unknown => None,
    }
}

fn truth(condition: &Condition, facts: &Facts<'_>) -> Truth {
    match condition {
        Condition::All(group) => {
            let truths: Vec<_> = group.members().iter().map(|member| truth(member, facts)).collect();
            if truths.contains(&Some(false)) {
                Some(false)
            } else {
                (!truths.contains(&None)).then_some(true)
            }
        }
        Condition::Any(group) => {
            let truths: Vec<_> = group.members().iter().map(|member| truth(member, facts)).collect();
            if truths.contains(&Some(true)) { Some(true) } else { (!truths.contains(&None)).then_some(false) }
        }
        Condition::Not(member) => truth(member, facts).map(|holds| !holds),
        Condition::IsKnown(attribute) => Some(is_known(attribute, facts)),
        Condition::Is(predicate) => holds(predicate, facts),
    }
}

fn is_known(attribute: &Attribute, facts: &Facts<'_>) -> bool {
    let ask = facts.ask;
    match attribute {
        Attribute::Device => ask.agent.device != Fact::Unknown,
        Attribute::Os => ask.agent.os != Fact::Unknown,
        Attribute::OsVersion => ask.agent.os_version != Fact::Unknown,
        Attribute::Browser => ask.agent.browser != Fact::Unknown,
        Attribute::BrowserVersion => ask.agent.browser_version != Fact::Unknown,
        Attribute::Language => ask.has_headers && facts.languages.is_some_and(|sent| !sent.is_empty()),
        Attribute::Country => ask.country != Fact::Unknown,
        Attribute::ReferrerHost => ask.has_headers,
        Attribute::ClientAddress => ask.address != Fact::Unknown,
        Attribute::Partner => true,
        Attribute::VisitorTotalVisits => total(facts).is_some(),
        Attribute::LinkTotalVisits => ask.totals.link.is_some(),
        Attribute::PartnerTotalVisits => of_partner(facts).is_some(),
        Attribute::Caller(name) => ask.attributes.contains_key(name.as_str()),
    }
}

fn passes(test: CountTest, total: u64) -> bool {
    match test {
        CountTest::Equals(bound) => total == bound,
        CountTest::LessThan(bound) => total < bound,
        CountTest::AtMost(bound) => total <= bound,
        CountTest::GreaterThan(bound) => total > bound,
        CountTest::AtLeast(bound) => total >= bound,
    }
}

fn holds(predicate: &Predicate, facts: &Facts<'_>) -> Truth {
    let ask = facts.ask;
    let in_range = |range: &VersionRange, version| match range.ends() {
        (None, None) => Some(true),
        (min, below) => fact(version, |version| {
            min.is_none_or(|min| min <= version) && below.is_none_or(|below| version < below)
        }),
    };
    match predicate {
        Predicate::Device(classes) => fact(ask.agent.device, |it| classes.iter().any(|class| *class == it)),
        Predicate::Os { families, versions: range } => {
            match fact(ask.agent.os, |it| families.iter().any(|os| *os == it)) {
                Some(true) => in_range(range, ask.agent.os_version),
                other => other,
            }
        }
        Predicate::Browser { families, versions: range } => {
            match fact(ask.agent.browser, |it| families.iter().any(|browser| *browser == it)) {
                Some(true) => in_range(range, ask.agent.browser_version),
                other => other,
            }
        }
        Predicate::Language(ranges) => {
            language(facts).map(|chosen| ranges.iter().any(|range| Some(range.to_string()) == chosen))
        }
        Predicate::Country(countries) => {
            fact(ask.country, |it| countries.iter().any(|country| *country == it))
        }
        Predicate::Continent(continents) => {
            fact(ask.country, |it| continents.iter().any(|continent| *continent == it.continent()))
        }
        Predicate::NewVisitor {} => total(facts).map(|total| total == 1),
        Predicate::VisitorTotalVisits(test) => total(facts).map(|total| passes(*test, total)),
        Predicate::LinkTotalVisits(test) => ask.totals.link.map(|total| passes(*test, total)),
        Predicate::PartnerTotalVisits(test) => of_partner(facts).map(|total| passes(*test, total)),
        Predicate::InEu {} => fact(ask.country, |it| it.in_eu()),
        Predicate::ReferrerHost { hosts, include_subdomains } => ask.has_headers.then(|| {
            let referer = ask.referer.as_deref().unwrap_or_default();
            let host = url::Url::parse(referer).ok().and_then(|url| url.host_str().map(str::to_owned));
            host.is_some_and(|host| {
                hosts.iter().any(|listed| {
                    let below = format!(".{}", listed.as_str());
                    host == listed.as_str() || (*include_subdomains && host.ends_with(&below))
                })
            })
        }),
        Predicate::Query { name, test } => {
            // The URL standard decodes forms as we do, but does not tell `a` from `a=`.
            let piece_of = |piece: &str| {
                let (found, value) = url::form_urlencoded::parse(piece.as_bytes()).next()?;
                (found == name.as_str()).then(|| (value.into_owned(), piece.contains('=')))
            };
            let found: Vec<_> = ask.query.split('&').filter_map(piece_of).collect();
            let valued = |test: &dyn Fn(&str) -> bool| found.iter().any(|(value, has)| *has && test(value));
            Some(match test {
                QueryTest::Present => !found.is_empty(),
                QueryTest::WithoutValue => found.iter().any(|(_, has_value)| !has_value),
                QueryTest::Equals(values) => valued(&|it| values.iter().any(|value| value.as_str() == it)),
                QueryTest::Contains(needle) => valued(&|it| it.contains(needle.as_str())),
                QueryTest::StartsWith(needle) => valued(&|it| it.starts_with(needle.as_str())),
            })
        }
        Predicate::ClientAddress(blocks) => fact(ask.address, |address| {
            let address = match address {
                IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
                IpAddr::V4(_) => address,
            };
            blocks.iter().any(|block| block.contains(&address))
        }),
        Predicate::Traffic(classes) => Some(classes.iter().any(|class| *class == traffic(ask))),
        Predicate::Time(window) => {
            let (start, end) = window.ends();
            Some(start.is_none_or(|start| start <= ask.time) && end.is_none_or(|end| ask.time < end))
        }
        Predicate::Weekly(hours) => Some(in_hours(&hours.parts(), ask.time)),
        Predicate::Partner(codes) => Some(codes.iter().any(|code| Some(code.as_str()) == facts.partner)),
        Predicate::Program(programs) => Some(programs.iter().any(|it| Some(it.as_str()) == facts.program)),
        Predicate::PartnerTag(tags) => Some(tags.iter().any(|tag| facts.tags.contains(&tag.as_str()))),
        Predicate::Caller { name, test } => caller(ask.attributes.get(name.as_str())?, test),
    }
}

/// What a cookie tells counts under COOKIE alone, and only for those who let it.
fn total(facts: &Facts<'_>) -> Option<u64> {
    let (total, from_cookie) = facts.ask.visitor?;
    total.filter(|_| !from_cookie || (facts.mode == VisitorMode::Cookie && !facts.ask.opted_out))
}

/// By way of nobody, nobody has come.
fn of_partner(facts: &Facts<'_>) -> Option<u64> {
    if facts.partner.is_none() { Some(0) } else { facts.ask.totals.partner }
}

fn caller(value: &str, test: &CallerTest) -> Truth {
    let number = Decimal::parse(value);
    match test {
        CallerTest::Equals(values) => Some(values.iter().any(|listed| listed.as_str() == value)),
        CallerTest::Contains(needle) => Some(value.contains(needle.as_str())),
        CallerTest::StartsWith(needle) => Some(value.starts_with(needle.as_str())),
        CallerTest::LessThan(bound) => number.map(|number| number < *bound),
        CallerTest::AtMost(bound) => number.map(|number| number <= *bound),
        CallerTest::GreaterThan(bound) => number.map(|number| number > *bound),
        CallerTest::AtLeast(bound) => number.map(|number| number >= *bound),
    }
}

/// Returns the supported range that the visitor's best entry leads to; `None` inside = none does.
fn language(facts: &Facts<'_>) -> Option<Option<String>> {
    let sent = facts.languages.filter(|sent| facts.ask.has_headers && !sent.is_empty())?;
    let mut ranked = sent.to_vec();
    ranked.sort_by_key(|(_, quality)| std::cmp::Reverse(*quality));
    let lookup = |(range, _): &(String, u16)| {
        let subtags: Vec<_> = range.split('-').collect();
        let mut shorter = (1..=subtags.len()).rev().map(|count| subtags[..count].join("-"));
        shorter.find(|range| facts.supported.contains(range))
    };
    Some(ranked.iter().find_map(lookup))
}

fn traffic(ask: &Ask) -> TrafficClass {
    let automation = ask.agent.automation.as_ref().map(|automation| automation.kind);
    if ask.hints.internal {
        TrafficClass::Internal
    } else if ask.hints.prefetch || ask.purpose.is_some() {
        TrafficClass::Prefetch
    } else if automation == Some(AutomationKind::Preview) {
        TrafficClass::Preview
    } else if automation == Some(AutomationKind::Bot)
        || (ask.has_headers && ask.agent == UserAgent::default())
    {
        TrafficClass::Bot
    } else {
        TrafficClass::Human
    }
}

/// Goes through the windows of a week, each from its first hour on.
fn in_hours(parts: &WeeklyHoursParts, time: Timestamp) -> bool {
    let local = time.to_zoned(TimeZone::get(&parts.time_zone).unwrap()).datetime();
    let now = i32::from(local.weekday().to_monday_zero_offset()) * 24 + i32::from(local.hour());
    parts.weekdays.iter().any(|day| {
        let begins = (i32::from(*day) - 1) * 24 + parts.start_hour;
        let length = (parts.end_hour - parts.start_hour).rem_euclid(24);
        let length = if length == 0 { 24 } else { length };
        (0..length).any(|hour| (begins + hour) % (7 * 24) == now)
    })
}

/// Returns the first rule that holds.
fn first<'a>(rules: &'a [Rule], facts: &Facts<'_>) -> Option<&'a Rule> {
    rules.iter().find(|rule| rule.enabled && truth(&rule.when, facts) == Some(true))
}

fn supported(rules: &[Rule]) -> Vec<String> {
    let mut supported = Vec::new();
    for rule in rules.iter().filter(|rule| rule.enabled) {
        rule.when.for_each_predicate(&mut |predicate| {
            if let Predicate::Language(ranges) = predicate {
                supported.extend(ranges.iter().map(ToString::to_string));
            }
        });
    }
    supported
}

/// Compares the index with the second reading, for one set of rules and many visits; each answer with its explanation.
fn check(rules: &[Rule], visits: &[random::Case]) -> Result<(), TestCaseError> {
    for mode in [VisitorMode::Daily, VisitorMode::Cookie] {
        let world = world(mode, rules);
        let (snapshot, supported) = (world.snapshot(), supported(rules));
        for case in visits {
            let expected = first(rules, &facts(&world, &supported, case));
            let answer = case.ask.resolve(&snapshot).unwrap();
            prop_assert_eq!(answer.rule.as_ref(), expected.map(|rule| &rule.id), "{:?}", case);
            prop_assert_eq!(answer.reason == ResolveReason::Rule, expected.is_some());
            prop_assert_eq!(answer.traffic, traffic(&case.ask));
        }
    }
    Ok(())
}

/// The small world, whose link has these rules.
fn world(mode: VisitorMode, rules: &[Rule]) -> World {
    World::to("/s").with(|world| {
        world.routing.rules = rules.to_vec();
        world.shop.visitor_mode = mode;
    })
}

fn facts<'a>(world: &'a World, supported: &'a [String], case: &'a random::Case) -> Facts<'a> {
    let named = world.partners.iter().find(|(code, state)| code.as_str() == case.ask.partner && state.active);
    Facts {
        ask: &case.ask,
        languages: case.languages.as_deref(),
        supported,
        mode: world.shop.visitor_mode,
        partner: named.map(|(code, _)| code.as_str()),
        program: named.and_then(|(_, state)| state.program.as_ref()).map(|program| program.as_str()),
        tags: named.map_or_else(Vec::new, |(_, state)| state.tags.iter().map(|tag| tag.as_str()).collect()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn index_agrees_with_the_second_reading(
        rules in random::rules(1..8),
        visits in vec(random::visit(), 1..20),
    ) {
        check(&rules, &visits)?;
    }

    #[test]
    fn index_of_many_rules_agrees_with_the_second_reading(
        rules in random::rules(16..80),
        visits in vec(random::visit(), 1..20),
    ) {
        check(&rules, &visits)?;
    }
}

/// Sets of rules and visits of one case of [`index_agrees_with_the_second_reading_a_million_times`]: every visit meets
/// every set, so that little time goes into making them up.
const SETS: usize = 20;
const VISITS: usize = 400;
/// Evaluations that have to agree: one is one visit that meets one set of rules, read twice.
const EVALUATIONS: usize = 1_000_000;

#[test]
fn index_agrees_with_the_second_reading_a_million_times() {
    let agreed = Cell::new(0);
    let sets = vec(prop_oneof![6 => random::rules(1..8), 1 => random::rules(16..32)], SETS);
    let cases = EVALUATIONS / (2 * SETS * VISITS) + 1;
    let config = ProptestConfig::with_cases(u32::try_from(cases).unwrap());
    let run = TestRunner::new(config).run(&(sets, vec(random::visit(), VISITS)), |(sets, visits)| {
        for (rules, mode) in
            sets.iter().flat_map(|set| [(set, VisitorMode::Daily), (set, VisitorMode::Cookie)])
        {
            let world = world(mode, rules);
            let (snapshot, supported) = (world.snapshot(), supported(rules));
            for case in &visits {
                let expected = first(rules, &facts(&world, &supported, case));
                let chosen = case.ask.rule(&snapshot);
                prop_assert_eq!(chosen.as_ref(), expected.map(|rule| &rule.id), "{:?}", case);
                agreed.set(agreed.get() + 1);
            }
        }
        Ok(())
    });
    run.unwrap();
    assert!(agreed.get() >= EVALUATIONS, "only {} evaluations", agreed.get());
}
