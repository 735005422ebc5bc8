//! What is counted of clicks, and how: one table of each sort, filled by one kind of statement.

use jiff::civil::Date;
use tokio_postgres::{Transaction, types::ToSql};

use super::{check::gone, days, sql_error};
use crate::{domain::stats::Dimension, store::errors::StoreError};

/// The clicks of a transaction that are to be counted, with what they are counted by.
pub(super) const FRESH: &str = r#"
    CREATE TEMP TABLE fresh (shop text COLLATE "C", day date, at timestamptz, slug text COLLATE "C",
        partner text COLLATE "C", traffic text COLLATE "C", reason text COLLATE "C", program text COLLATE "C",
        rule text COLLATE "C", country text COLLATE "C", device text COLLATE "C", os text COLLATE "C",
        browser text COLLATE "C", language text COLLATE "C", referrer text COLLATE "C", channel text COLLATE "C",
        variant text COLLATE "C", visitor bytea) ON COMMIT DELETE ROWS"#;

/// The UTC day of a click.
const DAY: &str = "(click.at AT TIME ZONE 'UTC')::date";
/// The clicks of which totals are made.
const COUNTED: &str = "traffic = 'human' AND reason IN ('rule', 'default')";

/// Writes how a click's value of a dimension is read: never null, empty if there is none, `?` if it is unknown.
pub(in crate::store) const fn column(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Link => "coalesce(click.slug, '')",
        Dimension::Partner => "coalesce(click.partner, '')",
        Dimension::Program => "coalesce(click.program, '')",
        Dimension::Rule => "coalesce(click.slug || '/' || click.rule, '')",
        Dimension::Country => "coalesce(click.country, '?')",
        Dimension::Device => "coalesce(click.device, '?')",
        Dimension::Os => "coalesce(click.os, '?')",
        Dimension::Browser => "coalesce(click.browser, '?')",
        Dimension::Language => "coalesce(lower(click.language), '?')",
        Dimension::Referrer => "coalesce(click.referrer, '?')",
        Dimension::Channel => "click.channel",
        Dimension::Class => "click.traffic",
        Dimension::Reason => "click.reason",
        Dimension::Variant => "coalesce(click.slug || '/' || click.rule || '/' || click.variant, '')",
    }
}

/// Dimensions that are counted one at a time.
const SINGLE: [Dimension; 10] = [
    Dimension::Program,
    Dimension::Rule,
    Dimension::Country,
    Dimension::Device,
    Dimension::Os,
    Dimension::Browser,
    Dimension::Language,
    Dimension::Referrer,
    Dimension::Channel,
    Dimension::Variant,
];

/// Tables of clicks with their keys, which are columns of `fresh` too.
const TABLES: [(&str, &str); 4] = [
    ("stats_shop_quarter", "shop, at, traffic, reason"),
    ("stats_link_day", "shop, day, slug, traffic, reason"),
    ("stats_partner_day", "shop, day, partner, traffic, reason"),
    ("stats_link_partner_day", "shop, day, partner, slug, traffic, reason"),
];
const DIM_KEY: &str = "shop, dimension, day, value, traffic, reason";

/// Tables of a UTC day.
pub(super) const BY_DAY: [&str; 6] = [
    "stats_link_day",
    "stats_partner_day",
    "stats_link_partner_day",
    "stats_dim_day",
    "stats_visitors_day",
    "visitor_day",
];

/// Whose visitors are counted, and what tells them apart besides shop and day.
const SCOPES: [(&str, &str); 4] =
    [("shop", ""), ("link", ", slug"), ("partner", ", partner"), ("link_partner", ", partner, slug")];

/// Puts the clicks that fulfil a condition into `fresh`, those of days too that are put away and not removed yet.
pub(super) async fn load(
    transaction: &Transaction<'_>,
    condition: &str,
    values: &[&(dyn ToSql + Sync)],
) -> Result<u64, StoreError> {
    let single = SINGLE.map(column).join(", ");
    let put_away = days::put_away(transaction).await?;
    let statement = format!(
        "INSERT INTO fresh (shop, day, at, slug, partner, traffic, reason, {names}, visitor)
         SELECT click.shop, {DAY}, to_timestamp(floor(extract(epoch FROM click.at) / 900) * 900), {slug}, {partner}, click.traffic,
             click.reason, {single}, click.visitor
         FROM {log} WHERE {condition}",
        log = days::with(&put_away),
        names = SINGLE.map(Dimension::as_str).join(", "),
        slug = column(Dimension::Link),
        partner = column(Dimension::Partner),
    );
    let loaded = transaction.execute(&statement, values).await.map_err(gone)?;
    // What was read keeps others from putting more away, or from bringing it back, until the transaction ends.
    if days::put_away(transaction).await? == put_away {
        return Ok(loaded);
    }
    Err(StoreError::Conflict("a day of clicks was put away while it was counted".into()))
}

