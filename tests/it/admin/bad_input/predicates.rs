//! Conditions on where the visitor comes from, when, and for whom.

use smartlinks::proto::{self, caller_attribute_is, condition::Kind, count_is, query_parameter_is};
use tonic::Code;

use super::{
    Case,
    requests::{
        at, attribute, case, condition, create_link, group, in_eu, is_known, parameter, total, weekly, when,
    },
};

pub(super) fn all() -> Vec<Case> {
    vec![
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
            "total without a test",
            create_link(|link| link.rules = vec![when(total(None))]),
            Code::InvalidArgument,
            "REQUIRED",
            "link.rules[0].when.visitor_total_visits",
        ),
        case(
            "total below zero",
            create_link(|link| link.rules = vec![when(total(Some(count_is::Test::AtLeast(-1))))]),
            Code::InvalidArgument,
            "OUT_OF_RANGE",
            "link.rules[0].when.visitor_total_visits.at_least",
        ),
        case(
            "total of the link without a test",
            create_link(|link| link.rules = vec![when(Kind::LinkTotalVisits(proto::CountIs { test: None }))]),
            Code::InvalidArgument,
            "REQUIRED",
            "link.rules[0].when.link_total_visits",
        ),
        case(
            "total of the partner below zero",
            create_link(|link| {
                let test = Some(count_is::Test::AtMost(-1));
                link.rules = vec![when(Kind::PartnerTotalVisits(proto::CountIs { test }))];
            }),
            Code::InvalidArgument,
            "OUT_OF_RANGE",
            "link.rules[0].when.partner_total_visits.at_most",
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
