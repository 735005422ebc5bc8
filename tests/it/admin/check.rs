//! Rules that never decide are found, by `CheckLink` and by every write.

use smartlinks::proto::{
    self, BatchCreateLinksRequest, BatchUpdateLinksRequest, CheckLinkRequest, CreateLinkRequest, FindingKind,
    UpdateLinkRequest, condition::Kind, witness_fact::State,
};
use tonic::Code;
use tonic_types::StatusExt;

use super::fixture::{Client, TestServer, link, mask, refusal, rule, split_rule};

fn when(kind: Kind) -> Option<proto::Condition> {
    Some(proto::Condition { kind: Some(kind) })
}

fn not(rule: proto::Rule, id: &str) -> proto::Rule {
    let member = Box::new(rule.when.clone().unwrap());
    let then = Some(proto::rule::Then::Destination(format!("land/{id}")));
    proto::Rule { id: id.to_owned(), when: when(Kind::Not(member)), then, ..rule }
}

fn mobile() -> proto::Rule {
    let is = proto::DeviceIs { classes: vec![proto::DeviceClass::Mobile.into()] };
    proto::Rule { id: "mobile".to_owned(), when: when(Kind::Device(is)), ..rule("mobile", "XX") }
}

/// Two rules of which the second never decides.
fn twice() -> Vec<proto::Rule> {
    vec![mobile(), proto::Rule { id: "again".into(), ..mobile() }]
}

fn known() -> proto::Rule {
    let is = proto::AttributeIsKnown { attribute: proto::Attribute::Country.into(), ..Default::default() };
    proto::Rule { id: "known".to_owned(), when: when(Kind::IsKnown(is)), ..rule("known", "XX") }
}

fn with(rules: Vec<proto::Rule>) -> proto::Link {
    proto::Link { rules, ..link("sale") }
}

async fn create(
    client: &mut Client,
    link: proto::Link,
    allow_warnings: bool,
) -> Result<proto::CreateLinkResponse, tonic::Status> {
    let request = CreateLinkRequest { link: Some(link), allow_warnings, ..Default::default() };
    client.create_link(request).await.map(tonic::Response::into_inner)
}

async fn update(
    client: &mut Client,
    link: proto::Link,
    paths: &[&str],
) -> Result<proto::UpdateLinkResponse, tonic::Status> {
    let request = UpdateLinkRequest { link: Some(link), update_mask: mask(paths), ..Default::default() };
    client.update_link(request).await.map(tonic::Response::into_inner)
}

async fn check(client: &mut Client, slug: &str, draft: Option<proto::Link>) -> proto::CheckLinkResponse {
    let request =
        CheckLinkRequest { shop: "acme".into(), slug: slug.to_owned(), draft, ..Default::default() };
    client.check_link(request).await.unwrap().into_inner()
}

/// The findings about rules in short: kind, rule, those responsible.
fn told(answer: &proto::CheckLinkResponse) -> Vec<String> {
    let of_rules = answer.findings.iter().filter(|finding| !finding.rule.is_empty());
    let told = of_rules.map(|it| format!("{:?} {} {}", it.kind(), it.rule, it.responsible_rules.join(",")));
    told.collect()
}

fn fields(warnings: &[proto::Warning]) -> Vec<&str> {
    warnings.iter().map(|warning| warning.field.as_str()).collect()
}

#[tokio::test]
async fn shadowed_rule_is_refused_with_its_witness_and_mended() {
    let (_server, mut client) = TestServer::with_shop().await;
    let germany = rule("germany", "DE");
    let shadowed = with(vec![known(), germany.clone()]);
    let status = create(&mut client, shadowed.clone(), false).await.unwrap_err();
    let (code, reason, field) = refusal(&status);
    assert_eq!((code, reason.as_str()), (Code::InvalidArgument, "RULE_SHADOWED"));
    assert_eq!(field, "link.rules[1].when");
    for part in [
        "rule `known` before it takes every visit",
        "country = `DE`",
        "goes to rule `known`",
        "allow_warnings",
    ] {
        assert!(status.message().contains(part), "{part} in {}", status.message());
    }
    let mended = with(vec![germany, known()]);
    assert!(create(&mut client, mended, false).await.unwrap().warnings.is_empty());
}

