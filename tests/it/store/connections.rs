//! What happens when the database is busy, away or unwilling.

use std::time::{Duration, Instant};

use smartlinks::{
    domain::revision::Revision,
    store::{CommitError, Put, Store, StoreConfig, StoreError},
};

use crate::support::{
    database::Database,
    objects::{link, new, put, put_shop, shop_id, slug},
};

fn is_unavailable(error: &CommitError) -> bool {
    matches!(error, CommitError::Store(StoreError::Unavailable(_)))
}

#[tokio::test]
async fn waits_for_a_connection_are_bounded() {
    let database = Database::create().await;
    let wait_timeout = Duration::from_millis(300);
    let store = Store::connect(&StoreConfig { pool_size: 1, wait_timeout, ..database.config() }).unwrap();
    put_shop(&store, "acme").await;
    // Somebody holds the lock on the revision, so the only connection stays in use.
    let client = database.client().await;
    client.batch_execute("BEGIN; UPDATE installation SET revision = revision").await.unwrap();
    let writer = tokio::spawn({
        let store = store.clone();
        async move { put(&store, vec![Put::Link(new(link("acme", "sale")))]).await }
    });
    let waits =
        "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    while client.query(waits, &[]).await.unwrap().is_empty() {}
    let began = Instant::now();
    let error = store.get_shop(&shop_id("acme")).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(began.elapsed() >= wait_timeout);
    client.batch_execute("COMMIT").await.unwrap();
    writer.await.unwrap().unwrap();
    store.get_shop(&shop_id("acme")).await.unwrap();
}

#[tokio::test]
async fn commit_whose_caller_goes_away_keeps_nobody_waiting() {
    let database = Database::create().await;
    let statement_timeout = Duration::from_secs(5);
    let store = Store::connect(&StoreConfig { statement_timeout, ..database.config() }).unwrap();
    put_shop(&store, "acme").await;
    let client = database.client().await;
    client.batch_execute("BEGIN; UPDATE installation SET revision = revision").await.unwrap();
    let writer = |slug: &'static str| {
        let store = store.clone();
        tokio::spawn(async move { put(&store, vec![Put::Link(new(link("acme", slug)))]).await })
    };
    // Within a transaction the view of activities stays as it was first seen.
    let observer = database.client().await;
    let waiting = async |count: usize| {
        let waits =
            "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
        while observer.query(waits, &[]).await.unwrap().len() < count {}
    };
    let left = writer("left");
    waiting(1).await;
    // The next writer gets this connection and not the one that was left behind.
    store.head().await.unwrap();
    left.abort();
    assert!(left.await.unwrap_err().is_cancelled());
    let next = writer("next");
    waiting(2).await;
    client.batch_execute("ROLLBACK").await.unwrap();
    next.await.unwrap().unwrap();
    let slugs = [slug("left"), slug("next")];
    assert_eq!(store.get_links(&shop_id("acme"), &slugs).await.unwrap().len(), 2);
}

#[tokio::test]
async fn statements_are_cut_off() {
    let database = Database::create().await;
    let statement_timeout = Duration::from_millis(200);
    let store = Store::connect(&StoreConfig { statement_timeout, ..database.config() }).unwrap();
    let client = database.client().await;
    client.batch_execute("BEGIN; UPDATE installation SET revision = revision").await.unwrap();
    let error = put(&store, vec![Put::Link(new(link("acme", "sale")))]).await.unwrap_err();
    assert!(is_unavailable(&error), "{error:?}");
    client.batch_execute("ROLLBACK").await.unwrap();
    put_shop(&store, "acme").await;
    // A read is not told to try the same again.
    client.batch_execute("BEGIN; LOCK TABLE link").await.unwrap();
    let slow = store.get_links(&shop_id("acme"), &[slug("sale")]).await.unwrap_err();
    assert!(matches!(slow, StoreError::TooSlow(_)), "{slow:?}");
}

#[tokio::test]
async fn connections_say_who_they_are_and_how_long_they_wait() {
    let database = Database::create().await;
    let config = StoreConfig {
        application_name: "smartlinks of the test".to_owned(),
        statement_timeout: Duration::from_millis(12_345),
        ..database.config()
    };
    let store = Store::connect(&config).unwrap();
    let client = database.client().await;
    // What a connection of the store sees is written down by a trigger of ours.
    client
        .batch_execute(
            "CREATE TABLE seen (name text, statement text, idle text);
             CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                INSERT INTO seen VALUES (current_setting('application_name'), current_setting('statement_timeout'),
                    current_setting('idle_in_transaction_session_timeout'));
                RETURN NULL; END $$;
             CREATE TRIGGER look AFTER INSERT ON shop FOR EACH STATEMENT EXECUTE FUNCTION look()",
        )
        .await
        .unwrap();
    put_shop(&store, "acme").await;
    let row = client.query_one("SELECT name, statement, idle FROM seen", &[]).await.unwrap();
    let seen: [String; 3] = [row.get(0), row.get(1), row.get(2)];
    assert_eq!(seen, ["smartlinks of the test", "12345ms", "30s"]);
}

