//! Reads of what objects were.

use diesel::{
    QueryableByName,
    prelude::*,
    sql_query,
    sql_types::{BigInt, Nullable, Text, Timestamptz},
};
use diesel_async::RunQueryDsl;

use super::{
    Store, blocking,
    errors::{Cause, StoreError},
    pool::limit as rows,
    rows::{Json, corrupt},
    schema::history,
    types::{Kind, Membership, Past},
};
use crate::domain::{
    link::Link,
    name::{PartnerCode, ProgramId, ShopId, Slug},
    revision::Revision,
    shop::Shop,
};

type Row = (i64, jiff_diesel::Timestamp, String, String, Option<i64>, Json);

impl Store {
    /// Returns the revisions of a link up to one, newest first: the first is how the link was at it.
    pub async fn link_revisions(
        &self,
        shop: &ShopId,
        slug: &Slug,
        up_to: Revision,
        limit: usize,
    ) -> Result<Vec<Past<Link>>, StoreError> {
        let query = history::table
            .filter(history::kind.eq(Kind::Link.as_str()))
            .filter(history::shop.eq(shop.as_str()))
            .filter(history::key.eq(slug.as_str()))
            .filter(history::revision.le(up_to.0))
            .order(history::revision.desc())
            .limit(rows(limit))
            .select((
                history::revision,
                history::at,
                history::actor,
                history::comment,
                history::publish,
                history::object,
            ));
        let found: Vec<Row> = query.load(&mut self.connections.get().await?).await?;
        let name = (shop.clone(), slug.clone());
        blocking(move || {
            let parse = |row: Row| past(row).map_err(corrupt(Kind::Link, name.0.as_str(), name.1.as_str()));
            found.into_iter().map(parse).collect()
        })
        .await
    }

    /// Returns a shop as it was at a revision; `None` if it was made later.
    pub async fn past_shop(&self, shop: &ShopId, at: Revision) -> Result<Option<Shop>, StoreError> {
        let query = history::table
            .filter(history::kind.eq(Kind::Shop.as_str()))
            .filter(history::shop.eq(shop.as_str()))
            .filter(history::revision.le(at.0))
            .order(history::revision.desc())
            .select(history::object);
        let found: Option<Json> = query.first(&mut self.connections.get().await?).await.optional()?;
        let parse = |object: Json| object.parse().map_err(corrupt(Kind::Shop, shop.as_str(), ""));
        found.map(parse).transpose()
    }

    /// Returns in which programs a partner was, newest first; `before` = only times that began before this revision.
    pub async fn partner_programs(
        &self,
        shop: &ShopId,
        partner: &PartnerCode,
        before: Option<Revision>,
        limit: usize,
    ) -> Result<Vec<Membership>, StoreError> {
        // A time begins with the first write, and with every one that changes the program; the next one that does ends it.
        // What is deleted is in no program, and that is no time to tell of.
        let query = sql_query(
            "WITH state AS (
                SELECT revision, at, actor, comment, deleted,
                    CASE WHEN NOT deleted THEN object->>'program' END AS program
                FROM history WHERE kind = $1 AND shop = $2 AND key = $3
            ), compared AS (
                SELECT *, lag(program) OVER written AS last, lag(deleted) OVER written AS was_deleted
                FROM state WINDOW written AS (ORDER BY revision)
            ), began AS (
                SELECT revision, at, actor, comment, deleted, program, lead(revision) OVER began AS end_revision,
                    lead(at) OVER began AS end_at
                FROM compared WHERE program IS DISTINCT FROM last OR deleted IS DISTINCT FROM was_deleted
                WINDOW began AS (ORDER BY revision)
            )
            SELECT revision, at, actor, comment, program, end_revision, end_at FROM began
            WHERE NOT deleted AND revision < $4 ORDER BY revision DESC LIMIT $5",
        );
        let query = query
            .bind::<Text, _>(Kind::Partner.as_str())
            .bind::<Text, _>(shop.as_str())
            .bind::<Text, _>(partner.as_str())
            .bind::<BigInt, _>(before.map_or(i64::MAX, |before| before.0))
            .bind::<BigInt, _>(rows(limit));
        let found: Vec<MembershipRow> = query.load(&mut self.connections.get().await?).await?;
        let read =
            |row: MembershipRow| row.read().map_err(corrupt(Kind::Partner, shop.as_str(), partner.as_str()));
        found.into_iter().map(read).collect()
    }
}

fn past((revision, at, actor, comment, publish, object): Row) -> Result<Past<Link>, Cause> {
    let (value, publish) = (object.parse()?, publish.map(Revision));
    Ok(Past { value, revision: Revision(revision), time: at.to_jiff(), actor, comment, publish })
}

#[derive(QueryableByName)]
struct MembershipRow {
    #[diesel(sql_type = BigInt)]
    revision: i64,
    #[diesel(sql_type = Timestamptz)]
    at: jiff_diesel::Timestamp,
    #[diesel(sql_type = Text)]
    actor: String,
    #[diesel(sql_type = Text)]
    comment: String,
    #[diesel(sql_type = Nullable<Text>)]
    program: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    end_revision: Option<i64>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    end_at: Option<jiff_diesel::Timestamp>,
}

impl MembershipRow {
    fn read(self) -> Result<Membership, Cause> {
        Ok(Membership {
            program: self.program.as_deref().map(ProgramId::parse).transpose()?,
            start_revision: Revision(self.revision),
            start_time: self.at.to_jiff(),
            actor: self.actor,
            comment: self.comment,
            end: self.end_revision.map(Revision).zip(self.end_at.map(jiff_diesel::Timestamp::to_jiff)),
        })
    }
}
