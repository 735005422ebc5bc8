//! One connection of a browser: HTTP/1.1, or HTTP/2 by prior knowledge.

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use http::{Method, Request, Response, StatusCode, header};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    net::TcpStream,
    pin,
    sync::watch,
    time::{sleep, timeout},
};

use super::{
    cookie::{Cookies, Offer},
    page::{self, Body, Page},
    proxies, reply,
    resolver::Resolver,
    route::{Link, Route},
    visit::{self, NoHost},
};
use crate::{config::proxies::Proxies, proto::resolve_request::Site, telemetry::gateway_metrics::Tally};

/// Bytes of a request's head over HTTP/1.1: the longest target and a browser's headers.
const HEAD_BYTES: usize = 64 * 1_024;
/// Bytes of a request's headers over HTTP/2.
const HEADER_LIST_BYTES: u32 = 32 * 1_024;
/// Headers of a request.
const HEADERS: usize = 100;
/// Requests at once on one HTTP/2 connection.
const STREAMS: u32 = 100;
/// Streams that a browser opened and took back before they were looked at; more of them end the connection. What hyper
/// does by itself, said here so that it stays (CVE-2023-44487).
const TAKEN_BACK: usize = 20;
/// Streams that were reset because the browser broke the protocol; more of them end the connection (RUSTSEC-2024-0003).
const BROKEN: usize = 1_024;
/// How long a connection may take to close once it was told to.
const CLOSING: Duration = Duration::from_secs(1);

/// Answers requests; one per worker.
pub(super) struct Door {
    http: auto::Builder<TokioExecutor>,
    resolver: Resolver,
    tally: Tally,
    idle: Duration,
    proxies: Option<Proxies>,
    cookies: Option<Cookies>,
    /// Whether load balancers are told to go elsewhere.
    is_leaving: AtomicBool,
}

impl Door {
    /// Makes a door that closes connections which are silent for so long.
    pub(super) fn new(
        resolver: Resolver,
        tally: Tally,
        idle: Duration,
        proxies: Option<Proxies>,
        cookies: Option<Cookies>,
    ) -> Self {
        let mut http = auto::Builder::new(TokioExecutor::new());
        http.http1()
            .timer(TokioTimer::new())
            .header_read_timeout(idle)
            .max_headers(HEADERS)
            .max_buf_size(HEAD_BYTES)
            .half_close(false);
        http.http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(HEADER_LIST_BYTES)
            .max_pending_accept_reset_streams(TAKEN_BACK)
            .max_local_error_reset_streams(BROKEN)
            .keep_alive_interval(idle)
            .keep_alive_timeout(idle);
        Self { http, resolver, tally, idle, proxies, cookies, is_leaving: AtomicBool::new(false) }
    }

    /// Calls the gateway not ready from now on.
    pub(super) fn leave(&self) {
        self.is_leaving.store(true, Ordering::Relaxed);
    }

    /// Serves one connection until it ends, is silent for too long, or everything stops.
    pub(super) async fn serve(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        mut stop: watch::Receiver<bool>,
    ) {
        let _connected = self.tally.connected();
        let activity = Activity::default();
        let service = service_fn(|request| {
            let door = Arc::clone(&self);
            let in_flight = activity.begin();
            async move {
                let begun = Instant::now();
                let response = door.answer(request, peer.ip()).await;
                door.tally.answered(response.status().as_u16(), begun.elapsed());
                drop(in_flight);
                Ok::<_, Infallible>(response)
            }
        });
        let connection = self.http.serve_connection(TokioIo::new(stream), service);
        pin!(connection);
        let mut seen = activity.requests();
        let told_to_close = loop {
            tokio::select! {
                // Browsers leave in many ways; none of them is news.
                _ = connection.as_mut() => break false,
                _ = stop.wait_for(|stop| *stop) => break true,
                () = sleep(self.idle) => {
                    let now = activity.requests();
                    if now == seen && activity.is_quiet() {
                        break true;
                    }
                    seen = now;
                }
            }
        };
        if !told_to_close {
            return;
        }
        connection.as_mut().graceful_shutdown();
        // A request that is being answered is finished: the resolver's deadline bounds it.
        loop {
            if timeout(CLOSING, connection.as_mut()).await.is_ok() || activity.is_quiet() {
                return;
            }
        }
    }

    async fn answer(&self, request: Request<Incoming>, peer: IpAddr) -> Response<Body> {
        let (method, headers) = (request.method(), request.headers());
        let page = match Route::of(method, request.uri()) {
            Route::Link(link) => match self.click(&request, peer, link).await {
                Ok(redirect) => return redirect,
                Err(page) => page,
            },
            Route::Health => return page::plain(StatusCode::OK, method, "ok\n"),
            Route::Ready => return self.ready(method),
            Route::Robots => return page::robots(method),
            Route::Miss => Page::NoLink,
            Route::WrongMethod => Page::WrongMethod,
            Route::TooLong => Page::TooLong,
        };
        page.answer(method, headers)
    }

    /// Asks where a visit goes.
    async fn click(
        &self,
        request: &Request<Incoming>,
        peer: IpAddr,
        link: Link,
    ) -> Result<Response<Body>, Page> {
        let (headers, proxies) = (request.headers(), self.proxies.as_ref());
        let visitor = proxies::visitor(proxies, headers, peer);
        let mut visit = visit::of(request, visitor, link).map_err(|NoHost| Page::Malformed)?;
        let offer = self.cookies.as_ref().zip(host(&visit.site)).map(|(cookies, host)| {
            Offer::new(cookies, headers, host, proxies::is_https(proxies, headers, peer))
        });
        visit.visitor = offer.as_ref().map(Offer::told);
        let outcome = self.resolver.ask(visit).await;
        let cookie = outcome.as_ref().ok().and_then(|answer| offer?.taken(answer));
        let mut redirect = reply::of(outcome)?;
        redirect.headers_mut().extend(cookie.map(|cookie| (header::SET_COOKIE, cookie)));
        Ok(redirect)
    }

    fn ready(&self, method: &Method) -> Response<Body> {
        let not_ready = |why| page::plain(StatusCode::SERVICE_UNAVAILABLE, method, why);
        if self.is_leaving.load(Ordering::Relaxed) {
            return not_ready("The gateway stops.\n");
        }
        match self.resolver.answers() {
            true => page::plain(StatusCode::OK, method, "ready\n"),
            false => not_ready("The resolver does not answer.\n"),
        }
    }
}

/// Returns the host that a visit asked for.
fn host(site: &Option<Site>) -> Option<&str> {
    match site {
        Some(Site::Host(host)) => Some(host),
        Some(Site::Shop(_)) | None => None,
    }
}

/// What goes on over a connection.
#[derive(Clone, Default)]
struct Activity(Arc<Counts>);

#[derive(Default)]
struct Counts {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Activity {
    fn begin(&self) -> InFlight {
        self.0.begun.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(&self.0))
    }

    fn requests(&self) -> u64 {
        self.0.begun.load(Ordering::Relaxed)
    }

    fn is_quiet(&self) -> bool {
        self.0.ended.load(Ordering::Relaxed) == self.requests()
    }
}

/// A request that is being answered, or whose browser left.
struct InFlight(Arc<Counts>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}
