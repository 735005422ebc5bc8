//! An index and visits that differ, and servers on their own threads.

use std::{net::SocketAddr, sync::Arc};

use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};
use smartlinks::{
    classify::Classifier,
    counters::Counters,
    domain::revision::Revision,
    index::{Record, Writer},
    live::{Live, Source},
    proto::link_resolver_server::{LinkResolver, LinkResolverServer},
    recorder::Recorder,
    rpc::{
        layers::{
            authentication::AuthenticationLayer,
            deadline::DeadlineLayer,
            metrics::{CallMetrics, MetricsLayer},
            panics,
            request_id::RequestIdLayer,
        },
        link_resolver::Resolver,
    },
    telemetry::metrics::Metrics,
    visitors::VisitorKeys,
};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    sync::watch,
};
use tonic::transport::{Server, server::TcpIncoming};
use tower::ServiceBuilder;

/// Different links, user agents, partners; primes, so that their combinations do not repeat soon.
pub(crate) const LINKS: usize = 2_003;
pub(crate) const AGENTS: usize = 1_009;
pub(crate) const PARTNERS: usize = 503;
/// Different visits that a generator sends in turn.
pub(crate) const VISITS: usize = 8_191;
/// The host of the shop.
pub(crate) const HOST: &str = "go.shop.example";

/// Returns a shop whose links have ten rules of mixed kinds each.
fn records() -> Vec<Record> {
    let shop = json!({"shop": {"shop": "shop", "revision": 1, "default_link": "home", "settings": {
        "base_url": "https://shop.example",
        "link_hosts": [HOST],
        "public_url": format!("https://{HOST}"),
        "partner_param": "ref",
        "click_id_param": "click_id",
    }}});
    let partners = (0..PARTNERS).map(|number| {
        let state = json!({"aliases": [], "program": format!("p{}", number % 7), "tags": ["t"], "active": true});
        json!({"partner": {"shop": "shop", "code": format!("partner{number}"), "revision": 1, "state": state}})
    });
    let links = (0..LINKS).map(|number| {
        json!({"link": {"shop": "shop", "slug": format!("link-{number}"), "revision": 1, "state": "active",
            "sharing": "everyone", "routing": {
                "default_destination": format!("pages/{number}?from=link"),
                "utm": {"source": "{partner}", "campaign": format!("c{number}")},
                "rules": rules(number),
        }}})
    });
    let all = std::iter::once(shop).chain(partners).chain(links);
    all.map(|json| serde_json::from_value(json).expect("records are sound")).collect()
}

fn rules(link: usize) -> Vec<Value> {
    let all = [
        json!({"is": {"device": ["tv"]}}),
        json!({"is": {"os": { "families": ["kai_os"] }}}),
        json!({"is": {"client_address": ["198.51.100.0/24"]}}),
        json!({"is": {"program": [format!("p{}", link % 7)]}}),
        json!({"all": [{"is": {"device": ["mobile"]}}, {"is": {"os": {"families": ["ios"], "versions": {"from": "17"}}}}]}),
        json!({"is": {"language": ["fr", "it"]}}),
        json!({"is": {"browser": { "families": ["firefox"] }}}),
        json!({"any": [{"is": {"device": ["tablet"]}}, {"is": {"partner": [format!("partner{}", link % PARTNERS)]}}]}),
        json!({"is": {"os": { "families": ["macos"] }}}),
        json!({"is": {"device": ["mobile"]}}),
    ];
    let rule = |(at, when)| json!({"id": format!("r{at}"), "when": when, "then": {"destination": format!("r{at}/{link}")}});
    all.into_iter().enumerate().map(rule).collect()
}

/// Returns the user agent with this number.
pub(crate) fn agent(number: usize) -> String {
    let version = 60 + number / 5 % 90;
    match number % 5 {
        0 => format!(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.{number}.0 Safari/537.36"
        ),
        1 => format!(
            "Mozilla/5.0 (X11; Linux x86_64; rv:{version}.{number}) Gecko/20100101 Firefox/{version}.{number}"
        ),
        2 => format!(
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_{number} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.{number} Mobile/15E148 Safari/604.1"
        ),
        3 => format!(
            "Mozilla/5.0 (Linux; Android 14; SM-{number}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.0.0 Mobile Safari/537.36"
        ),
        _ => format!(
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_{number}) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{version}.0 Safari/605.1.15"
        ),
    }
}

/// Returns the slug, the partner and the query of a visit.
pub(crate) fn target(number: usize) -> (String, String, String) {
    let (link, partner) = (number % LINKS, number % PARTNERS);
    (
        format!("link-{link}"),
        format!("partner{partner}"),
        format!("gclid=Cj0KCQ{number}&q=red+shoes&page={}", number % 9),
    )
}

/// Makes a resolver with its index that keeps no clicks.
pub(crate) fn resolver() -> Resolver {
    resolver_with(Recorder::ignoring(), &Metrics::new().0)
}

/// Makes a resolver with its index. Visitors are told from each other by the day, as they are if nothing else is set.
pub(crate) fn resolver_with(recorder: Recorder, metrics: &Metrics) -> Resolver {
    let keys = VisitorKeys::new(["the secret of a benchmark"]);
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let sealed = [today, today.tomorrow().expect("a day")].map(|day| keys.make(day).expect("a secret"));
    let records = records().into_iter().chain([Record::VisitorKeys(sealed.to_vec())]);
    let live = Live::new();
    live.publish(Writer::new().apply(records, Revision(1)), Source::Database);
    let (stop, stopped) = watch::channel(false);
    // The benchmark ends with the process.
    std::mem::forget(stop);
    let classifier = Arc::new(Classifier::default());
    Resolver::new(live, classifier, recorder, Counters::default(), Arc::new(keys), metrics, stopped)
}

/// Serves with every layer that the server has around its services.
pub(crate) fn serve_whole(address: &str, service: impl LinkResolver) -> SocketAddr {
    serve_whole_on(runtime(), address, service)
}

/// The same on a runtime that has other work too.
pub(crate) fn serve_whole_on(
    runtime: &'static Runtime,
    address: &str,
    service: impl LinkResolver,
) -> SocketAddr {
    let (_, mut registry) = Metrics::new();
    let layers = ServiceBuilder::new()
        .layer(RequestIdLayer)
        .layer(MetricsLayer::new(CallMetrics::register(&mut registry)))
        .map_response(|response: http::Response<_>| response.map(tonic::body::Body::new))
        .layer(panics::layer())
        .layer(DeadlineLayer)
        .layer(AuthenticationLayer::open());
    let service = LinkResolverServer::new(service);
    listen(runtime, address, |incoming| {
        Server::builder().layer(layers).add_service(service).serve_with_incoming(incoming)
    })
}

/// Makes as many threads as there are processors; they end with the process.
pub(crate) fn runtime() -> &'static Runtime {
    Box::leak(Box::new(Builder::new_multi_thread().enable_all().build().expect("a runtime")))
}

/// Serves on a runtime and returns where.
pub(crate) fn listen<F>(
    runtime: &'static Runtime,
    address: &str,
    serve: impl FnOnce(TcpIncoming) -> F,
) -> SocketAddr
where
    F: Future<Output = Result<(), tonic::transport::Error>> + Send + 'static,
{
    let listener = runtime.block_on(TcpListener::bind(address)).expect("a free port");
    let address = listener.local_addr().expect("an address");
    let _inside = runtime.enter();
    runtime.spawn(serve(TcpIncoming::from(listener).with_nodelay(Some(true))));
    address
}
