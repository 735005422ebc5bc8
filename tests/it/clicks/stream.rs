//! Streams of clicks: every click once, in order, whoever is killed, cut off, slow or late.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use smartlinks::{
    domain::click::Click,
    proto::{
        self, ClickFilter, FromNow, ResolveReason, StreamClicksRequest, StreamClicksResponse,
        click_stats_client::ClickStatsClient, stream_clicks_request::Start, stream_clicks_response::Event,
    },
    rpc::{
        click_stats::{ClickStatsService, StreamLimits},
        layers::authentication::AuthenticationLayer,
    },
    store::{Store, StoreConfig, clicks},
    telemetry::metrics::Metrics,
};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    time::{Instant, timeout},
};
use tonic::{
    Code, Status, Streaming,
    transport::{Channel, Endpoint, server::TcpIncoming},
};
use tonic_types::StatusExt;

use crate::support::{
    clicks::{Writer, at, click},
    database::Database,
    proxy::Proxy,
    requests::create_shop,
    server::{PATIENCE, TestServer, eventually, execute, settings},
};

/// What a consumer has.
#[derive(Default)]
struct Consumer {
    token: String,
    ids: Vec<String>,
}

impl Consumer {
    /// Stores a message; returns whether it is a heartbeat.
    fn take(&mut self, message: StreamClicksResponse) -> bool {
        assert!(message.token.len() <= 100, "{}", message.token);
        self.token = message.token;
        match message.event.expect("an event") {
            Event::Clicks(clicks) => {
                assert!((1..=1_000).contains(&clicks.clicks.len()));
                self.ids.extend(clicks.clicks.into_iter().map(|click| click.id));
                false
            }
            Event::Heartbeat(_) => true,
            Event::Conversions(_) | Event::Erasure(_) => panic!("nobody asked for it"),
        }
    }

    fn request(&self) -> StreamClicksRequest {
        StreamClicksRequest { start: Some(Start::AfterToken(self.token.clone())), ..Default::default() }
    }

    /// Reads from the last token to the end.
    async fn catch_up(&mut self, client: &mut ClickStatsClient<Channel>) {
        self.catch_up_with(client, self.request()).await;
    }

    async fn catch_up_with(&mut self, client: &mut ClickStatsClient<Channel>, request: StreamClicksRequest) {
        let mut stream = client.stream_clicks(request).await.unwrap().into_inner();
        while let Some(message) = next(&mut stream).await.unwrap() {
            self.take(message);
        }
    }
}

/// Returns the next message; a test that waits too long fails.
pub(super) async fn next(
    stream: &mut Streaming<StreamClicksResponse>,
) -> Result<Option<StreamClicksResponse>, Status> {
    timeout(PATIENCE, stream.message()).await.expect("nothing came")
}

/// Reads until the stream fails.
async fn failure(stream: &mut Streaming<StreamClicksResponse>) -> Status {
    loop {
        match next(stream).await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ended well"),
            Err(status) => return status,
        }
    }
}

/// Checks that a stream ended for this reason, and that its caller is told to resume.
fn is_to_resume(status: &Status, reason: &str) {
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, reason, "{status:?}");
    assert_eq!(status.code(), Code::Unavailable);
    assert!(details.retry_info().is_some());
    assert!(status.message().contains("resume with the last token"), "{status:?}");
}

