//! The ledger and the log are compared: what was added and not removed is there, and nothing else.

use jiff::{Timestamp, civil::Date};
use tokio_postgres::{
    Client, IsolationLevel, Row, Transaction,
    types::{ToSql, Type},
};

use super::{days, gone, sql_error};
use crate::{
    domain::{limits, named::named_enum},
    store::{Store, errors::StoreError},
};

named_enum! {
    /// Says what an entry of the ledger did.
    pub enum EntryKind: "kind of entry" {
        /// Added clicks.
        Clicks = "clicks",
        /// Added conversions.
        Conversions = "conversions",
        /// Removed what someone asked to have removed.
        Erasure = "erasure",
        /// Removed what was too old.
        Expiry = "expiry",
    }
}

/// Statements of one check.
const STATEMENTS: u32 = 12;

/// What the ledger is checked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerCheck {
    /// Positions have no gaps.
    Positions,
    /// The numbers of each local log have no gaps but those that are lost.
    Sequences,
    /// What an entry added is there.
    Clicks,
    /// What is there was added.
    ForeignClicks,
    /// What was put aside is there.
    Rejected,
    /// Added - removed = there.
    Total,
    /// The same of conversions, entry by entry and in all.
    Conversions,
}

/// Two numbers that should be the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What found it.
    pub check: LedgerCheck,
    /// The entry that it is about; 0 = no single one.
    pub position: i64,
    /// What the ledger says.
    pub expected: i64,
    /// What there is.
    pub found: i64,
}

/// What entries of one kind say together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum {
    /// The kind.
    pub kind: EntryKind,
    /// How many there are.
    pub entries: i64,
    /// How many rows there were to add.
    pub delivered: i64,
    /// How many were added.
    pub applied: i64,
    /// How many were there already.
    pub duplicates: i64,
    /// How many were put aside.
    pub rejected: i64,
    /// How many numbers of local logs could not be read.
    pub lost: i64,
    /// How many clicks were removed.
    pub removed: i64,
    /// How many conversions were removed.
    pub removed_conversions: i64,
}

/// What ledger and log hold of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// The first position that was looked at; 0 if none.
    pub first: i64,
    /// The last.
    pub last: i64,
    /// What the entries say.
    pub sums: Vec<Sum>,
    /// How many clicks of them are there.
    pub present: i64,
    /// How many conversions of them are there.
    pub present_conversions: i64,
    /// What does not fit, bounded.
    pub differences: Vec<Difference>,
}

impl Store {
    /// Compares what was committed from a time on and before another, or everything, in one instant.
    pub async fn check_ledger(
        &self,
        start: Option<Timestamp>,
        end: Option<Timestamp>,
    ) -> Result<Audit, StoreError> {
        let work = async |client: &mut Client| {
            let transaction = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
            let transaction = transaction.read_only(true).start().await.map_err(sql_error)?;
            let whole = start.is_none() && end.is_none();
            let audit = Auditor { transaction: &transaction, whole, audit: Audit::default() };
            audit.run(start, end).await
        };
        self.click_readers.read_much(STATEMENTS, work).await
    }
}

/// A value with its type.
type Value<'a> = (&'a (dyn ToSql + Sync), Type);

/// Checks in a transaction that sees one instant.
struct Auditor<'a> {
    transaction: &'a Transaction<'a>,
    whole: bool,
    audit: Audit,
}

