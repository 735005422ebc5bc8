//! Shops: the tenants.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{
    destination::Destination,
    fault::{Faults, Problem, Reason},
    host::{Authority, DestinationHost, Host, Origin},
    limits,
    name::{DisplayName, ShopId},
    param::OwnParam,
    policy::QueryPolicy,
    visitor::VisitorMode,
    window::ZoneName,
};

/// A shop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shop {
    /// Its id.
    pub id: ShopId,
    /// What people read.
    pub display_name: DisplayName,
    /// What decides about its clicks.
    pub settings: ShopSettings,
}

/// What a shop decides about its clicks: all that an answer needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShopSettings {
    /// The origin of its pages.
    pub base_url: Origin,
    /// The hosts that serve its links; at least one.
    pub link_hosts: Vec<Host>,
    /// What partners' URLs begin with.
    pub public_url: Origin,
    /// Further hosts that destinations may lead to.
    #[serde(default)]
    pub destination_hosts: Vec<DestinationHost>,
    /// The parameter that carries the partner's code to the page.
    pub partner_param: OwnParam,
    /// Further parameters that may name the partner, in the order in which they are asked.
    #[serde(default)]
    pub accepted_partner_params: Vec<OwnParam>,
    /// The parameter that carries the click id to the page; `None` = it is not sent.
    pub click_id_param: Option<OwnParam>,
    /// Where clicks go that have nowhere else to go.
    #[serde(default)]
    pub fallback_url: Option<Destination>,
    /// What of the visitor's query passes.
    #[serde(default)]
    pub query_policy: QueryPolicy,
    /// Addresses of the shop's own people.
    #[serde(default)]
    pub internal_addresses: Vec<IpNet>,
    /// How visitors are told from each other.
    #[serde(default, skip_serializing_if = "VisitorMode::is_default")]
    pub visitor_mode: VisitorMode,
    /// The query parameters that are kept with each click.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sub_id_params: Vec<OwnParam>,
    /// The zone of statistics that name none; UTC unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<ZoneName>,
    /// For how long its clicks are kept, if for a shorter time than those of the installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub click_retention_days: Option<RetentionDays>,
}

/// For how many days clicks are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "i32", into = "i32")]
pub struct RetentionDays(i32);

impl RetentionDays {
    /// Returns the number.
    pub fn number(self) -> i32 {
        self.0
    }
}

impl TryFrom<i32> for RetentionDays {
    type Error = Problem;

    fn try_from(days: i32) -> Result<Self, Problem> {
        let most = limits::CLICK_RETENTION_DAYS;
        if (1..=most).contains(&days) {
            return Ok(Self(days));
        }
        let text = format!(
            "clicks are kept for 1 to {most} days, not {days}; 0 is as long as the installation does"
        );
        Err(Problem::new(Reason::OutOfRange, text))
    }
}

impl From<RetentionDays> for i32 {
    fn from(days: RetentionDays) -> Self {
        days.0
    }
}

impl ShopSettings {
    /// Returns every parameter that is ours: never taken from visitor or destination.
    pub fn own_params(&self) -> impl Iterator<Item = &OwnParam> {
        std::iter::once(&self.partner_param).chain(&self.accepted_partner_params).chain(&self.click_id_param)
    }

    /// Returns the parameters that may name the partner, in the order in which they are asked.
    pub fn partner_params(&self) -> impl Iterator<Item = &OwnParam> {
        std::iter::once(&self.partner_param).chain(&self.accepted_partner_params)
    }

    /// Checks what one field alone cannot tell; paths are relative to the shop.
    pub fn check(&self) -> Faults {
        let mut faults = Faults::new();
        self.check_lengths(&mut faults);
        if !faults.is_empty() {
            // What is too long is not looked at further: it may be very long.
            return faults;
        }
        self.check_hosts(&mut faults);
        self.check_params(&mut faults);
        self.check_policy(&self.query_policy, "query_policy", &mut faults);
        faults
    }

    fn check_lengths(&self, faults: &mut Faults) {
        for (path, is, most) in [
            ("link_hosts", self.link_hosts.len(), limits::LINK_HOSTS),
            ("destination_hosts", self.destination_hosts.len(), limits::DESTINATION_HOSTS),
            ("accepted_partner_params", self.accepted_partner_params.len(), limits::ACCEPTED_PARTNER_PARAMS),
            ("internal_addresses", self.internal_addresses.len(), limits::INTERNAL_ADDRESSES),
            ("sub_id_params", self.sub_id_params.len(), limits::SUB_ID_PARAMS),
        ] {
            if is > most {
                let text = format!("the list has {is} entries, at most {most} are allowed");
                faults.add(path, Problem::new(Reason::TooLong, text));
            }
        }
    }

