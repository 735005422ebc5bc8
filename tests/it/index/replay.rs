//! Drafts of links against recorded clicks: what is judged is what the draft would have answered.

use proptest::{
    collection::vec, option, prelude::*, sample::select, strategy::ValueTree, test_runner::TestRunner,
};
use smartlinks::{
    domain::{
        click::{ClickFacts, LoggedClick},
        click_id::ClickId,
        client::{Browser, DeviceClass, Os, UserAgent, Version},
        condition::{Attribute, Condition, ParameterName, Predicate, QueryTest, Value, VersionRange},
        fact::Fact,
        language::LanguageRange,
        link::{Description, Link, LinkState, Outcome, Rule, Sharing},
        name::{DisplayName, RuleId, Tag, VariantId},
        one_of::OneOf,
        unkept::{UnkeptFact, UnkeptFacts},
        variant::{Variant, Variants, Weight},
        visit::{Attribution, Channel, Miss, Resolution, ResolveReason},
        visitor::VisitorMode,
    },
    index::replay::{Draft, End, Fate, Flows},
};

use super::{
    random,
    world::{Ask, NOW, World, code, destination, own, program, shop_id, slug, time},
};

/// The link of a world.
fn link(world: &World) -> Link {
    Link {
        shop: shop_id(),
        slug: slug("sale"),
        is_default: false,
        display_name: DisplayName::parse("Sale").unwrap(),
        description: Description::default(),
        tags: Vec::new(),
        state: world.state,
        sharing: world.sharing.clone(),
        routing: world.routing.clone(),
        golden_clicks: Vec::new(),
    }
}

/// What the log keeps of a click, written down apart from what writes it.
fn logged(world: &World, ask: &Ask) -> LoggedClick {
    let id = ClickId::new(ask.time, [7; 10]);
    let ask = Ask { click_id: Some(id), ..ask.clone() };
    let answer = ask.resolution(&world.snapshot()).unwrap();
    let reason = answer.reason();
    let Resolution { rule, variant, partner, attribution, shop, slug, traffic, revision, kept, .. } = answer;
    let kept = kept.unwrap();
    let first =
        ask.accept_language.as_deref().filter(|_| ask.has_headers).map(|header| header.split([',', ';']));
    let host = |url: url::Url| url.host_str().map(str::to_owned);
    let referrer = ask.referer.as_deref().and_then(|text| url::Url::parse(text).ok()).and_then(host);
    LoggedClick {
        id,
        shop,
        facts: ClickFacts {
            slug,
            revision,
            channel: Some(Channel::Link),
            reason: Some(reason),
            rule,
            variant,
            destination: kept.destination,
            partner,
            program: kept.program,
            attribution: Some(attribution),
            traffic: Some(traffic),
            country: ask.country.known(),
            device: ask.agent.device.known(),
            os: ask.agent.os.known(),
            browser: ask.agent.browser.known(),
            language: first.and_then(|mut it| it.next()).filter(|it| !it.is_empty()).map(str::to_lowercase),
            referrer: if ask.has_headers { Fact::or_absent(referrer) } else { Fact::Unknown },
            sub_ids: kept.sub_ids,
        },
        traffic_why: kept.traffic_why,
        visitor: None,
        counters: kept.counters,
    }
}

fn condition(predicate: Predicate) -> Condition {
    Condition::Is(predicate)
}

fn mobile() -> Condition {
    condition(Predicate::Device(OneOf::new(vec![DeviceClass::Mobile]).unwrap()))
}

fn query(name: &str, value: &str) -> Condition {
    let test = QueryTest::Equals(OneOf::new(vec![Value::parse(value).unwrap()]).unwrap());
    condition(Predicate::Query { name: ParameterName::parse(name).unwrap(), test })
}

fn language(range: &str) -> Condition {
    condition(Predicate::Language(OneOf::new(vec![LanguageRange::parse(range).unwrap()]).unwrap()))
}

fn split(weights: &[(&str, i64)]) -> Outcome {
    let variant = |(id, weight): &(&str, i64)| Variant {
        id: VariantId::parse(id).unwrap(),
        destination: destination(&format!("/{id}")),
        weight: Weight::parse(*weight).unwrap(),
    };
    Outcome::Variants(Variants::new(weights.iter().map(variant).collect()).unwrap())
}

fn missing(facts: &[UnkeptFact]) -> UnkeptFacts {
    facts.iter().copied().collect()
}

