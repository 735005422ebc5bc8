//! Everything that a call writes, in one transaction under one revision.

mod batch;
mod check;
mod publish;
mod settle;
mod write;

use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use jiff::Timestamp;
use uuid::Uuid;

pub(super) use self::batch::{BETWEEN, HIDDEN};
use self::batch::{Batch, Keys};
pub use self::settle::{NotSettled, Settled, Settlements};
use super::{
    Store, blocking,
    errors::{CommitError, LoopEnd, MissingReference, StoreError, Taken},
    pool::{Connection, WRITING, begin, end, undo},
    references::references_of,
    rows::{PARTNER, PROGRAM},
    types::{PublishKey, Reference},
};
use crate::domain::{
    fault::Problem,
    host::Host,
    link::Link,
    name::{PartnerCode, ProgramId, ShopId, Slug},
    partner::{Partner, Program},
    revision::{Comment, Revision},
    shop::Shop,
};

/// What a call writes: all of it or nothing.
#[derive(Clone, Debug)]
pub struct Commit {
    /// Who asked for it; stands in the history.
    pub actor: String,
    /// Why; stands in the history.
    pub comment: Comment,
    /// The objects; each at most once. A new shop comes with its default partner link.
    pub puts: Vec<Put>,
    /// What makes the call safe to repeat.
    pub request: Option<RequestKey>,
    /// Whether objects may name what does not exist or is deleted, and what is named may be deleted: for what is
    /// undeleted, rolled back or forced.
    pub allow_missing_references: bool,
    /// Whether everything is done and then undone: a trial run, whose revision and time mean nothing.
    pub dry_run: bool,
    /// What becomes of a publish that is pending on links that are written.
    pub pending: OnPending,
    /// Whether this is a publish, and when it takes effect. Its puts are links that there are.
    pub publish: Option<PublishTime>,
}

impl Commit {
    /// Returns whether the objects become what they are put as later than now.
    fn is_ahead(&self) -> bool {
        matches!(self.publish, Some(PublishTime::At(_)))
    }
}

/// What becomes of a publish that is pending on links that are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OnPending {
    /// There may be none.
    #[default]
    Refuse,
    /// This one stays: what is written is what the links are until then.
    Leave(PublishKey),
    /// This one is cancelled, on all its links.
    Cancel(PublishKey),
}

/// When a publish takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishTime {
    /// When it is committed.
    Now,
    /// At this time: until then the objects stay what they are.
    At(Timestamp),
}

/// An object that is written.
#[derive(Clone, Debug)]
pub enum Put {
    /// A shop.
    Shop(Write<Shop>),
    /// A program.
    Program(Write<Program>),
    /// A partner.
    Partner(Write<Partner>),
    /// A link with its sharing.
    Link(Write<Link>),
}

/// How an object is written: whole.
#[derive(Clone, Debug)]
pub struct Write<T> {
    /// What it is from now on.
    pub value: T,
    /// What it was.
    pub expect: Expect,
    /// Whether it is deleted from now on. Of a link its state says the same: deleted if either does.
    pub deleted: bool,
}

/// What an object was before it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing: its name was never used.
    New,
    /// What was read with this revision.
    Revision(Revision),
}

/// What makes a call safe to repeat for 24 hours.
#[derive(Clone, Debug)]
pub struct RequestKey {
    /// The id that the caller chose.
    pub id: Uuid,
    /// The name of the call.
    pub rpc: &'static str,
    /// A hash of the request.
    pub fingerprint: [u8; 32],
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The revision of all that was written.
    pub revision: Revision,
    /// The time of it: `update_time`, and `create_time` of what is new.
    pub time: Timestamp,
}

impl Store {
    /// Writes everything or nothing, and retries nothing. When the connection is lost at the very end the answer is
    /// `Unavailable` although it may have been written: `request` makes it safe to ask again.
    ///
    /// Once it has a connection it goes on to its end, even if the caller goes away.
    pub async fn commit(&self, commit: Commit) -> Result<Committed, CommitError> {
        let (commit, batch) = blocking(move || Batch::of(&commit.puts).map(|batch| (commit, batch))).await?;
        let connection = self.connections.get().await?;
        // A transaction that stopped in the middle would keep the lock on the revision, and every writer waiting.
        let done = tokio::spawn(transact(connection, commit, batch)).await;
        match done.map_err(|error| StoreError::Other(error.into()))? {
            Err(CommitError::PublishDue { put, publish }) => {
                let failed = self.settle_publishes().await?.failed;
                let in_the_way = failed.into_iter().find(|failed| failed.publish.id == publish);
                Err(in_the_way.map_or(CommitError::Stale { put }, |failed| failed.error.into()))
            }
            // What takes long here is waiting for other writers: it is worth trying again.
            Err(CommitError::Store(StoreError::TooSlow(cause))) => Err(StoreError::Unavailable(cause).into()),
            done => done,
        }
    }

    /// Looks for the answer to a request that was already done: `Repeated` or `RequestIdReused`. A commit looks
    /// again; this is for checks before it that a repetition would fail.
    pub async fn check_request(&self, request: &RequestKey) -> Result<(), CommitError> {
        let connection = self.connections.get().await?;
        let answered = check::answered(&connection, Some(request)).await?;
        refuse_repetition(Some(request), answered)
    }
}

