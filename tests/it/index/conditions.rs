//! What conditions test, line by line of the small print.

use jiff::civil::Weekday;
use smartlinks::domain::{
    client::{Automation, AutomationKind, Browser, DeviceClass, Os, TrafficClass, UserAgent, Version},
    condition::{
        Attribute, AttributeName, CallerTest, Condition, Group, Needle, ParameterName, Predicate, QueryTest,
        Value, VersionRange,
    },
    decimal::Decimal,
    fact::Fact,
    geo::{Continent, Country},
    host::Host,
    language::LanguageRange,
    name::{ProgramId, Tag},
    one_of::OneOf,
    visit::{Hints, ResolveReason},
    window::{TimeWindow, WeeklyHours, ZoneName},
};

use super::world::{Ask, World, code, time};

fn is(predicate: Predicate) -> Condition {
    Condition::Is(predicate)
}

fn not(member: Condition) -> Condition {
    Condition::Not(Box::new(member))
}

fn all(members: &[Condition]) -> Condition {
    Condition::All(Group::new(members.to_vec()).unwrap())
}

fn any(members: &[Condition]) -> Condition {
    Condition::Any(Group::new(members.to_vec()).unwrap())
}

fn one_of<T: Ord>(values: impl IntoIterator<Item = T>) -> OneOf<T> {
    OneOf::new(values.into_iter().collect()).unwrap()
}

/// What comes of a condition: a rule matches on true, the rule with its `not` on false, none of both on unknown.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Yes,
    No,
    Unknown,
}

use Outcome::{No, Unknown, Yes};

fn outcome_in(world: &World, condition: &Condition, ask: &Ask) -> Outcome {
    let matches = |when: Condition| {
        let answer = world.clone().rule("it", when).answer(ask);
        answer.reason == ResolveReason::Rule
    };
    match (matches(condition.clone()), matches(not(condition.clone()))) {
        (true, false) => Yes,
        (false, true) => No,
        (false, false) => Unknown,
        (true, true) => panic!("{condition:?} holds and does not"),
    }
}

fn outcome(condition: &Condition, ask: &Ask) -> Outcome {
    outcome_in(&World::to("/s"), condition, ask)
}

fn country(code: &str) -> Country {
    Country::parse(code).unwrap()
}

fn from(code: &str) -> Ask {
    Ask { country: Fact::Known(country(code)), ..Ask::default() }
}

fn agent(agent: UserAgent) -> Ask {
    Ask { agent, ..Ask::default() }
}

fn with_headers(accept_language: Option<&str>, referer: Option<&str>) -> Ask {
    Ask {
        has_headers: true,
        accept_language: accept_language.map(str::to_owned),
        referer: referer.map(str::to_owned),
        ..Ask::default()
    }
}

#[test]
fn groups_are_three_valued() {
    let yes = is(Predicate::Country(one_of([country("DE")])));
    let no = is(Predicate::Country(one_of([country("FR")])));
    let unknown = is(Predicate::Device(one_of([DeviceClass::Mobile])));
    let ask = from("DE");
    for (members, in_all, in_any) in [
        (vec![&yes, &yes], Yes, Yes),
        (vec![&yes, &no], No, Yes),
        (vec![&no, &no], No, No),
        (vec![&yes, &unknown], Unknown, Yes),
        (vec![&unknown, &yes], Unknown, Yes),
        (vec![&no, &unknown], No, Unknown),
        (vec![&unknown, &no], No, Unknown),
        (vec![&unknown, &unknown], Unknown, Unknown),
    ] {
        let members: Vec<_> = members.into_iter().cloned().collect();
        assert_eq!(outcome(&all(&members), &ask), in_all, "all of {members:?}");
        assert_eq!(outcome(&any(&members), &ask), in_any, "any of {members:?}");
    }
    assert_eq!(outcome(&not(unknown), &ask), Unknown);
    assert_eq!(outcome(&not(not(yes)), &ask), Yes);
}

