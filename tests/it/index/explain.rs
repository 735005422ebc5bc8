//! Explanations: they tell of the answer that is given, and of everything that was looked at.

use smartlinks::{
    domain::{
        click_id::ClickId,
        client::DeviceClass,
        condition::{Condition, Group, ParameterName, Predicate, QueryTest},
        fact::Fact,
        geo::Country,
        limits,
        link::{LinkState, Outcome, Sharing},
        name::VariantId,
        one_of::OneOf,
        policy::QueryConflict,
        variant::{Variant, Variants, Weight},
        visit::{Attribution, Resolution},
    },
    index::{
        DrawnBy, Explanation, Fate, NamedBy, Node, Part, Seen, SharedBy, Standing, Subject, Told, Verdict,
    },
};

use super::world::{Ask, World, code, destination, program, time, utm};

/// Checks that an explanation is one of this answer.
pub(super) fn agrees(resolution: &Resolution, explanation: &Explanation<'_>) {
    assert_eq!(explanation.resolution, *resolution);
    let written: String = explanation.steps.iter().map(|step| step.written.as_str()).collect();
    match &resolution.to {
        Ok(target) => assert_eq!(written, target.location, "{:?}", explanation.steps),
        Err(_) => assert!(explanation.steps.is_empty() && explanation.destination.is_empty()),
    }
    for step in &explanation.steps {
        assert_eq!(step.written.is_empty(), step.fate != Fate::Stays, "{step:?}");
    }
    if let Some(kept) = &resolution.kept {
        assert_eq!(kept.destination, explanation.destination);
        assert_eq!(kept.traffic_why, explanation.traffic_why.to_string());
    }
    agrees_on_rules(resolution, explanation);
    agrees_on_credit(resolution, explanation);
}

fn agrees_on_rules(resolution: &Resolution, explanation: &Explanation<'_>) {
    let decides = explanation.rules.iter().position(|rule| rule.standing == Standing::Decides);
    assert_eq!(decides.map(|at| explanation.rules[at].id), resolution.rule.as_ref());
    let variant = explanation.draw.as_ref().and_then(|draw| draw.chosen);
    assert_eq!(variant.map(|variant| &variant.id), resolution.variant.as_ref());
    let asked = &explanation.rules[..decides.unwrap_or(explanation.rules.len())];
    assert!(asked.iter().all(|rule| rule.standing != Standing::NotAsked));
    let behind = decides.map_or(&[][..], |at| &explanation.rules[at + 1..]);
    assert!(behind.iter().all(|rule| rule.standing == Standing::NotAsked));
    // A long link passes over rules that cannot match, those that could not be decided among them.
    let unknown = asked.iter().filter(|rule| rule.standing == Standing::Unknown).count();
    let counted = usize::try_from(resolution.undecided_rules).unwrap();
    assert!(if explanation.rules.len() < 16 { unknown == counted } else { unknown >= counted });
    explanation.rules.iter().for_each(|rule| adds_up(rule.when.as_ref().unwrap()));
}

