//! What the documentation says in tables is what the program does, and its links lead somewhere.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::json;
use smartlinks::{
    classify::language,
    domain::{
        click_id::ClickId,
        client::{Browser, DeviceClass, Os, TrafficClass},
        destination::Destination,
        fact::Fact,
        fault::Reason,
        geo::{Continent, Country},
        language::LanguageRange,
        link::{LinkState, Routing, Sharing},
        revision::Revision,
        shop::ShopSettings,
        visit::{Channel, Hints, Site, Totals, Visit},
    },
    index::{PartnerState, Record, Snapshot, Writer},
    telemetry::{
        gateway_metrics::GatewayMetrics,
        metrics::{self, Metrics},
    },
};

/// A table of a page, under its heading; cells without backticks.
struct Table {
    heading: String,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Returns the cells of every row by column.
    fn rows(&self) -> impl Iterator<Item = HashMap<&str, &str>> {
        self.rows.iter().map(|row| {
            assert_eq!(row.len(), self.columns.len(), "{}: {row:?}", self.heading);
            self.columns.iter().map(String::as_str).zip(row.iter().map(String::as_str)).collect()
        })
    }

    /// Returns the cells of the first column.
    fn first(&self) -> Vec<&str> {
        self.rows.iter().map(|row| row[0].as_str()).collect()
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn tables(page: &str) -> Vec<Table> {
    let cells = |line: &str| -> Vec<String> {
        let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
        inner.split(" | ").map(|cell| cell.trim().trim_end_matches('|').trim().replace('`', "")).collect()
    };
    let (mut tables, mut heading, mut open) = (Vec::<Table>::new(), String::new(), false);
    for line in page.lines() {
        if line.starts_with('#') {
            heading = line.trim_start_matches('#').trim().to_owned();
        }
        if !line.starts_with('|') {
            open = false;
        } else if !open {
            open = true;
            tables.push(Table { heading: heading.clone(), columns: cells(line), rows: Vec::new() });
        } else if !line.starts_with("|---") {
            tables.last_mut().unwrap().rows.push(cells(line));
        }
    }
    tables
}

fn semantics() -> Vec<Table> {
    tables(&text("docs/semantics.md"))
}

fn with_column(column: &str) -> Table {
    let mut found = semantics().into_iter().filter(|table| table.columns.iter().any(|name| name == column));
    let table = found.next().unwrap_or_else(|| panic!("no table has the column {column}"));
    assert!(found.next().is_none(), "two tables have the column {column}");
    table
}

fn under(heading: &str) -> Table {
    let found = semantics().into_iter().find(|table| table.heading == heading);
    found.unwrap_or_else(|| panic!("there is no table under {heading}"))
}

#[test]
fn limits_are_those_of_the_program() {
    let number = |text: &str| -> u64 {
        text.split('*').map(|factor| factor.trim().replace(['_', ','], "").parse::<u64>().unwrap()).product()
    };
    let source = text("src/domain/limits.rs");
    let constants: BTreeMap<String, u64> = source
        .lines()
        .filter_map(|line| line.strip_prefix("pub const ")?.strip_suffix(';')?.split_once('='))
        .map(|(name, value)| (name.split(':').next().unwrap().to_owned(), number(value)))
        .collect();
    assert!(constants.len() > 30, "{constants:?}");
    let table = with_column("Constant");
    let written: BTreeMap<String, u64> =
        table.rows().map(|row| (row["Constant"].to_owned(), number(row["Limit"]))).collect();
    assert_eq!(written, constants);
    assert_eq!(table.rows.len(), written.len(), "a limit stands twice");
}

#[test]
fn families_and_classes_are_those_of_the_program() {
    fn names<T: Copy>(all: &[T], name: fn(T) -> &'static str) -> Vec<&'static str> {
        all.iter().map(|member| name(*member)).collect()
    }
    assert_eq!(under("Operating systems").first(), names(Os::ALL, Os::as_str));
    assert_eq!(under("Browsers").first(), names(Browser::ALL, Browser::as_str));
    let classes = under("Classes of device");
    assert_eq!(classes.first(), names(DeviceClass::ALL, DeviceClass::as_str));
    let continents = with_column("Continent");
    assert_eq!(continents.first(), names(Continent::ALL, Continent::as_str));
    let traffic = under("Traffic classes");
    let from_the_top: Vec<_> = names(TrafficClass::ALL, TrafficClass::as_str).into_iter().rev().collect();
    assert_eq!(traffic.first(), from_the_top);
    for (table, prefix) in
        [(classes, "DEVICE_CLASS_"), (continents, "CONTINENT_"), (traffic, "TRAFFIC_CLASS_")]
    {
        let contract = text("proto/smartlinks/v1/condition.proto");
        for (name, row) in table.first().iter().zip(table.rows()) {
            assert_eq!(row["In the API"], format!("{prefix}{}", name.to_ascii_uppercase()));
            assert!(
                contract.contains(&format!("  {} = ", row["In the API"])),
                "{name} is not in the contract"
            );
        }
    }
}

#[test]
fn european_union_is_that_of_the_program() {
    let page = text("docs/semantics.md");
    let written: Vec<_> = page.lines().find_map(|line| line.strip_prefix("> ")).unwrap().split(' ').collect();
    let counted = Country::ALL.iter().filter(|country| country.in_eu()).map(|country| country.as_str());
    assert_eq!(written, counted.collect::<Vec<_>>());
}

fn settings() -> ShopSettings {
    serde_json::from_value(json!({
        "base_url": "https://shop.example",
        "link_hosts": ["go.shop.example"],
        "public_url": "https://go.shop.example",
        "partner_param": "ref",
        "accepted_partner_params": ["via"],
        "click_id_param": "click_id",
    }))
    .unwrap()
}

/// The shop of the examples with one link.
fn shop(routing: serde_json::Value) -> Arc<Snapshot> {
    let routing: Routing = serde_json::from_value(routing).unwrap();
    let partner = |code: &str, alias: &[&str], program: &str| Record::Partner {
        shop: "s".to_owned().try_into().unwrap(),
        code: code.to_owned().try_into().unwrap(),
        revision: Revision(1),
        state: Some(PartnerState {
            aliases: alias.iter().map(|alias| (*alias).to_owned().try_into().unwrap()).collect(),
            program: Some(program.to_owned().try_into().unwrap()),
            tags: Vec::new(),
            active: true,
        }),
    };
    let records = [
        Record::Shop {
            shop: "s".to_owned().try_into().unwrap(),
            revision: Revision(1),
            settings: Some(settings()),
            default_link: "home".to_owned().try_into().unwrap(),
        },
        partner("anna", &["annie"], "gold"),
        partner("ben", &[], "silver"),
        Record::Link {
            shop: "s".to_owned().try_into().unwrap(),
            slug: "l".to_owned().try_into().unwrap(),
            revision: Revision(1),
            state: LinkState::Active,
            sharing: Sharing::Everyone,
            routing,
            pending: None,
        },
    ];
    Writer::new().apply(records, Revision(1))
}

/// Reads `VISITOR_WINS for b`, `NONE`, `LISTED gclid`.
fn policy(words: &str) -> serde_json::Value {
    let conflict = |word: &str| word.to_ascii_lowercase();
    match words.split(' ').collect::<Vec<_>>()[..] {
        ["NONE"] => json!({"pass": "none"}),
        ["LISTED", name] => json!({"pass": {"listed": [name]}}),
        [winner] => json!({"on_conflict": conflict(winner)}),
        [winner, "for", name] => json!({"overrides": [{"name": name, "on_conflict": conflict(winner)}]}),
        _ => panic!("{words} is no policy"),
    }
}

#[test]
fn locations_are_those_of_the_program() {
    let mut count = 0;
    for table in semantics().iter().filter(|table| table.columns.iter().any(|name| name == "Location")) {
        for row in table.rows() {
            let destination = match row["Destination"] {
                "*(empty)*" => "",
                text => text,
            };
            let mut routing = json!({"default_destination": destination});
            if let Some(words) = row.get("Policy") {
                routing["query_policy"] = policy(words);
            }
            if let Some(source) = row.get("utm.source") {
                routing["utm"] = json!({"source": source});
            }
            let asked = row["Visitor asks for"];
            let (path, query) = asked.split_once('?').unwrap_or((asked, ""));
            let path = path.strip_prefix('/').unwrap();
            let (slug, partner) = path.split_once('/').unwrap_or((path, ""));
            let time = "2026-06-03T12:00:00Z".parse().unwrap();
            let click_id = ClickId::new(time, [7; 10]);
            let visit = Visit {
                site: Site::Host("go.shop.example"),
                slug,
                partner,
                query,
                time,
                click_id: Some(click_id),
                address: Fact::Unknown,
                country: Fact::Unknown,
                channel: Channel::Link,
                agent: Arc::default(),
                hints: Hints::default(),
                headers: None,
                purpose_header: None,
                attributes: &HashMap::new(),
                visitor: None,
                opted_out: false,
                totals: Totals::default(),
            };
            let resolution = shop(routing).resolve(&visit).unwrap();
            let shown = resolution.to.unwrap().location.replace(&click_id.to_string(), "ID");
            assert_eq!(shown, row["Location"], "{}: {row:?}", table.heading);
            count += 1;
        }
    }
    assert!(count > 25, "only {count} examples were found");
}

#[test]
fn destinations_are_taken_and_refused_as_written() {
    let check =
        |text: &str| Destination::parse(text).and_then(|to| settings().check_destination(&to).map(|()| to));
    let accepted = with_column("Accepted destination");
    for row in accepted.rows() {
        let text = row["Accepted destination"].replace("*(empty)*", "");
        assert!(check(&text).is_ok(), "{text}: {:?}", check(&text));
    }
    let refused = with_column("Refused destination");
    for row in refused.rows() {
        let text = match row["Refused destination"] {
            "more than 2,048 bytes" => "a".repeat(2_049),
            text => text.to_owned(),
        };
        let names = [
            (Reason::UnsafeDestination, "UNSAFE_DESTINATION"),
            (Reason::RedirectLoop, "REDIRECT_LOOP"),
            (Reason::TooLong, "TOO_LONG"),
        ];
        let reason = check(&text).unwrap_err().reason;
        assert!(names.contains(&(reason, row["Reason"])), "{text} was refused for {reason:?}");
    }
    assert!(accepted.rows.len() + refused.rows.len() > 20);
}

#[test]
fn languages_are_chosen_as_written() {
    let table = with_column("Accept-Language");
    for row in table.rows() {
        let named: Vec<_> =
            row["The rules name"].split(' ').map(|range| LanguageRange::parse(range).unwrap()).collect();
        let chosen = match language::best(Some(row["Accept-Language"]), &named) {
            Fact::Known(range) => range.to_string(),
            Fact::Absent => "none".to_owned(),
            Fact::Unknown => "unknown".to_owned(),
        };
        assert_eq!(chosen, row["Language"], "{row:?}");
    }
    assert!(table.rows.len() > 10);
}

#[test]
fn every_setting_is_documented_with_its_default() {
    let page = text("docs/operations.md");
    let rows: Vec<Vec<String>> = tables(&page)
        .into_iter()
        .filter(|table| table.columns.iter().any(|name| name == "Default"))
        .flat_map(|table| table.rows)
        .collect();
    let mut count = 0;
    for entry in fs::read_dir(root().join("src/config")).unwrap() {
        let source = fs::read_to_string(entry.unwrap().path()).unwrap();
        for attribute in source.lines().filter_map(|line| line.split_once("env = \"")) {
            let (name, rest) = attribute.1.split_once('"').unwrap();
            assert!(page.contains(&format!("`{name}`")), "{name} is not documented");
            count += 1;
            let Some((_, default)) = rest.split_once("default_value = \"") else { continue };
            let default = default.split('"').next().unwrap();
            for row in rows.iter().filter(|row| row[0] == name) {
                assert_eq!(row[1], default, "the default of {name}");
            }
        }
    }
    assert!(count > 15, "only {count} settings were found");
}

#[test]
fn every_metric_is_documented() {
    let page = text("docs/operations.md");
    for registry in [Metrics::new().1, GatewayMetrics::new().1] {
        let printed = metrics::print(&registry);
        let names: BTreeSet<_> =
            printed.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next()).collect();
        assert!(names.len() > 5, "{names:?}");
        for name in names {
            assert!(page.contains(&format!("`{name}")), "{name} is not documented");
        }
    }
}

/// Returns every page of the documentation, those of the examples and the README included.
fn pages() -> Vec<PathBuf> {
    let mut folders = vec![root().join("docs"), root().join("helm")];
    let pages = ["README.md", "examples/python/README.md", "examples/typescript/README.md"];
    let mut pages: Vec<_> = pages.map(|page| root().join(page)).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "md") {
                pages.push(path);
            }
        }
    }
    pages
}

/// Returns what a heading is called in links, as GitHub does.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Leaves out what stands between backticks: a grammar may look like a link.
fn without_code(page: &str) -> String {
    page.split('`').step_by(2).collect::<Vec<_>>().join(" ")
}

fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut count = 0;
    for path in pages() {
        let page = without_code(&fs::read_to_string(&path).unwrap());
        for (at, _) in page.match_indices("](") {
            let target = page[at + 2..].split(')').next().unwrap();
            if target.contains("://") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let there = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(there.exists(), "{}: {target} leads nowhere", path.display());
            if !heading.is_empty() {
                let there = fs::read_to_string(&there).unwrap();
                assert!(anchors(&there).contains(heading), "{}: no heading {target}", path.display());
            }
            count += 1;
        }
    }
    assert!(count > 20, "only {count} links were found");
}
