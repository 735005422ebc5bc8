//! Links.

use smartlinks::proto::{
    self, caller_attribute_is, condition::Kind, move_partners_request::Who, query_parameter_is, rule::Then,
    sharing::With,
};
use tonic::Code;

use super::{Case, requests::*};
use crate::admin::fixture::{everyone, link, mask, names, partner, rule, selected, shop};

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
            "destination with another host in disguise",
            create_link(|link| link.default_destination = "//evil.example".into()),
            Code::InvalidArgument,
            "UNSAFE_DESTINATION",
            "link.default_destination",
        ),
        case(
            "destination with a script",
            create_link(|link| link.default_destination = "javascript:alert(1)".into()),
            Code::InvalidArgument,
            "UNSAFE_DESTINATION",
            "link.default_destination",
        ),
        case(
            "destination with a backslash",
            create_link(|link| link.default_destination = "\\evil".into()),
            Code::InvalidArgument,
            "UNSAFE_DESTINATION",
            "link.default_destination",
        ),
        case(
            "destination with a backslash after the slash",
            create_link(|link| link.default_destination = "/\\evil.example".into()),
            Code::InvalidArgument,
            "UNSAFE_DESTINATION",
            "link.default_destination",
        ),
        case(
            "destination with a line break",
            create_link(|link| link.default_destination = "/a\nb".into()),
            Code::InvalidArgument,
            "UNSAFE_DESTINATION",
            "link.default_destination",
        ),
        case(
            "destination with a tab",
            create_link(|link| link.default_destination = "/\tx".into()),
            Code::InvalidArgument,
            "UNSAFE_DESTINATION",
            "link.default_destination",
        ),
        case(
            "destination with a space",
            create_link(|link| link.default_destination = "/a b".into()),
            Code::InvalidArgument,
            "UNSAFE_DESTINATION",
            "link.default_destination",
        ),
        case(
            "destination with a no-break space",
            create_link(|link| link.default_destination = "/a\u{a0}b".into()),
            Code::InvalidArgument,
            "UNSAFE_DESTINATION",
            "link.default_destination",
        ),
        case(
            "destination with a zero-width space",
            create_link(|link| link.default_destination = "/a\u{200b}".into()),
            Code::InvalidArgument,
            "UNSAFE_DESTINATION",
            "link.default_destination",
        ),
        case(
            "destination with a byte order mark",
            create_link(|link| link.default_destination = "\u{feff}//x".into()),
            Code::InvalidArgument,
            "UNSAFE_DESTINATION",
            "link.default_destination",
        ),
        case(
            "destination with user-info",
            create_link(|link| link.default_destination = "https://acme.example@evil.example/".into()),
            Code::InvalidArgument,
            "UNSAFE_DESTINATION",
            "link.default_destination",
        ),
        case(
            "destination with a foreign host",
            create_link(|link| link.default_destination = "https://evil.example/".into()),
            Code::InvalidArgument,
            "UNSAFE_DESTINATION",
            "link.default_destination",
        ),
        case(
            "destination with the shop's host with a final dot",
            create_link(|link| link.default_destination = "https://acme.example./".into()),
            Code::InvalidArgument,
            "UNSAFE_DESTINATION",
            "link.default_destination",
        ),
        case(
            "destination with a foreign port",
            create_link(|link| link.default_destination = "https://acme.example:8443/".into()),
            Code::InvalidArgument,
            "UNSAFE_DESTINATION",
            "link.default_destination",
        ),
        case(
            "destination with data",
            create_link(|link| link.default_destination = "data:text/html,x".into()),
            Code::InvalidArgument,
            "UNSAFE_DESTINATION",
            "link.default_destination",
        ),
        case(
            "destination with a path that looks like a scheme",
            create_link(|link| link.default_destination = "foo:bar".into()),
            Code::InvalidArgument,
            "UNSAFE_DESTINATION",
            "link.default_destination",
        ),
        case(
            "destination with ftp",
            create_link(|link| link.default_destination = "ftp://acme.example/".into()),
            Code::InvalidArgument,
            "UNSAFE_DESTINATION",
            "link.default_destination",
        ),
        case(
            "destination of 10 KB",
            create_link(|link| link.default_destination = "x".repeat(10_240)),
            Code::InvalidArgument,
            "TOO_LONG",
            "link.default_destination",
        ),
        case(
            "destination to the shop's link host",
            create_link(|link| link.default_destination = "https://go.acme.example/sale".into()),
            Code::InvalidArgument,
            "REDIRECT_LOOP",
            "link.default_destination",
        ),
        case(
            "destination to another shop's link host, which is no host of the shop",
            create_link(|link| link.default_destination = "https://go.other.example/".into()),
            Code::InvalidArgument,
            "UNSAFE_DESTINATION",
            "link.default_destination",
        ),
        case(
            "expired destination that leaves",
            create_link(|link| link.expired_destination = Some("//evil.example".into())),
            Code::InvalidArgument,
            "UNSAFE_DESTINATION",
            "link.expired_destination",
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
        case(
            "UTM source `{partner`",
            create_link(|link| {
                link.utm = Some(proto::Utm { source: Some("{partner".into()), ..Default::default() })
            }),
            Code::InvalidArgument,
            "UNKNOWN_VALUE",
            "link.utm.source",
        ),
        case(
            "UTM medium `a}b`",
            create_link(|link| {
                link.utm = Some(proto::Utm { medium: Some("a}b".into()), ..Default::default() })
            }),
            Code::InvalidArgument,
            "UNKNOWN_VALUE",
            "link.utm.medium",
        ),
        case(
            "UTM campaign `{{partner}}`",
            create_link(|link| {
                link.utm = Some(proto::Utm { campaign: Some("{{partner}}".into()), ..Default::default() })
            }),
            Code::InvalidArgument,
            "UNKNOWN_VALUE",
            "link.utm.campaign",
        ),
        case(
            "UTM term `{Partner}`",
            create_link(|link| {
                link.utm = Some(proto::Utm { term: Some("{Partner}".into()), ..Default::default() })
            }),
            Code::InvalidArgument,
            "UNKNOWN_VALUE",
            "link.utm.term",
        ),
        case(
            "UTM content `{visitor}`",
            create_link(|link| {
                link.utm = Some(proto::Utm { content: Some("{visitor}".into()), ..Default::default() })
            }),
            Code::InvalidArgument,
            "UNKNOWN_VALUE",
            "link.utm.content",
        ),
        case(
            "UTM value too long",
            create_link(|link| {
                link.utm = Some(proto::Utm { id: Some("x".repeat(513)), ..Default::default() })
            }),
            Code::InvalidArgument,
            "TOO_LONG",
            "link.utm.id",
        ),
        case(
            "UTM value with a line break",
            create_link(|link| link.utm = Some(proto::Utm { id: Some("a\nb".into()), ..Default::default() })),
            Code::InvalidArgument,
            "MALFORMED",
            "link.utm.id",
        ),
        case(
            "policy lists without LISTED",
            create_link(|link| link.query_policy = Some(policy(|policy| policy.listed = vec!["a".into()]))),
            Code::InvalidArgument,
            "CONFLICT",
            "link.query_policy.listed",
        ),
        case(
            "policy LISTED without a list",
            create_link(|link| link.query_policy = Some(policy(|policy| policy.pass = 3))),
            Code::InvalidArgument,
            "REQUIRED",
            "link.query_policy.listed",
        ),
        case(
            "policy with a wildcard",
            create_link(|link| {
                link.query_policy =
                    Some(policy(|policy| (policy.pass, policy.listed) = (3, vec!["utm_*".into()])))
            }),
            Code::InvalidArgument,
            "MALFORMED",
            "link.query_policy.listed[0]",
        ),
        case(
            "policy lists our parameter",
            create_link(|link| {
                link.query_policy =
                    Some(policy(|policy| (policy.pass, policy.listed) = (3, vec!["REF[]".into()])))
            }),
            Code::InvalidArgument,
            "CONFLICT",
            "link.query_policy.listed[0]",
        ),
        case(
            "policy overrides twice",
            create_link(|link| {
                link.query_policy =
                    Some(policy(|policy| policy.overrides = vec![overridden("a", 1), overridden("a", 2)]))
            }),
            Code::InvalidArgument,
            "DUPLICATE",
            "link.query_policy.overrides[1].name",
        ),
        case(
            "policy overrides without saying how",
            create_link(|link| {
                link.query_policy = Some(policy(|policy| policy.overrides = vec![overridden("a", 0)]))
            }),
            Code::InvalidArgument,
            "REQUIRED",
            "link.query_policy.overrides[0].on_conflict",
        ),
        case(
            "policy with an unknown pass",
            create_link(|link| link.query_policy = Some(policy(|policy| policy.pass = 9))),
            Code::InvalidArgument,
            "UNKNOWN_VALUE",
            "link.query_policy.pass",
        ),
        case(
            "policy with an unknown conflict",
            create_link(|link| link.query_policy = Some(policy(|policy| policy.on_conflict = 9))),
            Code::InvalidArgument,
            "UNKNOWN_VALUE",
            "link.query_policy.on_conflict",
        ),
        case(
            "policy with too many overrides",
            create_link(|link| {
                link.query_policy = Some(policy(|policy| {
                    policy.overrides = (0..101).map(|at| overridden(&format!("p{at}"), 1)).collect()
                }))
            }),
            Code::InvalidArgument,
            "TOO_LONG",
            "link.query_policy.overrides",
        ),
    ]
}

