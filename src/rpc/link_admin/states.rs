//! The states of links: deleted and undeleted, paused and resumed.

use std::collections::HashSet;

use jiff::Timestamp;

use super::{
    Faults, check_etag,
    findings::{Idle, Review},
    golden::{self, Draft, Golden},
    key,
    links::{deleted, find},
    live_shop, may,
    refusals::{Place, named_at},
    sound,
    stamp::{Stamp, Stamped},
    warnings,
    writes::{References, Writer, blocking, read_pending, retrying, revision_of},
};
use crate::{
    domain::{
        link::{Link, LinkState},
        name::{PartnerCode, ProgramId, ShopId, Slug},
        revision::Comment,
        shop::ShopSettings,
        split::SplitKey,
    },
    proto::{self, ErrorReason, Warning},
    rpc::{caller::Caller, convert::link::write, status::Failure},
    store::{Expect, OnPending, Put, Reference, Store, Write},
};

/// A call that changes the state of a link.
struct Call {
    shop: ShopId,
    slug: Slug,
    etag: String,
    validate_only: bool,
    comment: Comment,
    pending: OnPending,
}

impl Call {
    fn read(
        shop: &str,
        slug: &str,
        etag: String,
        validate_only: bool,
        comment: &str,
        pending: Option<&proto::OnPendingPublish>,
    ) -> Result<Self, Failure> {
        let shop = key(shop, ShopId::fold, "shop")?;
        let slug = key(slug, Slug::fold, "slug")?;
        let comment = key(comment, Comment::parse, "comment")?;
        let mut faults = Faults::new();
        let pending = read_pending(pending, Some(&shop), &mut faults);
        let pending = sound(pending, faults)?;
        Ok(Self { shop, slug, etag, validate_only, comment, pending })
    }
}

/// The link after the call.
struct Changed {
    link: Option<proto::Link>,
    revision: i64,
    warnings: Vec<Warning>,
}

/// Reads what the requests of these calls have in common: they are different types with the same fields.
macro_rules! read_call {
    ($request:ident) => {
        Call::read(
            &$request.shop,
            &$request.slug,
            $request.etag,
            $request.validate_only,
            &$request.comment,
            $request.pending_publish.as_ref(),
        )
    };
}

pub(super) async fn delete(
    store: &Store,
    caller: Caller,
    request: proto::DeleteLinkRequest,
) -> Result<proto::DeleteLinkResponse, Failure> {
    let call = read_call!(request)?;
    let Changed { link, revision, warnings: _ } = change(store, caller, &call, LinkState::Deleted).await?;
    Ok(proto::DeleteLinkResponse { link, revision })
}

pub(super) async fn undelete(
    store: &Store,
    caller: Caller,
    request: proto::UndeleteLinkRequest,
    split_secret: &Option<SplitKey>,
) -> Result<proto::UndeleteLinkResponse, Failure> {
    let call = read_call!(request)?;
    may(caller, &call.shop)?;
    let writer = Writer::new(store, caller, call.validate_only, call.comment.clone())
        .leaving(call.pending.clone())
        .trying(Golden::of(true, split_secret));
    let Changed { link, revision, warnings } = retrying(|| bring_back(store, &writer, &call)).await?;
    Ok(proto::UndeleteLinkResponse { link, revision, warnings })
}

pub(super) async fn pause(
    store: &Store,
    caller: Caller,
    request: proto::PauseLinkRequest,
) -> Result<proto::PauseLinkResponse, Failure> {
    let call = read_call!(request)?;
    let Changed { link, revision, warnings: _ } = change(store, caller, &call, LinkState::Paused).await?;
    Ok(proto::PauseLinkResponse { link, revision })
}

pub(super) async fn resume(
    store: &Store,
    caller: Caller,
    request: proto::ResumeLinkRequest,
) -> Result<proto::ResumeLinkResponse, Failure> {
    let call = read_call!(request)?;
    let Changed { link, revision, warnings: _ } = change(store, caller, &call, LinkState::Active).await?;
    Ok(proto::ResumeLinkResponse { link, revision })
}

/// Changes the state of a link that is not deleted.
async fn change(store: &Store, caller: Caller, call: &Call, to: LinkState) -> Result<Changed, Failure> {
    may(caller, &call.shop)?;
    let writer =
        Writer::new(store, caller, call.validate_only, call.comment.clone()).leaving(call.pending.clone());
    retrying(|| write_state(store, &writer, call, to)).await
}

