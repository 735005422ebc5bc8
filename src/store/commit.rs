//! Everything that a call writes, in one transaction under one revision.

use jiff::Timestamp;
use uuid::Uuid;

use super::{Store, errors::CommitError};
use crate::domain::{
    link::Link,
    partner::{Partner, Program},
    revision::Revision,
    shop::Shop,
};

/// What a call writes: all of it or nothing.
#[derive(Clone, Debug)]
pub struct Commit {
    /// Who asked for it; stands in the history.
    pub actor: String,
    /// The objects; each at most once. A new shop comes with its default partner link.
    pub puts: Vec<Put>,
    /// What makes the call safe to repeat.
    pub request: Option<RequestKey>,
    /// Whether objects may name what does not exist or is deleted, and what is named may be deleted: for what is
    /// undeleted, rolled back or forced.
    pub allow_missing_references: bool,
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
    /// What a repetition returns with the revision.
    pub answer: Vec<u8>,
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
    /// Writes everything or nothing; retries nothing.
    pub async fn commit(&self, commit: Commit) -> Result<Committed, CommitError> {
        todo!()
    }

    /// Looks for the answer to a request that was already done: `Repeated` or `RequestIdReused`. A commit looks
    /// again; this is for checks before it that a repetition would fail.
    pub async fn check_request(&self, request: &RequestKey) -> Result<(), CommitError> {
        todo!()
    }
}
