//! Where the facts of a visit come from: what the request says of them, and what had to be found out.

use std::sync::Arc;

use jiff::Timestamp;

use crate::{
    classify::{Classifier, traffic::Why, user_agent::ClientHints},
    domain::{client::UserAgent, geo::Country, visit::Visit, visitor::VisitorMode},
    index::{Explanation, Look, Seen, Subject},
    proto::{FactOrigin, RequestHeaders, ResolveRequest},
    rpc::convert::explanation::Origin,
};

/// What is to be known to tell where facts come from.
pub(super) struct Origins<'a> {
    message: &'a ResolveRequest,
    visit: &'a Visit<'a>,
    /// What the user agent says without the client hints.
    without_hints: Arc<UserAgent>,
    geo_built_at: Option<Timestamp>,
    mode: VisitorMode,
    traffic_why: Why<'a>,
}

impl<'a> Origins<'a> {
    /// Takes what was asked, and what was made of it.
    pub(super) fn of(
        message: &'a ResolveRequest,
        visit: &'a Visit<'a>,
        explained: &Explanation<'a>,
        classifier: &Classifier,
    ) -> Self {
        let user_agent = visit.headers.and_then(|headers| headers.user_agent);
        Self {
            message,
            visit,
            without_hints: classifier.user_agent(user_agent, &ClientHints::default()),
            geo_built_at: classifier.geo().map(|geo| geo.built_at()),
            mode: explained.resolution.visitor_mode,
            traffic_why: explained.traffic_why,
        }
    }

    /// Returns where a fact comes from, and why it is not known if it is not.
    pub(super) fn of_look(&self, look: &Look<'_>) -> Origin {
        let (agent, plain) = (&self.visit.agent, &self.without_hints);
        let is_known = matches!(look.seen, Seen::Known(_));
        match look.subject {
            Subject::Device => self.of_agent(agent.device == plain.device, is_known),
            Subject::Os => self.of_agent(agent.os == plain.os, is_known),
            Subject::OsVersion => self.of_agent(agent.os_version == plain.os_version, is_known),
            Subject::Browser => self.of_agent(agent.browser == plain.browser, is_known),
            Subject::BrowserVersion => {
                self.of_agent(agent.browser_version == plain.browser_version, is_known)
            }
            Subject::Language => self.of_language(&look.seen),
            Subject::Country => self.of_country(is_known),
            Subject::ClientAddress => {
                Origin::plain(FactOrigin::Caller).because_unless(is_known, "the caller sent no address")
            }
            Subject::ReferrerHost => self.of_referrer(&look.seen),
            Subject::Query(_) => {
                Origin::plain(FactOrigin::Query).because_unless(is_known, "the query has no such parameter")
            }
            Subject::Traffic => self.of_traffic(),
            Subject::Time => Origin::plain(match self.message.visit_time {
                Some(_) => FactOrigin::Caller,
                None => FactOrigin::Clock,
            }),
            Subject::Partner => {
                Origin::plain(FactOrigin::Configuration).because_unless(is_known, "nobody is credited")
            }
            Subject::Program => Origin::plain(FactOrigin::Configuration)
                .because_unless(is_known, "nobody is credited, or the partner is in no program"),
            Subject::PartnerTags => Origin::plain(FactOrigin::Configuration)
                .because_unless(is_known, "nobody is credited, or the partner has no tag"),
            Subject::VisitorTotalVisits => self.of_visitor(is_known),
            Subject::LinkTotalVisits => of_counter(is_known),
            Subject::PartnerTotalVisits => of_counter(is_known),
            Subject::Caller(_) => {
                Origin::plain(FactOrigin::Caller).because_unless(is_known, "the caller did not send it")
            }
        }
    }

    fn headers(&self) -> Option<&RequestHeaders> {
        self.message.headers.as_ref()
    }

    fn of_agent(&self, as_without_hints: bool, is_known: bool) -> Origin {
        if !as_without_hints {
            return Origin::plain(FactOrigin::ClientHints);
        }
        let sent = self.visit.headers.is_some_and(|headers| headers.user_agent.is_some());
        Origin::plain(FactOrigin::UserAgent).because(match (is_known, sent) {
            (true, _) => "",
            (false, true) => "neither user agent nor client hints tell",
            (false, false) => "no User-Agent was sent",
        })
    }

    fn of_language(&self, seen: &Seen) -> Origin {
        let sent = self.headers().is_some_and(|headers| headers.accept_language.is_some());
        Origin::plain(FactOrigin::AcceptLanguage).because(match (seen, sent) {
            (Seen::Known(_), _) => "",
            (Seen::Absent, _) => "the visitor has none of the languages that the rules name",
            (Seen::Unknown | Seen::NotKept, true) => "the header names no language",
            (Seen::Unknown | Seen::NotKept, false) => "no Accept-Language was sent",
        })
    }

    fn of_country(&self, is_known: bool) -> Origin {
        if Country::from_code(&self.message.country).is_some() {
            return Origin::plain(FactOrigin::Caller);
        }
        let has_address = self.visit.address.known().is_some();
        let note = match (is_known, has_address, self.geo_built_at) {
            (true, ..) => "",
            (false, false, _) => "the caller sent no address",
            (false, true, None) => "the server has no country database",
            (false, true, Some(_)) => "the country database does not know the address",
        };
        Origin { geo_built_at: self.geo_built_at, ..Origin::plain(FactOrigin::GeoDatabase).because(note) }
    }

    fn of_referrer(&self, seen: &Seen) -> Origin {
        let sent = self.headers().is_some_and(|headers| headers.referer.is_some());
        Origin::plain(FactOrigin::Referer).because(match (seen, sent) {
            (Seen::Known(_), _) => "",
            (Seen::Absent, true) => "the header names no host",
            (Seen::Absent, false) => "no Referer was sent",
            (Seen::Unknown | Seen::NotKept, _) => "the caller sent no headers",
        })
    }

    fn of_traffic(&self) -> Origin {
        Origin::plain(match self.traffic_why {
            Why::NothingElse => FactOrigin::Unspecified,
            Why::Hint => FactOrigin::Caller,
            Why::InternalAddress => FactOrigin::Configuration,
            Why::Header(_) => FactOrigin::PurposeHeader,
            Why::UserAgent(_) | Why::NoUserAgent => FactOrigin::UserAgent,
        })
    }

    fn of_visitor(&self, is_known: bool) -> Origin {
        let visitor = self.message.visitor.as_ref();
        let from_cookie = visitor.is_some_and(|visitor| visitor.from_cookie);
        let note = match (is_known, from_cookie, self.mode) {
            (true, ..) => "",
            (false, true, VisitorMode::None) => {
                "the shop knows no visitors, or this one asks not to be tracked"
            }
            (false, true, VisitorMode::Daily) => "the shop knows visitors for a day, without cookies",
            (false, true, VisitorMode::Cookie) | (false, false, _) => "the caller sent no total",
        };
        Origin::plain(if from_cookie { FactOrigin::Cookie } else { FactOrigin::Caller }).because(note)
    }
}

fn of_counter(is_known: bool) -> Origin {
    Origin::plain(FactOrigin::Counter)
        .because_unless(is_known, "the server has not read the counter yet, or records no clicks")
}
