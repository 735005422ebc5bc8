//! `ResolveStream`.

use std::time::Duration;

use serde_json::json;
use smartlinks::proto::{
    ErrorReason, ResolveFailure, ResolveRequest, ResolveResponse, ResolveStreamRequest,
    ResolveStreamResponse, StreamClosing, resolve_stream_response::Outcome,
};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Streaming};

use super::fixture::{Acme, Served, link, lookup, record};

const PATIENCE: Duration = Duration::from_secs(20);

/// One stream, both ways.
struct Talk {
    items: Option<mpsc::Sender<ResolveStreamRequest>>,
    answers: Streaming<ResolveStreamResponse>,
    _server: Served,
}

impl Talk {
    async fn open(acme: &Acme) -> Self {
        let server = acme.serve().await;
        let (items, receiver) = mpsc::channel(4_096);
        let mut client = server.client().await;
        let answers = client.resolve_stream(ReceiverStream::new(receiver)).await.unwrap().into_inner();
        Self { items: Some(items), answers, _server: server }
    }

    async fn put(&self, item: u64, request: impl Into<Option<ResolveRequest>>) {
        self.put_for(item, request, None).await;
    }

    async fn put_for(&self, item: u64, request: impl Into<Option<ResolveRequest>>, most: Option<(i64, i32)>) {
        let timeout = most.map(|(seconds, nanos)| prost_types::Duration { seconds, nanos });
        let message = ResolveStreamRequest { item, request: request.into(), timeout };
        self.items.as_ref().unwrap().send(message).await.unwrap();
    }

    /// Sends nothing more.
    fn close(&mut self) {
        self.items = None;
    }

    async fn next(&mut self) -> Option<(u64, Outcome)> {
        let next = timeout(PATIENCE, self.answers.message()).await.expect("nothing came");
        next.unwrap().map(|answer| (answer.item, answer.outcome.unwrap()))
    }

    async fn answer(&mut self) -> (u64, ResolveResponse) {
        match self.next().await.expect("the stream ended") {
            (item, Outcome::Answer(answer)) => (item, answer),
            (item, Outcome::Failure(failure)) => panic!("item {item} failed: {failure:?}"),
            (_, Outcome::Closing(_)) => panic!("the stream closes"),
        }
    }

    async fn failure(&mut self) -> (u64, ResolveFailure) {
        match self.next().await.expect("the stream ended") {
            (item, Outcome::Answer(answer)) => panic!("item {item} was answered: {answer:?}"),
            (item, Outcome::Failure(failure)) => (item, failure),
            (_, Outcome::Closing(_)) => panic!("the stream closes"),
        }
    }
}

fn later(slug: &str) -> ResolveRequest {
    ResolveRequest { min_revision: 2, ..lookup(slug) }
}

#[tokio::test]
async fn waiting_item_holds_up_no_other() {
    let mut acme = Acme::new();
    let mut talk = Talk::open(&acme).await;
    talk.put(1, later("new")).await;
    talk.put(2, lookup("sale")).await;
    assert_eq!(talk.answer().await.0, 2);
    acme.publish(vec![record(link("new", 2, json!({"default_destination": "new"})))], 2);
    let (item, answer) = talk.answer().await;
    assert_eq!((item, answer.revision, answer.slug.as_str()), (1, 2, "new"));
}

#[tokio::test]
async fn failure_concerns_its_item_alone() {
    let acme = Acme::new();
    let mut talk = Talk::open(&acme).await;
    talk.put(1, None).await;
    talk.put(2, lookup("none")).await;
    let bad = ResolveRequest { query: "a#b".to_owned(), min_revision: -1, ..lookup("sale") };
    talk.put_for(3, bad, Some((31, 0))).await;
    talk.put(4, ResolveRequest { min_revision: i64::MAX, ..lookup("sale") }).await;
    talk.put_for(5, lookup("sale"), Some((0, 0))).await;
    talk.put(6, lookup("sale")).await;

    let fields = |failure: &ResolveFailure| -> Vec<_> {
        failure.violations.iter().map(|violation| violation.field.clone()).collect()
    };
    let (item, failure) = talk.failure().await;
    assert_eq!((item, failure.code, failure.reason()), (1, 3, ErrorReason::Required));
    assert_eq!(fields(&failure), ["request"]);
    let (item, failure) = talk.failure().await;
    assert_eq!((item, failure.code, failure.reason()), (2, 5, ErrorReason::LinkNotFound));
    let (item, failure) = talk.failure().await;
    assert_eq!((item, failure.code, failure.reason()), (3, 3, ErrorReason::Malformed));
    assert_eq!(fields(&failure), ["request.query", "request.min_revision", "timeout"]);
    let (item, failure) = talk.failure().await;
    assert_eq!((item, failure.reason()), (4, ErrorReason::OutOfRange));
    assert_eq!(fields(&failure), ["request.min_revision"]);
    let (item, failure) = talk.failure().await;
    assert_eq!((item, fields(&failure)), (5, vec!["timeout".to_owned()]));
    assert_eq!(talk.answer().await.0, 6);
}