#[test]
fn first_rule_that_matches_wins_and_disabled_ones_are_not_asked() {
    let here = || is(Predicate::Country(one_of([country("DE")])));
    let world = World::to("/s").rule("first", here()).rule("second", here());
    assert_eq!(world.answer(&from("DE")).rule.unwrap().as_str(), "first");
    let world = world.with(|world| world.routing.rules[0].enabled = false);
    let answer = world.answer(&from("DE"));
    assert_eq!(
        (answer.rule.unwrap().as_str(), answer.location.as_str()),
        ("second", "https://shop.example/second")
    );
    assert_eq!(world.answer(&from("FR")).reason, ResolveReason::Default);
}

#[test]
fn c4_device_is_unknown_without_user_agent_and_other_is_known() {
    let other = is(Predicate::Device(one_of([DeviceClass::Other])));
    let mobile = is(Predicate::Device(one_of([DeviceClass::Mobile, DeviceClass::Tablet])));
    let of = |device| agent(UserAgent { device, ..UserAgent::default() });
    assert_eq!(outcome(&other, &of(Fact::Unknown)), Unknown);
    assert_eq!(outcome(&other, &of(Fact::Known(DeviceClass::Other))), Yes);
    assert_eq!(outcome(&mobile, &of(Fact::Known(DeviceClass::Tablet))), Yes);
    assert_eq!(outcome(&mobile, &of(Fact::Known(DeviceClass::Desktop))), No);
    assert_eq!(outcome(&mobile, &of(Fact::Absent)), No);
}

#[test]
fn q3_version_matters_only_for_a_family_that_fits() {
    let range = |min, below| VersionRange::new(Version::parse(min), Version::parse(below)).unwrap();
    let ios = |range| is(Predicate::Os { families: one_of([Os::Ios]), versions: range });
    let of = |os, os_version| agent(UserAgent { os, os_version, ..UserAgent::default() });
    let version = |text| Fact::Known(Version::parse(text).unwrap());
    let ios_of = |version| of(Fact::Known(Os::Ios), version);
    assert_eq!(outcome(&ios(range("", "")), &ios_of(Fact::Unknown)), Yes);
    assert_eq!(outcome(&ios(range("17", "")), &ios_of(version("17.5"))), Yes);
    assert_eq!(outcome(&ios(range("17", "")), &ios_of(version("17"))), Yes);
    assert_eq!(outcome(&ios(range("17.0", "18")), &ios_of(version("18.0"))), No);
    assert_eq!(outcome(&ios(range("9", "")), &ios_of(version("10"))), Yes);
    assert_eq!(outcome(&ios(range("17", "")), &ios_of(Fact::Unknown)), Unknown);
    assert_eq!(outcome(&ios(range("17", "")), &of(Fact::Known(Os::Android), Fact::Unknown)), No);
    assert_eq!(outcome(&ios(range("17", "")), &of(Fact::Unknown, version("17"))), Unknown);
    let chrome = is(Predicate::Browser { families: one_of([Browser::Chrome]), versions: range("", "100") });
    let of = |browser_version| {
        agent(UserAgent { browser: Fact::Known(Browser::Chrome), browser_version, ..UserAgent::default() })
    };
    assert_eq!(outcome(&chrome, &of(version("99.9"))), Yes);
    assert_eq!(outcome(&chrome, &of(version("100"))), No);
    assert_eq!(outcome(&chrome, &of(Fact::Unknown)), Unknown);
}

#[test]
fn country_tells_continent_and_union() {
    for (condition, code, expected) in [
        (is(Predicate::Country(one_of([country("DE"), country("AT")]))), "AT", Yes),
        (is(Predicate::Country(one_of([country("DE")]))), "AT", No),
        (is(Predicate::Continent(one_of([Continent::Europe]))), "CH", Yes),
        (is(Predicate::Continent(one_of([Continent::Europe]))), "US", No),
        (is(Predicate::InEu {}), "RE", Yes),
        (is(Predicate::InEu {}), "CH", No),
    ] {
        assert_eq!(outcome(&condition, &from(code)), expected, "{condition:?} {code}");
        assert_eq!(outcome(&condition, &Ask::default()), Unknown, "{condition:?}");
    }
}

fn language(ranges: &[&str]) -> Condition {
    is(Predicate::Language(one_of(ranges.iter().map(|range| LanguageRange::parse(range).unwrap()))))
}

