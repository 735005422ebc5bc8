//! Predicates: one message per kind.

use crate::{
    domain::{
        client::Version,
        condition::{
            AttributeName, CallerTest, CountTest, Needle, ParameterName, Predicate, QueryTest, Value,
            VersionRange,
        },
        decimal::Decimal,
        fault::{Faults, Problem, Reason},
        geo::Country,
        host::Host,
        language::{self, InvalidLanguage, LanguageRange},
        name::{PartnerCode, ProgramId, Tag},
        one_of::OneOf,
        window::{TimeWindow, WeeklyHours, ZoneName},
    },
    proto::{self, caller_attribute_is, condition::Kind, count_is, query_parameter_is},
};

use super::{
    Path,
    choice::{self, Choice},
    list, net, take, texts, time,
};

/// Reads a predicate; `None` without a fault for the kinds that are none.
pub fn read(wire: &Kind, path: &Path<'_>, faults: &mut Faults) -> Option<Predicate> {
    match wire {
        Kind::All(_) | Kind::Any(_) | Kind::Not(_) | Kind::IsKnown(_) => None,
        Kind::Device(is) => {
            choices(&is.classes, &path.field("device").field("classes"), faults).map(Predicate::Device)
        }
        Kind::Os(is) => {
            let path = path.field("os");
            let families = names(&is.families, &path.field("families"), faults);
            let versions = versions(&is.min_version, &is.below_version, &path, faults);
            Some(Predicate::Os { families: families?, versions: versions? })
        }
        Kind::Browser(is) => {
            let path = path.field("browser");
            let families = names(&is.families, &path.field("families"), faults);
            let versions = versions(&is.min_version, &is.below_version, &path, faults);
            Some(Predicate::Browser { families: families?, versions: versions? })
        }
        Kind::Language(is) => {
            let parse = |text: &str| LanguageRange::parse(text).map_err(language_problem);
            one_of(&is.ranges, &path.field("language").field("ranges"), faults, parse)
                .map(Predicate::Language)
        }
        Kind::Country(is) => {
            let parse = |text: &str| Country::parse(text).map_err(unknown);
            one_of(&is.codes, &path.field("country").field("codes"), faults, parse).map(Predicate::Country)
        }
        Kind::Continent(is) => {
            let path = path.field("continent");
            choices(&is.continents, &path.field("continents"), faults).map(Predicate::Continent)
        }
        Kind::InEu(proto::InEuropeanUnion {}) => Some(Predicate::InEu {}),
        Kind::NewVisitor(proto::NewVisitor {}) => Some(Predicate::NewVisitor {}),
        Kind::VisitorTotalVisits(is) => {
            count(is, &path.field("visitor_total_visits"), faults).map(Predicate::VisitorTotalVisits)
        }
        Kind::LinkTotalVisits(is) => {
            count(is, &path.field("link_total_visits"), faults).map(Predicate::LinkTotalVisits)
        }
        Kind::PartnerTotalVisits(is) => {
            count(is, &path.field("partner_total_visits"), faults).map(Predicate::PartnerTotalVisits)
        }
        Kind::ReferrerHost(is) => {
            let hosts = one_of(&is.hosts, &path.field("referrer_host").field("hosts"), faults, Host::parse)?;
            Some(Predicate::ReferrerHost { hosts, include_subdomains: is.include_subdomains })
        }
        Kind::QueryParameter(is) => query_parameter(is, &path.field("query_parameter"), faults),
        Kind::ClientAddress(is) => {
            let path = path.field("client_address");
            one_of(&is.cidrs, &path.field("cidrs"), faults, net::parse).map(Predicate::ClientAddress)
        }
        Kind::TrafficClass(is) => choices(&is.classes, &path.field("traffic_class").field("classes"), faults)
            .map(Predicate::Traffic),
        Kind::Time(is) => time_between(is, &path.field("time"), faults).map(Predicate::Time),
        Kind::WeeklyHours(is) => weekly(is, &path.field("weekly_hours"), faults).map(Predicate::Weekly),
        Kind::Partner(is) => {
            let path = path.field("partner");
            one_of(&is.codes, &path.field("codes"), faults, PartnerCode::parse).map(Predicate::Partner)
        }
        Kind::Program(is) => {
            let path = path.field("program");
            one_of(&is.programs, &path.field("programs"), faults, ProgramId::parse).map(Predicate::Program)
        }
        Kind::PartnerTag(is) => {
            let path = path.field("partner_tag");
            one_of(&is.tags, &path.field("tags"), faults, Tag::parse).map(Predicate::PartnerTag)
        }
        Kind::Attribute(is) => caller_attribute(is, &path.field("attribute"), faults),
    }
}

