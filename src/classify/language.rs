//! Chooses the one language that a visitor has for a link.

use crate::domain::{
    fact::Fact,
    language::{LanguageRange, MAX_SUBTAGS},
};

/// Bounds the entries that are read; browsers send about ten.
pub const MAX_ENTRIES: usize = 32;

/// Bounds how much of a header is read.
pub const MAX_BYTES: usize = 1_024;

/// Bounds a language that is kept: three subtags.
const MAX_LANGUAGE_BYTES: usize = MAX_SUBTAGS * 8 + (MAX_SUBTAGS - 1);

/// Holds the entries of an `Accept-Language` header, in its order.
#[derive(Clone, Copy, Debug)]
pub struct AcceptLanguage<'h> {
    entries: [Entry<'h>; MAX_ENTRIES],
    len: usize,
}

/// Holds one entry: a range and how much the visitor wants it, in thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Entry<'h> {
    range: &'h str,
    quality: u16,
}

impl Entry<'_> {
    /// Tells whether a tag is this range or more specific than it.
    fn covers(&self, tag: &str) -> bool {
        let len = self.range.len();
        tag.get(..len).is_some_and(|start| start.eq_ignore_ascii_case(self.range))
            && tag.as_bytes().get(len).is_none_or(|byte| *byte == b'-')
    }
}

impl<'h> AcceptLanguage<'h> {
    /// Reads a header; malformed entries and `*` are skipped, and what goes beyond the limits.
    pub fn parse(header: &'h str) -> Self {
        let mut read = Self { entries: [Entry::default(); MAX_ENTRIES], len: 0 };
        // A header that is cut in the middle of an entry would name another language.
        let header = match header.get(..header.floor_char_boundary(MAX_BYTES)) {
            Some(start) if start.len() < header.len() => {
                start.rsplit_once(',').map_or("", |(whole, _)| whole)
            }
            Some(_) | None => header,
        };
        let entries = header.split(',').filter_map(parse_entry).filter(|entry| entry.range != "*");
        for (slot, entry) in read.entries.iter_mut().zip(entries) {
            *slot = entry;
            read.len += 1;
        }
        read
    }

    /// Finds the visitor's language among those that a link supports.
    ///
    /// It is the supported range that the entry with the highest quality, the first of equals, is or falls back to: one
    /// subtag after the other is dropped from the entry (RFC 4647 lookup), so the most specific supported range is found.
    /// A range on the way counts only if the most specific entry that covers it does not exclude it with `q=0`.
    ///
    /// Absent = the header names languages, none of them supported; unknown = it names none.
    pub fn best<'s>(&self, supported: &'s [LanguageRange]) -> Fact<&'s LanguageRange> {
        let entries = &self.entries[..self.len];
        let mut ranked = self.entries;
        let ranked = &mut ranked[..self.len];
        ranked.sort_by_key(|entry| std::cmp::Reverse(entry.quality));
        let mut wanted = ranked.iter().filter(|entry| entry.quality > 0).peekable();
        if wanted.peek().is_none() {
            return Fact::Unknown;
        }
        let found = wanted.find_map(|entry| {
            let mut steps = fall_back(entry.range).filter(|range| !is_excluded(entries, range));
            steps.find_map(|range| supported.iter().find(|supported| supported.equals(range)))
        });
        Fact::or_absent(found)
    }
}

/// Finds the visitor's language where the header may be missing.
pub fn best<'s>(header: Option<&str>, supported: &'s [LanguageRange]) -> Fact<&'s LanguageRange> {
    header.map_or(Fact::Unknown, |header| AcceptLanguage::parse(header).best(supported))
}

/// Returns the first language of a header that the visitor does not exclude, in small letters; `None` if it names none,
/// or one that is longer than any that a rule may name.
pub fn first(header: Option<&str>) -> Option<String> {
    let read = AcceptLanguage::parse(header?);
    let first = read.entries[..read.len].iter().find(|entry| entry.quality > 0)?;
    (first.range.len() <= MAX_LANGUAGE_BYTES).then(|| first.range.to_ascii_lowercase())
}

/// Goes from a range to shorter and shorter ones; a single letter or digit goes together with what it introduced.
fn fall_back(range: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(range), |range| {
        let (shorter, _) = range.rsplit_once('-')?;
        match shorter.rsplit_once('-') {
            Some((before, single)) if single.len() == 1 => Some(before),
            Some(_) | None => Some(shorter),
        }
    })
}

