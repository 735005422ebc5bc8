//! Languages, as rules and browsers name them.

mod codes;

use std::{cmp::Ordering, fmt, hash, str::FromStr};

use super::{
    geo::{Country, UnknownCountry},
    named::serde_as_text,
};

/// Bounds the subtags of a range that a rule may name.
pub const MAX_SUBTAGS: usize = 3;

const MAX_BYTES: usize = MAX_SUBTAGS * 8 + (MAX_SUBTAGS - 1);

/// Holds a basic language range (RFC 4647) of one to three subtags, such as `de`, `de-AT`, `zh-Hant-TW`.
///
/// Ranges compare without case and are written as is customary: language in small letters, script with one capital,
/// region in capitals. Old and macro codes are not mapped: `iw` and `he` are two ranges.
#[derive(Clone, Copy)]
pub struct LanguageRange {
    /// In small letters, zeros after the end.
    bytes: [u8; MAX_BYTES],
    len: u8,
}

impl LanguageRange {
    /// Reads a range; languages, scripts and regions must exist.
    pub fn parse(text: &str) -> Result<Self, InvalidLanguage> {
        let fail = |reason| InvalidLanguage { given: text.chars().take(40).collect(), reason };
        if text.contains('*') {
            return Err(fail(Reason::Wildcard));
        }
        if text.contains('_') {
            return Err(fail(Reason::Underscore));
        }
        if text.len() > MAX_BYTES || text.split('-').count() > MAX_SUBTAGS {
            return Err(fail(Reason::TooLong));
        }
        for (place, subtag) in text.split('-').enumerate() {
            if subtag.is_empty()
                || subtag.len() > 8
                || !subtag.bytes().all(|byte| byte.is_ascii_alphanumeric())
            {
                return Err(fail(Reason::Malformed));
            }
            check_subtag(place, &subtag.to_ascii_lowercase()).map_err(fail)?;
        }
        let mut bytes = [0; MAX_BYTES];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        bytes.make_ascii_lowercase();
        Ok(Self { bytes, len: text.len() as u8 })
    }

    /// Returns the range in small letters.
    pub fn as_lowercase(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }

    /// Tells whether a tag or range is this one, without regard to case.
    pub fn equals(&self, tag: &str) -> bool {
        tag.len() == usize::from(self.len) && tag.eq_ignore_ascii_case(self.as_lowercase())
    }

    /// Returns the first subtag, in small letters.
    pub fn language(&self) -> &str {
        self.as_lowercase().split('-').next().unwrap_or_default()
    }
}

fn check_subtag(place: usize, subtag: &str) -> Result<(), Reason> {
    let letters = subtag.bytes().all(|byte| byte.is_ascii_alphabetic());
    match (place, subtag.len()) {
        (0, _) if is_language(subtag) => Ok(()),
        (0, _) => Err(Reason::UnknownLanguage { nearest: nearest_language(subtag) }),
        (_, 2) if letters => match Country::parse(subtag) {
            Ok(_) => Ok(()),
            Err(UnknownCountry { nearest, .. }) => Err(Reason::UnknownRegion { nearest }),
        },
        (_, 4) if letters && !codes::contains(codes::SCRIPTS, 4, subtag.as_bytes()) => {
            let nearest = nearest_of(codes::SCRIPTS, subtag);
            Err(Reason::UnknownScript { nearest })
        }
        // A lone letter or digit begins an extension, which names no language.
        (_, 1) => Err(Reason::Malformed),
        _ => Ok(()),
    }
}

fn is_language(code: &str) -> bool {
    codes::contains(codes::TWO_LETTERS, 2, code.as_bytes())
        || codes::contains(codes::THREE_LETTERS, 3, code.as_bytes())
}

fn nearest_language(given: &str) -> &'static str {
    let shorter = codes::TOO_LONG
        .split_ascii_whitespace()
        .filter_map(|pair| pair.split_once(':'))
        .find_map(|(long, short)| (long == given).then_some(short));
    let country = || {
        let found = codes::COUNTRY_FOR_LANGUAGE.iter().find(|(country, _)| *country == given);
        found.map(|(_, language)| *language)
    };
    shorter.or_else(country).unwrap_or_else(|| nearest_of(codes::TWO_LETTERS, given))
}

fn nearest_of(list: &'static str, given: &str) -> &'static str {
    list.split_ascii_whitespace()
        .map(|code| (strsim::jaro_winkler(given, code), code))
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map_or("", |(_, code)| code)
}

impl PartialEq for LanguageRange {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for LanguageRange {}

impl PartialOrd for LanguageRange {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for LanguageRange {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes.cmp(&other.bytes)
    }
}

impl hash::Hash for LanguageRange {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.as_lowercase().hash(state);
    }
}

impl fmt::Display for LanguageRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, subtag) in self.as_lowercase().split('-').enumerate() {
            if place > 0 {
                f.write_str("-")?;
            }
            match (place, subtag.len()) {
                (1.., 2) => write!(f, "{}", subtag.to_ascii_uppercase())?,
                (1.., 4) => {
                    let (first, rest) = subtag.split_at(1);
                    write!(f, "{}{rest}", first.to_ascii_uppercase())?;
                }
                _ => f.write_str(subtag)?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for LanguageRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LanguageRange({self})")
    }
}

