//! What can go wrong in the store, and what of it the database told us.

use std::{error::Error, fmt};

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind, Error as QueryError};
use diesel_async::pooled_connection::deadpool::PoolError;
use jiff::Timestamp;

use super::types::{Reference, References};
use crate::domain::{
    host::Host,
    name::{PartnerCode, ProgramId, ShopId, Slug},
    revision::Revision,
};

/// The cause of an error, kept for the one line that is logged.
pub type Cause = Box<dyn Error + Send + Sync>;

/// Why something could not be read.
#[derive(Debug)]
pub enum StoreError {
    /// PostgreSQL does not answer, takes no writes, or all connections stayed in use: try again later.
    Unavailable(Cause),
    /// A statement took longer than it may: asking the same again would not help.
    TooSlow(Cause),
    /// Another transaction came in between: try again.
    Conflict(Cause),
    /// A stored object does not parse.
    Corrupt {
        /// Which object.
        object: String,
        /// What is wrong with it.
        cause: Cause,
    },
    /// Something else.
    Other(Cause),
}

/// Why a commit wrote nothing.
#[derive(Debug)]
pub enum CommitError {
    /// The object was written since it was read, or is not there.
    Stale {
        /// The position of the put.
        put: usize,
    },
    /// The name is used, now or by something deleted.
    Taken {
        /// The position of the put.
        put: usize,
        /// What is taken.
        name: Taken,
    },
    /// Objects name others of their shop that do not exist or are deleted.
    MissingReferences(Vec<MissingReference>),
    /// What is to be deleted is still named.
    InUse {
        /// The position of the put.
        put: usize,
        /// Who names it.
        by: References,
    },
    /// A destination leads to a host that serves links of this installation.
    LoopingHost {
        /// The position of the put.
        put: usize,
        /// The host.
        host: Host,
        /// Where the other end is.
        end: LoopEnd,
    },
    /// A publish is pending on the link, and the commit does not say what becomes of it.
    PublishPending {
        /// The position of the put.
        put: usize,
        /// The publish.
        publish: Revision,
        /// When it takes effect.
        effective_time: Timestamp,
    },
    /// The time of a publish of the link has come: it is written into its links before anything else is.
    PublishDue {
        /// The position of the put.
        put: usize,
        /// The publish.
        publish: Revision,
    },
    /// The time of the publish has passed by PostgreSQL's clock.
    PublishPassed {
        /// The time.
        effective_time: Timestamp,
    },
    /// The publish that the commit names is not pending: it took effect, was cancelled, or never was.
    PublishNotPending,
    /// The request was already done; this is what it was answered.
    Repeated {
        /// The revision under which it was written.
        revision: Revision,
    },
    /// The request id was used for another request.
    RequestIdReused,
    /// What is wrong does not lie in the request.
    Store(StoreError),
}

/// A name that is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The id of a shop.
    Shop(ShopId),
    /// The id of a program.
    Program(ProgramId),
    /// The code or an alias of a partner.
    Code(PartnerCode),
    /// The slug of a link.
    Slug(Slug),
    /// A link host.
    Host(Host),
}

/// A name that leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingReference {
    /// The position of the put.
    pub put: usize,
    /// What it names.
    pub reference: Reference,
}

/// The other end of a loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoopEnd {
    /// The destination that is put leads to a link host.
    LinkHost,
    /// The link host that is put is where a shop leads to: its pages, a listed host or its fallback.
    Shop(ShopId),
    /// The link host that is put is where a link leads to.
    Link(ShopId, Slug),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(_) => f.write_str("the database does not answer in time, try again later"),
            Self::TooSlow(_) => f.write_str("the database took too long for a statement, ask for less"),
            Self::Conflict(_) => f.write_str("another transaction came in between, try again"),
            Self::Corrupt { object, .. } => write!(f, "the stored {object} does not parse"),
            Self::Other(_) => f.write_str("the database refused a statement of ours"),
        }
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let (Self::Unavailable(cause)
        | Self::TooSlow(cause)
        | Self::Conflict(cause)
        | Self::Corrupt { cause, .. }
        | Self::Other(cause)) = self;
        Some(cause.as_ref())
    }
}

