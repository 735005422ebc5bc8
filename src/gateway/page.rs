//! Pages for where a link leads nowhere, and the headers that every answer has.

use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Bytes;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{
    accept::{self, Offered},
    texts::Language,
};
use crate::proto::ErrorReason;

/// What the gateway answers with: small enough to be whole in memory.
pub(super) type Body = Full<Bytes>;

const ACCEPT_CH: HeaderName = HeaderName::from_static("accept-ch");
const ROBOTS: HeaderName = HeaderName::from_static("x-robots-tag");
const NO_STORE: HeaderValue = HeaderValue::from_static("private, no-store");
const NO_INDEX: HeaderValue = HeaderValue::from_static("noindex");
const REFERRER: HeaderValue = HeaderValue::from_static("strict-origin-when-cross-origin");
const NO_SNIFF: HeaderValue = HeaderValue::from_static("nosniff");
/// What browsers tell from the next visit on, besides what they tell at once. There is no `Critical-CH`, ever: it makes
/// them ask again right away, which would be a second click.
const HINTS: HeaderValue = HeaderValue::from_static(
    "Sec-CH-UA-Platform-Version, Sec-CH-UA-Full-Version-List, Sec-CH-UA-Form-Factors",
);
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// What pages differ by.
const VARY: HeaderValue = HeaderValue::from_static("Accept, Accept-Language");
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD");
/// Seconds after which a visitor may try again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");
/// Nothing is forbidden to robots: whatever shows previews of links asks this first, and what must not be indexed says so
/// by itself, which only those read who may fetch it.
const ROBOTS_TXT: &str = "User-agent: *\nDisallow:\n";

const STYLE: &str = ":root{color-scheme:light dark;font:1.125rem/1.6 system-ui,sans-serif}\
    body{margin:0;min-height:100vh;display:grid;place-content:center;overflow-wrap:anywhere}\
    main{max-width:32rem;padding:2rem}h1{font-size:1.6rem;line-height:1.3;margin:0 0 .75rem}\
    p{margin:0 0 1.5rem}small{opacity:.65}";

static OFFERED: LazyLock<Offered> = LazyLock::new(Offered::new);

/// Nothing runs on a page, nothing is loaded, nobody may frame it; the one style is named by its hash.
static POLICY: LazyLock<Option<HeaderValue>> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).ok()
});

/// Why there is a page instead of a redirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// There is no such link or page.
    NoLink,
    /// No shop has this host.
    NoShop,
    /// The link does not work yet.
    NotStarted,
    /// The link has expired.
    Expired,
    /// The link is switched off.
    Paused,
    /// The link is no more.
    Deleted,
    /// The request names no host, or something that the resolver does not read.
    Malformed,
    /// A method that nothing takes.
    WrongMethod,
    /// A target over the limit.
    TooLong,
    /// Something of ours failed.
    Failed,
    /// No resolver answers.
    Away,
    /// Too much is asked at once.
    Overloaded,
    /// The answer did not come in time.
    Late,
}

/// What an answer for programs says.
#[derive(Serialize)]
struct Told<'a> {
    status: u16,
    reason: &'a str,
    message: &'a str,
}

