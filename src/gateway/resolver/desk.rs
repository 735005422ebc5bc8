//! Where the items of one stream wait: for the wire, then for their answers.

use std::{
    collections::{HashMap, VecDeque},
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use futures_util::Stream;
use tokio::sync::oneshot;

use super::Refusal;
use crate::proto::{
    ErrorReason, ResolveRequest, ResolveResponse, ResolveStreamRequest, ResolveStreamResponse,
    resolve_stream_response::Outcome,
};

/// Items that may be unanswered: as many as the resolver takes from one stream.
pub(super) const UNANSWERED: usize = 1_024;
/// After so much time with an item unanswered and nothing arriving, a server counts as silent: a hundred times what it
/// takes under load, and short enough that few are asked in vain.
pub(super) const SILENCE: Duration = Duration::from_millis(200);

/// What an item ends in.
pub(super) type Answer = Result<ResolveResponse, Lost>;

/// Why an item has no answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Lost {
    /// It never left: it may be asked elsewhere.
    Unsent(Box<ResolveRequest>),
    /// It was sent, and is not asked again.
    Sent(Refusal),
}

/// How a stream stands, the better the smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Load {
    pub(super) is_silent: bool,
    pub(super) unanswered: usize,
}

/// What a message from the server was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// An answer.
    Answer,
    /// The server takes nothing more on this stream.
    Closing,
}

/// The items of one stream. The lock is held for a few instructions, never across an `await`.
#[derive(Debug, Default)]
pub(super) struct Desk(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    /// Whether items are taken no more.
    is_closed: bool,
    /// Items that were not handed to the wire yet.
    queue: VecDeque<ResolveStreamRequest>,
    /// Whom to wake when there is one.
    wire: Option<Waker>,
    /// Never reused, so that a late answer finds nobody.
    last_item: u64,
    /// All items whose asker waits, those in the queue too.
    waiting: HashMap<u64, oneshot::Sender<Answer>, foldhash::fast::FixedState>,
    /// Since when something that was sent is unanswered and nothing has arrived. Who gives up waiting does not change it:
    /// only what arrives does.
    quiet_since: Option<Instant>,
}

impl Table {
    /// Takes no more items, and returns those that never left with who waits for them.
    fn close(&mut self) -> Vec<(oneshot::Sender<Answer>, ResolveRequest)> {
        self.is_closed = true;
        let waiting = &mut self.waiting;
        let unsent = mem::take(&mut self.queue).into_iter();
        unsent.filter_map(|item| Some((waiting.remove(&item.item)?, item.request?))).collect()
    }
}

