//! Destinations: what comes after `.com/`, safe by construction.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    fault::{Problem, Reason},
    host::{Authority, shown},
    limits,
};

/// Where a link or rule leads: path, optional query, optional fragment on the shop's own host, with or without the
/// leading `/`, empty = the home page; or an absolute http(s) address, whose host is checked against the shop.
///
/// Its bytes are never changed, save that what is not ASCII is percent-encoded on the way out.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Destination(Arc<str>);

impl Destination {
    /// Takes a text that cannot lead a browser anywhere but where it says.
    ///
    /// Refuses other schemes than http and https, `//host`, `\`, control characters, white space, user-info, and more
    /// than 2,048 bytes. Browsers drop tabs and line breaks and read `\` as `/`, so these would hide a host.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        if text.len() > limits::DESTINATION_BYTES {
            let most = limits::DESTINATION_BYTES;
            let text = format!("the destination is {} bytes long, at most {most} are allowed", text.len());
            return Err(Problem::new(Reason::TooLong, text));
        }
        let unsafe_ = |text: String| Err(Problem::new(Reason::UnsafeDestination, text));
        if let Some(bad) = text.chars().find(|c| c.is_control() || c.is_whitespace() || is_format(*c)) {
            return unsafe_(format!(
                "the destination holds the character U+{:04X}, percent-encode it",
                bad as u32
            ));
        }
        if text.contains('\\') {
            return unsafe_("the destination holds a `\\`, which browsers read as `/`; write `%5C`".into());
        }
        if text.starts_with("//") {
            return unsafe_(
                "the destination begins with `//`, which names another host; begin with one `/`".into(),
            );
        }
        if let Some(scheme) = scheme(text) {
            let rest = &text[scheme.len() + 1..];
            let Some(rest) = rest.strip_prefix("//") else {
                return unsafe_(format!(
                    "the destination begins with the scheme `{}:`; if it is a path, write `/{}`",
                    shown(scheme),
                    shown(text)
                ));
            };
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            Authority::parse(scheme, authority)
                .map_err(|problem| Problem::new(Reason::UnsafeDestination, problem.text))?;
        }
        Ok(Self(text.into()))
    }

    /// Returns the text as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns what is equal for all ways to write the same page of the shop.
    pub fn page(&self) -> &str {
        page(&self.0)
    }

    /// Returns scheme, host and port of an absolute destination.
    pub fn authority(&self) -> Option<Authority> {
        let scheme = scheme(&self.0)?;
        let rest = self.0[scheme.len() + 1..].strip_prefix("//")?;
        Authority::parse(scheme, rest.split(['/', '?', '#']).next()?).ok()
    }

    /// Returns the text from the path on, and how much before it is scheme and host.
    pub fn path_start(&self) -> usize {
        let Some(scheme) = scheme(&self.0) else { return 0 };
        let host = scheme.len() + "://".len();
        self.0[host..].find(['/', '?', '#']).map_or(self.0.len(), |at| host + at)
    }
}

/// Returns what is equal for all ways to write the same page of the shop: the leading `/` may be left out.
pub fn page(written: &str) -> &str {
    written.strip_prefix('/').unwrap_or(written)
}

/// Returns the scheme of a text that begins with one (RFC 3986, 3.1): letters, digits, `+-.` before the first `:`,
/// which stands before any `/`, `?` and `#`.
fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once(':')?;
    let plain = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    (scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && plain).then_some(scheme)
}

/// Returns whether a character is invisible and of no use in a text: byte order mark, zero-width space, bidirectional
/// marks. Joiners are not: Persian and emoji need them.
pub(super) fn is_format(c: char) -> bool {
    let bidirectional =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    bidirectional || matches!(c, '\u{feff}' | '\u{200b}' | '\u{2060}'..='\u{2064}')
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl TryFrom<String> for Destination {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self, Problem> {
        Self::parse(&text)
    }
}

impl From<Destination> for String {
    fn from(destination: Destination) -> String {
        destination.0.as_ref().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_as_they_are() {
        let longest = "a".repeat(2_048);
        for good in [
            "",
            "/",
            "sale",
            "/sale",
            "sale?a=1&&b",
            "?a",
            "#top",
            "/s?",
            "/s#",
            "/a/../b",
            "/100%",
            "/%zz",
            "/é/日本",
            "/\"<>^`{|}",
            "/a:b",
            "./a:b",
            "/s#a#b",
            "/a//b",
            "//x".trim_start_matches('/'),
            &longest,
            "a/b:c",
            "?x:y",
            "1:2",
            "https://shop.example",
            "HTTPS://Shop.Example?a=1",
            "http://shop.example:8080/x",
            "/{partner}",
        ] {
            assert!(Destination::parse(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn what_could_leave_the_shop_is_refused() {
        let too_long = "a".repeat(2_049);
        for bad in [
            "//evil.example",
            "///evil",
            "\\evil",
            "/\\evil",
            "/a\\b",
            "javascript:alert(1)",
            "JaVaScRiPt:x",
            "data:x",
            "mailto:a@b",
            "foo:bar",
            "https:evil",
            "https:/evil",
            "https://",
            "https:///x",
            "https://u@h/",
            "ftp://h/",
            "https://u:p@h",
            "/a b",
            "/a\tb",
            "/a\nb",
            "\u{0}",
            "/\u{7f}",
            "/\u{85}",
            "/\u{a0}",
            "/\u{2028}",
            " /a",
            "https://shop.example.",
            "https://h:0/",
            "/\u{200b}",
            "/\u{202e}",
            "https://h:x/",
            &too_long,
            "file:///x",
            "\u{feff}//x",
            "intent://x",
            "https://[::1",
            "https://a%2eb/",
        ] {
            assert!(Destination::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Destination::parse("foo:bar").unwrap_err().text.contains("/foo:bar"));
    }

    #[test]
    fn page_is_the_same_with_and_without_the_leading_slash() {
        let page = |text: &str| Destination::parse(text).unwrap().page().to_owned();
        assert_eq!((page("/sale?a=/"), page(""), page("/")), (page("sale?a=/"), page("/"), String::new()));
        assert_ne!(page("/sale"), page("/sale/"));
    }

    #[test]
    fn absolute_ones_tell_their_host() {
        let destination = Destination::parse("HTTPS://Shop.Example:8443?a=1").unwrap();
        let authority = destination.authority().unwrap();
        assert_eq!((authority.host.as_str(), authority.port), ("shop.example", Some(8443)));
        assert_eq!(&destination.as_str()[destination.path_start()..], "?a=1");
        assert_eq!(Destination::parse("a/b?c=d:e").unwrap().authority(), None);
    }
}