pub(super) fn rules() -> Vec<Case> {
    vec![
        case(
            "rule without an id",
            create_link(|link| link.rules = vec![rule("a", "DE"), changed(|rule| rule.id.clear())]),
            Code::InvalidArgument,
            "REQUIRED",
            "link.rules[1].id",
        ),
        case(
            "rule id with a slash",
            create_link(|link| link.rules = vec![rule("a", "DE"), changed(|rule| rule.id = "a/b".into())]),
            Code::InvalidArgument,
            "MALFORMED",
            "link.rules[1].id",
        ),
        case(
            "rule id twice",
            create_link(|link| link.rules = vec![rule("a", "DE"), changed(|rule| rule.id = "a".into())]),
            Code::InvalidArgument,
            "DUPLICATE",
            "link.rules[1].id",
        ),
        case(
            "rule name too long",
            create_link(|link| {
                link.rules = vec![rule("a", "DE"), changed(|rule| rule.display_name = "x".repeat(121))]
            }),
            Code::InvalidArgument,
            "TOO_LONG",
            "link.rules[1].display_name",
        ),
        case(
            "rule without a condition",
            create_link(|link| link.rules = vec![rule("a", "DE"), changed(|rule| rule.when = None)]),
            Code::InvalidArgument,
            "REQUIRED",
            "link.rules[1].when",
        ),
        case(
            "rule without a destination",
            create_link(|link| link.rules = vec![rule("a", "DE"), changed(|rule| rule.then = None)]),
            Code::InvalidArgument,
            "REQUIRED",
            "link.rules[1].destination",
        ),
        case(
            "rule to a foreign host",
            create_link(|link| {
                link.rules = vec![
                    rule("a", "DE"),
                    changed(|rule| rule.then = Some(Then::Destination("https://evil.example".into()))),
                ]
            }),
            Code::InvalidArgument,
            "UNSAFE_DESTINATION",
            "link.rules[1].destination",
        ),
        case(
            "rule with a bad UTM value",
            create_link(|link| {
                link.rules = vec![
                    rule("a", "DE"),
                    changed(|rule| {
                        rule.utm = Some(proto::Utm { source: Some("{".into()), ..Default::default() })
                    }),
                ]
            }),
            Code::InvalidArgument,
            "UNKNOWN_VALUE",
            "link.rules[1].utm.source",
        ),
        case(
            "too many rules",
            create_link(|link| link.rules = (0..1_001).map(|at| rule(&format!("r{at}"), "DE")).collect()),
            Code::InvalidArgument,
            "TOO_LONG",
            "link.rules",
        ),
        case(
            "condition of no kind",
            create_link(|link| {
                link.rules = vec![changed(|rule| rule.when = Some(proto::Condition::default()))]
            }),
            Code::InvalidArgument,
            "REQUIRED",
            "link.rules[0].when",
        ),
    ]
}