impl fmt::Display for CommitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale { .. } => f.write_str("the object was written since it was read, read it again"),
            Self::Taken { name, .. } => write!(f, "{name} is taken, now or by something deleted"),
            Self::MissingReferences(missing) => {
                f.write_str("these do not exist or are deleted:")?;
                missing.iter().try_for_each(|missing| write!(f, " {}", missing.reference))
            }
            Self::InUse { by, .. } => write!(
                f,
                "the object is still in use by {} links and {} partners",
                by.link_count, by.partner_count
            ),
            Self::LoopingHost { host, .. } => {
                write!(f, "`{host}` serves links of this installation: clicks would go in circles")
            }
            Self::PublishPending { publish, effective_time, .. } => {
                write!(f, "the publish {publish} is pending on the link and takes effect at {effective_time}")
            }
            Self::PublishDue { .. } => f.write_str("the time of a publish of the link has come, try again"),
            Self::PublishPassed { effective_time } => write!(f, "{effective_time} has passed"),
            Self::PublishNotPending => f.write_str("the publish is not pending"),
            Self::Repeated { revision, .. } => {
                write!(f, "the request was already done under revision {revision}")
            }
            Self::RequestIdReused => f.write_str("the request id was used for another request"),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl Error for CommitError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Store(error) => error.source(),
            Self::Stale { .. }
            | Self::Taken { .. }
            | Self::MissingReferences(_)
            | Self::InUse { .. }
            | Self::LoopingHost { .. }
            | Self::PublishPending { .. }
            | Self::PublishDue { .. }
            | Self::PublishPassed { .. }
            | Self::PublishNotPending
            | Self::Repeated { .. }
            | Self::RequestIdReused => None,
        }
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shop(id) => write!(f, "the shop id `{id}`"),
            Self::Program(id) => write!(f, "the program id `{id}`"),
            Self::Code(code) => write!(f, "the partner code `{code}`"),
            Self::Slug(slug) => write!(f, "the slug `{slug}`"),
            Self::Host(host) => write!(f, "the link host `{host}`"),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shop(id) => write!(f, "the shop `{id}`"),
            Self::Program(id) => write!(f, "the program `{id}`"),
            Self::Partner(code) => write!(f, "the partner `{code}`"),
        }
    }
}

impl From<StoreError> for CommitError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What is wrong when PostgreSQL refuses a statement. diesel names a few SQLSTATEs and drops all others, so those are
/// known here by how their messages begin; a database that speaks another language than English has them reported as
/// [`StoreError::Other`].
const UNAVAILABLE: &[&str] = &[
    "canceling statement due to", // 57014, 55P03: a lock timeout, or someone with the right to
    "terminating connection",     // 57P01, 57P05, 25P03
    "the database system is",     // 57P03: starting up, shutting down, in recovery
    "sorry, too many clients",    // 53300
    "remaining connection slots", // 53300
    "could not extend file",      // 53100: the disk is full
    "could not write to file",    // 53100
    "out of memory",              // 53200
    "out of shared memory",       // 53200
];
/// The same for what another transaction did: 40P01.
const CONFLICT: &[&str] = &["deadlock detected"];
/// How messages begin of statements that our side could not send or understand, although the connection works.
const OURS: &[&str] = &["error serializing", "error deserializing", "unexpected message", "invalid "];

/// Says what an error of a statement means to the caller.
pub(super) fn query_error(error: QueryError) -> StoreError {
    if let QueryError::RollbackErrorOnCommit { commit_error, .. } = error {
        return query_error(*commit_error);
    }
    if let QueryError::DeserializationError(cause) = error {
        return StoreError::Corrupt { object: "row".to_owned(), cause };
    }
    if let QueryError::BrokenTransactionManager = error {
        return StoreError::Unavailable(error.into());
    }
    let QueryError::DatabaseError(kind, information) = error else { return StoreError::Other(error.into()) };
    let cause = described(&kind, information.as_ref());
    let begins =
        |beginnings: &[&str]| beginnings.iter().any(|&begin| information.message().starts_with(begin));
    let is_kind = |kinds: &[DatabaseErrorKind]| {
        kinds.iter().any(|one| std::mem::discriminant(one) == std::mem::discriminant(&kind))
    };
    if is_kind(&[DatabaseErrorKind::UnableToSendCommand]) {
        return if begins(OURS) { StoreError::Other(cause) } else { StoreError::Unavailable(cause) };
    }
    if begins(&["canceling statement due to statement timeout"]) {
        return StoreError::TooSlow(cause);
    }
    if is_kind(&[DatabaseErrorKind::SerializationFailure]) || begins(CONFLICT) {
        return StoreError::Conflict(cause);
    }
    if is_kind(&[DatabaseErrorKind::ReadOnlyTransaction, DatabaseErrorKind::ClosedConnection])
        || begins(UNAVAILABLE)
    {
        return StoreError::Unavailable(cause);
    }
    StoreError::Other(cause)
}

/// Keeps all that the database said: an error's own text is the message alone.
fn described(kind: &DatabaseErrorKind, information: &dyn DatabaseErrorInformation) -> Cause {
    let parts = [information.details(), information.hint(), information.constraint_name()];
    let text =
        parts.into_iter().flatten().fold(information.message().to_owned(), |text, part| text + "; " + part);
    format!("{text} ({kind:?})").into()
}

/// Says what it means to the caller that there is no connection.
pub(super) fn pool_error(error: PoolError) -> StoreError {
    match error {
        PoolError::Timeout(_) | PoolError::Backend(_) | PoolError::Closed => {
            StoreError::Unavailable(error.into())
        }
        PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => StoreError::Other(error.into()),
    }
}

impl From<QueryError> for StoreError {
    fn from(error: QueryError) -> Self {
        query_error(error)
    }
}

impl From<QueryError> for CommitError {
    fn from(error: QueryError) -> Self {
        Self::Store(query_error(error))
    }
}