fn judge(draft: &World, click: &LoggedClick, was: Option<&World>) -> Fate {
    let draft = Draft::new(link(draft), draft.shop.fallback_url.clone());
    let was = was.map(|was| draft.before(&link(was)));
    draft.judge(click, was.as_ref())
}

/// Where a click would go; panics if that is not judged.
fn end(fate: Fate) -> End {
    match fate {
        Fate::To(end) => end,
        Fate::Unjudged { missing, .. } => panic!("missing: {:?}", missing.iter().collect::<Vec<_>>()),
    }
}

fn unjudged(fate: Fate) -> (Option<String>, UnkeptFacts) {
    match fate {
        Fate::To(end) => panic!("{end:?}"),
        Fate::Unjudged { rule, missing } => (rule.map(|rule| rule.to_string()), missing),
    }
}

/// A phone in the world's hands.
fn phone() -> Ask {
    let agent = UserAgent {
        device: Fact::Known(DeviceClass::Mobile),
        os: Fact::Known(Os::Ios),
        os_version: Fact::Known(Version::parse("17").unwrap()),
        browser: Fact::Known(Browser::Safari),
        ..UserAgent::default()
    };
    Ask { agent, has_headers: true, accept_language: Some("de-AT, en;q=0.5".into()), ..Ask::default() }
}

#[test]
fn click_is_judged_by_what_is_kept() {
    let was = World::to("/old");
    let click = logged(&was, &phone());
    let new = end(judge(&World::to("/old").rule("phones", mobile()), &click, None));
    assert_eq!((new.destination.as_str(), new.reason), ("/phones", Some(ResolveReason::Rule)));
    assert_eq!(new.rule, Some(RuleId::parse("phones").unwrap()));
    let not = Condition::Not(Box::new(mobile()));
    let same = end(judge(&World::to("old").rule("others", not), &click, None));
    assert_eq!((same.destination.as_str(), same.reason), ("old", Some(ResolveReason::Default)));
    assert!(same.is_same_page(&End::of(&click.facts)));
    assert!(!new.is_same_page(&End::of(&click.facts)));
}

#[test]
fn click_is_not_judged_by_what_is_not_kept_unless_all_comes_to_the_same() {
    let click = logged(&World::to("/old"), &Ask { query: "a=1".into(), ..phone() });
    let draft = |world: World| judge(&world, &click, None);
    let (rule, facts) = unjudged(draft(World::to("/old").rule("promo", query("a", "1"))));
    assert_eq!((rule, facts), (None, missing(&[UnkeptFact::Query])));
    let same = draft(World::to("/promo").rule("promo", query("a", "1")));
    let same = end(same);
    assert_eq!((same.destination.as_str(), same.reason, same.rule), ("/promo", None, None));
    // A rule that matches before it decides, and one behind it does not.
    let before = draft(World::to("/old").rule("phones", mobile()).rule("promo", query("a", "1")));
    assert_eq!(end(before).destination, "/phones");
    let (_, facts) =
        unjudged(draft(World::to("/old").rule("promo", query("a", "1")).rule("phones", mobile())));
    assert_eq!(facts, missing(&[UnkeptFact::Query]));
}

#[test]
fn version_matters_only_if_the_family_fits() {
    let click = logged(&World::to("/old"), &phone());
    let os = |family, min| {
        let families = OneOf::new(vec![family]).unwrap();
        let versions = VersionRange::new(min, None).unwrap();
        World::to("/old").rule("os", condition(Predicate::Os { families, versions }))
    };
    let version = Version::parse("16");
    assert_eq!(unjudged(judge(&os(Os::Ios, version), &click, None)).1, missing(&[UnkeptFact::OsVersion]));
    assert_eq!(end(judge(&os(Os::Ios, None), &click, None)).destination, "/os");
    assert_eq!(end(judge(&os(Os::Android, version), &click, None)).destination, "/old");
}

#[test]
fn first_language_decides_if_it_leads_to_one_that_is_asked_for() {
    let click = logged(&World::to("/old"), &phone());
    let german = World::to("/old").rule("german", language("de"));
    assert_eq!(end(judge(&german, &click, None)).destination, "/german");
    let english = World::to("/old").rule("english", language("en"));
    assert_eq!(unjudged(judge(&english, &click, None)).1, missing(&[UnkeptFact::Language]));
}

