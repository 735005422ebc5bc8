//! Writes conversions.

use super::click::with_facts;
use crate::{
    domain::conversion::Credited,
    proto,
    rpc::convert::{choice::Choice, time},
};

/// Writes a conversion with what it holds of its click.
pub(super) fn write(credited: Credited) -> proto::Conversion {
    let Credited { shop, order, refund, at, amount, currency, properties, click_id, click_at, credit } =
        credited;
    let kind = if refund.is_some() { proto::ConversionKind::Refund } else { proto::ConversionKind::Order };
    with_facts!(
        credit,
        Conversion {
            shop: shop.as_str().to_owned(),
            order_id: order.into(),
            kind: kind.into(),
            refund_id: refund.map(String::from).unwrap_or_default(),
            conversion_time: Some(time::write(at)),
            amount: Some(proto::Money { currency: currency.as_str().to_owned(), amount: amount.number() }),
            properties: properties.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            click_id: click_id.map(|id| id.to_string()).unwrap_or_default(),
            click_time: Some(time::write(click_at)),
        }
    )
}
