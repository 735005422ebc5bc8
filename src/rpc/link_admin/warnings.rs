//! What does not stop a write but is worth knowing.

use std::collections::HashSet;

use jiff::Timestamp;

use crate::{
    domain::{
        condition::Predicate,
        fault::Fault,
        link::{Link, RedirectKind, Sharing},
        name::ShopId,
        shop::ShopSettings,
    },
    proto::Warning,
    rpc::status::Failure,
    store::{LinkCursor, LinkFilter, LinkOrder, ListLinks, ListedLink, Reference, Store},
};

use super::refusals::counted;

/// Links that are named when a shop's change leaves their destinations behind.
const NAMED_LINKS: usize = 20;
/// Links that are looked at then; a shop that has more is told so.
const LOOKED_AT: usize = 100_000;
/// Links that are read at once.
const CHUNK: usize = 500;

/// Makes a warning.
pub(super) fn warning(field: impl Into<String>, description: impl Into<String>) -> Warning {
    Warning { field: field.into(), description: description.into() }
}

/// Warns of what is wrong already and not of this write's making.
pub(super) fn of_fault(path: &str, fault: &Fault) -> Warning {
    warning(format!("{path}.{}", fault.path), format!("{}; it was so before this write", fault.problem))
}

/// Warns of what a link says that its owner may not mean.
pub(super) fn of_link(link: &Link, path: &str, now: Timestamp) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if let Some(end) = link.routing.expire_time
        && end <= now
    {
        warnings.push(warning(format!("{path}.expire_time"), format!("the link expired at {end} already")));
    }
    match link.routing.redirect {
        RedirectKind::Found | RedirectKind::TemporaryRedirect => {}
        RedirectKind::MovedPermanently | RedirectKind::PermanentRedirect => {
            let text =
                "browsers and search engines may remember a permanent redirect: later clicks pass us by";
            warnings.push(warning(format!("{path}.redirect"), text));
        }
    }
    match &link.sharing {
        Sharing::Selected { partners, programs } if partners.is_empty() && programs.is_empty() => {
            let text = "the link is shared with nobody: no partner is credited for its clicks";
            warnings.push(warning(format!("{path}.sharing"), text));
        }
        Sharing::Everyone | Sharing::Selected { .. } => {}
    }
    warnings
}

/// Warns of a time for which a shop would keep clicks, but the installation does not.
pub(super) async fn of_retention(store: &Store, settings: &ShopSettings) -> Result<Vec<Warning>, Failure> {
    let Some(days) = settings.click_retention_days else { return Ok(Vec::new()) };
    let longer = store.click_retention_days().await?.filter(|kept| *kept < days.number());
    let text = |kept| format!("the installation keeps clicks for {kept} days, and the shorter time counts");
    Ok(longer.map(|kept| warning("shop.click_retention_days", text(kept))).into_iter().collect())
}

/// Returns every partner and program that a link names.
pub(super) fn references(link: &Link) -> HashSet<Reference> {
    let mut named = HashSet::new();
    if let Sharing::Selected { partners, programs } = &link.sharing {
        named.extend(partners.iter().cloned().map(Reference::Partner));
        named.extend(programs.iter().cloned().map(Reference::Program));
    }
    for rule in &link.routing.rules {
        rule.when.for_each_predicate(&mut |predicate| {
            if let Predicate::Partner(codes) = predicate {
                named.extend(codes.iter().cloned().map(Reference::Partner));
            }
            if let Predicate::Program(programs) = predicate {
                named.extend(programs.iter().cloned().map(Reference::Program));
            }
        });
    }
    named
}

/// Finds the links whose destinations fit a shop's old settings and not its new ones.
pub(super) async fn of_shop(
    store: &Store,
    id: &ShopId,
    before: &ShopSettings,
    after: &ShopSettings,
) -> Result<Vec<Warning>, Failure> {
    let same_hosts = before.base_url == after.base_url
        && before.destination_hosts == after.destination_hosts
        && before.link_hosts == after.link_hosts;
    if same_hosts {
        return Ok(Vec::new());
    }
    let (mut warnings, mut count, mut looked_at, mut last) = (Vec::new(), 0, 0, None);
    loop {
        let (filter, order) = (LinkFilter::default(), LinkOrder::Slug);
        let list = ListLinks { shop: id.clone(), filter, order, after: last, limit: CHUNK };
        let rows = store.list_links(&list).await?;
        for text in rows.iter().flat_map(|row| left_behind(&row.value, before, after)) {
            count += 1;
            if count <= NAMED_LINKS {
                warnings.push(warning("shop", text));
            }
        }
        looked_at += rows.len();
        last = rows.last().map(|last| LinkCursor::after(order, last));
        if rows.len() < CHUNK || looked_at >= LOOKED_AT {
            break;
        }
    }
    if count > NAMED_LINKS {
        warnings.push(warning("shop", format!("{count} destinations are left behind in all")));
    }
    if looked_at >= LOOKED_AT {
        warnings.push(warning("shop", format!("only the first {looked_at} links were looked at")));
    }
    Ok(warnings)
}

/// Returns the destinations of a link that fit the old settings and not the new ones.
fn left_behind(
    link: &ListedLink,
    before: &ShopSettings,
    after: &ShopSettings,
) -> impl Iterator<Item = String> {
    link.routing.destinations().filter_map(|(path, to)| {
        let problem = after.check_destination(to).err()?;
        let fitted = before.check_destination(to).is_ok();
        fitted.then(|| format!("`{path}` of the link `{}`: {problem}", link.slug))
    })
}

/// Warns of those who go on naming what a forced delete takes away.
pub(super) fn of_references(field: &str, by: &crate::store::References) -> Vec<Warning> {
    let links = counted(by.link_count, "link", &by.links)
        .map(|links| warning(field, format!("{links} still name it: what they say of it never matches")));
    let partners = counted(by.partner_count, "partner", &by.partners)
        .map(|partners| warning(field, format!("{partners} are in no program from now on")));
    links.into_iter().chain(partners).collect()
}