#[tokio::test]
async fn cut_connections_are_replaced() {
    let database = Database::create().await;
    let store = database.store();
    put_shop(&store, "acme").await;
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE application_name = 'smartlinks test' AND datname = current_database()";
    let cut: i64 = database.client().await.query_one(cut, &[]).await.unwrap().get(0);
    assert!(cut > 0);
    // Whoever comes next is not the one to notice.
    store.head().await.unwrap();
    put(&store, vec![Put::Link(new(link("acme", "sale")))]).await.unwrap();
}

#[tokio::test]
async fn connection_that_is_cut_in_a_commit_leaves_nothing() {
    let database = Database::create().await;
    let store = database.store();
    put_shop(&store, "acme").await;
    let client = database.client().await;
    client
        .batch_execute(
            "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
             CREATE TRIGGER die AFTER INSERT ON history FOR EACH STATEMENT EXECUTE FUNCTION die()",
        )
        .await
        .unwrap();
    let error = put(&store, vec![Put::Link(new(link("acme", "sale")))]).await.unwrap_err();
    assert!(is_unavailable(&error), "{error:?}");
    client.batch_execute("DROP TRIGGER die ON history").await.unwrap();
    assert_eq!(store.head().await.unwrap(), Revision(1));
    put(&store, vec![Put::Link(new(link("acme", "sale")))]).await.unwrap();
}

#[tokio::test]
async fn database_that_takes_no_writes_or_is_not_there_is_unavailable() {
    let database = Database::create().await;
    let store = database.store();
    put_shop(&store, "acme").await;
    let mut config = database.config();
    config.url = config.url.replace("postgres:", "postgresql:").replace("?host=", "?host=/nowhere");
    let nowhere = Store::connect(&config).unwrap();
    assert!(matches!(nowhere.head().await, Err(StoreError::Unavailable(_))));
    assert!(matches!(nowhere.migrate().await, Err(StoreError::Unavailable(_))));
    let error = put(&nowhere, vec![Put::Link(new(link("acme", "sale")))]).await.unwrap_err();
    assert!(is_unavailable(&error), "{error:?}");

    // As on a standby: every transaction is read only, whatever it asks for.
    let client = database.client().await;
    client
        .batch_execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                RAISE EXCEPTION 'cannot execute UPDATE in a read-only transaction' USING ERRCODE = '25006'; END $$;
             CREATE TRIGGER refuse BEFORE UPDATE ON installation FOR EACH STATEMENT EXECUTE FUNCTION refuse()",
        )
        .await
        .unwrap();
    let error = put(&store, vec![Put::Link(new(link("acme", "sale")))]).await.unwrap_err();
    assert!(is_unavailable(&error), "{error:?}");
    store.get_shop(&shop_id("acme")).await.unwrap().unwrap();
}

#[tokio::test]
async fn deadlock_is_a_conflict() {
    let database = Database::create().await;
    let store = database.store();
    put_shop(&store, "acme").await;
    let client = database.client().await;
    // Somebody locks in the other order: the table first, then the revision.
    client.batch_execute("BEGIN; LOCK TABLE history; SET LOCAL deadlock_timeout = '10s'").await.unwrap();
    let writer = tokio::spawn({
        let store = store.clone();
        async move { put(&store, vec![Put::Link(new(link("acme", "sale")))]).await }
    });
    let observer = database.client().await;
    let waits =
        "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    while observer.query(waits, &[]).await.unwrap().is_empty() {}
    client.batch_execute("UPDATE installation SET revision = revision").await.unwrap();
    let error = writer.await.unwrap().unwrap_err();
    assert!(matches!(error, CommitError::Store(StoreError::Conflict(_))), "{error:?}");
    client.batch_execute("ROLLBACK").await.unwrap();
}

#[tokio::test]
async fn both_forms_of_the_address_work() {
    let database = Database::create().await;
    let (start, socket) = database.url().split_once("?host=").unwrap();
    let name = start.rsplit_once('/').unwrap().1;
    let socket = socket.replace("%2F", "/");
    let url = format!("host='{socket}' user=postgres dbname={name}");
    let store = Store::connect(&StoreConfig { url, ..database.config() }).unwrap();
    store.head().await.unwrap();
    let wrong = Store::connect(&StoreConfig { url: "not an address".to_owned(), ..database.config() });
    assert!(matches!(wrong.err(), Some(StoreError::Other(_))));
}
