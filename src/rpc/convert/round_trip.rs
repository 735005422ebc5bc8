//! What is written reads back as the same value, whatever it is.

use super::*;
use crate::proto::{
    self, CallerAttributeIs, Condition, QueryParameterIs, Values, caller_attribute_is, condition::Kind,
    count_is, query_parameter_is,
};

/// One condition of every kind, and of every test within a kind.
fn every_kind() -> Vec<Kind> {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let time = |seconds| Some(prost_types::Timestamp { seconds, nanos: 5 });
    let leaf = || Condition { kind: Some(Kind::InEu(proto::InEuropeanUnion {})) };
    let group = || proto::ConditionGroup { conditions: vec![leaf(), leaf()] };
    let values = || Values { values: texts(&["", "a"]) };
    let mut kinds = vec![
        Kind::All(group()),
        Kind::Any(group()),
        Kind::Not(Box::new(leaf())),
        Kind::Device(proto::DeviceIs { classes: (1..=7).collect() }),
        Kind::Os(proto::OsIs {
            families: texts(&["android", "ios"]),
            min_version: "17.5".into(),
            below_version: "18".into(),
        }),
        Kind::Browser(proto::BrowserIs { families: texts(&["chrome"]), ..Default::default() }),
        Kind::Language(proto::LanguageIs { ranges: texts(&["de-AT", "zh-Hant-TW"]) }),
        Kind::Country(proto::CountryIs { codes: texts(&["AT", "DE"]) }),
        Kind::Continent(proto::ContinentIs { continents: (1..=7).collect() }),
        Kind::InEu(proto::InEuropeanUnion {}),
        Kind::NewVisitor(proto::NewVisitor {}),
        Kind::ReferrerHost(proto::ReferrerHostIs {
            hosts: texts(&["[::1]", "news.example"]),
            include_subdomains: true,
        }),
        Kind::ClientAddress(proto::ClientAddressIn { cidrs: texts(&["198.51.100.0/24", "2001:db8::1"]) }),
        Kind::TrafficClass(proto::TrafficClassIs { classes: (1..=5).collect() }),
        Kind::Time(proto::TimeBetween { start_time: time(1), end_time: None }),
        Kind::Time(proto::TimeBetween { start_time: time(-1), end_time: time(2) }),
        Kind::WeeklyHours(proto::WeeklyHours {
            weekdays: vec![1, 7],
            start_hour: 22,
            end_hour: 4,
            time_zone: "Europe/Berlin".into(),
        }),
        Kind::Partner(proto::PartnerIs { codes: texts(&["anna", "b.c"]) }),
        Kind::Program(proto::ProgramIs { programs: texts(&["gold"]) }),
        Kind::PartnerTag(proto::PartnerTagIs { tags: texts(&["vip"]) }),
    ];
    kinds.extend((1..=14).map(|attribute| {
        let name = if attribute == 11 { "customer.tier".to_owned() } else { String::new() };
        Kind::IsKnown(proto::AttributeIsKnown { attribute, name })
    }));
    let counts = [
        count_is::Test::Equals(0),
        count_is::Test::LessThan(1),
        count_is::Test::AtMost(2),
        count_is::Test::GreaterThan(3),
        count_is::Test::AtLeast(i64::MAX),
    ];
    for kind in [Kind::VisitorTotalVisits, Kind::LinkTotalVisits, Kind::PartnerTotalVisits] {
        kinds.extend(counts.map(|test| kind(proto::CountIs { test: Some(test) })));
    }
    let query = [
        query_parameter_is::Test::Present(proto::Present {}),
        query_parameter_is::Test::WithoutValue(proto::WithoutValue {}),
        query_parameter_is::Test::Equals(values()),
        query_parameter_is::Test::Contains("a".into()),
        query_parameter_is::Test::StartsWith("b".into()),
    ];
    kinds.extend(
        query.map(|test| Kind::QueryParameter(QueryParameterIs { name: "größe".into(), test: Some(test) })),
    );
    let caller = [
        caller_attribute_is::Test::Equals(values()),
        caller_attribute_is::Test::Contains("a".into()),
        caller_attribute_is::Test::StartsWith("b".into()),
        caller_attribute_is::Test::LessThan("-12.5".into()),
        caller_attribute_is::Test::AtMost("0".into()),
        caller_attribute_is::Test::GreaterThan("3".into()),
        caller_attribute_is::Test::AtLeast("0.000000000000000001".into()),
    ];
    kinds.extend(
        caller.map(|test| {
            Kind::Attribute(CallerAttributeIs { name: "customer.tier".into(), test: Some(test) })
        }),
    );
    kinds
}

#[test]
fn every_kind_of_condition_reads_back() {
    for kind in every_kind() {
        let wire = Condition { kind: Some(kind) };
        let mut faults = Faults::new();
        let read = condition::read(&wire, &Path::root("when"), &mut faults);
        assert!(faults.is_empty(), "{wire:?}: {faults}");
        assert_eq!(condition::write(&read.unwrap()), wire);
    }
}

#[test]
fn what_is_written_in_another_way_reads_back_as_it_is_meant() {
    let read = |kind| {
        let mut faults = Faults::new();
        let wire = Condition { kind: Some(kind) };
        let read = condition::read(&wire, &Path::root("when"), &mut faults);
        condition::write(&read.unwrap_or_else(|| panic!("{faults}"))).kind.unwrap()
    };
    let countries = |codes: &[&str]| {
        Kind::Country(proto::CountryIs { codes: codes.iter().map(|code| (*code).to_owned()).collect() })
    };
    assert_eq!(read(countries(&["de", "AT", "De"])), countries(&["AT", "DE"]));
    let address = |cidr: &str| Kind::ClientAddress(proto::ClientAddressIn { cidrs: vec![cidr.to_owned()] });
    assert_eq!(read(address("::ffff:198.51.100.9/120")), address("198.51.100.0/24"));
}
