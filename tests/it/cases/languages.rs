//! Real and odd `Accept-Language` headers, as a table: read on their own, and by the rules of a link over gRPC.

use serde_json::{Map, Value, json};
use smartlinks::{
    classify::language,
    domain::{
        fact::Fact,
        language::LanguageRange,
        name::{ShopId, Slug},
    },
    proto::{Purpose, RequestHeaders, ResolveRequest, resolve_request::Site},
};

use super::{
    file::{self, Shop},
    grpc::Served,
    report, snapshot,
};

/// A row of the table.
struct Row {
    supported: Vec<LanguageRange>,
    /// A range, `none` or `unknown`.
    chosen: String,
    /// The best entry of the header, `-` if it names no language.
    first: String,
    header: Option<String>,
}

fn rows() -> Vec<Row> {
    let table = include_str!("../../data/accept_languages.tsv");
    let row = |line: &str| {
        let [supported, chosen, first, header] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        Row {
            supported: supported.split(' ').map(|range| LanguageRange::parse(range).unwrap()).collect(),
            chosen: chosen.to_owned(),
            first: first.to_owned(),
            header: (header != "-").then(|| serde_json::from_str(header).unwrap()),
        }
    };
    let rows: Vec<Row> = table.lines().filter(|line| !line.starts_with('#')).map(row).collect();
    assert!(rows.len() >= 70, "the table lost rows: {}", rows.len());
    rows
}

fn chosen(header: Option<&str>, supported: &[LanguageRange]) -> String {
    match language::best(header, supported) {
        Fact::Known(range) => range.to_string(),
        Fact::Absent => "none".to_owned(),
        Fact::Unknown => "unknown".to_owned(),
    }
}

/// Returns every range that a header names or falls back to, as far as a rule could name it.
fn named(header: &str) -> Vec<LanguageRange> {
    let entries = header.split(',').filter_map(|entry| entry.split(';').next()).map(str::trim);
    let shorter = |range: &&'_ str| range.rfind('-');
    let falls = entries.flat_map(|entry| {
        std::iter::successors(Some(entry), move |range| shorter(range).map(|at| &entry[..at]))
    });
    falls.filter_map(|range| LanguageRange::parse(range).ok()).collect()
}

#[test]
fn headers_are_read_as_listed() {
    let (mut run, mut failures) = (0, Vec::new());
    for row in rows() {
        let header = row.header.as_deref();
        let got = chosen(header, &row.supported);
        let first = chosen(header, &named(header.unwrap_or_default()));
        let first = if first == "unknown" { "-".to_owned() } else { first };
        if (&got, &first) != (&row.chosen, &row.first) {
            let Row { chosen, first: wish, .. } = &row;
            failures.push(format!("{header:?}: {got} and {first}, not {chosen} and {wish}"));
        }
        run += 1;
    }
    report("headers", run, &mut failures);
}

/// Makes a shop whose link `l` leads to the language that the visitor has.
fn shop(supported: &[LanguageRange]) -> Shop {
    let of_language = |range: &LanguageRange| {
        let id = range.to_string().to_ascii_lowercase();
        json!({ "id": id, "when": { "is": { "language": [range] } }, "then": { "destination": format!("/{range}") } })
    };
    let known =
        json!({ "id": "known", "when": { "is_known": "language" }, "then": { "destination": "/none" } });
    let rules: Vec<Value> = supported.iter().map(of_language).chain([known]).collect();
    let mut link = Map::new();
    link.insert("default_destination".to_owned(), "/unknown".into());
    link.insert("rules".to_owned(), rules.into());
    let id = ShopId::parse("shop").unwrap();
    Shop {
        links: vec![file::link(&id, "l", link, "languages")],
        id,
        settings: serde_json::from_value(Value::Object(file::defaults().shop_with(&Map::new()))).unwrap(),
        default_link: Slug::parse("l").unwrap(),
        partners: Vec::new(),
    }
}

#[tokio::test]
async fn rules_choose_by_headers_as_listed() {
    let served = Served::start().await;
    let mut client = served.client().await;
    let (mut run, mut failures) = (0, Vec::new());
    for row in rows() {
        served.publish(snapshot::snapshot_of(&shop(&row.supported)));
        let headers = RequestHeaders { accept_language: row.header.clone(), ..RequestHeaders::default() };
        let request = ResolveRequest {
            purpose: Purpose::Lookup.into(),
            site: Some(Site::Host("go.shop.example".to_owned())),
            slug: "l".to_owned(),
            headers: Some(headers),
            ..ResolveRequest::default()
        };
        let location = client.resolve(request).await.unwrap().into_inner().location;
        let expected = format!("https://shop.example/{}", row.chosen);
        if location != expected {
            failures.push(format!("{:?}: {location}, not {expected}", row.header));
        }
        run += 1;
    }
    report("headers over gRPC", run, &mut failures);
}
