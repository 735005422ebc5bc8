//! A click as a row.

use std::{pin::pin, str::FromStr};

use tokio_postgres::{
    Row, Transaction,
    binary_copy::BinaryCopyInWriter,
    types::{ToSql, Type},
};
use uuid::Uuid;

use super::sql_error;
use crate::{
    domain::{
        click::{Click, Counters, VisitorKey},
        click_id::ClickId,
        fact::Fact,
        revision::Revision,
    },
    store::errors::{Cause, StoreError},
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

/// Reads a click whose columns are [`COLUMNS`].
pub(super) fn read(row: &Row) -> Result<Click, StoreError> {
    let id: Uuid = row.get(3);
    parse(row, id).map_err(|cause| StoreError::Corrupt { object: format!("click `{id}`"), cause })
}

fn parse(row: &Row, id: Uuid) -> Result<Click, Cause> {
    let text = |column: usize| row.try_get::<_, String>(column);
    let total = |column: usize| -> Result<Option<u64>, Cause> {
        Ok(row.try_get::<_, Option<i64>>(column)?.map(u64::try_from).transpose()?)
    };
    Ok(Click {
        id: ClickId::from_uuid(id).ok_or("it is no UUID of version 7")?,
        shop: text(4)?.try_into()?,
        slug: name(row, 5)?,
        revision: Revision(row.try_get(6)?),
        channel: one_of(row, 7)?,
        reason: one_of(row, 8)?,
        rule: name(row, 9)?,
        destination: text(10)?,
        partner: name(row, 11)?,
        program: name(row, 12)?,
        attribution: one_of(row, 13)?,
        traffic: one_of(row, 14)?,
        traffic_why: text(15)?,
        country: maybe(row, 16)?,
        device: maybe(row, 17)?,
        os: maybe(row, 18)?,
        browser: maybe(row, 19)?,
        language: row.try_get(20)?,
        referrer: referrer(row.try_get(21)?),
        visitor: row.try_get::<_, Option<&[u8]>>(22)?.map(VisitorKey::try_from).transpose()?,
        sub_ids: pairs(row.try_get::<_, Option<Vec<String>>>(23)?.unwrap_or_default()),
        counters: Counters { visitor: total(24)?, link: total(25)?, partner: total(26)? },
    })
}

/// Reads a name that may be missing.
pub(super) fn name<T: TryFrom<String, Error: Into<Cause>>>(
    row: &Row,
    column: usize,
) -> Result<Option<T>, Cause> {
    let text: Option<String> = row.try_get(column)?;
    text.map(T::try_from).transpose().map_err(Into::into)
}

/// Reads a member of a closed list.
pub(super) fn one_of<T: FromStr<Err: Into<Cause>>>(row: &Row, column: usize) -> Result<T, Cause> {
    row.try_get::<_, &str>(column)?.parse().map_err(Into::into)
}

/// Reads a member of a closed list that may be missing.
pub(super) fn maybe<T: FromStr<Err: Into<Cause>>>(row: &Row, column: usize) -> Result<Option<T>, Cause> {
    row.try_get::<_, Option<&str>>(column)?.map(str::parse).transpose().map_err(Into::into)
}

/// Reads the host of the referring page.
pub(super) fn referrer(host: Option<String>) -> Fact<String> {
    match host {
        None => Fact::Unknown,
        Some(host) if host.is_empty() => Fact::Absent,
        Some(host) => Fact::Known(host),
    }
}

/// Makes pairs of names and values that stand in turn.
pub(super) fn pairs(texts: Vec<String>) -> Vec<(String, String)> {
    let mut texts = texts.into_iter();
    std::iter::from_fn(|| texts.next().zip(texts.next())).collect()
}
