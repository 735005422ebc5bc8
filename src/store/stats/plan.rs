//! Where figures come from: which table has them, for what time, and what is left for single clicks.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};

use super::{
    Figures, Head,
    statement::{Statement, day_of, of_click},
};
use crate::{
    domain::{
        client::TrafficClass,
        limits,
        stats::{Dimension, Spans, StatsQuery, Unit},
        visit::ResolveReason,
    },
    store::clicks::column,
};

/// Where figures come from.
pub(super) struct Plan {
    source: Source,
    /// The time that the table has.
    whole: Spans,
    /// The time that single clicks are read of.
    pub(super) rest: Spans,
}

/// What is counted, and the table that has it.
enum Source {
    Clicks(Option<Table>),
    Visitors(Option<Scope>),
}

/// A table of clicks.
struct Table {
    name: &'static str,
    unit: Unit,
    /// The one dimension whose values it is read for.
    single: Option<Dimension>,
}

/// What tells visitors apart in the table of visitors.
struct Scope {
    links: bool,
    partners: bool,
}

impl Scope {
    fn name(&self) -> &'static str {
        match (self.links, self.partners) {
            (false, false) => "shop",
            (true, false) => "link",
            (false, true) => "partner",
            (true, true) => "link_partner",
        }
    }
}

/// How many names of how many days are looked up in an index, one by one.
const MOST_LOOKED_UP: usize = 10_000;

/// The beginning of a day of a table.
pub(super) const DAY: &str = "(day::timestamp AT TIME ZONE 'UTC')";

impl Plan {
    /// Plans how clicks are counted.
    pub(super) fn of_clicks(query: &StatsQuery) -> Self {
        let of_day = |name| Some(Table { name, unit: Unit::Day, single: None });
        let table = match used(query)[..] {
            [] => Some(Table { name: "stats_shop_quarter", unit: Unit::Quarter, single: None }),
            [Dimension::Link] => of_day("stats_link_day"),
            [Dimension::Partner] => of_day("stats_partner_day"),
            [Dimension::Link, Dimension::Partner] => of_day("stats_link_partner_day"),
            [single] => Some(Table { name: "stats_dim_day", unit: Unit::Day, single: Some(single) }),
            [_, _, ..] => None,
        };
        let (whole, rest) = divide(query, table.as_ref().map(|table| table.unit));
        Self { source: Source::Clicks(table), whole, rest }
    }

    /// Plans how visitors are counted.
    pub(super) fn of_visitors(query: &StatsQuery) -> Self {
        let scope = scope(query);
        let (whole, rest) = divide(query, scope.as_ref().map(|_| Unit::Day));
        Self { source: Source::Visitors(scope), whole, rest }
    }

    /// Returns what figure it counts.
    pub(super) fn figure(&self) -> fn(&mut Figures) -> &mut i64 {
        match self.source {
            Source::Clicks(_) => |figures| &mut figures.clicks,
            Source::Visitors(_) => |figures| &mut figures.visitors,
        }
    }

    /// Tells whether single clicks of a UTC day are read.
    pub(super) fn reads(&self, day: Date) -> bool {
        touches(&self.rest, day)
    }

    /// Writes the statements whose figures add up.
    pub(super) fn statements(
        &self,
        query: &StatsQuery,
        head: &Head,
        open: &BTreeMap<Date, u64>,
    ) -> Vec<Statement> {
        let (counted, tail) = match &self.source {
            Source::Clicks(table) => {
                let counted = table.as_ref().and_then(|table| self.counted_clicks(query, table));
                (counted, self.tail(query, head).map(|tail| clicks(query, tail)))
            }
            Source::Visitors(scope) => (
                scope.as_ref().and_then(|scope| self.counted_visitors(query, scope)),
                scope.as_ref().and_then(|scope| Some(new_visitors(query, scope, self.tail(query, head)?))),
            ),
        };
        let single = self.single(query, open).map(|single| match self.source {
            Source::Clicks(_) => clicks(query, single),
            Source::Visitors(_) => visitors(query, single),
        });
        [counted, tail, single].into_iter().flatten().collect()
    }

    fn counted_clicks(&self, query: &StatsQuery, table: &Table) -> Option<Statement> {
        let (start, end) = self.whole.ends()?;
        let mut statement = Statement::default();
        let value = query.dimension.map_or("''", of_table);
        let mut chosen = statement.chosen(query, |dimension, _| Some(of_table(dimension).to_owned()));
        if let Some(single) = table.single {
            chosen += &format!(" AND dimension = '{single}'");
        }
        let (time, range) = match table.unit {
            Unit::Quarter => ("at", format!("at >= '{start}' AND at < '{end}'")),
            Unit::Day => (DAY, days(query, start, end)),
        };
        let (piece, within) = (statement.piece(time, query), statement.within(time, &self.whole));
        let from = format!("clicks.{} WHERE {chosen} AND {range} AND {within}", table.name);
        Some(finish(statement, [&piece, value, "sum(clicks)::bigint"], &from))
    }

