//! Conditions.

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
        case(
            "referrer host that is an address",
            create_link(|link| {
                link.rules = vec![when(Kind::ReferrerHost(proto::ReferrerHostIs {
                    hosts: vec!["https://news.example/".into()],
                    ..Default::default()
                }))]
            }),
            Code::InvalidArgument,
            "MALFORMED",
            "link.rules[0].when.referrer_host.hosts[0]",
        ),
        case(
            "query parameter without a name",
            create_link(|link| {
                link.rules =
                    vec![when(parameter("", Some(query_parameter_is::Test::Present(proto::Present {}))))]
            }),
            Code::InvalidArgument,
            "REQUIRED",
            "link.rules[0].when.query_parameter.name",
        ),
        case(
            "query parameter without a test",
            create_link(|link| link.rules = vec![when(parameter("a", None))]),
            Code::InvalidArgument,
            "REQUIRED",
            "link.rules[0].when.query_parameter",
        ),
        case(
            "query parameter equals nothing",
            create_link(|link| {
                link.rules = vec![when(parameter(
                    "a",
                    Some(query_parameter_is::Test::Equals(proto::Values { values: vec![] })),
                ))]
            }),
            Code::InvalidArgument,
            "REQUIRED",
            "link.rules[0].when.query_parameter.equals.values",
        ),
        case(
            "query parameter equals a novel",
            create_link(|link| {
                link.rules = vec![when(parameter(
                    "a",
                    Some(query_parameter_is::Test::Equals(proto::Values { values: vec!["x".repeat(513)] })),
                ))]
            }),
            Code::InvalidArgument,
            "TOO_LONG",
            "link.rules[0].when.query_parameter.equals.values[0]",
        ),
        case(
            "query parameter contains nothing",
            create_link(|link| {
                link.rules = vec![when(parameter("a", Some(query_parameter_is::Test::Contains("".into()))))]
            }),
            Code::InvalidArgument,
            "REQUIRED",
            "link.rules[0].when.query_parameter.contains",
        ),
        case(
            "query parameter name too long",
            create_link(|link| {
                link.rules = vec![when(parameter(
                    &"a".repeat(257),
                    Some(query_parameter_is::Test::Present(proto::Present {})),
                ))]
            }),
            Code::InvalidArgument,
            "TOO_LONG",
            "link.rules[0].when.query_parameter.name",
        ),
        case(
            "client address that is none",
            create_link(|link| {
                link.rules = vec![when(Kind::ClientAddress(proto::ClientAddressIn {
                    cidrs: vec!["10.0.0.0/8".into(), "300.1.1.1".into()],
                }))]
            }),
            Code::InvalidArgument,
            "MALFORMED",
            "link.rules[0].when.client_address.cidrs[1]",
        ),
        case(
            "unknown traffic class",
            create_link(|link| {
                link.rules = vec![when(Kind::TrafficClass(proto::TrafficClassIs { classes: vec![-1] }))]
            }),
            Code::InvalidArgument,
            "UNKNOWN_VALUE",
            "link.rules[0].when.traffic_class.classes[0]",
        ),
        case(
            "time without an end",
            create_link(|link| link.rules = vec![when(Kind::Time(proto::TimeBetween::default()))]),
            Code::InvalidArgument,
            "REQUIRED",
            "link.rules[0].when.time",
        ),
        case(
            "time that ends before it starts",
            create_link(|link| {
                link.rules = vec![when(Kind::Time(proto::TimeBetween { start_time: at(2), end_time: at(1) }))]
            }),
            Code::InvalidArgument,
            "OUT_OF_RANGE",
            "link.rules[0].when.time",
        ),
        case(
            "time that is none",
            create_link(|link| {
                link.rules =
                    vec![when(Kind::Time(proto::TimeBetween { start_time: None, end_time: at(i64::MIN) }))]
            }),
            Code::InvalidArgument,
            "OUT_OF_RANGE",
            "link.rules[0].when.time.end_time",
        ),
        case(
            "hours without a weekday",
            create_link(|link| link.rules = vec![when(weekly(&[], 9, 17, "Europe/Berlin"))]),
            Code::InvalidArgument,
            "REQUIRED",
            "link.rules[0].when.weekly_hours",
        ),
        case(
            "unknown weekday",
            create_link(|link| link.rules = vec![when(weekly(&[1, 8], 9, 17, "Europe/Berlin"))]),
            Code::InvalidArgument,
            "UNKNOWN_VALUE",
            "link.rules[0].when.weekly_hours.weekdays[1]",
        ),
        case(
            "hours beyond the day",
            create_link(|link| link.rules = vec![when(weekly(&[1], 9, 25, "Europe/Berlin"))]),
            Code::InvalidArgument,
            "OUT_OF_RANGE",
            "link.rules[0].when.weekly_hours",
        ),
        case(
            "hours of no length",
            create_link(|link| link.rules = vec![when(weekly(&[1], 9, 9, "Europe/Berlin"))]),
            Code::InvalidArgument,
            "OUT_OF_RANGE",
            "link.rules[0].when.weekly_hours",
        ),
        case(
            "unknown time zone",
            create_link(|link| link.rules = vec![when(weekly(&[1], 9, 17, "Europe/Berlon"))]),
            Code::InvalidArgument,
            "UNKNOWN_VALUE",
            "link.rules[0].when.weekly_hours.time_zone",
        ),
        case(
            "time zone missing",
            create_link(|link| link.rules = vec![when(weekly(&[1], 9, 17, ""))]),
            Code::InvalidArgument,
            "REQUIRED",
            "link.rules[0].when.weekly_hours.time_zone",
        ),
        case(
            "partner code in capitals in a condition",
            create_link(|link| {
                link.rules = vec![when(Kind::Partner(proto::PartnerIs { codes: vec!["Anna".into()] }))]
            }),
            Code::InvalidArgument,
            "MALFORMED",
            "link.rules[0].when.partner.codes[0]",
        ),
        case(
            "unknown partner in a condition",
            create_link(|link| {
                link.rules = vec![when(Kind::Not(Box::new(condition(Kind::Partner(proto::PartnerIs {
                    codes: vec!["anna".into(), "nope".into()],
                })))))]
            }),
            Code::InvalidArgument,
            "UNKNOWN_REFERENCE",
            "link.rules[0].when.not.partner.codes[1]",
        ),
        case(
            "unknown program in a condition",
            create_link(|link| {
                link.rules = vec![when(Kind::Any(group(vec![
                    condition(in_eu()),
                    condition(Kind::Program(proto::ProgramIs { programs: vec!["tin".into()] })),
                ])))]
            }),
            Code::InvalidArgument,
            "UNKNOWN_REFERENCE",
            "link.rules[0].when.any[1].program.programs[0]",
        ),
        case(
            "partner tag with a space",
            create_link(|link| {
                link.rules = vec![when(Kind::PartnerTag(proto::PartnerTagIs { tags: vec!["v ip".into()] }))]
            }),
            Code::InvalidArgument,
            "MALFORMED",
            "link.rules[0].when.partner_tag.tags[0]",
        ),
        case(
            "caller's fact with a bad name",
            create_link(|link| {
                link.rules = vec![when(attribute(
                    "customer tier",
                    Some(caller_attribute_is::Test::Contains("x".into())),
                ))]
            }),
            Code::InvalidArgument,
            "MALFORMED",
            "link.rules[0].when.attribute.name",
        ),
        case(
            "caller's fact without a test",
            create_link(|link| link.rules = vec![when(attribute("customer.tier", None))]),
            Code::InvalidArgument,
            "REQUIRED",
            "link.rules[0].when.attribute",
        ),
        case(
            "caller's fact compared with no number",
            create_link(|link| {
                link.rules = vec![when(attribute(
                    "customer.tier",
                    Some(caller_attribute_is::Test::AtLeast("1e3".into())),
                ))]
            }),
            Code::InvalidArgument,
            "MALFORMED",
            "link.rules[0].when.attribute.at_least",
        ),
        case(
            "unknown attribute is known",
            create_link(|link| link.rules = vec![when(is_known(99, ""))]),
            Code::InvalidArgument,
            "UNKNOWN_VALUE",
            "link.rules[0].when.is_known.attribute",
        ),
        case(
            "unspecified attribute is known",
            create_link(|link| link.rules = vec![when(is_known(0, ""))]),
            Code::InvalidArgument,
            "REQUIRED",
            "link.rules[0].when.is_known.attribute",
        ),
        case(
            "caller's fact is known, without its name",
            create_link(|link| link.rules = vec![when(is_known(11, ""))]),
            Code::InvalidArgument,
            "REQUIRED",
            "link.rules[0].when.is_known.name",
        ),
        case(
            "country is known, with a name",
            create_link(|link| link.rules = vec![when(is_known(7, "country"))]),
            Code::InvalidArgument,
            "CONFLICT",
            "link.rules[0].when.is_known.name",
        ),
    ]
}
