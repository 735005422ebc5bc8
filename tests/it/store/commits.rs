//! Revisions, edits, requests, histories.

use std::time::Duration;

use smartlinks::{
    domain::{
        link::{LinkState, Sharing},
        name::DisplayName,
        revision::Revision,
    },
    store::{Changes, Commit, CommitError, FeedRow, Put, RequestKey, Write},
};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::{
    database::Database,
    objects::{
        change, code, commit, delete, destination, home, link, new, partner, program, program_id, put,
        put_shop, selected, shop, shop_id, slug, tag,
    },
};

#[tokio::test]
async fn objects_read_back_as_they_were_written() {
    let database = Database::create().await;
    let store = database.store();
    let mut acme = shop("acme");
    acme.settings.fallback_url = Some(destination("https://elsewhere.example/sorry"));
    let made = put(&store, vec![Put::Shop(new(acme.clone())), Put::Link(new(home("acme")))]).await.unwrap();
    assert_eq!(made.revision, Revision(1));

    let stored = store.get_shop(&acme.id).await.unwrap().unwrap();
    assert_eq!(stored.stored.value, acme);
    assert_eq!(stored.default_link, slug("home"));
    assert_eq!(stored.stored.revision, made.revision);
    assert_eq!(stored.stored.create_time, made.time);
    assert_eq!(stored.stored.update_time, made.time);
    assert_eq!(stored.stored.delete_time, None);

    let mut anna = partner("acme", "anna");
    anna.aliases = vec![code("ann.a"), code("annie")];
    anna.tags = vec![tag("vip"), tag("blog")];
    anna.program = Some(program_id("gold"));
    anna.active = false;
    let gold = program("acme", "gold");
    put(&store, vec![Put::Program(new(gold.clone())), Put::Partner(new(anna.clone()))]).await.unwrap();
    assert_eq!(store.get_program(&acme.id, &gold.id).await.unwrap().unwrap().value, gold);
    for name in ["anna", "ann.a", "annie"] {
        assert_eq!(store.get_partner(&acme.id, &code(name)).await.unwrap().unwrap().value, anna, "{name}");
    }

    let mut sale = link("acme", "sale");
    sale.sharing = selected(&["anna"], &["gold"]);
    sale.tags = vec![tag("summer")];
    let made = put(&store, vec![Put::Link(new(sale.clone()))]).await.unwrap();
    let read = store.get_link(&acme.id, &slug("sale")).await.unwrap().unwrap();
    assert_eq!((&read.value, read.revision), (&sale, made.revision));
    let both = store.get_links(&acme.id, &[slug("sale"), slug("nothing"), slug("home")]).await.unwrap();
    assert_eq!(both.into_iter().map(|link| link.value).collect::<Vec<_>>(), [home("acme"), sale]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revisions_commit_in_order_and_a_reader_that_follows_misses_none() {
    const WRITERS: usize = 16;
    const EACH: usize = 12;
    let database = Database::create().await;
    let store = database.store();
    put_shop(&store, "acme").await;
    // Delays between the writes and the commit, so that a number taken early could commit late.
    database
        .client()
        .await
        .batch_execute(
            "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN PERFORM pg_sleep(random() * 0.01); RETURN NULL; END $$;
             CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT ON link DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW EXECUTE FUNCTION dawdle()",
        )
        .await
        .unwrap();

    let reader = tokio::spawn({
        let store = store.clone();
        async move {
            let mut wakeups = store.listen();
            let (mut head, mut seen) = (Revision(1), Vec::new());
            while seen.len() < WRITERS * EACH {
                let mut rows = Vec::new();
                let feed = store.head_and_changes(Some(head), |piece| rows.extend(piece)).await.unwrap();
                assert_eq!(feed.changes, Changes::Since);
                for row in rows {
                    let FeedRow::Link(link) = row else { panic!("only links were written: {row:?}") };
                    assert!(head < link.revision && link.revision <= feed.head);
                    seen.push(link.slug);
                }
                let caught_up = head == feed.head;
                head = feed.head;
                if caught_up && seen.len() < WRITERS * EACH {
                    wakeups.woken().await;
                }
            }
            seen
        }
    });

    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let store = store.clone();
        writers.spawn(async move {
            let mut revisions = Vec::new();
            for at in 0..EACH {
                let put = vec![Put::Link(new(link("acme", &format!("l-{writer}-{at}"))))];
                revisions.push(store.commit(commit(put)).await.unwrap());
            }
            assert!(revisions.is_sorted_by(|one, next| one.revision < next.revision && one.time < next.time));
            revisions
        });
    }
    let mut revisions: Vec<_> = writers.join_all().await.into_iter().flatten().collect();
    revisions.sort_by_key(|committed| committed.revision);
    let expected: Vec<i64> = (2..).take(WRITERS * EACH).collect();
    assert_eq!(revisions.iter().map(|committed| committed.revision.0).collect::<Vec<_>>(), expected);
    assert!(revisions.is_sorted_by(|one, next| one.time < next.time), "times grow with the revisions");

    let mut seen = tokio::time::timeout(Duration::from_secs(60), reader).await.unwrap().unwrap();
    let count = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!((seen.len(), count), (WRITERS * EACH, WRITERS * EACH), "each link once");
}

#[tokio::test]
async fn of_two_edits_of_one_state_one_is_stale() {
    let database = Database::create().await;
    let store = database.store();
    put_shop(&store, "acme").await;
    let made = put(&store, vec![Put::Link(new(link("acme", "sale")))]).await.unwrap();
    let edit = |name: &str| {
        let mut edited = link("acme", "sale");
        edited.display_name = DisplayName::parse(name).unwrap();
        put(
            &store,
            vec![
                Put::Link(new(link("acme", &format!("{name}-too")))),
                Put::Link(change(edited, made.revision)),
            ],
        )
    };
    let (one, other) = tokio::join!(edit("one"), edit("other"));
    let (winner, loser) = if one.is_ok() { ("one", other) } else { ("other", one) };
    assert!(matches!(loser, Err(CommitError::Stale { put: 1 })), "{loser:?}");
    let stored = store.get_link(&shop_id("acme"), &slug("sale")).await.unwrap().unwrap();
    assert_eq!(stored.value.display_name.as_str(), winner);
    assert_eq!(store.head().await.unwrap(), stored.revision, "what is refused takes no revision");
    let of_loser = if winner == "one" { "other-too" } else { "one-too" };
    assert_eq!(store.get_link(&shop_id("acme"), &slug(of_loser)).await.unwrap(), None, "all or nothing");
    let nothing = put(&store, vec![Put::Link(change(link("acme", "nothing"), made.revision))]).await;
    assert!(matches!(nothing, Err(CommitError::Stale { put: 0 })), "{nothing:?}");
}

fn request(id: Uuid, fingerprint: u8) -> RequestKey {
    RequestKey { id, rpc: "CreateLink", fingerprint: [fingerprint; 32] }
}

#[tokio::test]
async fn request_is_done_once_and_answered_again() {
    let database = Database::create().await;
    let store = database.store();
    put_shop(&store, "acme").await;
    let id = Uuid::new_v4();
    let ask = |own: &str, request| {
        store.commit(Commit { request: Some(request), ..commit(vec![Put::Link(new(link("acme", own)))]) })
    };
    store.check_request(&request(id, 1)).await.unwrap();
    // At the same time: one of them does it, the other is told so, whichever is first.
    let (one, other) = tokio::join!(ask("sale", request(id, 1)), ask("sale", request(id, 1)));
    let (done, repeated) = if one.is_ok() { (one, other) } else { (other, one) };
    let done = done.unwrap();
    for repeated in [repeated, store.check_request(&request(id, 1)).await.map(|()| done)] {
        let Err(CommitError::Repeated { revision }) = repeated else { panic!("{repeated:?}") };
        assert_eq!(revision, done.revision);
    }
    let reused = ask("other", request(id, 2)).await;
    assert!(matches!(reused, Err(CommitError::RequestIdReused)), "{reused:?}");
    let other_rpc = RequestKey { rpc: "CreateShop", ..request(id, 1) };
    assert!(matches!(store.check_request(&other_rpc).await, Err(CommitError::RequestIdReused)));
    assert_eq!(store.head().await.unwrap(), done.revision);

    // After 24 hours the id is free, before and after it is pruned.
    let client = database.client().await;
    let age = "UPDATE request SET at = at - interval '25 hours'";
    client.batch_execute(age).await.unwrap();
    store.check_request(&request(id, 2)).await.unwrap();
    ask("other", request(id, 2)).await.unwrap();
    client.batch_execute(age).await.unwrap();
    assert_eq!(store.prune().await.unwrap().requests, 1);
    ask("third", request(id, 3)).await.unwrap();
}

#[tokio::test]
async fn history_has_every_object_as_it_was_after_every_write() {
    let database = Database::create().await;
    let store = database.store();
    let mut puts = vec![Put::Shop(new(shop("acme"))), Put::Link(new(home("acme")))];
    puts.extend([Put::Program(new(program("acme", "gold"))), Put::Partner(new(partner("acme", "anna")))]);
    let made = put(&store, puts).await.unwrap();
    let shared = smartlinks::domain::link::Link { sharing: selected(&["anna"], &["gold"]), ..home("acme") };
    let changed = put(&store, vec![Put::Link(change(shared.clone(), made.revision))]).await.unwrap();
    let deleted = store
        .commit(Commit {
            actor: "remover".to_owned(),
            allow_missing_references: true,
            dry_run: false,
            ..commit(vec![
                Put::Partner(delete(partner("acme", "anna"), made.revision)),
                Put::Program(delete(program("acme", "gold"), made.revision)),
            ])
        })
        .await
        .unwrap();

    let rows = database
        .client()
        .await
        .query(
            "SELECT revision, kind, shop, key, deleted, actor, object::text,
                (extract(epoch FROM at) * 1000000)::bigint
             FROM history ORDER BY revision, kind",
            &[],
        )
        .await
        .unwrap();
    let rows: Vec<(i64, String, String, String, bool, String)> = rows
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2), row.get(3), row.get(4), row.get(5)))
        .collect();
    let row = |revision: Revision, kind: &str, key: &str, deleted, actor: &str| {
        (revision.0, kind.to_owned(), "acme".to_owned(), key.to_owned(), deleted, actor.to_owned())
    };
    assert_eq!(
        rows,
        [
            row(made.revision, "link", "home", false, "tester"),
            row(made.revision, "partner", "anna", false, "tester"),
            row(made.revision, "program", "gold", false, "tester"),
            row(made.revision, "shop", "", false, "tester"),
            row(changed.revision, "link", "home", false, "tester"),
            row(deleted.revision, "partner", "anna", true, "remover"),
            row(deleted.revision, "program", "gold", true, "remover"),
        ]
    );
    let object: String = database
        .client()
        .await
        .query_one("SELECT object::text FROM history WHERE revision = $1", &[&changed.revision.0])
        .await
        .unwrap()
        .get(0);
    assert_eq!(serde_json::from_str::<smartlinks::domain::link::Link>(&object).unwrap(), shared);
}

