//! Clicks are erased: in pieces, each of which is one transaction with its entry in the ledger and with the mark that its
//! day has to be counted anew. Whatever stops it, what is done is done and proved, and who asks again goes on.

use std::collections::{BTreeSet, VecDeque};

use jiff::{Timestamp, ToSpan, civil::Date};
use tokio_postgres::{Row, Transaction, types::ToSql};
use uuid::Uuid;

use super::{
    conversions, days,
    ledger::{self, ErasureEntry},
    roll::Rollups,
    rollups, shop_retention, sql_error, uncount,
};
use crate::{
    domain::{erasure::ErasureScope, name::ShopId},
    store::{Store, errors::StoreError},
};

/// Clicks that are erased in one transaction.
const CLICKS_AT_ONCE: i64 = 20_000;
/// Conversions that are removed or made nameless in one transaction.
const CONVERSIONS_AT_ONCE: i64 = 10_000;

/// What was erased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Clicks that were removed.
    pub clicks: i64,
    /// Conversions that were removed.
    pub conversions: i64,
    /// Clicks and conversions that had been put aside, and of which nothing is left.
    pub rejected: i64,
    /// Conversions that stay without what told one visitor, or the partner, from another.
    pub nameless: i64,
    /// The last entry of the ledger; 0 if there was nothing to erase.
    pub position: i64,
}

impl Erased {
    fn add(&mut self, other: Self) {
        self.clicks += other.clicks;
        self.conversions += other.conversions;
        self.nameless += other.nameless;
        self.rejected += other.rejected;
        self.position = self.position.max(other.position);
    }
}

/// Erases clicks over a connection of its own. May be dropped at any time.
pub struct Eraser {
    rollups: Rollups,
    shop: ShopId,
    scope: ErasureScope,
    step: Step,
    /// Up to which position counters that begin anew know of nothing.
    anew: i64,
}

/// What comes next.
enum Step {
    /// The counters that rules look at and that tell of nothing but what is erased.
    Counters,
    /// The clicks of these days.
    Clicks(VecDeque<Date>),
    /// What is counted of these days, which the log does not have any more, or not all of.
    Counted(VecDeque<Date>),
    /// What had been put aside.
    Rejected,
    Conversions,
    /// What is counted of the days of the log.
    Recount,
    Done,
}

impl Store {
    /// Erases clicks of a shop, what is counted of them, and of their conversions what tells of a visitor or, if all of a
    /// partner or shop is erased, of that.
    pub async fn erase_clicks(&self, shop: &ShopId, scope: &ErasureScope) -> Result<Erased, StoreError> {
        let mut eraser = self.eraser(shop, scope).await?;
        let mut sum = Erased::default();
        while let Some(erased) = eraser.step(CLICKS_AT_ONCE).await? {
            sum.add(erased);
        }
        Ok(sum)
    }

    /// Connects for an erasure.
    pub async fn eraser(&self, shop: &ShopId, scope: &ErasureScope) -> Result<Eraser, StoreError> {
        let rollups = self.rollups().await?;
        shop_retention::hold(&rollups.client, shop).await?;
        let (shop, scope) = (shop.clone(), scope.clone());
        Ok(Eraser { rollups, shop, scope, step: Step::Counters, anew: 0 })
    }
}

