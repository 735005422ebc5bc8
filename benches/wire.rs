//! Resolving over gRPC against an empty call with the same messages: `cargo bench --bench wire`.
//!
//! The generator is one thread, the same for every row. Every server has as many threads as there are processors.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

#[path = "support/database.rs"]
mod database;
#[path = "support/figures.rs"]
mod figures;
#[path = "support/log.rs"]
mod log;
#[path = "support/world.rs"]
mod world;

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    net::SocketAddr,
    rc::Rc,
    thread,
    time::{Duration, Instant},
};

use database::Database;
use figures::{Clock, ROUND, ROUNDS, Round, Row};
use log::Log;
use smartlinks::{
    proto::{
        ExplainRequest, ExplainResponse, GetIndexStatusRequest, GetIndexStatusResponse, Purpose,
        RequestHeaders, ResolveRequest, ResolveResponse, ResolveStreamRequest, ResolveStreamResponse,
        link_resolver_client::LinkResolverClient,
        link_resolver_server::{LinkResolver, LinkResolverServer},
        resolve_request::Site,
        resolve_stream_response::Outcome,
    },
    roller::Roller,
    rpc::caller::Caller,
    shipper::{Shipper, ShipperSettings},
    store::Store,
};
use tokio::{
    runtime::{self, Runtime},
    sync::{mpsc, watch},
    task::LocalSet,
    time::sleep_until,
};
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};
use tonic::{
    Request, Response, Status, Streaming,
    transport::{Channel, Endpoint, Server},
};

/// How long the server gathers clicks before it ships them, and how often it looks for some to count.
const GATHER: Duration = Duration::from_millis(200);
const ROLL_INTERVAL: Duration = Duration::from_millis(500);

/// How long the database is to keep up, once everything runs.
const KEEPING_UP: Duration = Duration::from_secs(60);
const WARMING_UP: Duration = Duration::from_secs(10);
/// The share of the empty calls that it is to keep up with.
const SHARE: f64 = 0.4;
/// How often the depth of the log is looked at, and over how many looks it is averaged: clicks go in batches.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const LOOKS: usize = 50;

fn main() {
    // All but every twentieth of the hot ones go to one link.
    let hot = Rc::new(visits(|number| if number % 20 == 0 { number } else { 0 }));
    let visits = Rc::new(visits(|number| number));
    let bare = serve_bare(world::resolver());
    let forgetful = world::serve_whole("127.0.0.1:0", world::resolver());
    let log = Log::open();
    let resolver = world::serve_whole("127.0.0.1:0", log.resolver());
    let constant = one_answer(bare, &visits[0]);
    let empty = serve_bare(Empty(constant));
    let mut rows = [
        Row::new("empty unary call, 8 × 32"),
        Row::new("Resolve, no layers, nothing kept, 8 × 32"),
        Row::new("Resolve, nothing kept, 8 × 32"),
        Row::new("Resolve, 8 × 32"),
        Row::new("Resolve, one link gets 95 %, 8 × 32"),
        Row::new("empty stream, 4 × 64"),
        Row::new("ResolveStream, nothing kept, 4 × 64"),
        Row::new("ResolveStream, 4 × 64"),
    ];
    // The first round of each warms up and does not count.
    for round in 0..=ROUNDS {
        let measured = [
            measure(&visits, |run| unary(run, empty, 8, 32)),
            measure(&visits, |run| unary(run, bare, 8, 32)),
            measure(&visits, |run| unary(run, forgetful, 8, 32)),
            measure(&visits, |run| unary(run, resolver, 8, 32)),
            measure(&hot, |run| unary(run, resolver, 8, 32)),
            measure(&visits, |run| stream(run, empty, 4, 64)),
            measure(&visits, |run| stream(run, forgetful, 4, 64)),
            measure(&visits, |run| stream(run, resolver, 4, 64)),
        ];
        log.forget();
        if round > 0 {
            rows.iter_mut().zip(measured).for_each(|(row, figures)| row.rounds.push(figures));
        }
    }
    log.assert_complete();
    let title = "links with ten rules, clicks, each in the local log before its answer, which nobody ships";
    figures::print(title, &rows);
    let [empty_unary, no_layers, nothing_kept, unary, hot_link, empty_stream, stream_nothing_kept, stream] =
        &rows;
    println!();
    figures::compare(unary, empty_unary, "≥ 0.6 ×, p99 ≤ 2 ×");
    figures::compare(stream, unary, "≥ 4 ×");
    figures::compare(hot_link, unary, "≥ 0.95 ×");
    figures::compare(nothing_kept, empty_unary, "no target");
    figures::compare(no_layers, nothing_kept, "no target: what the layers cost");
    figures::compare(unary, nothing_kept, "no target: what keeping costs");
    figures::compare(stream, stream_nothing_kept, "no target: what keeping costs");
    figures::compare(stream, empty_stream, "no target");
    keep_up(&visits, empty_unary);
}

