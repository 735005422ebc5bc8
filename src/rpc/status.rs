//! Failures, and the only place where they become a gRPC status.
//!
//! A [`Failure`] is what a call can end in; its code follows from its reason, so that the two cannot disagree. It
//! becomes a [`Status`] with `ErrorInfo` always, `BadRequest` with fields at fault, `RetryInfo` where a retry can help;
//! or, on a stream, the message of one item.

#[cfg(test)]
mod tests;

use std::{collections::HashMap, error::Error, fmt, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use super::layers::request_id;
use crate::{
    domain::{
        fault::{Fault, Faults, Reason},
        visit::{Miss, NoShop},
    },
    proto::{self, ErrorReason},
    store::StoreError,
    telemetry::log::Causes,
};

/// The domain of every `ErrorInfo` of ours.
pub const DOMAIN: &str = "smartlinks";

/// What a caller may wait before it asks again, while the database or the index is away.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Bytes of paths and descriptions in one status: trailers are limited to about 8 KiB by many proxies and clients.
const VIOLATION_BYTES: usize = 2_500;
/// Faults that the text of a status tells of; the details hold more.
const FAULTS_IN_TEXT: usize = 3;
/// Characters of the text of a status.
const TEXT_CHARS: usize = 1_000;

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    reason: ErrorReason,
    text: String,
    metadata: Vec<(&'static str, String)>,
    violations: Vec<Violation>,
    retry_after: Option<Duration>,
}

/// A field at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The path of the field, as the caller wrote it.
    pub field: String,
    /// What is wrong with it.
    pub description: String,
    /// Why.
    pub reason: ErrorReason,
}

impl Failure {
    /// Fails for a reason; the text is lowercase, has no full stop, and says what to do next.
    pub fn new(reason: ErrorReason, text: impl Into<String>) -> Self {
        let retry_after = (code_of(reason) == Code::Unavailable).then_some(RETRY_AFTER);
        Self { reason, text: text.into(), metadata: Vec::new(), violations: Vec::new(), retry_after }
    }

    /// Fails for something of ours: logs the cause, once, here, and tells the caller no more than where to look for it.
    pub fn internal(cause: &(dyn Error + 'static)) -> Self {
        tracing::error!(error = %Causes(cause), "call failed");
        let text = match request_id::current() {
            Some(id) => format!("something of ours failed; it was logged under the request id `{id}`"),
            None => "something of ours failed; it was logged".to_owned(),
        };
        Self::new(ErrorReason::Internal, text)
    }

    /// Fails because others wrote the same object again and again.
    pub fn conflict() -> Self {
        Self::new(ErrorReason::WriteConflict, "another write came in between several times; retry")
    }

    /// Adds a value from the text for programs to read.
    pub fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.metadata.push((key, value.to_string()));
        self
    }

    /// Returns the gRPC code.
    pub fn code(&self) -> Code {
        code_of(self.reason)
    }

    /// Returns why.
    pub fn reason(&self) -> ErrorReason {
        self.reason
    }

    /// Returns what is wrong and what to do.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the fields at fault.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Returns the fields at fault as the answer to one item of a call.
    pub fn into_violations(self) -> Vec<proto::FieldViolation> {
        let violations = self.violations.into_iter().map(|violation| proto::FieldViolation {
            field: violation.field,
            description: violation.description,
            reason: violation.reason.into(),
        });
        violations.collect()
    }

