//! Shops.

use super::{
    Faults, Path, check_etag, key, live_shop, may, message,
    pages::Page,
    refusals::Place,
    sound,
    stamp::{Stamp, Stamped},
    warnings,
    writes::{References, Writer, read_comment, read_request_id, retrying, revision_of},
};
use crate::{
    domain::{
        destination::Destination,
        link::{Description, Link, LinkState, Routing, Sharing},
        name::{DisplayName, ShopId, Slug},
        revision::Comment,
        shop::Shop,
    },
    proto,
    rpc::{
        caller::{Caller, Scope},
        convert::{
            mask::Fields,
            shop::{self, ShopEdit},
            take,
        },
        status::Failure,
    },
    store::{Expect, Put, Store, StoredShop, Write},
};

/// The slug of a default partner link unless told otherwise.
const DEFAULT_LINK: &str = "home";
/// The name of a default partner link; it can be changed like that of any link.
const DEFAULT_LINK_NAME: &str = "Home page";

pub(super) async fn create(
    store: &Store,
    caller: Caller,
    request: proto::CreateShopRequest,
) -> Result<proto::CreateShopResponse, Failure> {
    let mut rest = request.clone();
    let (id, validate_only) = (std::mem::take(&mut rest.request_id), std::mem::take(&mut rest.validate_only));
    let wire = message(request.shop, "shop")?;
    let mut faults = Faults::new();
    let key = read_request_id(&id, "CreateShop", &rest, &mut faults);
    let new = read_new(&wire, &request.default_link_slug, &mut faults);
    let comment = read_comment(&request.comment, &mut faults);
    let ((shop, link), comment) = sound(new.zip(comment), faults)?;
    may(caller, &shop.id)?;

    let warnings = warnings::of_retention(store, &shop.settings).await?;
    let answer = write(&shop, &link.slug);
    let created_at = async { Ok(store.get_shop(&shop.id).await?.map(|shop| shop.stored.create_time)) };
    let puts = [Put::Shop(new_put(shop.clone())), Put::Link(new_put(link))];
    let writer = Writer::new(store, caller, validate_only, comment).repeatable(key);
    let place = Place::Shop("shop", &wire);
    let done = writer.create(async { Ok(puts.into()) }, created_at, &[place, place]).await?;
    let shop = Some(answer.stamped(Stamp::new(done)));
    Ok(proto::CreateShopResponse { shop, revision: revision_of(done), warnings })
}

pub(super) async fn get(
    store: &Store,
    caller: Caller,
    request: proto::GetShopRequest,
) -> Result<proto::GetShopResponse, Failure> {
    let id = key(&request.shop, ShopId::fold, "shop")?;
    may(caller, &id)?;
    let shop = live_shop(store, &id).await?;
    Ok(proto::GetShopResponse { shop: Some(write_stored(&shop)) })
}

pub(super) async fn list(
    store: &Store,
    caller: Caller,
    request: proto::ListShopsRequest,
) -> Result<proto::ListShopsResponse, Failure> {
    let mut faults = Faults::new();
    let page = Page::read("shops", &request, |list| (&mut list.page_size, &mut list.page_token), &mut faults);
    let page = sound(page, faults)?;
    caller.may(Scope::Admin, None)?;
    let read = |after: Option<ShopId>, limit| async move {
        Ok(store.list_shops(after.as_ref(), limit, request.show_deleted).await?)
    };
    let cursor = |row: &StoredShop| row.stored.value.id.clone();
    let (shops, next_page_token) = page.collect(read, cursor, |row| Some(write_stored(&row))).await?;
    Ok(proto::ListShopsResponse { shops, next_page_token })
}

pub(super) async fn update(
    store: &Store,
    caller: Caller,
    request: proto::UpdateShopRequest,
) -> Result<proto::UpdateShopResponse, Failure> {
    let wire = message(request.shop, "shop")?;
    let (mut faults, path) = (Faults::new(), Path::root("shop"));
    let mask = request.update_mask.as_ref();
    let fields = Fields::read(mask, &wire, &shop::FIELDS, &Path::root("update_mask"), &mut faults);
    let id = take(ShopId::fold(&wire.id), &path.field("id"), &mut faults);
    let edit = ShopEdit::read(&wire, &fields, &path, &mut faults);
    if let Some(id) = &id {
        super::immutable_if_named(mask, "id", &wire.id, id.as_str(), &path, &mut faults);
    }
    let comment = read_comment(&request.comment, &mut faults);
    let (id, comment) = sound(id.zip(comment), faults)?;
    may(caller, &id)?;
    let writer = Writer::new(store, caller, request.validate_only, comment);
    retrying(|| write_edit(store, &writer, &id, &wire, &edit)).await
}