#[tokio::test]
async fn third_rule_of_germany_not_germany_and_mobile_is_not_shadowed() {
    let (_server, mut client) = TestServer::with_shop().await;
    let germany = rule("germany", "DE");
    let rules = vec![germany.clone(), not(germany, "elsewhere"), mobile()];
    let created = create(&mut client, with(rules), false).await.unwrap();
    assert!(created.warnings.is_empty(), "{:?}", created.warnings);
    let answer = check(&mut client, "sale", None).await;
    assert!(answer.decided);
    // The server of the test has no country database.
    assert_eq!(told(&answer), ["NeedsData germany ", "NeedsData elsewhere "]);
    let default =
        answer.findings.iter().find(|finding| finding.kind() == FindingKind::FallsToDefault).unwrap();
    let witness = default.witness.as_ref().unwrap();
    assert_eq!(witness.decided_by, "");
    let country = witness.facts.iter().find(|fact| fact.attribute == "country").unwrap();
    assert_eq!(country.state, None);
    let device = witness.facts.iter().find(|fact| fact.attribute == "device").unwrap();
    assert!(matches!(&device.state, Some(State::Value(class)) if class != "mobile"), "{device:?}");
}

#[tokio::test]
async fn contradictory_rule_is_written_only_if_warnings_are_allowed() {
    let (_server, mut client) = TestServer::with_shop().await;
    let members = vec![rule("a", "DE").when.unwrap(), rule("a", "FR").when.unwrap()];
    let both = when(Kind::All(proto::ConditionGroup { conditions: members }));
    let wire = with(vec![proto::Rule { when: both, ..rule("both", "DE") }]);
    let status = create(&mut client, wire.clone(), false).await.unwrap_err();
    let expected = (Code::InvalidArgument, "RULE_CONTRADICTORY".to_owned(), "link.rules[0].when".to_owned());
    assert_eq!(refusal(&status), expected);
    let written = create(&mut client, wire, true).await.unwrap();
    assert!(written.revision > 0);
    assert_eq!(fields(&written.warnings), ["link.rules[0].when"]);

    // What was so before does not stop a write of something else, nor one of other rules.
    let named = proto::Link { display_name: "Winter".into(), ..link("sale") };
    let answer = update(&mut client, named, &["display_name"]).await.unwrap();
    assert_eq!(fields(&answer.warnings), ["link.rules[0].when"]);
    let old = answer.link.unwrap().rules.remove(0);
    let answer = update(&mut client, with(vec![old.clone(), mobile()]), &["rules"]).await.unwrap();
    assert_eq!(fields(&answer.warnings), ["link.rules[0].when"]);

    // A rule that is added now, or that is put behind another, is this write's doing.
    let again = proto::Rule { id: "again".into(), ..mobile() };
    let status = update(&mut client, with(vec![old.clone(), mobile(), again]), &["rules"]).await.unwrap_err();
    assert_eq!(refusal(&status).2, "link.rules[2].when");
    let wider = proto::Rule { id: "wider".into(), ..not(not(mobile(), "inner"), "wider") };
    let status = update(&mut client, with(vec![wider, old, mobile()]), &["rules"]).await.unwrap_err();
    assert_eq!(refusal(&status).1, "RULE_SHADOWED");
    assert_eq!(refusal(&status).2, "link.rules[2].when");
}

#[tokio::test]
async fn time_of_the_link_that_leaves_a_rule_no_visit_is_refused_and_what_was_so_is_not() {
    let (_server, mut client) = TestServer::with_shop().await;
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let until = proto::TimeBetween { start_time: None, end_time: at(4_000_000_000) };
    let early = proto::Rule { when: when(Kind::Time(until)), ..rule("early", "DE") };
    create(&mut client, with(vec![early]), false).await.unwrap();
    let late = |name: &str, seconds| proto::Link {
        display_name: name.to_owned(),
        start_time: at(seconds),
        ..link("sale")
    };
    let status = update(&mut client, late("", 4_100_000_000), &["start_time"]).await.unwrap_err();
    let expected = (Code::InvalidArgument, "RULE_CONTRADICTORY".to_owned(), "link.rules[0].when".to_owned());
    assert_eq!(refusal(&status), expected);
    let request = UpdateLinkRequest {
        link: Some(late("", 4_100_000_000)),
        update_mask: mask(&["start_time"]),
        allow_warnings: true,
        ..Default::default()
    };
    let answer = client.update_link(request).await.unwrap().into_inner();
    assert_eq!(fields(&answer.warnings), ["link.rules[0].when"]);
    let answer = update(&mut client, late("Later", 4_200_000_000), &["start_time", "display_name"]);
    assert_eq!(fields(&answer.await.unwrap().warnings), ["link.rules[0].when"]);
}

