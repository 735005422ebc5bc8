//! `ResolveStream`: many visits over one stream, answered where they are read.
//!
//! Nothing is spawned: items are resolved by whoever asks for the next answer, so a caller that does not read its answers
//! is not read from either. Those that are there together are resolved together, up to a bound, for their clicks to be
//! kept with one write. Only an item that has to wait, for a revision or for the disk, is put aside.
//!
//! When the server is about to stop, the caller is told once and answered until it ends its side. One that does not know
//! what it is told goes on sending; after a second its stream ends at the first moment at which nothing is there.

#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{Stream, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use jiff::Timestamp;
use tokio::{
    sync::watch,
    time::{Instant, Sleep, sleep, timeout_at},
};
use tonic::Status;

use super::{Answered, Decided, MIN_REVISION_WAIT, Resolver, question::Question};
use crate::{
    domain::{
        fault::{Faults, Problem, Reason},
        limits,
        revision::Revision,
    },
    proto::{
        ErrorReason, ResolveRequest, ResolveResponse, ResolveStreamRequest, ResolveStreamResponse,
        StreamClosing, resolve_stream_response::Outcome,
    },
    recorder::Note,
    rpc::{
        caller::{Caller, Scope},
        convert::Path,
        status::Failure,
    },
};

/// Items whose clicks are kept with one write at most: the first waits for the last to be resolved.
const BURST: usize = 64;

/// How long an item may take: the default and the most.
const ITEM_TIMEOUT: Duration = Duration::from_secs(limits::ITEM_SECONDS);

/// How long a caller has to end its side once it was told that the server is about to stop.
const CLOSING: Duration = Duration::from_secs(1);

/// The answers to a stream of items.
pub struct Answers<S> {
    items: S,
    desk: Desk,
    /// What may leave.
    ready: VecDeque<Result<ResolveStreamResponse, Status>>,
    /// Items that wait for a revision, or for the disk.
    waiting: FuturesUnordered<BoxFuture<'static, ResolveStreamResponse>>,
    stage: Stage,
}

/// What becomes of further items.
enum Stage {
    /// They are taken.
    Open(Stop),
    /// They are taken, but the caller was told to end its side, and has this time for it.
    Closing(Pin<Box<Sleep>>),
    /// They are not looked at.
    Done,
}

impl Stage {
    /// Tells whether the next stage has come, else wakes who asks when it does.
    fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        match self {
            Self::Open(stop) => stop.wakes.as_mut().poll(context).is_ready(),
            Self::Closing(time) => time.as_mut().poll(context).is_ready(),
            Self::Done => false,
        }
    }
}

/// Notices that the server is about to stop.
struct Stop {
    /// Asked for every item, at the price of a glance.
    seen: watch::Receiver<bool>,
    /// Wakes who waits for items.
    wakes: BoxFuture<'static, ()>,
}

impl Stop {
    fn new(seen: watch::Receiver<bool>) -> Self {
        let mut waiting = seen.clone();
        let wakes = Box::pin(async move {
            // A server that is gone has stopped.
            waiting.wait_for(|stop| *stop).await.ok();
        });
        Self { seen, wakes }
    }

    /// Tells whether it has come, without waiting for it.
    fn has_come(&self) -> bool {
        match self.seen.has_changed() {
            Ok(false) => false,
            // Nobody here marks it as seen: once changed, it stays so.
            Ok(true) => *self.seen.borrow(),
            // A server that is gone has stopped.
            Err(_) => true,
        }
    }
}

impl<S> Answers<S> {
    /// Answers the items of a caller who may ask.
    pub(super) fn new(items: S, resolver: Resolver, caller: Caller) -> Self {
        let stage = Stage::Open(Stop::new(resolver.stop.clone()));
        let desk = Desk { resolver, caller };
        Self { items, desk, ready: VecDeque::new(), waiting: FuturesUnordered::new(), stage }
    }

    /// Takes items no longer than for a while, and returns what tells the caller so.
    fn close(&mut self) -> ResolveStreamResponse {
        self.stage = Stage::Closing(Box::pin(sleep(CLOSING)));
        ResolveStreamResponse { item: 0, outcome: Some(Outcome::Closing(StreamClosing {})) }
    }
}

