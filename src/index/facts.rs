//! The facts of one visit that conditions look at; what costs something is found out when first asked for, and once.

use std::{
    borrow::Cow,
    cell::{Cell, OnceCell},
};

use ipnet::IpNet;
use jiff::civil::Weekday;

use super::snapshot::PartnerEntry;
use crate::{
    classify::{
        language, referrer,
        traffic::{self, Hints, PurposeHeaders, Signals, Why},
    },
    domain::{
        client::TrafficClass,
        fact::Fact,
        language::LanguageRange,
        unkept::UnkeptFacts,
        visit::{Totals, Visit},
        visitor::{KnownVisitor, VisitorMode},
        window::ZoneName,
    },
};

/// The facts of one visit to one link.
pub(super) struct Facts<'a> {
    pub(super) visit: &'a Visit<'a>,
    /// The credited partner.
    pub(super) partner: Option<&'a PartnerEntry>,
    pub(super) traffic: TrafficClass,
    supported: &'a [LanguageRange],
    language: OnceCell<Fact<LanguageRange>>,
    referrer_host: OnceCell<Fact<Cow<'a, str>>>,
    clocks: Cell<[Option<Clock<'a>>; ZONES]>,
    visitor: Option<KnownVisitor<'a>>,
    totals: Totals,
    /// Whether a rule looked at the total of the visitor, of the link, of the partner.
    asked: Asked,
    /// What a click does not keep of the visit; nothing while it lasts.
    pub(super) unkept: UnkeptFacts,
}

/// Which totals were looked at.
#[derive(Default)]
struct Asked {
    visitor: Cell<bool>,
    link: Cell<bool>,
    partner: Cell<bool>,
}

/// How many time zones a visit remembers the clock of; more of them in one link are rare.
const ZONES: usize = 4;

/// A time zone and what its clock shows.
type Clock<'a> = (&'a ZoneName, (Weekday, i8));

impl<'a> Facts<'a> {
    /// Takes what is known from the start, and the languages that the visitor's is chosen from.
    pub(super) fn new(
        visit: &'a Visit<'a>,
        partner: Option<&'a PartnerEntry>,
        traffic: TrafficClass,
        supported: &'a [LanguageRange],
        visitor_mode: VisitorMode,
        totals: Totals,
    ) -> Self {
        Self {
            visitor: visit.visitor.filter(|visitor| visitor.counts_under(visitor_mode)),
            totals,
            asked: Asked::default(),
            unkept: UnkeptFacts::NONE,
            visit,
            partner,
            traffic,
            supported,
            language: OnceCell::new(),
            referrer_host: OnceCell::new(),
            clocks: Cell::default(),
        }
    }

    /// Puts what a click keeps in the place of headers: the language, the referring host; and says what it does not keep.
    pub(super) fn with_kept(
        self,
        language: Fact<LanguageRange>,
        referrer_host: Fact<&'a str>,
        unkept: UnkeptFacts,
    ) -> Self {
        Self {
            language: language.into(),
            referrer_host: referrer_host.map(Cow::Borrowed).into(),
            unkept,
            ..self
        }
    }

    /// Returns the supported language that suits the visitor best; absent if none does.
    pub(super) fn language(&self) -> Fact<LanguageRange> {
        *self.language.get_or_init(|| {
            let header = self.visit.headers.and_then(|headers| headers.accept_language);
            language::best(header, self.supported).copied()
        })
    }

    /// Returns how often the visitor has come, this visit included.
    pub(super) fn visitor_total(&self) -> Fact<u64> {
        self.asked.visitor.set(true);
        Fact::or_unknown(self.visitor.and_then(|visitor| visitor.total_visits))
    }

    /// Returns what tells the visitor from others, if it is known and may be looked at.
    pub(super) fn visitor_id(&self) -> Option<&'a str> {
        self.visitor.map(|visitor| visitor.id).filter(|id| !id.is_empty())
    }

    /// Returns how often the visitor has come, if a rule looked at it.
    pub(super) fn visitor_total_asked(&self) -> Option<u64> {
        self.visitor.filter(|_| self.asked.visitor.get())?.total_visits
    }

    /// Returns how often people have clicked on the link, this visit included.
    pub(super) fn link_total(&self) -> Fact<u64> {
        self.asked.link.set(true);
        Fact::or_unknown(self.totals.link)
    }

    /// Returns that, if a rule looked at it.
    pub(super) fn link_total_asked(&self) -> Option<u64> {
        self.totals.link.filter(|_| self.asked.link.get())
    }

    /// Returns how often people have clicked by way of the credited partner, this visit included. By way of nobody,
    /// nobody has: that is known.
    pub(super) fn partner_total(&self) -> Fact<u64> {
        self.asked.partner.set(true);
        Fact::or_unknown(self.of_partner())
    }

    /// Returns that, if a rule looked at it.
    pub(super) fn partner_total_asked(&self) -> Option<u64> {
        self.of_partner().filter(|_| self.asked.partner.get())
    }

    fn of_partner(&self) -> Option<u64> {
        self.partner.map_or(Some(0), |_| self.totals.partner)
    }

    /// Returns weekday and hour in a time zone; many rules ask for few zones.
    pub(super) fn weekday_and_hour(&self, zone: &'a ZoneName) -> (Weekday, i8) {
        let mut clocks = self.clocks.get();
        if let Some((_, shown)) = clocks.iter().flatten().find(|(known, _)| *known == zone) {
            return *shown;
        }
        let shown = zone.weekday_and_hour(self.visit.time);
        clocks.rotate_right(1);
        clocks[0] = Some((zone, shown));
        self.clocks.set(clocks);
        shown
    }

    /// Returns the host of the referring page.
    pub(super) fn referrer_host(&self) -> Fact<&str> {
        let host = self.referrer_host.get_or_init(|| {
            let headers = self.visit.headers;
            referrer::host(headers.and_then(|headers| headers.referer), headers.is_some())
        });
        host.as_ref().map(AsRef::as_ref)
    }
}

/// Returns the class of traffic, and what decided on it.
pub(super) fn traffic<'a>(visit: &'a Visit<'_>, internal_addresses: &'a [IpNet]) -> (TrafficClass, Why<'a>) {
    let signals = Signals {
        automation: visit.agent.automation.as_ref(),
        user_agent_missing: visit.headers.is_some_and(|headers| headers.user_agent.is_none()),
        // Which header it was is not told here: this one's list of words holds those of the others.
        purpose: PurposeHeaders { purpose: visit.purpose_header, ..PurposeHeaders::default() },
        address: visit.address.known(),
        internal_addresses,
        hints: Hints { internal: visit.hints.internal, prefetch: visit.hints.prefetch },
    };
    traffic::class(&signals)
}
