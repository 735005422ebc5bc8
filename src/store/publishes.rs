//! Reads of publishes.

use diesel::{
    QueryableByName,
    prelude::*,
    sql_query,
    sql_types::{BigInt, Jsonb, Nullable, Text, Timestamptz},
};
use diesel_async::RunQueryDsl;
use jiff::Timestamp;

use super::{
    Store, blocking,
    errors::{Cause, StoreError},
    pool::limit as rows,
    rows::{Json, corrupt},
    schema::{publish, publish_link},
    types::{Kind, PublishKey},
};
use crate::domain::{
    link::Link,
    name::{ShopId, Slug},
    named::named_enum,
    revision::Revision,
};

named_enum! {
    /// What a publish is in.
    pub enum PublishState: "state of a publish" {
        /// Its time has not come.
        Pending = "pending",
        /// It took effect.
        Effective = "effective",
        /// It was taken back before its time.
        Cancelled = "cancelled",
    }
}

/// Changes of many links that take effect at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// Its name.
    pub key: PublishKey,
    /// What it is in.
    pub state: PublishState,
    /// The first instant of visits that its versions of the links answer.
    pub effective_time: Timestamp,
    /// When it was committed.
    pub create_time: Timestamp,
    /// Who asked for it.
    pub actor: String,
    /// Why.
    pub comment: String,
    /// How many links it changes.
    pub links: i32,
    /// How it ended; `None` while it is pending.
    pub end: Option<PublishEnd>,
}

/// How a publish ended: it was written into its links, or cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishEnd {
    /// The revision of that.
    pub revision: Revision,
    /// When it was committed.
    pub time: Timestamp,
    /// Who asked for it.
    pub actor: String,
    /// Why.
    pub comment: String,
}

/// A link of a publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedLink {
    /// The slug.
    pub slug: Slug,
    /// The revision of the link that was there before.
    pub previous_revision: Revision,
}

/// A link as a publish makes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Ahead {
    /// The link.
    pub value: Link,
    /// When it answers.
    pub term: Term,
}

/// When a version of a link answers that was committed ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// The revision of the publish.
    pub revision: Revision,
    /// The first instant of visits that it answers.
    pub effective_time: Timestamp,
    /// The revision from which on it is not pending any more.
    pub end_revision: Option<Revision>,
}

impl Term {
    /// Returns whether an index at a revision answers a visit of a time with the version.
    pub fn answers(&self, revision: Revision, time: Timestamp) -> bool {
        let is_pending = self.revision <= revision && self.end_revision.is_none_or(|end| end > revision);
        is_pending && time >= self.effective_time
    }
}

/// Which publishes are listed, newest first.
#[derive(Clone, Debug)]
pub struct ListPublishes {
    /// The shop.
    pub shop: ShopId,
    /// Only those in these states; empty = all.
    pub states: Vec<PublishState>,
    /// Only those that change this link.
    pub slug: Option<Slug>,
    /// Only those that were committed before this one.
    pub before: Option<Revision>,
    /// How many at most.
    pub limit: usize,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = publish, check_for_backend(diesel::pg::Pg))]
struct Row {
    id: i64,
    shop: String,
    state: String,
    effective_at: jiff_diesel::Timestamp,
    created_at: jiff_diesel::Timestamp,
    actor: String,
    comment: String,
    links: i32,
    end_revision: Option<i64>,
    ended_at: Option<jiff_diesel::Timestamp>,
    end_actor: Option<String>,
    end_comment: Option<String>,
}

impl Row {
    fn read(self) -> Result<Publish, StoreError> {
        let object = format!("publish {}", self.id);
        self.parse().map_err(|cause| StoreError::Corrupt { object, cause })
    }

    fn parse(self) -> Result<Publish, Cause> {
        let end = self.end_revision.zip(self.ended_at).zip(self.end_actor.zip(self.end_comment));
        Ok(Publish {
            key: PublishKey { shop: ShopId::parse(&self.shop)?, id: Revision(self.id) },
            state: self.state.parse()?,
            effective_time: self.effective_at.to_jiff(),
            create_time: self.created_at.to_jiff(),
            actor: self.actor,
            comment: self.comment,
            links: self.links,
            end: end.map(|((revision, time), (actor, comment))| PublishEnd {
                revision: Revision(revision),
                time: time.to_jiff(),
                actor,
                comment,
            }),
        })
    }
}

#[derive(QueryableByName)]
struct AheadRow {
    #[diesel(sql_type = BigInt)]
    publish: i64,
    #[diesel(sql_type = Timestamptz)]
    effective_at: jiff_diesel::Timestamp,
    #[diesel(sql_type = Nullable<BigInt>)]
    end_revision: Option<i64>,
    #[diesel(sql_type = Jsonb)]
    object: Json,
}

impl AheadRow {
    fn parse(self) -> Result<Ahead, Cause> {
        Ok(Ahead {
            value: self.object.parse()?,
            term: Term {
                revision: Revision(self.publish),
                effective_time: self.effective_at.to_jiff(),
                end_revision: self.end_revision.map(Revision),
            },
        })
    }
}