#[test]
fn parameter_that_the_shop_keeps_shows_what_is_in_it() {
    let was = World::to("/old").with(|world| world.shop.sub_id_params = vec![own("sub")]);
    let click = logged(&was, &Ask { query: "sub=a+b&sub=c".into(), ..phone() });
    let draft = |value| World::to("/old").rule("promo", query("sub", value));
    assert_eq!(end(judge(&draft("a b"), &click, None)).destination, "/promo");
    // Only the first of several is kept.
    assert_eq!(unjudged(judge(&draft("c"), &click, None)).1, missing(&[UnkeptFact::Query]));
    let long = "x".repeat(300);
    let cut = logged(&was, &Ask { query: format!("sub={long}"), ..phone() });
    assert_eq!(unjudged(judge(&draft(&long[..256]), &cut, None)).1, missing(&[UnkeptFact::Query]));
}

#[test]
fn partner_is_credited_as_the_draft_is_shared() {
    let anna = || condition(Predicate::Partner(OneOf::new(vec![code("anna")]).unwrap()));
    let with = |sharing| World::to("/old").rule("anna", anna()).with(|world| world.sharing = sharing);
    let nobody = || Sharing::selected(Vec::new(), Vec::new());
    let credited = logged(&World::to("/old"), &Ask::partner("anna"));
    assert_eq!(end(judge(&with(Sharing::Everyone), &credited, None)).destination, "/anna");
    let gold = Sharing::selected(Vec::new(), vec![program("gold")]);
    assert_eq!(end(judge(&with(gold), &credited, None)).destination, "/anna");
    assert_eq!(end(judge(&with(nobody()), &credited, None)).destination, "/old");
    // Who was not credited is not kept.
    let was =
        World::to("/old").with(|world| world.sharing = Sharing::selected(vec![code("ben")], Vec::new()));
    let click = logged(&was, &Ask::partner("anna"));
    assert_eq!(unjudged(judge(&with(Sharing::Everyone), &click, None)).1, missing(&[UnkeptFact::Partner]));
    assert_eq!(unjudged(judge(&with(was.sharing.clone()), &click, None)).1, missing(&[UnkeptFact::Partner]));
    assert_eq!(end(judge(&with(was.sharing.clone()), &click, Some(&was))).destination, "/old");
    assert_eq!(end(judge(&with(nobody()), &click, None)).destination, "/old");
}

#[test]
fn tags_are_missed_only_of_somebody() {
    let vip = condition(Predicate::PartnerTag(OneOf::new(vec![Tag::parse("vip").unwrap()]).unwrap()));
    let draft = World::to("/old").rule("vip", vip);
    let nobody = logged(&World::to("/old"), &phone());
    assert_eq!(end(judge(&draft, &nobody, None)).destination, "/old");
    let anna = logged(&World::to("/old"), &Ask::partner("anna"));
    assert_eq!(unjudged(judge(&draft, &anna, None)).1, missing(&[UnkeptFact::PartnerTags]));
    let unshared = draft.clone().with(|world| world.sharing = Sharing::selected(Vec::new(), Vec::new()));
    assert_eq!(end(judge(&unshared, &anna, None)).destination, "/old");
    // Who was named then and would be credited now is not kept.
    let was =
        World::to("/old").with(|world| world.sharing = Sharing::selected(vec![code("ben")], Vec::new()));
    let click = logged(&was, &Ask::partner("anna"));
    assert_eq!(unjudged(judge(&draft, &click, None)).1, missing(&[UnkeptFact::Partner]));
}

#[test]
fn draft_does_not_decide_outside_of_its_window() {
    let click = logged(&World::to("/old"), &phone());
    let ended = World::to("/old").window(None, Some(NOW));
    let fate = |world: &World| end(judge(world, &click, None));
    assert_eq!(fate(&ended).reason, Some(ResolveReason::Missed(Miss::Expired)));
    assert_eq!(fate(&ended).destination, "");
    assert!(!fate(&ended).is_same_page(&End::of(&logged(&World::to(""), &phone()).facts)));
    let fallback = ended.fallback("https://shop.example/gone");
    assert_eq!(fate(&fallback).destination, "https://shop.example/gone");
    let own = fallback.with(|world| world.routing.expired_destination = Some(destination("/over")));
    assert_eq!(fate(&own).destination, "/over");
    let later = World::to("/old").window(Some("2026-06-01T12:00:01Z"), None);
    assert_eq!(fate(&later).reason, Some(ResolveReason::Missed(Miss::NotStarted)));
    // What is switched does not matter: the draft is tried out as if it were active.
    let paused = World::to("/old").with(|world| world.state = LinkState::Paused);
    assert_eq!(fate(&paused).reason, Some(ResolveReason::Default));
}

