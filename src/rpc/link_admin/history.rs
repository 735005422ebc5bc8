//! What links and partners were.

use jiff::Timestamp;

use super::{
    Faults, Path, Problem, Reason,
    links::find,
    live_shop, may,
    pages::Page,
    partners::no_partner,
    publishes::no_publish,
    sound,
    stamp::{Stamp, Stamped},
    writes::blocking,
};
use crate::{
    domain::{
        link::{Link, LinkState},
        name::{PartnerCode, ShopId, Slug},
        revision::Revision,
    },
    proto::{
        self, ErrorReason,
        diff::{Comparable, Difference},
    },
    rpc::{
        caller::Caller,
        convert::{changes, link::write, take, time},
        status::Failure,
    },
    store::{Membership, Past, PublishKey, Store},
};

/// Revisions that are read at once: a link may be large, and all of it is in each of them.
const CHUNK: usize = 4;

pub(super) async fn list(
    store: &Store,
    caller: Caller,
    request: proto::ListLinkRevisionsRequest,
) -> Result<proto::ListLinkRevisionsResponse, Failure> {
    let mut faults = Faults::new();
    let page = Page::read(
        "link_revisions",
        &request,
        |list| (&mut list.page_size, &mut list.page_token),
        &mut faults,
    );
    let shop = take(ShopId::fold(&request.shop), &Path::root("shop"), &mut faults);
    let slug = take(Slug::fold(&request.slug), &Path::root("slug"), &mut faults);
    let ((shop, slug), page) = sound(shop.zip(slug).zip(page), faults)?;
    may(caller, &shop)?;
    live_shop(store, &shop).await?;
    find(store, &shop, &slug).await?;
    let (shop, slug) = (&shop, &slug);
    let read = |after, limit| async move { read_before(store, shop, slug, after, limit).await };
    let cursor = |written: &proto::LinkRevision| Revision(written.revision);
    let (revisions, next_page_token) = page.collect(read, cursor, Some).await?;
    Ok(proto::ListLinkRevisionsResponse { revisions, next_page_token })
}

pub(super) async fn get(
    store: &Store,
    caller: Caller,
    request: proto::GetLinkRevisionRequest,
) -> Result<proto::GetLinkRevisionResponse, Failure> {
    let mut faults = Faults::new();
    let shop = take(ShopId::fold(&request.shop), &Path::root("shop"), &mut faults);
    let slug = take(Slug::fold(&request.slug), &Path::root("slug"), &mut faults);
    let ahead = request.publish != 0;
    let (at, field) = if ahead { (request.publish, "publish") } else { (request.revision, "revision") };
    let at = read_revision(at, field, &mut faults);
    let other = request.compare_with.map(|number| read_revision(number, "compare_with", &mut faults));
    let ((shop, slug), at) = sound(shop.zip(slug).zip(at), faults)?;
    may(caller, &shop)?;
    live_shop(store, &shop).await?;
    let now = find(store, &shop, &slug).await?;
    // The link as it was, and behind it what the write that left it so found.
    let rows = match ahead {
        true => published(store, &shop, &slug, at).await?,
        false => store.link_revisions(&shop, &slug, at, 2).await?,
    };
    let old = match other.flatten() {
        Some(other) => Some(at_revision(store, &shop, &slug, other).await?.value),
        None => None,
    };
    let answer = blocking(move || write_past(&rows, old.as_ref(), now.create_time)).await??;
    answer.ok_or_else(|| no_revision(&slug, at))
}

/// Reads the link as a publish makes it, and behind it how it was when that was committed.
async fn published(
    store: &Store,
    shop: &ShopId,
    slug: &Slug,
    id: Revision,
) -> Result<Vec<Past<Link>>, Failure> {
    let key = PublishKey { shop: shop.clone(), id };
    let ahead = store.versions_ahead(shop, slug, Some(id), 1).await?.pop();
    let (ahead, publish) = ahead.zip(store.get_publish(&key).await?).ok_or_else(|| no_publish(&key))?;
    let mut rows = vec![Past {
        value: ahead.value,
        revision: id,
        time: publish.create_time,
        actor: publish.actor,
        comment: publish.comment,
        publish: Some(id),
    }];
    let before = Revision(id.0.saturating_sub(1));
    rows.extend(store.link_revisions(shop, slug, before, 1).await?);
    Ok(rows)
}

/// Writes the first of some revisions, with what differs in it from how the link was at another one.
fn write_past(
    rows: &[Past<Link>],
    old: Option<&Link>,
    create_time: Timestamp,
) -> Result<Option<proto::GetLinkRevisionResponse>, Failure> {
    let Some(past) = rows.first() else { return Ok(None) };
    let stamp = Stamp {
        revision: past.revision,
        create_time: Some(create_time),
        update_time: Some(past.time),
        delete_time: (past.value.state == LinkState::Deleted).then_some(past.time),
    };
    // An etag is of what can be written.
    let link = proto::Link { etag: String::new(), ..write(&past.value).stamped(stamp) };
    let differences = old.map(|old| differences(old, &past.value)).transpose()?.unwrap_or_default();
    let (changes, change_count) = changes::write(differences);
    let revision = write_revisions(rows, 1)?.into_iter().next();
    Ok(Some(proto::GetLinkRevisionResponse { link: Some(link), revision, changes, change_count }))
}

