//! Serves the metrics over HTTP.

use std::{future::Future, sync::Arc};

use ::http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

use super::{http::serve, metrics::print};

/// Connections at the same time; a scraper needs one.
const CONNECTIONS: usize = 16;

/// Answers `GET /metrics` until `stop` resolves.
pub async fn run(listener: TcpListener, registry: Arc<Registry>, stop: impl Future<Output = ()>) {
    serve(listener, CONNECTIONS, move |request| respond(request, &registry), stop).await;
}

fn respond(request: &Request<Incoming>, registry: &Registry) -> Response<Full<Bytes>> {
    let (status, text) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => (StatusCode::OK, print(registry)),
        (_, "/metrics") => (StatusCode::METHOD_NOT_ALLOWED, "ask with GET\n".into()),
        _ => (StatusCode::NOT_FOUND, "metrics are at /metrics\n".into()),
    };
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let kind = if status == StatusCode::OK {
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    } else {
        "text/plain; charset=utf-8"
    };
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}
