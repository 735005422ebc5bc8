//! A real server on a port of its own, with clients.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use smartlinks::{
    config::{
        LogFormat, Secret,
        clicks::{Clicks, RecordSettings},
        serve::{Authentication, DatabaseSettings, ServeSettings},
    },
    domain::revision::Revision,
    proto::{
        click_stats_client::ClickStatsClient, link_admin_client::LinkAdminClient,
        link_resolver_client::LinkResolverClient,
    },
    server::Server,
};
use tonic::transport::{Channel, Endpoint};

use super::database::Database;

/// How long anything is waited for before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A server of a test.
pub(crate) struct TestServer {
    server: Server,
    channel: Channel,
}

/// Returns settings for a test: any port, no metrics, everything often.
pub(crate) fn settings(database_url: &str) -> ServeSettings {
    ServeSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        metrics_listen: None,
        database: DatabaseSettings {
            url: Secret::new(database_url),
            connections: 8,
            wait: Duration::from_secs(2),
            statement_timeout: Duration::from_secs(10),
        },
        authentication: Authentication::Anyone,
        geo_db: None,
        visitor_keys: None,
        split_secret: None,
        state_dir: None,
        clicks: Clicks::Ignore,
        copy_interval: Duration::from_secs(3_600),
        poll_interval: Duration::from_millis(200),
        compare_interval: Duration::from_secs(3_600),
        stop_delay: Duration::ZERO,
        drain: Duration::from_secs(5),
        log_format: LogFormat::Text,
    }
}

/// Returns settings for a test that records clicks in this folder.
pub(crate) fn recording(database_url: &str, folder: &Path) -> ServeSettings {
    let clicks = Clicks::Record(RecordSettings {
        // Small files, so that there are several.
        segment_bytes: 64 * 1_024,
        limit_bytes: 64 * 1_024 * 1_024,
        ..RecordSettings::within(folder)
    });
    ServeSettings { state_dir: Some(folder.to_owned()), clicks, ..settings(database_url) }
}

impl TestServer {
    /// Waits until the index holds the keys of so many days.
    pub(crate) async fn has_visitor_keys(&self, count: usize) {
        eventually(&format!("the keys of {count} days"), || async {
            let snapshot = self.server.live().snapshot()?;
            (snapshot.visitor_keys().len() == count).then_some(())
        })
        .await;
    }

    /// Starts a server; it may not have an index yet.
    pub(crate) async fn start(settings: ServeSettings) -> Self {
        let server = Server::start(settings).await.unwrap();
        let endpoint = Endpoint::from_shared(format!("http://{}", server.address())).unwrap();
        Self { channel: endpoint.connect().await.unwrap(), server }
    }

    /// Starts a server on a database and waits for its index.
    pub(crate) async fn ready(database_url: &str) -> Self {
        let server = Self::start(settings(database_url)).await;
        server.wait_for(0).await;
        server
    }

    /// Starts a server with a folder for its copy.
    pub(crate) async fn with_copy(database_url: &str, folder: PathBuf) -> Self {
        let settings = ServeSettings { state_dir: Some(folder), ..settings(database_url) };
        let server = Self::start(settings).await;
        server.wait_for(0).await;
        server
    }

    /// Waits until the index holds a revision.
    pub(crate) async fn wait_for(&self, revision: i64) {
        self.server.live().wait_for(Revision(revision), PATIENCE).await.unwrap();
    }

    /// Returns the index in use.
    pub(crate) fn snapshot(&self) -> std::sync::Arc<smartlinks::index::Snapshot> {
        self.server.live().snapshot().unwrap()
    }

    /// Returns where it listens, for clients that are other programs.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Returns the connection, for clients of other services.
    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Returns a client of the admin service.
    pub(crate) fn admin(&self) -> LinkAdminClient<Channel> {
        LinkAdminClient::new(self.channel.clone())
    }

    /// Returns a client of the resolver.
    pub(crate) fn resolver(&self) -> LinkResolverClient<Channel> {
        LinkResolverClient::new(self.channel.clone())
    }

    /// Returns a client of the service of statistics.
    pub(crate) fn stats(&self) -> ClickStatsClient<Channel> {
        ClickStatsClient::new(self.channel.clone())
    }

    /// Returns where it is served.
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Stops the server as SIGTERM does.
    pub(crate) async fn stop(self) {
        self.stop_when(std::future::pending()).await;
    }

    /// Stops the server as SIGTERM does; `hurry` is the second signal.
    pub(crate) async fn stop_when(self, hurry: impl Future<Output = ()>) {
        self.server.stop(hurry).await;
    }
}

/// Asks again and again until the answer is there; a test that waits too long fails.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut ask: impl FnMut() -> F,
) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(began.elapsed() < PATIENCE, "waited in vain for: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Runs statements past the service, as nobody should.
pub(crate) async fn execute(database: &Database, statements: &str) {
    database.client().await.batch_execute(statements).await.unwrap();
}
