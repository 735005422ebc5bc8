//! Hosts and origins.

use std::{fmt, net::IpAddr, sync::Arc};

use serde::{Deserialize, Serialize};

use super::fault::{Problem, Reason};

/// A host name in small letters or an IP literal (IPv6 in brackets), without port or final dot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Host(Arc<str>);

impl Host {
    /// Takes a host name (letters, digits, `-`, labels of at most 63 bytes, internationalized names as `xn--`), an
    /// IPv4 address, or an IPv6 address with or without brackets.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        if text.is_empty() {
            return Err(Problem::required("the host"));
        }
        let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = inner.parse::<IpAddr>() {
            return match address {
                IpAddr::V4(v4) if inner.len() == text.len() => Ok(Self(v4.to_string().into())),
                IpAddr::V6(v6) => Ok(Self(format!("[{v6}]").into())),
                IpAddr::V4(_) => {
                    Err(Problem::new(Reason::Malformed, "an IPv4 address stands without brackets"))
                }
            };
        }
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        // Browsers read a host whose last label is a number as an IPv4 address: `1.2.3` and `0x7f000001` would be other
        // hosts than they seem.
        let last = text.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
        let is_hex = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let numeric =
            last.bytes().all(|byte| byte.is_ascii_digit()) || last.strip_prefix("0x").is_some_and(is_hex);
        if text.len() <= 253 && text.split('.').all(label) && !numeric {
            return Ok(Self(text.to_ascii_lowercase().into()));
        }
        Err(Problem::new(
            Reason::Malformed,
            "a host is a name such as `shop.example` or an IP address, without scheme, port, path or final dot",
        ))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for Host {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Host {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self, Problem> {
        Self::parse(&text)
    }
}

impl From<Host> for String {
    fn from(host: Host) -> String {
        host.0.as_ref().to_owned()
    }
}

/// Reads `host[:port]`; an IPv6 address stands in brackets, or it would be a guess which colon begins the port.
fn host_and_port(text: &str) -> Result<(Host, Option<u16>), Problem> {
    let (host, port_text) = split_port(text);
    if host.contains(':') && !host.starts_with('[') {
        let text = format!("write the IPv6 address in `{}` in brackets", shown(text));
        return Err(Problem::new(Reason::Malformed, text));
    }
    Ok((Host::parse(host)?, port_text.map(port).transpose()?))
}

/// Cuts `host`, `host:port` or `[v6]:port` in two. The port, if there is a colon, is what follows it.
pub fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        Some(_) | None => (authority, None),
    }
}

/// Reads a port, 1 to 65,535, digits only.
fn port(text: &str) -> Result<u16, Problem> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = plain.then(|| text.parse().ok()).flatten().filter(|&port| port != 0);
    number.ok_or_else(|| {
        Problem::new(Reason::Malformed, format!("the port `{}` is not a number from 1 to 65535", shown(text)))
    })
}

/// The scheme of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `http`.
    Http,
    /// `https`.
    Https,
}

impl Scheme {
    /// Returns the scheme in small letters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// Returns the port that goes without saying.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// A scheme, a host and a port: what an address begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// The scheme.
    pub scheme: Scheme,
    /// The host.
    pub host: Host,
    /// The port as written; `None` = the scheme's.
    pub port: Option<u16>,
}

impl Authority {
    /// Reads `scheme` and `host[:port]`.
    pub fn parse(scheme: &str, authority: &str) -> Result<Self, Problem> {
        let scheme = match scheme {
            _ if scheme.eq_ignore_ascii_case("http") => Scheme::Http,
            _ if scheme.eq_ignore_ascii_case("https") => Scheme::Https,
            _ => {
                let text = format!("the scheme `{}` is not http or https", shown(scheme));
                return Err(Problem::new(Reason::UnsafeDestination, text));
            }
        };
        if authority.contains('@') {
            return Err(Problem::new(Reason::UnsafeDestination, "user-info before the host is not allowed"));
        }
        let (host, port) = host_and_port(authority)?;
        Ok(Self { scheme, host, port })
    }

    /// Returns the port in effect.
    pub fn effective_port(&self) -> u16 {
        self.port.unwrap_or(self.scheme.default_port())
    }
}

/// The origin of a shop's pages, `https://shop.example` or with a port, without a final `/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Origin {
    text: Arc<str>,
    authority: Authority,
}

