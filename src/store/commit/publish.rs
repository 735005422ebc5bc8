//! What a commit does to publishes: takes one in, or ends one that it names.

use diesel::{
    OptionalExtension, QueryResult, QueryableByName, sql_query,
    sql_types::{Array, BigInt, Bool, Integer, Jsonb, Text, Timestamptz},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use jiff::Timestamp;

use super::{
    Commit, OnPending, Put,
    batch::{Batch, Keys},
    write::Stamp,
};
use crate::store::{
    publishes::PublishState,
    rows::Json,
    types::{Kind, PublishKey},
};

/// A publish that was taken in or ended.
#[derive(QueryableByName)]
struct Id {
    #[diesel(sql_type = BigInt)]
    id: i64,
}

/// Ends the publish that a commit cancels, or looks for the one that it leaves alone; `false` if it is not pending.
pub(super) async fn take_named(
    connection: &mut AsyncPgConnection,
    stamp: Stamp,
    commit: &Commit,
) -> QueryResult<bool> {
    match &commit.pending {
        OnPending::Refuse => Ok(true),
        OnPending::Leave(key) => is_pending(connection, stamp, key).await,
        OnPending::Cancel(key) => cancel(connection, stamp, commit, key).await,
    }
}

async fn is_pending(connection: &mut AsyncPgConnection, stamp: Stamp, key: &PublishKey) -> QueryResult<bool> {
    let found: Option<Id> = sql_query(
        "SELECT id FROM publish WHERE id = $1 AND shop = $2 AND state = 'pending' AND effective_at > $3",
    )
    .bind::<BigInt, _>(key.id.0)
    .bind::<Text, _>(key.shop.as_str())
    .bind::<Timestamptz, _>(stamp.committed_at)
    .get_result(connection)
    .await
    .optional()?;
    Ok(found.is_some_and(|found| found.id == key.id.0))
}

async fn cancel(
    connection: &mut AsyncPgConnection,
    stamp: Stamp,
    commit: &Commit,
    key: &PublishKey,
) -> QueryResult<bool> {
    // What is written beside must be of it: a slip of the pen does not cancel somebody else's.
    let of_links: Vec<&str> = commit
        .puts
        .iter()
        .filter_map(|put| match put {
            Put::Link(write) => Some(write.value.slug.as_str()),
            Put::Shop(_) | Put::Program(_) | Put::Partner(_) => None,
        })
        .collect();
    let ended: Option<Id> = sql_query(
        "WITH ended AS (
            UPDATE publish SET state = 'cancelled', end_revision = $1, ended_at = $2, end_actor = $3,
                end_comment = $7
            WHERE id = $4 AND shop = $5 AND state = 'pending' AND effective_at > $2 AND (cardinality($8) = 0
                OR EXISTS (SELECT FROM publish_link WHERE publish_link.publish = publish.id AND slug = ANY($8)))
            RETURNING id
        ), freed AS (
            UPDATE publish_link SET pending = false FROM ended WHERE publish = ended.id RETURNING shop, slug
        ), gone AS (
            DELETE FROM publish_name USING ended WHERE publish = ended.id
        ), told AS (
            INSERT INTO change (revision, kind, shop, key, at) SELECT $1, $6, shop, slug, $2 FROM freed
        )
        SELECT id FROM ended",
    )
    .bind::<BigInt, _>(stamp.revision)
    .bind::<Timestamptz, _>(stamp.committed_at)
    .bind::<Text, _>(&commit.actor)
    .bind::<BigInt, _>(key.id.0)
    .bind::<Text, _>(key.shop.as_str())
    .bind::<Text, _>(Kind::Link.as_str())
    .bind::<Text, _>(commit.comment.as_str())
    .bind::<Array<Text>, _>(of_links)
    .get_result(connection)
    .await
    .optional()?;
    Ok(ended.is_some_and(|ended| ended.id == key.id.0))
}

/// A publish that is pending on a link that is written.
#[derive(Debug, QueryableByName)]
pub(super) struct InTheWay {
    #[diesel(sql_type = Integer)]
    pub(super) put: i32,
    #[diesel(sql_type = BigInt)]
    pub(super) publish: i64,
    #[diesel(sql_type = Timestamptz)]
    pub(super) effective_at: jiff_diesel::Timestamp,
    /// Whether its time has come, and only nobody has written it into the links yet.
    #[diesel(sql_type = Bool)]
    pub(super) is_due: bool,
}

