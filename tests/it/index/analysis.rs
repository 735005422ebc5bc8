//! What analysis says of rules, held against visits to the index.

use jiff::Timestamp;
use proptest::{collection::vec, prelude::*, strategy::ValueTree, test_runner::TestRunner};
use smartlinks::{
    domain::{
        fact::Fact,
        link::{Description, Link, LinkState, Sharing},
        name::DisplayName,
        revision::Revision,
        visit::{ResolveReason, Site},
        visitor::VisitorMode,
    },
    index::{
        Record, Writer,
        analysis::{Analysis, FindingKind, Report, Witness, analyse},
    },
};

use super::{
    random,
    world::{Ask, NOW, World, destination, shop_id, slug, time},
};

fn link(world: &World) -> Link {
    Link {
        shop: shop_id(),
        slug: slug("sale"),
        is_default: false,
        display_name: DisplayName::parse("Sale").unwrap(),
        description: Description::default(),
        tags: Vec::new(),
        state: LinkState::Active,
        sharing: Sharing::Everyone,
        routing: world.routing.clone(),
        golden_clicks: Vec::new(),
    }
}

fn report(world: &World, now: Timestamp) -> Report {
    let link = link(world);
    analyse(&Analysis {
        link: &link,
        shop: &world.shop,
        countries: true,
        now,
        steps: 10_000_000,
        thorough: true,
    })
}

/// A fact that is never known to be absent, as classification never finds it.
fn there<T>(fact: Fact<T>) -> Fact<T> {
    match fact {
        Fact::Absent => Fact::Unknown,
        Fact::Known(_) | Fact::Unknown => fact,
    }
}

fn plausible(ask: Ask) -> Ask {
    let mut ask = Ask { country: there(ask.country), address: there(ask.address), ..ask };
    let agent = &mut ask.agent;
    agent.device = there(agent.device);
    agent.os = there(agent.os);
    agent.os_version = there(agent.os_version);
    agent.browser = there(agent.browser);
    agent.browser_version = there(agent.browser_version);
    ask
}

/// Makes a world with rules of which some come again, so that there is something to find.
fn world(mode: VisitorMode, rules: Vec<smartlinks::domain::link::Rule>) -> World {
    World::to("").with(|world| {
        world.shop.internal_addresses = vec!["192.0.2.0/25".parse().unwrap()];
        world.shop.visitor_mode = mode;
        let again = rules.iter().map(|rule| smartlinks::domain::link::Rule {
            id: format!("{}-again", rule.id).try_into().unwrap(),
            then: smartlinks::domain::link::Outcome::Destination(destination("/again")),
            ..rule.clone()
        });
        let again: Vec<_> = again.collect();
        world.routing.rules = rules;
        world.routing.rules.extend(again);
    })
}

/// Sends a witness to the link like any visit.
fn decided(world: &World, witness: &Witness) -> (ResolveReason, Option<String>) {
    let mut records = world.records();
    records.extend(witness.visit.partner().map(|(code, state)| Record::Partner {
        shop: shop_id(),
        code,
        revision: Revision(2),
        state: Some(state),
    }));
    let snapshot = Writer::new().apply(records, Revision(2));
    let resolution = snapshot.resolve(&witness.visit.visit(Site::Shop("acme"), "sale")).unwrap();
    (resolution.reason(), resolution.rule.map(|rule| rule.to_string()))
}

/// Not deciding is no way out: of what comes again, nearly all is told.
#[test]
fn nearly_all_rules_that_come_again_are_decided() {
    let mut runner = TestRunner::deterministic();
    let (mut told, mut undecided) = (0, 0);
    for _ in 0..if cfg!(debug_assertions) { 40 } else { 400 } {
        let rules = random::rules(1..7).new_tree(&mut runner).unwrap().current();
        let world = world(VisitorMode::Cookie, rules);
        let report = report(&world, time(NOW));
        for (at, rule) in world.routing.rules.iter().enumerate() {
            if rule.enabled && rule.id.as_str().ends_with("-again") {
                let mut found = report.findings.iter().filter(|finding| finding.rule == Some(at));
                match found.any(|finding| finding.kind.refuses().is_some()) {
                    true => told += 1,
                    false => undecided += 1,
                }
            }
        }
    }
    assert!(told > 50 && undecided * 20 <= told, "{told} told, {undecided} undecided");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 60 } else { 600 }))]

    /// Whatever is asked of a visit: a rule that decides on one is not called impossible.
    #[test]
    fn rule_that_decides_is_never_said_not_to(
        rules in random::rules(1..7),
        visits in vec(random::visit(), 40..80),
        mode in prop::sample::select(VisitorMode::ALL),
    ) {
        let world = world(mode, rules);
        let report = report(&world, time(NOW));
        let snapshot = world.snapshot();
        let ids: Vec<String> = world.routing.rules.iter().map(|rule| rule.id.to_string()).collect();
        let kinds = |at: usize| {
            let of_rule = report.findings.iter().filter(move |finding| finding.rule == Some(at));
            of_rule.map(|finding| finding.kind).collect::<Vec<_>>()
        };
        for case in visits {
            let ask = plausible(case.ask);
            let answer = ask.resolve(&snapshot).unwrap();
            let Some(rule) = answer.rule else {
                let is_default = |finding: &smartlinks::index::analysis::Finding| {
                    finding.kind == FindingKind::DefaultUnreachable
                };
                prop_assert!(!report.findings.iter().any(is_default), "{ask:?}");
                continue;
            };
            let at = ids.iter().position(|id| *id == rule.to_string()).unwrap();
            let found = kinds(at);
            prop_assert!(!found.iter().any(|kind| kind.refuses().is_some()), "{rule}: {found:?} {ask:?}");
            prop_assert!(ask.time < time(NOW) || !found.contains(&FindingKind::PassedWindow), "{ask:?}");
        }
        // What comes again is taken by what was there before, as far as that can decide at all.
        for (at, rule) in world.routing.rules.iter().enumerate() {
            if rule.enabled && rule.id.as_str().ends_with("-again") {
                let found = kinds(at);
                let settled = |kind: &FindingKind| {
                    kind.refuses().is_some() || *kind == FindingKind::Undecided
                };
                prop_assert!(found.iter().any(settled), "{}: {found:?}", rule.id);
            }
        }
    }

    /// A witness goes where it is said to go, through the whole index.
    #[test]
    fn witnesses_go_where_they_are_said_to_go(
        rules in random::rules(1..7),
        mode in prop::sample::select(VisitorMode::ALL),
    ) {
        let world = world(mode, rules);
        for finding in report(&world, time(NOW)).findings {
            let Some(witness) = &finding.witness else { continue };
            let (reason, rule) = decided(&world, witness);
            let said = witness.decided_by.map(|at| world.routing.rules[at].id.to_string());
            prop_assert_eq!(reason == ResolveReason::Rule, said.is_some());
            prop_assert_eq!(rule, said, "{:?}", witness);
        }
    }
}
