//! Links are created, read, changed, paused and brought back.

use smartlinks::proto::{
    self, CreateLinkRequest, DeleteLinkRequest, GetLinkRequest, LinkState, PauseLinkRequest,
    ResumeLinkRequest, UndeleteLinkRequest, UpdateLinkRequest,
};

use super::fixture::{
    Client, TestServer, create_link, create_partner, get_link, link, mask, reason, rule, selected, split_rule,
};

async fn update(
    client: &mut Client,
    link: proto::Link,
    paths: &[&str],
) -> Result<proto::UpdateLinkResponse, tonic::Status> {
    let request = UpdateLinkRequest { link: Some(link), update_mask: mask(paths), ..Default::default() };
    client.update_link(request).await.map(tonic::Response::into_inner)
}

/// A link with everything that can be set.
fn full() -> proto::Link {
    proto::Link {
        description: "Everything that is red".to_owned(),
        rules: vec![proto::Rule {
            display_name: "Germany".to_owned(),
            utm: Some(proto::Utm { term: Some("{partner}".to_owned()), ..Default::default() }),
            enabled: Some(false),
            ..rule("de", "DE")
        }],
        utm: Some(proto::Utm {
            source: Some("shop".to_owned()),
            medium: Some(String::new()),
            ..Default::default()
        }),
        query_policy: Some(proto::QueryPolicy {
            pass: proto::QueryPass::Listed.into(),
            listed: vec!["size".to_owned()],
            on_conflict: proto::QueryConflict::Append.into(),
            overrides: vec![proto::QueryOverride {
                name: "size".to_owned(),
                on_conflict: proto::QueryConflict::VisitorWins.into(),
            }],
        }),
        redirect: proto::RedirectKind::TemporaryRedirect.into(),
        start_time: Some(prost_types::Timestamp { seconds: 1_000, nanos: 123_456_789 }),
        expire_time: Some(prost_types::Timestamp { seconds: 4_000_000_000, nanos: 0 }),
        expired_destination: Some(String::new()),
        tags: vec!["summer".to_owned(), "red".to_owned()],
        sharing: Some(selected(&["anna"], &["gold"])),
        ..link("sale")
    }
}

#[tokio::test]
async fn created_link_reads_back_as_it_was_answered_and_as_it_was_sent() {
    let (_server, mut client) = TestServer::with_shop().await;
    let created = create_link(&mut client, full()).await;
    assert_eq!(get_link(&mut client, "sale").await, created);
    assert_eq!(created.state, i32::from(LinkState::Active));
    assert_eq!(created.etag, format!("\"r{}\"", created.revision));
    let summary = proto::SharingSummary { everyone: false, partners: 1, programs: 1 };
    assert_eq!(created.sharing_summary, Some(summary));
    assert!(created.create_time.is_some() && created.create_time == created.update_time);
    let as_sent = proto::Link {
        state: 0,
        sharing_summary: None,
        etag: String::new(),
        revision: 0,
        create_time: None,
        update_time: None,
        ..created
    };
    assert_eq!(as_sent, full());
}

#[tokio::test]
async fn keys_are_found_whatever_their_case() {
    let (_server, mut client) = TestServer::with_shop().await;
    create_link(&mut client, link("sale")).await;
    let request = GetLinkRequest { shop: "ACME".into(), slug: "Sale".into() };
    assert_eq!(client.get_link(request).await.unwrap().into_inner().link.unwrap().slug, "sale");
}

#[tokio::test]
async fn output_only_fields_of_a_new_link_are_ignored() {
    let (_server, mut client) = TestServer::with_shop().await;
    let wire = proto::Link {
        state: LinkState::Deleted.into(),
        is_default: true,
        etag: "x".to_owned(),
        revision: 99,
        ..link("sale")
    };
    let created = create_link(&mut client, wire).await;
    assert_eq!((created.state, created.is_default), (LinkState::Active.into(), false));
    assert_ne!(created.revision, 99);
}

