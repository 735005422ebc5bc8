//! Links made again what they were.

use jiff::Timestamp;

use super::{
    Faults, Path, check_etag,
    findings::{Idle, Review},
    golden::{self, Draft, Golden},
    history::{at_revision, differences, read_revision},
    links::{deleted, find},
    live_shop, may,
    refusals::Place,
    sound,
    stamp::{Stamp, Stamped},
    states::{missing, of_missing},
    warnings,
    writes::{References, Writer, blocking, read_comment, read_pending, retrying, revision_of},
};
use crate::{
    domain::{
        fault::Fault,
        link::{Link, LinkState},
        name::{ShopId, Slug},
        revision::Revision,
        shop::ShopSettings,
        split::SplitKey,
    },
    proto::{self, Warning},
    rpc::{
        caller::Caller,
        convert::{changes, link::write, take},
        status::Failure,
    },
    store::{Expect, Put, Store, Write},
};

/// What is asked for.
struct Call {
    shop: ShopId,
    slug: Slug,
    to: Revision,
    etag: String,
}

pub(super) async fn rollback(
    store: &Store,
    caller: Caller,
    request: proto::RollbackLinkRequest,
    split_secret: &Option<SplitKey>,
) -> Result<proto::RollbackLinkResponse, Failure> {
    let mut faults = Faults::new();
    let shop = take(ShopId::fold(&request.shop), &Path::root("shop"), &mut faults);
    let slug = take(Slug::fold(&request.slug), &Path::root("slug"), &mut faults);
    let to = read_revision(request.revision, "revision", &mut faults);
    let comment = read_comment(&request.comment, &mut faults);
    let pending = read_pending(request.pending_publish.as_ref(), shop.as_ref(), &mut faults);
    let read = sound(shop.zip(slug).zip(to).zip(comment.zip(pending)), faults)?;
    let (((shop, slug), to), (comment, pending)) = read;
    may(caller, &shop)?;
    let writer = Writer::new(store, caller, request.validate_only, comment)
        .leaving(pending)
        .trying(Golden::of(request.allow_failing_golden_clicks, split_secret))
        .reviewing(Idle::of(request.allow_warnings));
    let call = Call { shop, slug, to, etag: request.etag };
    retrying(|| write_back(store, &writer, &call)).await
}

/// Writes the link as it was, once.
async fn write_back(
    store: &Store,
    writer: &Writer<'_>,
    call: &Call,
) -> Result<proto::RollbackLinkResponse, Failure> {
    let settings = live_shop(store, &call.shop).await?.stored.value.settings;
    let stored = find(store, &call.shop, &call.slug).await?;
    if stored.value.state == LinkState::Deleted {
        return Err(deleted(&call.slug));
    }
    check_etag(&call.etag, stored.revision, &format!("the link `{}`", call.slug))?;
    let old = at_revision(store, &call.shop, &call.slug, call.to).await?.value;
    let (stamp, revision) = (Stamp::of(&stored), stored.revision);
    let (tried_by, idle) = (settings.clone(), writer.idle());
    let back = blocking(move || roll_back(&stored.value, &old, &settings, idle)).await??;
    let Back { link, draft, mut faults, mut warnings, changes, change_count } = back;
    let drafts = draft.into_iter().collect();
    let tried = golden::try_out(store, &call.shop, &tried_by, drafts, writer.golden(), &mut faults).await?;
    warnings.extend(tried);
    sound(Some(()), faults)?;

    let missing = missing(store, &call.shop, warnings::references(&link)).await?;
    let answer = write(&link);
    let place = Place::Link("link", &answer);
    warnings.extend(missing.iter().map(|gone| of_missing(gone, place)));
    let put = Write { value: link, expect: Expect::Revision(revision), deleted: false };
    let done = writer.commit(vec![Put::Link(put)], References::MayBeMissing, &[place]).await?;
    let link = Some(answer.stamped(stamp.after(done, false)));
    Ok(proto::RollbackLinkResponse { link, revision: revision_of(done), warnings, changes, change_count })
}

/// A link that was made again what it was, and what is to be said about it.
struct Back {
    link: Link,
    /// With its golden clicks, if it has some and can be asked.
    draft: Option<Draft>,
    faults: Faults,
    warnings: Vec<Warning>,
    changes: Vec<proto::FieldChange>,
    change_count: i32,
}

fn roll_back(now: &Link, old: &Link, settings: &ShopSettings, idle: Idle) -> Result<Back, Failure> {
    let link = now.rolled_back(old);
    let time = Timestamp::now();
    let mut warnings = warnings::of_link(&link, "link", time);
    warnings.extend(of_state(now.state, old.state));
    let (mut new, present) = (Faults::new(), now.check(settings));
    for fault in link.check(settings).iter() {
        // What is wrong with the link as it is, too, is not of this write's making.
        if present.iter().any(|there| there == fault) {
            warnings.push(warnings::of_fault("link", fault));
        } else {
            new.extend(Fault::clone(fault).into());
        }
    }
    let mut draft = None;
    if new.is_empty() {
        Review::new(settings, idle, time).of("link", Some(now), &link, &mut new, &mut warnings);
        draft = Draft::of("link", &link, time);
    }
    let mut faults = Faults::new();
    Path::root("link").adopt(new, &mut faults);
    let (changes, change_count) = changes::write(differences(now, &link)?);
    Ok(Back { link, draft, faults, warnings, changes, change_count })
}

/// Says that the link was switched otherwise then.
fn of_state(now: LinkState, then: LinkState) -> Option<Warning> {
    let name = |state| match state {
        LinkState::Active => "active",
        LinkState::Paused => "paused",
        LinkState::Deleted => "deleted",
    };
    let text = format!("the link was {} at that revision and stays {}", name(then), name(now));
    (now != then).then(|| warnings::warning("link.state", text))
}