pub(super) async fn partner_programs(
    store: &Store,
    caller: Caller,
    request: proto::ListPartnerProgramsRequest,
) -> Result<proto::ListPartnerProgramsResponse, Failure> {
    let mut faults = Faults::new();
    let page = Page::read(
        "partner_programs",
        &request,
        |list| (&mut list.page_size, &mut list.page_token),
        &mut faults,
    );
    let shop = take(ShopId::fold(&request.shop), &Path::root("shop"), &mut faults);
    let code = take(PartnerCode::fold(&request.partner), &Path::root("partner"), &mut faults);
    let ((shop, code), page) = sound(shop.zip(code).zip(page), faults)?;
    may(caller, &shop)?;
    live_shop(store, &shop).await?;
    let partner = store.get_partner(&shop, &code).await?.ok_or_else(|| no_partner(&shop, &code))?;
    let (shop, code) = (&shop, &partner.value.code);
    let read = |after: Option<Revision>, limit| async move {
        Ok(store.partner_programs(shop, code, after, limit).await?)
    };
    let cursor = |row: &Membership| row.start_revision;
    let (programs, next_page_token) = page.collect(read, cursor, |row| Some(write_membership(row))).await?;
    Ok(proto::ListPartnerProgramsResponse { programs, next_page_token })
}

/// Reads the number of a revision that was committed.
pub(super) fn read_revision(number: i64, field: &str, faults: &mut Faults) -> Option<Revision> {
    if number <= 0 {
        let text = format!("{number} is no revision; they begin with 1");
        faults.add(field, Problem::new(Reason::OutOfRange, text));
        return None;
    }
    Some(Revision(number))
}

/// Returns a link as it was at a revision.
pub(super) async fn at_revision(
    store: &Store,
    shop: &ShopId,
    slug: &Slug,
    at: Revision,
) -> Result<Past<Link>, Failure> {
    let mut rows = store.link_revisions(shop, slug, at, 1).await?;
    rows.pop().ok_or_else(|| no_revision(slug, at))
}

fn no_revision(slug: &Slug, at: Revision) -> Failure {
    let text = format!("there was no link `{slug}` at revision {at}: it was made later");
    Failure::new(ErrorReason::RevisionNotFound, text).with("slug", slug).with("revision", at)
}

/// Returns what differs in a link from an older state of it. How many it is shared with follows from who they are.
pub(super) fn differences(old: &Link, new: &Link) -> Result<Vec<Difference>, Failure> {
    Ok(comparable(new)?.since(&comparable(old)?))
}

fn comparable(link: &Link) -> Result<Comparable, Failure> {
    let message = proto::Link { sharing_summary: None, ..write(link) };
    Comparable::of("smartlinks.v1.Link", &message).map_err(|error| Failure::internal(error.as_ref()))
}

/// Reads revisions older than one, newest first, a few at a time.
async fn read_before(
    store: &Store,
    shop: &ShopId,
    slug: &Slug,
    before: Option<Revision>,
    limit: usize,
) -> Result<Vec<proto::LinkRevision>, Failure> {
    let mut up_to = before.map_or(Revision(i64::MAX), |before| Revision(before.0.saturating_sub(1)));
    let mut found = Vec::new();
    while found.len() < limit {
        let wanted = (limit - found.len()).min(CHUNK);
        // One more is what the oldest of them is compared with.
        let rows = store.link_revisions(shop, slug, up_to, wanted + 1).await?;
        let is_end = rows.len() <= wanted;
        found.extend(blocking(move || write_revisions(&rows, wanted)).await??);
        match found.last() {
            Some(last) if !is_end => up_to = Revision(last.revision - 1),
            Some(_) | None => break,
        }
    }
    Ok(found)
}

/// Writes the first of some revisions, newest first, each compared with the one behind it; what has none behind it made
/// the link.
fn write_revisions(rows: &[Past<Link>], wanted: usize) -> Result<Vec<proto::LinkRevision>, Failure> {
    // Two of them at a time: each is a link as a tree.
    let mut comparables = rows.iter().map(|row| comparable(&row.value));
    let mut written = Vec::new();
    let mut newer = comparables.next().transpose()?;
    for row in rows.iter().take(wanted) {
        let older = comparables.next().transpose()?;
        let differences = match (&newer, &older) {
            (Some(newer), Some(older)) => newer.since(older),
            (Some(_) | None, _) => Vec::new(),
        };
        let (changed_fields, changed_count) = changes::write_paths(differences);
        written.push(proto::LinkRevision {
            revision: row.revision.0,
            write_time: Some(time::write(row.time)),
            actor: row.actor.clone(),
            comment: row.comment.clone(),
            created: older.is_none(),
            deleted: row.value.state == LinkState::Deleted,
            changed_fields,
            changed_count,
            publish: row.publish.map_or(0, |publish| publish.0),
        });
        newer = older;
    }
    Ok(written)
}

fn write_membership(row: Membership) -> proto::PartnerProgram {
    proto::PartnerProgram {
        program: row.program.map(String::from).unwrap_or_default(),
        start_revision: row.start_revision.0,
        start_time: Some(time::write(row.start_time)),
        actor: row.actor,
        comment: row.comment,
        end_revision: row.end.map(|(revision, _)| revision.0).unwrap_or_default(),
        end_time: row.end.map(|(_, end)| time::write(end)),
    }
}
