//! `Resolve` and `GetIndexStatus`.

use std::time::Duration;

use serde_json::json;
use smartlinks::{
    domain::click_id::ClickId,
    index::Record,
    proto::{
        Attribution, Channel, GetIndexStatusRequest, IndexSource, RedirectKind, RequestHeaders,
        ResolveReason, ResolveRequest, TrafficClass, link_resolver_client::LinkResolverClient,
        link_resolver_server::LinkResolverServer, resolve_request::Site,
    },
    telemetry::metrics::ResolveLabels,
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Status, transport::Server};
use tonic_types::StatusExt;

use super::fixture::{Acme, click, link, lookup, record};

/// Returns the reason of a failure, after checking that it has all that every failure has.
fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    let info = details.error_info().expect("every failure has an ErrorInfo");
    assert_eq!(info.domain, "smartlinks");
    let can_retry = status.code() == Code::Unavailable;
    assert_eq!(details.retry_info().is_some(), can_retry, "{status:?}");
    info.reason.clone()
}

#[tokio::test]
async fn click_is_answered_with_an_id() {
    let acme = Acme::new();
    let (mut client, _server) = acme.connect().await;
    let asked = ResolveRequest { partner: "Annie".to_owned(), query: "a=1".to_owned(), ..click("SALE") };
    let answer = client.resolve(asked).await.unwrap().into_inner();
    let id = ClickId::parse(&answer.click_id, jiff::Timestamp::now()).unwrap();
    let expected = format!("https://acme.example/sale?own=1&a=1&ref=anna&click_id={id}");
    assert_eq!(answer.location, expected);
    assert_eq!(answer.reason(), ResolveReason::Default);
    assert_eq!(answer.attribution(), Attribution::Credited);
    assert_eq!(answer.redirect(), RedirectKind::Found);
    assert_eq!(answer.traffic_class(), TrafficClass::Human);
    let named = (answer.shop.as_str(), answer.slug.as_str(), answer.partner.as_str(), answer.revision);
    assert_eq!(named, ("acme", "sale", "anna", 1));
}

#[tokio::test]
async fn lookup_has_no_click_id() {
    let acme = Acme::new();
    let (mut client, _server) = acme.connect().await;
    let answer = client.resolve(lookup("sale")).await.unwrap().into_inner();
    assert_eq!((answer.location.as_str(), answer.click_id.as_str()), ("https://acme.example/sale?own=1", ""));
    assert_eq!(answer.attribution(), Attribution::NoPartner);
}

#[tokio::test]
async fn rule_is_named() {
    let acme = Acme::new();
    let (mut client, _server) = acme.connect().await;
    let asked = ResolveRequest { client_address: "::ffff:127.0.0.9".to_owned(), ..lookup("sale") };
    let answer = client.resolve(asked).await.unwrap().into_inner();
    assert_eq!((answer.reason(), answer.rule_id.as_str()), (ResolveReason::Rule, "loop"));
    assert_eq!(answer.location, "https://acme.example/local");
}

#[tokio::test]
async fn nowhere_is_not_found_with_its_reason() {
    let acme = Acme::new();
    let (mut client, _server) = acme.connect().await;
    for (slug, expected) in [
        ("none", "LINK_NOT_FOUND"),
        ("expired", "LINK_EXPIRED"),
        ("early", "LINK_NOT_STARTED"),
        ("paused", "LINK_PAUSED"),
        ("deleted", "LINK_DELETED"),
    ] {
        let asked = ResolveRequest { site: Some(Site::Shop("acme".to_owned())), ..click(slug) };
        let status = client.resolve(asked).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, expected), "{slug}");
        let details = status.get_error_details();
        let metadata = &details.error_info().unwrap().metadata;
        assert_eq!(metadata.get("shop").map(String::as_str), Some("acme"));
        assert_eq!(metadata.get("slug").map(String::as_str), Some(slug));
    }
}

#[tokio::test]
async fn unknown_host_is_not_repeated() {
    let acme = Acme::new();
    let (mut client, _server) = acme.connect().await;
    let site = Some(Site::Host("evil.example".to_owned()));
    let status = client.resolve(ResolveRequest { site, ..click("<script>") }).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "SHOP_NOT_FOUND"));
    let shown = format!("{} {:?}", status.message(), status.get_error_details());
    assert!(!shown.contains("evil") && !shown.contains("script"), "{shown}");
}

#[tokio::test]
async fn fallback_answers_with_the_reason() {
    let acme = Acme::new();
    let (mut client, _server) = acme.connect().await;
    let site = Some(Site::Host("GO.bravo.example.:443".to_owned()));
    let answer = client.resolve(ResolveRequest { site, ..click("none") }).await.unwrap().into_inner();
    assert_eq!(answer.location, "https://bravo.example/sorry");
    assert_eq!((answer.reason(), answer.slug.as_str()), (ResolveReason::LinkNotFound, ""));
}

#[tokio::test]
async fn every_fault_stands_in_the_answer() {
    let acme = Acme::new();
    let (mut client, _server) = acme.connect().await;
    let long = Some(format!("\"{}\"", "x".repeat(8 * 1_024)));
    let headers = Some(RequestHeaders { sec_ch_ua_platform: long, ..RequestHeaders::default() });
    let asked = ResolveRequest {
        query: "a b".to_owned(),
        country: "T1".to_owned(),
        channel: 3,
        headers,
        min_revision: -1,
        ..ResolveRequest::default()
    };
    let status = client.resolve(asked).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "REQUIRED"));
    let details = status.get_error_details();
    let violations = &details.bad_request().unwrap().field_violations;
    let fields: Vec<_> = violations.iter().map(|violation| violation.field.as_str()).collect();
    let expected =
        ["purpose", "site", "query", "country", "channel", "headers.sec_ch_ua_platform", "min_revision"];
    assert_eq!(fields, expected);
}

