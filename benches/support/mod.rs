//! What the benchmarks share: an index and visits that differ, servers on their own threads, and figures.

use std::{fs, net::SocketAddr, sync::Arc, thread, time::Duration};

use serde_json::{Value, json};
use smartlinks::{
    classify::Classifier,
    domain::revision::Revision,
    index::{Record, Writer},
    live::{Live, Source},
    proto::link_resolver_server::{LinkResolver, LinkResolverServer},
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
};
use tokio::{net::TcpListener, runtime, sync::watch};
use tonic::transport::{Server, server::TcpIncoming};
use tower::ServiceBuilder;

/// Different links, user agents, partners; primes, so that their combinations do not repeat soon.
pub(crate) const LINKS: usize = 2_003;
pub(crate) const AGENTS: usize = 1_009;
pub(crate) const PARTNERS: usize = 503;
/// Different visits that a generator sends in turn.
pub(crate) const VISITS: usize = 8_191;
/// Every round of a row lasts so long.
pub(crate) const ROUND: Duration = Duration::from_secs(2);
/// Rounds; the median counts.
pub(crate) const ROUNDS: usize = 7;

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

/// Makes the resolver with its index.
pub(crate) fn resolver() -> Resolver {
    let live = Live::new();
    live.publish(Writer::new().apply(records(), Revision(1)), Source::Database);
    let (stop, stopped) = watch::channel(false);
    // The benchmark ends with the process.
    std::mem::forget(stop);
    Resolver::new(live, Arc::new(Classifier::default()), &Metrics::new().0, stopped)
}

/// Serves with every layer that the server has around its services.
pub(crate) fn serve_whole(service: impl LinkResolver) -> SocketAddr {
    let (_, mut registry) = Metrics::new();
    let layers = ServiceBuilder::new()
        .layer(RequestIdLayer)
        .layer(MetricsLayer::new(CallMetrics::register(&mut registry)))
        .map_response(|response: http::Response<_>| response.map(tonic::body::Body::new))
        .layer(panics::layer())
        .layer(DeadlineLayer)
        .layer(AuthenticationLayer::open());
    let service = LinkResolverServer::new(service);
    listen(|incoming| Server::builder().layer(layers).add_service(service).serve_with_incoming(incoming))
}

/// Listens on as many threads as there are processors, and returns where.
pub(crate) fn listen<F>(serve: impl FnOnce(TcpIncoming) -> F) -> SocketAddr
where
    F: Future<Output = Result<(), tonic::transport::Error>> + Send + 'static,
{
    let runtime = runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
    let address = listener.local_addr().expect("an address");
    let serving = serve(TcpIncoming::from(listener).with_nodelay(Some(true)));
    thread::spawn(move || runtime.block_on(serving));
    address
}

/// What one round of a row measured.
pub(crate) struct Round {
    pub(crate) per_second: f64,
    /// Latencies at 50, 99 and 99.9 %.
    pub(crate) latency: [Duration; 3],
    /// The generator's part of the processor time that was used on the machine.
    pub(crate) generator: f64,
}

impl Round {
    /// Makes figures of the latencies of all answers.
    pub(crate) fn of(mut nanos: Vec<u64>, took: Duration, generator: f64) -> Self {
        assert!(!nanos.is_empty(), "nothing was answered");
        nanos.sort_unstable();
        let at = |share: f64| {
            let place = (nanos.len() as f64 * share) as usize;
            Duration::from_nanos(nanos[place.min(nanos.len() - 1)])
        };
        let latency = [at(0.5), at(0.99), at(0.999)];
        Self { per_second: nanos.len() as f64 / took.as_secs_f64(), latency, generator }
    }
}

/// Measures what processor time this thread takes of all that is used on the machine.
pub(crate) struct Clock {
    thread: u64,
    machine: u64,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { thread: thread_nanos(), machine: machine_nanos() }
    }

    pub(crate) fn share(&self) -> f64 {
        (thread_nanos() - self.thread) as f64 / (machine_nanos() - self.machine).max(1) as f64
    }
}

fn thread_nanos() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or_default()
}

/// Returns busy time of all processors, from ticks of a hundredth of a second.
fn machine_nanos() -> u64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks: Vec<u64> =
        text.lines().next().unwrap_or_default().split_whitespace().skip(1).flat_map(str::parse).collect();
    let busy = |at: usize| ticks.get(at).copied().unwrap_or_default();
    // user, nice, system, irq, softirq
    (busy(0) + busy(1) + busy(2) + busy(5) + busy(6)) * 10_000_000
}

/// A row of a table: its rounds.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) rounds: Vec<Round>,
}

impl Row {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, rounds: Vec::new() }
    }

    /// Returns the median of a figure over the rounds.
    fn median(&self, figure: impl Fn(&Round) -> f64) -> f64 {
        let mut all: Vec<_> = self.rounds.iter().map(figure).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.median(|round| round.per_second)
    }

    pub(crate) fn latency(&self, at: usize) -> f64 {
        self.median(|round| round.latency[at].as_secs_f64() * 1e6)
    }
}

/// Prints rows with their spread.
pub(crate) fn print(title: &str, rows: &[Row]) {
    println!("\n{title}; median of {ROUNDS} rounds of {ROUND:?}, interleaved");
    println!(
        "{:<34} {:>9} {:>19} {:>9} {:>9} {:>9} {:>10}",
        "", "per s", "least – most", "p50 µs", "p99 µs", "p99.9 µs", "generator"
    );
    for row in rows {
        let all = || row.rounds.iter().map(|round| round.per_second);
        let (least, most) = (all().fold(f64::MAX, f64::min), all().fold(0.0, f64::max));
        println!(
            "{:<34} {:>9.0} {:>9.0} – {:<7.0} {:>9.0} {:>9.0} {:>9.0} {:>8.0} %",
            row.name,
            row.per_second(),
            least,
            most,
            row.latency(0),
            row.latency(1),
            row.latency(2),
            row.median(|round| round.generator) * 100.0,
        );
    }
}

/// Prints how a row stands to another: throughput and p99, round by round, since both ran in the same moments.
pub(crate) fn compare(row: &Row, against: &Row, wanted: &str) {
    let ratio = |figure: &dyn Fn(&Round) -> f64| {
        let pairs = row.rounds.iter().zip(&against.rounds);
        let mut all: Vec<_> = pairs.map(|(round, other)| figure(round) / figure(other)).collect();
        all.sort_by(f64::total_cmp);
        (all[all.len() / 2], all[0], all[all.len() - 1])
    };
    let (middle, least, most) = ratio(&|round| round.per_second);
    let (p99, ..) = ratio(&|round| round.latency[1].as_secs_f64());
    println!(
        "{} / {}: {middle:.2} × ({least:.2} – {most:.2}), p99 {p99:.2} ×; wanted: {wanted}",
        row.name, against.name
    );
}
