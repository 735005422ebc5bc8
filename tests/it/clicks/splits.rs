//! Variants from the rule to the statistics.

use std::{collections::BTreeMap, path::Path};

use jiff::{SignedDuration, Timestamp};
use smartlinks::{
    config::{Secret, serve::ServeSettings},
    proto::{
        CheckSplitRequest, CheckSplitResponse, CreateLinkRequest, GoldenClick, Link, Purpose,
        QueryStatsRequest, ResolveRequest, SplitVerdict, StatsDimension, StatsFilter, StreamClicksRequest,
        TestVisit, UpdateLinkRequest, Visitor, stats_series::Key, stream_clicks_response::Event,
    },
};
use tonic::Code;

use super::world::{World, visit};
use crate::{
    admin::fixture::{link, mask, reason, rule, split_rule},
    support::server::{TestServer, execute, recording, settings},
};

/// Writes the rule `test` of the link `split`, which exists from the second time on.
async fn write(server: &TestServer, weights: &[(&str, i32)], is_new: bool) -> i64 {
    let link = Link { rules: vec![split_rule("test", "DE", weights)], ..link("split") };
    let revision = if is_new {
        let request = CreateLinkRequest { link: Some(link), ..Default::default() };
        server.admin().create_link(request).await.unwrap().into_inner().revision
    } else {
        let request =
            UpdateLinkRequest { link: Some(link), update_mask: mask(&["rules"]), ..Default::default() };
        server.admin().update_link(request).await.unwrap().into_inner().revision
    };
    server.wait_for(revision).await;
    revision
}

fn asked(visitor: usize, purpose: Purpose) -> ResolveRequest {
    ResolveRequest {
        country: "DE".to_owned(),
        visitor: Some(Visitor { id: format!("visitor {visitor}"), ..Visitor::default() }),
        headers: Some(smartlinks::proto::RequestHeaders {
            user_agent: Some(
                "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0".to_owned(),
            ),
            ..Default::default()
        }),
        ..visit("split", purpose)
    }
}

/// Lets each of these visitors come, and returns which variant each got.
async fn visits(server: &TestServer, visitors: std::ops::Range<usize>, purpose: Purpose) -> Vec<String> {
    let mut resolver = server.resolver();
    let mut got = Vec::new();
    for visitor in visitors {
        let answer = resolver.resolve(asked(visitor, purpose)).await.unwrap().into_inner();
        assert_eq!(answer.rule_id, "test");
        assert_eq!(
            answer.location.split('?').next().unwrap(),
            format!("https://acme.example/try/{}", answer.variant_id)
        );
        got.push(answer.variant_id);
    }
    got
}

async fn check(server: &TestServer, start: Option<Timestamp>) -> CheckSplitResponse {
    let start_time = start
        .map(|time| prost_types::Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() });
    let request = CheckSplitRequest {
        shop: "ACME".into(),
        slug: "split".into(),
        rule_id: "test".into(),
        start_time,
        end_time: None,
    };
    server.stats().check_split(request).await.unwrap().into_inner()
}

