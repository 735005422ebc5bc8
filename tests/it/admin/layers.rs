//! What every call passes: names, tokens, deadlines, and a database that is away.

use std::time::Duration;

use smartlinks::{
    proto::{GetShopRequest, ListShopsRequest, link_admin_client::LinkAdminClient},
    rpc::layers::authentication::AuthenticationLayer,
    store::{Store, StoreConfig},
};
use tonic::{Code, Request};
use tonic_types::StatusExt;

use super::fixture::{TestServer, reason, refusal, serve};

#[tokio::test]
async fn answer_and_refusal_carry_the_callers_request_id() {
    let (_server, mut client) = TestServer::with_shop().await;
    let named = |shop: &str| {
        let mut request = Request::new(GetShopRequest { shop: shop.into() });
        request.metadata_mut().insert("x-request-id", "order-7".parse().unwrap());
        request
    };
    let answer = client.get_shop(named("acme")).await.unwrap();
    assert_eq!(answer.metadata().get("x-request-id").unwrap(), "order-7");
    let status = client.get_shop(named("nope")).await.unwrap_err();
    assert_eq!(status.metadata().get("x-request-id").unwrap(), "order-7");
}

#[tokio::test]
async fn without_the_token_nothing_is_told_not_even_what_exists() {
    let server = TestServer::start_with(AuthenticationLayer::with_token("s3cret")).await;
    let mut client = server.client().await;
    let status = client.get_shop(GetShopRequest { shop: "acme".into() }).await.unwrap_err();
    assert_eq!(refusal(&status), (Code::Unauthenticated, "NO_CREDENTIALS".into(), String::new()));
    let mut wrong = Request::new(ListShopsRequest { page_size: -1, ..Default::default() });
    wrong.metadata_mut().insert("authorization", "Bearer guess".parse().unwrap());
    assert_eq!(reason(&client.list_shops(wrong).await.unwrap_err()), "INVALID_CREDENTIALS");
    let mut right = Request::new(ListShopsRequest::default());
    right.metadata_mut().insert("authorization", "Bearer s3cret".parse().unwrap());
    client.list_shops(right).await.unwrap();
}

#[tokio::test]
async fn call_that_waits_for_a_lock_ends_as_deadline_exceeded() {
    let (server, mut client) = TestServer::with_shop().await;
    let database = server.database.client().await;
    database.batch_execute("BEGIN; UPDATE installation SET revision = revision").await.unwrap();
    let link = Some(super::fixture::link("sale"));
    let mut request = Request::new(smartlinks::proto::CreateLinkRequest { link, ..Default::default() });
    request.metadata_mut().insert("grpc-timeout", "400m".parse().unwrap());
    let status = client.create_link(request).await.unwrap_err();
    assert_eq!((status.code(), reason(&status)), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED".to_owned()));
    database.batch_execute("ROLLBACK").await.unwrap();
    // The call that was given up goes on and ends; nobody waits for it.
    super::fixture::create_link(&mut client, super::fixture::link("other")).await;
    assert_eq!(super::fixture::get_link(&mut client, "sale").await.slug, "sale");
}

#[tokio::test]
async fn fault_of_ours_tells_where_it_was_logged_and_no_more() {
    let (server, mut client) = TestServer::with_shop().await;
    let database = server.database.client().await;
    database.batch_execute("ALTER TABLE installation RENAME TO away").await.unwrap();
    let link = Some(super::fixture::link("sale"));
    let mut request = Request::new(smartlinks::proto::CreateLinkRequest { link, ..Default::default() });
    request.metadata_mut().insert("x-request-id", "order-8".parse().unwrap());
    let status = client.create_link(request).await.unwrap_err();
    assert_eq!((status.code(), reason(&status)), (Code::Internal, "INTERNAL".to_owned()));
    assert!(status.message().contains("`order-8`") && !status.message().contains("installation"), "{status}");
}

#[tokio::test]
async fn database_that_is_away_is_unavailable_with_a_delay() {
    let server = TestServer::start().await;
    // Nobody listens on port 1.
    let url = "postgres://nobody@127.0.0.1:1/nowhere".to_owned();
    let away = Store::connect(&StoreConfig { url, ..server.database.config() }).unwrap();
    let address = serve(away, AuthenticationLayer::open()).await;
    let mut client = LinkAdminClient::connect(format!("http://{address}")).await.unwrap();
    let status = client.list_shops(ListShopsRequest::default()).await.unwrap_err();
    assert_eq!((status.code(), reason(&status)), (Code::Unavailable, "DATABASE_UNAVAILABLE".to_owned()));
    let retry = status.get_error_details().retry_info().unwrap().retry_delay;
    assert_eq!(retry, Some(Duration::from_secs(1)));
}

#[tokio::test]
async fn call_that_does_not_exist_is_unimplemented() {
    let server = TestServer::start().await;
    let mut client = tonic::client::Grpc::new(server.channel().await);
    client.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static("/smartlinks.v1.LinkAdmin/Nope");
    let codec = tonic_prost::ProstCodec::<GetShopRequest, GetShopRequest>::default();
    let status = client.unary(Request::new(GetShopRequest::default()), path, codec).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
}

#[tokio::test]
async fn request_beyond_the_limit_is_refused_and_the_server_lives() {
    let server = TestServer::start().await;
    let mut client = LinkAdminClient::new(server.channel().await);
    let huge = GetShopRequest { shop: "x".repeat(17 * 1_024 * 1_024) };
    assert_eq!(client.get_shop(huge).await.unwrap_err().code(), Code::OutOfRange);
    client.list_shops(ListShopsRequest::default()).await.unwrap();
}
