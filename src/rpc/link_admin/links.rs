//! Links: created, read, listed, changed.

use super::{
    Faults, Path,
    findings::Idle,
    golden::Golden,
    key,
    link_writes::{self, Change, NewLink},
    live_shop, may, message,
    pages::Page,
    sound,
    stamp::{Stamp, Stamped},
    writes::{Writer, read_comment, read_pending, read_request_id, revision_of},
};
use crate::{
    domain::{
        link::{Link, Sharing},
        name::{PartnerCode, ProgramId, ShopId, Slug, Tag},
        split::SplitKey,
    },
    proto::{self, ErrorReason},
    rpc::{
        caller::Caller,
        convert::{
            self,
            link::{read_state, write},
            take, texts,
        },
        status::Failure,
    },
    store::{LinkCursor, LinkFilter, LinkOrder, ListLinks, ListedLink, Store, Stored},
};

pub(super) async fn create(
    store: &Store,
    caller: Caller,
    request: proto::CreateLinkRequest,
    split_secret: &Option<SplitKey>,
) -> Result<proto::CreateLinkResponse, Failure> {
    let mut rest = request.clone();
    let (id, validate_only) = (std::mem::take(&mut rest.request_id), std::mem::take(&mut rest.validate_only));
    let golden = Golden::of(request.allow_failing_golden_clicks, split_secret);
    let wire = message(request.link, "link")?;
    let mut faults = Faults::new();
    let key = read_request_id(&id, "CreateLink", &rest, &mut faults);
    let new = NewLink::read("link".to_owned(), wire, None, &mut faults);
    let comment = read_comment(&request.comment, &mut faults);
    let (new, comment) = sound(new.zip(comment), faults)?;
    let shop = new.link.shop.clone();
    may(caller, &shop)?;
    let writer = Writer::new(store, caller, validate_only, comment)
        .repeatable(key)
        .trying(golden)
        .reviewing(Idle::of(rest.allow_warnings));
    let written = link_writes::create(store, &writer, &shop, vec![new]).await?;
    Ok(proto::CreateLinkResponse {
        link: written.links.into_iter().next(),
        revision: revision_of(written.done),
        warnings: written.warnings,
    })
}

pub(super) async fn get(
    store: &Store,
    caller: Caller,
    request: proto::GetLinkRequest,
) -> Result<proto::GetLinkResponse, Failure> {
    let shop = key(&request.shop, ShopId::fold, "shop")?;
    let slug = key(&request.slug, Slug::fold, "slug")?;
    may(caller, &shop)?;
    live_shop(store, &shop).await?;
    let link = find(store, &shop, &slug).await?;
    Ok(proto::GetLinkResponse { link: Some(write_stored(&link)) })
}

pub(super) async fn list(
    store: &Store,
    caller: Caller,
    request: proto::ListLinksRequest,
) -> Result<proto::ListLinksResponse, Failure> {
    let mut faults = Faults::new();
    let page = Page::read("links", &request, |list| (&mut list.page_size, &mut list.page_token), &mut faults);
    let shop = take(ShopId::fold(&request.shop), &Path::root("shop"), &mut faults);
    let order = read_order(request.order, &mut faults);
    let page = page
        .zip(order)
        .and_then(|(page, order)| page.checked(|after: &LinkCursor| after.fits(order), &mut faults));
    let filter = read_filter(request, &mut faults);
    let read = page.zip(shop).zip(order.zip(filter));
    let ((page, shop), (order, filter)) = sound(read, faults)?;
    may(caller, &shop)?;
    live_shop(store, &shop).await?;
    let (shop, filter) = (&shop, &filter);
    let read = |after: Option<LinkCursor>, limit| async move {
        let list = ListLinks { shop: shop.clone(), filter: filter.clone(), order, after, limit };
        Ok(store.list_links(&list).await?)
    };
    let cursor = |row: &Stored<ListedLink>| LinkCursor::after(order, row);
    let (links, next_page_token) = page.collect(read, cursor, |row| Some(write_listed(row))).await?;
    Ok(proto::ListLinksResponse { links, next_page_token })
}

