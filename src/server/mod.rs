//! A server: store, feed, index, services, health and metrics, wired together and started and stopped as one.

mod clicks;
mod doctor;
mod geo;
mod health;

pub use clicks::ship;
pub use doctor::doctor;

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use tonic::{Status, transport::server::TcpIncoming};
use tower::ServiceBuilder;

use self::clicks::ClickLog;
use crate::{
    classify::{Classifier, user_agent::UserAgents},
    config::{
        Generations,
        serve::{Authentication, DatabaseSettings, ServeSettings},
    },
    counters::Counters,
    domain::split::SplitKey,
    feed::{Feed, FeedSettings},
    keeper,
    live::Live,
    proto::{self, ResolveRequest, link_resolver_server::LinkResolverServer},
    recorder::Recorder,
    roller::Roller,
    rpc::{
        click_stats::{ClickStatsService, StreamLimits},
        layers::{
            self,
            authentication::AuthenticationLayer,
            deadline::DeadlineLayer,
            metrics::{CallMetrics, MetricsLayer},
            request_id::RequestIdLayer,
            stopping::StoppingLayer,
        },
        link_admin::LinkAdminService,
        link_resolver::Resolver,
    },
    store::{Store, StoreConfig, StoreError},
    telemetry::{log::Causes, metrics::Metrics, metrics_server, signal::Signals},
    visitors::VisitorKeys,
};

/// Why a server does not start. Every text names the setting at fault.
#[derive(Debug)]
pub struct ServeError(String);

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ServeError {}

/// A running server.
pub struct Server {
    address: SocketAddr,
    live: Live,
    resolver: Resolver,
    /// Load balancers are told to go elsewhere.
    leave: watch::Sender<bool>,
    /// Callers are told, and nothing more is taken.
    stop: watch::Sender<bool>,
    clicks: Option<ClickLog>,
    tasks: JoinSet<()>,
    serving: JoinHandle<Result<(), tonic::transport::Error>>,
    stop_delay: Duration,
    drain: Duration,
}

/// Opens the database of these settings; makes no connection yet.
pub fn store(settings: &DatabaseSettings, name: &str) -> Result<Store, ServeError> {
    let config = StoreConfig {
        url: settings.url.expose().to_owned(),
        pool_size: settings.connections,
        wait_timeout: settings.wait,
        statement_timeout: settings.statement_timeout,
        application_name: name.to_owned(),
    };
    Store::connect(&config)
        .map_err(|error: StoreError| ServeError(format!("SMARTLINKS_DATABASE_URL: {}", Causes(&error))))
}

/// Brings the tables of these settings up to date.
pub async fn migrate(settings: &DatabaseSettings) -> Result<(), ServeError> {
    let migrated = store(settings, "smartlinks migrate")?.migrate().await;
    migrated
        .map_err(|error| ServeError(format!("SMARTLINKS_DATABASE_URL: cannot migrate: {}", Causes(&error))))
}

/// Runs a server until a signal to stop. A second one cuts the delay before the stop short.
pub async fn run(settings: ServeSettings, mut signals: Signals) -> Result<(), ServeError> {
    let server = Server::start(settings).await?;
    signals.next().await;
    server.stop(signals.next()).await;
    Ok(())
}

