//! Reads what is asked of the figures.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::filter::bounded;
use crate::{
    domain::{
        client::{Browser, DeviceClass, Os, TrafficClass},
        fault::{Faults, Problem, Reason},
        geo::Country,
        host::shown,
        limits,
        name::{PartnerCode, ProgramId, RuleId, ShopId, Slug, VariantId},
        stats::{ConversionTime, Dimension, Granularity, NONE, Pieces, StatsQuery, UNKNOWN},
        visit::{Channel, ResolveReason},
        window::ZoneName,
    },
    proto,
    rpc::{
        convert::{
            self, Path,
            choice::{self, Choice},
            take, time,
        },
        pages::Page,
        status::Failure,
    },
};

/// The zone of shops that name none.
pub(super) const ZONE: &str = "UTC";

/// What is counted besides clicks.
#[derive(Clone, Copy)]
pub(in crate::rpc) struct Measures {
    pub(in crate::rpc) visitors: bool,
    pub(in crate::rpc) conversions: bool,
    pub(in crate::rpc) revenue: bool,
}

/// What is asked.
pub(super) struct Question {
    pub(super) query: StatsQuery,
    /// What is shown besides clicks.
    pub(super) measures: Measures,
    /// Whether every piece of time is shown, not only the whole.
    pub(super) by_time: bool,
    /// How many values; none asks for pages of all.
    pub(super) top: Option<usize>,
    pub(super) page: Page<String>,
}

/// Reads a request, with every fault. Unless it names a zone, this one counts.
pub(super) fn read(request: &proto::QueryStatsRequest, zone: &str) -> Result<Question, Failure> {
    let mut faults = Faults::new();
    let question = question(request, zone, &mut faults);
    faults.finish(question).map_err(Failure::from)
}

fn question(request: &proto::QueryStatsRequest, zone: &str, faults: &mut Faults) -> Option<Question> {
    let fields: fn(&mut proto::QueryStatsRequest) -> (&mut i32, &mut String) =
        |request| (&mut request.page_size, &mut request.page_token);
    let page = Page::read("stats", request, fields, faults);
    let shop = take(ShopId::fold(&request.shop), &Path::root("shop"), faults);
    let granularity = Granularity::of(request.granularity);
    let granularity = take(granularity, &Path::root("granularity"), faults)
        .map(|chosen| chosen.unwrap_or(Granularity::Total));
    let pieces = pieces(request, zone, granularity, faults);
    let dimension = take(Dimension::of(request.dimension), &Path::root("dimension"), faults);
    let filters = filters(request, dimension.flatten(), faults);
    let measures = measures(&request.measures, faults);
    let time = ConversionTime::of(request.conversion_time);
    let time = take(time, &Path::root("conversion_time"), faults)
        .map(|chosen| chosen.unwrap_or(ConversionTime::Conversion));
    let top = top(request, pieces.as_ref(), faults);
    let query = StatsQuery {
        shop: shop?,
        pieces: pieces?,
        dimension: dimension?,
        filters: filters?,
        visitors: measures?.visitors,
        conversions: (measures?.conversions || measures?.revenue).then_some(time?),
    };
    Some(Question {
        query,
        measures: measures?,
        by_time: granularity? != Granularity::Total,
        top: top?,
        page: page?,
    })
}

/// Divides the time.
fn pieces(
    request: &proto::QueryStatsRequest,
    zone: &str,
    granularity: Option<Granularity>,
    faults: &mut Faults,
) -> Option<Pieces> {
    let mut at = |wire: &Option<prost_types::Timestamp>, field| -> Option<Timestamp> {
        let path = Path::root(field);
        time::read(convert::required(wire.as_ref(), "the time", &path, faults)?, &path, faults)
    };
    let (start, end) = (at(&request.start_time, "start_time"), at(&request.end_time, "end_time"));
    let zone = if request.time_zone.is_empty() { zone } else { &request.time_zone };
    let zone = take(ZoneName::parse(zone), &Path::root("time_zone"), faults);
    let pieces = Pieces::divide(start?, end?, granularity?, zone?.zone());
    take(pieces, &Path::root("end_time"), faults)
}

