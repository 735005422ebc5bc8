//! Answers INTERNAL where a handler panicked: without this the caller sees a broken connection.

use std::any::Any;

use http::Response;
use tonic::{Status, body::Body};
use tower_http::catch_panic::CatchPanicLayer;

use crate::{proto::ErrorReason, rpc::status::Failure};

/// Turns a panic into an answer.
pub type PanicsLayer = CatchPanicLayer<fn(Box<dyn Any + Send>) -> Response<Body>>;

/// Makes the layer. It stands inside the layer that names calls, so that the log says which call it was.
pub fn layer() -> PanicsLayer {
    CatchPanicLayer::custom(answer)
}

/// Answers for a handler that panicked. What it panicked with is logged and not sent.
fn answer(panic: Box<dyn Any + Send>) -> Response<Body> {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let failure = Failure::internal(&Panicked(text.unwrap_or("no text").to_owned()));
    debug_assert_eq!(failure.reason(), ErrorReason::Internal);
    Status::from(failure).into_http()
}

/// A panic as the cause of a failure.
#[derive(Debug)]
struct Panicked(String);

impl std::fmt::Display for Panicked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a handler panicked: {}", self.0)
    }
}

impl std::error::Error for Panicked {}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::Request;
    use tonic::Code;
    use tower::{ServiceBuilder, ServiceExt, service_fn};

    use super::*;

    #[tokio::test]
    async fn panic_is_answered_as_internal_without_its_text() {
        let service =
            ServiceBuilder::new().layer(layer()).service(service_fn(|request: Request<Body>| async move {
                assert_eq!(request.uri().path(), "/nowhere", "the secret");
                Ok::<_, Infallible>(Response::new(Body::empty()))
            }));
        let response = service.oneshot(Request::new(Body::empty())).await.unwrap();
        let status = Status::from_header_map(response.headers()).unwrap();
        assert_eq!(status.code(), Code::Internal);
        assert!(!status.message().contains("secret"), "{status}");
    }
}
