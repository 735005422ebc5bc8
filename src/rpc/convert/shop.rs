//! Shops.

use ipnet::IpNet;

use super::{
    Path,
    choice::{self, Choice},
    link::put,
    mask::{Fields, Table},
    net, policy, take, texts,
};
use crate::{
    domain::{
        destination::Destination,
        fault::{Faults, Problem},
        host::{DestinationHost, Host, Origin},
        name::{DisplayName, ShopId},
        param::OwnParam,
        policy::QueryPolicy,
        shop::{RetentionDays, Shop, ShopSettings},
        visitor::VisitorMode,
        window::ZoneName,
    },
    proto,
};

/// The fields of a shop.
pub const FIELDS: Table<proto::Shop> = Table {
    object: "shop",
    writable: &[
        ("display_name", |shop| !shop.display_name.is_empty()),
        ("base_url", |shop| !shop.base_url.is_empty()),
        ("link_hosts", |shop| !shop.link_hosts.is_empty()),
        ("public_url", |shop| !shop.public_url.is_empty()),
        ("destination_hosts", |shop| !shop.destination_hosts.is_empty()),
        ("partner_param", |shop| !shop.partner_param.is_empty()),
        ("accepted_partner_params", |shop| !shop.accepted_partner_params.is_empty()),
        ("click_id_param", |shop| shop.click_id_param.is_some()),
        ("fallback_url", |shop| !shop.fallback_url.is_empty()),
        ("query_policy", |shop| shop.query_policy.is_some()),
        ("internal_addresses", |shop| !shop.internal_addresses.is_empty()),
        ("visitor_mode", |shop| shop.visitor_mode != 0),
        ("sub_id_params", |shop| !shop.sub_id_params.is_empty()),
        ("time_zone", |shop| !shop.time_zone.is_empty()),
        ("click_retention_days", |shop| shop.click_retention_days != 0),
    ],
    keys: &["id"],
    output_only: &["default_link", "etag", "revision", "create_time", "update_time", "delete_time"],
};

/// The partner parameter unless told otherwise.
const PARTNER_PARAM: &str = "ref";
/// The click id parameter unless told otherwise.
const CLICK_ID_PARAM: &str = "click_id";

/// New values of some fields of a shop; `None` = the field stays as it is.
#[derive(Clone, Debug, Default)]
pub struct ShopEdit {
    display_name: Option<DisplayName>,
    base_url: Option<Origin>,
    link_hosts: Option<Vec<Host>>,
    /// `Some(None)` = the default, which follows from the link hosts.
    public_url: Option<Option<Origin>>,
    destination_hosts: Option<Vec<DestinationHost>>,
    partner_param: Option<OwnParam>,
    accepted_partner_params: Option<Vec<OwnParam>>,
    click_id_param: Option<Option<OwnParam>>,
    fallback_url: Option<Option<Destination>>,
    query_policy: Option<QueryPolicy>,
    internal_addresses: Option<Vec<IpNet>>,
    visitor_mode: Option<VisitorMode>,
    sub_id_params: Option<Vec<OwnParam>>,
    time_zone: Option<Option<ZoneName>>,
    click_retention_days: Option<Option<RetentionDays>>,
}

impl ShopEdit {
    /// Reads the fields that are written.
    pub fn read(wire: &proto::Shop, fields: &Fields, path: &Path<'_>, faults: &mut Faults) -> Self {
        let mut edit = Self::default();
        if fields.has("display_name") {
            let parsed = DisplayName::parse(&wire.display_name);
            edit.display_name = take(parsed, &path.field("display_name"), faults);
        }
        edit.read_hosts(wire, fields, path, faults);
        edit.read_params(wire, fields, path, faults);
        if fields.has("fallback_url") {
            edit.fallback_url = match wire.fallback_url.as_str() {
                "" => Some(None),
                url => take(Destination::parse(url), &path.field("fallback_url"), faults).map(Some),
            };
        }
        if fields.has("query_policy") {
            edit.query_policy = match &wire.query_policy {
                Some(wire) => policy::read(wire, &path.field("query_policy"), faults),
                None => Some(QueryPolicy::default()),
            };
        }
        if fields.has("internal_addresses") {
            let path = path.field("internal_addresses");
            edit.internal_addresses = texts(&wire.internal_addresses, &path, faults, net::parse);
        }
        if fields.has("visitor_mode") {
            let path = path.field("visitor_mode");
            edit.visitor_mode = choice::read_or_default(wire.visitor_mode, &path, faults);
        }
        if fields.has("time_zone") {
            edit.time_zone = match wire.time_zone.as_str() {
                "" => Some(None),
                name => take(ZoneName::parse(name), &path.field("time_zone"), faults).map(Some),
            };
        }
        if fields.has("click_retention_days") {
            edit.click_retention_days = match wire.click_retention_days {
                0 => Some(None),
                days => {
                    take(RetentionDays::try_from(days), &path.field("click_retention_days"), faults).map(Some)
                }
            };
        }
        edit
    }

    fn read_hosts(&mut self, wire: &proto::Shop, fields: &Fields, path: &Path<'_>, faults: &mut Faults) {
        if fields.has("base_url") {
            self.base_url = take(Origin::parse(&wire.base_url), &path.field("base_url"), faults);
        }
        if fields.has("link_hosts") {
            let path = path.field("link_hosts");
            self.link_hosts = texts(&wire.link_hosts, &path, faults, Host::parse);
            if wire.link_hosts.is_empty() {
                faults.add(path.to_string(), Problem::required("a host that serves the links"));
                self.link_hosts = None;
            }
        }
        if fields.has("public_url") {
            self.public_url = match wire.public_url.as_str() {
                "" => Some(None),
                url => take(Origin::parse(url), &path.field("public_url"), faults).map(Some),
            };
        }
        if fields.has("destination_hosts") {
            let path = path.field("destination_hosts");
            self.destination_hosts = texts(&wire.destination_hosts, &path, faults, DestinationHost::parse);
        }
    }

