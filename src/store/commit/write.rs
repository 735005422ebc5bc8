//! The statements that write a batch: one per table, however many rows.
//!
//! Rows come as arrays, one per column. Statements that write rows return what they wrote, so that what they did not
//! write is known.

use std::collections::HashSet;

use diesel::{
    QueryResult, QueryableByName, sql_query,
    sql_types::{Array, BigInt, Bool, Bytea, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::{
    Commit, RequestKey,
    batch::{Codes, Hosts, Keys, Links, Log, Names, Partners, Programs, Shops},
};

/// The number and the time of what is written.
#[derive(Clone, Copy, Debug, QueryableByName)]
pub(super) struct Stamp {
    #[diesel(sql_type = BigInt)]
    pub(super) revision: i64,
    #[diesel(sql_type = Timestamptz)]
    pub(super) committed_at: jiff_diesel::Timestamp,
}

/// Takes the next revision, and with it the right to write: whoever comes later waits here until we are through.
pub(super) async fn take_revision(connection: &mut AsyncPgConnection) -> QueryResult<Stamp> {
    sql_query(
        "UPDATE installation SET revision = revision + 1, \
         committed_at = greatest(clock_timestamp(), committed_at + interval '1 microsecond') \
         RETURNING revision, committed_at",
    )
    .get_result(connection)
    .await
}

/// A row that was written: an old one by its put, a new one by its keys.
#[derive(Debug, QueryableByName)]
pub(super) struct Written {
    #[diesel(sql_type = Nullable<Integer>)]
    put: Option<i32>,
    #[diesel(sql_type = Nullable<Text>)]
    shop: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    key: Option<String>,
}

/// Finds the first row that was not written, and says whether it was to be new.
pub(super) fn first_unwritten(keys: &Keys, written: &[Written]) -> Option<(i32, bool)> {
    if written.len() == keys.put.len() {
        return None;
    }
    let changed: HashSet<i32> = written.iter().filter_map(|row| row.put).collect();
    let mut made: HashSet<(&str, &str)> =
        written.iter().filter_map(|row| Some((row.shop.as_deref()?, row.key.as_deref()?))).collect();
    // What is new twice was written once.
    let mut is_written = |at: usize| match keys.read[at] {
        Some(_) => changed.contains(&keys.put[at]),
        None => made.remove(&(keys.shop[at].as_str(), keys.key[at].as_str())),
    };
    (0..keys.put.len()).find(|&at| !is_written(at)).map(|at| (keys.put[at], keys.read[at].is_none()))
}

pub(super) async fn shops(
    mut connection: &AsyncPgConnection,
    stamp: Stamp,
    shops: &Shops,
) -> QueryResult<Vec<Written>> {
    if shops.keys.is_empty() {
        return Ok(Vec::new());
    }
    sql_query(
        "WITH put AS (
            SELECT * FROM unnest($3::int[], $4::text[], $5::bigint[], $6::bool[], $7::text[], $8::jsonb[], $9::text[])
                AS put (put, shop, read, deleted, display_name, settings, default_link)
        ), made AS (
            INSERT INTO shop (id, display_name, settings, default_link, revision, created_at, updated_at, deleted_at)
            SELECT shop, display_name, settings, default_link, $1, $2, $2, CASE WHEN deleted THEN $2 END
            FROM put WHERE read IS NULL
            ON CONFLICT DO NOTHING RETURNING shop.id AS shop
        ), changed AS (
            UPDATE shop SET display_name = put.display_name, settings = put.settings, revision = $1, updated_at = $2,
                deleted_at = CASE WHEN put.deleted THEN coalesce(shop.deleted_at, $2) END
            FROM put WHERE shop.id = put.shop AND shop.revision = put.read
            RETURNING put.put
        )
        SELECT NULL::int AS put, shop, '' AS key FROM made UNION ALL SELECT put, NULL, NULL FROM changed",
    )
    .bind::<BigInt, _>(stamp.revision)
    .bind::<Timestamptz, _>(stamp.committed_at)
    .bind::<Array<Integer>, _>(&shops.keys.put)
    .bind::<Array<Text>, _>(&shops.keys.shop)
    .bind::<Array<Nullable<BigInt>>, _>(&shops.keys.read)
    .bind::<Array<Bool>, _>(&shops.keys.deleted)
    .bind::<Array<Text>, _>(&shops.display_name)
    .bind::<Array<Jsonb>, _>(&shops.settings)
    .bind::<Array<Nullable<Text>>, _>(&shops.default_link)
    .load(&mut connection)
    .await
}

/// Makes these the hosts of the shops that are put; a host that belongs to another shop stays with it.
pub(super) async fn link_hosts(mut connection: &AsyncPgConnection, shops: &Shops) -> QueryResult<()> {
    let statement = "WITH gone AS (
            DELETE FROM link_host WHERE shop = ANY ($1::text[])
                AND (host, shop) NOT IN (SELECT * FROM unnest($2::text[], $3::text[]))
        )
        INSERT INTO link_host (host, shop) SELECT * FROM unnest($2::text[], $3::text[]) ON CONFLICT DO NOTHING";
    write_hosts(&mut connection, statement, &shops.keys, &shops.link_hosts).await
}

