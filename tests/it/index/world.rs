//! One shop with one link, and visits to it, for tests to vary.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use jiff::Timestamp;
use smartlinks::{
    domain::{
        click_id::ClickId,
        client::{TrafficClass, UserAgent},
        condition::Condition,
        destination::Destination,
        fact::Fact,
        geo::Country,
        host::{DestinationHost, Host, Origin},
        link::{LinkState, Outcome, RedirectKind, Routing, Rule, Sharing},
        name::{PartnerCode, ProgramId, RuleId, ShopId, Slug, Tag},
        param::OwnParam,
        policy::{PolicyParam, QueryConflict, QueryOverride, QueryPass, QueryPolicy},
        revision::Revision,
        shop::ShopSettings,
        utm::{Template, Utm},
        visit::{
            Attribution, Channel, Headers, Hints, Miss, NoShop, Resolution, ResolveReason, Site, Target,
            Totals, Visit,
        },
        visitor::{KnownVisitor, VisitorMode},
    },
    index::{Asked, PartnerState, Record, Snapshot, Writer},
};

use super::explain::agrees;

/// The time of every click unless a test says otherwise.
pub(super) const NOW: &str = "2026-06-01T12:00:00Z";

/// What a test varies.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) shop: ShopSettings,
    pub(super) partners: Vec<(PartnerCode, PartnerState)>,
    pub(super) state: LinkState,
    pub(super) sharing: Sharing,
    pub(super) routing: Routing,
}

impl World {
    /// The shop `acme` with the partners anna (program gold, tag vip, alias annie), ben (no program), zoe (inactive), and
    /// the link `sale` to a destination.
    pub(super) fn to(text: &str) -> Self {
        Self {
            shop: ShopSettings {
                base_url: Origin::parse("https://shop.example").unwrap(),
                link_hosts: vec![Host::parse("go.shop.example").unwrap()],
                public_url: Origin::parse("https://go.shop.example").unwrap(),
                destination_hosts: vec![DestinationHost::parse("b.example").unwrap()],
                partner_param: own("ref"),
                accepted_partner_params: Vec::new(),
                click_id_param: Some(own("click_id")),
                fallback_url: None,
                query_policy: QueryPolicy::default(),
                internal_addresses: Vec::new(),
                visitor_mode: VisitorMode::default(),
                sub_id_params: Vec::new(),
                time_zone: None,
                click_retention_days: None,
            },
            partners: vec![
                partner("anna", &["annie"], Some("gold"), &["vip"], true),
                partner("ben", &[], None, &[], true),
                partner("zoe", &[], Some("gold"), &[], false),
            ],
            state: LinkState::Active,
            sharing: Sharing::Everyone,
            routing: Routing::to(destination(text)),
        }
    }

    pub(super) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Adds a rule that leads to `/{id}`.
    pub(super) fn rule(self, id: &str, when: Condition) -> Self {
        self.with(|world| world.routing.rules.push(rule(id, when)))
    }

    pub(super) fn utm(self, values: &[(&str, &str)]) -> Self {
        self.with(|world| world.routing.utm = utm(values))
    }

    pub(super) fn policy(self, change: impl FnOnce(&mut QueryPolicy)) -> Self {
        self.with(|world| change(&mut world.shop.query_policy))
    }

    pub(super) fn on_conflict(self, conflict: QueryConflict) -> Self {
        self.policy(|policy| policy.on_conflict = conflict)
    }

    pub(super) fn listed(self, names: &[&str]) -> Self {
        let names = names.iter().map(|name| PolicyParam::parse(name).unwrap()).collect();
        self.policy(|policy| policy.pass = QueryPass::Listed(names))
    }

    pub(super) fn overridden(self, name: &str, conflict: QueryConflict) -> Self {
        self.policy(|policy| policy.overrides.push(exception(name, conflict)))
    }

    pub(super) fn accepting(self, params: &[&str]) -> Self {
        self.with(|world| {
            world.shop.accepted_partner_params = params.iter().map(|name| own(name)).collect();
        })
    }

    pub(super) fn fallback(self, url: &str) -> Self {
        self.with(|world| world.shop.fallback_url = Some(destination(url)))
    }

