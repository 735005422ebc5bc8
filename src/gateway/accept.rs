//! What a visitor's program would rather have: a page or JSON, and in which language.

use http::{HeaderMap, header};

use super::texts::{LANGUAGES, Language};
use crate::{
    classify::language::{self, MAX_BYTES, MAX_ENTRIES},
    domain::{fact::Fact, language::LanguageRange},
};

/// The languages of the texts as ranges, each with its place among them.
pub(super) struct Offered {
    ranges: Vec<LanguageRange>,
    places: Vec<usize>,
}

impl Offered {
    /// Reads the names of all languages.
    pub(super) fn new() -> Self {
        let named = LANGUAGES.iter().enumerate().flat_map(|(place, language)| {
            let names = [language.tag].into_iter().chain(language.also.iter().copied());
            names.filter_map(move |name| Some((LanguageRange::parse(name).ok()?, place)))
        });
        let (ranges, places) = named.unzip();
        Self { ranges, places }
    }

    /// Chooses the language of an answer; English where the visitor understands none of ours.
    pub(super) fn best(&self, headers: &HeaderMap) -> &'static Language {
        let header = headers.get(header::ACCEPT_LANGUAGE).and_then(|header| header.to_str().ok());
        let place = match language::best(header, &self.ranges) {
            Fact::Known(best) => self.ranges.iter().position(|range| range == best).map(|at| self.places[at]),
            Fact::Absent | Fact::Unknown => None,
        };
        &LANGUAGES[place.unwrap_or(0)]
    }
}

/// How much a media type is wanted, compared in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Wish {
    /// In thousandths.
    quality: u16,
    /// How exactly it was named: `*/*`, `text/*`, `text/html`.
    exactness: u8,
    /// Among equals, the first that was named.
    earliness: usize,
}

/// Tells whether JSON is wanted more than a page. Whoever takes anything gets the page.
pub(super) fn wants_json(headers: &HeaderMap) -> bool {
    let lines: Vec<_> =
        headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok()).collect();
    let entries: Vec<_> = lines
        .iter()
        .flat_map(|line| line[..line.floor_char_boundary(MAX_BYTES)].split(','))
        .take(MAX_ENTRIES)
        .filter_map(parse_entry)
        .collect();
    let json = wish(&entries, "application", "json");
    json.quality > 0 && json > wish(&entries, "text", "html")
}

/// Returns how much a type is wanted: the most exact entry that covers it decides (RFC 9110, 12.5.1).
fn wish(entries: &[(&str, u16)], kind: &str, subkind: &str) -> Wish {
    let wishes = entries.iter().rev().enumerate().filter_map(|(earliness, &(range, quality))| {
        let exactness = exactness(range, kind, subkind)?;
        Some(Wish { quality, exactness, earliness: if exactness == 2 { earliness + 1 } else { 0 } })
    });
    wishes.max_by_key(|wish| (wish.exactness, wish.quality, wish.earliness)).unwrap_or_default()
}

fn exactness(range: &str, kind: &str, subkind: &str) -> Option<u8> {
    match range.split_once('/')? {
        ("*", "*") => Some(0),
        (of, "*") if of.eq_ignore_ascii_case(kind) => Some(1),
        (of, sub) if of.eq_ignore_ascii_case(kind) && sub.eq_ignore_ascii_case(subkind) => Some(2),
        _ => None,
    }
}

/// Reads `application/json;q=0.5`; other parameters narrow nothing here.
fn parse_entry(entry: &str) -> Option<(&str, u16)> {
    let mut pieces = entry.split(';').map(|piece| piece.trim_matches([' ', '\t']));
    let range = pieces.next()?;
    let is_quality = |piece: &&str| piece.starts_with("q=") || piece.starts_with("Q=");
    let quality = pieces.find(is_quality).map_or(Some(1_000), language::parse_quality)?;
    Some((range, quality))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(name: header::HeaderName, lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (name.clone(), HeaderValue::from_str(line).unwrap())).collect()
    }

    #[test]
    fn json_is_for_those_who_want_it_more() {
        for (lines, json) in [
            (&[][..], false),
            (&[""], false),
            (&["*/*"], false),
            (&["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"], false),
            (&["application/json"], true),
            (&["Application/JSON"], true),
            (&["application/*"], true),
            (&["application/json, text/plain, */*"], true),
            (&["application/json;q=0.9, */*"], false),
            (&["application/json;q=0.9, */*;q=0.8"], true),
            (&["application/json, text/html"], true),
            (&["text/html, application/json"], false),
            (&["text/html;q=0.9, application/json"], true),
            (&["text/html", "application/json"], false),
            (&["text/html;q=0", "*/*"], true),
            (&["application/json;q=0"], false),
            (&["application/json;q=0, */*"], false),
            (&["application/json;q=0, text/html;q=0"], false),
            (&["application/json;charset=utf-8;q=0.4, text/html;q=0.5"], false),
            (&["application/json;q=1.5"], false),
            (&["application/*;q=0.5, text/*;q=0.4"], true),
            (&["application/*, text/html"], false),
            (&["text/plain"], false),
            (&["application/xml"], false),
            (&["application/problem+json"], false),
            (&["json"], false),
            (&["application/json;q=0.5, application/json;q=0.1, text/html;q=0.3"], true),
        ] {
            assert_eq!(wants_json(&headers(header::ACCEPT, lines)), json, "{lines:?}");
        }
    }

    #[test]
    fn accept_is_read_to_a_limit() {
        let many = format!("{}application/json", "image/png,".repeat(MAX_ENTRIES));
        assert!(!wants_json(&headers(header::ACCEPT, &[&many])));
        assert!(wants_json(&headers(header::ACCEPT, &[&many["image/png,".len()..]])));
    }

    #[test]
    fn language_is_the_best_of_ours_or_english() {
        let offered = Offered::new();
        for (header, tag) in [
            ("", "en"),
            ("*", "en"),
            ("tlh", "en"),
            ("de", "de"),
            ("de-AT", "de"),
            ("de-AT,de;q=0.9,en;q=0.8", "de"),
            ("en-GB,de;q=0.9", "en"),
            ("en;q=0.3, fr-CA;q=0.7", "fr"),
            ("de;q=0, nl;q=0.1", "nl"),
            ("tlh, es-419;q=0.5", "es"),
            ("pt-BR", "pt"),
            ("zh-CN,zh;q=0.9,en;q=0.8", "zh-Hans"),
            ("zh", "zh-Hans"),
            ("zh-Hans-SG", "zh-Hans"),
            ("zh-TW,zh;q=0.9,en;q=0.8", "zh-Hant"),
            ("zh-Hant-HK", "zh-Hant"),
            ("zh-HK", "zh-Hant"),
            ("no", "nb"),
            ("nn-NO", "nb"),
            ("ar-EG", "ar"),
            ("de_AT", "en"),
        ] {
            let headers = headers(header::ACCEPT_LANGUAGE, &[header]);
            assert_eq!(offered.best(&headers).tag, tag, "{header}");
        }
        assert_eq!(offered.best(&HeaderMap::new()).tag, "en");
    }

    #[test]
    fn every_language_is_offered_under_every_name() {
        let offered = Offered::new();
        let names = LANGUAGES
            .iter()
            .flat_map(|language| [language.tag].into_iter().chain(language.also.iter().copied()));
        let names: Vec<_> = names.collect();
        assert_eq!(offered.ranges.len(), names.len(), "a name is no language");
        for (at, name) in names.iter().enumerate() {
            assert!(!names[..at].contains(name), "{name} stands twice");
        }
    }
}
