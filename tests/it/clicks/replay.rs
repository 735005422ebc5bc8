//! Drafts of links against recorded clicks, over gRPC.

use jiff::{SignedDuration, Timestamp};
use smartlinks::{
    domain::{
        click::Click,
        client::{DeviceClass, TrafficClass},
        revision::Revision,
        visit::ResolveReason,
    },
    proto::{
        self, Condition, Link, ReplayClicksRequest, ReplayClicksResponse, ReplayFlow, ReplayOutcome,
        ReplayResult, Rule, UnkeptFact, condition::Kind, link_admin_client::LinkAdminClient,
        query_parameter_is::Test, replay_clicks_response::Event, replay_flow::New, rule::Then,
    },
};
use tokio::{net::TcpStream, time::timeout};
use tonic::{
    Code, Status, Streaming,
    transport::{Channel, Endpoint},
};

use crate::{
    admin::fixture::{
        create_link, create_partner, create_shop, get_link, link, mask, refusal, split_rule, update_link,
    },
    support::{
        clicks::{Writer, at, click},
        database::Database,
        server::{PATIENCE, TestServer, eventually},
    },
};

/// The link `sale` of `acme`, which leads to `/sale`, and a writer of its clicks.
struct World {
    database: Database,
    server: TestServer,
    admin: LinkAdminClient<Channel>,
    writer: Writer,
}

impl World {
    async fn new() -> Self {
        let database = Database::create().await;
        let server = TestServer::ready(database.url()).await;
        let mut admin = server.admin();
        create_shop(&mut admin, "acme").await;
        create_partner(&mut admin, "anna", "").await;
        create_link(&mut admin, Link { default_destination: "sale".into(), ..link("sale") }).await;
        let writer = Writer::new(&database, 7).await;
        Self { database, server, admin, writer }
    }

    async fn replay(&mut self, request: ReplayClicksRequest) -> (Vec<ReplayFlow>, ReplayResult) {
        let mut stream = self.admin.replay_clicks(request).await.unwrap().into_inner();
        let (mut flows, mut result) = (Vec::new(), None);
        while let Some(message) = next(&mut stream).await.unwrap() {
            assert!(result.is_none(), "something comes behind the result");
            match message.event.unwrap() {
                Event::Progress(progress) => assert!((0.0..=1.0).contains(&progress.log_share)),
                Event::Flows(more) => flows.extend(more.flows),
                Event::Result(end) => result = Some(end),
            }
        }
        (flows, result.expect("a result"))
    }
}

async fn next(stream: &mut Streaming<ReplayClicksResponse>) -> Result<Option<ReplayClicksResponse>, Status> {
    timeout(PATIENCE, stream.message()).await.expect("nothing came")
}

/// Asks what these rules would have done.
fn rules(rules: Vec<Rule>) -> ReplayClicksRequest {
    ReplayClicksRequest {
        link: Some(Link { shop: "acme".into(), slug: "sale".into(), rules, ..Link::default() }),
        update_mask: mask(&["rules"]),
        ..ReplayClicksRequest::default()
    }
}

fn rule(id: &str, kind: Kind) -> Rule {
    Rule {
        id: id.into(),
        when: Some(Condition { kind: Some(kind) }),
        then: Some(Then::Destination(format!("/{id}"))),
        ..Rule::default()
    }
}

fn on_phones() -> Rule {
    rule("phones", Kind::Device(proto::DeviceIs { classes: vec![proto::DeviceClass::Mobile.into()] }))
}

fn with_promo() -> Rule {
    let test = Some(Test::Present(proto::Present {}));
    rule("promo", Kind::QueryParameter(proto::QueryParameterIs { name: "promo".into(), test }))
}

/// Clicks with these numbers: those that a third divides come from computers, the others from phones.
fn crowd(numbers: std::ops::Range<u64>, ago: SignedDuration) -> Vec<Click> {
    let device = |number| if number % 3 == 0 { DeviceClass::Desktop } else { DeviceClass::Mobile };
    numbers.map(|number| Click { device: Some(device(number)), ..click(at(number, ago)) }).collect()
}

fn counts(result: &ReplayResult) -> Vec<(ReplayOutcome, i64)> {
    result.outcomes.iter().map(|count| (count.outcome(), count.clicks)).collect()
}

