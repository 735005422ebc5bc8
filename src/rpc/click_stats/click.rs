//! Writes clicks.

use uuid::Uuid;

use crate::{
    domain::{
        click::{LoggedClick, VisitorKey},
        click_id::ClickId,
    },
    proto,
    rpc::convert::{choice::Choice, time},
};

/// Writes a message that holds a click's facts beside others. A member of a closed list that this version does not know
/// is 0, which says that it is not known.
macro_rules! with_facts {
    ($facts:expr, $message:ident { $($field:ident: $value:expr,)* }) => {{
        let crate::domain::click::ClickFacts {
            slug, revision, channel, reason, rule, variant, destination, partner, program, attribution, traffic, country, device,
            os, browser, language, referrer, sub_ids,
        } = $facts;
        let text = |name: Option<&str>| name.map(str::to_owned).unwrap_or_default();
        crate::proto::$message {
            $($field: $value,)*
            slug: text(slug.as_ref().map(|slug| slug.as_str())),
            revision: revision.0,
            channel: channel.map_or(0, Choice::number),
            reason: reason.map_or(0, Choice::number),
            rule_id: text(rule.as_ref().map(|rule| rule.as_str())),
            variant_id: text(variant.as_ref().map(|variant| variant.as_str())),
            destination,
            partner: text(partner.as_ref().map(|partner| partner.as_str())),
            program: text(program.as_ref().map(|program| program.as_str())),
            attribution: attribution.map_or(0, Choice::number),
            traffic_class: traffic.map_or(0, Choice::number),
            country: text(country.as_ref().map(|country| country.as_str())),
            device: device.map_or(0, Choice::number),
            os: text(os.map(|os| os.as_str())),
            browser: text(browser.map(|browser| browser.as_str())),
            language: language.unwrap_or_default(),
            referrer_host: match referrer {
                crate::domain::fact::Fact::Known(host) => Some(host),
                crate::domain::fact::Fact::Absent => Some(String::new()),
                crate::domain::fact::Fact::Unknown => None,
            },
            sub_ids: sub_ids.into_iter().collect(),
        }
    }};
}
pub(super) use with_facts;

/// Writes the key of a visitor.
fn hexadecimal(key: VisitorKey) -> String {
    Uuid::from_bytes(key).simple().encode_lower(&mut Uuid::encode_buffer()).to_owned()
}

/// Writes what is remembered of a click.
pub(super) fn write(click: LoggedClick) -> proto::Click {
    let LoggedClick { id, shop, facts, traffic_why, visitor, counters } = click;
    // The store holds no count beyond what a bigint does.
    let count = |total: Option<u64>| total.map(|total| i64::try_from(total).unwrap_or(i64::MAX));
    with_facts!(
        facts,
        Click {
            id: id.write(&mut [0; ClickId::TEXT_BYTES]).to_owned(),
            click_time: Some(time::write(id.time())),
            shop: shop.as_str().to_owned(),
            traffic_reason: traffic_why,
            visitor: visitor.map(hexadecimal).unwrap_or_default(),
            visitor_total_visits: count(counters.visitor),
            link_total_visits: count(counters.link),
            partner_total_visits: count(counters.partner),
        }
    )
}
