//! Writes of links on which a publish is pending.

use super::*;

/// Says what becomes of the pending publish.
fn leaving(id: i64) -> Option<OnPendingPublish> {
    Some(OnPendingPublish { then: Some(Then::Leave(id)) })
}

fn cancelling(id: i64) -> Option<OnPendingPublish> {
    Some(OnPendingPublish { then: Some(Then::Cancel(id)) })
}

/// Makes every kind of write of the link `one` that can be made of an active link, and returns what became of each.
async fn write_all(
    client: &mut Client,
    pending: Option<OnPendingPublish>,
    validate_only: bool,
) -> Vec<(&'static str, Result<(), Status>)> {
    use proto::*;
    let (acme, slug) = (|| "acme".to_owned(), || "one".to_owned());
    let mut done = Vec::new();
    macro_rules! write {
        ($call:ident($request:ident { $($field:tt)* })) => {
            let request = $request { pending_publish: pending, validate_only, $($field)*, ..Default::default() };
            done.push((stringify!($call), client.$call(request).await.map(drop)));
        };
    }
    write!(update_link(UpdateLinkRequest { link: Some(link("one")), update_mask: mask(&["tags"]) }));
    write!(batch_update_links(BatchUpdateLinksRequest {
        shop: acme(),
        updates: vec![leading("three", "c"), leading("one", "x")]
    }));
    write!(create_publish(CreatePublishRequest { shop: acme(), updates: vec![leading("one", "x")] }));
    write!(share_link(ShareLinkRequest { shop: acme(), slug: slug(), sharing: Some(everyone()) }));
    write!(share_link(ShareLinkRequest {
        shop: acme(),
        slug: slug(),
        sharing: Some(selected(&["anna", "bert"], &[])),
        replace: true
    }));
    write!(pause_link(PauseLinkRequest { shop: acme(), slug: slug() }));
    write!(resume_link(ResumeLinkRequest { shop: acme(), slug: slug() }));
    let revision = get_link(client, "one").await.revision;
    write!(rollback_link(RollbackLinkRequest { shop: acme(), slug: slug(), revision }));
    write!(delete_link(DeleteLinkRequest { shop: acme(), slug: slug() }));
    done
}

#[tokio::test]
async fn every_write_of_a_link_has_to_say_what_becomes_of_its_publish() {
    let (server, mut client) = with_links().await;
    let pending = publish(&mut client, vec![leading("one", "a"), leading("two", "b")], in_an_hour()).await;
    let before = get_link(&mut client, "one").await;
    for (call, refused) in write_all(&mut client, None, false).await {
        let refused = refused.expect_err(call);
        assert_eq!((refused.code(), reason(&refused)), (Code::FailedPrecondition, "PUBLISH_PENDING".into()));
        let details = refused.get_error_details();
        let told = &details.error_info().unwrap().metadata;
        assert_eq!(told["publish"], pending.id.to_string(), "{call}");
        assert!(refused.message().contains(&format!("the publish {} is pending", pending.id)), "{refused}");
    }
    assert_eq!(get_link(&mut client, "one").await, before);
    // A publish that is there no more, of another shop or of nobody helps no write.
    let other = publish(&mut client, vec![leading("three", "c")], in_an_hour()).await;
    cancel(&mut client, other.id).await.unwrap();
    for id in [other.id, 0, 1_000_000] {
        for named in [leaving(id), cancelling(id)] {
            for (call, refused) in write_all(&mut client, named, false).await {
                assert_eq!(reason(&refused.expect_err(call)), "PUBLISH_NOT_PENDING", "{call}");
            }
        }
    }
    let nothing = Some(OnPendingPublish { then: None });
    for (call, refused) in write_all(&mut client, nothing, false).await {
        let refused = refusal(&refused.expect_err(call));
        assert_eq!((refused.1.as_str(), refused.2.as_str()), ("REQUIRED", "pending_publish"), "{call}");
    }
    assert_eq!(get_link(&mut client, "one").await, before);
    // Both ways out, tried only: nothing changes, and the publish stays.
    for named in [leaving(pending.id), cancelling(pending.id)] {
        for (call, done) in write_all(&mut client, named, true).await {
            done.unwrap_or_else(|status| panic!("{call}: {status:?}"));
        }
    }
    assert_eq!(get_link(&mut client, "one").await, before);
    assert_eq!(get(&mut client, pending.id).await.unwrap(), pending);

    // Left alone, the publish outlives whatever happens to the link, which keeps the state it is in.
    for (call, done) in write_all(&mut client, leaving(pending.id), false).await {
        done.unwrap_or_else(|status| panic!("{call}: {status:?}"));
    }
    assert_eq!(get(&mut client, pending.id).await.unwrap(), pending);
    let undelete =
        proto::UndeleteLinkRequest { shop: "acme".into(), slug: "one".into(), ..Default::default() };
    let refused = client.undelete_link(undelete.clone()).await.unwrap_err();
    assert_eq!(reason(&refused), "PUBLISH_PENDING");
    let undelete = proto::UndeleteLinkRequest { pending_publish: leaving(pending.id), ..undelete };
    client.undelete_link(undelete).await.unwrap();
    let unshare = proto::UnshareLinkRequest {
        shop: "acme".into(),
        slug: "one".into(),
        remove: Some(names(&["bert"], &[])),
        ..Default::default()
    };
    assert_eq!(reason(&client.unshare_link(unshare.clone()).await.unwrap_err()), "PUBLISH_PENDING");
    let unshare = proto::UnshareLinkRequest { pending_publish: leaving(pending.id), ..unshare };
    client.unshare_link(unshare).await.unwrap();
    let pause = proto::PauseLinkRequest {
        shop: "acme".into(),
        slug: "one".into(),
        pending_publish: leaving(pending.id),
        ..Default::default()
    };
    client.pause_link(pause).await.unwrap();
    let last = get_link(&mut client, "one").await;
    come(&server).await;
    assert_eq!(server.database.store().settle_publishes().await.unwrap().done.len(), 1);
    let settled = get_link(&mut client, "one").await;
    assert_eq!((settled.state(), settled.default_destination.as_str()), (LinkState::Paused, "a"));
    assert_eq!(settled.sharing, before.sharing, "it is shared as it was when the publish was committed");
    let done = get(&mut client, pending.id).await.unwrap();
    assert_eq!(done.links[0].previous_revision, last.revision);
}