#[tokio::test]
async fn visits_are_counted_by_their_channel() {
    let acme = Acme::new();
    let (mut client, _server) = acme.connect().await;
    for channel in [Channel::Unspecified, Channel::Link, Channel::Qr] {
        let asked = ResolveRequest { channel: channel.into(), ..lookup("plain") };
        let answer = client.resolve(asked).await.unwrap().into_inner();
        assert_eq!(answer.location, "https://acme.example/p", "{channel:?}");
    }
    let missed = ResolveRequest { channel: Channel::Qr.into(), ..lookup("none") };
    client.resolve(missed).await.unwrap_err();
    let counted =
        |reason, channel| acme.metrics.resolved.get_or_create(&ResolveLabels { reason, channel }).get();
    assert_eq!((counted("DEFAULT", "link"), counted("DEFAULT", "qr")), (2, 1));
    assert_eq!((counted("NOWHERE", "link"), counted("NOWHERE", "qr")), (0, 1));
}

#[tokio::test]
async fn call_without_a_caller_is_refused() {
    let acme = Acme::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::builder().add_service(LinkResolverServer::new(acme.service.clone()));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    let mut client = LinkResolverClient::connect(format!("http://{address}")).await.unwrap();
    let refused = [
        client.resolve(lookup("sale")).await.unwrap_err(),
        client.resolve_stream(tokio_stream::empty()).await.unwrap_err(),
        client.get_index_status(GetIndexStatusRequest {}).await.unwrap_err(),
    ];
    for status in refused {
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Unauthenticated, "NO_CREDENTIALS"));
    }
}

#[tokio::test]
async fn without_an_index_nothing_is_answered() {
    let mut acme = Acme::empty();
    let (mut client, _server) = acme.connect().await;
    let status = client.resolve(lookup("sale")).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "INDEX_NOT_LOADED"));
    let status = client.get_index_status(GetIndexStatusRequest {}).await.unwrap_err();
    assert_eq!(reason(&status), "INDEX_NOT_LOADED");
    acme.publish(super::fixture::records(), 1);
    assert!(client.resolve(lookup("sale")).await.is_ok());
}

#[tokio::test]
async fn answer_waits_for_its_revision() {
    let mut acme = Acme::new();
    let (mut client, _server) = acme.connect().await;
    let waiting =
        tokio::spawn(
            async move { client.resolve(ResolveRequest { min_revision: 2, ..lookup("new") }).await },
        );
    acme.publish(vec![record(link("new", 2, json!({"default_destination": "new"})))], 2);
    let answer = waiting.await.unwrap().unwrap().into_inner();
    assert_eq!((answer.location.as_str(), answer.revision), ("https://acme.example/new", 2));
}

#[tokio::test]
async fn revision_that_does_not_come_is_told_after_two_seconds() {
    let acme = Acme::new();
    let (mut client, _server) = acme.connect().await;
    let begun = std::time::Instant::now();
    let status = client.resolve(ResolveRequest { min_revision: 2, ..lookup("sale") }).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "INDEX_BEHIND"));
    assert!(begun.elapsed() >= Duration::from_secs(2));
}

#[tokio::test]
async fn revision_that_cannot_be_is_refused_at_once() {
    let acme = Acme::new();
    let (mut client, _server) = acme.connect().await;
    let asked = ResolveRequest { min_revision: i64::MAX, ..lookup("sale") };
    let status = client.resolve(asked).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "OUT_OF_RANGE"));
    let details = status.get_error_details();
    assert_eq!(details.bad_request().unwrap().field_violations[0].field, "min_revision");
}

#[tokio::test]
async fn state_of_the_index_is_told() {
    let mut acme = Acme::new();
    let (mut client, _server) = acme.connect().await;
    let broken = (0..=100).map(|number| Record::BrokenLink {
        shop: smartlinks::domain::name::ShopId::parse("acme").unwrap(),
        slug: smartlinks::domain::name::Slug::parse(&format!("broken-{number:03}")).unwrap(),
        revision: smartlinks::domain::revision::Revision(2),
        problem: "it is torn".to_owned(),
    });
    acme.publish(broken.collect(), 2);
    let confirmed = "2026-06-01T12:00:00.5Z".parse().unwrap();
    acme.live.confirm(confirmed);
    acme.live.repaired(3);
    let status = client.get_index_status(GetIndexStatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.revision, status.source()), (2, IndexSource::Database));
    assert_eq!((status.shops, status.partners, status.links, status.repairs), (2, 1, 10, 3));
    let confirm_time = prost_types::Timestamp { seconds: 1_780_315_200, nanos: 500_000_000 };
    assert_eq!(status.confirm_time, Some(confirm_time));
    assert_eq!((status.broken_links.len(), status.broken_link_count), (100, 101));
    assert_eq!(status.broken_links[0].slug, "broken-000");
    assert_eq!(status.broken_links[99].slug, "broken-099");
    assert_eq!(status.geo_build_time, None);
}
