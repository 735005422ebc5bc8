//! The log is read: in the order of the ledger, within an entry in the order of the local log.
//!
//! Entries commit in the order of their positions, so whoever has read up to one has missed none before it. Click rows
//! are found by the batch and the times that their entry names.

use std::{collections::HashMap, pin::pin};

use futures_util::TryStreamExt;
use jiff::Timestamp;
use tokio_postgres::{
    Client, Row,
    types::{ToSql, Type},
};
use uuid::Uuid;

use super::{
    check::EntryKind,
    conversion_row,
    entry::{self, Entry, Erasure},
    filter::{CHOSEN, Chosen, ClickFilter, Value},
    row, sql_error,
};
use crate::{
    domain::{click::LoggedClick, click_id::ClickId, conversion::Credited, name::ShopId},
    store::{Store, errors::StoreError},
};

/// Clicks of a page at most, and how many numbers of an entry are looked at together.
const PAGE_CLICKS: i64 = 10_000;
/// Entries of the ledger that a page looks at.
const PAGE_ENTRIES: i64 = 1_000;

/// Where the ledger ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Changes when positions may have been taken back.
    pub epoch: Uuid,
    /// The last position.
    pub position: i64,
}

/// How far somebody has read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The last position that was read to its end.
    pub done: i64,
    /// The last number of the entry behind it that was read; 0 = none yet.
    pub within: i64,
}

impl Place {
    /// Stands behind an entry.
    pub fn behind(position: i64) -> Self {
        Self { done: position, within: 0 }
    }

    /// Tells whether everything up to a position was read.
    pub fn has_reached(self, position: i64) -> bool {
        self.done >= position
    }

    /// Tells whether there can be such a place in a ledger that ends at a position.
    pub fn is_in(self, position: i64) -> bool {
        self.done < position || (self.done == position && self.within == 0)
    }
}

/// What there is at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A click.
    Click(LoggedClick),
    /// A conversion.
    Conversion(Credited),
    /// Clicks were removed.
    Erasure(Erasure),
}

/// A piece of the log.
#[derive(Clone, Debug)]
pub struct Page {
    /// Where the ledger ended when this was read.
    pub head: Head,
    /// What was wanted, each with the place behind it.
    pub items: Vec<(Place, Item)>,
    /// The place behind everything that was looked at.
    pub reached: Place,
    /// How many names of closed lists were not known: a newer version wrote them.
    pub unknown_names: u64,
}

impl Store {
    /// Returns where the ledger ends.
    pub async fn click_head(&self) -> Result<Head, StoreError> {
        let statement = "SELECT epoch, position FROM clicks.head";
        let read = async |client: &mut Client| {
            let row = client.query_typed(statement, &[]).await.map_err(sql_error)?;
            let row = row.first().ok_or_else(|| StoreError::Other("clicks.head is empty".into()))?;
            Ok(Head { epoch: row.get(0), position: row.get(1) })
        };
        self.click_readers.read(read).await
    }

    /// Returns a click of a shop; `None` if it is not in the log.
    pub async fn click(&self, shop: &ShopId, id: ClickId) -> Result<Option<LoggedClick>, StoreError> {
        let statement = format!(
            "SELECT {columns} FROM clicks.click WHERE id = $1 AND shop = $2 AND at = $3 LIMIT 1",
            columns = row::COLUMNS
        );
        let read = async |client: &mut Client| {
            let values: [(&(dyn ToSql + Sync), Type); 3] =
                [(&id.uuid(), Type::UUID), (&shop.as_str(), Type::TEXT), (&id.time(), Type::TIMESTAMPTZ)];
            let found = client.query_typed(&statement, &values).await.map_err(sql_error)?;
            found.first().map(|found| row::read(found, &mut 0)).transpose()
        };
        self.click_readers.read(read).await
    }

    /// Returns the clicks behind a place, up to a position. A page may be empty and all the same reach further.
    pub async fn clicks_after(
        &self,
        place: Place,
        up_to: i64,
        filter: &ClickFilter,
    ) -> Result<Page, StoreError> {
        self.click_readers.read(async |client| read_page(client, place, up_to, filter).await).await
    }
}

