//! Makes a visit of a request.

use http::{HeaderName, HeaderValue, Method, Request, Version, header};

use super::{proxies::Visitor, route::Link};
use crate::proto::{Purpose, RequestHeaders, ResolveRequest, resolve_request::Site};

/// Bytes of one header that are passed on: what the resolver takes. No visitor is refused for a long Referer.
const HEADER_BYTES: usize = 8 * 1_024;
/// How browsers mark what they load ahead; the first that was sent counts.
const PURPOSE_HEADERS: [HeaderName; 4] = [
    HeaderName::from_static("sec-purpose"),
    HeaderName::from_static("purpose"),
    HeaderName::from_static("x-purpose"),
    HeaderName::from_static("x-moz"),
];
// Made once: from text, each would be read and folded anew for every request.
const SEC_CH_UA: HeaderName = HeaderName::from_static("sec-ch-ua");
const SEC_CH_UA_MOBILE: HeaderName = HeaderName::from_static("sec-ch-ua-mobile");
const SEC_CH_UA_PLATFORM: HeaderName = HeaderName::from_static("sec-ch-ua-platform");
const SEC_CH_UA_PLATFORM_VERSION: HeaderName = HeaderName::from_static("sec-ch-ua-platform-version");
const SEC_CH_UA_FULL_VERSION_LIST: HeaderName = HeaderName::from_static("sec-ch-ua-full-version-list");
const SEC_CH_UA_FORM_FACTORS: HeaderName = HeaderName::from_static("sec-ch-ua-form-factors");
const SEC_GPC: HeaderName = HeaderName::from_static("sec-gpc");

/// Says that a request does not name exactly one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoHost;

/// Makes a visit of a request whose target was read already.
pub(super) fn of<B>(request: &Request<B>, visitor: Visitor, link: Link) -> Result<ResolveRequest, NoHost> {
    let purpose = if request.method() == Method::HEAD { Purpose::Lookup } else { Purpose::Click };
    let headers = request.headers();
    let purpose_header = PURPOSE_HEADERS.iter().find_map(|name| headers.get(name));
    Ok(ResolveRequest {
        purpose: purpose.into(),
        site: Some(Site::Host(host(request)?)),
        slug: link.slug,
        partner: link.partner,
        query: query(request.uri().query().unwrap_or_default()),
        client_address: visitor.address.map(|address| address.to_string()).unwrap_or_default(),
        country: visitor.country.unwrap_or_default(),
        channel: link.channel.into(),
        headers: Some(RequestHeaders {
            user_agent: text(headers.get(header::USER_AGENT)),
            accept_language: text(headers.get(header::ACCEPT_LANGUAGE)),
            referer: text(headers.get(header::REFERER)),
            purpose_header: text(purpose_header),
            sec_ch_ua: text(headers.get(SEC_CH_UA)),
            sec_ch_ua_mobile: text(headers.get(SEC_CH_UA_MOBILE)),
            sec_ch_ua_platform: text(headers.get(SEC_CH_UA_PLATFORM)),
            sec_ch_ua_platform_version: text(headers.get(SEC_CH_UA_PLATFORM_VERSION)),
            sec_ch_ua_full_version_list: text(headers.get(SEC_CH_UA_FULL_VERSION_LIST)),
            sec_ch_ua_form_factors: text(headers.get(SEC_CH_UA_FORM_FACTORS)),
            sec_gpc: text(headers.get(SEC_GPC)),
            dnt: text(headers.get(header::DNT)),
        }),
        ..ResolveRequest::default()
    })
}

/// Returns the host: of the target if it names one (HTTP/2 and proxies do), else of the Host header. HTTP/1.1 has exactly
/// one Host header, whatever the target says (RFC 9112, 3.2).
fn host<B>(request: &Request<B>) -> Result<String, NoHost> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (host, another) = (hosts.next(), hosts.next());
    if another.is_some() || (host.is_none() && request.version() == Version::HTTP_11) {
        return Err(NoHost);
    }
    match (request.uri().authority(), host) {
        (Some(authority), _) => plain_host(authority.as_str()),
        (None, Some(host)) => plain_host(host.to_str().map_err(|_| NoHost)?),
        (None, None) => Err(NoHost),
    }
}

fn plain_host(host: &str) -> Result<String, NoHost> {
    let plain = !host.is_empty() && !host.contains(['@', '/', '?', '#', '\\', ' ', '\t', ',']);
    if plain { Ok(host.to_owned()) } else { Err(NoHost) }
}

/// Returns the raw query so that it arrives as it came: the resolver drops one leading `?`.
fn query(raw: &str) -> String {
    if raw.starts_with('?') { format!("?{raw}") } else { raw.to_owned() }
}

