//! Shops whose clicks are recorded, servers that are other processes, and what stands in PostgreSQL.

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, ExitStatus},
    time::{Duration, Instant},
};

use smartlinks::proto::{
    CreateLinkRequest, CreateShopRequest, DeleteLinkRequest, Link, PauseLinkRequest, Purpose, ResolveRequest,
    Shop, click_stats_client::ClickStatsClient, link_resolver_client::LinkResolverClient,
    resolve_request::Site,
};
use tokio_postgres::Client;
use tonic::transport::Channel;
use uuid::Uuid;

use super::rolling::number;
use crate::{
    admin::fixture::{create_link, create_partner, create_program, link, partner, rule, selected, shop},
    support::{
        database::Database,
        server::{PATIENCE, TestServer, eventually},
    },
};

/// Two shops, `acme` without and `bravo` with a fallback, and a connection past all servers.
pub(super) struct World {
    pub(super) database: Database,
    pub(super) client: Client,
    /// The revision of the last write.
    pub(super) revision: i64,
}

impl World {
    pub(super) async fn new() -> Self {
        let database = Database::create().await;
        let revision = furnish(database.url()).await;
        let client = database.client().await;
        Self { database, client, revision }
    }

    /// Starts a server in this process and waits for its index.
    pub(super) async fn serve(&self, settings: smartlinks::config::serve::ServeSettings) -> TestServer {
        let server = TestServer::start(settings).await;
        server.wait_for(self.revision).await;
        server
    }

    /// Returns a number that PostgreSQL says.
    pub(super) async fn number(&self, query: &str) -> i64 {
        number(&self.client, query).await
    }

    /// Waits until there are so many clicks.
    pub(super) async fn has_clicks(&self, count: i64) {
        eventually(&format!("{count} clicks"), || async {
            (self.number("SELECT count(*) FROM clicks.click").await >= count).then_some(())
        })
        .await;
        assert_eq!(self.number("SELECT count(*) FROM clicks.click").await, count);
    }

    /// Checks that exactly these clicks are there, each once, and that the ledger proves it.
    pub(super) async fn has_exactly(&self, mut ids: Vec<Uuid>) {
        self.has_clicks(i64::try_from(ids.len()).unwrap()).await;
        let rows = self.client.query("SELECT id FROM clicks.click ORDER BY id", &[]).await.unwrap();
        ids.sort_unstable();
        assert_eq!(rows.iter().map(|row| row.get(0)).collect::<Vec<Uuid>>(), ids);
        self.adds_up().await;
    }

    /// Checks what the ledger promises of its sums.
    pub(super) async fn adds_up(&self) {
        adds_up(&self.client).await;
    }
}

/// Checks what the ledger of a database promises of its sums.
pub(super) async fn adds_up(client: &Client) {
    let sums = "SELECT count(*) FROM clicks.ledger WHERE delivered <> applied + duplicates + rejected";
    assert_eq!(number(client, sums).await, 0);
    let present = number(client, "SELECT count(*) FROM clicks.click").await;
    assert_eq!(number(client, "SELECT sum(applied) - sum(removed) FROM clicks.ledger").await, present);
    let rejected = number(client, "SELECT count(*) FROM clicks.rejected").await;
    assert_eq!(number(client, "SELECT sum(rejected) FROM clicks.ledger").await, rejected);
    let gaps = "SELECT max(position) - count(*) FROM clicks.ledger";
    assert_eq!(number(client, gaps).await, 0, "positions have no gaps");
}