impl<S> Answers<S>
where
    S: Stream<Item = Result<ResolveStreamRequest, Status>> + Unpin,
{
    /// Takes the items that are there, keeps their clicks together, and lays the answers ready. Returns whether there may
    /// be more that may be taken.
    fn take_burst(&mut self, context: &mut Context<'_>) -> bool {
        let (mut clicks, mut notes) = (Vec::new(), Vec::new());
        let mut more = false;
        let end = loop {
            let taken = self.ready.len() + clicks.len();
            if taken + self.waiting.len() >= limits::UNANSWERED_ITEMS {
                break None;
            }
            if taken >= BURST {
                more = true;
                break None;
            }
            if let Stage::Open(stop) = &self.stage
                && stop.has_come()
            {
                break Some(Ok(self.close()));
            }
            if let Stage::Done = self.stage {
                break None;
            }
            match self.items.poll_next_unpin(context) {
                Poll::Ready(Some(Ok(item))) => match self.desk.take(item) {
                    Taken::Answered(answer) => self.ready.push_back(Ok(answer)),
                    Taken::Noted(click, note) => {
                        clicks.push(click);
                        notes.push(note);
                    }
                    Taken::Waiting(later) => self.waiting.push(later),
                },
                Poll::Ready(Some(Err(broken))) => {
                    self.stage = Stage::Done;
                    self.waiting.clear();
                    break Some(Err(broken));
                }
                Poll::Ready(None) => self.stage = Stage::Done,
                // Nothing is there: so this is the moment to stop.
                Poll::Pending if self.stage.is_over(context) => match self.stage {
                    Stage::Open(_) => break Some(Ok(self.close())),
                    Stage::Closing(_) | Stage::Done => self.stage = Stage::Done,
                },
                Poll::Pending => break None,
            }
        };
        let kept = self.desk.resolver.recorder.keep_all(notes);
        for (Click { item, outcome, within }, kept) in clicks.into_iter().zip(kept) {
            let answered = Answered::kept(outcome, kept);
            if answered.pending.is_none() {
                self.ready.push_back(Ok(respond(item, answered.outcome)));
            } else {
                let later = async move { respond(item, settled(answered, within).await) };
                self.waiting.push(Box::pin(later));
            }
        }
        self.ready.extend(end);
        more
    }
}

