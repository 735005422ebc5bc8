//! Whom links are shared with.

use super::{
    Faults, Path, check_etag,
    links::{deleted, find, no_link},
    live_shop, may,
    pages::Page,
    refusals::Place,
    sound,
    stamp::{Stamp, Stamped},
    writes::{References, Writer, read_comment, read_pending, retrying, revision_of},
};
use crate::{
    domain::{
        link::{Link, LinkState, Sharing},
        name::{PartnerCode, ProgramId, ShopId, Slug},
        revision::Comment,
    },
    proto::{self, ErrorReason, sharing::With},
    rpc::{
        caller::Caller,
        convert::{
            link::{read_selected, read_sharing, write},
            required, take,
        },
        status::Failure,
    },
    store::{Expect, OnPending, Put, SharingChange, Store, Write},
};

/// Names of those who gain or lose that an answer holds.
const NAMED: usize = 1_000;

/// A call that changes whom a link is shared with.
struct Call {
    shop: ShopId,
    slug: Slug,
    etag: String,
    /// Where the names stand in the request.
    path: &'static str,
    /// The names as the caller wrote them.
    names: proto::Selected,
    comment: Comment,
    pending: OnPending,
}

/// A link after the call, and whom it concerns.
struct Changed {
    link: Option<proto::Link>,
    revision: i64,
    change: SharingChange,
}

pub(super) async fn share(
    store: &Store,
    caller: Caller,
    request: proto::ShareLinkRequest,
) -> Result<proto::ShareLinkResponse, Failure> {
    let (call, add) = read_share(&request)?;
    may(caller, &call.shop)?;
    let writer =
        Writer::new(store, caller, request.validate_only, call.comment.clone()).leaving(call.pending.clone());
    let wider =
        |sharing: &Sharing| if request.replace { Ok(add.clone()) } else { joined(sharing, &add, &call.slug) };
    let changed = retrying(|| change(store, &writer, &call, wider)).await?;
    let Changed { link, revision, change } = changed;
    Ok(proto::ShareLinkResponse {
        link,
        revision,
        gain_count: count(change.gain_count),
        gains: names(change.gains),
        loss_count: count(change.loss_count),
        losses: names(change.losses),
    })
}

pub(super) async fn unshare(
    store: &Store,
    caller: Caller,
    request: proto::UnshareLinkRequest,
) -> Result<proto::UnshareLinkResponse, Failure> {
    let (call, partners, programs) = read_unshare(&request)?;
    may(caller, &call.shop)?;
    let writer =
        Writer::new(store, caller, request.validate_only, call.comment.clone()).leaving(call.pending.clone());
    let less = |sharing: &Sharing| without(sharing, &partners, &programs, &call.slug);
    let Changed { link, revision, change } = retrying(|| change(store, &writer, &call, less)).await?;
    Ok(proto::UnshareLinkResponse {
        link,
        revision,
        gain_count: count(change.gain_count),
        gains: names(change.gains),
        loss_count: count(change.loss_count),
        losses: names(change.losses),
    })
}

pub(super) async fn list(
    store: &Store,
    caller: Caller,
    request: proto::ListLinkSharingRequest,
) -> Result<proto::ListLinkSharingResponse, Failure> {
    let mut faults = Faults::new();
    let page =
        Page::read("link_sharing", &request, |list| (&mut list.page_size, &mut list.page_token), &mut faults);
    let shop = take(ShopId::fold(&request.shop), &Path::root("shop"), &mut faults);
    let slug = take(Slug::fold(&request.slug), &Path::root("slug"), &mut faults);
    let (page, (shop, slug)) = sound(page.zip(shop.zip(slug)), faults)?;
    may(caller, &shop)?;
    live_shop(store, &shop).await?;
    let (shop, slug) = (&shop, &slug);
    let head = store.link_sharing(shop, slug, None, 1).await?.ok_or_else(|| no_link(shop, slug))?;
    let programs = if page.is_first() { head.programs } else { Vec::new() };
    let read = |after: Option<PartnerCode>, limit| async move {
        let page = store.link_sharing(shop, slug, after.as_ref(), limit).await?;
        Ok(page.map(|page| page.partners).unwrap_or_default())
    };
    let (partners, next_page_token) =
        page.collect(read, PartnerCode::clone, |code| Some(code.to_string())).await?;
    let programs = programs.iter().map(ProgramId::to_string).collect();
    Ok(proto::ListLinkSharingResponse { everyone: head.everyone, programs, partners, next_page_token })
}

