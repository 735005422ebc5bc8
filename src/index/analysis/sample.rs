//! Synthetic visits: what candidates of attributes are tried with, and what findings show.

use std::{collections::HashMap, fmt::Write, net::IpAddr, sync::Arc};

use jiff::Timestamp;

use crate::{
    domain::{
        client::{Automation, AutomationKind, Browser, DeviceClass, Os, TrafficClass, UserAgent, Version},
        fact::Fact,
        geo::Country,
        language::LanguageRange,
        limits,
        name::{PartnerCode, ProgramId, Tag},
        revision::Revision,
        shop::ShopSettings,
        visit::{Channel, Headers, Hints, Site, Totals, Visit},
        visitor::KnownVisitor,
    },
    index::{
        facts::{self, Facts},
        record::PartnerState,
        snapshot::PartnerEntry,
    },
};

/// What one attribute of a visit may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Device(Fact<DeviceClass>),
    Os(Fact<Os>),
    OsVersion(Fact<Version>),
    Browser(Fact<Browser>),
    BrowserVersion(Fact<Version>),
    /// The header that leads to it, and the range that the link finds in it.
    Language(Option<Box<str>>, Fact<LanguageRange>),
    Country(Fact<Country>),
    /// Unknown = no headers at all.
    Referrer(Fact<Box<str>>),
    Address(Fact<IpAddr>),
    Traffic(TrafficClass),
    Time(Timestamp),
    Partner(Option<PartnerCode>),
    Program(Option<ProgramId>),
    /// Whether the partner has the tag.
    Tag(Tag, bool),
    VisitorTotal(Fact<u64>),
    LinkTotal(Fact<u64>),
    /// 0 = by way of nobody.
    PartnerTotal(Fact<u64>),
    /// One parameter of that name; `None` = not sent, `Some(None)` = sent without a value.
    Parameter(Box<str>, Option<Option<Box<str>>>),
    /// A fact of the caller; `None` = not sent.
    Caller(Box<str>, Option<Box<str>>),
}

/// One fact of a visit as people read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisitFact {
    /// The attribute, named as in conditions: `country`, `query_parameter utm_source`, `attribute customer.tier`.
    pub attribute: String,
    /// What it is.
    pub value: Fact<String>,
}

impl Value {
    /// Returns whether we could not look, or, of a partner, whether there is none.
    pub(super) fn is_missing(&self) -> bool {
        match self {
            Self::Device(fact) => fact.is_unknown(),
            Self::Os(fact) => fact.is_unknown(),
            Self::OsVersion(fact) | Self::BrowserVersion(fact) => fact.is_unknown(),
            Self::Browser(fact) => fact.is_unknown(),
            Self::Language(_, fact) => fact.is_unknown(),
            Self::Country(fact) => fact.is_unknown(),
            Self::Referrer(fact) => fact.is_unknown(),
            Self::Address(fact) => fact.is_unknown(),
            Self::VisitorTotal(fact) | Self::LinkTotal(fact) => fact.is_unknown(),
            Self::PartnerTotal(fact) => *fact == Fact::Known(0),
            Self::Partner(code) => code.is_none(),
            Self::Program(id) => id.is_none(),
            Self::Tag(_, has) => !has,
            Self::Parameter(_, sent) => sent.is_none(),
            Self::Caller(_, fact) => fact.is_none(),
            Self::Traffic(_) | Self::Time(_) => false,
        }
    }

    /// Returns the version that this is, if it is one.
    pub(super) fn version(&self) -> Option<Version> {
        let (Self::OsVersion(fact) | Self::BrowserVersion(fact)) = self else { return None };
        fact.known()
    }

