//! Random rules and visits from a small world, so that they often meet.

use std::{collections::HashMap, ops::Range};

use jiff::{SignedDuration, civil::Weekday};
use proptest::{collection::vec, option, prelude::*, sample::select};
use smartlinks::domain::{
    client::{Automation, AutomationKind, Browser, DeviceClass, Os, TrafficClass, UserAgent, Version},
    condition::{
        Attribute, AttributeName, CallerTest, Condition, CountTest, Group, Needle, ParameterName, Predicate,
        QueryTest, Value, VersionRange,
    },
    decimal::Decimal,
    fact::Fact,
    geo::{Continent, Country},
    host::Host,
    language::LanguageRange,
    link::Rule,
    name::{PartnerCode, ProgramId, Tag},
    one_of::OneOf,
    visit::{Hints, Totals},
    window::{TimeWindow, WeeklyHours, ZoneName},
};

use super::world::{Ask, NOW, rule, time};

const LANGUAGES: [&str; 5] = ["de", "de-AT", "en", "zh-Hant", "zh-Hant-TW"];
const COUNTRIES: [&str; 5] = ["DE", "CH", "RE", "US", "JP"];
const NUMBERS: [&str; 4] = ["-1", "0", "1.5", "10"];
const TEXTS: [&str; 5] = ["", "1", "a b", "é", "10"];
const VERSIONS: [&str; 4] = ["9", "17", "17.5", "18"];

/// A visit, and its languages before they were written as a header.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) ask: Ask,
    pub(super) languages: Option<Vec<(String, u16)>>,
}

/// Rules with ids of their own, some of them disabled.
pub(super) fn rules(count: Range<usize>) -> impl Strategy<Value = Vec<Rule>> {
    vec((condition(), prop::bool::weighted(0.9)), count).prop_map(|rules| {
        let numbered = rules.into_iter().enumerate();
        numbered.map(|(at, (when, enabled))| Rule { enabled, ..rule(&format!("r{at}"), when) }).collect()
    })
}

fn condition() -> impl Strategy<Value = Condition> {
    let leaf =
        prop_oneof![8 => predicate().prop_map(Condition::Is), 1 => attribute().prop_map(Condition::IsKnown)];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let group = || vec(inner.clone(), 1..4).prop_map(|members| Group::new(members).unwrap());
        prop_oneof![
            group().prop_map(Condition::All),
            group().prop_map(Condition::Any),
            inner.clone().prop_map(|member| Condition::Not(Box::new(member))),
        ]
    })
}

fn one_of<T: Ord + Clone + std::fmt::Debug>(
    values: impl Strategy<Value = T>,
) -> impl Strategy<Value = OneOf<T>> {
    vec(values, 1..3).prop_map(|values| OneOf::new(values).unwrap())
}

fn predicate() -> impl Strategy<Value = Predicate> {
    let text = |texts: &'static [&'static str]| select(texts);
    let agents = prop_oneof![
        one_of(select(&DeviceClass::ALL[..3])).prop_map(Predicate::Device),
        (one_of(select(&Os::ALL[..3])), range())
            .prop_map(|(families, range)| Predicate::Os { families, versions: range }),
        (one_of(select(&Browser::ALL[..3])), range())
            .prop_map(|(all, range)| Predicate::Browser { families: all, versions: range }),
        one_of(select(TrafficClass::ALL)).prop_map(Predicate::Traffic),
        one_of(text(&LANGUAGES).prop_map(|it| LanguageRange::parse(it).unwrap()))
            .prop_map(Predicate::Language),
    ];
    let places = prop_oneof![
        one_of(text(&COUNTRIES).prop_map(|it| Country::parse(it).unwrap())).prop_map(Predicate::Country),
        one_of(select(Continent::ALL)).prop_map(Predicate::Continent),
        Just(Predicate::InEu {}),
        one_of(
            text(&["192.0.2.0/24", "192.0.0.0/8", "192.0.2.7/32", "2001:db8::/32", "::/0"])
                .prop_map(|it| it.parse().unwrap())
        )
        .prop_map(Predicate::ClientAddress),
    ];
    let referrers = (
        one_of(
            text(&["news.example", "www.news.example", "example"]).prop_map(|it| Host::parse(it).unwrap()),
        ),
        any::<bool>(),
    )
        .prop_map(|(hosts, include_subdomains)| Predicate::ReferrerHost { hosts, include_subdomains });
    let queries = (text(&["a", "a b", "é"]), query_test())
        .prop_map(|(name, test)| Predicate::Query { name: ParameterName::parse(name).unwrap(), test });
    let callers = (text(&["tier", "age"]), caller_test())
        .prop_map(|(name, test)| Predicate::Caller { name: AttributeName::parse(name).unwrap(), test });
    let partners = prop_oneof![
        one_of(text(&["anna", "ben", "zoe"]).prop_map(|it| PartnerCode::parse(it).unwrap()))
            .prop_map(Predicate::Partner),
        one_of(text(&["gold", "silver"]).prop_map(|it| ProgramId::parse(it).unwrap()))
            .prop_map(Predicate::Program),
        one_of(text(&["vip", "new"]).prop_map(|it| Tag::parse(it).unwrap())).prop_map(Predicate::PartnerTag),
    ];
    let count = prop_oneof![
        (0_u64..5).prop_map(CountTest::Equals),
        (0_u64..5).prop_map(CountTest::LessThan),
        (0_u64..5).prop_map(CountTest::AtMost),
        (0_u64..5).prop_map(CountTest::GreaterThan),
        (0_u64..5).prop_map(CountTest::AtLeast),
    ];
    let visitors = prop_oneof![
        Just(Predicate::NewVisitor {}),
        count.clone().prop_map(Predicate::VisitorTotalVisits),
        count.clone().prop_map(Predicate::LinkTotalVisits),
        count.prop_map(Predicate::PartnerTotalVisits),
    ];
    prop_oneof![agents, places, referrers, queries, callers, partners, visitors, times()]
}