pub(super) async fn update(
    store: &Store,
    caller: Caller,
    request: proto::UpdateLinkRequest,
    split_secret: &Option<SplitKey>,
) -> Result<proto::UpdateLinkResponse, Failure> {
    let golden = Golden::of(request.allow_failing_golden_clicks, split_secret);
    let idle = Idle::of(request.allow_warnings);
    let wire = message(request.link, "link")?;
    let mut faults = Faults::new();
    let shop = take(ShopId::fold(&wire.shop), &Path::root("link").field("shop"), &mut faults);
    let mask = (request.update_mask, "update_mask".to_owned());
    let change = Change::read("link".to_owned(), wire, mask, shop.as_ref(), &mut faults);
    let comment = read_comment(&request.comment, &mut faults);
    let pending = read_pending(request.pending_publish.as_ref(), shop.as_ref(), &mut faults);
    let (((shop, change), comment), pending) = sound(shop.zip(change).zip(comment).zip(pending), faults)?;
    may(caller, &shop)?;
    let writer = Writer::new(store, caller, request.validate_only, comment)
        .leaving(pending)
        .trying(golden)
        .reviewing(idle);
    let written = link_writes::update(store, &writer, &shop, vec![change]).await?;
    Ok(proto::UpdateLinkResponse {
        link: written.links.into_iter().next(),
        revision: revision_of(written.done),
        warnings: written.warnings,
    })
}

/// Reads a link, be it deleted.
pub(super) async fn find(store: &Store, shop: &ShopId, slug: &Slug) -> Result<Stored<Link>, Failure> {
    store.get_link(shop, slug).await?.ok_or_else(|| no_link(shop, slug))
}

/// Says that there is no such link.
pub(super) fn no_link(shop: &ShopId, slug: &Slug) -> Failure {
    Failure::new(ErrorReason::LinkNotFound, format!("the shop `{shop}` has no link `{slug}`"))
        .with("slug", slug)
}

/// Says that a link has to be undeleted first.
pub(super) fn deleted(slug: &Slug) -> Failure {
    let text = format!("the link `{slug}` is deleted; undelete it first");
    Failure::new(ErrorReason::Deleted, text).with("slug", slug)
}

/// Writes a link with its stamp.
pub(super) fn write_stored(row: &Stored<Link>) -> proto::Link {
    write(&row.value).stamped(Stamp::of(row))
}

/// Writes a link for a list: with the number of those it is shared with instead of their names.
pub(super) fn write_listed(row: Stored<ListedLink>) -> proto::Link {
    let stamp = Stamp::of(&row);
    let ListedLink { shop, slug, is_default, display_name, description, tags, state, sharing, routing } =
        row.value;
    let count = |entries: usize| i32::try_from(entries).unwrap_or(i32::MAX);
    let summary = proto::SharingSummary {
        everyone: sharing.everyone,
        partners: count(sharing.partners),
        programs: count(sharing.programs),
    };
    // The names and golden clicks are not there to be written; nobody sees this sharing.
    let sharing = Sharing::selected(Vec::new(), Vec::new());
    let golden_clicks = Vec::new();
    let link = Link {
        shop,
        slug,
        is_default,
        display_name,
        description,
        tags,
        state,
        sharing,
        routing,
        golden_clicks,
    };
    proto::Link { sharing: None, sharing_summary: Some(summary), ..write(&link) }.stamped(stamp)
}

fn read_order(number: i32, faults: &mut Faults) -> Option<LinkOrder> {
    let order = convert::enumerated(number, "order of links", &Path::root("order"), faults)?;
    Some(match order {
        proto::LinkOrder::Unspecified | proto::LinkOrder::Slug => LinkOrder::Slug,
        proto::LinkOrder::DisplayName => LinkOrder::DisplayName,
        proto::LinkOrder::Newest => LinkOrder::Newest,
        proto::LinkOrder::LastWritten => LinkOrder::LastWritten,
    })
}

fn read_filter(request: proto::ListLinksRequest, faults: &mut Faults) -> Option<LinkFilter> {
    let states = convert::list(&request.states, &Path::root("states"), faults, |state, at, faults| {
        read_state(*state, at, faults)
    });
    let tags = texts(&request.tags, &Path::root("tags"), faults, Tag::fold);
    let partner = match request.shared_with_partner.as_str() {
        "" => Some(None),
        code => take(PartnerCode::fold(code), &Path::root("shared_with_partner"), faults).map(Some),
    };
    let program = match request.shared_with_program.as_str() {
        "" => Some(None),
        id => take(ProgramId::fold(id), &Path::root("shared_with_program"), faults).map(Some),
    };
    let search = super::read_search(request.search, faults);
    Some(LinkFilter {
        states: states?,
        tags: tags?,
        search: search?,
        shared_with_partner: partner?,
        shared_with_program: program?,
    })
}
