//! Figures of conversions. What is counted of them is never behind, and the single ones are there for ever: so whole UTC
//! days by link and partner come from the table, and all else from the conversions themselves.

use diesel::{
    QueryableByName,
    sql_types::{BigInt, Integer, Text},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::{
    NotCounted, Stats,
    plan::{DAY, days, divide, is_link_or_partner, of_table, used, value_of_click},
    statement::{Statement, of_click},
};
use crate::{
    domain::{
        currency::Currency,
        limits,
        stats::{ConversionTime, StatsQuery, Unit},
    },
    store::errors::StoreError,
};

/// Figures of one value, piece of time and currency.
#[derive(QueryableByName)]
struct Cell {
    #[diesel(sql_type = Integer)]
    piece: i32,
    #[diesel(sql_type = Text)]
    value: String,
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = BigInt)]
    conversions: i64,
    #[diesel(sql_type = BigInt)]
    amount: i64,
}

/// Writes the statements whose figures add up.
pub(super) fn statements(query: &StatsQuery, time: ConversionTime) -> Vec<Statement> {
    let unit = used(query).into_iter().all(is_link_or_partner).then_some(Unit::Day);
    let (whole, rest) = divide(query, unit);
    let counted = whole.ends().map(|(start, end)| {
        let mut statement = Statement::default();
        let chosen = statement.chosen(query, |dimension, _| Some(of_table(dimension).to_owned()));
        let (piece, within) = (statement.piece(DAY, query), statement.within(DAY, &whole));
        let value = query.dimension.map_or("''", of_table);
        let from = format!(
            "clicks.stats_conversion_day WHERE {chosen} AND told_by = '{time}' AND {days} AND {within}",
            days = days(query, start, end)
        );
        finish(statement, [&piece, value, "sum(conversions)", "sum(amount)"], &from)
    });
    let single = rest.ends().map(|(start, end)| {
        let mut statement = Statement::default();
        let chosen = statement.chosen(query, of_click);
        let at = match time {
            ConversionTime::Conversion => "at",
            ConversionTime::Click => "click_at",
        };
        let (piece, within) = (statement.piece(at, query), statement.within(at, &rest));
        let value = value_of_click(query);
        let (orders, amount) = (
            "count(*) FILTER (WHERE refund_id = '')",
            "sum(CASE refund_id WHEN '' THEN amount ELSE -amount END)",
        );
        // The columns are those of clicks.
        let from = format!(
            "clicks.conversion AS click WHERE {chosen} AND {at} >= '{start}' AND {at} < '{end}' AND {within}"
        );
        finish(statement, [&piece, &value, orders, amount], &from)
    });
    counted.into_iter().chain(single).collect()
}

/// Writes the statement for what is counted per piece, value and currency.
fn finish(mut statement: Statement, [piece, value, orders, amount]: [&str; 4], from: &str) -> Statement {
    // What no bigint holds is nobody's revenue, but must not keep others from theirs.
    let most = i64::MAX;
    statement.text = format!(
        "SELECT {piece} AS piece, {value} AS value, currency, ({orders})::bigint AS conversions,
            greatest(least({amount}, {most}), -{most})::bigint AS amount
         FROM {from} GROUP BY 1, 2, 3 LIMIT {limit}",
        limit = limits::STATS_FIGURES + 1
    );
    statement
}

/// Adds what a statement counts.
pub(super) async fn add(
    connection: &mut AsyncPgConnection,
    statement: Statement,
    stats: &mut Stats,
) -> Result<(), NotCounted> {
    let cells: Vec<Cell> = statement.into_query().load(connection).await?;
    if cells.len() > limits::STATS_FIGURES {
        return Err(NotCounted::TooManyFigures);
    }
    for cell in cells {
        let currency = Currency::parse(&cell.currency).map_err(|problem| StoreError::Corrupt {
            object: "conversion".to_owned(),
            cause: problem.into(),
        })?;
        let piece = usize::try_from(cell.piece).unwrap_or_default();
        let figures = stats.figures.entry(cell.value).or_default().entry(piece).or_default();
        figures.conversions += cell.conversions;
        let revenue = figures.revenue.entry(currency).or_default();
        *revenue = revenue.saturating_add(cell.amount);
    }
    Ok(())
}