fn times() -> impl Strategy<Value = Predicate> {
    let instant = || (-3_i64..3).prop_map(|hours| time(NOW) + SignedDuration::from_hours(hours));
    let window = (option::of(instant()), option::of(instant()))
        .prop_filter_map("no window", |(start, end)| TimeWindow::new(start, end).ok().map(Predicate::Time));
    let days = vec(0_i8..7, 1..4).prop_map(|days| {
        days.into_iter().map(|day| Weekday::from_monday_zero_offset(day).unwrap()).collect::<Vec<_>>()
    });
    let zone = select(&["UTC", "Europe/Berlin", "Asia/Kolkata", "America/New_York"][..]);
    let hours = (days, 0..24, 1..=24, zone).prop_filter_map("no hours", |(days, start, end, zone)| {
        WeeklyHours::new(&days, start, end, ZoneName::parse(zone).unwrap()).ok().map(Predicate::Weekly)
    });
    prop_oneof![window, hours]
}

fn range() -> impl Strategy<Value = VersionRange> {
    let end = || option::of(select(&VERSIONS[..]).prop_map(|it| Version::parse(it).unwrap()));
    (end(), end()).prop_filter_map("no range", |(min, below)| VersionRange::new(min, below).ok())
}

fn values() -> impl Strategy<Value = OneOf<Value>> {
    one_of(select(&TEXTS[..]).prop_map(|it| Value::parse(it).unwrap()))
}

fn needle() -> impl Strategy<Value = Needle> {
    select(&TEXTS[1..]).prop_map(|it| Needle::parse(it).unwrap())
}

fn query_test() -> impl Strategy<Value = QueryTest> {
    prop_oneof![
        Just(QueryTest::Present),
        Just(QueryTest::WithoutValue),
        values().prop_map(QueryTest::Equals),
        needle().prop_map(QueryTest::Contains),
        needle().prop_map(QueryTest::StartsWith),
    ]
}

fn caller_test() -> impl Strategy<Value = CallerTest> {
    let number = || select(&NUMBERS[..]).prop_map(|it| Decimal::parse(it).unwrap());
    prop_oneof![
        values().prop_map(CallerTest::Equals),
        needle().prop_map(CallerTest::Contains),
        needle().prop_map(CallerTest::StartsWith),
        number().prop_map(CallerTest::LessThan),
        number().prop_map(CallerTest::AtMost),
        number().prop_map(CallerTest::GreaterThan),
        number().prop_map(CallerTest::AtLeast),
    ]
}

fn attribute() -> impl Strategy<Value = Attribute> {
    select(vec![
        Attribute::Device,
        Attribute::Os,
        Attribute::OsVersion,
        Attribute::Browser,
        Attribute::BrowserVersion,
        Attribute::Language,
        Attribute::Country,
        Attribute::ReferrerHost,
        Attribute::ClientAddress,
        Attribute::Partner,
        Attribute::VisitorTotalVisits,
        Attribute::LinkTotalVisits,
        Attribute::PartnerTotalVisits,
        Attribute::Caller(AttributeName::parse("tier").unwrap()),
    ])
}

