//! Who names whom: sharing and references.

use diesel::{
    OptionalExtension, QueryResult, QueryableByName,
    prelude::*,
    sql_query,
    sql_types::{Array, BigInt, Bool, Integer, Text},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::{
    Store,
    errors::{Cause, StoreError},
    pool::{ONE_INSTANT, begin, end, limit as rows},
    rows::{PARTNER, PROGRAM},
    schema::{link, link_share},
    types::{Kind, NAMED_REFERENCES, Reference, References, SharingChange, SharingPage},
};
use crate::domain::{
    fault::Problem,
    link::Sharing,
    name::{PartnerCode, ProgramId, ShopId, Slug},
};

impl Store {
    /// Returns whom a link is shared with: the programs on the first page, and partners after a code.
    pub async fn link_sharing(
        &self,
        shop: &ShopId,
        slug: &Slug,
        after: Option<&PartnerCode>,
        limit: usize,
    ) -> Result<Option<SharingPage>, StoreError> {
        let mut connection = self.connections.get().await?;
        begin(&mut connection, ONE_INSTANT).await?;
        let outcome = sharing_page(&mut connection, shop, slug, after, limit).await;
        end(&mut connection, outcome).await
    }

    /// Computes which partners of a shop gain or lose a link when its sharing changes; names at most `limit` of each.
    pub async fn sharing_change(
        &self,
        shop: &ShopId,
        before: &Sharing,
        after: &Sharing,
        limit: usize,
    ) -> Result<SharingChange, StoreError> {
        let (had, has) = (Named::of(before), Named::of(after));
        let row: ChangeRow = sql_query(
            "SELECT count(*) FILTER (WHERE has) AS gain_count, count(*) FILTER (WHERE NOT has) AS loss_count,
                coalesce((array_agg(code ORDER BY code) FILTER (WHERE has))[1:$8], '{}') AS gains,
                coalesce((array_agg(code ORDER BY code) FILTER (WHERE NOT has))[1:$8], '{}') AS losses
             FROM (
                SELECT code, $2 OR code = ANY ($3) OR coalesce(program = ANY ($4), false) AS had,
                    $5 OR code = ANY ($6) OR coalesce(program = ANY ($7), false) AS has
                FROM partner WHERE shop = $1 AND deleted_at IS NULL
             ) AS of_partner WHERE had <> has",
        )
        .bind::<Text, _>(shop.as_str())
        .bind::<Bool, _>(had.everyone)
        .bind::<Array<Text>, _>(had.partners)
        .bind::<Array<Text>, _>(had.programs)
        .bind::<Bool, _>(has.everyone)
        .bind::<Array<Text>, _>(has.partners)
        .bind::<Array<Text>, _>(has.programs)
        .bind::<Integer, _>(i32::try_from(limit).unwrap_or(i32::MAX))
        .get_result(&mut self.connections.get().await?)
        .await?;
        Ok(SharingChange {
            gain_count: count(row.gain_count),
            gains: names(&row.gains, PartnerCode::parse)?,
            loss_count: count(row.loss_count),
            losses: names(&row.losses, PartnerCode::parse)?,
        })
    }

    /// Returns who names a program, partner or shop.
    pub async fn references_of(
        &self,
        shop: &ShopId,
        reference: &Reference,
    ) -> Result<References, StoreError> {
        references_of(&*self.connections.get().await?, shop, reference).await
    }
}

async fn sharing_page(
    connection: &mut AsyncPgConnection,
    shop: &ShopId,
    slug: &Slug,
    after: Option<&PartnerCode>,
    limit: usize,
) -> Result<Option<SharingPage>, StoreError> {
    let key = (shop.as_str(), slug.as_str());
    let everyone: Option<bool> =
        link::table.find(key).select(link::shared_with_everyone).first(connection).await.optional()?;
    let Some(everyone) = everyone else { return Ok(None) };
    let of_kind = |kind: &'static str| {
        link_share::table
            .filter(link_share::shop.eq(shop.as_str()))
            .filter(link_share::slug.eq(slug.as_str()))
            .filter(link_share::kind.eq(kind))
            .order(link_share::name)
            .select(link_share::name)
    };
    let mut programs: Vec<String> = Vec::new();
    if after.is_none() {
        programs = of_kind(PROGRAM).load(connection).await?;
    }
    // Every code comes after the empty text.
    let after = after.map_or("", PartnerCode::as_str);
    let partners: Vec<String> =
        of_kind(PARTNER).filter(link_share::name.gt(after)).limit(rows(limit)).load(connection).await?;
    Ok(Some(SharingPage {
        everyone,
        programs: names(&programs, ProgramId::parse)?,
        partners: names(&partners, PartnerCode::parse)?,
    }))
}

/// A sharing in the parts that SQL compares.
struct Named<'a> {
    everyone: bool,
    partners: Vec<&'a str>,
    programs: Vec<&'a str>,
}