impl<S> Stream for Answers<S>
where
    S: Stream<Item = Result<ResolveStreamRequest, Status>> + Unpin,
{
    type Item = Result<ResolveStreamResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Some(answer) = this.ready.pop_front() {
            return Poll::Ready(Some(answer));
        }
        if !this.waiting.is_empty()
            && let Poll::Ready(Some(answer)) = this.waiting.poll_next_unpin(context)
        {
            return Poll::Ready(Some(Ok(answer)));
        }
        // Clicks that the disk has to confirm lay nothing ready: one sync is to do for as many as there may be.
        while this.take_burst(context) && this.ready.is_empty() {}
        if let Some(answer) = this.ready.pop_front() {
            return Poll::Ready(Some(answer));
        }
        // What was put aside just now has not been asked yet.
        match this.waiting.poll_next_unpin(context) {
            Poll::Ready(Some(answer)) => Poll::Ready(Some(Ok(answer))),
            Poll::Ready(None) if matches!(this.stage, Stage::Done) => Poll::Ready(None),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}

/// What became of an item at once.
enum Taken {
    Answered(ResolveStreamResponse),
    /// It is a click: its answer leaves when it is kept.
    Noted(Click, Note),
    Waiting(BoxFuture<'static, ResolveStreamResponse>),
}

/// A click whose answer is there and may not leave yet.
struct Click {
    item: u64,
    outcome: Result<ResolveResponse, Failure>,
    within: Within,
}

/// How long an item may take, whatever it waits for.
#[derive(Clone, Copy)]
struct Within {
    most: Duration,
    until: Instant,
}

impl Within {
    fn from_now(most: Duration) -> Self {
        Self { most, until: Instant::now() + most }
    }
}

/// Answers items.
struct Desk {
    resolver: Resolver,
    caller: Caller,
}

impl Desk {
    /// Answers an item, or puts it aside until its revision is there.
    fn take(&self, message: ResolveStreamRequest) -> Taken {
        let ResolveStreamRequest { item, request, timeout } = message;
        let now = Timestamp::now();
        let outcome = match self.first_look(request.as_ref(), timeout.as_ref(), now) {
            Ok(First::Decided(Decided { outcome, note: None }, _)) => outcome,
            Ok(First::Decided(Decided { outcome, note: Some(note) }, within)) => {
                return Taken::Noted(Click { item, outcome, within }, note);
            }
            Ok(First::Wait { revision, within }) => {
                let resolver = self.resolver.clone();
                return Taken::Waiting(Box::pin(async move {
                    let request = request.unwrap_or_default();
                    respond(item, resolver.answer_later(&request, now, revision, within).await)
                }));
            }
            Err(failure) => Err(failure),
        };
        Taken::Answered(respond(item, outcome))
    }

    fn first_look(
        &self,
        request: Option<&ResolveRequest>,
        timeout: Option<&prost_types::Duration>,
        now: Timestamp,
    ) -> Result<First, Failure> {
        let at = Path::root("request");
        let mut faults = Faults::new();
        let question = match request.map(|request| Question::read(request, now)) {
            Some(Ok(question)) => Some(question),
            Some(Err(inside)) => {
                at.adopt(inside, &mut faults);
                None
            }
            None => {
                faults.add("request", Problem::required("the visit"));
                None
            }
        };
        let within = item_timeout(timeout, &mut faults).map(Within::from_now);
        let (question, within) = faults.finish(question.zip(within))?;
        self.caller.may(Scope::Resolve, question.shop().as_ref())?;
        match self.resolver.missing(question.min_revision) {
            Ok(None) => Ok(First::Decided(self.resolver.decide(&question), within)),
            Ok(Some(revision)) => Ok(First::Wait { revision, within }),
            Err(inside) => {
                let mut faults = Faults::new();
                at.adopt(inside, &mut faults);
                Err(faults.into())
            }
        }
    }
}

/// What the first look at an item says.
#[expect(
    clippy::large_enum_variant,
    reason = "it lives for one item; a box would be one more allocation for each"
)]
enum First {
    Decided(Decided, Within),
    Wait { revision: Revision, within: Within },
}

impl Resolver {
    /// Answers a visit of the past moment `then`, once its revision is there.
    async fn answer_later(
        &self,
        request: &ResolveRequest,
        then: Timestamp,
        revision: Revision,
        within: Within,
    ) -> Result<ResolveResponse, Failure> {
        let too_late = || {
            let text =
                format!("the index did not reach revision {revision} within the item's {:?}", within.most);
            Failure::new(ErrorReason::DeadlineExceeded, text)
        };
        let wait = self.wait(revision);
        if within.most < MIN_REVISION_WAIT {
            timeout_at(within.until, wait).await.unwrap_or_else(|_| Err(too_late()))?;
        } else {
            wait.await?;
        }
        let answered = {
            let question = Question::read(request, then)?;
            self.answer(&question)
        };
        settled(answered, within).await
    }
}

/// Returns an answer when its click is on the disk.
async fn settled(answered: Answered, within: Within) -> Result<ResolveResponse, Failure> {
    timeout_at(within.until, answered.settled()).await.unwrap_or_else(|_| {
        let text = format!("the disk did not confirm the click within the item's {:?}", within.most);
        Err(Failure::new(ErrorReason::DeadlineExceeded, text))
    })
}

/// Reads how long an item may take.
fn item_timeout(wire: Option<&prost_types::Duration>, faults: &mut Faults) -> Option<Duration> {
    let Some(wire) = wire else { return Some(ITEM_TIMEOUT) };
    let span = Duration::try_from(*wire).ok().filter(|span| !span.is_zero() && *span <= ITEM_TIMEOUT);
    if span.is_none() {
        let text = format!("an item may take more than 0 and at most {} seconds", limits::ITEM_SECONDS);
        faults.add("timeout", Problem::new(Reason::OutOfRange, text));
    }
    span
}

fn respond(item: u64, outcome: Result<ResolveResponse, Failure>) -> ResolveStreamResponse {
    let outcome = match outcome {
        Ok(answer) => Outcome::Answer(answer),
        Err(failure) => Outcome::Failure(failure.into_item()),
    };
    ResolveStreamResponse { item, outcome: Some(outcome) }
}
