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
        one_of::OneOf,
    },
    index::matcher::{Truth, evaluate},
};

/// Every visit of the small world.
static VISITS: LazyLock<Vec<SampleVisit>> = LazyLock::new(|| {
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

fn predicate() -> impl Strategy<Value = Predicate> {
    let countries = vec(select(vec!["DE", "FR"]), 1..3).prop_map(|codes| {
        OneOf::new(codes.iter().map(|code| Country::parse(code).unwrap()).collect()).unwrap()
    });
    let devices = vec(select(vec![DeviceClass::Mobile, DeviceClass::Desktop]), 1..3);
    let count = (1_u64..4, 0..4).prop_map(|(bound, kind)| match kind {
        0 => CountTest::Equals(bound),
        1 => CountTest::LessThan(bound),
        2 => CountTest::AtMost(bound),
        _ => CountTest::AtLeast(bound),
    });
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
        2 => count.prop_map(Predicate::VisitorTotalVisits),
        3 => query.prop_map(move |test| Predicate::Query { name: name(), test }),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    let known = select(vec![Attribute::Country, Attribute::Device, Attribute::VisitorTotalVisits]);
    let leaf = prop_oneof![6 => predicate().prop_map(Condition::Is), 1 => known.prop_map(Condition::IsKnown)];
    leaf.prop_recursive(3, 8, 3, |inner| {
        let group = || vec(inner.clone(), 1..4).prop_map(|members| Group::new(members).unwrap());
        prop_oneof![
            group().prop_map(Condition::All),
            group().prop_map(Condition::Any),
            inner.clone().prop_map(|member| Condition::Not(Box::new(member))),
        ]
    })
}

/// Returns which rules are true of each visit, as bits, and of which visits each rule is the first.
fn tried(link: &Link, shop: &ShopSettings) -> Vec<u32> {
    let languages: &[LanguageRange] = &[];
    let fits =
        |visit: &SampleVisit, rule: &Rule| visit.ask(&rule.when, languages, shop, evaluate) == Truth::True;
    let rules = |visit: &SampleVisit| {
        (0..).zip(&link.routing.rules).fold(0, |bits, (at, rule)| bits | u32::from(fits(visit, rule)) << at)
    };
    VISITS.iter().map(rules).collect()
}

proptest! {
    #![proptest_config(Config::with_cases(if cfg!(debug_assertions) { 40 } else { 400 }))]

    /// In a world that is small enough to try every visit, everything is decided, and rightly.
    #[test]
    fn verdicts_are_those_of_every_visit(conditions in vec(condition(), 1..6)) {
        let rules = conditions.into_iter().enumerate().map(|(at, when)| rule(&format!("r{at}"), when));
        let (link, shop) = (link(rules.collect()), shop());
        let report = analyse(&Analysis { thorough: true, ..ask(&link, &shop) });
        let tried = tried(&link, &shop);
        let takes_all = |by: &[usize], bits: u32| by.iter().any(|at| bits >> at & 1 == 1);
        prop_assert!(report.is_decided(), "{:?}", told(&link, &report));
        for at in 0..link.routing.rules.len() {
            let is_first = |bits: &u32| bits >> at & 1 == 1 && bits & ((1 << at) - 1) == 0;
            let is_true: Vec<u32> = tried.iter().copied().filter(|bits| bits >> at & 1 == 1).collect();
            let refused = report.findings.iter().find(|finding| {
                finding.rule == Some(at) && finding.kind.refuses().is_some()
            });
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
    }
}
