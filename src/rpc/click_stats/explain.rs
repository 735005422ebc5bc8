//! `ExplainClick`: why a recorded click went where it went.

use jiff::Timestamp;
use uuid::Uuid;

use super::click;
use crate::{
    domain::{
        click::LoggedClick,
        click_id::ClickId,
        fault::{Faults, Problem, Reason},
        link::Link,
        name::{ShopId, Slug},
        revision::Revision,
        shop::Shop,
        visit::{Attribution, ResolveReason},
    },
    index::{
        ClickExplanation, Met, PendingPublish, SharedBy, explain_click,
        replay::{End, Fate},
    },
    proto::{ClickComparison, ClickDifference, ErrorReason, ExplainClickRequest, ExplainClickResponse},
    rpc::{
        caller::{Caller, Scope},
        convert::{Path, choice::Choice, explanation, take},
        status::Failure,
        work::blocking,
    },
    store::Store,
};

/// Explains a click.
pub(super) async fn explain(
    store: &Store,
    caller: Caller,
    request: ExplainClickRequest,
) -> Result<ExplainClickResponse, Failure> {
    let (shop, id) = read(&request)?;
    caller.may(Scope::Stats, Some(&shop))?;
    let Some(found) = store.click(&shop, id).await? else { return Err(no_click(&shop, id)) };
    let at = found.facts.revision;
    let link = match &found.facts.slug {
        Some(slug) => met(store, &shop, slug, at, id.time()).await?,
        None => None,
    };
    let was = store.past_shop(&shop, at).await?;
    // It tells of thousands of conditions.
    blocking(move || answer(found, link.as_ref(), was.as_ref())).await
}

/// A link as a click met it.
struct Version {
    link: Link,
    revision: Revision,
    pending: Option<PendingPublish>,
}

/// Reads the link as an index at a revision answers visits of a time.
async fn met(
    store: &Store,
    shop: &ShopId,
    slug: &Slug,
    at: Revision,
    time: Timestamp,
) -> Result<Option<Version>, Failure> {
    let Some(past) = store.link_revisions(shop, slug, at, 1).await?.into_iter().next() else {
        return Ok(None);
    };
    let ahead = store.version_pending_at(shop, slug, at).await?;
    let pending = ahead.as_ref().map(|ahead| PendingPublish {
        revision: ahead.term.revision,
        effective_time: ahead.term.effective_time,
    });
    Ok(Some(match ahead.filter(|ahead| ahead.term.answers(at, time)) {
        // What the link is in is its own.
        Some(ahead) => {
            let link = Link { state: past.value.state, ..ahead.value };
            Version { link, revision: ahead.term.revision, pending }
        }
        None => Version { link: past.value, revision: past.revision, pending },
    }))
}

fn read(request: &ExplainClickRequest) -> Result<(ShopId, ClickId), Faults> {
    let mut faults = Faults::new();
    let shop = take(ShopId::fold(&request.shop), &Path::root("shop"), &mut faults);
    let id = Uuid::try_parse(&request.click_id).ok().and_then(ClickId::from_uuid);
    let no_id = || match request.click_id.is_empty() {
        true => Problem::required("the click id"),
        false => Problem::new(Reason::Malformed, "the click id is no UUID of version 7"),
    };
    let id = take(id.ok_or_else(no_id), &Path::root("click_id"), &mut faults);
    faults.finish(shop.zip(id))
}

fn no_click(shop: &ShopId, id: ClickId) -> Failure {
    let text = format!(
        "the log has no click `{id}` of the shop `{shop}`: it is on its way, then ask again in a moment, or it is removed"
    );
    Failure::new(ErrorReason::ClickNotFound, text).with("shop", shop).with("click_id", id)
}

fn answer(found: LoggedClick, link: Option<&Version>, shop: Option<&Shop>) -> ExplainClickResponse {
    let fallback = shop.and_then(|shop| shop.settings.fallback_url.as_ref());
    let link =
        link.map(|Version { link, revision, pending }| Met { link, revision: *revision, pending: *pending });
    let mut answer = explain_click(&found, link, fallback, |explained| {
        let differences = differences(&found, explained);
        let (comparison, not_kept) = match &explained.fate {
            Fate::To(_) if differences.is_empty() => (ClickComparison::Same, Vec::new()),
            Fate::Unjudged { missing, .. } if differences.is_empty() => {
                (ClickComparison::NotKept, missing.iter().map(Choice::number).collect())
            }
            Fate::To(_) | Fate::Unjudged { .. } => (ClickComparison::Differs, Vec::new()),
        };
        ExplainClickResponse {
            click: None,
            explanation: Some(explanation::write_click(explained, &found)),
            comparison: comparison.into(),
            differences,
            not_kept,
        }
    });
    answer.click = Some(click::write(found));
    answer
}

/// Returns what differs between what is recorded and what is decided anew.
fn differences(click: &LoggedClick, explained: &ClickExplanation<'_>) -> Vec<ClickDifference> {
    let mut differences = Vec::new();
    let mut compare = |field: &str, recorded: Option<&str>, anew: Option<&str>| {
        let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
        let (recorded, recomputed) = (text(recorded), text(anew));
        if recorded != recomputed {
            differences.push(ClickDifference { field: field.to_owned(), recorded, recomputed });
        }
    };
    let facts = &click.facts;
    let (reason, rule) = match &explained.fate {
        Fate::To(anew) => (anew.reason, anew.rule.as_ref()),
        // Which variant is not known; that it is one of this rule is.
        Fate::Unjudged { rule, .. } => (rule.as_ref().map(|_| ResolveReason::Rule), rule.as_ref()),
    };
    if let Some((then, anew)) = facts.reason.zip(reason) {
        compare("reason", Some(then.as_str()), Some(anew.as_str()));
        // By one of several rules that lead to one page: any of them may be the one that is recorded.
        if rule.is_some() || anew != ResolveReason::Rule {
            compare("rule_id", facts.rule.as_ref().map(|it| it.as_str()), rule.map(|it| it.as_str()));
        }
    }
    if let Fate::To(anew) = &explained.fate {
        let then = End::of(facts);
        if anew.variant.is_some() {
            let id = |end: &End| end.variant.as_ref().map(|it| it.as_str().to_owned());
            compare("variant_id", id(&then).as_deref(), id(anew).as_deref());
        }
        if !then.is_same_page(anew) {
            compare("destination", Some(&then.destination), Some(&anew.destination));
        }
    }
    let not_shared = explained.shared == Some(SharedBy::Nothing);
    if facts.attribution == Some(Attribution::Credited) && not_shared {
        let name = Attribution::NotShared.as_str();
        compare("attribution", facts.attribution.map(|attribution| attribution.as_str()), Some(name));
    }
    differences
}
