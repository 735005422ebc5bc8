//! Streams that begin anywhere and go on where they were.

use std::{sync::Arc, time::Duration};

use smartlinks::proto::{ClickFilter, FromNow, StreamClicksRequest, stream_clicks_request::Start};
use tokio::{sync::Semaphore, time::Instant};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::{Consumer, failure, following, in_order, next};
use crate::support::{
    clicks::Writer,
    database::Database,
    server::{TestServer, eventually, execute},
};

#[tokio::test(flavor = "multi_thread")]
async fn consumer_killed_fifty_times_gets_every_click_once_in_order() {
    let database = Database::create().await;
    let server = TestServer::ready(database.url()).await;
    // The writers write for as long as the consumer reads, a few entries for every message.
    let entries = Arc::new(Semaphore::new(10));
    let mut writers = Vec::new();
    for writer in 0..3_u64 {
        let mut own = Writer::new(&database, u128::from(writer) + 1).await;
        let entries = Arc::clone(&entries);
        writers.push(tokio::spawn(async move {
            let (mut number, mut batch) = (writer * 1_000_000, 0);
            while let Ok(permit) = entries.acquire().await {
                permit.forget();
                // Some entries are longer than a message.
                let size = if batch % 10 == writer { 2_300 } else { (batch * 37 + writer * 11) % 90 + 1 };
                own.add_new(number..number + size).await;
                (number, batch) = (number + size, batch + 1);
            }
        }));
    }
    let mut consumer = Consumer::default();
    for kill in 0..50_u64 {
        let request = StreamClicksRequest { follow: true, ..consumer.request() };
        let mut stream = server.stats().stream_clicks(request).await.unwrap().into_inner();
        for _ in 0..kill * 7 % 4 {
            entries.add_permits(2);
            while consumer.take(next(&mut stream).await.unwrap().unwrap()) {}
        }
    }
    entries.close();
    for writer in writers {
        writer.await.unwrap();
    }
    consumer.catch_up(&mut server.stats()).await;
    let expected = in_order(&database).await;
    assert!(expected.len() > 10_000, "only {} clicks were written", expected.len());
    assert_eq!(consumer.ids.len(), expected.len());
    assert!(consumer.ids == expected, "the order is another one");
    // Nothing comes again.
    consumer.catch_up(&mut server.stats()).await;
    assert_eq!(consumer.ids.len(), expected.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_goes_on_in_the_middle_of_an_entry() {
    let database = Database::create().await;
    let server = TestServer::ready(database.url()).await;
    Writer::new(&database, 1).await.add_new(0..3_500).await;
    let mut consumer = Consumer::default();
    for messages in 1..=4 {
        let mut stream = server.stats().stream_clicks(consumer.request()).await.unwrap().into_inner();
        assert!(!consumer.take(next(&mut stream).await.unwrap().unwrap()));
        assert_eq!(consumer.ids.len(), (messages * 1_000).min(3_500));
    }
    assert_eq!(consumer.ids, in_order(&database).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_log_has_a_token_and_now_begins_with_what_comes() {
    let database = Database::create().await;
    let server = TestServer::ready(database.url()).await;
    let mut consumer = Consumer::default();
    consumer.catch_up(&mut server.stats()).await;
    assert!(!consumer.token.is_empty());
    let mut writer = Writer::new(&database, 1).await;
    writer.add_new(0..3).await;
    let now = StreamClicksRequest { start: Some(Start::Now(FromNow {})), ..Default::default() };
    let mut late = Consumer::default();
    late.catch_up_with(&mut server.stats(), now).await;
    assert_eq!(late.ids, [""; 0]);
    writer.add_new(3..5).await;
    late.catch_up(&mut server.stats()).await;
    consumer.catch_up(&mut server.stats()).await;
    let all = in_order(&database).await;
    assert_eq!((&consumer.ids[..], &late.ids[..]), (&all[..], &all[3..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn token_of_another_epoch_is_told_from_a_garbled_one() {
    let database = Database::create().await;
    let server = TestServer::ready(database.url()).await;
    let mut writer = Writer::new(&database, 1).await;
    writer.add_new(0..5).await;
    let mut consumer = Consumer::default();
    consumer.catch_up(&mut server.stats()).await;
    let mut open = server.stats().stream_clicks(following()).await.unwrap().into_inner();
    assert!(!Consumer::default().take(next(&mut open).await.unwrap().unwrap()));
    let reason = |status: &Status| status.get_error_details().error_info().unwrap().reason.clone();

    // Restored to an earlier state: first nobody has noticed, but the positions are gone.
    execute(&database, "UPDATE clicks.head SET position = 0").await;
    for status in
        [failure(&mut open).await, server.stats().stream_clicks(consumer.request()).await.unwrap_err()]
    {
        assert_eq!((status.code(), reason(&status)), (Code::OutOfRange, "STREAM_TOKEN_EXPIRED".into()));
        assert!(status.message().contains("begin anew"), "{status:?}");
    }
    // Then they were given to others, under a new epoch.
    execute(&database, "UPDATE clicks.head SET position = 1, epoch = gen_random_uuid()").await;
    let status = server.stats().stream_clicks(consumer.request()).await.unwrap_err();
    assert_eq!((status.code(), reason(&status)), (Code::OutOfRange, "STREAM_TOKEN_EXPIRED".into()));
    let mut anew = Consumer::default();
    anew.catch_up(&mut server.stats()).await;
    assert_eq!(anew.ids.len(), 5);

    let cut = &anew.token[..anew.token.len() - 1];
    for garbled in ["x", cut, "AQAAAAAAAAAA", "ü"] {
        let request =
            StreamClicksRequest { start: Some(Start::AfterToken(garbled.into())), ..Default::default() };
        let status = server.stats().stream_clicks(request).await.unwrap_err();
        let expected = (Code::InvalidArgument, "INVALID_STREAM_TOKEN".to_owned());
        assert_eq!((status.code(), reason(&status)), expected, "{garbled}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn follower_gets_a_click_soon_after_it_is_committed() {
    let database = Database::create().await;
    let server = TestServer::ready(database.url()).await;
    let mut writer = Writer::new(&database, 1).await;
    let mut stream = server.stats().stream_clicks(following()).await.unwrap().into_inner();
    let mut consumer = Consumer::default();
    assert!(consumer.take(next(&mut stream).await.unwrap().unwrap()), "it says that it has caught up");
    for number in 0..5 {
        writer.add_new(number..number + 1).await;
        let committed = Instant::now();
        assert!(!consumer.take(next(&mut stream).await.unwrap().unwrap()));
        assert!(committed.elapsed() < Duration::from_secs(5), "{:?}", committed.elapsed());
    }
    assert_eq!(consumer.ids, in_order(&database).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeat_brings_a_silent_caller_forward() {
    let database = Database::create().await;
    let server = TestServer::ready(database.url()).await;
    let mut writer = Writer::new(&database, 1).await;
    let bots = ClickFilter { traffic_classes: vec![2], ..Default::default() };
    let heartbeat = Some(prost_types::Duration { seconds: 1, nanos: 0 });
    let request = StreamClicksRequest { filter: Some(bots), heartbeat, ..following() };
    let mut stream = server.stats().stream_clicks(request).await.unwrap().into_inner();
    let mut consumer = Consumer::default();
    assert!(consumer.take(next(&mut stream).await.unwrap().unwrap()));
    let before = consumer.token.clone();
    writer.add_new(0..10).await;
    while consumer.token == before {
        assert!(consumer.take(next(&mut stream).await.unwrap().unwrap()), "a click that is no bot's");
    }
    consumer.catch_up(&mut server.stats()).await;
    assert_eq!(consumer.ids, [""; 0]);
}

/// A proxy in between cuts what is silent, however long the database takes.
#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_come_while_the_database_takes_its_time() {
    let database = Database::create().await;
    let server = TestServer::ready(database.url()).await;
    let heartbeat = Some(prost_types::Duration { seconds: 1, nanos: 0 });
    let request = StreamClicksRequest { heartbeat, ..following() };
    let mut stream = server.stats().stream_clicks(request).await.unwrap().into_inner();
    let mut consumer = Consumer::default();
    assert!(consumer.take(next(&mut stream).await.unwrap().unwrap()), "it says that it has caught up");
    let mut client = database.client().await;
    let held = client.transaction().await.unwrap();
    held.batch_execute("LOCK TABLE clicks.head IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let other = database.client().await;
    eventually("the stream waits for the table", async || {
        let waiting =
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'clicks.head'::regclass";
        let waiting: i64 = other.query_one(waiting, &[]).await.unwrap().get(0);
        (waiting > 0).then_some(())
    })
    .await;
    let begun = Instant::now();
    for _ in 0..3 {
        assert!(consumer.take(next(&mut stream).await.unwrap().unwrap()));
    }
    assert!(begun.elapsed() < Duration::from_secs(9), "statements take no longer than 10 s");
    held.commit().await.unwrap();
    Writer::new(&database, 1).await.add_new(0..3).await;
    while consumer.ids.len() < 3 {
        consumer.take(next(&mut stream).await.unwrap().unwrap());
    }
}
