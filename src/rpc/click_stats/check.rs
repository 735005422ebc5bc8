//! `CheckLedger`: compares the log of clicks with its ledger.

use super::{ClickStatsService, filter};
use crate::{
    domain::fault::Faults,
    proto::{self, CheckLedgerRequest, CheckLedgerResponse, ErrorReason},
    rpc::{
        caller::{Caller, Scope},
        convert::choice::Choice,
        status::Failure,
    },
    store::{
        StoreError,
        clicks::{Audit, Difference, LedgerCheck, Sum},
    },
};

/// Checks what was committed in a time, or everything.
pub(super) async fn check(
    service: &ClickStatsService,
    caller: Caller,
    request: CheckLedgerRequest,
) -> Result<CheckLedgerResponse, Failure> {
    let mut faults = Faults::new();
    let times = filter::times(request.start_time.as_ref(), request.end_time.as_ref(), &mut faults);
    let (start, end) = faults.finish(times)?;
    caller.may(Scope::Stats, None)?;
    // Nobody closes the semaphore.
    let _permit = service.checks.acquire().await.map_err(|error| Failure::internal(&error))?;
    Ok(write(service.store.check_ledger(start, end).await.map_err(too_broad)?))
}

/// Says what to do if there is too much to look at.
fn too_broad(error: StoreError) -> Failure {
    match error {
        StoreError::TooSlow(_) => {
            let text = "there is more to count than a statement may take time for; check a shorter time, by \
                `start_time` and `end_time`";
            Failure::new(ErrorReason::QueryTooBroad, text)
        }
        StoreError::Unavailable(_)
        | StoreError::Conflict(_)
        | StoreError::Corrupt { .. }
        | StoreError::Other(_) => error.into(),
    }
}

fn write(audit: Audit) -> CheckLedgerResponse {
    CheckLedgerResponse {
        consistent: audit.differences.is_empty(),
        differences: audit.differences.iter().map(difference).collect(),
        first_position: audit.first,
        last_position: audit.last,
        sums: audit.sums.into_iter().map(sum).collect(),
        present: audit.present,
        present_conversions: audit.present_conversions,
    }
}

fn sum(sum: Sum) -> proto::LedgerSum {
    let Sum { kind, entries, delivered, applied, duplicates, rejected, lost, removed, removed_conversions } =
        sum;
    proto::LedgerSum {
        kind: kind.number(),
        entries,
        delivered,
        applied,
        duplicates,
        rejected,
        lost,
        removed,
        removed_conversions,
    }
}

fn difference(difference: &Difference) -> proto::LedgerDifference {
    let Difference { check, position, expected, found } = *difference;
    let (check, text) = match check {
        LedgerCheck::Positions => (
            proto::LedgerCheck::Positions,
            format!("behind position {position} the next should be {expected} and is {found}"),
        ),
        LedgerCheck::Sequences => (
            proto::LedgerCheck::Sequences,
            format!("the local log of position {position} should be at {expected} and is at {found}"),
        ),
        LedgerCheck::Clicks => (
            proto::LedgerCheck::Clicks,
            format!("position {position} added {expected} clicks, of which there are {found}"),
        ),
        LedgerCheck::ForeignClicks => (
            proto::LedgerCheck::ForeignClicks,
            format!("{found} clicks are there of one batch that no entry added"),
        ),
        LedgerCheck::Rejected => (
            proto::LedgerCheck::Rejected,
            format!("position {position} put {expected} clicks aside, of which there are {found}"),
        ),
        LedgerCheck::Conversions if position == 0 => (
            proto::LedgerCheck::Conversions,
            format!("{expected} conversions were added and not removed, and {found} are there"),
        ),
        LedgerCheck::Conversions => (
            proto::LedgerCheck::Conversions,
            format!("position {position} added {expected} conversions, of which there are {found}"),
        ),
        LedgerCheck::Total => (
            proto::LedgerCheck::Total,
            format!("{expected} clicks were added and not removed, and {found} are there"),
        ),
    };
    proto::LedgerDifference { check: check.into(), position, expected, found, text }
}
