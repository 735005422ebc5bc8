//! Writes answers.

use super::question::Question;
use crate::{
    domain::{
        click_id::ClickId,
        name::Slug,
        visit::{Resolution, Target},
        visitor::VisitorMode,
    },
    proto::ResolveResponse,
    rpc::{convert::choice::Choice, status::Failure},
};

/// Writes where a visit goes, or why nowhere.
pub(super) fn write(
    resolution: Resolution,
    click_id: Option<ClickId>,
    question: &Question<'_>,
) -> Result<ResolveResponse, Failure> {
    let is_click = click_id.is_some();
    let (counted, mode) = (is_click && resolution.counts(), resolution.visitor_mode);
    let Target { location, redirect, reason: why } =
        resolution.to.map_err(|miss| about(miss.into(), question))?;
    let text = |name: Option<&str>| name.map(str::to_owned).unwrap_or_default();
    Ok(ResolveResponse {
        location,
        redirect: redirect.number(),
        reason: why.number(),
        rule_id: text(resolution.rule.as_ref().map(|rule| rule.as_str())),
        partner: text(resolution.partner.as_ref().map(|partner| partner.as_str())),
        attribution: resolution.attribution.number(),
        click_id: click_id.map(|id| id.to_string()).unwrap_or_default(),
        revision: resolution.revision.0,
        shop: resolution.shop.as_str().to_owned(),
        slug: text(resolution.slug.as_ref().map(|slug| slug.as_str())),
        traffic_class: resolution.traffic.number(),
        counted,
        variant_id: text(resolution.variant.as_ref().map(|variant| variant.as_str())),
        set_visitor_cookie: counted && mode == VisitorMode::Cookie && question.offers_cookie(),
    })
}

/// Adds what was asked for. What the caller made up is not repeated: only names that there could be.
pub(super) fn about(mut failure: Failure, question: &Question<'_>) -> Failure {
    if let Some(shop) = question.shop() {
        failure = failure.with("shop", shop);
    }
    match Slug::fold(question.slug()) {
        Ok(slug) => failure.with("slug", slug),
        Err(_) => failure,
    }
}
