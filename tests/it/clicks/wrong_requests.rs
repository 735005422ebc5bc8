//! Every way to get a request for clicks wrong: one fault each, with the reason and the field that the caller is told.

use prost_types::{Duration, Timestamp};
use smartlinks::proto::{CheckLedgerRequest, ClickFilter, StreamClicksRequest, stream_clicks_request::Start};
use tonic::{Code, Status};

use crate::{
    admin::fixture::refusal,
    support::{database::Database, requests::create_shop, server::TestServer},
};

/// A filter of the shop.
fn acme() -> ClickFilter {
    ClickFilter { shop: "acme".into(), ..Default::default() }
}

fn only(filter: ClickFilter) -> StreamClicksRequest {
    StreamClicksRequest { filter: Some(filter), ..Default::default() }
}

fn silence(seconds: i64, nanos: i32) -> StreamClicksRequest {
    StreamClicksRequest { heartbeat: Some(Duration { seconds, nanos }), ..Default::default() }
}

fn time(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds, nanos: 0 })
}

fn times(start_time: Option<Timestamp>, end_time: Option<Timestamp>) -> StreamClicksRequest {
    StreamClicksRequest { start_time, end_time, ..Default::default() }
}

type Case = (StreamClicksRequest, &'static str, &'static str);

fn cases() -> Vec<Case> {
    let many = |count: usize| (0..count).map(|at| format!("a{at}")).collect::<Vec<_>>();
    let token = |text: &str| Start::AfterToken(text.to_owned());
    let from = |start: Start| StreamClicksRequest { start: Some(start), ..Default::default() };
    vec![
        (from(token("x")), "INVALID_STREAM_TOKEN", "after_token"),
        (from(token(&"A".repeat(1_000_000))), "INVALID_STREAM_TOKEN", "after_token"),
        (only(ClickFilter { shop: "Not A Shop".into(), ..acme() }), "MALFORMED", "filter.shop"),
        (only(ClickFilter { slugs: many(1), ..Default::default() }), "REQUIRED", "filter.shop"),
        (only(ClickFilter { partners: many(1), ..Default::default() }), "REQUIRED", "filter.shop"),
        (
            only(ClickFilter { slugs: vec!["ok".into(), "no slug".into()], ..acme() }),
            "MALFORMED",
            "filter.slugs[1]",
        ),
        (only(ClickFilter { slugs: many(101), ..acme() }), "TOO_LONG", "filter.slugs"),
        (only(ClickFilter { partners: vec!["?".into()], ..acme() }), "MALFORMED", "filter.partners[0]"),
        (only(ClickFilter { partners: many(101), ..acme() }), "TOO_LONG", "filter.partners"),
        (
            only(ClickFilter { traffic_classes: vec![1, 0], ..acme() }),
            "REQUIRED",
            "filter.traffic_classes[1]",
        ),
        (
            only(ClickFilter { traffic_classes: vec![77], ..acme() }),
            "UNKNOWN_VALUE",
            "filter.traffic_classes[0]",
        ),
        (only(ClickFilter { traffic_classes: vec![1; 101], ..acme() }), "TOO_LONG", "filter.traffic_classes"),
        (only(ClickFilter { reasons: vec![0], ..acme() }), "REQUIRED", "filter.reasons[0]"),
        (only(ClickFilter { reasons: vec![-1], ..acme() }), "UNKNOWN_VALUE", "filter.reasons[0]"),
        (only(ClickFilter { reasons: vec![1; 101], ..acme() }), "TOO_LONG", "filter.reasons"),
        (times(time(i64::MAX), None), "OUT_OF_RANGE", "start_time"),
        (times(None, time(i64::MIN)), "OUT_OF_RANGE", "end_time"),
        (times(time(100), time(100)), "OUT_OF_RANGE", "end_time"),
        (silence(0, 999_999_999), "OUT_OF_RANGE", "heartbeat"),
        (silence(60, 1), "OUT_OF_RANGE", "heartbeat"),
        (silence(-1, 0), "OUT_OF_RANGE", "heartbeat"),
        (silence(i64::MAX, i32::MAX), "OUT_OF_RANGE", "heartbeat"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn one_fault_is_told_with_its_reason_and_field() {
    let database = Database::create().await;
    let server = TestServer::ready(database.url()).await;
    server.admin().create_shop(create_shop("acme")).await.unwrap();
    for (request, reason, field) in cases() {
        let status = server.stats().stream_clicks(request).await.map(drop).unwrap_err();
        let expected = (Code::InvalidArgument, reason.to_owned(), field.to_owned());
        assert_eq!(refusal(&status), expected, "{status:?}");
        assert!(!status.message().ends_with('.'), "{status:?}");
    }
    let unknown = only(ClickFilter { shop: "nope".into(), ..Default::default() });
    let status = server.stats().stream_clicks(unknown).await.map(drop).unwrap_err();
    assert_eq!(refusal(&status), (Code::NotFound, "SHOP_NOT_FOUND".into(), String::new()));
    let check = async |start_time, end_time| -> Status {
        let request = CheckLedgerRequest { start_time, end_time };
        server.stats().check_ledger(request).await.map(drop).unwrap_err()
    };
    for (status, field) in [
        (check(time(i64::MAX), None).await, "start_time"),
        (check(None, Some(Timestamp { seconds: 0, nanos: -1 })).await, "end_time"),
        (check(time(7), time(6)).await, "end_time"),
    ] {
        let expected = (Code::InvalidArgument, "OUT_OF_RANGE".to_owned(), field.to_owned());
        assert_eq!(refusal(&status), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_faults_are_told_at_once() {
    use tonic_types::StatusExt;
    let database = Database::create().await;
    let server = TestServer::ready(database.url()).await;
    let filter = ClickFilter { slugs: vec!["?".into()], reasons: vec![99], ..Default::default() };
    let request = StreamClicksRequest {
        start: Some(Start::AfterToken("x".into())),
        end_time: time(i64::MAX),
        ..only(filter)
    };
    let status = server.stats().stream_clicks(request).await.map(drop).unwrap_err();
    let details = status.get_error_details();
    let fields: Vec<_> =
        details.bad_request().unwrap().field_violations.iter().map(|at| at.field.as_str()).collect();
    assert_eq!(fields, ["after_token", "filter.shop", "filter.slugs[0]", "filter.reasons[0]", "end_time"]);
}
