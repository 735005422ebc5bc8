//! `StreamClicks`: reads the log in the order of its ledger and sends it, as fast as the caller reads and no faster.
//!
//! One task for each stream reads pages and puts messages into a small channel, from which the connection takes them.
//! Messages that the channel still holds when the task ends are sent; what ended it comes behind them. Why the task
//! ended and that there is nothing to send for now are never the same value: the one is its result, the other a page.

use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::{
    StreamExt,
    future::{Either, ready, select},
    stream::{self, BoxStream},
};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, oneshot},
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tracing::Instrument;
use uuid::Uuid;

use super::{ClickStatsService, filter, parcel::Parcel, token};
use crate::{
    domain::{
        fault::{Faults, Problem, Reason},
        limits,
    },
    proto::{
        self, ErrorReason, StreamClicksRequest, StreamClicksResponse, stream_clicks_request::Start,
        stream_clicks_response::Event,
    },
    rpc::{
        caller::{Caller, Scope},
        convert::{Path, take},
        layers::request_id,
        status::Failure,
    },
    store::{
        Store, StoreError,
        clicks::{ClickFilter, Page, Place},
    },
    telemetry::metrics::Metrics,
};

/// Messages that wait for a caller to read.
const WAITING_MESSAGES: usize = 2;

/// How streams are bounded.
#[derive(Clone, Copy, Debug)]
pub struct StreamLimits {
    /// How many may be open.
    pub streams: usize,
    /// How long each may be open.
    pub age: Duration,
    /// How long a caller may take to read a message.
    pub write: Duration,
    /// How often a stream that follows looks for more.
    pub poll: Duration,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            streams: limits::STREAMS,
            age: Duration::from_secs(limits::STREAM_SECONDS),
            write: Duration::from_secs(limits::STREAM_WRITE_SECONDS),
            poll: Duration::from_millis(200),
        }
    }
}

/// What a caller asks for.
struct Asked {
    start: From,
    filter: ClickFilter,
    follow: bool,
    heartbeat: Duration,
}

/// Where a stream begins.
enum From {
    Beginning,
    Behind(Uuid, Place),
    Now,
}

/// Begins a stream.
pub(super) async fn begin(
    service: &ClickStatsService,
    caller: Caller,
    request: StreamClicksRequest,
) -> Result<BoxStream<'static, Result<StreamClicksResponse, Status>>, Failure> {
    let asked = read(&request)?;
    caller.may(Scope::Stats, asked.filter.shop.as_ref())?;
    let permit = service.streams.clone().try_acquire_owned().map_err(|_| too_many(&service.limits))?;
    if let Some(shop) = &asked.filter.shop
        && service.store.get_shop(shop).await?.is_none()
    {
        let text = format!("there is no shop `{shop}`; check `filter.shop`");
        return Err(Failure::new(ErrorReason::ShopNotFound, text).with("shop", shop));
    }
    let head = service.store.click_head().await?;
    let place = match asked.start {
        From::Beginning => Place::default(),
        From::Behind(epoch, place) if epoch == head.epoch && place.is_in(head.position) => place,
        From::Behind(..) => return Err(expired()),
        From::Now => Place::behind(head.position),
    };
    let (out, messages) = mpsc::channel(WAITING_MESSAGES);
    let (end, ended) = oneshot::channel();
    let up_to = if asked.follow { i64::MAX } else { head.position };
    let sender = Sender {
        reading: Arc::new(Reading { store: service.store.clone(), filter: asked.filter, up_to }),
        follow: asked.follow,
        heartbeat: asked.heartbeat,
        epoch: head.epoch,
        place,
        limits: service.limits,
        metrics: service.metrics.clone(),
        last: Instant::now(),
        out,
    };
    let stop = service.stop.clone();
    let work = async move {
        // Nobody waits for the end any more if the caller has gone.
        if let Some(ending) = sender.run(stop, permit).await {
            let _ = end.send(ending);
        }
    };
    tokio::spawn(request_id::keep(request_id::current(), work).in_current_span());
    let ending = async {
        match ended.await {
            Ok(Ok(())) => None,
            Ok(Err(failure)) => Some(Err(Status::from(failure))),
            Err(gone) => Some(Err(Status::from(Failure::internal(&gone)))),
        }
    };
    Ok(ReceiverStream::new(messages).map(Ok).chain(stream::once(ending).filter_map(ready)).boxed())
}

