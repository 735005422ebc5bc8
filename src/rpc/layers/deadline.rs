//! Answers `DEADLINE_EXCEEDED` a little before the caller's own deadline.
//!
//! tonic answers CANCELLED when `grpc-timeout` has passed. This layer is a little earlier, so its better answer wins. It
//! bounds the time to the headers of the answer: a stream that has begun is not cut.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::Either;
use http::{HeaderMap, Request, Response};
use tonic::{Status, body::Body};
use tower::{Layer, Service};

use crate::{proto::ErrorReason, rpc::status::Failure};

/// The header that carries the caller's time.
const HEADER: &str = "grpc-timeout";
/// How much earlier than the caller we give up.
const EARLIER: Duration = Duration::from_millis(20);
/// Digits of `grpc-timeout`.
const DIGITS: usize = 8;

/// Gives up before the caller does.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeadlineLayer;

impl<S> Layer<S> for DeadlineLayer {
    type Service = Deadline<S>;

    fn layer(&self, inner: S) -> Deadline<S> {
        Deadline { inner }
    }
}

/// See [`DeadlineLayer`].
#[derive(Clone, Debug)]
pub struct Deadline<S> {
    inner: S,
}

impl<S, B> Service<Request<B>> for Deadline<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<S::Future, Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let allowed = allowed(request.headers());
        let answer = self.inner.call(request);
        let Some(allowed) = allowed else { return Either::Left(answer) };
        Either::Right(Box::pin(async move {
            match tokio::time::timeout(shortened(allowed), answer).await {
                Ok(answer) => answer,
                Err(_) => Ok(passed(allowed).into_http()),
            }
        }))
    }
}

fn passed(allowed: Duration) -> Status {
    let text =
        format!("the call took longer than the {allowed:?} that its caller gave; give it more, or retry");
    Failure::new(ErrorReason::DeadlineExceeded, text).into()
}

/// Returns the time after which we give up: a little less than the caller's, and no less than half of it.
fn shortened(allowed: Duration) -> Duration {
    allowed.saturating_sub(EARLIER).max(allowed / 2)
}

/// Reads `grpc-timeout`: up to eight digits and a unit. What is no such thing sets no limit, as in tonic.
fn allowed(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(HEADER)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(value * 60 * 60)),
        "M" => Some(Duration::from_secs(value * 60)),
        "S" => Some(Duration::from_secs(value)),
        "m" => Some(Duration::from_millis(value)),
        "u" => Some(Duration::from_micros(value)),
        "n" => Some(Duration::from_nanos(value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, future::pending};

    use http::HeaderValue;
    use tonic::Code;
    use tower::{ServiceBuilder, ServiceExt, service_fn};

    use super::*;

    fn headers(timeout: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(HEADER.parse().unwrap(), HeaderValue::from_static(timeout))])
    }

    #[test]
    fn every_unit_is_read_and_nonsense_is_not() {
        for (text, read) in [
            ("2H", Some(Duration::from_secs(7_200))),
            ("3M", Some(Duration::from_secs(180))),
            ("4S", Some(Duration::from_secs(4))),
            ("99999999m", Some(Duration::from_millis(99_999_999))),
            ("5u", Some(Duration::from_micros(5))),
            ("6n", Some(Duration::from_nanos(6))),
            ("", None),
            ("S", None),
            ("1", None),
            ("1x", None),
            ("-1S", None),
            ("1.5S", None),
            ("123456789S", None),
        ] {
            assert_eq!(allowed(&headers(text)), read, "{text}");
        }
        assert_eq!(allowed(&HeaderMap::new()), None);
    }

    #[test]
    fn we_give_up_a_little_earlier_and_not_at_once() {
        assert_eq!(shortened(Duration::from_secs(1)), Duration::from_millis(980));
        assert_eq!(shortened(Duration::from_millis(10)), Duration::from_millis(5));
    }

    #[tokio::test(start_paused = true)]
    async fn call_that_hangs_is_answered_before_the_deadline() {
        let service = ServiceBuilder::new()
            .layer(DeadlineLayer)
            .service(service_fn(|_: Request<()>| pending::<Result<Response<Body>, Infallible>>()));
        let mut request = Request::new(());
        *request.headers_mut() = headers("1S");
        let started = tokio::time::Instant::now();
        let response = service.oneshot(request).await.unwrap();
        let status = Status::from_header_map(response.headers()).unwrap();
        assert_eq!(status.code(), Code::DeadlineExceeded);
        assert!(started.elapsed() < Duration::from_secs(1));
    }
}
