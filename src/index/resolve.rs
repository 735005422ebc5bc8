//! Answers a visit: shop, link, state, window, partner, rules, location, in this order.

use std::borrow::Cow;

use super::{
    campaign::{Campaign, Filling},
    compile::{CompiledLink, CompiledRule},
    counted::Counting,
    credit::{credit, folded},
    facts::{self, Facts},
    location::{self, Ingredients, Laid, Place},
    snapshot::{OpenShop, PartnerEntry, ShopEntry, Snapshot},
    split::{Drawn, Sign},
};
use crate::{
    classify::traffic::Why,
    domain::{
        click::Counters,
        click_id::ClickId,
        client::TrafficClass,
        host::{Host, split_port},
        limits,
        link::{LinkState, RedirectKind},
        param::OwnParam,
        query::pieces,
        variant::Variant,
        visit::{Attribution, Kept, Miss, NoShop, Resolution, ResolveReason, Site, Target, Totals, Visit},
        visitor::VisitorMode,
    },
};

impl Snapshot {
    /// Answers a visit. The same snapshot and visit give the same answer, byte for byte.
    pub fn resolve(&self, visit: &Visit<'_>) -> Result<Resolution, NoShop> {
        Ok(self.ask(visit)?.answer())
    }

    /// Finds all that a visit is about, but does not ask the link's rules yet: what they look at may have to be counted
    /// first, see [`Asked::counting`].
    pub fn ask<'a>(&'a self, visit: &'a Visit<'a>) -> Result<Asked<'a>, NoShop> {
        let shop = self.shop(visit.site).ok_or(NoShop)?;
        let row = shop.row.as_ref().ok_or(NoShop)?;
        let open = row.open.as_ref().ok_or(NoShop)?;
        let link = match visit.slug {
            "" => shop.link(row.default_link.as_str()),
            slug => shop.link(&folded(slug)),
        };
        let link = link.map(|link| link.at(visit.time));
        let traffic = facts::traffic(visit, &open.settings.internal_addresses);
        let to = match link {
            None => Way::Nowhere,
            Some(link) => miss(link, visit).map_or(Way::Open(link), |miss| Way::Missed(link, miss)),
        };
        let credited = credit(shop, &open.own, link, visit);
        Ok(Asked { snapshot: self, shop, open, visit, traffic, to, credited, totals: visit.totals })
    }

    fn shop(&self, site: Site<'_>) -> Option<&ShopEntry> {
        let shop = match site {
            Site::Shop(id) => self.shops.get(folded(id).as_ref()),
            Site::Host(host) => self.shops.get(self.hosts.get(host_name(host).as_ref())?),
        };
        shop.map(|shop| &**shop)
    }
}

/// Returns a host as shops list it: in small letters, without port and final dot, IPv6 in its one form in brackets.
fn host_name(host: &str) -> Cow<'_, str> {
    let is_v6 = host.bytes().filter(|&byte| byte == b':').nth(1).is_some();
    // Without brackets there is no port: every colon belongs to the address.
    let name = if is_v6 && !host.starts_with('[') { host } else { split_port(host).0 };
    if is_v6 {
        return Host::parse(name).map_or(Cow::Borrowed(name), |host| host.as_str().to_owned().into());
    }
    folded(name.strip_suffix('.').unwrap_or(name))
}

/// Returns why a link does not decide itself: its state, else its window.
fn miss(link: &CompiledLink, visit: &Visit<'_>) -> Option<Miss> {
    match link.state {
        LinkState::Deleted => return Some(Miss::Deleted),
        LinkState::Paused => return Some(Miss::Paused),
        LinkState::Active => {}
    }
    let window = link.window.as_deref()?;
    if window.start.is_some_and(|start| visit.time < start) {
        return Some(Miss::NotStarted);
    }
    window.expire.is_some_and(|expire| visit.time >= expire).then_some(Miss::Expired)
}

/// Returns the first value of each parameter that the shop keeps, cut to its limit.
fn sub_ids(params: &[OwnParam], query: &str) -> Vec<(String, String)> {
    if params.is_empty() || query.is_empty() {
        return Vec::new();
    }
    let first = |param: &OwnParam| {
        let mut named = pieces(query).filter(|piece| piece.name().is_some_and(|name| name == param.as_str()));
        let value = named.next()?.value().unwrap_or_default();
        // A zero byte cannot be kept in a text of PostgreSQL.
        let mut value = value.replace('\0', "");
        value.truncate(value.floor_char_boundary(limits::SUB_ID_BYTES));
        Some((param.as_str().to_owned(), value))
    };
    params.iter().filter_map(first).collect()
}

