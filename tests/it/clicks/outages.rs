//! PostgreSQL away, servers killed, the local log full: what was answered is kept, or it is said.

use smartlinks::{
    config::{
        clicks::{Clicks, RecordSettings},
        serve::ServeSettings,
    },
    proto::Purpose,
    store::{Store, StoreConfig},
};
use tonic::Code;
use tonic_types::StatusExt;
use uuid::Uuid;

use super::world::{Program, World, click, free_address, visit};
use crate::{
    gateway::fixture::Door,
    support::{
        http::get,
        own_postgres::OwnPostgres,
        proxy::Proxy,
        server::{PATIENCE, TestServer, eventually, recording},
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn clicks_go_on_without_postgres_and_arrive_when_it_is_back() {
    let world = World::new().await;
    let proxy = Proxy::open(&world.database).await;
    let folder = tempfile::tempdir().unwrap();
    let server = world.serve(recording(proxy.url(), folder.path())).await;
    let mut ids = Vec::new();
    for round in 0..4 {
        if round % 2 == 1 {
            proxy.cut();
        }
        for _ in 0..100 {
            ids.push(click(&mut server.resolver()).await);
        }
        proxy.mend();
    }
    world.has_exactly(ids).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_server_has_every_click_that_it_answered() {
    let world = World::new().await;
    let proxy = Proxy::open(&world.database).await;
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let mut ids = Vec::new();
    for _ in 0..3 {
        let program = Program::serve(proxy.url(), folder.path(), address, world.revision).await;
        // Nothing can be shipped, so everything depends on the local log.
        proxy.cut();
        let mut resolver = program.resolver().await.unwrap();
        for _ in 0..50 {
            ids.push(click(&mut resolver).await);
        }
        program.kill();
        proxy.mend();
    }
    let program = Program::serve(proxy.url(), folder.path(), address, world.revision).await;
    world.has_exactly(ids).await;
    drop(program);
}

#[tokio::test(flavor = "multi_thread")]
async fn signal_to_stop_ships_what_is_left() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let program = Program::serve(world.database.url(), folder.path(), free_address(), world.revision).await;
    let mut resolver = program.resolver().await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..200 {
        ids.push(click(&mut resolver).await);
    }
    drop(resolver);
    assert!(program.terminate().success());
    assert_eq!(world.number("SELECT count(*) FROM clicks.click").await, 200);
    world.has_exactly(ids).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signal_to_stop_does_not_wait_for_postgres_and_the_next_start_ships() {
    let world = World::new().await;
    let proxy = Proxy::open(&world.database).await;
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let program = Program::serve(proxy.url(), folder.path(), address, world.revision).await;
    proxy.cut();
    let mut resolver = program.resolver().await.unwrap();
    let ids = vec![click(&mut resolver).await, click(&mut resolver).await];
    drop(resolver);
    assert!(program.terminate().success());
    assert_eq!(world.number("SELECT count(*) FROM clicks.click").await, 0);
    proxy.mend();
    let next = Program::serve(proxy.url(), folder.path(), address, world.revision).await;
    world.has_exactly(ids).await;
    drop(next);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_wait_for_the_disk_come() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let mut settings = recording(world.database.url(), folder.path());
    if let Clicks::Record(record) = &mut settings.clicks {
        record.sync_every = None;
    }
    let server = world.serve(settings).await;
    let door = Door::open(server.address()).await;
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(click(&mut server.resolver()).await);
        // Over a stream.
        let url = format!("http://{}/sale", door.address);
        let answer = get(&url, &[("host", "go.acme.example")]).await;
        ids.push(answer.header("location").split("click_id=").nth(1).unwrap().parse().unwrap());
    }
    let nowhere = server.resolver().resolve(visit("paused", Purpose::Click)).await.unwrap_err();
    assert_eq!(nowhere.code(), Code::NotFound);
    server.stop().await;
    assert_eq!(world.number("SELECT count(*) FROM clicks.click WHERE reason = 'paused'").await, 1);
    assert_eq!(world.number("SELECT count(*) FROM clicks.click").await, 41);
    let known = "SELECT count(*) FROM clicks.click WHERE id = ANY($1)";
    let rows = world.client.query_one(known, &[&ids]).await.unwrap();
    assert_eq!(rows.get::<_, i64>(0), 40);
}

/// A server with a log that a few clicks fill, PostgreSQL that can be cut, and metrics.
struct Narrow {
    world: World,
    proxy: Proxy,
    server: TestServer,
    metrics: String,
    _folder: tempfile::TempDir,
}

impl Narrow {
    async fn start(refuse_when_full: bool) -> Self {
        let world = World::new().await;
        let proxy = Proxy::open(&world.database).await;
        let folder = tempfile::tempdir().unwrap();
        let clicks = Clicks::Record(RecordSettings {
            segment_bytes: 4 * 1_024,
            limit_bytes: 16 * 1_024,
            refuse_when_full,
            ..RecordSettings::within(folder.path())
        });
        let metrics = free_address();
        let settings =
            ServeSettings { clicks, metrics_listen: Some(metrics), ..recording(proxy.url(), folder.path()) };
        let server = world.serve(settings).await;
        proxy.cut();
        let metrics = format!("http://{metrics}/metrics");
        Self { world, proxy, server, metrics, _folder: folder }
    }

    async fn metric(&self, name: &str) -> i64 {
        let page = get(&self.metrics, &[]).await.body;
        let line = page.lines().find_map(|line| line.strip_prefix(&format!("smartlinks_{name} ")));
        line.unwrap_or_else(|| panic!("{name} is not in {page}")).parse().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn full_log_answers_and_counts_what_it_does_not_keep() {
    let narrow = Narrow::start(false).await;
    for _ in 0..300 {
        click(&mut narrow.server.resolver()).await;
    }
    let (kept, lost) =
        (narrow.metric("clicks_recorded_total").await, narrow.metric("clicks_unrecorded_total").await);
    assert_eq!(kept + lost, 300);
    assert!(kept > 20 && lost > 20, "{kept} {lost}");
    eventually("a depth that is told", || async {
        (narrow.metric("spool_clicks").await == kept).then_some(())
    })
    .await;
    // There is room again when PostgreSQL is back.
    narrow.proxy.mend();
    narrow.world.has_clicks(kept).await;
    for _ in 0..10 {
        click(&mut narrow.server.resolver()).await;
    }
    narrow.world.has_clicks(kept + 10).await;
    assert_eq!(narrow.metric("clicks_unrecorded_total").await, lost);
    narrow.server.stop().await;
    narrow.world.adds_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn full_log_refuses_if_it_is_told_to() {
    let narrow = Narrow::start(true).await;
    let door = Door::open(narrow.server.address()).await;
    let mut ids = Vec::new();
    let refused = loop {
        match narrow.server.resolver().resolve(visit("sale", Purpose::Click)).await {
            Ok(answer) => ids.push(answer.into_inner().click_id.parse().unwrap()),
            Err(status) => break status,
        }
        assert!(ids.len() < 1_000, "the log is never full");
    };
    assert_eq!(refused.code(), Code::Unavailable);
    let details = refused.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "CLICK_LOG_FULL");
    assert!(details.retry_info().is_some());
    // Nobody is refused who only asks.
    narrow.server.resolver().resolve(visit("sale", Purpose::Lookup)).await.unwrap();
    let url = format!("http://{}/sale", door.address);
    let answer = get(&url, &[("host", "go.acme.example")]).await;
    assert_eq!(answer.status, 503);
    assert!(!answer.header("retry-after").is_empty());
    assert_eq!(narrow.metric("clicks_unrecorded_total").await, 0);
    assert_eq!(narrow.metric("clicks_refused_total").await, 2);
    narrow.proxy.mend();
    narrow.world.has_exactly(ids).await;
    assert_eq!(get(&url, &[("host", "go.acme.example")]).await.status, 302);
    narrow.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn standby_that_takes_over_begins_a_new_epoch_at_once() {
    let mut postgres = OwnPostgres::start(&[]).await;
    let config = StoreConfig {
        url: postgres.url().to_owned(),
        pool_size: 2,
        wait_timeout: PATIENCE,
        statement_timeout: PATIENCE,
        application_name: "smartlinks test".to_owned(),
    };
    Store::connect(&config).unwrap().migrate().await.unwrap();
    let epoch = async |postgres: &OwnPostgres| -> Uuid {
        let client = postgres.client().await;
        client.query_one("SELECT epoch FROM clicks.head", &[]).await.unwrap().get(0)
    };
    let before = epoch(&postgres).await;
    // Whoever connects to the same one changes nothing.
    drop(Store::connect(&config).unwrap().ingestor().await.unwrap());
    postgres.stop().await;
    postgres.start_again().await;
    Store::connect(&config).unwrap().click_standing().await.unwrap();
    assert_eq!(epoch(&postgres).await, before);
    postgres.stop().await;
    postgres.promote().await;
    // Who only reads must not go on from a position that stands for something else now.
    Store::connect(&config).unwrap().click_standing().await.unwrap();
    assert_ne!(epoch(&postgres).await, before);
    postgres.stop().await;
}
