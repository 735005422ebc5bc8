//! The counters that rules look at lose what is erased: as nobody may know of it any more, no rule may.

use tokio_postgres::{Row, Transaction, types::ToSql};

use super::sql_error;
use crate::{domain::erasure::ErasureScope, store::errors::StoreError};

/// Keeps everyone from counting until the transaction ends, and returns up to which position it is done.
pub(super) async fn stop_counting(transaction: &Transaction<'_>) -> Result<i64, StoreError> {
    let position = "SELECT position FROM clicks.roller FOR UPDATE";
    Ok(transaction.query_one(position, &[]).await.map_err(sql_error)?.get(0))
}

/// Removes the counters that tell of nothing but what is erased, those too of clicks that the log does not have any more.
/// Returns up to which position they knew: what is counted behind it goes with its clicks.
pub(super) async fn begin_anew(
    transaction: &Transaction<'_>,
    shop: &str,
    scope: &ErasureScope,
) -> Result<i64, StoreError> {
    let position = stop_counting(transaction).await?;
    let remove = async |table: &str, condition: &str, values: &[&(dyn ToSql + Sync)]| {
        let statement = format!("DELETE FROM clicks.{table} WHERE shop = $1 {condition}");
        transaction.execute(&statement, values).await.map_err(sql_error)
    };
    match scope {
        ErasureScope::Partner(code) => {
            remove("counter_partner", "AND partner = $2", &[&shop, &code.as_str()]).await?;
        }
        ErasureScope::Everything => {
            remove("counter_link", "", &[&shop]).await?;
            remove("counter_partner", "", &[&shop]).await?;
        }
        ErasureScope::Day(_) | ErasureScope::Visitor(_) => {}
    }
    Ok(position)
}

/// Takes clicks that are erased out of the counters, as far as they are in them; of each row this reads batch, slug, partner
/// and whether it counts. Counters that began anew have only what was counted behind that position.
pub(super) async fn uncount(
    transaction: &Transaction<'_>,
    shop: &str,
    scope: &ErasureScope,
    erased: &[Row],
    anew: i64,
) -> Result<(), StoreError> {
    let (link_after, partner_after) = match scope {
        ErasureScope::Day(_) | ErasureScope::Visitor(_) => (0, 0),
        ErasureScope::Partner(_) => (0, anew),
        ErasureScope::Everything => (anew, anew),
    };
    // Whoever counts waits: a click is in the counters or not.
    let counted = stop_counting(transaction).await?;
    for (table, name, after) in
        [("counter_link", "slug", link_after), ("counter_partner", "partner", partner_after)]
    {
        let counting = erased.iter().filter(|row| row.get("counts"));
        let named =
            counting.filter_map(|row| Some((row.get::<_, Option<&str>>(name)?, row.get::<_, i64>("batch"))));
        let (named, batches): (Vec<&str>, Vec<i64>) = named.unzip();
        let less = format!(
            "WITH less AS (
                SELECT name, count(*) AS clicks FROM unnest($2::text[], $3::bigint[]) AS gone (name, batch)
                JOIN clicks.ledger USING (batch) WHERE position > $4 AND position <= $5 GROUP BY name)
             UPDATE clicks.{table} AS kept SET clicks = kept.clicks - less.clicks FROM less
             WHERE kept.shop = $1 AND kept.{name} = less.name"
        );
        let values: [&(dyn ToSql + Sync); 5] = [&shop, &named, &batches, &after, &counted];
        transaction.execute(&less, &values).await.map_err(sql_error)?;
        // Not even the name is left.
        let none = format!("DELETE FROM clicks.{table} WHERE shop = $1 AND {name} = ANY($2) AND clicks <= 0");
        transaction.execute(&none, &[&shop, &named]).await.map_err(sql_error)?;
    }
    Ok(())
}
