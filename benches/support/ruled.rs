//! Links with many rules, and visitors that differ from each other.

use std::{collections::HashMap, net::Ipv4Addr, sync::Arc};

use jiff::{Timestamp, civil::Weekday};
use smartlinks::{
    classify::user_agent,
    domain::{
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
        link::{LinkState, Outcome, Routing, Rule, Sharing},
        name::{PartnerCode, ProgramId, RuleId, ShopId, Slug, Tag},
        one_of::OneOf,
        param::OwnParam,
        policy::QueryPolicy,
        revision::Revision,
        shop::ShopSettings,
        utm::{Template, Utm},
        visit::{Channel, Headers, Hints, Site, Totals, Visit},
        visitor::VisitorMode,
        window::{TimeWindow, WeeklyHours, ZoneName},
    },
    index::{PartnerState, Record, Snapshot, Writer},
};

/// Partners of the shop.
pub(crate) const PARTNERS: usize = 1_000;

/// What a visit borrows from.
pub(crate) struct Visitor {
    pub(crate) slug: String,
    pub(crate) partner: String,
    address: Ipv4Addr,
    pub(crate) agent: Arc<UserAgent>,
    pub(crate) country: Country,
    click_id: ClickId,
    pub(crate) accept_language: String,
    pub(crate) referer: String,
    attributes: HashMap<String, String>,
}

impl Visitor {
    pub(crate) fn new(links: usize, at: usize) -> Self {
        let number = u32::try_from(at).unwrap();
        let agent = user_agent::parse(&format!(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36",
            100 + at % 1_021
        ));
        Self {
            slug: format!("link-{}", at * 7 % links),
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

    pub(crate) fn visit<'a>(&'a self, query: &'a str) -> Visit<'a> {
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

pub(crate) fn now() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

fn one<T: Ord>(value: T) -> OneOf<T> {
    OneOf::new(vec![value]).unwrap()
}

/// How the conditions of rules are written.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    /// As people write them.
    Plain,
    /// Under two `not`, of which one makes the other good: such rules cannot be passed over, each is evaluated.
    OneByOne,
}

impl Form {
    fn of(self, when: Condition) -> Condition {
        match self {
            Self::Plain => when,
            Self::OneByOne => Condition::Not(Box::new(Condition::Not(Box::new(when)))),
        }
    }
}

/// Makes an index of so many links that have these rules each, in this form.
pub(crate) fn index(links: usize, form: Form, rules: impl Fn(usize) -> Vec<Rule>) -> Arc<Snapshot> {
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
    let formed = |rule: Rule| Rule { when: form.of(rule.when), ..rule };
    let links = (0..links).map(|at| link_of(at, rules(at).into_iter().map(formed).collect()));
    Writer::new().apply(std::iter::once(row).chain(partners).chain(links), revision)
}

pub(crate) fn link_of(at: usize, rules: Vec<Rule>) -> Record {
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

pub(crate) fn settings() -> ShopSettings {
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
pub(crate) fn rule_of(link: usize, number: usize, is_last: bool) -> Rule {
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