/// Finds a publish that is pending on a link that is written, other than the one that the commit leaves alone.
pub(super) async fn in_the_way(
    mut connection: &AsyncPgConnection,
    stamp: Stamp,
    commit: &Commit,
    links: &Keys,
) -> QueryResult<Option<InTheWay>> {
    if links.is_empty() {
        return Ok(None);
    }
    let left = match &commit.pending {
        // Two cannot be pending on one link.
        OnPending::Leave(key) if !commit.is_ahead() => key.id.0,
        OnPending::Leave(_) | OnPending::Refuse | OnPending::Cancel(_) => 0,
    };
    sql_query(
        "SELECT put.put, publish.id AS publish, publish.effective_at, publish.effective_at <= $4 AS is_due
         FROM unnest($1::int[], $2::text[], $3::text[]) AS put (put, shop, slug)
         JOIN publish_link AS held ON held.shop = put.shop AND held.slug = put.slug AND held.pending
         JOIN publish ON publish.id = held.publish
         WHERE publish.id <> $5 ORDER BY is_due DESC, put.put LIMIT 1",
    )
    .bind::<Array<Integer>, _>(&links.put)
    .bind::<Array<Text>, _>(&links.shop)
    .bind::<Array<Text>, _>(&links.key)
    .bind::<Timestamptz, _>(stamp.committed_at)
    .bind::<BigInt, _>(left)
    .get_result(&mut connection)
    .await
    .optional()
}

/// Takes a publish in: one that takes effect with this commit, or at a time.
pub(super) async fn take_in(
    connection: &mut AsyncPgConnection,
    stamp: Stamp,
    commit: &Commit,
    batch: &Batch,
    effective: Option<Timestamp>,
) -> QueryResult<()> {
    let (links, objects): (&Keys, &[Json]) = (&batch.links.keys, &batch.log.object);
    let Some(shop) = links.shop.as_slice().first() else { return Ok(()) };
    let read: Vec<i64> = links.read.iter().map(|read| read.unwrap_or_default()).collect();
    let state = if effective.is_some() { PublishState::Pending } else { PublishState::Effective };
    let effective_at = effective.map_or(stamp.committed_at, jiff_diesel::Timestamp::from);
    sql_query(
        "WITH made AS (
            INSERT INTO publish (id, shop, state, effective_at, created_at, actor, comment, links, end_revision,
                ended_at, end_actor, end_comment)
            VALUES ($1, $3, $4, $5, $2, $6, $7, $8, CASE WHEN NOT $9 THEN $1 END, CASE WHEN NOT $9 THEN $2 END,
                CASE WHEN NOT $9 THEN $6 END, CASE WHEN NOT $9 THEN $7 END)
        )
        INSERT INTO publish_link (publish, shop, slug, previous_revision, object, pending)
        SELECT $1, $3, slug, read, object, $9 FROM unnest($10::text[], $11::bigint[], $12::jsonb[])
            AS link (slug, read, object)",
    )
    .bind::<BigInt, _>(stamp.revision)
    .bind::<Timestamptz, _>(stamp.committed_at)
    .bind::<Text, _>(shop)
    .bind::<Text, _>(state.as_str())
    .bind::<Timestamptz, _>(effective_at)
    .bind::<Text, _>(&commit.actor)
    .bind::<Text, _>(commit.comment.as_str())
    .bind::<Integer, _>(i32::try_from(links.put.len()).unwrap_or(i32::MAX))
    .bind::<Bool, _>(effective.is_some())
    .bind::<Array<Text>, _>(&links.key)
    .bind::<Array<BigInt>, _>(read)
    .bind::<Array<Jsonb>, _>(objects)
    .execute(connection)
    .await?;
    if effective.is_none() {
        return Ok(());
    }
    for names in [&batch.links.shares, &batch.links.references] {
        sql_query(
            "INSERT INTO publish_name (publish, shop, slug, kind, name)
             SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::text[]) ON CONFLICT DO NOTHING",
        )
        .bind::<BigInt, _>(stamp.revision)
        .bind::<Array<Text>, _>(&names.shop)
        .bind::<Array<Text>, _>(&names.slug)
        .bind::<Array<Text>, _>(&names.kind)
        .bind::<Array<Text>, _>(&names.name)
        .execute(connection)
        .await?;
    }
    Ok(())
}