/// Returns the ids of every click in the order of the ledger.
async fn in_order(database: &Database) -> Vec<String> {
    let query =
        "SELECT id::text FROM clicks.click JOIN clicks.ledger USING (batch) ORDER BY position, sequence";
    let rows = database.client().await.query(query, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

fn following() -> StreamClicksRequest {
    StreamClicksRequest { follow: true, ..Default::default() }
}

/// Serves streams with limits of the test's own, to callers that take in 64 KiB ahead.
async fn serve(store: Store, limits: StreamLimits) -> (ClickStatsClient<Channel>, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopping) = watch::channel(false);
    let service = ClickStatsService::server(store, limits, Metrics::new().0, stopping);
    let serving = tonic::transport::Server::builder()
        .layer(AuthenticationLayer::open())
        .add_service(service)
        .serve_with_incoming(TcpIncoming::from(listener));
    tokio::spawn(serving);
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let channel = endpoint.initial_stream_window_size(65_535).connect().await.unwrap();
    (ClickStatsClient::new(channel), stop)
}

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
async fn message_is_at_most_a_mebibyte() {
    use prost::Message;
    let database = Database::create().await;
    let server = TestServer::ready(database.url()).await;
    let long = |number| Click { destination: "x".repeat(2_000), ..click(at(number, SignedDuration::ZERO)) };
    Writer::new(&database, 1).await.add((0..1_200).map(long).collect()).await;
    let request = StreamClicksRequest::default();
    let mut stream = server.stats().stream_clicks(request).await.unwrap().into_inner();
    let mut consumer = Consumer::default();
    while let Some(message) = next(&mut stream).await.unwrap() {
        assert!(message.encoded_len() < 1_024 * 1_024 + 16 * 1_024, "{}", message.encoded_len());
        consumer.take(message);
    }
    assert_eq!(consumer.ids, in_order(&database).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn click_arrives_as_it_was() {
    use smartlinks::domain::{
        click::Counters,
        client::{Browser, DeviceClass, Os, TrafficClass},
        fact::Fact,
        visit::{Attribution, Channel, Miss, ResolveReason},
    };
    let database = Database::create().await;
    let server = TestServer::ready(database.url()).await;
    let full = Click {
        channel: Channel::Qr,
        reason: ResolveReason::Rule,
        rule: Some("de".to_owned().try_into().unwrap()),
        variant: Some("blue".to_owned().try_into().unwrap()),
        program: Some("gold".to_owned().try_into().unwrap()),
        traffic: TrafficClass::Preview,
        traffic_why: "Slackbot".to_owned(),
        country: Some("DE".parse().unwrap()),
        device: Some(DeviceClass::Tablet),
        os: Some(Os::Ios),
        browser: Some(Browser::Safari),
        referrer: Fact::Known("news.example".to_owned()),
        visitor: Some([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255]),
        sub_ids: vec![("s1".to_owned(), "x".to_owned()), ("s2".to_owned(), String::new())],
        counters: Counters { visitor: Some(3), link: Some(9), partner: Some(0) },
        ..click(at(1, SignedDuration::ZERO))
    };
    let bare = Click {
        slug: None,
        reason: ResolveReason::Missed(Miss::NotFound),
        partner: None,
        attribution: Attribution::UnknownPartner,
        language: None,
        referrer: Fact::Unknown,
        visitor: None,
        sub_ids: Vec::new(),
        counters: Counters::default(),
        ..click(at(2, SignedDuration::ZERO))
    };
    let (full_id, bare_id) = (full.id, bare.id);
    Writer::new(&database, 1).await.add(vec![full, bare]).await;
    let request = StreamClicksRequest::default();
    let mut stream = server.stats().stream_clicks(request).await.unwrap().into_inner();
    let Some(Event::Clicks(clicks)) = next(&mut stream).await.unwrap().unwrap().event else { panic!() };
    let time = |id: smartlinks::domain::click_id::ClickId| {
        let millis = id.time().as_millisecond();
        let nanos = i32::try_from(millis % 1_000 * 1_000_000).unwrap();
        Some(prost_types::Timestamp { seconds: millis / 1_000, nanos })
    };
    let pairs = [("s1", "x"), ("s2", "")];
    let expected = [
        proto::Click {
            id: full_id.to_string(),
            click_time: time(full_id),
            shop: "acme".into(),
            slug: "sale".into(),
            revision: 3,
            channel: proto::Channel::Qr.into(),
            reason: proto::ResolveReason::Rule.into(),
            rule_id: "de".into(),
            destination: "/sale".into(),
            partner: "anna".into(),
            program: "gold".into(),
            attribution: proto::Attribution::Credited.into(),
            traffic_class: proto::TrafficClass::Preview.into(),
            traffic_reason: "Slackbot".into(),
            country: "DE".into(),
            device: proto::DeviceClass::Tablet.into(),
            os: "ios".into(),
            browser: "safari".into(),
            language: "de".into(),
            referrer_host: Some("news.example".into()),
            visitor: "000102030405060708090a0b0c0d0eff".into(),
            sub_ids: pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            visitor_total_visits: Some(3),
            link_total_visits: Some(9),
            partner_total_visits: Some(0),
            variant_id: "blue".into(),
        },
        proto::Click {
            id: bare_id.to_string(),
            click_time: time(bare_id),
            shop: "acme".into(),
            revision: 3,
            channel: proto::Channel::Link.into(),
            reason: proto::ResolveReason::LinkNotFound.into(),
            destination: "/sale".into(),
            attribution: proto::Attribution::UnknownPartner.into(),
            traffic_class: proto::TrafficClass::Human.into(),
            traffic_reason: "nothing else".into(),
            ..Default::default()
        },
    ];
    assert_eq!(clicks.clicks, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_leave_out_and_the_token_goes_on() {
    use smartlinks::domain::{
        client::TrafficClass,
        visit::{Miss, ResolveReason},
    };
    let database = Database::create().await;
    let server = TestServer::ready(database.url()).await;
    server.admin().create_shop(create_shop("acme")).await.unwrap();
    server.admin().create_shop(create_shop("other")).await.unwrap();
    let hours = SignedDuration::from_hours;
    let base = |number: u64| click(at(number, hours(1)));
    let name = |text: &str| text.to_owned();
    let clicks = vec![
        base(0),
        Click { shop: name("other").try_into().unwrap(), ..base(1) },
        Click { slug: Some(name("winter").try_into().unwrap()), ..base(2) },
        Click { partner: Some(name("bert").try_into().unwrap()), ..base(3) },
        Click { partner: None, ..base(4) },
        Click { traffic: TrafficClass::Bot, ..base(5) },
        Click { reason: ResolveReason::Missed(Miss::Paused), ..base(6) },
        click(at(7, hours(50))),
    ];
    let ids: Vec<String> = clicks.iter().map(|click| click.id.to_string()).collect();
    let mut writer = Writer::new(&database, 1).await;
    for click in clicks {
        writer.add(vec![click]).await;
    }
    let acme = || ClickFilter { shop: "ACME".into(), ..Default::default() };
    let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let only = |filter: ClickFilter| StreamClicksRequest { filter: Some(filter), ..Default::default() };
    let day_ago = Timestamp::now() - hours(24);
    let time = Some(prost_types::Timestamp { seconds: day_ago.as_second(), nanos: 0 });
    let cases: Vec<(StreamClicksRequest, &[usize])> = vec![
        (only(acme()), &[0, 2, 3, 4, 5, 6, 7]),
        (only(ClickFilter { shop: "other".into(), ..Default::default() }), &[1]),
        (only(ClickFilter { slugs: texts(&["Winter", "nope"]), ..acme() }), &[2]),
        (only(ClickFilter { partners: texts(&["bert", "anna"]), ..acme() }), &[0, 2, 3, 5, 6, 7]),
        (only(ClickFilter { slugs: texts(&["winter"]), partners: texts(&["bert"]), ..acme() }), &[]),
        (only(ClickFilter { traffic_classes: vec![2], ..Default::default() }), &[5]),
        (only(ClickFilter { reasons: vec![4, 7], ..Default::default() }), &[6]),
        (StreamClicksRequest { start_time: time, ..Default::default() }, &[0, 1, 2, 3, 4, 5, 6]),
        (StreamClicksRequest { end_time: time, ..Default::default() }, &[7]),
        (StreamClicksRequest::default(), &[0, 1, 2, 3, 4, 5, 6, 7]),
    ];
    for (request, expected) in cases {
        let mut consumer = Consumer::default();
        consumer.catch_up_with(&mut server.stats(), request.clone()).await;
        let expected: Vec<_> = expected.iter().map(|at| ids[*at].clone()).collect();
        assert_eq!(consumer.ids, expected, "{request:?}");
        // The token stands behind what was left out as well; it is not bound to the filter.
        consumer.ids.clear();
        consumer.catch_up(&mut server.stats()).await;
        assert_eq!(consumer.ids, [""; 0], "{request:?}");
    }
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

#[tokio::test(flavor = "multi_thread")]
async fn clicks_that_expired_are_simply_not_there() {
    let database = Database::create().await;
    let server = TestServer::ready(database.url()).await;
    let mut writer = Writer::new(&database, 1).await;
    let old = |numbers: std::ops::Range<u64>| {
        numbers.map(|number| click(at(number, SignedDuration::from_hours(72)))).collect::<Vec<_>>()
    };
    writer.add(old(0..2_500)).await;
    writer.add(old(2_500..2_600).into_iter().chain([click(at(9_000, SignedDuration::ZERO))]).collect()).await;
    writer.add_new(10_000..10_010).await;
    let mut middle = Consumer::default();
    let request = StreamClicksRequest::default();
    let mut stream = server.stats().stream_clicks(request).await.unwrap().into_inner();
    middle.take(next(&mut stream).await.unwrap().unwrap());
    assert_eq!(middle.ids.len(), 1_000);
    drop(stream);
    let day = (Timestamp::now() - SignedDuration::from_hours(72)).strftime("click_%Y%m%d").to_string();
    execute(&database, &format!("DROP TABLE clicks.{day}")).await;
    let left = in_order(&database).await;
    assert_eq!(left.len(), 11);
    middle.ids.clear();
    middle.catch_up(&mut server.stats()).await;
    let mut anew = Consumer::default();
    anew.catch_up(&mut server.stats()).await;
    assert_eq!((&middle.ids, &anew.ids), (&left, &left));
}

#[tokio::test(flavor = "multi_thread")]
async fn call_from_a_terminal_prints_a_line_for_each_message() {
    use smartlinks::cli::call::{CallArgs, run};
    let database = Database::create().await;
    let server = TestServer::ready(database.url()).await;
    Writer::new(&database, 1).await.add_new(0..1_500).await;
    let args = CallArgs {
        method: Some("StreamClicks".to_owned()),
        request: Some(r#"{"filter": {"traffic_classes": ["TRAFFIC_CLASS_HUMAN"]}}"#.to_owned()),
        server: server.url(),
        token_file: None,
        timeout: "20s".to_owned(),
    };
    let mut out = Vec::new();
    run(args, &mut out).await.unwrap();
    let lines = String::from_utf8(out).unwrap();
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let counts: Vec<_> = lines
        .iter()
        .map(|line| line["clicks"]["clicks"].as_array().map_or(0, |clicks| clicks.len()))
        .collect();
    assert_eq!(counts, [1_000, 500, 0]);
    assert!(lines[2]["heartbeat"].is_object() && lines.iter().all(|line| line["token"].is_string()));
}

#[tokio::test]
async fn names_of_a_newer_version_end_no_stream() {
    let database = Database::create().await;
    let mut writer = Writer::new(&database, 1).await;
    writer.add_new(0..3).await;
    let newer = "UPDATE clicks.click SET channel = 'nfc', reason = 'teleported', attribution = 'split', traffic = 'agent',
        country = 'A1', device = 'ring', os = 'fuchsia', browser = 'ladybird' WHERE sequence = 2";
    database.client().await.batch_execute(newer).await.unwrap();
    let all = clicks::ClickFilter { conversions: true, ..Default::default() };
    let page = database.store().clicks_after(clicks::Place::default(), i64::MAX, &all).await.unwrap();
    assert_eq!((page.items.len(), page.unknown_names), (3, 8));
    let (mut stats, _stop) = serve(database.store(), StreamLimits::default()).await;
    let mut stream = stats.stream_clicks(StreamClicksRequest::default()).await.unwrap().into_inner();
    let Some(Event::Clicks(sent)) = stream.message().await.unwrap().unwrap().event else {
        panic!("no clicks")
    };
    let [before, newer, behind] = &sent.clicks[..] else { panic!("{sent:?}") };
    assert_eq!((before.reason(), behind.reason()), (ResolveReason::Default, ResolveReason::Default));
    let known = proto::Click {
        channel: 0,
        reason: 0,
        attribution: 0,
        traffic_class: 0,
        id: newer.id.clone(),
        click_time: newer.click_time,
        ..before.clone()
    };
    assert_eq!(*newer, known);
    // Conversions hold the same names.
    let credit = "INSERT INTO clicks.conversion (shop, order_id, refund_id, batch, sequence, at, amount, currency, click_at,
            revision, channel, reason, destination, attribution, traffic, device)
        VALUES ('acme', '1', '', 77, 1, now(), 5, 'EUR', now(), 1, 'nfc', 'teleported', '/', 'split', 'agent', 'ring');
        UPDATE clicks.head SET position = 2;
        INSERT INTO clicks.ledger (position, batch, kind, first_sequence, last_sequence, delivered, applied, min_at, max_at)
        SELECT 2, 77, 'conversions', 1, 1, 1, 1, at, at FROM clicks.conversion";
    database.client().await.batch_execute(credit).await.unwrap();
    let page = database.store().clicks_after(clicks::Place::behind(1), i64::MAX, &all).await.unwrap();
    assert_eq!((page.items.len(), page.unknown_names), (1, 5));
}
