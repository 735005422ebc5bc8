//! A shop, and servers that answer for it.

use std::{net::SocketAddr, sync::Arc};

use serde_json::{Value, json};
use smartlinks::{
    classify::Classifier,
    counters::Counters,
    domain::revision::Revision,
    index::{Record, Writer},
    live::{Live, Source},
    proto::{
        Purpose, ResolveRequest,
        link_resolver_client::LinkResolverClient,
        link_resolver_server::{LinkResolver, LinkResolverServer},
        resolve_request::Site,
    },
    recorder::Recorder,
    rpc::{caller::Caller, link_resolver::Resolver},
    telemetry::metrics::{Metrics, ResolveLabels},
};
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
    task::JoinHandle,
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Request,
    transport::{Channel, Server},
};

/// The host of the shop `acme`, which has no fallback.
pub(crate) const HOST: &str = "go.acme.example";

/// Returns the shops `acme` and `bravo`, the partner `anna`, and a link in every state.
pub(crate) fn records() -> Vec<Record> {
    let shop = |id: &str, fallback: Option<&str>| {
        json!({"shop": {"shop": id, "revision": 1, "default_link": "home", "settings": {
            "base_url": format!("https://{id}.example"),
            "link_hosts": [format!("go.{id}.example")],
            "public_url": format!("https://go.{id}.example"),
            "partner_param": "ref",
            "click_id_param": "click_id",
            "fallback_url": fallback,
        }}})
    };
    let all = vec![
        shop("acme", None),
        shop("bravo", Some("https://bravo.example/sorry")),
        json!({"partner": {"shop": "acme", "code": "anna", "revision": 1,
            "state": {"aliases": ["annie"], "program": null, "tags": [], "active": true}}}),
        link("home", 1, json!({"default_destination": ""})),
        link(
            "sale",
            1,
            json!({
                "default_destination": "sale?own=1",
                "rules": [
                    {"id": "phone", "when": {"is": {"device": ["mobile"]}}, "then": {"destination": "m"}},
                    {"id": "loop", "when": {"is": {"client_address": ["127.0.0.0/8"]}}, "then": {"destination": "local"}},
                ],
            }),
        ),
        link("plain", 1, json!({"default_destination": "p"})),
        link("moved", 1, json!({"default_destination": "x", "redirect": "moved_permanently"})),
        link("temporary", 1, json!({"default_destination": "x", "redirect": "temporary_redirect"})),
        link("permanent", 1, json!({"default_destination": "x", "redirect": "permanent_redirect"})),
        link("expired", 1, json!({"default_destination": "x", "expire_time": "2020-01-01T00:00:00Z"})),
        link("early", 1, json!({"default_destination": "x", "start_time": "2999-01-01T00:00:00Z"})),
        in_state("paused", "paused"),
        in_state("deleted", "deleted"),
    ];
    all.into_iter().map(record).collect()
}

/// Returns a link of the shop `acme`, shared with everyone.
pub(crate) fn link(slug: &str, revision: i64, routing: Value) -> Value {
    json!({"link": {"shop": "acme", "slug": slug, "revision": revision, "state": "active",
        "sharing": "everyone", "routing": routing}})
}

fn in_state(slug: &str, state: &str) -> Value {
    let mut link = link(slug, 1, json!({"default_destination": "x"}));
    link["link"]["state"] = state.into();
    link
}

/// Reads a record from its JSON.
pub(crate) fn record(json: Value) -> Record {
    serde_json::from_value(json).unwrap()
}

/// Returns a look-up of a link of `acme`.
pub(crate) fn lookup(slug: &str) -> ResolveRequest {
    ResolveRequest {
        purpose: Purpose::Lookup.into(),
        site: Some(Site::Host(HOST.to_owned())),
        slug: slug.to_owned(),
        ..ResolveRequest::default()
    }
}

/// Returns a click on a link of `acme`.
pub(crate) fn click(slug: &str) -> ResolveRequest {
    ResolveRequest { purpose: Purpose::Click.into(), ..lookup(slug) }
}

/// A server in this process. Dropping it cuts every connection.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    cut: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
}

impl Served {
    /// Serves on a free port.
    pub(crate) async fn start(service: impl LinkResolver) -> Self {
        Self::start_at(service, "127.0.0.1:0".parse().unwrap()).await
    }

    /// Serves on a port. Every caller counts as one on this machine.
    pub(crate) async fn start_at(service: impl LinkResolver, address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = LinkResolverServer::with_interceptor(service, |mut request: Request<()>| {
            request.extensions_mut().insert(Caller::Local);
            Ok(request)
        });
        let (cut, cutting) = oneshot::channel();
        // A runtime of its own, so that cutting it off cuts its connections too, as a killed process does.
        let listener = listener.into_std().unwrap();
        let server = tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let incoming = TcpListenerStream::new(TcpListener::from_std(listener).unwrap());
                tokio::select! {
                    ended = Server::builder().add_service(service).serve_with_incoming(incoming) => ended.unwrap(),
                    _ = cutting => {}
                }
            });
        });
        Self { address, cut: Some(cut), server }
    }

    /// Connects.
    pub(crate) async fn client(&self) -> LinkResolverClient<Channel> {
        LinkResolverClient::connect(format!("http://{}", self.address)).await.unwrap()
    }

    /// Kills the server, and waits until its connections are cut.
    pub(crate) async fn kill(mut self) {
        self.cut.take();
        self.server.await.unwrap();
    }
}

/// The real resolver with an index of its own.
pub(crate) struct Acme {
    pub(crate) live: Live,
    pub(crate) writer: Writer,
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) metrics: Metrics,
    pub(crate) service: Resolver,
}

impl Acme {
    /// Makes a resolver without an index.
    pub(crate) fn empty() -> Self {
        let (live, (stop, stopped)) = (Live::new(), watch::channel(false));
        let classifier = Arc::new(Classifier::default());
        let (metrics, _) = Metrics::new();
        let service = Resolver::new(
            live.clone(),
            classifier,
            Recorder::ignoring(),
            Counters::default(),
            Arc::default(),
            &metrics,
            stopped,
        );
        Self { live, writer: Writer::new(), stop, service, metrics }
    }

    /// Returns how many visits were resolved for a reason.
    pub(crate) fn resolved(&self, reason: &'static str) -> u64 {
        self.metrics.resolved.get_or_create_owned(&ResolveLabels { reason, channel: "link" }).get()
    }

    /// Makes a resolver with [`records`] at revision 1.
    pub(crate) fn new() -> Self {
        let mut acme = Self::empty();
        acme.publish(records(), 1);
        acme
    }

    /// Puts more records in use.
    pub(crate) fn publish(&mut self, records: Vec<Record>, revision: i64) {
        let snapshot = self.writer.apply(records, Revision(revision));
        self.live.publish(snapshot, Source::Database);
    }

    /// Serves it and connects; the server lives as long as what is returned with the client.
    pub(crate) async fn connect(&self) -> (LinkResolverClient<Channel>, Served) {
        let server = self.serve().await;
        (server.client().await, server)
    }

    /// Serves it.
    pub(crate) async fn serve(&self) -> Served {
        Served::start(self.service.clone()).await
    }
}