pub(super) async fn delete(
    store: &Store,
    caller: Caller,
    request: proto::DeleteShopRequest,
) -> Result<proto::DeleteShopResponse, Failure> {
    let id = key(&request.shop, ShopId::fold, "shop")?;
    let comment = key(&request.comment, Comment::parse, "comment")?;
    may(caller, &id)?;
    let references = if request.force { References::MayBeMissing } else { References::Live };
    let name = format!("the shop `{id}`");
    let writer = Writer::new(store, caller, request.validate_only, comment);
    retrying(|| async {
        let StoredShop { stored, default_link } = live_shop(store, &id).await?;
        check_etag(&request.etag, stored.revision, &name)?;
        let stamp = Stamp::of(&stored);
        let answer = write(&stored.value, &default_link);
        let put = Write { value: stored.value, expect: Expect::Revision(stored.revision), deleted: true };
        let done = writer.commit(vec![Put::Shop(put)], references, &[Place::Named(&name)]).await?;
        let shop = Some(answer.stamped(stamp.after(done, true)));
        Ok(proto::DeleteShopResponse { shop, revision: revision_of(done) })
    })
    .await
}

/// Edits, checks and writes a shop once.
async fn write_edit(
    store: &Store,
    writer: &Writer<'_>,
    id: &ShopId,
    wire: &proto::Shop,
    edit: &ShopEdit,
) -> Result<proto::UpdateShopResponse, Failure> {
    let StoredShop { stored, default_link } = live_shop(store, id).await?;
    check_etag(&wire.etag, stored.revision, &format!("the shop `{id}`"))?;
    let stamp = Stamp::of(&stored);
    let mut shop = stored.value.clone();
    edit.apply(&mut shop);
    let mut faults = Faults::new();
    Path::root("shop").adopt(shop.settings.check(), &mut faults);
    sound(Some(()), faults)?;
    let mut warnings = warnings::of_shop(store, id, &stored.value.settings, &shop.settings).await?;
    warnings.extend(warnings::of_retention(store, &shop.settings).await?);
    let answer = write(&shop, &default_link);
    let put = Write { value: shop, expect: Expect::Revision(stored.revision), deleted: false };
    let done = writer.commit(vec![Put::Shop(put)], References::Live, &[Place::Shop("shop", wire)]).await?;
    let shop = Some(answer.stamped(stamp.after(done, false)));
    Ok(proto::UpdateShopResponse { shop, revision: revision_of(done), warnings })
}

/// Reads a new shop and makes its default partner link.
fn read_new(wire: &proto::Shop, default_link: &str, faults: &mut Faults) -> Option<(Shop, Link)> {
    let path = Path::root("shop");
    let id = take(ShopId::parse(&wire.id), &path.field("id"), faults);
    let edit = ShopEdit::read(wire, &Fields::all(&shop::FIELDS), &path, faults);
    let slug = if default_link.is_empty() { DEFAULT_LINK } else { default_link };
    let slug = take(Slug::parse(slug), &Path::root("default_link_slug"), faults);
    let shop = edit.create(id?)?;
    path.adopt(shop.settings.check(), faults);
    let link = default_link_of(&shop.id, slug?, faults)?;
    Some((shop, link))
}

/// Makes the default partner link of a shop: to the home page, shared with everyone.
fn default_link_of(shop: &ShopId, slug: Slug, faults: &mut Faults) -> Option<Link> {
    let path = Path::root("default_link_slug");
    Some(Link {
        shop: shop.clone(),
        slug,
        is_default: true,
        display_name: take(DisplayName::parse(DEFAULT_LINK_NAME), &path, faults)?,
        description: Description::default(),
        tags: Vec::new(),
        state: LinkState::Active,
        sharing: Sharing::Everyone,
        routing: Routing::to(take(Destination::parse(""), &path, faults)?),
        golden_clicks: Vec::new(),
    })
}

/// Puts an object under a name that was never used.
pub(super) fn new_put<T>(value: T) -> Write<T> {
    Write { value, expect: Expect::New, deleted: false }
}

fn write(shop: &Shop, default_link: &Slug) -> proto::Shop {
    proto::Shop { default_link: default_link.to_string(), ..shop::write(shop) }
}

fn write_stored(row: &StoredShop) -> proto::Shop {
    write(&row.stored.value, &row.default_link).stamped(Stamp::of(&row.stored))
}
