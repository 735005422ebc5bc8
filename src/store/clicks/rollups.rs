//! What is counted of clicks, and how: one table of each sort, filled by one kind of statement.

use std::{collections::BTreeSet, mem, ops::RangeInclusive};

use futures_util::future::{join, try_join_all};
use jiff::civil::Date;
use tokio_postgres::{
    Transaction,
    types::{ToSql, Type},
};

use super::{
    copy::CopyIn,
    counts::{self, Column, Counts, Key, SINGLE, Table, Visit},
    days, gone, sql_error,
};
use crate::{
    domain::stats::{Dimension, NONE, UNKNOWN},
    store::errors::StoreError,
};

/// Clicks that are read at once.
const ROWS: i32 = 10_000;
/// Clicks of which figures are gathered before they are added.
const GATHERED: usize = 200_000;

/// Writes how a click's value of a dimension is read; null if there is none or it is unknown.
pub(in crate::store) const fn nullable_column(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Link => "click.slug",
        Dimension::Partner => "click.partner",
        Dimension::Program => "click.program",
        Dimension::Rule => "click.slug || '/' || click.rule",
        Dimension::Variant => "click.slug || '/' || click.rule || '/' || click.variant",
        Dimension::Country => "click.country",
        Dimension::Device => "click.device",
        Dimension::Os => "click.os",
        Dimension::Browser => "click.browser",
        Dimension::Language => "lower(click.language)",
        Dimension::Referrer => "click.referrer",
        Dimension::Channel => "click.channel",
        Dimension::Class => "click.traffic",
        Dimension::Reason => "click.reason",
    }
}

/// The same, never null: empty if there is none, `?` if it is unknown.
pub(in crate::store) fn column(dimension: Dimension) -> String {
    let null = match dimension {
        Dimension::Link | Dimension::Partner | Dimension::Program | Dimension::Rule | Dimension::Variant => {
            NONE
        }
        Dimension::Country
        | Dimension::Device
        | Dimension::Os
        | Dimension::Browser
        | Dimension::Language
        | Dimension::Referrer => UNKNOWN,
        Dimension::Channel | Dimension::Class | Dimension::Reason => {
            return nullable_column(dimension).to_owned();
        }
    };
    format!("coalesce({}, '{null}')", nullable_column(dimension))
}

/// Tables of a UTC day.
pub(super) const BY_DAY: [&str; 6] = [
    "stats_link_day",
    "stats_partner_day",
    "stats_link_partner_day",
    "stats_dim_day",
    "stats_visitors_day",
    "visitor_day",
];

/// Counts the clicks that fulfil a condition, those of days too that are put away and not removed yet, and adds to all that
/// is counted by time, and to the counters that rules look at if these are meant too. All clicks are of these days.
pub(super) async fn count(
    transaction: &Transaction<'_>,
    of: RangeInclusive<Date>,
    condition: &str,
    values: &[&(dyn ToSql + Sync)],
    has_counters: bool,
) -> Result<(), StoreError> {
    let put_away = days::put_away(transaction, &of).await?;
    let statement = format!(
        "SELECT click.at, click.shop, {slug}, {partner}, click.traffic, click.reason, {visitor}, {single}
         FROM {log} WHERE {condition}",
        visitor = days::visitor(transaction, *of.start()).await?,
        log = days::with(&put_away),
        slug = column(Dimension::Link),
        partner = column(Dimension::Partner),
        single = SINGLE.map(column).join(", "),
    );
    let statement = transaction.prepare(&statement).await.map_err(gone)?;
    let portal = transaction.bind(&statement, values).await.map_err(sql_error)?;
    let mut counts = Counts::new(has_counters);
    let mut rows = transaction.query_portal(&portal, ROWS).await.map_err(gone)?;
    loop {
        let is_end = rows.is_empty();
        // The database reads on while these are counted.
        let counting = async { rows.iter().try_for_each(|row| counts.take(row)) };
        let (next, counted) = join(transaction.query_portal(&portal, ROWS), counting).await;
        counted.map_err(sql_error)?;
        rows = next.map_err(gone)?;
        if counts.clicks > 0 && (is_end || counts.clicks >= GATHERED) {
            add(transaction, mem::replace(&mut counts, Counts::new(has_counters))).await?;
        }
        if is_end {
            break;
        }
    }
    // What was read keeps others from putting more away, or from bringing it back, until the transaction ends.
    if days::put_away(transaction, &of).await? == put_away {
        return Ok(());
    }
    Err(StoreError::Conflict("a day of clicks was put away while it was counted".into()))
}

