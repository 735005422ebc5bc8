//! What an index is made of.

use diesel::{
    QueryableByName,
    dsl::max,
    prelude::*,
    sql_query,
    sql_types::{Array, BigInt, Text},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use jiff::Timestamp;
use uuid::Uuid;

use super::{
    Store,
    errors::{Cause, StoreError},
    pool::{ONE_INSTANT, begin, end, limit},
    rows::{FeedLinkRow, PartnerRow, SHARES, ShopRow, sharing, state},
    schema::{change, installation, shop},
    types::{Stored, StoredShop},
    visitor_keys,
};
use crate::domain::{
    fingerprint::IndexedKind,
    link::{Link, LinkState, Routing, Sharing},
    name::{ShopId, Slug},
    partner::Partner,
    revision::Revision,
    visitor::SealedKey,
};

/// How many rows are read at once: enough that round trips do not count, few enough that links with 1,000 rules fit.
const PIECE: usize = 500;

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    /// Which database it is; revisions of another one mean nothing.
    pub installation: Uuid,
    /// The newest revision; everything up to it was read.
    pub head: Revision,
    /// When the newest revision was committed.
    pub committed_at: Timestamp,
    /// When the revision that was asked for was committed, if that is still known: another time than the one it had
    /// before means that the database was restored and went another way since.
    pub since_committed_at: Option<Timestamp>,
    /// What the rows are.
    pub changes: Changes,
    /// The keys by which visitors of one day are told apart: all there are, each time.
    pub visitor_keys: Vec<SealedKey>,
}

/// What the rows of a feed are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changes {
    /// All there is: whatever was not among the rows is not there. Deleted shops and partners are left out, and all
    /// that belongs to deleted shops; deleted links are not.
    Full,
    /// All that was written since the revision that was asked for.
    Since,
    /// None: the revision is too old, not one of this database, or too much was written since. Read everything.
    TooOld,
}

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub enum FeedRow {
    /// A shop; deleted if `delete_time` is set.
    Shop(StoredShop),
    /// A partner; deleted if `delete_time` is set.
    Partner(Stored<Partner>),
    /// A link; its state says whether it is deleted.
    Link(FeedLink),
    /// Something that does not parse.
    Unreadable {
        /// What it is.
        kind: IndexedKind,
        /// Its shop.
        shop: ShopId,
        /// Its code or slug; empty for a shop.
        key: String,
        /// The revision of its last write.
        revision: Revision,
        /// What is wrong.
        problem: String,
    },
}

/// What an index needs of a link.
#[derive(Clone, Debug, PartialEq)]
pub struct FeedLink {
    /// The shop.
    pub shop: ShopId,
    /// The slug.
    pub slug: Slug,
    /// The revision of its last write.
    pub revision: Revision,
    /// What it is in.
    pub state: LinkState,
    /// Whom it is shared with.
    pub sharing: Sharing,
    /// What decides where its clicks go.
    pub routing: Routing,
    /// What it is from a time on.
    pub pending: Option<Box<FeedAhead>>,
}

/// What an index needs of what is pending on a link.
#[derive(Clone, Debug, PartialEq)]
pub struct FeedAhead {
    /// The publish.
    pub revision: Revision,
    /// The first instant of visits that it answers.
    pub effective_time: Timestamp,
    /// Whom the link is shared with from then on.
    pub sharing: Sharing,
    /// What decides where its clicks go from then on.
    pub routing: Routing,
}

/// How many changes are read one by one: beyond that, reading everything is not much more, and needs no list of them.
const MOST_CHANGES: usize = 100_000;

/// Where the database is.
#[derive(Clone, Copy, Debug, Queryable)]
pub(super) struct Head {
    pub(super) installation: Uuid,
    pub(super) revision: i64,
    /// Changes up to this revision were forgotten.
    changes_after: i64,
    committed_at: jiff_diesel::Timestamp,
}

impl Store {
    /// Reads what was written after `since`, or everything, and hands it to `take` in pieces; all of it as of one
    /// instant. Whoever gets an error has to forget the pieces.
    pub async fn head_and_changes(
        &self,
        since: Option<Revision>,
        mut take: impl FnMut(Vec<FeedRow>) + Send,
    ) -> Result<Feed, StoreError> {
        let mut connection = self.connections.get().await?;
        begin(&mut connection, ONE_INSTANT).await?;
        let outcome = read(&mut connection, since, &mut take).await;
        end(&mut connection, outcome).await
    }

    /// Returns the newest revision.
    pub async fn head(&self) -> Result<Revision, StoreError> {
        let head = head(&mut *self.connections.get().await?).await?;
        Ok(Revision(head.revision))
    }

    /// Returns the id of the installation.
    pub async fn installation(&self) -> Result<Uuid, StoreError> {
        Ok(head(&mut *self.connections.get().await?).await?.installation)
    }
}

