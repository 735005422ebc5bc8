//! Conversions go in: each once, with what they hold of their click, and counted in the same transaction. Whoever
//! writes those of a shop holds a lock on them: they are few, and what is decided on one depends on others.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tokio_postgres::{Client, Row, Transaction, types::ToSql};
use uuid::Uuid;

use super::{ledger, rollups, sql_error};
use crate::{
    domain::{
        click_id::ClickId,
        conversion::{Amount, Conversion, Kind},
        currency::Currency,
        fault::Fault,
        name::ShopId,
        orders::{Known, Orders, Outcome, Sought, State},
    },
    store::{
        Store,
        errors::{Cause, StoreError},
    },
};

/// What a conversion holds of its click.
pub(super) const CREDIT: &str = "slug, revision, channel, reason, rule, destination, partner, program, attribution, \
    traffic, country, device, os, browser, language, referrer, sub_ids, variant";

/// Values of a statement.
type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// What became of the conversions of a call.
#[derive(Debug)]
pub struct Recording {
    /// The entry of the ledger that holds those that were applied; 0 if none was.
    pub position: i64,
    /// What became of each, in their order.
    pub outcomes: Vec<Result<Outcome, Fault>>,
}

impl Store {
    /// Records conversions of a shop: each has an outcome of its own, and what is applied is applied together.
    pub async fn record_conversions(
        &self,
        shop: &ShopId,
        conversions: &[Conversion],
        now: Timestamp,
    ) -> Result<Recording, StoreError> {
        let recording = async |client: &mut Client| record(client, shop, conversions, now).await;
        self.click_readers.read(recording).await
    }
}

/// Keeps everyone else from the conversions of a shop until the transaction ends.
pub(super) async fn lock(transaction: &Transaction<'_>, shop: &str) -> Result<(), StoreError> {
    let statement = "SELECT pg_advisory_xact_lock(hashtext('conversions'), hashtext($1))";
    transaction.execute(statement, &[&shop]).await.map_err(sql_error)?;
    Ok(())
}

async fn record(
    client: &mut Client,
    shop: &ShopId,
    conversions: &[Conversion],
    now: Timestamp,
) -> Result<Recording, StoreError> {
    let transaction = client.transaction().await.map_err(sql_error)?;
    lock(&transaction, shop.as_str()).await?;
    let mut orders = known(&transaction, shop, conversions).await?;
    let found = found(&transaction, shop, conversions).await?;
    let click = |conversion: &Conversion| match &conversion.kind {
        Kind::Order(id) if found.contains(&id.uuid()) => Sought::Found,
        Kind::Order(_) | Kind::Refund(_) => Sought::Missing,
    };
    let outcomes: Vec<_> =
        conversions.iter().map(|conversion| orders.decide(conversion, click(conversion), now)).collect();
    let decided = |outcome| {
        let with = move |(decided, _): &(&Result<Outcome, Fault>, _)| **decided == Ok(outcome);
        outcomes.iter().zip(conversions).filter(with).map(|(_, conversion)| conversion)
    };
    let waiting: Vec<_> = decided(Outcome::Waiting).collect();
    if !waiting.is_empty() {
        wait(&transaction, shop, &waiting).await?;
    }
    let applied: Vec<_> = decided(Outcome::Applied).collect();
    let mut position = 0;
    if !applied.is_empty() {
        let batch = ledger::next_batch(&transaction).await?;
        let columns = Columns::of(&applied);
        credit(&transaction, Columns::SOURCE, &columns.values(&shop.as_str(), &batch), applied.len()).await?;
        rollups::add_conversions(&transaction, batch).await?;
        let duplicates = decided(Outcome::AlreadyThere).count();
        let entry = ledger::ConversionsEntry {
            applied: applied.len(),
            duplicates,
            rejected: 0,
            times: applied.iter().map(|one| one.at).min().zip(applied.iter().map(|one| one.at).max()),
        };
        position = ledger::enter_conversions(&transaction, batch, &entry).await?;
    }
    transaction.commit().await.map_err(sql_error)?;
    Ok(Recording { position, outcomes })
}

