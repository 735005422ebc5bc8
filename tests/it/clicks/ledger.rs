//! The ledger agrees with the log, and what somebody changes behind its back is found.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use smartlinks::{
    domain::click::Click,
    proto::{CheckLedgerRequest, CheckLedgerResponse, LedgerCheck, LedgerKind, LedgerSum},
};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::{
    clicks::{Writer, at, click},
    database::Database,
    server::{TestServer, execute, settings},
};

async fn check(server: &TestServer) -> CheckLedgerResponse {
    server.stats().check_ledger(CheckLedgerRequest::default()).await.unwrap().into_inner()
}

fn clicks(numbers: std::ops::Range<u64>, hours: i64) -> Vec<Click> {
    numbers.map(|number| click(at(number, SignedDuration::from_hours(hours)))).collect()
}

/// A log of three entries: 100 clicks of today, 60 of which 10 are there already, 30 of three days ago.
async fn log() -> (Database, TestServer) {
    let database = Database::create().await;
    let server = TestServer::ready(database.url()).await;
    let (mut one, mut two) = (Writer::new(&database, 1).await, Writer::new(&database, 2).await);
    let today = clicks(0..100, 0);
    let known: Vec<_> = today[..10].to_vec();
    one.add(today).await;
    two.add(known.into_iter().chain(clicks(200..250, 0)).collect()).await;
    one.add(clicks(300..330, 72)).await;
    (database, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_ledger_is_consistent() {
    let (database, server) = log().await;
    let answer = check(&server).await;
    let sum = LedgerSum {
        kind: LedgerKind::Clicks.into(),
        entries: 3,
        delivered: 190,
        applied: 180,
        duplicates: 10,
        ..Default::default()
    };
    let expected = CheckLedgerResponse {
        consistent: true,
        differences: Vec::new(),
        first_position: 1,
        last_position: 3,
        sums: vec![sum],
        present: 180,
        present_conversions: 0,
    };
    assert_eq!(answer, expected);
    drop(database);
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_ledger_is_consistent() {
    let database = Database::create().await;
    let server = TestServer::ready(database.url()).await;
    assert_eq!(check(&server).await, CheckLedgerResponse { consistent: true, ..Default::default() });
    execute(&database, "UPDATE clicks.head SET position = 7").await;
    assert!(!check(&server).await.consistent);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_behind_its_back_is_found() {
    let of_two = "batch = (SELECT batch FROM clicks.ledger WHERE position = 2)";
    let one_of_two = format!("ctid = (SELECT min(ctid) FROM clicks.click WHERE {of_two}) AND {of_two}");
    let rejected = "UPDATE clicks.ledger SET delivered = delivered + 1, rejected = 1 WHERE position = 1";
    let cases: Vec<(String, Vec<(LedgerCheck, i64)>)> = vec![
        (
            format!("DELETE FROM clicks.click WHERE {one_of_two}"),
            vec![(LedgerCheck::Clicks, 2), (LedgerCheck::Total, 0)],
        ),
        (
            format!("UPDATE clicks.click SET batch = 999 WHERE {one_of_two}"),
            vec![(LedgerCheck::Clicks, 2), (LedgerCheck::ForeignClicks, 0)],
        ),
        (
            "DELETE FROM clicks.ledger WHERE position = 2".to_owned(),
            vec![(LedgerCheck::Positions, 1), (LedgerCheck::ForeignClicks, 0), (LedgerCheck::Total, 0)],
        ),
        (
            "DELETE FROM clicks.ledger WHERE position = 3".to_owned(),
            vec![
                (LedgerCheck::Positions, 2),
                (LedgerCheck::Sequences, 1),
                (LedgerCheck::ForeignClicks, 0),
                (LedgerCheck::Total, 0),
            ],
        ),
        (
            "UPDATE clicks.ledger SET first_sequence = 102 WHERE position = 3".to_owned(),
            vec![(LedgerCheck::Sequences, 3)],
        ),
        (rejected.to_owned(), vec![(LedgerCheck::Rejected, 1)]),
    ];
    for (statement, expected) in cases {
        let (database, server) = log().await;
        execute(&database, &statement).await;
        let answer = check(&server).await;
        assert!(!answer.consistent, "{statement}");
        let found: Vec<_> = answer.differences.iter().map(|found| (found.check(), found.position)).collect();
        assert_eq!(found, expected, "{statement}: {:?}", answer.differences);
        assert!(answer.differences.iter().all(|found| found.expected != found.found));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn removed_clicks_are_accounted_for() {
    let (database, server) = log().await;
    let day = (Timestamp::now() - SignedDuration::from_hours(72)).strftime("%Y%m%d").to_string();
    // On its way out the day is still there: the ledger says nothing else.
    execute(&database, &format!("ALTER TABLE clicks.click DETACH PARTITION clicks.click_{day}")).await;
    let answer = check(&server).await;
    assert!(answer.consistent && answer.present == 180, "{answer:?}");
    execute(&database, &format!("DROP TABLE clicks.click_{day}")).await;
    assert_eq!(check(&server).await.differences.len(), 2);
    let expiry = format!(
        "WITH head AS (UPDATE clicks.head SET position = position + 1 RETURNING position)
         INSERT INTO clicks.ledger (position, batch, kind, removed, scope)
         SELECT position, nextval('clicks.batch'), 'expiry', 30,
             jsonb_build_object('day', to_date('{day}', 'YYYYMMDD')::text) FROM head"
    );
    execute(&database, &expiry).await;
    let answer = check(&server).await;
    assert!(answer.consistent, "{answer:?}");
    assert_eq!((answer.present, answer.sums.len(), answer.sums[1].removed), (150, 2, 30));
    // The expiry explains what is missing of its own day, and of no other.
    execute(&database, "DELETE FROM clicks.click WHERE ctid = (SELECT min(ctid) FROM clicks.click)").await;
    let checks: Vec<_> = check(&server).await.differences.iter().map(|found| found.check()).collect();
    assert_eq!(checks, [LedgerCheck::Clicks, LedgerCheck::Total]);
}

#[tokio::test(flavor = "multi_thread")]
async fn time_chooses_what_was_committed_in_it() {
    let (database, server) = log().await;
    let spread =
        "UPDATE clicks.ledger SET at = '2026-01-01T00:00:00Z'::timestamptz + position * interval '1 hour'";
    execute(&database, spread).await;
    let at = |text: &str| {
        let time: Timestamp = text.parse().unwrap();
        Some(prost_types::Timestamp { seconds: time.as_second(), nanos: 0 })
    };
    let ask = async |start: &str, end: &str| {
        let request = CheckLedgerRequest { start_time: at(start), end_time: at(end) };
        let answer = server.stats().check_ledger(request).await.unwrap().into_inner();
        (answer.consistent, answer.first_position, answer.last_position, answer.present)
    };
    assert_eq!(ask("2026-01-01T01:00:00Z", "2026-01-01T02:00:00Z").await, (true, 1, 1, 100));
    assert_eq!(ask("2026-01-01T02:00:00Z", "2026-01-01T09:00:00Z").await, (true, 2, 3, 80));
    assert_eq!(ask("2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z").await, (true, 0, 0, 0));
    execute(&database, "DELETE FROM clicks.click WHERE at < now() - interval '1 day'").await;
    assert_eq!(ask("2026-01-01T01:00:00Z", "2026-01-01T03:00:00Z").await, (true, 1, 2, 150));
    assert_eq!(ask("2026-01-01T03:00:00Z", "2026-01-01T09:00:00Z").await, (false, 3, 3, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn ledger_that_is_too_long_for_one_check_is_refused() {
    let database = Database::create().await;
    let mut quick = settings(database.url());
    quick.database.statement_timeout = Duration::from_millis(200);
    let server = TestServer::start(quick).await;
    server.wait_for(0).await;
    let mut holder = database.client().await;
    let locked = holder.transaction().await.unwrap();
    locked.batch_execute("LOCK TABLE clicks.ledger IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let refused: Status = server.stats().check_ledger(CheckLedgerRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(refused.get_error_details().error_info().unwrap().reason, "QUERY_TOO_BROAD");
    assert!(refused.message().contains("shorter time"), "{refused:?}");
}
