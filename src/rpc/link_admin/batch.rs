//! Many links under one revision: all of them or none.

use std::collections::HashSet;

use super::{
    Faults, Path, Problem, Reason,
    findings::Idle,
    golden::Golden,
    link_writes::{self, Change, NewLink, same_shop},
    may, sound,
    writes::{Writer, read_comment, read_pending, read_request_id, revision_of},
};
use crate::{
    domain::{
        limits,
        name::{ShopId, Slug},
        split::SplitKey,
    },
    proto,
    rpc::{
        caller::Caller,
        convert::{policy::at_most, take},
        status::Failure,
    },
    store::Store,
};

pub(super) async fn create(
    store: &Store,
    caller: Caller,
    request: proto::BatchCreateLinksRequest,
    split_secret: &Option<SplitKey>,
) -> Result<proto::BatchCreateLinksResponse, Failure> {
    let mut rest = request.clone();
    let (id, validate_only) = (std::mem::take(&mut rest.request_id), std::mem::take(&mut rest.validate_only));
    let golden = Golden::of(request.allow_failing_golden_clicks, split_secret);
    let mut faults = Faults::new();
    let key = read_request_id(&id, "BatchCreateLinks", &rest, &mut faults);
    let comment = read_comment(&request.comment, &mut faults);
    let read = read_blocking(move |faults| read_new(request, faults).zip(comment), faults).await?;
    let ((shop, new), comment) = read;
    may(caller, &shop)?;
    let writer = Writer::new(store, caller, validate_only, comment)
        .repeatable(key)
        .trying(golden)
        .reviewing(Idle::of(rest.allow_warnings));
    let written = link_writes::create(store, &writer, &shop, new).await?;
    Ok(proto::BatchCreateLinksResponse {
        links: written.links,
        revision: revision_of(written.done),
        warnings: written.warnings,
    })
}

pub(super) async fn update(
    store: &Store,
    caller: Caller,
    request: proto::BatchUpdateLinksRequest,
    split_secret: &Option<SplitKey>,
) -> Result<proto::BatchUpdateLinksResponse, Failure> {
    let validate_only = request.validate_only;
    let golden = Golden::of(request.allow_failing_golden_clicks, split_secret);
    let idle = Idle::of(request.allow_warnings);
    let mut faults = Faults::new();
    let comment = read_comment(&request.comment, &mut faults);
    let shop = take(ShopId::fold(&request.shop), &Path::root("shop"), &mut faults);
    let pending = read_pending(request.pending_publish.as_ref(), shop.as_ref(), &mut faults);
    let updates = request.updates;
    let read = move |faults: &mut Faults| read_changes(shop, updates, faults).zip(comment.zip(pending));
    let ((shop, changes), (comment, pending)) = read_blocking(read, faults).await?;
    may(caller, &shop)?;
    let writer =
        Writer::new(store, caller, validate_only, comment).leaving(pending).trying(golden).reviewing(idle);
    let written = link_writes::update(store, &writer, &shop, changes).await?;
    Ok(proto::BatchUpdateLinksResponse {
        links: written.links,
        revision: revision_of(written.done),
        warnings: written.warnings,
    })
}

/// Reads a batch without holding up the thread: it may hold thousands of rules.
pub(super) async fn read_blocking<T: Send + 'static>(
    read: impl FnOnce(&mut Faults) -> Option<T> + Send + 'static,
    mut faults: Faults,
) -> Result<T, Failure> {
    let (read, faults) = super::writes::blocking(move || (read(&mut faults), faults)).await?;
    sound(read, faults)
}

fn read_new(request: proto::BatchCreateLinksRequest, faults: &mut Faults) -> Option<(ShopId, Vec<NewLink>)> {
    let shop = take(ShopId::fold(&request.shop), &Path::root("shop"), faults);
    check_size(request.links.len(), "links", faults)?;
    let (shop, count) = (shop?, request.links.len());
    let wires = request.links.into_iter().enumerate();
    let new = wires.filter_map(|(at, wire)| NewLink::read(format!("links[{at}]"), wire, Some(&shop), faults));
    let new: Vec<NewLink> = new.collect();
    let slugs = new.iter().map(|new| &new.link.slug);
    check_once(slugs, |at| format!("links[{at}].slug"), faults);
    (new.len() == count).then_some((shop, new))
}

/// Reads changes of links of a shop.
pub(super) fn read_changes(
    shop: Option<ShopId>,
    updates: Vec<proto::LinkUpdate>,
    faults: &mut Faults,
) -> Option<(ShopId, Vec<Change>)> {
    check_size(updates.len(), "updates", faults)?;
    let (shop, count) = (shop?, updates.len());
    let updates = updates.into_iter().enumerate();
    let changes: Vec<Change> =
        updates.filter_map(|(at, update)| read_change(at, update, &shop, faults)).collect();
    check_once(changes.iter().map(|change| &change.slug), |at| format!("updates[{at}].link.slug"), faults);
    (changes.len() == count).then_some((shop, changes))
}

fn read_change(at: usize, update: proto::LinkUpdate, shop: &ShopId, faults: &mut Faults) -> Option<Change> {
    let path = format!("updates[{at}].link");
    let Some(wire) = update.link else {
        faults.add(path, Problem::required("the link"));
        return None;
    };
    same_shop(&wire, shop, &Path::root(&path), faults);
    let mask = (update.update_mask, format!("updates[{at}].update_mask"));
    Change::read(path, wire, mask, Some(shop), faults)
}

/// Checks that there is something in a batch and not too much.
fn check_size(size: usize, field: &str, faults: &mut Faults) -> Option<()> {
    if size == 0 {
        faults.add(field, Problem::required("a link"));
        return None;
    }
    at_most(size, limits::BATCH, &Path::root(field), faults);
    (size <= limits::BATCH).then_some(())
}

/// Checks that no link stands twice.
fn check_once<'a>(
    slugs: impl Iterator<Item = &'a Slug>,
    path: impl Fn(usize) -> String,
    faults: &mut Faults,
) {
    let mut seen = HashSet::new();
    for (at, slug) in slugs.enumerate() {
        if !seen.insert(slug) {
            let text = format!("the link `{slug}` stands twice in the batch");
            faults.add(path(at), Problem::new(Reason::Duplicate, text));
        }
    }
}
