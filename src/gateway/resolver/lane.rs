//! The way to one server: a connection with one stream, opened again whenever it ends.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    sync::oneshot,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tonic::{
    Code, Request, Status, Streaming,
    metadata::{AsciiMetadataValue, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};
use tower::service_fn;

use super::{
    Refusal, ResolverSettings,
    addresses::Servers,
    desk::{Answer, Desk, Lost, SILENCE, Taken, Waiting},
    pool::{Place, Pool},
};
use crate::{
    config::Secret,
    proto::{
        Purpose, ResolveRequest, ResolveStreamResponse, link_resolver_client::LinkResolverClient,
        resolve_request::Site,
    },
    telemetry::gateway_metrics::{GatewayMetrics, LaneGauge, LaneState},
};

/// How long opening a connection and a stream may take.
const OPEN_TIMEOUT: Duration = Duration::from_secs(2);
/// How long is waited before a stream is opened again: doubled from the one to the other while it does not help.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// A stream that lived so long and ended well is opened again at once.
const LONG_LIFE: Duration = Duration::from_secs(1);
/// How long a stream is without a word before the server is asked for one.
const CHECK: Duration = Duration::from_secs(1);
/// How often a connection is asked whether it lives, and how long it may take to say so. A silent server gets nothing
/// anyway; this is to notice that it will never answer, and no shorter than a click waits unless told otherwise.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(2));
/// Bytes in flight without a word of the other side: plenty for 1,024 items, so that no burst waits for a window.
const WINDOW_BYTES: u32 = 4 * 1_024 * 1_024;

type Client = LinkResolverClient<InterceptedService<Channel, Bearer>>;

/// The way to one server.
pub(super) struct Lane {
    address: SocketAddr,
    endpoint: Endpoint,
    bearer: Bearer,
    pool: Arc<Pool>,
    servers: Servers,
    gauge: LaneGauge,
    /// How long an answer is waited for.
    patience: Duration,
}

impl Lane {
    /// Makes a lane that is closed.
    pub(super) fn new(
        address: SocketAddr,
        url: Uri,
        settings: &ResolverSettings,
        pool: Arc<Pool>,
        servers: Servers,
        metrics: &GatewayMetrics,
    ) -> Self {
        let endpoint = Endpoint::from(url)
            .connect_timeout(OPEN_TIMEOUT)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .http2_keep_alive_interval(KEEP_ALIVE.0)
            .keep_alive_timeout(KEEP_ALIVE.1)
            .keep_alive_while_idle(true);
        let bearer = Bearer::new(settings.token.as_ref());
        Self { address, endpoint, bearer, pool, servers, gauge: metrics.lane(), patience: settings.timeout }
    }

