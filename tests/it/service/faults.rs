//! What goes wrong between a server and its database, and how it is mended.

use std::time::Duration;

use smartlinks::proto::{GetIndexStatusRequest, GetIndexStatusResponse};

use crate::support::{
    database::Database,
    requests::{create_link, create_shop, lookup, redirect_link},
    server::{TestServer, eventually, execute, settings},
};

async fn location(server: &TestServer, slug: &str) -> String {
    server.resolver().resolve(lookup("acme", slug)).await.unwrap().into_inner().location
}

async fn status(server: &TestServer) -> GetIndexStatusResponse {
    server.resolver().get_index_status(GetIndexStatusRequest {}).await.unwrap().into_inner()
}

/// Makes a shop with one link and returns the revision.
async fn prepare(server: &TestServer) -> i64 {
    server.admin().create_shop(create_shop("acme")).await.unwrap();
    let created =
        server.admin().create_link(create_link("acme", "sale", "first")).await.unwrap().into_inner();
    server.wait_for(created.revision).await;
    created.revision
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_notification_is_made_up_for_by_asking() {
    let database = Database::create().await;
    let server = TestServer::ready(database.url()).await;
    let revision = prepare(&server).await;
    // The listening connection dies before each edit; it takes a second and more to be back.
    for edit in 1..=3 {
        execute(
            &database,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ILIKE 'LISTEN%' AND datname = current_database()",
        )
        .await;
        let destination = format!("edit-{edit}");
        server.admin().update_link(redirect_link("acme", "sale", &destination)).await.unwrap();
        server.wait_for(revision + edit).await;
        assert_eq!(location(&server, "sale").await, format!("https://shop.example/{destination}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn missed_change_is_mended_by_the_comparison() {
    let database = Database::create().await;
    let often = Duration::from_millis(200);
    let server = TestServer::start(smartlinks::config::serve::ServeSettings {
        compare_interval: often,
        ..settings(database.url())
    })
    .await;
    server.wait_for(0).await;
    let revision = prepare(&server).await;
    assert_eq!(status(&server).await.repairs, 0);
    // A write that leaves no row in `change`, as no write of ours does.
    execute(&database, &format!(
            "UPDATE installation SET revision = {next};
             UPDATE link SET routing = jsonb_set(routing, '{{default_destination}}', '\"behind\"'), revision = {next}
             WHERE slug = 'sale'",
            next = revision + 1,
        ))
        .await;
    eventually("the comparison", || async { (status(&server).await.repairs > 0).then_some(()) }).await;
    assert_eq!(location(&server, "sale").await, "https://shop.example/behind");
    // The link left one bucket and came into another.
    let mended = status(&server).await;
    assert_eq!((mended.repairs, mended.revision), (2, revision + 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_link_keeps_its_last_good_form_and_hurts_no_other() {
    let database = Database::create().await;
    let server = TestServer::ready(database.url()).await;
    prepare(&server).await;
    server.admin().create_link(create_link("acme", "other", "other")).await.unwrap();
    let spoil = |slug: &str| {
        format!(
            "UPDATE installation SET revision = revision + 1;
             UPDATE link SET routing = '{{\"default_destination\": \"//evil.example\"}}',
                 revision = (SELECT revision FROM installation) WHERE slug = '{slug}';
             INSERT INTO change (revision, kind, shop, key, at)
                 SELECT revision, 'link', 'acme', '{slug}', now() FROM installation"
        )
    };
    execute(&database, &spoil("sale")).await;
    let broken = eventually("the broken link", || async {
        let status = status(&server).await;
        (status.broken_link_count == 1).then_some(status)
    })
    .await;
    assert_eq!(
        (broken.broken_links[0].slug.as_str(), broken.broken_links[0].revision),
        ("sale", broken.revision)
    );
    assert!(broken.broken_links[0].problem.contains("//"), "{}", broken.broken_links[0].problem);
    assert_eq!(location(&server, "sale").await, "https://shop.example/first");
    assert_eq!(location(&server, "other").await, "https://shop.example/other");

    // A server that has never seen a good form has none, and serves the others.
    let fresh = TestServer::ready(database.url()).await;
    fresh.wait_for(broken.revision).await;
    let missing = fresh.resolver().resolve(lookup("acme", "sale")).await.unwrap_err();
    assert_eq!(missing.code(), tonic::Code::NotFound);
    assert_eq!(location(&fresh, "other").await, "https://shop.example/other");
    assert_eq!(status(&fresh).await.broken_link_count, 1);
}

/// Leaves the database as the restore of a backup does that was made at a revision.
async fn restore(database: &Database, revision: i64) {
    let restored = format!(
        "UPDATE link SET routing = jsonb_set(routing, '{{default_destination}}', '\"first\"'),
             revision = {revision} WHERE slug = 'sale';
         DELETE FROM change WHERE revision > {revision};
         DELETE FROM history WHERE revision > {revision};
         UPDATE installation SET revision = {revision}"
    );
    execute(database, &restored).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn database_restored_to_an_earlier_state_is_followed_back() {
    let database = Database::create().await;
    let server = TestServer::ready(database.url()).await;
    let revision = prepare(&server).await;
    let updated =
        server.admin().update_link(redirect_link("acme", "sale", "lost")).await.unwrap().into_inner();
    server.wait_for(updated.revision).await;
    restore(&database, revision).await;
    eventually("the earlier state", || async { (status(&server).await.revision == revision).then_some(()) })
        .await;
    assert_eq!(location(&server, "sale").await, "https://shop.example/first");
    let again = server.admin().update_link(redirect_link("acme", "sale", "anew")).await.unwrap().into_inner();
    assert_eq!(again.revision, revision + 1);
    server.wait_for(again.revision).await;
    assert_eq!(location(&server, "sale").await, "https://shop.example/anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn restored_database_that_went_another_way_is_noticed() {
    let database = Database::create().await;
    let proxy = crate::support::proxy::Proxy::open(&database).await;
    let server = TestServer::ready(proxy.url()).await;
    let writer = TestServer::ready(database.url()).await;
    let revision = prepare(&writer).await;
    let lost = writer.admin().update_link(redirect_link("acme", "sale", "lost")).await.unwrap().into_inner();
    server.wait_for(lost.revision).await;
    proxy.cut();
    // Restored to before the update; then as many writes as were lost, and one more.
    restore(&database, revision).await;
    writer.admin().create_link(create_link("acme", "other", "other")).await.unwrap();
    let newest =
        writer.admin().create_link(create_link("acme", "third", "third")).await.unwrap().into_inner();
    assert_eq!(newest.revision, lost.revision + 1);
    proxy.mend();
    server.wait_for(newest.revision).await;
    assert_eq!(location(&server, "sale").await, "https://shop.example/first");
    assert_eq!(location(&server, "other").await, "https://shop.example/other");
    assert_eq!(location(&server, "third").await, "https://shop.example/third");
}

#[tokio::test(flavor = "multi_thread")]
async fn database_that_falls_silent_is_given_up_and_found_again() {
    let database = Database::create().await;
    let proxy = crate::support::proxy::Proxy::open(&database).await;
    let mut quick = settings(proxy.url());
    (quick.database.wait, quick.database.statement_timeout) =
        (Duration::from_millis(300), Duration::from_millis(300));
    let server = TestServer::start(quick).await;
    let writer = TestServer::ready(database.url()).await;
    let revision = prepare(&writer).await;
    server.wait_for(revision).await;
    proxy.freeze();
    let admin = "smartlinks.v1.LinkAdmin";
    let is_serving = || crate::service::health::health(&server, admin);
    let status = tonic_health::pb::health_check_response::ServingStatus::NotServing;
    eventually("the silence", || async { (is_serving().await == status).then_some(()) }).await;
    assert_eq!(location(&server, "sale").await, "https://shop.example/first");
    let updated =
        writer.admin().update_link(redirect_link("acme", "sale", "second")).await.unwrap().into_inner();
    proxy.mend();
    server.wait_for(updated.revision).await;
    assert_eq!(location(&server, "sale").await, "https://shop.example/second");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_were_pruned_lead_to_a_full_read() {
    let database = Database::create().await;
    let proxy = crate::support::proxy::Proxy::open(&database).await;
    let server = TestServer::ready(proxy.url()).await;
    let writer = TestServer::ready(database.url()).await;
    let revision = prepare(&writer).await;
    server.wait_for(revision).await;
    proxy.cut();
    writer.admin().update_link(redirect_link("acme", "sale", "second")).await.unwrap();
    // A day later the changes in between are gone.
    execute(&database, "DELETE FROM change; UPDATE installation SET changes_after = revision").await;
    proxy.mend();
    server.wait_for(revision + 1).await;
    assert_eq!(location(&server, "sale").await, "https://shop.example/second");
    assert_eq!(status(&server).await.repairs, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn token_is_asked_for_where_there_is_one() {
    use smartlinks::config::{Secret, serve::Authentication};
    let database = Database::create().await;
    let mut guarded = settings(database.url());
    guarded.authentication = Authentication::Token(Secret::new("right"));
    let server = TestServer::start(guarded).await;
    server.wait_for(0).await;
    for (token, code) in [
        (None, Some(tonic::Code::Unauthenticated)),
        (Some("Bearer wrong"), Some(tonic::Code::Unauthenticated)),
        (Some("Basic right"), Some(tonic::Code::Unauthenticated)),
        (Some("Bearer "), Some(tonic::Code::Unauthenticated)),
        (Some("Bearer right"), None),
    ] {
        let mut request = tonic::Request::new(GetIndexStatusRequest {});
        if let Some(token) = token {
            request.metadata_mut().insert("authorization", token.parse().unwrap());
        }
        let answer = server.resolver().get_index_status(request).await;
        assert_eq!(answer.map(drop).map_err(|status| status.code()).err(), code, "{token:?}");
    }
}
