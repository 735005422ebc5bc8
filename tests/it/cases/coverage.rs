//! Makes sure that every line of the small print that applies is shown, by a case or by a named test.

use std::{fs, ops::RangeInclusive, path::Path};

use super::{file, refusals};

/// The questions that the small print answers, by letter and number. The name of a case begins with the ids of what it
/// shows. A number that is missing asked about something that this service does not have: a part of the click log.
const LINES: [(&str, &[RangeInclusive<u8>]); 10] = [
    ("A", &[1..=11]),
    ("C", &[1..=16]),
    ("E", &[1..=3]),
    ("G", &[1..=4]),
    ("H", &[1..=4]),
    ("L", &[1..=26, 28..=50]),
    ("P", &[1..=4]),
    ("Q", &[1..=4, 6..=8, 10..=10]),
    ("U", &[1..=7]),
    ("V", &[1..=2]),
];

/// Lines that no visit and no write alone can show, and the test that does.
const BY_TEST: [(&str, &str, &str); 10] = [
    ("G4", "tests/it/gateway/proxies.rs", "trusted_blocks_are_passed_over"),
    ("H3", "tests/it/cases/gateway.rs", "what_no_link_takes_is_refused_by_its_status"),
    ("H4", "tests/it/cases/gateway.rs", "every_redirect_is_private_and_keeps_the_path_from_other_sites"),
    ("L16", "tests/it/cases/gateway.rs", "what_no_link_takes_is_refused_by_its_status"),
    ("L17", "tests/it/cases/gateway.rs", "what_no_link_takes_is_refused_by_its_status"),
    ("L43", "tests/it/cases/grpc.rs", "what_would_end_the_query_is_refused_over_grpc"),
    ("C12", "src/visitors.rs", "visitor_is_the_same_on_one_day_in_one_shop_and_nowhere_else"),
    ("Q6", "tests/it/gateway/cookies.rs", "total_grows_only_by_visits_that_count"),
    ("Q7", "tests/it/clicks/counters.rs", "each_of_many_clicks_at_once_has_a_number_of_its_own"),
    ("C13", "tests/it/cases/grpc.rs", "visits_over_grpc_have_limits"),
];

/// The sections of `docs/semantics.md` whose plain rules cases show, by id.
const SECTIONS: [(&str, &str); 23] = [
    ("D1", "Words"),
    ("D2", "Names: slugs, codes, ids"),
    ("D3", "Destinations"),
    ("D4", "How a location is built"),
    ("D5", "Query policy"),
    ("D6", "UTM parameters and placeholders"),
    ("D7", "Our own parameters"),
    ("D8", "Who is credited"),
    ("D9", "Sharing"),
    ("D10", "States and windows"),
    ("D11", "Rules and conditions"),
    ("D12", "The attributes"),
    ("D13", "Languages"),
    ("D14", "Time"),
    ("D15", "Query parameters in conditions"),
    ("D16", "Operating systems, browsers, devices"),
    ("D17", "Traffic classes"),
    ("D18", "Countries, continents, the European Union"),
    ("D19", "The gateway"),
    ("D20", "Limits"),
    ("D21", "Client hints"),
    ("D22", "Visitors"),
    ("D23", "Variants"),
];

/// Traps that other systems of this field fell into, by id, and words of the names that show them.
const TRAPS: [(&str, &str, &[&str]); 22] = [
    ("T1", "empty rule", &["a rule with an empty group", "an empty group"]),
    ("T2", "query value 0", &["the value 0 passes", "the value 0 is a value"]),
    ("T3", "empty value", &["an empty value passes"]),
    ("T4", "repeated keys", &["repeated keys pass"]),
    (
        "T5",
        "plus",
        &["a plus stays a plus", "an escaped plus stays escaped", "an escaped space stays escaped"],
    ),
    ("T6", "key without =", &["a key without = gets none"]),
    ("T7", "numeric keys", &["numeric keys stay"]),
    ("T8", "names changed", &["brackets and dots in names stay"]),
    ("T9", "# in destination", &["a fragment without a query keeps what is between"]),
    ("T10", "HEAD", &["a look-up gets none"]),
    ("T11", "previews", &["facebookexternalhit: preview", "WhatsApp: preview"]),
    (
        "T12",
        "iPad as Mac",
        &["an iPad that says it is a Mac cannot be told", "an iPad that says it is a Mac: not iOS"],
    ),
    ("T13", "q-values", &["a low q is a wish all the same"]),
    ("T14", "region", &["a region does not match a rule for another one"]),
    ("T15", "private address", &["without a country for the address a negated rule does not match"]),
    ("T16", "IPv6", &["an IPv6 address"]),
    ("T17", "slug case", &["the slug without case"]),
    ("T18", "trailing slash", &["one trailing slash is ignored behind the partner"]),
    ("T19", "`+` suffix", &["a `+` behind the slug", "a `+` behind the partner"]),
    (
        "T20",
        "escaped and emoji slugs",
        &["an emoji is no slug", "an escaped accent is no slug", "an escaped hyphen"],
    ),
    ("T21", "expiry", &["a link that has expired is asked again before its end"]),
    ("T22", "DST", &["an hour that the clock skips", "an hour that comes twice", "in winter the same hours"]),
];

