//! `Explain`.

use serde_json::{Value, json};
use smartlinks::{
    domain::click_id::ClickId,
    proto::{
        self, Attribution, ExplainRequest, ExplainedCondition, ExplainedFact, FactOrigin, FactState,
        ParameterFate, PartnerNamedBy, Purpose, RequestHeaders, ResolveRequest, ResolveResponse,
        RuleStanding, SharingDecision, Truth, VisitFact, Visitor, explain_response::Outcome,
        resolve_request::Site,
    },
};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::fixture::{Acme, click, link, lookup, record};

const PHONE: &str = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36";

fn asked(request: ResolveRequest) -> ExplainRequest {
    ExplainRequest { request: Some(request) }
}

/// Explains a visit, after checking that Resolve says the same to it.
async fn explain(acme: &Acme, request: ResolveRequest) -> (ResolveResponse, proto::Explanation) {
    let (mut client, _server) = acme.connect().await;
    let resolved = client.resolve(request.clone()).await.unwrap().into_inner();
    let explained = client.explain(asked(request)).await.unwrap().into_inner();
    let Some(Outcome::Answer(answer)) = explained.outcome else { panic!("{explained:?}") };
    assert_eq!(answer, resolved);
    (answer, explained.explanation.unwrap())
}

/// A link whose one rule has this condition.
fn ruled(when: Value) -> Vec<smartlinks::index::Record> {
    let rules = json!([{"id": "only", "when": when, "then": {"destination": "only"}}]);
    vec![record(link("ruled", 2, json!({"default_destination": "x", "rules": rules})))]
}

fn of_only_rule(explanation: &proto::Explanation) -> &ExplainedCondition {
    explanation.rules[0].when.as_ref().unwrap()
}

/// Asks a link with this one condition, and returns the fact that it looked at.
async fn fact(when: Value, request: ResolveRequest) -> ExplainedFact {
    let mut acme = Acme::new();
    acme.publish(ruled(when), 2);
    let (_, explanation) = explain(&acme, ResolveRequest { slug: "ruled".to_owned(), ..request }).await;
    of_only_rule(&explanation).facts[0].clone()
}

fn headers(change: impl FnOnce(&mut RequestHeaders)) -> ResolveRequest {
    let mut headers = RequestHeaders::default();
    change(&mut headers);
    ResolveRequest { headers: Some(headers), ..lookup("ruled") }
}

#[tokio::test]
async fn rules_are_told_in_their_order_with_every_fact_and_its_origin() {
    let mut request = headers(|headers| headers.user_agent = Some(PHONE.to_owned()));
    request.slug = "sale".to_owned();
    request.partner = "Annie".to_owned();
    request.query = "own=2&a=1&ref=x".to_owned();
    let (answer, explanation) = explain(&Acme::new(), request).await;
    assert_eq!((answer.rule_id.as_str(), explanation.destination.as_str()), ("phone", "m"));
    let standings: Vec<_> = explanation.rules.iter().map(|rule| rule.standing()).collect();
    assert_eq!(standings, [RuleStanding::Decides, RuleStanding::NotAsked]);
    let phone = of_only_rule(&explanation);
    assert_eq!((phone.path.as_str(), phone.truth()), ("when", Truth::True));
    let device = &phone.facts[0];
    assert_eq!((device.fact(), device.state()), (VisitFact::Device, FactState::Known));
    assert_eq!((device.value.as_str(), device.origin()), ("mobile", FactOrigin::UserAgent));
    let address = &explanation.rules[1].when.as_ref().unwrap().facts[0];
    assert_eq!((address.state(), address.origin()), (FactState::Unknown, FactOrigin::Caller));
    assert_eq!(address.note, "the caller sent no address");

    let credit = explanation.credit.as_ref().unwrap();
    assert_eq!((credit.named_by(), credit.named.as_str()), (PartnerNamedBy::Path, "Annie"));
    assert_eq!((credit.partner.as_str(), credit.credited), ("anna", true));
    assert_eq!(credit.sharing(), SharingDecision::Everyone);
    let written: String = explanation.location_steps.iter().map(|step| step.written.as_str()).collect();
    assert_eq!(written, answer.location);
    assert_eq!(written, "https://acme.example/m?own=2&a=1&ref=anna");
    let left_out: Vec<_> = explanation
        .location_steps
        .iter()
        .filter(|step| step.written.is_empty())
        .map(|step| (step.parameter.as_str(), step.fate()))
        .collect();
    assert_eq!(left_out, [("ref=x", ParameterFate::OwnName)]);
    let link = explanation.link.as_ref().unwrap();
    assert_eq!((link.slug.as_str(), link.asked, link.revision), ("sale", true, 1));
}

