//! Where links lead: destinations, campaign parameters, query policies.

use smartlinks::proto::{self};
use tonic::Code;

use super::{
    Case,
    requests::{case, create_link, overridden, policy},
};

pub(super) fn all() -> Vec<Case> {
    vec![
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
