//! Reads of links.

use diesel::{
    OptionalExtension,
    dsl::sql,
    pg::Pg,
    prelude::*,
    sql_types::{Array, Text},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::{
    Store, blocking,
    commit::{BETWEEN, HIDDEN},
    errors::StoreError,
    pool::limit as rows,
    rows::{Json, LinkRow, PARTNER, PROGRAM, SHARES, state_text},
    schema::{link, link_share, partner, partner_code},
    types::{LinkKey, LinkOrder, ListLinks, ListedLink, Stored, folded},
};
use crate::domain::{
    link::{Link, LinkState},
    name::{PartnerCode, ShopId, Slug},
};

/// A query for links that filters are added to.
pub(super) type Query<'a> =
    link::BoxedQuery<'a, Pg, diesel::dsl::SqlTypeOf<diesel::dsl::AsSelect<LinkRow, Pg>>>;

impl Store {
    /// Returns a link with its sharing, deleted ones included.
    pub async fn get_link(&self, shop: &ShopId, slug: &Slug) -> Result<Option<Stored<Link>>, StoreError> {
        let query = link::table.find((shop.as_str(), slug.as_str())).select((
            LinkRow::as_select(),
            sql::<Array<Text>>(SHARES),
            link::golden_clicks,
        ));
        let row: Option<(LinkRow, Vec<String>, Json)> =
            query.first(&mut self.connections.get().await?).await.optional()?;
        row.map(|(link, shares, golden)| link.read(&shares, &golden)).transpose()
    }

    /// Returns those of the links that there are, by slug, deleted ones included.
    pub async fn get_links(&self, shop: &ShopId, slugs: &[Slug]) -> Result<Vec<Stored<Link>>, StoreError> {
        read_links(&mut *self.connections.get().await?, shop, slugs).await
    }

    /// Lists links; the default partner link comes first.
    pub async fn list_links(&self, list: &ListLinks) -> Result<Vec<Stored<ListedLink>>, StoreError> {
        self.list(list, list.filter.search.as_deref().map(containing_folded)).await
    }

    async fn list(
        &self,
        list: &ListLinks,
        pattern: Option<String>,
    ) -> Result<Vec<Stored<ListedLink>>, StoreError> {
        let mut connection = self.connections.get().await?;
        let partner = match &list.filter.shared_with_partner {
            None => None,
            Some(code) => match partner_of(&mut connection, &list.shop, code).await? {
                Some(partner) => Some(partner),
                None => return Ok(Vec::new()),
            },
        };
        let filtered = || filter(list, pattern.clone(), partner.clone());
        let mut found: Vec<LinkRow> = Vec::new();
        if list.after.is_none() && list.limit > 0 {
            found = filtered().filter(link::is_default).load(&mut connection).await?;
        }
        let others =
            filtered().filter(diesel::dsl::not(link::is_default)).limit(rows(list.limit - found.len()));
        found.extend(ordered(others, list)?.load(&mut connection).await?);
        drop(connection);
        blocking(|| found.into_iter().map(LinkRow::read_listed).collect()).await
    }
}

/// Reads those of the links that there are, by slug, deleted ones included.
pub(super) async fn read_links(
    connection: &mut AsyncPgConnection,
    shop: &ShopId,
    slugs: &[Slug],
) -> Result<Vec<Stored<Link>>, StoreError> {
    let slugs: Vec<&str> = slugs.iter().map(Slug::as_str).collect();
    let query = link::table
        .filter(link::shop.eq(shop.as_str()))
        .filter(link::slug.eq_any(slugs))
        .order(link::slug)
        .select((LinkRow::as_select(), sql::<Array<Text>>(SHARES), link::golden_clicks));
    let rows: Vec<(LinkRow, Vec<String>, Json)> = query.load(connection).await?;
    blocking(|| rows.into_iter().map(|(link, shares, golden)| link.read(&shares, &golden)).collect()).await
}

/// What decides which links are shared with a partner.
#[derive(Clone)]
pub(super) struct Partner {
    pub(super) code: String,
    pub(super) program: Option<String>,
}

/// Returns the partner with this code or alias, if it exists.
pub(super) async fn partner_of(
    connection: &mut AsyncPgConnection,
    shop: &ShopId,
    code: &PartnerCode,
) -> Result<Option<Partner>, StoreError> {
    let named = partner_code::table.find((shop.as_str(), code.as_str()));
    let found: Option<(String, Option<String>, Vec<String>)> = partner::table
        .filter(partner::shop.eq(shop.as_str()))
        .filter(partner::code.eq_any(named.select(partner_code::partner)))
        .filter(partner::deleted_at.is_null())
        .select((partner::code, partner::program, partner::aliases))
        .first(connection)
        .await
        .optional()?;
    let works = |own: &str, aliases: &[String]| {
        own == code.as_str() || aliases.iter().any(|alias| alias == code.as_str())
    };
    Ok(found
        .filter(|(own, _, aliases)| works(own, aliases))
        .map(|(code, program, _)| Partner { code, program }))
}

pub(super) fn filter<'a>(
    list: &'a ListLinks,
    pattern: Option<String>,
    partner: Option<Partner>,
) -> Query<'a> {
    let filter = &list.filter;
    let mut query =
        link::table.select(LinkRow::as_select()).filter(link::shop.eq(list.shop.as_str())).into_boxed();
    let states: Vec<&str> = match filter.states.as_slice() {
        [] => [LinkState::Active, LinkState::Paused].map(state_text).to_vec(),
        states => states.iter().map(|&state| state_text(state)).collect(),
    };
    query = query.filter(link::state.eq_any(states));
    if !filter.tags.is_empty() {
        let tags: Vec<&str> = filter.tags.iter().map(|tag| tag.as_str()).collect();
        query = query.filter(link::tags.contains(tags));
    }
    if let Some(pattern) = pattern {
        query = query.filter(link::search_text.like(pattern));
    }
    // Looked up by name once: asked per link, all that is shared with anybody would be read.
    let shared_with = |kind: &'static str, name: String| {
        link_share::table
            .filter(link_share::shop.eq(list.shop.as_str()))
            .filter(link_share::kind.eq(kind))
            .filter(link_share::name.eq(name))
            .select(link_share::slug)
    };
    if let Some(Partner { code, program }) = partner {
        let by_code = link::slug.eq_any(shared_with(PARTNER, code));
        query = match program {
            None => query.filter(link::shared_with_everyone.or(by_code)),
            Some(program) => {
                let by_program = link::slug.eq_any(shared_with(PROGRAM, program));
                query.filter(link::shared_with_everyone.or(by_code).or(by_program))
            }
        };
    }
    if let Some(program) = &filter.shared_with_program {
        query = query.filter(link::slug.eq_any(shared_with(PROGRAM, program.as_str().to_owned())));
    }
    query
}

