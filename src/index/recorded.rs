//! A recorded click as a visit: what it keeps is known, known to be absent or unknown as it was, and the rest is known
//! not to be kept.

use std::{collections::HashMap, sync::Arc};

use super::{facts::Facts, location::push_unreserved, record::PartnerState, snapshot::PartnerEntry};
use crate::{
    classify::language,
    domain::{
        click::LoggedClick,
        client::{TrafficClass, UserAgent},
        fact::Fact,
        language::LanguageRange,
        limits,
        link::Sharing,
        revision::Revision,
        unkept::{UnkeptFact, UnkeptFacts},
        visit::{Attribution, Channel, Hints, Site, Totals, Visit},
        visitor::{KnownVisitor, VisitorMode},
    },
};

/// What no click keeps.
const NEVER_KEPT: [UnkeptFact; 6] = [
    UnkeptFact::ClientAddress,
    UnkeptFact::Query,
    UnkeptFact::OsVersion,
    UnkeptFact::BrowserVersion,
    UnkeptFact::Attributes,
    UnkeptFact::Visitor,
];

/// What a click keeps of its visit, in the form in which rules look at it.
pub(super) struct Recorded<'c> {
    click: &'c LoggedClick,
    /// Who is credited.
    partner: Option<PartnerEntry>,
    traffic: TrafficClass,
    agent: Arc<UserAgent>,
    /// The parameters that the shop keeps, as a query.
    query: String,
    no_attributes: HashMap<String, String>,
    /// All but the language, which depends on the link.
    unkept: UnkeptFacts,
}

impl<'c> Recorded<'c> {
    /// Takes what a click keeps, as a link shared with these sees it; `shared_alike` tells whether the link was shared with
    /// just those at the click.
    pub(super) fn new(click: &'c LoggedClick, sharing: &Sharing, shared_alike: bool) -> Self {
        let facts = &click.facts;
        let counters = click.counters;
        let mut unkept: UnkeptFacts = NEVER_KEPT.into_iter().collect();
        let program = facts.program.as_ref();
        let credited = facts.partner.as_ref().filter(|code| sharing.includes(code, program));
        if facts.partner.is_none() && may_be_credited(facts.attribution, sharing, shared_alike) {
            unkept = unkept.with(UnkeptFact::Partner);
        }
        // Nobody has no tags.
        if credited.is_some() || unkept.has(UnkeptFact::Partner) {
            unkept = unkept.with(UnkeptFact::PartnerTags);
        }
        // By way of nobody, nobody has come; the 0 of that says nothing of a partner who may be credited after all.
        let uncounted = unkept.has(UnkeptFact::Partner) || (credited.is_some() && counters.partner.is_none());
        let totals = [
            (counters.visitor.is_none(), UnkeptFact::VisitorTotalVisits),
            (counters.link.is_none(), UnkeptFact::LinkTotalVisits),
            (uncounted, UnkeptFact::PartnerTotalVisits),
            (facts.traffic.is_none(), UnkeptFact::TrafficClass),
        ];
        let unkept = totals.into_iter().filter(|(is, _)| *is).fold(unkept, |set, (_, fact)| set.with(fact));
        Self {
            partner: credited.map(|code| PartnerEntry {
                code: code.clone(),
                revision: Revision::default(),
                state: Some(PartnerState {
                    aliases: Vec::new(),
                    program: facts.program.clone(),
                    tags: Vec::new(),
                    active: true,
                }),
            }),
            traffic: facts.traffic.unwrap_or(TrafficClass::Human),
            agent: Arc::new(UserAgent {
                device: Fact::or_unknown(facts.device),
                os: Fact::or_unknown(facts.os),
                browser: Fact::or_unknown(facts.browser),
                ..UserAgent::default()
            }),
            query: query(&facts.sub_ids),
            no_attributes: HashMap::new(),
            unkept,
            click,
        }
    }

    /// Returns the visit, as far as it is kept.
    pub(super) fn visit(&self) -> Visit<'_> {
        let LoggedClick { id, shop, facts, counters, .. } = self.click;
        Visit {
            site: Site::Shop(shop.as_str()),
            slug: facts.slug.as_ref().map_or("", |slug| slug.as_str()),
            partner: "",
            query: &self.query,
            time: id.time(),
            click_id: Some(*id),
            address: Fact::Unknown,
            country: Fact::or_unknown(facts.country),
            channel: facts.channel.unwrap_or(Channel::Link),
            agent: Arc::clone(&self.agent),
            hints: Hints::default(),
            headers: None,
            purpose_header: None,
            attributes: &self.no_attributes,
            visitor: Some(KnownVisitor { id: "", total_visits: counters.visitor, from_cookie: false }),
            opted_out: false,
            totals: Totals { link: counters.link, partner: counters.partner },
        }
    }

    /// Returns the facts that conditions look at; `visit` is the click's own, `supported` every language that they name.
    pub(super) fn facts<'a>(&'a self, visit: &'a Visit<'a>, supported: &'a [LanguageRange]) -> Facts<'a> {
        let kept = &self.click.facts;
        // The click keeps the language that is named first, and browsers name first what is wanted most: what it leads
        // to is the visitor's.
        let language = language::best(kept.language.as_deref(), supported).copied();
        let unkept = match language {
            Fact::Known(_) => self.unkept,
            Fact::Absent | Fact::Unknown => self.unkept.with(UnkeptFact::Language),
        };
        // What the click keeps of the visitor it may keep.
        let mode = VisitorMode::Cookie;
        Facts::new(visit, self.partner.as_ref(), self.traffic, supported, mode, visit.totals).with_kept(
            language,
            kept.referrer.as_ref().map(String::as_str),
            unkept,
        )
    }
}

/// Tells whether a partner whom the click does not name may be credited, were its link shared with these: one whom the
/// link was not shared with is not kept.
fn may_be_credited(attribution: Option<Attribution>, sharing: &Sharing, shared_alike: bool) -> bool {
    let is_shared = match sharing {
        Sharing::Everyone => true,
        Sharing::Selected { partners, programs } => !partners.is_empty() || !programs.is_empty(),
    };
    match attribution {
        Some(Attribution::NotShared) => is_shared && !shared_alike,
        // Somebody was credited whose code is not kept any more, or a newer version says what is not known here.
        Some(Attribution::Credited) | None => is_shared,
        Some(Attribution::NoPartner | Attribution::UnknownPartner | Attribution::InactivePartner) => false,
    }
}

/// Writes parameters as a query. Those that may have been cut are left out; an empty value may have been none.
fn query(sub_ids: &[(String, String)]) -> String {
    /// Bytes of a character that may have been cut off whole.
    const LONGEST_CHAR: usize = 4;
    let mut query = String::new();
    for (name, value) in sub_ids.iter().filter(|(_, it)| it.len() + LONGEST_CHAR <= limits::SUB_ID_BYTES) {
        if !query.is_empty() {
            query.push('&');
        }
        push_unreserved(&mut query, name);
        if !value.is_empty() {
            query.push('=');
            push_unreserved(&mut query, value);
        }
    }
    query
}
