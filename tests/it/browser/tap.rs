//! Stands between a gateway and a server, and writes down every visit with its answer.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex},
};

use smartlinks::proto::{
    ExplainRequest, ExplainResponse, GetIndexStatusRequest, GetIndexStatusResponse, Purpose, ResolveRequest,
    ResolveResponse, ResolveStreamRequest, ResolveStreamResponse, link_resolver_client::LinkResolverClient,
    link_resolver_server::LinkResolver, resolve_stream_response::Outcome,
};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming, transport::Channel};

use super::seen::Seen;

/// A visit that was answered with a location.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    /// What the gateway asked.
    pub(super) request: ResolveRequest,
    /// What the server answered.
    pub(super) answer: ResolveResponse,
}

impl Visit {
    /// Tells whether it counts as a click.
    pub(super) fn is_click(&self) -> bool {
        self.request.purpose() == Purpose::Click
    }
}

/// Passes everything on.
pub(super) struct Tap {
    server: LinkResolverClient<Channel>,
    seen: Seen<Visit>,
}

impl Tap {
    /// Makes one before a server, and the list of what passes.
    pub(super) fn new(server: LinkResolverClient<Channel>) -> (Self, Seen<Visit>) {
        let seen = Seen::new();
        (Self { server, seen: seen.clone() }, seen)
    }
}

#[tonic::async_trait]
impl LinkResolver for Tap {
    type ResolveStreamStream = Pin<Box<dyn Stream<Item = Result<ResolveStreamResponse, Status>> + Send>>;

    async fn resolve(&self, _: Request<ResolveRequest>) -> Result<Response<ResolveResponse>, Status> {
        Err(Status::unimplemented("the gateway does not call this"))
    }

    async fn resolve_stream(
        &self,
        request: Request<Streaming<ResolveStreamRequest>>,
    ) -> Result<Response<Self::ResolveStreamStream>, Status> {
        let unanswered: Arc<Mutex<HashMap<u64, ResolveRequest>>> = Arc::default();
        let (asked, seen) = (Arc::clone(&unanswered), self.seen.clone());
        let requests = request.into_inner().map_while(Result::ok).map(move |item| {
            asked.lock().unwrap().insert(item.item, item.request.clone().unwrap());
            item
        });
        let answers = self.server.clone().resolve_stream(requests).await?.into_inner().map(move |answer| {
            if let Ok(ResolveStreamResponse { item, outcome }) = &answer {
                let request = unanswered.lock().unwrap().remove(item);
                if let (Some(request), Some(Outcome::Answer(answer))) = (request, outcome) {
                    seen.add(Visit { request, answer: answer.clone() });
                }
            }
            answer
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn explain(&self, _: Request<ExplainRequest>) -> Result<Response<ExplainResponse>, Status> {
        Err(Status::unimplemented("the gateway does not call this"))
    }

    async fn get_index_status(
        &self,
        _: Request<GetIndexStatusRequest>,
    ) -> Result<Response<GetIndexStatusResponse>, Status> {
        Err(Status::unimplemented("the gateway does not call this"))
    }
}