/// Sends clicks at a share of the rate of empty calls, with PostgreSQL and all that brings clicks there on the same
/// processors, and says whether the log gets deeper.
fn keep_up(visits: &Rc<Vec<ResolveRequest>>, empty: &Row) {
    let runtime = world::runtime();
    let database = runtime.block_on(Database::start());
    let log = Log::open();
    let resolver = world::serve_whole_on(runtime, "127.0.0.1:0", log.resolver());
    let _following = follow(database.store(), &log, runtime);
    let rate = empty.per_second() * SHARE;
    let paced = |time| measure(visits, async |run| at_rate(run, resolver, 8, 32, rate, time).await);
    paced(WARMING_UP);
    let looking = {
        let spool = log.spool.clone();
        thread::spawn(move || {
            let look = |_| {
                thread::sleep(LOOK_EVERY);
                let depth = spool.depth();
                (depth.written - depth.shipped) as f64
            };
            let looks = KEEPING_UP.as_millis() / LOOK_EVERY.as_millis();
            (0..looks).map(look).collect::<Vec<_>>()
        })
    };
    let (shipped, rolled) = (log.spool.depth().shipped, log.metrics.clicks_rolled.get());
    let round = paced(KEEPING_UP);
    let (shipped, rolled) = (log.spool.depth().shipped - shipped, log.metrics.clicks_rolled.get() - rolled);
    let depths = looking.join().expect("no panic");
    log.assert_complete();
    let mean = |depths: &[f64]| depths.iter().sum::<f64>() / depths.len() as f64;
    let each = |count: u64| count as f64 / KEEPING_UP.as_secs_f64();
    println!("\nResolve, 8 × 32, with PostgreSQL, shipper and roller; {KEEPING_UP:?} at {rate:.0} clicks/s");
    println!(
        "answered {:.0}/s ({:.2} × the empty call; wanted: ≥ {SHARE} ×), p50 {:.0} µs, p99 {:.0} µs, p99.9 {:.0} µs",
        round.per_second,
        round.per_second / empty.per_second(),
        round.latency[0].as_secs_f64() * 1e6,
        round.latency[1].as_secs_f64() * 1e6,
        round.latency[2].as_secs_f64() * 1e6,
    );
    println!(
        "shipped {:.0}/s, counted {:.0}/s; clicks that waited in the log: {:.0} in the first seconds, {:.0} in the last, \
         wanted: no more",
        each(shipped),
        each(rolled),
        mean(&depths[..LOOKS]),
        mean(&depths[depths.len() - LOOKS..]),
    );
}

