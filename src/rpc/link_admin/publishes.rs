//! Publishes: many links changed together, now or at a time.

use jiff::{RoundMode, Timestamp, TimestampRound, ToSpan, Unit};

use super::{
    Faults, Path, Problem, Reason,
    batch::{read_blocking, read_changes},
    findings::Idle,
    golden::Golden,
    key, link_writes, live_shop, may,
    pages::Page,
    refusals::{not_pending, passed},
    sound,
    writes::{References, Writer, read_comment, read_pending, read_request_id, revision_of},
};
use crate::{
    domain::{
        limits,
        name::{ShopId, Slug},
        revision::{Comment, Revision},
        split::SplitKey,
    },
    proto::{self, ErrorReason},
    rpc::{
        caller::Caller,
        click_stats::members,
        convert::{choice::Choice, take, time},
        status::Failure,
    },
    store::{
        ListPublishes, OnPending, Publish, PublishEnd, PublishKey, PublishState, PublishTime, PublishedLink,
        Store,
    },
};

pub(super) async fn create(
    store: &Store,
    caller: Caller,
    request: proto::CreatePublishRequest,
    split_secret: &Option<SplitKey>,
) -> Result<proto::CreatePublishResponse, Failure> {
    let mut rest = request.clone();
    let (id, validate_only) = (std::mem::take(&mut rest.request_id), std::mem::take(&mut rest.validate_only));
    let mut faults = Faults::new();
    let request_key = read_request_id(&id, "CreatePublish", &rest, &mut faults);
    let comment = read_comment(&request.comment, &mut faults);
    let shop = take(ShopId::fold(&request.shop), &Path::root("shop"), &mut faults);
    let pending = read_pending(request.pending_publish.as_ref(), shop.as_ref(), &mut faults);
    let read =
        move |faults: &mut Faults| read_changes(shop, request.updates, faults).zip(comment.zip(pending));
    // A repetition may come when its time has passed.
    let time = read_time(request.effective_time.as_ref(), &mut faults);
    let ((shop, changes), (comment, pending)) = read_blocking(read, faults).await?;
    may(caller, &shop)?;
    let writer = Writer::new(store, caller, validate_only, comment)
        .repeatable(request_key)
        .leaving(pending)
        .trying(Golden::of(rest.allow_failing_golden_clicks, split_secret))
        .reviewing(Idle::of(rest.allow_warnings));
    if let Some(id) = writer.repeated().await? {
        return repeated(store, PublishKey { shop, id }).await;
    }
    let time = check_time(time)?;
    let writer = writer.publishing(time);
    let mut slugs: Vec<String> = changes.iter().map(|change| change.slug.to_string()).collect();
    slugs.sort_unstable();
    let written = match link_writes::update(store, &writer, &shop, changes).await {
        Ok(written) => written,
        // The same request may have come twice at the same time.
        Err(failure) => match writer.repeated().await? {
            Some(id) => return repeated(store, PublishKey { shop, id }).await,
            None => return Err(failure),
        },
    };
    let publish = match written.done {
        Some(done) => load(store, &PublishKey { shop, id: done.revision }).await?,
        None => draft(&shop, slugs, writer.effective_time(), time),
    };
    let (links, warnings) = (written.links, written.warnings);
    Ok(proto::CreatePublishResponse {
        publish: Some(publish),
        revision: revision_of(written.done),
        warnings,
        links,
    })
}

pub(super) async fn get(
    store: &Store,
    caller: Caller,
    request: proto::GetPublishRequest,
) -> Result<proto::GetPublishResponse, Failure> {
    let shop = key(&request.shop, ShopId::fold, "shop")?;
    may(caller, &shop)?;
    live_shop(store, &shop).await?;
    let publish = load(store, &PublishKey { shop, id: Revision(request.id) }).await?;
    Ok(proto::GetPublishResponse { publish: Some(publish) })
}

pub(super) async fn list(
    store: &Store,
    caller: Caller,
    request: proto::ListPublishesRequest,
) -> Result<proto::ListPublishesResponse, Failure> {
    let mut faults = Faults::new();
    let page =
        Page::read("publishes", &request, |list| (&mut list.page_size, &mut list.page_token), &mut faults);
    let shop = take(ShopId::fold(&request.shop), &Path::root("shop"), &mut faults);
    let states: Option<Vec<PublishState>> = members(&request.states, &Path::root("states"), &mut faults);
    let slug = match request.slug.as_str() {
        "" => Some(None),
        slug => take(Slug::fold(slug), &Path::root("slug"), &mut faults).map(Some),
    };
    let ((page, shop), (states, slug)) = sound(page.zip(shop).zip(states.zip(slug)), faults)?;
    may(caller, &shop)?;
    live_shop(store, &shop).await?;
    let list = ListPublishes { shop, states, slug, before: None, limit: 0 };
    let read = |before, limit| {
        let list = ListPublishes { before, limit, ..list.clone() };
        async move { Ok(store.list_publishes(&list).await?) }
    };
    let cursor = |publish: &Publish| publish.key.id;
    let write = |publish: Publish| Some(write(publish, Vec::new()));
    let (publishes, next_page_token) = page.collect(read, cursor, write).await?;
    Ok(proto::ListPublishesResponse { publishes, next_page_token })
}

