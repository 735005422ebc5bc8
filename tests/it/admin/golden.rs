//! Visits that are kept with a link, tried out by every write of it.

use smartlinks::proto::{
    self, FieldChangeKind, GetLinkRevisionRequest, GoldenClick, TestVisit, UpdateLinkRequest,
};
use tonic::Code;

use super::fixture::{
    Client, TestServer, create_link, edit, get_link, link, mask, reason, refusal, rule, selected, update_link,
};

fn golden(name: &str, visit: TestVisit, expected: &str) -> GoldenClick {
    GoldenClick {
        name: name.to_owned(),
        visit: Some(visit),
        expected_destination: expected.to_owned(),
        ..Default::default()
    }
}

fn from(country: &str) -> TestVisit {
    TestVisit { country: country.to_owned(), ..Default::default() }
}

fn condition(kind: proto::condition::Kind) -> Option<proto::Condition> {
    Some(proto::Condition { kind: Some(kind) })
}

/// A link that sends Germans elsewhere, with golden clicks that say so.
fn german() -> proto::Link {
    let golden_clicks =
        vec![golden("Germans", from("DE"), "/land/DE"), golden("others", from("FR"), "page/sale")];
    proto::Link { rules: vec![rule("de", "DE")], golden_clicks, ..link("sale") }
}

async fn update(
    client: &mut Client,
    link: proto::Link,
    fields: &[&str],
) -> Result<proto::Link, tonic::Status> {
    Ok(client.update_link(edit(link, fields, "")).await?.into_inner().link.unwrap())
}

#[tokio::test]
async fn write_after_which_a_golden_click_goes_elsewhere_is_refused_with_the_rule() {
    let (_server, mut client) = TestServer::with_shop().await;
    let made = create_link(&mut client, german()).await;
    assert_eq!(made.golden_clicks, german().golden_clicks);
    assert_eq!(get_link(&mut client, "sale").await, made);

    let first =
        proto::Link { rules: vec![rule("eu", "AT"), rule("de", "DE"), rule("fr", "FR")], ..link("sale") };
    let refused = update(&mut client, first.clone(), &["rules"]).await.unwrap_err();
    let field = "link.golden_clicks[1]".to_owned();
    assert_eq!(refusal(&refused), (Code::InvalidArgument, "GOLDEN_CLICK_FAILED".into(), field.clone()));
    let told = "the golden click `others` has to go to `/page/sale`, and goes to `/land/FR` by the rule `fr`";
    assert!(refused.message().ends_with(told), "{}", refused.message());
    assert_eq!(get_link(&mut client, "sale").await, made);

    // A rule that stands before: the same page by another rule is right unless the rule is expected.
    let mut rules = vec![rule("all", "DE"), rule("de", "DE")];
    rules[0].then = Some(proto::rule::Then::Destination("land/DE".into()));
    let shadowing = proto::Link { rules, ..link("sale") };
    let request = UpdateLinkRequest { allow_warnings: true, ..edit(shadowing, &["rules"], "") };
    client.update_link(request).await.unwrap();
    let mut strict = german().golden_clicks;
    strict[0].expected_rule = "de".into();
    let refused =
        update(&mut client, proto::Link { golden_clicks: strict, ..link("sale") }, &["golden_clicks"]);
    assert_eq!(reason(&refused.await.unwrap_err()), "GOLDEN_CLICK_FAILED");

    // Said so, it is written and told.
    let request = UpdateLinkRequest { allow_failing_golden_clicks: true, ..edit(first, &["rules"], "") };
    let answer = client.update_link(request).await.unwrap().into_inner();
    assert!(answer.revision > 0);
    let warned: Vec<_> =
        answer.warnings.iter().map(|it| (it.field.clone(), it.description.as_str())).collect();
    assert_eq!(warned, [(field, told)]);
}

#[tokio::test]
async fn creates_and_batches_try_them_out_too() {
    let (_server, mut client) = TestServer::with_shop().await;
    let wrong = proto::Link { rules: Vec::new(), ..german() };
    let request = proto::CreateLinkRequest { link: Some(wrong.clone()), ..Default::default() };
    let refused = client.create_link(request.clone()).await.unwrap_err();
    assert_eq!(refusal(&refused).2, "link.golden_clicks[0]");
    let links = vec![proto::Link { slug: "other".into(), ..german() }, wrong];
    let batch = proto::BatchCreateLinksRequest { shop: "acme".into(), links, ..Default::default() };
    let refused = client.batch_create_links(batch.clone()).await.unwrap_err();
    assert_eq!(refusal(&refused).2, "links[1].golden_clicks[0]");
    let batch = proto::BatchCreateLinksRequest { allow_failing_golden_clicks: true, ..batch };
    let answer = client.batch_create_links(batch).await.unwrap().into_inner();
    assert_eq!(
        answer.warnings.iter().map(|it| it.field.as_str()).collect::<Vec<_>>(),
        ["links[1].golden_clicks[0]"]
    );

    let renamed = proto::Link { display_name: "Sale".into(), ..link("sale") };
    let updates = vec![proto::LinkUpdate { link: Some(renamed), update_mask: mask(&["display_name"]) }];
    let batch = proto::BatchUpdateLinksRequest { shop: "acme".into(), updates, ..Default::default() };
    let refused = client.batch_update_links(batch.clone()).await.unwrap_err();
    assert_eq!(refusal(&refused).2, "updates[0].link.golden_clicks[0]");
    let batch = proto::BatchUpdateLinksRequest { allow_failing_golden_clicks: true, ..batch };
    assert_eq!(client.batch_update_links(batch).await.unwrap().into_inner().warnings.len(), 1);
}