/// Makes these the hosts that the shops that are put lead to.
pub(super) async fn shop_destinations(mut connection: &AsyncPgConnection, shops: &Shops) -> QueryResult<()> {
    let statement = "WITH gone AS (
            DELETE FROM shop_destination WHERE shop = ANY ($1::text[])
                AND (host, shop) NOT IN (SELECT * FROM unnest($2::text[], $3::text[]))
        )
        INSERT INTO shop_destination (host, shop) SELECT * FROM unnest($2::text[], $3::text[]) ON CONFLICT DO NOTHING";
    write_hosts(&mut connection, statement, &shops.keys, &shops.destinations).await
}

async fn write_hosts(
    connection: &mut &AsyncPgConnection,
    statement: &str,
    keys: &Keys,
    hosts: &Hosts,
) -> QueryResult<()> {
    if keys.is_empty() {
        return Ok(());
    }
    sql_query(statement)
        .bind::<Array<Text>, _>(&keys.shop)
        .bind::<Array<Text>, _>(&hosts.host)
        .bind::<Array<Text>, _>(&hosts.shop)
        .execute(connection)
        .await
        .map(drop)
}

pub(super) async fn programs(
    mut connection: &AsyncPgConnection,
    stamp: Stamp,
    programs: &Programs,
) -> QueryResult<Vec<Written>> {
    if programs.keys.is_empty() {
        return Ok(Vec::new());
    }
    sql_query(
        "WITH put AS (
            SELECT * FROM unnest($3::int[], $4::text[], $5::text[], $6::bigint[], $7::bool[], $8::text[])
                AS put (put, shop, id, read, deleted, display_name)
        ), made AS (
            INSERT INTO program (shop, id, display_name, revision, created_at, updated_at, deleted_at)
            SELECT shop, id, display_name, $1, $2, $2, CASE WHEN deleted THEN $2 END FROM put WHERE read IS NULL
            ON CONFLICT DO NOTHING RETURNING program.shop, program.id
        ), changed AS (
            UPDATE program SET display_name = put.display_name, revision = $1, updated_at = $2,
                deleted_at = CASE WHEN put.deleted THEN coalesce(program.deleted_at, $2) END
            FROM put WHERE program.shop = put.shop AND program.id = put.id AND program.revision = put.read
            RETURNING put.put
        )
        SELECT NULL::int AS put, shop, id AS key FROM made UNION ALL SELECT put, NULL, NULL FROM changed",
    )
    .bind::<BigInt, _>(stamp.revision)
    .bind::<Timestamptz, _>(stamp.committed_at)
    .bind::<Array<Integer>, _>(&programs.keys.put)
    .bind::<Array<Text>, _>(&programs.keys.shop)
    .bind::<Array<Text>, _>(&programs.keys.key)
    .bind::<Array<Nullable<BigInt>>, _>(&programs.keys.read)
    .bind::<Array<Bool>, _>(&programs.keys.deleted)
    .bind::<Array<Text>, _>(&programs.display_name)
    .load(&mut connection)
    .await
}