impl FromStr for LanguageRange {
    type Err = InvalidLanguage;

    fn from_str(text: &str) -> Result<Self, InvalidLanguage> {
        Self::parse(text)
    }
}

serde_as_text!(LanguageRange);

/// Says that a text is no language range that a rule may name, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidLanguage {
    /// The text as it was given, cut to a readable length.
    pub given: String,
    /// What is wrong with it.
    pub reason: Reason,
}

/// Names what is wrong with a language range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is `*`, or holds one.
    Wildcard,
    /// Its subtags are joined with `_`.
    Underscore,
    /// It has more than three subtags.
    TooLong,
    /// A subtag is empty, too long or holds something other than letters and digits.
    Malformed,
    /// No language has this code.
    UnknownLanguage {
        /// The code that was most likely meant.
        nearest: &'static str,
    },
    /// No script has this code.
    UnknownScript {
        /// The code that was most likely meant.
        nearest: &'static str,
    },
    /// No country has this code.
    UnknownRegion {
        /// The country that was most likely meant.
        nearest: Country,
    },
}

impl fmt::Display for InvalidLanguage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = &self.given;
        match self.reason {
            Reason::Wildcard => write!(f, "language {given:?} holds a wildcard, name each language"),
            Reason::Underscore => {
                write!(f, "language {given:?} is joined with \"_\", write {:?}", given.replace('_', "-"))
            }
            Reason::TooLong => write!(f, "language {given:?} has more than {MAX_SUBTAGS} subtags"),
            Reason::Malformed => {
                write!(f, "language {given:?} is malformed, write it like \"de\" or \"de-AT\"")
            }
            Reason::UnknownLanguage { nearest } => {
                write!(f, "unknown language {given:?}, the nearest language code is {nearest:?}")
            }
            Reason::UnknownScript { nearest } => {
                write!(f, "unknown script in language {given:?}, the nearest script code is {nearest:?}")
            }
            Reason::UnknownRegion { nearest } => {
                write!(f, "unknown country in language {given:?}, the nearest country code is {nearest}")
            }
        }
    }
}

impl std::error::Error for InvalidLanguage {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{InvalidLanguage, LanguageRange, Reason, codes};

    fn reason(text: &str) -> Reason {
        let InvalidLanguage { reason, .. } = LanguageRange::parse(text).unwrap_err();
        reason
    }

    #[test]
    fn code_lists_are_sorted_and_of_one_width() {
        for (list, width) in [(codes::TWO_LETTERS, 2), (codes::THREE_LETTERS, 3), (codes::SCRIPTS, 4)] {
            let all: Vec<_> = list.split_ascii_whitespace().collect();
            assert!(all.is_sorted_by(|a, b| a < b));
            for code in all {
                assert_eq!(code.len(), width);
                assert!(codes::contains(list, width, code.as_bytes()), "{code}");
            }
            assert!(!codes::contains(list, width, &b"0000"[..width]));
        }
    }

    #[test]
    fn ranges_compare_without_case_and_are_written_as_is_customary() {
        let range = LanguageRange::parse("ZH-hANT-tw").unwrap();
        assert_eq!(range, LanguageRange::parse("zh-Hant-TW").unwrap());
        assert_eq!(range.to_string(), "zh-Hant-TW");
        assert_eq!(range.language(), "zh");
        assert!(range.equals("Zh-HANT-Tw") && !range.equals("zh-Hant"));
        for text in ["de", "fil", "yue", "es-419", "de-AT", "sr-Latn-RS", "ca-valencia", "iw", "no", "nb"] {
            assert_eq!(LanguageRange::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn unknown_codes_are_refused_with_the_nearest() {
        assert_eq!(reason("deu"), Reason::UnknownLanguage { nearest: "de" });
        assert_eq!(reason("ger"), Reason::UnknownLanguage { nearest: "de" });
        assert_eq!(reason("jp"), Reason::UnknownLanguage { nearest: "ja" });
        assert!(matches!(reason("german"), Reason::UnknownLanguage { .. }));
        assert_eq!(reason("zh-Hatn"), Reason::UnknownScript { nearest: "hant" });
        assert!(matches!(reason("en-UK"), Reason::UnknownRegion { nearest } if nearest.as_str() == "GB"));
        assert_eq!(
            LanguageRange::parse("jp").unwrap_err().to_string(),
            "unknown language \"jp\", the nearest language code is \"ja\""
        );
    }

    #[test]
    fn other_forms_are_refused() {
        assert_eq!(reason("*"), Reason::Wildcard);
        assert_eq!(reason("de-*"), Reason::Wildcard);
        assert_eq!(reason("de_AT"), Reason::Underscore);
        assert_eq!(reason("zh-Hant-TW-x"), Reason::TooLong);
        assert_eq!(reason("en-u"), Reason::Malformed);
        for text in ["", "-", "de-", "-de", "d e", "dé"] {
            assert!(LanguageRange::parse(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in "\\PC*", tag in "[a-zA-Z0-9*_-]{0,40}") {
            let _ = LanguageRange::parse(&text);
            if let Ok(range) = LanguageRange::parse(&tag) {
                prop_assert_eq!(LanguageRange::parse(&range.to_string()), Ok(range));
            }
        }
    }
}