#[tokio::test]
async fn every_fact_of_a_visit_is_looked_at() {
    use proto::condition::Kind;
    let (_server, mut client) = TestServer::with_shop().await;
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let version = || "17".to_owned();
    let named = |families| proto::OsIs { families, min_version: version(), ..Default::default() };
    let browser =
        proto::BrowserIs { families: texts(&["firefox"]), min_version: version(), ..Default::default() };
    let query = proto::QueryParameterIs {
        name: "x".into(),
        test: Some(proto::query_parameter_is::Test::Equals(proto::Values { values: texts(&["1"]) })),
    };
    let attribute = proto::CallerAttributeIs {
        name: "tier".into(),
        test: Some(proto::caller_attribute_is::Test::Equals(proto::Values { values: texts(&["a"]) })),
    };
    let total = proto::CountIs { test: Some(proto::count_is::Test::AtLeast(7)) };
    let hosts = proto::ReferrerHostIs { hosts: texts(&["blog.example"]), include_subdomains: false };
    let after = proto::TimeBetween {
        start_time: Some(prost_types::Timestamp { seconds: 4_000_000_000, nanos: 0 }),
        end_time: None,
    };
    let devices = proto::DeviceIs { classes: vec![proto::DeviceClass::Tv.into()] };
    let traffic = proto::TrafficClassIs { classes: vec![proto::TrafficClass::Internal.into()] };
    let cases = [
        (Kind::Country(proto::CountryIs { codes: texts(&["DE"]) }), from("de")),
        (Kind::Device(devices), TestVisit { device: proto::DeviceClass::Tv.into(), ..Default::default() }),
        (
            Kind::Os(named(texts(&["ios"]))),
            TestVisit { os: "ios".into(), os_version: "17.2".into(), ..Default::default() },
        ),
        (
            Kind::Browser(browser),
            TestVisit {
                user_agent: Some(
                    "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0".into(),
                ),
                ..Default::default()
            },
        ),
        (
            Kind::Language(proto::LanguageIs { ranges: texts(&["fr"]) }),
            TestVisit { accept_language: Some("fr-CA, en;q=0.5".into()), ..Default::default() },
        ),
        (
            Kind::ReferrerHost(hosts),
            TestVisit { referer: Some("https://blog.example/a".into()), ..Default::default() },
        ),
        (Kind::QueryParameter(query), TestVisit { query: "a=b&x=1".into(), ..Default::default() }),
        (
            Kind::ClientAddress(proto::ClientAddressIn { cidrs: texts(&["192.0.2.0/24"]) }),
            TestVisit { client_address: "192.0.2.7".into(), ..Default::default() },
        ),
        (Kind::LinkTotalVisits(total), TestVisit { link_total_visits: 7, ..Default::default() }),
        (
            Kind::PartnerTotalVisits(total),
            TestVisit { partner: "anna".into(), partner_total_visits: 7, ..Default::default() },
        ),
        (Kind::VisitorTotalVisits(total), TestVisit { visitor_total_visits: 7, ..Default::default() }),
        (
            Kind::Attribute(attribute),
            TestVisit { attributes: [("tier".to_owned(), "a".to_owned())].into(), ..Default::default() },
        ),
        (
            Kind::Time(after),
            TestVisit {
                visit_time: Some(prost_types::Timestamp { seconds: 4_000_000_001, nanos: 0 }),
                ..Default::default()
            },
        ),
        (Kind::TrafficClass(traffic), TestVisit { internal: true, ..Default::default() }),
        (
            Kind::Partner(proto::PartnerIs { codes: texts(&["anna"]) }),
            TestVisit { partner: "ANNA".into(), ..Default::default() },
        ),
        (
            Kind::Program(proto::ProgramIs { programs: texts(&["gold"]) }),
            TestVisit { query: "ref=anna".into(), ..Default::default() },
        ),
    ];
    for (at, (kind, visit)) in cases.into_iter().enumerate() {
        let rules = vec![proto::Rule { when: condition(kind), ..rule("it", "DE") }];
        let golden_clicks = vec![
            GoldenClick { expected_rule: "it".into(), ..golden("fits", visit.clone(), "land/DE") },
            golden("plain", TestVisit::default(), &format!("page/l{at}")),
        ];
        let made =
            create_link(&mut client, proto::Link { rules, golden_clicks, ..link(&format!("l{at}")) }).await;
        let kept = made.golden_clicks[0].visit.clone().unwrap();
        let as_written =
            TestVisit { country: kept.country.clone(), partner: kept.partner.clone(), ..visit.clone() };
        assert_eq!(kept, as_written);
        assert!(kept.country.eq_ignore_ascii_case(&visit.country));
    }
}