/// Ships and counts the clicks of a log from now on, until what is returned is dropped.
fn follow(store: Store, log: &Log, runtime: &Runtime) -> watch::Sender<bool> {
    let (stop, stopped) = watch::channel(false);
    let settings = ShipperSettings { gather: GATHER, retention_days: 400 };
    let metrics = log.metrics.clone();
    let shipper = Shipper::new(log.spool.clone(), store.clone(), metrics.clone(), settings);
    let mut stopping = stopped.clone();
    runtime.spawn(async move {
        tokio::select! {
            () = shipper.run(stopped.clone()) => {}
            // A sender that is gone says stop too.
            _ = stopping.wait_for(|stop| *stop) => {}
        }
    });
    runtime.spawn(Roller::new(store, metrics, ROLL_INTERVAL).run(stop.subscribe()));
    stop
}

/// Serves with nothing around the service.
fn serve_bare(service: impl LinkResolver) -> SocketAddr {
    let service = LinkResolverServer::with_interceptor(service, |mut request: Request<()>| {
        request.extensions_mut().insert(Caller::Local);
        Ok(request)
    });
    world::listen(world::runtime(), "127.0.0.1:0", |incoming| {
        Server::builder().add_service(service).serve_with_incoming(incoming)
    })
}

/// Different addresses of visitors; a prime too.
const ADDRESSES: usize = 1_013;

/// Returns the visits that a generator sends in turn; `link` says which link the visit with this number goes to.
fn visits(link: impl Fn(usize) -> usize) -> Vec<ResolveRequest> {
    let visit = |number: usize| {
        let (_, partner, query) = world::target(number);
        let (slug, ..) = world::target(link(number));
        let address = number % ADDRESSES;
        ResolveRequest {
            purpose: Purpose::Click.into(),
            site: Some(Site::Host(world::HOST.to_owned())),
            slug,
            partner,
            query,
            client_address: format!("203.0.{}.{}", address / 250, address % 250 + 1),
            headers: Some(RequestHeaders {
                user_agent: Some(world::agent(number % world::AGENTS)),
                accept_language: Some(
                    ["de-DE,de;q=0.9,en;q=0.8", "en-GB,en;q=0.9", "es"][number % 3].to_owned(),
                ),
                referer: Some(format!("https://blog{}.example/post", number % 97)),
                ..RequestHeaders::default()
            }),
            attributes: HashMap::new(),
            ..ResolveRequest::default()
        }
    };
    (0..world::VISITS).map(visit).collect()
}

/// One round of a generator.
struct Run {
    visits: Rc<Vec<ResolveRequest>>,
    next: Cell<usize>,
    begun: Instant,
    nanos: RefCell<Vec<u64>>,
}

impl Run {
    fn visit(&self) -> ResolveRequest {
        let at = self.next.get();
        self.next.set(at + 1);
        self.visits[at % self.visits.len()].clone()
    }

    fn is_over(&self) -> bool {
        self.begun.elapsed() >= ROUND
    }

    fn answered(&self, sent: Instant) {
        self.nanos.borrow_mut().push(u64::try_from(sent.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }
}

fn measure(visits: &Rc<Vec<ResolveRequest>>, generate: impl AsyncFnOnce(Rc<Run>)) -> Round {
    let clock = Clock::start();
    let (visits, nanos) = (Rc::clone(visits), RefCell::new(Vec::with_capacity(4_000_000)));
    let run = Rc::new(Run { visits, next: Cell::new(0), begun: Instant::now(), nanos });
    let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, generate(Rc::clone(&run)));
    let took = run.begun.elapsed();
    Round::of(run.nanos.take(), took, &clock)
}

async fn connect(address: SocketAddr) -> LinkResolverClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address").tcp_nodelay(true);
    LinkResolverClient::new(endpoint.connect().await.expect("a connection"))
}

async fn unary(run: Rc<Run>, address: SocketAddr, connections: usize, in_flight: usize) {
    let mut tasks = Vec::new();
    for _ in 0..connections {
        let client = connect(address).await;
        for _ in 0..in_flight {
            let (run, mut client) = (Rc::clone(&run), client.clone());
            tasks.push(tokio::task::spawn_local(async move {
                while !run.is_over() {
                    let sent = Instant::now();
                    client.resolve(run.visit()).await.expect("an answer");
                    run.answered(sent);
                }
            }));
        }
    }
    for task in tasks {
        task.await.expect("no panic");
    }
}

