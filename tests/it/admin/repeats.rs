//! Creates are safe to repeat.

use smartlinks::proto::{
    self, BatchCreateLinksRequest, CreateLinkRequest, CreatePartnerRequest, CreateProgramRequest,
    CreateShopRequest,
};
use uuid::Uuid;

use super::fixture::{TestServer, link, mask, partner, reason, refusal, shop};

#[tokio::test]
async fn repeated_create_is_answered_as_the_first_whatever_happened_since() {
    let (_server, mut client) = TestServer::with_shop().await;
    let request = CreateLinkRequest {
        link: Some(link("sale")),
        request_id: Uuid::new_v4().to_string(),
        ..Default::default()
    };
    let first = client.create_link(request.clone()).await.unwrap().into_inner();
    let edit = proto::UpdateLinkRequest {
        link: Some(proto::Link { display_name: "Changed".into(), ..link("sale") }),
        update_mask: mask(&["display_name"]),
        ..Default::default()
    };
    client.update_link(edit).await.unwrap();
    assert_eq!(client.create_link(request.clone()).await.unwrap().into_inner(), first);

    let other = CreateLinkRequest { link: Some(link("other")), ..request };
    let status = client.create_link(other).await.unwrap_err();
    assert_eq!(
        refusal(&status),
        (tonic::Code::InvalidArgument, "REQUEST_ID_REUSED".into(), "request_id".into())
    );
}

#[tokio::test]
async fn every_create_can_be_repeated() {
    let (_server, mut client) = TestServer::with_shop().await;
    let id = || Uuid::new_v4().to_string();
    let request = CreateShopRequest { shop: Some(shop("new")), request_id: id(), ..Default::default() };
    let first = client.create_shop(request.clone()).await.unwrap().into_inner();
    assert_eq!(client.create_shop(request).await.unwrap().into_inner(), first);

    let (shop, name) = ("acme".to_owned(), "Silver".to_owned());
    let program = proto::Program { shop, id: "silver".into(), display_name: name, ..Default::default() };
    let request = CreateProgramRequest { program: Some(program), request_id: id(), ..Default::default() };
    let first = client.create_program(request.clone()).await.unwrap().into_inner();
    assert_eq!(client.create_program(request).await.unwrap().into_inner(), first);

    let request = CreatePartnerRequest {
        partner: Some(partner("dora", "silver")),
        request_id: id(),
        ..Default::default()
    };
    let first = client.create_partner(request.clone()).await.unwrap().into_inner();
    assert_eq!(client.create_partner(request).await.unwrap().into_inner(), first);

    let links = vec![link("a"), link("b")];
    let request =
        BatchCreateLinksRequest { shop: "acme".into(), links, request_id: id(), ..Default::default() };
    let first = client.batch_create_links(request.clone()).await.unwrap().into_inner();
    assert_eq!(client.batch_create_links(request).await.unwrap().into_inner(), first);
}

#[tokio::test]
async fn trial_run_does_not_use_its_request_id_up() {
    let (_server, mut client) = TestServer::with_shop().await;
    let request = CreateLinkRequest {
        link: Some(link("sale")),
        request_id: Uuid::new_v4().to_string(),
        validate_only: true,
        ..Default::default()
    };
    client.create_link(request.clone()).await.unwrap();
    let in_earnest = CreateLinkRequest { validate_only: false, ..request };
    assert!(client.create_link(in_earnest).await.unwrap().into_inner().revision > 0);
}

#[tokio::test]
async fn without_a_request_id_the_second_create_finds_the_slug_taken() {
    let (_server, mut client) = TestServer::with_shop().await;
    let request = CreateLinkRequest { link: Some(link("sale")), ..Default::default() };
    client.create_link(request.clone()).await.unwrap();
    assert_eq!(reason(&client.create_link(request).await.unwrap_err()), "ALREADY_EXISTS");
}