#[tokio::test]
async fn partner_to_whom_the_link_is_not_shared_is_not_credited() {
    let (_server, mut client) = TestServer::with_shop().await;
    let is = proto::PartnerIs { codes: vec!["anna".into()] };
    let rules =
        vec![proto::Rule { when: condition(proto::condition::Kind::Partner(is)), ..rule("anna", "DE") }];
    let visit = TestVisit { partner: "anna".into(), ..Default::default() };
    let golden_clicks = vec![golden("Anna", visit, "land/DE")];
    create_link(&mut client, proto::Link { rules, golden_clicks, ..link("sale") }).await;
    let others = proto::Link { sharing: Some(selected(&["bert"], &[])), ..link("sale") };
    let refused = update(&mut client, others, &["sharing"]).await.unwrap_err();
    assert_eq!(reason(&refused), "GOLDEN_CLICK_FAILED");
    let both = proto::Link { sharing: Some(selected(&[], &["gold"])), ..link("sale") };
    update(&mut client, both, &["sharing"]).await.unwrap();
}

#[tokio::test]
async fn state_and_window_stand_aside_unless_the_visit_says_when() {
    let (_server, mut client) = TestServer::with_shop().await;
    create_link(&mut client, german()).await;
    let call = proto::PauseLinkRequest { shop: "acme".into(), slug: "sale".into(), ..Default::default() };
    client.pause_link(call).await.unwrap();
    let over = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let expired = proto::Link { expire_time: over(1_000), ..link("sale") };
    update(&mut client, expired, &["expire_time"]).await.unwrap();
    let late = TestVisit { visit_time: over(2_000), ..from("DE") };
    let timed = proto::Link { golden_clicks: vec![golden("late", late, "land/DE")], ..link("sale") };
    let refused = update(&mut client, timed, &["golden_clicks"]).await.unwrap_err();
    assert!(refused.message().ends_with("and goes nowhere"), "{}", refused.message());
    let early = TestVisit { visit_time: over(999), ..from("DE") };
    let timed = proto::Link { golden_clicks: vec![golden("early", early, "land/DE")], ..link("sale") };
    update(&mut client, timed, &["golden_clicks"]).await.unwrap();
}

#[tokio::test]
async fn rollback_tries_them_out_and_undelete_only_warns() {
    let (_server, mut client) = TestServer::with_shop().await;
    let first = create_link(&mut client, link("sale")).await;
    let second = update_link(&mut client, edit(german(), &["*"], "")).await;
    let request = GetLinkRevisionRequest {
        shop: "acme".into(),
        slug: "sale".into(),
        revision: second.revision,
        compare_with: Some(first.revision),
        ..Default::default()
    };
    let changes = client.get_link_revision(request).await.unwrap().into_inner().changes;
    let golden: Vec<_> = changes.iter().filter(|it| it.path.starts_with("golden_clicks[")).collect();
    assert_eq!(
        golden.iter().map(|it| it.path.as_str()).collect::<Vec<_>>(),
        ["golden_clicks[Germans]", "golden_clicks[others]"]
    );
    assert!(golden.iter().all(|it| it.kind() == FieldChangeKind::Added));

    let by_partner = TestVisit { partner: "anna".into(), ..Default::default() };
    let is = proto::PartnerIs { codes: vec!["anna".into()] };
    let rules =
        vec![proto::Rule { when: condition(proto::condition::Kind::Partner(is)), ..rule("anna", "DE") }];
    let golden_clicks = vec![self::golden("Anna", by_partner, "land/DE")];
    let third =
        update_link(&mut client, edit(proto::Link { rules, golden_clicks, ..link("sale") }, &["*"], ""))
            .await;
    let back = |revision| proto::RollbackLinkRequest {
        shop: "acme".into(),
        slug: "sale".into(),
        revision,
        ..Default::default()
    };
    let answer = client.rollback_link(back(first.revision)).await.unwrap().into_inner();
    assert!(answer.link.unwrap().golden_clicks.is_empty());
    let call = proto::DeletePartnerRequest { shop: "acme".into(), code: "anna".into(), ..Default::default() };
    client.delete_partner(call).await.unwrap();
    let refused = client.rollback_link(back(third.revision)).await.unwrap_err();
    assert_eq!(
        refusal(&refused),
        (Code::InvalidArgument, "GOLDEN_CLICK_FAILED".into(), "link.golden_clicks[0]".into())
    );
    let request = proto::RollbackLinkRequest { allow_failing_golden_clicks: true, ..back(third.revision) };
    let answer = client.rollback_link(request).await.unwrap().into_inner();
    assert!(answer.warnings.iter().any(|it| it.field == "link.golden_clicks[0]"));

    let call = proto::DeleteLinkRequest { shop: "acme".into(), slug: "sale".into(), ..Default::default() };
    client.delete_link(call).await.unwrap();
    let call = proto::UndeleteLinkRequest { shop: "acme".into(), slug: "sale".into(), ..Default::default() };
    let answer = client.undelete_link(call).await.unwrap().into_inner();
    assert!(answer.warnings.iter().any(|it| it.field == "link.golden_clicks[0]"));
}