impl Page {
    /// Makes the answer to a request with these headers: a page, or JSON for a program that wants that more.
    pub(super) fn answer(self, method: &Method, headers: &HeaderMap) -> Response<Body> {
        let language = OFFERED.best(headers);
        let json = accept::wants_json(headers).then(|| self.json(language)).flatten();
        let is_page = json.is_none();
        let body = json.unwrap_or_else(|| self.html(language));
        let mut response = empty(self.status());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, if is_page { HTML } else { JSON });
        headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(language.tag));
        headers.insert(header::VARY, VARY);
        if let Some(policy) = POLICY.as_ref().filter(|_| is_page) {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy.clone());
        }
        match self.status() {
            StatusCode::METHOD_NOT_ALLOWED => _ = headers.insert(header::ALLOW, METHODS),
            StatusCode::SERVICE_UNAVAILABLE => _ = headers.insert(header::RETRY_AFTER, RETRY_AFTER),
            _ => {}
        }
        with_body(response, method, body.into())
    }

    fn status(self) -> StatusCode {
        match self {
            Self::NoLink | Self::NoShop | Self::NotStarted => StatusCode::NOT_FOUND,
            Self::Expired | Self::Paused | Self::Deleted => StatusCode::GONE,
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLong => StatusCode::URI_TOO_LONG,
            Self::Failed => StatusCode::BAD_GATEWAY,
            Self::Away | Self::Overloaded | Self::Late => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Returns the name that programs go by: that of the resolver's reason, where it has one.
    fn reason(self) -> &'static str {
        let reason = match self {
            Self::NoLink => ErrorReason::LinkNotFound,
            Self::NoShop => ErrorReason::ShopNotFound,
            Self::NotStarted => ErrorReason::LinkNotStarted,
            Self::Expired => ErrorReason::LinkExpired,
            Self::Paused => ErrorReason::LinkPaused,
            Self::Deleted => ErrorReason::LinkDeleted,
            Self::Malformed => ErrorReason::Malformed,
            Self::WrongMethod => return "METHOD_NOT_ALLOWED",
            Self::TooLong => ErrorReason::TooLong,
            Self::Failed => ErrorReason::Internal,
            Self::Away => return "RESOLVER_UNAVAILABLE",
            Self::Overloaded => ErrorReason::Overloaded,
            Self::Late => ErrorReason::DeadlineExceeded,
        };
        reason.as_str_name().trim_start_matches("ERROR_REASON_")
    }

    /// Returns what happened and what to do.
    fn text(self, language: &'static Language) -> (&'static str, &'static str) {
        match self {
            Self::NoLink | Self::NoShop => (language.not_found, language.check),
            Self::NotStarted => (language.not_started, language.later),
            Self::Expired => (language.expired, language.ask),
            Self::Paused => (language.paused, language.later),
            Self::Deleted => (language.deleted, language.ask),
            Self::Malformed => (language.malformed, language.check),
            Self::WrongMethod => (language.wrong_method, language.no_sending),
            Self::TooLong => (language.too_long, language.as_given),
            Self::Failed => (language.failed, language.later),
            Self::Away | Self::Overloaded | Self::Late => (language.unavailable, language.soon),
        }
    }

    /// Writes the page. Nothing of the request stands in it, and no text of ours holds a sign that HTML knows.
    fn html(self, language: &'static Language) -> String {
        let (title, advice) = self.text(language);
        let direction = if language.right_to_left { "rtl" } else { "ltr" };
        format!(
            "<!doctype html>\n<html lang=\"{tag}\" dir=\"{direction}\">\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
             <style>{STYLE}</style>\n<main>\n<h1>{title}</h1>\n<p>{advice}</p>\n<small>{status}</small>\n</main>\n</html>\n",
            tag = language.tag,
            status = self.status().as_u16(),
        )
    }

    fn json(self, language: &'static Language) -> Option<String> {
        let (message, _) = self.text(language);
        let told = Told { status: self.status().as_u16(), reason: self.reason(), message };
        serde_json::to_string(&told).ok()
    }
}

/// Makes an answer without a body.
pub(super) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::default());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    headers.insert(header::REFERRER_POLICY, REFERRER);
    headers.insert(ROBOTS, NO_INDEX);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NO_SNIFF);
    headers.insert(ACCEPT_CH, HINTS);
    response
}

/// Makes an answer of plain text, for machines.
pub(super) fn plain(status: StatusCode, method: &Method, text: &'static str) -> Response<Body> {
    let mut response = empty(status);
    response.headers_mut().insert(header::CONTENT_TYPE, PLAIN);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    }
    with_body(response, method, Bytes::from_static(text.as_bytes()))
}

/// Tells robots what they may fetch.
pub(super) fn robots(method: &Method) -> Response<Body> {
    plain(StatusCode::OK, method, ROBOTS_TXT)
}

/// Puts the body in, or for HEAD its length only.
fn with_body(mut response: Response<Body>, method: &Method, body: Bytes) -> Response<Body> {
    if method == Method::HEAD {
        response.headers_mut().insert(header::CONTENT_LENGTH, body.len().into());
    } else {
        *response.body_mut() = Full::new(body);
    }
    response
}

#[cfg(test)]
mod tests;
