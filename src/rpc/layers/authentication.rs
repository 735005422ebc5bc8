//! Lets calls pass that carry the server's token, or all of them where it has none.

use std::{
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::Either;
use http::{HeaderMap, Request, Response, header::AUTHORIZATION};
use subtle::ConstantTimeEq;
use tonic::{Status, body::Body};
use tower::{Layer, Service};

use crate::{
    proto::ErrorReason,
    rpc::{caller::Caller, status::Failure},
};

/// Probes of orchestrators carry no token, and learn nothing but whether we serve.
const OPEN: &str = "/grpc.health.v1.Health/";

/// Knows who may call.
#[derive(Clone)]
pub struct AuthenticationLayer {
    token: Option<Arc<str>>,
}

impl AuthenticationLayer {
    /// Lets everyone pass: for a server where only its own machine can call.
    pub fn open() -> Self {
        Self { token: None }
    }

    /// Lets those pass who send `authorization: Bearer …` with this token.
    pub fn with_token(token: &str) -> Self {
        Self { token: Some(token.into()) }
    }

    /// Returns who calls.
    fn caller(&self, headers: &HeaderMap) -> Result<Caller, Failure> {
        let Some(token) = &self.token else { return Ok(Caller::Local) };
        let Some(sent) = headers.get(AUTHORIZATION) else {
            let text = "the call carries no token; send `authorization: Bearer …`";
            return Err(Failure::new(ErrorReason::NoCredentials, text));
        };
        let (scheme, credentials) = split(sent.as_bytes());
        let is_ours = bool::from(credentials.ct_eq(token.as_bytes()));
        if scheme.eq_ignore_ascii_case(b"bearer") && is_ours {
            return Ok(Caller::Token);
        }
        let text = "the token is not the one that the server was given";
        Err(Failure::new(ErrorReason::InvalidCredentials, text))
    }
}

/// Cuts the header at its first space.
fn split(header: &[u8]) -> (&[u8], &[u8]) {
    match header.iter().position(|&byte| byte == b' ') {
        Some(at) => (&header[..at], header[at + 1..].trim_ascii()),
        None => (header, &[]),
    }
}

impl<S> Layer<S> for AuthenticationLayer {
    type Service = Authentication<S>;

    fn layer(&self, inner: S) -> Authentication<S> {
        Authentication { inner, layer: self.clone() }
    }
}

/// See [`AuthenticationLayer`].
#[derive(Clone)]
pub struct Authentication<S> {
    inner: S,
    layer: AuthenticationLayer,
}

impl<S, B> Service<Request<B>> for Authentication<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Response<Body>, S::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        match self.layer.caller(request.headers()) {
            Ok(caller) => {
                request.extensions_mut().insert(caller);
                Either::Left(self.inner.call(request))
            }
            Err(_) if request.uri().path().starts_with(OPEN) => Either::Left(self.inner.call(request)),
            Err(refused) => Either::Right(ready(Ok(Status::from(refused).into_http()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::HeaderValue;
    use tonic::Code;
    use tonic_types::StatusExt;
    use tower::{ServiceBuilder, ServiceExt, service_fn};

    use super::*;

    /// Calls a server with this layer; says who called, or why the call was refused.
    async fn call(
        layer: AuthenticationLayer,
        header: Option<&str>,
        path: &str,
    ) -> Result<Option<Caller>, Status> {
        let (sent, mut received) = tokio::sync::mpsc::channel(1);
        let service = ServiceBuilder::new().layer(layer).service(service_fn(|request: Request<()>| {
            let caller = request.extensions().get::<Caller>().copied();
            sent.try_send(caller).unwrap();
            ready(Ok::<_, Infallible>(Response::new(Body::empty())))
        }));
        let mut request = Request::builder().uri(path).body(()).unwrap();
        if let Some(header) = header {
            request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_str(header).unwrap());
        }
        let response = service.oneshot(request).await.unwrap();
        match received.try_recv() {
            Ok(caller) => Ok(caller),
            Err(_) => Err(Status::from_header_map(response.headers()).unwrap()),
        }
    }

    async fn refused(header: Option<&str>) -> (Code, String) {
        let layer = AuthenticationLayer::with_token("s3cret");
        let status = call(layer, header, "/smartlinks.v1.LinkAdmin/GetShop").await.unwrap_err();
        let reason = status.get_error_details().error_info().unwrap().reason.clone();
        (status.code(), reason)
    }

    #[tokio::test]
    async fn token_lets_its_holder_pass() {
        for header in ["Bearer s3cret", "bearer s3cret", "BEARER  s3cret "] {
            let caller = call(AuthenticationLayer::with_token("s3cret"), Some(header), "/x").await;
            assert_eq!(caller.unwrap(), Some(Caller::Token), "{header}");
        }
    }

    #[tokio::test]
    async fn everyone_else_is_refused() {
        assert_eq!(refused(None).await, (Code::Unauthenticated, "NO_CREDENTIALS".into()));
        for header in ["Bearer other", "Bearer", "Bearer ", "s3cret", "Basic s3cret", "Bearer s3cret2", ""] {
            let invalid = (Code::Unauthenticated, "INVALID_CREDENTIALS".to_owned());
            assert_eq!(refused(Some(header)).await, invalid, "{header}");
        }
    }

    #[tokio::test]
    async fn server_without_a_token_takes_everyone_for_local() {
        let caller = call(AuthenticationLayer::open(), Some("Bearer x"), "/x").await;
        assert_eq!(caller.unwrap(), Some(Caller::Local));
    }

    #[tokio::test]
    async fn health_is_open_and_names_nobody() {
        let layer = AuthenticationLayer::with_token("s3cret");
        assert_eq!(call(layer.clone(), None, "/grpc.health.v1.Health/Check").await.unwrap(), None);
        assert!(call(layer, None, "/grpc.reflection.v1.ServerReflection/X").await.is_err());
    }
}
