//! Facts of callers: one text, compared as text and as a number.

use super::{super::sample::Value, Candidate, Test, predicates, sorted, texts::unused};
use crate::domain::{
    condition::{CallerTest, Predicate},
    decimal::Decimal,
    limits,
};

/// Texts to look for whose every combination is tried: 2^6.
const MOST_NEEDLES: usize = 6;
/// Texts to begin with, for each of which all combinations are tried.
const MOST_PREFIXES: usize = 16;

/// What the tests of one fact compare with.
#[derive(Default)]
struct Compared<'t> {
    listed: Vec<&'t str>,
    needles: Vec<&'t str>,
    prefixes: Vec<&'t str>,
    bounds: Vec<Decimal>,
}

/// Returns that the fact was not sent, and a text for each way in which tests can be answered.
pub(super) fn facts(name: &str, tests: &[Test<'_>]) -> Vec<Candidate> {
    let compared = Compared::of(tests);
    let mut is_whole = compared.bounds.is_empty() || !compared.has_patterns();
    let mut texts: Vec<String> = Vec::new();
    is_whole &= compared.combine(&mut texts);
    is_whole &= compared.numbers(&mut texts);
    texts.extend(compared.listed.iter().map(|text| (*text).to_owned()));
    let sent = texts.len();
    texts.retain(|text| text.len() <= limits::VALUE_BYTES);
    is_whole &= texts.len() == sent;
    let value = |text: Option<String>| Value::Caller(name.into(), text.map(String::into_boxed_str));
    let mut found = vec![Candidate::exact(value(None))];
    found.extend(texts.into_iter().map(|text| Candidate::exact(value(Some(text)))));
    if !is_whole {
        found.push(Candidate::loose(value(Some(String::new()))));
    }
    found
}

impl<'t> Compared<'t> {
    fn of(tests: &'t [Test<'t>]) -> Self {
        let mut all = Self::default();
        for predicate in predicates(tests) {
            let Predicate::Caller { test, .. } = predicate else { continue };
            match test {
                CallerTest::Equals(values) => all.listed.extend(values.iter().map(|value| value.as_str())),
                CallerTest::Contains(needle) => all.needles.push(needle.as_str()),
                CallerTest::StartsWith(needle) => all.prefixes.push(needle.as_str()),
                CallerTest::LessThan(bound)
                | CallerTest::AtMost(bound)
                | CallerTest::GreaterThan(bound)
                | CallerTest::AtLeast(bound) => all.bounds.push(*bound),
            }
        }
        all.listed = sorted(all.listed.into_iter());
        all.needles = sorted(all.needles.into_iter());
        all.prefixes = sorted(all.prefixes.into_iter());
        all.bounds = sorted(all.bounds.into_iter());
        all
    }

    fn has_patterns(&self) -> bool {
        !self.needles.is_empty() || !self.prefixes.is_empty()
    }

    /// Adds texts that are no numbers and not listed: each beginning with each set of needles in it. Returns whether these
    /// are all that tests can tell apart.
    fn combine(&self, texts: &mut Vec<String>) -> bool {
        let mark = unused(self.listed.iter().chain(&self.needles).chain(&self.prefixes).copied());
        let is_whole = self.needles.len() <= MOST_NEEDLES
            && (self.needles.is_empty() || self.prefixes.len() <= MOST_PREFIXES);
        let chosen = &self.needles[..self.needles.len().min(MOST_NEEDLES)];
        let sets = if is_whole { 1_u32 << chosen.len() } else { 1 };
        for prefix in std::iter::once("").chain(self.prefixes.iter().copied()) {
            for set in 0..sets {
                let mut text = format!("{prefix}{mark}");
                for (_, needle) in chosen.iter().enumerate().filter(|(at, _)| set >> at & 1 == 1) {
                    text.push_str(needle);
                    text.push(mark);
                }
                texts.push(text);
            }
        }
        if !is_whole {
            texts.extend(self.needles.iter().map(|needle| format!("{mark}{needle}{mark}")));
        }
        is_whole
    }

    /// Adds a number that is not listed on each side of every bound, and each bound. Returns whether all could be written.
    fn numbers(&self, texts: &mut Vec<String>) -> bool {
        let around = self.bounds.iter().flat_map(|bound| [Some(*bound), bound.previous(), bound.next()]);
        let mut is_whole = true;
        for number in sorted(around.flatten()) {
            let plain = number.to_string();
            let point = if plain.contains('.') { "" } else { "." };
            let longer = (1..limits::VALUE_BYTES).map(|zeros| format!("{plain}{point}{}", "0".repeat(zeros)));
            let mut written = std::iter::once(plain.clone()).chain(longer.take(18));
            let free = |text: &String| {
                self.listed.binary_search(&text.as_str()).is_err() && Decimal::parse(text) == Some(number)
            };
            match written.find(free) {
                Some(text) => texts.push(text),
                None => is_whole = false,
            }
        }
        is_whole
    }
}
