//! What ends a stream, and that nothing is missed by it.

use std::time::Duration;

use smartlinks::{
    proto::StreamClicksRequest,
    rpc::click_stats::StreamLimits,
    store::{Store, StoreConfig},
};
use tokio::time::timeout;
use tonic::Code;

use super::{Consumer, failure, following, in_order, is_to_resume, next, serve};
use crate::support::{
    clicks::Writer,
    database::Database,
    proxy::Proxy,
    server::{PATIENCE, TestServer, eventually, settings},
};

#[tokio::test(flavor = "multi_thread")]
async fn slow_reader_is_cut_off_and_misses_nothing() {
    let database = Database::create().await;
    let limits = StreamLimits { streams: 1, write: Duration::from_millis(300), ..StreamLimits::default() };
    let (mut client, _stop) = serve(database.store(), limits).await;
    let mut writer = Writer::new(&database, 1).await;
    for batch in 0..4 {
        writer.add_new(batch * 5_000..batch * 5_000 + 5_000).await;
    }
    let mut slow = client.stream_clicks(StreamClicksRequest::default()).await.unwrap().into_inner();
    let refused = client.stream_clicks(following()).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    // Its place is free again although it has read nothing.
    eventually("the place", || async { client.clone().stream_clicks(following()).await.ok().map(drop) })
        .await;
    let mut consumer = Consumer::default();
    let end = loop {
        match next(&mut slow).await {
            Ok(Some(message)) => consumer.take(message),
            Ok(None) => panic!("the stream ended well"),
            Err(status) => break status,
        };
    };
    is_to_resume(&end, "SLOW_READER");
    assert!(consumer.ids.len() < 10_000, "{} clicks waited for a reader", consumer.ids.len());
    eventually("the place", || async { client.clone().stream_clicks(following()).await.ok().map(drop) })
        .await;
    let request = consumer.request();
    let mut rest =
        eventually("the place", || async { client.clone().stream_clicks(request.clone()).await.ok() })
            .await
            .into_inner();
    while let Some(message) = next(&mut rest).await.unwrap() {
        consumer.take(message);
    }
    assert_eq!(consumer.ids, in_order(&database).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_stream_ends_and_is_resumed() {
    let database = Database::create().await;
    let limits = StreamLimits { age: Duration::from_millis(500), ..StreamLimits::default() };
    let (mut client, _stop) = serve(database.store(), limits).await;
    let mut stream = client.stream_clicks(following()).await.unwrap().into_inner();
    is_to_resume(&failure(&mut stream).await, "STREAM_TOO_OLD");
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_stops_ends_its_streams() {
    let database = Database::create().await;
    let server = TestServer::ready(database.url()).await;
    let mut stream = server.stats().stream_clicks(following()).await.unwrap().into_inner();
    next(&mut stream).await.unwrap().unwrap();
    let stopping = tokio::spawn(server.stop());
    is_to_resume(&failure(&mut stream).await, "SHUTTING_DOWN");
    drop(stream);
    timeout(PATIENCE, stopping).await.expect("the server did not stop").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn caller_that_leaves_frees_its_place() {
    let database = Database::create().await;
    let limits = StreamLimits { streams: 1, ..StreamLimits::default() };
    let (mut client, _stop) = serve(database.store(), limits).await;
    let mut stream = client.stream_clicks(following()).await.unwrap().into_inner();
    next(&mut stream).await.unwrap().unwrap();
    drop(stream);
    eventually("the place", || async { client.clone().stream_clicks(following()).await.ok().map(drop) })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn database_that_goes_away_interrupts_without_a_gap() {
    let database = Database::create().await;
    let proxy = Proxy::open(&database).await;
    let store = Store::connect(&StoreConfig { url: proxy.url().to_owned(), ..database.config() }).unwrap();
    let (mut client, _stop) = serve(store, StreamLimits::default()).await;
    let mut writer = Writer::new(&database, 1).await;
    let mut consumer = Consumer::default();
    for round in 0..3 {
        writer.add_new(round * 10..round * 10 + 5).await;
        let request = StreamClicksRequest { follow: true, ..consumer.request() };
        let mut stream = client.stream_clicks(request).await.unwrap().into_inner();
        while !consumer.take(next(&mut stream).await.unwrap().unwrap()) {}
        proxy.cut();
        writer.add_new(round * 10 + 5..round * 10 + 10).await;
        let end = loop {
            match next(&mut stream).await {
                Ok(message) => consumer.take(message.expect("no good end")),
                Err(status) => break status,
            };
        };
        is_to_resume(&end, "DATABASE_UNAVAILABLE");
        let refused = client.stream_clicks(consumer.request()).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable);
        proxy.mend();
    }
    consumer.catch_up(&mut client).await;
    assert_eq!(consumer.ids, in_order(&database).await);
    assert_eq!(consumer.ids.len(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_database_interrupts_too() {
    let database = Database::create().await;
    let proxy = Proxy::open(&database).await;
    let mut quick = settings(proxy.url());
    (quick.database.wait, quick.database.statement_timeout) =
        (Duration::from_millis(300), Duration::from_millis(300));
    let server = TestServer::start(quick).await;
    server.wait_for(0).await;
    let mut stream = server.stats().stream_clicks(following()).await.unwrap().into_inner();
    next(&mut stream).await.unwrap().unwrap();
    proxy.freeze();
    is_to_resume(&failure(&mut stream).await, "DATABASE_UNAVAILABLE");
    proxy.mend();
}
