//! An entry of the ledger, as whoever reads the log looks at it.

use jiff::Timestamp;
use tokio_postgres::Row;

use super::{check::EntryKind, filter::ClickFilter};
use crate::{
    domain::{
        erasure::{ErasureScope, FORGOTTEN_VISITOR, read_day, read_visitor},
        name::ShopId,
    },
    store::errors::{Cause, StoreError},
};

/// The columns of an entry, in the order in which they are read, behind epoch and position of the head.
pub(super) const COLUMNS: &str = "position, batch, first_sequence, last_sequence, min_at, max_at, kind,
    scope ->> 'shop', scope ->> 'partner', scope ->> 'day', scope ->> 'visitor', removed, removed_conversions";

/// What an erasure removed, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// The shop.
    pub shop: ShopId,
    /// Which of its clicks; none if they were of a visitor whose key is forgotten meanwhile.
    pub scope: Option<ErasureScope>,
    /// How many clicks.
    pub clicks: i64,
    /// How many conversions.
    pub conversions: i64,
}

/// An entry of the ledger, as far as it matters here.
pub(super) struct Entry {
    pub(super) kind: EntryKind,
    pub(super) position: i64,
    pub(super) batch: i64,
    pub(super) first: i64,
    pub(super) last: i64,
    /// The times of its clicks; `None` if it added none.
    pub(super) times: Option<(Timestamp, Timestamp)>,
    /// What it removed, if someone asked.
    pub(super) erasure: Option<Erasure>,
}

impl Entry {
    /// Reads an entry; `None` if there is none.
    pub(super) fn read(row: &Row) -> Result<Option<Self>, StoreError> {
        let Some(position) = row.get::<_, Option<i64>>(2) else { return Ok(None) };
        let corrupt =
            |cause| StoreError::Corrupt { object: format!("position {position} of the ledger"), cause };
        Self::parse(row, position).map(Some).map_err(corrupt)
    }

    fn parse(row: &Row, position: i64) -> Result<Self, Cause> {
        let times: (Option<Timestamp>, Option<Timestamp>) = (row.try_get(6)?, row.try_get(7)?);
        let kind = row.try_get::<_, &str>(8)?.parse()?;
        Ok(Self {
            kind,
            position,
            batch: row.try_get(3)?,
            first: row.try_get::<_, Option<i64>>(4)?.unwrap_or_default(),
            last: row.try_get::<_, Option<i64>>(5)?.unwrap_or_default(),
            times: times.0.zip(times.1),
            erasure: match kind {
                EntryKind::Erasure => Some(read_erasure(row)?),
                EntryKind::Clicks | EntryKind::Conversions | EntryKind::Expiry => None,
            },
        })
    }

    /// Tells whether some of what it added or removed may be wanted.
    pub(super) fn is_wanted(&self, filter: &ClickFilter) -> bool {
        let in_time = self.times.is_some_and(|(earliest, latest)| {
            filter.start.is_none_or(|start| start <= latest) && filter.end.is_none_or(|end| earliest < end)
        });
        match self.kind {
            EntryKind::Clicks => in_time,
            EntryKind::Conversions => in_time && filter.conversions,
            EntryKind::Erasure => self
                .erasure
                .as_ref()
                .is_some_and(|erasure| filter.shop.as_ref().is_none_or(|shop| *shop == erasure.shop)),
            EntryKind::Expiry => false,
        }
    }
}

fn read_erasure(row: &Row) -> Result<Erasure, Cause> {
    let text = |column: usize| row.try_get::<_, Option<String>>(column);
    let scope = match (text(10)?, text(11)?, text(12)?) {
        (Some(partner), ..) => Some(ErasureScope::Partner(partner.try_into()?)),
        (None, Some(day), _) => Some(ErasureScope::Day(read_day(&day)?)),
        (None, None, Some(visitor)) => {
            let key = read_visitor(&visitor)?;
            (key != FORGOTTEN_VISITOR).then_some(ErasureScope::Visitor(key))
        }
        (None, None, None) => Some(ErasureScope::Everything),
    };
    let shop = text(9)?.ok_or("it names no shop")?.try_into()?;
    Ok(Erasure { shop, scope, clicks: row.try_get(13)?, conversions: row.try_get(14)? })
}
