//! Makes HTTP of the resolver's answers.

use http::{HeaderValue, Response, StatusCode, header};

use super::{
    page::{self, Body, Page},
    resolver::Refusal,
};
use crate::proto::{ErrorReason, RedirectKind, ResolveFailure, ResolveResponse, TrafficClass};

/// Makes the redirect that answers a click, or says which page there is instead.
pub(super) fn of(outcome: Result<ResolveResponse, Refusal>) -> Result<Response<Body>, Page> {
    match outcome {
        Ok(answer) if is_ahead(&answer) => Ok(page::empty(StatusCode::SERVICE_UNAVAILABLE)),
        Ok(answer) => redirect(answer),
        Err(Refusal::Failed(failure)) => Err(failed(&failure)),
        Err(Refusal::Down | Refusal::Broken) => Err(Page::Away),
        Err(Refusal::Busy) => Err(Page::Overloaded),
        Err(Refusal::TimedOut) => Err(Page::Late),
    }
}

/// Tells whether a browser loads the link before anyone has clicked.
///
/// Browsers keep what they loaded ahead for the click, in spite of `no-store`: the click itself would never come here. A
/// status that is no success is what they drop, and then ask again; 503 is the one that their makers name for it.
fn is_ahead(answer: &ResolveResponse) -> bool {
    answer.traffic_class() == TrafficClass::Prefetch && !answer.click_id.is_empty()
}

