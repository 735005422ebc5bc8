//! Why recorded clicks went where they went.

use smartlinks::proto::{
    self, ClickComparison, Condition, DrawnBy, ExplainClickRequest, ExplainClickResponse, FactOrigin,
    FactState, Link, Purpose, ResolveReason, ResolveRequest, Rule, RuleStanding, SharingDecision, Truth,
    UnkeptFact, condition::Kind, query_parameter_is::Test, rule::Then,
};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::world::{World, visit};
use crate::{
    admin::fixture::{create_link, edit, get_link, link, reason, rule, split_rule, update_link},
    support::server::{TestServer, execute, recording},
};

fn with_promo() -> Rule {
    let test = Some(Test::Present(proto::Present {}));
    let is = proto::QueryParameterIs { name: "promo".into(), test };
    Rule {
        id: "promo".into(),
        when: Some(Condition { kind: Some(Kind::QueryParameter(is)) }),
        then: Some(Then::Destination("promo".into())),
        ..Rule::default()
    }
}

async fn click(server: &TestServer, request: ResolveRequest) -> String {
    server.resolver().resolve(request).await.unwrap().into_inner().click_id
}

async fn explain(server: &TestServer, click_id: &str) -> Result<ExplainClickResponse, Status> {
    let request = ExplainClickRequest { shop: "ACME".into(), click_id: click_id.into() };
    Ok(server.stats().explain_click(request).await?.into_inner())
}

fn from(country: &str, slug: &str, partner: &str) -> ResolveRequest {
    let (country, partner) = (country.to_owned(), partner.to_owned());
    ResolveRequest { country, partner, ..visit(slug, Purpose::Click) }
}

