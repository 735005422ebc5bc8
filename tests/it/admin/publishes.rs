//! Many links changed together, now or at a time.

mod pending;

use jiff::{SignedDuration, Timestamp};
use smartlinks::{
    proto::{
        self, CancelPublishRequest, CreatePublishRequest, CreatePublishResponse, DeletePartnerRequest,
        GetLinkRevisionRequest, GetPublishRequest, LinkState, LinkUpdate, ListLinkRevisionsRequest,
        ListPublishesRequest, OnPendingPublish, Publish, PublishState, RollbackLinkRequest,
        on_pending_publish::Then,
    },
    store::Settled,
};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::fixture::{
    Client, TestServer, create_link, edit, everyone, get_link, link, mask, names, reason, refusal, rule,
    selected, shop, update_link,
};
use crate::support::server::execute;

fn slot(time: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() }
}

fn in_an_hour() -> Option<prost_types::Timestamp> {
    Some(slot(Timestamp::now() + SignedDuration::from_hours(1)))
}

/// A change of where a link leads.
pub(crate) fn leading(slug: &str, to: &str) -> LinkUpdate {
    let link = proto::Link { slug: slug.into(), default_destination: to.into(), ..Default::default() };
    LinkUpdate { link: Some(link), update_mask: mask(&["default_destination"]) }
}

pub(crate) fn request(updates: Vec<LinkUpdate>, at: Option<prost_types::Timestamp>) -> CreatePublishRequest {
    CreatePublishRequest {
        shop: "acme".into(),
        updates,
        effective_time: at,
        comment: "the sale begins".into(),
        ..Default::default()
    }
}

async fn create(client: &mut Client, request: CreatePublishRequest) -> Result<CreatePublishResponse, Status> {
    Ok(client.create_publish(request).await?.into_inner())
}

async fn publish(
    client: &mut Client,
    updates: Vec<LinkUpdate>,
    at: Option<prost_types::Timestamp>,
) -> Publish {
    create(client, request(updates, at)).await.unwrap().publish.unwrap()
}

async fn get(client: &mut Client, id: i64) -> Result<Publish, Status> {
    let request = GetPublishRequest { shop: "acme".into(), id };
    Ok(client.get_publish(request).await?.into_inner().publish.unwrap())
}

async fn cancel(client: &mut Client, id: i64) -> Result<Publish, Status> {
    let request =
        CancelPublishRequest { shop: "acme".into(), id, comment: "too soon".into(), ..Default::default() };
    Ok(client.cancel_publish(request).await?.into_inner().publish.unwrap())
}

/// Lets the time of all publishes have come.
async fn come(server: &TestServer) {
    execute(&server.database, "UPDATE publish SET effective_at = now() WHERE state = 'pending'").await;
}

async fn with_links() -> (TestServer, Client) {
    let (server, mut client) = TestServer::with_shop().await;
    for slug in ["one", "two", "three"] {
        create_link(&mut client, link(slug)).await;
    }
    (server, client)
}

async fn destinations(client: &mut Client) -> Vec<String> {
    let mut all = Vec::new();
    for slug in ["one", "two", "three"] {
        all.push(get_link(client, slug).await.default_destination);
    }
    all
}

const OLD: [&str; 3] = ["page/one", "page/two", "page/three"];

#[tokio::test]
async fn links_change_together_now() {
    let (_server, mut client) = with_links().await;
    let before = get_link(&mut client, "one").await;
    let made =
        create(&mut client, request(vec![leading("two", "b"), leading("one", "a")], None)).await.unwrap();
    let publish = made.publish.unwrap();
    assert_eq!((publish.id, publish.state()), (made.revision, PublishState::Effective));
    assert_eq!((publish.end_revision, publish.link_count), (publish.id, 2));
    assert_eq!((publish.actor.as_str(), publish.comment.as_str()), ("local", "the sale begins"));
    assert_eq!(publish.effective_time, publish.create_time);
    let slugs: Vec<_> = publish.links.iter().map(|link| link.slug.as_str()).collect();
    assert_eq!(slugs, ["one", "two"]);
    assert_eq!(publish.links[0].previous_revision, before.revision);
    assert_eq!(get(&mut client, publish.id).await.unwrap(), publish);
    assert_eq!(destinations(&mut client).await, ["a", "b", "page/three"]);
    for (link, slug) in made.links.iter().zip(["two", "one"]) {
        assert_eq!(*link, get_link(&mut client, slug).await);
        assert_eq!(link.revision, publish.id);
        let list = ListLinkRevisionsRequest { shop: "acme".into(), slug: slug.into(), ..Default::default() };
        let revisions = client.list_link_revisions(list).await.unwrap().into_inner().revisions;
        assert_eq!((revisions[0].publish, revisions[0].comment.as_str()), (publish.id, "the sale begins"));
        assert_eq!(revisions[1].publish, 0);
    }
}

