//! Puts together what is remembered of a click. The visitor's address and query are not.

use std::borrow::Cow;

use jiff::tz::TimeZone;

use crate::{
    classify::{language, referrer},
    domain::{
        click::{Click, VisitorKey},
        click_id::ClickId,
        name::Slug,
        visit::{Kept, Resolution, Visit},
        visitor::{SealedKey, VisitorMode},
    },
    visitors::{self, VisitorKeys},
};

/// Returns what is remembered of a visit with this id; `keys` are those of the days.
pub(super) fn of(
    id: ClickId,
    visit: &Visit<'_>,
    resolution: &Resolution,
    kept: Kept,
    keys: &VisitorKeys,
    sealed: &[SealedKey],
) -> Click {
    let headers = visit.headers;
    let Kept { program, destination, traffic_why, sub_ids, counters } = kept;
    Click {
        id,
        shop: resolution.shop.clone(),
        slug: resolution.slug.clone().or_else(|| Slug::fold(visit.slug).ok()),
        revision: resolution.revision,
        channel: visit.channel,
        reason: resolution.reason(),
        rule: resolution.rule.clone(),
        variant: resolution.variant.clone(),
        destination,
        partner: resolution.partner.clone(),
        program,
        attribution: resolution.attribution,
        traffic: resolution.traffic,
        traffic_why,
        country: visit.country.known(),
        device: visit.agent.device.known(),
        os: visit.agent.os.known(),
        browser: visit.agent.browser.known(),
        language: language::first(headers.and_then(|headers| headers.accept_language)),
        referrer: referrer::host(headers.and_then(|headers| headers.referer), headers.is_some())
            .map(Cow::into_owned),
        visitor: visitor(visit, resolution, keys, sealed),
        sub_ids,
        counters,
    }
}

/// Returns what tells the visitor from others, as far as the mode allows and what is known suffices.
fn visitor(
    visit: &Visit<'_>,
    resolution: &Resolution,
    keys: &VisitorKeys,
    sealed: &[SealedKey],
) -> Option<VisitorKey> {
    match resolution.visitor_mode {
        VisitorMode::None => None,
        VisitorMode::Daily => {
            let day = visit.time.to_zoned(TimeZone::UTC).date();
            let sealed = sealed.iter().find(|key| key.day == day)?;
            let user_agent = visit.headers.and_then(|headers| headers.user_agent).unwrap_or_default();
            keys.of_day(sealed, &resolution.shop, visit.address.known()?, user_agent)
        }
        VisitorMode::Cookie => {
            let id = visit.visitor.map(|visitor| visitor.id).filter(|id| !id.is_empty())?;
            Some(visitors::by_id(&resolution.shop, id))
        }
    }
}
