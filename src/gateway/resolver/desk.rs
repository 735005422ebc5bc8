//! Where the items of one stream wait for their answers.

use std::{
    collections::HashMap,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};

use super::Refusal;
use crate::proto::{
    ResolveRequest, ResolveResponse, ResolveStreamRequest, ResolveStreamResponse,
    resolve_stream_response::Outcome,
};

/// Items that may be unanswered: as many as the resolver takes from one stream.
pub(super) const UNANSWERED: usize = 1_024;

/// What an item ends in.
type Answer = Result<ResolveResponse, Refusal>;

/// The items of one stream at a time. The lock is held for a few instructions, never across an `await`.
#[derive(Debug, Default)]
pub(super) struct Desk(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    /// The way to the stream; `None` while there is none.
    stream: Option<mpsc::Sender<ResolveStreamRequest>>,
    /// Never reused, so that a late answer finds nobody.
    last_item: u64,
    waiting: HashMap<u64, oneshot::Sender<Answer>, foldhash::fast::FixedState>,
}

impl Desk {
    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing in here panics half-way, so a poisoned table is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens for the items of a new stream.
    pub(super) fn open(&self, stream: mpsc::Sender<ResolveStreamRequest>) {
        self.table().stream = Some(stream);
    }

    /// Closes, and tells everyone who waits that the stream broke. Returns how many did.
    pub(super) fn close(&self) -> usize {
        let mut table = self.table();
        table.stream = None;
        let waiting = mem::take(&mut table.waiting);
        drop(table);
        let count = waiting.len();
        for (_, answer) in waiting {
            // Who does not wait any more need not be told.
            answer.send(Err(Refusal::Broken)).ok();
        }
        count
    }

    /// Puts an item on the stream; the visit is left as it is if it cannot be sent.
    pub(super) fn put(
        self: &Arc<Self>,
        visit: &mut ResolveRequest,
        timeout: Duration,
    ) -> Result<Waiting, Refusal> {
        let mut table = self.table();
        let table = &mut *table;
        let stream = table.stream.as_ref().ok_or(Refusal::Down)?;
        if table.waiting.len() >= UNANSWERED {
            return Err(Refusal::Busy);
        }
        let place = stream.try_reserve().map_err(|error| match error {
            mpsc::error::TrySendError::Full(()) => Refusal::Busy,
            mpsc::error::TrySendError::Closed(()) => Refusal::Down,
        })?;
        table.last_item += 1;
        let item = table.last_item;
        let timeout = prost_types::Duration::try_from(timeout).ok();
        place.send(ResolveStreamRequest { item, request: Some(mem::take(visit)), timeout });
        let (teller, answer) = oneshot::channel();
        table.waiting.insert(item, teller);
        Ok(Waiting { desk: Arc::clone(self), item, answer })
    }

    /// Hands an answer to who waits for it, if anyone still does.
    pub(super) fn take(&self, message: ResolveStreamResponse) {
        let Some(teller) = self.table().waiting.remove(&message.item) else { return };
        let answer = match message.outcome {
            Some(Outcome::Answer(answer)) => Ok(answer),
            Some(Outcome::Failure(failure)) => Err(Refusal::Failed(failure)),
            // Answers no item, or an outcome that a newer resolver knows.
            Some(Outcome::Closing(_)) | None => Err(Refusal::Broken),
        };
        teller.send(answer).ok();
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
        Pin::new(&mut self.answer).poll(context).map(|answer| answer.unwrap_or(Err(Refusal::Broken)))
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
    use super::*;
    use crate::proto::{ErrorReason, ResolveFailure};

    const SOON: Duration = Duration::from_secs(1);

    fn desk(capacity: usize) -> (Arc<Desk>, mpsc::Receiver<ResolveStreamRequest>) {
        let desk = Arc::new(Desk::default());
        let (stream, items) = mpsc::channel(capacity);
        desk.open(stream);
        (desk, items)
    }

    fn put(desk: &Arc<Desk>, slug: &str) -> Result<Waiting, Refusal> {
        let mut visit = ResolveRequest { slug: slug.to_owned(), ..ResolveRequest::default() };
        let put = desk.put(&mut visit, SOON);
        assert_eq!(visit.slug.is_empty(), put.is_ok(), "only what was sent is gone");
        put
    }

    #[tokio::test]
    async fn answers_find_their_items_in_any_order() {
        let (desk, mut items) = desk(8);
        let first = put(&desk, "a").unwrap();
        let second = put(&desk, "b").unwrap();
        let sent = [items.recv().await.unwrap(), items.recv().await.unwrap()];
        let failure =
            ResolveFailure { reason: ErrorReason::LinkNotFound.into(), ..ResolveFailure::default() };
        desk.take(ResolveStreamResponse {
            item: sent[1].item,
            outcome: Some(Outcome::Failure(failure.clone())),
        });
        let answer = ResolveResponse { slug: "a".to_owned(), ..ResolveResponse::default() };
        desk.take(ResolveStreamResponse {
            item: sent[0].item,
            outcome: Some(Outcome::Answer(answer.clone())),
        });
        assert_eq!(second.await, Err(Refusal::Failed(failure)));
        assert_eq!(first.await, Ok(answer));
        assert_eq!(sent[0].timeout, Some(prost_types::Duration { seconds: 1, nanos: 0 }));
    }

    #[tokio::test]
    async fn table_and_queue_are_bounded() {
        let (desk, mut items) = desk(1);
        let held = put(&desk, "a").unwrap();
        assert_eq!(put(&desk, "b").unwrap_err(), Refusal::Busy);
        let mut waiting = vec![held];
        while waiting.len() < UNANSWERED {
            items.recv().await.unwrap();
            waiting.push(put(&desk, "c").unwrap());
        }
        items.recv().await.unwrap();
        assert_eq!(put(&desk, "d").unwrap_err(), Refusal::Busy);
        waiting.pop();
        assert!(put(&desk, "d").is_ok(), "who left gave the place away");
    }

    #[tokio::test]
    async fn broken_stream_fails_what_waits_and_takes_nothing_more() {
        let (desk, _items) = desk(8);
        let waiting = put(&desk, "a").unwrap();
        assert_eq!(desk.close(), 1);
        assert_eq!(waiting.await, Err(Refusal::Broken));
        assert_eq!(put(&desk, "b").unwrap_err(), Refusal::Down);
        desk.take(ResolveStreamResponse { item: 1, outcome: None });
    }
}
