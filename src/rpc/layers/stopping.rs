//! Refuses calls that begin when the server has stopped taking them.
//!
//! The port is closed by then; what still comes, comes over connections that were open. Nothing was done for a call that
//! is refused here, so it may be made again elsewhere. The health service answers to the end.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::{Request, Response};
use tokio::sync::watch;
use tonic::{Status, body::Body};
use tower::{Layer, Service};

use crate::{proto::ErrorReason, rpc::status::Failure};

/// The service that says how the server is.
const HEALTH: &str = "/grpc.health.v1.Health/";

/// Refuses calls from a moment on.
#[derive(Clone, Debug)]
pub struct StoppingLayer {
    stop: watch::Receiver<bool>,
}

impl StoppingLayer {
    /// Refuses calls once `stop` is true.
    pub fn new(stop: watch::Receiver<bool>) -> Self {
        Self { stop }
    }
}

impl<S> Layer<S> for StoppingLayer {
    type Service = Stopping<S>;

    fn layer(&self, inner: S) -> Stopping<S> {
        Stopping { inner, stop: self.stop.clone() }
    }
}

/// See [`StoppingLayer`].
#[derive(Clone, Debug)]
pub struct Stopping<S> {
    inner: S,
    stop: watch::Receiver<bool>,
}

impl<S, B> Service<Request<B>> for Stopping<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if *self.stop.borrow() && !request.uri().path().starts_with(HEALTH) {
            let text = "the server is about to stop; ask another one";
            let refused = Status::from(Failure::new(ErrorReason::ShuttingDown, text)).into_http();
            return Box::pin(async { Ok(refused) });
        }
        Box::pin(self.inner.call(request))
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, future::ready};

    use tonic::Code;
    use tonic_types::StatusExt;
    use tower::{ServiceBuilder, ServiceExt, service_fn};

    use super::*;

    #[tokio::test]
    async fn calls_are_refused_from_the_stop_on_but_for_health() {
        let (stop, stopping) = watch::channel(false);
        let call = async |path: &str| {
            let service =
                ServiceBuilder::new().layer(StoppingLayer::new(stopping.clone())).service(service_fn(
                    |_: Request<()>| ready(Ok::<_, Infallible>(Status::not_found("here").into_http())),
                ));
            let request = Request::builder().uri(path).body(()).unwrap();
            Status::from_header_map(service.oneshot(request).await.unwrap().headers()).unwrap()
        };
        let resolve = "/smartlinks.v1.LinkResolver/ResolveStream";
        assert_eq!(call(resolve).await.code(), Code::NotFound);
        stop.send_replace(true);
        let refused = call(resolve).await;
        assert_eq!(refused.code(), Code::Unavailable);
        let details = refused.get_error_details();
        assert_eq!(details.error_info().unwrap().reason, "SHUTTING_DOWN");
        assert!(details.retry_info().is_some());
        assert_eq!(call("/grpc.health.v1.Health/Check").await.code(), Code::NotFound);
    }
}
