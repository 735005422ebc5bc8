//! Finds out who is credited with a visit. A wrong partner never costs the visitor the page.

use std::borrow::Cow;

use super::{
    compile::CompiledLink,
    own::OwnNames,
    snapshot::{PartnerEntry, ShopEntry},
};
use crate::domain::{
    param::OwnParam,
    query::pieces,
    visit::{Attribution, Visit},
};

/// Returns who is credited, and why nobody else.
///
/// Whoever is named first is asked alone: the path, then the shop's parameters in order, of each its first value. A link
/// that does not exist is shared with nobody.
pub(super) fn credit<'a>(
    shop: &'a ShopEntry,
    own: &OwnNames,
    link: Option<&CompiledLink>,
    visit: &Visit<'_>,
) -> (Option<&'a PartnerEntry>, Attribution) {
    let Some((_, named)) = named(own, visit) else { return (None, Attribution::NoPartner) };
    let Some(partner) = find(shop, &named) else { return (None, Attribution::UnknownPartner) };
    let Some(state) = &partner.state else { return (None, Attribution::UnknownPartner) };
    if !state.active {
        return (None, Attribution::InactivePartner);
    }
    let shared = |link: &CompiledLink| link.sharing().includes(&partner.code, state.program.as_ref());
    if !link.is_some_and(shared) {
        return (None, Attribution::NotShared);
    }
    (Some(partner), Attribution::Credited)
}

/// What names a partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedBy<'a> {
    /// The path.
    Path,
    /// The first parameter of the query that may be read as this one of the shop's.
    Parameter(&'a OwnParam),
}

/// Returns the partner that the visit names, as it was sent and decoded once. A parameter without a value names one
/// that does not exist.
pub(super) fn named<'a>(own: &'a OwnNames, visit: &Visit<'a>) -> Option<(NamedBy<'a>, Cow<'a, str>)> {
    if !visit.partner.is_empty() {
        return Some((NamedBy::Path, visit.partner.into()));
    }
    if visit.query.is_empty() {
        return None;
    }
    let (param, first) = own.partners().iter().find_map(|param| {
        let mut found = pieces(visit.query);
        let first = found.find(|piece| piece.raw_name().is_some_and(|name| param.is_named_by(name)))?;
        Some((param, first))
    })?;
    Some((NamedBy::Parameter(param), first.value().unwrap_or_default()))
}

/// Returns the partner with a code or alias, be it deleted.
pub(super) fn find<'a>(shop: &'a ShopEntry, named: &str) -> Option<&'a PartnerEntry> {
    shop.partners.get(folded(named).as_ref()).map(AsRef::as_ref)
}

/// Makes ASCII capitals small, as look-ups do.
pub(super) fn folded(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return text.to_ascii_lowercase().into();
    }
    text.into()
}