/// Puts the links that are not the default one in order, from where the page before ended.
fn ordered<'a>(query: Query<'a>, list: &'a ListLinks) -> Result<Query<'a>, StoreError> {
    let after = list.after.as_ref().filter(|after| !after.is_default);
    let key = after.map(|after| (&after.key, after.slug.as_str()));
    let other_order = || StoreError::Other("the cursor is of a list in another order".into());
    let query = match (list.order, key) {
        (LinkOrder::Slug, None) => query,
        (LinkOrder::Slug, Some((LinkKey::Slug, slug))) => query.filter(link::slug.gt(slug)),
        (LinkOrder::DisplayName, None) => query,
        (LinkOrder::DisplayName, Some((LinkKey::DisplayName(name), slug))) => {
            query.filter(link::name_key.ge(name).and(link::name_key.gt(name).or(link::slug.gt(slug))))
        }
        (LinkOrder::Newest, None) => query,
        (LinkOrder::Newest, Some((LinkKey::Newest(microsecond), slug))) => {
            let time = jiff::Timestamp::from_microsecond(*microsecond);
            let time = jiff_diesel::Timestamp::from(time.map_err(|error| StoreError::Other(error.into()))?);
            query.filter(link::created_at.le(time).and(link::created_at.lt(time).or(link::slug.gt(slug))))
        }
        (LinkOrder::LastWritten, None) => query,
        (LinkOrder::LastWritten, Some((LinkKey::LastWritten(revision), slug))) => {
            query.filter(link::revision.le(revision).and(link::revision.lt(revision).or(link::slug.gt(slug))))
        }
        (LinkOrder::Slug, Some(_))
        | (LinkOrder::DisplayName, Some(_))
        | (LinkOrder::Newest, Some(_))
        | (LinkOrder::LastWritten, Some(_)) => return Err(other_order()),
    };
    Ok(match list.order {
        LinkOrder::Slug => query.order(link::slug),
        LinkOrder::DisplayName => query.order((link::name_key, link::slug)),
        LinkOrder::Newest => query.order((link::created_at.desc(), link::slug)),
        LinkOrder::LastWritten => query.order((link::revision.desc(), link::slug)),
    })
}

/// Stands for characters that no stored text holds, so that a search for one finds nothing.
const NOWHERE: char = '\u{1}';

/// Writes a pattern of LIKE for texts that contain this one; its `%`, `_` and `\` mean themselves.
pub(super) fn containing(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for c in text.chars() {
        // What stands between texts belongs to none of them, and U+0000 cannot be sent at all.
        let c = if matches!(c, '\0' | BETWEEN | HIDDEN) { NOWHERE } else { c };
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

pub(super) fn containing_folded(text: &str) -> String {
    containing(&folded(text))
}
