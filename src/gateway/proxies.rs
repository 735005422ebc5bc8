//! Who asks: the visitor's address and country, as trusted proxies tell them.
//!
//! A proxy writes the address that it was asked from behind what it was sent, so the right end of the list is ours and
//! the left end is whatever the visitor made up. Everything here goes from the right and stops at the first entry that no
//! trusted proxy vouches for; nothing to the left of it is looked at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::config::proxies::{ForwardedHeader, Proxies, Trusted};

/// Proxies in a row that are followed; the address behind more of them is unknown.
const FOLLOWED: usize = 32;
/// Bytes of one entry; a longer one is no address.
const ENTRY_BYTES: usize = 1_024;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What is known of the one who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Visitor {
    /// The address, if it is known.
    pub(super) address: Option<IpAddr>,
    /// Two letters of a country, if a proxy told them.
    pub(super) country: Option<String>,
}

/// Finds out who asks through this peer.
pub(super) fn visitor(proxies: Option<&Proxies>, headers: &HeaderMap, peer: IpAddr) -> Visitor {
    let peer = peer.to_canonical();
    let Some(proxies) = proxies.filter(|proxies| is_trusted(&proxies.trusted, peer)) else {
        return Visitor { address: Some(peer), country: None };
    };
    let country = proxies.country.as_ref().and_then(|name| country(headers, name));
    Visitor { address: address(proxies, headers, peer), country }
}

/// Tells whether the visitor's browser speaks https with the proxies, as they say. The first of several words counts: what
/// proxies speak among each other is no matter, and who makes it up has but his own cookie changed.
pub(super) fn is_https(proxies: Option<&Proxies>, headers: &HeaderMap, peer: IpAddr) -> bool {
    let is_trusted = proxies.is_some_and(|proxies| is_trusted(&proxies.trusted, peer.to_canonical()));
    let said = headers.get(X_FORWARDED_PROTO).and_then(|line| line.to_str().ok()).unwrap_or_default();
    is_trusted && said.split(',').next().is_some_and(|first| first.trim().eq_ignore_ascii_case("https"))
}

fn is_trusted(trusted: &Trusted, peer: IpAddr) -> bool {
    match trusted {
        Trusted::Networks(networks) => networks.iter().any(|network| network.contains(&peer)),
        Trusted::Hops(_) => true,
    }
}

/// Returns the address that the trusted proxies vouch for, of which the peer is the nearest.
fn address(proxies: &Proxies, headers: &HeaderMap, peer: IpAddr) -> Option<IpAddr> {
    let name = match proxies.header {
        ForwardedHeader::XForwardedFor => X_FORWARDED_FOR,
        ForwardedHeader::Forwarded => header::FORWARDED,
    };
    // Several lines are one list, in their order.
    let lines = headers.get_all(name).iter().rev();
    match proxies.header {
        ForwardedHeader::XForwardedFor => follow(&proxies.trusted, lines.flat_map(plain_entries), peer),
        ForwardedHeader::Forwarded => follow(&proxies.trusted, lines.flat_map(Elements::of), peer),
    }
}

/// Follows the entries, the nearest first; an entry without an address is `None`.
fn follow(trusted: &Trusted, entries: impl Iterator<Item = Option<IpAddr>>, peer: IpAddr) -> Option<IpAddr> {
    let mut entries = entries.take(FOLLOWED + 1);
    match trusted {
        // With fewer entries than proxies the request went past some of them, and even the leftmost entry may be made up.
        Trusted::Hops(hops) => entries.nth(hops.get() - 1).flatten(),
        Trusted::Networks(networks) => {
            let mut nearest = peer;
            for entry in entries.by_ref().take(FOLLOWED) {
                nearest = entry?;
                if !networks.iter().any(|network| network.contains(&nearest)) {
                    return Some(nearest);
                }
            }
            // All were trusted, to the end or to where we stop.
            entries.next().is_none().then_some(nearest)
        }
    }
}

/// Reads the entries of a line of `X-Forwarded-For` from the right.
fn plain_entries(line: &HeaderValue) -> impl Iterator<Item = Option<IpAddr>> {
    line.as_bytes().rsplit(|&byte| byte == b',').map(node)
}