impl Desk {
    /// Makes a desk and the end of it that goes to the wire.
    pub(super) fn new() -> (Arc<Self>, Outgoing) {
        let desk = Arc::new(Self::default());
        let outgoing = Outgoing(Arc::clone(&desk));
        (desk, outgoing)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing in here panics half-way, so a poisoned table is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says how much is unanswered, and whether the server is silent.
    pub(super) fn load(&self, now: Instant) -> Load {
        let table = self.table();
        let is_silent = table.quiet_since.is_some_and(|since| now.saturating_duration_since(since) > SILENCE);
        Load { is_silent, unanswered: table.waiting.len() }
    }

    /// Takes an item; the visit is left as it is if there is no place for it.
    pub(super) fn put(
        self: &Arc<Self>,
        visit: &mut ResolveRequest,
        left: Duration,
    ) -> Result<Waiting, Refusal> {
        let mut table = self.table();
        if table.is_closed {
            return Err(Refusal::Down);
        }
        // The queue may hold items that nobody waits for any more.
        if table.waiting.len() >= UNANSWERED || table.queue.len() >= UNANSWERED {
            return Err(Refusal::Busy);
        }
        table.last_item += 1;
        let item = table.last_item;
        let timeout = prost_types::Duration::try_from(left).ok();
        table.queue.push_back(ResolveStreamRequest { item, request: Some(mem::take(visit)), timeout });
        let (teller, answer) = oneshot::channel();
        table.waiting.insert(item, teller);
        let wire = table.wire.take();
        drop(table);
        if let Some(wire) = wire {
            wire.wake();
        }
        Ok(Waiting { desk: Arc::clone(self), item, answer })
    }

    /// Hands an answer to who waits for it, if anyone still does.
    pub(super) fn take(&self, message: ResolveStreamResponse, now: Instant) -> Taken {
        let teller = {
            let mut table = self.table();
            let teller = table.waiting.remove(&message.item);
            table.quiet_since = (!table.waiting.is_empty()).then_some(now);
            teller
        };
        let (answer, taken) = match message.outcome {
            Some(Outcome::Answer(answer)) => (Ok(answer), Taken::Answer),
            Some(Outcome::Failure(failure)) => {
                // Another server may do better, until this one can be asked anew.
                let refuses = [ErrorReason::IndexNotLoaded, ErrorReason::ShuttingDown];
                let taken = if refuses.contains(&failure.reason()) { Taken::Closing } else { Taken::Answer };
                (Err(Lost::Sent(Refusal::Failed(failure))), taken)
            }
            Some(Outcome::Closing(_)) => return Taken::Closing,
            // An outcome that a newer resolver knows.
            None => (Err(Lost::Sent(Refusal::Broken)), Taken::Answer),
        };
        if let Some(teller) = teller {
            // Who does not wait any more need not be told.
            teller.send(answer).ok();
        }
        taken
    }

    /// Takes no more items and ends our side of the stream. What never left goes back to who asked it; what was sent is
    /// still waited for.
    pub(super) fn leave(&self) {
        let (unsent, wire) = {
            let mut table = self.table();
            (table.close(), table.wire.take())
        };
        for (teller, visit) in unsent {
            teller.send(Err(Lost::Unsent(Box::new(visit)))).ok();
        }
        if let Some(wire) = wire {
            wire.wake();
        }
    }

    /// Leaves, and tells everyone who still waits that no answer will come. Returns how many did.
    pub(super) fn end(&self) -> usize {
        self.leave();
        let waiting = mem::take(&mut self.table().waiting);
        let count = waiting.len();
        for (_, teller) in waiting {
            teller.send(Err(Lost::Sent(Refusal::Broken))).ok();
        }
        count
    }
}

/// The items on their way to the wire. What was returned here counts as sent. Dropped, it gives back what is left.
#[derive(Debug)]
pub(super) struct Outgoing(Arc<Desk>);

impl Stream for Outgoing {
    type Item = ResolveStreamRequest;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut table = self.0.table();
        while let Some(item) = table.queue.pop_front() {
            // Whose browser left before it was sent is not sent.
            if table.waiting.contains_key(&item.item) {
                table.quiet_since.get_or_insert_with(Instant::now);
                return Poll::Ready(Some(item));
            }
        }
        if table.is_closed {
            return Poll::Ready(None);
        }
        table.wire = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// An item that waits for its answer. Dropping it gives its place away.
#[derive(Debug)]
pub(super) struct Waiting {
    desk: Arc<Desk>,
    item: u64,
    answer: oneshot::Receiver<Answer>,
}

impl Future for Waiting {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        let answer = Pin::new(&mut self.answer).poll(context);
        answer.map(|answer| answer.unwrap_or(Err(Lost::Sent(Refusal::Broken))))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.answer.is_terminated() {
            return;
        }
        self.desk.table().waiting.remove(&self.item);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, StreamExt};

    use super::*;
    use crate::proto::{ResolveFailure, StreamClosing};

    const SOON: Duration = Duration::from_secs(1);

    fn visit(slug: &str) -> ResolveRequest {
        ResolveRequest { slug: slug.to_owned(), ..ResolveRequest::default() }
    }

    fn put(desk: &Arc<Desk>, slug: &str) -> Result<Waiting, Refusal> {
        let mut visit = visit(slug);
        let put = desk.put(&mut visit, SOON);
        assert_eq!(visit.slug.is_empty(), put.is_ok(), "only what was taken is gone");
        put
    }

    fn sent(outgoing: &mut Outgoing) -> ResolveStreamRequest {
        outgoing.next().now_or_never().expect("nothing is there").expect("the stream has ended")
    }

    fn answer(item: u64) -> ResolveStreamResponse {
        ResolveStreamResponse { item, outcome: Some(Outcome::Answer(ResolveResponse::default())) }
    }

    #[tokio::test]
    async fn answers_find_their_items_in_any_order() {
        let (desk, mut outgoing) = Desk::new();
        let first = put(&desk, "a").unwrap();
        let second = put(&desk, "b").unwrap();
        let items = [sent(&mut outgoing), sent(&mut outgoing)];
        let failure =
            ResolveFailure { reason: ErrorReason::LinkNotFound.into(), ..ResolveFailure::default() };
        let outcome = Some(Outcome::Failure(failure.clone()));
        desk.take(ResolveStreamResponse { item: items[1].item, outcome }, Instant::now());
        desk.take(answer(items[0].item), Instant::now());
        assert_eq!(second.await, Err(Lost::Sent(Refusal::Failed(failure))));
        assert_eq!(first.await, Ok(ResolveResponse::default()));
        assert_eq!(items[0].timeout, Some(prost_types::Duration { seconds: 1, nanos: 0 }));
    }