/// Returns a header as text: bytes that are no UTF-8 are replaced, what is over the limit is cut.
fn text(value: Option<&HeaderValue>) -> Option<String> {
    let mut text = String::from_utf8_lossy(value?.as_bytes()).into_owned();
    text.truncate(text.floor_char_boundary(HEADER_BYTES));
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::Channel;

    fn asked(request: http::request::Builder, visitor: Visitor) -> Result<ResolveRequest, NoHost> {
        let link = Link { slug: "sale".to_owned(), partner: String::new(), channel: Channel::Qr };
        of(&request.body(()).unwrap(), visitor, link)
    }

    fn visit(request: http::request::Builder) -> Result<ResolveRequest, NoHost> {
        asked(request, Visitor::default())
    }

    #[test]
    fn head_only_asks() {
        let ask = |method| {
            visit(Request::builder().version(Version::HTTP_2).method(method).uri("http://a/sale"))
                .unwrap()
                .purpose()
        };
        assert_eq!(ask("GET"), Purpose::Click);
        assert_eq!(ask("HEAD"), Purpose::Lookup);
    }

    #[test]
    fn target_names_the_host_before_the_header() {
        let host = |request| visit(request).map(|visit| visit.site);
        let absolute = Request::builder().uri("http://a.example:81/sale").header("host", "b.example");
        assert_eq!(host(absolute), Ok(Some(Site::Host("a.example:81".to_owned()))));
        let origin = Request::builder().uri("/sale").header("host", "b.example:8080");
        assert_eq!(host(origin), Ok(Some(Site::Host("b.example:8080".to_owned()))));
    }

    #[test]
    fn request_without_one_plain_host_is_refused() {
        assert_eq!(visit(Request::builder().uri("/sale")), Err(NoHost));
        assert_eq!(visit(Request::builder().uri("http://a/sale").version(Version::HTTP_11)), Err(NoHost));
        let two = Request::builder().uri("http://a/sale").header("host", "a").header("host", "a");
        assert_eq!(visit(two), Err(NoHost));
        assert_eq!(visit(Request::builder().uri("/sale").header("host", "")), Err(NoHost));
        assert_eq!(visit(Request::builder().uri("/sale").header("host", "u@a")), Err(NoHost));
        assert_eq!(
            visit(Request::builder().uri("/sale").header("host", "a").header("host", "b")),
            Err(NoHost)
        );
    }

    #[test]
    fn query_passes_as_it_came() {
        let query =
            |target: &str| visit(Request::builder().version(Version::HTTP_2).uri(target)).unwrap().query;
        assert_eq!(query("http://a/s"), "");
        assert_eq!(query("http://a/s?"), "");
        assert_eq!(query("http://a/s?a=%zz&&b=+;%2B&a="), "a=%zz&&b=+;%2B&a=");
        // The resolver drops the first.
        assert_eq!(query("http://a/s??a=1"), "??a=1");
    }

    #[test]
    fn absent_headers_stay_absent() {
        let headers = |request| visit(request).unwrap().headers.unwrap();
        assert_eq!(
            headers(Request::builder().version(Version::HTTP_2).uri("http://a/s")),
            RequestHeaders::default()
        );
        let long = "x".repeat(HEADER_BYTES + 1);
        let sent = Request::builder()
            .version(Version::HTTP_2)
            .uri("http://a/s")
            .header("user-agent", HeaderValue::from_bytes(b"caf\xe9").unwrap())
            .header("referer", &long)
            .header("accept-language", "")
            .header("x-moz", "prefetch")
            .header("purpose", "preview");
        let expected = RequestHeaders {
            user_agent: Some("caf\u{fffd}".to_owned()),
            accept_language: Some(String::new()),
            referer: Some(long[..HEADER_BYTES].to_owned()),
            purpose_header: Some("preview".to_owned()),
            ..RequestHeaders::default()
        };
        assert_eq!(headers(sent), expected);
    }

    #[test]
    fn visitor_and_link_are_passed_on() {
        let request = || Request::builder().version(Version::HTTP_2).uri("http://a/s");
        let known = Visitor { address: "192.0.2.7".parse().ok(), country: Some("de".to_owned()) };
        let visit = asked(request(), known).unwrap();
        assert_eq!((visit.client_address.as_str(), visit.country.as_str()), ("192.0.2.7", "de"));
        assert_eq!((visit.slug.as_str(), visit.partner.as_str()), ("sale", ""));
        assert_eq!(visit.channel(), Channel::Qr);
        let visit = asked(request(), Visitor::default()).unwrap();
        assert_eq!((visit.client_address.as_str(), visit.country.as_str()), ("", ""));
    }
}
