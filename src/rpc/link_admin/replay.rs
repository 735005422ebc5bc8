//! `ReplayClicks`: what a draft of a link would have done with its recorded clicks. Nothing is written.
//!
//! A task of its own reads the log page by page, has each page judged on a thread that waits for nothing, and puts
//! messages into a small channel. What it holds does not grow with the clicks: a page of them, and flows up to a limit.

mod write;

use std::{sync::Arc, time::Duration};

use futures_util::{
    StreamExt,
    future::ready,
    stream::{self, BoxStream},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch},
    time::{Instant, sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tracing::Instrument;
use uuid::Uuid;

use super::{
    Faults, LinkAdminService, Path,
    link_writes::{self, Change, Tried},
    may, message,
    refusals::Place as Named,
    sound,
    states::{missing, of_missing},
    warnings,
    writes::blocking,
};
use crate::{
    domain::{
        click::LoggedClick,
        client::TrafficClass,
        limits,
        name::{ShopId, Slug},
        revision::Revision,
    },
    index::replay::{Before, Draft, Flows},
    proto::{self, ErrorReason, ReplayClicksResponse, Warning, replay_clicks_response::Event},
    rpc::{
        caller::{Caller, Scope},
        click_stats::{members, times},
        convert::{link::write as write_link, take},
        layers::request_id,
        status::Failure,
    },
    store::{
        Store, StoreError, Term,
        clicks::{ClickFilter, Item, Page, Place},
    },
};

/// Messages that wait for a caller to read.
const WAITING_MESSAGES: usize = 2;
/// Time between two messages of progress, at least.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);
/// How long a replay may take.
const AGE: Duration = Duration::from_secs(limits::STREAM_SECONDS);
/// How long a caller may take to read a message.
const WRITE: Duration = Duration::from_secs(limits::STREAM_WRITE_SECONDS);
/// Revisions of a link that are read at once: all of it is in each of them.
const CHUNK: usize = 4;

/// What all replays of a server share.
#[derive(Clone)]
pub(super) struct Replays {
    /// One permit for each that may run.
    permits: Arc<Semaphore>,
    /// True when the server is about to stop.
    stop: watch::Receiver<bool>,
}

impl Replays {
    pub(super) fn new(stop: watch::Receiver<bool>) -> Self {
        Self { permits: Arc::new(Semaphore::new(limits::REPLAYS)), stop }
    }
}

/// Begins a replay.
pub(super) async fn begin(
    service: &LinkAdminService,
    caller: Caller,
    request: proto::ReplayClicksRequest,
) -> Result<BoxStream<'static, Result<ReplayClicksResponse, Status>>, Failure> {
    let (shop, change, filter) = read(request)?;
    may(caller, &shop)?;
    caller.may(Scope::Stats, Some(&shop))?;
    let permit = service.replays.permits.clone().try_acquire_owned().map_err(|_| too_many())?;
    let store = &service.store;
    let Tried { link, revision, settings, mut warnings } = link_writes::try_out(store, &shop, change).await?;
    let named = missing(store, &shop, warnings::references(&link)).await?;
    let written = write_link(&link);
    warnings.extend(named.iter().map(|gone| of_missing(gone, Named::Link("link", &written))));
    let slug = link.slug.clone();
    let draft = Draft::new(link, settings.fallback_url);
    let past = past(store, &shop, &slug, &draft).await?;
    let ahead = ahead(store, &shop, &slug, &draft).await?;
    let head = store.click_head().await?;

    let (out, messages) = mpsc::channel(WAITING_MESSAGES);
    let (end, ended) = oneshot::channel();
    let replay = Replay {
        store: store.clone(),
        filter,
        epoch: head.epoch,
        up_to: head.position,
        revision,
        warnings,
        last: Instant::now(),
        out,
    };
    let flows = Flows::new(limits::REPLAY_FLOWS, limits::REPLAY_SAMPLES);
    let judge = Judge { draft, past, ahead, flows };
    let stop = service.replays.stop.clone();
    let work = async move {
        // Nobody waits for the end any more if the caller has gone.
        if let Some(ending) = replay.run(judge, stop, permit).await {
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

fn read(request: proto::ReplayClicksRequest) -> Result<(ShopId, Change, ClickFilter), Failure> {
    let wire = message(request.link, "link")?;
    let mut faults = Faults::new();
    let shop = take(ShopId::fold(&wire.shop), &Path::root("link").field("shop"), &mut faults);
    let mask = (request.update_mask, "update_mask".to_owned());
    let change = Change::read("link".to_owned(), wire, mask, shop.as_ref(), &mut faults);
    let times = times(request.start_time.as_ref(), request.end_time.as_ref(), &mut faults);
    let traffic: Option<Vec<TrafficClass>> =
        members(&request.traffic_classes, &Path::root("traffic_classes"), &mut faults);
    let ((shop, change), ((start, end), traffic)) = sound(shop.zip(change).zip(times.zip(traffic)), faults)?;
    let filter = ClickFilter {
        shop: Some(shop.clone()),
        slugs: vec![change.slug.clone()],
        traffic: if traffic.is_empty() { vec![TrafficClass::Human] } else { traffic },
        start,
        end,
        ..ClickFilter::default()
    };
    Ok((shop, change, filter))
}

/// Reads what the draft looks at of the link's newest revisions, newest first.
async fn past(
    store: &Store,
    shop: &ShopId,
    slug: &Slug,
    draft: &Draft,
) -> Result<Vec<(Revision, Before)>, Failure> {
    let (mut past, mut up_to) = (Vec::new(), Revision(i64::MAX));
    while past.len() < limits::REPLAY_REVISIONS {
        let chunk = store.link_revisions(shop, slug, up_to, CHUNK).await?;
        let is_last = chunk.len() < CHUNK;
        past.extend(chunk.iter().map(|past| (past.revision, draft.before(&past.value))));
        match past.last() {
            Some((oldest, _)) if !is_last => up_to = Revision(oldest.0 - 1),
            Some(_) | None => break,
        }
    }
    Ok(past)
}

/// The same of what was committed ahead: the newest publishes of the link.
async fn ahead(
    store: &Store,
    shop: &ShopId,
    slug: &Slug,
    draft: &Draft,
) -> Result<Vec<(Term, Before)>, Failure> {
    let ahead = store.versions_ahead(shop, slug, None, limits::REPLAY_REVISIONS).await?;
    Ok(ahead.iter().map(|ahead| (ahead.term, draft.before(&ahead.value))).collect())
}

/// Judges clicks.
struct Judge {
    draft: Draft,
    /// The link as it was, newest first.
    past: Vec<(Revision, Before)>,
    /// As it was committed ahead, newest first.
    ahead: Vec<(Term, Before)>,
    flows: Flows,
}

impl Judge {
    /// Judges those of a page.
    fn judge(mut self, page: Page) -> Self {
        for (_, item) in page.items {
            let Item::Click(click) = item else { continue };
            let fate = self.draft.judge(&click, self.was(&click));
            self.flows.add(&click, fate);
        }
        self
    }
}

impl Judge {
    /// Returns the link as it answered a click, if that is known.
    fn was(&self, click: &LoggedClick) -> Option<&Before> {
        let (revision, time) = (click.facts.revision, click.id.time());
        let ahead = self.ahead.iter().find(|(term, _)| term.answers(revision, time));
        let past = || self.past.iter().find(|(since, _)| *since <= revision).map(|(_, was)| was);
        ahead.map(|(_, was)| was).or_else(past)
    }
}

/// Goes through the log.
struct Replay {
    store: Store,
    filter: ClickFilter,
    epoch: Uuid,
    /// The position at which everything is read.
    up_to: i64,
    /// That of the link.
    revision: Revision,
    warnings: Vec<Warning>,
    /// When the last message was sent.
    last: Instant,
    out: mpsc::Sender<ReplayClicksResponse>,
}

impl Replay {
    /// Goes on until there is an end; `None` if the caller has gone. Holds the permit for as long.
    async fn run(
        self,
        judge: Judge,
        mut stop: watch::Receiver<bool>,
        _permit: OwnedSemaphorePermit,
    ) -> Option<Result<(), Failure>> {
        let out = self.out.clone();
        tokio::select! {
            biased;
            () = out.closed() => None,
            // A server that is gone has stopped.
            _ = stop.wait_for(|stop| *stop) => Some(Err(stopping())),
            () = sleep(AGE) => Some(Err(too_old())),
            ending = self.replay(judge) => Some(ending),
        }
    }

    async fn replay(mut self, mut judge: Judge) -> Result<(), Failure> {
        let mut place = Place::default();
        while !place.has_reached(self.up_to) {
            let page = self.store.clicks_after(place, self.up_to, &self.filter).await.map_err(interrupted)?;
            if page.head.epoch != self.epoch || page.reached == place {
                return Err(restored());
            }
            place = page.reached;
            judge = blocking(move || judge.judge(page)).await?;
            if self.last.elapsed() >= PROGRESS_EVERY {
                let progress = write::progress(judge.flows.tally().clicks(), place.done, self.up_to);
                self.write(Event::Progress(progress)).await?;
            }
        }
        let tally = judge.flows.tally();
        let flows = judge.flows.into_flows();
        let count = flows.len();
        for message in write::messages(flows) {
            self.write(Event::Flows(message)).await?;
        }
        let warnings = std::mem::take(&mut self.warnings);
        let result = proto::ReplayResult {
            as_of_position: self.up_to,
            link_revision: self.revision.0,
            warnings,
            ..write::result(tally, count)
        };
        self.write(Event::Result(result)).await
    }

    async fn write(&mut self, event: Event) -> Result<(), Failure> {
        let message = ReplayClicksResponse { event: Some(event) };
        // Whoever has gone is noticed elsewhere.
        let _ = timeout(WRITE, self.out.send(message)).await.map_err(|_| slow())?;
        self.last = Instant::now();
        Ok(())
    }
}

fn too_many() -> Failure {
    let text = format!(
        "{} replays run on this server, which is all that it makes; wait for one to end, or ask another server",
        limits::REPLAYS
    );
    Failure::new(ErrorReason::Overloaded, text)
}

fn too_old() -> Failure {
    let text = format!("the replay has run for {AGE:?}, which is as long as one may; ask for a shorter time");
    Failure::new(ErrorReason::StreamTooOld, text)
}

fn slow() -> Failure {
    Failure::new(ErrorReason::SlowReader, format!("nothing was read for {WRITE:?}; begin the replay anew"))
}

fn stopping() -> Failure {
    Failure::new(ErrorReason::ShuttingDown, "the server is about to stop; begin the replay anew, elsewhere")
}

fn restored() -> Failure {
    let text = "the database was restored to an earlier state meanwhile; begin the replay anew";
    Failure::new(ErrorReason::DatabaseUnavailable, text)
}

/// Says what it means to a replay that a page cannot be read.
fn interrupted(error: StoreError) -> Failure {
    match error {
        StoreError::Unavailable(_) | StoreError::TooSlow(_) | StoreError::Conflict(_) => {
            tracing::warn!(error = %crate::telemetry::log::Causes(&error), "a replay of clicks is interrupted");
            let text = "the database does not answer or not in time; begin the replay anew";
            Failure::new(ErrorReason::DatabaseUnavailable, text)
        }
        StoreError::Corrupt { .. } | StoreError::Other(_) => error.into(),
    }
}