async fn write_state(
    store: &Store,
    writer: &Writer<'_>,
    call: &Call,
    to: LinkState,
) -> Result<Changed, Failure> {
    live_shop(store, &call.shop).await?;
    let stored = find(store, &call.shop, &call.slug).await?;
    let name = format!("the link `{}`", call.slug);
    if stored.value.state == LinkState::Deleted {
        return Err(deleted(&call.slug));
    }
    if to == LinkState::Deleted && stored.value.is_default {
        let text =
            format!("{name} is the default partner link of its shop and cannot be deleted; pause it instead");
        return Err(Failure::new(ErrorReason::DefaultLink, text).with("slug", &call.slug));
    }
    check_etag(&call.etag, stored.revision, &name)?;
    let stamp = Stamp::of(&stored);
    let is_deleted = to == LinkState::Deleted;
    let link = Link { state: to, ..stored.value };
    let answer = write(&link);
    let put = Write { value: link, expect: Expect::Revision(stored.revision), deleted: is_deleted };
    // What the link names has not changed, so it is not asked whether it is still there.
    let done = writer.commit(vec![Put::Link(put)], References::MayBeMissing, &[Place::Named(&name)]).await?;
    let link = Some(answer.stamped(stamp.after(done, is_deleted)));
    Ok(Changed { link, revision: revision_of(done), warnings: Vec::new() })
}

/// Brings a deleted link back once: active, whatever is wrong with it by now.
async fn bring_back(store: &Store, writer: &Writer<'_>, call: &Call) -> Result<Changed, Failure> {
    let settings = live_shop(store, &call.shop).await?.stored.value.settings;
    let stored = find(store, &call.shop, &call.slug).await?;
    let name = format!("the link `{}`", call.slug);
    if stored.value.state != LinkState::Deleted {
        let text = format!("{name} is not deleted, so it cannot be undeleted");
        return Err(Failure::new(ErrorReason::NotDeleted, text).with("slug", &call.slug));
    }
    check_etag(&call.etag, stored.revision, &name)?;
    let stamp = Stamp::of(&stored);
    let link = Link { state: LinkState::Active, ..stored.value };
    let (tried_by, drafts) =
        (settings.clone(), Draft::of("link", &link, Timestamp::now()).into_iter().collect());
    let (link, mut warnings) = blocking(move || {
        let warnings = of_old_link(&link, &settings);
        (link, warnings)
    })
    .await?;
    let (golden, faults) = (writer.golden(), &mut Faults::new());
    let tried = golden::try_out(store, &call.shop, &tried_by, drafts, golden, faults).await?;
    warnings.extend(tried);
    let missing = missing(store, &call.shop, warnings::references(&link)).await?;
    let answer = write(&link);
    let put = Write { value: link, expect: Expect::Revision(stored.revision), deleted: false };
    let place = Place::Link("link", &answer);
    warnings.extend(missing.iter().map(|gone| of_missing(gone, place)));
    let done = writer.commit(vec![Put::Link(put)], References::MayBeMissing, &[place]).await?;
    let link = Some(answer.stamped(stamp.after(done, false)));
    Ok(Changed { link, revision: revision_of(done), warnings })
}

/// Warns of what would not be taken any more if the link were new.
fn of_old_link(link: &Link, settings: &ShopSettings) -> Vec<Warning> {
    let (path, now) = ("link", Timestamp::now());
    let mut warnings = warnings::of_link(link, path, now);
    warnings.extend(link.check(settings).iter().map(|fault| warnings::of_fault(path, fault)));
    let mut review = Review::new(settings, Idle::Warned, now);
    review.of(path, None, link, &mut Faults::new(), &mut warnings);
    warnings
}

/// Finds those of the names that lead nowhere by now.
pub(super) async fn missing(
    store: &Store,
    shop: &ShopId,
    named: HashSet<Reference>,
) -> Result<Vec<Reference>, Failure> {
    let (mut partners, mut programs, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    for reference in named {
        match reference {
            Reference::Partner(code) => partners.push(code),
            Reference::Program(id) => programs.push(id),
            Reference::Shop(_) => {}
        }
    }
    let mut there = store.get_programs(shop, &programs).await?;
    there.retain(|program| program.delete_time.is_none());
    let there: HashSet<ProgramId> = there.into_iter().map(|program| program.value.id).collect();
    missing.extend(programs.into_iter().filter(|id| !there.contains(id)).map(Reference::Program));
    let mut there = store.get_partners(shop, &partners).await?;
    there.retain(|partner| partner.delete_time.is_none());
    let there: HashSet<PartnerCode> = there.into_iter().map(|partner| partner.value.code).collect();
    missing.extend(partners.into_iter().filter(|code| !there.contains(code)).map(Reference::Partner));
    missing.sort_by_key(Reference::to_string);
    Ok(missing)
}

/// Warns of a name that leads nowhere.
pub(super) fn of_missing(gone: &Reference, place: Place<'_>) -> Warning {
    let text = format!("{gone} does not exist, or is deleted: what names it never matches");
    warnings::warning(named_at(place, gone), text)
}