impl Auditor<'_> {
    async fn query(&self, statement: &str, values: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
        self.transaction.query_typed(statement, values).await.map_err(sql_error)
    }

    async fn run(mut self, start: Option<Timestamp>, end: Option<Timestamp>) -> Result<Audit, StoreError> {
        let range = "SELECT coalesce(min(ledger.position), 0), coalesce(max(ledger.position), 0),
                (SELECT position FROM clicks.head)
            FROM clicks.ledger
            WHERE ($1::timestamptz IS NULL OR at >= $1) AND ($2::timestamptz IS NULL OR at < $2)";
        let values: [Value<'_>; 2] = [(&start, Type::TIMESTAMPTZ), (&end, Type::TIMESTAMPTZ)];
        let rows = self.query(range, &values).await?;
        let row = rows.first().ok_or_else(|| StoreError::Other("a sum has no row".into()))?;
        (self.audit.first, self.audit.last) = (row.get(0), row.get(1));
        // The newest entry of all is followed by none.
        let head: Option<i64> = row.get(2);
        let next = if self.whole { head.unwrap_or_default() + 1 } else { self.audit.last + 1 };
        self.audit.sums = self.sums().await?;
        self.positions(next).await?;
        self.sequences().await?;
        self.clicks().await?;
        self.rejected().await?;
        self.conversions().await?;
        if self.whole {
            self.total();
        }
        self.audit.differences.truncate(limits::LEDGER_DIFFERENCES);
        Ok(self.audit)
    }

    fn found(&mut self, check: LedgerCheck, position: i64, expected: i64, found: i64) {
        self.audit.differences.push(Difference { check, position, expected, found });
    }

    /// Takes over rows of position, expected and found number.
    fn found_all(&mut self, check: LedgerCheck, rows: &[Row]) {
        for row in rows {
            self.found(check, row.get(0), row.get(1), row.get(2));
        }
    }

    /// Queries between the first and the last position.
    async fn query_range(&self, statement: &str) -> Result<Vec<Row>, StoreError> {
        let most = i64::try_from(limits::LEDGER_DIFFERENCES).unwrap_or(i64::MAX);
        let Audit { first, last, .. } = &self.audit;
        self.query(statement, &[(first, Type::INT8), (last, Type::INT8), (&most, Type::INT8)]).await
    }

    async fn sums(&self) -> Result<Vec<Sum>, StoreError> {
        let statement = "SELECT kind, count(*), sum(delivered)::bigint, sum(applied)::bigint,
                sum(duplicates)::bigint, sum(rejected)::bigint, sum(lost)::bigint, sum(removed)::bigint,
                sum(removed_conversions)::bigint
            FROM clicks.ledger WHERE position BETWEEN $1 AND $2 GROUP BY kind ORDER BY kind LIMIT $3";
        let sum = |row: &Row| {
            let kind = row.get::<_, &str>(0).parse();
            let kind = kind.map_err(|error: crate::domain::named::UnknownName| StoreError::Corrupt {
                object: "ledger".to_owned(),
                cause: error.into(),
            })?;
            Ok(Sum {
                kind,
                entries: row.get(1),
                delivered: row.get(2),
                applied: row.get(3),
                duplicates: row.get(4),
                rejected: row.get(5),
                lost: row.get(6),
                removed: row.get(7),
                removed_conversions: row.get(8),
            })
        };
        self.query_range(statement).await?.iter().map(sum).collect()
    }

    async fn positions(&mut self, next: i64) -> Result<(), StoreError> {
        let begins = if self.audit.first == 0 { next } else { self.audit.first };
        if self.whole && begins != 1 {
            self.found(LedgerCheck::Positions, 0, 1, begins);
        }
        let statement = "SELECT position, position + 1, next FROM (
                SELECT position, lead(position, 1, $4) OVER (ORDER BY position) AS next
                FROM clicks.ledger WHERE position BETWEEN $1 AND $2
            ) AS entry WHERE next <> position + 1 ORDER BY position LIMIT $3";
        let most = i64::try_from(limits::LEDGER_DIFFERENCES).unwrap_or(i64::MAX);
        let (first, last) = (self.audit.first, self.audit.last);
        let values: [Value<'_>; 4] =
            [(&first, Type::INT8), (&last, Type::INT8), (&most, Type::INT8), (&next, Type::INT8)];
        let rows = self.query(statement, &values).await?;
        self.found_all(LedgerCheck::Positions, &rows);
        Ok(())
    }

    async fn sequences(&mut self) -> Result<(), StoreError> {
        let statement = "SELECT position, expected, first_sequence FROM (
                SELECT position, first_sequence, lag(last_sequence) OVER log + 1 + lost AS expected
                FROM clicks.ledger WHERE position BETWEEN $1 AND $2 AND kind = 'clicks'
                WINDOW log AS (PARTITION BY source ORDER BY position)
            ) AS entry WHERE expected <> first_sequence ORDER BY position LIMIT $3";
        let rows = self.query_range(statement).await?;
        self.found_all(LedgerCheck::Sequences, &rows);
        if self.whole {
            let statement = "SELECT entry.position, last_sequence, sequence FROM clicks.progress JOIN (
                    SELECT DISTINCT ON (source) source, position, last_sequence
                    FROM clicks.ledger WHERE position BETWEEN $1 AND $2 AND kind = 'clicks'
                    ORDER BY source, position DESC
                ) AS entry USING (source) WHERE sequence <> last_sequence ORDER BY 1 LIMIT $3";
            let rows = self.query_range(statement).await?;
            self.found_all(LedgerCheck::Sequences, &rows);
        }
        Ok(())
    }

    /// Counts the clicks of every entry. An entry of whose time something was removed may have fewer than it added.
    async fn clicks(&mut self) -> Result<(), StoreError> {
        let bounds = "SELECT min(batch), max(batch), min(min_at), max(max_at) FROM clicks.ledger
            WHERE position BETWEEN $1 AND $2 AND kind = 'clicks' LIMIT $3";
        let rows = self.query_range(bounds).await?;
        let row = rows.first().ok_or_else(|| StoreError::Other("a sum has no row".into()))?;
        let mut batches: (Option<i64>, Option<i64>) = (row.get(0), row.get(1));
        let mut times: (Option<Timestamp>, Option<Timestamp>) = (row.get(2), row.get(3));
        if self.whole {
            (batches, times) = ((None, None), (None, None));
        } else if times.0.is_none() {
            return Ok(());
        }
        // A day that is being removed is still there as long as the ledger does not say otherwise.
        let put_away = days::put_away(self.transaction, &(Date::MIN..=Date::MAX)).await?;
        let log = days::with(&put_away);
        let statement = format!(
            "WITH entry AS (
                SELECT position, batch, applied::bigint AS applied, tstzrange(min_at, max_at, '[]') AS times
                FROM clicks.ledger WHERE position BETWEEN $1 AND $2 AND kind = 'clicks'
            ), removed AS (
                SELECT coalesce(range_agg(tstzrange(
                    coalesce(min_at, (scope ->> 'day')::date::timestamp AT TIME ZONE 'UTC'),
                    coalesce(max_at, ((scope ->> 'day')::date + 1)::timestamp AT TIME ZONE 'UTC'), '[]'
                )), '{{}}') AS times
                FROM clicks.ledger WHERE kind IN ('erasure', 'expiry') AND removed > 0
            ), there AS (
                SELECT batch, count(*) AS clicks FROM {log}
                WHERE ($4::bigint IS NULL OR batch >= $4) AND ($5::bigint IS NULL OR batch <= $5)
                    AND ($6::timestamptz IS NULL OR at >= $6) AND ($7::timestamptz IS NULL OR at <= $7)
                GROUP BY batch
            ), compared AS MATERIALIZED (
                SELECT position, batch, applied, coalesce(clicks, 0) AS clicks, entry.times
                FROM entry FULL JOIN there USING (batch)
            ), wrong AS (
                SELECT position, applied, clicks FROM compared, removed
                WHERE CASE
                    WHEN position IS NULL
                        THEN NOT EXISTS (SELECT FROM clicks.ledger WHERE ledger.batch = compared.batch)
                    WHEN clicks < applied THEN NOT compared.times && removed.times
                    ELSE clicks > applied
                END
                ORDER BY position LIMIT $3
            )
            SELECT NULL::bigint, NULL::bigint,
                coalesce(sum(clicks) FILTER (WHERE position IS NOT NULL OR $8), 0)::bigint FROM compared
            UNION ALL
            SELECT coalesce(position, 0), coalesce(applied, 0), clicks FROM wrong"
        );
        let most = i64::try_from(limits::LEDGER_DIFFERENCES).unwrap_or(i64::MAX);
        let values: [Value<'_>; 8] = [
            (&self.audit.first, Type::INT8),
            (&self.audit.last, Type::INT8),
            (&most, Type::INT8),
            (&batches.0, Type::INT8),
            (&batches.1, Type::INT8),
            (&times.0, Type::TIMESTAMPTZ),
            (&times.1, Type::TIMESTAMPTZ),
            (&self.whole, Type::BOOL),
        ];
        let rows = self.transaction.query_typed(&statement, &values).await.map_err(gone)?;
        for row in rows {
            match row.get::<_, Option<i64>>(0) {
                None => self.audit.present = row.get(2),
                Some(0) => self.found(LedgerCheck::ForeignClicks, 0, row.get(1), row.get(2)),
                Some(position) => self.found(LedgerCheck::Clicks, position, row.get(1), row.get(2)),
            }
        }
        Ok(())
    }

    async fn rejected(&mut self) -> Result<(), StoreError> {
        let statement = "SELECT position, rejected, aside FROM (
                SELECT position, rejected::bigint AS rejected,
                    (SELECT count(*) FROM clicks.rejected AS one WHERE one.batch = ledger.batch) AS aside
                FROM clicks.ledger WHERE position BETWEEN $1 AND $2 AND rejected > 0
            ) AS entry WHERE rejected <> aside ORDER BY position LIMIT $3";
        let rows = self.query_range(statement).await?;
        self.found_all(LedgerCheck::Rejected, &rows);
        Ok(())
    }

    /// Counts the conversions of every entry. There may be fewer than it added once all of a shop was erased.
    async fn conversions(&mut self) -> Result<(), StoreError> {
        let entries = "SELECT position, applied::bigint,
                (SELECT count(*) FROM clicks.conversion WHERE conversion.batch = ledger.batch) AS there
            FROM clicks.ledger WHERE position BETWEEN $1 AND $2 AND kind = 'conversions'";
        let present = format!("SELECT coalesce(sum(there), 0)::bigint FROM ({entries}) AS entry LIMIT $3");
        let rows = self.query_range(&present).await?;
        self.audit.present_conversions = rows.first().map_or(0, |row| row.get(0));
        let wrong = format!(
            "SELECT position, applied, there FROM ({entries}) AS entry
             WHERE there > applied OR there < applied
                AND NOT EXISTS (SELECT FROM clicks.ledger WHERE removed_conversions > 0)
             ORDER BY position LIMIT $3"
        );
        let rows = self.query_range(&wrong).await?;
        self.found_all(LedgerCheck::Conversions, &rows);
        if self.whole {
            let added = |sum: &Sum| match sum.kind {
                EntryKind::Conversions => sum.applied,
                EntryKind::Erasure => -sum.removed_conversions,
                EntryKind::Clicks | EntryKind::Expiry => 0,
            };
            let expected = self.audit.sums.iter().map(added).sum();
            let there = self.query("SELECT count(*) FROM clicks.conversion", &[]).await?;
            let there: i64 = there.first().map_or(0, |row| row.get(0));
            if there != expected {
                self.found(LedgerCheck::Conversions, 0, expected, there);
            }
        }
        Ok(())
    }

    fn total(&mut self) {
        let left = |sum: &Sum| match sum.kind {
            EntryKind::Clicks => sum.applied,
            EntryKind::Erasure | EntryKind::Expiry => -sum.removed,
            EntryKind::Conversions => 0,
        };
        let expected = self.audit.sums.iter().map(left).sum();
        if expected != self.audit.present {
            self.found(LedgerCheck::Total, 0, expected, self.audit.present);
        }
    }
}
