//! Rules.

use smartlinks::proto::{self, rule::Then};
use tonic::Code;

use super::{
    Case,
    requests::{case, changed, create_link, varied},
};
use crate::admin::fixture::rule;

pub(super) fn all() -> Vec<Case> {
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
            "variant without an id",
            create_link(|link| link.rules = vec![rule("a", "DE"), varied(|items| items[1].id.clear())]),
            Code::InvalidArgument,
            "REQUIRED",
            "link.rules[1].variants.items[1].id",
        ),
        case(
            "variant id in capitals",
            create_link(|link| link.rules = vec![rule("a", "DE"), varied(|items| items[0].id = "A".into())]),
            Code::InvalidArgument,
            "MALFORMED",
            "link.rules[1].variants.items[0].id",
        ),
        case(
            "variant id twice",
            create_link(|link| link.rules = vec![rule("a", "DE"), varied(|items| items[1].id = "a".into())]),
            Code::InvalidArgument,
            "DUPLICATE",
            "link.rules[1].variants.items[1].id",
        ),
        case(
            "variant with a weight below 0",
            create_link(|link| link.rules = vec![rule("a", "DE"), varied(|items| items[0].weight = -1)]),
            Code::InvalidArgument,
            "OUT_OF_RANGE",
            "link.rules[1].variants.items[0].weight",
        ),
        case(
            "variant with a weight over 10,000",
            create_link(|link| link.rules = vec![rule("a", "DE"), varied(|items| items[1].weight = 10_001)]),
            Code::InvalidArgument,
            "OUT_OF_RANGE",
            "link.rules[1].variants.items[1].weight",
        ),
        case(
            "variants without a weight",
            create_link(|link| {
                link.rules = vec![
                    rule("a", "DE"),
                    varied(|items| items.iter_mut().for_each(|variant| variant.weight = 0)),
                ]
            }),
            Code::InvalidArgument,
            "OUT_OF_RANGE",
            "link.rules[1].variants.items",
        ),
        case(
            "variant to a foreign host",
            create_link(|link| {
                link.rules = vec![
                    rule("a", "DE"),
                    varied(|items| items[1].destination = "https://evil.example".into()),
                ]
            }),
            Code::InvalidArgument,
            "UNSAFE_DESTINATION",
            "link.rules[1].variants.items[1].destination",
        ),
        case(
            "variant to a link host",
            create_link(|link| {
                link.rules = vec![
                    rule("a", "DE"),
                    varied(|items| items[0].destination = "https://go.acme.example/x".into()),
                ]
            }),
            Code::InvalidArgument,
            "REDIRECT_LOOP",
            "link.rules[1].variants.items[0].destination",
        ),
        case(
            "one variant",
            create_link(|link| link.rules = vec![rule("a", "DE"), varied(|items| items.truncate(1))]),
            Code::InvalidArgument,
            "REQUIRED",
            "link.rules[1].variants.items",
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
