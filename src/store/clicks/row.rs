//! A click as a row.

use std::pin::pin;

use tokio_postgres::{
    Transaction,
    binary_copy::BinaryCopyInWriter,
    types::{ToSql, Type},
};

use super::sql_error;
use crate::{
    domain::{click::Click, fact::Fact},
    store::errors::StoreError,
};

/// The columns of a click, in the order in which they are written.
pub(super) const COLUMNS: &str = "at, batch, sequence, id, shop, slug, revision, channel, reason, rule, destination, \
    partner, program, attribution, traffic, traffic_why, country, device, os, browser, language, referrer, visitor, \
    sub_ids, visitor_total, link_total, partner_total";

const TYPES: [Type; 27] = [
    Type::TIMESTAMPTZ,
    Type::INT8,
    Type::INT8,
    Type::UUID,
    Type::TEXT,
    Type::TEXT,
    Type::INT8,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::BYTEA,
    Type::TEXT_ARRAY,
    Type::INT8,
    Type::INT8,
    Type::INT8,
];

/// Copies clicks with their numbers into a table.
pub(super) async fn copy<'a>(
    transaction: &Transaction<'_>,
    table: &str,
    batch: i64,
    clicks: impl Iterator<Item = (i64, &'a Click)>,
) -> Result<(), StoreError> {
    let statement = format!("COPY {table} ({COLUMNS}) FROM STDIN (FORMAT binary)");
    let sink = transaction.copy_in(&statement).await.map_err(sql_error)?;
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &TYPES));
    for (sequence, click) in clicks {
        write(writer.as_mut(), batch, sequence, click).await?;
    }
    writer.finish().await.map_err(sql_error)?;
    Ok(())
}

async fn write(
    writer: std::pin::Pin<&mut BinaryCopyInWriter>,
    batch: i64,
    sequence: i64,
    click: &Click,
) -> Result<(), StoreError> {
    let referrer = match &click.referrer {
        Fact::Known(host) => Some(host.as_str()),
        Fact::Absent => Some(""),
        Fact::Unknown => None,
    };
    let sub_ids = (!click.sub_ids.is_empty())
        .then(|| click.sub_ids.iter().flat_map(|(name, value)| [name.as_str(), value]).collect::<Vec<_>>());
    // A count beyond what a bigint holds is none that anybody reached.
    let count = |total: Option<u64>| total.map(|total| i64::try_from(total).unwrap_or(i64::MAX));
    let columns: [&(dyn ToSql + Sync); 27] = [
        &click.id.time(),
        &batch,
        &sequence,
        &click.id.uuid(),
        &click.shop.as_str(),
        &click.slug.as_ref().map(|slug| slug.as_str()),
        &click.revision.0,
        &click.channel.as_str(),
        &click.reason.as_str(),
        &click.rule.as_ref().map(|rule| rule.as_str()),
        &click.destination,
        &click.partner.as_ref().map(|partner| partner.as_str()),
        &click.program.as_ref().map(|program| program.as_str()),
        &click.attribution.as_str(),
        &click.traffic.as_str(),
        &click.traffic_why,
        &click.country.map(|country| country.as_str()),
        &click.device.map(|device| device.as_str()),
        &click.os.map(|os| os.as_str()),
        &click.browser.map(|browser| browser.as_str()),
        &click.language,
        &referrer,
        &click.visitor.as_ref().map(|key| &key[..]),
        &sub_ids,
        &count(click.counters.visitor),
        &count(click.counters.link),
        &count(click.counters.partner),
    ];
    writer.write(&columns).await.map_err(sql_error)
}