impl Origin {
    /// Takes a scheme, a host, optionally a port and one final `/`.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        if text.is_empty() {
            return Err(Problem::required("the origin"));
        }
        let malformed = || {
            Problem::new(
                Reason::Malformed,
                format!(
                    "`{}` is not an origin such as `https://shop.example`, without path or query",
                    shown(text)
                ),
            )
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(malformed)?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#', '\\']) {
            return Err(malformed());
        }
        let authority = Authority::parse(scheme, authority)
            .map_err(|problem| Problem::new(Reason::Malformed, format!("{problem} in the origin")))?;
        let mut text = format!("{}://{}", authority.scheme.as_str(), authority.host);
        if let Some(port) = authority.port {
            text.push_str(&format!(":{port}"));
        }
        Ok(Self { text: text.into(), authority })
    }

    /// Returns the text, without a final `/`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns scheme, host and port.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }
}

impl TryFrom<String> for Origin {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self, Problem> {
        Self::parse(&text)
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> String {
        origin.text.as_ref().to_owned()
    }
}

/// A further host that destinations may lead to: `host` (the scheme's port only) or `host:port`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DestinationHost {
    /// The host.
    pub host: Host,
    /// The one port that is allowed; `None` = the scheme's.
    pub port: Option<u16>,
}

impl DestinationHost {
    /// Takes `host` or `host:port`.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        if text.contains('*') {
            return Err(Problem::new(Reason::Malformed, "wildcards are not supported, list each host"));
        }
        let (host, port) = host_and_port(text)?;
        Ok(Self { host, port })
    }

    /// Returns whether an address with this authority is allowed.
    pub fn allows(&self, authority: &Authority) -> bool {
        let port = self.port.unwrap_or(authority.scheme.default_port());
        self.host == authority.host && port == authority.effective_port()
    }
}

impl TryFrom<String> for DestinationHost {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self, Problem> {
        Self::parse(&text)
    }
}

impl From<DestinationHost> for String {
    fn from(host: DestinationHost) -> String {
        match host.port {
            Some(port) => format!("{}:{port}", host.host),
            None => host.host.into(),
        }
    }
}

/// Returns the beginning of a text that came from outside, fit for a message.
pub fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    if text.chars().nth(60).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses() {
        for (text, host) in [
            ("Shop.Example", "shop.example"),
            ("127.0.0.1", "127.0.0.1"),
            ("::1", "[::1]"),
            ("[2001:DB8::1]", "[2001:db8::1]"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(Host::parse(text).unwrap().as_str(), host);
        }
        for bad in [
            "",
            "shop.example.",
            "a..b",
            "a:80",
            "https://a",
            "a/b",
            "a b",
            "-a.b",
            "bücher.example",
            "[127.0.0.1]",
            "[::1",
            "1.2.3",
            "a@b",
            "a\\b",
            "0x7f.1",
            "0x7f000001",
            "127.0.0.0x1",
            "0X",
        ] {
            assert!(Host::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn origins_have_neither_path_nor_query() {
        assert_eq!(Origin::parse("https://shop.example/").unwrap().as_str(), "https://shop.example");
        assert_eq!(Origin::parse("HTTP://Shop.Example:8081").unwrap().as_str(), "http://shop.example:8081");
        for bad in [
            "",
            "shop.example",
            "https://",
            "ftp://a",
            "https://a/b",
            "https://a?b",
            "https://a#b",
            "https://u@a",
            "https://a//",
            "//a",
            "https://a:0",
            "https://a:99999",
            "https://a:",
            "https://a\\b",
            "javascript://a",
        ] {
            assert!(Origin::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn destination_hosts_name_their_port() {
        let allows = |listed: &str, scheme: &str, authority: &str| {
            DestinationHost::parse(listed).unwrap().allows(&Authority::parse(scheme, authority).unwrap())
        };
        assert!(allows("b.example", "https", "B.example"));
        assert!(allows("b.example", "https", "b.example:443"));
        assert!(!allows("b.example", "https", "b.example:8443"));
        assert!(allows("b.example:8443", "https", "b.example:8443"));
        assert!(!allows("b.example:8443", "https", "b.example"));
        assert!(!allows("b.example", "http", "b.example:443"));
    }
}
