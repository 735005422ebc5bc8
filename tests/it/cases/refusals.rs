//! What must not be written, and what must be: values against their constructors, objects against their checks.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use smartlinks::{
    domain::{
        condition::Condition,
        destination::Destination,
        fault::{Fault, Faults, Problem, Reason},
        geo::Country,
        host::{DestinationHost, Host, Origin},
        language::LanguageRange,
        link::{Description, Link, LinkState, Routing, Sharing},
        name::{DisplayName, PartnerCode, RuleId, ShopId, Slug, Tag},
        param::OwnParam,
        partner::Partner,
        shop::ShopSettings,
        utm::Template,
        window::{WeeklyHours, WeeklyHoursParts, ZoneName},
    },
    proto::{self, QueryPass},
    rpc::convert,
};

use super::file::{self, Defaults};

#[derive(Deserialize)]
struct Entry {
    name: String,
    #[serde(default)]
    expect: Option<Expect>,
    #[serde(flatten)]
    object: Map<String, Value>,
}

/// What the refusal must say.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Expect {
    path: Option<String>,
    reason: Option<String>,
    says: Option<String>,
    unreadable: Option<String>,
}

/// A fault as it is compared.
#[derive(Debug, PartialEq)]
struct Refusal {
    path: Option<String>,
    reason: Option<&'static str>,
    text: String,
    unreadable: bool,
}

#[test]
fn what_must_not_be_written_is_refused() {
    let defaults = file::defaults();
    let (mut run, mut failures) = (0, Vec::new());
    for (name, file) in file::files() {
        for (entry, accepted) in entries(&name, &file) {
            run += 1;
            let at = format!("{name}: {:?}", entry.name);
            let refusals = refusals_of(&defaults, &entry.object, &at);
            let wrong = match (&entry.expect, refusals.as_slice()) {
                (None, []) if accepted => None,
                (Some(expect), [only]) if !accepted && expect.fits(only) => None,
                (expect, got) => Some(format!("{at}\n    expected {expect:?}\n    got      {got:?}")),
            };
            failures.extend(wrong);
        }
    }
    super::report("writes", run, &mut failures);
}

/// Names every refusal, for the list of what is shown.
pub(super) fn names() -> Vec<String> {
    let files = file::files();
    files.iter().flat_map(|(name, file)| entries(name, file)).map(|(entry, _)| entry.name).collect()
}

fn entries(name: &str, file: &file::File) -> Vec<(Entry, bool)> {
    let read = |entry: &Map<String, Value>| -> Entry {
        serde_json::from_value(Value::Object(entry.clone()))
            .unwrap_or_else(|error| panic!("{name}: {error}: {entry:?}"))
    };
    let refused = file.refused.iter().map(|entry| (read(entry), false));
    refused.chain(file.accepted.iter().map(|entry| (read(entry), true))).collect()
}

impl Expect {
    fn fits(&self, got: &Refusal) -> bool {
        let Self { path, reason, says, unreadable } = self;
        let said = says.iter().chain(unreadable).all(|part| got.text.contains(part.as_str()));
        said && got.unreadable == unreadable.is_some()
            && *path == got.path
            && (reason.is_none() || reason.as_deref() == got.reason)
    }
}

fn refusals_of(defaults: &Defaults, object: &Map<String, Value>, at: &str) -> Vec<Refusal> {
    let mut object: Map<String, Value> =
        object.iter().map(|(key, value)| (key.clone(), expanded(value))).collect();
    let settings = defaults.shop_with(&fields(object.remove("shop").unwrap_or_default()));
    let settings: ShopSettings = match serde_json::from_value(Value::Object(settings)) {
        Ok(settings) => settings,
        Err(error) => return vec![unreadable(&error)],
    };
    let Some((kind, value)) = object.iter().next() else { return of_faults(&settings.check()) };
    assert_eq!(object.len(), 1, "{at}: one value or object at a time");
    let text = || value.as_str().unwrap_or_else(|| panic!("{at}: {kind} is a text"));
    match kind.as_str() {
        "link" => match link(value) {
            Ok(link) => of_faults(&link.check(&settings)),
            Err(error) => vec![unreadable(&error)],
        },
        "partner" => match partner(value) {
            Ok(partner) => of_faults(&partner.check()),
            Err(error) => vec![unreadable(&error)],
        },
        "destination" => of_problem(Destination::parse(text())),
        "base_url" => of_problem(Origin::parse(text())),
        "link_host" => of_problem(Host::parse(text())),
        "destination_host" => of_problem(DestinationHost::parse(text())),
        "parameter" => of_problem(OwnParam::parse(text())),
        "utm" => of_problem(Template::parse(text())),
        "slug" => of_problem(Slug::parse(text())),
        "rule_id" => of_problem(RuleId::parse(text())),
        "partner_code" => of_problem(PartnerCode::parse(text())),
        "display_name" => of_problem(DisplayName::parse(text())),
        "description" => of_problem(Description::parse(text())),
        "time_zone" => of_problem(ZoneName::parse(text())),
        "country" => of_text(Country::parse(text())),
        "language" => of_text(LanguageRange::parse(text())),
        "condition" => of_reading::<Condition>(value),
        "query_policy" => of_faults(&policy(value)),
        "weekly_hours" => {
            let parts: WeeklyHoursParts = serde_json::from_value(value.clone()).unwrap();
            of_problem(WeeklyHours::try_from(parts))
        }
        other => panic!("{at}: `{other}` is not something that can be refused"),
    }
}

fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