/// Writes everything from the beginning of the transaction to its end.
async fn transact(
    mut connection: Connection,
    commit: Commit,
    batch: Batch,
) -> Result<Committed, CommitError> {
    begin(&mut connection, WRITING).await?;
    let outcome = write_all(&mut connection, &commit, &batch).await;
    if commit.dry_run {
        undo(&mut connection).await;
        return outcome;
    }
    end(&mut connection, outcome).await
}

/// Writes and checks everything in the open transaction.
async fn write_all(
    connection: &mut AsyncPgConnection,
    commit: &Commit,
    batch: &Batch,
) -> Result<Committed, CommitError> {
    let stamp = write::take_revision(connection).await?;
    if !publish::take_named(connection, stamp, commit).await? {
        check_request(connection, commit).await?;
        return Err(CommitError::PublishNotPending);
    }
    let of_publish = commit.publish.map(|_| stamp.revision);
    match commit.publish {
        None => write_objects(connection, stamp, commit, batch, of_publish).await?,
        Some(PublishTime::Now) => {
            write_objects(connection, stamp, commit, batch, of_publish).await?;
            publish::take_in(connection, stamp, commit, batch, None).await?;
        }
        // By the clock that settles it, too: what is due at once was meant for later.
        Some(PublishTime::At(effective_time)) if effective_time <= stamp.committed_at.to_jiff() => {
            check_request(connection, commit).await?;
            return Err(CommitError::PublishPassed { effective_time });
        }
        Some(PublishTime::At(time)) => {
            // Whatever would stop these objects from being written now stops them from being committed ahead.
            connection.batch_execute("SAVEPOINT trial").await?;
            write_objects(connection, stamp, commit, batch, of_publish).await?;
            connection.batch_execute("ROLLBACK TO SAVEPOINT trial").await?;
            publish::take_in(connection, stamp, commit, batch, Some(time)).await?;
            write::changes(connection, stamp, &batch.log).await?;
            write::request(connection, stamp, commit.request.as_ref()).await?;
        }
    }
    Ok(Committed { revision: Revision(stamp.revision), time: stamp.committed_at.to_jiff() })
}

async fn check_request(connection: &AsyncPgConnection, commit: &Commit) -> Result<(), CommitError> {
    let request = commit.request.as_ref();
    refuse_repetition(request, check::answered(connection, request).await?)
}

/// Writes and checks the objects in the open transaction. Statements that do not depend on each other are sent together,
/// so that others wait for a few round trips only. `of_publish` is the publish that the write is of.
async fn write_objects(
    connection: &AsyncPgConnection,
    stamp: write::Stamp,
    commit: &Commit,
    batch: &Batch,
    of_publish: Option<i64>,
) -> Result<(), CommitError> {
    let request = commit.request.as_ref();
    let (answered, in_the_way, shops, link_hosts, shop_destinations, programs, partners, codes, links) = tokio::join!(
        check::answered(connection, request),
        publish::in_the_way(connection, stamp, commit, &batch.links.keys),
        write::shops(connection, stamp, &batch.shops),
        write::link_hosts(connection, &batch.shops),
        write::shop_destinations(connection, &batch.shops),
        write::programs(connection, stamp, &batch.programs),
        write::partners(connection, stamp, &batch.partners),
        write::codes(connection, &batch.partners.codes),
        write::links(connection, stamp, &batch.links),
    );
    // In the order in which they were sent: after the first failure the others fail for its sake.
    refuse_repetition(request, answered?)?;
    refuse_pending(in_the_way?)?;
    let written = [
        (&batch.shops.keys, shops?),
        (&batch.programs.keys, (link_hosts?, shop_destinations?, programs?).2),
        (&batch.partners.keys, partners?),
        (&batch.links.keys, (codes?, links?).1),
    ];
    refuse_unwritten(commit, &written)?;

    let (shares, references, missing, code, host, destination, looping, history, changes, remembered) = tokio::join!(
        write::shares(connection, &batch.links),
        write::references(connection, &batch.links),
        check::missing(connection, batch),
        check::held_code(connection, &batch.partners.codes),
        check::held_host(connection, &batch.shops.link_hosts),
        check::looping_destination(connection, batch),
        check::looping_host(connection, &batch.shops.link_hosts),
        write::history(connection, stamp, commit, &batch.log, of_publish),
        write::changes(connection, stamp, &batch.log),
        write::request(connection, stamp, request),
    );
    let mut nowhere = shares?;
    nowhere.extend(references?);
    nowhere.extend(missing?);
    refuse_held(code?, host?)?;
    refuse_loop(destination?, looping?)?;
    history?;
    changes?;
    remembered?;
    if !commit.allow_missing_references {
        refuse_missing(nowhere)?;
        refuse_in_use(connection, &commit.puts).await?;
    }
    // By force, too, nobody stays in a deleted program.
    if let Some(put) = check::member_left_behind(connection, &batch.programs.keys).await? {
        return Err(CommitError::Stale { put: position(put) });
    }
    Ok(())
}

