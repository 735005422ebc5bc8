//! A conversion as a row.

use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    conversions::{CREDIT, click_id},
    row::{maybe, name, one_of, pairs, referrer},
};
use crate::{
    domain::{
        conversion::{Amount, Credit, Credited, OrderId},
        currency::Currency,
        revision::Revision,
    },
    store::errors::{Cause, StoreError},
};

/// Returns the columns of a conversion that [`read`] reads.
pub(super) fn columns() -> String {
    format!(
        "batch, sequence, shop, order_id, refund_id, at, amount, currency, properties::text, click_id, click_at, {CREDIT}"
    )
}

/// Reads a conversion.
pub(super) fn read(row: &Row) -> Result<Credited, StoreError> {
    let (shop, order): (&str, &str) = (row.get(2), row.get(3));
    parse(row).map_err(|cause| StoreError::Corrupt {
        object: format!("conversion `{order}` of shop `{shop}`"),
        cause,
    })
}

fn parse(row: &Row) -> Result<Credited, Cause> {
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
        credit: Credit {
            slug: name(row, 11)?,
            revision: Revision(row.try_get(12)?),
            channel: one_of(row, 13)?,
            reason: one_of(row, 14)?,
            rule: name(row, 15)?,
            destination: text(16)?,
            partner: name(row, 17)?,
            program: name(row, 18)?,
            attribution: one_of(row, 19)?,
            traffic: one_of(row, 20)?,
            country: maybe(row, 21)?,
            device: maybe(row, 22)?,
            os: maybe(row, 23)?,
            browser: maybe(row, 24)?,
            language: row.try_get(25)?,
            referrer: referrer(row.try_get(26)?),
            sub_ids: pairs(row.try_get::<_, Option<Vec<String>>>(27)?.unwrap_or_default()),
        },
    })
}