#[tokio::test]
async fn mask_says_what_is_written() {
    let (_server, mut client) = TestServer::with_shop().await;
    let created = create_link(&mut client, full()).await;
    let sparse = proto::Link { display_name: "Winter".to_owned(), ..link("sale") };

    let named = update(&mut client, sparse.clone(), &["display_name"]).await.unwrap().link.unwrap();
    assert_eq!(named.display_name, "Winter");
    assert_eq!(named.default_destination, created.default_destination);
    assert_eq!(named.rules, created.rules);
    assert!(named.revision > created.revision && named.update_time != created.update_time);
    assert_eq!(named.create_time, created.create_time);

    let said = proto::Link { sharing: None, default_destination: String::new(), ..sparse.clone() };
    let said = update(&mut client, proto::Link { description: "New".to_owned(), ..said }, &[]).await;
    let said = said.unwrap().link.unwrap();
    assert_eq!((said.description.as_str(), said.default_destination.as_str()), ("New", "page/sale"));
    assert_eq!(said.sharing, created.sharing, "what is not said is not wiped");

    let all = update(&mut client, sparse, &["*"]).await.unwrap().link.unwrap();
    assert_eq!((all.description.as_str(), all.rules.len(), all.utm.clone()), ("", 0, None));
    assert_eq!((all.start_time, all.query_policy.clone(), all.tags.len()), (None, None, 0));
    assert_eq!(get_link(&mut client, "sale").await, all);
}

#[tokio::test]
async fn link_from_a_list_can_be_written_back() {
    let (_server, mut client) = TestServer::with_shop().await;
    let created = create_link(&mut client, full()).await;
    let request = proto::ListLinksRequest { shop: "acme".into(), ..Default::default() };
    let links = client.list_links(request).await.unwrap().into_inner().links;
    let slugs: Vec<_> = links.iter().map(|link| link.slug.as_str()).collect();
    assert_eq!(slugs, ["home", "sale"]);
    assert_eq!((&links[1].sharing, &links[1].sharing_summary), (&None, &created.sharing_summary));
    assert_eq!(proto::Link { sharing: created.sharing.clone(), ..links[1].clone() }, created);
    let written = update(&mut client, links[1].clone(), &[]).await.unwrap().link.unwrap();
    assert_eq!((written.sharing, written.rules), (created.sharing, created.rules));
}

#[tokio::test]
async fn second_of_two_edits_with_one_etag_is_aborted() {
    let (_server, mut client) = TestServer::with_shop().await;
    let read = create_link(&mut client, link("sale")).await;
    let mine = proto::Link { display_name: "Mine".to_owned(), ..read.clone() };
    let theirs = proto::Link { display_name: "Theirs".to_owned(), ..read };
    update(&mut client, mine, &["display_name"]).await.unwrap();
    let status = update(&mut client, theirs.clone(), &["display_name"]).await.unwrap_err();
    assert_eq!((status.code(), reason(&status)), (tonic::Code::Aborted, "STALE_ETAG".to_owned()));
    assert_eq!(get_link(&mut client, "sale").await.display_name, "Mine");
    let current = get_link(&mut client, "sale").await.etag;
    update(&mut client, proto::Link { etag: current, ..theirs }, &["display_name"]).await.unwrap();
}

#[tokio::test]
async fn edits_without_an_etag_do_not_lose_each_other() {
    let (_server, mut client) = TestServer::with_shop().await;
    create_link(&mut client, link("sale")).await;
    let mut edits = tokio::task::JoinSet::new();
    for (field, edited) in [
        ("description", proto::Link { description: "x".to_owned(), ..link("sale") }),
        ("tags", proto::Link { tags: vec!["x".to_owned()], ..link("sale") }),
        ("redirect", proto::Link { redirect: 3, ..link("sale") }),
    ] {
        let mut client = client.clone();
        edits.spawn(async move { update(&mut client, edited, &[field]).await });
    }
    while let Some(edit) = edits.join_next().await {
        edit.unwrap().unwrap();
    }
    let link = get_link(&mut client, "sale").await;
    assert_eq!((link.description.as_str(), link.tags.len(), link.redirect), ("x", 1, 3));
}

