//! What replicas follow.

use futures_util::FutureExt;
use smartlinks::{
    domain::{
        fingerprint::{Fingerprint, Fingerprints, IndexedKind},
        revision::Revision,
    },
    store::{Changes, CommitError, Feed, FeedRow, Put, Store, StoreError},
};

use crate::support::{
    database::Database,
    objects::{
        change, code, delete, home, link, new, partner, program, put, put_shop, selected, shop, shop_id, slug,
    },
};

async fn read(store: &Store, since: Option<Revision>) -> (Feed, Vec<FeedRow>) {
    let mut rows = Vec::new();
    let feed = store.head_and_changes(since, |piece| rows.extend(piece)).await.unwrap();
    (feed, rows)
}

/// Names rows in one word each.
fn words(rows: &[FeedRow]) -> Vec<String> {
    let mut words: Vec<String> = rows
        .iter()
        .map(|row| match row {
            FeedRow::Shop(shop) => {
                let gone = if shop.stored.delete_time.is_some() { "-" } else { "" };
                format!("{gone}shop:{}@{}", shop.stored.value.id, shop.stored.revision)
            }
            FeedRow::Partner(partner) => {
                let gone = if partner.delete_time.is_some() { "-" } else { "" };
                format!("{gone}partner:{}@{}", partner.value.code, partner.revision)
            }
            FeedRow::Link(link) => format!("link:{}/{}@{}", link.shop, link.slug, link.revision),
            FeedRow::Unreadable { kind, shop, key, revision, .. } => {
                format!("?{kind}:{shop}/{key}@{revision}")
            }
        })
        .collect();
    words.sort();
    words
}

#[tokio::test]
async fn feed_reads_everything_or_what_changed_and_says_the_head() {
    let database = Database::create().await;
    let store = database.store();
    let (feed, rows) = read(&store, None).await;
    assert_eq!((feed.head, feed.changes, rows.len()), (Revision(0), Changes::Full, 0));
    let made = put_shop(&store, "acme").await;
    put(&store, vec![Put::Program(new(program("acme", "gold"))), Put::Partner(new(partner("acme", "anna")))])
        .await
        .unwrap();
    let mut sale = link("acme", "sale");
    sale.sharing = selected(&["anna"], &["gold"]);
    put(&store, vec![Put::Link(new(sale.clone()))]).await.unwrap();

    // Twice on one connection: a cursor of the first time must not be in the way.
    for _ in 0..2 {
        let (feed, rows) = read(&store, None).await;
        assert_eq!((feed.head, feed.changes), (Revision(3), Changes::Full));
        assert_eq!(words(&rows), ["link:acme/home@1", "link:acme/sale@3", "partner:anna@2", "shop:acme@1"]);
        let read_sale = rows.iter().find_map(|row| match row {
            FeedRow::Link(link) if link.slug == sale.slug => Some(link),
            FeedRow::Link(_) | FeedRow::Shop(_) | FeedRow::Partner(_) | FeedRow::Unreadable { .. } => None,
        });
        let read_sale = read_sale.unwrap();
        assert_eq!((&read_sale.sharing, &read_sale.routing), (&sale.sharing, &sale.routing));
    }
    for (since, expected) in [
        (0, vec!["link:acme/home@1", "link:acme/sale@3", "partner:anna@2", "shop:acme@1"]),
        (1, vec!["link:acme/sale@3", "partner:anna@2"]),
        (2, vec!["link:acme/sale@3"]),
        (3, vec![]),
    ] {
        let (feed, rows) = read(&store, Some(Revision(since))).await;
        assert_eq!((feed.head, feed.changes), (Revision(3), Changes::Since));
        assert_eq!(words(&rows), expected, "since {since}");
    }
    // An object that was written often is read once, as it is.
    let anna = put(&store, vec![Put::Partner(change(partner("acme", "anna"), Revision(2)))]).await.unwrap();
    let anna = put(&store, vec![Put::Partner(change(partner("acme", "anna"), anna.revision))]).await.unwrap();
    assert_eq!(words(&read(&store, Some(Revision(1))).await.1), ["link:acme/sale@3", "partner:anna@5"]);

    // Deletions are changes, but no part of everything.
    put(&store, vec![Put::Link(delete(sale, Revision(3)))]).await.unwrap();
    put(&store, vec![Put::Partner(delete(partner("acme", "anna"), anna.revision))]).await.unwrap();
    assert_eq!(words(&read(&store, Some(Revision(5))).await.1), ["-partner:anna@7", "link:acme/sale@6"]);
    assert_eq!(words(&read(&store, None).await.1), ["link:acme/home@1", "link:acme/sale@6", "shop:acme@1"]);
    put(&store, vec![Put::Shop(delete(shop("acme"), made.revision))]).await.unwrap();
    assert_eq!(words(&read(&store, Some(Revision(7))).await.1), ["-shop:acme@8"]);
    assert_eq!(read(&store, None).await.1, []);
}

