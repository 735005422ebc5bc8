//! All links of a small world against every visit there.

use std::sync::LazyLock;

use proptest::{collection::vec, prelude::*, sample::select, test_runner::Config};

use super::{super::sample::Value, *};
use crate::{
    domain::{
        client::DeviceClass,
        condition::{
            Attribute, CountTest, Group, Needle, ParameterName, Predicate, QueryTest, Value as Text,
        },
        geo::Continent,
        language::LanguageRange,
        name::{PartnerCode, ProgramId, Tag},
        one_of::OneOf,
    },
    index::matcher::{Truth, evaluate},
};

/// Every visit of a small world of places, devices, visitors and parameters.
static PEOPLE: LazyLock<Vec<SampleVisit>> = LazyLock::new(|| {
    let countries =
        ["DE", "FR", "AT", "CH", "RE", "US"].map(|code| Fact::Known(Country::parse(code).unwrap()));
    let devices = [DeviceClass::Mobile, DeviceClass::Desktop, DeviceClass::Tablet].map(Fact::Known);
    let totals = [1, 2, 3, 4].map(Fact::Known);
    let values = [None, Some("x"), Some("y"), Some("ax"), Some("yb")];
    let mut visits = Vec::new();
    for country in countries.into_iter().chain([Fact::Unknown]) {
        for device in devices.into_iter().chain([Fact::Unknown]) {
            for total in totals.into_iter().chain([Fact::Unknown]) {
                for set in 0..1 << values.len() {
                    let sent = values.iter().enumerate().filter(|(at, _)| set >> at & 1 == 1);
                    let start = SampleVisit::at(NOW.parse().unwrap())
                        .with(&Value::Country(country))
                        .with(&Value::Device(device))
                        .with(&Value::VisitorTotal(total));
                    visits.push(sent.fold(start, |visit, (_, value)| {
                        visit.with(&Value::Parameter("a".into(), Some(value.map(Into::into))))
                    }));
                }
            }
        }
    }
    visits
});

/// Every visit of a small world of partners and counters.
static CLICKS: LazyLock<Vec<SampleVisit>> = LazyLock::new(|| {
    let totals = || [1, 2, 3, 4].map(Fact::Known).into_iter().chain([Fact::Unknown]);
    let anonymous = vec![Value::Partner(None)];
    let mut credited = vec![anonymous];
    for code in ["anna", "ben", "zoe"] {
        for total in totals() {
            for (program, has_tag) in
                [(None, false), (None, true), (Some("gold"), false), (Some("gold"), true)]
            {
                credited.push(vec![
                    Value::Partner(PartnerCode::parse(code).ok()),
                    Value::PartnerTotal(total),
                    Value::Program(program.map(|id| ProgramId::parse(id).unwrap())),
                    Value::Tag(Tag::parse("vip").unwrap(), has_tag),
                ]);
            }
        }
    }
    let mut visits = Vec::new();
    for device in [Fact::Known(DeviceClass::Mobile), Fact::Known(DeviceClass::Tv), Fact::Unknown] {
        for total in totals() {
            let start = SampleVisit::at(NOW.parse().unwrap())
                .with(&Value::Device(device))
                .with(&Value::LinkTotal(total));
            visits.extend(credited.iter().map(|values| values.iter().fold(start.clone(), SampleVisit::with)));
        }
    }
    visits
});

fn count() -> impl Strategy<Value = CountTest> {
    (0_u64..4, 0..5).prop_map(|(bound, kind)| match kind {
        0 => CountTest::Equals(bound),
        1 => CountTest::LessThan(bound),
        2 => CountTest::AtMost(bound),
        3 => CountTest::GreaterThan(bound),
        _ => CountTest::AtLeast(bound),
    })
}

fn about_people() -> impl Strategy<Value = Predicate> {
    let countries = vec(select(vec!["DE", "FR"]), 1..3).prop_map(|codes| {
        OneOf::new(codes.iter().map(|code| Country::parse(code).unwrap()).collect()).unwrap()
    });
    let devices = vec(select(vec![DeviceClass::Mobile, DeviceClass::Desktop]), 1..3);
    let needle = |text: &str| Needle::parse(text).unwrap();
    let equals = |text: &str| QueryTest::Equals(OneOf::new(vec![Text::parse(text).unwrap()]).unwrap());
    let query = select(vec![
        QueryTest::Present,
        QueryTest::WithoutValue,
        equals("x"),
        equals("y"),
        QueryTest::Contains(needle("x")),
        QueryTest::StartsWith(needle("y")),
    ]);
    let name = || ParameterName::parse("a").unwrap();
    prop_oneof![
        3 => countries.prop_map(Predicate::Country),
        1 => Just(Predicate::InEu {}),
        1 => Just(Predicate::Continent(OneOf::new(vec![Continent::Europe]).unwrap())),
        3 => devices.prop_map(|classes| Predicate::Device(OneOf::new(classes).unwrap())),
        2 => count().prop_map(Predicate::VisitorTotalVisits),
        3 => query.prop_map(move |test| Predicate::Query { name: name(), test }),
    ]
}