fn read(request: &StreamClicksRequest) -> Result<Asked, Failure> {
    let mut faults = Faults::new();
    let start = match &request.start {
        None => Some(From::Beginning),
        Some(Start::Now(proto::FromNow {})) => Some(From::Now),
        Some(Start::AfterToken(text)) => take(token::read(text), &Path::root("after_token"), &mut faults)
            .map(|read| read.map_or(From::Beginning, |(epoch, place)| From::Behind(epoch, place))),
    };
    let wire = request.filter.clone().unwrap_or_default();
    let (from, until) = (request.start_time.as_ref(), request.end_time.as_ref());
    let filter = filter::read(&wire, from, until, &mut faults);
    let filter = filter.map(|filter| ClickFilter { conversions: request.conversions, ..filter });
    let heartbeat = take(read_heartbeat(request.heartbeat.as_ref()), &Path::root("heartbeat"), &mut faults);
    let asked = start.zip(filter).zip(heartbeat).map(|((start, filter), heartbeat)| Asked {
        start,
        filter,
        follow: request.follow,
        heartbeat,
    });
    Ok(faults.finish(asked)?)
}

fn read_heartbeat(wire: Option<&prost_types::Duration>) -> Result<Duration, Problem> {
    let most = limits::MAX_HEARTBEAT_SECONDS;
    let Some(wire) = wire else { return Ok(Duration::from_secs(limits::HEARTBEAT_SECONDS)) };
    let time = Duration::try_from(*wire).ok();
    let sound = time.filter(|time| (Duration::from_secs(1)..=Duration::from_secs(most)).contains(time));
    let text = || format!("a heartbeat comes after 1 to {most} seconds of silence");
    sound.ok_or_else(|| Problem::new(Reason::OutOfRange, text()))
}

/// What a stream reads.
struct Reading {
    store: Store,
    filter: ClickFilter,
    /// The position at which the stream has sent everything.
    up_to: i64,
}

impl Reading {
    async fn page_behind(&self, place: Place) -> Result<Page, Failure> {
        self.store.clicks_after(place, self.up_to, &self.filter).await.map_err(interrupted)
    }
}

/// Sends what there is.
struct Sender {
    reading: Arc<Reading>,
    follow: bool,
    heartbeat: Duration,
    epoch: Uuid,
    place: Place,
    limits: StreamLimits,
    metrics: Metrics,
    /// When the last message was sent.
    last: Instant,
    out: mpsc::Sender<StreamClicksResponse>,
}

impl Sender {
    /// Sends until there is an end; `None` if the caller has gone. Holds the permit of the stream for as long.
    async fn run(
        mut self,
        mut stop: tokio::sync::watch::Receiver<bool>,
        _permit: OwnedSemaphorePermit,
    ) -> Option<Result<(), Failure>> {
        let (out, age) = (self.out.clone(), self.limits.age);
        tokio::select! {
            biased;
            () = out.closed() => None,
            // A server that is gone has stopped.
            _ = stop.wait_for(|stop| *stop) => Some(Err(stopping())),
            () = sleep(age) => Some(Err(too_old(age))),
            ending = self.send_all() => Some(ending),
        }
    }

    /// Sends everything; of a stream that follows there is no end of that.
    async fn send_all(&mut self) -> Result<(), Failure> {
        let mut has_caught_up = false;
        let reading = Arc::clone(&self.reading);
        let mut page = self.wait_for(reading.page_behind(self.place)).await?;
        loop {
            if page.head.epoch != self.epoch || !self.place.is_in(page.head.position) {
                return Err(expired());
            }
            self.metrics.unknown_names.inc_by(page.unknown_names);
            let (reached, end) = (page.reached, page.head.position.min(reading.up_to));
            let is_at_end = reached.has_reached(end);
            let next = if is_at_end {
                self.send(page).await?;
                None
            } else {
                // The database reads ahead while the caller reads.
                let mut ahead = pin!(reading.page_behind(reached));
                let early = match select(pin!(self.send(page)), ahead.as_mut()).await {
                    Either::Left((sent, _)) => sent.map(|()| None)?,
                    Either::Right((next, sending)) => {
                        sending.await?;
                        Some(next?)
                    }
                };
                match early {
                    Some(next) => Some(next),
                    None => Some(self.wait_for(ahead).await?),
                }
            };
            let is_first_end = is_at_end && !has_caught_up;
            if is_first_end || self.last.elapsed() >= self.heartbeat {
                self.write(self.place, Event::Heartbeat(proto::Heartbeat {})).await?;
            }
            has_caught_up |= is_at_end;
            if is_at_end && !self.follow {
                return Ok(());
            }
            page = match next {
                Some(page) => page,
                None => {
                    sleep(self.limits.poll).await;
                    self.wait_for(reading.page_behind(self.place)).await?
                }
            };
        }
    }

