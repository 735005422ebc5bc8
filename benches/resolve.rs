//! One resolution in process: `cargo bench --bench resolve`.
//!
//! User agents and countries are memoised facts here, as they are for most clicks; everything else is found out per
//! visit. Links, visitors and addresses differ, because a loop over one of each would measure the cache of the CPU.

#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

use std::{collections::HashMap, hint::black_box, net::Ipv4Addr, sync::Arc, time::Instant};

use jiff::{Timestamp, civil::Weekday};
use smartlinks::{
    classify::user_agent,
    domain::{
        click::{ClickFacts, Counters, LoggedClick},
        click_id::ClickId,
        client::{Browser, DeviceClass, Os, TrafficClass, UserAgent},
        condition::{
            AttributeName, CallerTest, Condition, Group, ParameterName, Predicate, QueryTest, Value,
            VersionRange,
        },
        destination::Destination,
        fact::Fact,
        geo::Country,
        host::{Host, Origin},
        language::LanguageRange,
        limits,
        link::{Description, Link, LinkState, Outcome, Routing, Rule, Sharing},
        name::{DisplayName, PartnerCode, ProgramId, RuleId, ShopId, Slug, Tag},
        one_of::OneOf,
        param::OwnParam,
        policy::QueryPolicy,
        revision::Revision,
        shop::ShopSettings,
        utm::{Template, Utm},
        visit::{Attribution, Channel, Headers, Hints, ResolveReason, Site, Totals, Visit},
        visitor::VisitorMode,
        window::{TimeWindow, WeeklyHours, ZoneName},
    },
    index::{
        PartnerState, Record, Snapshot, Writer,
        replay::{Draft, Flows},
    },
};

const LINKS: usize = 1_024;
const VISITS: usize = 4_099;
const PARTNERS: usize = 1_000;
/// Short and many: on a busy machine few rounds are interrupted, and the median is of those that are not.
const ROUNDS: usize = 31;
const MANY_LINKS: usize = 1_000_000;
const REPLAYED_CLICKS: u32 = 1_000_000;
const REPLAYED_RULES: usize = 10;

fn main() {
    if std::env::args().any(|argument| argument == "memory") {
        return memory();
    }
    if std::env::args().any(|argument| argument == "replay") {
        return replay();
    }
    let snapshots: Vec<_> = [0, 1, 10, 100, 1_000].into_iter().map(|rules| (rules, index(rules))).collect();
    let visitors: Vec<_> = (0..VISITS).map(Visitor::new).collect();
    let (plain, asking) = ("", "gclid=EAIaIQobChMI&q=red+shoes&page=2");
    let mut rows: Vec<(usize, &str, Vec<f64>)> = snapshots
        .iter()
        .flat_map(|(rules, _)| [plain, asking].map(|query| (*rules, query, Vec::new())))
        .collect();
    // Interleaved, so that a busy moment of the machine does not fall on one row alone.
    for _ in 0..ROUNDS {
        for (rules, query, times) in &mut rows {
            let snapshot = &snapshots.iter().find(|(held, _)| held == rules).unwrap().1;
            times.push(measure(snapshot, &visitors, query));
        }
    }
    println!("{LINKS} links, {VISITS} visitors, the last rule matches; median of {ROUNDS} rounds");
    println!("{:>6} {:>8} {:>10} {:>10} {:>10}", "rules", "query", "ns", "least", "most");
    for (rules, query, mut times) in rows {
        times.sort_by(f64::total_cmp);
        let query = if query.is_empty() { "none" } else { "3 pieces" };
        let (median, least, most) = (times[ROUNDS / 2], times[0], times[ROUNDS - 1]);
        println!("{rules:>6} {query:>8} {median:>10.0} {least:>10.0} {most:>10.0}");
    }
}

/// Returns the nanoseconds of one resolution.
fn measure(snapshot: &Snapshot, visitors: &[Visitor], query: &str) -> f64 {
    let visits: Vec<_> = visitors.iter().map(|visitor| visitor.visit(query)).collect();
    let begin = Instant::now();
    for visit in &visits {
        black_box(snapshot.resolve(black_box(visit)).unwrap());
    }
    begin.elapsed().as_nanos() as f64 / VISITS as f64
}

