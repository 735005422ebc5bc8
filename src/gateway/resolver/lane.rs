//! One connection to the resolver with one stream, opened again whenever it breaks.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request, Status,
    metadata::{AsciiMetadataValue, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

use super::{
    ResolverSettings,
    desk::{self, Desk},
};
use crate::{config::Secret, proto::link_resolver_client::LinkResolverClient};

/// How long opening a connection and a stream may take.
const OPEN_TIMEOUT: Duration = Duration::from_secs(2);
/// How long is waited before a stream is opened again: doubled from the one to the other while it does not help.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// How often a silent connection is asked whether it lives, and how long it may take to say so.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(3));
/// Bytes in flight without a word of the other side: plenty for 1,024 items, so that no burst waits for a window.
const WINDOW_BYTES: u32 = 4 * 1_024 * 1_024;

type Client = LinkResolverClient<InterceptedService<Channel, Bearer>>;

/// One connection. Dropping it closes the connection.
#[derive(Debug)]
pub(super) struct Lane {
    desk: Arc<Desk>,
    task: JoinHandle<()>,
}

impl Lane {
    /// Begins to connect.
    pub(super) fn start(settings: &ResolverSettings) -> Self {
        let endpoint = Endpoint::from(settings.server.clone())
            .connect_timeout(OPEN_TIMEOUT)
            .tcp_nodelay(true)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .http2_keep_alive_interval(KEEP_ALIVE.0)
            .keep_alive_timeout(KEEP_ALIVE.1)
            .keep_alive_while_idle(true);
        let bearer = Bearer::new(settings.token.as_ref());
        let client = LinkResolverClient::with_interceptor(endpoint.connect_lazy(), bearer);
        let desk = Arc::new(Desk::default());
        let task = tokio::spawn(keep_open(client, Arc::clone(&desk)));
        Self { desk, task }
    }

    /// Returns where items are put.
    pub(super) fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Opens the stream, passes its answers on until it ends, and begins again.
async fn keep_open(mut client: Client, desk: Arc<Desk>) {
    let mut pause = BACK_OFF.0;
    // A resolver that stays away is told of once, not at every try.
    let mut silent = false;
    loop {
        let answered = match run(&mut client, &desk).await {
            Ok(answered) => {
                tracing::info!("the stream to the resolver ended");
                answered
            }
            Err(Broken { answered, status }) => {
                if !silent || answered {
                    tracing::warn!(code = ?status.code(), error = status.message(), "no stream to the resolver");
                }
                answered
            }
        };
        let lost = desk.close();
        if lost > 0 {
            tracing::warn!(clicks = lost, "clicks were on a stream to the resolver that ended");
        }
        silent = true;
        if answered {
            pause = BACK_OFF.0;
        }
        // Spread, so that many gateways do not come back in one moment.
        sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
        pause = (pause * 2).min(BACK_OFF.1);
    }
}

/// How a stream ended other than well.
struct Broken {
    answered: bool,
    status: Status,
}

/// Opens one stream and passes its answers on until it ends. Returns whether there was any.
async fn run(client: &mut Client, desk: &Desk) -> Result<bool, Broken> {
    let mut answered = false;
    let broken = |answered, status| Broken { answered, status };
    let (stream, items) = mpsc::channel(desk::UNANSWERED);
    let opened = timeout(OPEN_TIMEOUT, client.resolve_stream(ReceiverStream::new(items))).await;
    let opened =
        opened.unwrap_or_else(|_| Err(Status::deadline_exceeded("opening the stream took too long")));
    let mut answers = opened.map_err(|status| broken(false, status))?.into_inner();
    desk.open(stream);
    tracing::info!("the stream to the resolver is open");
    loop {
        match answers.message().await {
            Ok(Some(answer)) => {
                answered = true;
                desk.take(answer);
            }
            Ok(None) => return Ok(answered),
            Err(status) => return Err(broken(answered, status)),
        }
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