    fn read_params(&mut self, wire: &proto::Shop, fields: &Fields, path: &Path<'_>, faults: &mut Faults) {
        if fields.has("partner_param") {
            let name = if wire.partner_param.is_empty() { PARTNER_PARAM } else { &wire.partner_param };
            self.partner_param = take(OwnParam::parse(name), &path.field("partner_param"), faults);
        }
        if fields.has("accepted_partner_params") {
            let path = path.field("accepted_partner_params");
            self.accepted_partner_params =
                texts(&wire.accepted_partner_params, &path, faults, OwnParam::parse);
        }
        if fields.has("sub_id_params") {
            let path = path.field("sub_id_params");
            self.sub_id_params = texts(&wire.sub_id_params, &path, faults, OwnParam::parse);
        }
        if fields.has("click_id_param") {
            self.click_id_param = match wire.click_id_param.as_deref() {
                Some("") => Some(None),
                name => {
                    let name = name.unwrap_or(CLICK_ID_PARAM);
                    take(OwnParam::parse(name), &path.field("click_id_param"), faults).map(Some)
                }
            };
        }
    }

    /// Makes a new shop; `None` if something that it needs was at fault.
    pub fn create(self, id: ShopId) -> Option<Shop> {
        let link_hosts = self.link_hosts?;
        let public_url = match self.public_url? {
            Some(url) => url,
            None => default_public_url(&link_hosts)?,
        };
        let settings = ShopSettings {
            base_url: self.base_url?,
            link_hosts,
            public_url,
            destination_hosts: self.destination_hosts?,
            partner_param: self.partner_param?,
            accepted_partner_params: self.accepted_partner_params?,
            click_id_param: self.click_id_param?,
            fallback_url: self.fallback_url?,
            query_policy: self.query_policy?,
            internal_addresses: self.internal_addresses?,
            visitor_mode: self.visitor_mode?,
            sub_id_params: self.sub_id_params?,
            time_zone: self.time_zone?,
            click_retention_days: self.click_retention_days?,
        };
        Some(Shop { id, display_name: self.display_name?, settings })
    }

    /// Writes the new values into a shop.
    ///
    /// A public URL that was the default follows the link hosts; one that was chosen stays, and is checked against them.
    pub fn apply(&self, shop: &mut Shop) {
        put(&self.display_name, &mut shop.display_name);
        let settings = &mut shop.settings;
        let was_default = default_public_url(&settings.link_hosts).as_ref() == Some(&settings.public_url);
        put(&self.base_url, &mut settings.base_url);
        put(&self.link_hosts, &mut settings.link_hosts);
        let public_url = match &self.public_url {
            Some(Some(chosen)) => Some(chosen.clone()),
            Some(None) => default_public_url(&settings.link_hosts),
            None if was_default => default_public_url(&settings.link_hosts),
            None => None,
        };
        put(&public_url, &mut settings.public_url);
        put(&self.destination_hosts, &mut settings.destination_hosts);
        put(&self.partner_param, &mut settings.partner_param);
        put(&self.accepted_partner_params, &mut settings.accepted_partner_params);
        put(&self.click_id_param, &mut settings.click_id_param);
        put(&self.fallback_url, &mut settings.fallback_url);
        put(&self.query_policy, &mut settings.query_policy);
        put(&self.internal_addresses, &mut settings.internal_addresses);
        put(&self.visitor_mode, &mut settings.visitor_mode);
        put(&self.sub_id_params, &mut settings.sub_id_params);
        put(&self.time_zone, &mut settings.time_zone);
        put(&self.click_retention_days, &mut settings.click_retention_days);
    }
}

/// Returns what partners' URLs begin with unless told otherwise: https and the first link host.
fn default_public_url(link_hosts: &[Host]) -> Option<Origin> {
    Origin::parse(&format!("https://{}", link_hosts.first()?)).ok()
}

/// Writes a shop, without what only its row knows: default link, revision, etag and times.
pub fn write(shop: &Shop) -> proto::Shop {
    let settings = &shop.settings;
    let params = |params: &[OwnParam]| params.iter().map(|param| param.as_str().to_owned()).collect();
    proto::Shop {
        id: shop.id.to_string(),
        display_name: shop.display_name.as_str().to_owned(),
        base_url: settings.base_url.as_str().to_owned(),
        link_hosts: settings.link_hosts.iter().map(Host::to_string).collect(),
        public_url: settings.public_url.as_str().to_owned(),
        destination_hosts: settings.destination_hosts.iter().cloned().map(String::from).collect(),
        partner_param: settings.partner_param.as_str().to_owned(),
        accepted_partner_params: params(&settings.accepted_partner_params),
        click_id_param: Some(
            settings.click_id_param.as_ref().map(|param| param.as_str().to_owned()).unwrap_or_default(),
        ),
        fallback_url: settings.fallback_url.as_ref().map(|url| url.as_str().to_owned()).unwrap_or_default(),
        query_policy: Some(policy::write(&settings.query_policy)),
        internal_addresses: settings.internal_addresses.iter().map(net::write).collect(),
        visitor_mode: settings.visitor_mode.number(),
        sub_id_params: params(&settings.sub_id_params),
        time_zone: settings.time_zone.as_ref().map(|zone| zone.as_str().to_owned()).unwrap_or_default(),
        click_retention_days: settings.click_retention_days.map_or(0, RetentionDays::number),
        ..proto::Shop::default()
    }
}
