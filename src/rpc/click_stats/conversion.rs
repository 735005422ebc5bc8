//! Writes conversions.

use super::click::text;
use crate::{
    domain::{
        conversion::{Credit, Credited},
        fact::Fact,
    },
    proto,
    rpc::convert::{choice::Choice, time},
};

/// Writes a conversion with what it holds of its click.
pub(super) fn write(credited: Credited) -> proto::Conversion {
    let Credited { shop, order, refund, at, amount, currency, properties, click_id, click_at, credit } =
        credited;
    let Credit {
        slug,
        revision,
        channel,
        reason,
        rule,
        variant,
        destination,
        partner,
        program,
        attribution,
        traffic,
        country,
        device,
        os,
        browser,
        language,
        referrer,
        sub_ids,
    } = credit;
    let kind = if refund.is_some() { proto::ConversionKind::Refund } else { proto::ConversionKind::Order };
    proto::Conversion {
        shop: shop.as_str().to_owned(),
        order_id: order.into(),
        kind: kind.into(),
        refund_id: refund.map(String::from).unwrap_or_default(),
        conversion_time: Some(time::write(at)),
        amount: Some(proto::Money { currency: currency.as_str().to_owned(), amount: amount.number() }),
        properties: properties.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
        click_id: click_id.map(|id| id.to_string()).unwrap_or_default(),
        click_time: Some(time::write(click_at)),
        slug: text(slug.as_ref().map(|slug| slug.as_str())),
        revision: revision.0,
        channel: channel.number(),
        reason: reason.number(),
        variant_id: text(variant.as_ref().map(|variant| variant.as_str())),
        rule_id: text(rule.as_ref().map(|rule| rule.as_str())),
        destination,
        partner: text(partner.as_ref().map(|partner| partner.as_str())),
        program: text(program.as_ref().map(|program| program.as_str())),
        attribution: attribution.number(),
        traffic_class: traffic.number(),
        country: text(country.as_ref().map(|country| country.as_str())),
        device: device.map_or(0, Choice::number),
        os: text(os.map(|os| os.as_str())),
        browser: text(browser.map(|browser| browser.as_str())),
        language: language.unwrap_or_default(),
        referrer_host: match referrer {
            Fact::Known(host) => Some(host),
            Fact::Absent => Some(String::new()),
            Fact::Unknown => None,
        },
        sub_ids: sub_ids.into_iter().collect(),
    }
}