impl Eraser {
    /// Does the next piece, of no more clicks than `most`; `None` if there is none.
    pub async fn step(&mut self, most: i64) -> Result<Option<Erased>, StoreError> {
        let (shop, scope) = (self.shop.as_str(), &self.scope);
        let client = &mut self.rollups.client;
        let erased = match &mut self.step {
            Step::Counters => {
                let transaction = client.transaction().await.map_err(sql_error)?;
                self.anew = uncount::begin_anew(&transaction, shop, scope).await?;
                transaction.commit().await.map_err(sql_error)?;
                let is_meant = |day: &Date| !matches!(scope, ErasureScope::Day(meant) if meant != day);
                self.step = Step::Clicks(days::open(client).await?.into_iter().filter(is_meant).collect());
                Erased::default()
            }
            Step::Clicks(days) => {
                let transaction = client.transaction().await.map_err(sql_error)?;
                let Some(day) = days.front().copied() else {
                    // After the clicks: what is counted of late ones goes with the rest of their day.
                    let counted = counted_for_ever(&transaction, shop, scope).await?;
                    drop(transaction);
                    self.step = Step::Counted(counted);
                    return Ok(Some(Erased::default()));
                };
                let erased = erase_clicks(&transaction, shop, scope, day, most, self.anew).await?;
                transaction.commit().await.map_err(sql_error)?;
                if erased.clicks < most {
                    days.pop_front();
                }
                erased
            }
            Step::Counted(days) => {
                let Some(day) = days.pop_front() else {
                    self.step = Step::Rejected;
                    return Ok(Some(Erased::default()));
                };
                let transaction = client.transaction().await.map_err(sql_error)?;
                forget_counted(&transaction, shop, scope, day).await?;
                transaction.commit().await.map_err(sql_error)?;
                Erased::default()
            }
            Step::Rejected => {
                let transaction = client.transaction().await.map_err(sql_error)?;
                let rejected = erase_rejected(&transaction, shop, scope).await?;
                transaction.commit().await.map_err(sql_error)?;
                if rejected < CONVERSIONS_AT_ONCE {
                    self.step = Step::Conversions;
                }
                Erased { rejected, ..Erased::default() }
            }
            Step::Conversions => {
                let transaction = client.transaction().await.map_err(sql_error)?;
                let erased = erase_conversions(&transaction, shop, scope).await?;
                transaction.commit().await.map_err(sql_error)?;
                if erased.conversions + erased.nameless < CONVERSIONS_AT_ONCE {
                    self.step = Step::Recount;
                }
                erased
            }
            Step::Recount => {
                if !self.rollups.reroll_next(Some(&self.shop)).await? {
                    self.step = Step::Done;
                }
                Erased::default()
            }
            Step::Done => return Ok(None),
        };
        Ok(Some(erased))
    }
}

/// Returns the days of which something is counted that cannot be counted anew, because not all of their clicks are in the
/// log.
async fn counted_for_ever(
    transaction: &Transaction<'_>,
    shop: &str,
    scope: &ErasureScope,
) -> Result<VecDeque<Date>, StoreError> {
    let counted = "SELECT DISTINCT (at AT TIME ZONE 'UTC')::date FROM clicks.stats_shop_quarter
        WHERE shop = $1 ORDER BY 1";
    let rows = transaction.query(counted, &[&shop]).await.map_err(sql_error)?;
    let whole = days::whole(transaction, shop).await?;
    let is_meant =
        |day: &Date| !whole.contains(day) && !matches!(scope, ErasureScope::Day(meant) if meant != day);
    Ok(rows.iter().map(|row| row.get(0)).filter(is_meant).collect())
}

/// Removes what is counted of a day, as far as it tells of what is erased.
async fn forget_counted(
    transaction: &Transaction<'_>,
    shop: &str,
    scope: &ErasureScope,
    day: Date,
) -> Result<(), StoreError> {
    // Whoever counts waits, and adds to nothing that is removed meanwhile.
    uncount::stop_counting(transaction).await?;
    let remove = async |table: &str, condition: &str, value: &(dyn ToSql + Sync)| {
        let statement =
            format!("DELETE FROM clicks.{table} WHERE shop = $1 AND day = '{day}' AND {condition}");
        transaction.execute(&statement, &[&shop, value]).await.map_err(sql_error)
    };
    match scope {
        ErasureScope::Partner(code) => {
            for table in ["stats_partner_day", "stats_link_partner_day", "stats_visitors_day", "visitor_day"]
            {
                remove(table, "partner = $2", &code.as_str()).await?;
            }
        }
        ErasureScope::Visitor(key) => {
            remove("visitor_day", "visitor = $2", &&key[..]).await?;
        }
        ErasureScope::Day(_) | ErasureScope::Everything => {
            rollups::remove(transaction, shop, &day.to_string()).await?;
        }
    }
    Ok(())
}

