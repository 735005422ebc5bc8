//! Parameters of a query.
//!
//! A parameter may be sent any number of times, and one value that fits is enough. So each value is a choice of its own:
//! in or not. The shortest values that pass each test are enough of them: any other value passes what some of these pass
//! together.

use super::{super::sample::Value, Candidate, Test, predicates, sorted};
use crate::domain::condition::{Predicate, QueryTest};

/// Returns a choice for each value that a parameter of this name may be sent with.
pub(super) fn parameters(name: &str, tests: &[Test<'_>]) -> Vec<Vec<Candidate>> {
    let tests: Vec<&QueryTest> = predicates(tests)
        .filter_map(|predicate| {
            let Predicate::Query { test, .. } = predicate else { return None };
            Some(test)
        })
        .collect();
    let mut listed = Vec::new();
    let mut patterns = Vec::new();
    for test in &tests {
        match test {
            QueryTest::Present | QueryTest::WithoutValue => {}
            QueryTest::Equals(values) => listed.extend(values.iter().map(|value| value.as_str().to_owned())),
            QueryTest::Contains(needle) => patterns.push((needle.as_str(), true)),
            QueryTest::StartsWith(needle) => patterns.push((needle.as_str(), false)),
        }
    }
    let texts = listed.iter().map(String::as_str).chain(patterns.iter().map(|(needle, _)| *needle));
    let mark = unused(texts);
    let patterns = patterns.into_iter().map(|(needle, anywhere)| {
        if anywhere { format!("{mark}{needle}{mark}") } else { format!("{needle}{mark}") }
    });
    let values = sorted(listed.into_iter().chain(patterns).chain([mark.to_string()]));
    let choice = |value: Option<String>| {
        let sent = Value::Parameter(name.into(), Some(value.map(String::into_boxed_str)));
        vec![Candidate::exact(Value::Parameter(name.into(), None)), Candidate::exact(sent)]
    };
    values.into_iter().map(Some).chain([None]).map(choice).collect()
}

/// Returns a character that stands in none of the texts.
pub(super) fn unused<'t>(texts: impl Iterator<Item = &'t str>) -> char {
    let used = sorted(texts.flat_map(str::chars));
    let spare = ['x', 'z', 'q', '_', '~'].into_iter().chain('\u{a1}'..=char::MAX);
    spare.into_iter().find(|spare| used.binary_search(spare).is_err()).unwrap_or('x')
}
