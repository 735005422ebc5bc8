//! A small site that writes down who asks for what.

use std::{
    collections::HashMap,
    future::pending,
    sync::{Arc, Mutex},
};

use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use smartlinks::telemetry::http::serve;
use tokio::net::TcpListener;

use super::seen::Seen;

/// A site on a port of its own.
pub(super) struct Site {
    /// What its addresses begin with.
    pub(super) origin: String,
    /// Path and query of each request, but for the browser's little picture.
    pub(super) seen: Seen<String>,
    pages: Arc<Mutex<HashMap<String, String>>>,
}

impl Site {
    /// Opens one under a name of this machine.
    pub(super) async fn open(host: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{host}:{}", listener.local_addr().unwrap().port());
        let site = Self { origin, seen: Seen::new(), pages: Arc::default() };
        let (seen, pages) = (site.seen.clone(), Arc::clone(&site.pages));
        let respond = move |request: &Request<Incoming>| respond(request, &seen, &pages);
        tokio::spawn(serve(listener, 100, respond, pending()));
        site
    }

    /// Puts something onto the page of a path, and returns its address. Other pages show nothing but their path.
    pub(super) fn put(&self, path: &str, html: &str) -> String {
        self.pages.lock().unwrap().insert(path.to_owned(), html.to_owned());
        format!("{}{path}", self.origin)
    }

    /// Returns path and query of each request, in order.
    pub(super) fn targets(&self) -> Vec<String> {
        self.seen.all()
    }
}

fn respond(
    request: &Request<Incoming>,
    seen: &Seen<String>,
    pages: &Mutex<HashMap<String, String>>,
) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    if path == "/favicon.ico" {
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    }
    seen.add(request.uri().to_string());
    let html = pages.lock().unwrap().get(path).cloned().unwrap_or_default();
    let page = format!("<!doctype html><title>{path}</title><h1>{path}</h1>{html}");
    let mut response = Response::new(Full::from(page));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}