#[test]
fn a1_a11_all_language_rules_of_the_link_decide_which_language_a_visitor_has() {
    let world = World::to("/s")
        .rule("de", language(&["de"]))
        .rule("at", language(&["de-AT"]))
        .rule("en", language(&["en"]));
    let rule = |header: &str| {
        let answer = world.answer(&with_headers(Some(header), None));
        answer.rule.map_or_else(String::new, String::from)
    };
    assert_eq!(
        rule("de-AT"),
        "at",
        "the most specific supported range, though the rule for `de` comes first"
    );
    assert_eq!(rule("de-CH"), "de");
    assert_eq!(rule("fr, en;q=0.2, de;q=0.1"), "en");
    assert_eq!(rule("en, de"), "en", "the first of equals, not the first rule");
    assert_eq!(rule("fr"), "");
}

#[test]
fn a1_disabled_rules_support_no_language() {
    let world = World::to("/s").rule("de", language(&["de"])).rule("en", language(&["en"]));
    let world = world.with(|world| world.routing.rules[1].enabled = false);
    assert_eq!(world.answer(&with_headers(Some("en, de;q=0.5"), None)).rule.unwrap().as_str(), "de");
}

#[test]
fn a1_language_that_is_not_supported_is_known() {
    let german = language(&["de"]);
    let known = Condition::IsKnown(Attribute::Language);
    for (header, expected, expected_known) in [
        (Some("de"), Yes, Yes),
        (Some("fr"), No, Yes),
        (Some("*"), Unknown, No),
        (Some("en;q=0"), Unknown, No),
        (None, Unknown, No),
    ] {
        let ask = with_headers(header, None);
        assert_eq!(outcome(&german, &ask), expected, "{header:?}");
        assert_eq!(outcome(&known, &ask), expected_known, "{header:?}");
    }
    assert_eq!(outcome(&german, &Ask::default()), Unknown, "no headers at all");
}

#[test]
fn q2_c16_referrer_hosts() {
    let hosts = |include_subdomains| {
        let hosts = one_of([Host::parse("news.example").unwrap(), Host::parse("blog.example").unwrap()]);
        is(Predicate::ReferrerHost { hosts, include_subdomains })
    };
    for (referer, exact, with_subdomains) in [
        (Some("https://News.Example:8080/x"), Yes, Yes),
        (Some("https://www.news.example/"), No, Yes),
        (Some("https://a.b.blog.example/"), No, Yes),
        (Some("https://badnews.example/"), No, No),
        (Some("https://example/"), No, No),
        (Some("about:blank"), No, No),
        (Some(""), No, No),
        (None, No, No),
    ] {
        let ask = with_headers(None, referer);
        assert_eq!(outcome(&hosts(false), &ask), exact, "{referer:?}");
        assert_eq!(outcome(&hosts(true), &ask), with_subdomains, "{referer:?}");
    }
    assert_eq!(outcome(&hosts(false), &Ask::default()), Unknown, "no headers at all");
}

#[test]
fn c3_q1_query_parameters() {
    let test = |test| is(Predicate::Query { name: ParameterName::parse("a b").unwrap(), test });
    let value = |text| Value::parse(text).unwrap();
    let needle = |text| Needle::parse(text).unwrap();
    let present = test(QueryTest::Present);
    let bare = test(QueryTest::WithoutValue);
    let empty = test(QueryTest::Equals(one_of([value("")])));
    let equals = test(QueryTest::Equals(one_of([value("0"), value("x+y")])));
    let contains = test(QueryTest::Contains(needle("é")));
    let starts = test(QueryTest::StartsWith(needle("é")));
    for (query, expected) in [
        ("", [No, No, No, No, No, No]),
        ("a=0&b", [No, No, No, No, No, No]),
        ("A+b=0", [No, No, No, No, No, No]),
        ("a+b", [Yes, Yes, No, No, No, No]),
        ("a+b=", [Yes, No, Yes, No, No, No]),
        ("a%20b=0", [Yes, No, No, Yes, No, No]),
        ("a+b=x%2By", [Yes, No, No, Yes, No, No]),
        ("a+b=x+y", [Yes, No, No, No, No, No]),
        ("a+b=1&a+b=0", [Yes, No, No, Yes, No, No]),
        ("a+b=x%C3%A9", [Yes, No, No, No, Yes, No]),
        ("a+b=éx", [Yes, No, No, No, Yes, Yes]),
    ] {
        let tests = [&present, &bare, &empty, &equals, &contains, &starts];
        assert_eq!(tests.map(|test| outcome(test, &Ask::query(query))), expected, "{query}");
    }
}

