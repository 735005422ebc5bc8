//! A visit and what comes of it.

use std::{collections::HashMap, net::IpAddr, str::FromStr, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    click::Counters,
    click_id::ClickId,
    client::{TrafficClass, UserAgent},
    fact::Fact,
    geo::Country,
    link::RedirectKind,
    name::{PartnerCode, ProgramId, RuleId, ShopId, Slug, VariantId},
    named::{UnknownName, named_enum},
    revision::Revision,
    visitor::{KnownVisitor, VisitorMode},
};

/// Whose link is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site<'a> {
    /// The shop with this id.
    Shop(&'a str),
    /// The shop that this host belongs to; in any case, with or without port and final dot.
    Host(&'a str),
}

named_enum! {
    /// Says how a visitor comes to a link.
    #[derive(Default)]
    pub enum Channel: "channel" {
        /// By following it.
        #[default]
        Link = "link",
        /// By scanning a QR code.
        Qr = "qr",
    }
}

/// Headers of the visitor's request; `None` = not sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Headers<'a> {
    /// `User-Agent`; browsers always send one.
    pub user_agent: Option<&'a str>,
    /// `Accept-Language`.
    pub accept_language: Option<&'a str>,
    /// `Referer`.
    pub referer: Option<&'a str>,
}

/// The facts about one request. Evaluation is a function of a snapshot and this, and of nothing else.
#[derive(Clone, Debug)]
pub struct Visit<'a> {
    /// Whose link it is.
    pub site: Site<'a>,
    /// The slug as asked for, in any case; empty = the default partner link.
    pub slug: &'a str,
    /// The partner that the path names, in any case; empty = none.
    pub partner: &'a str,
    /// The raw query, without `?`; at most 8 KiB, without `#`, spaces and control characters.
    pub query: &'a str,
    /// When it is: of a click, the time in its id.
    pub time: Timestamp,
    /// The id of the click; `None` for a lookup.
    pub click_id: Option<ClickId>,
    /// The address, IPv4-mapped ones as IPv4.
    pub address: Fact<IpAddr>,
    /// The country that the caller says, else that of the address.
    pub country: Fact<Country>,
    /// How the visitor came.
    pub channel: Channel,
    /// What user agent and client hints tell.
    pub agent: Arc<UserAgent>,
    /// Whether the shop's own people or a loading ahead: what the caller knows of the traffic.
    pub hints: Hints,
    /// Headers that only some rules look at; `None` = the caller sends no headers at all.
    pub headers: Option<Headers<'a>>,
    /// The raw value of the header with which browsers mark what they load ahead.
    pub purpose_header: Option<&'a str>,
    /// Facts of the caller.
    pub attributes: &'a HashMap<String, String>,
    /// What is known of the visitor from earlier visits.
    pub visitor: Option<KnownVisitor<'a>>,
    /// Whether the visitor asks not to be tracked.
    pub opted_out: bool,
    /// How often links were visited.
    pub totals: Totals,
}

/// How often people have clicked on what a visit is about, this visit included; `None` = not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// On the link.
    pub link: Option<u64>,
    /// On links of the shop by way of the credited partner; not looked at if nobody is credited.
    pub partner: Option<u64>,
}

/// What the caller knows of the traffic; moves a click away from human, never to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// The visitor is one of the caller's own people.
    pub internal: bool,
    /// Nobody looks yet.
    pub prefetch: bool,
}

/// Why a visit goes where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResolveReason {
    /// A rule matched.
    Rule,
    /// No rule matched.
    Default,
    /// There is no answer but the link's own.
    Missed(Miss),
}

impl ResolveReason {
    /// Returns whether the link itself decided.
    pub const fn is_of_link(self) -> bool {
        match self {
            Self::Rule | Self::Default => true,
            Self::Missed(_) => false,
        }
    }

    /// Returns the name that the click log uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Default => "default",
            Self::Missed(miss) => miss.as_str(),
        }
    }
}

impl FromStr for ResolveReason {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        match text {
            "rule" => Ok(Self::Rule),
            "default" => Ok(Self::Default),
            _ => text.parse().map(Self::Missed),
        }
    }
}

named_enum! {
    /// Why a link itself did not decide.
    pub enum Miss: "reason" {
        /// It has expired.
        Expired = "expired",
        /// It is paused.
        Paused = "paused",
        /// It has not started.
        NotStarted = "not_started",
        /// It is deleted.
        Deleted = "deleted",
        /// There is none.
        NotFound = "not_found",
    }
}

named_enum! {
    /// Who is credited, or why nobody is.
    pub enum Attribution: "attribution" {
        /// The partner is credited.
        Credited = "credited",
        /// Neither path nor query names one.
        NoPartner = "no_partner",
        /// There is no such partner.
        UnknownPartner = "unknown_partner",
        /// The partner is not active.
        InactivePartner = "inactive_partner",
        /// The link is not shared with the partner.
        NotShared = "not_shared",
    }
}

/// What comes of a visit to a shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// Where to; or nowhere, since the link does not decide for this reason and the shop has no fallback.
    pub to: Result<Target, Miss>,
    /// The rule that decided.
    pub rule: Option<RuleId>,
    /// The variant of the rule that the visitor was drawn to, if the rule has variants.
    pub variant: Option<VariantId>,
    /// The credited partner.
    pub partner: Option<PartnerCode>,
    /// Who is credited, or why nobody is.
    pub attribution: Attribution,
    /// The shop.
    pub shop: ShopId,
    /// The link, if there is one.
    pub slug: Option<Slug>,
    /// The class of traffic.
    pub traffic: TrafficClass,
    /// How many rules were asked and could not be decided, because a fact is unknown. A long link asks only the rules
    /// that the known facts allow.
    pub undecided_rules: u32,
    /// How the visitor may be told from others: the shop's mode, unless the visitor asks not to be tracked.
    pub visitor_mode: VisitorMode,
    /// The revision of the snapshot that decided.
    pub revision: Revision,
    /// What only the log of clicks asks for; a lookup has none.
    pub kept: Option<Kept>,
}

impl Resolution {
    /// Returns why the visit goes where it goes.
    pub fn reason(&self) -> ResolveReason {
        match &self.to {
            Ok(target) => target.reason,
            Err(miss) => ResolveReason::Missed(*miss),
        }
    }

    /// Returns whether a click that this answers counts in totals: a person's, and the link itself decided.
    pub fn counts(&self) -> bool {
        self.reason().is_of_link() && self.traffic == TrafficClass::Human
    }
}

/// Where a visit goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The address.
    pub location: String,
    /// How to redirect.
    pub redirect: RedirectKind,
    /// Why there.
    pub reason: ResolveReason,
}

/// What the log of clicks keeps of an answer and the caller is not told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The program that the credited partner is in.
    pub program: Option<ProgramId>,
    /// The destination or fallback that was chosen, as it is written; empty if the visit goes nowhere.
    pub destination: String,
    /// What decided on the class of traffic.
    pub traffic_why: String,
    /// The query parameters that the shop keeps, with their values.
    pub sub_ids: Vec<(String, String)>,
    /// The counters that rules looked at and that may be kept.
    pub counters: Counters,
}

/// No shop has this id or host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoShop;
