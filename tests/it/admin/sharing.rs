//! Who gains and who loses a link, and what a partner's portal shows.

use smartlinks::{
    domain::{
        name::{DisplayName, PartnerCode, ProgramId, ShopId},
        partner::Partner,
        revision::Comment,
    },
    proto::{self, ListLinkSharingRequest, ListPartnerLinksRequest, ShareLinkRequest, UnshareLinkRequest},
    store::{Commit, Expect, OnPending, Put, Store, Write},
};

use super::fixture::{
    Client, TestServer, create_link, create_partner, everyone, get_link, link, names, reason, selected,
};

fn share(slug: &str, sharing: proto::Sharing) -> ShareLinkRequest {
    ShareLinkRequest { shop: "acme".into(), slug: slug.into(), sharing: Some(sharing), ..Default::default() }
}

async fn portal(client: &mut Client, partner: &str) -> Vec<proto::PartnerLink> {
    let request =
        ListPartnerLinksRequest { shop: "acme".into(), partner: partner.into(), ..Default::default() };
    client.list_partner_links(request).await.unwrap().into_inner().links
}

#[tokio::test]
async fn trial_run_of_sharing_says_who_gains_and_loses() {
    let (_server, mut client) = TestServer::with_shop().await;
    create_partner(&mut client, "carl", "gold").await;
    let created = create_link(&mut client, link("sale")).await;
    let refused = client.share_link(share("sale", selected(&["bert"], &[]))).await.unwrap_err();
    assert_eq!(reason(&refused), "SHARED_WITH_EVERYONE", "adding takes from nobody");
    let alone = || ShareLinkRequest { replace: true, ..share("sale", selected(&["bert"], &[])) };
    let request = ShareLinkRequest { validate_only: true, ..alone() };
    let answer = client.share_link(request).await.unwrap().into_inner();
    assert_eq!((answer.revision, answer.gain_count, answer.loss_count), (0, 0, 2));
    assert_eq!(answer.losses, ["anna", "carl"]);
    assert_eq!(get_link(&mut client, "sale").await, created);

    let answer = client.share_link(alone()).await.unwrap().into_inner();
    assert_eq!(answer.losses, ["anna", "carl"]);
    let answer = client.share_link(share("sale", selected(&[], &["gold"]))).await.unwrap().into_inner();
    assert_eq!((answer.gains.clone(), answer.loss_count), (vec!["anna".to_owned(), "carl".to_owned()], 0));
    assert_eq!(answer.link.unwrap().sharing, Some(selected(&["bert"], &["gold"])));

    let remove = |names| UnshareLinkRequest {
        shop: "acme".into(),
        slug: "sale".into(),
        remove: Some(names),
        ..Default::default()
    };
    let answer = client.unshare_link(remove(names(&["bert", "anna"], &[]))).await.unwrap().into_inner();
    assert_eq!((answer.losses.clone(), answer.gain_count), (vec!["bert".to_owned()], 0));
    let answer = client.share_link(share("sale", everyone())).await.unwrap().into_inner();
    assert_eq!(answer.gains, ["bert"]);
    let status = client.unshare_link(remove(names(&["bert"], &[]))).await.unwrap_err();
    assert_eq!(reason(&status), "SHARED_WITH_EVERYONE");
}

