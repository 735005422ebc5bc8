//! Requests that are sound but for one fault.

use smartlinks::proto::{
    self, caller_attribute_is, condition::Kind, count_is, move_partners_request::Who, query_parameter_is,
};
use tonic::Code;

use super::{Call, Case};
use crate::admin::fixture::{link, mask, partner, rule, shop, variants};

pub(super) fn case(
    name: &'static str,
    call: Call,
    code: Code,
    reason: &'static str,
    field: &'static str,
) -> Case {
    Case { name, call, code, reason, field }
}

pub(super) fn many(count: usize, name: impl Fn(usize) -> String) -> Vec<String> {
    (0..count).map(name).collect()
}

/// An instant, in seconds.
pub(super) fn at(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds, nanos: 0 })
}

pub(super) fn create_shop(edit: impl FnOnce(&mut proto::Shop)) -> Call {
    let mut wire = shop("new");
    edit(&mut wire);
    proto::CreateShopRequest { shop: Some(wire), ..Default::default() }.into()
}

pub(super) fn update_shop(paths: &[&str], edit: impl FnOnce(&mut proto::Shop)) -> Call {
    let mut wire = shop("acme");
    edit(&mut wire);
    proto::UpdateShopRequest { shop: Some(wire), update_mask: mask(paths), ..Default::default() }.into()
}

pub(super) fn program(id: &str) -> proto::Program {
    let (shop, id, display_name) = ("acme".to_owned(), id.to_owned(), format!("Program {id}"));
    proto::Program { shop, id, display_name, ..Default::default() }
}

pub(super) fn create_program(edit: impl FnOnce(&mut proto::Program)) -> Call {
    let mut wire = program("silver");
    edit(&mut wire);
    proto::CreateProgramRequest { program: Some(wire), ..Default::default() }.into()
}

pub(super) fn create_partner(edit: impl FnOnce(&mut proto::Partner)) -> Call {
    let mut wire = partner("dora", "");
    edit(&mut wire);
    proto::CreatePartnerRequest { partner: Some(wire), ..Default::default() }.into()
}

pub(super) fn move_partners(who: Option<Who>, to: &str) -> Call {
    let (shop, to_program) = ("acme".to_owned(), to.to_owned());
    proto::MovePartnersRequest { shop, who, to_program, ..Default::default() }.into()
}

pub(super) fn create_link(edit: impl FnOnce(&mut proto::Link)) -> Call {
    let mut wire = link("new");
    edit(&mut wire);
    proto::CreateLinkRequest { link: Some(wire), ..Default::default() }.into()
}

pub(super) fn update_link(paths: &[&str], edit: impl FnOnce(&mut proto::Link)) -> Call {
    let mut wire = link("sale");
    edit(&mut wire);
    proto::UpdateLinkRequest { link: Some(wire), update_mask: mask(paths), ..Default::default() }.into()
}

pub(super) fn batch(links: Vec<proto::Link>) -> Call {
    proto::BatchCreateLinksRequest { shop: "acme".to_owned(), links, ..Default::default() }.into()
}

pub(super) fn policy(edit: impl FnOnce(&mut proto::QueryPolicy)) -> proto::QueryPolicy {
    let mut wire = proto::QueryPolicy::default();
    edit(&mut wire);
    wire
}

pub(super) fn overridden(name: &str, on_conflict: i32) -> proto::QueryOverride {
    proto::QueryOverride { name: name.to_owned(), on_conflict }
}

/// A rule with a fault.
pub(super) fn changed(edit: impl FnOnce(&mut proto::Rule)) -> proto::Rule {
    let mut wire = rule("b", "AT");
    edit(&mut wire);
    wire
}

/// A rule with two variants and a fault.
pub(super) fn varied(edit: impl FnOnce(&mut Vec<proto::Variant>)) -> proto::Rule {
    let mut variants = variants(&[("a", 1), ("b", 1)]);
    edit(&mut variants.items);
    changed(|rule| rule.then = Some(proto::rule::Then::Variants(variants)))
}

pub(super) fn condition(kind: Kind) -> proto::Condition {
    proto::Condition { kind: Some(kind) }
}

/// A rule on this condition.
pub(super) fn when(kind: Kind) -> proto::Rule {
    changed(|rule| rule.when = Some(condition(kind)))
}

pub(super) fn group(conditions: Vec<proto::Condition>) -> proto::ConditionGroup {
    proto::ConditionGroup { conditions }
}

pub(super) fn in_eu() -> Kind {
    Kind::InEu(proto::InEuropeanUnion {})
}

/// A predicate below this many levels.
pub(super) fn nested(levels: usize) -> Kind {
    (0..levels).fold(in_eu(), |inner, _| Kind::Not(Box::new(condition(inner))))
}

pub(super) fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

pub(super) fn countries(codes: &[&str]) -> Kind {
    Kind::Country(proto::CountryIs { codes: texts(codes) })
}

pub(super) fn languages(ranges: &[&str]) -> Kind {
    Kind::Language(proto::LanguageIs { ranges: texts(ranges) })
}

pub(super) fn parameter(name: &str, test: Option<query_parameter_is::Test>) -> Kind {
    Kind::QueryParameter(proto::QueryParameterIs { name: name.to_owned(), test })
}

pub(super) fn attribute(name: &str, test: Option<caller_attribute_is::Test>) -> Kind {
    Kind::Attribute(proto::CallerAttributeIs { name: name.to_owned(), test })
}

pub(super) fn total(test: Option<count_is::Test>) -> Kind {
    Kind::VisitorTotalVisits(proto::CountIs { test })
}

pub(super) fn is_known(attribute: i32, name: &str) -> Kind {
    Kind::IsKnown(proto::AttributeIsKnown { attribute, name: name.to_owned() })
}

pub(super) fn weekly(weekdays: &[i32], start_hour: i32, end_hour: i32, time_zone: &str) -> Kind {
    let (weekdays, time_zone) = (weekdays.to_vec(), time_zone.to_owned());
    Kind::WeeklyHours(proto::WeeklyHours { weekdays, start_hour, end_hour, time_zone })
}