fn refuse_pending(in_the_way: Option<publish::InTheWay>) -> Result<(), CommitError> {
    let Some(publish::InTheWay { put, publish, effective_at, is_due }) = in_the_way else { return Ok(()) };
    let put = position(put);
    Err(match is_due {
        true => CommitError::PublishDue { put, publish: Revision(publish) },
        false => CommitError::PublishPending {
            put,
            publish: Revision(publish),
            effective_time: effective_at.to_jiff(),
        },
    })
}

fn refuse_repetition(
    request: Option<&RequestKey>,
    answered: Option<check::Answered>,
) -> Result<(), CommitError> {
    match (request, answered) {
        (Some(request), Some(answered)) if answered.is_of(request) => {
            Err(CommitError::Repeated { revision: Revision(answered.revision) })
        }
        (Some(_), Some(_)) => Err(CommitError::RequestIdReused),
        (Some(_), None) | (None, _) => Ok(()),
    }
}

fn refuse_unwritten(commit: &Commit, written: &[(&Keys, Vec<write::Written>)]) -> Result<(), CommitError> {
    let unwritten = written.iter().filter_map(|(keys, written)| write::first_unwritten(keys, written));
    let Some((put, is_new)) = unwritten.min() else { return Ok(()) };
    let put = position(put);
    if !is_new {
        return Err(CommitError::Stale { put });
    }
    let name = match &commit.puts[put] {
        Put::Shop(write) => Taken::Shop(write.value.id.clone()),
        Put::Program(write) => Taken::Program(write.value.id.clone()),
        Put::Partner(write) => Taken::Code(write.value.code.clone()),
        Put::Link(write) => Taken::Slug(write.value.slug.clone()),
    };
    Err(CommitError::Taken { put, name })
}

fn refuse_held(code: Option<check::Held>, host: Option<check::Held>) -> Result<(), CommitError> {
    if let Some(check::Held { put, name }) = code {
        return Err(CommitError::Taken {
            put: position(put),
            name: Taken::Code(echoed(PartnerCode::parse(&name))?),
        });
    }
    if let Some(check::Held { put, name }) = host {
        return Err(CommitError::Taken {
            put: position(put),
            name: Taken::Host(echoed(Host::parse(&name))?),
        });
    }
    Ok(())
}

fn refuse_loop(destination: Option<check::Held>, looping: Option<check::Loop>) -> Result<(), CommitError> {
    if let Some(check::Held { put, name }) = destination {
        let host = echoed(Host::parse(&name))?;
        return Err(CommitError::LoopingHost { put: position(put), host, end: LoopEnd::LinkHost });
    }
    let Some(check::Loop { put, host, shop, slug }) = looping else { return Ok(()) };
    let shop = echoed(ShopId::parse(&shop))?;
    let end = match slug {
        None => LoopEnd::Shop(shop),
        Some(slug) => LoopEnd::Link(shop, echoed(Slug::parse(&slug))?),
    };
    Err(CommitError::LoopingHost { put: position(put), host: echoed(Host::parse(&host))?, end })
}

fn refuse_missing(nowhere: Vec<write::Missing>) -> Result<(), CommitError> {
    let missing = nowhere.into_iter().map(|write::Missing { put, kind, name }| {
        let reference = match kind.as_str() {
            PARTNER => Reference::Partner(echoed(PartnerCode::parse(&name))?),
            PROGRAM => Reference::Program(echoed(ProgramId::parse(&name))?),
            _ => Reference::Shop(echoed(ShopId::parse(&name))?),
        };
        Ok(MissingReference { put: position(put), reference })
    });
    let mut missing = missing.collect::<Result<Vec<_>, StoreError>>()?;
    missing.sort_by_key(|missing| missing.put);
    if missing.is_empty() { Ok(()) } else { Err(CommitError::MissingReferences(missing)) }
}

async fn refuse_in_use(connection: &AsyncPgConnection, puts: &[Put]) -> Result<(), CommitError> {
    for (put, of) in puts.iter().enumerate() {
        let (shop, reference) = match of {
            Put::Shop(write) if write.deleted => (&write.value.id, Reference::Shop(write.value.id.clone())),
            Put::Program(write) if write.deleted => {
                (&write.value.shop, Reference::Program(write.value.id.clone()))
            }
            Put::Partner(write) if write.deleted => {
                (&write.value.shop, Reference::Partner(write.value.code.clone()))
            }
            Put::Shop(_) | Put::Program(_) | Put::Partner(_) | Put::Link(_) => continue,
        };
        let by = references_of(connection, shop, &reference).await?;
        if !by.is_empty() {
            return Err(CommitError::InUse { put, by });
        }
    }
    Ok(())
}

/// Converts the position of a put back.
fn position(put: i32) -> usize {
    usize::try_from(put).unwrap_or_default()
}

/// Takes a name that came back from the database to which we had sent it.
fn echoed<T>(name: Result<T, Problem>) -> Result<T, StoreError> {
    name.map_err(|problem| StoreError::Other(problem.into()))
}
