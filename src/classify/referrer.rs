//! Reads which host sent the visitor.

use std::borrow::Cow;

use crate::domain::fact::Fact;

/// Bounds the length of a host name, as DNS does.
const MAX_HOST: usize = 253;

/// Returns the host of a `Referer`, in small letters, without port, user-info and final dot.
///
/// A header that is missing among headers that were sent, that has no host or does not parse, is known to be absent; a
/// caller that sends no headers at all leaves it unknown.
pub fn host(referer: Option<&str>, headers_sent: bool) -> Fact<Cow<'_, str>> {
    match referer {
        Some(referer) => Fact::or_absent(parse(referer)),
        None if headers_sent => Fact::Absent,
        None => Fact::Unknown,
    }
}

fn parse(referer: &str) -> Option<Cow<'_, str>> {
    let (scheme, rest) = referer.trim_matches([' ', '\t']).split_once("://")?;
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.bytes().all(letter) {
        return None;
    }
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    let address = authority.rsplit_once('@').map_or(authority, |(_, address)| address);
    let host = if address.starts_with('[') {
        let end = address.find(']')?;
        let (host, port) = address.split_at(end + 1);
        host[1..end].parse::<std::net::Ipv6Addr>().ok()?;
        is_port(port).then_some(host)?
    } else {
        let at = address.find(':').unwrap_or(address.len());
        let (host, port) = address.split_at(at);
        let host = host.strip_suffix('.').unwrap_or(host);
        (is_port(port) && is_name(host)).then_some(host)?
    };
    let capitals = host.bytes().any(|byte| byte.is_ascii_uppercase());
    Some(if capitals { Cow::Owned(host.to_ascii_lowercase()) } else { Cow::Borrowed(host) })
}

fn is_port(text: &str) -> bool {
    text.is_empty()
        || text.strip_prefix(':').is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_name(host: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=MAX_HOST).contains(&host.len())
        && host.split('.').all(|label| !label.is_empty() && label.bytes().all(allowed))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Fact, host};

    fn read(referer: &str) -> Option<String> {
        match host(Some(referer), true) {
            Fact::Known(host) => Some(host.into_owned()),
            Fact::Absent => None,
            Fact::Unknown => panic!("a header that was sent is never unknown"),
        }
    }

    #[test]
    fn host_is_cut_out_and_folded() {
        for (referer, expected) in [
            ("https://www.example.com/a?b#c", "www.example.com"),
            ("HTTPS://WWW.Example.COM:8443/", "www.example.com"),
            ("http://user:secret@blog.example", "blog.example"),
            ("https://evil.example@good.example/", "good.example"),
            ("https://example.com.", "example.com"),
            ("https://example.com?x", "example.com"),
            ("https://xn--bcher-kva.example/", "xn--bcher-kva.example"),
            ("android-app://com.google.android.gm/", "com.google.android.gm"),
            ("http://[2001:DB8::1]:80/", "[2001:db8::1]"),
            ("http://127.0.0.1:8080", "127.0.0.1"),
            (" https://example.com ", "example.com"),
        ] {
            assert_eq!(read(referer).as_deref(), Some(expected), "{referer}");
        }
    }

    #[test]
    fn referer_without_a_host_is_known_absent() {
        let long = format!("https://{}/", "a".repeat(300));
        for referer in [
            "",
            "about:blank",
            "about:client",
            "https://",
            "https:///path",
            "example.com",
            "/path",
            "http://:80/",
            "http://a b/",
            "http://a..b/",
            "http://.../",
            "http://exa%6dple/",
            "http://bücher.example/",
            "http://[::g]/",
            "http://[::1",
            "http://a:b/",
            "1http://a/",
            "://a",
            &long,
        ] {
            assert_eq!(read(referer), None, "{referer}");
        }
    }

    #[test]
    fn missing_header_is_absent_among_headers_and_unknown_without() {
        assert_eq!(host(None, true), Fact::Absent);
        assert_eq!(host(None, false), Fact::Unknown);
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics_and_hosts_read_back(any in "\\PC*", soup in "[a-zA-Z0-9.:/@\\[\\]?#%-]{0,60}") {
            let _ = host(Some(&any), true);
            if let Some(found) = read(&soup) {
                prop_assert_eq!(read(&format!("https://{found}/")), Some(found));
            }
        }
    }
}