/// Tells whether the most specific entry that covers a range has `q=0`; of equal entries the higher quality counts.
fn is_excluded(entries: &[Entry<'_>], range: &str) -> bool {
    let covering = entries.iter().filter(|entry| entry.covers(range));
    covering.max_by_key(|entry| (entry.range.len(), entry.quality)).is_some_and(|entry| entry.quality == 0)
}

fn parse_entry(text: &str) -> Option<Entry<'_>> {
    let blank = [' ', '\t'];
    let (range, quality) = match text.split_once(';') {
        Some((range, parameter)) => (range, parse_quality(parameter.trim_matches(blank))?),
        None => (text, 1_000),
    };
    let range = range.trim_matches(blank);
    is_range(range).then_some(Entry { range, quality })
}

/// Tells whether a text is a basic language range (RFC 4647) or `*`.
fn is_range(text: &str) -> bool {
    let mut subtags = text.split('-');
    let bounded = |subtag: &str| (1..=8).contains(&subtag.len());
    let first = subtags
        .next()
        .is_some_and(|subtag| bounded(subtag) && subtag.bytes().all(|b| b.is_ascii_alphabetic()));
    text == "*" || (first && subtags.all(|it| bounded(it) && it.bytes().all(|b| b.is_ascii_alphanumeric())))
}

