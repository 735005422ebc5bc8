//! Visits as the files write them.

use std::collections::HashMap;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};
use smartlinks::{
    classify::user_agent::ClientHints,
    domain::{query::decode, visit::Channel},
};

use super::file::Defaults;

/// A visit.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Visit {
    /// Path and query.
    pub(super) url: String,
    pub(super) host: String,
    pub(super) time: Timestamp,
    /// Whether the case itself says the time.
    #[serde(default)]
    pub(super) timed: bool,
    /// `None` = the caller does not tell.
    #[serde(default)]
    pub(super) address: Option<String>,
    /// Whether the case itself says the address.
    #[serde(default)]
    pub(super) addressed: bool,
    /// `None` = the caller sends no headers at all.
    #[serde(default)]
    pub(super) headers: Option<Headers>,
    /// The country that the caller says; empty = none.
    #[serde(default)]
    pub(super) told_country: String,
    #[serde(default = "by_link")]
    pub(super) channel: Channel,
    #[serde(default)]
    pub(super) attributes: HashMap<String, String>,
    #[serde(default)]
    pub(super) visitor: Option<Visitor>,
    #[serde(default)]
    pub(super) internal: bool,
    #[serde(default)]
    pub(super) prefetch: bool,
    /// How often people have clicked on the link, this visit included; `None` = not known.
    #[serde(default)]
    pub(super) link_total: Option<u64>,
    /// How often people have clicked by way of the partner, this visit included; `None` = not known.
    #[serde(default)]
    pub(super) partner_total: Option<u64>,
}

/// Headers; `None` = not sent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Headers {
    pub(super) user_agent: Option<String>,
    pub(super) accept_language: Option<String>,
    pub(super) referer: Option<String>,
    pub(super) purpose: Option<String>,
    pub(super) sec_ch_ua: Option<String>,
    pub(super) sec_ch_ua_mobile: Option<String>,
    pub(super) sec_ch_ua_platform: Option<String>,
    pub(super) sec_ch_ua_platform_version: Option<String>,
    pub(super) sec_ch_ua_full_version_list: Option<String>,
    pub(super) sec_ch_ua_form_factors: Option<String>,
    pub(super) sec_gpc: Option<String>,
    pub(super) dnt: Option<String>,
}

/// A visitor whom the caller knows again.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Visitor {
    #[serde(default)]
    pub(super) id: String,
    /// 0 = not known.
    pub(super) total_visits: i64,
    #[serde(default)]
    pub(super) from_cookie: bool,
}

const HEADERS: [&str; 12] = [
    "user_agent",
    "accept_language",
    "referer",
    "purpose",
    "sec_ch_ua",
    "sec_ch_ua_mobile",
    "sec_ch_ua_platform",
    "sec_ch_ua_platform_version",
    "sec_ch_ua_full_version_list",
    "sec_ch_ua_form_factors",
    "sec_gpc",
    "dnt",
];

impl Headers {
    /// Returns whether they ask not to be tracked.
    pub(super) fn opt_out(&self) -> bool {
        [&self.sec_gpc, &self.dnt].into_iter().any(|value| value.as_deref() == Some("1"))
    }

    /// Returns the client hints among them.
    pub(super) fn client_hints(&self) -> ClientHints<'_> {
        ClientHints {
            brands: self.sec_ch_ua.as_deref(),
            full_versions: self.sec_ch_ua_full_version_list.as_deref(),
            mobile: self.sec_ch_ua_mobile.as_deref(),
            platform: self.sec_ch_ua_platform.as_deref(),
            platform_version: self.sec_ch_ua_platform_version.as_deref(),
            form_factors: self.sec_ch_ua_form_factors.as_deref(),
        }
    }
}

fn by_link() -> Channel {
    Channel::Link
}

impl Visit {
    /// Lays the fields of a case over the default visit.
    pub(super) fn new(defaults: &Defaults, fields: &Map<String, Value>, at: &str) -> Self {
        let mut visit = defaults.visit_with(fields);
        let country = visit.remove("country").and_then(|country| Some(country.as_str()?.to_owned()));
        if !fields.contains_key("address") {
            let country = country.unwrap_or_else(|| panic!("{at}: the country is a code"));
            visit.insert("address".to_owned(), Value::String(defaults.address_in(&country, at)));
        }
        let headers: Map<String, Value> =
            HEADERS.into_iter().filter_map(|name| Some((name.to_owned(), visit.remove(name)?))).collect();
        match visit.remove("headers") {
            None => drop(visit.insert("headers".to_owned(), Value::Object(headers))),
            Some(none) => assert_eq!(none, "none", "{at}: `headers` is `none` or not there"),
        }
        visit.insert("timed".to_owned(), fields.contains_key("time").into());
        let addressed = fields.contains_key("address") || fields.contains_key("country");
        visit.insert("addressed".to_owned(), addressed.into());
        let visit: Self =
            serde_json::from_value(Value::Object(visit)).unwrap_or_else(|error| panic!("{at}: {error}"));
        assert!(visit.url.starts_with('/'), "{at}: the url is a path and a query");
        visit
    }

    /// Cuts the url into slug, partner and query, the first two decoded; `None` if the path has further segments, which
    /// only the gateway can answer.
    pub(super) fn parts(&self) -> Option<(String, String, &str)> {
        let (path, query) = self.url.split_once('?').unwrap_or((&self.url, ""));
        let path = path.strip_prefix('/')?;
        let path = path.strip_suffix('/').unwrap_or(path);
        let mut segments = path.split('/').map(|segment| decode(&segment.replace('+', "%2B")).into_owned());
        let (slug, partner) = (segments.next()?, segments.next().unwrap_or_default());
        segments.next().is_none().then_some((slug, partner, query))
    }
}

impl Defaults {
    /// Returns the first address of the country's first block.
    fn address_in(&self, country: &str, at: &str) -> String {
        let blocks = self.countries.get(country).unwrap_or_else(|| panic!("{at}: no address in {country}"));
        let block: IpNet = blocks[0].parse().unwrap();
        let mut hosts = block.hosts();
        hosts.next().unwrap().to_string()
    }
}
