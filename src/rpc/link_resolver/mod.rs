//! `LinkResolver`: answers from memory where visits go, with or without the database.

mod answer;
mod click;
mod explain;
mod origins;
mod question;
mod stream;
mod tally;

use std::{cmp::Reverse, collections::BinaryHeap, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::sync::watch;
use tonic::{Request, Response, Status, Streaming};

use self::{question::Question, stream::Answers, tally::Tally};
use super::{
    caller::{Caller, Scope},
    convert,
    status::Failure,
};
use crate::{
    classify::Classifier,
    counters::Counters,
    domain::{fault::Faults, limits, revision::Revision},
    index::Broken,
    live::{Live, Source},
    proto::{
        self, ErrorReason, ExplainRequest, ExplainResponse, GetIndexStatusRequest, GetIndexStatusResponse,
        ResolveRequest, ResolveResponse, ResolveStreamRequest, link_resolver_server::LinkResolver,
    },
    recorder::{NotRecorded, Note, Pending, Recorder},
    telemetry::metrics::Metrics,
    visitors::VisitorKeys,
};

/// Broken links that the state of the index names.
const BROKEN_LINKS: usize = 100;
/// How long a visit waits for a revision.
const MIN_REVISION_WAIT: Duration = Duration::from_secs(limits::MIN_REVISION_WAIT_SECONDS);

/// The service. Clones share everything.
#[derive(Clone, Debug)]
pub struct Resolver {
    live: Live,
    classifier: Arc<Classifier>,
    recorder: Recorder,
    counters: Counters,
    visitor_keys: Arc<VisitorKeys>,
    tally: Arc<Tally>,
    /// True when the server is about to stop: streams then finish what is there and end.
    stop: watch::Receiver<bool>,
}

impl Resolver {
    /// Makes the service. When `stop` becomes true, or its sender is gone, streams finish what is there and end.
    pub fn new(
        live: Live,
        classifier: Arc<Classifier>,
        recorder: Recorder,
        counters: Counters,
        visitor_keys: Arc<VisitorKeys>,
        metrics: &Metrics,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let tally = Arc::new(Tally::new(metrics));
        Self { live, classifier, recorder, counters, visitor_keys, tally, stop }
    }

    /// Answers from the index in use, and keeps the visit if it is a click.
    fn answer(&self, question: &Question<'_>) -> Answered {
        let Decided { outcome, note } = self.decide(question);
        match note {
            Some(note) => Answered::kept(outcome, self.recorder.keep(note)),
            None => Answered { outcome, pending: None },
        }
    }

    /// Decides from the index in use. The answer must not leave before the click is kept, if it is one.
    fn decide(&self, question: &Question<'_>) -> Decided {
        let loaded = self.live.load();
        let Some(snapshot) = loaded.as_ref() else { return Decided::without_click(Err(not_loaded())) };
        let visit = question.visit(&self.classifier);
        let mut asked = match snapshot.ask(&visit) {
            Ok(asked) => asked,
            Err(no_shop) => {
                self.tally.count_nowhere(visit.channel);
                return Decided::without_click(Err(answer::about(no_shop.into(), question)));
            }
        };
        // Most links look at no counter: they stop at a look at a flag.
        let ticket = asked.counting().and_then(|counting| {
            let (totals, ticket) = self.counters.count(counting);
            asked.counted(totals);
            ticket
        });
        let mut resolution = asked.answer();
        let note = match (visit.click_id, resolution.kept.take()) {
            (Some(id), Some(kept)) => {
                let sealed = snapshot.visitor_keys();
                let click = || click::of(id, &visit, &resolution, kept, &self.visitor_keys, sealed);
                self.recorder.note(ticket, click)
            }
            // A look-up.
            (None, _) | (_, None) => None,
        };
        match &resolution.to {
            Ok(target) => self.tally.count(visit.channel, target.reason, resolution.undecided_rules),
            Err(_) => self.tally.count_nowhere(visit.channel),
        }
        Decided { outcome: answer::write(resolution, visit.click_id, question), note }
    }

    /// Answers a visit, and records it if it is a click, as if it had come at a time of the past.
    pub async fn answer_as_of(
        &self,
        message: &ResolveRequest,
        time: Timestamp,
    ) -> Result<ResolveResponse, Status> {
        let question = Question::read(message, time).map_err(Failure::from)?;
        Ok(self.answer(&question).settled().await?)
    }

    /// Returns the revision that must be waited for, if any; refuses one that cannot have been handed out.
    fn missing(&self, min_revision: Revision) -> Result<Option<Revision>, Faults> {
        if min_revision == Revision::default() {
            return Ok(None);
        }
        let has = self.live.load().as_ref().map(|snapshot| snapshot.revision());
        match has {
            Some(has) if min_revision <= has => Ok(None),
            Some(has) if min_revision.0 - has.0 > limits::REVISIONS_AHEAD => {
                Err(question::no_such_revision(min_revision, has))
            }
            Some(_) | None => Ok(Some(min_revision)),
        }
    }

    /// Waits for a revision, as long as waiting is allowed.
    async fn wait(&self, revision: Revision) -> Result<(), Failure> {
        self.live.wait_for(revision, MIN_REVISION_WAIT).await.map_err(|behind| match behind.has {
            Some(has) => {
                let text = format!("{behind}; ask again, or without `min_revision`");
                Failure::new(ErrorReason::IndexBehind, text).with("revision", has)
            }
            None => not_loaded(),
        })
    }

    fn index_status(&self) -> Result<GetIndexStatusResponse, Failure> {
        let snapshot = self.live.snapshot().ok_or_else(not_loaded)?;
        let (status, counts) = (self.live.status(), snapshot.counts());
        let source = match status.source {
            None => proto::IndexSource::Unspecified,
            Some(Source::Database) => proto::IndexSource::Database,
            Some(Source::Disk) => proto::IndexSource::Disk,
        };
        let (broken_links, broken_link_count) = broken(snapshot.broken());
        Ok(GetIndexStatusResponse {
            revision: snapshot.revision().0,
            source: source.into(),
            confirm_time: status.confirmed_at.map(convert::time::write),
            shops: number(counts.shops),
            partners: number(counts.partners),
            links: number(counts.links),
            repairs: i64::try_from(status.repairs).unwrap_or(i64::MAX),
            broken_links,
            broken_link_count,
            geo_build_time: self.classifier.geo().map(|geo| convert::time::write(geo.built_at())),
        })
    }
}

#[tonic::async_trait]
impl LinkResolver for Resolver {
    type ResolveStreamStream = Answers<Streaming<ResolveStreamRequest>>;

    async fn resolve(&self, request: Request<ResolveRequest>) -> Result<Response<ResolveResponse>, Status> {
        let caller = Caller::of(&request)?;
        let message = request.into_inner();
        let question = Question::read(&message, Timestamp::now()).map_err(Failure::from)?;
        caller.may(Scope::Resolve, question.shop().as_ref())?;
        if let Some(revision) = self.missing(question.min_revision).map_err(Failure::from)? {
            self.wait(revision).await?;
        }
        let answered = self.answer(&question);
        Ok(Response::new(answered.settled().await?))
    }

    async fn resolve_stream(
        &self,
        request: Request<Streaming<ResolveStreamRequest>>,
    ) -> Result<Response<Self::ResolveStreamStream>, Status> {
        let caller = Caller::of(&request)?;
        caller.may(Scope::Resolve, None)?;
        Ok(Response::new(Answers::new(request.into_inner(), self.clone(), caller)))
    }

    async fn explain(&self, request: Request<ExplainRequest>) -> Result<Response<ExplainResponse>, Status> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(self.explained(caller, request.into_inner()).await?))
    }

    async fn get_index_status(
        &self,
        request: Request<GetIndexStatusRequest>,
    ) -> Result<Response<GetIndexStatusResponse>, Status> {
        Caller::of(&request)?.may(Scope::Resolve, None)?;
        Ok(Response::new(self.index_status()?))
    }
}