/// Checks that a group is what its members make it.
fn adds_up(node: &Node<'_>) {
    let not = |verdict| match verdict {
        Verdict::True => Verdict::False,
        Verdict::False => Verdict::True,
        other @ (Verdict::Unknown | Verdict::NotKept) => other,
    };
    let all = |verdicts: &[Verdict]| {
        let worst = [Verdict::False, Verdict::Unknown].into_iter().find(|worst| verdicts.contains(worst));
        worst.unwrap_or(Verdict::True)
    };
    let of = |members: &[Node<'_>]| members.iter().map(|member| member.verdict).collect::<Vec<_>>();
    let expected = match &node.told {
        Told::All(members) => all(&of(members)),
        Told::Any(members) => not(all(&of(members).into_iter().map(not).collect::<Vec<_>>())),
        Told::Not(member) => not(member.verdict),
        Told::Test(_, looks) => {
            assert!(!looks.is_empty(), "{node:?}");
            return;
        }
    };
    assert_eq!(node.verdict, expected, "{node:?}");
    match &node.told {
        Told::All(members) | Told::Any(members) => members.iter().for_each(adds_up),
        Told::Not(member) => adds_up(member),
        Told::Test(..) => {}
    }
}

fn agrees_on_credit(resolution: &Resolution, explanation: &Explanation<'_>) {
    let credit = &explanation.credit;
    let shared = credit.shared.is_some_and(|shared| shared != SharedBy::Nothing);
    match resolution.attribution {
        Attribution::Credited => assert!(credit.named.is_some() && shared),
        Attribution::NoPartner => assert!(credit.named.is_none() && credit.partner.is_none()),
        Attribution::UnknownPartner => assert!(credit.named.is_some() && credit.partner.is_none()),
        Attribution::InactivePartner => assert!(credit.partner.is_some()),
        Attribution::NotShared => assert!(credit.partner.is_some() && !shared),
    }
    if let Some(partner) = &resolution.partner {
        assert_eq!(credit.partner, Some(partner));
    }
}

fn explained<T>(world: &World, ask: &Ask, see: impl FnOnce(&Explanation<'_>) -> T) -> T {
    ask.asked(&world.snapshot(), |asked| see(&asked.explain()))
}

fn mobile() -> Condition {
    Condition::Is(Predicate::Device(OneOf::new(vec![DeviceClass::Mobile]).unwrap()))
}

fn german() -> Condition {
    Condition::Is(Predicate::Country(OneOf::new(vec![Country::parse("DE").unwrap()]).unwrap()))
}

#[test]
fn every_rule_is_told_with_what_it_looked_at() {
    let both = Condition::All(Group::new(vec![german(), Condition::Not(Box::new(mobile()))]).unwrap());
    let world = World::to("/s").rule("unsure", both).rule("phone", mobile()).rule("late", german());
    let mut ask = Ask { country: Fact::Unknown, ..Ask::default() };
    ask.agent.device = Fact::Known(DeviceClass::Mobile);
    explained(&world, &ask, |explanation| {
        let standings: Vec<_> =
            explanation.rules.iter().map(|rule| (rule.id.as_str(), rule.standing)).collect();
        let expected =
            [("unsure", Standing::DoesNotMatch), ("phone", Standing::Decides), ("late", Standing::NotAsked)];
        assert_eq!(standings, expected);
        assert_eq!(explanation.destination, "/phone");
        let Told::All(members) = &explanation.rules[0].when.as_ref().unwrap().told else { panic!("a group") };
        assert_eq!([members[0].verdict, members[1].verdict], [Verdict::Unknown, Verdict::False]);
        let Told::Test(_, looks) = &members[0].told else { panic!("a test") };
        assert_eq!((looks[0].subject, &looks[0].seen), (Subject::Country, &Seen::Unknown));
        // What is not asked is looked at all the same.
        assert_eq!(explanation.rules[2].when.as_ref().unwrap().verdict, Verdict::Unknown);
    });
}

#[test]
fn answer_tells_of_so_many_nodes_and_of_the_rule_that_decides() {
    let many = |condition: Condition| Condition::All(Group::new(vec![condition; 149]).unwrap());
    let mut world = World::to("/s");
    for at in 0..100 {
        world = world.rule(&format!("r{at}"), many(german()));
    }
    let world = world.rule("phone", many(mobile())).rule("late", many(german()));
    let mut ask = Ask { country: Fact::Unknown, ..Ask::default() };
    ask.agent.device = Fact::Known(DeviceClass::Mobile);
    explained(&world, &ask, |explanation| {
        let told = |at: &usize| explanation.rules[*at].when.is_some();
        let expected: Vec<usize> = (0..limits::EXPLAINED_NODES / 150).chain([100]).collect();
        assert_eq!((0..102).filter(told).collect::<Vec<_>>(), expected);
        let standings = |of: Standing| explanation.rules.iter().filter(|rule| rule.standing == of).count();
        assert_eq!((standings(Standing::Unknown), standings(Standing::Decides)), (100, 1));
        assert_eq!(explanation.rules[101].standing, Standing::NotAsked);
    });
}

#[test]
fn long_facts_are_cut() {
    let name = ParameterName::parse("a").unwrap();
    let has_a = Condition::Is(Predicate::Query { name, test: QueryTest::Present });
    let world = World::to("/s").rule("any", has_a);
    let value = |query: &str| {
        explained(&world, &Ask::query(query), |explanation| {
            let Told::Test(_, looks) = &explanation.rules[0].when.as_ref().unwrap().told else { panic!() };
            let Seen::Known(value) = &looks[0].seen else { panic!("{looks:?}") };
            value.clone()
        })
    };
    assert_eq!(value("a=1&b=2&a"), "a=1&a");
    let cut = value(&format!("a=1&a={}&a=2", "é".repeat(3_000)));
    assert!(cut.starts_with("a=1&a=éé") && cut.ends_with("é…"), "{cut}");
    assert!(cut.len() <= limits::EXPLAINED_VALUE_BYTES + "…".len());
}

#[test]
fn credit_says_what_named_the_partner_and_by_what_the_link_is_shared() {
    let world =
        World::to("/s").with(|world| world.sharing = Sharing::selected(vec![], vec![program("gold")]));
    explained(&world, &Ask::query("x=1&Ref=Annie"), |explanation| {
        let credit = &explanation.credit;
        let Some((NamedBy::Parameter(parameter), named)) = &credit.named else { panic!("{credit:?}") };
        assert_eq!((parameter.as_str(), &**named), ("ref", "Annie"));
        assert_eq!(credit.partner, Some(&code("anna")));
        assert_eq!(credit.shared, Some(SharedBy::Program(&program("gold"))));
    });
    explained(&world, &Ask::partner("ben"), |explanation| {
        assert!(matches!(explanation.credit.named, Some((NamedBy::Path, _))));
        assert_eq!(explanation.credit.shared, Some(SharedBy::Nothing));
    });
}

#[test]
fn link_that_is_not_asked_tells_why_and_no_rules() {
    let world =
        World::to("/s").rule("phone", mobile()).fallback("https://shop.example/sorry").with(|world| {
            world.state = LinkState::Paused;
        });
    explained(&world, &Ask::default(), |explanation| {
        assert_eq!(explanation.window.unwrap().state, LinkState::Paused);
        assert!(explanation.rules.is_empty());
        assert_eq!(explanation.steps[0].part, Part::Fallback);
        assert_eq!(explanation.destination, "https://shop.example/sorry");
    });
    let expired = World::to("/s")
        .window(None, Some("2026-01-01T00:00:00Z"))
        .with(|world| world.routing.expired_destination = Some(destination("/over?a=1")));
    explained(&expired, &Ask::default(), |explanation| {
        assert_eq!(explanation.window.unwrap().expire, Some(time("2026-01-01T00:00:00Z")));
        assert_eq!(explanation.destination, "/over?a=1");
    });
}

#[test]
fn every_parameter_is_told_with_its_fate() {
    let world = World::to("/s?own=1&both=d&utm_source=d#f")
        .utm(&[("source", "{partner}"), ("medium", "m"), ("term", "{rule}")])
        .with(|world| {
            world.routing.rules.push({
                let mut rule = super::world::rule("all", Condition::Not(Box::new(german())));
                rule.then = Outcome::Destination(world.routing.default_destination.clone());
                rule.utm = utm(&[("medium", "of-rule"), ("content", "{country}")]);
                rule
            });
        })
        .overridden("utm_medium", QueryConflict::VisitorWins);
    let ask = Ask { country: Fact::Absent, ..Ask::query("both=v&ref=ben&utm_medium=v&x") };
    explained(&world, &ask.click(), |explanation| {
        let steps: Vec<_> = explanation
            .steps
            .iter()
            .map(|step| (step.parameter.as_str(), step.written.as_str(), step.fate))
            .collect();
        let id = ClickId::to_string(&super::world::click_id());
        let click = format!("&click_id={id}");
        let expected = [
            ("", "https://shop.example", Fate::Stays),
            ("", "/s", Fate::Stays),
            ("own=1", "?own=1", Fate::Stays),
            ("both=d", "&both=d", Fate::Stays),
            ("utm_source=d", "", Fate::Replaced),
            ("both=v", "", Fate::DestinationWins),
            ("ref=ben", "", Fate::Own),
            ("utm_medium=v", "&utm_medium=v", Fate::Stays),
            ("x", "&x", Fate::Stays),
            ("utm_source", "&utm_source=ben", Fate::Stays),
            ("utm_medium", "", Fate::VisitorWins),
            ("utm_term", "&utm_term=all", Fate::Stays),
            ("", "&ref=ben", Fate::Stays),
            ("", click.as_str(), Fate::Stays),
            ("", "#f", Fate::Stays),
            ("utm_content", "", Fate::Empty),
        ];
        assert_eq!(steps, expected);
        let of_rule = |step: &&smartlinks::index::Step<'_>| matches!(step.part, Part::UtmOfRule(_));
        let of_rule: Vec<_> =
            explanation.steps.iter().filter(of_rule).map(|step| step.parameter.as_str()).collect();
        assert_eq!(of_rule, ["utm_medium", "utm_content"]);
    });
    let listed = World::to("/s").listed(&["a"]);
    explained(&listed, &Ask::query("a=1&b=2"), |explanation| {
        let fates: Vec<_> = explanation.steps[2..].iter().map(|step| step.fate).collect();
        assert_eq!(fates, [Fate::Stays, Fate::NotPassed]);
    });
}

#[test]
fn draw_says_by_what_and_who_won() {
    let variant = |id: &str, weight| Variant {
        id: VariantId::parse(id).unwrap(),
        destination: destination(id),
        weight: Weight::parse(weight).unwrap(),
    };
    let world = World::to("/s").rule("split", Condition::Not(Box::new(german()))).with(|world| {
        let variants = Variants::new(vec![variant("a", 0), variant("b", 7)]).unwrap();
        world.routing.rules[0].then = Outcome::Variants(variants);
    });
    let ask = |visitor| Ask { visitor, country: Fact::Absent, ..Ask::default() };
    let by = |ask: &Ask| {
        explained(&world, ask, |explanation| {
            let draw = explanation.draw.as_ref().unwrap();
            assert_eq!(draw.chosen.unwrap().id.as_str(), "b");
            draw.by
        })
    };
    assert_eq!(by(&ask(Some((None, false)))), DrawnBy::VisitorId);
    let nobody = Ask { has_headers: false, address: Fact::Unknown, ..ask(None) };
    assert_eq!(by(&nobody), DrawnBy::Nothing);
    let from = Ask { address: Fact::Known("192.0.2.7".parse().unwrap()), ..nobody };
    assert_eq!(by(&from), DrawnBy::Address);
}
