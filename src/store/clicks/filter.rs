//! Which clicks of the log are wanted.

use jiff::Timestamp;
use tokio_postgres::{
    Client, RowStream,
    types::{ToSql, Type},
};

use super::sql_error;
use crate::{
    domain::{
        client::TrafficClass,
        name::{PartnerCode, ShopId, Slug},
        visit::ResolveReason,
    },
    store::errors::StoreError,
};

/// Which clicks are wanted; an empty list means all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClickFilter {
    /// Of this shop.
    pub shop: Option<ShopId>,
    /// Of these links.
    pub slugs: Vec<Slug>,
    /// Credited to these partners.
    pub partners: Vec<PartnerCode>,
    /// Of these classes of traffic.
    pub traffic: Vec<TrafficClass>,
    /// With these reasons.
    pub reasons: Vec<ResolveReason>,
    /// At or after this time.
    pub start: Option<Timestamp>,
    /// Before this time.
    pub end: Option<Timestamp>,
    /// Conversions too; of these the time is their own, and all else that of their click.
    pub conversions: bool,
}

/// A value with its type.
pub(super) type Value<'a> = (&'a (dyn ToSql + Sync), Type);

/// What a filter says of clicks, and of conversions by their click.
pub(super) const CHOSEN: &str =
    "AND ($1::text IS NULL OR shop = $1) AND ($2::text[] IS NULL OR slug = ANY($2))
    AND ($3::text[] IS NULL OR partner = ANY($3)) AND ($4::text[] IS NULL OR traffic = ANY($4))
    AND ($5::text[] IS NULL OR reason = ANY($5)) AND ($6::timestamptz IS NULL OR at >= $6)
    AND ($7::timestamptz IS NULL OR at < $7)";

/// The values of [`CHOSEN`].
pub(super) struct Chosen<'a> {
    shop: Option<&'a str>,
    slugs: Option<Vec<&'a str>>,
    partners: Option<Vec<&'a str>>,
    traffic: Option<Vec<&'a str>>,
    reasons: Option<Vec<&'a str>>,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
}

impl<'a> Chosen<'a> {
    pub(super) fn of(filter: &'a ClickFilter) -> Self {
        Self {
            shop: filter.shop.as_ref().map(ShopId::as_str),
            slugs: texts(&filter.slugs, Slug::as_str),
            partners: texts(&filter.partners, PartnerCode::as_str),
            traffic: texts(&filter.traffic, |class| class.as_str()),
            reasons: texts(&filter.reasons, |reason| reason.as_str()),
            start: filter.start,
            end: filter.end,
        }
    }

    /// Queries with these values and others behind them. Rows are taken as they come: they are read while the database
    /// looks for more, and each is gone before the next one needs memory.
    pub(super) async fn query(
        &self,
        client: &Client,
        statement: &str,
        others: &[Value<'_>],
    ) -> Result<RowStream, StoreError> {
        let mut values: Vec<Value<'_>> = vec![
            (&self.shop, Type::TEXT),
            (&self.slugs, Type::TEXT_ARRAY),
            (&self.partners, Type::TEXT_ARRAY),
            (&self.traffic, Type::TEXT_ARRAY),
            (&self.reasons, Type::TEXT_ARRAY),
            (&self.start, Type::TIMESTAMPTZ),
            (&self.end, Type::TIMESTAMPTZ),
        ];
        values.extend_from_slice(others);
        client.query_typed_raw(statement, values).await.map_err(sql_error)
    }
}

/// Returns the names of what is wanted; `None` for all.
fn texts<T>(wanted: &[T], name: impl Fn(&T) -> &str) -> Option<Vec<&str>> {
    (!wanted.is_empty()).then(|| wanted.iter().map(name).collect())
}