/// Reads where the database is.
pub(super) async fn head(connection: &mut AsyncPgConnection) -> Result<Head, StoreError> {
    let columns =
        (installation::id, installation::revision, installation::changes_after, installation::committed_at);
    Ok(installation::table.select(columns).first(connection).await?)
}

async fn read(
    connection: &mut AsyncPgConnection,
    since: Option<Revision>,
    take: &mut (impl FnMut(Vec<FeedRow>) + Send),
) -> Result<Feed, StoreError> {
    let head = head(connection).await?;
    let changes = match since {
        None => {
            read_everything(connection, take).await?;
            Changes::Full
        }
        Some(Revision(since)) if since < head.changes_after || since > head.revision => Changes::TooOld,
        Some(Revision(since)) => read_changes(connection, since, take).await?,
    };
    let since_committed_at = match since {
        Some(Revision(since)) if since == head.revision => Some(head.committed_at.to_jiff()),
        Some(Revision(since)) => time_of(connection, since).await?,
        None => None,
    };
    Ok(Feed {
        installation: head.installation,
        head: Revision(head.revision),
        committed_at: head.committed_at.to_jiff(),
        since_committed_at,
        changes,
        visitor_keys: visitor_keys::read(connection).await?,
    })
}

/// Returns when a revision was committed, if its changes are still there.
async fn time_of(connection: &mut AsyncPgConnection, revision: i64) -> Result<Option<Timestamp>, StoreError> {
    let query = change::table.filter(change::revision.eq(revision)).select(max(change::at));
    let time: Option<jiff_diesel::Timestamp> = query.first(connection).await?;
    Ok(time.map(|time| time.to_jiff()))
}

async fn read_everything(
    connection: &mut AsyncPgConnection,
    take: &mut (impl FnMut(Vec<FeedRow>) + Send),
) -> Result<(), StoreError> {
    let shops = "SELECT * FROM shop WHERE deleted_at IS NULL";
    read_in_pieces(connection, shops, take, shop_row).await?;
    let partners =
        "SELECT partner.* FROM partner JOIN shop ON shop.id = partner.shop AND shop.deleted_at IS NULL
        WHERE partner.deleted_at IS NULL";
    read_in_pieces(connection, partners, take, partner_row).await?;
    let links = format!(
        "SELECT {} FROM link JOIN shop ON shop.id = link.shop AND shop.deleted_at IS NULL {PENDING}",
        link_columns()
    );
    read_in_pieces(connection, &links, take, link_row).await
}

/// Reads the rows of a query through a cursor. One piece is read while the one before is parsed.
async fn read_in_pieces<Row>(
    connection: &mut AsyncPgConnection,
    query: &str,
    take: &mut (impl FnMut(Vec<FeedRow>) + Send),
    parse: fn(Row) -> Result<FeedRow, StoreError>,
) -> Result<(), StoreError>
where
    Row: QueryableByName<diesel::pg::Pg> + Send + 'static,
{
    connection.batch_execute(&format!("DECLARE feed NO SCROLL CURSOR FOR {query}")).await?;
    let mut rows: Vec<Row> = fetch(connection).await?;
    while !rows.is_empty() {
        let parsed =
            tokio::task::spawn_blocking(move || rows.into_iter().map(parse).collect::<Result<Vec<_>, _>>());
        let (next, parsed) = tokio::join!(fetch(connection), parsed);
        take(parsed.map_err(|error| StoreError::Other(error.into()))??);
        rows = next?;
    }
    Ok(connection.batch_execute("CLOSE feed").await?)
}

async fn fetch<Row>(connection: &mut AsyncPgConnection) -> Result<Vec<Row>, StoreError>
where
    Row: QueryableByName<diesel::pg::Pg> + Send + 'static,
{
    Ok(sql_query(format!("FETCH {PIECE} FROM feed")).load(connection).await?)
}

#[derive(QueryableByName)]
struct Changed {
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Text)]
    shop: String,
    #[diesel(sql_type = Text)]
    key: String,
}

async fn read_changes(
    connection: &mut AsyncPgConnection,
    since: i64,
    take: &mut (impl FnMut(Vec<FeedRow>) + Send),
) -> Result<Changes, StoreError> {
    let changed: Vec<Changed> = sql_query(
        "SELECT DISTINCT kind, shop, key FROM change WHERE revision > $1 AND kind IN ('shop', 'partner', 'link')
         LIMIT $2",
    )
    .bind::<BigInt, _>(since)
    .bind::<BigInt, _>(limit(MOST_CHANGES + 1))
    .load(connection)
    .await?;
    if changed.len() > MOST_CHANGES {
        return Ok(Changes::TooOld);
    }
    // Shops first: what belongs to them can be put into its place then.
    for kind in [IndexedKind::Shop, IndexedKind::Partner, IndexedKind::Link] {
        let of_kind = changed.iter().filter(|changed| changed.kind == kind.as_str());
        let keys: Vec<(&str, &str)> =
            of_kind.map(|changed| (changed.shop.as_str(), changed.key.as_str())).collect();
        for keys in keys.chunks(PIECE) {
            take(rows_of_keys(connection, kind, keys).await?);
        }
    }
    Ok(Changes::Since)
}

