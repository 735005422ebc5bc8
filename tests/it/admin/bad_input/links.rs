//! Links.

use smartlinks::proto::{self, sharing::With};
use tonic::Code;

use super::{
    Case,
    requests::{at, case, create_link, many},
};
use crate::admin::fixture::selected;

pub(super) fn all() -> Vec<Case> {
    vec![
        case(
            "slug with white space",
            create_link(|link| link.slug = "Summer Sale".into()),
            Code::InvalidArgument,
            "MALFORMED",
            "link.slug",
        ),
        case(
            "slug that is a hyphen",
            create_link(|link| link.slug = "-".into()),
            Code::InvalidArgument,
            "MALFORMED",
            "link.slug",
        ),
        case(
            "slug with a dot",
            create_link(|link| link.slug = "a.b".into()),
            Code::InvalidArgument,
            "MALFORMED",
            "link.slug",
        ),
        case(
            "slug beyond ASCII",
            create_link(|link| link.slug = "été".into()),
            Code::InvalidArgument,
            "MALFORMED",
            "link.slug",
        ),
        case(
            "slug too long",
            create_link(|link| link.slug = "a".repeat(65)),
            Code::InvalidArgument,
            "TOO_LONG",
            "link.slug",
        ),
        case(
            "slug missing",
            create_link(|link| link.slug.clear()),
            Code::InvalidArgument,
            "REQUIRED",
            "link.slug",
        ),
        case(
            "slug taken",
            create_link(|link| link.slug = "sale".into()),
            Code::AlreadyExists,
            "ALREADY_EXISTS",
            "link.slug",
        ),
        case(
            "slug of a deleted link",
            create_link(|link| link.slug = "deleted".into()),
            Code::AlreadyExists,
            "ALREADY_EXISTS",
            "link.slug",
        ),
        case(
            "link of no shop",
            create_link(|link| link.shop = "nope".into()),
            Code::NotFound,
            "SHOP_NOT_FOUND",
            "",
        ),
        case(
            "link without a name",
            create_link(|link| link.display_name.clear()),
            Code::InvalidArgument,
            "REQUIRED",
            "link.display_name",
        ),
        case(
            "description too long",
            create_link(|link| link.description = "x".repeat(1_001)),
            Code::InvalidArgument,
            "TOO_LONG",
            "link.description",
        ),
        case(
            "link without sharing",
            create_link(|link| link.sharing = None),
            Code::InvalidArgument,
            "REQUIRED",
            "link.sharing",
        ),
        case(
            "sharing with neither",
            create_link(|link| link.sharing = Some(proto::Sharing::default())),
            Code::InvalidArgument,
            "REQUIRED",
            "link.sharing",
        ),
        case(
            "sharing with a bad code",
            create_link(|link| link.sharing = Some(selected(&["anna", "An Na"], &[]))),
            Code::InvalidArgument,
            "MALFORMED",
            "link.sharing.selected.partners[1]",
        ),
        case(
            "sharing with someone unknown",
            create_link(|link| link.sharing = Some(selected(&["bert", "anna", "nope"], &[]))),
            Code::InvalidArgument,
            "UNKNOWN_REFERENCE",
            "link.sharing.selected.partners[2]",
        ),
        case(
            "sharing with someone deleted",
            create_link(|link| link.sharing = Some(selected(&["gone"], &[]))),
            Code::InvalidArgument,
            "UNKNOWN_REFERENCE",
            "link.sharing.selected.partners[0]",
        ),
        case(
            "sharing with no such program",
            create_link(|link| link.sharing = Some(selected(&[], &["gold", "tin"]))),
            Code::InvalidArgument,
            "UNKNOWN_REFERENCE",
            "link.sharing.selected.programs[1]",
        ),
        case(
            "sharing with too many",
            create_link(|link| {
                link.sharing = Some(proto::Sharing {
                    with: Some(With::Selected(proto::Selected {
                        partners: many(10_001, |at| format!("p{at}")),
                        programs: vec![],
                    })),
                })
            }),
            Code::InvalidArgument,
            "TOO_LONG",
            "link.sharing.selected.partners",
        ),
        case(
            "expires before it starts",
            create_link(|link| (link.start_time, link.expire_time) = (at(200), at(100))),
            Code::InvalidArgument,
            "OUT_OF_RANGE",
            "link.expire_time",
        ),
        case(
            "expires when it starts",
            create_link(|link| (link.start_time, link.expire_time) = (at(100), at(100))),
            Code::InvalidArgument,
            "OUT_OF_RANGE",
            "link.expire_time",
        ),
        case(
            "start with a negative fraction",
            create_link(|link| link.start_time = Some(prost_types::Timestamp { seconds: 1, nanos: -1 })),
            Code::InvalidArgument,
            "OUT_OF_RANGE",
            "link.start_time",
        ),
        case(
            "expires beyond all time",
            create_link(|link| link.expire_time = at(i64::MAX)),
            Code::InvalidArgument,
            "OUT_OF_RANGE",
            "link.expire_time",
        ),
        case(
            "unknown kind of redirect",
            create_link(|link| link.redirect = 99),
            Code::InvalidArgument,
            "UNKNOWN_VALUE",
            "link.redirect",
        ),
        case(
            "link tag in capitals",
            create_link(|link| link.tags = vec!["summer".into(), "Sale".into()]),
            Code::InvalidArgument,
            "MALFORMED",
            "link.tags[1]",
        ),
        case(
            "link tag twice",
            create_link(|link| link.tags = vec!["a".into(), "a".into()]),
            Code::InvalidArgument,
            "DUPLICATE",
            "link.tags[1]",
        ),
        case(
            "too many link tags",
            create_link(|link| link.tags = many(51, |at| format!("t{at}"))),
            Code::InvalidArgument,
            "TOO_LONG",
            "link.tags",
        ),
    ]
}