    /// Says the value to people.
    pub(super) fn fact(&self) -> VisitFact {
        fn text<T: ToString>(fact: &Fact<T>) -> Fact<String> {
            fact.as_ref().map(T::to_string)
        }
        let named = |fact: Fact<&'static str>| fact.map(str::to_owned);
        let optional = |text: Option<&str>| Fact::or_absent(text.map(str::to_owned));
        let (attribute, value) = match self {
            Self::Device(fact) => ("device", named(fact.map(DeviceClass::as_str))),
            Self::Os(fact) => ("os", named(fact.map(Os::as_str))),
            Self::OsVersion(fact) => ("os_version", text(fact)),
            Self::Browser(fact) => ("browser", named(fact.map(Browser::as_str))),
            Self::BrowserVersion(fact) => ("browser_version", text(fact)),
            Self::Language(_, fact) => ("language", text(fact)),
            Self::Country(fact) => ("country", text(fact)),
            Self::Referrer(fact) => ("referrer_host", text(fact)),
            Self::Address(fact) => ("client_address", text(fact)),
            Self::Traffic(class) => ("traffic_class", Fact::Known(class.as_str().to_owned())),
            Self::Time(time) => ("time", Fact::Known(time.to_string())),
            Self::Partner(code) => ("partner", optional(code.as_ref().map(PartnerCode::as_str))),
            Self::Program(id) => ("program", optional(id.as_ref().map(ProgramId::as_str))),
            Self::Tag(tag, has) => ("partner_tag", optional(has.then_some(tag.as_str()))),
            Self::VisitorTotal(fact) => ("visitor_total_visits", text(fact)),
            Self::LinkTotal(fact) => ("link_total_visits", text(fact)),
            Self::PartnerTotal(fact) => ("partner_total_visits", text(fact)),
            Self::Parameter(name, sent) => {
                let value = sent.as_ref().map(|value| value.as_deref().unwrap_or("(without a value)"));
                return VisitFact { attribute: format!("query_parameter {name}"), value: optional(value) };
            }
            Self::Caller(name, fact) => {
                let value = Fact::or_unknown(fact.as_deref().map(str::to_owned));
                return VisitFact { attribute: format!("attribute {name}"), value };
            }
        };
        VisitFact { attribute: attribute.to_owned(), value }
    }
}

/// A visit that nobody made, to a link that it does not name.
#[derive(Clone, Debug)]
pub struct SampleVisit {
    agent: UserAgent,
    accept_language: Option<Box<str>>,
    referer: Option<String>,
    has_headers: bool,
    country: Fact<Country>,
    address: Fact<IpAddr>,
    hints: Hints,
    time: Timestamp,
    partner: Option<PartnerCode>,
    program: Option<ProgramId>,
    tags: Vec<Tag>,
    total: Option<u64>,
    totals: Totals,
    query: String,
    attributes: HashMap<String, String>,
}

impl SampleVisit {
    /// Starts with a person of whom nothing is known but the headers.
    pub(super) fn at(time: Timestamp) -> Self {
        Self {
            agent: UserAgent::default(),
            accept_language: None,
            referer: None,
            has_headers: true,
            country: Fact::Unknown,
            address: Fact::Unknown,
            hints: Hints::default(),
            time,
            partner: None,
            program: None,
            tags: Vec::new(),
            total: None,
            totals: Totals::default(),
            query: String::new(),
            attributes: HashMap::new(),
        }
    }

    /// Gives the visit a value.
    pub(super) fn with(mut self, value: &Value) -> Self {
        match value {
            Value::Device(fact) => self.agent.device = *fact,
            Value::Os(fact) => self.agent.os = *fact,
            Value::OsVersion(fact) => self.agent.os_version = *fact,
            Value::Browser(fact) => self.agent.browser = *fact,
            Value::BrowserVersion(fact) => self.agent.browser_version = *fact,
            Value::Language(header, _) => self.accept_language.clone_from(header),
            Value::Country(fact) => self.country = *fact,
            Value::Referrer(fact) => {
                self.has_headers = !fact.is_unknown();
                self.referer = fact.as_ref().known().map(|host| format!("https://{host}/"));
            }
            Value::Address(fact) => self.address = *fact,
            Value::Traffic(class) => self.set_traffic(*class),
            Value::Time(time) => self.time = *time,
            Value::Partner(code) => self.partner.clone_from(code),
            Value::Program(id) => self.program.clone_from(id),
            Value::Tag(tag, has) => self.tags.extend(has.then(|| tag.clone())),
            Value::VisitorTotal(fact) => self.total = fact.known(),
            Value::LinkTotal(fact) => self.totals.link = fact.known(),
            Value::PartnerTotal(fact) => self.totals.partner = fact.known(),
            Value::Parameter(name, sent) => {
                if let Some(value) = sent {
                    self.add_parameter(name, value.as_deref());
                }
            }
            Value::Caller(name, fact) => {
                self.attributes.extend(fact.iter().map(|text| (name.to_string(), text.to_string())));
            }
        }
        self
    }