#[tokio::test]
async fn large_reads_come_in_pieces_and_lose_nothing() {
    let database = Database::create().await;
    let store = database.store();
    put_shop(&store, "acme").await;
    let links = (0..1_000).map(|at| Put::Link(new(link("acme", &format!("l{at}"))))).collect::<Vec<_>>();
    put(&store, links).await.unwrap();
    let more = (1_000..1_300).map(|at| Put::Link(new(link("acme", &format!("l{at}"))))).collect::<Vec<_>>();
    put(&store, more).await.unwrap();
    for since in [None, Some(Revision(0))] {
        let (mut rows, mut largest) = (Vec::new(), 0);
        let take = |piece: Vec<FeedRow>| {
            largest = largest.max(piece.len());
            rows.extend(piece);
        };
        store.head_and_changes(since, take).await.unwrap();
        let mut words = words(&rows);
        words.dedup();
        assert_eq!((rows.len(), words.len()), (1_302, 1_302), "{since:?}");
        assert!(largest <= 500, "{since:?}: {largest}");
    }
}

#[tokio::test]
async fn revisions_that_are_not_known_are_too_old() {
    let database = Database::create().await;
    let store = database.store();
    put_shop(&store, "acme").await;
    for own in ["a", "b", "c"] {
        put(&store, vec![Put::Link(new(link("acme", own)))]).await.unwrap();
    }
    assert_eq!(store.prune().await.unwrap().changes, 0, "young changes stay");
    let client = database.client().await;
    client
        .batch_execute("UPDATE change SET at = at - interval '25 hours' WHERE revision <= 2")
        .await
        .unwrap();
    assert_eq!(store.prune().await.unwrap().changes, 2);
    for (since, changes) in
        [(0, Changes::TooOld), (1, Changes::Since), (2, Changes::Since), (4, Changes::Since)]
    {
        let (feed, rows) = read(&store, Some(Revision(since))).await;
        assert_eq!((feed.head, feed.changes), (Revision(4), changes), "since {since}");
        let expected = if changes == Changes::Since { 4 - since as usize } else { 0 };
        assert_eq!(rows.len(), expected, "since {since}");
    }
    // Of a database that was restored to an earlier state.
    assert_eq!(read(&store, Some(Revision(5))).await.0.changes, Changes::TooOld);
    client.batch_execute("UPDATE change SET at = at - interval '25 hours'").await.unwrap();
    assert_eq!(store.prune().await.unwrap().changes, 2);
    assert_eq!(store.prune().await.unwrap().changes, 0);
    assert_eq!(read(&store, Some(Revision(2))).await.0.changes, Changes::TooOld);
    assert_eq!(read(&store, Some(Revision(4))).await.0.changes, Changes::Since);
    assert_eq!(words(&read(&store, None).await.1).len(), 5, "everything is still there");
}

#[tokio::test]
async fn more_changes_than_worth_listing_are_too_old() {
    let database = Database::create().await;
    let store = database.store();
    put_shop(&store, "acme").await;
    let many =
        "INSERT INTO change SELECT 1, 'link', 'acme', 'l' || n, now() FROM generate_series(1, $1::int) AS n";
    let client = database.client().await;
    // The shop and its default partner link make the 100,000 full.
    client.execute(many, &[&99_998]).await.unwrap();
    assert_eq!(read(&store, Some(Revision(0))).await.0.changes, Changes::Since);
    client.batch_execute("INSERT INTO change VALUES (1, 'link', 'acme', 'one-more', now())").await.unwrap();
    let (feed, rows) = read(&store, Some(Revision(0))).await;
    assert_eq!((feed.changes, rows.len()), (Changes::TooOld, 0));
}

