//! `ClickStats`: streams of clicks, conversions and erasures, figures, and the proof that nothing is missing.

mod check;
mod click;
mod conversion;
mod erase;
mod explain;
mod figures;
mod filter;
mod parcel;
mod query;
mod record;
mod split;
mod stream;
mod token;

use std::sync::Arc;

use futures_util::stream::BoxStream;
use tokio::sync::{Semaphore, watch};
use tonic::{Request, Response, Status};

pub use self::stream::StreamLimits;
pub(super) use self::{
    figures::{not_counted, sum, write_figures},
    filter::{members, times},
    query::Measures,
};
use super::{MAX_REQUEST_BYTES, caller::Caller};
use crate::{
    proto::{
        CheckLedgerRequest, CheckLedgerResponse, CheckSplitRequest, CheckSplitResponse, EraseClicksRequest,
        EraseClicksResponse, ExplainClickRequest, ExplainClickResponse, QueryStatsRequest,
        QueryStatsResponse, RecordConversionsRequest, RecordConversionsResponse, StreamClicksRequest,
        StreamClicksResponse,
        click_stats_server::{ClickStats, ClickStatsServer},
    },
    store::Store,
    telemetry::metrics::Metrics,
};

/// Calls that record conversions at a time; others wait.
const RECORDINGS: usize = 2;

/// Calls that erase at a time: each takes a connection of its own and keeps others from counting.
const ERASURES: usize = 2;

/// The service.
#[derive(Clone)]
pub struct ClickStatsService {
    store: Store,
    limits: StreamLimits,
    metrics: Metrics,
    /// One permit for each stream that may be open.
    streams: Arc<Semaphore>,
    /// Checks read much: one at a time.
    checks: Arc<Semaphore>,
    /// Those who record conversions of one shop wait for each other, each with a connection of those that streams read
    /// over: some are left to these.
    recordings: Arc<Semaphore>,
    /// One permit for each call that may erase.
    erasures: Arc<Semaphore>,
    /// True when the server is about to stop.
    stop: watch::Receiver<bool>,
}

impl ClickStatsService {
    /// Makes the service. When `stop` becomes true, or its sender is gone, streams end.
    pub fn server(
        store: Store,
        limits: StreamLimits,
        metrics: Metrics,
        stop: watch::Receiver<bool>,
    ) -> ClickStatsServer<Self> {
        let streams = Arc::new(Semaphore::new(limits.streams));
        let (checks, recordings) = (Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(RECORDINGS)));
        let erasures = Arc::new(Semaphore::new(ERASURES));
        ClickStatsServer::new(Self { store, limits, metrics, streams, checks, recordings, erasures, stop })
            .max_decoding_message_size(MAX_REQUEST_BYTES)
    }
}

#[tonic::async_trait]
impl ClickStats for ClickStatsService {
    type StreamClicksStream = BoxStream<'static, Result<StreamClicksResponse, Status>>;

    async fn stream_clicks(
        &self,
        request: Request<StreamClicksRequest>,
    ) -> Result<Response<Self::StreamClicksStream>, Status> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(stream::begin(self, caller, request.into_inner()).await?))
    }

    async fn query_stats(
        &self,
        request: Request<QueryStatsRequest>,
    ) -> Result<Response<QueryStatsResponse>, Status> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(figures::query(self, caller, request.into_inner()).await?))
    }

    async fn check_ledger(
        &self,
        request: Request<CheckLedgerRequest>,
    ) -> Result<Response<CheckLedgerResponse>, Status> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(check::check(self, caller, request.into_inner()).await?))
    }

    async fn record_conversions(
        &self,
        request: Request<RecordConversionsRequest>,
    ) -> Result<Response<RecordConversionsResponse>, Status> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(record::record(self, caller, request.into_inner()).await?))
    }

    async fn erase_clicks(
        &self,
        request: Request<EraseClicksRequest>,
    ) -> Result<Response<EraseClicksResponse>, Status> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(erase::erase(self, caller, request.into_inner()).await?))
    }

    async fn check_split(
        &self,
        request: Request<CheckSplitRequest>,
    ) -> Result<Response<CheckSplitResponse>, Status> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(split::check(&self.store, caller, request.into_inner()).await?))
    }

    async fn explain_click(
        &self,
        request: Request<ExplainClickRequest>,
    ) -> Result<Response<ExplainClickResponse>, Status> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(explain::explain(&self.store, caller, request.into_inner()).await?))
    }
}