/// Erases clicks of a day, and what conversions hold of them that tells of a visitor.
async fn erase_clicks(
    transaction: &Transaction<'_>,
    shop: &str,
    scope: &ErasureScope,
    day: Date,
    most: i64,
    anew: i64,
) -> Result<Erased, StoreError> {
    conversions::lock(transaction, shop).await?;
    let next = day.saturating_add(1.day());
    let of_day = format!("at >= '{day} 00:00:00+00' AND at < '{next} 00:00:00+00'");
    let delete = |chosen: &str| {
        format!(
            "DELETE FROM clicks.click WHERE {of_day} AND ctid = ANY (ARRAY(
                SELECT ctid FROM clicks.click WHERE {of_day} AND shop = $1 {chosen} LIMIT $2))
             RETURNING id, at, batch, slug, partner, traffic = 'human' AND reason IN ('rule', 'default') AS counts"
        )
    };
    let rows = match scope {
        ErasureScope::Partner(code) => {
            transaction.query(&delete("AND partner = $3"), &[&shop, &most, &code.as_str()]).await
        }
        ErasureScope::Visitor(key) => {
            transaction.query(&delete("AND visitor = $3"), &[&shop, &most, &&key[..]]).await
        }
        ErasureScope::Day(_) | ErasureScope::Everything => {
            transaction.query(&delete(""), &[&shop, &most]).await
        }
    };
    let rows = rows.map_err(sql_error)?;
    if rows.is_empty() {
        return Ok(Erased::default());
    }
    // Before the mark: whoever counts the day anew takes both in this order.
    uncount::uncount(transaction, shop, scope, &rows, anew).await?;
    // A mark that is there is written anew: whoever takes it away meanwhile has not seen what is removed here.
    // What is counted of a day cannot be counted again from a part of its clicks.
    if days::is_whole(transaction, shop, day).await? {
        let mark = "INSERT INTO clicks.reroll (shop, day) VALUES ($1, $2)
            ON CONFLICT (shop, day) DO UPDATE SET day = excluded.day";
        transaction.execute(mark, &[&shop, &day]).await.map_err(sql_error)?;
    }
    let nameless = match scope {
        ErasureScope::Visitor(_) => {
            let ids: Vec<Uuid> = rows.iter().map(|row| row.get(0)).collect();
            let statement = format!("{NAMELESS} WHERE shop = $1 AND click_id = ANY($2)");
            transaction.execute(&statement, &[&shop, &ids]).await.map_err(sql_error)?
        }
        // All conversions of theirs follow, those too whose clicks are not in the log any more.
        ErasureScope::Partner(_) | ErasureScope::Day(_) | ErasureScope::Everything => 0,
    };
    let times = rows.iter().map(|row| row.get::<_, Timestamp>(1));
    let times = times.clone().min().zip(times.max());
    let clicks = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    let entry = ErasureEntry { shop, scope, clicks, conversions: 0, times };
    let position = ledger::enter_erasure(transaction, &entry).await?;
    let nameless = i64::try_from(nameless).unwrap_or(i64::MAX);
    Ok(Erased { clicks, nameless, position, ..Erased::default() })
}

/// Empties what had been put aside, and returns how much. Rows stay, so that the ledger still finds as many as it says; of
/// what could not be read nobody knows whose it is.
async fn erase_rejected(
    transaction: &Transaction<'_>,
    shop: &str,
    scope: &ErasureScope,
) -> Result<i64, StoreError> {
    let empty = |chosen: &str| {
        format!(
            "UPDATE clicks.rejected SET reason = 'erased', content = '', shop = NULL, click_at = NULL, partner = NULL,
                visitor = NULL
             WHERE ctid = ANY (ARRAY(
                SELECT ctid FROM clicks.rejected WHERE shop = $1 {chosen} LIMIT {CONVERSIONS_AT_ONCE}))"
        )
    };
    let emptied = match scope {
        ErasureScope::Partner(code) => {
            transaction.execute(&empty("AND partner = $2"), &[&shop, &code.as_str()]).await
        }
        ErasureScope::Visitor(key) => {
            transaction.execute(&empty("AND visitor = $2"), &[&shop, &&key[..]]).await
        }
        ErasureScope::Day(day) => {
            let of_day = "AND (click_at AT TIME ZONE 'UTC')::date = $2";
            transaction.execute(&empty(of_day), &[&shop, day]).await
        }
        ErasureScope::Everything => transaction.execute(&empty(""), &[&shop]).await,
    };
    Ok(i64::try_from(emptied.map_err(sql_error)?).unwrap_or(i64::MAX))
}

