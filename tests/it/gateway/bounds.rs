//! What is bounded: targets, heads, silence, connections, waiting, stopping.

use std::{net::SocketAddr, thread, time::Duration};

use clap::Parser;
use futures_util::future::try_join_all;
use smartlinks::{
    config::gateway::GatewayArgs,
    gateway::{Gateway, GatewayError},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};

use super::fixture::{Door, PATIENCE, Times, Told};
use crate::resolver::fixture::{Acme, HOST, Served};

const SHORT: Duration = Duration::from_millis(50);

fn head(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nhost: {HOST}\r\n\r\n")
}

#[tokio::test]
async fn long_target_is_414() {
    let acme = Acme::new();
    let server = acme.serve().await;
    let door = Door::open(server.address).await;
    let longest = format!("/plain?{}", "a".repeat(8_192 - 7));
    assert_eq!(door.get(&longest).await.status, 302);
    assert_eq!(door.get(&format!("{longest}a")).await.status, 414);
    assert_eq!(door.get(&format!("/plain?{}", "a".repeat(30_000))).await.status, 414);
}

#[tokio::test]
async fn long_referer_costs_no_visitor_the_page() {
    let acme = Acme::new();
    let server = acme.serve().await;
    let door = Door::open(server.address).await;
    let referer = format!("referer: https://a.example/{}\r\n", "x".repeat(10_000));
    assert_eq!(door.ask("GET", "/plain", &referer).await.status, 302);
}

#[tokio::test]
async fn endless_head_is_refused() {
    let acme = Acme::new();
    let server = acme.serve().await;
    let door = Door::open(server.address).await;
    let many = "a: b\r\n".repeat(200);
    assert_eq!(door.ask("GET", "/plain", &many).await.status, 431);
    let long = format!("a: {}\r\n", "x".repeat(64 * 1_024));
    assert_eq!(door.ask("GET", "/plain", &long).await.status, 431);
}

#[tokio::test]
async fn silent_connection_is_closed() {
    let acme = Acme::new();
    let server = acme.serve().await;
    let times = Times { idle: SHORT, ..Times::default() };
    let door = Door::open_with(server.address, times).await;
    // Nothing, half a head, half of what HTTP/2 begins with, and HTTP/2 that asks nothing.
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0";
    for begin in ["", "GET /plain HT", "PRI * HTTP/2", preface] {
        let mut browser = door.connect().await;
        browser.send(begin).await;
        browser.rest().await;
    }
}

#[tokio::test]
async fn connection_that_asked_is_kept_and_then_closed() {
    let acme = Acme::new();
    let server = acme.serve().await;
    // Long enough that the second request is in time on a busy machine.
    let times = Times { idle: Duration::from_secs(2), ..Times::default() };
    let door = Door::open_with(server.address, times).await;
    door.is_ready().await;
    let mut browser = door.connect().await;
    for _ in 0..2 {
        browser.send(head("/plain")).await;
        assert_eq!(browser.answer_without_body().await.status, 302);
    }
    assert_eq!(browser.rest().await, b"");
}

#[tokio::test]
async fn connection_beyond_the_limit_waits_for_a_place() {
    let acme = Acme::new();
    let server = acme.serve().await;
    let times = Times { connections: 1, ..Times::default() };
    let door = Door::open_with(server.address, times).await;
    door.is_ready().await;
    let mut first = door.connect().await;
    first.send(head("/plain")).await;
    assert_eq!(first.answer_without_body().await.status, 302);
    let mut second = door.connect().await;
    second.send(head("/plain")).await;
    {
        let answer = std::pin::pin!(second.answer_without_body());
        assert!(timeout(SHORT, answer).await.is_err(), "there was no place");
    }
    drop(first);
    assert_eq!(second.answer_without_body().await.status, 302);
}

