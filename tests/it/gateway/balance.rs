//! Several servers behind one name: which of them is asked.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::join_all;
use smartlinks::{gateway::resolver::addresses::Servers, proto::link_resolver_server::LinkResolverServer};
use tokio::net::{TcpListener, lookup_host};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tower::util::MapRequestLayer;

use super::fixture::{Book, Door, PATIENCE, Times, Told};
use crate::{
    resolver::fixture::{Acme, Served, records},
    support::server::eventually,
};

/// Clicks so often, one after the other, and counts which server answered.
async fn answered_by(door: &Door, clicks: usize) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for _ in 0..clicks {
        let answer = door.get("/plain").await;
        assert_eq!(answer.status, 302);
        let name = answer.header("location").unwrap().to_owned();
        *counts.entry(name).or_default() += 1;
    }
    counts
}

const A: &str = "https://a.example/";
const B: &str = "https://b.example/";
const C: &str = "https://c.example/";

#[tokio::test]
async fn clicks_are_spread_over_all_servers() {
    let mut servers = Vec::new();
    for name in ["a", "b", "c"] {
        servers.push(Served::start(Told::named(name).0).await);
    }
    let addresses: Vec<_> = servers.iter().map(|server| server.address).collect();
    let (_book, found) = Book::with(&addresses);
    let door = Door::open_before(found, None, Times::default()).await;
    door.has_lanes("open", 3).await;
    assert_eq!(door.metric("resolver_addresses"), 3);
    let counts = answered_by(&door, 60).await;
    for name in [A, B, C] {
        assert!((15..=25).contains(&counts[name]), "{counts:?}");
    }
}

#[tokio::test]
async fn server_that_comes_gets_clicks_and_one_that_goes_answers_what_it_has() {
    let (told, mut items) = Told::new();
    let old = Served::start(told).await;
    let new = Served::start(Told::named("b").0).await;
    let (book, found) = Book::with(&[old.address]);
    let door = Door::open_before(found, None, Times::default()).await;
    door.has_lanes("open", 1).await;
    let clicked = door.get("/plain");
    tokio::pin!(clicked);
    let waiting = tokio::select! {
        item = items.recv() => item.unwrap(),
        answer = &mut clicked => panic!("nobody answered, and yet there is {answer:?}"),
    };
    book.write(Some(&[old.address, new.address]));
    door.has_lanes("open", 2).await;
    book.write(Some(&[new.address]));
    eventually("the old server is left", || async { (door.metric("resolver_addresses") == 1).then_some(()) })
        .await;
    door.has_lanes("open", 1).await;
    assert_eq!(answered_by(&door, 20).await[B], 20);
    assert!(items.try_recv().is_err(), "the server that is gone was asked");
    waiting.answer(A);
    assert_eq!(clicked.await.header("location"), Some(A));
}

#[tokio::test]
async fn server_whose_address_is_gone_is_asked_until_another_one_is_there() {
    let servers = [Served::start(Told::named("a").0).await, Served::start(Told::named("b").0).await];
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (book, found) = Book::with(&[servers[0].address]);
    let door = Door::open_before(found, None, Times::default()).await;
    door.has_lanes("open", 1).await;
    book.write(Some(&[nobody]));
    door.has_lanes("closed", 1).await;
    assert_eq!(answered_by(&door, 20).await[A], 20);
    assert_eq!(door.get("/-/readyz").await.status, 200);
    book.write(Some(&[nobody, servers[1].address]));
    while answered_by(&door, 1).await.contains_key(A) {}
    assert_eq!(answered_by(&door, 20).await[B], 20);
    door.has_lanes("open", 1).await;
    // One that ends is not opened again.
    book.write(Some(&[nobody]));
    eventually("the address is gone", || async { (door.metric("resolver_addresses") == 1).then_some(()) })
        .await;
    assert_eq!(answered_by(&door, 20).await[B], 20);
    let [_, last] = servers;
    last.kill().await;
    door.has_lanes("open", 0).await;
    assert_eq!(door.metric("resolver_lanes{state=\"closed\"}"), 1);
    assert_eq!(door.get("/plain").await.status, 503);
}

#[tokio::test]
async fn server_that_cannot_be_reached_is_looked_for_again() {
    let server = Served::start(Told::named("a").0).await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (book, found) = Book::read_every(Duration::from_secs(3_600), &[nobody]);
    let door = Door::open_before(found, None, Times::default()).await;
    door.has_lanes("closed", 1).await;
    book.write(Some(&[server.address]));
    door.is_ready().await;
}

