//! Listening: one thread per processor, each with its own runtime and its own connection to the resolver.
//!
//! A request never changes threads, so nothing on its way is shared and no wake-up crosses processors. The threads accept
//! from the same socket; the system gives a connection to one that is free.

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener as StdListener},
    sync::Arc,
    thread,
    time::Duration,
};

use tokio::{
    net::TcpListener,
    runtime,
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    connection::Door,
    resolver::{Resolver, ResolverSettings},
};
use crate::config::{gateway::GatewaySettings, proxies::Proxies};

/// How long is waited before accepting again after the system refused, for example for want of file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why the gateway cannot run.
#[derive(Debug)]
pub enum GatewayError {
    /// The address cannot be listened on.
    Listen {
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
            Self::Listen { address, cause } => {
                write!(
                    f,
                    "cannot listen on {address}: {cause}; set SMARTLINKS_GATEWAY_LISTEN to a free address"
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

/// Bounds on connections.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; further ones wait until one ends.
    pub connections: usize,
    /// How long a connection may be silent, or take to send its headers.
    pub idle: Duration,
    /// How long requests may take to finish after the signal to stop.
    pub drain: Duration,
}

/// A gateway that listens and does not answer yet.
#[derive(Debug)]
pub struct Gateway {
    listener: StdListener,
    address: SocketAddr,
    settings: GatewaySettings,
}

impl Gateway {
    /// Listens on the configured address.
    pub fn bind(settings: GatewaySettings) -> Result<Self, GatewayError> {
        let failed = |cause| GatewayError::Listen { address: settings.listen, cause };
        let listener = StdListener::bind(settings.listen).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, settings })
    }

    /// Returns the address that browsers reach, with the port that the system chose if 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop` is true or its sender is gone, then finishes what was begun. Blocks its thread.
    pub fn run(self, stop: &watch::Receiver<bool>) -> Result<(), GatewayError> {
        let workers = self.settings.workers;
        let limits = Limits {
            connections: self.settings.connections.div_ceil(workers),
            idle: self.settings.idle_timeout,
            drain: self.settings.drain,
        };
        let resolver = ResolverSettings {
            server: self.settings.resolver.clone(),
            token: self.settings.token.clone(),
            connections: 1,
            timeout: self.settings.request_timeout,
        };
        let mut threads = Vec::with_capacity(workers);
        for number in 0..workers {
            let listener = self.listener.try_clone().map_err(GatewayError::Worker)?;
            let (resolver, stop) = (resolver.clone(), stop.clone());
            let proxies = self.settings.proxies.clone();
            let runtime =
                runtime::Builder::new_current_thread().enable_all().build().map_err(GatewayError::Worker)?;
            let work = move || {
                runtime.block_on(async move {
                    let listener = TcpListener::from_std(listener)?;
                    serve(listener, Resolver::start(&resolver), limits, proxies, stop).await;
                    Ok(())
                })
            };
            let thread = thread::Builder::new().name(format!("gateway-{number}")).spawn(work);
            threads.push(thread.map_err(GatewayError::Worker)?);
        }
        for thread in threads {
            let ended = thread.join().unwrap_or_else(|_| Err(io::Error::other("it panicked")));
            ended.map_err(GatewayError::Worker)?;
        }
        Ok(())
    }
}

/// Answers on the runtime that it is called on until `stop` is true or its sender is gone, then finishes what was begun.
pub async fn serve(
    listener: TcpListener,
    resolver: Resolver,
    limits: Limits,
    proxies: Option<Proxies>,
    mut stop: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let door = Arc::new(Door::new(resolver, limits.idle, proxies));
    // Dropping it cuts what is left.
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            // The semaphore is never closed. A full house leaves new connections to the system's queue.
            let place = Arc::clone(&places).acquire_owned().await.ok();
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            accepted = accepted => accepted,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, peer)) => {
                // Answers are small and whole: waiting for more would only delay them.
                stream.set_nodelay(true).ok();
                let connection = Arc::clone(&door).serve(stream, peer, stop.clone());
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
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if timeout(limits.drain, all_ended).await.is_err() {
        tracing::warn!(connections = connections.len(), "cutting connections that are still busy");
    }
}