#[test]
fn visitor_keeps_a_variant_that_has_lost_nothing() {
    let with = |weights: &[(&str, i64)]| {
        World::to("/old").rule("ab", mobile()).with(|world| world.routing.rules[0].then = split(weights))
    };
    let was = with(&[("a", 10), ("b", 10), ("c", 0)]);
    let clicks: Vec<_> = (0..40_u8)
        .map(|at| Ask { address: Fact::Known([192, 0, 2, at].into()), ..phone() })
        .map(|ask| logged(&was, &ask))
        .collect();
    let got_a = clicks.iter().find(|click| click.facts.destination == "/a").unwrap();
    let got_b = clicks.iter().find(|click| click.facts.destination == "/b").unwrap();
    let more_a = with(&[("a", 15), ("b", 10), ("c", 0)]);
    assert_eq!(end(judge(&more_a, got_a, Some(&was))).destination, "/a");
    let (rule, facts) = unjudged(judge(&more_a, got_b, Some(&was)));
    assert_eq!((rule.as_deref(), facts), (Some("ab"), missing(&[UnkeptFact::Visitor])));
    assert_eq!(unjudged(judge(&was, got_b, None)).1, missing(&[UnkeptFact::Visitor]));
    // As the weights are to one another, so are the shares.
    let alike = with(&[("a", 3), ("b", 3), ("c", 0)]);
    assert_eq!(end(judge(&alike, got_a, Some(&was))).destination, "/a");
    assert_eq!(end(judge(&alike, got_b, Some(&was))).destination, "/b");
    let less_of_both = with(&[("a", 3), ("b", 2), ("c", 0)]);
    assert_eq!(end(judge(&less_of_both, got_a, Some(&was))).destination, "/a");
    assert_eq!(unjudged(judge(&less_of_both, got_b, Some(&was))).1, missing(&[UnkeptFact::Visitor]));
    let with_third = with(&[("a", 20), ("b", 10), ("c", 1)]);
    assert_eq!(unjudged(judge(&with_third, got_a, Some(&was))).1, missing(&[UnkeptFact::Visitor]));
    let only_a = with(&[("a", 1), ("b", 0)]);
    assert_eq!(end(judge(&only_a, got_b, None)).destination, "/a");
}

#[test]
fn flows_are_counted_and_bounded() {
    let was = World::to("/old");
    let (on_phone, elsewhere) = (logged(&was, &phone()), logged(&was, &Ask::default()));
    let draft = Draft::new(link(&World::to("/old").rule("phones", mobile())), None);
    let mut flows = Flows::new(1, 2);
    for click in [&elsewhere, &on_phone, &elsewhere, &on_phone, &elsewhere] {
        flows.add(click, draft.judge(click, None));
    }
    let tally = flows.tally();
    assert_eq!((tally.same, tally.elsewhere, tally.unjudged, tally.in_no_flow), (3, 2, 0, 2));
    let flows = flows.into_flows();
    assert_eq!(flows.len(), 1);
    assert_eq!((flows[0].clicks, flows[0].samples.as_slice()), (3, &[elsewhere.id; 2][..]));
}

fn known_or_not<T>(fact: Fact<T>) -> Fact<T> {
    Fact::or_unknown(fact.known())
}

/// A visit as browsers make it: the language that is wanted most comes first.
fn visit() -> impl Strategy<Value = Ask> {
    random::visit().prop_map(|case| {
        let languages = case.languages.map(|mut languages| {
            languages.sort_by_key(|(_, quality)| std::cmp::Reverse(*quality));
            let entry = |(range, quality): &(String, u16)| format!("{range};q=0.{quality:03}");
            languages.iter().map(entry).collect::<Vec<_>>().join(", ")
        });
        let agent = case.ask.agent.clone();
        let agent = UserAgent {
            device: known_or_not(agent.device),
            os: known_or_not(agent.os),
            browser: known_or_not(agent.browser),
            ..agent
        };
        Ask { agent, country: known_or_not(case.ask.country), accept_language: languages, ..case.ask }
    })
}

