//! Findings of small links.

mod destinations;
mod every_visit;

use serde_json::{Value as Json, json};

use super::*;
use crate::domain::{
    condition::Condition,
    destination::Destination,
    fact::Fact,
    geo::Country,
    limits,
    link::{Description, Outcome, Routing, Rule},
    name::{DisplayName, RuleId},
    utm::Utm,
    visitor::VisitorMode,
};

const NOW: &str = "2026-06-01T12:00:00Z";
const STEPS: u64 = 5_000_000;

fn shop() -> ShopSettings {
    serde_json::from_value(json!({
        "base_url": "https://shop.example",
        "link_hosts": ["go.shop.example"],
        "public_url": "https://go.shop.example",
        "partner_param": "ref",
        "click_id_param": "click_id",
        "internal_addresses": ["192.0.2.0/24"],
    }))
    .unwrap()
}

fn rule(id: &str, when: Condition) -> Rule {
    Rule {
        id: RuleId::parse(id).unwrap(),
        display_name: None,
        when,
        retired_variants: Vec::new(),
        then: Outcome::Destination(Destination::parse(id).unwrap()),
        utm: Utm::default(),
        enabled: true,
    }
}

fn link(rules: Vec<Rule>) -> Link {
    Link {
        shop: "acme".to_owned().try_into().unwrap(),
        slug: "sale".to_owned().try_into().unwrap(),
        is_default: false,
        display_name: DisplayName::parse("Sale").unwrap(),
        description: Description::default(),
        tags: Vec::new(),
        state: LinkState::Active,
        sharing: Sharing::Everyone,
        routing: Routing { rules, ..Routing::to(Destination::parse("").unwrap()) },
        golden_clicks: Vec::new(),
    }
}

/// The rules `a`, `b`, `c`, … with these conditions.
fn of(conditions: &[Json]) -> Link {
    let named = ('a'..).zip(conditions);
    let read = |when: &Json| serde_json::from_value(when.clone()).unwrap();
    link(named.map(|(id, when)| rule(&id.to_string(), read(when))).collect())
}

fn ask<'a>(link: &'a Link, shop: &'a ShopSettings) -> Analysis<'a> {
    Analysis { link, shop, countries: true, now: NOW.parse().unwrap(), steps: STEPS, thorough: false }
}

/// What was found, in short: kind, rule, those responsible.
fn told(link: &Link, report: &Report) -> Vec<String> {
    let id = |at: &usize| link.routing.rules[*at].id.to_string();
    let told = report.findings.iter().map(|finding| {
        let rule = finding.rule.as_ref().map_or_else(|| "default".to_owned(), id);
        let by: Vec<String> = finding.by.iter().map(id).collect();
        format!("{:?} {rule} {}", finding.kind, by.join(",")).trim_end().to_owned()
    });
    told.collect()
}

fn findings(conditions: &[Json]) -> Vec<String> {
    let link = of(conditions);
    told(&link, &analyse(&ask(&link, &shop())))
}

fn country(codes: &[&str]) -> Json {
    json!({"is": {"country": codes}})
}

fn device(class: &str) -> Json {
    json!({"is": {"device": [class]}})
}

fn all(members: &[Json]) -> Json {
    json!({"all": members})
}

fn not(member: &Json) -> Json {
    json!({"not": member})
}

fn parameter(test: Json) -> Json {
    json!({"is": {"query": {"name": "a", "test": test}}})
}

fn tier(test: Json) -> Json {
    json!({"is": {"caller": {"name": "tier", "test": test}}})
}

fn time(from: Option<&str>, below: Option<&str>) -> Json {
    json!({"is": {"time": {"from": from, "below": below}}})
}

fn weekly(weekdays: &[i8], start: i32, end: i32, zone: &str) -> Json {
    json!({"is": {"weekly": {"weekdays": weekdays, "start_hour": start, "end_hour": end, "time_zone": zone}}})
}