    fn set_traffic(&mut self, class: TrafficClass) {
        let software = |kind| Some(Automation { kind, name: "Example".into() });
        match class {
            TrafficClass::Human => {}
            TrafficClass::Bot => self.agent.automation = software(AutomationKind::Bot),
            TrafficClass::Preview => self.agent.automation = software(AutomationKind::Preview),
            TrafficClass::Prefetch => self.hints.prefetch = true,
            TrafficClass::Internal => self.hints.internal = true,
        }
    }

    fn add_parameter(&mut self, name: &str, value: Option<&str>) {
        if !self.query.is_empty() {
            self.query.push('&');
        }
        encode(name, &mut self.query);
        if let Some(value) = value {
            self.query.push('=');
            encode(value, &mut self.query);
        }
    }

    /// Returns whether a request can say all this within its limits.
    pub(super) fn is_sendable(&self) -> bool {
        self.query.len() <= limits::QUERY_BYTES
            && self.attributes.len() <= limits::ATTRIBUTES
            && self.tags.len() <= limits::TAGS
    }

    /// Returns the visit as a look-up of a link. Nobody is credited unless [`Self::partner`] says so.
    pub fn visit<'a>(&'a self, site: Site<'a>, slug: &'a str) -> Visit<'a> {
        let headers = Headers {
            user_agent: Some("Example"),
            accept_language: self.accept_language.as_deref(),
            referer: self.referer.as_deref(),
        };
        Visit {
            site,
            slug,
            // Whoever the path names is asked alone, and no partner has this code: the query credits nobody.
            partner: self.partner.as_ref().map_or("-", PartnerCode::as_str),
            query: &self.query,
            time: self.time,
            click_id: None,
            address: self.address,
            country: self.country,
            channel: Channel::default(),
            agent: Arc::new(self.agent.clone()),
            hints: self.hints,
            headers: self.has_headers.then_some(headers),
            purpose_header: None,
            attributes: &self.attributes,
            visitor: self.total.map(|total| KnownVisitor {
                id: "",
                total_visits: Some(total),
                from_cookie: false,
            }),
            opted_out: false,
            totals: self.totals,
        }
    }

    /// Returns the partner who is credited, with program and tags.
    pub fn partner(&self) -> Option<(PartnerCode, PartnerState)> {
        let state = PartnerState {
            aliases: Vec::new(),
            program: self.program.clone(),
            tags: self.tags.clone(),
            active: true,
        };
        self.partner.clone().map(|code| (code, state))
    }

    /// Asks something that is answered from the facts of the visit, as a click finds them.
    pub(super) fn ask<Q: ?Sized, A>(
        &self,
        question: &Q,
        languages: &[LanguageRange],
        shop: &ShopSettings,
        answer: impl for<'f> FnOnce(&'f Q, &Facts<'f>) -> A,
    ) -> A {
        let visit = self.visit(Site::Shop(""), "");
        let partner = self.partner().map(|(code, state)| PartnerEntry {
            code,
            revision: Revision::default(),
            state: Some(state),
        });
        let (traffic, _) = facts::traffic(&visit, &shop.internal_addresses);
        let facts = Facts::new(&visit, partner.as_ref(), traffic, languages, shop.visitor_mode, self.totals);
        answer(question, &facts)
    }
}

/// Percent-encodes what is not unreserved.
fn encode(text: &str, into: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(into, "%{byte:02X}");
        }
    }
}