    #[tokio::test]
    async fn what_waits_and_what_is_queued_are_bounded() {
        let (desk, _outgoing) = Desk::new();
        let mut waiting: Vec<_> = (0..UNANSWERED).map(|_| put(&desk, "a").unwrap()).collect();
        assert_eq!(put(&desk, "b").unwrap_err(), Refusal::Busy);
        // Who left gave the place away, but what the wire did not take is still there.
        waiting.clear();
        assert_eq!(put(&desk, "b").unwrap_err(), Refusal::Busy);
        let (desk, mut outgoing) = Desk::new();
        for _ in 0..UNANSWERED {
            waiting.push(put(&desk, "a").unwrap());
            sent(&mut outgoing);
        }
        assert_eq!(put(&desk, "b").unwrap_err(), Refusal::Busy);
        waiting.pop();
        assert!(put(&desk, "b").is_ok());
    }

    #[tokio::test]
    async fn only_what_never_left_comes_back() {
        let (desk, mut outgoing) = Desk::new();
        let gone = put(&desk, "a").unwrap();
        sent(&mut outgoing);
        let here = put(&desk, "b").unwrap();
        drop(outgoing);
        assert_eq!(here.await, Err(Lost::Unsent(Box::new(visit("b")))));
        assert_eq!(put(&desk, "c").unwrap_err(), Refusal::Down);
        assert_eq!(desk.end(), 1);
        assert_eq!(gone.await, Err(Lost::Sent(Refusal::Broken)));
    }

    #[tokio::test]
    async fn left_stream_ends_and_is_still_answered() {
        let (desk, mut outgoing) = Desk::new();
        let gone = put(&desk, "a").unwrap();
        let item = sent(&mut outgoing).item;
        let closing = Some(Outcome::Closing(StreamClosing {}));
        let closing = ResolveStreamResponse { item: 0, outcome: closing };
        assert_eq!(desk.take(closing, Instant::now()), Taken::Closing);
        desk.leave();
        assert_eq!(outgoing.next().await, None);
        assert_eq!(desk.take(answer(item), Instant::now()), Taken::Answer);
        assert_eq!(gone.await, Ok(ResolveResponse::default()));
        assert_eq!(desk.end(), 0);
    }

    #[tokio::test]
    async fn nobody_is_asked_for_who_left_before() {
        let (desk, mut outgoing) = Desk::new();
        drop(put(&desk, "a").unwrap());
        let _here = put(&desk, "b").unwrap();
        assert_eq!(sent(&mut outgoing).request.unwrap().slug, "b");
    }

    #[tokio::test]
    async fn server_is_silent_until_something_arrives() {
        let (desk, mut outgoing) = Desk::new();
        let is_silent = |now| desk.load(now).is_silent;
        let first = put(&desk, "a").unwrap();
        let second = put(&desk, "b").unwrap();
        let [_, item] = [sent(&mut outgoing), sent(&mut outgoing)].map(|sent| sent.item);
        let begun = Instant::now();
        let later = |count: u32| begun + (SILENCE + Duration::from_millis(1)) * count;
        assert!(!is_silent(begun - SILENCE) && is_silent(later(1)));
        // Waiting no more is no sign of life.
        drop(first);
        assert!(is_silent(later(1)));
        // An answer is, even if nobody waits for it; from then on the rest has its time.
        desk.take(answer(item - 1), later(2));
        assert!(!is_silent(later(2)) && is_silent(later(3)));
        desk.take(answer(item), later(3));
        assert!(!is_silent(later(9)));
        assert!(second.await.is_ok());
    }

    #[tokio::test]
    async fn server_is_not_silent_on_what_it_was_never_sent() {
        let (desk, mut outgoing) = Desk::new();
        let later = Instant::now() + SILENCE * 9;
        assert!(!desk.load(later).is_silent, "nothing was asked");
        drop(put(&desk, "a").unwrap());
        assert!(outgoing.next().now_or_never().is_none(), "whose browser left was sent");
        assert!(!desk.load(later).is_silent);
    }

    #[tokio::test]
    async fn server_that_refuses_every_item_gets_no_more() {
        let (desk, mut outgoing) = Desk::new();
        for reason in [ErrorReason::IndexNotLoaded, ErrorReason::ShuttingDown] {
            let _waiting = put(&desk, "a").unwrap();
            let failure = ResolveFailure { reason: reason.into(), ..ResolveFailure::default() };
            let outcome = Some(Outcome::Failure(failure));
            let message = ResolveStreamResponse { item: sent(&mut outgoing).item, outcome };
            assert_eq!(desk.take(message, Instant::now()), Taken::Closing);
        }
    }
}
