//! The facts of one visit that conditions look at; what costs something is found out when first asked for, and once.

use std::cell::OnceCell;

use super::snapshot::PartnerEntry;
use crate::domain::{client::TrafficClass, fact::Fact, language::LanguageRange, visit::Visit};

/// The facts of one visit to one link.
pub(super) struct Facts<'a> {
    pub(super) visit: &'a Visit<'a>,
    /// The credited partner.
    pub(super) partner: Option<&'a PartnerEntry>,
    pub(super) traffic: TrafficClass,
    supported: &'a [LanguageRange],
    language: OnceCell<Fact<LanguageRange>>,
    referrer_host: OnceCell<Fact<String>>,
}

impl<'a> Facts<'a> {
    /// Takes what is known from the start, and the languages that the visitor's is chosen from.
    pub(super) fn new(
        visit: &'a Visit<'a>,
        partner: Option<&'a PartnerEntry>,
        traffic: TrafficClass,
        supported: &'a [LanguageRange],
    ) -> Self {
        Self { visit, partner, traffic, supported, language: OnceCell::new(), referrer_host: OnceCell::new() }
    }

    /// Returns the supported language that suits the visitor best; absent if none does.
    pub(super) fn language(&self) -> Fact<LanguageRange> {
        *self.language.get_or_init(|| match self.visit.headers.and_then(|headers| headers.accept_language) {
            Some(header) => language(header, self.supported),
            None => Fact::Unknown,
        })
    }

    /// Returns the host of the referring page.
    pub(super) fn referrer_host(&self) -> Fact<&str> {
        let host = self.referrer_host.get_or_init(|| match self.visit.headers {
            Some(headers) => Fact::or_absent(headers.referer.and_then(referrer_host)),
            None => Fact::Unknown,
        });
        host.as_ref().map(String::as_str)
    }
}

fn language(header: &str, supported: &[LanguageRange]) -> Fact<LanguageRange> {
    Fact::or_absent(supported.iter().find(|range| header.split(',').any(|tag| range.equals(tag))).copied())
}

fn referrer_host(referer: &str) -> Option<String> {
    let rest = referer.split_once("://")?.1;
    Some(rest.split(['/', '?', '#', ':']).next()?.to_ascii_lowercase())
}

/// Returns the class of traffic.
pub(super) fn traffic(visit: &Visit<'_>, internal: &[ipnet::IpNet]) -> TrafficClass {
    let is_internal = |address| internal.iter().any(|block| super::matcher::is_in(address, block));
    if visit.hints.internal || visit.address.known().is_some_and(is_internal) {
        return TrafficClass::Internal;
    }
    if visit.hints.prefetch {
        return TrafficClass::Prefetch;
    }
    TrafficClass::Human
}
