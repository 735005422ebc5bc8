//! A click as a row.

use std::str::FromStr;

use tokio_postgres::{
    Row, Transaction,
    types::{ToSql, Type},
};
use uuid::Uuid;

use super::copy::CopyIn;
use crate::{
    domain::{
        click::{Click, ClickFacts, Counters, LoggedClick, VisitorKey},
        click_id::ClickId,
        fact::Fact,
        fault::Problem,
        name::{PartnerCode, ProgramId, RuleId, ShopId, Slug, VariantId},
        revision::Revision,
    },
    store::errors::{Cause, StoreError},
};

/// The columns of a click, in the order in which they are written.
pub(super) const COLUMNS: &str = "at, batch, sequence, id, shop, slug, revision, channel, reason, rule, destination, \
    partner, program, attribution, traffic, traffic_why, country, device, os, browser, language, referrer, visitor, \
    sub_ids, visitor_total, link_total, partner_total, variant";

const TYPES: [Type; 28] = [
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
    Type::TEXT,
];

/// Copies clicks with their numbers into a table.
pub(super) async fn copy<'a>(
    transaction: &Transaction<'_>,
    table: &str,
    batch: i64,
    clicks: impl Iterator<Item = (i64, &'a Click)>,
) -> Result<(), StoreError> {
    let mut rows = CopyIn::begin(transaction, &format!("{table} ({COLUMNS})"), &TYPES).await?;
    for (sequence, click) in clicks {
        write(&mut rows, batch, sequence, click).await?;
    }
    rows.finish().await
}

async fn write(
    rows: &mut CopyIn<'_, 28>,
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
    let columns: [&(dyn ToSql + Sync); 28] = [
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
        &click.variant.as_ref().map(|variant| variant.as_str()),
    ];
    rows.row(columns).await
}

/// Reads a click whose columns are [`COLUMNS`], and counts the names that this version does not know.
pub(super) fn read(row: &Row, unknown: &mut u64) -> Result<LoggedClick, StoreError> {
    let id: Uuid = row.get(3);
    parse(row, id, unknown).map_err(|cause| StoreError::Corrupt { object: format!("click `{id}`"), cause })
}

fn parse(row: &Row, id: Uuid, unknown: &mut u64) -> Result<LoggedClick, Cause> {
    let total = |column: usize| -> Result<Option<u64>, Cause> {
        Ok(row.try_get::<_, Option<i64>>(column)?.map(u64::try_from).transpose()?)
    };
    Ok(LoggedClick {
        id: ClickId::from_uuid(id).ok_or("it is no UUID of version 7")?,
        shop: ShopId::parse(row.try_get(4)?)?,
        facts: facts(row, Columns { slug: 5, country: 16, sub_ids: 23, variant: 27 }, unknown)?,
        traffic_why: row.try_get(15)?,
        visitor: row.try_get::<_, Option<&[u8]>>(22)?.map(VisitorKey::try_from).transpose()?,
        counters: Counters { visitor: total(24)?, link: total(25)?, partner: total(26)? },
    })
}

/// Where what the log and conversions hold of a click stands in a row.
pub(super) struct Columns {
    /// The slug; what follows up to the class of traffic stands behind it.
    pub(super) slug: usize,
    /// The country; what follows up to the referrer stands behind it.
    pub(super) country: usize,
    /// The query parameters.
    pub(super) sub_ids: usize,
    /// The variant.
    pub(super) variant: usize,
}

/// Reads what the log and conversions hold of a click, and counts the names that this version does not know.
pub(super) fn facts(row: &Row, columns: Columns, unknown: &mut u64) -> Result<ClickFacts, Cause> {
    let Columns { slug, country, sub_ids, variant } = columns;
    Ok(ClickFacts {
        slug: name(row, slug, Slug::parse)?,
        revision: Revision(row.try_get(slug + 1)?),
        channel: known(row, slug + 2, unknown)?,
        reason: known(row, slug + 3, unknown)?,
        rule: name(row, slug + 4, RuleId::parse)?,
        variant: name(row, variant, VariantId::parse)?,
        destination: row.try_get(slug + 5)?,
        partner: name(row, slug + 6, PartnerCode::parse)?,
        program: name(row, slug + 7, ProgramId::parse)?,
        attribution: known(row, slug + 8, unknown)?,
        traffic: known(row, slug + 9, unknown)?,
        country: known(row, country, unknown)?,
        device: known(row, country + 1, unknown)?,
        os: known(row, country + 2, unknown)?,
        browser: known(row, country + 3, unknown)?,
        language: row.try_get(country + 4)?,
        referrer: referrer(row.try_get(country + 5)?),
        sub_ids: pairs(row.try_get::<_, Option<Vec<String>>>(sub_ids)?.unwrap_or_default()),
    })
}

/// Reads a name that may be missing.
fn name<T>(row: &Row, column: usize, parse: impl Fn(&str) -> Result<T, Problem>) -> Result<Option<T>, Cause> {
    Ok(row.try_get::<_, Option<&str>>(column)?.map(parse).transpose()?)
}

/// Reads a member of a closed list that may be missing. One that a newer version wrote must not keep those behind it
/// from being read.
fn known<T: FromStr>(row: &Row, column: usize, unknown: &mut u64) -> Result<Option<T>, Cause> {
    let Some(text) = row.try_get::<_, Option<&str>>(column)? else { return Ok(None) };
    let member = text.parse().ok();
    *unknown += u64::from(member.is_none());
    Ok(member)
}

/// Reads the host of the referring page.
fn referrer(host: Option<String>) -> Fact<String> {
    match host {
        None => Fact::Unknown,
        Some(host) if host.is_empty() => Fact::Absent,
        Some(host) => Fact::Known(host),
    }
}

/// Makes pairs of names and values that stand in turn.
fn pairs(texts: Vec<String>) -> Vec<(String, String)> {
    let mut texts = texts.into_iter();
    std::iter::from_fn(|| texts.next().zip(texts.next())).collect()
}