/// Reads `q=0.8` in thousandths: 0 or 1, then at most three digits behind the dot, zeros if it is 1 (RFC 9110).
pub fn parse_quality(parameter: &str) -> Option<u16> {
    let value = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q="))?;
    let (whole, digits) = value.split_once('.').unwrap_or((value, ""));
    if digits.len() > 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths =
        digits.bytes().chain(*b"000").take(3).fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    match (whole, thousandths) {
        ("0", thousandths) => Some(thousandths),
        ("1", 0) => Some(1_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{AcceptLanguage, Fact, LanguageRange, MAX_BYTES, MAX_ENTRIES, best, first, parse_quality};

    /// Chooses among ranges given in one text; `none` and `unknown` stand for the two kinds of nothing.
    fn choose(header: &str, supported: &str) -> String {
        let supported: Vec<_> =
            supported.split_whitespace().map(|it| LanguageRange::parse(it).unwrap()).collect();
        match AcceptLanguage::parse(header).best(&supported) {
            Fact::Known(range) => range.to_string(),
            Fact::Absent => "none".to_owned(),
            Fact::Unknown => "unknown".to_owned(),
        }
    }

    #[test]
    fn visitor_has_the_best_supported_language() {
        for (header, supported, expected) in [
            // Highest quality, first on ties.
            ("de", "de", "de"),
            ("en;q=0.8, de", "de en", "de"),
            ("en;q=0.8, de;q=0.8", "de en", "en"),
            ("fr, de;q=0.5", "de en", "de"),
            ("DE-at", "de-AT", "de-AT"),
            // One subtag after the other is dropped; the most specific supported range is the value.
            ("de-AT", "de", "de"),
            ("de-AT", "de de-AT", "de-AT"),
            ("zh-Hant-TW", "zh-Hant", "zh-Hant"),
            ("zh-Hant-TW", "zh zh-Hant", "zh-Hant"),
            ("de-DE-u-co-phonebk", "de-DE", "de-DE"),
            // A range is no prefix of a longer word, and a language does not become more specific.
            ("de", "de-AT", "none"),
            ("den", "de", "none"),
            // None supported is known.
            ("fr, it", "de en", "none"),
            ("fr", "", "none"),
        ] {
            assert_eq!(choose(header, supported), expected, "{header:?} among {supported:?}");
        }
    }

    #[test]
    fn same_range_twice_counts_with_the_higher_quality() {
        assert_eq!(choose("de;q=0.1, en;q=0.5, de;q=0.9", "de en"), "de");
        assert_eq!(choose("en-GB, en;q=0, en;q=0.1", "en"), "en");
    }

    #[test]
    fn quality_outside_the_grammar_spoils_its_entry_only() {
        for quality in [".5", "0.1234", "1.5", "1.001", "2", "-1", "", "0.5x", "01", "+0", "0,5", "1.0000"] {
            assert_eq!(parse_quality(&format!("q={quality}")), None, "{quality}");
        }
        for (quality, expected) in
            [("0", 0), ("0.", 0), ("0.5", 500), ("0.055", 55), ("1", 1_000), ("1.", 1_000), ("1.000", 1_000)]
        {
            assert_eq!(parse_quality(&format!("q={quality}")), Some(expected), "{quality}");
        }
        assert_eq!(choose("de;q=1.5, en;q=0.1", "de en"), "en");
    }

    #[test]
    fn most_specific_entry_decides_on_a_fall_back() {
        assert_eq!(choose("en-GB, en;q=0", "en"), "none");
        assert_eq!(choose("en-GB, en;q=0", "en en-GB"), "en-GB");
        assert_eq!(choose("en-GB, en;q=0, de;q=0.2", "en de"), "de");
        assert_eq!(choose("en-GB, *;q=0", "en"), "en");
        assert_eq!(choose("zh-Hant-TW, zh;q=0", "zh-Hant zh"), "none");
        assert_eq!(choose("zh-Hant-TW, zh;q=0, zh-Hant;q=0.1", "zh-Hant zh"), "zh-Hant");
        assert_eq!(choose("en, en-GB;q=0", "en en-GB"), "en");
    }

    #[test]
    fn header_that_names_no_language_is_unknown() {
        for header in [
            "",
            "   ",
            "*",
            "*;q=0.5",
            "en;q=0",
            "*;q=0",
            "de;q=0, en;q=0.0",
            "de_AT",
            "de-*",
            ",,,",
            ";",
            "de;",
            "ü",
        ] {
            assert_eq!(choose(header, "de en"), "unknown", "{header:?}");
        }
        assert_eq!(best(None, &[]), Fact::Unknown);
    }

    #[test]
    fn malformed_entries_are_ignored() {
        assert_eq!(choose("de;level=1, en", "de en"), "en");
        assert_eq!(choose("de;q=0.9;x=1, en;q=0.1", "de en"), "en");
        assert_eq!(choose("de; q = 0.9, en;q=0.1", "de en"), "en");
        assert_eq!(choose("de_AT, abcdefghi, 12, d3, -de, de-, en;q=0.1", "de en"), "en");
        assert_eq!(choose(" de \t; \tq=0.9 , en;q=0.1", "de en"), "de");
        assert_eq!(choose("de;Q=0.9, en;q=0.1", "de en"), "de");
        assert_eq!(choose("*, de;q=0.1", "de"), "de");
    }

    #[test]
    fn old_and_macro_codes_are_not_mapped() {
        assert_eq!(choose("iw", "he"), "none");
        assert_eq!(choose("iw", "iw"), "iw");
        assert_eq!(choose("nb", "no"), "none");
        assert_eq!(choose("zh-TW", "zh-Hant"), "none");
    }

    #[test]
    fn long_headers_are_read_to_a_limit() {
        let many = "fr,".repeat(MAX_ENTRIES) + "de";
        assert_eq!(choose(&many, "de"), "none");
        let long = format!("fr,{}en-GB", "-,".repeat(MAX_BYTES / 2 - 3));
        assert!(long.len() > MAX_BYTES);
        assert_eq!(choose(&long, "en"), "none");
        assert_eq!(choose(&"ü".repeat(MAX_BYTES), "en"), "unknown");
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(any in "\\PC*", soup in "(de|en-GB|zh-Hant|\\*|-|;|q=|0\\.[0-9]|,| |é|[a-z0-9]{1,9}){0,60}") {
            choose(&any, "de en");
            choose(&soup, "de en zh");
        }
    }

    #[test]
    fn first_language_is_kept_in_small_letters() {
        for (header, kept) in [
            (Some("de-AT,de;q=0.9,en;q=0.8"), Some("de-at")),
            (Some("*, EN;q=0.1, de"), Some("en")),
            (Some("fr;q=0, x_y, nl"), Some("nl")),
            (Some("en;q=0"), None),
            (Some("*"), None),
            (Some("aaaaaaaa-bbbbbbbb-cccccccc, de"), Some("aaaaaaaa-bbbbbbbb-cccccccc")),
            (Some("aaaaaaaa-bbbbbbbb-cccccccc-d, de"), None),
            (None, None),
        ] {
            assert_eq!(first(header).as_deref(), kept, "{header:?}");
        }
    }
}