/// An answer, and the click that has to be kept before it leaves.
struct Decided {
    outcome: Result<ResolveResponse, Failure>,
    note: Option<Note>,
}

impl Decided {
    fn without_click(outcome: Result<ResolveResponse, Failure>) -> Self {
        Self { outcome, note: None }
    }
}

/// An answer, and what it has to wait for before it leaves.
struct Answered {
    outcome: Result<ResolveResponse, Failure>,
    /// The click that the disk has to confirm first.
    pending: Option<Pending>,
}

impl Answered {
    /// Takes the answer to a click that was kept, or was not.
    fn kept(outcome: Result<ResolveResponse, Failure>, kept: Result<Option<Pending>, NotRecorded>) -> Self {
        match kept {
            Ok(pending) => Self { outcome, pending },
            Err(refused) => Self { outcome: Err(not_recorded(&refused)), pending: None },
        }
    }

    /// Returns the answer when it may leave.
    async fn settled(self) -> Result<ResolveResponse, Failure> {
        if let Some(pending) = self.pending {
            pending.confirmed().await.map_err(|refused| not_recorded(&refused))?;
        }
        self.outcome
    }
}

fn not_recorded(refused: &NotRecorded) -> Failure {
    let text = format!("{refused}, and clicks are refused then; ask another server, or again in a moment");
    Failure::new(ErrorReason::ClickLogFull, text)
}

fn not_loaded() -> Failure {
    Failure::new(ErrorReason::IndexNotLoaded, "the index has not been loaded yet; ask again in a moment")
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Returns the first broken links by shop and slug, and how many there are.
fn broken<'a>(all: impl Iterator<Item = &'a Broken>) -> (Vec<proto::BrokenLink>, i64) {
    let mut count = 0;
    let mut first = BinaryHeap::with_capacity(BROKEN_LINKS + 1);
    for link in all {
        count += 1;
        first.push((&link.shop, &link.slug, Reverse(link.revision), &link.problem));
        if first.len() > BROKEN_LINKS {
            first.pop();
        }
    }
    let links = first.into_sorted_vec().into_iter().map(|(shop, slug, Reverse(revision), problem)| {
        let (shop, slug) = (shop.to_string(), slug.to_string());
        proto::BrokenLink { shop, slug, revision: revision.0, problem: problem.clone() }
    });
    (links.collect(), count)
}
