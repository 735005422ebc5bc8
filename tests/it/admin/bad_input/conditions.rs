//! Conditions: groups, and what the visitor uses.

use smartlinks::proto::{self, condition::Kind};
use tonic::Code;

use super::{
    Case,
    requests::{case, condition, countries, create_link, group, in_eu, languages, nested, when},
};

pub(super) fn all() -> Vec<Case> {
    vec![
        case(
            "empty group",
            create_link(|link| link.rules = vec![when(Kind::All(group(vec![])))]),
            Code::InvalidArgument,
            "REQUIRED",
            "link.rules[0].when.all",
        ),
        case(
            "member of no kind",
            create_link(|link| {
                link.rules =
                    vec![when(Kind::Any(group(vec![condition(in_eu()), proto::Condition::default()])))]
            }),
            Code::InvalidArgument,
            "REQUIRED",
            "link.rules[0].when.any[1]",
        ),
        case(
            "unknown country in a group",
            create_link(|link| {
                link.rules = vec![when(Kind::All(group(vec![condition(countries(&["DE", "UK"]))])))]
            }),
            Code::InvalidArgument,
            "UNKNOWN_VALUE",
            "link.rules[0].when.all[0].country.codes[1]",
        ),
        case(
            "unknown country inside of not",
            create_link(|link| link.rules = vec![when(Kind::Not(Box::new(condition(countries(&["XX"])))))]),
            Code::InvalidArgument,
            "UNKNOWN_VALUE",
            "link.rules[0].when.not.country.codes[0]",
        ),
        case(
            "too deep",
            create_link(|link| link.rules = vec![when(nested(8))]),
            Code::InvalidArgument,
            "TOO_LONG",
            "link.rules[0].when",
        ),
        case(
            "too many nodes",
            create_link(|link| link.rules = vec![when(Kind::All(group(vec![condition(in_eu()); 200])))]),
            Code::InvalidArgument,
            "TOO_LONG",
            "link.rules[0].when",
        ),
        case(
            "no country",
            create_link(|link| link.rules = vec![when(countries(&[]))]),
            Code::InvalidArgument,
            "REQUIRED",
            "link.rules[0].when.country.codes",
        ),
        case(
            "country by its name",
            create_link(|link| link.rules = vec![when(countries(&["Germany"]))]),
            Code::InvalidArgument,
            "UNKNOWN_VALUE",
            "link.rules[0].when.country.codes[0]",
        ),
        case(
            "too many countries",
            create_link(|link| {
                link.rules = vec![when(Kind::Country(proto::CountryIs { codes: vec!["DE".into(); 501] }))]
            }),
            Code::InvalidArgument,
            "TOO_LONG",
            "link.rules[0].when.country.codes",
        ),
        case(
            "unknown device",
            create_link(|link| {
                link.rules = vec![when(Kind::Device(proto::DeviceIs { classes: vec![2, 99] }))]
            }),
            Code::InvalidArgument,
            "UNKNOWN_VALUE",
            "link.rules[0].when.device.classes[1]",
        ),
        case(
            "unspecified device",
            create_link(|link| link.rules = vec![when(Kind::Device(proto::DeviceIs { classes: vec![0] }))]),
            Code::InvalidArgument,
            "REQUIRED",
            "link.rules[0].when.device.classes[0]",
        ),
        case(
            "no device",
            create_link(|link| link.rules = vec![when(Kind::Device(proto::DeviceIs { classes: vec![] }))]),
            Code::InvalidArgument,
            "REQUIRED",
            "link.rules[0].when.device.classes",
        ),
        case(
            "unknown os",
            create_link(|link| {
                link.rules = vec![when(Kind::Os(proto::OsIs {
                    families: vec!["iPadOS".into()],
                    ..Default::default()
                }))]
            }),
            Code::InvalidArgument,
            "UNKNOWN_VALUE",
            "link.rules[0].when.os.families[0]",
        ),
        case(
            "os version with letters",
            create_link(|link| {
                link.rules = vec![when(Kind::Os(proto::OsIs {
                    families: vec!["ios".into()],
                    min_version: "17b".into(),
                    ..Default::default()
                }))]
            }),
            Code::InvalidArgument,
            "MALFORMED",
            "link.rules[0].when.os.min_version",
        ),
        case(
            "os versions the wrong way round",
            create_link(|link| {
                link.rules = vec![when(Kind::Os(proto::OsIs {
                    families: vec!["ios".into()],
                    min_version: "18".into(),
                    below_version: "17".into(),
                }))]
            }),
            Code::InvalidArgument,
            "OUT_OF_RANGE",
            "link.rules[0].when.os",
        ),
        case(
            "unknown browser",
            create_link(|link| {
                link.rules = vec![when(Kind::Browser(proto::BrowserIs {
                    families: vec!["netscape".into()],
                    ..Default::default()
                }))]
            }),
            Code::InvalidArgument,
            "UNKNOWN_VALUE",
            "link.rules[0].when.browser.families[0]",
        ),
        case(
            "browser version with too many parts",
            create_link(|link| {
                link.rules = vec![when(Kind::Browser(proto::BrowserIs {
                    families: vec!["chrome".into()],
                    below_version: "1.2.3.4.5.6".into(),
                    ..Default::default()
                }))]
            }),
            Code::InvalidArgument,
            "MALFORMED",
            "link.rules[0].when.browser.below_version",
        ),
        case(
            "language wildcard",
            create_link(|link| link.rules = vec![when(languages(&["de-*"]))]),
            Code::InvalidArgument,
            "MALFORMED",
            "link.rules[0].when.language.ranges[0]",
        ),
        case(
            "language with an underscore",
            create_link(|link| link.rules = vec![when(languages(&["de", "de_AT"]))]),
            Code::InvalidArgument,
            "MALFORMED",
            "link.rules[0].when.language.ranges[1]",
        ),
        case(
            "unknown language",
            create_link(|link| link.rules = vec![when(languages(&["zz"]))]),
            Code::InvalidArgument,
            "UNKNOWN_VALUE",
            "link.rules[0].when.language.ranges[0]",
        ),
        case(
            "unknown region of a language",
            create_link(|link| link.rules = vec![when(languages(&["en-UK"]))]),
            Code::InvalidArgument,
            "UNKNOWN_VALUE",
            "link.rules[0].when.language.ranges[0]",
        ),
        case(
            "unknown continent",
            create_link(|link| {
                link.rules = vec![when(Kind::Continent(proto::ContinentIs { continents: vec![8] }))]
            }),
            Code::InvalidArgument,
            "UNKNOWN_VALUE",
            "link.rules[0].when.continent.continents[0]",
        ),
    ]
}
