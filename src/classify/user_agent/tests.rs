use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;

use super::{ClientHints, MAX_BYTES, cut, parse};
use crate::{
    classify::traffic::{self, Signals},
    domain::{
        client::{UserAgent, Version},
        fact::Fact,
    },
};

fn text<T: ToString>(fact: Fact<T>) -> String {
    fact.known().map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Writes what was read as the tables do: device, system, browser, each with its version, automation, class of traffic.
fn row(ua: &UserAgent) -> [String; 7] {
    let automation = ua.automation.as_ref();
    let signals = Signals { automation, ..Signals::default() };
    [
        text(ua.device),
        text(ua.os),
        text(ua.os_version),
        text(ua.browser),
        text(ua.browser_version),
        automation.map_or_else(|| "-".to_owned(), |found| format!("{}:{}", found.kind, found.name)),
        traffic::class(&signals).0.to_string(),
    ]
}

/// Reads the rows of a table, each with the heading that it stands below.
fn rows(table: &str) -> impl Iterator<Item = (&str, Vec<&str>)> {
    let mut heading = "";
    table.lines().filter_map(move |line| match line.strip_prefix("## ") {
        Some(text) => {
            heading = text;
            None
        }
        None => (!line.is_empty() && !line.starts_with('#')).then(|| (heading, line.split('\t').collect())),
    })
}

/// Compares the first cells of a row with what was read; versions may be written with needless zeros.
fn differs(cells: &[&str], ua: &UserAgent) -> Option<String> {
    let normal = |text: &&str| text.parse::<Version>().map_or((*text).to_owned(), |v| v.to_string());
    let (expected, got) = (cells[..7].iter().map(normal).collect::<Vec<_>>(), row(ua));
    (expected != got).then(|| format!("{cells:?}\n  expected {expected:?}\n  got      {got:?}"))
}

#[test]
fn real_user_agents_are_read_as_listed() {
    let table = include_str!("../../../tests/data/user_agents.tsv");
    let mut wrong = Vec::new();
    let mut groups = BTreeMap::new();
    for (heading, cells) in rows(table) {
        assert_eq!(cells.len(), 8, "{cells:?}");
        *groups.entry(heading).or_insert(0) += 1;
        wrong.extend(differs(&cells, &parse(cells[7])));
    }
    assert!(wrong.is_empty(), "{} user agents\n{}", wrong.len(), wrong.join("\n"));
    for (heading, at_least) in [
        ("Desktops", 25),
        ("Phones: browsers", 25),
        ("Phones: apps", 25),
        ("Tablets", 10),
        ("Televisions", 15),
        ("Consoles", 8),
        ("Watches and headsets", 10),
        ("Cars, e-readers and others", 8),
        ("Search engines, advertising, monitoring", 25),
        ("Assistants and their crawlers", 20),
        ("Libraries and tools", 25),
        ("Previews", 20),
    ] {
        assert!(groups.get(heading).is_some_and(|count| *count >= at_least), "{heading}: {groups:?}");
    }
}

#[test]
fn client_hints_correct_user_agents_as_listed() {
    let table = include_str!("../../../tests/data/client_hints.tsv");
    let mut wrong = Vec::new();
    let mut count = 0;
    for (_, cells) in rows(table) {
        assert_eq!(cells.len(), 14, "{cells:?}");
        let sent = |at: usize| Some(cells[at]).filter(|cell| *cell != "-");
        let hints = ClientHints {
            brands: sent(7),
            full_versions: sent(8),
            mobile: sent(9),
            platform: sent(10),
            platform_version: sent(11),
            form_factors: sent(12),
        };
        let said = Arc::new(sent(13).map(parse).unwrap_or_default());
        wrong.extend(differs(&cells, &hints.correct(said)));
        count += 1;
    }
    assert!(wrong.is_empty(), "{} of {count} visitors\n{}", wrong.len(), wrong.join("\n"));
    assert!(count >= 40, "the table lost rows: {count}");
}

#[test]
fn nothing_that_calls_itself_software_is_corrected() {
    let table = include_str!("../../../tests/data/user_agents.tsv");
    let hints = ClientHints {
        brands: Some(r#""Chromium";v="141", "Google Chrome";v="141""#),
        full_versions: None,
        mobile: Some("?1"),
        platform: Some("\"Android\""),
        platform_version: Some("\"15.0.0\""),
        form_factors: Some("\"Mobile\""),
    };
    for (_, cells) in rows(table).filter(|(_, cells)| cells[6] != "human") {
        let said = Arc::new(parse(cells[7]));
        assert!(Arc::ptr_eq(&hints.correct(Arc::clone(&said)), &said), "{cells:?}");
    }
}

#[test]
fn without_readable_hints_the_user_agent_stands() {
    let said = Arc::new(parse("Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"));
    assert!(Arc::ptr_eq(&ClientHints::default().correct(Arc::clone(&said)), &said));
    let garbage = Some("garbage, \"");
    let hints = ClientHints {
        brands: garbage,
        full_versions: garbage,
        mobile: garbage,
        platform: garbage,
        platform_version: garbage,
        form_factors: garbage,
    };
    assert_eq!(*hints.correct(Arc::clone(&said)), *said);
}

#[test]
fn long_user_agent_is_cut_where_a_character_ends() {
    let long = format!("Mozilla/5.0 (X11; Linux x86_64) {}", "ü".repeat(MAX_BYTES));
    assert_eq!(parse(&long), parse(cut(&long)));
    assert!(cut(&long).len() <= MAX_BYTES);
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(ua in "\\PC*", soup in "(Mozilla|Android|iPhone OS|Windows NT|CrOS|Version|FBAV|Chrome|bot|[/ ;()_.+\\[\\]:@]|[0-9]{1,12}|é){0,60}") {
        parse(&ua);
        parse(&soup);
    }

    #[test]
    fn arbitrary_hints_never_panic(
        ua in "\\PC*",
        any in "\\PC*",
        soup in "(\"|\\\\|Chromium|Opera|Windows|Android|XR|;v=|,|\\?[01]|[0-9.]{1,6}| |é){0,40}",
    ) {
        for text in [any.as_str(), soup.as_str(), &format!("\"{soup}\"")] {
            let hint = Some(text);
            let hints = ClientHints {
                brands: hint,
                full_versions: hint,
                mobile: hint,
                platform: hint,
                platform_version: hint,
                form_factors: hint,
            };
            hints.correct(Arc::default());
            hints.correct(Arc::new(parse(&ua)));
        }
    }
}