async fn add(transaction: &Transaction<'_>, mut counts: Counts) -> Result<(), StoreError> {
    let known = known(transaction, &mut counts).await?;
    let new = counts.meet(&known);
    remember(transaction, &counts, new).await?;
    let places = counts.names.places();
    // One behind the other without a pause: the database works on one while the next is written.
    try_join_all(Table::ALL.map(|table| upsert(transaction, table, &counts, &places))).await.map(drop)
}

/// Returns who is known already of those who were there.
async fn known(transaction: &Transaction<'_>, counts: &mut Counts) -> Result<Vec<Visit>, StoreError> {
    let (mut days, mut shops, mut visitors) = (Vec::new(), Vec::new(), Vec::new());
    for [day, shop, visitor] in counts.who() {
        days.push(counts::day(day));
        shops.push(counts.names.value(shop));
        visitors.push(counts.visitors.value(visitor));
    }
    if days.is_empty() {
        return Ok(Vec::new());
    }
    // Each is looked up: to read all of a day would take longer the more there are.
    let statement = "SELECT who.day, who.shop, who.visitor, known.slug, known.partner
        FROM unnest($1::date[], $2::text[], $3::bytea[]) AS who (day, shop, visitor) CROSS JOIN LATERAL (
            SELECT slug, partner FROM clicks.visitor_day AS old
            WHERE old.day = who.day AND old.shop = who.shop AND old.visitor = who.visitor OFFSET 0
        ) AS known";
    let rows = transaction.query(statement, &[&days, &shops, &visitors]).await.map_err(sql_error)?;
    let mut known = Vec::with_capacity(rows.len());
    for row in &rows {
        let [shop, slug, partner] = [1, 3, 4].map(|column| counts.names.of(row.get(column)));
        known.push([counts::number(row.get(0)), shop, counts.visitors.of(row.get(2)), slug, partner]);
    }
    Ok(known)
}

/// Remembers who was there.
async fn remember(transaction: &Transaction<'_>, counts: &Counts, new: Vec<Visit>) -> Result<(), StoreError> {
    if new.is_empty() {
        return Ok(());
    }
    let name = |number| counts.names.value(number);
    // Nobody else writes there: the one that counts holds the lock of the position.
    let table = "clicks.visitor_day (day, shop, visitor, slug, partner)";
    let types = [Type::DATE, Type::TEXT, Type::BYTEA, Type::TEXT, Type::TEXT];
    let mut rows = CopyIn::begin(transaction, table, &types).await?;
    for [day, shop, visitor, slug, partner] in new {
        let (day, visitor) = (counts::day(day), counts.visitors.value(visitor));
        rows.row([&day, &name(shop), &visitor, &name(slug), &name(partner)]).await?;
    }
    rows.finish().await
}

/// Adds what is counted for a table. The places are those of names in their order.
async fn upsert(
    transaction: &Transaction<'_>,
    table: Table,
    counts: &Counts,
    places: &[u32],
) -> Result<(), StoreError> {
    let (name, columns, figure) = table.layout();
    let mut sums: Vec<(&Key, &i64)> = counts.sums(table).iter().collect();
    if sums.is_empty() {
        return Ok(());
    }
    let place = |key: &Key| {
        let mut place = *key;
        for (number, column) in place.iter_mut().zip(columns) {
            if let Column::Text(_) = column {
                *number = places[*number as usize];
            }
        }
        place
    };
    // In the order of the index: neighbours are found faster.
    sums.sort_by_cached_key(|(key, _)| place(key));
    let mut values: Vec<Box<dyn ToSql + Sync + Send + '_>> = Vec::new();
    let (mut names, mut types) = (Vec::new(), Vec::new());
    for (at, column) in columns.iter().enumerate() {
        let numbers = sums.iter().map(|(key, _)| key[at]);
        let (name, kind, column): (_, _, Box<dyn ToSql + Sync + Send + '_>) = match column {
            Column::Text(name) => (
                *name,
                "text",
                Box::new(numbers.map(|number| counts.names.value(number)).collect::<Vec<_>>()),
            ),
            Column::Day => ("day", "date", Box::new(numbers.map(counts::day).collect::<Vec<_>>())),
            Column::Quarter => {
                ("at", "timestamptz", Box::new(numbers.map(counts::quarter).collect::<Vec<_>>()))
            }
        };
        values.push(column);
        names.push(name);
        types.push(format!("${}::{kind}[]", at + 1));
    }
    values.push(Box::new(sums.iter().map(|(_, count)| **count).collect::<Vec<_>>()));
    types.push(format!("${}::bigint[]", values.len()));
    let (key, types) = (names.join(", "), types.join(", "));
    let statement = format!(
        "INSERT INTO clicks.{name} AS kept ({key}, {figure}) SELECT * FROM unnest({types})
         ON CONFLICT ({key}) DO UPDATE SET {figure} = kept.{figure} + excluded.{figure}"
    );
    let values: Vec<&(dyn ToSql + Sync)> =
        values.iter().map(|value| &**value as &(dyn ToSql + Sync)).collect();
    transaction.execute(&statement, &values).await.map_err(sql_error)?;
    Ok(())
}

