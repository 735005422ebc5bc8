//! Writes clicks.

use crate::{
    domain::{click::Click, fact::Fact},
    proto,
    rpc::convert::{choice::Choice, time},
};

/// Writes what is remembered of a click.
pub(super) fn write(click: Click) -> proto::Click {
    let click_time = Some(time::write(click.id.time()));
    let Click {
        id,
        shop,
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
        traffic_why,
        country,
        device,
        os,
        browser,
        language,
        referrer,
        visitor,
        sub_ids,
        counters,
    } = click;
    // The store holds no count beyond what a bigint does.
    let count = |total: Option<u64>| total.map(|total| i64::try_from(total).unwrap_or(i64::MAX));
    proto::Click {
        id: id.to_string(),
        click_time,
        shop: shop.as_str().to_owned(),
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
        traffic_reason: traffic_why,
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
        visitor: visitor.map(|key| format!("{:032x}", u128::from_be_bytes(key))).unwrap_or_default(),
        sub_ids: sub_ids.into_iter().collect(),
        visitor_total_visits: count(counters.visitor),
        link_total_visits: count(counters.link),
        partner_total_visits: count(counters.partner),
    }
}

pub(super) fn text(name: Option<&str>) -> String {
    name.map(str::to_owned).unwrap_or_default()
}
