//! Publishes whose time has come, written into their links. Nothing depends on when that happens: the index goes by the
//! time of the visit, and no other write of these links comes in between.

use std::collections::HashMap;

use diesel::{
    OptionalExtension, QueryResult, QueryableByName, sql_query,
    sql_types::{Array, BigInt, Jsonb, Text, Timestamptz},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::{
    Commit, CommitError, Expect, OnPending, Put, Store, Write, batch::Batch, blocking, write, write::Stamp,
    write_objects,
};
use crate::{
    domain::{
        link::Link,
        name::{ShopId, Slug},
        revision::{Comment, Revision},
    },
    store::{
        errors::StoreError,
        links::read_links,
        pool::{Connection, WRITING, begin, end},
        rows::{Json, corrupt},
        types::{Kind, PublishKey},
    },
};

/// A publish that was written into its links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Which.
    pub publish: PublishKey,
    /// The revision under which it was.
    pub revision: Revision,
    /// How many links it changed.
    pub links: usize,
}

/// A publish whose time has come and that could not be written into its links.
#[derive(Debug)]
pub struct NotSettled {
    /// Which.
    pub publish: PublishKey,
    /// Why.
    pub error: StoreError,
}

/// What came of writing publishes into their links.
#[derive(Debug, Default)]
pub struct Settlements {
    /// Those that were.
    pub done: Vec<Settled>,
    /// Those that were not: they hold up no other.
    pub failed: Vec<NotSettled>,
}

#[derive(QueryableByName)]
struct Due {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Text)]
    shop: String,
    #[diesel(sql_type = Text)]
    actor: String,
    #[diesel(sql_type = Text)]
    comment: String,
}

#[derive(QueryableByName)]
struct Ahead {
    #[diesel(sql_type = Text)]
    slug: String,
    #[diesel(sql_type = Jsonb)]
    object: Json,
}

impl Store {
    /// Writes every publish into its links whose time has come by PostgreSQL's clock, each under a revision of its own.
    /// Of several servers that do this at the same time, each publish is done by one.
    pub async fn settle_publishes(&self) -> Result<Settlements, StoreError> {
        let mut settlements = Settlements::default();
        loop {
            let failed: Vec<i64> = settlements.failed.iter().map(|failed| failed.publish.id.0).collect();
            let mut connection = self.connections.get().await?;
            if !is_any_due(&mut connection, &failed).await? {
                return Ok(settlements);
            }
            // A transaction that stopped in the middle would keep the lock on the revision, and every writer waiting.
            let done = tokio::spawn(settle_one(connection, failed)).await;
            match done.map_err(|error| StoreError::Other(error.into()))? {
                Ok(settled) => settlements.done.push(settled),
                Err(Unsettled::NothingDue) => {}
                Err(Unsettled::Failed(not)) => settlements.failed.push(not),
                Err(Unsettled::Store(error)) => return Err(error),
            }
        }
    }
}

/// Looks without taking the lock on the revision: mostly nothing is due.
async fn is_any_due(connection: &mut AsyncPgConnection, failed: &[i64]) -> QueryResult<bool> {
    // The time of a commit never goes back, the clock may.
    let due: Option<Due> = sql_query(
        "SELECT publish.id, shop, actor, comment FROM publish JOIN shop ON shop.id = publish.shop
         WHERE state = 'pending' AND shop.deleted_at IS NULL AND publish.id <> ALL($1)
            AND effective_at <= greatest(clock_timestamp(), (SELECT committed_at FROM installation)) LIMIT 1",
    )
    .bind::<Array<BigInt>, _>(failed)
    .get_result(connection)
    .await
    .optional()?;
    Ok(due.is_some())
}

/// Writes the first publish that is due and did not fail before into its links.
async fn settle_one(mut connection: Connection, failed: Vec<i64>) -> Result<Settled, Unsettled> {
    begin(&mut connection, WRITING).await?;
    let outcome = settle(&mut connection, &failed).await;
    end(&mut connection, outcome).await
}

/// Why no publish was written.
enum Unsettled {
    /// None is due any more: another server was quicker.
    NothingDue,
    /// This one could not be written.
    Failed(NotSettled),
    /// The database could not.
    Store(StoreError),
}

