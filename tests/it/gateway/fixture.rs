//! A gateway, browsers that say exactly what they are told, and a resolver that does so too.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::Uri;
use prometheus_client::registry::Registry;
use smartlinks::{
    config::{Generations, Secret, proxies::Proxies},
    gateway::{
        Cookies, Limits,
        resolver::{Resolver, ResolverSettings, addresses::Servers},
        serve,
    },
    proto::{
        ExplainRequest, ExplainResponse, GetIndexStatusRequest, GetIndexStatusResponse, ResolveFailure,
        ResolveRequest, ResolveResponse, ResolveStreamRequest, ResolveStreamResponse, StreamClosing,
        link_resolver_server::LinkResolver, resolve_stream_response::Outcome,
    },
    telemetry::{gateway_metrics::GatewayMetrics, metrics},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};
use tokio_stream::{Stream, StreamExt, wrappers::UnboundedReceiverStream};
use tonic::{Code, Request, Response, Status, Streaming};

use crate::support::server::eventually;

pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A gateway in this process.
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    pub(super) stop: watch::Sender<bool>,
    pub(super) server: JoinHandle<()>,
    registry: Registry,
}

/// What differs between tests.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    pub(super) request: Duration,
    pub(super) idle: Duration,
    pub(super) stop_delay: Duration,
    pub(super) drain: Duration,
    pub(super) connections: usize,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            request: PATIENCE,
            idle: PATIENCE,
            stop_delay: Duration::ZERO,
            drain: PATIENCE,
            connections: 100,
        }
    }
}

impl Door {
    /// Opens in front of a resolver, and waits until the two have met.
    pub(crate) async fn open(resolver: SocketAddr) -> Self {
        let door = Self::open_with(resolver, Times::default()).await;
        door.is_ready().await;
        door
    }

    /// Opens in front of an address where there may be nobody yet.
    pub(crate) async fn open_with(resolver: SocketAddr, times: Times) -> Self {
        Self::open_as(resolver, None, times).await
    }

    /// Opens with a token for the resolver.
    pub(super) async fn open_as(resolver: SocketAddr, token: Option<&str>, times: Times) -> Self {
        Self::open_behind(Servers::start(&[url(resolver)], PATIENCE), token, times, None).await
    }

    /// Opens in front of all servers that are found.
    pub(crate) async fn open_before(servers: Servers, token: Option<&str>, times: Times) -> Self {
        Self::open_behind(servers, token, times, None).await
    }

    /// Opens behind proxies.
    pub(super) async fn open_behind(
        servers: Servers,
        token: Option<&str>,
        times: Times,
        proxies: Option<Proxies>,
    ) -> Self {
        Self::open_whole(servers, token, times, proxies, None).await
    }

    /// Opens with a secret for cookies, and proxies that say whether browsers speak https.
    pub(crate) async fn open_with_cookies(resolver: SocketAddr, secret: &str) -> Self {
        let servers = Servers::start(&[url(resolver)], PATIENCE);
        let cookies = Cookies::new(&Generations::new([secret]));
        let proxies = Some(Proxies::loopback());
        let door = Self::open_whole(servers, None, Times::default(), proxies, Some(cookies)).await;
        door.is_ready().await;
        door
    }

    async fn open_whole(
        servers: Servers,
        token: Option<&str>,
        times: Times,
        proxies: Option<Proxies>,
        cookies: Option<Cookies>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (metrics, registry) = GatewayMetrics::new();
        let settings = ResolverSettings { token: token.map(Secret::new), timeout: times.request };
        let resolver = Resolver::start(&settings, servers, &metrics);
        let limits = Limits {
            connections: times.connections,
            idle: times.idle,
            stop_delay: times.stop_delay,
            drain: times.drain,
        };
        let (stop, stopped) = watch::channel(false);
        let server =
            tokio::spawn(serve(listener, resolver, metrics.tally(), limits, proxies, cookies, stopped));
        Self { address, stop, server, registry }
    }

    /// Stands for a gateway that was started otherwise, whose metrics are its own.
    pub(super) fn at(address: SocketAddr, stop: watch::Sender<bool>) -> Self {
        Self { address, stop, server: tokio::spawn(async {}), registry: Registry::default() }
    }

    /// Returns the value of a metric, `retries_total` or `resolver_lanes{state="open"}`.
    pub(super) fn metric(&self, name: &str) -> i64 {
        value(&self.registry, name)
    }

    /// Waits until so many lanes are in a state.
    pub(crate) async fn has_lanes(&self, state: &str, count: i64) {
        has_lanes(&self.registry, state, count).await;
    }

    /// Waits until the resolver answers.
    pub(crate) async fn is_ready(&self) {
        self.has_status("/-/readyz", 200).await;
    }

    /// Asks again and again until an answer has this status.
    pub(super) async fn has_status(&self, target: &str, status: u16) {
        let asking = async { while self.get(target).await.status != status {} };
        timeout(PATIENCE, asking).await.expect("the status did not come");
    }