/// Takes from conversions what tells one visitor from another. The middle of a UTC day is of the same day in nearly every
/// time zone.
const NAMELESS: &str = "UPDATE clicks.conversion SET click_id = NULL, visitor = NULL,
    click_at = date_trunc('day', click_at, 'UTC') + interval '12 hours', properties = NULL, country = NULL, device = NULL, os = NULL,
    browser = NULL, language = NULL, referrer = NULL, sub_ids = NULL";

/// Removes conversions, or what they hold of clicks or a partner.
async fn erase_conversions(
    transaction: &Transaction<'_>,
    shop: &str,
    scope: &ErasureScope,
) -> Result<Erased, StoreError> {
    conversions::lock(transaction, shop).await?;
    let chosen = |condition: &str| {
        format!(
            "ctid = ANY (ARRAY(SELECT ctid FROM clicks.conversion WHERE shop = $1 {condition}
                ORDER BY at LIMIT {CONVERSIONS_AT_ONCE}))
             RETURNING (at AT TIME ZONE 'UTC')::date, (click_at AT TIME ZONE 'UTC')::date"
        )
    };
    let (rows, is_removal) = match scope {
        ErasureScope::Partner(code) => {
            let statement = format!(
                "{NAMELESS}, partner = NULL, program = NULL, attribution = 'no_partner' WHERE {}",
                chosen("AND partner = $2")
            );
            (transaction.query(&statement, &[&shop, &code.as_str()]).await, false)
        }
        ErasureScope::Day(day) => {
            let next = day.saturating_add(1.day());
            let of_day = format!(
                "AND click_at >= '{day} 00:00:00+00' AND click_at < '{next} 00:00:00+00' AND click_id IS NOT NULL"
            );
            (transaction.query(&format!("{NAMELESS} WHERE {}", chosen(&of_day)), &[&shop]).await, false)
        }
        // Those whose clicks are in the log still went with them.
        ErasureScope::Visitor(key) => {
            let statement = format!("{NAMELESS} WHERE {}", chosen("AND visitor = $2"));
            (transaction.query(&statement, &[&shop, &&key[..]]).await, false)
        }
        ErasureScope::Everything => {
            // All go, with whatever is counted of them: whoever is stopped in between goes on.
            for table in ["conversion_waiting", "stats_conversion_day"] {
                let remove = format!("DELETE FROM clicks.{table} WHERE shop = $1");
                transaction.execute(&remove, &[&shop]).await.map_err(sql_error)?;
            }
            let statement = format!("DELETE FROM clicks.conversion WHERE {}", chosen(""));
            (transaction.query(&statement, &[&shop]).await, true)
        }
    };
    let rows = rows.map_err(sql_error)?;
    if rows.is_empty() {
        return Ok(Erased::default());
    }
    // What is counted by link, partner and day changes with the partner only.
    if let ErasureScope::Partner(_) = scope {
        let days: BTreeSet<Date> = rows.iter().flat_map(|row: &Row| [row.get(0), row.get(1)]).collect();
        rollups::recount_conversions(transaction, shop, &days).await?;
    }
    let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    let (conversions, nameless) = if is_removal { (count, 0) } else { (0, count) };
    let entry = ErasureEntry { shop, scope, clicks: 0, conversions, times: None };
    let position = ledger::enter_erasure(transaction, &entry).await?;
    Ok(Erased { conversions, nameless, position, ..Erased::default() })
}