pub(super) async fn partners(
    mut connection: &AsyncPgConnection,
    stamp: Stamp,
    partners: &Partners,
) -> QueryResult<Vec<Written>> {
    if partners.keys.is_empty() {
        return Ok(Vec::new());
    }
    sql_query(
        "WITH put AS (
            SELECT * FROM unnest($3::int[], $4::text[], $5::text[], $6::bigint[], $7::bool[], $8::text[], $9::text[],
                    $10::text[], $11::text[], $12::bool[], $13::text[])
                AS put (put, shop, code, read, deleted, aliases, display_name, program, tags, active, search_text)
        ), made AS (
            INSERT INTO partner (shop, code, aliases, display_name, program, tags, active, search_text, revision,
                created_at, updated_at, deleted_at)
            SELECT shop, code, string_to_array(aliases, ','), display_name, program, string_to_array(tags, ','), active,
                search_text, $1, $2, $2, CASE WHEN deleted THEN $2 END
            FROM put WHERE read IS NULL
            ON CONFLICT DO NOTHING RETURNING partner.shop, partner.code
        ), changed AS (
            UPDATE partner SET aliases = string_to_array(put.aliases, ','), display_name = put.display_name,
                program = put.program, tags = string_to_array(put.tags, ','), active = put.active,
                search_text = put.search_text, revision = $1, updated_at = $2,
                deleted_at = CASE WHEN put.deleted THEN coalesce(partner.deleted_at, $2) END
            FROM put WHERE partner.shop = put.shop AND partner.code = put.code AND partner.revision = put.read
            RETURNING put.put
        )
        SELECT NULL::int AS put, shop, code AS key FROM made UNION ALL SELECT put, NULL, NULL FROM changed",
    )
    .bind::<BigInt, _>(stamp.revision)
    .bind::<Timestamptz, _>(stamp.committed_at)
    .bind::<Array<Integer>, _>(&partners.keys.put)
    .bind::<Array<Text>, _>(&partners.keys.shop)
    .bind::<Array<Text>, _>(&partners.keys.key)
    .bind::<Array<Nullable<BigInt>>, _>(&partners.keys.read)
    .bind::<Array<Bool>, _>(&partners.keys.deleted)
    .bind::<Array<Text>, _>(&partners.aliases)
    .bind::<Array<Text>, _>(&partners.display_name)
    .bind::<Array<Nullable<Text>>, _>(&partners.program)
    .bind::<Array<Text>, _>(&partners.tags)
    .bind::<Array<Bool>, _>(&partners.active)
    .bind::<Array<Text>, _>(&partners.search_text)
    .load(&mut connection)
    .await
}

/// Takes codes; one that is taken stays with whom it belongs to.
pub(super) async fn codes(mut connection: &AsyncPgConnection, codes: &Codes) -> QueryResult<()> {
    if codes.put.is_empty() {
        return Ok(());
    }
    sql_query(
        "INSERT INTO partner_code (shop, code, partner) SELECT * FROM unnest($1::text[], $2::text[], $3::text[])
         ON CONFLICT DO NOTHING",
    )
    .bind::<Array<Text>, _>(&codes.shop)
    .bind::<Array<Text>, _>(&codes.code)
    .bind::<Array<Text>, _>(&codes.partner)
    .execute(&mut connection)
    .await
    .map(drop)
}