/// Adds what is in `fresh` to all that is counted by time.
pub(super) async fn add(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    let mut statements = String::new();
    for (table, key) in TABLES {
        statements += &upsert(table, key, key, "fresh");
    }
    let single = SINGLE.map(|dimension| format!("('{dimension}', {dimension})")).join(", ");
    let from = format!("fresh CROSS JOIN LATERAL (VALUES {single}) AS single (dimension, value)");
    statements += &upsert("stats_dim_day", DIM_KEY, DIM_KEY, &from);
    statements += &visitors();
    transaction.batch_execute(&statements).await.map_err(sql_error)
}

/// Adds what is in `fresh` to the counters that rules look at.
pub(super) async fn add_to_counters(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    let counted = |name| format!("fresh WHERE {COUNTED} AND {name} <> ''");
    let statements = upsert("counter_link", "shop, slug", "shop, slug", &counted("slug"))
        + &upsert("counter_partner", "shop, partner", "shop, partner", &counted("partner"));
    transaction.batch_execute(&statements).await.map_err(sql_error)
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

/// Counts conversions of the shop's days that a condition is true of, by their own time and by that of their click.
fn conversions(condition: &str) -> String {
    format!(
        "INSERT INTO clicks.stats_conversion_day AS kept
            (shop, told_by, day, partner, slug, traffic, reason, currency, conversions, amount)
         SELECT shop, told_by, (time AT TIME ZONE 'UTC')::date, {partner}, {slug}, traffic, reason, currency,
            count(*) FILTER (WHERE refund_id = ''), sum(CASE refund_id WHEN '' THEN amount ELSE -amount END)
         FROM clicks.conversion AS click CROSS JOIN LATERAL (VALUES ('conversion', at), ('click', click_at))
            AS told (told_by, time)
         WHERE {condition} GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
         ON CONFLICT (shop, told_by, day, partner, slug, traffic, reason, currency) DO UPDATE
            SET conversions = kept.conversions + excluded.conversions, amount = kept.amount + excluded.amount",
        partner = column(Dimension::Partner),
        slug = column(Dimension::Link),
    )
}

/// Adds the conversions of an entry to what is counted of them. Whoever calls holds the lock on those of the shop.
pub(super) async fn add_conversions(transaction: &Transaction<'_>, batch: i64) -> Result<(), StoreError> {
    transaction.execute(&conversions("batch = $1"), &[&batch]).await.map_err(sql_error)?;
    Ok(())
}

/// Counts the conversions of days of a shop anew. Whoever calls holds the lock on them.
pub(super) async fn recount_conversions(
    transaction: &Transaction<'_>,
    shop: &str,
    days: &[Date],
) -> Result<(), StoreError> {
    let remove = "DELETE FROM clicks.stats_conversion_day WHERE shop = $1 AND day = ANY($2)";
    transaction.execute(remove, &[&shop, &days]).await.map_err(sql_error)?;
    let again = conversions("shop = $1 AND (time AT TIME ZONE 'UTC')::date = ANY($2)");
    transaction.execute(&again, &[&shop, &days]).await.map_err(sql_error)?;
    Ok(())
}

/// Writes a statement that adds how many rows there are of each key, in the order of the keys.
fn upsert(table: &str, key: &str, read: &str, from: &str) -> String {
    format!(
        "INSERT INTO clicks.{table} AS kept ({key}, clicks)
         SELECT {read}, count(*) FROM {from} GROUP BY {read} ORDER BY {read}
         ON CONFLICT ({key}) DO UPDATE SET clicks = kept.clicks + excluded.clicks;"
    )
}

/// Writes the statement that adds the visitors who were not there yet on their day. All of its parts see the tables as
/// they were before it.
fn visitors() -> String {
    let scopes = SCOPES.map(|(scope, key)| {
        let name = |name: &str| if key.contains(name) { name.to_owned() } else { format!("'' AS {name}") };
        let (partner, slug) = (name("partner"), name("slug"));
        format!(
            "SELECT shop, '{scope}' AS scope, day, {partner}, {slug}
             FROM (SELECT shop, day, visitor{key} FROM seen EXCEPT SELECT shop, day, visitor{key} FROM known) AS new"
        )
    });
    format!(
        "WITH seen AS MATERIALIZED (
            SELECT DISTINCT day, shop, visitor, slug, partner FROM fresh WHERE {COUNTED} AND visitor IS NOT NULL
         ), known AS MATERIALIZED (
            SELECT old.day, old.shop, old.visitor, old.slug, old.partner
            FROM (SELECT DISTINCT day, shop, visitor FROM seen) AS who
            JOIN clicks.visitor_day AS old USING (day, shop, visitor)
         ), remembered AS (
            INSERT INTO clicks.visitor_day (day, shop, visitor, slug, partner)
            SELECT day, shop, visitor, slug, partner FROM seen ORDER BY 1, 2, 3, 4, 5
            ON CONFLICT DO NOTHING
         )
         INSERT INTO clicks.stats_visitors_day AS kept (shop, scope, day, partner, slug, visitors)
         SELECT shop, scope, day, partner, slug, count(*) FROM ({scopes}) AS new
         GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
         ON CONFLICT (shop, scope, day, partner, slug) DO UPDATE SET visitors = kept.visitors + excluded.visitors;",
        scopes = scopes.join(" UNION ALL ")
    )
}
