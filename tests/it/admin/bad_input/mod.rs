//! Every way to get a request wrong that we know of: one fault each, with the code, the reason and the field that the
//! caller is told.

mod calls;
mod conditions;
mod links;
mod locations;
mod partners;
mod predicates;
mod requests;
mod rules;
mod shops;

use smartlinks::proto;
use tonic::{Code, Status};

use super::fixture::{
    Client, TestServer, create_link, create_partner, create_shop, link, partner, refusal, rule, shop,
};

/// A request with one fault.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) call: Call,
    pub(super) code: Code,
    pub(super) reason: &'static str,
    pub(super) field: &'static str,
}

macro_rules! requests {
    ($($variant:ident($request:ident) = $method:ident;)*) => {
        /// A request of some call.
        pub(super) enum Call {
            $( $variant(proto::$request), )*
        }

        $(
            impl From<proto::$request> for Call {
                fn from(request: proto::$request) -> Self {
                    Self::$variant(request)
                }
            }
        )*

        impl Call {
            async fn send(self, client: &mut Client) -> Result<(), Status> {
                match self {
                    $( Self::$variant(request) => client.$method(request).await.map(drop), )*
                }
            }
        }
    };
}

requests! {
    CreateShop(CreateShopRequest) = create_shop;
    GetShop(GetShopRequest) = get_shop;
    ListShops(ListShopsRequest) = list_shops;
    UpdateShop(UpdateShopRequest) = update_shop;
    DeleteShop(DeleteShopRequest) = delete_shop;
    CreateProgram(CreateProgramRequest) = create_program;
    GetProgram(GetProgramRequest) = get_program;
    UpdateProgram(UpdateProgramRequest) = update_program;
    DeleteProgram(DeleteProgramRequest) = delete_program;
    CreatePartner(CreatePartnerRequest) = create_partner;
    GetPartner(GetPartnerRequest) = get_partner;
    ListPartners(ListPartnersRequest) = list_partners;
    UpdatePartner(UpdatePartnerRequest) = update_partner;
    DeletePartner(DeletePartnerRequest) = delete_partner;
    MovePartners(MovePartnersRequest) = move_partners;
    CreateLink(CreateLinkRequest) = create_link;
    GetLink(GetLinkRequest) = get_link;
    ListLinks(ListLinksRequest) = list_links;
    UpdateLink(UpdateLinkRequest) = update_link;
    DeleteLink(DeleteLinkRequest) = delete_link;
    UndeleteLink(UndeleteLinkRequest) = undelete_link;
    PauseLink(PauseLinkRequest) = pause_link;
    ShareLink(ShareLinkRequest) = share_link;
    UnshareLink(UnshareLinkRequest) = unshare_link;
    ListPartnerLinks(ListPartnerLinksRequest) = list_partner_links;
    BatchCreateLinks(BatchCreateLinksRequest) = batch_create_links;
    BatchUpdateLinks(BatchUpdateLinksRequest) = batch_update_links;
}

/// Fills the server with what the cases are about, besides `acme`, `gold`, `anna` and `bert`.
async fn fill(client: &mut Client) {
    create_shop(client, "other").await;
    let aliased = proto::Partner { aliases: vec!["carl-old".to_owned()], ..partner("carl", "") };
    let request = proto::CreatePartnerRequest { partner: Some(aliased), ..Default::default() };
    client.create_partner(request).await.unwrap();
    create_partner(client, "gone", "").await;
    let request =
        proto::DeletePartnerRequest { shop: "acme".into(), code: "gone".into(), ..Default::default() };
    client.delete_partner(request).await.unwrap();
    create_link(client, proto::Link { rules: vec![rule("de", "DE"), rule("at", "AT")], ..link("sale") })
        .await;
    create_link(client, link("deleted")).await;
    let request =
        proto::DeleteLinkRequest { shop: "acme".into(), slug: "deleted".into(), ..Default::default() };
    client.delete_link(request).await.unwrap();
    let less = proto::Link { rules: vec![rule("de", "DE")], ..link("sale") };
    let request = proto::UpdateLinkRequest { link: Some(less), ..Default::default() };
    client.update_link(request).await.unwrap();
    create_link(
        client,
        proto::Link { default_destination: "https://acme.example/x".into(), ..link("absolute") },
    )
    .await;
}

/// Every case; `token` is a page token of another list.
fn all(token: &str) -> Vec<Case> {
    let tables = [
        shops::all(),
        partners::all(),
        links::all(),
        locations::all(),
        rules::all(),
        conditions::all(),
        predicates::all(),
        calls::all(token),
    ];
    tables.into_iter().flatten().collect()
}

#[tokio::test]
async fn one_fault_is_told_with_its_code_reason_and_field() {
    let (_server, mut client) = TestServer::with_shop().await;
    fill(&mut client).await;
    let cases = all(&foreign_token(&mut client).await);
    assert!(cases.len() >= 100, "there are {} cases", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let expected = (case.code, case.reason.to_owned(), case.field.to_owned());
        match case.call.send(&mut client).await {
            Ok(()) => wrong.push(format!("{}: was accepted", case.name)),
            Err(status) if refusal(&status) != expected => {
                wrong.push(format!("{}: {:?} {status:?}", case.name, refusal(&status)));
            }
            Err(status) => wrong.extend(badly_put(case.name, &status)),
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Says how the text of a refusal breaks the house rules.
fn badly_put(name: &str, status: &Status) -> Option<String> {
    let text = status.message();
    let is_fine = !text.is_empty() && text.len() <= 2_000 && !text.ends_with('.');
    (!is_fine).then(|| format!("{name}: the text is `{text}`"))
}

/// A page token of another list.
async fn foreign_token(client: &mut Client) -> String {
    let request = proto::ListPartnersRequest { shop: "acme".into(), page_size: 1, ..Default::default() };
    client.list_partners(request).await.unwrap().into_inner().next_page_token
}

#[tokio::test]
async fn all_faults_are_told_at_once() {
    use tonic_types::StatusExt;
    let (_server, mut client) = TestServer::with_shop().await;
    let mut bad = shop("BAD");
    bad.base_url = "ftp://x".to_owned();
    bad.link_hosts.push("a b".to_owned());
    let request =
        proto::CreateShopRequest { shop: Some(bad), default_link_slug: "-".into(), ..Default::default() };
    let status = client.create_shop(request).await.unwrap_err();
    let details = status.get_error_details();
    let fields: Vec<_> =
        details.bad_request().unwrap().field_violations.iter().map(|field| field.field.as_str()).collect();
    assert_eq!(fields, ["shop.id", "shop.base_url", "shop.link_hosts[1]", "default_link_slug"]);
    assert!(status.message().ends_with("; and 1 more"), "{status}");
}

#[tokio::test]
async fn thousands_of_faults_fit_the_trailers() {
    use tonic_types::StatusExt;
    let (_server, mut client) = TestServer::with_shop().await;
    let bad: Vec<String> = (0..5_000).map(|at| format!("Bad Code {at}")).collect();
    let bad: Vec<&str> = bad.iter().map(String::as_str).collect();
    let wire = proto::Link { sharing: Some(super::fixture::selected(&bad, &[])), ..link("wide") };
    let request = proto::CreateLinkRequest { link: Some(wire), ..Default::default() };
    let status = client.create_link(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status.get_error_details().error_info().unwrap().metadata["faults"], "5000");
    assert!(status.message().contains("and 4997 more"), "{status}");
}