impl<'a> Named<'a> {
    fn of(sharing: &'a Sharing) -> Self {
        match sharing {
            Sharing::Everyone => Self { everyone: true, partners: Vec::new(), programs: Vec::new() },
            Sharing::Selected { partners, programs } => Self {
                everyone: false,
                partners: partners.iter().map(PartnerCode::as_str).collect(),
                programs: programs.iter().map(ProgramId::as_str).collect(),
            },
        }
    }
}

#[derive(QueryableByName)]
struct ChangeRow {
    #[diesel(sql_type = BigInt)]
    gain_count: i64,
    #[diesel(sql_type = BigInt)]
    loss_count: i64,
    #[diesel(sql_type = Array<Text>)]
    gains: Vec<String>,
    #[diesel(sql_type = Array<Text>)]
    losses: Vec<String>,
}

/// How many there are, and the first of them.
#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = BigInt)]
    found: i64,
    #[diesel(sql_type = Array<Text>)]
    first: Vec<String>,
}

/// Finds out who names something.
pub(super) async fn references_of(
    connection: &AsyncPgConnection,
    shop: &ShopId,
    reference: &Reference,
) -> Result<References, StoreError> {
    let (kind, name) = match reference {
        Reference::Shop(_) => (Kind::Shop, ""),
        Reference::Program(id) => (Kind::Program, id.as_str()),
        Reference::Partner(code) => (Kind::Partner, code.as_str()),
    };
    let (links, partners) =
        tokio::join!(links_naming(connection, shop, kind, name), partners_in(connection, shop, kind, name));
    let (links, partners) = (links?, partners?);
    Ok(References {
        link_count: count(links.found),
        links: names(&links.first, Slug::parse)?,
        partner_count: count(partners.found),
        partners: names(&partners.first, PartnerCode::parse)?,
    })
}

async fn links_naming(
    mut connection: &AsyncPgConnection,
    shop: &ShopId,
    kind: Kind,
    name: &str,
) -> QueryResult<Found> {
    // The first of them come by the index; sorting all that are counted took longer than counting them.
    if kind == Kind::Shop {
        let query = sql_query(
            "SELECT (SELECT count(*) FROM link WHERE shop = $1 AND state <> 'deleted' AND NOT is_default) AS found,
                ARRAY(SELECT slug FROM link WHERE shop = $1 AND state <> 'deleted' AND NOT is_default
                    ORDER BY slug LIMIT $2) AS first",
        );
        let query = query.bind::<Text, _>(shop.as_str()).bind::<BigInt, _>(rows(NAMED_REFERENCES));
        return query.get_result(&mut connection).await;
    }
    sql_query(
        "WITH naming AS NOT MATERIALIZED (
            SELECT slug FROM link_share WHERE shop = $1 AND kind = $2 AND name = $3
            UNION SELECT slug FROM link_reference WHERE shop = $1 AND kind = $2 AND name = $3
            UNION SELECT slug FROM publish_name WHERE shop = $1 AND kind = $2 AND name = $3
         )
         SELECT (SELECT count(*) FROM naming JOIN link USING (slug)
                WHERE link.shop = $1 AND link.state <> 'deleted') AS found,
            ARRAY(SELECT slug FROM naming JOIN link USING (slug)
                WHERE link.shop = $1 AND link.state <> 'deleted' ORDER BY slug LIMIT $4) AS first",
    )
    .bind::<Text, _>(shop.as_str())
    .bind::<Text, _>(kind.as_str())
    .bind::<Text, _>(name)
    .bind::<BigInt, _>(rows(NAMED_REFERENCES))
    .get_result(&mut connection)
    .await
}

async fn partners_in(
    mut connection: &AsyncPgConnection,
    shop: &ShopId,
    kind: Kind,
    program: &str,
) -> QueryResult<Found> {
    if kind != Kind::Program {
        return Ok(Found { found: 0, first: Vec::new() });
    }
    sql_query(
        "SELECT (SELECT count(*) FROM partner WHERE shop = $1 AND program = $2 AND deleted_at IS NULL) AS found,
            ARRAY(SELECT code FROM partner WHERE shop = $1 AND program = $2 AND deleted_at IS NULL
                ORDER BY code LIMIT $3) AS first",
    )
    .bind::<Text, _>(shop.as_str())
    .bind::<Text, _>(program)
    .bind::<BigInt, _>(rows(NAMED_REFERENCES))
    .get_result(&mut connection)
    .await
}

fn count(count: i64) -> usize {
    usize::try_from(count).unwrap_or_default()
}

/// Reads names that the database returned.
fn names<T>(texts: &[String], parse: impl Fn(&str) -> Result<T, Problem>) -> Result<Vec<T>, StoreError> {
    let corrupt = |cause: Cause| StoreError::Corrupt { object: "list of names".to_owned(), cause };
    texts.iter().map(|text| parse(text).map_err(|problem| corrupt(problem.into()))).collect()
}
