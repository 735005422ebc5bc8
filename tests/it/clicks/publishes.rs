//! What the clicks around the instant of a publish saw.

use jiff::{SignedDuration, Timestamp};
use smartlinks::{
    config::serve::ServeSettings,
    domain::click_id::ClickId,
    proto::{
        ClickComparison, ExplainClickRequest, ExplainClickResponse, ExplainRequest, ExplainResponse,
        GetIndexStatusRequest, GetPublishRequest, IndexSource, ListLinkRevisionsRequest, PublishState,
        Purpose, ResolveRequest, explain_response::Outcome,
    },
};

use super::world::{World, visit};
use crate::{
    admin::{
        fixture::{create_link, get_link, link},
        publishes::{leading, request},
    },
    support::{
        proxy::Proxy,
        server::{TestServer, eventually, recording, settings},
    },
};

fn slot(time: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() }
}

/// Times around an instant, and whether they are not before it.
fn around(instant: Timestamp) -> [(Timestamp, bool); 3] {
    let moment = SignedDuration::from_millis(1);
    [(instant - moment, false), (instant, true), (instant + moment, true)]
}

fn lookup(slug: &str, time: Timestamp) -> ResolveRequest {
    ResolveRequest { visit_time: Some(slot(time)), ..visit(slug, Purpose::Lookup) }
}

async fn page(server: &TestServer, request: ResolveRequest) -> String {
    let location = server.resolver().resolve(request).await.unwrap().into_inner().location;
    let path = location.strip_prefix("https://acme.example/").unwrap();
    path.split('?').next().unwrap().to_owned()
}

fn expected(slug: &str, is_new: bool) -> String {
    if is_new { format!("new-{slug}") } else { format!("page/{slug}") }
}