#[tokio::test]
async fn one_link_at_fault_stops_all() {
    let (_server, mut client) = with_links().await;
    let nobody =
        proto::Link { slug: "two".into(), sharing: Some(selected(&["nobody"], &[])), ..Default::default() };
    let nobody = LinkUpdate { link: Some(nobody), update_mask: mask(&["sharing"]) };
    let contradictory = proto::Rule {
        when: Some(proto::Condition {
            kind: Some(proto::condition::Kind::All(proto::ConditionGroup {
                conditions: vec![
                    rule("x", "DE").when.unwrap(),
                    proto::Condition {
                        kind: Some(proto::condition::Kind::Not(Box::new(rule("x", "DE").when.unwrap()))),
                    },
                ],
            })),
        }),
        ..rule("never", "DE")
    };
    let idle = proto::Link { slug: "two".into(), rules: vec![contradictory], ..Default::default() };
    let idle = LinkUpdate { link: Some(idle), update_mask: mask(&["rules"]) };
    let stale = proto::Link { etag: "\"r1\"".into(), ..leading("two", "b").link.unwrap() };
    let stale = LinkUpdate { link: Some(stale), ..leading("two", "b") };
    let golden = proto::Link {
        slug: "two".into(),
        golden_clicks: vec![proto::GoldenClick {
            name: "home".into(),
            visit: Some(proto::TestVisit::default()),
            expected_destination: "elsewhere".into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let golden = LinkUpdate { link: Some(golden), update_mask: mask(&["golden_clicks"]) };
    let looping = leading("two", "https://go.acme.example/x");
    let faults = [
        (nobody, "UNKNOWN_REFERENCE", "updates[1].link.sharing.selected.partners[0]"),
        (idle, "RULE_CONTRADICTORY", "updates[1].link.rules[0].when"),
        (leading("four", "d"), "LINK_NOT_FOUND", ""),
        (stale, "STALE_ETAG", ""),
        (golden, "GOLDEN_CLICK_FAILED", "updates[1].link.golden_clicks[0]"),
        (looping, "REDIRECT_LOOP", "updates[1].link.default_destination"),
        (leading("one", "again"), "DUPLICATE", "updates[1].link.slug"),
    ];
    for at in [None, in_an_hour()] {
        for (bad, expected, field) in faults.clone() {
            let updates = vec![leading("one", "a"), bad, leading("three", "c")];
            let refused = create(&mut client, request(updates, at)).await.unwrap_err();
            let (_, reason, at_field) = refusal(&refused);
            assert_eq!((reason.as_str(), at_field.as_str()), (expected, field), "{refused:?}");
        }
    }
    assert_eq!(destinations(&mut client).await, OLD);
    let list = ListPublishesRequest { shop: "acme".into(), ..Default::default() };
    assert_eq!(client.list_publishes(list).await.unwrap().into_inner().publishes, []);
    // Nothing is in the way of another write.
    update_link(&mut client, edit(link("one"), &["default_destination"], "")).await;
}

#[tokio::test]
async fn publish_for_a_time_waits_and_is_settled_once() {
    let (server, mut client) = with_links().await;
    let made =
        create(&mut client, request(vec![leading("one", "a"), leading("two", "b")], in_an_hour())).await;
    let made = made.unwrap();
    let publish = made.publish.unwrap();
    assert_eq!((publish.state(), publish.end_revision, publish.end_time), (PublishState::Pending, 0, None));
    assert_eq!(made.links[1].default_destination, "b");
    assert_eq!((made.links[1].etag.as_str(), made.links[1].revision), ("", 0));
    assert_eq!(destinations(&mut client).await, OLD);
    let ahead = GetLinkRevisionRequest {
        shop: "acme".into(),
        slug: "two".into(),
        publish: publish.id,
        compare_with: Some(publish.id),
        ..Default::default()
    };
    let ahead = client.get_link_revision(ahead).await.unwrap().into_inner();
    assert_eq!(ahead.link.unwrap().default_destination, "b");
    let changed: Vec<_> = ahead.changes.iter().map(|change| change.path.as_str()).collect();
    assert_eq!(changed, ["default_destination"]);
    let revision = ahead.revision.unwrap();
    assert_eq!((revision.revision, revision.publish), (publish.id, publish.id));
    assert_eq!(revision.changed_fields, ["default_destination"]);
    let none = GetLinkRevisionRequest {
        shop: "acme".into(),
        slug: "three".into(),
        publish: publish.id,
        ..Default::default()
    };
    assert_eq!(reason(&client.get_link_revision(none).await.unwrap_err()), "PUBLISH_NOT_FOUND");

    assert_eq!(server.database.store().settle_publishes().await.unwrap().done, []);
    come(&server).await;
    let (one, other) = (server.database.store(), server.database.store());
    let (mine, theirs) = tokio::join!(one.settle_publishes(), other.settle_publishes());
    let settled: Vec<Settled> = mine.unwrap().done.into_iter().chain(theirs.unwrap().done).collect();
    assert_eq!(settled.len(), 1);
    assert_eq!((settled[0].publish.id.0, settled[0].links), (publish.id, 2));
    assert_eq!(destinations(&mut client).await, ["a", "b", "page/three"]);
    let done = get(&mut client, publish.id).await.unwrap();
    let end = settled[0].revision.0;
    assert_eq!((done.state(), done.end_revision), (PublishState::Effective, end));
    assert_eq!((done.end_actor, done.end_comment), (publish.actor, publish.comment));
    let list = ListLinkRevisionsRequest { shop: "acme".into(), slug: "one".into(), ..Default::default() };
    let revisions = client.list_link_revisions(list).await.unwrap().into_inner().revisions;
    let told: Vec<_> = revisions.iter().map(|it| (it.revision, it.publish, it.comment.as_str())).collect();
    assert_eq!(told[0], (end, publish.id, "the sale begins"));
    assert_eq!(
        (told.len(), revisions[0].changed_fields.as_slice()),
        (2, ["default_destination".to_owned()].as_slice())
    );
    // Taken back like any other write.
    let back = RollbackLinkRequest {
        shop: "acme".into(),
        slug: "one".into(),
        revision: end - 1,
        ..Default::default()
    };
    client.rollback_link(back).await.unwrap();
    assert_eq!(destinations(&mut client).await, ["page/one", "b", "page/three"]);
}

#[tokio::test]
async fn publishes_are_listed_and_cancelled() {
    let (_server, mut client) = with_links().await;
    let first = publish(&mut client, vec![leading("one", "a"), leading("two", "b")], in_an_hour()).await;
    let second = publish(&mut client, vec![leading("three", "c")], in_an_hour()).await;
    let refused = create(&mut client, request(vec![leading("three", "d")], None)).await.unwrap_err();
    assert_eq!(reason(&refused), "PUBLISH_PENDING");
    let gone = cancel(&mut client, second.id).await.unwrap();
    assert_eq!((gone.state(), gone.end_comment.as_str()), (PublishState::Cancelled, "too soon"));
    assert!(gone.end_revision > second.id && gone.end_time.is_some());
    let third = publish(&mut client, vec![leading("three", "d")], None).await;
    for id in [second.id, third.id] {
        let refused = cancel(&mut client, id).await.unwrap_err();
        let expected = (Code::FailedPrecondition, "PUBLISH_NOT_PENDING".to_owned(), String::new());
        assert_eq!(refusal(&refused), expected);
    }
    for id in [0, -1, 1_000_000] {
        assert_eq!(reason(&cancel(&mut client, id).await.unwrap_err()), "PUBLISH_NOT_FOUND");
        assert_eq!(reason(&get(&mut client, id).await.unwrap_err()), "PUBLISH_NOT_FOUND");
    }

    let list = |states: &[PublishState], slug: &str, page_size, page_token: &str| ListPublishesRequest {
        shop: "acme".into(),
        page_size,
        page_token: page_token.into(),
        states: states.iter().map(|state| (*state).into()).collect(),
        slug: slug.into(),
    };
    let mut listed = async |request| {
        let page = client.list_publishes(request).await.unwrap().into_inner();
        let ids: Vec<i64> = page.publishes.iter().map(|publish| publish.id).collect();
        assert!(page.publishes.iter().all(|publish| publish.links.is_empty() && publish.link_count > 0));
        (ids, page.next_page_token)
    };
    assert_eq!(listed(list(&[], "", 0, "")).await.0, [third.id, second.id, first.id]);
    assert_eq!(listed(list(&[PublishState::Pending], "", 0, "")).await.0, [first.id]);
    let ended = [PublishState::Cancelled, PublishState::Effective];
    assert_eq!(listed(list(&ended, "", 0, "")).await.0, [third.id, second.id]);
    assert_eq!(listed(list(&[], "THREE", 0, "")).await.0, [third.id, second.id]);
    let (ids, token) = listed(list(&[], "", 2, "")).await;
    assert_eq!(ids, [third.id, second.id]);
    assert_eq!(listed(list(&[], "", 2, &token)).await, (vec![first.id], String::new()));
    let other = list(&[PublishState::Pending], "", 2, &token);
    assert_eq!(reason(&client.list_publishes(other).await.unwrap_err()), "INVALID_PAGE_TOKEN");
    let unknown = ListPublishesRequest { shop: "acme".into(), states: vec![9], ..Default::default() };
    let refused = client.list_publishes(unknown).await.unwrap_err();
    assert_eq!(refusal(&refused).2, "states[0]");
}

#[tokio::test]
async fn write_after_the_time_finds_the_publish_in_effect() {
    let (server, mut client) = with_links().await;
    let old = get_link(&mut client, "one").await;
    let pending = publish(&mut client, vec![leading("one", "a"), leading("two", "b")], in_an_hour()).await;
    come(&server).await;
    // Nobody has written it into its links yet: the write does.
    let refused = cancel(&mut client, pending.id).await.unwrap_err();
    assert_eq!(reason(&refused), "PUBLISH_NOT_PENDING");
    let tagged = proto::Link { tags: vec!["new".into()], ..link("one") };
    let stale = proto::Link { etag: old.etag, ..tagged.clone() };
    let refused = client.update_link(edit(stale, &["tags"], "")).await.unwrap_err();
    assert_eq!(reason(&refused), "STALE_ETAG");
    let written = update_link(&mut client, edit(tagged, &["tags"], "")).await;
    assert_eq!((written.default_destination.as_str(), written.tags.len()), ("a", 1));
    let done = get(&mut client, pending.id).await.unwrap();
    assert_eq!(done.state(), PublishState::Effective);
    assert!(done.end_revision < written.revision);
    assert_eq!(destinations(&mut client).await, ["a", "b", "page/three"]);
}

#[tokio::test]
async fn what_a_pending_publish_names_is_in_use() {
    let (server, mut client) = with_links().await;
    let of_anna = proto::Link {
        slug: "one".into(),
        sharing: Some(selected(&["anna"], &["gold"])),
        default_destination: "https://other.example/x".into(),
        ..Default::default()
    };
    let update = proto::UpdateShopRequest {
        shop: Some(proto::Shop { destination_hosts: vec!["other.example".into()], ..shop("acme") }),
        update_mask: mask(&["destination_hosts"]),
        ..Default::default()
    };
    client.update_shop(update).await.unwrap();
    let fields = mask(&["sharing", "default_destination"]);
    let updates = vec![LinkUpdate { link: Some(of_anna), update_mask: fields }];
    let pending = publish(&mut client, updates, in_an_hour()).await;
    let partner = DeletePartnerRequest { shop: "acme".into(), code: "anna".into(), ..Default::default() };
    let refused = client.delete_partner(partner.clone()).await.unwrap_err();
    assert!(reason(&refused) == "IN_USE" && refused.message().contains("`one`"), "{refused:?}");
    let looping = proto::CreateShopRequest {
        shop: Some(proto::Shop { link_hosts: vec!["other.example".into()], ..shop("bravo") }),
        ..Default::default()
    };
    let without = proto::UpdateShopRequest {
        shop: Some(shop("acme")),
        update_mask: mask(&["destination_hosts"]),
        ..Default::default()
    };
    client.update_shop(without).await.unwrap();
    assert_eq!(reason(&client.create_shop(looping.clone()).await.unwrap_err()), "REDIRECT_LOOP");
    // By force the partner goes, and the publish takes effect all the same.
    client.delete_partner(DeletePartnerRequest { force: true, ..partner }).await.unwrap();
    come(&server).await;
    assert_eq!(server.database.store().settle_publishes().await.unwrap().done.len(), 1);
    assert_eq!(get_link(&mut client, "one").await.sharing, Some(selected(&["anna"], &["gold"])));
    assert_eq!(get(&mut client, pending.id).await.unwrap().state(), PublishState::Effective);
    // Cancelled, it is in nobody's way.
    let to = |host: &str| vec![leading("two", host)];
    update_link(&mut client, edit(link("one"), &["default_destination"], "")).await;
    let pending = publish(&mut client, to("https://acme.example/x"), in_an_hour()).await;
    cancel(&mut client, pending.id).await.unwrap();
    client.create_shop(looping).await.unwrap();
}

#[tokio::test]
async fn time_is_ahead_and_a_repeated_request_is_answered_again() {
    let (_server, mut client) = with_links().await;
    let now = Timestamp::now();
    let hours = SignedDuration::from_hours;
    for time in [now - hours(1), now + hours(24 * 367), Timestamp::UNIX_EPOCH] {
        let refused = create(&mut client, request(vec![leading("one", "a")], Some(slot(time)))).await;
        let refused = refusal(&refused.unwrap_err());
        assert_eq!((refused.1.as_str(), refused.2.as_str()), ("OUT_OF_RANGE", "effective_time"));
    }
    let time = now + hours(24 * 365) + SignedDuration::from_nanos(1_999);
    let tried = CreatePublishRequest {
        validate_only: true,
        request_id: "0190a6f0-5c1e-4c36-9f3b-3d8b7f2a1c11".into(),
        ..request(vec![leading("two", "b"), leading("one", "a")], Some(slot(time)))
    };
    let draft = create(&mut client, tried.clone()).await.unwrap();
    let publish = draft.publish.unwrap();
    assert_eq!((publish.id, publish.state(), draft.revision), (0, PublishState::Pending, 0));
    assert_eq!((publish.link_count, publish.links[0].slug.as_str()), (2, "one"));
    let wanted = CreatePublishRequest { validate_only: false, ..tried };
    let (one, other) = (&mut client.clone(), &mut client.clone());
    let (first, same) = tokio::join!(create(one, wanted.clone()), create(other, wanted.clone()));
    let (first, same) = (first.unwrap(), same.unwrap());
    assert_eq!((first.revision, &first.publish), (same.revision, &same.publish));
    let publish = first.publish.unwrap();
    // PostgreSQL keeps microseconds, and every server goes by what it keeps.
    assert_eq!(publish.effective_time.unwrap().nanos % 1_000, 0);
    cancel(&mut client, publish.id).await.unwrap();
    let again = create(&mut client, wanted.clone()).await.unwrap();
    assert_eq!((again.revision, again.publish.unwrap().state()), (publish.id, PublishState::Cancelled));
    let other = CreatePublishRequest { updates: vec![leading("one", "z")], ..wanted };
    assert_eq!(reason(&create(&mut client, other).await.unwrap_err()), "REQUEST_ID_REUSED");
}
