//! Programs and partners: in use, moved, deleted by force.

use smartlinks::proto::{
    self, DeletePartnerRequest, DeleteProgramRequest, GetPartnerRequest, MovePartnersRequest, PartnerCodes,
    condition::Kind, move_partners_request::Who,
};

use tonic::Code;

use super::fixture::{
    Client, TestServer, create_link, create_partner, create_program, get_link, link, mask, partner, reason,
    refusal, rule, selected,
};

async fn program_of(client: &mut Client, code: &str) -> String {
    let request = GetPartnerRequest { shop: "acme".into(), code: code.into() };
    client.get_partner(request).await.unwrap().into_inner().partner.unwrap().program
}

#[tokio::test]
async fn program_in_use_is_deleted_by_force_alone() {
    let (_server, mut client) = TestServer::with_shop().await;
    create_link(&mut client, proto::Link { sharing: Some(selected(&[], &["gold"])), ..link("sale") }).await;
    let delete =
        |force| DeleteProgramRequest { shop: "acme".into(), id: "gold".into(), force, ..Default::default() };
    let status = client.delete_program(delete(false)).await.unwrap_err();
    assert_eq!(reason(&status), "IN_USE");
    assert!(status.message().contains("1 link (`sale`) and 1 partner (`anna`)"), "{status}");

    let deleted = client.delete_program(delete(true)).await.unwrap().into_inner();
    assert_eq!(deleted.warnings.len(), 2);
    assert!(deleted.program.unwrap().delete_time.is_some());
    assert_eq!(program_of(&mut client, "anna").await, "");
    assert_eq!(get_link(&mut client, "sale").await.sharing, Some(selected(&[], &["gold"])));
    let request = proto::GetProgramRequest { shop: "acme".into(), id: "gold".into() };
    assert_eq!(reason(&client.get_program(request).await.unwrap_err()), "PROGRAM_NOT_FOUND");
}

#[tokio::test]
async fn partner_in_use_is_deleted_by_force_alone() {
    let (_server, mut client) = TestServer::with_shop().await;
    let is = proto::PartnerIs { codes: vec!["bert".to_owned()] };
    let when = Some(proto::Condition { kind: Some(Kind::Partner(is)) });
    create_link(
        &mut client,
        proto::Link { rules: vec![proto::Rule { when, ..rule("b", "DE") }], ..link("sale") },
    )
    .await;
    let delete = |force, validate_only| DeletePartnerRequest {
        shop: "acme".into(),
        code: "bert".into(),
        force,
        validate_only,
        ..Default::default()
    };
    assert_eq!(reason(&client.delete_partner(delete(false, false)).await.unwrap_err()), "IN_USE");
    let trial = client.delete_partner(delete(true, true)).await.unwrap().into_inner();
    assert_eq!((trial.revision, trial.warnings.len()), (0, 1));
    assert_eq!(program_of(&mut client, "bert").await, "");
    client.delete_partner(delete(true, false)).await.unwrap();
    assert_eq!(reason(&client.delete_partner(delete(true, false)).await.unwrap_err()), "PARTNER_NOT_FOUND");
}

#[tokio::test]
async fn partner_is_found_by_an_alias_that_still_works() {
    let (_server, mut client) = TestServer::with_shop().await;
    let mut write = async |aliases: &[&str]| {
        let aliases = aliases.iter().map(|alias| (*alias).to_owned()).collect();
        let wire = proto::Partner { aliases, ..partner("anna", "gold") };
        let update_mask = mask(&["aliases"]);
        let request = proto::UpdatePartnerRequest { partner: Some(wire), update_mask, ..Default::default() };
        client.update_partner(request).await.unwrap();
    };
    write(&["annie"]).await;
    let request = GetPartnerRequest { shop: "acme".into(), code: "Annie".into() };
    assert_eq!(client.get_partner(request).await.unwrap().into_inner().partner.unwrap().code, "anna");
    let wire = partner("annie", "");
    let request = proto::CreatePartnerRequest { partner: Some(wire), ..Default::default() };
    assert_eq!(reason(&client.create_partner(request).await.unwrap_err()), "ALREADY_EXISTS");
}

#[tokio::test]
async fn partners_are_moved_under_one_revision() {
    let (_server, mut client) = TestServer::with_shop().await;
    create_program(&mut client, "silver").await;
    create_partner(&mut client, "carl", "gold").await;
    let mut move_to = async |who: Who, to: &str| {
        let (shop, to_program) = ("acme".to_owned(), to.to_owned());
        let request = MovePartnersRequest { shop, who: Some(who), to_program, ..Default::default() };
        let answer = client.move_partners(request).await.unwrap().into_inner();
        (answer.moved, answer.revision)
    };
    let codes = PartnerCodes { codes: ["anna", "bert", "ANNA"].map(str::to_owned).to_vec() };
    assert_eq!(move_to(Who::Partners(codes.clone()), "silver").await.0, 2);
    assert_eq!(move_to(Who::Partners(codes), "silver").await, (0, 0));
    let (moved, revision) = move_to(Who::FromProgram("silver".into()), "").await;
    assert_eq!(moved, 2);
    for code in ["anna", "bert"] {
        let request = GetPartnerRequest { shop: "acme".into(), code: code.into() };
        let partner = client.get_partner(request).await.unwrap().into_inner().partner.unwrap();
        assert_eq!((partner.program.as_str(), partner.revision), ("", revision));
    }
    assert_eq!(program_of(&mut client, "carl").await, "gold");
}

#[tokio::test]
async fn program_with_too_many_partners_is_neither_emptied_nor_deleted_in_one_call() {
    let (server, mut client) = TestServer::with_shop().await;
    create_program(&mut client, "crowd").await;
    super::sharing::put_partners(&server.database.store(), 10_001, Some("crowd")).await;
    let request = MovePartnersRequest {
        shop: "acme".into(),
        who: Some(Who::FromProgram("crowd".into())),
        to_program: "gold".into(),
        ..Default::default()
    };
    let status = client.move_partners(request.clone()).await.unwrap_err();
    let expected = (Code::InvalidArgument, "TOO_LONG".to_owned(), "from_program".to_owned());
    assert_eq!(refusal(&status), expected);
    assert!(status.message().contains("10001 partners"), "{status}");
    let delete =
        DeleteProgramRequest { shop: "acme".into(), id: "crowd".into(), force: true, ..Default::default() };
    let status = client.delete_program(delete.clone()).await.unwrap_err();
    assert_eq!(reason(&status), "IN_USE");
    assert!(status.message().contains("MovePartners"), "{status}");

    let codes = PartnerCodes { codes: vec!["p1".into()] };
    let one = MovePartnersRequest { who: Some(Who::Partners(codes)), ..request.clone() };
    client.move_partners(one).await.unwrap();
    assert_eq!(client.move_partners(request).await.unwrap().into_inner().moved, 10_000);
    client.delete_program(delete).await.unwrap();
}

#[tokio::test]
async fn inactive_is_said_and_active_goes_without_saying() {
    let (_server, mut client) = TestServer::with_shop().await;
    let mut write = async |active, paths: &[&str]| {
        let wire = proto::Partner { active, ..partner("anna", "gold") };
        let request = proto::UpdatePartnerRequest {
            partner: Some(wire),
            update_mask: mask(paths),
            ..Default::default()
        };
        client.update_partner(request).await.unwrap().into_inner().partner.unwrap().active
    };
    assert_eq!(write(Some(false), &[]).await, Some(false));
    assert_eq!(write(None, &[]).await, Some(false), "what is not said stays");
    assert_eq!(write(None, &["active"]).await, Some(true), "the default");
}
