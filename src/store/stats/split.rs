//! How visitors were split between the variants of a rule.

use std::collections::BTreeMap;

use diesel::{
    OptionalExtension, QueryableByName, sql_query,
    sql_types::{BigInt, Nullable, Text, Timestamptz},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use jiff::Timestamp;

use super::{NotCounted, check_days, open_days};
use crate::{
    domain::{
        name::{RuleId, ShopId, Slug},
        revision::Revision,
        stats::Spans,
        variant::Variants,
    },
    store::{
        Store,
        pool::{ONE_INSTANT, begin, end},
    },
};

/// Which split is asked for.
#[derive(Clone, Debug)]
pub struct SplitQuery {
    /// The shop.
    pub shop: ShopId,
    /// The link.
    pub slug: Slug,
    /// The rule.
    pub rule: RuleId,
    /// The variants as they are now.
    pub variants: Variants,
    /// From when; `None` = since they are so.
    pub start: Option<Timestamp>,
    /// Until when.
    pub end: Timestamp,
}

/// What was drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// The first revision at which the variants were as they are now.
    pub since: Revision,
    /// When that was.
    pub since_at: Timestamp,
    /// Clicks of the time that were decided before.
    pub earlier: i64,
    /// What each variant got, by id.
    pub drawn: BTreeMap<String, Draws>,
}

/// What a variant got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Draws {
    /// Clicks.
    pub clicks: i64,
    /// Clicks, those of one visitor as one.
    pub draws: i64,
}

impl Store {
    /// Counts what variants of a rule got, reading no more than so many megabytes of single clicks. Nothing if the link has
    /// never been written with these variants.
    pub async fn split(&self, query: &SplitQuery, most_megabytes: u64) -> Result<Option<Split>, NotCounted> {
        let mut connection = self.figures.get_unless_busy().await?.ok_or(NotCounted::Busy)?;
        begin(&mut connection, ONE_INSTANT).await?;
        let outcome = count(&mut connection, query, most_megabytes).await;
        end(&mut connection, outcome).await
    }
}

async fn count(
    connection: &mut AsyncPgConnection,
    query: &SplitQuery,
    most_megabytes: u64,
) -> Result<Option<Split>, NotCounted> {
    let Some(since) = since(connection, query).await? else { return Ok(None) };
    let since_at = since.at.to_jiff();
    let start = query.start.unwrap_or(since_at).min(query.end);
    let spans = Spans::of(start, query.end);
    let open = open_days(connection, query.shop.as_str()).await?;
    check_days(connection, query.shop.as_str(), &spans, &open, most_megabytes).await?;
    let mut split = Split { since: Revision(since.revision), since_at, earlier: 0, drawn: BTreeMap::new() };
    for Counted { variant, clicks, draws, earlier } in
        counted(connection, query, since.revision, start).await?
    {
        split.earlier += earlier;
        if let Some(variant) = variant.filter(|_| clicks > 0) {
            split.drawn.insert(variant, Draws { clicks, draws });
        }
    }
    Ok(Some(split))
}

/// When variants were written as they are.
#[derive(QueryableByName)]
struct Since {
    #[diesel(sql_type = BigInt)]
    revision: i64,
    #[diesel(sql_type = Timestamptz)]
    at: jiff_diesel::Timestamp,
}

/// Finds the first revision from which on ids and weights have been the same ever since.
async fn since(connection: &mut AsyncPgConnection, query: &SplitQuery) -> Result<Option<Since>, NotCounted> {
    let mut weights: Vec<_> = query.variants.as_slice().iter().collect();
    weights.sort_unstable_by(|left, right| left.id.cmp(&right.id));
    let weights: Vec<_> =
        weights.iter().map(|variant| format!("{}={}", variant.id, variant.weight.number())).collect();
    let statement = "WITH version AS (
            SELECT revision, at, (
                SELECT string_agg((item ->> 'id') || '=' || (item ->> 'weight'), ',' ORDER BY (item ->> 'id') COLLATE \"C\")
                FROM jsonb_array_elements(object -> 'routing' -> 'rules') AS rule,
                    jsonb_array_elements(rule -> 'then' -> 'variants') AS item
                WHERE rule ->> 'id' = $3
            ) AS weights
            FROM history WHERE kind = 'link' AND shop = $1 AND key = $2
        )
        SELECT revision, at FROM version WHERE revision > coalesce(
            (SELECT max(revision) FROM version WHERE weights IS DISTINCT FROM $4), 0)
        ORDER BY revision LIMIT 1";
    let since = sql_query(statement)
        .bind::<Text, _>(query.shop.as_str())
        .bind::<Text, _>(query.slug.as_str())
        .bind::<Text, _>(query.rule.as_str())
        .bind::<Text, _>(weights.join(","));
    Ok(since.get_result(connection).await.optional()?)
}

/// What was counted of a variant.
#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = Nullable<Text>)]
    variant: Option<String>,
    #[diesel(sql_type = BigInt)]
    clicks: i64,
    #[diesel(sql_type = BigInt)]
    draws: i64,
    #[diesel(sql_type = BigInt)]
    earlier: i64,
}

async fn counted(
    connection: &mut AsyncPgConnection,
    query: &SplitQuery,
    since: i64,
    start: Timestamp,
) -> Result<Vec<Counted>, NotCounted> {
    // Times stand in the text, for the planner to leave out days.
    let statement = format!(
        "SELECT variant, count(*) FILTER (WHERE revision >= $4) AS clicks,
            count(DISTINCT visitor) FILTER (WHERE revision >= $4)
                + count(*) FILTER (WHERE revision >= $4 AND visitor IS NULL) AS draws,
            count(*) FILTER (WHERE revision < $4) AS earlier
         FROM clicks.click WHERE shop = $1 AND slug = $2 AND rule = $3 AND traffic = 'human' AND reason = 'rule'
            AND at >= '{start}' AND at < '{end}'
         GROUP BY variant",
        end = query.end
    );
    let counted = sql_query(statement)
        .bind::<Text, _>(query.shop.as_str())
        .bind::<Text, _>(query.slug.as_str())
        .bind::<Text, _>(query.rule.as_str())
        .bind::<BigInt, _>(since);
    Ok(counted.load(connection).await?)
}