/// Changes whom a link is shared with, once.
async fn change(
    store: &Store,
    writer: &Writer<'_>,
    call: &Call,
    edit: impl Fn(&Sharing) -> Result<Sharing, Failure>,
) -> Result<Changed, Failure> {
    live_shop(store, &call.shop).await?;
    let stored = find(store, &call.shop, &call.slug).await?;
    if stored.value.state == LinkState::Deleted {
        return Err(deleted(&call.slug));
    }
    check_etag(&call.etag, stored.revision, &format!("the link `{}`", call.slug))?;
    let sharing = edit(&stored.value.sharing)?;
    check_size(&sharing, call)?;
    let concerned = store.sharing_change(&call.shop, &stored.value.sharing, &sharing, NAMED).await?;
    let stamp = Stamp::of(&stored);
    let expect = Expect::Revision(stored.revision);
    let link = Link { sharing, ..stored.value };
    let answer = write(&link);
    let put = Put::Link(Write { value: link, expect, deleted: false });
    let place = Place::Selected(call.path, &call.names);
    let done = writer.commit(vec![put], References::Live, &[place]).await?;
    let link = Some(answer.stamped(stamp.after(done, false)));
    Ok(Changed { link, revision: revision_of(done), change: concerned })
}

/// Checks that the names are not too many, together with those that were there.
fn check_size(sharing: &Sharing, call: &Call) -> Result<(), Failure> {
    let (mut found, mut faults) = (Faults::new(), Faults::new());
    sharing.check(&mut found);
    for fault in found.iter() {
        let below = fault.path.trim_start_matches("sharing.selected");
        faults.add(format!("{}{below}", call.path), fault.problem.clone());
    }
    sound(Some(()), faults)
}

/// Returns the sharing with more names, or with everyone. Nobody may lose the link by it.
fn joined(sharing: &Sharing, add: &Sharing, slug: &Slug) -> Result<Sharing, Failure> {
    match (sharing, add) {
        (Sharing::Selected { partners, programs }, Sharing::Selected { partners: more, programs: also }) => {
            let partners = partners.iter().chain(more).cloned().collect();
            let programs = programs.iter().chain(also).cloned().collect();
            Ok(Sharing::selected(partners, programs))
        }
        (_, Sharing::Everyone) => Ok(Sharing::Everyone),
        (Sharing::Everyone, Sharing::Selected { .. }) => {
            let text = format!(
                "the link `{slug}` is shared with everyone; to share it with these alone, so that all others lose it, \
                 set `replace`"
            );
            Err(Failure::new(ErrorReason::SharedWithEveryone, text).with("slug", slug))
        }
    }
}

/// Returns the sharing without some names; those that are not there are no fault.
fn without(
    sharing: &Sharing,
    partners: &[PartnerCode],
    programs: &[ProgramId],
    slug: &Slug,
) -> Result<Sharing, Failure> {
    let Sharing::Selected { partners: shared, programs: shared_programs } = sharing else {
        let text = format!(
            "the link `{slug}` is shared with everyone; share it with those who are to keep it first (ShareLink with \
             `replace`)"
        );
        return Err(Failure::new(ErrorReason::SharedWithEveryone, text).with("slug", slug));
    };
    let partners = shared.iter().filter(|code| !partners.contains(code)).cloned().collect();
    let programs = shared_programs.iter().filter(|id| !programs.contains(id)).cloned().collect();
    Ok(Sharing::selected(partners, programs))
}