#[tokio::test]
async fn look_up_that_fails_takes_nothing_away() {
    let server = Served::start(Told::named("a").0).await;
    let (book, found) = Book::with(&[server.address]);
    let door = Door::open_before(found, None, Times::default()).await;
    door.has_lanes("open", 1).await;
    for nothing in [None, Some(&[][..])] {
        book.write(nothing);
        assert_eq!(answered_by(&door, 20).await[A], 20);
    }
    let other = Served::start(Told::named("b").0).await;
    book.write(Some(&[other.address]));
    eventually("the other server", || async {
        (door.get("/plain").await.header("location") == Some(B)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn frozen_server_is_passed_over_until_it_answers_again() {
    let (frozen, _) = Told::named("a");
    let servers = [Served::start(frozen.clone()).await, Served::start(Told::named("b").0).await];
    let (_book, found) = Book::with(&servers.each_ref().map(|server| server.address));
    let door = Door::open_before(found, None, Times::default()).await;
    door.has_lanes("open", 2).await;
    frozen.freeze(true);
    let clicks = join_all((0..20).map(|_| door.get("/plain")));
    let meanwhile = async {
        door.has_lanes("silent", 1).await;
        // It has far less than half of what was asked, and gets nothing more.
        assert_eq!(answered_by(&door, 50).await[B], 50);
        assert_eq!(door.get("/-/readyz").await.status, 200);
        frozen.freeze(false);
    };
    let (answers, ()) = tokio::join!(clicks, meanwhile);
    // Who was unlucky was answered late: the lane was kept.
    assert!(answers.iter().all(|answer| answer.status == 302));
    door.has_lanes("open", 2).await;
    assert!(answered_by(&door, 20).await[A] >= 5);
    assert_eq!(door.metric("retries_total"), 0);
}

#[tokio::test]
async fn idle_server_that_freezes_is_noticed_without_a_click() {
    let (frozen, _) = Told::named("a");
    let servers = [Served::start(frozen.clone()).await, Served::start(Told::named("b").0).await];
    let (_book, found) = Book::with(&servers.each_ref().map(|server| server.address));
    let door = Door::open_before(found, None, Times::default()).await;
    door.has_lanes("open", 2).await;
    frozen.freeze(true);
    door.has_lanes("silent", 1).await;
    assert_eq!(answered_by(&door, 50).await[B], 50);
    frozen.freeze(false);
    door.has_lanes("open", 2).await;
}

#[tokio::test]
async fn if_all_are_silent_they_are_asked_all_the_same() {
    let (frozen, _) = Told::named("a");
    let server = Served::start(frozen.clone()).await;
    let door = Door::open(server.address).await;
    frozen.freeze(true);
    door.has_lanes("silent", 1).await;
    assert_eq!(door.get("/-/readyz").await.status, 503);
    let click = door.get("/plain");
    tokio::pin!(click);
    let early = tokio::time::timeout(Duration::from_millis(50), &mut click).await;
    assert!(early.is_err(), "it was refused: {early:?}");
    frozen.freeze(false);
    assert_eq!(click.await.status, 302);
    door.is_ready().await;
}

#[tokio::test]
async fn server_without_an_index_is_asked_for_nothing() {
    let (full, mut empty) = (Acme::new(), Acme::empty());
    let servers = [full.serve().await, empty.serve().await];
    let (_book, found) = Book::with(&servers.each_ref().map(|server| server.address));
    let door = Door::open_before(found, None, Times::default()).await;
    door.is_ready().await;
    for _ in 0..50 {
        assert_eq!(door.get("/plain").await.status, 302);
    }
    assert_eq!(door.metric("resolver_lanes{state=\"closed\"}"), 1);
    empty.publish(records(), 1);
    door.has_lanes("open", 2).await;
}

#[tokio::test]
async fn readiness_counts_no_visit() {
    let acme = Acme::new();
    let server = acme.serve().await;
    let door = Door::open(server.address).await;
    for _ in 0..10 {
        assert_eq!(door.get("/-/readyz").await.status, 200);
    }
    assert_eq!(acme.resolved("NOWHERE"), 0);
    assert_eq!(door.get("/plain").await.status, 302);
    assert_eq!(acme.resolved("DEFAULT"), 1);
}

#[tokio::test]
async fn name_stands_for_all_its_addresses_and_is_the_authority_of_every_call() {
    let authorities = Arc::new(Mutex::new(Vec::new()));
    let (told, _) = Told::named("a");
    let first = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = first.local_addr().unwrap().port();
    let mut addresses: Vec<SocketAddr> = lookup_host(("localhost", port)).await.unwrap().collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert!(addresses.contains(&first.local_addr().unwrap()), "{addresses:?}");
    let mut listeners = vec![first];
    for address in addresses.iter().filter(|address| address.is_ipv6()) {
        listeners.push(TcpListener::bind(address).await.unwrap());
    }
    let count = i64::try_from(listeners.len()).unwrap();
    for listener in listeners {
        let seen = Arc::clone(&authorities);
        let layer = MapRequestLayer::new(move |request: http::Request<_>| {
            seen.lock().unwrap().push(request.uri().authority().map(ToString::to_string));
            request
        });
        let server = Server::builder().layer(layer).add_service(LinkResolverServer::new(told.clone()));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    }
    let url = format!("http://localhost:{port}").parse().unwrap();
    let door = Door::open_before(Servers::start(&[url], PATIENCE), None, Times::default()).await;
    door.has_lanes("open", count).await;
    assert_eq!(answered_by(&door, 10).await[A], 10);
    let seen = authorities.lock().unwrap().clone();
    assert_eq!(seen.len(), usize::try_from(count).unwrap());
    assert!(seen.iter().all(|authority| *authority == Some(format!("localhost:{port}"))), "{seen:?}");
}