fn about_clicks() -> impl Strategy<Value = Predicate> {
    let partners = vec(select(vec!["anna", "ben"]), 1..3).prop_map(|codes| {
        OneOf::new(codes.iter().map(|code| PartnerCode::parse(code).unwrap()).collect()).unwrap()
    });
    let gold = || OneOf::new(vec![ProgramId::parse("gold").unwrap()]).unwrap();
    let vip = || OneOf::new(vec![Tag::parse("vip").unwrap()]).unwrap();
    let mobile = || OneOf::new(vec![DeviceClass::Mobile]).unwrap();
    prop_oneof![
        2 => partners.prop_map(Predicate::Partner),
        1 => Just(Predicate::Program(gold())),
        1 => Just(Predicate::PartnerTag(vip())),
        1 => Just(Predicate::Device(mobile())),
        3 => count().prop_map(Predicate::LinkTotalVisits),
        4 => count().prop_map(Predicate::PartnerTotalVisits),
    ]
}

fn conditions(
    predicates: impl Strategy<Value = Predicate> + 'static,
    known: &[Attribute],
) -> impl Strategy<Value = Vec<Condition>> {
    let known = select(known.to_vec());
    let leaf = prop_oneof![6 => predicates.prop_map(Condition::Is), 1 => known.prop_map(Condition::IsKnown)];
    let condition = leaf.prop_recursive(3, 8, 3, |inner| {
        let group = || vec(inner.clone(), 1..4).prop_map(|members| Group::new(members).unwrap());
        prop_oneof![
            group().prop_map(Condition::All),
            group().prop_map(Condition::Any),
            inner.clone().prop_map(|member| Condition::Not(Box::new(member))),
        ]
    });
    vec(condition, 1..6)
}

/// Returns which rules are true of each visit, as bits.
fn tried(link: &Link, shop: &ShopSettings, visits: &[SampleVisit]) -> Vec<u32> {
    let languages: &[LanguageRange] = &[];
    let fits =
        |visit: &SampleVisit, rule: &Rule| visit.ask(&rule.when, languages, shop, evaluate) == Truth::True;
    let rules = |visit: &SampleVisit| {
        (0..).zip(&link.routing.rules).fold(0, |bits, (at, rule)| bits | u32::from(fits(visit, rule)) << at)
    };
    visits.iter().map(rules).collect()
}

/// Everything is decided, and rightly.
fn hold_against(visits: &[SampleVisit], conditions: Vec<Condition>) -> Result<(), TestCaseError> {
    let rules = conditions.into_iter().enumerate().map(|(at, when)| rule(&format!("r{at}"), when));
    let (link, shop) = (link(rules.collect()), shop());
    let report = analyse(&Analysis { thorough: true, ..ask(&link, &shop) });
    let tried = tried(&link, &shop, visits);
    let takes_all = |by: &[usize], bits: u32| by.iter().any(|at| bits >> at & 1 == 1);
    prop_assert!(report.is_decided(), "{:?}", told(&link, &report));
    for at in 0..link.routing.rules.len() {
        let is_first = |bits: &u32| bits >> at & 1 == 1 && bits & ((1 << at) - 1) == 0;
        let is_true: Vec<u32> = tried.iter().copied().filter(|bits| bits >> at & 1 == 1).collect();
        let refused = report
            .findings
            .iter()
            .find(|finding| finding.rule == Some(at) && finding.kind.refuses().is_some());
        prop_assert_eq!(refused.is_some(), !tried.iter().any(is_first), "rule {}", at);
        let Some(finding) = refused else { continue };
        // Those responsible take all of it, and none of them is named for nothing.
        prop_assert!(is_true.iter().all(|bits| takes_all(&finding.by, *bits)));
        for needless in 0..finding.by.len() {
            let mut fewer = finding.by.clone();
            fewer.remove(needless);
            prop_assert!(!is_true.iter().all(|bits| takes_all(&fewer, *bits)), "{:?}", finding.by);
        }
        let alone = (0..at).any(|before| is_true.iter().all(|bits| bits >> before & 1 == 1));
        let kind = match (is_true.is_empty(), alone) {
            (true, _) => FindingKind::Contradictory,
            (false, true) => FindingKind::Shadowed,
            (false, false) => FindingKind::ShadowedTogether,
        };
        prop_assert_eq!(finding.kind, kind);
        let witness = finding.witness.as_ref().map(|witness| witness.decided_by);
        prop_assert_eq!(witness.is_some(), kind != FindingKind::Contradictory);
        prop_assert!(witness.flatten().is_none_or(|decides| decides < at));
    }
    let unreachable = report.findings.iter().any(|it| it.kind == FindingKind::DefaultUnreachable);
    prop_assert_eq!(unreachable, tried.iter().all(|bits| *bits != 0));
    Ok(())
}

const OF_PEOPLE: [Attribute; 3] = [Attribute::Country, Attribute::Device, Attribute::VisitorTotalVisits];
const OF_CLICKS: [Attribute; 4] =
    [Attribute::Partner, Attribute::Device, Attribute::LinkTotalVisits, Attribute::PartnerTotalVisits];

proptest! {
    #![proptest_config(Config::with_cases(if cfg!(debug_assertions) { 40 } else { 400 }))]

    /// In a world that is small enough to try every visit.
    #[test]
    fn verdicts_are_those_of_every_visit(conditions in conditions(about_people(), &OF_PEOPLE)) {
        hold_against(&PEOPLE, conditions)?;
    }
}

proptest! {
    #![proptest_config(Config::with_cases(if cfg!(debug_assertions) { 200 } else { 4_000 }))]

    /// The same where counters hang on partners.
    #[test]
    fn verdicts_about_counters_are_those_of_every_visit(conditions in conditions(about_clicks(), &OF_CLICKS)) {
        hold_against(&CLICKS, conditions)?;
    }
}