fn read_share(request: &proto::ShareLinkRequest) -> Result<(Call, Sharing), Failure> {
    let (mut faults, path) = (Faults::new(), Path::root("sharing"));
    let add = required(request.sharing.as_ref(), "whom the link is to be shared with", &path, &mut faults)
        .and_then(|wire| read_sharing(wire, &path, &mut faults));
    let names = match request.sharing.as_ref().and_then(|sharing| sharing.with.as_ref()) {
        Some(With::Selected(selected)) => selected.clone(),
        Some(With::Everyone(_)) | None => proto::Selected::default(),
    };
    let keys = read_keys(&request.shop, &request.slug, &mut faults);
    let comment = read_comment(&request.comment, &mut faults);
    let shop = keys.as_ref().map(|(shop, _)| shop);
    let pending = read_pending(request.pending_publish.as_ref(), shop, &mut faults);
    let read = sound(keys.zip(add).zip(comment.zip(pending)), faults)?;
    let (((shop, slug), add), (comment, pending)) = read;
    let (etag, path) = (request.etag.clone(), "sharing.selected");
    Ok((Call { shop, slug, etag, path, names, comment, pending }, add))
}

fn read_unshare(
    request: &proto::UnshareLinkRequest,
) -> Result<(Call, Vec<PartnerCode>, Vec<ProgramId>), Failure> {
    let (mut faults, path) = (Faults::new(), Path::root("remove"));
    let remove = required(request.remove.as_ref(), "from whom the link is to be taken", &path, &mut faults)
        .and_then(|wire| read_selected(wire, &path, &mut faults));
    let keys = read_keys(&request.shop, &request.slug, &mut faults);
    let comment = read_comment(&request.comment, &mut faults);
    let shop = keys.as_ref().map(|(shop, _)| shop);
    let pending = read_pending(request.pending_publish.as_ref(), shop, &mut faults);
    let read = sound(keys.zip(remove).zip(comment.zip(pending)), faults)?;
    let (((shop, slug), (partners, programs)), (comment, pending)) = read;
    let (names, etag) = (request.remove.clone().unwrap_or_default(), request.etag.clone());
    Ok((Call { shop, slug, etag, path: "remove", names, comment, pending }, partners, programs))
}

fn read_keys(shop: &str, slug: &str, faults: &mut Faults) -> Option<(ShopId, Slug)> {
    let shop = take(ShopId::fold(shop), &Path::root("shop"), faults);
    let slug = take(Slug::fold(slug), &Path::root("slug"), faults);
    shop.zip(slug)
}

fn count(partners: usize) -> i32 {
    i32::try_from(partners).unwrap_or(i32::MAX)
}

fn names(codes: Vec<PartnerCode>) -> Vec<String> {
    codes.into_iter().map(String::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(partners: &[&str], programs: &[&str]) -> Sharing {
        let partners = partners.iter().map(|code| PartnerCode::parse(code).unwrap()).collect();
        let programs = programs.iter().map(|id| ProgramId::parse(id).unwrap()).collect();
        Sharing::selected(partners, programs)
    }

    #[test]
    fn names_come_on_top_of_names_and_never_in_place_of_everyone() {
        let slug = Slug::parse("sale").unwrap();
        let joined = |sharing: &Sharing, add: &Sharing| {
            joined(sharing, add, &slug).map_err(|failure| failure.reason())
        };
        let add = selected(&["b", "a"], &["gold"]);
        assert_eq!(joined(&selected(&["c", "a"], &[]), &add), Ok(selected(&["a", "b", "c"], &["gold"])));
        assert_eq!(joined(&Sharing::Everyone, &add), Err(ErrorReason::SharedWithEveryone));
        assert_eq!(joined(&add, &Sharing::Everyone), Ok(Sharing::Everyone));
        assert_eq!(joined(&Sharing::Everyone, &Sharing::Everyone), Ok(Sharing::Everyone));
    }

    #[test]
    fn names_are_taken_away_from_names_alone() {
        let slug = Slug::parse("sale").unwrap();
        let Sharing::Selected { partners, programs } = selected(&["b", "z"], &["gold"]) else {
            unreachable!()
        };
        let left = without(&selected(&["a", "b"], &["gold", "silver"]), &partners, &programs, &slug);
        assert_eq!(left.unwrap(), selected(&["a"], &["silver"]));
        let refused = without(&Sharing::Everyone, &partners, &programs, &slug).unwrap_err();
        assert_eq!(refused.reason(), ErrorReason::SharedWithEveryone);
    }
}
