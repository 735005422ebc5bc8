//! What was not sent when its stream ended is asked elsewhere; what was sent never is.

use std::sync::atomic::Ordering;

use futures_util::future::{FutureExt, join_all};
use smartlinks::{
    gateway::resolver::{Refusal, Resolver, ResolverSettings},
    proto::{ResolveRequest, link_resolver_server::LinkResolverServer},
    telemetry::gateway_metrics::GatewayMetrics,
};
use tokio::{net::TcpListener, sync::oneshot};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;

use super::fixture::{Book, Door, PATIENCE, Times, Told, has_lanes, value};
use crate::resolver::fixture::Served;

/// More than fits on the wire at once, so that later items wait for the first ones to be read.
const LONG: usize = 64 * 1_024;
/// So many items are asked.
const COUNT: usize = 8;
/// What the narrow server lets come without reading it.
const WINDOW: u32 = 1_024;

#[tokio::test]
async fn only_what_was_not_sent_is_asked_again_and_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let narrow = listener.local_addr().unwrap();
    let (frozen, _) = Told::named("a");
    let (kill, killed) = oneshot::channel::<()>();
    let server = Server::builder()
        .initial_stream_window_size(WINDOW)
        .add_service(LinkResolverServer::new(frozen.clone()));
    let server = std::thread::spawn({
        let listener = listener.into_std().unwrap();
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let incoming = TcpListenerStream::new(TcpListener::from_std(listener).unwrap());
                tokio::select! {
                    served = server.serve_with_incoming(incoming) => served.unwrap(),
                    _ = killed => {}
                }
            });
        }
    });
    let (other, asked) = Told::named("b");
    let other = Served::start(other).await;

    let (book, found) = Book::with(&[narrow]);
    let (metrics, registry) = GatewayMetrics::new();
    let settings = ResolverSettings { token: None, timeout: PATIENCE };
    let resolver = Resolver::start(&settings, found, &metrics);
    has_lanes(&registry, "open", 1).await;
    frozen.freeze(true);
    has_lanes(&registry, "silent", 1).await;
    let visit = || ResolveRequest { query: "q".repeat(LONG), ..ResolveRequest::default() };
    let mut asks: Vec<_> = (0..COUNT).map(|_| Box::pin(resolver.ask(visit()))).collect();
    for ask in &mut asks {
        assert_eq!(ask.now_or_never(), None, "nobody answers");
    }
    // Until the other server is there, the wire has taken what it can.
    book.write(Some(&[narrow, other.address]));
    has_lanes(&registry, "open", 1).await;
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    drop(kill);
    server.join().unwrap();

    let answers = join_all(asks).await;
    let broken = answers.iter().filter(|answer| **answer == Err(Refusal::Broken)).count();
    let answered = answers.iter().flatten().filter(|answer| answer.location == "https://b.example/").count();
    // The first was sent at least, the last was not.
    assert_eq!(broken + answered, COUNT, "{answers:?}");
    assert!(answers[0] == Err(Refusal::Broken) && answers[COUNT - 1].is_ok(), "{answers:?}");
    assert_eq!(asked.load(Ordering::Relaxed), answered);
    assert_eq!(value(&registry, "retries_total"), i64::try_from(answered).unwrap());
    let lost = value(&registry, "not_answered_total{reason=\"BROKEN\"}");
    assert_eq!(lost, i64::try_from(broken).unwrap());
}

#[tokio::test]
async fn stream_that_closes_answers_what_it_was_sent_and_gets_nothing_more() {
    let (told, mut items) = Told::new();
    let server = Served::start(told).await;
    let (other, _) = Told::named("b");
    let other = Served::start(other).await;
    let (book, found) = Book::with(&[server.address]);
    let door = Door::open_before(found, None, Times::default()).await;
    door.has_lanes("open", 1).await;
    let click = door.get("/plain");
    let meanwhile = async {
        let item = items.recv().await.unwrap();
        book.write(Some(&[server.address, other.address]));
        door.has_lanes("open", 2).await;
        book.write(Some(&[other.address]));
        item.close_stream();
        door.has_lanes("open", 1).await;
        for _ in 0..20 {
            assert_eq!(door.get("/plain").await.header("location"), Some("https://b.example/"));
        }
        item.answer("https://a.example/");
    };
    let (answer, ()) = tokio::join!(click, meanwhile);
    assert_eq!(answer.header("location"), Some("https://a.example/"));
    assert!(items.try_recv().is_err());
}