    /// Waits for a page, and tells the caller for as long as that takes that somebody is there.
    async fn wait_for(&mut self, page: impl Future<Output = Result<Page, Failure>>) -> Result<Page, Failure> {
        let mut page = pin!(page);
        loop {
            match timeout_at(self.last + self.heartbeat, &mut page).await {
                Ok(page) => return page,
                // One that has not read what was sent before needs no sign of life, and the page goes on meanwhile.
                Err(_) => {
                    let event = Some(Event::Heartbeat(proto::Heartbeat {}));
                    let beat = StreamClicksResponse { token: token::write(self.epoch, self.place), event };
                    self.out.try_send(beat).ok();
                    self.last = Instant::now();
                }
            }
        }
    }

    /// Sends a page, in as many messages as it needs.
    async fn send(&mut self, page: Page) -> Result<(), Failure> {
        let (mut parcel, mut behind) = (Parcel::default(), self.place);
        for (place, item) in page.items {
            if !parcel.takes(&item)
                && let Some(event) = parcel.close()
            {
                self.write(behind, event).await?;
            }
            parcel.put(item);
            behind = place;
        }
        if let Some(event) = parcel.close() {
            self.write(page.reached, event).await?;
        }
        self.place = page.reached;
        Ok(())
    }

    async fn write(&mut self, place: Place, event: Event) -> Result<(), Failure> {
        let message = StreamClicksResponse { token: token::write(self.epoch, place), event: Some(event) };
        // Whoever has gone is noticed elsewhere.
        let _ = timeout(self.limits.write, self.out.send(message)).await.map_err(|_| slow(&self.limits))?;
        self.last = Instant::now();
        Ok(())
    }
}

/// What every end says that is none of the caller's doing.
const RESUME: &str = "resume with the last token";

fn expired() -> Failure {
    let text = "the token is from before the database was restored to an earlier state, so what came after it may be \
        other clicks now; begin anew, and expect clicks that you have already, by their ids";
    Failure::new(ErrorReason::StreamTokenExpired, text)
}

fn too_many(limits: &StreamLimits) -> Failure {
    let text = format!(
        "{} streams of clicks are open on this server, which is all that it sends; end one, or ask another server",
        limits.streams
    );
    Failure::new(ErrorReason::Overloaded, text)
}

fn too_old(age: Duration) -> Failure {
    let text = format!("the stream has been open for {age:?}, which is as long as one may be; {RESUME}");
    Failure::new(ErrorReason::StreamTooOld, text)
}

fn slow(limits: &StreamLimits) -> Failure {
    let text = format!("nothing was read for {:?}; {RESUME}", limits.write);
    Failure::new(ErrorReason::SlowReader, text)
}

fn stopping() -> Failure {
    Failure::new(ErrorReason::ShuttingDown, format!("the server is about to stop; {RESUME}, elsewhere"))
}

/// Says what it means to a stream that a page cannot be read.
fn interrupted(error: StoreError) -> Failure {
    match error {
        StoreError::Unavailable(_) | StoreError::TooSlow(_) | StoreError::Conflict(_) => {
            tracing::warn!(error = %crate::telemetry::log::Causes(&error), "a stream of clicks is interrupted");
            let text = format!("the database does not answer or not in time; {RESUME}");
            Failure::new(ErrorReason::DatabaseUnavailable, text)
        }
        StoreError::Corrupt { .. } | StoreError::Other(_) => error.into(),
    }
}