/// Prints what an index of a million links with three rules each takes: distinct slugs and destinations, 1,000 distinct
/// conditions. `cargo bench --bench resolve -- memory`, on Linux.
fn memory() {
    let before = resident();
    let begin = Instant::now();
    let rules =
        |link: usize| (0..3).map(|rule| rule_of(link, 1 + (link * 3 + rule) % 1_000, false)).collect();
    let links = (0..MANY_LINKS).map(|at| link_of(at, rules(at)));
    // The writer keeps what links share: it counts too.
    let mut writer = Writer::new();
    let snapshot = writer.apply(links, Revision(1));
    let took = begin.elapsed();
    let each = (resident() - before) / MANY_LINKS;
    println!("{} links with 3 rules: {each} bytes each, built in {took:.1?}", snapshot.counts().links);
}

/// Prints how fast a draft of ten rules judges a million recorded clicks, and what that takes of memory; reading them from
/// PostgreSQL not included. `cargo bench --bench resolve -- replay`, on Linux.
fn replay() {
    let link = Link {
        shop: ShopId::parse("acme").unwrap(),
        slug: Slug::parse("link-0").unwrap(),
        is_default: false,
        display_name: DisplayName::parse("Link").unwrap(),
        description: Description::default(),
        tags: Vec::new(),
        state: LinkState::Active,
        sharing: Sharing::Everyone,
        routing: Routing {
            rules: (1..=REPLAYED_RULES).map(|rule| rule_of(0, rule, rule == REPLAYED_RULES)).collect(),
            ..Routing::to(Destination::parse("/sale").unwrap())
        },
        golden_clicks: Vec::new(),
    };
    let draft = Draft::new(link, None);
    let before = resident();
    let mut flows = Flows::new(limits::REPLAY_FLOWS, limits::REPLAY_SAMPLES);
    let begin = Instant::now();
    for at in 0..REPLAYED_CLICKS {
        let click = recorded(at);
        let fate = draft.judge(&click, None);
        flows.add(&click, fate);
    }
    let (took, tally) = (begin.elapsed(), flows.tally());
    let rate = f64::from(REPLAYED_CLICKS) / took.as_secs_f64();
    println!(
        "{REPLAYED_CLICKS} recorded clicks against {REPLAYED_RULES} rules: {rate:.0}/s, making them up included"
    );
    let grown = resident().saturating_sub(before) / 1_024;
    println!("{tally:?}, {} flows, {grown} KiB more than before", flows.into_flows().len());
}

/// Makes up a recorded click.
fn recorded(number: u32) -> LoggedClick {
    let at = number as usize;
    let partner = PartnerCode::parse(&format!("partner-{}", at % PARTNERS)).unwrap();
    LoggedClick {
        id: ClickId::new(
            now(),
            (u128::from(number) * 0x9e37_79b9_7f4a_7c15).to_le_bytes()[..10].try_into().unwrap(),
        ),
        shop: ShopId::parse("acme").unwrap(),
        facts: ClickFacts {
            slug: Some(Slug::parse("link-0").unwrap()),
            revision: Revision(1),
            channel: Some(Channel::Link),
            reason: Some(ResolveReason::Default),
            rule: None,
            variant: None,
            destination: format!("/sale/{}", at % 2_003),
            partner: Some(partner),
            program: None,
            attribution: Some(Attribution::Credited),
            traffic: Some(TrafficClass::Human),
            country: Some(Country::parse(["DE", "FR", "IT", "ES", "PL"][at % 5]).unwrap()),
            device: Some(DeviceClass::ALL[at % 3]),
            os: Some(Os::ALL[at % 7]),
            browser: Some(Browser::ALL[at % 11]),
            language: Some(["de-de", "fr-fr", "it"][at % 3].to_owned()),
            referrer: Fact::Known(format!("blog-{}.example", at % 1_009)),
            sub_ids: Vec::new(),
        },
        traffic_why: String::new(),
        visitor: None,
        counters: Counters::default(),
    }
}