    pub(super) fn window(self, start: Option<&str>, expire: Option<&str>) -> Self {
        self.with(|world| {
            world.routing.start_time = start.map(time);
            world.routing.expire_time = expire.map(time);
        })
    }

    pub(super) fn records(&self) -> Vec<Record> {
        let shop = shop_id();
        let revision = Revision(1);
        let link = Record::Link {
            shop: shop.clone(),
            slug: slug("sale"),
            revision,
            state: self.state,
            sharing: self.sharing.clone(),
            routing: self.routing.clone(),
            pending: None,
        };
        let row = Record::Shop {
            shop: shop.clone(),
            revision,
            settings: Some(self.shop.clone()),
            default_link: slug("sale"),
        };
        let partners = self.partners.iter().map(|(code, state)| Record::Partner {
            shop: shop.clone(),
            code: code.clone(),
            revision,
            state: Some(state.clone()),
        });
        [row, link].into_iter().chain(partners).collect()
    }

    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        Writer::new().apply(self.records(), Revision(1))
    }

    pub(super) fn resolve(&self, ask: &Ask) -> Result<Answer, Nowhere> {
        ask.resolve(&self.snapshot())
    }

    pub(super) fn answer(&self, ask: &Ask) -> Answer {
        self.resolve(ask).unwrap()
    }

    /// The location of a lookup with this query, without a partner.
    pub(super) fn location(&self, query: &str) -> String {
        self.answer(&Ask::query(query)).location
    }
}

/// A resolution that goes somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) location: String,
    pub(super) redirect: RedirectKind,
    pub(super) reason: ResolveReason,
    pub(super) rule: Option<RuleId>,
    pub(super) partner: Option<PartnerCode>,
    pub(super) attribution: Attribution,
    pub(super) shop: ShopId,
    pub(super) slug: Option<Slug>,
    pub(super) traffic: TrafficClass,
    pub(super) undecided_rules: u32,
    pub(super) revision: Revision,
}

/// Why a visit goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nowhere {
    NoShop,
    NoFallback(Miss),
}

/// A visit that owns what it holds.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) host: Option<String>,
    pub(super) slug: String,
    pub(super) partner: String,
    pub(super) query: String,
    pub(super) time: Timestamp,
    pub(super) click_id: Option<ClickId>,
    pub(super) address: Fact<IpAddr>,
    pub(super) country: Fact<Country>,
    pub(super) agent: UserAgent,
    pub(super) hints: Hints,
    pub(super) has_headers: bool,
    pub(super) accept_language: Option<String>,
    pub(super) referer: Option<String>,
    pub(super) purpose: Option<String>,
    pub(super) attributes: HashMap<String, String>,
    /// How often the visitor has come, and whether a cookie says so.
    pub(super) visitor: Option<(Option<u64>, bool)>,
    pub(super) opted_out: bool,
    pub(super) totals: Totals,
}

impl Default for Ask {
    fn default() -> Self {
        Self {
            host: None,
            slug: "sale".into(),
            partner: String::new(),
            query: String::new(),
            time: time(NOW),
            click_id: None,
            address: Fact::Unknown,
            country: Fact::Unknown,
            agent: UserAgent::default(),
            hints: Hints::default(),
            has_headers: false,
            accept_language: None,
            referer: None,
            purpose: None,
            attributes: HashMap::new(),
            visitor: None,
            opted_out: false,
            totals: Totals::default(),
        }
    }
}

impl Ask {
    pub(super) fn query(query: &str) -> Self {
        Self { query: query.into(), ..Self::default() }
    }

    pub(super) fn partner(code: &str) -> Self {
        Self { partner: code.into(), ..Self::default() }
    }

    /// The click of [`click_id`].
    pub(super) fn click(mut self) -> Self {
        self.click_id = Some(click_id());
        self
    }

    pub(super) fn resolve(&self, snapshot: &Snapshot) -> Result<Answer, Nowhere> {
        let Resolution {
            to, rule, partner, attribution, shop, slug, traffic, undecided_rules, revision, ..
        } = self.resolution(snapshot).map_err(|NoShop| Nowhere::NoShop)?;
        let Target { location, redirect, reason } = to.map_err(Nowhere::NoFallback)?;
        Ok(Answer {
            location,
            redirect,
            reason,
            rule,
            partner,
            attribution,
            shop,
            slug,
            traffic,
            undecided_rules,
            revision,
        })
    }

