//! Countries, languages, referring hosts.

use super::{super::sample::Value, Test, predicates, sorted};
use crate::domain::{condition::Predicate, fact::Fact, geo::Country, host::Host, language::LanguageRange};

/// Countries that everybody knows; examples are made of these first.
const WELL_KNOWN: [&str; 8] = ["US", "GB", "FR", "DE", "IN", "JP", "BR", "AU"];

/// Returns every country: those that no list names first.
pub(super) fn countries(tests: &[Test<'_>]) -> Vec<Value> {
    let named = predicates(tests).filter_map(|predicate| {
        let Predicate::Country(countries) = predicate else { return None };
        Some(countries.iter().copied())
    });
    let named = sorted(named.flatten());
    let mut all: Vec<Country> = WELL_KNOWN.iter().filter_map(|code| Country::from_code(code)).collect();
    all.extend(Country::ALL.iter().filter(|country| !WELL_KNOWN.contains(&country.as_str())));
    let (named, others): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|country| named.binary_search(country).is_ok());
    let known = |countries: Vec<Country>| countries.into_iter().map(Fact::Known);
    known(others).chain([Fact::Unknown]).chain(known(named)).map(Value::Country).collect()
}

/// Returns every language that the link names, that there is another one, and that it is unknown.
pub(super) fn languages(named: &[LanguageRange]) -> Vec<Value> {
    // None of these is a language that people read pages in, and each is well-formed.
    let spare = ["zxx", "mis", "mul", "und", "qaa", "qab", "qac"];
    let is_free = |tag: &&str| named.iter().all(|range| range.language() != *tag);
    let other = spare.into_iter().find(is_free);
    let other = other.map(|tag| Value::Language(Some(tag.into()), Fact::Absent));
    let named =
        named.iter().map(|range| Value::Language(Some(range.to_string().into()), Fact::Known(*range)));
    other.into_iter().chain([Value::Language(None, Fact::Unknown)]).chain(named).collect()
}

/// Returns every host that is listed, one below each of them, another one, none, and that it is unknown.
pub(super) fn referrers(tests: &[Test<'_>]) -> Vec<Value> {
    let listed = predicates(tests).filter_map(|predicate| {
        let Predicate::ReferrerHost { hosts, .. } = predicate else { return None };
        Some(hosts.iter().map(Host::as_str))
    });
    let listed: Vec<&str> = sorted(listed.flatten());
    let is_free = |host: &String| listed.binary_search(&host.as_str()).is_err();
    // The shortest label that is free: the longer the host, the less fits below it.
    let labels =
        || (b'a'..=b'z').map(char::from).map(String::from).chain((0..).map(|at: u32| format!("x{at}")));
    let below = |host: &&str| labels().map(|label| format!("{label}.{host}")).find(is_free);
    let other = labels().map(|label| format!("other-{label}")).find(is_free);
    let hosts = other.into_iter().chain(listed.iter().filter_map(below));
    let hosts = hosts.chain(listed.iter().map(|host| (*host).to_owned()));
    let known = hosts.map(|host| Fact::Known(host.into_boxed_str()));
    [Fact::Absent].into_iter().chain(known).chain([Fact::Unknown]).map(Value::Referrer).collect()
}
