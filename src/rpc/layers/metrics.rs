//! Counts and times every call.

use std::{
    collections::{HashMap, HashSet},
    future::Future,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Instant,
};

use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use prost::Message;
use tonic::{
    Code,
    body::Body,
    codegen::{Body as HttpBody, Bytes, StdError},
};
use tower::{Layer, Service};

use crate::proto;

/// Bounds of the times, in seconds: a Resolve takes microseconds, a batch seconds.
const BUCKETS: [f64; 14] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0];
/// What stands for calls that do not exist, so that callers cannot make up labels.
const UNKNOWN: &str = "unknown";
/// How many codes gRPC has.
const CODES: usize = Code::Unauthenticated as usize + 1;

/// What is counted of calls. Clones share everything.
#[derive(Clone)]
pub struct CallMetrics {
    families: Arc<Families>,
    /// By path.
    methods: Arc<HashMap<String, Arc<Method>>>,
    unknown: Arc<Method>,
}

struct Families {
    answered: Family<Answered, Counter>,
    seconds: Family<Called, Histogram, fn() -> Histogram>,
    in_flight: Gauge,
}

/// A call of the contract with its metrics, each looked up when it is needed first: a family takes a lock each time.
struct Method {
    name: Arc<str>,
    seconds: OnceLock<Histogram>,
    answered: [OnceLock<Counter>; CODES],
}

/// Says which call it was.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Called {
    method: Arc<str>,
}

/// Says which call it was and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: Arc<str>,
    code: &'static str,
}

impl CallMetrics {
    /// Makes the metrics and registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let families = Families {
            answered: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            in_flight: Gauge::default(),
        };
        registry.register("rpc_calls", "gRPC calls that ended, by how", families.answered.clone());
        registry.register(
            "rpc_call_seconds",
            "Time from the headers of a gRPC call to the end of its answer",
            families.seconds.clone(),
        );
        registry.register(
            "rpc_calls_in_flight",
            "gRPC calls that have not ended",
            families.in_flight.clone(),
        );
        let methods = methods().into_iter().map(|name| (format!("/{name}"), Method::named(&name))).collect();
        Self { families: Arc::new(families), methods: Arc::new(methods), unknown: Method::named(UNKNOWN) }
    }

    fn begin(&self, path: &str) -> Call {
        self.families.in_flight.inc();
        let method = Arc::clone(self.methods.get(path).unwrap_or(&self.unknown));
        let families = Arc::clone(&self.families);
        // Dropped before its end the call was cut off: by its caller, or with its connection.
        Call { families, method, started: Instant::now(), code: Code::Cancelled }
    }
}

impl Method {
    fn named(name: &str) -> Arc<Self> {
        let answered = std::array::from_fn(|_| OnceLock::new());
        Arc::new(Self { name: name.into(), seconds: OnceLock::new(), answered })
    }

    fn seconds(&self, families: &Families) -> &Histogram {
        self.seconds
            .get_or_init(|| families.seconds.get_or_create_owned(&Called { method: Arc::clone(&self.name) }))
    }

    fn answered(&self, code: Code, families: &Families) -> &Counter {
        self.answered[code as usize].get_or_init(|| {
            let answered = Answered { method: Arc::clone(&self.name), code: name(code) };
            families.answered.get_or_create_owned(&answered)
        })
    }
}

/// Returns every call of the contract, as `package.Service/Method`.
fn methods() -> HashSet<String> {
    // The descriptors are ours; if they did not decode, every call would be named unknown.
    let files = prost_types::FileDescriptorSet::decode(proto::DESCRIPTORS).unwrap_or_default();
    let mut methods = HashSet::from([
        "grpc.health.v1.Health/Check".to_owned(),
        "grpc.health.v1.Health/Watch".to_owned(),
        "grpc.reflection.v1.ServerReflection/ServerReflectionInfo".to_owned(),
        "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo".to_owned(),
    ]);
    for file in &files.file {
        for service in &file.service {
            let name = format!("{}.{}", file.package(), service.name());
            methods.extend(service.method.iter().map(|method| format!("{name}/{}", method.name())));
        }
    }
    methods
}

/// A call that has not ended; ends when it is dropped.
struct Call {
    families: Arc<Families>,
    method: Arc<Method>,
    started: Instant,
    code: Code,
}

