//! Golden clicks.

use std::{fmt::Display, str::FromStr};

use super::{
    Path,
    choice::{self, Choice},
    required, take, time, visit,
};
use crate::{
    domain::{
        client::Version,
        destination::Destination,
        fault::{Faults, Problem, Reason},
        geo::Country,
        golden::{GoldenClick, TestVisit},
        limits,
        name::{DisplayName, PartnerCode, RuleId},
        visit::Totals,
    },
    proto,
};

/// Reads a golden click.
pub fn read(wire: &proto::GoldenClick, path: &Path<'_>, faults: &mut Faults) -> Option<GoldenClick> {
    let name = take(DisplayName::parse(&wire.name), &path.field("name"), faults);
    let visit_path = path.field("visit");
    let visit = required(wire.visit.as_ref(), "the visit", &visit_path, faults)
        .and_then(|wire| read_visit(wire, &visit_path, faults));
    let expected = Destination::parse(&wire.expected_destination);
    let destination = take(expected, &path.field("expected_destination"), faults);
    let rule = optional(&wire.expected_rule, &path.field("expected_rule"), faults, RuleId::parse);
    Some(GoldenClick { name: name?, visit: visit?, destination: destination?, rule: rule? })
}

/// Writes a golden click.
pub fn write(golden: &GoldenClick) -> proto::GoldenClick {
    proto::GoldenClick {
        name: golden.name.as_str().to_owned(),
        visit: Some(write_visit(&golden.visit)),
        expected_destination: golden.destination.as_str().to_owned(),
        expected_rule: golden.rule.as_ref().map(RuleId::to_string).unwrap_or_default(),
    }
}

fn read_visit(wire: &proto::TestVisit, path: &Path<'_>, faults: &mut Faults) -> Option<TestVisit> {
    let partner = optional(&wire.partner, &path.field("partner"), faults, PartnerCode::fold);
    let query = visit::query(&wire.query, &path.field("query"), faults).to_owned();
    let country =
        optional(&wire.country, &path.field("country"), faults, |text| Country::parse(text).map_err(unknown));
    let address = visit::address(&wire.client_address, &path.field("client_address"), faults);
    let device = choice_or_none(wire.device, &path.field("device"), faults);
    let os = named(&wire.os, &path.field("os"), faults);
    let os_version = optional(&wire.os_version, &path.field("os_version"), faults, version);
    let browser = named(&wire.browser, &path.field("browser"), faults);
    let browser_version = optional(&wire.browser_version, &path.field("browser_version"), faults, version);
    for (field, text, most) in [
        ("user_agent", wire.user_agent.as_deref(), limits::HEADER_BYTES),
        ("accept_language", wire.accept_language.as_deref(), limits::HEADER_BYTES),
        ("referer", wire.referer.as_deref(), limits::HEADER_BYTES),
        ("visitor_id", Some(wire.visitor_id.as_str()), limits::VISITOR_ID_BYTES),
    ] {
        check_length(text.unwrap_or_default(), most, &path.field(field), faults);
    }
    visit::check_attributes(&wire.attributes, &path.field("attributes"), faults);
    let mut total = |wire: i64, field: &str| {
        let total = u64::try_from(wire).map_err(|_| {
            let text = "there is 1 visit or more, this one included; write 0 if it is not known";
            Problem::new(Reason::OutOfRange, text)
        });
        take(total, &path.field(field), faults).map(|total| Some(total).filter(|total| *total > 0))
    };
    let of_visitor = total(wire.visitor_total_visits, "visitor_total_visits");
    let of_link = total(wire.link_total_visits, "link_total_visits");
    let of_partner = total(wire.partner_total_visits, "partner_total_visits");
    let time = match &wire.visit_time {
        Some(wire) => time::read(wire, &path.field("visit_time"), faults).map(Some),
        None => Some(None),
    };
    Some(TestVisit {
        partner: partner?,
        query,
        country: country?,
        address,
        user_agent: wire.user_agent.clone(),
        device: device?,
        os: os?,
        os_version: os_version?,
        browser: browser?,
        browser_version: browser_version?,
        accept_language: wire.accept_language.clone(),
        referer: wire.referer.clone(),
        visitor_id: wire.visitor_id.clone(),
        visitor_total_visits: of_visitor?,
        totals: Totals { link: of_link?, partner: of_partner? },
        attributes: wire.attributes.clone(),
        time: time?,
        internal: wire.internal,
    })
}

fn write_visit(visit: &TestVisit) -> proto::TestVisit {
    fn text<T: Display>(value: Option<T>) -> String {
        value.map(|value| value.to_string()).unwrap_or_default()
    }
    let total = |total: Option<u64>| total.map_or(0, |total| i64::try_from(total).unwrap_or(i64::MAX));
    proto::TestVisit {
        partner: text(visit.partner.as_ref()),
        query: visit.query.clone(),
        country: text(visit.country),
        client_address: text(visit.address),
        user_agent: visit.user_agent.clone(),
        device: visit.device.map_or(0, Choice::number),
        os: text(visit.os),
        os_version: text(visit.os_version),
        browser: text(visit.browser),
        browser_version: text(visit.browser_version),
        accept_language: visit.accept_language.clone(),
        referer: visit.referer.clone(),
        visitor_id: visit.visitor_id.clone(),
        visitor_total_visits: total(visit.visitor_total_visits),
        link_total_visits: total(visit.totals.link),
        partner_total_visits: total(visit.totals.partner),
        attributes: visit.attributes.clone(),
        visit_time: visit.time.map(time::write),
        internal: visit.internal,
    }
}

/// Reads a text that may be empty.
fn optional<T>(
    text: &str,
    path: &Path<'_>,
    faults: &mut Faults,
    parse: impl Fn(&str) -> Result<T, Problem>,
) -> Option<Option<T>> {
    if text.is_empty() { Some(None) } else { take(parse(text), path, faults).map(Some) }
}

fn named<T: FromStr<Err: Display>>(text: &str, path: &Path<'_>, faults: &mut Faults) -> Option<Option<T>> {
    optional(text, path, faults, |text| text.parse().map_err(unknown))
}

fn choice_or_none<C: Choice>(number: i32, path: &Path<'_>, faults: &mut Faults) -> Option<Option<C>> {
    if number == 0 { Some(None) } else { choice::read(number, path, faults).map(Some) }
}

fn version(text: &str) -> Result<Version, Problem> {
    text.parse()
        .map_err(|invalid: <Version as FromStr>::Err| Problem::new(Reason::Malformed, invalid.to_string()))
}

fn unknown(error: impl Display) -> Problem {
    Problem::new(Reason::UnknownValue, error.to_string())
}

fn check_length(text: &str, most: usize, path: &Path<'_>, faults: &mut Faults) {
    if text.len() > most {
        let text = format!("the text is {} bytes long, at most {most} are allowed", text.len());
        faults.add(path.to_string(), Problem::new(Reason::TooLong, text));
    }
}