#[tokio::test]
async fn ten_thousand_partners_fit_a_link_and_one_more_does_not() {
    let (server, mut client) = TestServer::with_shop().await;
    put_partners(&server.database.store(), 10_001, None).await;
    let codes: Vec<String> = (1..=10_000).map(|at| format!("p{at}")).collect();
    let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
    create_link(&mut client, proto::Link { sharing: Some(selected(&codes, &[])), ..link("wide") }).await;

    let (mut listed, mut token) = (Vec::new(), String::new());
    loop {
        let request = ListLinkSharingRequest {
            shop: "acme".into(),
            slug: "wide".into(),
            page_size: 1_000,
            page_token: token,
        };
        let page = client.list_link_sharing(request).await.unwrap().into_inner();
        listed.extend(page.partners);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let mut sorted = codes.clone();
    sorted.sort_unstable();
    assert_eq!(listed, sorted);

    let status = client.share_link(share("wide", selected(&["p10001"], &[]))).await.unwrap_err();
    assert_eq!(reason(&status), "TOO_LONG");
    assert!(status.message().starts_with("sharing.selected.partners: "), "{status}");
    let answer = client.share_link(share("wide", everyone())).await.unwrap().into_inner();
    assert_eq!((answer.gain_count, answer.gains), (3, vec!["anna".into(), "bert".into(), "p10001".into()]));
}

/// Puts partners `p1` and so on past the API, which takes them one by one.
pub(super) async fn put_partners(store: &Store, count: usize, program: Option<&str>) {
    let put = |at: usize| {
        let value = Partner {
            shop: ShopId::parse("acme").unwrap(),
            code: PartnerCode::parse(&format!("p{at}")).unwrap(),
            aliases: Vec::new(),
            display_name: DisplayName::parse("P").unwrap(),
            program: program.map(|id| ProgramId::parse(id).unwrap()),
            tags: Vec::new(),
            active: true,
        };
        Put::Partner(Write { value, expect: Expect::New, deleted: false })
    };
    let commit = Commit {
        actor: "test".to_owned(),
        comment: Comment::default(),
        puts: (1..=count).map(put).collect(),
        request: None,
        allow_missing_references: false,
        dry_run: false,
        pending: OnPending::Refuse,
        publish: None,
    };
    store.commit(commit).await.unwrap();
}

#[tokio::test]
async fn portal_shows_each_partner_their_own_urls() {
    let (_server, mut client) = TestServer::with_shop().await;
    create_link(&mut client, proto::Link { sharing: Some(selected(&[], &["gold"])), ..link("club") }).await;
    create_link(&mut client, link("all")).await;
    create_link(&mut client, proto::Link { sharing: Some(selected(&["bert"], &[])), ..link("bert-only") })
        .await;
    let later = Some(prost_types::Timestamp { seconds: 4_000_000_000, nanos: 0 });
    create_link(&mut client, proto::Link { start_time: later, ..link("later") }).await;
    let past = Some(prost_types::Timestamp { seconds: 1, nanos: 0 });
    create_link(&mut client, proto::Link { expire_time: past, ..link("over") }).await;
    create_link(&mut client, link("paused")).await;
    let request =
        proto::PauseLinkRequest { shop: "acme".into(), slug: "paused".into(), ..Default::default() };
    client.pause_link(request).await.unwrap();

    let links = portal(&mut client, "ANNA").await;
    let urls: Vec<_> = links.iter().map(|link| (link.url.as_str(), link.is_default, link.live)).collect();
    assert_eq!(
        urls,
        [
            ("https://go.acme.example/home/anna", true, true),
            ("https://go.acme.example/all/anna", false, true),
            ("https://go.acme.example/club/anna", false, true),
            ("https://go.acme.example/later/anna", false, false),
        ]
    );
    let slugs: Vec<_> = portal(&mut client, "bert").await.into_iter().map(|link| link.slug).collect();
    assert_eq!(slugs, ["home", "all", "bert-only", "later"]);

    let wire = proto::Partner { active: Some(false), ..super::fixture::partner("anna", "gold") };
    let request = proto::UpdatePartnerRequest { partner: Some(wire), ..Default::default() };
    client.update_partner(request).await.unwrap();
    assert_eq!(portal(&mut client, "anna").await, []);
}

#[tokio::test]
async fn sharing_of_everyone_has_no_names() {
    let (_server, mut client) = TestServer::with_shop().await;
    let request = ListLinkSharingRequest { shop: "acme".into(), slug: "home".into(), ..Default::default() };
    let page = client.list_link_sharing(request).await.unwrap().into_inner();
    assert!(page.everyone && page.partners.is_empty() && page.programs.is_empty());
    let request = ListLinkSharingRequest { shop: "acme".into(), slug: "nope".into(), ..Default::default() };
    assert_eq!(reason(&client.list_link_sharing(request).await.unwrap_err()), "LINK_NOT_FOUND");
}