#[test]
fn g1_client_addresses_are_normalized() {
    let blocks =
        ["198.51.100.0/24", "2001:db8::/32", "::ffff:10.0.0.0/104"].map(|block| block.parse().unwrap());
    let condition = is(Predicate::ClientAddress(one_of(blocks)));
    for (address, expected) in [
        ("198.51.100.255", Yes),
        ("::ffff:198.51.100.1", Yes),
        ("198.51.101.0", No),
        ("2001:db8:1::", Yes),
        ("2001:db9::", No),
        ("10.1.2.3", Yes),
        ("::ffff:10.1.2.3", Yes),
    ] {
        let ask = Ask { address: Fact::Known(address.parse().unwrap()), ..Ask::default() };
        assert_eq!(outcome(&condition, &ask), expected, "{address}");
    }
    assert_eq!(outcome(&condition, &Ask::default()), Unknown);
}

#[test]
fn u7_traffic_classes_have_an_order() {
    let is_class = |class| is(Predicate::Traffic(one_of([class])));
    let software =
        |kind| UserAgent { automation: Some(Automation { kind, name: "x".into() }), ..UserAgent::default() };
    let bot = || Ask { agent: software(AutomationKind::Bot), ..Ask::default() };
    let preview = || Ask { agent: software(AutomationKind::Preview), ..Ask::default() };
    let prefetch = || Ask { purpose: Some("prefetch".into()), ..preview() };
    let hinted = |internal, prefetch| Ask { hints: Hints { internal, prefetch }, ..bot() };
    for (ask, class) in [
        (Ask::default(), TrafficClass::Human),
        (bot(), TrafficClass::Bot),
        (preview(), TrafficClass::Preview),
        (prefetch(), TrafficClass::Prefetch),
        (hinted(false, true), TrafficClass::Prefetch),
        (hinted(true, true), TrafficClass::Internal),
    ] {
        assert_eq!(World::to("/s").answer(&ask).traffic, class);
        assert_eq!(outcome(&is_class(class), &ask), Yes, "{class}");
        assert_eq!(outcome(&is_class(TrafficClass::Human), &ask) == Yes, class == TrafficClass::Human);
    }
    let world =
        World::to("/s").with(|world| world.shop.internal_addresses = vec!["10.0.0.0/8".parse().unwrap()]);
    let own = Ask { address: Fact::Known("10.1.1.1".parse().unwrap()), ..prefetch() };
    assert_eq!(world.answer(&own).traffic, TrafficClass::Internal);
}

#[test]
fn c5_start_of_a_time_window_is_in_it_and_its_end_is_not() {
    let at = |text| Some(time(text));
    let window = TimeWindow::new(at("2026-06-01T00:00:00Z"), at("2026-06-02T00:00:00Z")).unwrap();
    let condition = is(Predicate::Time(window));
    for (when, expected) in [
        ("2026-05-31T23:59:59.999Z", No),
        ("2026-06-01T00:00:00Z", Yes),
        ("2026-06-01T23:59:59.999Z", Yes),
        ("2026-06-02T00:00:00Z", No),
    ] {
        assert_eq!(outcome(&condition, &Ask { time: time(when), ..Ask::default() }), expected, "{when}");
    }
}

#[test]
fn c8_hours_after_midnight_belong_to_the_day_before() {
    let zone = ZoneName::parse("Europe/Berlin").unwrap();
    let condition = is(Predicate::Weekly(WeeklyHours::new(&[Weekday::Friday], 22, 4, zone).unwrap()));
    // 2026-06-05 is a Friday; Berlin is two hours ahead.
    for (when, expected) in [
        ("2026-06-05T19:59:59Z", No),
        ("2026-06-05T20:00:00Z", Yes),
        ("2026-06-06T01:59:59Z", Yes),
        ("2026-06-06T02:00:00Z", No),
        ("2026-06-06T20:00:00Z", No),
    ] {
        assert_eq!(outcome(&condition, &Ask { time: time(when), ..Ask::default() }), expected, "{when}");
    }
}