#[test]
fn mobile_visitor_of_unknown_country_reaches_the_third_rule() {
    let germany = country(&["DE"]);
    assert_eq!(findings(&[germany.clone(), not(&germany), device("mobile")]), [""; 0]);
    let known = json!({"is_known": "country"});
    let asked = [germany.clone(), not(&germany), not(&known), device("mobile")];
    assert_eq!(findings(&asked), ["ShadowedTogether d a,b,c"]);
}

#[test]
fn default_destination_is_what_those_of_unknown_country_get() {
    let germany = country(&["DE"]);
    let link = of(&[germany.clone(), not(&germany)]);
    let report = analyse(&Analysis { thorough: true, ..ask(&link, &shop()) });
    assert_eq!(told(&link, &report), ["FallsToDefault default"]);
    assert_eq!(
        report.findings[0].text,
        "every visit with the country (unknown) goes to the default destination"
    );
    let witness = report.findings[0].witness.as_ref().unwrap();
    assert_eq!(witness.facts, [VisitFact { attribute: "country".into(), value: Fact::Unknown }]);
    assert_eq!(witness.decided_by, None);
}

#[test]
fn witness_of_a_shadowed_rule_goes_to_the_rule_before() {
    let link = of(&[device("mobile"), country(&["US"]), all(&[country(&["DE"]), device("mobile")])]);
    let report = analyse(&ask(&link, &shop()));
    assert_eq!(told(&link, &report), ["Shadowed c a"]);
    let finding = &report.findings[0];
    assert_eq!(finding.path(), "rules[2].when");
    assert_eq!(
        finding.text,
        "rule `c` is never reached: rule `a` before it takes every visit that it is true for"
    );
    let witness = finding.witness.as_ref().unwrap();
    let facts: Vec<_> =
        witness.facts.iter().map(|fact| (fact.attribute.as_str(), said(&fact.value))).collect();
    assert_eq!(facts, [("country", "DE"), ("device", "mobile")]);
    assert_eq!(witness.decided_by, Some(0));
}

fn said(fact: &Fact<String>) -> &str {
    fact.as_ref().known().map_or("", String::as_str)
}

