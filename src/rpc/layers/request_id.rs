//! Names every call: takes the caller's `x-request-id` if it is sane, else makes one, and answers with it.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::{HeaderName, HeaderValue, Request, Response};
use tower::{Layer, Service};
use tracing::Instrument;
use uuid::{Builder, Uuid};

/// The header that carries the id both ways.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Bytes of an id that we take from a caller.
const MAX_BYTES: usize = 64;

tokio::task_local! {
    static CURRENT: CallId;
}

/// The id of a call: letters, digits and a few signs. A clone copies nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallId(HeaderValue);

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_str().unwrap_or_default())
    }
}

/// Returns the id of the call that this task works for.
pub fn current() -> Option<CallId> {
    CURRENT.try_with(CallId::clone).ok()
}

/// Works on for the call of this task in another one.
pub async fn keep<T>(id: Option<CallId>, work: impl Future<Output = T>) -> T {
    match id {
        Some(id) => CURRENT.scope(id, work).await,
        None => work.await,
    }
}

/// Names every call that passes.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestIdLayer;

impl<S> Layer<S> for RequestIdLayer {
    type Service = RequestId<S>;

    fn layer(&self, inner: S) -> RequestId<S> {
        RequestId { inner }
    }
}

/// See [`RequestIdLayer`].
#[derive(Clone, Debug)]
pub struct RequestId<S> {
    inner: S,
}

impl<S, B, R> Service<Request<B>> for RequestId<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let id = taken(&request).unwrap_or_else(made);
        let span = tracing::info_span!("call", request.id = %id, rpc.path = request.uri().path());
        // `call` runs inside the span and the scope too: a handler may do its work before it returns a future.
        let answer = CURRENT.sync_scope(id.clone(), || span.in_scope(|| self.inner.call(request)));
        let CallId(header) = id.clone();
        let named = async move {
            let mut response = answer.await?;
            response.headers_mut().insert(HEADER, header);
            Ok(response)
        };
        Box::pin(CURRENT.scope(id, named.instrument(span)))
    }
}

/// Takes the id that the caller sent, if it is one that a log line can hold.
fn taken<B>(request: &Request<B>) -> Option<CallId> {
    let header = request.headers().get(HEADER)?;
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    let sane = (1..=MAX_BYTES).contains(&header.len()) && header.as_bytes().iter().all(plain);
    sane.then(|| CallId(header.clone()))
}

/// Makes an id.
fn made() -> CallId {
    // From the thread's own generator: to ask the system costs as much as the rest of this layer.
    let id = Builder::from_random_bytes(rand::random()).into_uuid().simple();
    let header = HeaderValue::from_str(id.encode_lower(&mut Uuid::encode_buffer()));
    CallId(header.unwrap_or_else(|_| HeaderValue::from_static("none")))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tower::{ServiceBuilder, ServiceExt, service_fn};

    use super::*;

    async fn answered(sent: Option<&str>) -> (String, String) {
        let service =
            ServiceBuilder::new().layer(RequestIdLayer).service(service_fn(|_: Request<()>| async move {
                Ok::<_, Infallible>(Response::new(current().map(|id| id.to_string()).unwrap_or_default()))
            }));
        let mut request = Request::new(());
        if let Some(id) = sent {
            request.headers_mut().insert(HEADER, HeaderValue::from_bytes(id.as_bytes()).unwrap());
        }
        let response = service.oneshot(request).await.unwrap();
        let header = response.headers()[HEADER].to_str().unwrap().to_owned();
        (header, response.into_body())
    }

    #[tokio::test]
    async fn sane_id_is_taken_and_answered() {
        let (header, seen) = answered(Some("Order-7.retry:2")).await;
        assert_eq!(header, "Order-7.retry:2");
        assert_eq!(seen, header);
    }

    #[tokio::test]
    async fn missing_or_insane_id_is_made() {
        let long = "x".repeat(65);
        for sent in [None, Some(""), Some("a b"), Some("a\"b"), Some("é"), Some(long.as_str())] {
            let (header, seen) = answered(sent).await;
            assert_eq!(header.len(), 32, "{sent:?} was answered with {header}");
            assert_eq!(seen, header);
        }
    }

    #[test]
    fn there_is_no_id_outside_a_call() {
        assert_eq!(current(), None);
    }
}
