//! Small pages of plain text, and the headers that every answer has.

use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Bytes;

/// What the gateway answers with: small enough to be whole in memory.
pub(super) type Body = Full<Bytes>;

const ROBOTS: HeaderName = HeaderName::from_static("x-robots-tag");
const NO_STORE: HeaderValue = HeaderValue::from_static("private, no-store");
const NO_INDEX: HeaderValue = HeaderValue::from_static("noindex");
const REFERRER: HeaderValue = HeaderValue::from_static("strict-origin-when-cross-origin");
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// Seconds after which a visitor may try again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// Makes an answer without a body.
pub(super) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::default());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    headers.insert(header::REFERRER_POLICY, REFERRER);
    headers.insert(ROBOTS, NO_INDEX);
    response
}

/// Makes a page of plain text.
pub(super) fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = empty(status);
    response.headers_mut().insert(header::CONTENT_TYPE, PLAIN);
    *response.body_mut() = Full::new(Bytes::from_static(text.as_bytes()));
    response
}

/// Says that a later try may do better.
pub(super) fn try_again(text: &'static str) -> Response<Body> {
    let mut response = plain(StatusCode::SERVICE_UNAVAILABLE, text);
    response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    response
}

/// Says which methods there are.
pub(super) fn wrong_method() -> Response<Body> {
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "Only GET and HEAD are allowed.\n");
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}
