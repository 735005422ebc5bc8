//! Resolving over gRPC against an empty call with the same messages: `cargo bench --bench wire`.
//!
//! The generator is one thread, the same for every row. Every server has as many threads as there are processors.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

#[path = "support/figures.rs"]
mod figures;
#[path = "support/world.rs"]
mod world;

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    net::SocketAddr,
    rc::Rc,
    time::Instant,
};

use figures::{Clock, ROUND, ROUNDS, Round, Row};
use smartlinks::{
    proto::{
        GetIndexStatusRequest, GetIndexStatusResponse, Purpose, RequestHeaders, ResolveRequest,
        ResolveResponse, ResolveStreamRequest, ResolveStreamResponse,
        link_resolver_client::LinkResolverClient,
        link_resolver_server::{LinkResolver, LinkResolverServer},
        resolve_request::Site,
        resolve_stream_response::Outcome,
    },
    rpc::caller::Caller,
};
use tokio::{runtime, sync::mpsc, task::LocalSet};
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};
use tonic::{
    Request, Response, Status, Streaming,
    transport::{Channel, Endpoint, Server},
};

fn main() {
    let visits = Rc::new(visits());
    let resolver = world::serve_whole("127.0.0.1:0", world::resolver());
    let bare = serve_bare(world::resolver());
    let constant = one_answer(bare, &visits[0]);
    let empty = serve_bare(Empty(constant));
    let mut rows = [
        Row::new("empty unary call, 8 × 32"),
        Row::new("Resolve, no layers, 8 × 32"),
        Row::new("Resolve, 8 × 32"),
        Row::new("empty stream, 4 × 64"),
        Row::new("ResolveStream, 4 × 64"),
    ];
    // The first round of each warms up and does not count.
    for round in 0..=ROUNDS {
        let measured = [
            measure(&visits, |run| unary(run, empty, 8, 32)),
            measure(&visits, |run| unary(run, bare, 8, 32)),
            measure(&visits, |run| unary(run, resolver, 8, 32)),
            measure(&visits, |run| stream(run, empty, 4, 64)),
            measure(&visits, |run| stream(run, resolver, 4, 64)),
        ];
        if round > 0 {
            rows.iter_mut().zip(measured).for_each(|(row, figures)| row.rounds.push(figures));
        }
    }
    figures::print("links with ten rules, clicks, nothing recorded", &rows);
    let [empty_unary, no_layers, unary, empty_stream, stream] = &rows;
    println!();
    figures::compare(unary, empty_unary, "≥ 0.75 ×, p99 ≤ 2 ×");
    figures::compare(no_layers, empty_unary, "no target: what the layers cost");
    figures::compare(stream, unary, "≥ 4 ×");
    figures::compare(stream, empty_stream, "no target");
}

/// Serves with nothing around the service.
fn serve_bare(service: impl LinkResolver) -> SocketAddr {
    let service = LinkResolverServer::with_interceptor(service, |mut request: Request<()>| {
        request.extensions_mut().insert(Caller::Local);
        Ok(request)
    });
    world::listen("127.0.0.1:0", |incoming| {
        Server::builder().add_service(service).serve_with_incoming(incoming)
    })
}

/// Different addresses of visitors; a prime too.
const ADDRESSES: usize = 1_013;

/// Returns the visits that a generator sends in turn.
fn visits() -> Vec<ResolveRequest> {
    let visit = |number: usize| {
        let (slug, partner, query) = world::target(number);
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
    let (took, share) = (run.begun.elapsed(), clock.share());
    Round::of(run.nanos.take(), took, share)
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

    async fn get_index_status(
        &self,
        _: Request<GetIndexStatusRequest>,
    ) -> Result<Response<GetIndexStatusResponse>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }
}
