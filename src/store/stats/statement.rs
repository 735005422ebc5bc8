//! A statement that counts, with its values.

use std::collections::BTreeMap;

use diesel::{
    QueryableByName,
    pg::Pg,
    query_builder::{BoxedSqlQuery, SqlQuery},
    sql_query,
    sql_types::{Array, BigInt, Integer, Text, Timestamptz},
};
use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::{
    domain::stats::{Dimension, Spans, StatsQuery},
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
        let bounds = self.value(Value::Times(query.pieces.bounds().to_vec()));
        format!("width_bucket({time}, {bounds}) - 1")
    }

    /// Returns the condition that a time is in one of the spans; not for ever, so that it can be looked up.
    pub(super) fn within(&mut self, time: &str, spans: &Spans) -> String {
        let edges = self.value(Value::Times(spans.edges().to_vec()));
        format!("width_bucket({time}, {edges}) % 2 = 1")
    }

    /// Returns the condition that shop and values are those of the query.
    pub(super) fn chosen(
        &mut self,
        query: &StatsQuery,
        column: impl Fn(Dimension) -> Option<&'static str>,
    ) -> String {
        let mut chosen = format!("shop = {}", self.text(query.shop.as_str()));
        for (dimension, values) in &query.filters {
            let Some(column) = column(*dimension) else { continue };
            let values = self.value(Value::Texts(values.iter().cloned().collect()));
            chosen += &format!(" AND {column} = ANY({values})");
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

/// Returns the column of single clicks that holds a dimension.
pub(super) fn of_click(dimension: Dimension) -> Option<&'static str> {
    Some(clicks::column(dimension))
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
    statement.text = format!(
        "SELECT min((at AT TIME ZONE 'UTC')::date) AS day FROM clicks.stats_shop_quarter
         WHERE shop = {shop} AND at >= '{start}' AND at < '{end}' AND {within}
            AND (at AT TIME ZONE 'UTC')::date <> ALL('{{{open}}}'::date[])",
        open = open.join(",")
    );
    Some(statement)
}
