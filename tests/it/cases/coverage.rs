//! Makes sure that every line of the small print that applies is shown, by a case or by a named test.

use std::{fs, path::Path};

use super::{file, refusals};

/// The lines that apply to what there is, by their letter. What needs splits, counters, cookies or the click log is not
/// among them: V1, V2, L28, C2, C7, C12, C15, P4, Q5, Q6, Q7; nor trusted proxies (G4), which there are none of, nor an
/// installation-wide key (Q9), which every token is. L27 is no line.
const LINES: [(&str, &[std::ops::RangeInclusive<u8>]); 9] = [
    ("A", &[1..=11]),
    ("C", &[1..=1, 3..=6, 8..=11, 13..=14, 16..=16]),
    ("E", &[1..=3]),
    ("G", &[1..=3]),
    ("H", &[1..=4]),
    ("L", &[1..=26, 29..=50]),
    ("P", &[1..=3]),
    ("Q", &[1..=4, 8..=8, 10..=10]),
    ("U", &[1..=7]),
];

/// Lines that no visit and no write alone can show, and the test that does.
const BY_TEST: [(&str, &str, &str); 6] = [
    ("H3", "tests/it/cases/gateway.rs", "what_no_link_takes_is_refused_by_its_status"),
    ("H4", "tests/it/cases/gateway.rs", "every_redirect_is_private_and_keeps_the_path_from_other_sites"),
    ("L16", "tests/it/cases/gateway.rs", "what_no_link_takes_is_refused_by_its_status"),
    ("L17", "tests/it/cases/gateway.rs", "what_no_link_takes_is_refused_by_its_status"),
    ("L43", "tests/it/cases/grpc.rs", "what_would_end_the_query_is_refused_over_grpc"),
    ("C13", "tests/it/cases/grpc.rs", "visits_over_grpc_have_limits"),
];

/// Traps that other systems of this field fell into, and words of the names that show them.
const TRAPS: [(&str, &[&str]); 22] = [
    ("empty rule", &["a rule with an empty group", "an empty group"]),
    ("query value 0", &["the value 0 passes", "the value 0 is a value"]),
    ("empty value", &["an empty value passes"]),
    ("repeated keys", &["repeated keys pass"]),
    ("plus", &["a plus stays a plus", "an escaped plus stays escaped", "an escaped space stays escaped"]),
    ("key without =", &["a key without = gets none"]),
    ("numeric keys", &["numeric keys stay"]),
    ("names changed", &["brackets and dots in names stay"]),
    ("# in destination", &["a fragment without a query keeps what is between"]),
    ("HEAD", &["a look-up gets none"]),
    ("previews", &["facebookexternalhit: preview", "WhatsApp: preview"]),
    (
        "iPad as Mac",
        &["an iPad that says it is a Mac cannot be told", "an iPad that says it is a Mac: not iOS"],
    ),
    ("q-values", &["a low q is a wish all the same"]),
    ("region", &["a region does not match a rule for another one"]),
    ("private address", &["without a country for the address a negated rule does not match"]),
    ("IPv6", &["an IPv6 address"]),
    ("slug case", &["the slug without case"]),
    ("trailing slash", &["one trailing slash is ignored behind the partner"]),
    ("`+` suffix", &["a `+` behind the slug", "a `+` behind the partner"]),
    (
        "escaped and emoji slugs",
        &["an emoji is no slug", "an escaped accent is no slug", "an escaped hyphen"],
    ),
    ("expiry", &["a link that has expired is asked again before its end"]),
    ("DST", &["an hour that the clock skips", "an hour that comes twice", "in winter the same hours"]),
];

/// Returns the name of every case and write.
fn names() -> Vec<String> {
    let cases = file::load().into_iter().map(|case| case.name);
    cases.chain(refusals::names()).collect()
}

/// Returns the ids that a name begins with: `L18 L48 an escaped name` shows two lines.
fn ids(name: &str) -> impl Iterator<Item = &str> {
    let is_id = |word: &&str| {
        let digits = word.strip_prefix(|first: char| "ACEGHLPQU".contains(first));
        digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
    };
    name.split(' ').take_while(is_id)
}

#[test]
fn every_line_that_applies_is_shown() {
    let names = names();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let lines: Vec<String> = LINES
        .iter()
        .flat_map(|(letter, ranges)| {
            ranges.iter().cloned().flatten().map(move |line| format!("{letter}{line}"))
        })
        .collect();
    let missing = |line: &String| {
        let by_case = names.iter().any(|name| ids(name).any(|id| id == line));
        let by_test = BY_TEST.iter().filter(|(id, ..)| id == line).any(|(_, file, test)| {
            let source = fs::read_to_string(root.join(file)).unwrap_or_default();
            source.contains(&format!("fn {test}("))
        });
        !by_case && !by_test
    };
    let missing: Vec<&String> = lines.iter().filter(|line| missing(line)).collect();
    assert!(missing.is_empty(), "no case and no named test shows {missing:?}");
}

#[test]
fn every_name_says_what_it_shows() {
    let anonymous = |name: &String| {
        let of_a_page = ["DESIGN §", "FIELD §"].iter().any(|page| name.starts_with(page));
        !of_a_page && ids(name).next().is_none()
    };
    let anonymous: Vec<String> = names().into_iter().filter(anonymous).collect();
    assert!(anonymous.is_empty(), "these names begin with no line: {anonymous:#?}");
}

#[test]
fn every_trap_is_shown() {
    let names = names();
    let missing: Vec<(&str, &str)> = TRAPS
        .iter()
        .flat_map(|(trap, shown)| shown.iter().map(|words| (*trap, *words)))
        .filter(|(_, words)| !names.iter().any(|name| name.contains(words)))
        .collect();
    assert!(missing.is_empty(), "no case has these words: {missing:#?}");
}

#[test]
fn there_are_as_many_cases_as_were_promised() {
    assert!(file::load().len() >= 280);
}