/// Reads what is there of the orders that conversions are of.
async fn known(
    transaction: &Transaction<'_>,
    shop: &ShopId,
    conversions: &[Conversion],
) -> Result<Orders, StoreError> {
    let ids: BTreeSet<&str> = conversions.iter().map(|conversion| conversion.order.as_str()).collect();
    let ids: Vec<&str> = ids.into_iter().collect();
    let columns = "order_id, refund_id, at, amount, currency, properties::text, click_id";
    let statement = format!(
        "SELECT {columns}, false FROM clicks.conversion WHERE shop = $1 AND order_id = ANY($2)
         UNION ALL
         SELECT {columns}, true FROM clicks.conversion_waiting WHERE shop = $1 AND order_id = ANY($2)"
    );
    let rows = transaction.query(&statement, &[&shop.as_str(), &ids]).await.map_err(sql_error)?;
    let mut orders = Orders::default();
    for row in &rows {
        let known = read_known(row).map_err(|cause| StoreError::Corrupt {
            object: format!("order `{}` of shop `{shop}`", row.get::<_, &str>(0)),
            cause,
        })?;
        orders.add(row.get::<_, String>(0).try_into().map_err(corrupt(shop))?, row.get(1), known);
    }
    Ok(orders)
}

fn corrupt<E: Into<Cause>>(shop: &ShopId) -> impl Fn(E) -> StoreError {
    move |cause| StoreError::Corrupt { object: format!("an order of shop `{shop}`"), cause: cause.into() }
}

fn read_known(row: &Row) -> Result<Known, Cause> {
    let properties: Option<&str> = row.try_get(5)?;
    let properties = properties.map(serde_json::from_str).transpose()?.unwrap_or_default();
    let click: Option<Uuid> = row.try_get(6)?;
    let state = match (click.map(click_id).transpose()?, row.try_get(7)?) {
        (Some(click), true) => State::Waiting(click, properties),
        (Some(click), false) => State::Credited(click, properties),
        (None, _) => State::Erased,
    };
    Ok(Known {
        at: row.try_get(2)?,
        amount: Amount::paid(row.try_get(3)?)?,
        currency: Currency::parse(row.try_get(4)?)?,
        state,
    })
}

pub(super) fn click_id(id: Uuid) -> Result<ClickId, Cause> {
    ClickId::from_uuid(id).ok_or_else(|| "its click id is no UUID of version 7".into())
}

/// Returns which of the clicks that orders name are in the log.
async fn found(
    transaction: &Transaction<'_>,
    shop: &ShopId,
    conversions: &[Conversion],
) -> Result<BTreeSet<Uuid>, StoreError> {
    let ids: BTreeMap<Uuid, Timestamp> = conversions
        .iter()
        .filter_map(|conversion| match conversion.kind {
            Kind::Order(id) => Some((id.uuid(), id.time())),
            Kind::Refund(_) => None,
        })
        .collect();
    let (ids, times): (Vec<Uuid>, Vec<Timestamp>) = ids.into_iter().unzip();
    // One look into one partition for each; joined freely, the whole log might be read.
    let statement = "SELECT sought.id FROM unnest($2::uuid[], $3::timestamptz[]) AS sought (id, at)
        CROSS JOIN LATERAL (SELECT FROM clicks.click
            WHERE click.id = sought.id AND click.shop = $1 AND click.at = sought.at LIMIT 1) AS found";
    let rows = transaction.query(statement, &[&shop.as_str(), &ids, &times]).await.map_err(sql_error)?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Conversions by columns, as a statement takes them.
struct Columns<'a> {
    orders: Vec<&'a str>,
    refunds: Vec<&'a str>,
    numbers: Vec<i64>,
    times: Vec<Timestamp>,
    amounts: Vec<i64>,
    currencies: Vec<&'a str>,
    properties: Vec<String>,
    clicks: Vec<Option<Uuid>>,
    click_times: Vec<Option<Timestamp>>,
}

impl<'a> Columns<'a> {
    /// Where a statement finds them: shop and batch are the first two values.
    const SOURCE: &'static str = "SELECT $2::bigint AS batch, order_id, refund_id, sequence, at, amount, currency,
            properties::jsonb AS properties, click_id, click_at
        FROM unnest($3::text[], $4::text[], $5::bigint[], $6::timestamptz[], $7::bigint[], $8::text[], $9::text[],
            $10::uuid[], $11::timestamptz[])
            AS item (order_id, refund_id, sequence, at, amount, currency, properties, click_id, click_at)";