/// Returns the bytes of memory that this process holds.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1_024
}

/// What a visit borrows from.
struct Visitor {
    slug: String,
    partner: String,
    address: Ipv4Addr,
    agent: Arc<UserAgent>,
    country: Country,
    click_id: ClickId,
    accept_language: String,
    referer: String,
    attributes: HashMap<String, String>,
}

impl Visitor {
    fn new(at: usize) -> Self {
        let number = u32::try_from(at).unwrap();
        let agent = user_agent::parse(&format!(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36",
            100 + at % 1_021
        ));
        Self {
            slug: format!("link-{}", at * 7 % LINKS),
            partner: format!("partner-{}", at * 13 % PARTNERS),
            address: Ipv4Addr::from_bits(0x0b00_0000 + number * 65_537),
            agent: Arc::new(agent),
            country: Country::parse(["DE", "FR", "IT", "ES", "PL"][at % 5]).unwrap(),
            click_id: ClickId::new(
                now(),
                (u128::from(number) * 0x9e37_79b9_7f4a_7c15).to_le_bytes()[..10].try_into().unwrap(),
            ),
            accept_language: ["de-DE,de;q=0.9,en;q=0.8", "fr-FR,fr;q=0.9", "it,en;q=0.5"][at % 3].to_owned(),
            referer: format!("https://blog-{}.example/post", at % 1_009),
            attributes: HashMap::new(),
        }
    }

    fn visit<'a>(&'a self, query: &'a str) -> Visit<'a> {
        Visit {
            site: Site::Host("go.shop.example"),
            slug: &self.slug,
            partner: &self.partner,
            query,
            time: now(),
            click_id: Some(self.click_id),
            address: Fact::Known(self.address.into()),
            country: Fact::Known(self.country),
            channel: Channel::Link,
            agent: self.agent.clone(),
            hints: Hints::default(),
            headers: Some(Headers {
                user_agent: Some("x"),
                accept_language: Some(&self.accept_language),
                referer: Some(&self.referer),
            }),
            purpose_header: None,
            attributes: &self.attributes,
            visitor: None,
            opted_out: false,
            totals: Totals::default(),
        }
    }
}

fn now() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

fn one<T: Ord>(value: T) -> OneOf<T> {
    OneOf::new(vec![value]).unwrap()
}

/// Makes an index whose links have so many rules of which the last one matches; with 0 rules there is no last one.
fn index(rules: usize) -> Arc<Snapshot> {
    let shop = ShopId::parse("acme").unwrap();
    let revision = Revision(1);
    let row = Record::Shop {
        shop: shop.clone(),
        revision,
        settings: Some(settings()),
        default_link: Slug::parse("link-0").unwrap(),
    };
    let partners = (0..PARTNERS).map(|at| Record::Partner {
        shop: shop.clone(),
        code: PartnerCode::parse(&format!("partner-{at}")).unwrap(),
        revision,
        state: Some(PartnerState {
            aliases: Vec::new(),
            program: Some(ProgramId::parse(&format!("program-{}", at % 10)).unwrap()),
            tags: vec![Tag::parse("vip").unwrap()],
            active: true,
        }),
    });
    let of_link = |at| (1..=rules).map(|rule| rule_of(at, rule, rule == rules)).collect();
    let links = (0..LINKS).map(|at| link_of(at, of_link(at)));
    Writer::new().apply(std::iter::once(row).chain(partners).chain(links), revision)
}

fn link_of(at: usize, rules: Vec<Rule>) -> Record {
    Record::Link {
        shop: ShopId::parse("acme").unwrap(),
        slug: Slug::parse(&format!("link-{at}")).unwrap(),
        revision: Revision(1),
        state: LinkState::Active,
        sharing: Sharing::Everyone,
        routing: Routing {
            rules,
            utm: Utm {
                source: Some(Template::parse("{partner}").unwrap()),
                campaign: Some(Template::parse("summer").unwrap()),
                ..Utm::default()
            },
            ..Routing::to(Destination::parse(&format!("/collections/item-{at}?view=grid")).unwrap())
        },
        pending: None,
    }
}

