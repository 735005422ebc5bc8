//! Reads the files and lays what they say over the defaults.

use std::{
    collections::{BTreeMap, HashMap},
    fmt, fs,
    path::PathBuf,
    sync::Arc,
};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use smartlinks::domain::{
    link::{Description, Link, LinkState, Routing, Sharing},
    name::{DisplayName, PartnerCode, ProgramId, ShopId, Slug, Tag},
    partner::Partner,
    shop::ShopSettings,
};

use super::{expect::Expect, visit::Visit};

/// A shop with all that belongs to it.
pub(super) struct Shop {
    pub(super) id: ShopId,
    pub(super) settings: ShopSettings,
    pub(super) default_link: Slug,
    pub(super) partners: Vec<Partner>,
    pub(super) links: Vec<Link>,
}

/// A visit to a shop and what must come of it.
pub(super) struct Case {
    pub(super) file: String,
    pub(super) name: String,
    pub(super) shop: Arc<Shop>,
    pub(super) visit: Visit,
    pub(super) expect: Expect,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.file, self.name)
    }
}

/// What a file may hold.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
pub(super) struct File {
    shop: Map<String, Value>,
    partners: Option<Vec<Value>>,
    links: BTreeMap<String, Map<String, Value>>,
    cases: Vec<CaseEntry>,
    pub(super) refused: Vec<Map<String, Value>>,
    pub(super) accepted: Vec<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseEntry {
    name: String,
    #[serde(default)]
    shop: Map<String, Value>,
    #[serde(default)]
    link: Option<Map<String, Value>>,
    visit: Map<String, Value>,
    expect: Expect,
}

/// What every case starts from.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Defaults {
    shop: Map<String, Value>,
    partners: Vec<Value>,
    visit: Map<String, Value>,
    /// Address blocks by country code.
    pub(super) countries: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PartnerEntry {
    code: PartnerCode,
    #[serde(default)]
    aliases: Vec<PartnerCode>,
    #[serde(default)]
    program: Option<ProgramId>,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(default = "active")]
    active: bool,
}

fn active() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(untagged)]
enum SharingEntry {
    Named(Sharing),
    Selected {
        #[serde(default)]
        partners: Vec<PartnerCode>,
        #[serde(default)]
        programs: Vec<ProgramId>,
    },
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

fn read<T: DeserializeOwned>(name: &str) -> T {
    let text = fs::read_to_string(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    // `no` is a country and `on` a rule: only `true` and `false` are neither.
    let options = serde_saphyr::options! { strict_booleans: true };
    let value: Value =
        serde_saphyr::from_str_with_options(&text, options).unwrap_or_else(|error| panic!("{name}: {error}"));
    parse(value, name)
}

fn parse<T: DeserializeOwned>(value: Value, what: &str) -> T {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{what}: {error} in {value}"))
}

/// Reads the defaults.
pub(super) fn defaults() -> Defaults {
    read("defaults.yaml")
}

/// Reads every file but the defaults, by name.
pub(super) fn files() -> BTreeMap<String, File> {
    let entries = fs::read_dir(folder()).expect("the folder of the cases is there");
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .filter(|name| name.ends_with(".yaml") && name != "defaults.yaml")
        .map(|name| (name.clone(), read(&name)))
        .collect()
}

/// Reads every case.
pub(super) fn load() -> Vec<Case> {
    let defaults = defaults();
    let mut shops: HashMap<String, Arc<Shop>> = HashMap::new();
    let mut cases = Vec::new();
    for (name, file) in files() {
        for entry in &file.cases {
            let at = format!("{name}: {:?}", entry.name);
            let settings = over(&over(&defaults.shop, &file.shop), &entry.shop);
            let partners = file.partners.as_ref().unwrap_or(&defaults.partners);
            let mut links = file.links.clone();
            links.entry("home".to_owned()).or_default();
            if let Some(link) = &entry.link {
                links.insert("l".to_owned(), link.clone());
            }
            let key = serde_json::json!([settings, partners, links]).to_string();
            let shop = shops.entry(key).or_insert_with(|| Arc::new(shop(settings, partners, links, &at)));
            cases.push(Case {
                file: name.clone(),
                name: entry.name.clone(),
                shop: Arc::clone(shop),
                visit: Visit::new(&defaults, &entry.visit, &at),
                expect: entry.expect.clone(),
            });
        }
    }
    cases
}

fn shop(
    settings: Map<String, Value>,
    partners: &[Value],
    links: BTreeMap<String, Map<String, Value>>,
    at: &str,
) -> Shop {
    let id = ShopId::parse("shop").unwrap();
    let partner = |value: &Value| {
        let entry: PartnerEntry = parse(value.clone(), at);
        Partner {
            shop: id.clone(),
            display_name: DisplayName::parse(entry.code.as_str()).unwrap(),
            code: entry.code,
            aliases: entry.aliases,
            program: entry.program,
            tags: entry.tags,
            active: entry.active,
        }
    };
    Shop {
        settings: parse(Value::Object(settings), at),
        default_link: Slug::parse("home").unwrap(),
        partners: partners.iter().map(partner).collect(),
        links: links.into_iter().map(|(slug, fields)| link(&id, &slug, fields, at)).collect(),
        id,
    }
}

/// Makes a link of what is written down of it.
pub(super) fn link(shop: &ShopId, slug: &str, mut fields: Map<String, Value>, at: &str) -> Link {
    let state: LinkState = fields.remove("state").map_or(LinkState::Active, |state| parse(state, at));
    let sharing = match fields.remove("sharing").map(|sharing| parse(sharing, at)) {
        None => Sharing::Everyone,
        Some(SharingEntry::Named(sharing)) => sharing,
        Some(SharingEntry::Selected { partners, programs }) => Sharing::selected(partners, programs),
    };
    fields.entry("default_destination").or_insert_with(|| Value::String(String::new()));
    Link {
        shop: shop.clone(),
        slug: Slug::parse(slug).unwrap_or_else(|problem| panic!("{at}: {slug}: {problem}")),
        is_default: slug == "home",
        display_name: DisplayName::parse(slug).unwrap(),
        description: Description::default(),
        tags: Vec::new(),
        state,
        sharing,
        routing: parse::<Routing>(Value::Object(fields), at),
        golden_clicks: Vec::new(),
    }
}

impl Defaults {
    /// Lays fields over the default shop.
    pub(super) fn shop_with(&self, fields: &Map<String, Value>) -> Map<String, Value> {
        over(&self.shop, fields)
    }

    /// Lays fields over the default visit.
    pub(super) fn visit_with(&self, fields: &Map<String, Value>) -> Map<String, Value> {
        over(&self.visit, fields)
    }
}

fn over(base: &Map<String, Value>, fields: &Map<String, Value>) -> Map<String, Value> {
    let mut merged = base.clone();
    merged.extend(fields.clone());
    merged
}
