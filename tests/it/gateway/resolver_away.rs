//! The resolver is not there, goes away, comes back.

use std::time::Instant;

use smartlinks::{proto::link_resolver_server::LinkResolverServer, rpc::caller::Caller};
use tokio::{net::TcpListener, time::timeout};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Status, transport::Server};

use super::fixture::{Door, PATIENCE, Times, Told};
use crate::resolver::fixture::{Acme, Served};

#[tokio::test]
async fn without_a_resolver_every_click_is_503_at_once() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let door = Door::open_with(nobody, Times::default()).await;
    let begun = Instant::now();
    for target in ["/plain", "/-/readyz"] {
        let answer = door.get(target).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{target}");
    }
    assert!(begun.elapsed() < PATIENCE, "it waited for its time to pass");
    assert_eq!(door.get("/-/healthz").await.status, 200);
}

#[tokio::test]
async fn resolver_without_an_index_is_not_ready() {
    let mut acme = Acme::empty();
    let server = acme.serve().await;
    let door = Door::open_with(server.address, Times::default()).await;
    door.has_status("/-/readyz", 503).await;
    assert_eq!(door.get("/plain").await.status, 503);
    acme.publish(crate::resolver::fixture::records(), 1);
    door.is_ready().await;
    assert_eq!(door.get("/plain").await.status, 302);
}

#[tokio::test]
async fn killed_resolver_is_found_again() {
    let acme = Acme::new();
    let server = acme.serve().await;
    let address = server.address;
    let door = Door::open(address).await;
    assert_eq!(door.get("/plain").await.status, 302);
    server.kill().await;
    door.has_status("/-/readyz", 503).await;
    assert_eq!(door.get("/plain").await.status, 503);
    let again = Served::start_at(acme.service.clone(), address).await;
    door.is_ready().await;
    assert_eq!(door.get("/plain").await.status, 302);
    drop(again);
}

#[tokio::test]
async fn click_on_a_stream_that_breaks_is_503_and_asked_once() {
    let (told, mut items) = Told::new();
    let server = Served::start(told).await;
    let door = Door::open_with(server.address, Times::default()).await;
    let asking = async {
        loop {
            let asked = door.get("/plain");
            tokio::pin!(asked);
            tokio::select! {
                answer = &mut asked => assert_eq!(answer.status, 503),
                item = items.recv() => {
                    item.unwrap().break_stream();
                    return asked.await;
                }
            }
        }
    };
    let answer = timeout(PATIENCE, asking).await.unwrap();
    assert_eq!(answer.status, 503);
    assert!(items.try_recv().is_err(), "the click was asked a second time");
}

#[tokio::test]
async fn resolver_that_stops_ends_the_stream_and_the_gateway_waits_for_the_next() {
    let acme = Acme::new();
    let server = acme.serve().await;
    let address = server.address;
    let door = Door::open(address).await;
    acme.stop.send_replace(true);
    door.has_status("/plain", 503).await;
    server.kill().await;
    let next = Acme::new();
    let _server = Served::start_at(next.service.clone(), address).await;
    door.is_ready().await;
    assert_eq!(door.get("/plain").await.status, 302);
}

#[tokio::test]
async fn token_opens_a_resolver_that_asks_for_one() {
    let acme = Acme::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let guarded = LinkResolverServer::with_interceptor(acme.service.clone(), |mut request: Request<()>| {
        let token = request.metadata().get("authorization").map(|token| token.as_bytes());
        if token != Some(b"Bearer s3cret") {
            return Err(Status::unauthenticated("no"));
        }
        request.extensions_mut().insert(Caller::Token);
        Ok(request)
    });
    let incoming = TcpListenerStream::new(listener);
    tokio::spawn(Server::builder().add_service(guarded).serve_with_incoming(incoming));
    let stranger = Door::open_with(address, Times::default()).await;
    let door = Door::open_as(address, Some("s3cret"), Times::default()).await;
    door.is_ready().await;
    assert_eq!(door.get("/plain").await.status, 302);
    assert_eq!(stranger.get("/plain").await.status, 503);
}