impl Store {
    /// Returns a publish.
    pub async fn get_publish(&self, key: &PublishKey) -> Result<Option<Publish>, StoreError> {
        let query = publish::table
            .find(key.id.0)
            .filter(publish::shop.eq(key.shop.as_str()))
            .select(Row::as_select());
        let found = query.first(&mut self.connections.get().await?).await.optional()?;
        found.map(Row::read).transpose()
    }

    /// Returns the links of a publish, by slug.
    pub async fn published_links(&self, key: &PublishKey) -> Result<Vec<PublishedLink>, StoreError> {
        let query = publish_link::table
            .filter(publish_link::publish.eq(key.id.0))
            .filter(publish_link::shop.eq(key.shop.as_str()))
            .order(publish_link::slug)
            .select((publish_link::slug, publish_link::previous_revision));
        let found: Vec<(String, i64)> = query.load(&mut self.connections.get().await?).await?;
        let read = |(slug, previous): (String, i64)| {
            let previous_revision = Revision(previous);
            let corrupt = corrupt(Kind::Link, key.shop.as_str(), &slug);
            let slug = Slug::parse(&slug).map_err(|problem| corrupt(problem.into()))?;
            Ok(PublishedLink { slug, previous_revision })
        };
        found.into_iter().map(read).collect()
    }

    /// Lists publishes.
    pub async fn list_publishes(&self, list: &ListPublishes) -> Result<Vec<Publish>, StoreError> {
        let mut query = publish::table
            .filter(publish::shop.eq(list.shop.as_str()))
            .filter(publish::id.lt(list.before.map_or(i64::MAX, |before| before.0)))
            .order(publish::id.desc())
            .limit(rows(list.limit))
            .select(Row::as_select())
            .into_boxed();
        if !list.states.is_empty() {
            let states: Vec<&str> = list.states.iter().map(|state| state.as_str()).collect();
            query = query.filter(publish::state.eq_any(states));
        }
        if let Some(slug) = &list.slug {
            let of_link = publish_link::table
                .filter(publish_link::shop.eq(list.shop.as_str()))
                .filter(publish_link::slug.eq(slug.as_str()))
                .select(publish_link::publish);
            query = query.filter(publish::id.eq_any(of_link));
        }
        let found: Vec<Row> = query.load(&mut self.connections.get().await?).await?;
        found.into_iter().map(Row::read).collect()
    }

    /// Returns how publishes make a link, newest first: one of them, or all.
    pub async fn versions_ahead(
        &self,
        shop: &ShopId,
        slug: &Slug,
        publish: Option<Revision>,
        limit: usize,
    ) -> Result<Vec<Ahead>, StoreError> {
        let query = sql_query(
            "SELECT publish_link.publish, publish.effective_at, publish.end_revision, publish_link.object
             FROM publish_link JOIN publish ON publish.id = publish_link.publish
             WHERE publish_link.shop = $1 AND publish_link.slug = $2 AND ($3 IS NULL OR publish.id = $3)
             ORDER BY publish.id DESC LIMIT $4",
        );
        let query = query
            .bind::<Text, _>(shop.as_str())
            .bind::<Text, _>(slug.as_str())
            .bind::<Nullable<BigInt>, _>(publish.map(|publish| publish.0))
            .bind::<BigInt, _>(rows(limit));
        let found: Vec<AheadRow> = query.load(&mut self.connections.get().await?).await?;
        self.parse_ahead(found, shop, slug).await
    }

    /// Returns the version of a link that was pending at a revision, if one was.
    pub async fn version_pending_at(
        &self,
        shop: &ShopId,
        slug: &Slug,
        at: Revision,
    ) -> Result<Option<Ahead>, StoreError> {
        let query = sql_query(
            "SELECT publish_link.publish, publish.effective_at, publish.end_revision, publish_link.object
             FROM publish_link JOIN publish ON publish.id = publish_link.publish
             WHERE publish_link.shop = $1 AND publish_link.slug = $2 AND publish.id <= $3
                AND coalesce(publish.end_revision > $3, true)
             ORDER BY publish.id DESC LIMIT 1",
        );
        let query =
            query.bind::<Text, _>(shop.as_str()).bind::<Text, _>(slug.as_str()).bind::<BigInt, _>(at.0);
        let found: Vec<AheadRow> = query.load(&mut self.connections.get().await?).await?;
        Ok(self.parse_ahead(found, shop, slug).await?.pop())
    }

    async fn parse_ahead(
        &self,
        found: Vec<AheadRow>,
        shop: &ShopId,
        slug: &Slug,
    ) -> Result<Vec<Ahead>, StoreError> {
        let (shop, slug) = (shop.clone(), slug.clone());
        let parse =
            move |row: AheadRow| row.parse().map_err(corrupt(Kind::Link, shop.as_str(), slug.as_str()));
        blocking(move || found.into_iter().map(parse).collect()).await
    }
}