/// Writes a predicate.
pub fn write(predicate: &Predicate) -> Kind {
    match predicate {
        Predicate::Device(classes) => Kind::Device(proto::DeviceIs { classes: numbers(classes) }),
        Predicate::Os { families, versions: range } => {
            let (min_version, below_version) = write_versions(range);
            Kind::Os(proto::OsIs { families: written(families), min_version, below_version })
        }
        Predicate::Browser { families, versions: range } => {
            let (min_version, below_version) = write_versions(range);
            Kind::Browser(proto::BrowserIs { families: written(families), min_version, below_version })
        }
        Predicate::Language(ranges) => Kind::Language(proto::LanguageIs { ranges: written(ranges) }),
        Predicate::Country(codes) => Kind::Country(proto::CountryIs { codes: written(codes) }),
        Predicate::Continent(all) => Kind::Continent(proto::ContinentIs { continents: numbers(all) }),
        Predicate::InEu {} => Kind::InEu(proto::InEuropeanUnion {}),
        Predicate::NewVisitor {} => Kind::NewVisitor(proto::NewVisitor {}),
        Predicate::VisitorTotalVisits(test) => Kind::VisitorTotalVisits(write_count(*test)),
        Predicate::LinkTotalVisits(test) => Kind::LinkTotalVisits(write_count(*test)),
        Predicate::PartnerTotalVisits(test) => Kind::PartnerTotalVisits(write_count(*test)),
        &Predicate::ReferrerHost { ref hosts, include_subdomains } => {
            Kind::ReferrerHost(proto::ReferrerHostIs { hosts: written(hosts), include_subdomains })
        }
        Predicate::Query { name, test } => Kind::QueryParameter(proto::QueryParameterIs {
            name: name.as_str().to_owned(),
            test: Some(write_query_test(test)),
        }),
        Predicate::ClientAddress(blocks) => {
            Kind::ClientAddress(proto::ClientAddressIn { cidrs: blocks.iter().map(net::write).collect() })
        }
        Predicate::Traffic(all) => Kind::TrafficClass(proto::TrafficClassIs { classes: numbers(all) }),
        Predicate::Time(window) => {
            let (start, end) = window.ends();
            Kind::Time(proto::TimeBetween {
                start_time: start.map(time::write),
                end_time: end.map(time::write),
            })
        }
        Predicate::Weekly(hours) => {
            let parts = hours.parts();
            Kind::WeeklyHours(proto::WeeklyHours {
                // The contract counts weekdays as the written form does, from 1 = Monday.
                weekdays: parts.weekdays.into_iter().map(i32::from).collect(),
                start_hour: parts.start_hour,
                end_hour: parts.end_hour,
                time_zone: parts.time_zone,
            })
        }
        Predicate::Partner(codes) => Kind::Partner(proto::PartnerIs { codes: written(codes) }),
        Predicate::Program(programs) => Kind::Program(proto::ProgramIs { programs: written(programs) }),
        Predicate::PartnerTag(tags) => Kind::PartnerTag(proto::PartnerTagIs { tags: written(tags) }),
        Predicate::Caller { name, test } => Kind::Attribute(proto::CallerAttributeIs {
            name: name.as_str().to_owned(),
            test: Some(write_caller_test(test)),
        }),
    }
}

fn count(wire: &proto::CountIs, path: &Path<'_>, faults: &mut Faults) -> Option<CountTest> {
    use count_is::Test;
    let test = super::required(wire.test.as_ref(), "the test", path, faults)?;
    let mut bound = |number: i64, field| {
        let below_zero = |_| Problem::new(Reason::OutOfRange, format!("a count is never {number}"));
        take(u64::try_from(number).map_err(below_zero), &path.field(field), faults)
    };
    match *test {
        Test::Equals(number) => bound(number, "equals").map(CountTest::Equals),
        Test::LessThan(number) => bound(number, "less_than").map(CountTest::LessThan),
        Test::AtMost(number) => bound(number, "at_most").map(CountTest::AtMost),
        Test::GreaterThan(number) => bound(number, "greater_than").map(CountTest::GreaterThan),
        Test::AtLeast(number) => bound(number, "at_least").map(CountTest::AtLeast),
    }
}

