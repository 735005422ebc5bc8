//! A plain HTTP server for what is small and not for customers: metrics, the sample shop.

use std::{convert::Infallible, future::Future, sync::Arc, time::Duration};

use ::http::{Request, Response};
use http_body_util::Full;
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::Semaphore, time::sleep};

/// How long a request may take to arrive.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may live.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);
/// How long to wait when no connection can be taken: out of file descriptors, most likely.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers requests with `respond` until `stop` resolves, on so many connections at the same time.
pub async fn serve<F>(listener: TcpListener, connections: usize, respond: F, stop: impl Future<Output = ()>)
where
    F: Fn(&Request<Incoming>) -> Response<Full<Bytes>> + Clone + Send + 'static,
{
    let places = Arc::new(Semaphore::new(connections));
    tokio::pin!(stop);
    loop {
        let (place, accepted) = tokio::select! {
            () = &mut stop => return,
            accepted = async { (Arc::clone(&places).acquire_owned().await, listener.accept().await) } => accepted,
        };
        let Ok((stream, _)) = accepted else {
            sleep(PAUSE).await;
            continue;
        };
        let respond = respond.clone();
        tokio::spawn(async move {
            let answer = service_fn(move |request| {
                let response = respond(&request);
                async move { Ok::<_, Infallible>(response) }
            });
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
            let connection = builder.serve_connection(TokioIo::new(stream), answer);
            // A client that goes away or dawdles is no news.
            let _ = tokio::time::timeout(CONNECTION_TIMEOUT, connection).await;
            drop(place);
        });
    }
}
