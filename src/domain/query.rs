//! The query of a URL as bytes: pieces, names, and which names are ours.

use std::borrow::Cow;

/// One piece of a query, between two `&`, as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a>(pub &'a str);

impl<'a> Piece<'a> {
    /// Returns the raw name: what stands before the first `=`. An empty piece has none.
    pub fn raw_name(self) -> Option<&'a str> {
        let name = self.0.split_once('=').map_or(self.0, |(name, _)| name);
        (!self.0.is_empty()).then_some(name)
    }

    /// Returns the decoded name. An empty piece has none.
    pub fn name(self) -> Option<Cow<'a, str>> {
        self.raw_name().map(decode)
    }

    /// Returns the decoded value; `None` without `=`.
    pub fn value(self) -> Option<Cow<'a, str>> {
        self.0.split_once('=').map(|(_, value)| decode(value))
    }
}

/// Cuts a raw query into its pieces. An empty query has none; `;` does not separate.
pub fn pieces(query: &str) -> impl Iterator<Item = Piece<'_>> {
    let absent = query.is_empty();
    query.split('&').filter(move |_| !absent).map(Piece)
}

/// Decodes `%XX` once and `+` as a space. A stray `%` stays; bytes that are no UTF-8 become U+FFFD.
pub fn decode(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    if !bytes.iter().any(|&byte| byte == b'%' || byte == b'+') {
        return Cow::Borrowed(text);
    }
    let hex = |at: usize| bytes.get(at).and_then(|&byte| char::from(byte).to_digit(16));
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                // Two hexadecimal digits make at most 255.
                decoded.push((high * 16 + low) as u8);
                at += 3;
                continue;
            }
            (b'+', ..) => decoded.push(b' '),
            (byte, ..) => decoded.push(byte),
        }
        at += 1;
    }
    Cow::Owned(
        String::from_utf8(decoded).unwrap_or_else(|bad| String::from_utf8_lossy(bad.as_bytes()).into_owned()),
    )
}

/// Returns whether a raw parameter name may be read as `own`, by us or by the shop's language.
///
/// The name is compared percent-decoded with ASCII case folded, in four readings, each of which makes it ours:
/// cut at the first `[`; as PHP reads it (`php_register_variable_ex`: leading white space dropped, cut at NUL, `.`, space
/// and a `[` that no `]` closes count as `_`); as Rack and qs read it (brackets before the name do not count, it ends at
/// the next one); and as ASP.NET decodes it (`%uHHHH` too). `own` is `[A-Za-z0-9_-]{1,64}`.
pub fn may_be_read_as(raw_name: &str, own: &str) -> bool {
    // Most names differ in a plain first letter, which every reading keeps.
    if let (Some(&first), Some(&own_first)) = (raw_name.as_bytes().first(), own.as_bytes().first())
        && first.is_ascii_alphanumeric()
        && !first.eq_ignore_ascii_case(&own_first)
    {
        return false;
    }
    let name = decode(raw_name);
    let wide = decode_wide(&name);
    [name.as_ref(), wide.as_ref()].into_iter().any(|name| {
        let cut = name.split('[').next().unwrap_or_default();
        let bare = name.trim_start_matches(['[', ']']).split(['[', ']']).next().unwrap_or_default();
        let is_own = |reading: &str| reading.eq_ignore_ascii_case(own);
        is_own(cut) || is_own(bare) || is_own(&lax(name))
    })
}

/// Returns a decoded name as lax languages read it.
fn lax(name: &str) -> String {
    let name = name.trim_start_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}']);
    let name = name.split('\0').next().unwrap_or_default();
    // An array index ends the name; a `[` that is never closed is an ordinary character.
    let name = match name.find('[') {
        Some(open) if open > 0 && name[open..].contains(']') => &name[..open],
        Some(_) | None => name,
    };
    name.replace(['.', ' ', '['], "_")
}

/// Decodes `%uHHHH`, which browsers never send and ASP.NET still reads.
fn decode_wide(text: &str) -> Cow<'_, str> {
    let escape = |text: &str| {
        let marked = |at: &usize| matches!(text.as_bytes().get(at + 1), Some(b'u' | b'U'));
        text.match_indices('%').map(|(at, _)| at).find(marked)
    };
    let Some(mut at) = escape(text) else { return Cow::Borrowed(text) };
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    loop {
        let code = rest.get(at + 2..at + 6).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let end = match code.and_then(char::from_u32) {
            Some(c) => {
                decoded.push_str(&rest[..at]);
                decoded.push(c);
                at + 6
            }
            None => {
                decoded.push_str(&rest[..at + 2]);
                at + 2
            }
        };
        rest = &rest[end..];
        match escape(rest) {
            Some(next) => at = next,
            None => return Cow::Owned(decoded + rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(query: &str) -> Vec<&str> {
        pieces(query).map(|piece| piece.0).collect()
    }

    #[test]
    fn empty_pieces_stay_and_have_no_name() {
        assert_eq!(texts(""), Vec::<&str>::new());
        assert_eq!(texts("&"), ["", ""]);
        assert_eq!(texts("a=1&&b"), ["a=1", "", "b"]);
        assert_eq!(Piece("").name(), None);
        assert_eq!(Piece("=1").name().as_deref(), Some(""));
    }

    #[test]
    fn values_know_empty_from_absent() {
        assert_eq!(Piece("a").value(), None);
        assert_eq!(Piece("a=").value().as_deref(), Some(""));
        assert_eq!(Piece("a=b=c").value().as_deref(), Some("b=c"));
        assert_eq!(Piece("a=%2B+%zz%2").value().as_deref(), Some("+ %zz%2"));
        assert_eq!(Piece("a=%F0%9F%98%80").value().as_deref(), Some("😀"));
        assert_eq!(Piece("a=%ff").value().as_deref(), Some("\u{fffd}"));
    }

    #[test]
    fn own_names_are_found_in_every_disguise() {
        for disguise in [
            "ref",
            "REF",
            "re%66",
            "%72ef",
            "ref[]",
            "ref[a]",
            "ref%5B%5D",
            "ref[",
            "+ref",
            "%20ref",
            "%09ref",
            "ref%00x",
            "ref%00",
            "%0Aref[]",
            "Ref[",
            "[ref]",
            "%5Bref%5D",
            "ref]",
            "[[ref",
            "]ref[x]",
            "%u0072ef",
            "%U0052ef",
            "re%u0066[]",
            "[%u0072ef]",
        ] {
            assert!(may_be_read_as(disguise, "ref"), "{disguise}");
        }
        for disguise in ["click.id", "click+id", "click%20id", "click[id", "CLICK_ID[]", "click_id[0"] {
            assert!(may_be_read_as(disguise, "click_id"), "{disguise}");
        }
        for other in [
            "refs",
            "xref",
            "re",
            "",
            "ref ",
            "ref+x",
            "re.f",
            "%00ref",
            "r[ef]",
            "préf",
            "%uD800ref",
            "%u00",
            "x[ref]",
            "%u0072efs",
            "%u",
        ] {
            assert!(!may_be_read_as(other, "ref"), "{other}");
        }
    }
}