/// Reads the elements of a line of `Forwarded` (RFC 7239) from the right.
///
/// Quoted strings may hold commas, and a visitor may open one that never ends. Read from the right, what the nearest
/// proxy wrote is found whole, whatever stands before it.
struct Elements<'a> {
    /// What is left, without the comma; `None` at the end.
    rest: Option<&'a [u8]>,
}

impl<'a> Elements<'a> {
    fn of(line: &'a HeaderValue) -> Self {
        Self { rest: Some(line.as_bytes()) }
    }
}

impl Iterator for Elements<'_> {
    type Item = Option<IpAddr>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.take()?;
        let Ok((before, element)) = split_last(rest, b',') else { return Some(None) };
        self.rest = before;
        Some(for_of(element))
    }
}

/// Says that a quoted string has no beginning.
struct Unquoted;

/// Cuts at the last separator outside of quoted strings; what stands before it, if there is one, and behind it.
fn split_last(text: &[u8], separator: u8) -> Result<(Option<&[u8]>, &[u8]), Unquoted> {
    let mut at = text.len();
    while at > 0 {
        at -= 1;
        if text[at] == b'"' {
            at = opening_quote(&text[..at]).ok_or(Unquoted)?;
        } else if text[at] == separator {
            return Ok((Some(&text[..at]), &text[at + 1..]));
        }
    }
    Ok((None, text))
}

/// Finds the quote that opens a string which ends behind this text: it stands behind `=`, and no backslash before it.
fn opening_quote(text: &[u8]) -> Option<usize> {
    let quotes = (0..text.len()).rev().filter(|&at| text[at] == b'"');
    let is_escaped = |at: usize| text[..at].iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 1;
    let opening = quotes.into_iter().find(|&at| !is_escaped(at))?;
    (opening > 0 && text[opening - 1] == b'=').then_some(opening)
}

/// Returns the address that the one `for` of an element names.
fn for_of(element: &[u8]) -> Option<IpAddr> {
    if element.len() > ENTRY_BYTES {
        return None;
    }
    let mut rest = Some(element);
    let mut found = None;
    while let Some(text) = rest {
        let (before, pair) = split_last(text, b';').ok()?;
        rest = before;
        let pair = pair.trim_ascii();
        let Some(at) = pair.iter().position(|&byte| byte == b'=') else { continue };
        let (name, value) = (&pair[..at], &pair[at + 1..]);
        if !name.eq_ignore_ascii_case(b"for") {
            continue;
        }
        if found.is_some() {
            return None;
        }
        found = Some(node(unquoted(value))?);
    }
    found
}

/// Returns what stands between quotes. An address needs no escapes, so one with escapes is none.
fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value)
}

/// Reads an address, with or without a port; IPv6 with a port stands in brackets. Zones (`%eth0`) mean something on one
/// machine only and are refused.
fn node(entry: &[u8]) -> Option<IpAddr> {
    if entry.len() > ENTRY_BYTES {
        return None;
    }
    let text = std::str::from_utf8(entry.trim_ascii()).ok()?;
    let address = if let Some(bracketed) = text.strip_prefix('[') {
        let (address, port) = bracketed.split_once(']')?;
        let port = port.strip_prefix(':').map_or(port.is_empty(), is_port);
        address.parse::<Ipv6Addr>().ok().filter(|_| port)?.into()
    } else if let Ok(address) = text.parse::<IpAddr>() {
        address
    } else {
        let (address, port) = text.split_once(':')?;
        address.parse::<Ipv4Addr>().ok().filter(|_| is_port(port))?.into()
    };
    Some(address.to_canonical())
}

/// Tells whether a text is a port, or a name in the place of one (RFC 7239, 6.3).
fn is_port(text: &str) -> bool {
    match text.strip_prefix('_') {
        Some(name) => {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        }
        None => {
            (1..=5).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_digit())
                && text.parse::<u16>().is_ok()
        }
    }
}

/// Returns the country of the one header line that there may be; whether there is such a country, the resolver knows.
fn country(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let mut lines = headers.get_all(name).iter();
    let (line, another) = (lines.next()?.to_str().ok()?, lines.next());
    let is_code = another.is_none() && line.len() == 2 && line.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_code.then(|| line.to_owned())
}

#[cfg(test)]
mod tests;