#[tokio::test]
async fn disabled_rules_stop_nothing() {
    let (_server, mut client) = TestServer::with_shop().await;
    let off = proto::Rule { enabled: Some(false), id: "off".into(), ..mobile() };
    let written = create(&mut client, with(vec![mobile(), off]), false).await.unwrap();
    assert!(written.warnings.is_empty());
}

#[tokio::test]
async fn batches_are_looked_at_link_by_link() {
    let (_server, mut client) = TestServer::with_shop().await;
    let links = vec![link("fine"), with(twice())];
    let request = BatchCreateLinksRequest { shop: "acme".into(), links, ..Default::default() };
    let status = client.batch_create_links(request.clone()).await.unwrap_err();
    assert_eq!(refusal(&status).2, "links[1].rules[1].when");
    let allowed = BatchCreateLinksRequest { allow_warnings: true, ..request };
    let written = client.batch_create_links(allowed).await.unwrap().into_inner();
    assert_eq!(fields(&written.warnings), ["links[1].rules[1].when"]);

    let change = proto::LinkUpdate {
        link: Some(proto::Link { rules: twice(), ..link("fine") }),
        update_mask: mask(&["rules"]),
    };
    let request =
        BatchUpdateLinksRequest { shop: "acme".into(), updates: vec![change], ..Default::default() };
    let status = client.batch_update_links(request.clone()).await.unwrap_err();
    assert_eq!(refusal(&status).2, "updates[0].link.rules[1].when");
    let allowed = BatchUpdateLinksRequest { allow_warnings: true, ..request };
    assert_eq!(client.batch_update_links(allowed).await.unwrap().into_inner().warnings.len(), 1);
}

#[tokio::test]
async fn drafts_are_checked_without_being_written() {
    let (_server, mut client) = TestServer::with_shop().await;
    create(&mut client, with(vec![mobile()]), false).await.unwrap();
    let rules = twice();

    let change = proto::Link { rules: rules.clone(), ..Default::default() };
    let answer = check(&mut client, "sale", Some(change)).await;
    assert_eq!(told(&answer)[0], "Shadowed again mobile");
    let finding = answer.findings.iter().find(|finding| finding.rule == "again").unwrap();
    assert_eq!((finding.field.as_str(), finding.refuses_write), ("draft.rules[1].when", true));
    assert_eq!(finding.witness.as_ref().unwrap().decided_by, "mobile");

    let new = proto::Link { rules, shop: String::new(), slug: "other".into(), ..link("other") };
    let answer = check(&mut client, "", Some(new)).await;
    assert_eq!(told(&answer)[0], "Shadowed again mobile");
    assert_eq!(told(&check(&mut client, "sale", None).await), [""; 0]);
}

#[tokio::test]
async fn what_cannot_be_checked_is_refused() {
    let (_server, mut client) = TestServer::with_shop().await;
    let broken = proto::Link { default_destination: "//evil.example".into(), ..link("new") };
    for (request, expected) in [
        (CheckLinkRequest { shop: "acme".into(), ..Default::default() }, ("REQUIRED", "slug")),
        (
            CheckLinkRequest { shop: "acme".into(), slug: "none".into(), ..Default::default() },
            ("LINK_NOT_FOUND", ""),
        ),
        (
            CheckLinkRequest { shop: "none".into(), slug: "home".into(), ..Default::default() },
            ("SHOP_NOT_FOUND", ""),
        ),
        (
            CheckLinkRequest { shop: "acme".into(), draft: Some(broken), ..Default::default() },
            ("UNSAFE_DESTINATION", "draft.default_destination"),
        ),
        (
            CheckLinkRequest {
                shop: "acme".into(),
                slug: "home".into(),
                draft: Some(link("other")),
                ..Default::default()
            },
            ("CONFLICT", "draft.slug"),
        ),
    ] {
        let status = client.check_link(request).await.unwrap_err();
        let (_, reason, field) = refusal(&status);
        assert_eq!((reason.as_str(), field.as_str()), expected);
    }
}