    /// Returns a client with a connection of its own, which is made when it is first used.
    fn client(&self) -> Client {
        let address = self.address;
        let connect = service_fn(move |_: Uri| async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok::<_, std::io::Error>(TokioIo::new(stream))
        });
        let channel = self.endpoint.connect_with_connector_lazy(connect);
        LinkResolverClient::with_interceptor(channel, self.bearer.clone())
    }

    /// Opens the stream, passes its answers on until it ends, and begins again, until `gone` resolves. Then it opens none
    /// any more; the open one takes nothing once another server can be asked, for the name may lead nowhere. What was sent
    /// is waited for, no longer than a click waits.
    pub(super) async fn keep_open(mut self, mut gone: oneshot::Receiver<Infallible>) {
        // Streams that take nothing more and are read to their end.
        let mut rests = JoinSet::new();
        let mut pause = Pause::default();
        // A server that stays away is told of once, not at every try.
        let mut is_told = false;
        loop {
            self.gauge.set(LaneState::Closed);
            let opened = tokio::select! {
                opened = timeout(OPEN_TIMEOUT, self.open()) => opened,
                _ = &mut gone => break,
            };
            let opened =
                opened.unwrap_or_else(|_| Err(Status::deadline_exceeded("opening the stream took too long")));
            match opened {
                Ok(mut stream) => {
                    tracing::info!(server.address = %self.address, "the stream to a server is open");
                    is_told = false;
                    let (begun, desk) = (Instant::now(), Arc::clone(&stream.desk.0));
                    let replaced = async {
                        (&mut gone).await.ok();
                        self.pool.step_back(&desk).await;
                    };
                    let ended = tokio::select! {
                        ended = stream.read(&mut self.gauge, self.address) => Some(ended),
                        () = replaced => None,
                    };
                    stream.leave();
                    rests.spawn(stream.rest(self.patience));
                    let ended_well = ended.is_some_and(|ended| ended.tell(self.address));
                    if gone.is_terminated() {
                        break;
                    }
                    if begun.elapsed() >= LONG_LIFE {
                        pause = if ended_well { Pause::none() } else { Pause::default() };
                        // The others are needed now.
                        self.pool.hurry();
                    }
                }
                Err(status) if is_told => {
                    tracing::debug!(server.address = %self.address, code = ?status.code(), error = status.message(), "no stream to a server");
                }
                Err(status) => {
                    tracing::warn!(server.address = %self.address, code = ?status.code(), error = status.message(), "no stream to a server");
                    is_told = true;
                }
            }
            // It may be elsewhere by now.
            self.servers.look_again();
            tokio::select! {
                () = sleep(pause.next()) => {}
                () = self.pool.hurried() => {}
                _ = &mut gone => break,
            }
            while rests.try_join_next().is_some() {}
        }
        drop(self.gauge);
        while rests.join_next().await.is_some() {}
    }

    /// Opens a connection and a stream, and sees that the server behind it has an index.
    async fn open(&self) -> Result<Stream, Status> {
        let (desk, outgoing) = Desk::new();
        let desk = Held(desk);
        let mut client = self.client();
        let mut check = ask_for_a_word(&desk.0).map_err(|_| Status::internal("a new stream is full"))?;
        let mut answers = client.resolve_stream(outgoing).await?.into_inner();
        loop {
            let message = next(&mut answers).await?;
            if desk.0.take(message, Instant::now()) == Taken::Closing {
                return Err(Status::unavailable("the server stops or has no index yet"));
            }
            if let Some(checked) = (&mut check).now_or_never() {
                has_index(checked)?;
                let place = self.pool.enter(&desk.0);
                return Ok(Stream { _client: client, answers, place: Some(place), desk });
            }
        }
    }
}

/// Puts an item on a stream that is answered at once and counts nowhere: no server can have this revision. One without an
/// index cannot say so, and has no time to wait for it.
fn ask_for_a_word(desk: &Arc<Desk>) -> Result<Waiting, Refusal> {
    let mut visit = ResolveRequest {
        purpose: Purpose::Lookup.into(),
        site: Some(Site::Shop("-".to_owned())),
        min_revision: i64::MAX,
        ..ResolveRequest::default()
    };
    desk.put(&mut visit, Duration::from_millis(1))
}

/// Reads from the answer to a check whether the server has an index.
fn has_index(checked: Answer) -> Result<(), Status> {
    match checked {
        Ok(_) => Ok(()),
        Err(Lost::Sent(Refusal::Failed(failure))) => {
            let code = Code::from_i32(failure.code);
            if matches!(code, Code::InvalidArgument | Code::OutOfRange | Code::NotFound) {
                Ok(())
            } else if matches!(code, Code::DeadlineExceeded | Code::Unavailable) {
                Err(Status::unavailable("the server has no index yet"))
            } else {
                Err(Status::new(code, failure.message))
            }
        }
        Err(Lost::Sent(_) | Lost::Unsent(_)) => Err(Status::unavailable("the stream ended at once")),
    }
}

async fn next(answers: &mut Streaming<ResolveStreamResponse>) -> Result<ResolveStreamResponse, Status> {
    let message = answers.message().await?;
    message.ok_or_else(|| Status::unavailable("the server ended the stream"))
}

/// A stream that takes items, or did.
struct Stream {
    /// The connection goes with it.
    _client: Client,
    answers: Streaming<ResolveStreamResponse>,
    place: Option<Place>,
    desk: Held,
}