#[test]
fn contradictions_are_found_in_every_attribute() {
    let os = |families: &[&str], from: Option<&str>, below: Option<&str>| json!({"is": {"os": {"families": families, "versions": {"from": from, "below": below}}}});
    let language = |ranges: &[&str]| json!({"is": {"language": ranges}});
    let referrer = |host: &str, below: bool| json!({"is": {"referrer_host": {"hosts": [host], "include_subdomains": below}}});
    let address = |block: &str| json!({"is": {"client_address": [block]}});
    let traffic = |class: &str| json!({"is": {"traffic": [class]}});
    let total = |test: Json| json!({"is": {"visitor_total_visits": test}});
    for contradiction in [
        all(&[country(&["DE"]), not(&json!({"is": {"in_eu": {}}}))]),
        all(&[country(&["DE"]), json!({"is": {"continent": ["africa", "asia"]}})]),
        all(&[country(&["DE"]), not(&json!({"is_known": "country"}))]),
        all(&[device("mobile"), device("desktop")]),
        all(&[os(&["ios"], None, None), os(&["android"], None, None)]),
        all(&[os(&["ios"], Some("17"), None), os(&["ios"], None, Some("17"))]),
        all(&[os(&["ios"], Some("17"), None), not(&json!({"is_known": "os_version"}))]),
        // Of an unknown family one cannot say that it is another.
        all(&[not(&os(&["ios"], Some("17"), None)), not(&json!({"is_known": "os"}))]),
        all(&[language(&["de"]), language(&["de-AT"])]),
        all(&[language(&["de"]), not(&json!({"is_known": "referrer_host"}))]),
        all(&[referrer("www.news.example", false), not(&referrer("news.example", true))]),
        all(&[address("198.51.100.0/24"), not(&address("198.51.0.0/16"))]),
        all(&[address("::ffff:198.51.100.7/128"), not(&address("198.51.100.7/32"))]),
        // The shop's own people come from there.
        all(&[address("192.0.2.7/32"), traffic("human")]),
        all(&[traffic("bot"), traffic("human")]),
        all(&[json!({"is": {"new_visitor": {}}}), total(json!({"at_least": 2}))]),
        total(json!({"less_than": 1})),
        all(&[total(json!({"greater_than": 2})), total(json!({"less_than": 3}))]),
        all(&[parameter(json!({"equals": ["1"]})), not(&parameter(json!("present")))]),
        all(&[parameter(json!({"starts_with": "ab"})), not(&parameter(json!({"contains": "b"})))]),
        all(&[json!({"is": {"program": ["gold"]}}), not(&json!({"is_known": "partner"}))]),
        all(&[json!({"is": {"partner": ["anna"]}}), json!({"is": {"partner": ["ben"]}})]),
        all(&[tier(json!({"equals": ["gold"]})), tier(json!({"equals": ["silver"]}))]),
        all(&[tier(json!({"equals": ["7"]})), tier(json!({"less_than": "7"}))]),
        all(&[tier(json!({"less_than": "1"})), tier(json!({"greater_than": "1"}))]),
        all(&[tier(json!({"equals": ["gold"]})), not(&tier(json!({"starts_with": "go"})))]),
        all(&[
            tier(json!({"less_than": "0.000000000000000002"})),
            tier(json!({"greater_than": "0.000000000000000001"})),
        ]),
        all(&[time(None, Some("2026-01-01T00:00:00Z")), time(Some("2026-01-01T00:00:00Z"), None)]),
        all(&[weekly(&[1], 9, 17, "Europe/Berlin"), weekly(&[2], 9, 17, "Europe/Berlin")]),
        // A Monday.
        all(&[
            time(Some("2026-06-01T00:00:00Z"), Some("2026-06-02T00:00:00Z")),
            weekly(&[3], 0, 24, "Europe/Berlin"),
        ]),
    ] {
        assert_eq!(findings(std::slice::from_ref(&contradiction)), ["Contradictory a"], "{contradiction}");
    }
}

#[test]
fn what_only_seems_impossible_is_left_alone() {
    let address = |block: &str| json!({"is": {"client_address": [block]}});
    let ios = json!({"is": {"os": {"families": ["ios"], "versions": {"from": "17", "below": null}}}});
    for possible in [
        // A parameter may be sent twice.
        all(&[parameter(json!({"equals": ["1"]})), parameter(json!({"equals": ["2"]}))]),
        all(&[parameter(json!("without_value")), parameter(json!({"contains": "x"}))]),
        all(&[parameter(json!({"starts_with": "a"})), parameter(json!({"starts_with": "b"}))]),
        // A partner is moved between programs and may have many tags.
        all(&[json!({"is": {"partner": ["anna"]}}), json!({"is": {"program": ["gold"]}})]),
        all(&[json!({"is": {"partner_tag": ["vip"]}}), json!({"is": {"partner_tag": ["new"]}})]),
        // Nobody is credited.
        not(&json!({"is": {"program": ["gold"]}})),
        // Texts that hold one another.
        all(&[tier(json!({"contains": "ab"})), tier(json!({"contains": "bc"}))]),
        all(&[tier(json!({"greater_than": "1"})), tier(json!({"less_than": "1.000000000000000002"}))]),
        // A caller may say the country of any address.
        all(&[address("10.0.0.0/8"), country(&["DE"])]),
        // Of another family, whatever its version.
        all(&[not(&ios), not(&json!({"is_known": "os_version"}))]),
        all(&[weekly(&[1], 9, 17, "Europe/Berlin"), weekly(&[1], 4, 11, "America/New_York")]),
        // Half past: the clock of India shows another hour than that of Berlin.
        all(&[weekly(&[1], 9, 10, "UTC"), weekly(&[1], 14, 15, "Asia/Kolkata")]),
    ] {
        assert_eq!(findings(std::slice::from_ref(&possible)), [""; 0], "{possible}");
    }
}