/// A visit to a shop, of which everything is known but what the link's rules say.
pub struct Asked<'a> {
    snapshot: &'a Snapshot,
    pub(super) shop: &'a ShopEntry,
    pub(super) open: &'a OpenShop,
    pub(super) visit: &'a Visit<'a>,
    pub(super) traffic: (TrafficClass, Why<'a>),
    pub(super) to: Way<'a>,
    pub(super) credited: (Option<&'a PartnerEntry>, Attribution),
    totals: Totals,
}

/// Who decides.
#[derive(Clone, Copy)]
pub(super) enum Way<'a> {
    /// The link.
    Open(&'a CompiledLink),
    /// The shop, or what the link says for this: it does not decide itself.
    Missed(&'a CompiledLink, Miss),
    /// The shop: there is no such link.
    Nowhere,
}

impl<'a> Asked<'a> {
    /// Returns which counters the visit moves or its rules look at; `None` = neither, as with most.
    pub fn counting(&self) -> Option<Counting<'a>> {
        let Way::Open(link) = self.to else { return None };
        let of_partners = self.shop.counted.looks_at_partners();
        // What a pending version will look at is counted before its time, too.
        let of_link = link.all_uses().link;
        if !of_link && !of_partners {
            return None;
        }
        let is_human = self.traffic.0 == TrafficClass::Human;
        let partner = self.credited.0.filter(|_| of_partners);
        Some(Counting {
            shop: &self.shop.id,
            link: of_link.then_some(&link.slug),
            partner: partner.map(|partner| &partner.code),
            counts: is_human && self.visit.click_id.is_some(),
        })
    }

    /// Says what the counters show; what the visit itself says of them counts no more.
    pub fn counted(&mut self, totals: Totals) {
        self.totals = totals;
    }

    /// Answers.
    pub fn answer(&self) -> Resolution {
        match self.to {
            Way::Open(link) => self.decided(link),
            Way::Missed(link, miss) => self.missed(link, miss),
            Way::Nowhere => self.fallback(None, Miss::NotFound),
        }
    }

    /// Returns what the rules of a link may look at.
    pub(super) fn facts(&self, link: &'a CompiledLink) -> Facts<'a> {
        let (partner, mode) = (self.credited.0, self.visitor_mode());
        Facts::new(self.visit, partner, self.traffic.0, link.languages(), mode, self.totals)
    }

    /// Asks the rules of a link.
    pub(super) fn choose(&self, link: &'a CompiledLink, facts: &Facts<'a>) -> Chosen<'a> {
        let (rule, undecided_rules) = link.first_match(facts);
        let (place, variant) = match rule {
            None => (&link.default, None),
            Some(rule) => rule.then.choose(|| Drawn {
                key: &self.snapshot.split_key,
                shop: self.shop.id.as_str(),
                slug: link.slug.as_str(),
                rule: rule.id.as_str(),
                visitor: Sign::of(facts),
            }),
        };
        Chosen { rule, variant, place, undecided_rules }
    }

    /// Answers by the link's rules.
    fn decided(&self, link: &'a CompiledLink) -> Resolution {
        let (facts, mode) = (self.facts(link), self.visitor_mode());
        let chosen = self.choose(link, &facts);
        let Chosen { rule, variant, place, undecided_rules } = chosen;
        let reason = if rule.is_some() { ResolveReason::Rule } else { ResolveReason::Default };
        let location = self.location(link, &chosen, |_| ());
        let mut resolution = self.resolution(
            Ok(Target { location, redirect: link.redirect, reason }),
            Some(link),
            place.destination().as_str(),
        );
        resolution.rule = rule.map(|rule| (*rule.id).clone());
        resolution.variant = variant.map(|variant| variant.id.clone());
        resolution.undecided_rules = undecided_rules;
        if let Some(kept) = &mut resolution.kept {
            // What is kept of a visitor follows the mode, wherever rules had it from.
            let visitor = (mode == VisitorMode::Cookie).then(|| facts.visitor_total_asked());
            kept.counters = Counters {
                visitor: visitor.flatten(),
                link: facts.link_total_asked(),
                partner: facts.partner_total_asked(),
            };
        }
        resolution
    }

    /// Answers for a link that does not decide itself. Only an expired one has a destination for this.
    fn missed(&self, link: &CompiledLink, miss: Miss) -> Resolution {
        let Some(chosen) = Chosen::missed(link, miss) else { return self.fallback(Some(link), miss) };
        let (location, place) = (self.location(link, &chosen, |_| ()), chosen.place);
        let target = Target { location, redirect: link.redirect, reason: ResolveReason::Missed(miss) };
        self.resolution(Ok(target), Some(link), place.destination().as_str())
    }

    /// Answers with the shop's fallback as it stands, if there is one. Who sent the visitor is told all the same.
    fn fallback(&self, link: Option<&CompiledLink>, miss: Miss) -> Resolution {
        let Some(fallback) = &self.open.settings.fallback_url else {
            return self.resolution(Err(miss), link, "");
        };
        let fallback = fallback.as_str();
        let mut location = String::with_capacity(fallback.len());
        location::push_ascii(&mut location, fallback, fallback.is_ascii());
        let (redirect, reason) = (RedirectKind::default(), ResolveReason::Missed(miss));
        self.resolution(Ok(Target { location, redirect, reason }), link, fallback)
    }

    /// Returns how the visitor may be told from others.
    pub(super) fn visitor_mode(&self) -> VisitorMode {
        self.open.settings.visitor_mode.respecting(self.visit.opted_out)
    }

    /// Puts an answer together that no rule gave. What only the log of clicks asks for is left out of a lookup.
    fn resolution(
        &self,
        to: Result<Target, Miss>,
        link: Option<&CompiledLink>,
        destination: &str,
    ) -> Resolution {
        let (traffic, why) = &self.traffic;
        let (partner, attribution) = self.credited;
        let kept = self.visit.click_id.map(|_| Kept {
            program: partner.and_then(PartnerEntry::program).cloned(),
            destination: destination.to_owned(),
            traffic_why: why.to_string(),
            sub_ids: sub_ids(&self.open.settings.sub_id_params, self.visit.query),
            counters: Counters::default(),
        });
        Resolution {
            to,
            rule: None,
            variant: None,
            partner: partner.map(|partner| partner.code.clone()),
            attribution,
            shop: self.shop.id.clone(),
            slug: link.map(|link| link.slug.clone()),
            traffic: *traffic,
            undecided_rules: 0,
            visitor_mode: self.visitor_mode(),
            revision: self.snapshot.revision,
            kept,
        }
    }

    /// Builds the location; `watch` is told of its pieces.
    pub(super) fn location(
        &self,
        link: &CompiledLink,
        chosen: &Chosen<'_>,
        watch: impl FnMut(Laid<'_>),
    ) -> String {
        let partner = self.credited.0;
        let mut buffer = [0; ClickId::TEXT_BYTES];
        let click_id = self.visit.click_id.map_or("", |id| id.write(&mut buffer));
        let filling = Filling {
            partner: partner.map_or("", |partner| partner.code.as_str()),
            program: partner.and_then(PartnerEntry::program).map_or("", |program| program.as_str()),
            slug: link.slug.as_str(),
            rule: chosen.rule.map_or("", |rule| rule.id.as_str()),
            variant: chosen.variant.map_or("", |variant| variant.id.as_str()),
            country: self.visit.country.known().map_or("", |country| country.as_str()),
            device: self.visit.agent.device.known().map_or("", |device| device.as_str()),
            click_id,
        };
        let of_rule = chosen.rule.and_then(|rule| rule.utm.as_deref());
        let ingredients = Ingredients {
            origin: self.open.settings.base_url.as_str(),
            own: &self.open.own,
            policy: link.policy.as_deref().unwrap_or(&self.open.policy),
            place: chosen.place,
            query: self.visit.query,
            utm: &Campaign::new(link.utm.as_deref(), of_rule, filling),
            partner: partner.map(|partner| &partner.code),
            click_id,
        };
        location::build(&ingredients, watch)
    }
}

/// What the rules of a link say, or what it says itself without them.
#[derive(Clone, Copy)]
pub(super) struct Chosen<'a> {
    pub(super) rule: Option<&'a CompiledRule>,
    pub(super) variant: Option<&'a Variant>,
    pub(super) place: &'a Place,
    undecided_rules: u32,
}

impl<'a> Chosen<'a> {
    /// Returns what a link says where it does not decide; only an expired one has a destination for this.
    pub(super) fn missed(link: &'a CompiledLink, miss: Miss) -> Option<Self> {
        let place = link.window.as_deref().filter(|_| miss == Miss::Expired)?.expired.as_ref()?;
        Some(Self { rule: None, variant: None, place, undecided_rules: 0 })
    }
}