#[tokio::test]
async fn origin_is_where_the_fact_was_found() {
    let device = || json!({"is": {"device": ["tablet"]}});
    let hinted = headers(|headers| {
        headers.user_agent = Some(PHONE.to_owned());
        headers.sec_ch_ua_form_factors = Some("\"Tablet\"".to_owned());
    });
    let hinted = fact(device(), hinted).await;
    assert_eq!((hinted.value.as_str(), hinted.origin()), ("tablet", FactOrigin::ClientHints));
    let bare = fact(device(), headers(|_| {})).await;
    assert_eq!((bare.state(), bare.origin()), (FactState::Unknown, FactOrigin::UserAgent));
    assert_eq!(bare.note, "no User-Agent was sent");

    let country = || json!({"is": {"country": ["DE"]}});
    let said = ResolveRequest { country: "de".to_owned(), ..lookup("ruled") };
    let said = fact(country(), said).await;
    assert_eq!((said.value.as_str(), said.origin()), ("DE", FactOrigin::Caller));
    let of_address = ResolveRequest { client_address: "8.8.8.8".to_owned(), ..lookup("ruled") };
    let of_address = fact(country(), of_address).await;
    assert_eq!((of_address.state(), of_address.origin()), (FactState::Unknown, FactOrigin::GeoDatabase));
    assert_eq!(of_address.note, "the server has no country database");

    let language = || json!({"is": {"language": ["de"]}});
    let german = headers(|headers| headers.accept_language = Some("fr, de-AT;q=0.5".to_owned()));
    let german = fact(language(), german).await;
    assert_eq!((german.value.as_str(), german.origin()), ("de", FactOrigin::AcceptLanguage));
    let french = fact(language(), headers(|headers| headers.accept_language = Some("fr".to_owned()))).await;
    assert_eq!(french.state(), FactState::Absent);

    let referrer = json!({"is": {"referrer_host": {"hosts": ["a.example"], "include_subdomains": false}}});
    let nowhere = fact(referrer.clone(), headers(|_| {})).await;
    assert_eq!((nowhere.state(), nowhere.note.as_str()), (FactState::Absent, "no Referer was sent"));
    let unsent = fact(referrer, lookup("ruled")).await;
    assert_eq!((unsent.state(), unsent.origin()), (FactState::Unknown, FactOrigin::Referer));

    let total = || json!({"is": {"visitor_total_visits": {"at_least": 2}}});
    let visitor = |from_cookie| {
        let visitor = Visitor { id: "v".to_owned(), total_visits: 3, from_cookie };
        ResolveRequest { visitor: Some(visitor), ..lookup("ruled") }
    };
    let told = fact(total(), visitor(false)).await;
    assert_eq!((told.value.as_str(), told.origin()), ("3", FactOrigin::Caller));
    let cookie = fact(total(), visitor(true)).await;
    assert_eq!((cookie.state(), cookie.origin()), (FactState::Unknown, FactOrigin::Cookie));
    assert_eq!(cookie.note, "the shop knows visitors for a day, without cookies");

    let counter = fact(json!({"is": {"link_total_visits": {"at_most": 50}}}), lookup("ruled")).await;
    assert_eq!((counter.state(), counter.origin()), (FactState::Unknown, FactOrigin::Counter));
    let bot = json!({"is": {"traffic": ["bot"]}});
    let bot = fact(bot, headers(|headers| headers.user_agent = Some("curl/8.5.0".to_owned()))).await;
    assert_eq!((bot.value.as_str(), bot.origin()), ("bot", FactOrigin::UserAgent));
}

