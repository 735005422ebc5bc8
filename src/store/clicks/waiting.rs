//! Conversions wait for clicks that are on their way.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio_postgres::Client;

use super::{
    conversions::{credit, lock},
    ledger, rollups, sql_error,
};
use crate::{domain::limits, store::errors::StoreError};

/// Orders that are looked at in one go.
const LOOKED: i64 = 5_000;
/// Orders that are credited, or put aside, in one transaction.
const SETTLED: usize = 500;

/// Up to where orders that wait are looked through: since when the last one waits, and which it is. None = begins anew.
#[derive(Debug, Default)]
pub(super) struct Looked(Option<(Timestamp, String, String)>);

/// Looks through the next orders that wait: credits those whose clicks have come, and puts those aside that waited too
/// long, each with its refunds. Returns how many these were.
pub(super) async fn settle(client: &mut Client, looked: &mut Looked) -> Result<u64, StoreError> {
    // A look into one partition for each, and for no more of them than that: whoever counts does this in between.
    let next = format!(
        "SELECT shop, order_id, since, since < now() - interval '{days} days' AS is_late, EXISTS (
            SELECT FROM clicks.click
            WHERE click.id = item.click_id AND click.shop = item.shop AND click.at = item.click_at) AS has_come
         FROM (SELECT * FROM clicks.conversion_waiting
            WHERE refund_id = '' AND (since, shop, order_id) > ($1, $2, $3)
            ORDER BY since, shop, order_id LIMIT {LOOKED}) AS item",
        days = limits::CONVERSION_WAIT_DAYS
    );
    let (since, shop, order) =
        looked.0.take().unwrap_or((Timestamp::UNIX_EPOCH, String::new(), String::new()));
    let rows = client.query(&next, &[&since, &shop, &order]).await.map_err(sql_error)?;
    let (mut come, mut late) = (BTreeMap::<&str, Vec<&str>>::new(), BTreeMap::<&str, Vec<&str>>::new());
    for row in &rows {
        let (is_late, has_come) = (row.get(3), row.get(4));
        if has_come {
            come.entry(row.get(0)).or_default().push(row.get(1));
        } else if is_late {
            late.entry(row.get(0)).or_default().push(row.get(1));
        }
    }
    let mut settled = 0;
    for (shop, orders) in &come {
        for orders in orders.chunks(SETTLED) {
            settled += credit_waiting(client, shop, orders).await?;
        }
    }
    for (shop, orders) in &late {
        for orders in orders.chunks(SETTLED) {
            settled += give_up(client, shop, orders).await?;
        }
    }
    let is_full = i64::try_from(rows.len()).is_ok_and(|rows| rows == LOOKED);
    looked.0 = rows.last().filter(|_| is_full).map(|row| (row.get(2), row.get(0), row.get(1)));
    Ok(settled)
}

async fn credit_waiting(client: &mut Client, shop: &str, orders: &[&str]) -> Result<u64, StoreError> {
    let transaction = client.transaction().await.map_err(sql_error)?;
    lock(&transaction, shop).await?;
    // Some may have been settled since, or their clicks erased.
    let come = "SELECT order_id FROM clicks.conversion_waiting AS item
        WHERE shop = $1 AND refund_id = '' AND order_id = ANY($2) AND EXISTS (
            SELECT FROM clicks.click
            WHERE click.id = item.click_id AND click.shop = item.shop AND click.at = item.click_at)
        ORDER BY order_id";
    let rows = transaction.query(come, &[&shop, &orders]).await.map_err(sql_error)?;
    let orders: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
    if orders.is_empty() {
        return Ok(0);
    }
    let count = "SELECT count(*), min(at), max(at) FROM clicks.conversion_waiting
        WHERE shop = $1 AND order_id = ANY($2)";
    let row = transaction.query_one(count, &[&shop, &orders]).await.map_err(sql_error)?;
    let applied = usize::try_from(row.get::<_, i64>(0)).unwrap_or_default();
    let batch = ledger::next_batch(&transaction).await?;
    let source = "SELECT $2::bigint AS batch, order_id, refund_id,
            row_number() OVER (ORDER BY refund_id <> '', order_id, refund_id) AS sequence,
            at, amount, currency, properties, click_id, click_at
        FROM clicks.conversion_waiting WHERE shop = $1 AND order_id = ANY($3)";
    credit(&transaction, source, &[&shop, &batch, &orders], applied).await?;
    let done = "DELETE FROM clicks.conversion_waiting WHERE shop = $1 AND order_id = ANY($2)";
    transaction.execute(done, &[&shop, &orders]).await.map_err(sql_error)?;
    rollups::add_conversions(&transaction, batch).await?;
    let times = Some((row.get(1), row.get(2)));
    let entry = ledger::ConversionsEntry { applied, duplicates: 0, rejected: 0, times };
    ledger::enter_conversions(&transaction, batch, &entry).await?;
    transaction.commit().await.map_err(sql_error)?;
    Ok(applied as u64)
}

/// Puts conversions aside. What tells of a visitor does not stay: the click may not have come because it was erased.
async fn give_up(client: &mut Client, shop: &str, orders: &[&str]) -> Result<u64, StoreError> {
    let transaction = client.transaction().await.map_err(sql_error)?;
    lock(&transaction, shop).await?;
    let batch = ledger::next_batch(&transaction).await?;
    let statement = "WITH gone AS (
            DELETE FROM clicks.conversion_waiting WHERE shop = $1 AND order_id = ANY($3) RETURNING *
         )
         INSERT INTO clicks.rejected (batch, source, sequence, reason, content, shop, click_at)
         SELECT $2, NULL, row_number() OVER (ORDER BY order_id, refund_id), 'its click did not come',
            convert_to((to_jsonb(gone) - 'properties' - 'click_id')::text, 'UTF8'), shop, click_at
         FROM gone";
    let rejected = transaction.execute(statement, &[&shop, &batch, &orders]).await.map_err(sql_error)?;
    if rejected == 0 {
        return Ok(0);
    }
    tracing::warn!(
        shop,
        conversions = rejected,
        "conversions are put aside because their clicks did not come"
    );
    let rejected = usize::try_from(rejected).unwrap_or(usize::MAX);
    let entry = ledger::ConversionsEntry { applied: 0, duplicates: 0, rejected, times: None };
    ledger::enter_conversions(&transaction, batch, &entry).await?;
    transaction.commit().await.map_err(sql_error)?;
    Ok(rejected as u64)
}