    fn counted_visitors(&self, query: &StatsQuery, scope: &Scope) -> Option<Statement> {
        let (start, end) = self.whole.ends()?;
        let mut statement = Statement::default();
        let value = query.dimension.map_or("''", of_table);
        // The class and the reasons are those that the table counts.
        let chosen = statement.chosen(query, |dimension, _| {
            is_link_or_partner(dimension).then(|| of_table(dimension).to_owned())
        });
        let (piece, within) = (statement.piece(DAY, query), statement.within(DAY, &self.whole));
        let (scope, days) = (scope.name(), days(query, start, end));
        let from =
            format!("clicks.stats_visitors_day WHERE {chosen} AND scope = '{scope}' AND {days} AND {within}");
        Some(finish(statement, [&piece, value, "sum(visitors)::bigint"], &from))
    }

    /// Tells whether clicks may be read that the table does not have yet.
    pub(super) fn reads_tail(&self, head: &Head) -> bool {
        let ends = self.whole.ends().zip(head.earliest.zip(head.latest));
        ends.is_some_and(|((start, end), (earliest, latest))| {
            earliest.to_jiff() < end && start <= latest.to_jiff()
        })
    }

    /// Chooses the clicks of the table's time that it does not have yet.
    fn tail(&self, query: &StatsQuery, head: &Head) -> Option<(Statement, String)> {
        if !self.reads_tail(head) {
            return None;
        }
        let (start, end) = self.whole.ends()?;
        let (batches, earliest, latest) =
            (head.batches.as_ref()?, head.earliest?.to_jiff(), head.latest?.to_jiff());
        let (first, last) = (batches.iter().min()?, batches.iter().max()?);
        let mut statement = Statement::default();
        let chosen = statement.chosen(query, of_click);
        let (batches, within) = (statement.numbers(batches), statement.within("at", &self.whole));
        let start = start.max(earliest);
        let clicks = format!(
            "{chosen} AND batch = ANY({batches}) AND batch >= {first} AND batch <= {last}
             AND at >= '{start}' AND at < '{end}' AND at <= '{latest}' AND {within}"
        );
        Some((statement, clicks))
    }

    /// Chooses the clicks of the time that no table has.
    fn single(&self, query: &StatsQuery, open: &BTreeMap<Date, u64>) -> Option<(Statement, String)> {
        let mut runs: Vec<(Date, Date)> = Vec::new();
        for day in open.keys().filter(|day| self.reads(**day)) {
            let next = day.saturating_add(1.day());
            match runs.last_mut() {
                Some((_, end)) if end == day => *end = next,
                Some(_) | None => runs.push((*day, next)),
            }
        }
        let run = |(start, end)| format!("at >= '{start} 00:00:00+00' AND at < '{end} 00:00:00+00'");
        let runs: Vec<_> = runs.into_iter().map(run).collect();
        if runs.is_empty() {
            return None;
        }
        let mut statement = Statement::default();
        let (start, end) = self.rest.ends()?;
        let (chosen, within) = (statement.chosen(query, of_click), statement.within("at", &self.rest));
        // The days are said for the planner, which reads no other partitions then.
        let clicks =
            format!("{chosen} AND ({}) AND at >= '{start}' AND at < '{end}' AND {within}", runs.join(" OR "));
        Some((statement, clicks))
    }
}

/// Tells whether a part of a UTC day is in a time.
pub(super) fn touches(time: &Spans, day: Date) -> bool {
    let begin = |day: Date| TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)).unwrap_or(Timestamp::MAX);
    time.touch(begin(day), begin(day.saturating_add(1.day())))
}

/// Returns the dimensions that a query looks at; the class and the reason are in every table of clicks.
pub(super) fn used(query: &StatsQuery) -> Vec<Dimension> {
    let looked_at = |dimension: &&Dimension| {
        query.dimension == Some(**dimension) || query.filters.contains_key(dimension)
    };
    let elsewhere = |dimension: &Dimension| !matches!(dimension, Dimension::Class | Dimension::Reason);
    Dimension::ALL.iter().filter(looked_at).copied().filter(elsewhere).collect()
}

/// Divides the time of a query into what a table with this unit has, and the rest.
pub(super) fn divide(query: &StatsQuery, unit: Option<Unit>) -> (Spans, Spans) {
    unit.map_or_else(|| (Spans::default(), query.pieces.all()), |unit| query.pieces.covered(unit))
}

