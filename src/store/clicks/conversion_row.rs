//! A conversion as a row.

use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    conversions::{CREDIT, click_id},
    row::{self, Columns},
};
use crate::{
    domain::{
        conversion::{Amount, Credited, OrderId},
        currency::Currency,
    },
    store::errors::{Cause, StoreError},
};

/// Returns the columns of a conversion that [`read`] reads.
pub(super) fn columns() -> String {
    format!(
        "batch, sequence, shop, order_id, refund_id, at, amount, currency, properties::text, click_id, click_at, {CREDIT}"
    )
}

/// Reads a conversion, and counts the names that this version does not know.
pub(super) fn read(row: &Row, unknown: &mut u64) -> Result<Credited, StoreError> {
    let (shop, order): (&str, &str) = (row.get(2), row.get(3));
    parse(row, unknown).map_err(|cause| StoreError::Corrupt {
        object: format!("conversion `{order}` of shop `{shop}`"),
        cause,
    })
}

fn parse(row: &Row, unknown: &mut u64) -> Result<Credited, Cause> {
    let text = |column: usize| row.try_get::<_, String>(column);
    let refund = text(4)?;
    Ok(Credited {
        shop: text(2)?.try_into()?,
        order: text(3)?.try_into()?,
        refund: if refund.is_empty() { None } else { Some(OrderId::parse(&refund)?) },
        at: row.try_get(5)?,
        amount: Amount::paid(row.try_get(6)?)?,
        currency: Currency::parse(row.try_get(7)?)?,
        properties: match row.try_get::<_, Option<&str>>(8)? {
            Some(properties) => serde_json::from_str(properties)?,
            None => Default::default(),
        },
        click_id: row.try_get::<_, Option<Uuid>>(9)?.map(click_id).transpose()?,
        click_at: row.try_get(10)?,
        credit: row::facts(row, Columns { slug: 11, country: 21, sub_ids: 27, variant: 28 }, unknown)?,
    })
}