    fn check_hosts(&self, faults: &mut Faults) {
        if self.link_hosts.is_empty() {
            faults.add("link_hosts", Problem::required("a host that serves the links"));
        }
        for (at, host) in self.link_hosts.iter().enumerate() {
            if self.link_hosts[..at].contains(host) {
                let text = format!("the host `{host}` stands twice");
                faults.add(format!("link_hosts[{at}]"), Problem::new(Reason::Duplicate, text));
            }
        }
        if !self.link_hosts.is_empty() && !self.link_hosts.contains(&self.public_url.authority().host) {
            let text = format!("the host of `{}` is none of `link_hosts`", self.public_url.as_str());
            faults.add("public_url", Problem::new(Reason::Conflict, text));
        }
        // A link host of this shop; those of other shops are compared where they are known.
        for (path, host) in self.destinations() {
            if self.link_hosts.contains(&host) {
                faults.add(path, loop_problem(&host));
            }
        }
        if let Some(fallback) = &self.fallback_url
            && fallback.authority().is_none()
        {
            let text = "the fallback is an absolute address such as `https://shop.example/sorry`";
            faults.add("fallback_url", Problem::new(Reason::Malformed, text));
        }
    }

    /// Returns every host that the shop's settings lead clicks to, with its path: none may be a link host.
    pub fn destinations(&self) -> impl Iterator<Item = (String, Host)> {
        let base = ("base_url".to_owned(), self.base_url.authority().host.clone());
        let listed = self.destination_hosts.iter().enumerate();
        let listed = listed.map(|(at, listed)| (format!("destination_hosts[{at}]"), listed.host.clone()));
        let fallback = self.fallback_url.as_ref().and_then(Destination::authority);
        std::iter::once(base).chain(listed).chain(fallback.map(|to| ("fallback_url".to_owned(), to.host)))
    }

    fn check_params(&self, faults: &mut Faults) {
        let named = std::iter::once(("partner_param".to_owned(), &self.partner_param))
            .chain(self.click_id_param.iter().map(|param| ("click_id_param".to_owned(), param)))
            .chain(
                self.accepted_partner_params
                    .iter()
                    .enumerate()
                    .map(|(at, param)| (format!("accepted_partner_params[{at}]"), param)),
            );
        let mut seen: Vec<(String, &OwnParam)> = Vec::new();
        for (path, param) in named {
            if let Some((other, _)) = seen.iter().find(|(_, other)| other.is_named_by(param.as_str())) {
                let text = format!("the parameter name `{param}` is the same as that of `{other}`");
                faults.add(path.clone(), Problem::new(Reason::Conflict, text));
            }
            seen.push((path, param));
        }
        self.check_sub_ids(faults);
    }

    /// What is ours is kept anyway, and under its own name.
    fn check_sub_ids(&self, faults: &mut Faults) {
        for (at, param) in self.sub_id_params.iter().enumerate() {
            let path = || format!("sub_id_params[{at}]");
            if let Some(own) = self.own_params().find(|own| own.is_named_by(param.as_str())) {
                let text = format!("the parameter `{own}` is set by the service alone");
                faults.add(path(), Problem::new(Reason::Conflict, text));
            } else if self.sub_id_params[..at].contains(param) {
                let text = format!("the parameter `{param}` stands twice");
                faults.add(path(), Problem::new(Reason::Duplicate, text));
            }
        }
    }

    /// Checks that a policy, of this shop or of one of its links, names none of our own parameters and nothing twice.
    pub fn check_policy(&self, policy: &QueryPolicy, path: &str, faults: &mut Faults) {
        let mut overridden: Vec<&str> = Vec::new();
        for (below, name) in policy.names() {
            let at = format!("{path}.{below}");
            if let Some(own) = self.own_params().find(|own| own.is_named_by(name.as_str())) {
                let text = format!("the parameter `{own}` is set by the service alone");
                faults.add(at, Problem::new(Reason::Conflict, text));
            } else if below.starts_with("overrides") && overridden.contains(&name.as_str()) {
                faults.add(
                    at,
                    Problem::new(
                        Reason::Duplicate,
                        format!("the parameter `{}` stands twice", name.as_str()),
                    ),
                );
            }
            if below.starts_with("overrides") {
                overridden.push(name.as_str());
            }
        }
    }

    /// Checks that a destination stays with the shop: its own host or a listed one, on a port that is allowed.
    pub fn check_destination(&self, destination: &Destination) -> Result<(), Problem> {
        let Some(authority) = destination.authority() else { return Ok(()) };
        if self.link_hosts.contains(&authority.host) {
            return Err(loop_problem(&authority.host));
        }
        if self.allows(&authority) {
            return Ok(());
        }
        let port = authority.port.map(|port| format!(":{port}")).unwrap_or_default();
        Err(Problem::new(
            Reason::UnsafeDestination,
            format!(
                "`{}{port}` is neither the shop's host nor listed in its `destination_hosts`",
                authority.host
            ),
        ))
    }

    /// Returns whether addresses with this authority belong to the shop.
    fn allows(&self, authority: &Authority) -> bool {
        let base = self.base_url.authority();
        let port = authority.effective_port();
        // Only a port that the origin names goes with both schemes; one that goes without saying is its scheme's.
        let own = base.host == authority.host
            && (port == authority.scheme.default_port() || base.port == Some(port));
        own || self.destination_hosts.iter().any(|listed| listed.allows(authority))
    }
}

/// Says that a host would send the visitor back to us.
pub fn loop_problem(host: &Host) -> Problem {
    Problem::new(
        Reason::RedirectLoop,
        format!("`{host}` serves links of this installation: clicks would go in circles"),
    )
}
