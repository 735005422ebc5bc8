//! The log of clicks: batches go in once, whatever crashes, in the order of the ledger.
//!
//! Its rows come and go by COPY, which diesel does not know: here is plain tokio-postgres.

mod check;
mod conversion_row;
mod conversions;
mod copy;
mod counters;
mod counts;
mod days;
mod entry;
mod erase;
mod filter;
mod ingest;
mod inspect;
mod ledger;
mod read;
mod readers;
mod retention;
mod roll;
mod rollups;
mod row;
mod session;
mod shop_retention;
mod uncount;
mod waiting;

pub use check::{Audit, Difference, EntryKind, LedgerCheck, Sum};
pub use conversions::Recording;
pub use counters::{CounterReader, CountersOf, CountersRead};
pub use days::Days;
pub(super) use days::WHOLE;
pub use entry::Erasure;
pub use erase::{Erased, Eraser};
pub use filter::ClickFilter;
pub use ingest::{Delivery, Frame, Ingested, Ingestor, NotIngested};
pub use inspect::Standing;
pub use read::{Head, Item, Page, Place};
pub(super) use readers::Readers;
pub use retention::DaysKept;
pub use roll::{Behind, Rolled, Rollups};
pub(super) use rollups::{column, nullable_column};
pub use shop_retention::ShopExpiry;

use tokio_postgres::{Error, error::SqlState};

use super::errors::StoreError;

/// Says what an error of a statement means to the caller.
fn sql_error(error: Error) -> StoreError {
    let Some(state) = error.code() else {
        // Nothing that the database said: the connection, or a value of ours that did not fit.
        return if error.is_closed()
            || std::error::Error::source(&error).is_some_and(|cause| cause.is::<std::io::Error>())
        {
            StoreError::Unavailable(error.into())
        } else {
            StoreError::Other(error.into())
        };
    };
    // Appendix A of PostgreSQL's manual: the first two signs are the class.
    match &state.code()[..2] {
        // Whoever has the right to may cancel as well; for who asked it is the same.
        "57" if *state == SqlState::QUERY_CANCELED => StoreError::TooSlow(error.into()),
        "08" | "53" | "57" | "58" => StoreError::Unavailable(error.into()),
        "40" => StoreError::Conflict(error.into()),
        "55" if *state == SqlState::LOCK_NOT_AVAILABLE => StoreError::Unavailable(error.into()),
        "25" if *state == SqlState::READ_ONLY_SQL_TRANSACTION => StoreError::Unavailable(error.into()),
        _ => StoreError::Other(error.into()),
    }
}

/// Says what it means that a day was dropped between the statement that named it and the one that reads it.
fn gone(error: Error) -> StoreError {
    match error.code() {
        Some(&SqlState::UNDEFINED_TABLE) => StoreError::Conflict(error.into()),
        Some(_) | None => sql_error(error),
    }
}
