//! What a stream sends: every click as it was, in messages that are not too great, and nothing that was not asked for.

use jiff::{SignedDuration, Timestamp};
use smartlinks::{
    domain::click::Click,
    proto::{self, ClickFilter, ResolveReason, StreamClicksRequest, stream_clicks_response::Event},
    rpc::click_stats::StreamLimits,
    store::clicks,
};

use super::{Consumer, in_order, next, serve};
use crate::support::{
    clicks::{Writer, at, click},
    database::Database,
    requests::create_shop,
    server::{TestServer, execute},
};

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