#[test]
fn rule_outside_of_the_links_own_time_is_never_true() {
    let mut link = of(&[time(None, Some("2026-01-01T00:00:00Z")), country(&["DE"])]);
    link.routing.start_time = Some("2026-01-01T00:00:00Z".parse().unwrap());
    let report = analyse(&ask(&link, &shop()));
    assert_eq!(told(&link, &report), ["Contradictory a"]);
    assert!(report.findings[0].text.contains("while the link works"), "{}", report.findings[0].text);
}

#[test]
fn passed_windows_are_told_and_those_to_come_are_not() {
    let passed = time(None, Some("2026-06-01T00:00:00Z"));
    assert_eq!(findings(&[passed]), ["PassedWindow a"]);
    assert_eq!(findings(&[time(None, Some("2026-07-01T00:00:00Z"))]), [""; 0]);
    assert_eq!(findings(&[time(Some("2027-07-01T00:00:00Z"), None)]), [""; 0]);
    let either = json!({"any": [time(None, Some("2026-06-01T00:00:00Z")), country(&["DE"])]});
    assert_eq!(findings(&[either]), [""; 0]);
}

#[test]
fn what_a_rule_needs_and_nobody_has_is_told() {
    let new = json!({"is": {"new_visitor": {}}});
    let link =
        of(&[new.clone(), json!({"any": [new, country(&["DE"])]}), not(&country(&["US"])), device("tv")]);
    let (mut settings, nobody) = (shop(), Sharing::selected(Vec::new(), Vec::new()));
    let report = analyse(&ask(&link, &settings));
    assert_eq!(told(&link, &report), ["NeedsData a"]);
    assert!(report.findings[0].text.contains("visitor mode is `daily`"), "{}", report.findings[0].text);
    let report = analyse(&Analysis { countries: false, ..ask(&link, &settings) });
    assert_eq!(told(&link, &report), ["NeedsData a", "NeedsData b", "NeedsData c"]);
    settings.visitor_mode = VisitorMode::Cookie;
    assert_eq!(told(&link, &analyse(&ask(&link, &settings))), [""; 0]);
    let mut link = of(&[json!({"is": {"partner": ["anna"]}}), not(&json!({"is": {"partner": ["anna"]}}))]);
    link.sharing = nobody;
    assert_eq!(told(&link, &analyse(&ask(&link, &settings))), ["NeedsData a"]);
}

#[test]
fn all_that_is_needed_is_told_and_only_that() {
    let (new, anna) = (json!({"is": {"new_visitor": {}}}), json!({"is": {"partner": ["anna"]}}));
    let known = json!({"is_known": "country"});
    let either = json!({"any": [new, anna]});
    let any_country = json!({"any": [known, not(&known)]});
    let mut link = of(&[all(&[new.clone(), anna.clone()]), all(&[either, any_country])]);
    link.sharing = Sharing::selected(Vec::new(), Vec::new());
    let report = analyse(&Analysis { countries: false, ..ask(&link, &shop()) });
    assert_eq!(told(&link, &report), ["NeedsData a", "NeedsData b"]);
    let [both, one] = [0, 1].map(|at| report.findings[at].text.as_str());
    let partner = "a credited partner, and the link is shared with nobody";
    assert!(both.starts_with("rule `a` needs ") && !both.contains("one of"), "{both}");
    assert!(both.contains("; and ") && both.contains(partner) && both.contains("visitor mode"), "{both}");
    assert!(one.starts_with("rule `b` needs one of these: ") && one.contains("; or "), "{one}");
    assert!(one.contains(partner) && one.contains("visitor mode") && !one.contains("country"), "{one}");
}