impl Server {
    /// Starts a server. It answers as soon as it has an index, from PostgreSQL or from its copy on disk.
    ///
    /// PostgreSQL may be away; a port in use, a country database that cannot be read and the like may not.
    pub async fn start(settings: ServeSettings) -> Result<Self, ServeError> {
        let store = store(&settings.database, "smartlinks serve")?;
        let (metrics, mut registry) = Metrics::new();
        let clicks = ClickLog::open(&settings.clicks)?;
        let geo = settings.geo_db.as_ref().map(geo::read).transpose();
        let geo = geo.map_err(|error| ServeError(format!("SMARTLINKS_GEO_DB: {error}")))?;
        let listener = bind("SMARTLINKS_LISTEN", settings.listen).await?;
        let metrics_listener = match settings.metrics_listen {
            Some(address) => Some(bind("SMARTLINKS_METRICS_LISTEN", address).await?),
            None => None,
        };
        let address = listener.local_addr();
        let address = address
            .map_err(|error| ServeError(format!("SMARTLINKS_LISTEN: cannot tell the port: {error}")))?;

        let (leave, leaving) = watch::channel(false);
        let (stop, stopping) = watch::channel(false);
        let live = Live::new();
        let classifier = Arc::new(Classifier::new(UserAgents::default(), geo));
        let (database, database_seen) = watch::channel(false);
        let (reporter, health_service) = tonic_health::server::health_reporter();
        health::begin(&reporter).await;

        let mut tasks = JoinSet::new();
        let split_secret = settings.split_secret.as_ref().map(|secret| SplitKey::of_secret(secret.expose()));
        let feed_settings = FeedSettings {
            poll_interval: settings.poll_interval,
            answer_timeout: settings.database.wait + settings.database.statement_timeout,
            compare_interval: settings.compare_interval,
            copy_folder: settings.state_dir.clone(),
            copy_interval: settings.copy_interval,
            split_key: split_secret,
        };
        let feed = Feed::new(store.clone(), live.clone(), metrics.clone(), feed_settings, database);
        tasks.spawn(feed.run(stopped(stopping.clone())));
        tasks.spawn(health::follow(reporter, live.clone(), database_seen, leaving));
        let roller = Roller::new(store.clone(), metrics.clone(), ROLL_INTERVAL);
        tasks.spawn(roller.run(stopping.clone()));
        let publishes = keeper::settle_publishes(store.clone(), metrics.clone(), stopped(stopping.clone()));
        tasks.spawn(publishes);
        if let Some(path) = settings.geo_db.clone() {
            tasks.spawn(geo::follow(path, Arc::clone(&classifier), stopping.clone()));
        }
        let counters = Counters::default();
        let recorder = match &clicks {
            Some(clicks) => clicks.start(&store, &live, &counters, &metrics, stopping.clone(), &mut tasks),
            None => Recorder::ignoring(),
        };
        let visitor_keys = settings.visitor_keys.iter().flat_map(Generations::iter);
        let visitor_keys = Arc::new(VisitorKeys::new(visitor_keys));
        if visitor_keys.has_secret() {
            let (store, metrics, keys) = (store.clone(), metrics.clone(), Arc::clone(&visitor_keys));
            tasks.spawn(keeper::keep_visitor_keys(store, metrics, keys, stopped(stopping.clone())));
        } else {
            tracing::warn!(
                "SMARTLINKS_VISITOR_KEY_FILE is not set: visitors of shops with the mode DAILY are unknown",
            );
        }
        let resolver = Resolver::new(
            live.clone(),
            Arc::clone(&classifier),
            recorder,
            counters,
            visitor_keys,
            &metrics,
            stopping.clone(),
        );
        let described = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let undescribed = |error| ServeError(format!("cannot describe the services: {error}"));
        let reflection = described().build_v1().map_err(undescribed)?;
        // What Python's and older tools ask for.
        let old_reflection = described().build_v1alpha().map_err(undescribed)?;
        let authentication = match &settings.authentication {
            Authentication::Anyone => AuthenticationLayer::open(),
            Authentication::Token(token) => AuthenticationLayer::with_token(token.expose()),
        };
        // From the outside in; `rpc::layers` says what each is for.
        let layers = ServiceBuilder::new()
            .layer(RequestIdLayer)
            .layer(MetricsLayer::new(CallMetrics::register(&mut registry)))
            // The layer that catches panics wraps every body in a type of its own.
            .map_response(|response: http::Response<_>| response.map(tonic::body::Body::new))
            .layer(layers::panics::layer())
            .layer(StoppingLayer::new(stopping.clone()))
            .layer(DeadlineLayer)
            .layer(authentication);
        if let Some(listener) = metrics_listener {
            tasks.spawn(metrics_server::run(listener, Arc::new(registry), stopped(stopping.clone())));
        }
        let stats = ClickStatsService::server(
            store.clone(),
            StreamLimits::default(),
            metrics.clone(),
            stopping.clone(),
        );
        let serving = tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .max_concurrent_streams(CONCURRENT_STREAMS)
            .layer(layers)
            .add_service(health_service)
            .add_service(reflection)
            .add_service(old_reflection)
            .add_service(LinkAdminService::server(store, classifier, split_secret, stopping.clone()))
            .add_service(LinkResolverServer::new(resolver.clone()))
            .add_service(stats)
            .serve_with_incoming_shutdown(
                TcpIncoming::from(listener).with_nodelay(Some(true)),
                stopped(stopping),
            );
        let serving = tokio::spawn(serving);
        tracing::info!(server.address = %address, "serving gRPC");
        let (stop_delay, drain) = (settings.stop_delay, settings.drain);
        Ok(Self { address, live, resolver, leave, stop, clicks, tasks, serving, stop_delay, drain })
    }

    /// Returns where gRPC is served.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the index in use.
    pub fn live(&self) -> &Live {
        &self.live
    }

    /// Answers and records a visit as if it had come at a time of the past: a sample has a past from the start.
    pub async fn visit_as_of(&self, visit: &ResolveRequest, time: Timestamp) -> Result<(), Status> {
        self.resolver.answer_as_of(visit, time).await.map(drop)
    }

    /// Stops in two steps. First health says that nothing is served, while everything still is, for the delay of the
    /// settings or until `hurry` resolves. Then the port is closed, streams are told to end, calls under way finish; then
    /// what is left of the clicks is shipped and the copy of the index is written; no longer than the drain time for each.
    pub async fn stop(mut self, hurry: impl Future<Output = ()>) {
        self.leave.send_replace(true);
        if !self.stop_delay.is_zero() && timeout(self.stop_delay, hurry).await.is_ok() {
            tracing::info!("stopping without further delay");
        }
        self.stop.send_replace(true);
        if timeout(self.drain, &mut self.serving).await.is_err() {
            tracing::warn!(drain = ?self.drain, "calls were still under way when the time was up");
            self.serving.abort();
        }
        if let Some(clicks) = &self.clicks {
            clicks.finish();
        }
        let rest = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(self.drain.max(LEAST_DRAIN), rest).await.is_err() {
            tracing::warn!("background work was still under way when the time was up");
        }
        self.tasks.shutdown().await;
        if let Some(clicks) = self.clicks {
            clicks.close().await;
        }
    }
}

/// How often a silent connection is asked whether its other end is still there, and how long that has to answer.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Calls of one connection at the same time.
const CONCURRENT_STREAMS: u32 = 1_024;

/// How often clicks that arrived are counted.
const ROLL_INTERVAL: Duration = Duration::from_millis(250);

/// What the copy of the index and the clicks get at the end, however short the drain time.
const LEAST_DRAIN: Duration = Duration::from_secs(1);

async fn bind(setting: &str, address: SocketAddr) -> Result<TcpListener, ServeError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| ServeError(format!("{setting}: cannot listen on {address}: {error}")))
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    // A sender that is gone cannot say stop any more: the server is gone too.
    let _ = stop.wait_for(|stop| *stop).await;
}
