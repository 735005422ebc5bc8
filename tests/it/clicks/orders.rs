//! A shop with clicks and orders, for tests of conversions and erasures.

use jiff::Timestamp;
use smartlinks::{
    domain::click::Click,
    proto::{
        CheckLedgerRequest, CheckLedgerResponse, ConversionKind, ConversionOutcome, ConversionResult, Money,
        NewConversion, RecordConversionsRequest, RecordConversionsResponse, StreamClicksRequest,
        stream_clicks_response::Event,
    },
};
use tonic::Status;

use super::stream::next;
use crate::support::{clicks::Writer, database::Database, objects::put_shop, server::TestServer};

/// A server with a shop.
pub(super) struct World {
    pub(super) server: TestServer,
    pub(super) writer: Writer,
    pub(super) database: Database,
}

impl World {
    pub(super) async fn start() -> Self {
        let database = Database::create().await;
        let store = database.store();
        put_shop(&store, "acme").await;
        put_shop(&store, "other").await;
        let server = TestServer::ready(database.url()).await;
        Self { server, writer: Writer::new(&database, 1).await, database }
    }

    /// Records conversions of acme.
    pub(super) async fn record(&self, conversions: Vec<NewConversion>) -> RecordConversionsResponse {
        try_record(&self.server, "acme", conversions).await.unwrap()
    }

    /// Checks that the ledger agrees with the log.
    pub(super) async fn check(&self) -> CheckLedgerResponse {
        let answer =
            self.server.stats().check_ledger(CheckLedgerRequest::default()).await.unwrap().into_inner();
        assert!(answer.consistent, "{answer:?}");
        answer
    }

    /// Reads a stream to its end: tokens and events.
    pub(super) async fn read(&self, request: StreamClicksRequest) -> Vec<(String, Event)> {
        let mut stream = self.server.stats().stream_clicks(request).await.unwrap().into_inner();
        let mut events = Vec::new();
        while let Some(message) = next(&mut stream).await.unwrap() {
            events.push((message.token, message.event.unwrap()));
        }
        events
    }
}

/// Records conversions of a shop.
pub(super) async fn try_record(
    server: &TestServer,
    shop: &str,
    conversions: Vec<NewConversion>,
) -> Result<RecordConversionsResponse, Status> {
    let request = RecordConversionsRequest { shop: shop.into(), conversions };
    Ok(server.stats().record_conversions(request).await?.into_inner())
}

pub(super) fn time(time: Timestamp) -> Option<prost_types::Timestamp> {
    let nanos = time.subsec_nanosecond();
    Some(prost_types::Timestamp { seconds: time.as_second(), nanos })
}

/// An order in euros that this click brought about, at the time of the click.
pub(super) fn order(click: &Click, id: &str, amount: i64) -> NewConversion {
    NewConversion {
        order_id: id.into(),
        kind: ConversionKind::Order.into(),
        click_id: click.id.to_string(),
        conversion_time: time(click.id.time()),
        amount: Some(Money { currency: "EUR".into(), amount }),
        ..NewConversion::default()
    }
}

/// A refund of that order.
pub(super) fn refund(click: &Click, id: &str, refund: &str, amount: i64) -> NewConversion {
    NewConversion {
        kind: ConversionKind::Refund.into(),
        refund_id: refund.into(),
        click_id: String::new(),
        ..order(click, id, amount)
    }
}

/// What became of each, and the first field at fault with why.
pub(super) fn results(answer: &RecordConversionsResponse) -> Vec<(ConversionResult, String)> {
    let fault = |outcome: &ConversionOutcome| {
        outcome.violations.first().map_or_else(String::new, |violation| {
            let reason = violation.reason().as_str_name().trim_start_matches("ERROR_REASON_").to_owned();
            assert!(!violation.description.is_empty());
            format!("{} {reason}", violation.field)
        })
    };
    answer.outcomes.iter().map(|outcome| (outcome.result(), fault(outcome))).collect()
}

/// The same where nothing is at fault.
pub(super) fn sound(answer: &RecordConversionsResponse) -> Vec<ConversionResult> {
    let sound = |(result, fault): (ConversionResult, String)| {
        assert_eq!(fault, "");
        result
    };
    results(answer).into_iter().map(sound).collect()
}
