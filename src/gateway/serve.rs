//! Listening: one thread per processor, each with its own runtime and its own connections to the resolver.
//!
//! A request never changes threads, so nothing on its way is shared and no wake-up crosses processors. The threads accept
//! from the same socket; the system gives a connection to one that is free. One more runtime, on the thread that runs the
//! gateway, looks up the resolver's servers and serves the metrics.

use std::{
    fmt,
    future::pending,
    io,
    net::{SocketAddr, TcpListener as StdListener},
    pin::pin,
    sync::Arc,
    thread,
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    net::TcpListener,
    runtime::{self, Runtime},
    sync::{Semaphore, oneshot, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    connection::Door,
    cookie::Cookies,
    resolver::{Resolver, ResolverSettings, addresses::Servers},
};
use crate::{
    config::{gateway::GatewaySettings, proxies::Proxies},
    telemetry::{
        gateway_metrics::{GatewayMetrics, Tally},
        metrics_server,
    },
};

/// How long is waited before accepting again after the system refused, for example for want of file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections that the system keeps until a thread takes them. The standard library asks for 128, which one mailing fills:
/// what comes then is dropped, and browsers try again only after a second. The system has a limit of its own.
const BACKLOG: i32 = 4_096;

/// Why the gateway cannot run.
#[derive(Debug)]
pub enum GatewayError {
    /// The address cannot be listened on.
    Listen {
        /// The setting.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system says.
        cause: io::Error,
    },
    /// A thread or its runtime could not be started.
    Worker(io::Error),
}

impl fmt::Display for GatewayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen { setting, address, cause } => {
                write!(
                    f,
                    "{setting}: cannot listen on {address}: {cause}; stop what uses it, or set another port"
                )
            }
            Self::Worker(cause) => write!(f, "cannot start a worker of the gateway: {cause}"),
        }
    }
}

impl std::error::Error for GatewayError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Listen { cause, .. } | Self::Worker(cause) => Some(cause),
        }
    }
}

/// Bounds on connections and on the end.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; further ones wait until one ends.
    pub connections: usize,
    /// How long a connection may be silent, or take to send its headers.
    pub idle: Duration,
    /// How long clicks are still taken after the signal to stop, while the gateway already calls itself not ready.
    pub stop_delay: Duration,
    /// How long requests may take to finish after that.
    pub drain: Duration,
}

/// A gateway that listens and does not answer yet.
#[derive(Debug)]
pub struct Gateway {
    listener: StdListener,
    address: SocketAddr,
    metrics_listener: Option<StdListener>,
    settings: GatewaySettings,
}