#[test]
fn steps_that_end_are_told_once_and_not_of_what_was_decided() {
    let new = json!({"is": {"new_visitor": {}}});
    let link = of(&[all(&[new.clone(), country(&["DE"])]), all(&[new, device("tv")]), device("tv")]);
    let mut kinds = [0, 0];
    for steps in (1..4_000).step_by(13) {
        let report = analyse(&Analysis { steps, thorough: true, ..ask(&link, &shop()) });
        for place in [Some(0), Some(1), Some(2), None] {
            let open = |kind| report.findings.iter().filter(move |it| it.rule == place && it.kind == kind);
            let (undecided, unfinished) = (open(FindingKind::Undecided), open(FindingKind::Unfinished));
            let unfinished: Vec<_> = unfinished.collect();
            assert!(unfinished.iter().all(|finding| !finding.text.contains("ever reached")));
            let counts = [undecided.count(), unfinished.len()];
            assert!(counts[0] + counts[1] <= 1, "{steps}: {place:?}");
            kinds = [kinds[0] + counts[0], kinds[1] + counts[1]];
        }
        let is_open = report.findings.iter().any(|it| it.text.contains("was not "));
        assert_eq!(report.is_decided(), !is_open);
        let reached =
            report.findings.iter().any(|it| it.rule.is_none() && it.kind == FindingKind::Unfinished);
        let example = report.findings.iter().any(|it| it.kind == FindingKind::FallsToDefault);
        assert!(!reached || example, "{steps}");
    }
    assert!(kinds.iter().all(|count| *count > 0), "{kinds:?}");
}

#[test]
fn hours_of_many_clocks_are_looked_for_within_the_steps() {
    let zones = ["Europe/Berlin", "Asia/Kolkata", "America/New_York", "Asia/Tokyo", "Pacific/Auckland"];
    let conditions: Vec<Json> = zones.iter().map(|zone| weekly(&[1], 9, 17, zone)).collect();
    let link = of(&conditions);
    // Five clocks for two weeks and a day: 1,800 hours and more.
    let report = analyse(&Analysis { steps: 40_000, ..ask(&link, &shop()) });
    assert!(!report.is_decided());
    assert!(report.steps <= 40_000);
    let tests: Vec<_> =
        conditions.iter().map(|when| serde_json::from_value::<Condition>(when.clone()).unwrap()).collect();
    let tests: Vec<_> = tests.iter().flat_map(collect::tests_of).collect();
    let (languages, internal, now) = (&[][..], &[][..], NOW.parse().unwrap());
    let frame = candidates::Frame { start: None, expire: None, now, languages, internal };
    let subject = subject::Subject::Time;
    let count = |steps: &mut Steps| candidates::choices(subject, &tests, frame, steps).concat().len();
    let (mut few, mut many) = (Steps::new(500), Steps::new(1_000_000));
    assert_eq!((count(&mut few), few.left()), (2, 0));
    assert!(count(&mut many) > 700 && many.left() < 1_000_000 - 2 * 5 * 360);
}

#[test]
fn disabled_rules_take_nothing_and_are_not_judged() {
    let mut link = of(&[device("mobile"), device("mobile"), all(&[device("mobile"), device("tv")])]);
    link.routing.rules[0].enabled = false;
    link.routing.rules[2].enabled = false;
    assert_eq!(told(&link, &analyse(&ask(&link, &shop()))), [""; 0]);
}

fn total(of: &str, test: Json) -> Json {
    json!({"is": {format!("{of}_total_visits"): test}})
}

#[test]
fn counters_are_unknown_or_count_this_visit() {
    let (early, late) = (json!({"less_than": 100}), json!({"at_least": 100}));
    for of in ["link", "partner"] {
        let pair = [total(of, early.clone()), total(of, late.clone())];
        let [first, second] = &pair;
        assert_eq!(findings(&[first.clone(), second.clone(), device("tv")]), [""; 0], "{of}");
        assert_eq!(findings(&[all(&pair)]), ["Contradictory a"], "{of}");
        let known = json!({"is_known": format!("{of}_total_visits")});
        let asked = [first.clone(), second.clone(), known];
        assert_eq!(findings(&asked), ["ShadowedTogether c a,b"], "{of}");
    }
    assert_eq!(findings(&[total("link", json!({"less_than": 1}))]), ["Contradictory a"]);
}

