//! Tells software from people by how it names itself.

use crate::domain::client::{Automation, AutomationKind};

use super::words::{Folded, Word};

/// Bounds the name that is kept of a piece of software.
const MAX_NAME: usize = 40;

/// Lists parts of words that only software has in its name.
const PARTS: [(&[u8], AutomationKind); 21] = [
    (b"archiver", AutomationKind::Bot),
    (b"checker", AutomationKind::Bot),
    (b"crawl", AutomationKind::Bot),
    (b"feedfetch", AutomationKind::Bot),
    (b"fetcher", AutomationKind::Bot),
    (b"headless", AutomationKind::Bot),
    (b"httpclient", AutomationKind::Bot),
    (b"http-client", AutomationKind::Bot),
    (b"indexer", AutomationKind::Bot),
    (b"linkexpand", AutomationKind::Preview),
    (b"linkpreview", AutomationKind::Preview),
    (b"monitor", AutomationKind::Bot),
    (b"onebox", AutomationKind::Preview),
    (b"pingdom", AutomationKind::Bot),
    (b"preview", AutomationKind::Preview),
    (b"scanner", AutomationKind::Bot),
    (b"scrap", AutomationKind::Bot),
    (b"spider", AutomationKind::Bot),
    (b"synthetic", AutomationKind::Bot),
    (b"unfurl", AutomationKind::Preview),
    (b"validator", AutomationKind::Bot),
];

/// Lists names that mean a link preview when a user agent begins with them, and an app when it does not.
const OPENING: [&[u8]; 5] = [b"bluesky", b"snap", b"tumblr", b"viber", b"whatsapp"];

/// Gathers what a user agent says of being software; a preview counts for more than a bot, the first for more than the next.
#[derive(Default)]
pub(super) struct Evidence<'a> {
    found: Option<(AutomationKind, &'a str)>,
}

impl<'a> Evidence<'a> {
    pub(super) fn add(&mut self, kind: AutomationKind, name: &'a str) {
        match (&self.found, kind) {
            (None, _) | (Some((AutomationKind::Bot, _)), AutomationKind::Preview) => {
                self.found = Some((kind, name))
            }
            (Some(_), _) => {}
        }
    }

    /// Looks at the first word, which some apps use for their fetchers only.
    pub(super) fn look_at_opening(&mut self, word: &Word<'a>, folded: &Folded) {
        if OPENING.contains(&folded.as_bytes()) {
            self.add(AutomationKind::Preview, word.name);
        }
    }

    /// Looks at a word that the tables do not know, and at the one before it.
    pub(super) fn look_at_unknown(&mut self, word: &Word<'a>, folded: &Folded, before: &'a str) {
        let name = folded.as_bytes();
        if matches!(name, b"http" | b"https" | b"http:" | b"https:")
            || name.starts_with(b"www.")
            || is_mail(word.name)
        {
            // Operators of software say where to read about it.
            self.add(AutomationKind::Bot, before);
        } else if let Some(kind) = kind_of_name(name) {
            self.add(kind, word.name);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_none()
    }

    pub(super) fn into_automation(self) -> Option<Automation> {
        self.found.map(|(kind, name)| {
            let end = name.char_indices().nth(MAX_NAME).map_or(name.len(), |(at, _)| at);
            Automation { kind, name: name[..end].into() }
        })
    }
}

fn is_mail(name: &str) -> bool {
    // `Ecosia android@114.0` is no address.
    name.split_once('@')
        .is_some_and(|(_, host)| host.starts_with(|c: char| c.is_ascii_alphabetic()) && host.contains('.'))
}

fn kind_of_name(name: &[u8]) -> Option<AutomationKind> {
    // Shorter words are marks of models and languages.
    if name.len() < 3 || name.starts_with(b"cubot") || name.starts_with(b"idbot") {
        return None;
    }
    let mut found = None;
    for at in 0..name.len() - 2 {
        let rest = &name[at..];
        let first = rest[0];
        if first == b'b'
            && rest.starts_with(b"bot")
            && rest.get(3).is_none_or(|next| !next.is_ascii_lowercase())
        {
            found = found.or(Some(AutomationKind::Bot));
        }
        for (part, kind) in &PARTS {
            if part[0] == first && rest.starts_with(part) {
                match kind {
                    AutomationKind::Preview => return Some(AutomationKind::Preview),
                    AutomationKind::Bot => found = Some(AutomationKind::Bot),
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{AutomationKind, Evidence, kind_of_name};

    #[test]
    fn names_of_software_are_known_by_their_parts() {
        for name in [
            "seznambot",
            "adsbot-google",
            "mj12bot",
            "bot",
            "dotbot",
            "baiduspider",
            "seokicks-crawler",
            "robot",
        ] {
            assert_eq!(kind_of_name(name.as_bytes()), Some(AutomationKind::Bot), "{name}");
        }
        assert_eq!(kind_of_name(b"acme-linkpreviewbot"), Some(AutomationKind::Preview));
        for name in ["cubot_x18", "botany", "sm-g991b", "lenovo", "k", "", "botschaft"] {
            assert_eq!(kind_of_name(name.as_bytes()), None, "{name}");
        }
    }

    #[test]
    fn preview_counts_for_more_and_first_for_more_than_next() {
        let mut evidence = Evidence::default();
        evidence.add(AutomationKind::Bot, "http.rb");
        evidence.add(AutomationKind::Preview, "Mastodon");
        evidence.add(AutomationKind::Preview, "Later");
        let automation = evidence.into_automation().unwrap();
        assert_eq!((automation.kind, &*automation.name), (AutomationKind::Preview, "Mastodon"));
    }

    #[test]
    fn long_names_are_cut() {
        let name = "ä".repeat(1_000);
        let mut evidence = Evidence::default();
        evidence.add(AutomationKind::Bot, &name);
        assert_eq!(evidence.into_automation().unwrap().name.chars().count(), 40);
    }
}
