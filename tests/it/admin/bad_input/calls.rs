//! Everything that is asked of links besides making one.

use smartlinks::proto::{self};
use tonic::Code;

use super::{
    Case,
    requests::{batch, case, update_link},
};
use crate::admin::fixture::{everyone, link, mask, names, rule, selected};

pub(super) fn all(token: &str) -> Vec<Case> {
    vec![
        case(
            "link missing",
            proto::CreateLinkRequest::default().into(),
            Code::InvalidArgument,
            "REQUIRED",
            "link",
        ),
        case(
            "no such link",
            proto::GetLinkRequest { shop: "acme".into(), slug: "nope".into() }.into(),
            Code::NotFound,
            "LINK_NOT_FOUND",
            "",
        ),
        case(
            "link of no such shop",
            proto::GetLinkRequest { shop: "nope".into(), slug: "sale".into() }.into(),
            Code::NotFound,
            "SHOP_NOT_FOUND",
            "",
        ),
        case(
            "foreign page token",
            proto::ListLinksRequest {
                shop: "acme".into(),
                page_token: token.to_owned(),
                ..Default::default()
            }
            .into(),
            Code::InvalidArgument,
            "INVALID_PAGE_TOKEN",
            "page_token",
        ),
        case(
            "unknown state in a filter",
            proto::ListLinksRequest { shop: "acme".into(), states: vec![1, 7], ..Default::default() }.into(),
            Code::InvalidArgument,
            "UNKNOWN_VALUE",
            "states[1]",
        ),
        case(
            "unknown order",
            proto::ListLinksRequest { shop: "acme".into(), order: 77, ..Default::default() }.into(),
            Code::InvalidArgument,
            "UNKNOWN_VALUE",
            "order",
        ),
        case(
            "update of no such link",
            update_link(&[], |link| link.slug = "nope".into()),
            Code::NotFound,
            "LINK_NOT_FOUND",
            "",
        ),
        case(
            "update of a deleted link",
            update_link(&[], |link| link.slug = "deleted".into()),
            Code::FailedPrecondition,
            "DELETED",
            "",
        ),
        case(
            "update with a stale etag",
            update_link(&[], |link| link.etag = "\"r1\"".into()),
            Code::Aborted,
            "STALE_ETAG",
            "",
        ),
        case(
            "update with an etag that is none",
            update_link(&[], |link| link.etag = "*".into()),
            Code::Aborted,
            "STALE_ETAG",
            "",
        ),
        case(
            "update changes the slug",
            update_link(&["slug"], |link| link.slug = "SALE".into()),
            Code::InvalidArgument,
            "IMMUTABLE",
            "link.slug",
        ),
        case(
            "update changes the shop",
            update_link(&["shop"], |link| link.shop = "ACME".into()),
            Code::InvalidArgument,
            "IMMUTABLE",
            "link.shop",
        ),
        case(
            "update names the state",
            update_link(&["state"], |_| {}),
            Code::InvalidArgument,
            "UNKNOWN_FIELD",
            "update_mask.paths[0]",
        ),
        case(
            "update names a part of a rule",
            update_link(&["rules.id"], |_| {}),
            Code::InvalidArgument,
            "UNKNOWN_FIELD",
            "update_mask.paths[0]",
        ),
        case(
            "update names one UTM value",
            update_link(&["utm.source"], |_| {}),
            Code::InvalidArgument,
            "UNKNOWN_FIELD",
            "update_mask.paths[0]",
        ),
        case(
            "update names all and more",
            update_link(&["*", "tags"], |_| {}),
            Code::InvalidArgument,
            "UNKNOWN_FIELD",
            "update_mask.paths[0]",
        ),
        case(
            "update of everything without sharing",
            update_link(&["*"], |link| link.sharing = None),
            Code::InvalidArgument,
            "REQUIRED",
            "link.sharing",
        ),
        case(
            "update drops the name",
            update_link(&["display_name"], |link| link.display_name.clear()),
            Code::InvalidArgument,
            "REQUIRED",
            "link.display_name",
        ),
        case(
            "update brings a rule back",
            update_link(&["rules"], |link| link.rules = vec![rule("de", "DE"), rule("at", "AT")]),
            Code::InvalidArgument,
            "DUPLICATE",
            "link.rules[1].id",
        ),
        case(
            "delete of the default link",
            proto::DeleteLinkRequest { shop: "acme".into(), slug: "home".into(), ..Default::default() }
                .into(),
            Code::FailedPrecondition,
            "DEFAULT_LINK",
            "",
        ),
        case(
            "delete of a deleted link",
            proto::DeleteLinkRequest { shop: "acme".into(), slug: "deleted".into(), ..Default::default() }
                .into(),
            Code::FailedPrecondition,
            "DELETED",
            "",
        ),
        case(
            "undelete of a link that is there",
            proto::UndeleteLinkRequest { shop: "acme".into(), slug: "sale".into(), ..Default::default() }
                .into(),
            Code::FailedPrecondition,
            "NOT_DELETED",
            "",
        ),
        case(
            "pause of a deleted link",
            proto::PauseLinkRequest { shop: "acme".into(), slug: "deleted".into(), ..Default::default() }
                .into(),
            Code::FailedPrecondition,
            "DELETED",
            "",
        ),
        case(
            "sharing without saying with whom",
            proto::ShareLinkRequest { shop: "acme".into(), slug: "sale".into(), ..Default::default() }.into(),
            Code::InvalidArgument,
            "REQUIRED",
            "sharing",
        ),
        case(
            "sharing a deleted link",
            proto::ShareLinkRequest {
                shop: "acme".into(),
                slug: "deleted".into(),
                sharing: Some(everyone()),
                ..Default::default()
            }
            .into(),
            Code::FailedPrecondition,
            "DELETED",
            "",
        ),
        case(
            "sharing a link with someone unknown",
            proto::ShareLinkRequest {
                shop: "acme".into(),
                slug: "sale".into(),
                sharing: Some(selected(&["bert", "anna", "nope"], &[])),
                replace: true,
                ..Default::default()
            }
            .into(),
            Code::InvalidArgument,
            "UNKNOWN_REFERENCE",
            "sharing.selected.partners[2]",
        ),
        case(
            "unsharing from nobody",
            proto::UnshareLinkRequest { shop: "acme".into(), slug: "sale".into(), ..Default::default() }
                .into(),
            Code::InvalidArgument,
            "REQUIRED",
            "remove",
        ),
        case(
            "unsharing what everyone has",
            proto::UnshareLinkRequest {
                shop: "acme".into(),
                slug: "sale".into(),
                remove: Some(names(&["anna"], &[])),
                ..Default::default()
            }
            .into(),
            Code::FailedPrecondition,
            "SHARED_WITH_EVERYONE",
            "",
        ),
        case(
            "portal of someone unknown",
            proto::ListPartnerLinksRequest {
                shop: "acme".into(),
                partner: "nope".into(),
                ..Default::default()
            }
            .into(),
            Code::NotFound,
            "PARTNER_NOT_FOUND",
            "",
        ),
        case("batch of nothing", batch(vec![]), Code::InvalidArgument, "REQUIRED", "links"),
        case(
            "batch of 1,001",
            batch((0..1_001).map(|at| link(&format!("b{at}"))).collect()),
            Code::InvalidArgument,
            "TOO_LONG",
            "links",
        ),
        case(
            "batch with a slug twice",
            batch(vec![link("b1"), link("b2"), link("b1")]),
            Code::InvalidArgument,
            "DUPLICATE",
            "links[2].slug",
        ),
        case(
            "batch with a link of another shop",
            batch(vec![link("b1"), proto::Link { shop: "other".into(), ..link("b2") }]),
            Code::InvalidArgument,
            "CONFLICT",
            "links[1].shop",
        ),
        case(
            "batch with a slug that is taken",
            batch(vec![link("b1"), link("sale")]),
            Code::AlreadyExists,
            "ALREADY_EXISTS",
            "links[1].slug",
        ),
        case(
            "batch with a foreign host",
            batch(vec![
                link("b1"),
                proto::Link { default_destination: "https://evil.example".into(), ..link("b2") },
            ]),
            Code::InvalidArgument,
            "UNSAFE_DESTINATION",
            "links[1].default_destination",
        ),
        case(
            "batch update without a link",
            proto::BatchUpdateLinksRequest {
                shop: "acme".into(),
                updates: vec![proto::LinkUpdate::default()],
                ..Default::default()
            }
            .into(),
            Code::InvalidArgument,
            "REQUIRED",
            "updates[0].link",
        ),
        case(
            "batch update with a bad mask",
            proto::BatchUpdateLinksRequest {
                shop: "acme".into(),
                updates: vec![proto::LinkUpdate { link: Some(link("sale")), update_mask: mask(&["nope"]) }],
                ..Default::default()
            }
            .into(),
            Code::InvalidArgument,
            "UNKNOWN_FIELD",
            "updates[0].update_mask.paths[0]",
        ),
        case(
            "batch update of one link twice",
            proto::BatchUpdateLinksRequest {
                shop: "acme".into(),
                updates: vec![proto::LinkUpdate { link: Some(link("sale")), update_mask: None }; 2],
                ..Default::default()
            }
            .into(),
            Code::InvalidArgument,
            "DUPLICATE",
            "updates[1].link.slug",
        ),
    ]
}