#[tokio::test]
async fn feed_is_of_one_database() {
    let (one, other) = tokio::join!(Database::create_empty(), Database::create_empty());
    let mut ids = Vec::new();
    for database in [&one, &other] {
        let store = database.store();
        store.migrate().await.unwrap();
        ids.push(read(&store, None).await.0.installation);
    }
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test]
async fn what_does_not_parse_hurts_nothing_else() {
    let database = Database::create().await;
    let store = database.store();
    put_shop(&store, "acme").await;
    let puts = [
        Put::Link(new(link("acme", "sale"))),
        Put::Link(new(link("acme", "fine"))),
        Put::Partner(new(partner("acme", "anna"))),
    ];
    let made = put(&store, puts.to_vec()).await.unwrap();
    let client = database.client().await;
    client
        .batch_execute(
            r#"UPDATE link SET routing = '{"default_destination": "//evil.example"}' WHERE slug = 'sale'"#,
        )
        .await
        .unwrap();
    for since in [None, Some(Revision(0))] {
        let rows = read(&store, since).await.1;
        let expected =
            ["?link:acme/sale@2", "link:acme/fine@2", "link:acme/home@1", "partner:anna@2", "shop:acme@1"];
        assert_eq!(words(&rows), expected);
        let problem = rows.iter().find_map(|row| match row {
            FeedRow::Unreadable { problem, .. } => Some(problem.clone()),
            FeedRow::Shop(_) | FeedRow::Partner(_) | FeedRow::Link(_) => None,
        });
        assert!(problem.unwrap().contains("begins with `//`"));
    }
    let error = store.get_link(&shop_id("acme"), &slug("sale")).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Corrupt { object, .. } if object == "link `acme/sale`"),
        "{error:?}"
    );
    // It can be written over.
    put(&store, vec![Put::Link(change(link("acme", "sale"), made.revision))]).await.unwrap();
    assert!(store.get_link(&shop_id("acme"), &slug("sale")).await.unwrap().is_some());
    // Partners and shops of a later version, too.
    client
        .batch_execute("UPDATE partner SET tags = '{Not A Tag}'; UPDATE shop SET settings = '{}'")
        .await
        .unwrap();
    let expected =
        ["?partner:acme/anna@2", "?shop:acme/@1", "link:acme/fine@2", "link:acme/home@1", "link:acme/sale@3"];
    assert_eq!(words(&read(&store, None).await.1), expected);
    assert!(matches!(store.get_shop(&shop_id("acme")).await, Err(StoreError::Corrupt { .. })));
    assert!(matches!(
        store.get_partner(&shop_id("acme"), &code("anna")).await,
        Err(StoreError::Corrupt { .. })
    ));
}

/// Computes the fingerprints of what a feed says is there.
fn prints_of(rows: &[FeedRow]) -> Fingerprints {
    let mut prints = Fingerprints::new();
    for row in rows {
        match row {
            FeedRow::Shop(shop) => {
                prints.add(IndexedKind::Shop, shop.stored.value.id.as_str(), "", shop.stored.revision);
            }
            FeedRow::Partner(partner) => {
                let (shop, code) = (partner.value.shop.as_str(), partner.value.code.as_str());
                prints.add(IndexedKind::Partner, shop, code, partner.revision);
            }
            FeedRow::Link(link) => {
                prints.add(IndexedKind::Link, link.shop.as_str(), link.slug.as_str(), link.revision);
            }
            FeedRow::Unreadable { kind, shop, key, revision, .. } => {
                prints.add(*kind, shop.as_str(), key, *revision)
            }
        }
    }
    prints
}

