//! Rules that look at how often people have clicked.

use std::{
    collections::HashSet,
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use smartlinks::{
    config::{
        clicks::{Clicks, RecordSettings},
        serve::ServeSettings,
    },
    proto::{
        Click, Condition, CountIs, EraseClicksRequest, Link, Purpose, RequestHeaders, ResolveRequest, Rule,
        StreamClicksRequest, UpdateLinkRequest, condition::Kind, count_is, erase_clicks_request::Scope,
        link_resolver_client::LinkResolverClient, rule::Then, stream_clicks_response::Event,
    },
};
use tonic::transport::Channel;

use super::world::{Program, World, free_address, visit};
use crate::{
    admin::fixture::{create_link, link, mask},
    support::{
        proxy::Proxy,
        server::{TestServer, eventually, recording, settings},
    },
};

/// Up to where rules tell how often people have clicked.
const MOST: i64 = 250;

type Resolver = LinkResolverClient<Channel>;
type Count = fn(CountIs) -> Kind;

/// Writes rules of which exactly one matches, and says by its id how often people have clicked, if that is known and no
/// less than the first of them says.
fn telling(count: Count, first: i64) -> Vec<Rule> {
    let tells = |number: i64| {
        let is = CountIs { test: Some(count_is::Test::Equals(number)) };
        rule(&format!("n{number}"), count(is))
    };
    (first..=MOST).map(tells).collect()
}

fn rule(id: &str, when: Kind) -> Rule {
    Rule {
        id: id.to_owned(),
        when: Some(Condition { kind: Some(when) }),
        then: Some(Then::Destination(format!("land/{id}"))),
        ..Rule::default()
    }
}

/// Makes a link that tells how often people have clicked on it, one that tells it of partners, and one that sends people
/// elsewhere from the third click on.
async fn tell(world: &mut World) {
    let server = TestServer::ready(world.database.url()).await;
    let mut admin = server.admin();
    create_link(&mut admin, Link { rules: telling(Kind::LinkTotalVisits, 1), ..link("own") }).await;
    let third = CountIs { test: Some(count_is::Test::AtLeast(3)) };
    let third = rule("third", Kind::LinkTotalVisits(third));
    create_link(&mut admin, Link { rules: vec![third], ..link("third") }).await;
    let partners = Link { rules: telling(Kind::PartnerTotalVisits, 0), ..link("partners") };
    world.revision = create_link(&mut admin, partners).await.revision;
    server.stop().await;
}

fn of(slug: &str, partner: &str, purpose: Purpose) -> ResolveRequest {
    ResolveRequest { partner: partner.to_owned(), ..visit(slug, purpose) }
}

/// Clicks, and returns what the rules saw.
async fn click(resolver: &mut Resolver, slug: &str, partner: &str) -> Option<i64> {
    number(resolver, of(slug, partner, Purpose::Click)).await
}

/// Looks up what the next click would see.
async fn next(resolver: &mut Resolver, slug: &str, partner: &str) -> Option<i64> {
    number(resolver, of(slug, partner, Purpose::Lookup)).await
}

async fn number(resolver: &mut Resolver, request: ResolveRequest) -> Option<i64> {
    let answer = resolver.resolve(request).await.unwrap().into_inner();
    answer.rule_id.strip_prefix('n').map(|number| number.parse().unwrap())
}

/// Waits until the rules know how often people have clicked, and returns that.
async fn known(resolver: &Resolver, slug: &str, partner: &str) -> i64 {
    eventually("a counter that is known", || async { next(&mut resolver.clone(), slug, partner).await }).await
}

/// Waits until the next click would see this.
async fn reaches(resolver: &Resolver, slug: &str, partner: &str, wanted: i64) {
    let what = format!("{slug}/{partner} at {wanted}");
    eventually(&what, || async {
        (next(&mut resolver.clone(), slug, partner).await == Some(wanted)).then_some(())
    })
    .await;
}

/// Waits until PostgreSQL has counted so many clicks.
async fn rolled(world: &World, count: i64) {
    eventually(&format!("{count} clicks that are counted"), || async {
        let counted = "SELECT coalesce(sum(clicks), 0) FROM clicks.stats_shop_quarter";
        (world.number(counted).await == count).then_some(())
    })
    .await;
}

/// Returns the clicks on a link, as a stream tells of them.
async fn streamed(server: &TestServer, slug: &str) -> Vec<Click> {
    let mut stream = server.stats().stream_clicks(StreamClicksRequest::default()).await.unwrap().into_inner();
    let mut found = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        if let Some(Event::Clicks(clicks)) = message.event {
            found.extend(clicks.clicks.into_iter().filter(|click| click.slug == slug));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_many_clicks_at_once_has_a_number_of_its_own() {
    let mut world = World::new().await;
    tell(&mut world).await;
    let folder = tempfile::tempdir().unwrap();
    let server = world.serve(recording(world.database.url(), folder.path())).await;
    for slug in ["own", "partners"] {
        assert_eq!(known(&server.resolver(), slug, "anna").await, 1);
    }
    let clicking = (0..10).map(|task| {
        let mut resolver = server.resolver();
        async move {
            let (mut answers, mut sent_on) = (Vec::new(), 0);
            for _ in 0..10 {
                answers.push(
                    click(&mut resolver, "own", if task % 2 == 0 { "anna" } else { "" }).await.unwrap(),
                );
                let answer = resolver.resolve(of("third", "", Purpose::Click)).await.unwrap().into_inner();
                sent_on += usize::from(answer.rule_id == "third");
                // None of these counts: nobody clicked, nobody is a person, nobody got there.
                next(&mut resolver, "own", "anna").await.unwrap();
                let headers =
                    RequestHeaders { user_agent: Some("Googlebot/2.1".to_owned()), ..Default::default() };
                let bot = ResolveRequest { headers: Some(headers), ..of("own", "anna", Purpose::Click) };
                number(&mut resolver, bot).await.unwrap();
                resolver.resolve(of("paused", "anna", Purpose::Click)).await.unwrap_err();
            }
            (answers, sent_on)
        }
    });
    let (answers, sent_on): (Vec<_>, Vec<_>) = join_all(clicking).await.into_iter().unzip();
    let mut answers = answers.concat();
    answers.sort_unstable();
    assert_eq!(answers, (1..=100).collect::<Vec<_>>());
    assert_eq!(sent_on.iter().sum::<usize>(), 98);
    assert_eq!(next(&mut server.resolver(), "own", "").await, Some(101));
    // Clicks on every link of the shop count for the partner, and nobody's for nobody.
    assert_eq!(next(&mut server.resolver(), "partners", "anna").await, Some(51));
    assert_eq!(next(&mut server.resolver(), "partners", "bert").await, Some(1));
    assert_eq!(next(&mut server.resolver(), "partners", "").await, Some(0));
    click(&mut server.resolver(), "partners", "").await;

    // So it stays when PostgreSQL has counted them, and the clicks tell what their rules saw.
    rolled(&world, 100 + 100 + 200 + 1).await;
    assert_eq!(next(&mut server.resolver(), "own", "").await, Some(101));
    let clicks = streamed(&server, "own").await;
    let people = clicks.iter().filter(|click| click.rule_id == format!("n{}", click.link_total_visits()));
    let people = people.filter(|click| click.traffic_class() == smartlinks::proto::TrafficClass::Human);
    let mut seen: Vec<i64> = people.map(|click| click.link_total_visits()).collect();
    seen.sort_unstable();
    assert_eq!(seen, (1..=100).collect::<Vec<_>>());
    assert!(clicks.iter().all(|click| click.partner_total_visits.is_none()), "no rule looked at that");
    let of_nobody = streamed(&server, "partners").await;
    assert_eq!(of_nobody[0].partner_total_visits, Some(0));
    assert!(streamed(&server, "sale").await.is_empty());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_server_goes_on_counting_where_it_was() {
    let mut world = World::new().await;
    tell(&mut world).await;
    let proxy = Proxy::open(&world.database).await;
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let mut clicks = 0;
    for round in 0..5 {
        let program = Program::serve(proxy.url(), folder.path(), address, world.revision).await;
        let mut resolver = program.resolver().await.unwrap();
        // The first number that is known at all is the right one.
        assert_eq!(known(&resolver, "own", "anna").await, clicks + 1, "{round}");
        assert_eq!(known(&resolver, "partners", "anna").await, clicks + 1, "{round}");
        for _ in 0..7 {
            clicks += 1;
            assert_eq!(click(&mut resolver, "own", "anna").await, Some(clicks), "{round}");
        }
        match round {
            // What is in PostgreSQL at that time is left to chance, or nothing of it, or all.
            0 | 3 => {}
            1 => {
                proxy.cut();
                clicks += 1;
                assert_eq!(click(&mut resolver, "own", "anna").await, Some(clicks), "{round}");
            }
            _ => rolled(&world, clicks).await,
        }
        program.kill();
        proxy.mend();
    }
    let program = Program::serve(proxy.url(), folder.path(), address, world.revision).await;
    let resolver = program.resolver().await.unwrap();
    assert_eq!(known(&resolver, "own", "anna").await, clicks + 1);
    rolled(&world, clicks).await;
    assert_eq!(known(&resolver, "own", "anna").await, clicks + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn clicks_of_another_server_come_a_little_later() {
    let mut world = World::new().await;
    tell(&mut world).await;
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let serve = |folder: &Path| recording(world.database.url(), folder);
    let (one, other) =
        (world.serve(serve(folders[0].path())).await, world.serve(serve(folders[1].path())).await);
    for server in [&one, &other] {
        assert_eq!(known(&server.resolver(), "own", "").await, 1);
        assert_eq!(known(&server.resolver(), "partners", "anna").await, 1);
    }
    let mut lags: Vec<Duration> = Vec::new();
    for round in 1..=10 {
        assert_eq!(click(&mut one.resolver(), "own", "anna").await, Some(round));
        let clicked = Instant::now();
        reaches(&other.resolver(), "own", "", round + 1).await;
        lags.push(clicked.elapsed());
        reaches(&other.resolver(), "partners", "anna", round + 1).await;
        reaches(&one.resolver(), "own", "", round + 1).await;
    }
    lags.sort_unstable();
    let (least, half, most) = (lags[0], lags[5], lags[9]);
    let told =
        format!("a click was seen by the other server after {least:?} to {most:?}, half of them {half:?}");
    writeln!(std::io::stdout(), "{told}").unwrap();
    // Both at once: each sees its own at once, and both all of them in the end.
    let both = [&one, &other].map(|server| {
        let mut resolver = server.resolver();
        async move {
            let mut seen = HashSet::new();
            for _ in 0..40 {
                seen.insert(click(&mut resolver, "own", "").await.unwrap());
            }
            seen
        }
    });
    for seen in join_all(both).await {
        assert_eq!(seen.len(), 40, "no server gives a number twice");
    }
    for server in [&one, &other] {
        reaches(&server.resolver(), "own", "", 10 + 80 + 1).await;
    }
    one.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_rule_on_an_old_link_knows_all_its_clicks() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let server = world.serve(recording(world.database.url(), folder.path())).await;
    let mut resolver = server.resolver();
    for _ in 0..5 {
        click(&mut resolver, "sale", "anna").await;
    }
    rolled(&world, 5).await;
    // These are on their way to PostgreSQL.
    for _ in 0..7 {
        click(&mut resolver, "sale", "anna").await;
    }
    let write = async |rules: Vec<Rule>| {
        let written = Link { rules, ..link("sale") };
        let request =
            UpdateLinkRequest { link: Some(written), update_mask: mask(&["rules"]), ..Default::default() };
        let revision = server.admin().update_link(request).await.unwrap().into_inner().revision;
        server.wait_for(revision).await;
    };
    write(telling(Kind::LinkTotalVisits, 1)).await;
    assert_eq!(known(&resolver, "sale", "anna").await, 13);
    assert_eq!(click(&mut resolver, "sale", "anna").await, Some(13));
    // Without rules that look, nothing is counted here, and nothing is missed afterwards.
    write(Vec::new()).await;
    for _ in 0..4 {
        assert_eq!(click(&mut resolver, "sale", "anna").await, None);
    }
    // The id of a rule never comes back.
    let other = |rule: Rule| Rule { id: rule.id.replace('n', "n0"), ..rule };
    write(telling(Kind::PartnerTotalVisits, 0).into_iter().map(other).collect()).await;
    assert_eq!(known(&resolver, "sale", "anna").await, 18);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_without_postgres_knows_nothing_and_forgets_nothing() {
    let mut world = World::new().await;
    tell(&mut world).await;
    let proxy = Proxy::open(&world.database).await;
    let folder = tempfile::tempdir().unwrap();
    let server = world.serve(recording(proxy.url(), folder.path())).await;
    assert_eq!(known(&server.resolver(), "own", "anna").await, 1);
    for number in 1..=3 {
        assert_eq!(click(&mut server.resolver(), "own", "anna").await, Some(number));
    }
    // PostgreSQL goes: clicks of this server are counted all the same.
    proxy.cut();
    for number in 4..=6 {
        assert_eq!(click(&mut server.resolver(), "own", "anna").await, Some(number));
    }
    server.stop().await;
    // From the copy of the index.
    let server = world.serve(recording(proxy.url(), folder.path())).await;
    for _ in 0..4 {
        assert_eq!(click(&mut server.resolver(), "own", "anna").await, None);
        assert_eq!(next(&mut server.resolver(), "partners", "anna").await, None);
        // Nobody's clicks are known without looking.
        assert_eq!(next(&mut server.resolver(), "partners", "").await, Some(0));
    }
    proxy.mend();
    assert_eq!(known(&server.resolver(), "own", "anna").await, 11);
    assert_eq!(known(&server.resolver(), "partners", "anna").await, 11);
    rolled(&world, 10).await;
    assert_eq!(known(&server.resolver(), "own", "anna").await, 11);
    let unknown = streamed(&server, "own").await;
    assert_eq!(unknown.iter().filter(|click| click.link_total_visits.is_none()).count(), 4);
    server.stop().await;
    // One that does not record cannot say what it has not counted.
    let server = world.serve(settings(world.database.url())).await;
    assert_eq!(next(&mut server.resolver(), "own", "anna").await, None);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn erased_clicks_count_no_more() {
    let mut world = World::new().await;
    tell(&mut world).await;
    let folder = tempfile::tempdir().unwrap();
    let server = world.serve(recording(world.database.url(), folder.path())).await;
    known(&server.resolver(), "own", "anna").await;
    for partner in ["anna", "anna", "bert", "anna", ""] {
        click(&mut server.resolver(), "own", partner).await.unwrap();
    }
    rolled(&world, 5).await;
    let scope = Some(Scope::Partner("anna".to_owned()));
    let request = EraseClicksRequest { shop: "acme".to_owned(), scope };
    assert_eq!(server.stats().erase_clicks(request).await.unwrap().into_inner().removed_clicks, 3);
    reaches(&server.resolver(), "own", "", 3).await;
    reaches(&server.resolver(), "partners", "anna", 1).await;
    assert_eq!(next(&mut server.resolver(), "partners", "bert").await, Some(2));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn click_that_is_refused_gives_its_number_back() {
    let mut world = World::new().await;
    tell(&mut world).await;
    for refuse_when_full in [true, false] {
        let proxy = Proxy::open(&world.database).await;
        let folder = tempfile::tempdir().unwrap();
        let clicks = Clicks::Record(RecordSettings {
            segment_bytes: 4 * 1_024,
            limit_bytes: 16 * 1_024,
            refuse_when_full,
            ..RecordSettings::within(folder.path())
        });
        let server = world.serve(ServeSettings { clicks, ..recording(proxy.url(), folder.path()) }).await;
        let (slug, partner) = if refuse_when_full { ("own", "bert") } else { ("partners", "anna") };
        let begun = known(&server.resolver(), slug, partner).await;
        proxy.cut();
        let (mut kept, mut last) = (0, begun - 1);
        // Until one is not kept: it is refused, or the next sees the same number.
        for _ in 0..MOST {
            let answer = server.resolver().resolve(of(slug, partner, Purpose::Click)).await;
            let Ok(answer) = answer else { break };
            let number: i64 = answer.into_inner().rule_id[1..].parse().unwrap();
            if number == last {
                break;
            }
            assert_eq!(number, last + 1);
            (kept, last) = (kept + 1, number);
        }
        assert!(kept > 10 && kept < MOST - 1, "{kept}");
        let next_number = if refuse_when_full { last + 1 } else { last };
        assert_eq!(next(&mut server.resolver(), slug, partner).await, Some(next_number));
        proxy.mend();
        let recorded = if refuse_when_full { kept } else { kept - 1 };
        eventually("what was kept", || async {
            let counted =
                format!("SELECT coalesce(sum(clicks), 0) FROM clicks.counter_link WHERE slug = '{slug}'");
            (world.number(&counted).await == recorded).then_some(())
        })
        .await;
        reaches(&server.resolver(), slug, partner, next_number).await;
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clicks_that_are_shipped_again_under_another_id_count_once() {
    let mut world = World::new().await;
    tell(&mut world).await;
    let folder = tempfile::tempdir().unwrap();
    let server = world.serve(recording(world.database.url(), folder.path())).await;
    known(&server.resolver(), "own", "anna").await;
    for _ in 0..10 {
        click(&mut server.resolver(), "own", "anna").await.unwrap();
    }
    rolled(&world, 10).await;
    server.stop().await;
    // PostgreSQL has more of the folder than it holds, as after it was copied, and nobody counts for now.
    world.client.batch_execute("UPDATE clicks.progress SET sequence = sequence + 5").await.unwrap();
    let counting = world.database.client().await;
    counting.batch_execute("BEGIN; SELECT FROM clicks.roller FOR UPDATE").await.unwrap();
    let server = world.serve(recording(world.database.url(), folder.path())).await;
    eventually("the log to be shipped under another id", || async {
        (world.number("SELECT count(*) FROM clicks.progress").await == 2).then_some(())
    })
    .await;
    // Whoever sees these has read since.
    world.client.batch_execute("UPDATE clicks.counter_link SET clicks = clicks + 100").await.unwrap();
    reaches(&server.resolver(), "own", "anna", 111).await;
    assert_eq!(click(&mut server.resolver(), "own", "anna").await, Some(111));
    counting.batch_execute("COMMIT").await.unwrap();
    rolled(&world, 11).await;
    reaches(&server.resolver(), "own", "anna", 112).await;
    server.stop().await;
}
