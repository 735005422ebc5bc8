//! What every failure says to programs.

use std::iter;

use super::*;
use crate::domain::fault::Problem;

/// What a status says to programs.
fn said(failure: Failure) -> String {
    let status = Status::from(failure);
    let details = status.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!(info.domain, DOMAIN);
    let retry = if details.retry_info().is_some() { ", retry" } else { "" };
    format!("{:?} {}{retry}", status.code(), info.reason)
}

#[test]
fn every_reason_has_its_code() {
    let reasons = (1..=100).filter_map(|number| ErrorReason::try_from(number).ok());
    let all: Vec<_> = reasons.map(|reason| said(Failure::new(reason, "x"))).collect();
    assert_eq!(
        all,
        [
            "InvalidArgument REQUIRED",
            "InvalidArgument MALFORMED",
            "InvalidArgument TOO_LONG",
            "InvalidArgument OUT_OF_RANGE",
            "InvalidArgument UNKNOWN_VALUE",
            "InvalidArgument DUPLICATE",
            "InvalidArgument CONFLICT",
            "InvalidArgument UNSAFE_DESTINATION",
            "InvalidArgument REDIRECT_LOOP",
            "InvalidArgument IMMUTABLE",
            "InvalidArgument UNKNOWN_FIELD",
            "InvalidArgument INVALID_PAGE_TOKEN",
            "InvalidArgument UNKNOWN_REFERENCE",
            "InvalidArgument REQUEST_ID_REUSED",
            "InvalidArgument INVALID_STREAM_TOKEN",
            "InvalidArgument RULE_CONTRADICTORY",
            "InvalidArgument RULE_SHADOWED",
            "NotFound PUBLISH_NOT_FOUND",
            "InvalidArgument GOLDEN_CLICK_FAILED",
            "NotFound SHOP_NOT_FOUND",
            "NotFound PROGRAM_NOT_FOUND",
            "NotFound PARTNER_NOT_FOUND",
            "NotFound LINK_NOT_FOUND",
            "NotFound LINK_EXPIRED",
            "NotFound LINK_PAUSED",
            "NotFound LINK_NOT_STARTED",
            "NotFound LINK_DELETED",
            "NotFound CLICK_NOT_FOUND",
            "NotFound REVISION_NOT_FOUND",
            "AlreadyExists ALREADY_EXISTS",
            "AlreadyExists HOST_TAKEN",
            "Aborted STALE_ETAG",
            "Aborted WRITE_CONFLICT",
            "FailedPrecondition IN_USE",
            "FailedPrecondition DEFAULT_LINK",
            "FailedPrecondition DELETED",
            "FailedPrecondition NOT_DELETED",
            "FailedPrecondition SHARED_WITH_EVERYONE",
            "FailedPrecondition PUBLISH_PENDING",
            "Unauthenticated NO_CREDENTIALS",
            "Unauthenticated INVALID_CREDENTIALS",
            "PermissionDenied PERMISSION_DENIED",
            "FailedPrecondition PUBLISH_NOT_PENDING",
            "Unavailable INDEX_NOT_LOADED, retry",
            "Unavailable INDEX_BEHIND, retry",
            "Unavailable DATABASE_UNAVAILABLE, retry",
            "Unavailable SHUTTING_DOWN, retry",
            "DeadlineExceeded DEADLINE_EXCEEDED",
            "ResourceExhausted OVERLOADED",
            "Internal INTERNAL",
            "Unimplemented UNIMPLEMENTED",
            "Unavailable CLICK_LOG_FULL, retry",
            "OutOfRange STREAM_TOKEN_EXPIRED",
            "Unavailable STREAM_TOO_OLD, retry",
            "Unavailable SLOW_READER, retry",
            "FailedPrecondition QUERY_TOO_BROAD",
        ]
    );
}