    /// Connects.
    pub(super) async fn connect(&self) -> Browser {
        Browser(TcpStream::connect(self.address).await.unwrap())
    }

    /// Asks for a target of the shop `acme` over a connection of its own.
    pub(super) async fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, "").await
    }

    /// Asks with further header lines, each with its line break.
    pub(super) async fn ask(&self, method: &str, target: &str, headers: &str) -> Answer {
        let host = crate::resolver::fixture::HOST;
        self.say(format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\n{headers}connection: close\r\n\r\n"))
            .await
    }

    /// Sends bytes over a connection of their own and returns the answer.
    pub(super) async fn say(&self, bytes: impl AsRef<[u8]>) -> Answer {
        let mut browser = self.connect().await;
        browser.send(bytes).await;
        browser.last_answer().await
    }
}

/// Returns the URL of a server.
pub(crate) fn url(address: SocketAddr) -> Uri {
    format!("http://{address}").parse().unwrap()
}

/// Returns the value of a metric of a gateway.
pub(super) fn value(registry: &Registry, name: &str) -> i64 {
    let (printed, name) = (metrics::print(registry), format!("smartlinks_gateway_{name} "));
    let value = printed.lines().find_map(|line| line.strip_prefix(&name));
    value.unwrap_or_else(|| panic!("no {name} in {printed}")).parse().unwrap()
}

/// Waits until so many lanes are in a state.
pub(super) async fn has_lanes(registry: &Registry, state: &str, count: i64) {
    let name = format!("resolver_lanes{{state=\"{state}\"}}");
    eventually(&format!("{count} lanes that are {state}"), || async {
        (value(registry, &name) == count).then_some(())
    })
    .await;
}

/// A connection on which every byte is chosen.
pub(super) struct Browser(TcpStream);

impl Browser {
    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Sends what may come too late: the gateway may have closed.
    pub(super) async fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes).await
    }

    /// Tells whether the gateway closes within a time; what it sends is dropped.
    pub(super) async fn is_closed_within(&mut self, time: Duration) -> bool {
        let mut dropped = [0; 1_024];
        matches!(timeout(time, self.0.read(&mut dropped)).await, Ok(Ok(0) | Err(_)))
    }

    /// Reads so many bytes, if the gateway does not close before.
    pub(super) async fn exactly(&mut self, count: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).await.ok()?;
        Some(bytes)
    }

    /// Reads until the gateway closes.
    pub(super) async fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // A gateway that closes with bytes unread resets: what came before counts.
        timeout(PATIENCE, self.0.read_to_end(&mut bytes)).await.expect("the gateway did not close").ok();
        bytes
    }

    /// Reads the answer before the close.
    pub(super) async fn last_answer(&mut self) -> Answer {
        Answer::read(&self.rest().await)
    }

    /// Reads one answer that has no body.
    pub(super) async fn answer_without_body(&mut self) -> Answer {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            bytes.push(timeout(PATIENCE, self.0.read_u8()).await.expect("no answer").unwrap());
        }
        Answer::read(&bytes)
    }
}

/// An answer over HTTP/1.1.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    head: String,
    pub(super) body: String,
}

impl Answer {
    fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer but {text:?}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// Reads answers one behind the other, each as long as it says.
    pub(super) fn all(bytes: &[u8]) -> Vec<Self> {
        let mut text = std::str::from_utf8(bytes).unwrap();
        let mut answers = Vec::new();
        while let Some((head, rest)) = text.split_once("\r\n\r\n") {
            let mut answer = Self::read(format!("{head}\r\n\r\n").as_bytes());
            let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
            // An answer to HEAD says a length and has no body.
            let (body, rest) = rest.split_at_checked(length).unwrap_or(("", rest));
            answer.body = body.to_owned();
            answers.push(answer);
            text = rest;
        }
        assert_eq!(text, "", "not an answer");
        answers
    }

    /// Returns the status line and the headers, but for the date, sorted.
    pub(super) fn without_date(&self) -> BTreeSet<&str> {
        self.head.lines().filter(|line| !line.to_ascii_lowercase().starts_with("date: ")).collect()
    }

    /// Returns the one header of this name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        let mut found = lines.filter(|(is, _)| is.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        let value = found.next();
        assert_eq!(found.next(), None, "{name} stands twice");
        value
    }
}

/// A resolver that hands every item to the test, which answers when and as it likes.
#[derive(Clone)]
pub(super) struct Told {
    items: mpsc::UnboundedSender<Item>,
    frozen: Arc<watch::Sender<bool>>,
}

/// An item that waits for the test.
pub(super) struct Item {
    item: u64,
    pub(super) request: ResolveRequest,
    answers: mpsc::UnboundedSender<Result<ResolveStreamResponse, Status>>,
}

impl Item {
    pub(super) fn answer(self, location: &str) {
        let answer = ResolveResponse { location: location.to_owned(), ..ResolveResponse::default() };
        self.end(Outcome::Answer(answer));
    }