/// Returns the name of every case and write.
fn names() -> Vec<String> {
    let cases = file::load().into_iter().map(|case| case.name);
    cases.chain(refusals::names()).collect()
}

/// Returns the id of every question.
fn lines() -> Vec<String> {
    let of_letter = |(letter, ranges): &(&str, &[RangeInclusive<u8>])| {
        ranges.iter().cloned().flatten().map(|line| format!("{letter}{line}")).collect::<Vec<_>>()
    };
    LINES.iter().flat_map(of_letter).collect()
}

/// Returns the ids that a name begins with: `L18 L48 an escaped name` shows two lines.
fn ids(name: &str) -> impl Iterator<Item = &str> {
    let is_id = |word: &&str| {
        let digits = word.strip_prefix(|first: char| "ACDEGHLPQTUV".contains(first));
        digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
    };
    name.split(' ').take_while(is_id)
}

#[test]
fn every_line_that_applies_is_shown() {
    let names = names();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let missing = |line: &String| {
        let by_case = names.iter().any(|name| ids(name).any(|id| id == line));
        let by_test = BY_TEST.iter().filter(|(id, ..)| id == line).any(|(_, file, test)| {
            let source = fs::read_to_string(root.join(file)).unwrap_or_default();
            source.contains(&format!("fn {test}("))
        });
        !by_case && !by_test
    };
    let missing: Vec<String> = lines().into_iter().filter(missing).collect();
    assert!(missing.is_empty(), "no case and no named test shows {missing:?}");
}

#[test]
fn every_name_says_what_it_shows() {
    let anonymous: Vec<String> = names().into_iter().filter(|name| ids(name).next().is_none()).collect();
    assert!(anonymous.is_empty(), "these names begin with no id: {anonymous:#?}");
}

#[test]
fn every_id_is_explained() {
    let lines = lines();
    let is_known = |id: &str| {
        lines.iter().any(|line| line == id)
            || SECTIONS.iter().any(|(section, _)| *section == id)
            || TRAPS.iter().any(|(trap, ..)| *trap == id)
    };
    let unknown: Vec<String> = names().into_iter().filter(|name| !ids(name).all(is_known)).collect();
    assert!(unknown.is_empty(), "these names have an id that no table has: {unknown:#?}");
}

#[test]
fn every_line_is_answered() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/semantics.md")).unwrap();
    let brackets = page.split('[').filter_map(|rest| Some(rest.split_once(']')?.0));
    let answered: Vec<&str> = brackets.flat_map(|ids| ids.split(", ")).collect();
    let missing: Vec<String> =
        lines().into_iter().filter(|line| !answered.contains(&line.as_str())).collect();
    assert!(missing.is_empty(), "docs/semantics.md answers nowhere, in brackets, {missing:?}");
}

#[test]
fn every_section_is_there_and_shown() {
    let names = names();
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/semantics.md")).unwrap();
    for (section, heading) in SECTIONS {
        let is_there = page.lines().any(|line| line.strip_prefix("## ") == Some(heading));
        assert!(is_there, "docs/semantics.md has no section {heading:?}");
        let is_shown = names.iter().any(|name| ids(name).any(|id| id == section));
        assert!(is_shown, "no case shows {section}, {heading:?}");
    }
}

#[test]
fn every_trap_is_shown() {
    let names = names();
    let is_shown = |trap: &str, words: &str| {
        names.iter().any(|name| name.contains(words) && ids(name).any(|id| id == trap))
    };
    let missing: Vec<(&str, &str, &str)> = TRAPS
        .iter()
        .flat_map(|(trap, what, shown)| shown.iter().map(|words| (*trap, *what, *words)))
        .filter(|(trap, _, words)| !is_shown(trap, words))
        .collect();
    assert!(missing.is_empty(), "no case has this id and these words: {missing:#?}");
}

#[test]
fn cases_are_found() {
    assert!(file::load().len() >= 280);
}