#[tokio::test]
async fn fingerprints_are_those_of_the_rows() {
    let database = Database::create().await;
    let store = database.store();
    assert_eq!(store.fingerprints().await.unwrap(), (Revision(0), Fingerprints::new()));
    put_shop(&store, "acme").await;
    let zeta = put_shop(&store, "zeta").await;
    let links = (0..700).map(|at| Put::Link(new(link(["acme", "zeta"][at % 2], &format!("l{at}")))));
    let partners = (0..700).map(|at| Put::Partner(new(partner(["acme", "zeta"][at % 2], &format!("p{at}")))));
    let made = put(&store, links.chain(partners).collect()).await.unwrap();
    let check = || async {
        let (head, prints) = store.fingerprints().await.unwrap();
        let (feed, rows) = read(&store, None).await;
        assert_eq!(head, feed.head);
        assert!(prints == prints_of(&rows));
        prints
    };
    let before = check().await;
    let gone = vec![
        Put::Link(delete(link("acme", "l0"), made.revision)),
        Put::Partner(delete(partner("acme", "p0"), made.revision)),
    ];
    put(&store, gone).await.unwrap();
    let after = check().await;
    let differing: Vec<_> = before.differing(&after).map(|(kind, _)| kind).collect();
    assert!(
        differing.contains(&IndexedKind::Link) && differing.contains(&IndexedKind::Partner),
        "{differing:?}"
    );

    let rows = read(&store, None).await.1;
    assert!(prints_of(&rows) == after);

    let forced = smartlinks::store::Commit {
        allow_missing_references: true,
        dry_run: false,
        ..crate::support::objects::commit(vec![Put::Shop(delete(shop("zeta"), zeta.revision))])
    };
    store.commit(forced).await.unwrap();
    let without_zeta = check().await;
    let print = Fingerprint::of(IndexedKind::Shop, "acme", "", Revision(1));
    assert_eq!(without_zeta.sum(IndexedKind::Shop, print.bucket), print.sum);
}

#[tokio::test]
async fn commits_wake_whoever_listens() {
    let database = Database::create().await;
    let store = database.store();
    let mut wakeups = store.listen();
    wakeups.woken().await;
    put_shop(&store, "acme").await;
    wakeups.woken().await;
    assert_eq!(read(&store, Some(Revision(0))).await.0.head, Revision(1));
    // A connection that is lost is made again, and what may have gone unheard is a wake-up.
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()";
    let cut: i64 = database.client().await.query_one(cut, &[]).await.unwrap().get(0);
    assert_eq!(cut, 1);
    wakeups.woken().await;
    // What is refused wakes nobody, so the next wake-up is of what is committed.
    let refused = put(&store, vec![Put::Link(new(home("acme")))]).await;
    assert!(matches!(refused, Err(CommitError::Taken { .. })));
    put(&store, vec![Put::Link(new(link("acme", "sale")))]).await.unwrap();
    wakeups.woken().await;
    assert_eq!(read(&store, Some(Revision(1))).await.0.head, Revision(2));
}

#[tokio::test]
async fn lost_notification_is_healed_by_the_next_read() {
    let database = Database::create().await;
    let store = database.store();
    put_shop(&store, "acme").await;
    let mut wakeups = store.listen();
    wakeups.woken().await;
    // Commits on this connection notify nobody.
    database
        .client()
        .await
        .batch_execute(
            "CREATE SCHEMA deaf; CREATE FUNCTION deaf.pg_notify(text, text) RETURNS void LANGUAGE sql AS ''",
        )
        .await
        .unwrap();
    let mut config = database.config();
    config.url.push_str("&options=-csearch_path%3Ddeaf,public,pg_catalog");
    let silent = Store::connect(&config).unwrap();
    put(&silent, vec![Put::Link(new(link("acme", "unheard")))]).await.unwrap();
    // Had it been heard, the wake-up would be here before this answer of the same server.
    let other = database.client().await;
    other.batch_execute("LISTEN other; NOTIFY other").await.unwrap();
    assert!(wakeups.woken().now_or_never().is_none());
    let (feed, rows) = read(&store, Some(Revision(1))).await;
    assert_eq!((feed.head, words(&rows)), (Revision(2), vec!["link:acme/unheard@2".to_owned()]));
    put(&store, vec![Put::Link(new(link("acme", "heard")))]).await.unwrap();
    wakeups.woken().await;
    assert_eq!(words(&read(&store, feed.head.into()).await.1), ["link:acme/heard@3"]);
}
