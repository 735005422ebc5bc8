//! Finds out who is credited with a visit. A wrong partner never costs the visitor the page.

use std::borrow::Cow;

use super::{
    compile::CompiledLink,
    own::OwnNames,
    snapshot::{PartnerEntry, ShopEntry},
};
use crate::domain::{
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
    let Some(named) = named(own, visit) else { return (None, Attribution::NoPartner) };
    let Some(partner) = shop.partners.get(folded(&named).as_ref()) else {
        return (None, Attribution::UnknownPartner);
    };
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

/// Returns the partner that the visit names, as it was sent and decoded once. A parameter without a value names one
/// that does not exist.
fn named<'a>(own: &OwnNames, visit: &Visit<'a>) -> Option<Cow<'a, str>> {
    if !visit.partner.is_empty() {
        return Some(visit.partner.into());
    }
    if visit.query.is_empty() {
        return None;
    }
    let first = own.partners().iter().find_map(|param| {
        pieces(visit.query).find(|piece| piece.raw_name().is_some_and(|name| param.is_named_by(name)))
    })?;
    Some(first.value().unwrap_or_default())
}

/// Makes ASCII capitals small, as look-ups do.
pub(super) fn folded(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return text.to_ascii_lowercase().into();
    }
    text.into()
}