/// A desk that ends with whoever holds it. Until it ends, its stream keeps the connection.
struct Held(Arc<Desk>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// How a stream ended.
enum Ended {
    /// The server said that it closes.
    Closing,
    /// The server ended it in good order.
    Well,
    /// It broke.
    Broken(Status),
}

impl Ended {
    /// Logs it. Returns whether the server may be asked for another stream at once.
    fn tell(&self, address: SocketAddr) -> bool {
        match self {
            Self::Closing => tracing::info!(server.address = %address, "a server takes nothing more"),
            Self::Well => tracing::info!(server.address = %address, "the stream to a server ended"),
            Self::Broken(status) => {
                tracing::warn!(server.address = %address, code = ?status.code(), error = status.message(), "the stream to a server broke");
            }
        }
        matches!(self, Self::Well)
    }
}

impl Stream {
    /// Passes answers on until the stream ends or its server says that it will.
    async fn read(&mut self, gauge: &mut LaneGauge, address: SocketAddr) -> Ended {
        let mut looks = interval(SILENCE / 2);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // When the server was last heard or asked for a word, and that question.
        let (mut heard, mut check) = (Instant::now(), None);
        gauge.set(LaneState::Open);
        loop {
            tokio::select! {
                // While answers come there is nothing to look after.
                biased;
                message = self.answers.message() => {
                    let message = match message {
                        Ok(Some(message)) => message,
                        Ok(None) => return Ended::Well,
                        Err(status) => return Ended::Broken(status),
                    };
                    heard = Instant::now();
                    if self.desk.0.take(message, heard) == Taken::Closing {
                        return Ended::Closing;
                    }
                    if gauge.state() == LaneState::Silent {
                        tracing::info!(server.address = %address, "a silent server answers again");
                        gauge.set(LaneState::Open);
                    }
                }
                _ = looks.tick() => {
                    let now = Instant::now();
                    if gauge.state() == LaneState::Open && self.desk.0.load(now).is_silent {
                        tracing::warn!(server.address = %address, "a server is silent, others are asked");
                        gauge.set(LaneState::Silent);
                    }
                    if now.duration_since(heard) >= CHECK {
                        heard = now;
                        // The question before is given up.
                        drop(check.replace(ask_for_a_word(&self.desk.0)));
                    }
                }
            }
        }
    }

    /// Takes nothing more.
    fn leave(&mut self) {
        // First out of the pool, so that what comes back does not come here again.
        self.place = None;
        self.desk.0.leave();
    }

    /// Reads what is still to come, as long as somebody may wait for it.
    async fn rest(mut self, patience: Duration) {
        let reading = async {
            while let Ok(Some(message)) = self.answers.message().await {
                self.desk.0.take(message, Instant::now());
            }
        };
        timeout(patience, reading).await.ok();
        let lost = self.desk.0.end();
        if lost > 0 {
            tracing::warn!(clicks = lost, "clicks were on a stream that ended without an answer to them");
        }
    }
}

/// How long is waited before the next try.
#[derive(Clone, Copy)]
struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(BACK_OFF.0)
    }
}

impl Pause {
    /// Lets the next try come at once, and those after it later.
    fn none() -> Self {
        Self(Duration::ZERO)
    }

    /// Returns the pause, and makes the next one longer.
    fn next(&mut self) -> Duration {
        // Spread, so that many gateways do not come back in one moment.
        let pause = self.0.mul_f64(rand::random_range(0.5..1.0));
        self.0 = (self.0 * 2).clamp(BACK_OFF.0, BACK_OFF.1);
        pause
    }
}

/// Puts the token on every call.
#[derive(Clone, Debug)]
struct Bearer(Option<AsciiMetadataValue>);

impl Bearer {
    fn new(token: Option<&Secret>) -> Self {
        // A token is visible ASCII, which is all that a header asks.
        let value = |token: &Secret| MetadataValue::try_from(format!("Bearer {}", token.expose())).ok();
        Self(token.and_then(value).map(|mut value| {
            value.set_sensitive(true);
            value
        }))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}
