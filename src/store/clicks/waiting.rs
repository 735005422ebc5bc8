//! Conversions wait for clicks that are on their way.

use tokio_postgres::Client;

use super::{
    conversions::{credit, lock},
    ledger, rollups, sql_error,
};
use crate::{domain::limits, store::errors::StoreError};

/// Orders that are credited, or put aside, in one transaction.
const SETTLED: i64 = 500;

/// Credits conversions whose clicks have come, and puts those aside that waited too long. Returns how many it looked
/// after; there may be more.
pub(super) async fn settle(client: &mut Client) -> Result<u64, StoreError> {
    let shops = format!(
        "SELECT DISTINCT shop FROM (
            SELECT shop FROM clicks.conversion_waiting AS item CROSS JOIN LATERAL ({CLICK}) AS click
            WHERE refund_id = ''
            UNION ALL
            SELECT shop FROM clicks.conversion_waiting AS item WHERE refund_id = '' AND {too_long}
         ) AS waiting LIMIT 100",
        too_long = too_long()
    );
    let mut settled = 0;
    for row in client.query(&shops, &[]).await.map_err(sql_error)? {
        let shop: &str = row.get(0);
        settled += credit_waiting(client, shop).await? + give_up(client, shop).await?;
    }
    Ok(settled)
}

/// The click that a conversion waits for.
const CLICK: &str = "SELECT FROM clicks.click
    WHERE click.id = item.click_id AND click.shop = item.shop AND click.at = item.click_at LIMIT 1";

/// Writes the condition that a conversion has waited for too long.
fn too_long() -> String {
    format!("item.since < now() - interval '{} days'", limits::CONVERSION_WAIT_DAYS)
}

async fn credit_waiting(client: &mut Client, shop: &str) -> Result<u64, StoreError> {
    let transaction = client.transaction().await.map_err(sql_error)?;
    lock(&transaction, shop).await?;
    let come = format!(
        "SELECT order_id FROM clicks.conversion_waiting AS item CROSS JOIN LATERAL ({CLICK}) AS click
         WHERE shop = $1 AND refund_id = '' ORDER BY order_id LIMIT {SETTLED}"
    );
    let rows = transaction.query(&come, &[&shop]).await.map_err(sql_error)?;
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

async fn give_up(client: &mut Client, shop: &str) -> Result<u64, StoreError> {
    let transaction = client.transaction().await.map_err(sql_error)?;
    lock(&transaction, shop).await?;
    let batch = ledger::next_batch(&transaction).await?;
    let statement = format!(
        "WITH gone AS (
            DELETE FROM clicks.conversion_waiting WHERE shop = $1 AND order_id IN (
                SELECT order_id FROM clicks.conversion_waiting AS item
                WHERE shop = $1 AND refund_id = '' AND {too_long} ORDER BY order_id LIMIT {SETTLED})
            RETURNING *
         )
         INSERT INTO clicks.rejected (batch, source, sequence, reason, content, shop, click_at)
         SELECT $2, NULL, row_number() OVER (ORDER BY order_id, refund_id), 'its click did not come',
            convert_to(to_jsonb(gone)::text, 'UTF8'), shop, click_at
         FROM gone",
        too_long = too_long()
    );
    let rejected = transaction.execute(&statement, &[&shop, &batch]).await.map_err(sql_error)?;
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
