//! Requests that many tests begin with.

use smartlinks::proto::{
    CreateLinkRequest, CreateShopRequest, Everyone, Link, Purpose, ResolveRequest, Sharing, Shop,
    UpdateLinkRequest, resolve_request::Site, sharing::With,
};

/// A shop with its links at `{id}.test`.
pub(crate) fn create_shop(id: &str) -> CreateShopRequest {
    let shop = Shop {
        id: id.into(),
        display_name: format!("Shop {id}"),
        base_url: "https://shop.example".into(),
        link_hosts: vec![format!("{id}.test")],
        ..Shop::default()
    };
    CreateShopRequest { shop: Some(shop), ..CreateShopRequest::default() }
}

/// Shared with every partner.
pub(crate) fn everyone() -> Option<Sharing> {
    Some(Sharing { with: Some(With::Everyone(Everyone {})) })
}

/// A link without rules, shared with everyone.
pub(crate) fn link(shop: &str, slug: &str, destination: &str) -> Link {
    Link {
        shop: shop.into(),
        slug: slug.into(),
        display_name: slug.into(),
        default_destination: destination.into(),
        sharing: everyone(),
        ..Link::default()
    }
}

/// Creates such a link.
pub(crate) fn create_link(shop: &str, slug: &str, destination: &str) -> CreateLinkRequest {
    CreateLinkRequest { link: Some(link(shop, slug, destination)), ..CreateLinkRequest::default() }
}

/// Leads a link elsewhere.
pub(crate) fn redirect_link(shop: &str, slug: &str, destination: &str) -> UpdateLinkRequest {
    let link = Link {
        shop: shop.into(),
        slug: slug.into(),
        default_destination: destination.into(),
        ..Link::default()
    };
    let update_mask = Some(prost_types::FieldMask { paths: vec!["default_destination".into()] });
    UpdateLinkRequest { link: Some(link), update_mask, ..UpdateLinkRequest::default() }
}

/// Asks where a link leads.
pub(crate) fn lookup(shop: &str, slug: &str) -> ResolveRequest {
    ResolveRequest {
        purpose: Purpose::Lookup.into(),
        site: Some(Site::Shop(shop.into())),
        slug: slug.into(),
        ..ResolveRequest::default()
    }
}
