//! Ready before and after the first index, with and without PostgreSQL.

use std::time::Duration;

use smartlinks::{
    config::serve::ServeSettings,
    proto::{ErrorReason, ResolveStreamRequest, resolve_stream_response::Outcome},
};
use tokio::{
    net::TcpStream,
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_types::StatusExt;

use crate::support::{
    database::Database,
    proxy::Proxy,
    requests::lookup,
    server::{PATIENCE, TestServer, eventually, settings},
};

const RESOLVER: &str = "smartlinks.v1.LinkResolver";
const ADMIN: &str = "smartlinks.v1.LinkAdmin";
const STATS: &str = "smartlinks.v1.ClickStats";

pub(super) async fn health(server: &TestServer, service: &str) -> ServingStatus {
    let request = HealthCheckRequest { service: service.into() };
    HealthClient::new(server.channel()).check(request).await.unwrap().into_inner().status()
}

async fn becomes(server: &TestServer, service: &str, status: ServingStatus) {
    let what = format!("{service} to be {status:?}");
    eventually(&what, || async { (health(server, service).await == status).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_well_before_the_first_index() {
    let database = Database::create().await;
    let proxy = Proxy::open(&database).await;
    proxy.cut();
    let server = TestServer::start(settings(proxy.url())).await;
    for service in ["", RESOLVER, ADMIN, STATS] {
        assert_eq!(health(&server, service).await, ServingStatus::NotServing, "{service}");
    }
    let refused = server.resolver().resolve(lookup("acme", "sale")).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    let details = refused.get_error_details();
    let reason = ErrorReason::IndexNotLoaded.as_str_name().trim_start_matches("ERROR_REASON_");
    assert_eq!(details.error_info().unwrap().reason, reason);
    assert!(details.retry_info().is_some());

    proxy.mend();
    for service in ["", RESOLVER, ADMIN, STATS] {
        becomes(&server, service, ServingStatus::Serving).await;
    }
    // The resolver stays well without PostgreSQL; the others do not.
    proxy.cut();
    becomes(&server, ADMIN, ServingStatus::NotServing).await;
    becomes(&server, STATS, ServingStatus::NotServing).await;
    assert_eq!(health(&server, RESOLVER).await, ServingStatus::Serving);
    assert_eq!(health(&server, "").await, ServingStatus::Serving);
    proxy.mend();
    becomes(&server, ADMIN, ServingStatus::Serving).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_is_announced_before_anything_is_refused() {
    let database = Database::create().await;
    let hour = Duration::from_secs(3_600);
    let server = TestServer::start(ServeSettings { stop_delay: hour, ..settings(database.url()) }).await;
    server.wait_for(0).await;
    becomes(&server, RESOLVER, ServingStatus::Serving).await;
    let (mut resolver, mut health_client) = (server.resolver(), HealthClient::new(server.channel()));
    let address = server.address();
    let (items, receiver) = mpsc::channel(8);
    let stream = resolver.resolve_stream(ReceiverStream::new(receiver)).await.unwrap();
    let mut answers = stream.into_inner();

    let (hurry, hurried) = oneshot::channel::<()>();
    let stopping = tokio::spawn(server.stop_when(async { drop(hurried.await) }));
    // The first step: load balancers see it, callers do not.
    for service in ["", RESOLVER, ADMIN, STATS] {
        eventually("health to say so", async || {
            let request = HealthCheckRequest { service: service.into() };
            let status = health_client.clone().check(request).await.unwrap().into_inner().status();
            (status == ServingStatus::NotServing).then_some(())
        })
        .await;
    }
    assert_eq!(resolver.resolve(lookup("acme", "sale")).await.unwrap_err().code(), Code::NotFound);
    let item = |item| {
        let request = Some(lookup("acme", "sale"));
        ResolveStreamRequest { item, request, timeout: None }
    };
    items.send(item(1)).await.unwrap();
    assert_eq!(answers.message().await.unwrap().unwrap().item, 1);
    assert!(!stopping.is_finished());

    // The second: the stream is told, answered to its end, and the port is closed.
    hurry.send(()).unwrap();
    let told = answers.message().await.unwrap().unwrap();
    assert!(matches!(told.outcome, Some(Outcome::Closing(_))), "{told:?}");
    items.send(item(2)).await.unwrap();
    assert_eq!(answers.message().await.unwrap().unwrap().item, 2);
    drop(items);
    assert_eq!(answers.message().await.unwrap(), None);
    drop((answers, resolver, health_client.check(HealthCheckRequest::default()).await));
    timeout(PATIENCE, stopping).await.expect("the server did not stop").unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn services_are_found_by_reflection() {
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let database = Database::create().await;
    let server = TestServer::ready(database.url()).await;
    let message_request = Some(MessageRequest::ListServices(String::new()));
    let request = ServerReflectionRequest { host: String::new(), message_request };
    let mut client = ServerReflectionClient::new(server.channel());
    let answers = client.server_reflection_info(tokio_stream::once(request)).await.unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("no list of services");
    };
    let names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
    for service in [RESOLVER, ADMIN, STATS, "grpc.health.v1.Health"] {
        assert!(names.contains(&service), "{names:?}");
    }
}