#[tokio::test(flavor = "multi_thread")]
async fn click_is_explained_by_the_link_as_it_was() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let server = world.serve(recording(world.database.url(), folder.path())).await;
    let mut admin = server.admin();
    let off = Rule { enabled: Some(false), ..rule("off", "DE") };
    let rules = vec![off, split_rule("test", "DE", &[("a", 1), ("b", 1)]), rule("french", "FR")];
    create_link(&mut admin, Link { rules, ..link("why") }).await;
    let last = create_link(&mut admin, Link { rules: vec![with_promo()], ..link("open") }).await;
    server.wait_for(last.revision).await;
    let german = click(&server, from("DE", "why", "anna")).await;
    let open = click(&server, from("DE", "open", "")).await;
    let paused = server.resolver().resolve(from("DE", "paused", "")).await.unwrap_err();
    assert_eq!(paused.code(), Code::NotFound);
    world.has_clicks(3).await;
    // What comes later changes nothing about it.
    let now = Link { rules: vec![rule("later", "DE")], ..get_link(&mut admin, "why").await };
    update_link(&mut admin, edit(now, &["rules"], "")).await;

    let explained = explain(&server, &german).await.unwrap();
    let (recorded, explanation) =
        (explained.click.as_ref().unwrap(), explained.explanation.as_ref().unwrap());
    assert_eq!((explained.comparison(), explained.differences.len()), (ClickComparison::Same, 0));
    assert_eq!((recorded.rule_id.as_str(), &recorded.destination), ("test", &explanation.destination));
    let standings: Vec<_> =
        explanation.rules.iter().map(|rule| (rule.rule_id.as_str(), rule.standing())).collect();
    let expected = [
        ("off", RuleStanding::Disabled),
        ("test", RuleStanding::Decides),
        ("french", RuleStanding::NotAsked),
    ];
    assert_eq!(standings, expected);
    let fact = &explanation.rules[1].when.as_ref().unwrap().facts[0];
    assert_eq!((fact.value.as_str(), fact.origin()), ("DE", FactOrigin::Click));
    let draw = explanation.draw.as_ref().unwrap();
    assert_eq!(draw.drawn_by(), DrawnBy::NotKept);
    let chosen = draw.variants.iter().find(|variant| variant.chosen).unwrap();
    assert_eq!(chosen.variant_id, recorded.variant_id);
    let credit = explanation.credit.as_ref().unwrap();
    assert_eq!((credit.partner.as_str(), credit.sharing()), ("anna", SharingDecision::Everyone));

    // A partner that was erased was credited all the same.
    execute(&world.database, "UPDATE clicks.click SET partner = NULL WHERE partner = 'anna'").await;
    let credit = explain(&server, &german).await.unwrap().explanation.unwrap().credit.unwrap();
    assert_eq!((credit.partner.as_str(), credit.credited), ("", true));
    assert!(credit.reason.contains("does not keep"), "{}", credit.reason);

    let explained = explain(&server, &open).await.unwrap();
    assert_eq!(explained.comparison(), ClickComparison::NotKept);
    assert_eq!(explained.not_kept().collect::<Vec<_>>(), [UnkeptFact::Query]);
    let rule = &explained.explanation.as_ref().unwrap().rules[0];
    let when = rule.when.as_ref().unwrap();
    assert_eq!((rule.standing(), when.truth()), (RuleStanding::NotKept, Truth::NotKept));
    assert_eq!(when.facts[0].state(), FactState::NotKept);

    let row = world.client.query_one("SELECT id::text FROM clicks.click WHERE slug = 'paused'", &[]).await;
    let explained = explain(&server, row.unwrap().get(0)).await.unwrap();
    assert_eq!(explained.comparison(), ClickComparison::Same);
    assert_eq!(explained.click.as_ref().unwrap().reason(), ResolveReason::LinkPaused);
    let of_link = explained.explanation.unwrap().link.unwrap();
    assert_eq!((of_link.asked, of_link.reason.as_str()), (false, "the link is paused"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn difference_between_what_is_recorded_and_what_is_decided_anew_is_told() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let server = world.serve(recording(world.database.url(), folder.path())).await;
    let id = click(&server, from("DE", "sale", "")).await;
    world.has_clicks(1).await;
    assert_eq!(explain(&server, &id).await.unwrap().comparison(), ClickComparison::Same);
    execute(
        &world.database,
        "UPDATE clicks.click SET rule = NULL, reason = 'default', destination = 'elsewhere'",
    )
    .await;
    let explained = explain(&server, &id).await.unwrap();
    assert_eq!(explained.comparison(), ClickComparison::Differs);
    let told: Vec<_> = explained
        .differences
        .iter()
        .map(|it| (it.field.as_str(), it.recorded.as_str(), it.recomputed.as_str()))
        .collect();
    let expected =
        [("reason", "default", "rule"), ("rule_id", "", "german"), ("destination", "elsewhere", "land/DE")];
    assert_eq!(told, expected);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_differs_only_if_it_is_sure_which_one_decides() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let server = world.serve(recording(world.database.url(), folder.path())).await;
    let mut admin = server.admin();
    let also = Rule { then: Some(Then::Destination("promo".into())), ..rule("german", "DE") };
    create_link(&mut admin, Link { rules: vec![with_promo(), also], ..link("either") }).await;
    let rules = vec![split_rule("test", "DE", &[("a", 1), ("b", 1)])];
    let last = create_link(&mut admin, Link { rules, ..link("split") }).await;
    server.wait_for(last.revision).await;
    let either = click(&server, from("DE", "either", "")).await;
    let split = click(&server, from("DE", "split", "")).await;
    world.has_clicks(2).await;
    // Whether the query had the parameter is not kept; the page is the same.
    let explained = explain(&server, &either).await.unwrap();
    assert_eq!((explained.comparison(), explained.differences), (ClickComparison::Same, Vec::new()));
    // Which variant the visitor gets is not kept; that the rule decides is sure.
    execute(&world.database, "UPDATE clicks.click SET rule = 'other' WHERE slug = 'split'").await;
    let explained = explain(&server, &split).await.unwrap();
    assert_eq!(explained.comparison(), ClickComparison::Differs);
    let [told] = explained.differences.as_slice() else { panic!("{explained:?}") };
    let told = (told.field.as_str(), told.recorded.as_str(), told.recomputed.as_str());
    assert_eq!(told, ("rule_id", "other", "test"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn click_that_is_not_there_and_nonsense_are_refused() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let server = world.serve(recording(world.database.url(), folder.path())).await;
    let status = explain(&server, "019a0000-0000-7000-8000-000000000000").await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "CLICK_NOT_FOUND"));
    for (shop, click_id, fields) in [
        ("", "", &["shop", "click_id"][..]),
        ("acme", "me", &["click_id"]),
        ("acme", "7f6c1d3e-8a0b-4d53-9c56-0a5f1f7a2b11", &["click_id"]),
    ] {
        let request = ExplainClickRequest { shop: shop.into(), click_id: click_id.into() };
        let status = server.stats().explain_click(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        let details = status.get_error_details();
        let violations = details.bad_request().unwrap().field_violations.iter();
        assert_eq!(violations.map(|it| it.field.as_str()).collect::<Vec<_>>(), fields);
    }
    server.stop().await;
}
