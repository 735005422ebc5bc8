//! Several servers on one database.

use rand::RngExt;
use smartlinks::{
    config::serve::ServeSettings,
    proto::{GetIndexStatusRequest, IndexSource, ListLinksRequest},
};

use crate::support::{
    database::Database,
    proxy::Proxy,
    requests::{create_link, create_shop, lookup, redirect_link},
    server::{TestServer, eventually, execute, settings},
};

async fn location(server: &TestServer, slug: &str) -> String {
    server.resolver().resolve(lookup("acme", slug)).await.unwrap().into_inner().location
}

#[tokio::test(flavor = "multi_thread")]
async fn edit_shows_on_both_servers() {
    let database = Database::create().await;
    let (one, two) = (TestServer::ready(database.url()).await, TestServer::ready(database.url()).await);
    one.admin().create_shop(create_shop("acme")).await.unwrap();
    let created = one.admin().create_link(create_link("acme", "sale", "first")).await.unwrap().into_inner();
    two.wait_for(created.revision).await;
    assert_eq!(location(&two, "sale").await, "https://shop.example/first");
    let updated =
        two.admin().update_link(redirect_link("acme", "sale", "second")).await.unwrap().into_inner();
    assert_eq!(updated.revision, created.revision + 1);
    for server in [&one, &two] {
        let mut request = lookup("acme", "sale");
        request.min_revision = updated.revision;
        let answer = server.resolver().resolve(request).await.unwrap().into_inner();
        assert_eq!(
            (answer.location.as_str(), answer.revision),
            ("https://shop.example/second", updated.revision)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_answer_without_postgres_and_catch_up_after_it() {
    let database = Database::create().await;
    let folder = tempfile::tempdir().unwrap();
    let writer = TestServer::ready(database.url()).await;
    writer.admin().create_shop(create_shop("acme")).await.unwrap();
    let created =
        writer.admin().create_link(create_link("acme", "sale", "first")).await.unwrap().into_inner();

    // The third server runs once, so that it has a copy on disk.
    let proxy = Proxy::open(&database).await;
    let before = TestServer::with_copy(proxy.url(), folder.path().to_owned()).await;
    before.wait_for(created.revision).await;
    before.stop().await;

    let one = TestServer::ready(proxy.url()).await;
    let two = TestServer::ready(proxy.url()).await;
    for server in [&one, &two] {
        server.wait_for(created.revision).await;
    }
    proxy.cut();
    let mut quick = settings(proxy.url());
    quick.database.wait = std::time::Duration::from_millis(300);
    let third = TestServer::start(ServeSettings { state_dir: Some(folder.path().to_owned()), ..quick }).await;
    third.wait_for(created.revision).await;
    for server in [&one, &two, &third] {
        assert_eq!(location(server, "sale").await, "https://shop.example/first");
        let refused = server.admin().update_link(redirect_link("acme", "sale", "x")).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::Unavailable);
    }
    let status = third.resolver().get_index_status(GetIndexStatusRequest {}).await.unwrap().into_inner();
    assert_eq!(status.source(), IndexSource::Disk);
    assert!(status.confirm_time.is_some(), "an index from disk tells its age");

    // Another writer, whose way to PostgreSQL is whole, goes on.
    let updated =
        writer.admin().update_link(redirect_link("acme", "sale", "second")).await.unwrap().into_inner();
    writer.admin().create_link(create_link("acme", "new", "third")).await.unwrap();
    proxy.mend();
    for server in [&one, &two, &third] {
        server.wait_for(updated.revision + 1).await;
        assert_eq!(location(server, "sale").await, "https://shop.example/second");
        assert_eq!(location(server, "new").await, "https://shop.example/third");
        let answered = eventually("a write that works again", || async {
            server.admin().update_link(redirect_link("acme", "sale", "second")).await.ok()
        });
        answered.await;
    }
    let status = third.resolver().get_index_status(GetIndexStatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.source(), status.repairs), (IndexSource::Database, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn thousand_edits_by_sixteen_writers_leave_every_replica_equal_to_the_tables() {
    const WRITERS: usize = 16;
    const EDITS: usize = 1_000;
    let database = Database::create().await;
    // Every commit is held for a moment, a different one each time, after its rows are written.
    execute(
        &database,
        "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN PERFORM pg_sleep(random() * 0.004); RETURN NULL; END $$;
             CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT OR UPDATE ON link DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION dawdle()",
    )
    .await;
    let mut quick = settings(database.url());
    quick.compare_interval = std::time::Duration::from_millis(500);
    let replicas = [
        TestServer::start(quick.clone()).await,
        TestServer::start(quick.clone()).await,
        TestServer::start(quick).await,
    ];
    replicas[0].admin().create_shop(create_shop("acme")).await.unwrap();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let mut admin = replicas[writer % replicas.len()].admin();
            tokio::spawn(async move {
                let mut newest = 0;
                for edit in 0..EDITS / WRITERS + usize::from(writer < EDITS % WRITERS) {
                    // Some links are shared between writers, so that edits collide and are tried again.
                    let own = rand::rng().random_range(0..4) > 0;
                    let slug =
                        if own { format!("w{writer}-{}", edit % 7) } else { format!("shared-{}", edit % 5) };
                    let destination = format!("by-{writer}/{edit}");
                    newest = loop {
                        let update = admin.update_link(redirect_link("acme", &slug, &destination)).await;
                        match update.map_err(|status| status.code()) {
                            Ok(updated) => break updated.into_inner().revision,
                            Err(tonic::Code::NotFound) => {}
                            Err(tonic::Code::Aborted) => continue,
                            Err(code) => panic!("update failed with {code:?}"),
                        }
                        match admin.create_link(create_link("acme", &slug, &destination)).await {
                            Ok(created) => break created.into_inner().revision,
                            Err(status) if status.code() == tonic::Code::AlreadyExists => {}
                            Err(status) => panic!("create failed with {status:?}"),
                        }
                    };
                }
                newest
            })
        })
        .collect();
    let mut newest = 0;
    for writer in writers {
        newest = newest.max(writer.await.unwrap());
    }
    // One revision for the shop, one for every edit.
    assert_eq!(newest, 1 + i64::try_from(EDITS).unwrap());
    for replica in &replicas {
        replica.wait_for(newest).await;
    }
    let request = ListLinksRequest { shop: "acme".into(), page_size: 1_000, ..ListLinksRequest::default() };
    let listed = replicas[0].admin().list_links(request).await.unwrap().into_inner();
    assert!(listed.next_page_token.is_empty());
    for replica in &replicas {
        let status =
            replica.resolver().get_index_status(GetIndexStatusRequest {}).await.unwrap().into_inner();
        assert_eq!((status.revision, status.repairs, status.broken_link_count), (newest, 0, 0));
        assert_eq!(usize::try_from(status.links).unwrap(), listed.links.len());
        for link in &listed.links {
            let destination = format!("https://shop.example/{}", link.default_destination);
            assert_eq!(location(replica, &link.slug).await, destination, "{}", link.slug);
        }
    }
}