fn write_count(test: CountTest) -> proto::CountIs {
    use count_is::Test;
    let number = |bound| i64::try_from(bound).unwrap_or(i64::MAX);
    let test = match test {
        CountTest::Equals(bound) => Test::Equals(number(bound)),
        CountTest::LessThan(bound) => Test::LessThan(number(bound)),
        CountTest::AtMost(bound) => Test::AtMost(number(bound)),
        CountTest::GreaterThan(bound) => Test::GreaterThan(number(bound)),
        CountTest::AtLeast(bound) => Test::AtLeast(number(bound)),
    };
    proto::CountIs { test: Some(test) }
}

fn query_parameter(
    wire: &proto::QueryParameterIs,
    path: &Path<'_>,
    faults: &mut Faults,
) -> Option<Predicate> {
    use query_parameter_is::Test;
    let name = take(ParameterName::parse(&wire.name), &path.field("name"), faults);
    let test = super::required(wire.test.as_ref(), "the test", path, faults)?;
    let test = match test {
        Test::Present(proto::Present {}) => Some(QueryTest::Present),
        Test::WithoutValue(proto::WithoutValue {}) => Some(QueryTest::WithoutValue),
        Test::Equals(values) => equals(values, path, faults).map(QueryTest::Equals),
        Test::Contains(text) => {
            take(Needle::parse(text), &path.field("contains"), faults).map(QueryTest::Contains)
        }
        Test::StartsWith(text) => {
            take(Needle::parse(text), &path.field("starts_with"), faults).map(QueryTest::StartsWith)
        }
    };
    Some(Predicate::Query { name: name?, test: test? })
}

fn write_query_test(test: &QueryTest) -> query_parameter_is::Test {
    use query_parameter_is::Test;
    match test {
        QueryTest::Present => Test::Present(proto::Present {}),
        QueryTest::WithoutValue => Test::WithoutValue(proto::WithoutValue {}),
        QueryTest::Equals(values) => Test::Equals(write_values(values)),
        QueryTest::Contains(text) => Test::Contains(text.as_str().to_owned()),
        QueryTest::StartsWith(text) => Test::StartsWith(text.as_str().to_owned()),
    }
}

fn caller_attribute(
    wire: &proto::CallerAttributeIs,
    path: &Path<'_>,
    faults: &mut Faults,
) -> Option<Predicate> {
    use caller_attribute_is::Test;
    let name = take(AttributeName::parse(&wire.name), &path.field("name"), faults);
    let test = super::required(wire.test.as_ref(), "the test", path, faults)?;
    let mut decimal =
        |text: &String, field| take(Decimal::try_from(text.clone()), &path.field(field), faults);
    let test = match test {
        Test::Equals(values) => equals(values, path, faults).map(CallerTest::Equals),
        Test::Contains(text) => {
            take(Needle::parse(text), &path.field("contains"), faults).map(CallerTest::Contains)
        }
        Test::StartsWith(text) => {
            take(Needle::parse(text), &path.field("starts_with"), faults).map(CallerTest::StartsWith)
        }
        Test::LessThan(text) => decimal(text, "less_than").map(CallerTest::LessThan),
        Test::AtMost(text) => decimal(text, "at_most").map(CallerTest::AtMost),
        Test::GreaterThan(text) => decimal(text, "greater_than").map(CallerTest::GreaterThan),
        Test::AtLeast(text) => decimal(text, "at_least").map(CallerTest::AtLeast),
    };
    Some(Predicate::Caller { name: name?, test: test? })
}

fn write_caller_test(test: &CallerTest) -> caller_attribute_is::Test {
    use caller_attribute_is::Test;
    match test {
        CallerTest::Equals(values) => Test::Equals(write_values(values)),
        CallerTest::Contains(text) => Test::Contains(text.as_str().to_owned()),
        CallerTest::StartsWith(text) => Test::StartsWith(text.as_str().to_owned()),
        CallerTest::LessThan(decimal) => Test::LessThan(decimal.to_string()),
        CallerTest::AtMost(decimal) => Test::AtMost(decimal.to_string()),
        CallerTest::GreaterThan(decimal) => Test::GreaterThan(decimal.to_string()),
        CallerTest::AtLeast(decimal) => Test::AtLeast(decimal.to_string()),
    }
}