/// Reads some rows, deleted ones included.
pub(super) async fn rows_of_keys(
    connection: &mut AsyncPgConnection,
    kind: IndexedKind,
    keys: &[(&str, &str)],
) -> Result<Vec<FeedRow>, StoreError> {
    let (shops, keys): (Vec<&str>, Vec<&str>) = keys.iter().copied().unzip();
    match kind {
        IndexedKind::Shop => {
            let query = shop::table.filter(shop::id.eq_any(shops)).select(ShopRow::as_select());
            query.load(connection).await?.into_iter().map(shop_row).collect()
        }
        IndexedKind::Partner => {
            let query = sql_query(
                "SELECT partner.* FROM partner JOIN unnest($1::text[], $2::text[]) AS of (shop, code) USING (shop, code)",
            );
            let query = query.bind::<Array<Text>, _>(shops).bind::<Array<Text>, _>(keys);
            query.load(connection).await?.into_iter().map(partner_row).collect()
        }
        IndexedKind::Link => {
            let columns = link_columns();
            let query = sql_query(format!(
                "SELECT {columns} FROM link
                 JOIN unnest($1::text[], $2::text[]) AS of (shop, slug) ON of.shop = link.shop AND of.slug = link.slug
                 {PENDING}"
            ));
            let query = query.bind::<Array<Text>, _>(shops).bind::<Array<Text>, _>(keys);
            query.load(connection).await?.into_iter().map(link_row).collect()
        }
    }
}

/// The columns of [`FeedLinkRow`].
fn link_columns() -> String {
    format!(
        "link.shop, link.slug, link.state, link.shared_with_everyone, link.routing, link.revision, {SHARES} AS shares,
            ahead.publish, ahead.effective_at, ahead.object AS ahead"
    )
}

/// Brings what is pending on a link to its row.
const PENDING: &str = "LEFT JOIN (
        SELECT publish_link.shop, publish_link.slug, publish_link.publish, publish.effective_at, publish_link.object
        FROM publish_link JOIN publish ON publish.id = publish_link.publish WHERE publish_link.pending
    ) AS ahead ON ahead.shop = link.shop AND ahead.slug = link.slug";

fn shop_row(row: ShopRow) -> Result<FeedRow, StoreError> {
    let (id, revision) = (row.id.clone(), row.revision);
    row.parse().map(FeedRow::Shop).or_else(unreadable(IndexedKind::Shop, id, String::new(), revision))
}

fn partner_row(row: PartnerRow) -> Result<FeedRow, StoreError> {
    let (shop, code, revision) = (row.shop.clone(), row.code.clone(), row.revision);
    row.parse().map(FeedRow::Partner).or_else(unreadable(IndexedKind::Partner, shop, code, revision))
}

fn link_row(row: FeedLinkRow) -> Result<FeedRow, StoreError> {
    let parsed = parse_link(&row);
    // What is pending is newer than the link.
    let revision = row.publish.unwrap_or_default().max(row.revision);
    parsed.map(FeedRow::Link).or_else(unreadable(IndexedKind::Link, row.shop, row.slug, revision))
}

fn parse_link(row: &FeedLinkRow) -> Result<FeedLink, Cause> {
    Ok(FeedLink {
        shop: ShopId::parse(&row.shop)?,
        slug: Slug::parse(&row.slug)?,
        revision: Revision(row.revision),
        state: state(&row.state)?,
        sharing: sharing(row.shared_with_everyone, &row.shares)?,
        routing: row.routing()?,
        pending: parse_pending(row)?,
    })
}

fn parse_pending(row: &FeedLinkRow) -> Result<Option<Box<FeedAhead>>, Cause> {
    let (Some(publish), Some(effective_at), Some(object)) = (row.publish, row.effective_at, &row.ahead)
    else {
        return Ok(None);
    };
    let Link { sharing, routing, .. } = object.parse()?;
    let effective_time = effective_at.to_jiff();
    let ahead = FeedAhead { revision: Revision(publish), effective_time, sharing, routing };
    Ok(Some(Box::new(ahead)))
}

/// Keeps an object that does not parse from spoiling the others.
fn unreadable(
    kind: IndexedKind,
    shop: String,
    key: String,
    revision: i64,
) -> impl FnOnce(Cause) -> Result<FeedRow, StoreError> {
    move |problem| {
        // The tables hold only ids that obey the grammar.
        let shop = ShopId::parse(&shop).map_err(|problem| StoreError::Corrupt {
            object: format!("id of shop `{shop}`"),
            cause: problem.into(),
        })?;
        let problem = problem.to_string();
        Ok(FeedRow::Unreadable { kind, shop, key, revision: Revision(revision), problem })
    }
}