#[tokio::test]
async fn item_has_its_own_deadline() {
    let acme = Acme::new();
    let mut talk = Talk::open(&acme).await;
    talk.put_for(1, later("sale"), Some((0, 1_000_000))).await;
    let (item, failure) = talk.failure().await;
    assert_eq!((item, failure.code), (1, Code::DeadlineExceeded as i32));
    assert_eq!(failure.reason(), ErrorReason::DeadlineExceeded);
    talk.put(2, lookup("sale")).await;
    assert_eq!(talk.answer().await.0, 2);
}

#[tokio::test]
async fn item_without_an_index_fails_and_the_stream_goes_on() {
    let mut acme = Acme::empty();
    let mut talk = Talk::open(&acme).await;
    talk.put(1, lookup("sale")).await;
    assert_eq!(talk.failure().await.1.reason(), ErrorReason::IndexNotLoaded);
    acme.publish(super::fixture::records(), 1);
    talk.put(2, lookup("sale")).await;
    assert_eq!(talk.answer().await.0, 2);
}

#[tokio::test]
async fn half_closed_stream_answers_what_it_was_asked() {
    let mut acme = Acme::new();
    let mut talk = Talk::open(&acme).await;
    let count = 3_000;
    talk.put(0, later("sale")).await;
    for item in 1..count {
        talk.put(item, lookup("sale")).await;
    }
    talk.close();
    let mut seen: Vec<_> = Vec::new();
    for _ in 1..count {
        seen.push(talk.answer().await.0);
    }
    acme.publish(Vec::new(), 2);
    seen.push(talk.answer().await.0);
    assert_eq!(talk.next().await, None);
    seen.sort_unstable();
    assert_eq!(seen, (0..count).collect::<Vec<_>>());
}

#[tokio::test]
async fn burst_beyond_every_window_is_answered_whole() {
    let acme = Acme::new();
    let mut talk = Talk::open(&acme).await;
    let query = format!("q={}", "x".repeat(8_000));
    let items = talk.items.take().unwrap();
    let sending = tokio::spawn(async move {
        for item in 0..4_000 {
            let request = ResolveRequest { query: query.clone(), ..lookup("sale") };
            items.send(ResolveStreamRequest { item, request: Some(request), timeout: None }).await.unwrap();
        }
    });
    for item in 0..4_000 {
        assert_eq!(talk.answer().await.0, item);
    }
    sending.await.unwrap();
    assert_eq!(talk.next().await, None);
}

#[tokio::test]
async fn stopping_server_says_so_and_answers_until_the_caller_ends_its_side() {
    let mut acme = Acme::new();
    let mut talk = Talk::open(&acme).await;
    talk.put(1, later("sale")).await;
    talk.put(2, lookup("sale")).await;
    assert_eq!(talk.answer().await.0, 2);
    acme.stop.send_replace(true);
    assert_eq!(talk.next().await, Some((0, Outcome::Closing(StreamClosing {}))));
    // What was on its way is answered, and what waits.
    talk.put(3, lookup("sale")).await;
    talk.close();
    assert_eq!(talk.answer().await.0, 3);
    acme.publish(Vec::new(), 2);
    assert_eq!(talk.answer().await.0, 1);
    assert_eq!(talk.next().await, None);
}

#[tokio::test]
async fn busy_stream_is_told_too() {
    let acme = Acme::new();
    let mut talk = Talk::open(&acme).await;
    let items = talk.items.take().unwrap();
    let sending = tokio::spawn(async move {
        let mut item = 0;
        let message = |item| ResolveStreamRequest { item, request: Some(lookup("sale")), timeout: None };
        while items.send(message(item)).await.is_ok() {
            item += 1;
        }
    });
    assert_eq!(talk.answer().await.0, 0);
    acme.stop.send_replace(true);
    let told = async { while talk.next().await.expect("it ended").0 != 0 {} };
    timeout(PATIENCE, told).await.expect("nobody said a word");
    sending.abort();
}

#[tokio::test]
async fn caller_that_does_not_listen_is_served_for_a_while() {
    let acme = Acme::new();
    let mut talk = Talk::open(&acme).await;
    acme.stop.send_replace(true);
    assert_eq!(talk.next().await, Some((0, Outcome::Closing(StreamClosing {}))));
    let begun = std::time::Instant::now();
    talk.put(1, lookup("sale")).await;
    assert_eq!(talk.answer().await.0, 1);
    assert_eq!(talk.next().await, None);
    assert!(begun.elapsed() >= Duration::from_millis(900), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn caller_that_leaves_leaves_nothing_behind() {
    let acme = Acme::new();
    let server = acme.serve().await;
    let before = acme.stop.receiver_count();
    let (items, receiver) = mpsc::channel(8);
    let mut client = server.client().await;
    let mut answers = client.resolve_stream(ReceiverStream::new(receiver)).await.unwrap().into_inner();
    let message = |item, request| ResolveStreamRequest { item, request: Some(request), timeout: None };
    items.send(message(1, later("sale"))).await.unwrap();
    items.send(message(2, lookup("sale"))).await.unwrap();
    assert_eq!(answers.message().await.unwrap().unwrap().item, 2);
    assert!(acme.stop.receiver_count() > before);
    drop((items, answers));
    let all_gone = async {
        while acme.stop.receiver_count() > before {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, all_gone).await.expect("the stream is still there");
}