impl Call {
    /// Takes the code from headers or trailers, if they have one.
    fn look(&mut self, headers: &HeaderMap) {
        if let Some(code) = headers.get("grpc-status") {
            self.code = Code::from_bytes(code.as_bytes());
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.families.in_flight.dec();
        self.method.seconds(&self.families).observe(self.started.elapsed().as_secs_f64());
        self.method.answered(self.code, &self.families).inc();
    }
}

/// Returns the name of a code as gRPC writes it.
fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// Counts and times the calls that pass.
#[derive(Clone)]
pub struct MetricsLayer {
    metrics: CallMetrics,
}

impl MetricsLayer {
    /// Counts into these metrics.
    pub fn new(metrics: CallMetrics) -> Self {
        Self { metrics }
    }
}

impl<S> Layer<S> for MetricsLayer {
    type Service = Metrics<S>;

    fn layer(&self, inner: S) -> Metrics<S> {
        Metrics { inner, metrics: self.metrics.clone() }
    }
}

/// See [`MetricsLayer`].
#[derive(Clone)]
pub struct Metrics<S> {
    inner: S,
    metrics: CallMetrics,
}

impl<S, B, R> Service<Request<B>> for Metrics<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    R: HttpBody<Data = Bytes> + Send + 'static,
    R::Error: Into<StdError>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let mut call = self.metrics.begin(request.uri().path());
        let answer = self.inner.call(request);
        Box::pin(async move {
            let response = answer.await?;
            // A failure before the first message stands in the headers, what comes later in the trailers.
            call.look(response.headers());
            Ok(response.map(|body| {
                Body::new(body.map_frame(move |frame| {
                    if let Some(trailers) = frame.trailers_ref() {
                        call.look(trailers);
                    }
                    frame
                }))
            }))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, future::ready};

    use prometheus_client::encoding::text;
    use tonic::Status;
    use tower::{ServiceBuilder, ServiceExt, service_fn};

    use super::*;
    use crate::{proto::ErrorReason, rpc::status::Failure};

    async fn counted(path: &str, answer: Response<Body>, read: bool) -> String {
        let mut registry = Registry::default();
        let metrics = CallMetrics::register(&mut registry);
        let answer = std::sync::Mutex::new(Some(answer));
        let service =
            ServiceBuilder::new().layer(MetricsLayer::new(metrics)).service(service_fn(|_: Request<()>| {
                ready(Ok::<_, Infallible>(answer.lock().unwrap().take().unwrap()))
            }));
        let response = service.oneshot(Request::builder().uri(path).body(()).unwrap()).await.unwrap();
        if read {
            response.into_body().collect().await.unwrap();
        } else {
            drop(response);
        }
        let mut page = String::new();
        text::encode(&mut page, &registry).unwrap();
        page
    }

    #[tokio::test]
    async fn failure_in_the_headers_is_counted_by_its_code() {
        let failure = Status::from(Failure::new(ErrorReason::LinkNotFound, "")).into_http();
        let page = counted("/smartlinks.v1.LinkAdmin/GetLink", failure, true).await;
        let line = r#"rpc_calls_total{method="smartlinks.v1.LinkAdmin/GetLink",code="NOT_FOUND"} 1"#;
        assert!(page.contains(line), "{page}");
        assert!(
            page.contains(r#"rpc_call_seconds_count{method="smartlinks.v1.LinkAdmin/GetLink"} 1"#),
            "{page}"
        );
        assert!(page.contains("rpc_calls_in_flight 0"), "{page}");
    }

    #[tokio::test]
    async fn code_in_the_trailers_is_counted() {
        let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
        let body = http_body_util::Empty::<Bytes>::new();
        let body = body.with_trailers(ready(Some(Ok(trailers))));
        let page = counted("/smartlinks.v1.LinkAdmin/ListLinks", Response::new(Body::new(body)), true).await;
        assert!(page.contains(r#"method="smartlinks.v1.LinkAdmin/ListLinks",code="OK"} 1"#), "{page}");
    }

    #[tokio::test]
    async fn answer_that_nobody_waits_for_is_cancelled() {
        let page = counted("/smartlinks.v1.LinkAdmin/ListLinks", Response::new(Body::empty()), false).await;
        assert!(page.contains(r#"code="CANCELLED"} 1"#), "{page}");
    }

    #[tokio::test]
    async fn calls_that_do_not_exist_share_one_label() {
        let page = counted("/made.up/Name", Response::new(Body::empty()), false).await;
        assert!(page.contains(r#"rpc_calls_total{method="unknown""#) && !page.contains("made.up"), "{page}");
    }
}