fn redirect(answer: ResolveResponse) -> Result<Response<Body>, Page> {
    let kind = answer.redirect();
    // Refuses what could end the header or begin another.
    let Ok(location) = HeaderValue::try_from(answer.location) else {
        tracing::error!(
            link.shop = answer.shop,
            link.slug = answer.slug,
            "the location cannot stand in a header"
        );
        return Err(Page::Failed);
    };
    let mut response = page::empty(status_of(kind));
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

fn status_of(kind: RedirectKind) -> StatusCode {
    match kind {
        // A kind that a newer resolver knows is a redirect all the same.
        RedirectKind::Unspecified | RedirectKind::Found => StatusCode::FOUND,
        RedirectKind::MovedPermanently => StatusCode::MOVED_PERMANENTLY,
        RedirectKind::TemporaryRedirect => StatusCode::TEMPORARY_REDIRECT,
        RedirectKind::PermanentRedirect => StatusCode::PERMANENT_REDIRECT,
    }
}

fn failed(failure: &ResolveFailure) -> Page {
    use tonic::Code;
    match Code::from_i32(failure.code) {
        Code::NotFound => gone_or_not_found(failure.reason()),
        Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition => Page::Malformed,
        Code::ResourceExhausted => Page::Overloaded,
        Code::DeadlineExceeded => Page::Late,
        Code::Unavailable | Code::Aborted | Code::Cancelled => Page::Away,
        Code::Ok
        | Code::Unknown
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::Unauthenticated
        | Code::Unimplemented
        | Code::Internal
        | Code::DataLoss => {
            tracing::error!(code = failure.code, message = failure.message, "the resolver failed");
            Page::Failed
        }
    }
}

fn gone_or_not_found(reason: ErrorReason) -> Page {
    let known = [
        (ErrorReason::LinkExpired, Page::Expired),
        (ErrorReason::LinkPaused, Page::Paused),
        (ErrorReason::LinkDeleted, Page::Deleted),
        (ErrorReason::LinkNotStarted, Page::NotStarted),
        (ErrorReason::ShopNotFound, Page::NoShop),
    ];
    known.iter().find(|(known, _)| *known == reason).map_or(Page::NoLink, |(_, page)| *page)
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    fn failure(code: Code, reason: ErrorReason) -> Page {
        let failure =
            ResolveFailure { code: code as i32, reason: reason.into(), ..ResolveFailure::default() };
        of(Err(Refusal::Failed(failure))).unwrap_err()
    }

    #[test]
    fn every_kind_of_redirect_has_its_status() {
        for (kind, status) in [
            (RedirectKind::Found, 302),
            (RedirectKind::MovedPermanently, 301),
            (RedirectKind::TemporaryRedirect, 307),
            (RedirectKind::PermanentRedirect, 308),
            (RedirectKind::Unspecified, 302),
        ] {
            let answer = ResolveResponse {
                location: "https://shop.example/ü".to_owned(),
                redirect: kind.into(),
                ..ResolveResponse::default()
            };
            let response = of(Ok(answer)).unwrap();
            assert_eq!(response.status().as_u16(), status);
            let header = |name| response.headers()[name].as_bytes().to_vec();
            assert_eq!(header("location"), "https://shop.example/ü".as_bytes());
            assert_eq!(header("cache-control"), b"private, no-store");
            assert_eq!(header("referrer-policy"), b"strict-origin-when-cross-origin");
            assert_eq!(header("x-robots-tag"), b"noindex");
            assert_eq!(header("x-content-type-options"), b"nosniff");
        }
    }

    #[test]
    fn what_is_loaded_ahead_of_a_click_is_not_handed_out() {
        let answer = |class: TrafficClass, click_id: &str| {
            let (location, click_id) = ("https://shop.example/".to_owned(), click_id.to_owned());
            of(Ok(ResolveResponse {
                location,
                click_id,
                traffic_class: class.into(),
                ..ResolveResponse::default()
            }))
            .unwrap()
        };
        let declined = answer(TrafficClass::Prefetch, "01a2");
        assert_eq!(declined.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(declined.headers()["cache-control"], "private, no-store");
        assert!(!declined.headers().contains_key("location"));
        assert_eq!(answer(TrafficClass::Prefetch, "").status(), StatusCode::FOUND, "a look-up");
        assert_eq!(answer(TrafficClass::Preview, "01a2").status(), StatusCode::FOUND);
    }

    #[test]
    fn location_that_would_break_the_header_is_not_sent() {
        for location in ["https://a/\r\nset-cookie: x=1", "https://a/\n", "https://a/\0", "https://a/\u{7f}"]
        {
            let answer = ResolveResponse { location: location.to_owned(), ..ResolveResponse::default() };
            assert_eq!(of(Ok(answer)).unwrap_err(), Page::Failed, "{location:?}");
        }
    }

    #[test]
    fn every_end_has_its_page() {
        for (code, reason, page) in [
            (Code::NotFound, ErrorReason::LinkExpired, Page::Expired),
            (Code::NotFound, ErrorReason::LinkPaused, Page::Paused),
            (Code::NotFound, ErrorReason::LinkDeleted, Page::Deleted),
            (Code::NotFound, ErrorReason::LinkNotStarted, Page::NotStarted),
            (Code::NotFound, ErrorReason::LinkNotFound, Page::NoLink),
            (Code::NotFound, ErrorReason::ShopNotFound, Page::NoShop),
            (Code::NotFound, ErrorReason::Unspecified, Page::NoLink),
            (Code::InvalidArgument, ErrorReason::TooLong, Page::Malformed),
            (Code::Unavailable, ErrorReason::IndexNotLoaded, Page::Away),
            (Code::DeadlineExceeded, ErrorReason::DeadlineExceeded, Page::Late),
            (Code::ResourceExhausted, ErrorReason::Overloaded, Page::Overloaded),
            (Code::Internal, ErrorReason::Internal, Page::Failed),
            (Code::Unauthenticated, ErrorReason::NoCredentials, Page::Failed),
        ] {
            assert_eq!(failure(code, reason), page, "{code:?} {reason:?}");
        }
        for (refusal, page) in [
            (Refusal::Down, Page::Away),
            (Refusal::Broken, Page::Away),
            (Refusal::Busy, Page::Overloaded),
            (Refusal::TimedOut, Page::Late),
        ] {
            assert_eq!(of(Err(refusal)).unwrap_err(), page);
        }
    }
}
