//! Lists in pages: every entry once, in order, bound to their filter.

use smartlinks::{
    proto::{self, LinkOrder, ListLinksRequest},
    rpc::token::Binding,
    store::{LinkCursor, LinkKey},
};

use super::fixture::{Client, TestServer, create_link, link, reason, rule};
use crate::support::objects::slug;

async fn walk(client: &mut Client, request: ListLinksRequest) -> Vec<Vec<String>> {
    let (mut pages, mut token) = (Vec::new(), String::new());
    loop {
        let request = ListLinksRequest { page_token: token, ..request.clone() };
        let page = client.list_links(request).await.unwrap().into_inner();
        pages.push(page.links.into_iter().map(|link| link.slug).collect::<Vec<_>>());
        token = page.next_page_token;
        if token.is_empty() {
            return pages;
        }
    }
}

fn list(page_size: i32) -> ListLinksRequest {
    ListLinksRequest { shop: "acme".into(), page_size, ..Default::default() }
}

#[tokio::test]
async fn every_order_begins_with_the_default_link_and_shows_each_link_once() {
    let (_server, mut client) = TestServer::with_shop().await;
    for (slug, name) in [("b", "alpha"), ("a", "Beta"), ("d", "gamma"), ("c", "Alpha")] {
        create_link(&mut client, proto::Link { display_name: name.to_owned(), ..link(slug) }).await;
    }
    let request = proto::PauseLinkRequest { shop: "acme".into(), slug: "a".into(), ..Default::default() };
    client.pause_link(request).await.unwrap();
    for (order, slugs) in [
        (LinkOrder::Slug, ["home", "a", "b", "c", "d"]),
        (LinkOrder::DisplayName, ["home", "b", "c", "a", "d"]),
        (LinkOrder::Newest, ["home", "c", "d", "a", "b"]),
        (LinkOrder::LastWritten, ["home", "a", "c", "d", "b"]),
    ] {
        for size in [1, 2, 5, 0] {
            let pages = walk(&mut client, ListLinksRequest { order: order.into(), ..list(size) }).await;
            assert_eq!(pages.concat(), slugs, "{order:?} in pages of {size}");
        }
    }
}

#[tokio::test]
async fn page_ends_early_when_its_links_are_big() {
    let (_server, mut client) = TestServer::with_shop().await;
    let rules = |of: usize| -> Vec<proto::Rule> {
        let destination = "x".repeat(2_000);
        let then = Some(proto::rule::Then::Destination(destination));
        let off = proto::Rule { then, enabled: Some(false), ..rule("r", "DE") };
        (0..of).map(|at| proto::Rule { id: format!("r{at}"), ..off.clone() }).collect()
    };
    for slug in ["a", "b", "c"] {
        create_link(&mut client, proto::Link { rules: rules(200), ..link(slug) }).await;
    }
    let pages = walk(&mut client, list(1_000)).await;
    assert_eq!(pages, [vec!["home", "a", "b"], vec!["c"]]);
}

#[tokio::test]
async fn token_of_another_filter_or_order_is_refused() {
    let (_server, mut client) = TestServer::with_shop().await;
    create_link(&mut client, link("a")).await;
    let page_token = client.list_links(list(1)).await.unwrap().into_inner().next_page_token;
    assert!(!page_token.is_empty());
    let with_token = |request| ListLinksRequest { page_token: page_token.clone(), ..request };
    client.list_links(with_token(list(7))).await.unwrap();
    for foreign in [
        ListLinksRequest { search: "a".into(), ..list(1) },
        ListLinksRequest { order: LinkOrder::Newest.into(), ..list(1) },
        ListLinksRequest { states: vec![1], ..list(1) },
        ListLinksRequest { tags: vec!["a".into()], ..list(1) },
    ] {
        let status = client.list_links(with_token(foreign)).await.unwrap_err();
        assert_eq!(reason(&status), "INVALID_PAGE_TOKEN");
    }
}

#[tokio::test]
async fn token_with_a_cursor_that_no_page_ends_at_is_refused() {
    let (_server, mut client) = TestServer::with_shop().await;
    let newest = ListLinksRequest { order: LinkOrder::Newest.into(), page_size: 0, ..list(0) };
    let binding = Binding::new("links", &newest);
    for key in [LinkKey::Slug, LinkKey::LastWritten(1), LinkKey::Newest(i64::MAX)] {
        let cursor = LinkCursor { is_default: false, key, slug: slug("a") };
        let page_token = binding.write(&cursor).unwrap();
        let status = client.list_links(ListLinksRequest { page_token, ..newest.clone() }).await.unwrap_err();
        assert_eq!(reason(&status), "INVALID_PAGE_TOKEN", "{status}");
    }
}

#[tokio::test]
async fn filters_choose() {
    let (_server, mut client) = TestServer::with_shop().await;
    let tags = vec!["summer".to_owned(), "red".to_owned()];
    create_link(&mut client, proto::Link { tags, ..link("a") }).await;
    let sharing = Some(super::fixture::selected(&[], &["gold"]));
    create_link(&mut client, proto::Link { sharing, tags: vec!["red".into()], ..link("b") }).await;
    let request = proto::DeleteLinkRequest { shop: "acme".into(), slug: "a".into(), ..Default::default() };
    let mut slugs = async |request: ListLinksRequest| walk(&mut client, request).await.concat();
    assert_eq!(slugs(ListLinksRequest { search: "PAGE/".into(), ..list(0) }).await, ["a", "b"]);
    assert_eq!(slugs(ListLinksRequest { tags: vec!["red".into()], ..list(0) }).await, ["a", "b"]);
    let both = vec!["red".to_owned(), "summer".to_owned()];
    assert_eq!(slugs(ListLinksRequest { tags: both, ..list(0) }).await, ["a"]);
    let shared = |code: &str| ListLinksRequest { shared_with_partner: code.into(), ..list(0) };
    assert_eq!(slugs(shared("anna")).await, ["home", "a", "b"]);
    assert_eq!(slugs(shared("bert")).await, ["home", "a"]);
    assert_eq!(slugs(ListLinksRequest { shared_with_program: "gold".into(), ..list(0) }).await, ["b"]);
    client.delete_link(request).await.unwrap();
    let mut slugs = async |states: &[i32]| {
        walk(&mut client, ListLinksRequest { states: states.to_vec(), ..list(0) }).await.concat()
    };
    assert_eq!(slugs(&[]).await, ["home", "b"]);
    assert_eq!(slugs(&[3]).await, ["a"]);
}