async fn explain(server: &TestServer, id: ClickId) -> ExplainClickResponse {
    let request = ExplainClickRequest { shop: "acme".into(), click_id: id.to_string() };
    server.stats().explain_click(request).await.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn set_changes_at_once_without_postgres_and_every_click_can_be_explained() {
    let world = World::new().await;
    let proxy = Proxy::open(&world.database).await;
    let (folder, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = world.serve(recording(proxy.url(), folder.path())).await;
    let mut admin = server.admin();
    for slug in ["one", "two"] {
        create_link(&mut admin, link(slug)).await;
    }
    let now = Timestamp::from_millisecond(Timestamp::now().as_millisecond()).unwrap();
    let instant = now + SignedDuration::from_secs(8);
    let updates = vec![leading("one", "new-one"), leading("two", "new-two")];
    let publish = admin.create_publish(request(updates, Some(slot(instant)))).await.unwrap().into_inner();
    let id = publish.revision;
    server.wait_for(id).await;
    let copied = TestServer::with_copy(world.database.url(), copy.path().to_owned()).await;
    copied.wait_for(id).await;
    copied.stop().await;

    // PostgreSQL goes before the instant and comes back after the clicks around it.
    proxy.cut();
    let mut clicks = Vec::new();
    for (number, (time, is_new)) in (1..).zip(around(instant)) {
        for (other, slug) in ["one", "two"].into_iter().enumerate() {
            let click = ClickId::new(time, [number, u8::try_from(other).unwrap(), 0, 0, 0, 0, 0, 0, 0, 0]);
            let request = ResolveRequest { click_id: click.to_string(), ..visit(slug, Purpose::Click) };
            assert_eq!(page(&server, request).await, expected(slug, is_new), "{time}");
            assert_eq!(page(&server, lookup(slug, time)).await, expected(slug, is_new), "{time}");
            let asked = ExplainRequest { request: Some(lookup(slug, time)) };
            let ExplainResponse { outcome, explanation } =
                server.resolver().explain(asked).await.unwrap().into_inner();
            let Some(Outcome::Answer(answer)) = outcome else { panic!("no answer") };
            assert!(answer.location.contains(&expected(slug, is_new)));
            let told = explanation.unwrap().link.unwrap();
            assert_eq!((told.publish, told.publish_answers), (id, is_new));
            assert_eq!(told.publish_effective_time, Some(slot(instant)));
            assert_eq!(told.revision == id, is_new);
            clicks.push((click, is_new));
        }
    }
    // So does a server that starts without PostgreSQL, from its copy.
    let mut quick = settings(proxy.url());
    quick.database.wait = std::time::Duration::from_millis(300);
    let alone = ServeSettings { state_dir: Some(copy.path().to_owned()), ..quick };
    let alone = TestServer::start(alone).await;
    alone.wait_for(id).await;
    let status = alone.resolver().get_index_status(GetIndexStatusRequest {}).await.unwrap().into_inner();
    assert_eq!(status.source(), IndexSource::Disk);
    for (time, is_new) in around(instant) {
        for slug in ["one", "two"] {
            assert_eq!(page(&alone, lookup(slug, time)).await, expected(slug, is_new), "{time}");
        }
    }

    // The instant passes by the clock. Nobody has written the publish into its links, and clicks go by it.
    eventually("the instant", || async {
        let gone =
            [page(&server, visit("one", Purpose::Lookup)), page(&alone, visit("two", Purpose::Lookup))];
        let [one, two] = gone;
        (one.await == "new-one" && two.await == "new-two").then_some(())
    })
    .await;
    assert!(Timestamp::now() >= instant);
    proxy.mend();
    // Both servers do it now; each link is written once.
    let done = eventually("the publish in effect", || async {
        let request = GetPublishRequest { shop: "acme".into(), id };
        let publish = server.admin().get_publish(request).await.ok()?.into_inner().publish.unwrap();
        (publish.state() == PublishState::Effective).then_some(publish)
    })
    .await;
    let end = done.end_revision;
    for slug in ["one", "two"] {
        let written = get_link(&mut admin, slug).await;
        assert_eq!((written.default_destination.as_str(), written.revision), (&*format!("new-{slug}"), end));
        let list = ListLinkRevisionsRequest { shop: "acme".into(), slug: slug.into(), ..Default::default() };
        let revisions = admin.list_link_revisions(list).await.unwrap().into_inner().revisions;
        assert_eq!(revisions.iter().map(|it| it.publish).collect::<Vec<_>>(), [id, 0]);
    }
    server.wait_for(end).await;
    alone.wait_for(end).await;
    let later = visit("one", Purpose::Click);
    let later: ClickId = {
        let answer = server.resolver().resolve(later).await.unwrap().into_inner();
        assert!(answer.location.contains("new-one") && answer.revision >= end);
        ClickId::from_uuid(answer.click_id.parse().unwrap()).unwrap()
    };
    world.has_clicks(7).await;
    for (click, is_new) in clicks {
        let explained = explain(&server, click).await;
        assert_eq!(explained.comparison(), ClickComparison::Same, "{explained:?}");
        assert_eq!(explained.click.unwrap().revision, id);
        let told = explained.explanation.unwrap().link.unwrap();
        assert_eq!((told.publish, told.publish_answers, told.revision == id), (id, is_new, is_new));
    }
    let explained = explain(&server, later).await;
    assert_eq!(explained.comparison(), ClickComparison::Same);
    let told = explained.explanation.unwrap().link.unwrap();
    assert_eq!((told.publish, told.publish_answers, told.revision), (0, false, end));
    for server in [&server, &alone] {
        let status = server.resolver().get_index_status(GetIndexStatusRequest {}).await.unwrap().into_inner();
        assert_eq!((status.source(), status.repairs), (IndexSource::Database, 0));
    }
    server.stop().await;
    alone.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn index_and_tables_agree_about_what_is_pending() {
    let world = World::new().await;
    let server = world.serve(settings(world.database.url())).await;
    let mut admin = server.admin();
    create_link(&mut admin, link("one")).await;
    let store = world.database.store();
    let agree = async |revision: i64| {
        server.wait_for(revision).await;
        let (head, theirs) = store.fingerprints().await.unwrap();
        assert_eq!(head.0, revision);
        let ours = server.snapshot().fingerprints();
        assert_eq!(ours.differing(&theirs).count(), 0);
        ours
    };
    let instant = Timestamp::now() + SignedDuration::from_hours(1);
    let made = request(vec![leading("one", "new"), leading("sale", "new")], Some(slot(instant)));
    let first = admin.create_publish(made.clone()).await.unwrap().into_inner();
    let with = agree(first.revision).await;
    let cancel = smartlinks::proto::CancelPublishRequest {
        shop: "acme".into(),
        id: first.revision,
        ..Default::default()
    };
    let cancelled = admin.cancel_publish(cancel).await.unwrap().into_inner();
    let without = agree(cancelled.revision).await;
    assert!(with.differing(&without).count() > 0, "a publish that is missed is noticed");
    assert_eq!(page(&server, lookup("one", instant)).await, "page/one");
    let second = admin.create_publish(made).await.unwrap().into_inner();
    agree(second.revision).await;
    assert_eq!(page(&server, lookup("one", instant)).await, "new");
    // A server that reads everything anew holds the same.
    let other = world.serve(settings(world.database.url())).await;
    other.wait_for(second.revision).await;
    assert_eq!(other.snapshot().fingerprints(), server.snapshot().fingerprints());
    assert_eq!(page(&other, lookup("one", instant)).await, "new");
    assert_eq!(page(&other, lookup("one", instant - SignedDuration::from_nanos(1_000))).await, "page/one");
}