#[tokio::test]
async fn id_of_a_rule_that_was_taken_away_never_comes_back() {
    let (_server, mut client) = TestServer::with_shop().await;
    create_link(&mut client, proto::Link { rules: vec![rule("a", "DE"), rule("b", "AT")], ..link("sale") })
        .await;
    let less = proto::Link { rules: vec![rule("b", "CH")], ..link("sale") };
    update(&mut client, less.clone(), &["rules"]).await.unwrap();
    update(&mut client, less, &["rules"]).await.unwrap();
    let back = proto::Link { rules: vec![rule("b", "CH"), rule("a", "DE")], ..link("sale") };
    let status = update(&mut client, back, &["rules"]).await.unwrap_err();
    assert_eq!(reason(&status), "DUPLICATE");
    assert!(status.message().contains("link.rules[1].id"), "{status}");
}

#[tokio::test]
async fn variants_read_back_and_the_id_of_one_that_was_taken_away_never_comes_back() {
    let (_server, mut client) = TestServer::with_shop().await;
    let written = |weights: &[(&str, i32)]| proto::Link {
        rules: vec![proto::Rule { enabled: Some(true), ..split_rule("test", "DE", weights) }],
        ..link("sale")
    };
    let created = create_link(&mut client, written(&[("b", 70), ("a", 30), ("off", 0)])).await;
    assert_eq!(created.rules, written(&[("b", 70), ("a", 30), ("off", 0)]).rules);
    assert_eq!(get_link(&mut client, "sale").await, created);
    update(&mut client, written(&[("a", 1), ("c", 1)]), &["rules"]).await.unwrap();
    // By way of one destination, too.
    let one = proto::Link { rules: vec![rule("test", "DE")], ..link("sale") };
    update(&mut client, one.clone(), &["rules"]).await.unwrap();
    update(&mut client, one, &["rules"]).await.unwrap();
    for (weights, at) in
        [([("new", 1), ("b", 1)], 1), ([("a", 1), ("new", 1)], 0), ([("new", 1), ("c", 1)], 1)]
    {
        let status = update(&mut client, written(&weights), &["rules"]).await.unwrap_err();
        assert_eq!(reason(&status), "DUPLICATE");
        assert!(status.message().contains(&format!("link.rules[0].variants.items[{at}].id")), "{status}");
    }
    update(&mut client, written(&[("new", 1), ("newer", 1)]), &["rules"]).await.unwrap();
    // Another rule has ids of its own.
    let other = proto::Link { rules: vec![split_rule("other", "DE", &[("a", 1), ("b", 1)])], ..link("sale") };
    update(&mut client, other, &["rules"]).await.unwrap();
}

