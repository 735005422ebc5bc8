//! What all writes have in common: safe repetition, trial runs, retries.

use std::future::Future;

use jiff::Timestamp;
use prost::Message;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    findings::Idle,
    golden::Golden,
    refusals::{self, Place},
};
pub(super) use crate::rpc::work::blocking;
use crate::{
    domain::{
        fault::{Faults, Problem, Reason},
        name::ShopId,
        revision::{Comment, Revision},
    },
    proto::{self, ErrorReason, on_pending_publish::Then},
    rpc::{
        caller::Caller,
        convert::{Path, required, take},
        status::Failure,
    },
    store::{
        Commit, CommitError, Committed, OnPending, PublishKey, PublishTime, Put, RequestKey, Store,
        StoreError,
    },
};

/// How often a write without an etag is tried while others write the same object.
const ATTEMPTS: usize = 3;

/// A call that writes.
pub(super) struct Writer<'a> {
    store: &'a Store,
    caller: Caller,
    validate_only: bool,
    comment: Comment,
    golden: Golden,
    idle: Idle,
    request: Option<RequestKey>,
    pending: OnPending,
    publish: Option<PublishTime>,
}

/// What may be wrong with the references of a commit without stopping it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum References {
    /// Every object that is named anew must be there; what was named before may be gone by now.
    Live,
    /// What is named may be gone.
    MayBeMissing,
}

impl<'a> Writer<'a> {
    /// Writes, or only tries to.
    pub(super) fn new(store: &'a Store, caller: Caller, validate_only: bool, comment: Comment) -> Self {
        Self {
            store,
            caller,
            validate_only,
            comment,
            golden: Golden::default(),
            idle: Idle::Refused,
            request: None,
            pending: OnPending::Refuse,
            publish: None,
        }
    }

    /// Writes once, however often the request is repeated. A trial run stores no request.
    pub(super) fn repeatable(self, request: Option<RequestKey>) -> Self {
        Self { request: request.filter(|_| !self.validate_only), ..self }
    }

    /// Says what golden clicks that go elsewhere are to the links that are written.
    pub(super) fn trying(self, golden: Golden) -> Self {
        Self { golden, ..self }
    }

    /// Says what rules that never decide are to the links that are written.
    pub(super) fn reviewing(self, idle: Idle) -> Self {
        Self { idle, ..self }
    }

    /// Says what becomes of a publish that is pending on the links that are written.
    pub(super) fn leaving(self, pending: OnPending) -> Self {
        Self { pending, ..self }
    }

    /// Publishes what is written together.
    pub(super) fn publishing(self, publish: PublishTime) -> Self {
        Self { publish: Some(publish), ..self }
    }

    /// Returns whether what is written takes effect later.
    pub(super) fn is_ahead(&self) -> bool {
        matches!(self.publish, Some(PublishTime::At(_)))
    }

    /// Returns when what is written takes effect.
    pub(super) fn effective_time(&self) -> Timestamp {
        match self.publish {
            Some(PublishTime::At(time)) => time,
            Some(PublishTime::Now) | None => Timestamp::now(),
        }
    }

    /// Returns what golden clicks that go elsewhere are.
    pub(super) fn golden(&self) -> Golden {
        self.golden
    }

    /// Returns what rules that never decide are.
    pub(super) fn idle(&self) -> Idle {
        self.idle
    }

