//! Streams of clicks: every click once, in order, whoever is killed, cut off, slow or late.

mod content;
mod ends;
mod resuming;

use smartlinks::{
    proto::{
        StreamClicksRequest, StreamClicksResponse, click_stats_client::ClickStatsClient,
        stream_clicks_request::Start, stream_clicks_response::Event,
    },
    rpc::{
        click_stats::{ClickStatsService, StreamLimits},
        layers::authentication::AuthenticationLayer,
    },
    store::Store,
    telemetry::metrics::Metrics,
};
use tokio::{net::TcpListener, sync::watch, time::timeout};
use tonic::{
    Code, Status, Streaming,
    transport::{Channel, Endpoint, server::TcpIncoming},
};
use tonic_types::StatusExt;

use crate::support::{database::Database, server::PATIENCE};

/// What a consumer has.
#[derive(Default)]
struct Consumer {
    token: String,
    ids: Vec<String>,
}

impl Consumer {
    /// Stores a message; returns whether it is a heartbeat.
    fn take(&mut self, message: StreamClicksResponse) -> bool {
        assert!(message.token.len() <= 100, "{}", message.token);
        self.token = message.token;
        match message.event.expect("an event") {
            Event::Clicks(clicks) => {
                assert!((1..=1_000).contains(&clicks.clicks.len()));
                self.ids.extend(clicks.clicks.into_iter().map(|click| click.id));
                false
            }
            Event::Heartbeat(_) => true,
            Event::Conversions(_) | Event::Erasure(_) => panic!("nobody asked for it"),
        }
    }

    fn request(&self) -> StreamClicksRequest {
        StreamClicksRequest { start: Some(Start::AfterToken(self.token.clone())), ..Default::default() }
    }

    /// Reads from the last token to the end.
    async fn catch_up(&mut self, client: &mut ClickStatsClient<Channel>) {
        self.catch_up_with(client, self.request()).await;
    }

    async fn catch_up_with(&mut self, client: &mut ClickStatsClient<Channel>, request: StreamClicksRequest) {
        let mut stream = client.stream_clicks(request).await.unwrap().into_inner();
        while let Some(message) = next(&mut stream).await.unwrap() {
            self.take(message);
        }
    }
}

/// Returns the next message; a test that waits too long fails.
pub(super) async fn next(
    stream: &mut Streaming<StreamClicksResponse>,
) -> Result<Option<StreamClicksResponse>, Status> {
    timeout(PATIENCE, stream.message()).await.expect("nothing came")
}

/// Reads until the stream fails.
async fn failure(stream: &mut Streaming<StreamClicksResponse>) -> Status {
    loop {
        match next(stream).await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ended well"),
            Err(status) => return status,
        }
    }
}

/// Checks that a stream ended for this reason, and that its caller is told to resume.
fn is_to_resume(status: &Status, reason: &str) {
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, reason, "{status:?}");
    assert_eq!(status.code(), Code::Unavailable);
    assert!(details.retry_info().is_some());
    assert!(status.message().contains("resume with the last token"), "{status:?}");
}

/// Returns the ids of every click in the order of the ledger.
async fn in_order(database: &Database) -> Vec<String> {
    let query =
        "SELECT id::text FROM clicks.click JOIN clicks.ledger USING (batch) ORDER BY position, sequence";
    let rows = database.client().await.query(query, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

fn following() -> StreamClicksRequest {
    StreamClicksRequest { follow: true, ..Default::default() }
}

/// Serves streams with limits of the test's own, to callers that take in 64 KiB ahead.
async fn serve(store: Store, limits: StreamLimits) -> (ClickStatsClient<Channel>, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopping) = watch::channel(false);
    let service = ClickStatsService::server(store, limits, Metrics::new().0, stopping);
    let serving = tonic::transport::Server::builder()
        .layer(AuthenticationLayer::open())
        .add_service(service)
        .serve_with_incoming(TcpIncoming::from(listener));
    tokio::spawn(serving);
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let channel = endpoint.initial_stream_window_size(65_535).connect().await.unwrap();
    (ClickStatsClient::new(channel), stop)
}
