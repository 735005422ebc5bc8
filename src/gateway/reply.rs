//! Makes HTTP of the resolver's answers.

use http::{HeaderValue, Response, StatusCode, header};

use super::{
    page::{self, Body},
    resolver::Refusal,
};
use crate::proto::{ErrorReason, RedirectKind, ResolveFailure, ResolveResponse};

/// Makes the answer to a click.
pub(super) fn of(outcome: Result<ResolveResponse, Refusal>) -> Response<Body> {
    match outcome {
        Ok(answer) => redirect(answer),
        Err(Refusal::Failed(failure)) => failed(&failure),
        Err(Refusal::Down | Refusal::Broken | Refusal::Busy | Refusal::TimedOut) => unavailable(),
    }
}

fn redirect(answer: ResolveResponse) -> Response<Body> {
    let kind = answer.redirect();
    // Refuses what could end the header or begin another.
    let Ok(location) = HeaderValue::try_from(answer.location) else {
        tracing::error!(
            link.shop = answer.shop,
            link.slug = answer.slug,
            "the location cannot stand in a header"
        );
        return page::plain(StatusCode::BAD_GATEWAY, "This link leads to an address that cannot be sent.\n");
    };
    let mut response = page::empty(status_of(kind));
    response.headers_mut().insert(header::LOCATION, location);
    response
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

fn failed(failure: &ResolveFailure) -> Response<Body> {
    use tonic::Code;
    match Code::from_i32(failure.code) {
        Code::NotFound => gone_or_not_found(failure.reason()),
        Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition => {
            page::plain(StatusCode::BAD_REQUEST, "This address cannot be read.\n")
        }
        Code::Unavailable
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::Cancelled => unavailable(),
        Code::Ok
        | Code::Unknown
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::Unauthenticated
        | Code::Unimplemented
        | Code::Internal
        | Code::DataLoss => {
            tracing::error!(code = failure.code, message = failure.message, "the resolver failed");
            page::plain(StatusCode::BAD_GATEWAY, "Something of ours failed.\n")
        }
    }
}

fn gone_or_not_found(reason: ErrorReason) -> Response<Body> {
    let gone = |text| page::plain(StatusCode::GONE, text);
    let none = |text| page::plain(StatusCode::NOT_FOUND, text);
    if reason == ErrorReason::LinkExpired {
        return gone("This link has expired.\n");
    }
    if reason == ErrorReason::LinkPaused {
        return gone("This link is switched off.\n");
    }
    if reason == ErrorReason::LinkDeleted {
        return gone("This link does not exist any more.\n");
    }
    if reason == ErrorReason::LinkNotStarted {
        return none("This link does not work yet.\n");
    }
    none("There is no such link.\n")
}

fn unavailable() -> Response<Body> {
    page::try_again("This link cannot be followed right now. Please try again.\n")
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    fn failure(code: Code, reason: ErrorReason) -> Response<Body> {
        let failure =
            ResolveFailure { code: code as i32, reason: reason.into(), ..ResolveFailure::default() };
        of(Err(Refusal::Failed(failure)))
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
            let response = of(Ok(answer));
            assert_eq!(response.status().as_u16(), status);
            let header = |name| response.headers()[name].as_bytes().to_vec();
            assert_eq!(header("location"), "https://shop.example/ü".as_bytes());
            assert_eq!(header("cache-control"), b"private, no-store");
            assert_eq!(header("referrer-policy"), b"strict-origin-when-cross-origin");
            assert_eq!(header("x-robots-tag"), b"noindex");
        }
    }

    #[test]
    fn location_that_would_break_the_header_is_not_sent() {
        for location in ["https://a/\r\nset-cookie: x=1", "https://a/\n", "https://a/\0", "https://a/\u{7f}"]
        {
            let answer = ResolveResponse { location: location.to_owned(), ..ResolveResponse::default() };
            let response = of(Ok(answer));
            assert_eq!(response.status(), StatusCode::BAD_GATEWAY, "{location:?}");
            assert!(!response.headers().contains_key("location"));
        }
    }

    #[test]
    fn gone_and_not_found_differ() {
        for (reason, status) in [
            (ErrorReason::LinkExpired, 410),
            (ErrorReason::LinkPaused, 410),
            (ErrorReason::LinkDeleted, 410),
            (ErrorReason::LinkNotStarted, 404),
            (ErrorReason::LinkNotFound, 404),
            (ErrorReason::ShopNotFound, 404),
        ] {
            assert_eq!(failure(Code::NotFound, reason).status().as_u16(), status, "{reason:?}");
        }
    }

    #[test]
    fn what_may_pass_asks_to_try_again() {
        let passing = [
            of(Err(Refusal::Down)),
            of(Err(Refusal::Broken)),
            of(Err(Refusal::Busy)),
            of(Err(Refusal::TimedOut)),
            failure(Code::Unavailable, ErrorReason::IndexNotLoaded),
            failure(Code::DeadlineExceeded, ErrorReason::DeadlineExceeded),
            failure(Code::ResourceExhausted, ErrorReason::Overloaded),
        ];
        for response in passing {
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(response.headers()["retry-after"], "1");
        }
        assert_eq!(failure(Code::InvalidArgument, ErrorReason::TooLong).status(), StatusCode::BAD_REQUEST);
        assert_eq!(failure(Code::Internal, ErrorReason::Internal).status(), StatusCode::BAD_GATEWAY);
        assert_eq!(
            failure(Code::Unauthenticated, ErrorReason::NoCredentials).status(),
            StatusCode::BAD_GATEWAY
        );
    }
}