fn measures(measures: &[i32], faults: &mut Faults) -> Option<Measures> {
    let path = Path::root("measures");
    let all = convert::list(measures, &path, faults, |number, at, faults| {
        let measure = match proto::StatsMeasure::try_from(*number) {
            Ok(proto::StatsMeasure::Unspecified) => Err(convert::unspecified("the measure")),
            Ok(measure) => Ok(measure),
            Err(_) => Err(choice::no_such("measure", *number)),
        };
        take(measure, at, faults)
    })?;
    Some(Measures {
        visitors: all.contains(&proto::StatsMeasure::DailyVisitors),
        conversions: all.contains(&proto::StatsMeasure::Conversions),
        revenue: all.contains(&proto::StatsMeasure::Revenue),
    })
}

fn top(
    request: &proto::QueryStatsRequest,
    pieces: Option<&Pieces>,
    faults: &mut Faults,
) -> Option<Option<usize>> {
    let path = Path::root("top");
    let (asked, most) = (request.top, limits::STATS_TOP);
    let problem = match usize::try_from(asked) {
        Ok(0) => return Some(None),
        Ok(_) if request.dimension == 0 => Problem::new(
            Reason::Conflict,
            "without a dimension there is one series; set `dimension`, or no `top`",
        ),
        Ok(top) if top <= most => {
            let points = pieces.map_or(0, Pieces::count) * top;
            if points <= limits::STATS_TOP_POINTS {
                return Some(Some(top));
            }
            let most = limits::STATS_TOP_POINTS;
            let text = format!(
                "there would be {points} figures, at most {most} are allowed; ask for fewer or longer pieces of time"
            );
            Problem::new(Reason::OutOfRange, text)
        }
        Ok(_) | Err(_) => {
            Problem::new(Reason::OutOfRange, format!("the top is of 1 to {most} values, not {asked}"))
        }
    };
    take(Err(problem), &path, faults)
}

type Filters = BTreeMap<Dimension, BTreeSet<String>>;

/// Reads the filters, and adds those that go without saying.
fn filters(
    request: &proto::QueryStatsRequest,
    told_apart: Option<Dimension>,
    faults: &mut Faults,
) -> Option<Filters> {
    let path = Path::root("filters");
    let read = convert::list(&request.filters, &path, faults, filter)?;
    let mut filters = Filters::new();
    for (at, (dimension, values)) in read.into_iter().enumerate() {
        if filters.insert(dimension, values).is_some() {
            let text = format!("the {dimension} is filtered twice; name all of its values in one filter");
            let problem = Problem::new(Reason::Duplicate, text);
            take::<(), _>(Err(problem), &path.index(at).field("dimension"), faults)?;
        }
    }
    let reasons = [ResolveReason::Rule.as_str(), ResolveReason::Default.as_str()];
    for (dimension, counted) in
        [(Dimension::Class, &[TrafficClass::Human.as_str()][..]), (Dimension::Reason, &reasons)]
    {
        if told_apart != Some(dimension) {
            let counted = || counted.iter().map(|name| (*name).to_owned()).collect();
            filters.entry(dimension).or_insert_with(counted);
        }
    }
    Some(filters)
}

fn filter(
    wire: &proto::StatsFilter,
    path: &Path<'_>,
    faults: &mut Faults,
) -> Option<(Dimension, BTreeSet<String>)> {
    let dimension = choice::read::<Dimension>(wire.dimension, &path.field("dimension"), faults);
    let (at, unknown) = (path.field("values"), path.field("unknown"));
    let texts = bounded(&wire.values, &at, faults);
    if wire.values.is_empty() && !wire.unknown {
        take::<(), _>(Err(Problem::required("a value")), &at, faults)?;
    }
    let dimension = dimension?;
    if wire.unknown && !may_be_unknown(dimension) {
        let problem = Problem::new(Reason::Conflict, format!("the {dimension} of a click is never unknown"));
        take::<(), _>(Err(problem), &unknown, faults)?;
    }
    let values = convert::texts(texts?, &at, faults, |text| value(dimension, text))?;
    Some((dimension, values.into_iter().chain(wire.unknown.then(|| UNKNOWN.to_owned())).collect()))
}