/// Takes away what is counted by time of a day of a shop; both are checked values, safe in a statement.
pub(super) async fn remove(transaction: &Transaction<'_>, shop: &str, day: &str) -> Result<(), StoreError> {
    let mut statements: String = BY_DAY
        .iter()
        .map(|table| format!("DELETE FROM clicks.{table} WHERE shop = '{shop}' AND day = '{day}';"))
        .collect();
    statements += &format!(
        "DELETE FROM clicks.stats_shop_quarter WHERE shop = '{shop}'
             AND at >= '{day} 00:00:00+00' AND at < timestamptz '{day} 00:00:00+00' + interval '24 hours';"
    );
    transaction.batch_execute(&statements).await.map_err(sql_error)
}

/// Counts conversions of a source that tells of each by its own time and by that of its click.
fn conversions(told: &str) -> String {
    format!(
        "INSERT INTO clicks.stats_conversion_day AS kept
            (shop, told_by, day, partner, slug, traffic, reason, currency, conversions, amount)
         SELECT shop, told_by, (time AT TIME ZONE 'UTC')::date, {partner}, {slug}, traffic, reason, currency,
            count(*) FILTER (WHERE refund_id = ''), sum(CASE refund_id WHEN '' THEN amount ELSE -amount END)
         FROM {told} GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
         ON CONFLICT (shop, told_by, day, partner, slug, traffic, reason, currency) DO UPDATE
            SET conversions = kept.conversions + excluded.conversions, amount = kept.amount + excluded.amount",
        partner = column(Dimension::Partner),
        slug = column(Dimension::Link),
    )
}

/// Adds the conversions of an entry to what is counted of them. Whoever calls holds the lock on those of the shop.
pub(super) async fn add_conversions(transaction: &Transaction<'_>, batch: i64) -> Result<(), StoreError> {
    let told = "clicks.conversion AS click
        CROSS JOIN LATERAL (VALUES ('conversion', at), ('click', click_at)) AS told (told_by, time) WHERE batch = $1";
    transaction.execute(&conversions(told), &[&batch]).await.map_err(sql_error)?;
    Ok(())
}

/// Counts the conversions of days of a shop anew. Whoever calls holds the lock on them.
pub(super) async fn recount_conversions(
    transaction: &Transaction<'_>,
    shop: &str,
    days: &BTreeSet<Date>,
) -> Result<(), StoreError> {
    let days: Vec<Date> = days.iter().copied().collect();
    let remove = "DELETE FROM clicks.stats_conversion_day WHERE shop = $1 AND day = ANY($2)";
    transaction.execute(remove, &[&shop, &days]).await.map_err(sql_error)?;
    // Each day is looked up by its time, which an index knows.
    let of_days = |told_by: &str, time: &str| {
        format!(
            "SELECT conversion.*, '{told_by}' AS told_by, {time} AS time
             FROM unnest($2::date[]) AS sought CROSS JOIN LATERAL (
                SELECT * FROM clicks.conversion WHERE shop = $1 AND {time} >= sought::timestamp AT TIME ZONE 'UTC'
                    AND {time} < (sought + 1)::timestamp AT TIME ZONE 'UTC') AS conversion"
        )
    };
    let told =
        format!("({} UNION ALL {}) AS click", of_days("conversion", "at"), of_days("click", "click_at"));
    let again = conversions(&told);
    transaction.execute(&again, &[&shop, &days]).await.map_err(sql_error)?;
    Ok(())
}