fn equals(wire: &proto::Values, path: &Path<'_>, faults: &mut Faults) -> Option<OneOf<Value>> {
    one_of(&wire.values, &path.field("equals").field("values"), faults, Value::parse)
}

fn write_values(values: &OneOf<Value>) -> proto::Values {
    proto::Values { values: values.iter().map(|value| value.as_str().to_owned()).collect() }
}

fn time_between(wire: &proto::TimeBetween, path: &Path<'_>, faults: &mut Faults) -> Option<TimeWindow> {
    let mut end = |at: &Option<prost_types::Timestamp>, field| {
        at.as_ref().map(|at| time::read(at, &path.field(field), faults))
    };
    let (start_time, end_time) = (end(&wire.start_time, "start_time"), end(&wire.end_time, "end_time"));
    // An end that is at fault has been told of; the window is not to be told open because of it.
    if start_time == Some(None) || end_time == Some(None) {
        return None;
    }
    take(TimeWindow::new(start_time.flatten(), end_time.flatten()), path, faults)
}

fn weekly(wire: &proto::WeeklyHours, path: &Path<'_>, faults: &mut Faults) -> Option<WeeklyHours> {
    let days = list(&wire.weekdays, &path.field("weekdays"), faults, |day, at, faults| {
        choice::read(*day, at, faults)
    });
    let zone = take(ZoneName::parse(&wire.time_zone), &path.field("time_zone"), faults);
    take(WeeklyHours::new(&days?, wire.start_hour, wire.end_hour, zone?), path, faults)
}

fn versions(min: &str, below: &str, path: &Path<'_>, faults: &mut Faults) -> Option<VersionRange> {
    let mut version = |text: &str, field| match text {
        "" => Some(None),
        text => {
            let read = text.parse::<Version>();
            let read = read.map_err(|invalid| Problem::new(Reason::Malformed, invalid.to_string()));
            take(read, &path.field(field), faults).map(Some)
        }
    };
    let (min, below) = (version(min, "min_version"), version(below, "below_version"));
    take(VersionRange::new(min?, below?), path, faults)
}

fn write_versions(range: &VersionRange) -> (String, String) {
    let (min, below) = range.ends();
    let text = |version: Option<Version>| version.map(|version| version.to_string()).unwrap_or_default();
    (text(min), text(below))
}

/// Reads members of a closed list that stand in the contract as numbers.
fn choices<C: Choice + Ord>(numbers: &[i32], path: &Path<'_>, faults: &mut Faults) -> Option<OneOf<C>> {
    let read = list(numbers, path, faults, |number, at, faults| choice::read(*number, at, faults))?;
    take(OneOf::new(read), path, faults)
}

fn numbers<C: Choice>(choices: &OneOf<C>) -> Vec<i32> {
    choices.iter().map(|choice| choice.number()).collect()
}

/// Reads members of a closed list that stand in the contract by their names.
fn names<T>(entries: &[String], path: &Path<'_>, faults: &mut Faults) -> Option<OneOf<T>>
where
    T: Ord + std::str::FromStr<Err: std::fmt::Display>,
{
    one_of(entries, path, faults, |text| text.parse().map_err(unknown))
}

fn one_of<T: Ord>(
    entries: &[String],
    path: &Path<'_>,
    faults: &mut Faults,
    parse: impl Fn(&str) -> Result<T, Problem>,
) -> Option<OneOf<T>> {
    let values = texts(entries, path, faults, parse)?;
    take(OneOf::new(values), path, faults)
}

fn written<T: std::fmt::Display>(values: &OneOf<T>) -> Vec<String> {
    values.iter().map(T::to_string).collect()
}

/// Says that a name is none that we know.
fn unknown(error: impl std::fmt::Display) -> Problem {
    Problem::new(Reason::UnknownValue, error.to_string())
}

fn language_problem(invalid: InvalidLanguage) -> Problem {
    let reason = match invalid.reason {
        language::Reason::Wildcard
        | language::Reason::Underscore
        | language::Reason::TooLong
        | language::Reason::Malformed => Reason::Malformed,
        language::Reason::UnknownLanguage { .. }
        | language::Reason::UnknownScript { .. }
        | language::Reason::UnknownRegion { .. } => Reason::UnknownValue,
    };
    Problem::new(reason, invalid.to_string())
}