fn recorded(world: &World, folder: &Path) -> ServeSettings {
    recording(world.database.url(), folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn golden_clicks_get_the_variants_that_real_ones_get() {
    let world = World::new().await;
    let of_installation = settings(world.database.url());
    let by_secret =
        ServeSettings { split_secret: Some(Secret::new("open sesame")), ..of_installation.clone() };
    let mut is_new = true;
    for settings in [of_installation, by_secret] {
        let server = world.serve(settings).await;
        write(&server, &[("a", 1), ("b", 1)], is_new).await;
        is_new = false;
        let got = visits(&server, 0..24, Purpose::Lookup).await;
        let golden = |(visitor, variant): (usize, String)| GoldenClick {
            name: format!("{visitor}"),
            visit: Some(TestVisit {
                country: "DE".to_owned(),
                visitor_id: format!("visitor {visitor}"),
                ..Default::default()
            }),
            expected_destination: format!("try/{variant}"),
            ..Default::default()
        };
        let golden_clicks = got.into_iter().enumerate().map(golden).collect();
        let request = UpdateLinkRequest {
            link: Some(Link { golden_clicks, ..link("split") }),
            update_mask: mask(&["golden_clicks"]),
            ..Default::default()
        };
        server.admin().update_link(request).await.unwrap();
        let clear = UpdateLinkRequest {
            link: Some(link("split")),
            update_mask: mask(&["golden_clicks"]),
            ..Default::default()
        };
        server.admin().update_link(clear).await.unwrap();
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_visitor_gets_one_variant_and_a_changed_weight_moves_only_who_must_move() {
    let world = World::new().await;
    let server = world.serve(settings(world.database.url())).await;
    write(&server, &[("a", 1), ("b", 1), ("c", 1)], true).await;
    let mut resolver = server.resolver();
    for visitor in 0..3 {
        let first = resolver.resolve(asked(visitor, Purpose::Click)).await.unwrap().into_inner().variant_id;
        for turn in 0..100 {
            let purpose = if turn % 2 == 0 { Purpose::Click } else { Purpose::Lookup };
            let answer = resolver.resolve(asked(visitor, purpose)).await.unwrap().into_inner();
            assert_eq!(answer.variant_id, first);
        }
    }
    let before = visits(&server, 0..600, Purpose::Lookup).await;
    write(&server, &[("a", 2), ("b", 1), ("c", 1)], false).await;
    let grown = visits(&server, 0..600, Purpose::Lookup).await;
    let moved: Vec<_> = before.iter().zip(&grown).filter(|(before, after)| before != after).collect();
    assert!(moved.iter().all(|(_, after)| *after == "a"), "{moved:?}");
    // A sixth of 600, give or take five standard deviations.
    assert!((55..=145).contains(&moved.len()), "{} moved", moved.len());
    write(&server, &[("a", 0), ("b", 1), ("c", 1)], false).await;
    let ended = visits(&server, 0..600, Purpose::Lookup).await;
    for (before, after) in grown.iter().zip(&ended) {
        assert!(after != "a" && (before == "a" || before == after));
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_draw_alike_with_and_without_a_secret_and_from_their_copies() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let secret = Some(Secret::new("a secret that all servers of this test have"));
    let with = |secret: &Option<Secret>, folder: &Path| ServeSettings {
        split_secret: secret.clone(),
        state_dir: Some(folder.to_owned()),
        ..settings(world.database.url())
    };
    let first = world.serve(settings(world.database.url())).await;
    let revision = write(&first, &[("a", 1), ("b", 1)], true).await;
    let drawn = visits(&first, 0..100, Purpose::Lookup).await;
    assert!(drawn.contains(&"a".to_owned()) && drawn.contains(&"b".to_owned()));
    let mut by_secret = Vec::new();
    for (secret, of) in [(&None, "installation"), (&secret, "secret"), (&secret, "again")] {
        let server = TestServer::start(with(secret, &folder.path().join(of))).await;
        server.wait_for(revision).await;
        let same = visits(&server, 0..100, Purpose::Lookup).await;
        server.stop().await;
        if secret.is_none() {
            assert_eq!(same, drawn);
        } else {
            by_secret.push(same);
        }
    }
    assert_eq!(by_secret[0], by_secret[1]);
    assert_ne!(by_secret[0], drawn);
    first.stop().await;
    // Without PostgreSQL: the copy holds the one key, and the file the other.
    let key = |of: &str| {
        let copy = std::fs::read_to_string(folder.path().join(of).join("index.copy")).unwrap();
        copy.lines().filter(|line| line.contains("split_key")).count()
    };
    assert_eq!((key("installation"), key("secret")), (1, 0));
    let nowhere = "postgres://nobody@127.0.0.1:1/none";
    for (secret, of, expected) in [(&None, "installation", &drawn), (&secret, "secret", &by_secret[0])] {
        let mut settings = with(secret, &folder.path().join(of));
        settings.database.url = Secret::new(nowhere);
        let server = TestServer::start(settings).await;
        server.wait_for(revision).await;
        assert_eq!(&visits(&server, 0..100, Purpose::Lookup).await, expected, "{of}");
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn variant_is_on_the_click_in_the_stream_and_in_the_figures() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let server = world.serve(recorded(&world, folder.path())).await;
    write(&server, &[("a", 70), ("b", 30)], true).await;
    let got = visits(&server, 0..60, Purpose::Click).await;
    server.resolver().resolve(visit("sale", Purpose::Click)).await.unwrap();
    world.has_clicks(61).await;
    let mut count = BTreeMap::<_, i64>::new();
    for variant in &got {
        *count.entry(format!("split/test/{variant}")).or_default() += 1;
    }
    let request = StreamClicksRequest::default();
    let mut stream = server.stats().stream_clicks(request).await.unwrap().into_inner();
    let mut streamed = BTreeMap::<_, i64>::new();
    while let Some(message) = stream.message().await.unwrap() {
        if let Some(Event::Clicks(clicks)) = message.event {
            for click in clicks.clicks.iter().filter(|click| !click.variant_id.is_empty()) {
                assert_eq!(click.destination, format!("try/{}", click.variant_id));
                let name = format!("{}/{}/{}", click.slug, click.rule_id, click.variant_id);
                *streamed.entry(name).or_default() += 1;
            }
        }
    }
    assert_eq!(streamed, count);
    let (now, time) = (Timestamp::now(), |time: Timestamp| {
        Some(prost_types::Timestamp { seconds: time.as_second(), nanos: 0 })
    });
    let asked = QueryStatsRequest {
        shop: "acme".into(),
        start_time: time(now - SignedDuration::from_hours(48)),
        end_time: time(now + SignedDuration::from_hours(48)),
        dimension: StatsDimension::Variant.into(),
        ..Default::default()
    };
    // Human clicks alone: the visit to `sale` sent no user agent.
    let answer = server.stats().query_stats(asked.clone()).await.unwrap().into_inner();
    let figures = |answer: &smartlinks::proto::QueryStatsResponse| -> BTreeMap<String, i64> {
        let series = answer.series.iter().map(|series| match &series.key {
            Some(Key::Value(value)) => (value.clone(), series.total.as_ref().unwrap().clicks),
            other => panic!("{other:?}"),
        });
        series.filter(|(value, _)| !value.is_empty()).collect()
    };
    assert_eq!(figures(&answer), count);
    let one = StatsFilter {
        dimension: StatsDimension::Variant.into(),
        values: vec!["Split/test/a".into()],
        unknown: false,
    };
    let only = QueryStatsRequest { dimension: 0, filters: vec![one], ..asked.clone() };
    let only = server.stats().query_stats(only).await.unwrap().into_inner();
    assert_eq!(only.total_clicks, count["split/test/a"]);
    let wrong = StatsFilter {
        dimension: StatsDimension::Variant.into(),
        values: vec!["split/test".into()],
        unknown: false,
    };
    let wrong = QueryStatsRequest { filters: vec![wrong], ..asked };
    assert_eq!(server.stats().query_stats(wrong).await.unwrap_err().code(), Code::InvalidArgument);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn split_is_checked_against_the_weights_since_they_stand() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let server = world.serve(recorded(&world, folder.path())).await;
    let before = Timestamp::now();
    write(&server, &[("a", 9), ("b", 1)], true).await;
    visits(&server, 0..50, Purpose::Click).await;
    let since = write(&server, &[("a", 1), ("b", 1)], false).await;
    // What says nothing of who gets what does not begin it anew.
    let names = Link { display_name: "Other".into(), ..link("split") };
    let names =
        UpdateLinkRequest { link: Some(names), update_mask: mask(&["display_name"]), ..Default::default() };
    let later = server.admin().update_link(names).await.unwrap().into_inner().revision;
    server.wait_for(later).await;
    world.has_clicks(50).await;
    let none = check(&server, None).await;
    assert_eq!((none.verdict(), none.since_revision), (SplitVerdict::TooFew, since));
    let got = visits(&server, 0..400, Purpose::Click).await;
    world.has_clicks(450).await;
    let even = check(&server, Some(before)).await;
    assert_eq!(
        (even.verdict(), even.since_revision, even.earlier_clicks),
        (SplitVerdict::AsAsked, since, 50)
    );
    assert_eq!(even.degrees_of_freedom, 1);
    assert!(even.p_value > 0.001 && even.chi_square < 10.83, "{even:?}");
    for share in &even.variants {
        let count = got.iter().filter(|variant| **variant == share.variant_id).count();
        assert_eq!((share.clicks, share.draws, share.weight), (count as i64, count as i64, 1));
        assert!((share.expected_draws - 200.0).abs() < 1e-9);
    }
    assert_eq!(check(&server, None).await.earlier_clicks, 0);
    // Most visitors of `b` are lost before they are counted, behind the ledger's back.
    let lost = "DELETE FROM clicks.click WHERE id IN (
        SELECT id FROM clicks.click WHERE variant = 'b' ORDER BY id DESC LIMIT 120)";
    execute(&world.database, lost).await;
    let uneven = check(&server, None).await;
    assert_eq!(uneven.verdict(), SplitVerdict::Mismatch, "{uneven:?}");
    // One visitor who comes again and again is one draw.
    let restored = "UPDATE clicks.click SET visitor = decode(repeat('07', 16), 'hex') WHERE variant = 'a'";
    execute(&world.database, restored).await;
    let busy = check(&server, None).await;
    let a = &busy.variants[0];
    assert!(a.draws == 1 && a.clicks > 100, "{busy:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn split_that_is_not_there_is_not_checked() {
    let world = World::new().await;
    let server = world.serve(settings(world.database.url())).await;
    write(&server, &[("a", 1), ("b", 1)], true).await;
    let one = Link { rules: vec![rule("one", "DE")], ..link("one") };
    let request = CreateLinkRequest { link: Some(one), ..Default::default() };
    server.admin().create_link(request).await.unwrap();
    let ask = async |shop: &str, slug: &str, rule_id: &str| {
        let request = CheckSplitRequest {
            shop: shop.into(),
            slug: slug.into(),
            rule_id: rule_id.into(),
            ..Default::default()
        };
        let status = server.stats().check_split(request).await.unwrap_err();
        (status.code(), reason(&status))
    };
    for (shop, slug, rule_id, code, reason) in [
        ("nobody", "split", "test", Code::NotFound, "LINK_NOT_FOUND"),
        ("acme", "none", "test", Code::NotFound, "LINK_NOT_FOUND"),
        ("acme", "split", "none", Code::InvalidArgument, "UNKNOWN_VALUE"),
        ("acme", "one", "one", Code::InvalidArgument, "UNKNOWN_VALUE"),
        ("acme", "split", "", Code::InvalidArgument, "REQUIRED"),
    ] {
        assert_eq!(ask(shop, slug, rule_id).await, (code, reason.to_owned()), "{shop} {slug} {rule_id}");
    }
    server.stop().await;
}