/// A visit to the link of the small world.
pub(super) fn visit() -> impl Strategy<Value = Case> {
    (about_the_request(), about_the_visitor()).prop_map(|(ask, (agent, country, address, languages))| {
        let header = |(range, quality): &(String, u16)| format!("{range};q=0.{quality:03}");
        let header = |sent: &Vec<(String, u16)>| sent.iter().map(header).collect::<Vec<_>>().join(", ");
        Case {
            ask: Ask { agent, country, address, accept_language: languages.as_ref().map(header), ..ask },
            languages,
        }
    })
}

fn about_the_request() -> impl Strategy<Value = Ask> {
    let referer = select(
        &[
            "https://news.example/x",
            "https://www.News.example:8080",
            "http://a.www.news.example?x",
            "about:blank",
            "",
        ][..],
    );
    let text = select(&["", "0", "1", "1.5", "-7", "10", "a b", "é", "tier 1"][..]);
    let attributes = prop::collection::hash_map(select(&["tier", "age"][..]), text, 0..3);
    let name = select(&["a", "a+b", "a%20b", "%C3%A9", "é", "b", ""][..]);
    let value = select(&["", "=", "=1", "=10", "=a+b", "=%C3%A9", "=a%2520b", "=x=1"][..]);
    let query = vec((name, value), 0..4);
    (
        (select(&["", "anna", "ben", "zoe", "nobody"][..]), query, -72_i64..72, 0_i64..3_600),
        (any::<bool>(), option::of(referer), attributes),
        (prop::bool::weighted(0.1), prop::bool::weighted(0.1), prop::bool::weighted(0.1)),
        (option::of((option::weighted(0.8, 1_u64..6), any::<bool>())), prop::bool::weighted(0.2)),
        (option::of(1_u64..6), option::of(1_u64..6)),
    )
        .prop_map(
            |((partner, query, hours, seconds), (has_headers, referer, attributes), hints, known, totals)| {
                Ask {
                    partner: partner.into(),
                    query: query
                        .iter()
                        .map(|(name, value)| format!("{name}{value}"))
                        .collect::<Vec<_>>()
                        .join("&"),
                    time: time(NOW) + SignedDuration::from_hours(hours) + SignedDuration::from_secs(seconds),
                    has_headers,
                    referer: referer.map(str::to_owned),
                    attributes: attributes
                        .into_iter()
                        .map(|(name, value)| (name.to_owned(), value.to_owned()))
                        .collect::<HashMap<_, _>>(),
                    hints: Hints { internal: hints.0, prefetch: hints.1 },
                    purpose: hints.2.then(|| "prefetch".to_owned()),
                    visitor: known.0,
                    opted_out: known.1,
                    totals: Totals { link: totals.0, partner: totals.1 },
                    ..Ask::default()
                }
            },
        )
}

type Visitor = (UserAgent, Fact<Country>, Fact<std::net::IpAddr>, Option<Vec<(String, u16)>>);

fn about_the_visitor() -> impl Strategy<Value = Visitor> {
    let version = || fact(select(&VERSIONS[..]).prop_map(|it| Version::parse(it).unwrap()));
    let automation = select(&[AutomationKind::Bot, AutomationKind::Preview][..]);
    let agent = (
        fact(select(&DeviceClass::ALL[..3])),
        fact(select(&Os::ALL[..3])),
        version(),
        fact(select(&Browser::ALL[..3])),
        version(),
        option::weighted(0.2, automation.prop_map(|kind| Automation { kind, name: "x".into() })),
    )
        .prop_map(|(device, os, os_version, browser, browser_version, automation)| UserAgent {
            device,
            os,
            os_version,
            browser,
            browser_version,
            automation,
        });
    let address =
        select(&["192.0.2.7", "::ffff:192.0.2.7", "192.1.1.1", "10.0.0.1", "2001:db8::1", "::1"][..]);
    let language =
        (select(&["de", "de-AT", "de-CH", "en-GB", "zh-Hant-TW", "zh-Hant", "zh", "fr"][..]), 1_u16..999);
    (
        agent,
        fact(select(&COUNTRIES[..]).prop_map(|it| Country::parse(it).unwrap())),
        fact(address.prop_map(|it| it.parse().unwrap())),
        option::of(vec(language.prop_map(|(range, quality)| (range.to_owned(), quality)), 0..4)),
    )
}

fn fact<T: Clone + std::fmt::Debug>(known: impl Strategy<Value = T>) -> impl Strategy<Value = Fact<T>> {
    prop_oneof![6 => known.prop_map(Fact::Known), 1 => Just(Fact::Absent), 2 => Just(Fact::Unknown)]
}