/// Sends each visit at its time, whether or not the ones before were answered, as long as a call is free for it.
async fn at_rate(
    run: Rc<Run>,
    address: SocketAddr,
    connections: usize,
    in_flight: usize,
    rate: f64,
    time: Duration,
) {
    let mut tasks = Vec::new();
    for _ in 0..connections {
        let client = connect(address).await;
        for _ in 0..in_flight {
            let (run, mut client) = (Rc::clone(&run), client.clone());
            tasks.push(tokio::task::spawn_local(async move {
                loop {
                    let after = Duration::from_secs_f64(run.next.get() as f64 / rate);
                    if after >= time || run.begun.elapsed() >= time {
                        return;
                    }
                    let (visit, due) = (run.visit(), run.begun + after);
                    if Instant::now() < due {
                        sleep_until(due.into()).await;
                    }
                    let sent = Instant::now();
                    client.resolve(visit).await.expect("an answer");
                    run.answered(sent);
                }
            }));
        }
    }
    for task in tasks {
        task.await.expect("no panic");
    }
}

async fn stream(run: Rc<Run>, address: SocketAddr, connections: usize, in_flight: u64) {
    let mut tasks = Vec::new();
    for _ in 0..connections {
        let mut client = connect(address).await;
        let run = Rc::clone(&run);
        tasks.push(tokio::task::spawn_local(async move {
            let (items, receiver) = mpsc::channel(in_flight as usize);
            let opened = client.resolve_stream(ReceiverStream::new(receiver)).await;
            let mut answers = opened.expect("a stream").into_inner();
            let mut waiting = HashMap::new();
            for item in 0..in_flight {
                waiting.insert(item, Instant::now());
                let message = ResolveStreamRequest { item, request: Some(run.visit()), timeout: None };
                items.send(message).await.expect("a stream");
            }
            while !waiting.is_empty() {
                let answer = answers.message().await.expect("a stream").expect("an answer");
                assert!(matches!(answer.outcome, Some(Outcome::Answer(_))), "{answer:?}");
                run.answered(waiting.remove(&answer.item).expect("an item that was sent"));
                if !run.is_over() {
                    waiting.insert(answer.item, Instant::now());
                    let message =
                        ResolveStreamRequest { item: answer.item, request: Some(run.visit()), timeout: None };
                    items.send(message).await.expect("a stream");
                }
            }
        }));
    }
    for task in tasks {
        task.await.expect("no panic");
    }
}

fn one_answer(address: SocketAddr, visit: &ResolveRequest) -> ResolveResponse {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        connect(address).await.resolve(visit.clone()).await.expect("an answer").into_inner()
    })
}

/// Takes the same messages and gives the same answer to all.
struct Empty(ResolveResponse);

#[tonic::async_trait]
impl LinkResolver for Empty {
    type ResolveStreamStream =
        std::pin::Pin<Box<dyn Stream<Item = Result<ResolveStreamResponse, Status>> + Send>>;

    async fn resolve(&self, _: Request<ResolveRequest>) -> Result<Response<ResolveResponse>, Status> {
        Ok(Response::new(self.0.clone()))
    }

    async fn resolve_stream(
        &self,
        request: Request<Streaming<ResolveStreamRequest>>,
    ) -> Result<Response<Self::ResolveStreamStream>, Status> {
        let answer = self.0.clone();
        let answers = request.into_inner().map(move |message| {
            let outcome = Some(Outcome::Answer(answer.clone()));
            Ok(ResolveStreamResponse { item: message?.item, outcome })
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn explain(&self, _: Request<ExplainRequest>) -> Result<Response<ExplainResponse>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }

    async fn get_index_status(
        &self,
        _: Request<GetIndexStatusRequest>,
    ) -> Result<Response<GetIndexStatusResponse>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }
}