/// Returns which visitors of the table answer a query; none if they cannot, because visitors of several values are not
/// the sum of those of each.
fn scope(query: &StatsQuery) -> Option<Scope> {
    let is = |dimension: Dimension, names: &[&str]| {
        query.filters.get(&dimension).is_some_and(|values| values.iter().eq(names.iter()))
    };
    let mut counted = [ResolveReason::Rule.as_str(), ResolveReason::Default.as_str()];
    counted.sort_unstable();
    let is_counted = is(Dimension::Class, &[TrafficClass::Human.as_str()]) && is(Dimension::Reason, &counted);
    let is_told =
        query.dimension.is_none_or(is_link_or_partner) && used(query).into_iter().all(is_link_or_partner);
    if !is_counted || !is_told {
        return None;
    }
    let apart = |dimension| match query.filters.get(&dimension).map(BTreeSet::len) {
        _ if query.dimension == Some(dimension) => Some(true),
        None => Some(false),
        Some(1) => Some(true),
        Some(_) => None,
    };
    Some(Scope { links: apart(Dimension::Link)?, partners: apart(Dimension::Partner)? })
}

pub(super) fn is_link_or_partner(dimension: Dimension) -> bool {
    matches!(dimension, Dimension::Link | Dimension::Partner)
}

/// Returns the column of the tables that holds a dimension.
pub(super) fn of_table(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Link => "slug",
        Dimension::Partner => "partner",
        Dimension::Class => "traffic",
        Dimension::Reason => "reason",
        Dimension::Program
        | Dimension::Rule
        | Dimension::Country
        | Dimension::Device
        | Dimension::Os
        | Dimension::Browser
        | Dimension::Language
        | Dimension::Referrer
        | Dimension::Channel
        | Dimension::Variant => "value",
    }
}

/// Returns the condition that a day of a table lies between two.
pub(super) fn days(query: &StatsQuery, start: Timestamp, end: Timestamp) -> String {
    let (first, end) = (day_of(start), day_of(end));
    let names = [Dimension::Link, Dimension::Partner].iter().filter_map(|name| query.filters.get(name));
    let names: Vec<_> = names.map(BTreeSet::len).collect();
    let count = usize::try_from(first.until(end).map_or(0, |span| span.get_days())).unwrap_or_default();
    // Indices have names behind days: a few names are found day by day, many by reading the names of all days.
    if !names.is_empty() && names.into_iter().product::<usize>() * count <= MOST_LOOKED_UP {
        let days = first.series(1.day()).take_while(|day| *day < end);
        return format!(
            "day = ANY('{{{}}}'::date[])",
            days.map(|day| day.to_string()).collect::<Vec<_>>().join(",")
        );
    }
    format!("day >= '{first}' AND day < '{end}'")
}

/// Writes the statement for what is counted per piece and value.
fn finish(mut statement: Statement, [piece, value, figure]: [&str; 3], from: &str) -> Statement {
    statement.text = format!(
        "SELECT {piece} AS piece, {value} AS value, {figure} AS figure FROM {from} GROUP BY 1, 2 LIMIT {most}",
        most = limits::STATS_FIGURES + 1
    );
    statement
}

/// Returns how the value is read by which clicks are told apart.
pub(super) fn value_of_click(query: &StatsQuery) -> String {
    query.dimension.map_or_else(|| "''".to_owned(), column)
}

/// Counts clicks.
fn clicks(query: &StatsQuery, (mut statement, chosen): (Statement, String)) -> Statement {
    let piece = statement.piece("at", query);
    let value = value_of_click(query);
    finish(statement, [&piece, &value, "count(*)"], &format!("clicks.click WHERE {chosen}"))
}

/// Counts visitors, each once on each UTC day.
fn visitors(query: &StatsQuery, (mut statement, chosen): (Statement, String)) -> Statement {
    let piece = statement.piece("at", query);
    let value = value_of_click(query);
    let from = format!(
        "(SELECT DISTINCT {piece} AS piece, {value} AS value, (at AT TIME ZONE 'UTC')::date AS day, visitor
          FROM clicks.click WHERE {chosen} AND visitor IS NOT NULL) AS visits"
    );
    finish(statement, ["piece", "value", "count(*)"], &from)
}

/// Counts visitors whom the table does not have yet on their day.
fn new_visitors(
    query: &StatsQuery,
    scope: &Scope,
    (mut statement, chosen): (Statement, String),
) -> Statement {
    let piece = statement.piece(DAY, query);
    let shop = statement.text(query.shop.as_str());
    let mut by = Vec::new();
    by.extend(scope.links.then_some(Dimension::Link));
    by.extend(scope.partners.then_some(Dimension::Partner));
    let columns: String =
        by.iter().map(|dimension| format!(", {} AS {}", column(*dimension), of_table(*dimension))).collect();
    let same: String =
        by.iter().map(|dimension| format!(" AND known.{0} = seen.{0}", of_table(*dimension))).collect();
    let value = query.dimension.map_or("''", of_table);
    let from = format!(
        "(SELECT DISTINCT (at AT TIME ZONE 'UTC')::date AS day, visitor{columns}
          FROM clicks.click WHERE {chosen} AND visitor IS NOT NULL) AS seen
         WHERE NOT EXISTS (SELECT FROM clicks.visitor_day AS known
            WHERE known.day = seen.day AND known.shop = {shop} AND known.visitor = seen.visitor{same})"
    );
    finish(statement, [&piece, value, "count(*)"], &from)
}
