//! The first level: the index itself, without wire or clock.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use smartlinks::{
    classify::{Classifier, address, geo::GeoDb, user_agent::UserAgents},
    domain::{
        click_id::ClickId,
        fact::Fact,
        geo::Country,
        link::{Link, RedirectKind},
        partner::Partner,
        revision::Revision,
        visit::{self, Attribution, Hints, Miss, NoShop, Resolution, ResolveReason, Site, Totals},
        visitor::KnownVisitor,
    },
    index::{PartnerState, Record, Snapshot, Writer},
};

use super::{
    expect::{Answer, Nowhere},
    file::{self, Shop},
    geography, report,
    visit::{Headers, Visit},
};

#[test]
fn the_index_answers_every_case() {
    let classifier = classifier();
    let mut snapshots = HashMap::new();
    let (mut run, mut failures) = (0, Vec::new());
    for case in file::load() {
        let Some(parts) = case.visit.parts() else { continue };
        run += 1;
        let key = Arc::as_ptr(&case.shop);
        let snapshot = snapshots.entry(key).or_insert_with(|| snapshot_of(&case.shop));
        let parts = (parts.0.as_str(), parts.1.as_str(), parts.2);
        let click = answer(snapshot, &classifier, &case.visit, parts, true);
        let lookup = answer(snapshot, &classifier, &case.visit, parts, false);
        let as_click = case.expect.differs_from_click(&click).map(|differs| format!("{case}\n{differs}"));
        let as_lookup = || {
            let differs = case.expect.differs_from_lookup(&case.shop.settings, &lookup)?;
            Some(format!("{case} as a look-up\n{differs}"))
        };
        failures.extend(as_click.or_else(as_lookup));
    }
    report("visits to the index", run, &mut failures);
}

/// Makes a classifier that knows the countries of the cases.
pub(super) fn classifier() -> Classifier {
    let database = geography::database(&file::defaults());
    Classifier::new(UserAgents::default(), Some(GeoDb::from_bytes(database).unwrap()))
}

/// Puts a shop into an index of its own.
pub(super) fn snapshot_of(shop: &Shop) -> Arc<Snapshot> {
    Writer::new().apply(records(shop), Revision(1))
}

/// Writes a shop as the index takes it.
fn records(shop: &Shop) -> Vec<Record> {
    let revision = Revision(1);
    let head = Record::Shop {
        shop: shop.id.clone(),
        revision,
        settings: Some(shop.settings.clone()),
        default_link: shop.default_link.clone(),
    };
    let partner = |partner: &Partner| Record::Partner {
        shop: shop.id.clone(),
        code: partner.code.clone(),
        revision,
        state: Some(PartnerState {
            aliases: partner.aliases.clone(),
            program: partner.program.clone(),
            tags: partner.tags.clone(),
            active: partner.active,
        }),
    };
    let link = |link: &Link| Record::Link {
        shop: shop.id.clone(),
        slug: link.slug.clone(),
        revision,
        state: link.state,
        sharing: link.sharing.clone(),
        routing: link.routing.clone(),
        pending: None,
    };
    let partners = shop.partners.iter().map(partner);
    std::iter::once(head).chain(partners).chain(shop.links.iter().map(link)).collect()
}

fn answer(
    snapshot: &Snapshot,
    classifier: &Classifier,
    visit: &Visit,
    (slug, partner, query): (&str, &str, &str),
    is_click: bool,
) -> Result<Answer, Nowhere> {
    let address: Option<IpAddr> = visit.address.as_ref().map(|address| address.parse().unwrap());
    let address = address.map(address::normalize);
    let click_id = is_click.then(|| ClickId::new(visit.time, [7; 10]));
    let user_agent = visit.headers.as_ref().and_then(|headers| headers.user_agent.as_deref());
    let hints = visit.headers.as_ref().map(Headers::client_hints);
    let of_address = || address.map_or(Fact::Unknown, |address| classifier.country(address));
    let facts = visit::Visit {
        site: Site::Host(&visit.host),
        slug,
        partner,
        query,
        time: visit.time,
        click_id,
        address: Fact::or_unknown(address),
        country: Country::from_code(&visit.told_country).map_or_else(of_address, Fact::Known),
        channel: visit.channel,
        agent: classifier.user_agent(user_agent, &hints.unwrap_or_default()),
        hints: Hints { internal: visit.internal, prefetch: visit.prefetch },
        headers: visit.headers.as_ref().map(Headers::of_rules),
        purpose_header: visit.headers.as_ref().and_then(|headers| headers.purpose.as_deref()),
        attributes: &visit.attributes,
        visitor: visit.visitor.as_ref().map(|visitor| KnownVisitor {
            id: &visitor.id,
            total_visits: u64::try_from(visitor.total_visits).ok().filter(|total| *total > 0),
            from_cookie: visitor.from_cookie,
        }),
        opted_out: visit.headers.as_ref().is_some_and(Headers::opt_out),
        totals: Totals { link: visit.link_total, partner: visit.partner_total },
    };
    let resolution = snapshot.resolve(&facts).map_err(|NoShop| Nowhere("SHOP_NOT_FOUND".to_owned()))?;
    // Whatever becomes of it, a click is kept and a look-up is not.
    assert_eq!(resolution.kept.is_some(), is_click);
    shown(resolution, click_id)
}

impl Headers {
    /// Returns those that only rules look at.
    fn of_rules(&self) -> visit::Headers<'_> {
        visit::Headers {
            user_agent: self.user_agent.as_deref(),
            accept_language: self.accept_language.as_deref(),
            referer: self.referer.as_deref(),
        }
    }
}

fn shown(resolution: Resolution, click_id: Option<ClickId>) -> Result<Answer, Nowhere> {
    let target = resolution.to.map_err(|miss| Nowhere(miss_name(miss).to_owned()))?;
    let reason = match target.reason {
        ResolveReason::Rule => "RULE",
        ResolveReason::Default => "DEFAULT",
        ResolveReason::Missed(miss) => miss_name(miss),
    };
    let attribution = match resolution.attribution {
        Attribution::Credited => "CREDITED",
        Attribution::NoPartner => "NO_PARTNER",
        Attribution::UnknownPartner => "UNKNOWN_PARTNER",
        Attribution::InactivePartner => "INACTIVE_PARTNER",
        Attribution::NotShared => "NOT_SHARED",
    };
    let redirect = match target.redirect {
        RedirectKind::Found => 302,
        RedirectKind::MovedPermanently => 301,
        RedirectKind::TemporaryRedirect => 307,
        RedirectKind::PermanentRedirect => 308,
    };
    Ok(Answer {
        location: target.location,
        click_id: click_id.map(|id| id.to_string()),
        reason: Some(reason.to_owned()),
        rule: Some(resolution.rule.map(String::from).unwrap_or_default()),
        variant: Some(resolution.variant.map(String::from).unwrap_or_default()),
        partner: Some(resolution.partner.map(String::from).unwrap_or_default()),
        attribution: Some(attribution.to_owned()),
        redirect: Some(redirect),
        class: Some(resolution.traffic.to_string()),
    })
}

fn miss_name(miss: Miss) -> &'static str {
    match miss {
        Miss::Expired => "LINK_EXPIRED",
        Miss::Paused => "LINK_PAUSED",
        Miss::NotStarted => "LINK_NOT_STARTED",
        Miss::Deleted => "LINK_DELETED",
        Miss::NotFound => "LINK_NOT_FOUND",
    }
}