    /// All that comes of it, whether it goes anywhere or not; its explanation has to agree, whatever is tested.
    pub(super) fn resolution(&self, snapshot: &Snapshot) -> Result<Resolution, NoShop> {
        let visit = self.visit();
        let resolution = snapshot.resolve(&visit)?;
        agrees(&resolution, &snapshot.ask(&visit)?.explain());
        Ok(resolution)
    }

    /// The rule that decides, and nothing besides: for tests that ask a million times.
    pub(super) fn rule(&self, snapshot: &Snapshot) -> Option<RuleId> {
        snapshot.resolve(&self.visit()).unwrap().rule
    }

    /// What is known before the rules are asked.
    pub(super) fn asked<T>(&self, snapshot: &Snapshot, see: impl FnOnce(Asked<'_>) -> T) -> T {
        see(snapshot.ask(&self.visit()).unwrap_or_else(|NoShop| panic!("there is no shop")))
    }

    fn visit(&self) -> Visit<'_> {
        Visit {
            site: self.host.as_deref().map_or(Site::Shop("acme"), Site::Host),
            slug: &self.slug,
            partner: &self.partner,
            query: &self.query,
            time: self.time,
            click_id: self.click_id,
            address: self.address,
            country: self.country,
            channel: Channel::Link,
            agent: Arc::new(self.agent.clone()),
            hints: self.hints,
            headers: self.has_headers.then_some(Headers {
                user_agent: (self.agent != UserAgent::default()).then_some("x"),
                accept_language: self.accept_language.as_deref(),
                referer: self.referer.as_deref(),
            }),
            purpose_header: self.purpose.as_deref(),
            attributes: &self.attributes,
            visitor: self.visitor.map(|(total_visits, from_cookie)| KnownVisitor {
                id: "anna",
                total_visits,
                from_cookie,
            }),
            opted_out: self.opted_out,
            totals: self.totals,
        }
    }
}

pub(super) fn click_id() -> ClickId {
    ClickId::new(time(NOW), [7; 10])
}

pub(super) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(super) fn shop_id() -> ShopId {
    ShopId::parse("acme").unwrap()
}

pub(super) fn slug(text: &str) -> Slug {
    Slug::parse(text).unwrap()
}

pub(super) fn own(name: &str) -> OwnParam {
    OwnParam::parse(name).unwrap()
}

pub(super) fn destination(text: &str) -> Destination {
    Destination::parse(text).unwrap()
}

pub(super) fn code(text: &str) -> PartnerCode {
    PartnerCode::parse(text).unwrap()
}

pub(super) fn program(text: &str) -> ProgramId {
    ProgramId::parse(text).unwrap()
}

pub(super) fn partner(
    name: &str,
    aliases: &[&str],
    program_id: Option<&str>,
    tags: &[&str],
    active: bool,
) -> (PartnerCode, PartnerState) {
    let state = PartnerState {
        aliases: aliases.iter().map(|alias| code(alias)).collect(),
        program: program_id.map(program),
        tags: tags.iter().map(|tag| Tag::parse(tag).unwrap()).collect(),
        active,
    };
    (code(name), state)
}

pub(super) fn rule(id: &str, when: Condition) -> Rule {
    Rule {
        id: RuleId::parse(id).unwrap(),
        display_name: None,
        when,
        then: Outcome::Destination(destination(&format!("/{id}"))),
        retired_variants: Vec::new(),
        utm: Utm::default(),
        enabled: true,
    }
}

pub(super) fn utm(values: &[(&str, &str)]) -> Utm {
    let get = |name: &str| {
        let found = values.iter().find(|(given, _)| *given == name);
        found.map(|(_, value)| Template::parse(value).unwrap())
    };
    Utm {
        source: get("source"),
        medium: get("medium"),
        campaign: get("campaign"),
        term: get("term"),
        content: get("content"),
        id: get("id"),
    }
}

/// An exception of a policy.
pub(super) fn exception(name: &str, on_conflict: QueryConflict) -> QueryOverride {
    QueryOverride { name: PolicyParam::parse(name).unwrap(), on_conflict }
}