#[tokio::test]
async fn lists_leave_them_out() {
    let (_server, mut client) = TestServer::with_shop().await;
    create_link(&mut client, german()).await;
    let request = proto::ListLinksRequest { shop: "acme".into(), ..Default::default() };
    let links = client.list_links(request).await.unwrap().into_inner().links;
    assert!(links.iter().any(|it| it.slug == "sale") && links.iter().all(|it| it.golden_clicks.is_empty()));
}

#[tokio::test]
async fn golden_click_that_cannot_be_read_is_refused_with_its_path() {
    let (_server, mut client) = TestServer::with_shop().await;
    let named = |name: &str, visit| golden(name, visit, "page/sale");
    let visit = |change: fn(&mut TestVisit)| {
        let mut visit = TestVisit::default();
        change(&mut visit);
        vec![named("it", visit)]
    };
    let at = |field: &str| format!("link.golden_clicks[0].{field}");
    let cases = [
        (vec![named("", TestVisit::default())], "REQUIRED", at("name")),
        (vec![GoldenClick { name: "it".into(), ..Default::default() }], "REQUIRED", at("visit")),
        (vec![golden("it", TestVisit::default(), "//x")], "UNSAFE_DESTINATION", at("expected_destination")),
        (
            vec![GoldenClick { expected_rule: "No".into(), ..named("it", TestVisit::default()) }],
            "MALFORMED",
            at("expected_rule"),
        ),
        (
            vec![named("it", TestVisit::default()), named("it", TestVisit::default())],
            "DUPLICATE",
            "link.golden_clicks[1].name".to_owned(),
        ),
        (vec![named("it", TestVisit::default()); 51], "TOO_LONG", "link.golden_clicks".to_owned()),
        (visit(|it| it.partner = "a b".into()), "MALFORMED", at("visit.partner")),
        (visit(|it| it.query = "a#b".into()), "MALFORMED", at("visit.query")),
        (visit(|it| it.country = "UK".into()), "UNKNOWN_VALUE", at("visit.country")),
        (visit(|it| it.client_address = "1.2.3".into()), "MALFORMED", at("visit.client_address")),
        (visit(|it| it.device = 99), "UNKNOWN_VALUE", at("visit.device")),
        (visit(|it| it.os = "os/2".into()), "UNKNOWN_VALUE", at("visit.os")),
        (visit(|it| it.os_version = "x".into()), "MALFORMED", at("visit.os_version")),
        (visit(|it| it.browser = "netscape".into()), "UNKNOWN_VALUE", at("visit.browser")),
        (visit(|it| it.browser_version = "x".into()), "MALFORMED", at("visit.browser_version")),
        (visit(|it| it.user_agent = Some("x".repeat(8_193))), "TOO_LONG", at("visit.user_agent")),
        (visit(|it| it.visitor_id = "x".repeat(129)), "TOO_LONG", at("visit.visitor_id")),
        (visit(|it| it.visitor_total_visits = -1), "OUT_OF_RANGE", at("visit.visitor_total_visits")),
        (
            visit(|it| _ = it.attributes.insert("a b".into(), String::new())),
            "MALFORMED",
            at("visit.attributes[\"a b\"]"),
        ),
        (
            visit(|it| it.visit_time = Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 })),
            "OUT_OF_RANGE",
            at("visit.visit_time"),
        ),
    ];
    for (golden_clicks, reason, field) in cases {
        let link = proto::Link { golden_clicks, ..link("sale") };
        let request = proto::CreateLinkRequest { link: Some(link), ..Default::default() };
        let refused = refusal(&client.create_link(request).await.unwrap_err());
        assert_eq!(refused, (Code::InvalidArgument, reason.to_owned(), field));
    }
}