async fn read_page(
    client: &Client,
    place: Place,
    up_to: i64,
    filter: &ClickFilter,
) -> Result<Page, StoreError> {
    // One statement sees one instant: an entry of another epoch is never seen under the old one.
    let statement = format!(
        "SELECT head.epoch, head.position, entry.* FROM clicks.head LEFT JOIN LATERAL (
            SELECT {columns} FROM clicks.ledger
            WHERE ledger.position > $1 AND ledger.position <= $2 ORDER BY ledger.position LIMIT $3
        ) AS entry ON true ORDER BY entry.position",
        columns = entry::COLUMNS
    );
    let values: [Value<'_>; 3] =
        [(&place.done, Type::INT8), (&up_to, Type::INT8), (&PAGE_ENTRIES, Type::INT8)];
    let rows = client.query_typed(&statement, &values).await.map_err(sql_error)?;
    let head = rows.first().ok_or_else(|| StoreError::Other("clicks.head is empty".into()))?;
    let head = Head { epoch: head.get(0), position: head.get(1) };
    let entries = rows.iter().filter_map(|row| Entry::read(row).transpose());
    let entries = entries.collect::<Result<Vec<_>, _>>()?;
    let Some(portion) = Portion::cut(&entries, place, filter) else {
        return Ok(Page { head, items: Vec::new(), reached: place, unknown_names: 0 });
    };
    let mut unknown_names = 0;
    let mut items = portion.clicks(client, filter, &mut unknown_names).await?;
    items.extend(portion.conversions(client, filter, &mut unknown_names).await?);
    items.extend(portion.erasures);
    items.sort_by_key(|(place, _)| *place);
    Ok(Page { head, items, reached: portion.reached, unknown_names })
}

/// The entries of a page: several whole ones, or a part of one.
struct Portion<'a> {
    wanted: Vec<&'a Entry>,
    erasures: Vec<(Place, Item)>,
    /// Of an entry that is read in parts: the numbers behind this and up to that.
    numbers: (i64, i64),
    reached: Place,
}

impl<'a> Portion<'a> {
    fn cut(entries: &'a [Entry], place: Place, filter: &ClickFilter) -> Option<Self> {
        let mut portion =
            Self { wanted: Vec::new(), erasures: Vec::new(), numbers: (0, i64::MAX), reached: place };
        let mut clicks = 0;
        for entry in entries {
            let behind = Place::behind(entry.position);
            if !entry.is_wanted(filter) {
                portion.reached = behind;
                continue;
            }
            if let Some(erasure) = &entry.erasure {
                portion.erasures.push((behind, Item::Erasure(erasure.clone())));
                portion.reached = behind;
                continue;
            }
            let is_begun = portion.reached.within > 0 && entry.position == place.done + 1;
            let after = if is_begun { portion.reached.within } else { entry.first - 1 };
            let width = entry.last - after;
            if !portion.wanted.is_empty() && clicks + width > PAGE_CLICKS {
                break;
            }
            portion.wanted.push(entry);
            clicks += width;
            if width > PAGE_CLICKS {
                portion.numbers = (after, after + PAGE_CLICKS);
                portion.reached.within = after + PAGE_CLICKS;
                break;
            }
            portion.reached = behind;
            if is_begun {
                portion.numbers.0 = after;
                break;
            }
        }
        (!entries.is_empty()).then_some(portion)
    }

    /// Returns the wanted entries of a kind, with their positions by batch.
    fn of(&self, kind: EntryKind) -> (Vec<&Entry>, HashMap<i64, i64>) {
        let wanted: Vec<&Entry> = self.wanted.iter().copied().filter(|entry| entry.kind == kind).collect();
        let positions = wanted.iter().map(|entry| (entry.batch, entry.position)).collect();
        (wanted, positions)
    }