#[tokio::test]
async fn what_is_refused_leaves_no_trace() {
    let database = Database::create().await;
    let store = database.store();
    put_shop(&store, "acme").await;
    let refused = Commit {
        request: Some(request(Uuid::new_v4(), 1)),
        ..commit(vec![Put::Link(new(link("acme", "sale"))), Put::Link(new(link("acme", "home")))])
    };
    assert!(store.commit(refused).await.is_err());
    let count = "SELECT (SELECT count(*) FROM history) + (SELECT count(*) FROM change) + (SELECT count(*) FROM request)
        + (SELECT count(*) FROM link)";
    let count: i64 = database.client().await.query_one(count, &[]).await.unwrap().get(0);
    assert_eq!(count, 2 + 2 + 1, "history and changes of shop and home, and home");
}

#[tokio::test]
async fn deleted_link_comes_back_as_it_was() {
    let database = Database::create().await;
    let store = database.store();
    put_shop(&store, "acme").await;
    put(&store, vec![Put::Partner(new(partner("acme", "anna")))]).await.unwrap();
    let mut sale = link("acme", "sale");
    sale.sharing = selected(&["anna"], &[]);
    let made = put(&store, vec![Put::Link(new(sale.clone()))]).await.unwrap();
    let deleted = put(&store, vec![Put::Link(delete(sale.clone(), made.revision))]).await.unwrap();
    let read = || async { store.get_link(&shop_id("acme"), &slug("sale")).await.unwrap().unwrap() };
    let stored = read().await;
    assert_eq!(stored.value.state, LinkState::Deleted);
    assert_eq!((stored.create_time, stored.delete_time), (made.time, Some(deleted.time)));
    // Deleted again, it stays deleted since then.
    let again = Write {
        expect: smartlinks::store::Expect::Revision(deleted.revision),
        ..delete(stored.value, made.revision)
    };
    let again = put(&store, vec![Put::Link(again)]).await.unwrap();
    assert_eq!(read().await.delete_time, Some(deleted.time));
    put(&store, vec![Put::Link(change(sale.clone(), again.revision))]).await.unwrap();
    let stored = read().await;
    assert_eq!((stored.value, stored.delete_time), (sale, None));
    assert_ne!(stored.update_time, stored.create_time);
}

#[tokio::test]
async fn sharing_is_written_with_its_link() {
    let database = Database::create().await;
    let store = database.store();
    put_shop(&store, "acme").await;
    let partners = ["anna", "bert", "cleo"].map(|own| Put::Partner(new(partner("acme", own))));
    put(&store, partners.into_iter().chain([Put::Program(new(program("acme", "gold")))]).collect())
        .await
        .unwrap();
    let mut sale = link("acme", "sale");
    let mut revision = put(&store, vec![Put::Link(new(sale.clone()))]).await.unwrap().revision;
    for sharing in [
        selected(&["anna", "bert"], &["gold"]),
        selected(&["bert", "cleo"], &[]),
        selected(&[], &["gold"]),
        selected(&[], &[]),
        selected(&["cleo"], &["gold"]),
        Sharing::Everyone,
    ] {
        sale.sharing = sharing;
        let next = put(&store, vec![Put::Link(change(sale.clone(), revision))]).await.unwrap().revision;
        assert!(next > revision, "a change of sharing moves the revision of the link");
        let stored = store.get_link(&shop_id("acme"), &slug("sale")).await.unwrap().unwrap();
        assert_eq!((&stored.value.sharing, stored.revision), (&sale.sharing, next));
        revision = next;
    }
}