fn end(flow: &ReplayFlow) -> (&str, &str) {
    match flow.new.as_ref().unwrap() {
        New::End(end) => (&end.destination, &end.rule_id),
        New::Unjudged(unjudged) => panic!("{unjudged:?}"),
    }
}

fn missing(flow: &ReplayFlow) -> Vec<UnkeptFact> {
    match flow.new.as_ref().unwrap() {
        New::End(end) => panic!("{end:?}"),
        New::Unjudged(unjudged) => unjudged.missing().collect(),
    }
}

fn instant(time: Timestamp) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds: time.as_second(), nanos: 0 })
}

#[tokio::test(flavor = "multi_thread")]
async fn draft_that_moves_phones_shows_who_would_have_gone_where() {
    let mut world = World::new().await;
    let clicks = crowd(0..300, SignedDuration::from_hours(1));
    let ids: Vec<_> = clicks.iter().map(|click| click.id.to_string()).collect();
    for batch in clicks.chunks(70) {
        world.writer.add(batch.to_vec()).await;
    }
    let other =
        Click { slug: Some("home".to_owned().try_into().unwrap()), ..click(at(900, SignedDuration::ZERO)) };
    world.writer.add(vec![other]).await;
    let before = get_link(&mut world.admin, "sale").await;

    let (flows, result) = world.replay(rules(vec![on_phones()])).await;
    assert_eq!(counts(&result), [(ReplayOutcome::Same, 100), (ReplayOutcome::Elsewhere, 200)]);
    assert_eq!((result.clicks, result.flows, result.clicks_in_no_flow), (300, 2, 0));
    assert_eq!((result.link_revision, result.warnings.len()), (before.revision, 0));
    let [phones, others] = flows.as_slice() else { panic!("{flows:?}") };
    let old = phones.old.as_ref().unwrap();
    assert_eq!((old.destination.as_str(), old.reason()), ("/sale", proto::ResolveReason::Default));
    assert_eq!(
        (end(phones), phones.clicks, phones.outcome()),
        (("/phones", "phones"), 200, ReplayOutcome::Elsewhere)
    );
    assert_eq!((end(others), others.clicks, others.outcome()), (("sale", ""), 100, ReplayOutcome::Same));
    assert_eq!(phones.sample_click_ids, [1, 2, 4, 5, 7].map(|at: usize| ids[at].clone()));
    assert_eq!(others.sample_click_ids, [0, 3, 6, 9, 12].map(|at: usize| ids[at].clone()));

    // Nothing was changed, and the present link does what it did.
    assert_eq!(get_link(&mut world.admin, "sale").await, before);
    let written = "SELECT count(*) FROM history WHERE key = 'sale'";
    let client = world.database.client().await;
    assert_eq!(client.query_one(written, &[]).await.unwrap().get::<_, i64>(0), 1);
    let present = ReplayClicksRequest { update_mask: None, ..rules(Vec::new()) };
    assert_eq!(counts(&world.replay(present).await.1), [(ReplayOutcome::Same, 300)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_click_does_not_keep_is_not_made_up() {
    let mut world = World::new().await;
    world.writer.add(crowd(0..200, SignedDuration::from_hours(1))).await;
    let (flows, result) = world.replay(rules(vec![on_phones(), with_promo()])).await;
    assert_eq!(counts(&result), [(ReplayOutcome::Elsewhere, 133), (ReplayOutcome::Unjudged, 67)]);
    let unjudged = flows.iter().find(|flow| flow.outcome() == ReplayOutcome::Unjudged).unwrap();
    assert_eq!(missing(unjudged), [UnkeptFact::Query]);
    assert_eq!(unjudged.old.as_ref().unwrap().destination, "/sale");
    // Where it does not matter, it is not missed.
    let nowhere_else = Rule { then: Some(Then::Destination("sale".into())), ..with_promo() };
    assert_eq!(counts(&world.replay(rules(vec![nowhere_else])).await.1), [(ReplayOutcome::Same, 200)]);
    // A draft that ended before does not decide.
    let ended = Link {
        shop: "acme".into(),
        slug: "sale".into(),
        expire_time: instant(Timestamp::now() - SignedDuration::from_hours(2)),
        ..Link::default()
    };
    let ended = ReplayClicksRequest { link: Some(ended), ..ReplayClicksRequest::default() };
    let (flows, result) = world.replay(ended).await;
    assert_eq!(counts(&result), [(ReplayOutcome::Gone, 200)]);
    assert_eq!(result.warnings[0].field, "link.expire_time");
    let Some(New::End(gone)) = &flows[0].new else { panic!("{flows:?}") };
    assert_eq!((gone.destination.as_str(), gone.reason()), ("", proto::ResolveReason::LinkExpired));
}

#[tokio::test(flavor = "multi_thread")]
async fn clicks_of_a_time_and_of_classes_are_replayed() {
    let mut world = World::new().await;
    for (hours, numbers) in [(3, 0..30), (2, 30..50), (1, 50..60)] {
        world.writer.add(crowd(numbers, SignedDuration::from_hours(hours))).await;
    }
    let bots = crowd(60..67, SignedDuration::from_hours(2));
    world
        .writer
        .add(bots.into_iter().map(|click| Click { traffic: TrafficClass::Bot, ..click }).collect())
        .await;
    let hours = |hours: i64| instant(Timestamp::now() - SignedDuration::from_mins(hours * 60 + 30));
    let all = || rules(vec![on_phones()]);
    assert_eq!(world.replay(all()).await.1.clicks, 60);
    let between = ReplayClicksRequest { start_time: hours(2), end_time: hours(1), ..all() };
    assert_eq!(world.replay(between.clone()).await.1.clicks, 20);
    let classes = vec![proto::TrafficClass::Human.into(), proto::TrafficClass::Bot.into()];
    let between = ReplayClicksRequest { traffic_classes: classes, ..between };
    assert_eq!(world.replay(between).await.1.clicks, 27);
}

#[tokio::test(flavor = "multi_thread")]
async fn visitors_keep_variants_that_have_lost_nothing() {
    let mut world = World::new().await;
    let with = |weights: &[(&str, i32)]| Rule { when: on_phones().when, ..split_rule("ab", "DE", weights) };
    let draft = |weights: &[(&str, i32)]| rules(vec![with(weights)]);
    let request = |weights: &[(&str, i32)]| proto::UpdateLinkRequest {
        link: draft(weights).link,
        update_mask: mask(&["rules"]),
        ..Default::default()
    };
    let first = update_link(&mut world.admin, request(&[("a", 1), ("b", 1)])).await;
    let second = update_link(&mut world.admin, request(&[("a", 1), ("b", 9)])).await;
    let got = |variant: &str, number, revision| Click {
        device: Some(DeviceClass::Mobile),
        reason: ResolveReason::Rule,
        rule: Some("ab".to_owned().try_into().unwrap()),
        variant: Some(variant.to_owned().try_into().unwrap()),
        destination: format!("try/{variant}"),
        revision: Revision(revision),
        ..click(at(number, SignedDuration::ZERO))
    };
    let clicks = [("a", first.revision), ("b", first.revision), ("b", second.revision)];
    let numbered = clicks.iter().zip(0..).map(|((variant, revision), at)| got(variant, at, *revision));
    world.writer.add(numbered.collect()).await;
    // Of `b` there is more than at the first revision, and less than at the second.
    let (flows, result) = world.replay(draft(&[("a", 1), ("b", 5)])).await;
    assert_eq!(counts(&result), [(ReplayOutcome::Same, 1), (ReplayOutcome::Unjudged, 2)]);
    let unjudged: Vec<_> = flows.iter().filter(|flow| flow.outcome() == ReplayOutcome::Unjudged).collect();
    for flow in &unjudged {
        let Some(New::Unjudged(why)) = &flow.new else { panic!("{flow:?}") };
        assert_eq!((why.rule_id.as_str(), missing(flow).as_slice()), ("ab", &[UnkeptFact::Visitor][..]));
    }
    let variants: Vec<_> =
        unjudged.iter().map(|flow| flow.old.as_ref().unwrap().variant_id.as_str()).collect();
    assert_eq!(variants, ["a", "b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_drafts_are_refused_with_the_field() {
    let mut world = World::new().await;
    let bad = Rule { then: Some(Then::Destination("javascript:alert(1)".into())), ..on_phones() };
    let foreign = Rule { then: Some(Then::Destination("https://evil.example/".into())), ..on_phones() };
    let now = instant(Timestamp::now());
    let unknown = |slug: &str| ReplayClicksRequest {
        link: Some(Link { shop: "acme".into(), slug: slug.into(), ..Link::default() }),
        ..ReplayClicksRequest::default()
    };
    let stale = {
        let request = rules(vec![on_phones()]);
        let link = Link { etag: "\"r0\"".into(), ..request.link.unwrap() };
        ReplayClicksRequest { link: Some(link), ..unknown("sale") }
    };
    for (request, code, field) in [
        (ReplayClicksRequest::default(), Code::InvalidArgument, "link"),
        (rules(vec![bad]), Code::InvalidArgument, "link.rules[0].destination"),
        (rules(vec![foreign]), Code::InvalidArgument, "link.rules[0].destination"),
        (rules(vec![on_phones(), on_phones()]), Code::InvalidArgument, "link.rules[1].id"),
        (
            ReplayClicksRequest { update_mask: mask(&["state"]), ..rules(Vec::new()) },
            Code::InvalidArgument,
            "update_mask.paths[0]",
        ),
        (
            ReplayClicksRequest { start_time: now, end_time: now, ..rules(Vec::new()) },
            Code::InvalidArgument,
            "end_time",
        ),
        (
            ReplayClicksRequest { traffic_classes: vec![1, 77], ..rules(Vec::new()) },
            Code::InvalidArgument,
            "traffic_classes[1]",
        ),
        (unknown("nothing"), Code::NotFound, ""),
        (stale, Code::Aborted, ""),
    ] {
        let status = world.admin.replay_clicks(request.clone()).await.map(drop).unwrap_err();
        let (found, _, path) = refusal(&status);
        assert_eq!((found, path.as_str()), (code, field), "{request:?}: {status:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn flows_are_bounded_and_so_are_replays() {
    let mut world = World::new().await;
    let far = |number: u64| Click {
        destination: format!("/{}/{number}", "x".repeat(2_000)),
        ..click(at(number, SignedDuration::ZERO))
    };
    world.writer.add((0..1_100).map(far).collect()).await;
    let (flows, result) = world.replay(rules(vec![on_phones()])).await;
    assert_eq!(
        (flows.len(), result.flows, result.clicks, result.clicks_in_no_flow),
        (1_000, 1_000, 1_100, 100)
    );
    assert_eq!(counts(&result), [(ReplayOutcome::Elsewhere, 1_100)]);

    // Two whose callers do not read, and whose answers no buffer on the way holds: a third is refused until one of them
    // has gone.
    let far_too = Link { default_destination: "y".repeat(2_000), ..rules(Vec::new()).link.unwrap() };
    let long = ReplayClicksRequest {
        link: Some(far_too),
        update_mask: mask(&["default_destination"]),
        ..ReplayClicksRequest::default()
    };
    let mut callers = Vec::new();
    for _ in 0..2 {
        let endpoint = Endpoint::from_shared(world.server.url()).unwrap();
        let channel = endpoint.initial_stream_window_size(65_535).connect().await.unwrap();
        let mut client = LinkAdminClient::new(channel);
        callers.push(client.replay_clicks(long.clone()).await.unwrap().into_inner());
    }
    let status = world.admin.replay_clicks(rules(Vec::new())).await.map(drop).unwrap_err();
    let (code, reason, _) = refusal(&status);
    assert_eq!((code, reason.as_str()), (Code::ResourceExhausted, "OVERLOADED"));
    drop(callers.pop());
    let admin = world.admin.clone();
    eventually("a replay that may run", || {
        let mut admin = admin.clone();
        async move { admin.replay_clicks(rules(Vec::new())).await.ok() }
    })
    .await;

    // A server that stops ends the other one.
    let mut held = callers.pop().unwrap();
    let World { server, .. } = world;
    let address = server.address();
    let stopping = tokio::spawn(server.stop());
    eventually("a server that takes no calls", || async { TcpStream::connect(address).await.err() }).await;
    let status = loop {
        match next(&mut held).await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the replay ended well"),
            Err(status) => break status,
        }
    };
    assert_eq!(refusal(&status).1, "SHUTTING_DOWN", "{status:?}");
    stopping.await.unwrap();
}
