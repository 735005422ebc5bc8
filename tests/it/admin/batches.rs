//! Many links under one revision: all of them or none.

use smartlinks::proto::{self, BatchCreateLinksRequest, BatchUpdateLinksRequest, LinkUpdate};

use super::fixture::{TestServer, create_link, get_link, link, mask, reason};

fn batch(links: Vec<proto::Link>) -> BatchCreateLinksRequest {
    BatchCreateLinksRequest { shop: "acme".into(), links, ..Default::default() }
}

#[tokio::test]
async fn thousand_links_are_made_under_one_revision() {
    let (_server, mut client) = TestServer::with_shop().await;
    let links = (0..1_000).rev().map(|at| proto::Link { shop: String::new(), ..link(&format!("b{at:04}")) });
    let answer = client.batch_create_links(batch(links.collect())).await.unwrap().into_inner();
    assert_eq!(answer.links.len(), 1_000);
    assert_eq!(answer.links[0].slug, "b0999", "the answers stand in the order of the request");
    assert!(answer.links.iter().all(|link| link.revision == answer.revision && link.shop == "acme"));
    assert_eq!(get_link(&mut client, "b0500").await, answer.links[499]);

    let updates = (0..1_000).map(|at| LinkUpdate {
        link: Some(proto::Link { display_name: format!("New {at}"), ..link(&format!("b{at:04}")) }),
        update_mask: mask(&["display_name"]),
    });
    let request =
        BatchUpdateLinksRequest { shop: "acme".into(), updates: updates.collect(), ..Default::default() };
    let answer = client.batch_update_links(request).await.unwrap().into_inner();
    assert_eq!((answer.links[7].slug.as_str(), answer.links[7].display_name.as_str()), ("b0007", "New 7"));
    assert_eq!(get_link(&mut client, "b0007").await, answer.links[7]);
}

#[tokio::test]
async fn one_bad_link_spoils_the_batch() {
    let (_server, mut client) = TestServer::with_shop().await;
    create_link(&mut client, link("taken")).await;
    let status = client.batch_create_links(batch(vec![link("new"), link("taken")])).await.unwrap_err();
    assert_eq!(reason(&status), "ALREADY_EXISTS");
    let request = proto::GetLinkRequest { shop: "acme".into(), slug: "new".into() };
    assert_eq!(reason(&client.get_link(request).await.unwrap_err()), "LINK_NOT_FOUND");

    let before = create_link(&mut client, link("first")).await;
    let update = |slug: &str, etag: &str| LinkUpdate {
        link: Some(proto::Link { display_name: "Changed".into(), etag: etag.into(), ..link(slug) }),
        update_mask: mask(&["display_name"]),
    };
    let updates = vec![update("first", ""), update("taken", "\"r1\"")];
    let request = BatchUpdateLinksRequest { shop: "acme".into(), updates, ..Default::default() };
    let status = client.batch_update_links(request).await.unwrap_err();
    assert_eq!(reason(&status), "STALE_ETAG");
    assert!(status.message().contains("`taken`"), "{status}");
    assert_eq!(get_link(&mut client, "first").await, before);
}