fn settings() -> ShopSettings {
    ShopSettings {
        base_url: Origin::parse("https://shop.example").unwrap(),
        link_hosts: vec![Host::parse("go.shop.example").unwrap()],
        public_url: Origin::parse("https://go.shop.example").unwrap(),
        destination_hosts: Vec::new(),
        partner_param: OwnParam::parse("ref").unwrap(),
        accepted_partner_params: Vec::new(),
        click_id_param: Some(OwnParam::parse("click_id").unwrap()),
        fallback_url: None,
        query_policy: QueryPolicy::default(),
        internal_addresses: Vec::new(),
        visitor_mode: VisitorMode::default(),
        sub_id_params: Vec::new(),
        time_zone: None,
        click_retention_days: None,
    }
}

/// Makes a rule of a link: the last one matches every visitor, the others none.
fn rule_of(link: usize, number: usize, is_last: bool) -> Rule {
    let human = Condition::Is(Predicate::Traffic(one(TrafficClass::Human)));
    let when = if is_last { human } else { no_match(number) };
    Rule {
        id: RuleId::parse(&format!("rule-{number}")).unwrap(),
        display_name: None,
        when,
        then: Outcome::Destination(
            Destination::parse(&format!("/landing/{link}/{number}?view=list#top")).unwrap(),
        ),
        retired_variants: Vec::new(),
        utm: Utm::default(),
        enabled: true,
    }
}

/// Makes a condition of one of many kinds, alone or beside others, that no visitor of ours meets.
fn no_match(number: usize) -> Condition {
    let country = || Country::parse(["US", "JP", "BR", "AU"][number % 4]).unwrap();
    let zone = ["Europe/Berlin", "America/New_York", "Asia/Tokyo"][number % 3];
    let predicate = match number % 14 {
        0 => Predicate::Device(one([DeviceClass::Mobile, DeviceClass::Tablet][number % 2])),
        1 => Predicate::Country(one(country())),
        2 => Predicate::Os { families: one(Os::Ios), versions: VersionRange::default() },
        3 => Predicate::Browser { families: one(Browser::Firefox), versions: VersionRange::default() },
        4 => Predicate::Language(one(LanguageRange::parse(["ja", "pt", "ko"][number % 3]).unwrap())),
        5 => Predicate::ReferrerHost {
            hosts: one(Host::parse(&format!("news-{number}.example")).unwrap()),
            include_subdomains: true,
        },
        6 => Predicate::Query {
            name: ParameterName::parse("campaign").unwrap(),
            test: QueryTest::Equals(one(Value::parse(&number.to_string()).unwrap())),
        },
        7 => Predicate::ClientAddress(one(format!("198.51.{}.0/24", number % 256).parse().unwrap())),
        8 => Predicate::Time(TimeWindow::new(None, Some("2026-01-01T00:00:00Z".parse().unwrap())).unwrap()),
        9 => Predicate::Weekly(
            WeeklyHours::new(&[Weekday::Sunday], 9, 18, ZoneName::parse(zone).unwrap()).unwrap(),
        ),
        10 => Predicate::Partner(one(PartnerCode::parse(&format!("someone-{number}")).unwrap())),
        11 => Predicate::Program(one(ProgramId::parse(&format!("other-{number}")).unwrap())),
        12 => Predicate::PartnerTag(one(Tag::parse(&format!("tag-{number}")).unwrap())),
        _ => Predicate::Caller {
            name: AttributeName::parse("customer.tier").unwrap(),
            test: CallerTest::Equals(one(Value::parse(&number.to_string()).unwrap())),
        },
    };
    let predicate = Condition::Is(predicate);
    match number % 3 {
        0 => predicate,
        1 => Condition::All(Group::new(vec![predicate, Condition::Is(Predicate::InEu {})]).unwrap()),
        _ => {
            let abroad = Condition::Is(Predicate::Country(one(Country::parse("NZ").unwrap())));
            Condition::Any(Group::new(vec![predicate, abroad]).unwrap())
        }
    }
}