/// Listens on the address of a setting.
fn bind(setting: &'static str, address: SocketAddr) -> Result<(StdListener, SocketAddr), GatewayError> {
    let bound = || {
        let listener = StdListener::bind(address)?;
        SockRef::from(&listener).listen(BACKLOG)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    bound().map_err(|cause| GatewayError::Listen { setting, address, cause })
}

fn runtime() -> Result<Runtime, GatewayError> {
    runtime::Builder::new_current_thread().enable_all().build().map_err(GatewayError::Worker)
}

impl Gateway {
    /// Listens on the configured addresses.
    pub fn bind(settings: GatewaySettings) -> Result<Self, GatewayError> {
        let (listener, address) = bind("SMARTLINKS_GATEWAY_LISTEN", settings.listen)?;
        let metrics = settings.metrics_listen;
        let metrics =
            metrics.map(|address| bind("SMARTLINKS_GATEWAY_METRICS_LISTEN", address)).transpose()?;
        let metrics_listener = metrics.map(|(listener, _)| listener);
        Ok(Self { listener, address, metrics_listener, settings })
    }

    /// Returns the address that browsers reach, with the port that the system chose if 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop` is true, then takes clicks for the delay that the settings say, then finishes what was begun.
    /// Without its sender there is no delay. Blocks its thread.
    pub fn run(self, stop: &watch::Receiver<bool>) -> Result<(), GatewayError> {
        let common = runtime()?;
        let ran = self.run_beside(&common, stop);
        // A look-up that hangs is not waited for.
        common.shutdown_background();
        ran
    }

    /// Runs the workers, and what they have in common on a runtime of its own.
    fn run_beside(self, common: &Runtime, stop: &watch::Receiver<bool>) -> Result<(), GatewayError> {
        let workers = self.settings.workers;
        let limits = Limits {
            connections: self.settings.connections.div_ceil(workers),
            idle: self.settings.idle_timeout,
            stop_delay: self.settings.stop_delay,
            drain: self.settings.drain,
        };
        let resolver =
            ResolverSettings { token: self.settings.token.clone(), timeout: self.settings.request_timeout };
        let cookies = self.settings.cookie_keys.as_ref().map(Cookies::new);
        if cookies.is_none() {
            tracing::warn!(
                "SMARTLINKS_COOKIE_KEY_FILE is not set: no visitor gets a cookie, those of shops with the mode COOKIE are unknown",
            );
        }
        let (metrics, registry) = GatewayMetrics::new();
        let entered = common.enter();
        let servers = Servers::start(&self.settings.resolver, self.settings.resolver_refresh);
        if let Some(listener) = self.metrics_listener {
            let listener = TcpListener::from_std(listener).map_err(GatewayError::Worker)?;
            common.spawn(metrics_server::run(listener, Arc::new(registry), pending()));
        }
        drop(entered);
        let mut threads = Vec::with_capacity(workers);
        for number in 0..workers {
            let listener = self.listener.try_clone().map_err(GatewayError::Worker)?;
            let (resolver, servers, stop) = (resolver.clone(), servers.clone(), stop.clone());
            let (proxies, cookies) = (self.settings.proxies.clone(), cookies.clone());
            let (metrics, runtime) = (metrics.clone(), runtime()?);
            let (running, ended) = oneshot::channel::<()>();
            let work = move || {
                let _running = running;
                runtime.block_on(async move {
                    let listener = TcpListener::from_std(listener)?;
                    let resolver = Resolver::start(&resolver, servers, &metrics);
                    serve(listener, resolver, metrics.tally(), limits, proxies, cookies, stop).await;
                    Ok(())
                })
            };
            let thread = thread::Builder::new().name(format!("gateway-{number}")).spawn(work);
            threads.push((thread.map_err(GatewayError::Worker)?, ended));
        }
        // Only the workers listen: when they close, the port is free.
        drop(self.listener);
        for (thread, ended) in threads {
            // Nothing is ever sent: it ends with the thread. Meanwhile the common runtime does its work.
            common.block_on(ended).ok();
            let ended = thread.join().unwrap_or_else(|_| Err(io::Error::other("it panicked")));
            ended.map_err(GatewayError::Worker)?;
        }
        Ok(())
    }
}

/// Answers on the runtime that it is called on until `stop` is true; takes clicks for the stop delay, unless the sender of
/// `stop` goes; then finishes what was begun.
pub async fn serve(
    listener: TcpListener,
    resolver: Resolver,
    tally: Tally,
    limits: Limits,
    proxies: Option<Proxies>,
    cookies: Option<Cookies>,
    stop: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let door = Arc::new(Door::new(resolver, tally, limits.idle, proxies, cookies));
    let (closer, closing) = watch::channel(false);
    let mut leaving = pin!(leave(&door, limits.stop_delay, stop));
    // Dropping it cuts what is left.
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            // The semaphore is never closed. A full house leaves new connections to the system's queue.
            let place = Arc::clone(&places).acquire_owned().await.ok();
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = &mut leaving => break,
            accepted = accepted => accepted,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, peer)) => {
                // Answers are small and whole: waiting for more would only delay them.
                stream.set_nodelay(true).ok();
                let connection = Arc::clone(&door).serve(stream, peer, closing.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    closer.send_replace(true);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if timeout(limits.drain, all_ended).await.is_err() {
        tracing::warn!(connections = connections.len(), "cutting connections that are still busy");
    }
}

/// Waits for the stop, and for the delay after it, in which load balancers see that the gateway is not ready.
async fn leave(door: &Door, delay: Duration, mut stop: watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        return;
    }
    door.leave();
    let hurried = async { while stop.changed().await.is_ok() {} };
    timeout(delay, hurried).await.ok();
}
