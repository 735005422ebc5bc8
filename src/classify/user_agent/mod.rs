//! Reads user agents: which device, system and browser, and whether it is software.
//!
//! A table of words decides, with a few rules for what stands between them; why not a library, and what was measured, is
//! in `docs/decisions/0001-user-agents.md`.

mod automation;
mod memo;
mod settle;
mod signs;
mod table;
mod words;

pub use memo::UserAgents;

use crate::domain::client::UserAgent;

/// Bounds how much of a user agent is read; the longest that browsers send have about 500 bytes.
pub const MAX_BYTES: usize = 1_024;

/// Reads a user agent.
pub fn parse(ua: &str) -> UserAgent {
    settle::settle(signs::gather(cut(ua)))
}

/// Cuts a user agent to what is read of it.
fn cut(ua: &str) -> &str {
    &ua[..ua.floor_char_boundary(MAX_BYTES)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{MAX_BYTES, parse};
    use crate::domain::{client::UserAgent, fact::Fact};

    fn text<T: ToString>(fact: Fact<T>) -> String {
        fact.known().map_or_else(|| "-".to_owned(), |value| value.to_string())
    }

    fn row(ua: &UserAgent) -> [String; 6] {
        let automation = ua
            .automation
            .as_ref()
            .map_or_else(|| "-".to_owned(), |found| format!("{}:{}", found.kind, found.name));
        let version = |fact| text::<crate::domain::client::Version>(fact);
        [
            text(ua.device),
            text(ua.os),
            version(ua.os_version),
            text(ua.browser),
            version(ua.browser_version),
            automation,
        ]
    }

    #[test]
    fn real_user_agents_are_read_as_listed() {
        let table = include_str!("../../../tests/data/user_agents.tsv");
        let lines = table.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut wrong = Vec::new();
        let mut count = 0;
        for line in lines {
            let cells: Vec<_> = line.split('\t').collect();
            let (expected, ua) = (&cells[..6], cells[6]);
            // Versions are written without needless zeros.
            let normal = |text: &str| {
                text.parse::<crate::domain::client::Version>().map_or(text.to_owned(), |v| v.to_string())
            };
            let expected: Vec<_> = expected.iter().map(|cell| normal(cell)).collect();
            let got = row(&parse(ua));
            if expected != got {
                wrong.push(format!("{ua}\n  expected {expected:?}\n  got      {got:?}"));
            }
            count += 1;
        }
        assert!(count >= 190, "the table lost rows: {count}");
        assert!(wrong.is_empty(), "{} of {count} user agents\n{}", wrong.len(), wrong.join("\n"));
    }

    #[test]
    fn long_user_agent_is_cut_where_a_character_ends() {
        let long = format!("Mozilla/5.0 (X11; Linux x86_64) {}", "ü".repeat(MAX_BYTES));
        assert_eq!(parse(&long), parse(super::cut(&long)));
        assert!(super::cut(&long).len() <= MAX_BYTES);
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(ua in "\\PC*", soup in "(Mozilla|Android|iPhone OS|Windows NT|CrOS|Version|FBAV|Chrome|bot|[/ ;()_.+\\[\\]:@]|[0-9]{1,12}|é){0,60}") {
            parse(&ua);
            parse(&soup);
        }
    }
}