    fn of(conversions: &[&'a Conversion]) -> Self {
        let click = |conversion: &&Conversion| match conversion.kind {
            Kind::Order(id) => Some(id),
            Kind::Refund(_) => None,
        };
        let all = conversions.iter();
        Self {
            orders: all.clone().map(|one| one.order.as_str()).collect(),
            refunds: all.clone().map(|one| one.refund_id()).collect(),
            numbers: (1..).take(conversions.len()).collect(),
            times: all.clone().map(|one| one.at).collect(),
            amounts: all.clone().map(|one| one.amount.number()).collect(),
            currencies: all.clone().map(|one| one.currency.as_str()).collect(),
            properties: all
                .clone()
                .map(|one| serde_json::to_string(&one.properties).unwrap_or_default())
                .collect(),
            clicks: all.clone().map(|one| click(one).map(ClickId::uuid)).collect(),
            click_times: all.map(|one| click(one).map(ClickId::time)).collect(),
        }
    }

    fn values<'v>(&'v self, shop: &'v &str, batch: &'v i64) -> [&'v (dyn ToSql + Sync); 11] {
        [
            shop,
            batch,
            &self.orders,
            &self.refunds,
            &self.numbers,
            &self.times,
            &self.amounts,
            &self.currencies,
            &self.properties,
            &self.clicks,
            &self.click_times,
        ]
    }
}

/// Writes conversions of a source with what they hold of their clicks: orders from the log, refunds from their orders.
pub(super) async fn credit(
    transaction: &Transaction<'_>,
    source: &str,
    values: Values<'_>,
    expected: usize,
) -> Result<(), StoreError> {
    let of = |table| CREDIT.split(", ").map(|name| format!("{table}.{name}")).collect::<Vec<_>>().join(", ");
    let insert = format!(
        "INSERT INTO clicks.conversion (shop, order_id, refund_id, batch, sequence, at, amount, currency, properties,
            click_id, click_at, visitor, {CREDIT})"
    );
    let orders = format!(
        "{insert} SELECT $1, order_id, '', batch, sequence, item.at, amount, currency, properties, click_id, click_at,
            click.visitor, {credit}
         FROM ({source}) AS item CROSS JOIN LATERAL (SELECT visitor, {CREDIT} FROM clicks.click
            WHERE click.id = item.click_id AND click.shop = $1 AND click.at = item.click_at LIMIT 1) AS click
         WHERE refund_id = ''",
        credit = of("click")
    );
    let refunds = format!(
        "{insert} SELECT $1, item.order_id, item.refund_id, item.batch, item.sequence, item.at, item.amount, item.currency,
            CASE WHEN paid.click_id IS NOT NULL THEN item.properties END, paid.click_id, paid.click_at, paid.visitor,
            {credit}
         FROM ({source}) AS item JOIN clicks.conversion AS paid
            ON paid.shop = $1 AND paid.order_id = item.order_id AND paid.refund_id = ''
         WHERE item.refund_id <> ''",
        credit = of("paid")
    );
    let mut written = transaction.execute(&orders, values).await.map_err(sql_error)?;
    written += transaction.execute(&refunds, values).await.map_err(sql_error)?;
    if written == expected as u64 {
        return Ok(());
    }
    Err(StoreError::Conflict("clicks were removed while conversions were credited to them".into()))
}

/// Lets conversions wait for their clicks.
async fn wait(
    transaction: &Transaction<'_>,
    shop: &ShopId,
    conversions: &[&Conversion],
) -> Result<(), StoreError> {
    let insert =
        "INSERT INTO clicks.conversion_waiting (shop, order_id, refund_id, at, amount, currency, properties,
        click_id, click_at)";
    let source = Columns::SOURCE;
    let orders = format!(
        "{insert} SELECT $1, order_id, '', at, amount, currency, properties, click_id, click_at
         FROM ({source}) AS item WHERE refund_id = ''"
    );
    let refunds = format!(
        "{insert} SELECT $1, item.order_id, item.refund_id, item.at, item.amount, item.currency, item.properties,
            paid.click_id, paid.click_at
         FROM ({source}) AS item JOIN clicks.conversion_waiting AS paid
            ON paid.shop = $1 AND paid.order_id = item.order_id AND paid.refund_id = ''
         WHERE item.refund_id <> ''"
    );
    let columns = Columns::of(conversions);
    // What waits is of no entry yet.
    let (shop, batch) = (shop.as_str(), 0);
    let values = columns.values(&shop, &batch);
    for statement in [orders, refunds] {
        transaction.execute(&statement, &values).await.map_err(sql_error)?;
    }
    Ok(())
}
