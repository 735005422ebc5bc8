//! A statement that counts, with its values.

use std::collections::{BTreeMap, BTreeSet};

use diesel::{
    QueryableByName,
    pg::Pg,
    query_builder::{BoxedSqlQuery, SqlQuery},
    sql_query,
    sql_types::{Array, BigInt, Integer, Text, Timestamptz},
};
use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::{
    domain::{
        client::TrafficClass,
        stats::{Dimension, NONE, Spans, StatsQuery, UNKNOWN},
        visit::{Miss, ResolveReason},
    },
    store::clicks,
};

/// What stands in one row of an answer.
#[derive(QueryableByName)]
pub(super) struct Cell {
    #[diesel(sql_type = Integer)]
    pub(super) piece: i32,
    #[diesel(sql_type = Text)]
    pub(super) value: String,
    #[diesel(sql_type = BigInt)]
    pub(super) figure: i64,
}

/// A value of a statement. What comes from a request is one; what we make ourselves stands in the text.
enum Value {
    Text(String),
    Texts(Vec<String>),
    Times(Vec<Timestamp>),
    Numbers(Vec<i64>),
}

/// A statement while it is written.
#[derive(Default)]
pub(super) struct Statement {
    pub(super) text: String,
    values: Vec<Value>,
}

impl Statement {
    fn value(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    /// Adds a text, and returns how it is called in the statement.
    pub(super) fn text(&mut self, text: &str) -> String {
        self.value(Value::Text(text.to_owned()))
    }

    /// Adds numbers.
    pub(super) fn numbers(&mut self, numbers: &[i64]) -> String {
        self.value(Value::Numbers(numbers.to_vec()))
    }

    /// Returns the number of the piece that a time is in.
    pub(super) fn piece(&mut self, time: &str, query: &StatsQuery) -> String {
        if query.pieces.count() == 1 {
            return "0".to_owned();
        }
        let bounds = self.value(Value::Times(query.pieces.bounds().to_vec()));
        format!("width_bucket({time}, {bounds}) - 1")
    }

    /// Returns the condition that a time between the ends of spans is in one of them.
    pub(super) fn within(&mut self, time: &str, spans: &Spans) -> String {
        if spans.edges().len() <= 2 {
            return "true".to_owned();
        }
        let edges = self.value(Value::Times(spans.edges().to_vec()));
        format!("width_bucket({time}, {edges}) % 2 = 1")
    }

    /// Returns the condition that shop and values are those of the query; some columns may not be looked at.
    pub(super) fn chosen(
        &mut self,
        query: &StatsQuery,
        column: impl Fn(Dimension, &BTreeSet<String>) -> Option<String>,
    ) -> String {
        let mut chosen = format!("shop = {}", self.text(query.shop.as_str()));
        for (dimension, values) in &query.filters {
            let Some(column) = column(*dimension, values) else { continue };
            chosen += &match values.iter().next() {
                Some(value) if values.len() == 1 => format!(" AND {column} = {}", self.text(value)),
                Some(_) | None => {
                    let values = self.value(Value::Texts(values.iter().cloned().collect()));
                    format!(" AND {column} = ANY({values})")
                }
            };
        }
        chosen
    }

    /// Returns it ready to be run.
    pub(super) fn into_query(self) -> BoxedSqlQuery<'static, Pg, SqlQuery> {
        let mut query = sql_query(self.text).into_boxed();
        for value in self.values {
            query = match value {
                Value::Text(text) => query.bind::<Text, _>(text),
                Value::Texts(texts) => query.bind::<Array<Text>, _>(texts),
                Value::Times(times) => {
                    let times: Vec<_> = times.into_iter().map(jiff_diesel::Timestamp::from).collect();
                    query.bind::<Array<Timestamptz>, _>(times)
                }
                Value::Numbers(numbers) => query.bind::<Array<BigInt>, _>(numbers),
            };
        }
        query
    }
}

/// Returns the column of single clicks that holds one of these values of a dimension.
pub(super) fn of_click(dimension: Dimension, values: &BTreeSet<String>) -> Option<String> {
    // Looked at ten million times: what nobody looks for need not be made.
    let is_named = !values.contains(NONE) && !values.contains(UNKNOWN);
    Some(if is_named { clicks::nullable_column(dimension).to_owned() } else { clicks::column(dimension) })
}

/// Returns the UTC day of a time.
pub(super) fn day_of(time: Timestamp) -> Date {
    time.to_zoned(TimeZone::UTC).date()
}

/// Writes the statement that looks for the first day that clicks of the shop were counted on, but are not there any
/// more; none if nothing of the log is needed.
pub(super) fn missing(shop: &str, days: &Spans, open: &BTreeMap<Date, u64>) -> Option<Statement> {
    let (start, end) = days.ends()?;
    let mut statement = Statement::default();
    let (shop, within) = (statement.text(shop), statement.within("at", days));
    let open: Vec<_> = open.keys().map(Date::to_string).collect();
    // All classes and reasons, said because the index has them in front of times.
    let classes: Vec<_> = TrafficClass::ALL.iter().map(|class| class.as_str()).collect();
    let misses = Miss::ALL.iter().map(|miss| ResolveReason::Missed(*miss));
    let reasons = [ResolveReason::Rule, ResolveReason::Default].into_iter().chain(misses);
    let reasons: Vec<_> = reasons.map(ResolveReason::as_str).collect();
    statement.text = format!(
        "SELECT min((at AT TIME ZONE 'UTC')::date) AS day FROM clicks.stats_shop_quarter
         WHERE shop = {shop} AND traffic = ANY('{{{classes}}}') AND reason = ANY('{{{reasons}}}')
            AND at >= '{start}' AND at < '{end}' AND {within}
            AND (at AT TIME ZONE 'UTC')::date <> ALL('{{{open}}}'::date[])",
        classes = classes.join(","),
        reasons = reasons.join(","),
        open = open.join(",")
    );
    Some(statement)
}