#[tokio::test]
async fn write_that_cancels_frees_all_links_of_the_publish() {
    let (_server, mut client) = with_links().await;
    let pending = publish(&mut client, vec![leading("one", "a"), leading("two", "b")], in_an_hour()).await;
    let update = proto::UpdateLinkRequest {
        pending_publish: cancelling(pending.id),
        ..edit(
            proto::Link { default_destination: "x".into(), ..link("one") },
            &["default_destination"],
            "why",
        )
    };
    let written = update_link(&mut client, update).await;
    let gone = get(&mut client, pending.id).await.unwrap();
    assert_eq!((gone.state(), gone.end_revision), (PublishState::Cancelled, written.revision));
    assert_eq!(gone.end_comment, "why");
    update_link(&mut client, edit(link("two"), &["tags"], "")).await;
    // One publish in place of another; beside it there is no room.
    let first = publish(&mut client, vec![leading("one", "a"), leading("two", "b")], in_an_hour()).await;
    let again = request(vec![leading("two", "z")], in_an_hour());
    let beside = CreatePublishRequest { pending_publish: leaving(first.id), ..again.clone() };
    assert_eq!(reason(&create(&mut client, beside).await.unwrap_err()), "PUBLISH_PENDING");
    let instead = CreatePublishRequest { pending_publish: cancelling(first.id), ..again };
    let second = create(&mut client, instead).await.unwrap().publish.unwrap();
    assert_eq!(get(&mut client, first.id).await.unwrap().state(), PublishState::Cancelled);
    assert_eq!(second.state(), PublishState::Pending);
    update_link(&mut client, edit(link("one"), &["tags"], "")).await;
    let refused = client.update_link(edit(link("two"), &["tags"], "")).await.unwrap_err();
    assert_eq!(reason(&refused), "PUBLISH_PENDING");
}

#[tokio::test]
async fn publish_of_other_links_is_not_cancelled() {
    let (_server, mut client) = with_links().await;
    let other = publish(&mut client, vec![leading("one", "a")], in_an_hour()).await;
    let update = proto::UpdateLinkRequest {
        pending_publish: cancelling(other.id),
        ..edit(link("three"), &["tags"], "")
    };
    let refused = client.update_link(update).await.unwrap_err();
    assert_eq!(reason(&refused), "PUBLISH_NOT_PENDING");
    assert_eq!(get(&mut client, other.id).await.unwrap().state(), PublishState::Pending);
}

/// What cannot be written into its links holds up no other, whoever finds it.
#[tokio::test]
async fn publish_that_cannot_be_settled_holds_up_no_other() {
    let (server, mut client) = with_links().await;
    let broken = publish(&mut client, vec![leading("one", "a")], in_an_hour()).await;
    let sound = publish(&mut client, vec![leading("two", "b")], in_an_hour()).await;
    let spoil = format!("UPDATE publish_link SET object = '{{}}' WHERE publish = {}", broken.id);
    server.database.client().await.batch_execute(&spoil).await.unwrap();
    come(&server).await;
    let store = server.database.store();
    let settlements = store.settle_publishes().await.unwrap();
    let done: Vec<_> = settlements.done.iter().map(|done| done.publish.id.0).collect();
    let failed: Vec<_> = settlements.failed.iter().map(|failed| failed.publish.id.0).collect();
    assert_eq!((done, failed), (vec![sound.id], vec![broken.id]));
    update_link(&mut client, edit(link("two"), &["tags"], "")).await;
    let refused = client.update_link(edit(link("one"), &["tags"], "")).await.unwrap_err();
    assert_eq!(reason(&refused), "INTERNAL");
}

/// The server's clock is behind that of PostgreSQL.
#[tokio::test]
async fn time_that_has_passed_for_the_database_is_refused() {
    let (server, mut client) = with_links().await;
    execute(&server.database, "UPDATE installation SET committed_at = now() + interval '2 hours'").await;
    let refused = create(&mut client, request(vec![leading("one", "a")], in_an_hour())).await.unwrap_err();
    let refused = refusal(&refused);
    assert_eq!((refused.1.as_str(), refused.2.as_str()), ("OUT_OF_RANGE", "effective_time"));
}