#[tokio::test]
async fn visit_that_goes_nowhere_is_explained_too() {
    let acme = Acme::new();
    let (mut client, _server) = acme.connect().await;
    for (slug, code, reason) in [
        ("paused", "LINK_PAUSED", "the link is paused"),
        ("early", "LINK_NOT_STARTED", "the link has not started"),
        ("expired", "LINK_EXPIRED", "the link has expired"),
    ] {
        let explained = client.explain(asked(lookup(slug))).await.unwrap().into_inner();
        let Some(Outcome::Failure(failure)) = explained.outcome else { panic!("{explained:?}") };
        assert_eq!(
            (failure.code, failure.reason().as_str_name()),
            (5, format!("ERROR_REASON_{code}").as_str())
        );
        let link = explained.explanation.unwrap().link.unwrap();
        assert_eq!((link.asked, link.reason.as_str()), (false, reason));
    }
    let nothing = client.explain(asked(lookup("none"))).await.unwrap().into_inner();
    assert_eq!(nothing.explanation.unwrap().link, None);
    let site = Some(Site::Shop("nobodys".to_owned()));
    let status = client.explain(asked(ResolveRequest { site, ..lookup("x") })).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
}

fn fields(status: &Status) -> Vec<String> {
    assert_eq!(status.code(), Code::InvalidArgument);
    let details = status.get_error_details();
    let violations = details.bad_request().unwrap().field_violations.iter();
    violations.map(|violation| violation.field.clone()).collect()
}

#[tokio::test]
async fn nonsense_is_refused_as_by_resolve_with_the_path_of_the_request() {
    let acme = Acme::new();
    let (mut client, _server) = acme.connect().await;
    let nonsense = ResolveRequest {
        query: "a b".to_owned(),
        country: "T1".to_owned(),
        client_address: "here".to_owned(),
        min_revision: -1,
        purpose: Purpose::Lookup.into(),
        ..ResolveRequest::default()
    };
    let resolve = fields(&client.resolve(nonsense.clone()).await.unwrap_err());
    let explain = fields(&client.explain(asked(nonsense)).await.unwrap_err());
    let expected: Vec<_> = resolve.iter().map(|field| format!("request.{field}")).collect();
    assert_eq!(explain, expected);
    assert!(explain.len() > 4, "{explain:?}");
    let unset = client.explain(ExplainRequest::default()).await.unwrap_err();
    assert_eq!(fields(&unset), ["request"]);
    let clicked = client.explain(asked(click("sale"))).await.unwrap_err();
    assert_eq!(fields(&clicked), ["request.purpose"]);
    let no_such = client.explain(asked(ResolveRequest { purpose: 7, ..lookup("sale") })).await.unwrap_err();
    assert_eq!(fields(&no_such), ["request.purpose"]);
    let with_id = ResolveRequest {
        click_id: ClickId::new(jiff::Timestamp::now(), [1; 10]).to_string(),
        ..lookup("sale")
    };
    assert_eq!(fields(&client.explain(asked(with_id)).await.unwrap_err()), ["request.click_id"]);
    let ahead = ResolveRequest { min_revision: 9_000_000, ..lookup("sale") };
    assert_eq!(fields(&client.explain(asked(ahead)).await.unwrap_err()), ["request.min_revision"]);
}

#[tokio::test]
async fn nothing_is_counted_and_the_purpose_may_be_left_out() {
    let acme = Acme::new();
    let (mut client, _server) = acme.connect().await;
    let request = ResolveRequest { purpose: Purpose::Unspecified.into(), ..lookup("plain") };
    let explained = client.explain(asked(request)).await.unwrap().into_inner();
    let Some(Outcome::Answer(answer)) = explained.outcome else { panic!("{explained:?}") };
    assert_eq!((answer.location.as_str(), answer.click_id.as_str()), ("https://acme.example/p", ""));
    assert_eq!((answer.attribution(), answer.counted), (Attribution::NoPartner, false));
    assert_eq!(acme.resolved("DEFAULT"), 0);
}

#[tokio::test]
async fn without_an_index_there_is_no_explanation() {
    let acme = Acme::empty();
    let (mut client, _server) = acme.connect().await;
    let status = client.explain(asked(lookup("sale"))).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
}
