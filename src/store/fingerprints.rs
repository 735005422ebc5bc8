//! Fingerprints of the tables, as [`crate::domain::fingerprint`] defines them.

use diesel::{
    QueryableByName, sql_query,
    sql_types::{Integer, Text},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use super::{
    Store,
    errors::StoreError,
    feed::head,
    pool::{ONE_INSTANT, begin, end},
};
use crate::domain::{
    fingerprint::{Fingerprint, Fingerprints, IndexedKind},
    revision::Revision,
};

impl Store {
    /// Computes the fingerprints of all rows, and the revision they are of.
    pub async fn fingerprints(&self) -> Result<(Revision, Fingerprints), StoreError> {
        let mut connection = self.connections.get().await?;
        begin(&mut connection, ONE_INSTANT).await?;
        // Every row is looked at: with millions of them that takes longer than what callers wait for.
        connection.batch_execute("SET LOCAL statement_timeout = '5min'").await?;
        let outcome = compute(&mut connection).await;
        end(&mut connection, outcome).await
    }
}

#[derive(QueryableByName)]
struct Sum {
    #[diesel(sql_type = Integer)]
    bucket: i32,
    /// The sum of 64-bit numbers does not fit into one; as text it does not matter.
    #[diesel(sql_type = Text)]
    sum: String,
}

async fn compute(connection: &mut AsyncPgConnection) -> Result<(Revision, Fingerprints), StoreError> {
    let head = head(connection).await?;
    let mut prints = Fingerprints::new();
    for &kind in IndexedKind::ALL {
        let sums: Vec<Sum> = sql_query(format!(
            "SELECT bucket, sum(('x' || left(digest, 16))::bit(64)::bigint)::text AS sum FROM ({}) AS rows GROUP BY bucket",
            digests(kind)
        ))
        .load(connection)
        .await?;
        for Sum { bucket, sum } in sums {
            let sum: i128 =
                sum.parse().map_err(|error: std::num::ParseIntError| StoreError::Other(error.into()))?;
            let bucket = u8::try_from(bucket).map_err(|error| StoreError::Other(error.into()))?;
            // The lower 64 bits: the sum wraps.
            prints.add_sum(kind, Fingerprint { bucket, sum: sum as i64 });
        }
    }
    Ok((Revision(head.revision), prints))
}

/// The query for the digests of all rows that count.
fn digests(kind: IndexedKind) -> String {
    let (shop, key, counted) = match kind {
        IndexedKind::Shop => ("shop.id", "''", "shop WHERE shop.deleted_at IS NULL"),
        IndexedKind::Partner => (
            "partner.shop",
            "partner.code",
            "partner JOIN shop ON shop.id = partner.shop AND shop.deleted_at IS NULL WHERE partner.deleted_at IS NULL",
        ),
        IndexedKind::Link => {
            // What is pending on a link counts beside it.
            let all = "(SELECT shop, slug, revision FROM link
                    UNION ALL SELECT shop, slug, publish FROM publish_link WHERE pending) AS link
                JOIN shop ON shop.id = link.shop AND shop.deleted_at IS NULL";
            ("link.shop", "link.slug", all)
        }
    };
    format!(
        "SELECT shop, key, digest, ('x' || substr(digest, 17, 2))::bit(8)::int AS bucket FROM (
            SELECT {shop} AS shop, {key} AS key,
                md5('{kind}/' || {shop} || '/' || {key} || '@' || {kind}.revision) AS digest
            FROM {counted}
         ) AS digests"
    )
}
