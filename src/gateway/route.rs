//! Reads request targets.

use http::{Method, Uri};

use crate::proto::Channel;

/// Bytes of a request target: path and query.
pub(super) const TARGET_BYTES: usize = 8 * 1_024;

/// The link that a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// As the visitor wrote it; empty = the default partner link.
    pub(super) slug: String,
    /// As the visitor wrote it; empty = the path names none.
    pub(super) partner: String,
    /// How the visitor came.
    pub(super) channel: Channel,
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// A click, or with HEAD a look-up.
    Link(Link),
    /// Whether the process lives.
    Health,
    /// Whether the resolver answers.
    Ready,
    /// What robots may fetch.
    Robots,
    /// Nothing that there could be.
    Miss,
    /// Something that no route takes.
    WrongMethod,
    /// A target over the limit.
    TooLong,
}

impl Route {
    /// Reads a request line.
    pub(super) fn of(method: &Method, uri: &Uri) -> Self {
        if *method != Method::GET && *method != Method::HEAD {
            return Self::WrongMethod;
        }
        if uri.path_and_query().is_some_and(|target| target.as_str().len() > TARGET_BYTES) {
            return Self::TooLong;
        }
        Self::of_path(uri.path())
    }

    fn of_path(path: &str) -> Self {
        match path {
            "/" => {
                let (slug, partner) = (String::new(), String::new());
                return Self::Link(Link { slug, partner, channel: Channel::Link });
            }
            "/-/healthz" => return Self::Health,
            "/-/readyz" => return Self::Ready,
            // No slug holds a dot, so neither can be a link. Browsers and robots ask for them on their own, which is no
            // visit and must not lead to a shop's fallback.
            "/robots.txt" => return Self::Robots,
            "/favicon.ico" => return Self::Miss,
            _ => {}
        }
        let (channel, path) = match scanned(path) {
            Some(path) => (Channel::Qr, path),
            None => (Channel::Link, path.strip_prefix('/').unwrap_or_default()),
        };
        let path = path.strip_suffix('/').unwrap_or(path);
        // Cut first, decode after: an encoded slash belongs to its segment.
        let (slug, partner) = path.split_once('/').map_or((path, None), |(slug, rest)| (slug, Some(rest)));
        let partner = match partner {
            Some(rest) if rest.is_empty() || rest.contains('/') => return Self::Miss,
            Some(partner) => decode(partner),
            None => Some(String::new()),
        };
        match (decode(slug), partner) {
            (Some(slug), Some(partner)) if !slug.is_empty() && slug != "-" => {
                Self::Link(Link { slug, partner, channel })
            }
            _ => Self::Miss,
        }
    }
}

/// Returns what stands behind the `/-/q/` of a QR code. A code made of capitals only is smaller, so `/-/Q/` is the same.
fn scanned(path: &str) -> Option<&str> {
    const MARK: &str = "/-/q/";
    let (mark, path) = path.split_at_checked(MARK.len())?;
    mark.eq_ignore_ascii_case(MARK).then_some(path)
}

/// Decodes `%XX` once; `None` if what comes out is no UTF-8. A stray `%` stays.
fn decode(segment: &str) -> Option<String> {
    if !segment.contains('%') {
        return Some(segment.to_owned());
    }
    let bytes = segment.as_bytes();
    let hex = |at: usize| bytes.get(at).and_then(|&byte| char::from(byte).to_digit(16));
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match (byte, hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                // Two hexadecimal digits make at most 255.
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn came(slug: &str, partner: &str, channel: Channel) -> Route {
        Route::Link(Link { slug: slug.to_owned(), partner: partner.to_owned(), channel })
    }

    fn link(slug: &str, partner: &str) -> Route {
        came(slug, partner, Channel::Link)
    }

    fn get(target: &str) -> Route {
        Route::of(&Method::GET, &target.parse().unwrap())
    }

    #[test]
    fn slug_and_partner_are_decoded_once() {
        for (target, route) in [
            ("/", link("", "")),
            ("/?ref=anna", link("", "")),
            ("/sale", link("sale", "")),
            ("/sale/", link("sale", "")),
            ("/Sale/Anna", link("Sale", "Anna")),
            ("/sale/anna/?x=/y/z", link("sale", "anna")),
            ("/s%61le/%61nna", link("sale", "anna")),
            ("/s%2561le", link("s%61le", "")),
            ("/a%2Fb/c", link("a/b", "c")),
            ("/a+b", link("a+b", "")),
            ("/100%", link("100%", "")),
            ("/%zz", link("%zz", "")),
            ("/%F0%9F%98%80", link("😀", "")),
            ("/😀", link("😀", "")),
            ("http://go.example/sale", link("sale", "")),
        ] {
            assert_eq!(get(target), route, "{target}");
        }
    }

    #[test]
    fn what_cannot_be_a_link_is_a_miss() {
        for target in [
            "/sale/anna/x",
            "/sale//",
            "/sale/anna//",
            "//",
            "//anna",
            "//sale/anna",
            "/%ff",
            "/sale/%C3",
            "/-",
            "/-/",
            "/-/x",
            "/%2D/healthz",
            "/-/healthz/",
            "/-/q",
            "/-/q/",
            "/-/q//",
            "/-/q//anna",
            "/-/q/sale//",
            "/-/q/sale/anna/x",
            "/-/q/-",
            "/-/q/-/healthz",
            "/-/q/%ff",
            "/-/qr/sale",
            "/%2D/q/sale",
            "/-/%71/sale",
            "//-/q/sale",
            "/favicon.ico",
            "*",
        ] {
            assert_eq!(get(target), Route::Miss, "{target}");
        }
    }

    #[test]
    fn qr_code_is_a_link_with_a_mark() {
        for (target, route) in [
            ("/-/q/sale", came("sale", "", Channel::Qr)),
            ("/-/q/sale/", came("sale", "", Channel::Qr)),
            ("/-/q/s%61le/%41nna/?a=/-/q/", came("sale", "Anna", Channel::Qr)),
            ("/-/Q/SALE/ANNA", came("SALE", "ANNA", Channel::Qr)),
            ("/-/q/q", came("q", "", Channel::Qr)),
            ("/q/sale", link("q", "sale")),
            ("/-q/sale", link("-q", "sale")),
        ] {
            assert_eq!(get(target), route, "{target}");
        }
    }

    #[test]
    fn own_pages_have_the_reserved_segment() {
        assert_eq!(get("/-/healthz"), Route::Health);
        assert_eq!(get("/-/readyz?x"), Route::Ready);
        assert_eq!(get("/healthz"), link("healthz", ""));
        assert_eq!(get("/robots.txt?x"), Route::Robots);
        assert_eq!(get("/robots"), link("robots", ""));
    }

    #[test]
    fn targets_have_a_limit() {
        let longest = format!("/s?{}", "a".repeat(TARGET_BYTES - 3));
        assert_eq!(get(&longest), link("s", ""));
        assert_eq!(get(&format!("{longest}a")), Route::TooLong);
    }

    #[test]
    fn only_get_and_head_are_taken() {
        let target: Uri = "/sale".parse().unwrap();
        assert_eq!(Route::of(&Method::HEAD, &target), link("sale", ""));
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS, Method::TRACE] {
            assert_eq!(Route::of(&method, &target), Route::WrongMethod);
        }
    }
}