    /// Returns this failure as the answer to one item of a stream.
    pub fn into_item(self) -> proto::ResolveFailure {
        proto::ResolveFailure {
            code: code_of(self.reason) as i32,
            message: self.text.clone(),
            reason: self.reason.into(),
            violations: self.into_violations(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", name_of(self.reason), self.text)
    }
}

impl Error for Failure {}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        let mut details = ErrorDetails::new();
        let metadata: HashMap<String, String> =
            failure.metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        details.set_error_info(name_of(failure.reason), DOMAIN, metadata);
        let violations = failure.violations.into_iter().map(|violation| FieldViolation {
            field: violation.field,
            description: violation.description,
            reason: name_of(violation.reason).to_owned(),
            localized_message: None,
        });
        let violations: Vec<_> = violations.collect();
        if !violations.is_empty() {
            details.set_bad_request(violations);
        }
        if let Some(delay) = failure.retry_after {
            details.set_retry_info(Some(delay));
        }
        Status::with_error_details(code_of(failure.reason), failure.text, details)
    }
}

impl From<Faults> for Failure {
    fn from(faults: Faults) -> Self {
        let all: Vec<&Fault> = faults.iter().collect();
        let reason = all.first().map_or(ErrorReason::Malformed, |fault| fault.problem.reason.into());
        let told: Vec<String> = all.iter().take(FAULTS_IN_TEXT).map(|fault| told(fault)).collect();
        let mut text = told.join("; ");
        let count = faults.count();
        if count > told.len() {
            text.push_str(&format!("; and {} more", count - told.len()));
        }
        let text = text.chars().take(TEXT_CHARS).collect::<String>();
        let mut failure = Failure::new(reason, text);
        if let Some(first) = all.first() {
            failure = failure.with("field", &first.path);
        }
        if count > 1 {
            failure = failure.with("faults", count);
        }
        let mut bytes = 0;
        for fault in all {
            bytes += fault.path.len() + fault.problem.text.len();
            if bytes > VIOLATION_BYTES && !failure.violations.is_empty() {
                break;
            }
            failure.violations.push(Violation {
                field: fault.path.clone(),
                description: fault.problem.text.clone(),
                reason: fault.problem.reason.into(),
            });
        }
        failure
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Faults::from(fault).into()
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Unavailable(_) => {
                tracing::warn!(error = %Causes(&error), "the database is away");
                let text = "the database does not answer or takes no writes; try again later";
                Failure::new(ErrorReason::DatabaseUnavailable, text)
            }
            StoreError::TooSlow(_) => {
                tracing::warn!(error = %Causes(&error), "the database took too long");
                let text =
                    "the database took too long to answer this; ask for less, by a narrower filter or search";
                Failure::new(ErrorReason::Overloaded, text)
            }
            StoreError::Conflict(_) => Failure::conflict(),
            StoreError::Corrupt { .. } | StoreError::Other(_) => Failure::internal(&error),
        }
    }
}

impl From<NoShop> for Failure {
    fn from(NoShop: NoShop) -> Self {
        let text = "no shop has this id or serves this host; check `shop` or `host`";
        Failure::new(ErrorReason::ShopNotFound, text)
    }
}

impl From<Miss> for Failure {
    fn from(miss: Miss) -> Self {
        let (reason, text) = match miss {
            Miss::Expired => (ErrorReason::LinkExpired, "the link has expired"),
            Miss::Paused => (ErrorReason::LinkPaused, "the link is paused"),
            Miss::NotStarted => (ErrorReason::LinkNotStarted, "the link has not started"),
            Miss::Deleted => (ErrorReason::LinkDeleted, "the link is deleted"),
            Miss::NotFound => (ErrorReason::LinkNotFound, "the shop has no such link"),
        };
        Failure::new(reason, format!("{text}, and the shop has no `fallback_url`"))
    }
}

/// Says one fault in a line.
fn told(fault: &Fault) -> String {
    match fault.path.as_str() {
        "" => fault.problem.text.clone(),
        path => format!("{path}: {}", fault.problem.text),
    }
}