    /// Reads the conversions.
    async fn conversions(
        &self,
        client: &Client,
        filter: &ClickFilter,
        unknown: &mut u64,
    ) -> Result<Vec<(Place, Item)>, StoreError> {
        let (wanted, positions) = self.of(EntryKind::Conversions);
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let batches: Vec<i64> = positions.keys().copied().collect();
        let chosen = Chosen::of(filter);
        let statement = format!(
            "SELECT {columns} FROM clicks.conversion WHERE batch = ANY($8) AND sequence > $9 AND sequence <= $10 {CHOSEN}",
            columns = conversion_row::columns()
        );
        let own: [Value<'_>; 3] =
            [(&batches, Type::INT8_ARRAY), (&self.numbers.0, Type::INT8), (&self.numbers.1, Type::INT8)];
        let mut rows = pin!(chosen.query(client, &statement, &own).await?);
        let mut items = Vec::new();
        while let Some(row) = rows.try_next().await.map_err(sql_error)? {
            let conversion = conversion_row::read(&row, unknown)?;
            items.push((place_of(&positions, &row, 0), Item::Conversion(conversion)));
        }
        Ok(items)
    }

    /// Reads the clicks.
    async fn clicks(
        &self,
        client: &Client,
        filter: &ClickFilter,
        unknown: &mut u64,
    ) -> Result<Vec<(Place, Item)>, StoreError> {
        let (wanted, positions) = self.of(EntryKind::Clicks);
        let times = wanted.iter().filter_map(|entry| entry.times);
        let (Some(earliest), Some(latest)) =
            (times.clone().map(|times| times.0).min(), times.map(|times| times.1).max())
        else {
            return Ok(Vec::new());
        };
        let batches: Vec<i64> = positions.keys().copied().collect();
        let (first, last) = (batches.iter().min(), batches.iter().max());
        let (lowest, highest) = (id_from(earliest), id_to(latest));
        let chosen = Chosen::of(filter);
        // Times and ids say the same: the times choose partitions, the ids find fresh rows by their index, the batches
        // find old ones by theirs.
        let statement = format!(
            "SELECT {columns} FROM clicks.click
             WHERE at BETWEEN $8 AND $9 AND id BETWEEN $10 AND $11 AND batch BETWEEN $12 AND $13 AND batch = ANY($14)
                 AND sequence > $15 AND sequence <= $16 {CHOSEN}",
            columns = row::COLUMNS
        );
        let own: [Value<'_>; 9] = [
            (&earliest, Type::TIMESTAMPTZ),
            (&latest, Type::TIMESTAMPTZ),
            (&lowest, Type::UUID),
            (&highest, Type::UUID),
            (&first, Type::INT8),
            (&last, Type::INT8),
            (&batches, Type::INT8_ARRAY),
            (&self.numbers.0, Type::INT8),
            (&self.numbers.1, Type::INT8),
        ];
        let mut rows = pin!(chosen.query(client, &statement, &own).await?);
        let mut items = Vec::new();
        while let Some(row) = rows.try_next().await.map_err(sql_error)? {
            items.push((place_of(&positions, &row, 1), Item::Click(row::read(&row, unknown)?)));
        }
        Ok(items)
    }
}

/// Returns the place behind a row whose batch and number stand from a column on.
fn place_of(positions: &HashMap<i64, i64>, row: &Row, column: usize) -> Place {
    let position = positions.get(&row.get(column)).copied().unwrap_or_default();
    Place { done: position - 1, within: row.get(column + 1) }
}

/// Returns the lowest id that a click of this time can have.
pub(super) fn id_from(at: Timestamp) -> Uuid {
    Uuid::from_u128(millis(at) << 80)
}

/// Returns the highest.
pub(super) fn id_to(at: Timestamp) -> Uuid {
    Uuid::from_u128(((millis(at) + 1) << 80) - 1)
}

fn millis(at: Timestamp) -> u128 {
    u128::try_from(at.as_millisecond()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::click_id::ClickId;

    #[test]
    fn ids_of_a_time_lie_between_the_lowest_and_the_highest() {
        for text in ["1970-01-01T00:00:00Z", "2026-06-01T12:00:00.123Z", "9999-12-30T00:00:00Z"] {
            let at: Timestamp = text.parse().unwrap();
            for random in [[0; 10], [0xff; 10]] {
                let id = ClickId::new(at, random).uuid();
                assert!((id_from(at)..=id_to(at)).contains(&id), "{id}");
            }
        }
    }

    fn entry(position: i64, first: i64, last: i64) -> Entry {
        let times = Some((Timestamp::MIN, Timestamp::MAX));
        Entry { kind: EntryKind::Clicks, position, batch: position * 7, first, last, times, erasure: None }
    }

    /// Cuts again and again; returns the positions and numbers of each portion.
    fn cuts(entries: &[Entry], mut place: Place) -> Vec<(Vec<i64>, (i64, i64))> {
        let mut cuts = Vec::new();
        loop {
            let left: Vec<Entry> = entries
                .iter()
                .filter(|entry| entry.position > place.done)
                .map(|entry| Entry { times: entry.times, erasure: None, ..*entry })
                .collect();
            let Some(portion) = Portion::cut(&left, place, &ClickFilter::default()) else { return cuts };
            assert!(portion.reached > place, "no progress at {place:?}");
            place = portion.reached;
            cuts.push((portion.wanted.iter().map(|entry| entry.position).collect(), portion.numbers));
        }
    }

    #[test]
    fn small_entries_are_read_together_and_great_ones_in_parts() {
        let entries = [entry(1, 1, 4_000), entry(2, 4_001, 8_000), entry(3, 1, 25_000), entry(4, 9, 9)];
        let all = (0, i64::MAX);
        let expected = vec![
            (vec![1, 2], all),
            (vec![3], (0, 10_000)),
            (vec![3], (10_000, 20_000)),
            (vec![3], (20_000, i64::MAX)),
            (vec![4], all),
        ];
        assert_eq!(cuts(&entries, Place::default()), expected);
        // From the middle of an entry on.
        let middle = cuts(&entries, Place { done: 0, within: 3_999 });
        assert_eq!(middle[0], (vec![1], (3_999, i64::MAX)));
        assert_eq!(middle[1], (vec![2], all));
        // A place behind the last click of an entry, but not behind the entry.
        assert_eq!(cuts(&entries, Place { done: 3, within: 9 })[0], (vec![4], (9, i64::MAX)));
    }

    #[test]
    fn entries_without_clicks_are_passed() {
        let entries = [Entry { times: None, ..entry(1, 0, 0) }, Entry { times: None, ..entry(2, 5, 4) }];
        assert_eq!(cuts(&entries, Place::default()), [(vec![], (0, i64::MAX))]);
    }
}