pub(super) async fn links(
    mut connection: &AsyncPgConnection,
    stamp: Stamp,
    links: &Links,
) -> QueryResult<Vec<Written>> {
    if links.keys.is_empty() {
        return Ok(Vec::new());
    }
    sql_query(
        "WITH put AS (
            SELECT * FROM unnest($3::int[], $4::text[], $5::text[], $6::bigint[], $7::bool[], $8::bool[], $9::text[],
                    $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::bool[], $16::int[],
                    $17::int[], $18::jsonb[], $19::jsonb[])
                AS put (put, shop, slug, read, deleted, is_default, display_name, description, name_key, search_text,
                    tags, state, shared_with_everyone, shared_partners, shared_programs, routing, golden_clicks)
        ), made AS (
            INSERT INTO link (shop, slug, is_default, display_name, description, name_key, search_text, tags, state,
                shared_with_everyone, shared_partners, shared_programs, routing, golden_clicks, revision, created_at,
                updated_at, deleted_at)
            SELECT shop, slug, is_default, display_name, description, name_key, search_text,
                string_to_array(tags, ','), state, shared_with_everyone, shared_partners, shared_programs, routing,
                golden_clicks, $1, $2, $2, CASE WHEN deleted THEN $2 END
            FROM put WHERE read IS NULL
            ON CONFLICT DO NOTHING RETURNING link.shop, link.slug
        ), changed AS (
            UPDATE link SET display_name = put.display_name, description = put.description, name_key = put.name_key,
                search_text = put.search_text, tags = string_to_array(put.tags, ','), state = put.state,
                shared_with_everyone = put.shared_with_everyone, shared_partners = put.shared_partners,
                shared_programs = put.shared_programs, routing = put.routing,
                golden_clicks = put.golden_clicks, revision = $1, updated_at = $2,
                deleted_at = CASE WHEN put.deleted THEN coalesce(link.deleted_at, $2) END
            FROM put WHERE link.shop = put.shop AND link.slug = put.slug AND link.revision = put.read
            RETURNING put.put
        )
        SELECT NULL::int AS put, shop, slug AS key FROM made UNION ALL SELECT put, NULL, NULL FROM changed",
    )
    .bind::<BigInt, _>(stamp.revision)
    .bind::<Timestamptz, _>(stamp.committed_at)
    .bind::<Array<Integer>, _>(&links.keys.put)
    .bind::<Array<Text>, _>(&links.keys.shop)
    .bind::<Array<Text>, _>(&links.keys.key)
    .bind::<Array<Nullable<BigInt>>, _>(&links.keys.read)
    .bind::<Array<Bool>, _>(&links.keys.deleted)
    .bind::<Array<Bool>, _>(&links.is_default)
    .bind::<Array<Text>, _>(&links.display_name)
    .bind::<Array<Text>, _>(&links.description)
    .bind::<Array<Text>, _>(&links.name_key)
    .bind::<Array<Text>, _>(&links.search_text)
    .bind::<Array<Text>, _>(&links.tags)
    .bind::<Array<Text>, _>(&links.state)
    .bind::<Array<Bool>, _>(&links.shared_with_everyone)
    .bind::<Array<Integer>, _>(&links.shared_partners)
    .bind::<Array<Integer>, _>(&links.shared_programs)
    .bind::<Array<Jsonb>, _>(&links.routing)
    .bind::<Array<Jsonb>, _>(&links.golden_clicks)
    .load(&mut connection)
    .await
}

/// A name that leads nowhere.
#[derive(Debug, QueryableByName)]
pub(super) struct Missing {
    #[diesel(sql_type = Integer)]
    pub(super) put: i32,
    #[diesel(sql_type = Text)]
    pub(super) kind: String,
    #[diesel(sql_type = Text)]
    pub(super) name: String,
}

/// What is added to a list of names and taken away from it. A full join, because it alone can never be done row by row
/// against row: a list has up to 10,000 names, and the planner does not know how many it has this time.
macro_rules! names_statement {
    ($table:literal) => {
        concat!(
            "WITH held AS (
                SELECT held.* FROM ",
            $table,
            " AS held JOIN unnest($1::text[], $2::text[]) AS link (shop, slug) USING (shop, slug)
            ), difference AS MATERIALIZED (
                SELECT shop, slug, kind, name, put.put, held.here FROM
                    (SELECT * FROM unnest($3::int[], $4::text[], $5::text[], $6::text[], $7::text[])
                        AS put (put, shop, slug, kind, name)) AS put
                    FULL JOIN (SELECT *, true AS here FROM held) AS held USING (shop, slug, kind, name)
            ), gone AS (
                DELETE FROM ",
            $table,
            " AS held USING difference AS old WHERE old.put IS NULL AND held.shop = old.shop
                    AND held.slug = old.slug AND held.kind = old.kind AND held.name = old.name
            ), added AS (
                INSERT INTO ",
            $table,
            " (shop, slug, kind, name)
                SELECT shop, slug, kind, name FROM difference WHERE here IS NULL
            )
            SELECT put, kind, name FROM difference AS named WHERE here IS NULL AND CASE kind
                WHEN 'partner' THEN NOT EXISTS (SELECT FROM partner
                    WHERE shop = named.shop AND code = named.name AND deleted_at IS NULL)
                WHEN 'program' THEN NOT EXISTS (SELECT FROM program
                    WHERE shop = named.shop AND id = named.name AND deleted_at IS NULL)
                ELSE false END
            ORDER BY put, kind, name"
        )
    };
}

/// Makes these the names that the links are shared with, and returns which of the added ones lead nowhere.
pub(super) async fn shares(mut connection: &AsyncPgConnection, links: &Links) -> QueryResult<Vec<Missing>> {
    write_names(&mut connection, names_statement!("link_share"), links, &links.shares).await
}