/// Makes the shops in an empty database, and returns the revision of the last write.
pub(super) async fn furnish(database_url: &str) -> i64 {
    let server = TestServer::ready(database_url).await;
    let mut admin = server.admin();
    for shop in [shop("acme"), Shop { fallback_url: "https://bravo.example/sorry".into(), ..shop("bravo") }] {
        let request = CreateShopRequest { shop: Some(shop), ..Default::default() };
        admin.create_shop(request).await.unwrap();
    }
    create_program(&mut admin, "gold").await;
    create_partner(&mut admin, "anna", "gold").await;
    create_partner(&mut admin, "bert", "").await;
    let asleep = smartlinks::proto::Partner { active: Some(false), ..partner("carl", "") };
    let asleep = smartlinks::proto::CreatePartnerRequest { partner: Some(asleep), ..Default::default() };
    admin.create_partner(asleep).await.unwrap();
    let time = |text: &str| {
        let time: jiff::Timestamp = text.parse().unwrap();
        Some(prost_types::Timestamp { seconds: time.as_second(), nanos: 0 })
    };
    for link in [
        Link { rules: vec![rule("german", "DE")], ..link("sale") },
        Link { sharing: Some(selected(&[], &["gold"])), ..link("gold") },
        Link { start_time: time("2999-01-01T00:00:00Z"), ..link("early") },
        Link { expire_time: time("2020-01-01T00:00:00Z"), ..link("over") },
        Link {
            expire_time: time("2020-01-01T00:00:00Z"),
            expired_destination: Some("too/late".into()),
            ..link("late")
        },
        link("paused"),
        link("deleted"),
    ] {
        create_link(&mut admin, link).await;
    }
    let (shop, slug) = ("acme".to_owned(), "paused".to_owned());
    admin.pause_link(PauseLinkRequest { shop, slug, ..Default::default() }).await.unwrap();
    let (shop, slug) = ("acme".to_owned(), "deleted".to_owned());
    admin.delete_link(DeleteLinkRequest { shop, slug, ..Default::default() }).await.unwrap();
    let last = Link { shop: "bravo".into(), ..link("sale") };
    let request = CreateLinkRequest { link: Some(last), ..Default::default() };
    let revision = admin.create_link(request).await.unwrap().into_inner().revision;
    server.stop().await;
    revision
}

/// Returns a visit to a link of `acme`.
pub(super) fn visit(slug: &str, purpose: Purpose) -> ResolveRequest {
    ResolveRequest {
        purpose: purpose.into(),
        site: Some(Site::Host("go.acme.example".to_owned())),
        slug: slug.to_owned(),
        ..ResolveRequest::default()
    }
}

/// Clicks on `sale` and returns the id.
pub(super) async fn click(resolver: &mut LinkResolverClient<Channel>) -> Uuid {
    let answer = resolver.resolve(visit("sale", Purpose::Click)).await.unwrap().into_inner();
    answer.click_id.parse().unwrap()
}

/// Returns an address that is free now.
pub(super) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A server that is a process of its own.
pub(super) struct Program {
    child: Child,
    pub(super) address: SocketAddr,
}

impl Program {
    /// Starts a server and waits until it has this revision.
    pub(super) async fn serve(
        database_url: &str,
        state_dir: &Path,
        address: SocketAddr,
        revision: i64,
    ) -> Self {
        Self::serve_with(
            database_url,
            state_dir,
            address,
            revision,
            &["--metrics-listen", "", "--drain", "1s"],
        )
        .await
    }

    /// Starts a server with further flags and waits until it has this revision.
    pub(super) async fn serve_with(
        database_url: &str,
        state_dir: &Path,
        address: SocketAddr,
        revision: i64,
        flags: &[&str],
    ) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_smartlinks"))
            .args(["serve", "--poll-interval", "100ms", "--log", "error"])
            .args(["--database-url", database_url, "--listen", &address.to_string(), "--state-dir"])
            .arg(state_dir)
            .args(flags)
            .spawn()
            .unwrap();
        let program = Self { child, address };
        eventually("a server that is ready", || async {
            let mut resolver = program.resolver().await?;
            let asked = ResolveRequest { min_revision: revision, ..visit("sale", Purpose::Lookup) };
            resolver.resolve(asked).await.ok()
        })
        .await;
        program
    }

    /// Connects, if there is somebody.
    pub(super) async fn resolver(&self) -> Option<LinkResolverClient<Channel>> {
        LinkResolverClient::connect(format!("http://{}", self.address)).await.ok()
    }

    /// Connects to the service of statistics.
    pub(super) async fn stats(&self) -> ClickStatsClient<Channel> {
        ClickStatsClient::connect(format!("http://{}", self.address)).await.unwrap()
    }

    /// Ends the process with SIGKILL.
    pub(super) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends the process as a system that stops does, and waits for it.
    pub(super) fn terminate(mut self) -> ExitStatus {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < PATIENCE, "it did not stop");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // A test that failed must not leave it behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