fn link(value: &Value) -> Result<Link, serde_json::Error> {
    let mut fields = fields(value.clone());
    fields.entry("default_destination").or_insert_with(|| "".into());
    let tags = fields.remove("tags").map_or(Ok(Vec::new()), serde_json::from_value::<Vec<Tag>>)?;
    let sharing = fields.remove("sharing").map_or(Ok(Sharing::Everyone), serde_json::from_value)?;
    Ok(Link {
        shop: ShopId::parse("shop").unwrap(),
        slug: Slug::parse("l").unwrap(),
        is_default: false,
        display_name: DisplayName::parse("l").unwrap(),
        description: Description::default(),
        tags,
        state: LinkState::Active,
        sharing,
        routing: serde_json::from_value::<Routing>(Value::Object(fields))?,
        golden_clicks: Vec::new(),
    })
}

fn partner(value: &Value) -> Result<Partner, serde_json::Error> {
    let mut partner = serde_json::json!({
        "shop": "shop", "code": "anna", "aliases": [], "display_name": "Anna", "program": null, "tags": [], "active": true
    });
    for (name, field) in fields(value.clone()) {
        partner[name] = field;
    }
    serde_json::from_value(partner)
}

/// Reads a query policy from the wire, where names are checked: `listed` or the names of `overrides`.
fn policy(value: &Value) -> Faults {
    let names = |field: &str| -> Vec<String> {
        value.get(field).map(|names| serde_json::from_value(names.clone()).unwrap()).unwrap_or_default()
    };
    let listed = names("listed");
    let pass = if listed.is_empty() { QueryPass::All } else { QueryPass::Listed };
    let on_conflict = proto::QueryConflict::Append.into();
    let overrides =
        names("overrides").into_iter().map(|name| proto::QueryOverride { name, on_conflict }).collect();
    let wire = proto::QueryPolicy { pass: pass.into(), listed, overrides, ..proto::QueryPolicy::default() };
    let mut faults = Faults::new();
    convert::policy::read(&wire, &convert::Path::root("query_policy"), &mut faults);
    faults
}

fn of_faults(faults: &Faults) -> Vec<Refusal> {
    let refusal = |fault: &Fault| Refusal {
        path: Some(fault.path.clone()),
        reason: Some(reason_name(fault.problem.reason)),
        text: fault.problem.text.clone(),
        unreadable: false,
    };
    faults.iter().map(refusal).collect()
}

fn of_problem<T>(result: Result<T, Problem>) -> Vec<Refusal> {
    let refusal = |problem: Problem| Refusal {
        path: None,
        reason: Some(reason_name(problem.reason)),
        text: problem.text,
        unreadable: false,
    };
    result.err().map(refusal).into_iter().collect()
}

fn of_text<T>(result: Result<T, impl std::fmt::Display>) -> Vec<Refusal> {
    let refusal = |error| Refusal { path: None, reason: None, text: format!("{error}"), unreadable: false };
    result.err().map(refusal).into_iter().collect()
}

fn of_reading<T: DeserializeOwned>(value: &Value) -> Vec<Refusal> {
    serde_json::from_value::<T>(value.clone()).err().iter().map(unreadable).collect()
}

fn unreadable(error: &serde_json::Error) -> Refusal {
    Refusal { path: None, reason: None, text: error.to_string(), unreadable: true }
}

/// Writes out what is too long for a file: `{repeat: a, times: 3}` is `aaa`, `{list_of: "a{n}", times: 2}` is `[a0, a1]`,
/// `{nest: not, around: x, times: 2}` is `{not: {not: x}}`.
fn expanded(value: &Value) -> Value {
    match value {
        Value::Array(members) => members.iter().map(expanded).collect(),
        Value::Object(fields) => {
            let times = fields.get("times").and_then(Value::as_u64).unwrap_or_default();
            if let Some(text) = fields.get("repeat").and_then(Value::as_str) {
                return text.repeat(usize::try_from(times).unwrap()).into();
            }
            if let Some(member) = fields.get("list_of") {
                return (0..times).map(|n| numbered(&expanded(member), n)).collect();
            }
            if let (Some(key), Some(inner)) =
                (fields.get("nest").and_then(Value::as_str), fields.get("around"))
            {
                return (0..times).fold(expanded(inner), |inner, _| serde_json::json!({ key: inner }));
            }
            fields.iter().map(|(key, value)| (key.clone(), expanded(value))).collect::<Map<_, _>>().into()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn numbered(value: &Value, n: u64) -> Value {
    serde_json::from_str(&value.to_string().replace("{n}", &n.to_string())).unwrap()
}

/// Names a reason as the contract does.
fn reason_name(reason: Reason) -> &'static str {
    match reason {
        Reason::Required => "REQUIRED",
        Reason::Malformed => "MALFORMED",
        Reason::TooLong => "TOO_LONG",
        Reason::OutOfRange => "OUT_OF_RANGE",
        Reason::UnknownValue => "UNKNOWN_VALUE",
        Reason::Duplicate => "DUPLICATE",
        Reason::Conflict => "CONFLICT",
        Reason::UnsafeDestination => "UNSAFE_DESTINATION",
        Reason::RedirectLoop => "REDIRECT_LOOP",
        Reason::Immutable => "IMMUTABLE",
        Reason::UnknownField => "UNKNOWN_FIELD",
        Reason::InvalidPageToken => "INVALID_PAGE_TOKEN",
        Reason::UnknownReference => "UNKNOWN_REFERENCE",
        Reason::RequestIdReused => "REQUEST_ID_REUSED",
        Reason::InvalidStreamToken => "INVALID_STREAM_TOKEN",
        Reason::RuleContradictory => "RULE_CONTRADICTORY",
        Reason::RuleShadowed => "RULE_SHADOWED",
        Reason::GoldenClickFailed => "GOLDEN_CLICK_FAILED",
    }
}
