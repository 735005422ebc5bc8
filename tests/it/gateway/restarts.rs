//! Servers are stopped and started while clicks go on.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use tokio::task::JoinSet;

use super::fixture::{Book, Door, Times};
use crate::{
    resolver::fixture::{Acme, Served},
    support::server::eventually,
};

/// Browsers that click without a pause.
struct Load {
    stop: Arc<AtomicBool>,
    clicks: Arc<AtomicUsize>,
    browsers: JoinSet<()>,
}

impl Load {
    fn start(door: &Arc<Door>) -> Self {
        let (stop, clicks) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut browsers = JoinSet::new();
        for _ in 0..8 {
            let (door, stop, clicks) = (Arc::clone(door), Arc::clone(&stop), Arc::clone(&clicks));
            browsers.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(door.get("/plain").await.status, 302, "a click was lost");
                    clicks.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        Self { stop, clicks, browsers }
    }

    /// Waits for further clicks.
    async fn goes_on(&self) {
        let seen = self.clicks.load(Ordering::Relaxed);
        let more = || async { (self.clicks.load(Ordering::Relaxed) > seen + 50).then_some(()) };
        eventually("more clicks", more).await;
    }

    async fn end(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.browsers.join_next().await {
            ended.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rolling_restart_loses_no_click() {
    let mut running = Vec::new();
    for _ in 0..2 {
        let acme = Acme::new();
        let server = acme.serve().await;
        running.push((acme, server));
    }
    // Who looks at the stop while there is no stream.
    let idle = running[0].0.stop.receiver_count();
    let addresses: Vec<_> = running.iter().map(|(_, server)| server.address).collect();
    let (_book, found) = Book::with(&addresses);
    let door = Arc::new(Door::open_before(found, None, Times::default()).await);
    door.has_lanes("open", 2).await;
    let load = Load::start(&door);
    for round in 0..6 {
        load.goes_on().await;
        let (acme, server) = running.remove(0);
        acme.stop.send_replace(true);
        door.has_lanes("closed", 1).await;
        load.goes_on().await;
        let address = server.address;
        // Nobody holds its streams open any more: all were answered and have ended.
        eventually("its streams have ended", || async { (acme.stop.receiver_count() <= idle).then_some(()) })
            .await;
        server.kill().await;
        let acme = Acme::new();
        let server = Served::start_at(acme.service.clone(), address).await;
        running.push((acme, server));
        door.has_lanes("open", 2).await;
        let resolved = || async { (running[1].0.resolved("DEFAULT") > 0).then_some(()) };
        eventually(&format!("clicks at the new server of round {round}"), resolved).await;
    }
    load.end().await;
    assert_eq!(door.metric("requests_total{status=\"503\"}"), 0);
}

#[tokio::test]
async fn without_any_server_clicks_are_refused_at_once_and_work_again_later() {
    let acme = Acme::new();
    let servers = [acme.serve().await, acme.serve().await];
    let addresses = servers.each_ref().map(|server| server.address);
    let (_book, found) = Book::with(&addresses);
    let door = Door::open_before(found, None, Times::default()).await;
    door.has_lanes("open", 2).await;
    for server in servers {
        server.kill().await;
    }
    door.has_lanes("closed", 2).await;
    let begun = std::time::Instant::now();
    let answer = door.get("/plain").await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    assert!(begun.elapsed() < super::fixture::PATIENCE, "it waited for its time to pass");
    assert_eq!(door.get("/-/readyz").await.status, 503);
    assert!(door.metric("not_answered_total{reason=\"DOWN\"}") >= 1);
    let again = Served::start_at(acme.service.clone(), addresses[1]).await;
    door.is_ready().await;
    assert_eq!(door.get("/plain").await.status, 302);
    drop(again);
}