impl From<Reason> for ErrorReason {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Required => Self::Required,
            Reason::Malformed => Self::Malformed,
            Reason::TooLong => Self::TooLong,
            Reason::OutOfRange => Self::OutOfRange,
            Reason::UnknownValue => Self::UnknownValue,
            Reason::Duplicate => Self::Duplicate,
            Reason::Conflict => Self::Conflict,
            Reason::UnsafeDestination => Self::UnsafeDestination,
            Reason::RedirectLoop => Self::RedirectLoop,
            Reason::Immutable => Self::Immutable,
            Reason::UnknownField => Self::UnknownField,
            Reason::InvalidPageToken => Self::InvalidPageToken,
            Reason::UnknownReference => Self::UnknownReference,
            Reason::RequestIdReused => Self::RequestIdReused,
            Reason::InvalidStreamToken => Self::InvalidStreamToken,
            Reason::RuleContradictory => Self::RuleContradictory,
            Reason::RuleShadowed => Self::RuleShadowed,
            Reason::GoldenClickFailed => Self::GoldenClickFailed,
        }
    }
}

/// Returns the name of a reason as it stands in `ErrorInfo`: without the prefix of the enum.
pub fn name_of(reason: ErrorReason) -> &'static str {
    let name = reason.as_str_name();
    name.strip_prefix("ERROR_REASON_").unwrap_or(name)
}

/// Returns the code that goes with a reason.
pub fn code_of(reason: ErrorReason) -> Code {
    match reason {
        ErrorReason::Required
        | ErrorReason::Malformed
        | ErrorReason::TooLong
        | ErrorReason::OutOfRange
        | ErrorReason::UnknownValue
        | ErrorReason::Duplicate
        | ErrorReason::Conflict
        | ErrorReason::UnsafeDestination
        | ErrorReason::RedirectLoop
        | ErrorReason::Immutable
        | ErrorReason::UnknownField
        | ErrorReason::InvalidPageToken
        | ErrorReason::UnknownReference
        | ErrorReason::RequestIdReused
        | ErrorReason::InvalidStreamToken
        | ErrorReason::RuleContradictory
        | ErrorReason::RuleShadowed
        | ErrorReason::GoldenClickFailed => Code::InvalidArgument,
        ErrorReason::ShopNotFound
        | ErrorReason::ProgramNotFound
        | ErrorReason::PartnerNotFound
        | ErrorReason::LinkNotFound
        | ErrorReason::LinkExpired
        | ErrorReason::LinkPaused
        | ErrorReason::LinkNotStarted
        | ErrorReason::LinkDeleted
        | ErrorReason::ClickNotFound
        | ErrorReason::RevisionNotFound
        | ErrorReason::PublishNotFound => Code::NotFound,
        ErrorReason::AlreadyExists | ErrorReason::HostTaken => Code::AlreadyExists,
        ErrorReason::StaleEtag | ErrorReason::WriteConflict => Code::Aborted,
        ErrorReason::InUse
        | ErrorReason::DefaultLink
        | ErrorReason::Deleted
        | ErrorReason::NotDeleted
        | ErrorReason::SharedWithEveryone
        | ErrorReason::PublishPending
        | ErrorReason::PublishNotPending
        | ErrorReason::QueryTooBroad => Code::FailedPrecondition,
        ErrorReason::NoCredentials | ErrorReason::InvalidCredentials => Code::Unauthenticated,
        ErrorReason::PermissionDenied => Code::PermissionDenied,
        ErrorReason::IndexNotLoaded
        | ErrorReason::IndexBehind
        | ErrorReason::DatabaseUnavailable
        | ErrorReason::ClickLogFull
        | ErrorReason::ShuttingDown
        | ErrorReason::StreamTooOld
        | ErrorReason::SlowReader => Code::Unavailable,
        ErrorReason::StreamTokenExpired => Code::OutOfRange,
        ErrorReason::DeadlineExceeded => Code::DeadlineExceeded,
        ErrorReason::Overloaded => Code::ResourceExhausted,
        ErrorReason::Unimplemented => Code::Unimplemented,
        ErrorReason::Internal | ErrorReason::Unspecified => Code::Internal,
    }
}