#[test]
fn by_way_of_nobody_nobody_has_come() {
    let (none, some) = (total("partner", json!({"equals": 0})), total("partner", json!({"at_least": 1})));
    let anna = json!({"is": {"partner": ["anna"]}});
    let gold = json!({"is": {"program": ["gold"]}});
    assert_eq!(findings(&[none.clone(), some.clone(), anna.clone(), device("tv")]), [""; 0]);
    assert_eq!(findings(&[all(&[none.clone(), anna.clone()])]), ["Contradictory a"]);
    assert_eq!(findings(&[all(&[none.clone(), gold.clone()])]), ["Contradictory a"]);
    assert_eq!(findings(&[not(&none), not(&gold), none]), ["Shadowed c b"]);
    let unknown = not(&json!({"is_known": "partner_total_visits"}));
    assert_eq!(findings(&[some.clone(), anna.clone()]), [""; 0]);
    assert_eq!(findings(&[some, unknown, anna]), ["ShadowedTogether c a,b"]);
}

#[test]
fn what_hangs_on_a_partner_needs_one() {
    let mut link = of(&[
        total("partner", json!({"at_least": 1})),
        json!({"is": {"program": ["gold"]}}),
        json!({"is": {"partner_tag": ["vip"]}}),
        total("partner", json!({"at_most": 50})),
    ]);
    link.sharing = Sharing::selected(Vec::new(), Vec::new());
    assert_eq!(told(&link, &analyse(&ask(&link, &shop()))), ["NeedsData a", "NeedsData b", "NeedsData c"]);
}

#[test]
fn no_visit_is_left_to_the_default_destination() {
    let known = json!({"is_known": "device"});
    let link = of(&[known.clone(), not(&known), device("tv")]);
    let report = analyse(&Analysis { thorough: true, ..ask(&link, &shop()) });
    assert_eq!(told(&link, &report), ["Shadowed c a", "DefaultUnreachable default a,b"]);
}

#[test]
fn without_steps_nothing_is_decided_and_that_is_said() {
    let link = of(&[country(&["DE"]), country(&["DE"])]);
    let report = analyse(&Analysis { steps: 3, ..ask(&link, &shop()) });
    assert_eq!(told(&link, &report), ["Undecided a", "Undecided b"]);
    assert!(!report.is_decided());
}

#[test]
fn thousand_rules_are_decided_within_the_steps_of_a_write() {
    let codes: Vec<&str> = Country::ALL.iter().map(|country| country.as_str()).collect();
    let conditions: Vec<Json> = (0..1_000)
        .map(|at| {
            let campaign = parameter(json!({"equals": [format!("c{}", at / 200)]}));
            all(&[country(&[codes[at % 200]]), campaign])
        })
        .collect();
    let mut link = of(&[]);
    link.routing.rules = (0..)
        .zip(&conditions)
        .map(|(at, when)| rule(&format!("r{at}"), serde_json::from_value(when.clone()).unwrap()))
        .collect();
    // The last of them says again what two before it say together.
    let both = all(&[country(&["AD", "AE"]), parameter(json!({"equals": ["c0"]}))]);
    link.routing.rules.push(rule("last", serde_json::from_value(both).unwrap()));
    let report = analyse(&Analysis { steps: limits::WRITE_STEPS, ..ask(&link, &shop()) });
    assert_eq!(told(&link, &report), ["ShadowedTogether last r0,r1"]);
    assert!(report.steps < limits::WRITE_STEPS / 4 * 3, "{}", report.steps);
}