    pub(super) fn end(self, outcome: Outcome) {
        let answer = ResolveStreamResponse { item: self.item, outcome: Some(outcome) };
        // The gateway may have hung up.
        self.answers.send(Ok(answer)).ok();
    }

    /// Breaks the stream that the item came on.
    pub(super) fn break_stream(self) {
        self.answers.send(Err(Status::internal("told to break"))).unwrap();
    }

    /// Says that the stream of the item is about to close.
    pub(super) fn close_stream(&self) {
        let outcome = Some(Outcome::Closing(StreamClosing {}));
        self.answers.send(Ok(ResolveStreamResponse { item: 0, outcome })).unwrap();
    }

    /// Tells whether the gateway only wants to know whether there is an index.
    fn is_check(&self) -> bool {
        self.request.min_revision == i64::MAX
    }
}

impl Told {
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Item>) {
        let (items, receiver) = mpsc::unbounded_channel();
        (Self { items, frozen: Arc::new(watch::channel(false).0) }, receiver)
    }

    /// Makes one that answers by itself, with a location that begins with its name, and counts.
    pub(super) fn named(name: &'static str) -> (Self, Arc<AtomicUsize>) {
        let (told, mut items) = Self::new();
        let count = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&count);
        tokio::spawn(async move {
            while let Some(item) = items.recv().await {
                counter.fetch_add(1, Ordering::Relaxed);
                item.answer(&format!("https://{name}.example/"));
            }
        });
        (told, count)
    }

    /// Stops reading, or goes on. Connections stay as they are.
    pub(super) fn freeze(&self, is_frozen: bool) {
        self.frozen.send_replace(is_frozen);
    }
}

#[tonic::async_trait]
impl LinkResolver for Told {
    type ResolveStreamStream = Pin<Box<dyn Stream<Item = Result<ResolveStreamResponse, Status>> + Send>>;

    async fn resolve(&self, _: Request<ResolveRequest>) -> Result<Response<ResolveResponse>, Status> {
        Err(Status::unimplemented("the gateway does not call this"))
    }

    async fn resolve_stream(
        &self,
        request: Request<Streaming<ResolveStreamRequest>>,
    ) -> Result<Response<Self::ResolveStreamStream>, Status> {
        let (answers, receiver) = mpsc::unbounded_channel();
        let (told, mut stream) = (self.clone(), request.into_inner());
        let mut frozen = self.frozen.subscribe();
        tokio::spawn(async move {
            loop {
                frozen.wait_for(|frozen| !*frozen).await.unwrap();
                let read = tokio::select! {
                    biased;
                    _ = frozen.wait_for(|frozen| *frozen) => continue,
                    read = stream.next() => read,
                };
                let Some(Ok(ResolveStreamRequest { item, request, .. })) = read else { return };
                let item = Item { item, request: request.unwrap_or_default(), answers: answers.clone() };
                if item.is_check() {
                    let code = Code::InvalidArgument as i32;
                    item.end(Outcome::Failure(ResolveFailure { code, ..ResolveFailure::default() }));
                } else {
                    // The test may be over.
                    told.items.send(item).ok();
                }
            }
        });
        Ok(Response::new(Box::pin(UnboundedReceiverStream::new(receiver))))
    }

    async fn explain(&self, _: Request<ExplainRequest>) -> Result<Response<ExplainResponse>, Status> {
        Err(Status::unimplemented("the gateway does not call this"))
    }

    async fn get_index_status(
        &self,
        _: Request<GetIndexStatusRequest>,
    ) -> Result<Response<GetIndexStatusResponse>, Status> {
        Err(Status::unimplemented("the gateway does not call this"))
    }
}

/// What names are looked up in.
#[derive(Clone, Default)]
pub(super) struct Book(Arc<Mutex<Option<Vec<SocketAddr>>>>);

impl Book {
    /// Writes down what a name leads to; `None` = nobody can say.
    pub(super) fn write(&self, addresses: Option<&[SocketAddr]>) {
        *self.0.lock().unwrap() = addresses.map(<[_]>::to_vec);
    }

    /// Makes one that leads to these addresses, and what follows it closely.
    pub(super) fn with(addresses: &[SocketAddr]) -> (Self, Servers) {
        Self::read_every(Duration::from_millis(10), addresses)
    }

    /// Makes one that leads to these addresses, and what follows it.
    pub(super) fn read_every(refresh: Duration, addresses: &[SocketAddr]) -> (Self, Servers) {
        let book = Self::default();
        book.write(Some(addresses));
        let reader = book.clone();
        let urls = ["http://resolver.example:50051".parse().unwrap()];
        let servers = Servers::start_with(&urls, refresh, move |_, _| {
            let found = reader.0.lock().unwrap().clone();
            async { found.ok_or_else(|| std::io::Error::other("nobody can say")) }
        });
        (book, servers)
    }
}
