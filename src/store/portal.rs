//! The links that a partner sees.

use diesel::{
    OptionalExtension,
    prelude::*,
    sql_query,
    sql_types::{BigInt, Nullable, Text, Timestamptz},
};
use diesel_async::RunQueryDsl;
use jiff::Timestamp;

use super::{
    Store,
    commit::HIDDEN,
    errors::StoreError,
    links::{Partner, containing_folded, filter, partner_of},
    pool::limit as rows,
    rows::LinkRow,
    schema::link,
    types::{LinkCursor, LinkFilter, LinkOrder, ListLinks, ListedLink, Stored},
};
use crate::domain::{
    link::LinkState,
    name::{PartnerCode, ShopId},
};

/// One branch per way of sharing, each in the order of its own index and no longer than the page: a partner with few
/// links in a shop with many costs a few rows. What is not shown is left out here, or a page would be read for long.
const OTHERS: &str = "
    WITH shared AS (
        (SELECT slug FROM link
         WHERE shop = $1 AND shared_with_everyone AND state = 'active' AND NOT is_default AND slug > $4
            AND ($5 IS NULL OR search_text LIKE $5)
            AND coalesce((routing ->> 'expire_time')::timestamptz > $6, true)
         ORDER BY slug LIMIT $7)
        UNION
        (SELECT link.slug FROM link_share AS share JOIN link ON link.shop = share.shop AND link.slug = share.slug
         WHERE share.shop = $1 AND share.kind = 'partner' AND share.name = $2 AND share.slug > $4
            AND state = 'active' AND NOT is_default AND ($5 IS NULL OR search_text LIKE $5)
            AND coalesce((routing ->> 'expire_time')::timestamptz > $6, true)
         ORDER BY share.slug LIMIT $7)
        UNION
        (SELECT link.slug FROM link_share AS share JOIN link ON link.shop = share.shop AND link.slug = share.slug
         WHERE share.shop = $1 AND share.kind = 'program' AND share.name = $3 AND share.slug > $4
            AND state = 'active' AND NOT is_default AND ($5 IS NULL OR search_text LIKE $5)
            AND coalesce((routing ->> 'expire_time')::timestamptz > $6, true)
         ORDER BY share.slug LIMIT $7)
    )
    SELECT link.* FROM shared JOIN link ON link.shop = $1 AND link.slug = shared.slug
    ORDER BY link.slug LIMIT $7";

impl Store {
    /// Lists the active links that are shared with a partner and have not expired by `now`, by slug, the default
    /// partner link first. The search looks at what partners see: slug, name, description.
    pub async fn partner_links(
        &self,
        shop: &ShopId,
        partner: &PartnerCode,
        search: Option<&str>,
        now: Timestamp,
        (after, limit): (Option<&LinkCursor>, usize),
    ) -> Result<Vec<Stored<ListedLink>>, StoreError> {
        let mut connection = self.connections.get().await?;
        let Some(partner) = partner_of(&mut connection, shop, partner).await? else { return Ok(Vec::new()) };
        let pattern = search.map(|text| format!("{}{HIDDEN}%", containing_folded(text)));
        let mut found: Vec<Stored<ListedLink>> = Vec::new();
        if after.is_none() && limit > 0 {
            let states = LinkFilter { states: vec![LinkState::Active], ..LinkFilter::default() };
            let order = LinkOrder::Slug;
            let list = ListLinks { shop: shop.clone(), filter: states, order, after: None, limit };
            let shared = filter(&list, pattern.clone(), Some(partner.clone()));
            let row: Option<LinkRow> =
                shared.filter(link::is_default).first(&mut connection).await.optional()?;
            found.extend(row.map(LinkRow::read_listed).transpose()?);
            found.retain(|link| link.value.routing.expire_time.is_none_or(|end| end > now));
        }
        let after = after.filter(|after| !after.is_default).map_or("", |after| after.slug.as_str());
        let Partner { code, program } = partner;
        let others: Vec<LinkRow> = sql_query(OTHERS)
            .bind::<Text, _>(shop.as_str())
            .bind::<Text, _>(code)
            .bind::<Nullable<Text>, _>(program)
            .bind::<Text, _>(after)
            .bind::<Nullable<Text>, _>(pattern)
            .bind::<Timestamptz, _>(jiff_diesel::Timestamp::from(now))
            .bind::<BigInt, _>(rows(limit - found.len()))
            .load(&mut connection)
            .await?;
        for row in others {
            found.push(row.read_listed()?);
        }
        Ok(found)
    }
}