#[test]
fn c1_nobody_credited_is_a_fact() {
    let anna = is(Predicate::Partner(one_of([code("anna")])));
    let gold = is(Predicate::Program(one_of([ProgramId::parse("gold").unwrap()])));
    let vip = is(Predicate::PartnerTag(one_of([Tag::parse("vip").unwrap()])));
    let known = Condition::IsKnown(Attribute::Partner);
    for (partner, expected) in
        [("anna", Yes), ("annie", Yes), ("ben", No), ("", No), ("nobody", No), ("zoe", No)]
    {
        let ask = Ask::partner(partner);
        for condition in [&anna, &gold, &vip] {
            assert_eq!(outcome(condition, &ask), expected, "{partner} {condition:?}");
        }
        assert_eq!(outcome(&known, &ask), Yes, "{partner}");
    }
}

#[test]
fn c6_c14_q4_facts_of_the_caller() {
    let test = |test| is(Predicate::Caller { name: AttributeName::parse("customer.tier").unwrap(), test });
    let decimal = |text| Decimal::parse(text).unwrap();
    let needle = |text| Needle::parse(text).unwrap();
    let value = |text| Value::parse(text).unwrap();
    let tests = [
        test(CallerTest::Equals(one_of([value(""), value("10")]))),
        test(CallerTest::Contains(needle("1"))),
        test(CallerTest::StartsWith(needle("-1"))),
        test(CallerTest::LessThan(decimal("10"))),
        test(CallerTest::AtMost(decimal("10"))),
        test(CallerTest::GreaterThan(decimal("9.5"))),
        test(CallerTest::AtLeast(decimal("10"))),
    ];
    for (sent, expected) in [
        (None, [Unknown, Unknown, Unknown, Unknown, Unknown, Unknown, Unknown]),
        (Some(""), [Yes, No, No, Unknown, Unknown, Unknown, Unknown]),
        (Some("x1"), [No, Yes, No, Unknown, Unknown, Unknown, Unknown]),
        (Some("10"), [Yes, Yes, No, No, Yes, Yes, Yes]),
        (Some("9"), [No, No, No, Yes, Yes, No, No]),
        (Some("-10.5"), [No, Yes, Yes, Yes, Yes, No, No]),
        (Some("010.0"), [No, Yes, No, No, Yes, Yes, Yes]),
    ] {
        let mut ask = Ask::default();
        ask.attributes.insert("other".into(), "1".into());
        ask.attributes.extend(sent.map(|value| ("customer.tier".to_owned(), value.to_owned())));
        assert_eq!(tests.each_ref().map(|test| outcome(test, &ask)), expected, "{sent:?}");
        let known = Condition::IsKnown(Attribute::Caller(AttributeName::parse("customer.tier").unwrap()));
        assert_eq!(outcome(&known, &ask), if sent.is_some() { Yes } else { No });
    }
}

#[test]
fn is_known_is_never_unknown() {
    let full = Ask {
        agent: UserAgent {
            device: Fact::Known(DeviceClass::Mobile),
            os: Fact::Known(Os::Ios),
            os_version: Fact::Known(Version::new(17, 5)),
            browser: Fact::Known(Browser::Safari),
            browser_version: Fact::Known(Version::new(17, 5)),
            automation: None,
        },
        address: Fact::Known("192.0.2.1".parse().unwrap()),
        country: Fact::Known(country("DE")),
        ..with_headers(Some("de"), None)
    };
    for attribute in [
        Attribute::Device,
        Attribute::Os,
        Attribute::OsVersion,
        Attribute::Browser,
        Attribute::BrowserVersion,
        Attribute::Language,
        Attribute::Country,
        Attribute::ReferrerHost,
        Attribute::ClientAddress,
    ] {
        let condition = Condition::IsKnown(attribute);
        assert_eq!(outcome(&condition, &full), Yes, "{condition:?}");
        assert_eq!(outcome(&condition, &Ask::default()), No, "{condition:?}");
    }
}
