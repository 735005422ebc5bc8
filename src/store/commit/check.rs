//! What the transaction looks up before it commits: everything that one object alone cannot tell. It holds the lock on
//! the revision, so what is true here stays true.

use std::collections::HashSet;

use diesel::{
    OptionalExtension, QueryResult, QueryableByName, sql_query,
    sql_types::{Array, BigInt, Bool, Bytea, Integer, Nullable, Text, Uuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::{
    RequestKey,
    batch::{Batch, Codes, Hosts, Keys, Names},
    write::Missing,
};
use crate::{domain::limits, store::rows::HOST};

/// What was answered to a request before.
#[derive(Debug, QueryableByName)]
pub(super) struct Answered {
    #[diesel(sql_type = Text)]
    rpc: String,
    #[diesel(sql_type = Bytea)]
    fingerprint: Vec<u8>,
    #[diesel(sql_type = BigInt)]
    pub(super) revision: i64,
}

impl Answered {
    /// Returns whether it was the same request.
    pub(super) fn is_of(&self, request: &RequestKey) -> bool {
        self.rpc == request.rpc && self.fingerprint == request.fingerprint
    }
}

/// Looks for a request that was already done.
pub(super) async fn answered(
    mut connection: &AsyncPgConnection,
    request: Option<&RequestKey>,
) -> QueryResult<Option<Answered>> {
    let Some(request) = request else { return Ok(None) };
    sql_query(
        "SELECT rpc, fingerprint, revision FROM request
         WHERE id = $1 AND at > clock_timestamp() - make_interval(hours => $2)",
    )
    .bind::<Uuid, _>(request.id)
    .bind::<Integer, _>(i32::try_from(limits::REQUEST_ID_HOURS).unwrap_or(i32::MAX))
    .get_result(&mut connection)
    .await
    .optional()
}

/// Finds the shops that puts are in, and the programs that partners are in, which do not exist or are deleted.
pub(super) async fn missing(mut connection: &AsyncPgConnection, batch: &Batch) -> QueryResult<Vec<Missing>> {
    let mut named = Names::default();
    let mut seen = HashSet::new();
    let mut name = |put: i32, shop: &String, kind: &'static str, name: &String| {
        if seen.insert((shop.clone(), kind, name.clone())) {
            named.put.push(put);
            named.shop.push(shop.clone());
            named.kind.push(kind);
            named.name.push(name.clone());
        }
    };
    let in_shop = |keys: &Keys| keys.put.iter().copied().zip(keys.shop.clone()).collect::<Vec<_>>();
    let (programs, partners, links) = (&batch.programs.keys, &batch.partners.keys, &batch.links.keys);
    for (put, shop) in [programs, partners, links].into_iter().flat_map(in_shop) {
        name(put, &shop, "shop", &shop);
    }
    for (at, program) in batch.partners.program.iter().enumerate() {
        if let (Some(program), false) = (program, partners.deleted[at]) {
            name(partners.put[at], &partners.shop[at], "program", program);
        }
    }
    if named.put.is_empty() {
        return Ok(Vec::new());
    }
    sql_query(
        "SELECT put, kind, name FROM unnest($1::int[], $2::text[], $3::text[], $4::text[]) AS named (put, shop, kind, name)
         WHERE CASE kind
            WHEN 'shop' THEN NOT EXISTS (SELECT FROM shop WHERE id = named.shop AND deleted_at IS NULL)
            ELSE NOT EXISTS (SELECT FROM program
                WHERE shop = named.shop AND id = named.name AND deleted_at IS NULL) END
         ORDER BY put, kind DESC, name",
    )
    .bind::<Array<Integer>, _>(&named.put)
    .bind::<Array<Text>, _>(&named.shop)
    .bind::<Array<Text>, _>(&named.kind)
    .bind::<Array<Text>, _>(&named.name)
    .load(&mut connection)
    .await
}

/// A name that belongs to another object.
#[derive(Debug, QueryableByName)]
pub(super) struct Held {
    #[diesel(sql_type = Integer)]
    pub(super) put: i32,
    #[diesel(sql_type = Text)]
    pub(super) name: String,
}

/// Finds a code that belongs to another partner.
pub(super) async fn held_code(
    mut connection: &AsyncPgConnection,
    codes: &Codes,
) -> QueryResult<Option<Held>> {
    if codes.put.is_empty() {
        return Ok(None);
    }
    sql_query(
        "SELECT put.put, put.code AS name
         FROM unnest($1::int[], $2::text[], $3::text[], $4::text[]) AS put (put, shop, code, partner)
         JOIN partner_code AS held USING (shop, code)
         WHERE held.partner <> put.partner ORDER BY put.put, put.code LIMIT 1",
    )
    .bind::<Array<Integer>, _>(&codes.put)
    .bind::<Array<Text>, _>(&codes.shop)
    .bind::<Array<Text>, _>(&codes.code)
    .bind::<Array<Text>, _>(&codes.partner)
    .get_result(&mut connection)
    .await
    .optional()
}

/// Finds a link host that belongs to another shop.
pub(super) async fn held_host(
    mut connection: &AsyncPgConnection,
    hosts: &Hosts,
) -> QueryResult<Option<Held>> {
    if hosts.put.is_empty() {
        return Ok(None);
    }
    sql_query(
        "SELECT put.put, put.host AS name FROM unnest($1::int[], $2::text[], $3::text[]) AS put (put, shop, host)
         JOIN link_host AS held USING (host)
         WHERE held.shop <> put.shop ORDER BY put.put, put.host LIMIT 1",
    )
    .bind::<Array<Integer>, _>(&hosts.put)
    .bind::<Array<Text>, _>(&hosts.shop)
    .bind::<Array<Text>, _>(&hosts.host)
    .get_result(&mut connection)
    .await
    .optional()
}

/// Finds a destination of what is put that leads to a link host.
pub(super) async fn looping_destination(
    mut connection: &AsyncPgConnection,
    batch: &Batch,
) -> QueryResult<Option<Held>> {
    let of_shops = &batch.shops.destinations;
    let deleted: HashSet<i32> = batch
        .links
        .keys
        .put
        .iter()
        .zip(&batch.links.keys.deleted)
        .filter(|of| *of.1)
        .map(|of| *of.0)
        .collect();
    let of_links = &batch.links.references;
    let hosts = (0..of_links.put.len()).filter(|&at| of_links.kind[at] == HOST);
    let hosts =
        hosts.map(|at| (of_links.put[at], &of_links.name[at])).filter(|(put, _)| !deleted.contains(put));
    let (puts, hosts): (Vec<i32>, Vec<&String>) =
        of_shops.put.iter().copied().zip(&of_shops.host).chain(hosts).unzip();
    if puts.is_empty() {
        return Ok(None);
    }
    sql_query(
        "SELECT put.put, put.host AS name FROM unnest($1::int[], $2::text[]) AS put (put, host)
         JOIN link_host USING (host) ORDER BY put.put, put.host LIMIT 1",
    )
    .bind::<Array<Integer>, _>(puts)
    .bind::<Array<Text>, _>(hosts)
    .get_result(&mut connection)
    .await
    .optional()
}

/// A link host that is put, and who leads to it.
#[derive(Debug, QueryableByName)]
pub(super) struct Loop {
    #[diesel(sql_type = Integer)]
    pub(super) put: i32,
    #[diesel(sql_type = Text)]
    pub(super) host: String,
    #[diesel(sql_type = Text)]
    pub(super) shop: String,
    /// `None` for the shop itself.
    #[diesel(sql_type = Nullable<Text>)]
    pub(super) slug: Option<String>,
}

/// Finds a shop or link that leads to a link host that is put, or will by a publish that is pending.
pub(super) async fn looping_host(
    mut connection: &AsyncPgConnection,
    hosts: &Hosts,
) -> QueryResult<Option<Loop>> {
    if hosts.put.is_empty() {
        return Ok(None);
    }
    sql_query(
        "WITH put AS (SELECT * FROM unnest($1::int[], $2::text[]) AS put (put, host))
         SELECT put, host, shop, NULL AS slug FROM put JOIN shop_destination USING (host)
         UNION ALL
         SELECT put, host, link.shop, link.slug FROM put
            JOIN link_reference AS reference ON reference.kind = 'host' AND reference.name = put.host
            JOIN link ON link.shop = reference.shop AND link.slug = reference.slug AND link.state <> 'deleted'
            JOIN shop ON shop.id = link.shop AND shop.deleted_at IS NULL
         UNION ALL
         SELECT put, host, link.shop, link.slug FROM put
            JOIN publish_name AS reference ON reference.kind = 'host' AND reference.name = put.host
            JOIN link ON link.shop = reference.shop AND link.slug = reference.slug
            JOIN shop ON shop.id = link.shop AND shop.deleted_at IS NULL
         ORDER BY put, host, shop, slug NULLS FIRST LIMIT 1",
    )
    .bind::<Array<Integer>, _>(&hosts.put)
    .bind::<Array<Text>, _>(&hosts.host)
    .get_result(&mut connection)
    .await
    .optional()
}

/// Finds a program that is deleted although a partner is in it: someone put it there since the others were read.
pub(super) async fn member_left_behind(
    mut connection: &AsyncPgConnection,
    programs: &Keys,
) -> QueryResult<Option<i32>> {
    #[derive(QueryableByName)]
    struct Found {
        #[diesel(sql_type = Integer)]
        put: i32,
    }
    if !programs.deleted.contains(&true) {
        return Ok(None);
    }
    let found: Option<Found> = sql_query(
        "SELECT put FROM unnest($1::int[], $2::text[], $3::text[], $4::bool[]) AS put (put, shop, id, deleted)
         WHERE deleted AND EXISTS (SELECT FROM partner
            WHERE partner.shop = put.shop AND partner.program = put.id AND partner.deleted_at IS NULL)
         ORDER BY put LIMIT 1",
    )
    .bind::<Array<Integer>, _>(&programs.put)
    .bind::<Array<Text>, _>(&programs.shop)
    .bind::<Array<Text>, _>(&programs.key)
    .bind::<Array<Bool>, _>(&programs.deleted)
    .get_result(&mut connection)
    .await
    .optional()?;
    Ok(found.map(|found| found.put))
}