impl From<StoreError> for Unsettled {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

async fn settle(connection: &mut AsyncPgConnection, failed: &[i64]) -> Result<Settled, Unsettled> {
    let stamp = write::take_revision(connection).await.map_err(StoreError::from)?;
    let due = end_first(connection, stamp, failed).await.map_err(StoreError::from)?;
    let due = due.ok_or(Unsettled::NothingDue)?;
    let bad = corrupt(Kind::Shop, &due.shop, "");
    let shop = ShopId::parse(&due.shop).map_err(|problem| bad(problem.into()))?;
    let publish = PublishKey { shop: shop.clone(), id: Revision(due.id) };
    match write_into_links(connection, stamp, due, shop).await {
        Ok(links) => Ok(Settled { publish, revision: Revision(stamp.revision), links }),
        Err(error) => Err(Unsettled::Failed(NotSettled { publish, error })),
    }
}

/// Writes a publish that has just been ended into its links; returns how many these are.
async fn write_into_links(
    connection: &mut AsyncPgConnection,
    stamp: Stamp,
    due: Due,
    shop: ShopId,
) -> Result<usize, StoreError> {
    let (id, of_shop) = (due.id, due.shop);
    let ahead = take_out(connection, id).await?;
    let ahead = blocking(move || parse(ahead, &of_shop)).await?;
    let slugs: Vec<Slug> = ahead.keys().cloned().collect();
    let now = read_links(connection, &shop, &slugs).await?;
    let (commit, batch) = blocking(move || {
        let puts = now.into_iter().filter_map(|now| {
            // The state stays, and ids of rules and variants that were taken away meanwhile stay used.
            let link = now.value.rolled_back(ahead.get(&now.value.slug)?);
            Some(Put::Link(Write { value: link, expect: Expect::Revision(now.revision), deleted: false }))
        });
        let commit = Commit {
            actor: due.actor,
            comment: Comment::parse(&due.comment).unwrap_or_default(),
            puts: puts.collect(),
            request: None,
            // What is named was there when the publish was committed, and only force has removed it.
            allow_missing_references: true,
            dry_run: false,
            pending: OnPending::Refuse,
            publish: None,
        };
        Batch::of(&commit.puts).map(|batch| (commit, batch))
    })
    .await?;
    let written = write_objects(connection, stamp, &commit, &batch, Some(id)).await;
    written.map_err(|error| match error {
        CommitError::Store(error) => error,
        // It holds the lock on the revision since before it has read.
        other @ (CommitError::Stale { .. }
        | CommitError::Taken { .. }
        | CommitError::MissingReferences(_)
        | CommitError::InUse { .. }
        | CommitError::LoopingHost { .. }
        | CommitError::PublishPending { .. }
        | CommitError::PublishDue { .. }
        | CommitError::PublishPassed { .. }
        | CommitError::PublishNotPending
        | CommitError::Repeated { .. }
        | CommitError::RequestIdReused) => StoreError::Other(other.into()),
    })?;
    Ok(commit.puts.len())
}

/// Ends the publish whose time came first.
async fn end_first(
    connection: &mut AsyncPgConnection,
    stamp: Stamp,
    failed: &[i64],
) -> QueryResult<Option<Due>> {
    sql_query(
        "UPDATE publish SET state = 'effective', end_revision = $1, ended_at = $2, end_actor = actor,
            end_comment = comment
         WHERE id = (
            SELECT publish.id FROM publish JOIN shop ON shop.id = publish.shop
            WHERE state = 'pending' AND effective_at <= $2 AND shop.deleted_at IS NULL AND publish.id <> ALL($3)
            ORDER BY effective_at, publish.id LIMIT 1)
         RETURNING id, shop, actor, comment",
    )
    .bind::<BigInt, _>(stamp.revision)
    .bind::<Timestamptz, _>(stamp.committed_at)
    .bind::<Array<BigInt>, _>(failed)
    .get_result(connection)
    .await
    .optional()
}

/// Takes the versions of links out of what is pending.
async fn take_out(connection: &mut AsyncPgConnection, publish: i64) -> QueryResult<Vec<Ahead>> {
    sql_query(
        "WITH gone AS (DELETE FROM publish_name WHERE publish = $1)
         UPDATE publish_link SET pending = false, previous_revision = link.revision FROM link
         WHERE publish = $1 AND link.shop = publish_link.shop AND link.slug = publish_link.slug
         RETURNING publish_link.slug, publish_link.object",
    )
    .bind::<BigInt, _>(publish)
    .load(connection)
    .await
}

fn parse(ahead: Vec<Ahead>, shop: &str) -> Result<HashMap<Slug, Link>, StoreError> {
    let read = |row: Ahead| {
        let link: Link = row.object.parse().map_err(corrupt(Kind::Link, shop, &row.slug))?;
        Ok((link.slug.clone(), link))
    };
    ahead.into_iter().map(read).collect()
}