/// Weights of the variants of a rule, if it has any.
fn weights() -> impl Strategy<Value = Option<Vec<i64>>> {
    let some = vec(0_i64..4, 2..4).prop_filter("nobody goes anywhere", |all| all.iter().any(|it| *it > 0));
    option::weighted(0.3, some)
}

fn routes(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Rule>> {
    (random::rules(count.clone()), vec(weights(), count.end), vec(0_u8..3, count.end)).prop_map(
        |(rules, weights, places)| {
            let to = |(mut rule, (weights, place)): (Rule, (Option<Vec<i64>>, u8))| {
                // Few places, so that ways meet again.
                rule.then = Outcome::Destination(destination(&format!("/p{place}")));
                if let Some(weights) = weights {
                    let weights: Vec<_> = ["a", "b", "c"].into_iter().zip(weights).collect();
                    rule.then = split(&weights);
                }
                rule
            };
            rules.into_iter().zip(weights.into_iter().zip(places)).map(to).collect()
        },
    )
}

fn sharing() -> impl Strategy<Value = Sharing> {
    select(vec![
        Sharing::Everyone,
        Sharing::Everyone,
        Sharing::selected(vec![code("anna")], Vec::new()),
        Sharing::selected(Vec::new(), vec![program("gold")]),
        Sharing::selected(Vec::new(), Vec::new()),
    ])
}

/// Returns what a draft looks at of that which clicks may not keep.
fn looked_at(draft: &World) -> UnkeptFacts {
    let enabled = || draft.routing.rules.iter().filter(|rule| rule.enabled);
    let mut found = UnkeptFacts::NONE;
    for rule in enabled() {
        found = found.and(in_condition(&rule.when));
        if !rule.then.variants().is_empty() {
            found = found.with(UnkeptFact::Visitor);
        }
    }
    found
}

fn in_condition(condition: &Condition) -> UnkeptFacts {
    let fact = match condition {
        Condition::All(group) | Condition::Any(group) => {
            return group.members().iter().map(in_condition).fold(UnkeptFacts::NONE, UnkeptFacts::and);
        }
        Condition::Not(member) => return in_condition(member),
        Condition::IsKnown(attribute) => match attribute {
            Attribute::OsVersion => Some(UnkeptFact::OsVersion),
            Attribute::BrowserVersion => Some(UnkeptFact::BrowserVersion),
            Attribute::Language => Some(UnkeptFact::Language),
            Attribute::ClientAddress => Some(UnkeptFact::ClientAddress),
            Attribute::VisitorTotalVisits => Some(UnkeptFact::VisitorTotalVisits),
            Attribute::LinkTotalVisits => Some(UnkeptFact::LinkTotalVisits),
            Attribute::PartnerTotalVisits => Some(UnkeptFact::PartnerTotalVisits),
            Attribute::Caller(_) => Some(UnkeptFact::Attributes),
            Attribute::Device
            | Attribute::Os
            | Attribute::Browser
            | Attribute::Country
            | Attribute::ReferrerHost
            | Attribute::Partner => None,
        },
        Condition::Is(predicate) => match predicate {
            Predicate::Os { versions, .. } => Some(UnkeptFact::OsVersion).filter(|_| !versions.is_any()),
            Predicate::Browser { versions, .. } => {
                Some(UnkeptFact::BrowserVersion).filter(|_| !versions.is_any())
            }
            Predicate::Language(_) => Some(UnkeptFact::Language),
            Predicate::NewVisitor {} | Predicate::VisitorTotalVisits(_) => {
                Some(UnkeptFact::VisitorTotalVisits)
            }
            Predicate::LinkTotalVisits(_) => Some(UnkeptFact::LinkTotalVisits),
            Predicate::PartnerTotalVisits(_) => Some(UnkeptFact::PartnerTotalVisits),
            Predicate::Query { .. } => Some(UnkeptFact::Query),
            Predicate::ClientAddress(_) => Some(UnkeptFact::ClientAddress),
            Predicate::Partner(_) | Predicate::Program(_) => Some(UnkeptFact::Partner),
            Predicate::PartnerTag(_) => {
                return UnkeptFacts::NONE.with(UnkeptFact::Partner).with(UnkeptFact::PartnerTags);
            }
            Predicate::Caller { .. } => Some(UnkeptFact::Attributes),
            Predicate::Device(_)
            | Predicate::Country(_)
            | Predicate::Continent(_)
            | Predicate::InEu {}
            | Predicate::ReferrerHost { .. }
            | Predicate::Traffic(_)
            | Predicate::Time(_)
            | Predicate::Weekly(_) => None,
        },
    };
    fact.map_or(UnkeptFacts::NONE, |fact| UnkeptFacts::NONE.with(fact))
}

/// Tells whether a click keeps a fact for sure.
fn keeps(click: &LoggedClick, fact: UnkeptFact) -> bool {
    let facts = &click.facts;
    match fact {
        UnkeptFact::Partner => facts.attribution != Some(Attribution::NotShared),
        UnkeptFact::PartnerTags => facts.partner.is_none() && keeps(click, UnkeptFact::Partner),
        UnkeptFact::VisitorTotalVisits => click.counters.visitor.is_some(),
        UnkeptFact::LinkTotalVisits => click.counters.link.is_some(),
        UnkeptFact::PartnerTotalVisits => {
            click.counters.partner.is_some() && keeps(click, UnkeptFact::Partner)
        }
        UnkeptFact::TrafficClass => facts.traffic.is_some(),
        UnkeptFact::ClientAddress
        | UnkeptFact::Query
        | UnkeptFact::OsVersion
        | UnkeptFact::BrowserVersion
        | UnkeptFact::Language
        | UnkeptFact::Attributes
        | UnkeptFact::Visitor => false,
    }
}

/// Not judging is no way out: of drafts like these, many clicks are judged.
#[test]
fn many_clicks_are_judged() {
    let mut runner = TestRunner::deterministic();
    let (mut judged, mut all) = (0, 0);
    for _ in 0..60 {
        let mut any = |rules| routes(rules).new_tree(&mut runner).unwrap().current();
        let (old, new) = (any(0..4), any(1..6));
        let visits = vec(visit(), 1..20).new_tree(&mut runner).unwrap().current();
        let was = World::to("/p0").with(|world| world.routing.rules = old);
        let draft = World::to("/p0").with(|world| world.routing.rules = new);
        for ask in visits {
            all += 1;
            judged += i32::from(matches!(judge(&draft, &logged(&was, &ask), Some(&was)), Fate::To(_)));
        }
    }
    assert!(judged * 5 > all * 2, "{judged} of {all}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn what_is_judged_is_what_the_draft_would_have_answered(
        old in routes(0..4),
        new in routes(1..6),
        shared in (sharing(), sharing()),
        starts in option::weighted(0.2, -72_i64..72),
        cookies in any::<bool>(),
        keeps_a in any::<bool>(),
        knows_was in any::<bool>(),
        visits in vec(visit(), 1..20),
    ) {
        let base = World::to("/p0").with(|world| {
            world.shop.visitor_mode = if cookies { VisitorMode::Cookie } else { VisitorMode::Daily };
            world.shop.sub_id_params = keeps_a.then(|| own("a")).into_iter().collect();
        });
        let was = base.clone().with(|world| (world.routing.rules, world.sharing) = (old, shared.0));
        let draft = base.with(|world| {
            (world.routing.rules, world.sharing) = (new, shared.1);
            world.routing.start_time = starts.map(|hours| time(NOW) + jiff::SignedDuration::from_hours(hours));
        });
        for ask in visits {
            let click = logged(&was, &ask);
            let fate = judge(&draft, &click, knows_was.then_some(&was));
            // The draft's answer to the whole visit.
            let expected = logged(&draft, &ask);
            let facts = &expected.facts;
            match fate {
                Fate::To(end) => {
                    prop_assert!(end.is_same_page(&End::of(facts)), "{ask:?}: {end:?}, {facts:?}");
                    prop_assert!(end.reason.is_none() || end.reason == facts.reason, "{ask:?}: {end:?}");
                    prop_assert!(end.rule.is_none() || end.rule == facts.rule, "{ask:?}: {end:?}");
                    prop_assert!(end.variant.is_none() || end.variant == facts.variant, "{ask:?}: {end:?}");
                }
                Fate::Unjudged { rule, missing } => {
                    prop_assert!(!missing.is_empty());
                    for fact in missing.iter() {
                        prop_assert!(looked_at(&draft).has(fact), "{fact:?} {ask:?}");
                        prop_assert!(!keeps(&click, fact), "{fact:?} {ask:?}");
                    }
                    prop_assert!(rule.is_none() || rule == facts.rule, "{ask:?}: {rule:?}");
                }
            }
        }
    }
}
