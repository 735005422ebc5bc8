//! Reads request targets.

use http::{Method, Uri};

/// Bytes of a request target: path and query.
pub(super) const TARGET_BYTES: usize = 8 * 1_024;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// A click, or with HEAD a look-up.
    Link { slug: String, partner: String },
    /// Whether the process lives.
    Health,
    /// Whether the resolver answers.
    Ready,
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
            "/" => return Self::Link { slug: String::new(), partner: String::new() },
            "/-/healthz" => return Self::Health,
            "/-/readyz" => return Self::Ready,
            _ => {}
        }
        let Some(path) = path.strip_prefix('/') else { return Self::Miss };
        let path = path.strip_suffix('/').unwrap_or(path);
        // Cut first, decode after: an encoded slash belongs to its segment.
        let (slug, partner) = path.split_once('/').map_or((path, None), |(slug, rest)| (slug, Some(rest)));
        let partner = match partner {
            Some(rest) if rest.is_empty() || rest.contains('/') => return Self::Miss,
            Some(partner) => decode(partner),
            None => Some(String::new()),
        };
        match (decode(slug), partner) {
            (Some(slug), Some(partner)) if !slug.is_empty() && slug != "-" => Self::Link { slug, partner },
            _ => Self::Miss,
        }
    }
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

    fn link(slug: &str, partner: &str) -> Route {
        Route::Link { slug: slug.to_owned(), partner: partner.to_owned() }
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
            "*",
        ] {
            assert_eq!(get(target), Route::Miss, "{target}");
        }
    }

    #[test]
    fn own_pages_have_the_reserved_segment() {
        assert_eq!(get("/-/healthz"), Route::Health);
        assert_eq!(get("/-/readyz?x"), Route::Ready);
        assert_eq!(get("/healthz"), link("healthz", ""));
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