#[test]
fn every_error_of_the_rooms_below_has_its_reason() {
    let cause = || "relation \"secret\" is gone".into();
    let faults = [
        Reason::Required,
        Reason::Malformed,
        Reason::TooLong,
        Reason::OutOfRange,
        Reason::UnknownValue,
        Reason::Duplicate,
        Reason::Conflict,
        Reason::UnsafeDestination,
        Reason::RedirectLoop,
        Reason::Immutable,
        Reason::UnknownField,
        Reason::InvalidPageToken,
        Reason::UnknownReference,
        Reason::RequestIdReused,
        Reason::InvalidStreamToken,
        Reason::RuleContradictory,
        Reason::RuleShadowed,
    ];
    let faults = faults.map(|reason| Failure::from(Problem::new(reason, "x").at("link")));
    let store = [
        StoreError::Unavailable(cause()),
        StoreError::TooSlow(cause()),
        StoreError::Conflict(cause()),
        StoreError::Corrupt { object: "link `a`".to_owned(), cause: cause() },
        StoreError::Other(cause()),
    ];
    let misses = [Miss::Expired, Miss::Paused, Miss::NotStarted, Miss::Deleted, Miss::NotFound];
    let nowhere = iter::once(NoShop.into()).chain(misses.map(Failure::from));
    let failures = faults.into_iter().chain(store.map(Failure::from)).chain(nowhere);
    let all: Vec<_> = failures
        .inspect(|failure| assert!(!failure.text().contains("secret"), "{failure}"))
        .map(said)
        .collect();
    assert_eq!(
        all,
        [
            "InvalidArgument REQUIRED",
            "InvalidArgument MALFORMED",
            "InvalidArgument TOO_LONG",
            "InvalidArgument OUT_OF_RANGE",
            "InvalidArgument UNKNOWN_VALUE",
            "InvalidArgument DUPLICATE",
            "InvalidArgument CONFLICT",
            "InvalidArgument UNSAFE_DESTINATION",
            "InvalidArgument REDIRECT_LOOP",
            "InvalidArgument IMMUTABLE",
            "InvalidArgument UNKNOWN_FIELD",
            "InvalidArgument INVALID_PAGE_TOKEN",
            "InvalidArgument UNKNOWN_REFERENCE",
            "InvalidArgument REQUEST_ID_REUSED",
            "InvalidArgument INVALID_STREAM_TOKEN",
            "InvalidArgument RULE_CONTRADICTORY",
            "InvalidArgument RULE_SHADOWED",
            "Unavailable DATABASE_UNAVAILABLE, retry",
            "ResourceExhausted OVERLOADED",
            "Aborted WRITE_CONFLICT",
            "Internal INTERNAL",
            "Internal INTERNAL",
            "NotFound SHOP_NOT_FOUND",
            "NotFound LINK_EXPIRED",
            "NotFound LINK_PAUSED",
            "NotFound LINK_NOT_STARTED",
            "NotFound LINK_DELETED",
            "NotFound LINK_NOT_FOUND",
        ]
    );
}

#[test]
fn faults_are_told_all_but_no_more_than_trailers_hold() {
    let mut faults = Faults::new();
    for at in 0..10_000 {
        faults.add(format!("link.tags[{at}]"), Problem::new(Reason::Malformed, "é".repeat(100)));
    }
    let failure = Failure::from(faults);
    assert!(failure.text().ends_with("; and 9997 more"), "{}", failure.text());
    let status = Status::from(failure);
    assert!(status.details().len() < 6_000, "{} bytes", status.details().len());
    let details = status.get_error_details();
    let violations = &details.bad_request().unwrap().field_violations;
    assert!(violations.len() > 5);
    assert_eq!((violations[1].field.as_str(), violations[1].reason.as_str()), ("link.tags[1]", "MALFORMED"));
    assert_eq!(details.error_info().unwrap().metadata["faults"], "10000");
}

#[test]
fn item_of_a_stream_says_the_same_as_a_status() {
    let failure = Failure::from(Problem::new(Reason::Malformed, "no address").at("request.client_address"));
    let item = failure.clone().into_item();
    let status = Status::from(failure);
    assert_eq!((item.code, item.message.as_str()), (status.code() as i32, status.message()));
    assert_eq!(item.reason(), ErrorReason::Malformed);
    assert_eq!(item.violations[0].field, "request.client_address");
}