#[tokio::test]
async fn link_is_paused_resumed_deleted_and_brought_back() {
    let (_server, mut client) = TestServer::with_shop().await;
    create_partner(&mut client, "carl", "").await;
    create_link(&mut client, proto::Link { sharing: Some(selected(&["carl"], &[])), ..link("sale") }).await;
    let (shop, slug) = ("acme".to_owned(), "sale".to_owned());

    let request = PauseLinkRequest { shop: shop.clone(), slug: slug.clone(), ..Default::default() };
    let paused = client.pause_link(request).await.unwrap().into_inner();
    assert_eq!(paused.link.as_ref().unwrap().state, i32::from(LinkState::Paused));
    assert_eq!(paused.link.unwrap().revision, paused.revision);
    let request = ResumeLinkRequest { shop: shop.clone(), slug: slug.clone(), ..Default::default() };
    let resumed = client.resume_link(request).await.unwrap().into_inner().link.unwrap();
    assert_eq!(resumed.state, i32::from(LinkState::Active));

    let request = DeleteLinkRequest { shop: shop.clone(), slug: slug.clone(), ..Default::default() };
    let deleted = client.delete_link(request).await.unwrap().into_inner().link.unwrap();
    assert!(deleted.state == i32::from(LinkState::Deleted) && deleted.delete_time.is_some());
    assert_eq!(get_link(&mut client, "sale").await, deleted);

    let request =
        proto::DeletePartnerRequest { shop: shop.clone(), code: "carl".into(), ..Default::default() };
    client.delete_partner(request).await.unwrap();
    let request = UndeleteLinkRequest { shop, slug, ..Default::default() };
    let back = client.undelete_link(request).await.unwrap().into_inner();
    assert_eq!(back.warnings.len(), 1);
    assert_eq!(back.warnings[0].field, "link.sharing.selected.partners[0]");
    let link = back.link.unwrap();
    assert_eq!((link.state, link.delete_time), (LinkState::Active.into(), None));
    assert_eq!(get_link(&mut client, "sale").await.sharing, Some(selected(&["carl"], &[])));

    // It still names a partner that is gone; that does not stand in the way of other edits.
    let edit = proto::Link { display_name: "Back".to_owned(), ..super::fixture::link("sale") };
    let edited = update(&mut client, edit, &["display_name"]).await.unwrap().link.unwrap();
    assert_eq!(edited.display_name, "Back");
}

#[tokio::test]
async fn trial_run_writes_nothing_and_finds_what_a_write_would() {
    let (_server, mut client) = TestServer::with_shop().await;
    let trial = |wire: proto::Link| CreateLinkRequest {
        link: Some(wire),
        validate_only: true,
        request_id: uuid::Uuid::new_v4().to_string(),
        ..Default::default()
    };
    let answer = client.create_link(trial(link("sale"))).await.unwrap().into_inner();
    assert_eq!((answer.revision, answer.link.unwrap().etag), (0, String::new()));
    let request = GetLinkRequest { shop: "acme".into(), slug: "sale".into() };
    assert_eq!(reason(&client.get_link(request).await.unwrap_err()), "LINK_NOT_FOUND");
    assert_eq!(reason(&client.create_link(trial(link("home"))).await.unwrap_err()), "ALREADY_EXISTS");
    let unknown = proto::Link { sharing: Some(selected(&["nope"], &[])), ..link("sale") };
    assert_eq!(reason(&client.create_link(trial(unknown)).await.unwrap_err()), "UNKNOWN_REFERENCE");

    let created = create_link(&mut client, link("sale")).await;
    let request = UpdateLinkRequest {
        link: Some(proto::Link { display_name: "New".to_owned(), ..link("sale") }),
        validate_only: true,
        ..Default::default()
    };
    let answer = client.update_link(request).await.unwrap().into_inner();
    assert_eq!((answer.revision, answer.link.unwrap().display_name.as_str()), (0, "New"));
    assert_eq!(get_link(&mut client, "sale").await, created);
}

#[tokio::test]
async fn what_an_owner_may_not_mean_is_warned_of() {
    let (_server, mut client) = TestServer::with_shop().await;
    let odd = proto::Link {
        expire_time: Some(prost_types::Timestamp { seconds: 1_000, nanos: 0 }),
        redirect: proto::RedirectKind::PermanentRedirect.into(),
        sharing: Some(selected(&[], &[])),
        ..link("odd")
    };
    let request = CreateLinkRequest { link: Some(odd), ..Default::default() };
    let warnings = client.create_link(request).await.unwrap().into_inner().warnings;
    let fields: Vec<_> = warnings.iter().map(|warning| warning.field.as_str()).collect();
    assert_eq!(fields, ["link.expire_time", "link.redirect", "link.sharing"]);
}