fn may_be_unknown(dimension: Dimension) -> bool {
    match dimension {
        Dimension::Country
        | Dimension::Device
        | Dimension::Os
        | Dimension::Browser
        | Dimension::Language
        | Dimension::Referrer => true,
        Dimension::Link
        | Dimension::Partner
        | Dimension::Program
        | Dimension::Rule
        | Dimension::Channel
        | Dimension::Class
        | Dimension::Reason
        | Dimension::Variant => false,
    }
}

/// Reads a value of a dimension as it is stored.
fn value(dimension: Dimension, text: &str) -> Result<String, Problem> {
    let has_none = matches!(
        dimension,
        Dimension::Link
            | Dimension::Partner
            | Dimension::Program
            | Dimension::Rule
            | Dimension::Referrer
            | Dimension::Variant
    );
    if text.is_empty() && has_none {
        return Ok(NONE.to_owned());
    }
    match dimension {
        Dimension::Link => Slug::fold(text).map(|slug| slug.to_string()),
        Dimension::Partner => PartnerCode::fold(text).map(|code| code.to_string()),
        Dimension::Program => ProgramId::fold(text).map(|program| program.to_string()),
        Dimension::Rule => {
            let malformed =
                || Problem::new(Reason::Malformed, "a rule is written with its link, as `slug/rule`");
            let (slug, rule) = text.split_once('/').ok_or_else(malformed)?;
            Ok(format!("{}/{}", Slug::fold(slug)?, RuleId::fold(rule)?))
        }
        Dimension::Variant => {
            let malformed = || {
                let text = "a variant is written with its link and rule, as `slug/rule/variant`";
                Problem::new(Reason::Malformed, text)
            };
            let (slug, rest) = text.split_once('/').ok_or_else(malformed)?;
            let (rule, variant) = rest.split_once('/').ok_or_else(malformed)?;
            Ok(format!("{}/{}/{}", Slug::fold(slug)?, RuleId::fold(rule)?, VariantId::fold(variant)?))
        }
        Dimension::Country => {
            let country = Country::parse(text).map_err(|unknown| unknown_value(&unknown))?;
            Ok(country.as_str().to_owned())
        }
        Dimension::Device => listed::<DeviceClass>(text),
        Dimension::Os => listed::<Os>(text),
        Dimension::Browser => listed::<Browser>(text),
        Dimension::Channel => listed::<Channel>(text),
        Dimension::Class => listed::<TrafficClass>(text),
        Dimension::Reason => {
            let reason = text.parse::<ResolveReason>().map_err(|unknown| unknown_value(&unknown))?;
            Ok(reason.as_str().to_owned())
        }
        Dimension::Language | Dimension::Referrer => {
            let is_plain =
                !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'?');
            if !is_plain || text.len() > limits::VALUE_BYTES {
                return Err(Problem::new(Reason::Malformed, format!("`{}` is no {dimension}", shown(text))));
            }
            Ok(text.to_ascii_lowercase())
        }
    }
}

/// Reads a member of a closed list by its name.
fn listed<T: std::str::FromStr<Err: std::fmt::Display> + ToString>(text: &str) -> Result<String, Problem> {
    text.parse::<T>().map(|member| member.to_string()).map_err(|unknown| unknown_value(&unknown))
}

fn unknown_value(unknown: &impl std::fmt::Display) -> Problem {
    Problem::new(Reason::UnknownValue, unknown.to_string())
}