/// The same for the names in their routing.
pub(super) async fn references(
    mut connection: &AsyncPgConnection,
    links: &Links,
) -> QueryResult<Vec<Missing>> {
    write_names(&mut connection, names_statement!("link_reference"), links, &links.references).await
}

async fn write_names(
    connection: &mut &AsyncPgConnection,
    statement: &str,
    links: &Links,
    names: &Names,
) -> QueryResult<Vec<Missing>> {
    let nothing_held = links.keys.read.iter().all(Option::is_none);
    if links.keys.is_empty() || (nothing_held && names.put.is_empty()) {
        return Ok(Vec::new());
    }
    sql_query(statement)
        .bind::<Array<Text>, _>(&links.keys.shop)
        .bind::<Array<Text>, _>(&links.keys.key)
        .bind::<Array<Integer>, _>(&names.put)
        .bind::<Array<Text>, _>(&names.shop)
        .bind::<Array<Text>, _>(&names.slug)
        .bind::<Array<Text>, _>(&names.kind)
        .bind::<Array<Text>, _>(&names.name)
        .load(connection)
        .await
}

/// Writes down what every object is from now on.
pub(super) async fn history(
    mut connection: &AsyncPgConnection,
    stamp: Stamp,
    commit: &Commit,
    log: &Log,
    publish: Option<i64>,
) -> QueryResult<()> {
    sql_query(
        "INSERT INTO history (kind, shop, key, revision, at, actor, comment, object, deleted, publish)
         SELECT kind, shop, key, $1, $2, $3, $4, object, deleted, $10
         FROM unnest($5::text[], $6::text[], $7::text[], $8::jsonb[], $9::bool[])
            AS log (kind, shop, key, object, deleted)",
    )
    .bind::<BigInt, _>(stamp.revision)
    .bind::<Timestamptz, _>(stamp.committed_at)
    .bind::<Text, _>(&commit.actor)
    .bind::<Text, _>(commit.comment.as_str())
    .bind::<Array<Text>, _>(&log.kind)
    .bind::<Array<Text>, _>(&log.shop)
    .bind::<Array<Text>, _>(&log.key)
    .bind::<Array<Jsonb>, _>(&log.object)
    .bind::<Array<Bool>, _>(&log.deleted)
    .bind::<Nullable<BigInt>, _>(publish)
    .execute(&mut connection)
    .await
    .map(drop)
}

/// Tells those who follow what was written, and wakes them when it is committed.
pub(super) async fn changes(mut connection: &AsyncPgConnection, stamp: Stamp, log: &Log) -> QueryResult<()> {
    sql_query(
        "WITH written AS (
            INSERT INTO change (revision, kind, shop, key, at)
            SELECT $1, kind, shop, key, $2 FROM unnest($3::text[], $4::text[], $5::text[]) AS log (kind, shop, key)
            ON CONFLICT DO NOTHING
         )
         SELECT pg_notify($6, $1::text)",
    )
    .bind::<BigInt, _>(stamp.revision)
    .bind::<Timestamptz, _>(stamp.committed_at)
    .bind::<Array<Text>, _>(&log.kind)
    .bind::<Array<Text>, _>(&log.shop)
    .bind::<Array<Text>, _>(&log.key)
    .bind::<Text, _>(crate::store::listen::CHANNEL)
    .execute(&mut connection)
    .await
    .map(drop)
}

/// Remembers a request and the revision under which it was done.
pub(super) async fn request(
    mut connection: &AsyncPgConnection,
    stamp: Stamp,
    request: Option<&RequestKey>,
) -> QueryResult<()> {
    let Some(request) = request else { return Ok(()) };
    // What is overwritten has expired: the look-up before would have found it otherwise.
    sql_query(
        "INSERT INTO request (id, rpc, fingerprint, revision, at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (id) DO UPDATE SET rpc = excluded.rpc, fingerprint = excluded.fingerprint,
            revision = excluded.revision, at = excluded.at",
    )
    .bind::<Uuid, _>(request.id)
    .bind::<Text, _>(request.rpc)
    .bind::<Bytea, _>(request.fingerprint.as_slice())
    .bind::<BigInt, _>(stamp.revision)
    .bind::<Timestamptz, _>(stamp.committed_at)
    .execute(&mut connection)
    .await
    .map(drop)
}
