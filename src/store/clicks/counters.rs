//! What is counted of links and partners since ever, for rules that look at it.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::{Client, IsolationLevel};
use uuid::Uuid;

use super::{session::Session, sql_error};
use crate::{
    domain::{
        fault::Problem,
        name::{PartnerCode, ShopId, Slug},
    },
    store::{Store, errors::StoreError},
};

/// How long a read may take: beyond it the database hangs rather than works.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection of its own, over which counters are read: nobody else's work makes them late.
#[derive(Debug)]
pub struct CounterReader {
    client: Session,
}

/// Which counters are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CountersOf {
    /// These links.
    pub links: Vec<(ShopId, Slug)>,
    /// All partners of these shops.
    pub partners_of: Vec<ShopId>,
}

/// Counters as of one moment. Who has none is not named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountersRead {
    /// The position of the ledger up to which everything is counted.
    pub position: i64,
    /// The last click of the local log that was asked for and is counted; 0 = none.
    pub rolled: u64,
    /// Clicks of links.
    pub links: Vec<(ShopId, Slug, u64)>,
    /// Clicks of partners.
    pub partners: Vec<(ShopId, PartnerCode, u64)>,
}

impl Store {
    /// Connects for reading counters.
    pub async fn counter_reader(&self) -> Result<CounterReader, StoreError> {
        Ok(CounterReader { client: Session::open(self.connections.target(), READ_TIMEOUT).await? })
    }
}

impl CounterReader {
    /// Reads counters, and how far the local log of this id is counted in them. Reads nothing but the position if it is
    /// still `unless`: then nothing was counted since.
    pub async fn read(
        &mut self,
        source: Uuid,
        of: &CountersOf,
        unless: Option<i64>,
    ) -> Result<Option<CountersRead>, StoreError> {
        let reading = read(&mut self.client, source, of, unless);
        timeout(READ_TIMEOUT, reading).await.map_err(|late| StoreError::Unavailable(late.into()))?
    }
}

async fn read(
    client: &mut Client,
    source: Uuid,
    of: &CountersOf,
    unless: Option<i64>,
) -> Result<Option<CountersRead>, StoreError> {
    // One instant: the numbers and how far they go change in one transaction of whoever counts.
    let begun = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
    let transaction = begun.start().await.map_err(sql_error)?;
    let head = "SELECT position, (SELECT sequence FROM clicks.rolled WHERE source = $1) FROM clicks.roller";
    let head = transaction.query_one(head, &[&source]).await.map_err(sql_error)?;
    let position = head.get(0);
    if unless == Some(position) {
        return Ok(None);
    }
    let (shops, slugs): (Vec<&str>, Vec<&str>) =
        of.links.iter().map(|(shop, slug)| (shop.as_str(), slug.as_str())).unzip();
    let links = "SELECT shop, slug, clicks FROM clicks.counter_link
        JOIN unnest($1::text[], $2::text[]) AS named (shop, slug) USING (shop, slug)";
    let links = transaction.query(links, &[&shops, &slugs]).await.map_err(sql_error)?;
    let shops: Vec<&str> = of.partners_of.iter().map(ShopId::as_str).collect();
    let partners = "SELECT shop, partner, clicks FROM clicks.counter_partner WHERE shop = ANY($1)";
    let partners = transaction.query(partners, &[&shops]).await.map_err(sql_error)?;
    transaction.commit().await.map_err(sql_error)?;
    Ok(Some(CountersRead {
        position,
        rolled: u64::try_from(head.get::<_, Option<i64>>(1).unwrap_or_default()).unwrap_or_default(),
        links: links.iter().map(counter).collect::<Result<_, _>>()?,
        partners: partners.iter().map(counter).collect::<Result<_, _>>()?,
    }))
}

/// Reads shop, name and number.
fn counter<T: TryFrom<String, Error = Problem>>(
    row: &tokio_postgres::Row,
) -> Result<(ShopId, T, u64), StoreError> {
    let corrupt =
        |cause: Problem| StoreError::Corrupt { object: "a counter of clicks".into(), cause: cause.into() };
    let shop = ShopId::try_from(row.get::<_, String>(0)).map_err(corrupt)?;
    let name = T::try_from(row.get::<_, String>(1)).map_err(corrupt)?;
    Ok((shop, name, u64::try_from(row.get::<_, i64>(2)).unwrap_or_default()))
}