#[tokio::test]
async fn click_without_an_answer_is_503_in_time() {
    let (told, mut items) = Told::new();
    let server = Served::start(told).await;
    let times = Times { request: SHORT, ..Times::default() };
    let door = Door::open_with(server.address, times).await;
    let asking = async {
        while items.try_recv().is_err() {
            assert_eq!(door.get("/plain").await.status, 503)
        }
    };
    timeout(PATIENCE, asking).await.unwrap();
}

#[tokio::test]
async fn stopping_gateway_finishes_what_was_asked() {
    let (told, mut items) = Told::new();
    let server = Served::start(told).await;
    let door = Door::open_with(server.address, Times::default()).await;
    let mut idle = door.connect().await;
    let mut browser = door.connect().await;
    let asking = async {
        loop {
            browser.send(head("/plain")).await;
            let answer = tokio::select! {
                item = items.recv() => return item.unwrap(),
                answer = browser.answer_without_body() => answer,
            };
            assert_eq!(answer.status, 503);
            browser = door.connect().await;
        }
    };
    let item = timeout(PATIENCE, asking).await.unwrap();
    door.stop.send_replace(true);
    assert_eq!(idle.rest().await, b"");
    item.answer("https://shop.example/");
    let answer = browser.last_answer().await;
    assert_eq!((answer.status, answer.header("location")), (302, Some("https://shop.example/")));
    timeout(PATIENCE, door.server).await.expect("the gateway did not stop").unwrap();
    assert!(TcpStream::connect(door.address).await.is_err());
}

#[tokio::test]
async fn stopping_is_bounded() {
    let (told, mut items) = Told::new();
    let server = Served::start(told).await;
    let times = Times { drain: SHORT, ..Times::default() };
    let door = Door::open_with(server.address, times).await;
    let mut browser = door.connect().await;
    let asking = async {
        while items.try_recv().is_err() {
            browser = door.connect().await;
            browser.send(head("/plain")).await;
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, asking).await.unwrap();
    door.stop.send_replace(true);
    timeout(PATIENCE, door.server).await.expect("the gateway did not stop").unwrap();
    assert_eq!(browser.rest().await, b"", "the connection was not cut");
}

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    args: GatewayArgs,
}

fn gateway(listen: SocketAddr, resolver: SocketAddr) -> Result<Gateway, GatewayError> {
    let (listen, resolver) = (format!("--listen={listen}"), format!("--resolver=http://{resolver}"));
    let flags = ["gateway", &listen, &resolver, "--workers=3"];
    Gateway::bind(Command::parse_from(flags).args.read().unwrap())
}

#[tokio::test]
async fn every_worker_answers_and_stops() {
    let acme = Acme::new();
    let server = acme.serve().await;
    let gateway = gateway("127.0.0.1:0".parse().unwrap(), server.address).unwrap();
    let (stop, stopped) = watch::channel(false);
    let address = gateway.address();
    let running = thread::spawn(move || gateway.run(&stopped));
    let door = Door::at(address, stop);
    door.is_ready().await;
    for _ in 0..30 {
        door.has_status("/plain", 302).await;
    }
    door.stop.send_replace(true);
    tokio::task::spawn_blocking(move || running.join().unwrap().unwrap()).await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn port_in_use_names_its_setting() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let error = gateway(address, address).unwrap_err().to_string();
    let begins = format!("SMARTLINKS_GATEWAY_LISTEN: cannot listen on {address}: ");
    assert!(error.starts_with(&begins), "{error}");
}

#[tokio::test]
async fn burst_of_connections_is_not_turned_away() {
    let nobody = "127.0.0.1:1".parse().unwrap();
    let gateway = gateway("127.0.0.1:0".parse().unwrap(), nobody).unwrap();
    // Nobody accepts yet: so many wait in the system's queue.
    let burst = (0..300).map(|_| TcpStream::connect(gateway.address()));
    let burst = timeout(PATIENCE, try_join_all(burst)).await;
    assert!(burst.expect("the queue is short").is_ok());
}
