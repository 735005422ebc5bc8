//! Puts together what is remembered of a click. The visitor's address and query are not.

use std::borrow::Cow;

use crate::{
    classify::{language, referrer},
    domain::{
        click::{Click, Counters},
        click_id::ClickId,
        name::Slug,
        visit::{Kept, Resolution, Visit},
    },
};

/// Returns what is remembered of a visit with this id.
pub(super) fn of(id: ClickId, visit: &Visit<'_>, resolution: &Resolution, kept: Kept) -> Click {
    let headers = visit.headers;
    let Kept { program, destination, traffic_why } = kept;
    Click {
        id,
        shop: resolution.shop.clone(),
        slug: resolution.slug.clone().or_else(|| Slug::fold(visit.slug).ok()),
        revision: resolution.revision,
        channel: visit.channel,
        reason: resolution.reason(),
        rule: resolution.rule.clone(),
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
        visitor: None,
        sub_ids: Vec::new(),
        counters: Counters::default(),
    }
}