pub(super) async fn cancel(
    store: &Store,
    caller: Caller,
    request: proto::CancelPublishRequest,
) -> Result<proto::CancelPublishResponse, Failure> {
    let shop = key(&request.shop, ShopId::fold, "shop")?;
    let comment = key(&request.comment, Comment::parse, "comment")?;
    may(caller, &shop)?;
    live_shop(store, &shop).await?;
    let key = PublishKey { shop, id: Revision(request.id) };
    let publish = store.get_publish(&key).await?.ok_or_else(|| no_publish(&key))?;
    if publish.state != PublishState::Pending {
        return Err(not_pending());
    }
    let writer =
        Writer::new(store, caller, request.validate_only, comment).leaving(OnPending::Cancel(key.clone()));
    let done = writer.commit(Vec::new(), References::Live, &[]).await?;
    let publish = Some(load(store, &key).await?);
    Ok(proto::CancelPublishResponse { publish, revision: revision_of(done) })
}

/// Reads when a publish is to take effect.
fn read_time(wire: Option<&prost_types::Timestamp>, faults: &mut Faults) -> Option<Timestamp> {
    let time = time::read(wire?, &Path::root("effective_time"), faults)?;
    // No finer than PostgreSQL keeps it: every server has to know the same.
    let whole = TimestampRound::new().smallest(Unit::Microsecond).mode(RoundMode::Floor);
    Some(time.round(whole).unwrap_or(time))
}

/// Refuses times that nobody means.
fn check_time(time: Option<Timestamp>) -> Result<PublishTime, Failure> {
    let Some(time) = time else { return Ok(PublishTime::Now) };
    let (now, most) = (Timestamp::now(), i64::from(limits::PUBLISH_DAYS));
    if time <= now {
        return Err(passed(time).into());
    }
    if time > now.saturating_add((most * 24).hours()).unwrap_or(Timestamp::MAX) {
        let text = format!("{time} is more than {most} days ahead");
        return Err(Problem::new(Reason::OutOfRange, text).at("effective_time").into());
    }
    Ok(PublishTime::At(time))
}

/// Answers a request again.
async fn repeated(store: &Store, key: PublishKey) -> Result<proto::CreatePublishResponse, Failure> {
    let publish = Some(load(store, &key).await?);
    let (warnings, links) = (Vec::new(), Vec::new());
    Ok(proto::CreatePublishResponse { publish, revision: key.id.0, warnings, links })
}

/// Says what a publish would be.
fn draft(shop: &ShopId, slugs: Vec<String>, at: Timestamp, publish: PublishTime) -> proto::Publish {
    let state = match publish {
        PublishTime::Now => PublishState::Effective,
        PublishTime::At(_) => PublishState::Pending,
    };
    proto::Publish {
        shop: shop.to_string(),
        state: state.number(),
        effective_time: Some(time::write(at)),
        link_count: i32::try_from(slugs.len()).unwrap_or(i32::MAX),
        links: slugs.into_iter().map(|slug| proto::PublishedLink { slug, previous_revision: 0 }).collect(),
        ..proto::Publish::default()
    }
}

/// Reads a publish with its links.
async fn load(store: &Store, key: &PublishKey) -> Result<proto::Publish, Failure> {
    let publish = store.get_publish(key).await?.ok_or_else(|| no_publish(key))?;
    Ok(write(publish, store.published_links(key).await?))
}

/// Says that there is no such publish.
pub(super) fn no_publish(key: &PublishKey) -> Failure {
    let PublishKey { shop, id } = key;
    let text = format!("the shop `{shop}` has no publish {id}, or none of this link");
    Failure::new(ErrorReason::PublishNotFound, text).with("publish", id)
}

fn write(publish: Publish, links: Vec<PublishedLink>) -> proto::Publish {
    let links = links.into_iter().map(|link| proto::PublishedLink {
        slug: link.slug.to_string(),
        previous_revision: link.previous_revision.0,
    });
    let end = publish.end.as_ref();
    let of_end = |text: fn(&PublishEnd) -> &String| end.map(text).cloned().unwrap_or_default();
    proto::Publish {
        shop: publish.key.shop.to_string(),
        id: publish.key.id.0,
        state: publish.state.number(),
        effective_time: Some(time::write(publish.effective_time)),
        create_time: Some(time::write(publish.create_time)),
        link_count: publish.links,
        links: links.collect(),
        end_revision: end.map_or(0, |end| end.revision.0),
        end_time: end.map(|end| time::write(end.time)),
        end_actor: of_end(|end| &end.actor),
        end_comment: of_end(|end| &end.comment),
        actor: publish.actor,
        comment: publish.comment,
    }
}