#[tokio::test]
async fn rollback_is_refused_for_rules_that_never_decide_and_undelete_warns_of_them() {
    let (_server, mut client) = TestServer::with_shop().await;
    let first = create(&mut client, with(twice()), true).await.unwrap().revision;
    update(&mut client, with(vec![mobile()]), &["rules"]).await.unwrap();
    let back = proto::RollbackLinkRequest {
        shop: "acme".into(),
        slug: "sale".into(),
        revision: first,
        ..Default::default()
    };
    let status = client.rollback_link(back.clone()).await.unwrap_err();
    let expected = (Code::InvalidArgument, "RULE_SHADOWED".to_owned(), "link.rules[1].when".to_owned());
    assert_eq!(refusal(&status), expected);
    let allowed = proto::RollbackLinkRequest { allow_warnings: true, ..back.clone() };
    let answer = client.rollback_link(allowed).await.unwrap().into_inner();
    assert_eq!(fields(&answer.warnings), ["link.rules[1].when"]);

    // Where the rules stand so already, a rollback is not what makes them so.
    let named = proto::Link { display_name: "Winter".into(), ..link("sale") };
    update(&mut client, named, &["display_name"]).await.unwrap();
    let answer = client.rollback_link(back).await.unwrap().into_inner();
    assert_eq!(fields(&answer.warnings), ["link.rules[1].when"]);

    let call = proto::DeleteLinkRequest { shop: "acme".into(), slug: "sale".into(), ..Default::default() };
    client.delete_link(call).await.unwrap();
    let call = proto::UndeleteLinkRequest { shop: "acme".into(), slug: "sale".into(), ..Default::default() };
    let answer = client.undelete_link(call).await.unwrap().into_inner();
    assert_eq!(fields(&answer.warnings), ["link.rules[1].when"]);
}

#[tokio::test]
async fn rules_and_golden_clicks_are_told_of_at_once() {
    let (_server, mut client) = TestServer::with_shop().await;
    let golden = proto::GoldenClick {
        name: "Germans".into(),
        visit: Some(proto::TestVisit { country: "DE".into(), ..Default::default() }),
        expected_destination: "land/DE".into(),
        ..Default::default()
    };
    let both = proto::Link { golden_clicks: vec![golden], ..with(twice()) };
    let status = create(&mut client, both.clone(), false).await.unwrap_err();
    assert_eq!(refusal(&status).1, "RULE_SHADOWED");
    let violations = status.get_details_bad_request().unwrap().field_violations;
    let refused: Vec<&str> = violations.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(refused, ["link.rules[1].when", "link.golden_clicks[0]"]);
    // Each is allowed by itself.
    let status = create(&mut client, both.clone(), true).await.unwrap_err();
    assert_eq!(refusal(&status).1, "GOLDEN_CLICK_FAILED");
    let request = CreateLinkRequest {
        link: Some(both),
        request_id: "0190a6f0-5c1e-4c36-9f3b-3d8b7f2a1c77".into(),
        allow_warnings: true,
        allow_failing_golden_clicks: true,
        ..Default::default()
    };
    for _ in 0..2 {
        let written = client.create_link(request.clone()).await.unwrap().into_inner();
        assert_eq!(fields(&written.warnings), ["link.rules[1].when", "link.golden_clicks[0]"]);
    }
}

#[tokio::test]
async fn variants_that_nobody_gets_are_told_by_the_check_alone() {
    let (_server, mut client) = TestServer::with_shop().await;
    let split = split_rule("split", "DE", &[("old", 0), ("new", 1)]);
    let written = create(&mut client, with(vec![split]), false).await.unwrap();
    assert!(written.warnings.is_empty(), "{:?}", written.warnings);
    let answer = check(&mut client, "sale", None).await;
    let of_variants = answer.findings.iter().filter(|it| it.kind() == FindingKind::UnreachableVariant);
    let found: Vec<_> = of_variants.collect();
    let [only] = found[..] else { panic!("{found:?}") };
    assert_eq!((only.rule.as_str(), &only.variants[..]), ("split", &["old".to_owned()][..]));
    assert_eq!(only.field, "rules[0].variants.items[0].weight");
    assert!(!only.refuses_write);
}
