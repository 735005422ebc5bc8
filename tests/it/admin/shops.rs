//! Shops: defaults, the default partner link, changes that leave links behind.

use smartlinks::proto::{self, CreateShopRequest, DeleteShopRequest, GetShopRequest, UpdateShopRequest};

use tonic::Code;

use super::fixture::{TestServer, create_link, create_shop, get_link, link, mask, reason, refusal, shop};

#[tokio::test]
async fn new_shop_has_its_defaults_and_a_link_for_every_partner() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let created = create_shop(&mut client, "acme").await;
    assert_eq!(created.public_url, "https://go.acme.example");
    assert_eq!(
        (created.partner_param.as_str(), created.click_id_param.as_deref()),
        ("ref", Some("click_id"))
    );
    assert_eq!(created.default_link, "home");
    assert_eq!(created.etag, format!("\"r{}\"", created.revision));
    let request = GetShopRequest { shop: "acme".into() };
    assert_eq!(client.get_shop(request).await.unwrap().into_inner().shop.unwrap(), created);

    let home = get_link(&mut client, "home").await;
    assert!(home.is_default);
    assert_eq!((home.revision, home.default_destination.as_str()), (created.revision, ""));
    assert_eq!(home.sharing, Some(super::fixture::everyone()));
}

#[tokio::test]
async fn default_link_may_have_another_slug_and_the_click_id_no_parameter() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let wire = proto::Shop { click_id_param: Some(String::new()), ..shop("acme") };
    let request =
        CreateShopRequest { shop: Some(wire), default_link_slug: "start".into(), ..Default::default() };
    let created = client.create_shop(request).await.unwrap().into_inner().shop.unwrap();
    assert_eq!((created.default_link.as_str(), created.click_id_param.as_deref()), ("start", Some("")));
    assert!(get_link(&mut client, "start").await.is_default);
}

#[tokio::test]
async fn id_is_taken_whatever_the_default_link_is_called() {
    let (_server, mut client) = TestServer::with_shop().await;
    let wire = proto::Shop { link_hosts: vec!["other.example".into()], ..shop("acme") };
    let request =
        CreateShopRequest { shop: Some(wire), default_link_slug: "start".into(), ..Default::default() };
    let status = client.create_shop(request).await.unwrap_err();
    let field = "shop.id".to_owned();
    assert_eq!(refusal(&status), (Code::AlreadyExists, "ALREADY_EXISTS".to_owned(), field));
}

#[tokio::test]
async fn public_url_follows_the_hosts_unless_it_was_chosen() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    create_shop(&mut client, "acme").await;
    let mut update = async |hosts: &[&str], url: &str, paths: &[&str]| {
        let link_hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        let wire = proto::Shop { link_hosts, public_url: url.to_owned(), ..shop("acme") };
        let request = UpdateShopRequest { shop: Some(wire), update_mask: mask(paths), ..Default::default() };
        client.update_shop(request).await.map(|answer| answer.into_inner().shop.unwrap().public_url)
    };
    assert_eq!(update(&["a.example", "b.example"], "", &["link_hosts"]).await.unwrap(), "https://a.example");
    let chosen = update(&[], "http://b.example:8080", &["public_url"]).await.unwrap();
    assert_eq!(chosen, "http://b.example:8080");
    let kept = update(&["c.example", "b.example"], "", &["link_hosts"]).await.unwrap();
    assert_eq!(kept, "http://b.example:8080");
    assert_eq!(reason(&update(&["c.example"], "", &["link_hosts"]).await.unwrap_err()), "CONFLICT");
    assert_eq!(update(&[], "", &["public_url"]).await.unwrap(), "https://c.example");
}

#[tokio::test]
async fn links_that_a_change_of_hosts_leaves_behind_are_named_and_stay_editable() {
    let (_server, mut client) = TestServer::with_shop().await;
    let with_blog = proto::Shop { destination_hosts: vec!["blog.example".into()], ..shop("acme") };
    let request = |wire: proto::Shop| UpdateShopRequest {
        shop: Some(wire),
        update_mask: mask(&["destination_hosts"]),
        ..Default::default()
    };
    client.update_shop(request(with_blog)).await.unwrap();
    for at in 0..22 {
        let destination = format!("https://blog.example/{at}");
        create_link(
            &mut client,
            proto::Link { default_destination: destination, ..link(&format!("post-{at}")) },
        )
        .await;
    }
    let warnings = client.update_shop(request(shop("acme"))).await.unwrap().into_inner().warnings;
    assert_eq!(warnings.len(), 21);
    assert!(warnings[0].description.contains("post-0"), "{:?}", warnings[0]);
    assert!(warnings[20].description.contains("22"), "{:?}", warnings[20]);

    let edit = proto::UpdateLinkRequest {
        link: Some(proto::Link { display_name: "Post".into(), ..link("post-0") }),
        update_mask: mask(&["display_name"]),
        ..Default::default()
    };
    let edited = client.update_link(edit).await.unwrap().into_inner();
    assert_eq!(edited.warnings[0].field, "link.default_destination");
    let edit = proto::UpdateLinkRequest {
        link: Some(proto::Link { default_destination: "https://blog.example/new".into(), ..link("post-0") }),
        update_mask: mask(&["default_destination"]),
        ..Default::default()
    };
    assert_eq!(reason(&client.update_link(edit).await.unwrap_err()), "UNSAFE_DESTINATION");
}

#[tokio::test]
async fn hosts_of_a_deleted_shop_are_free_and_its_id_is_not() {
    let (_server, mut client) = TestServer::with_shop().await;
    create_link(&mut client, link("sale")).await;
    let delete = |force| DeleteShopRequest { shop: "acme".into(), force, ..Default::default() };
    let status = client.delete_shop(delete(false)).await.unwrap_err();
    assert_eq!(reason(&status), "IN_USE");
    assert!(status.message().contains("1 link (`sale`)"), "{status}");
    let deleted = client.delete_shop(delete(true)).await.unwrap().into_inner().shop.unwrap();
    assert!(deleted.delete_time.is_some());
    let request = GetShopRequest { shop: "acme".into() };
    assert_eq!(reason(&client.get_shop(request).await.unwrap_err()), "SHOP_NOT_FOUND");
    let again = CreateShopRequest { shop: Some(shop("acme")), ..Default::default() };
    assert_eq!(reason(&client.create_shop(again).await.unwrap_err()), "ALREADY_EXISTS");
    let heir = proto::Shop { link_hosts: vec!["go.acme.example".into()], ..shop("heir") };
    let request = CreateShopRequest { shop: Some(heir), ..Default::default() };
    client.create_shop(request).await.unwrap();
}

#[tokio::test]
async fn list_of_shops_shows_deleted_ones_on_request() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    for id in ["c", "a", "b"] {
        create_shop(&mut client, id).await;
    }
    client.delete_shop(DeleteShopRequest { shop: "b".into(), ..Default::default() }).await.unwrap();
    let mut ids = async |show_deleted| {
        let request = proto::ListShopsRequest { show_deleted, ..Default::default() };
        let shops = client.list_shops(request).await.unwrap().into_inner().shops;
        shops.into_iter().map(|shop| shop.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(false).await, ["a", "c"]);
    assert_eq!(ids(true).await, ["a", "b", "c"]);
}