    /// Writes new objects, or answers what the same request was answered before.
    ///
    /// `prepare` checks what has to be there and makes the objects; a repetition does without. `created_at` reads when
    /// they were created by the first request.
    pub(super) async fn create(
        &self,
        prepare: impl Future<Output = Result<Vec<Put>, Failure>>,
        created_at: impl Future<Output = Result<Option<Timestamp>, StoreError>>,
        places: &[Place<'_>],
    ) -> Result<Option<Committed>, Failure> {
        let repeated = match self.repeated().await? {
            Some(revision) => revision,
            None => match self.try_commit(prepare.await?, References::Live).await {
                Err(CommitError::Repeated { revision, .. }) => revision,
                done => return done.map_err(|error| refusals::failure(error, places)),
            },
        };
        let time = created_at.await?.unwrap_or(Timestamp::UNIX_EPOCH);
        Ok(Some(Committed { revision: repeated, time }))
    }

    /// Returns the revision under which the same request was done before.
    pub(super) async fn repeated(&self) -> Result<Option<Revision>, Failure> {
        let Some(request) = &self.request else { return Ok(None) };
        match self.store.check_request(request).await {
            Ok(()) => Ok(None),
            Err(CommitError::Repeated { revision, .. }) => Ok(Some(revision)),
            Err(error) => Err(refusals::failure(error, &[])),
        }
    }

    /// Writes changed objects; `None` if nothing was to be written.
    pub(super) async fn commit(
        &self,
        puts: Vec<Put>,
        references: References,
        places: &[Place<'_>],
    ) -> Result<Option<Committed>, Failure> {
        let done = self.try_commit(puts, references).await;
        done.map_err(|error| refusals::failure(error, places))
    }

    async fn try_commit(
        &self,
        puts: Vec<Put>,
        references: References,
    ) -> Result<Option<Committed>, CommitError> {
        let commit = Commit {
            actor: self.caller.actor().to_owned(),
            comment: self.comment.clone(),
            puts,
            request: self.request.clone(),
            allow_missing_references: references == References::MayBeMissing,
            dry_run: self.validate_only,
            pending: self.pending.clone(),
            publish: self.publish,
        };
        let done = self.store.commit(commit).await?;
        Ok((!self.validate_only).then_some(done))
    }
}

/// Tries a write again while others come in between. With an etag the second attempt finds that it is stale.
pub(super) async fn retrying<T, F>(mut attempt: impl FnMut() -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    for _ in 1..ATTEMPTS {
        match attempt().await {
            Err(failure) if failure.reason() == ErrorReason::WriteConflict => {}
            done => return done,
        }
    }
    attempt().await
}

/// Reads the id that makes a request safe to repeat. `request` is the rest of it.
pub(super) fn read_request_id(
    id: &str,
    rpc: &'static str,
    request: &impl Message,
    faults: &mut Faults,
) -> Option<RequestKey> {
    if id.is_empty() {
        return None;
    }
    let malformed = |_| Problem::new(Reason::Malformed, "the request id is no UUID");
    let id = take(Uuid::try_parse(id).map_err(malformed), &Path::root("request_id"), faults)?;
    let fingerprint = Sha256::digest(request.encode_to_vec()).into();
    Some(RequestKey { id, rpc, fingerprint })
}

/// Reads why something is written.
pub(super) fn read_comment(text: &str, faults: &mut Faults) -> Option<Comment> {
    take(Comment::parse(text), &Path::root("comment"), faults)
}

/// Reads what becomes of a publish that is pending on what is written in a shop.
pub(super) fn read_pending(
    wire: Option<&proto::OnPendingPublish>,
    shop: Option<&ShopId>,
    faults: &mut Faults,
) -> Option<OnPending> {
    let Some(wire) = wire else { return Some(OnPending::Refuse) };
    let path = Path::root("pending_publish");
    let then = required(wire.then.as_ref(), "what becomes of the publish", &path, faults);
    let (then, shop) = (then?, shop?.clone());
    Some(match *then {
        Then::Leave(id) => OnPending::Leave(PublishKey { shop, id: Revision(id) }),
        Then::Cancel(id) => OnPending::Cancel(PublishKey { shop, id: Revision(id) }),
    })
}

/// Returns the revision of an answer: 0 if nothing was written.
pub(super) fn revision_of(done: Option<Committed>) -> i64 {
    done.map_or(0, |done| done.revision.0)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::proto::CreateShopRequest;

    async fn attempts(fail_with: ErrorReason, successes_after: usize) -> (usize, bool) {
        let tried = Cell::new(0);
        let done = retrying(|| async {
            tried.set(tried.get() + 1);
            if tried.get() > successes_after { Ok(()) } else { Err(Failure::new(fail_with, "")) }
        });
        let done = done.await.is_ok();
        (tried.get(), done)
    }

    #[tokio::test]
    async fn only_conflicts_are_tried_again_and_three_times_at_most() {
        assert_eq!(attempts(ErrorReason::WriteConflict, 0).await, (1, true));
        assert_eq!(attempts(ErrorReason::WriteConflict, 2).await, (3, true));
        assert_eq!(attempts(ErrorReason::WriteConflict, 9).await, (3, false));
        assert_eq!(attempts(ErrorReason::StaleEtag, 9).await, (1, false));
    }

    #[test]
    fn request_id_is_bound_to_the_request() {
        let key = |id: &str, slug: &str| {
            let request = CreateShopRequest { default_link_slug: slug.into(), ..Default::default() };
            let mut faults = Faults::new();
            let key = read_request_id(id, "CreateShop", &request, &mut faults);
            (key, faults.iter().map(|fault| fault.path.clone()).collect::<Vec<_>>())
        };
        let id = "0190a6f0-5c1e-4c36-9f3b-3d8b7f2a1c11";
        let fingerprint = |slug: &str| key(id, slug).0.unwrap().fingerprint;
        assert_eq!(fingerprint("home"), fingerprint("home"));
        assert_ne!(fingerprint("home"), fingerprint("start"));
        assert_eq!(key("42", "home").1, ["request_id"]);
        assert!(key("", "home").0.is_none());
    }
}
