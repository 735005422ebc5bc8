//! The keys by which visitors of one day are told apart, encrypted as they come.

use diesel::{
    QueryableByName, dsl,
    prelude::*,
    sql_query,
    sql_types::{Bool, Date as SqlDate},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use jiff::civil::Date;

use super::{
    Store,
    errors::{Cause, StoreError},
    listen::CHANNEL,
    pool::{WRITING, begin, end},
    schema::visitor_key,
};
use crate::domain::visitor::SealedKey;

/// What was done about the keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VisitorKeysKept {
    /// How many were made.
    pub made: usize,
    /// How many were deleted.
    pub deleted: usize,
}

impl Store {
    /// Makes today's and tomorrow's keys, if they are not there, and deletes those of the day before yesterday and
    /// earlier. The database says which day it is.
    pub async fn keep_visitor_keys(
        &self,
        make: impl Fn(Date) -> Option<SealedKey> + Send + Sync,
    ) -> Result<VisitorKeysKept, StoreError> {
        let mut connection = self.connections.get().await?;
        begin(&mut connection, WRITING).await?;
        let outcome = keep(&mut connection, make).await;
        end(&mut connection, outcome).await
    }

    /// Returns the keys in the order of their days.
    pub async fn visitor_keys(&self) -> Result<Vec<SealedKey>, StoreError> {
        read(&mut *self.connections.get().await?).await
    }
}

#[derive(QueryableByName)]
struct Today {
    #[diesel(sql_type = SqlDate)]
    today: jiff_diesel::Date,
}

#[derive(QueryableByName)]
struct Notified {
    #[diesel(sql_type = Bool)]
    #[expect(dead_code, reason = "the notification is what counts")]
    notified: bool,
}

async fn keep(
    connection: &mut AsyncPgConnection,
    make: impl Fn(Date) -> Option<SealedKey> + Send + Sync,
) -> Result<VisitorKeysKept, StoreError> {
    let today: Today = sql_query("SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date AS today")
        .get_result(connection)
        .await?;
    let today = today.today.to_jiff();
    let other = |day: Result<Date, jiff::Error>| day.map_err(|error| StoreError::Other(Cause::from(error)));
    let (yesterday, tomorrow) = (other(today.yesterday())?, other(today.tomorrow())?);
    let mut kept = VisitorKeysKept::default();
    for day in [today, tomorrow] {
        let day_there = visitor_key::table.find(jiff_diesel::Date::from(day));
        let is_there: bool = dsl::select(dsl::exists(day_there)).get_result(connection).await?;
        let Some(made) = (!is_there).then(|| make(day)).flatten() else { continue };
        let values =
            (visitor_key::day.eq(jiff_diesel::Date::from(made.day)), visitor_key::sealed.eq(made.sealed));
        // Another server may have been faster: its key counts.
        let insert = diesel::insert_into(visitor_key::table).values(values).on_conflict_do_nothing();
        kept.made += insert.execute(connection).await?;
    }
    let old = visitor_key::table.filter(visitor_key::day.lt(jiff_diesel::Date::from(yesterday)));
    kept.deleted = diesel::delete(old).execute(connection).await?;
    if kept != VisitorKeysKept::default() {
        let notify = format!("SELECT pg_notify('{CHANNEL}', '') IS NULL AS notified");
        let _: Notified = sql_query(notify).get_result(connection).await?;
    }
    Ok(kept)
}

/// Reads the keys in the order of their days.
pub(super) async fn read(connection: &mut AsyncPgConnection) -> Result<Vec<SealedKey>, StoreError> {
    let query = visitor_key::table.select((visitor_key::day, visitor_key::sealed)).order(visitor_key::day);
    let rows: Vec<(jiff_diesel::Date, Vec<u8>)> = query.load(connection).await?;
    Ok(rows.into_iter().map(|(day, sealed)| SealedKey { day: day.to_jiff(), sealed }).collect())
}
