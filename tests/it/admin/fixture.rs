//! A server with the layers of production, and what every test begins with.

use std::{net::SocketAddr, sync::Arc};

use prometheus_client::registry::Registry;
use smartlinks::{
    classify::{Classifier, user_agent::UserAgents},
    proto::{
        self, CreateLinkRequest, CreatePartnerRequest, CreateProgramRequest, CreateShopRequest,
        link_admin_client::LinkAdminClient, sharing::With,
    },
    rpc::{
        layers::{
            authentication::AuthenticationLayer,
            deadline::DeadlineLayer,
            metrics::{CallMetrics, MetricsLayer},
            panics,
            request_id::RequestIdLayer,
        },
        link_admin::LinkAdminService,
    },
    store::Store,
};
use tokio::{net::TcpListener, sync::watch};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint, Server},
};
use tonic_types::StatusExt;

use crate::support::database::Database;

/// A client of `LinkAdmin`.
pub(crate) type Client = LinkAdminClient<Channel>;

/// A server in a database of its own.
pub(crate) struct TestServer {
    pub(crate) database: Database,
    address: SocketAddr,
}

impl TestServer {
    /// Starts a server that takes everyone for its own machine.
    pub(crate) async fn start() -> Self {
        Self::start_with(AuthenticationLayer::open()).await
    }

    /// Starts a server that asks who calls.
    pub(crate) async fn start_with(authentication: AuthenticationLayer) -> Self {
        let database = Database::create().await;
        let address = serve(database.store(), authentication).await;
        Self { database, address }
    }

    /// Connects.
    pub(crate) async fn channel(&self) -> Channel {
        Endpoint::try_from(format!("http://{}", self.address)).unwrap().connect().await.unwrap()
    }

    /// Connects to `LinkAdmin`.
    pub(crate) async fn client(&self) -> Client {
        LinkAdminClient::new(self.channel().await).max_decoding_message_size(64 * 1_024 * 1_024)
    }

    /// Starts a server that holds the shop `acme` with the program `gold` and its partner `anna`, and the partner `bert`.
    pub(crate) async fn with_shop() -> (Self, Client) {
        let server = Self::start().await;
        let mut client = server.client().await;
        create_shop(&mut client, "acme").await;
        create_program(&mut client, "gold").await;
        create_partner(&mut client, "anna", "gold").await;
        create_partner(&mut client, "bert", "").await;
        (server, client)
    }
}

/// Serves `LinkAdmin` with the layers of production.
pub(crate) async fn serve(store: Store, authentication: AuthenticationLayer) -> SocketAddr {
    let classifier = Classifier::new(UserAgents::default(), None);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (never, stop) = watch::channel(false);
    let server = Server::builder()
        .layer(RequestIdLayer)
        .layer(MetricsLayer::new(CallMetrics::register(&mut Registry::default())))
        .layer(panics::layer())
        .layer(DeadlineLayer)
        .layer(authentication)
        .add_service(LinkAdminService::server(store, Arc::new(classifier), None, stop))
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(async move {
        server.await.unwrap();
        drop(never);
    });
    address
}

/// A shop at `https://{id}.example` whose links are at `go.{id}.example`.
pub(crate) fn shop(id: &str) -> proto::Shop {
    proto::Shop {
        id: id.to_owned(),
        display_name: format!("Shop {id}"),
        base_url: format!("https://{id}.example"),
        link_hosts: vec![format!("go.{id}.example")],
        ..Default::default()
    }
}

/// A partner of `acme`.
pub(crate) fn partner(code: &str, program: &str) -> proto::Partner {
    proto::Partner {
        shop: "acme".to_owned(),
        code: code.to_owned(),
        display_name: format!("Partner {code}"),
        program: program.to_owned(),
        ..Default::default()
    }
}

/// A link of `acme` that is shared with everyone.
pub(crate) fn link(slug: &str) -> proto::Link {
    proto::Link {
        shop: "acme".to_owned(),
        slug: slug.to_owned(),
        display_name: format!("Link {slug}"),
        default_destination: format!("page/{slug}"),
        sharing: Some(everyone()),
        ..Default::default()
    }
}

/// A rule for visits from a country.
pub(crate) fn rule(id: &str, country: &str) -> proto::Rule {
    let is = proto::CountryIs { codes: vec![country.to_owned()] };
    proto::Rule {
        id: id.to_owned(),
        when: Some(proto::Condition { kind: Some(proto::condition::Kind::Country(is)) }),
        then: Some(proto::rule::Then::Destination(format!("land/{country}"))),
        ..Default::default()
    }
}

/// Variants, each of which leads to a page of its own.
pub(crate) fn variants(weights: &[(&str, i32)]) -> proto::Variants {
    let item = |(id, weight): &(&str, i32)| proto::Variant {
        id: (*id).to_owned(),
        destination: format!("try/{id}"),
        weight: *weight,
    };
    proto::Variants { items: weights.iter().map(item).collect() }
}

/// A rule for visits from a country, with variants.
pub(crate) fn split_rule(id: &str, country: &str, weights: &[(&str, i32)]) -> proto::Rule {
    let then = Some(proto::rule::Then::Variants(variants(weights)));
    proto::Rule { then, ..rule(id, country) }
}

/// Sharing with everyone.
pub(crate) fn everyone() -> proto::Sharing {
    proto::Sharing { with: Some(With::Everyone(proto::Everyone {})) }
}

/// Names of partners and programs.
pub(crate) fn names(partners: &[&str], programs: &[&str]) -> proto::Selected {
    let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    proto::Selected { partners: texts(partners), programs: texts(programs) }
}

/// Sharing with some.
pub(crate) fn selected(partners: &[&str], programs: &[&str]) -> proto::Sharing {
    proto::Sharing { with: Some(With::Selected(names(partners, programs))) }
}

/// An update mask.
pub(crate) fn mask(paths: &[&str]) -> Option<prost_types::FieldMask> {
    Some(prost_types::FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() })
}

pub(crate) async fn create_shop(client: &mut Client, id: &str) -> proto::Shop {
    let request = CreateShopRequest { shop: Some(shop(id)), ..Default::default() };
    client.create_shop(request).await.unwrap().into_inner().shop.unwrap()
}

pub(crate) async fn create_program(client: &mut Client, id: &str) -> proto::Program {
    let program = proto::Program {
        shop: "acme".to_owned(),
        id: id.to_owned(),
        display_name: format!("Program {id}"),
        ..Default::default()
    };
    let request = CreateProgramRequest { program: Some(program), ..Default::default() };
    client.create_program(request).await.unwrap().into_inner().program.unwrap()
}

pub(crate) async fn create_partner(client: &mut Client, code: &str, program: &str) -> proto::Partner {
    let request = CreatePartnerRequest { partner: Some(partner(code, program)), ..Default::default() };
    client.create_partner(request).await.unwrap().into_inner().partner.unwrap()
}

pub(crate) async fn create_link(client: &mut Client, link: proto::Link) -> proto::Link {
    let request = CreateLinkRequest { link: Some(link), ..Default::default() };
    client.create_link(request).await.unwrap().into_inner().link.unwrap()
}

pub(crate) async fn get_link(client: &mut Client, slug: &str) -> proto::Link {
    let request = proto::GetLinkRequest { shop: "acme".to_owned(), slug: slug.to_owned() };
    client.get_link(request).await.unwrap().into_inner().link.unwrap()
}

/// A change of some fields of a link, and why.
pub(crate) fn edit(link: proto::Link, fields: &[&str], comment: &str) -> proto::UpdateLinkRequest {
    proto::UpdateLinkRequest {
        link: Some(link),
        update_mask: mask(fields),
        comment: comment.to_owned(),
        ..Default::default()
    }
}

pub(crate) async fn update_link(client: &mut Client, request: proto::UpdateLinkRequest) -> proto::Link {
    client.update_link(request).await.unwrap().into_inner().link.unwrap()
}

/// What a status says to programs: code, reason, and the first field at fault (else the field in the metadata).
pub(crate) fn refusal(status: &Status) -> (Code, String, String) {
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("{status:?} carries no ErrorInfo"));
    assert_eq!(info.domain, "smartlinks");
    let violation = details.bad_request().and_then(|bad| bad.field_violations.first());
    let field = violation.map(|violation| violation.field.clone());
    let field = field.or_else(|| info.metadata.get("field").cloned()).unwrap_or_default();
    (status.code(), info.reason.clone(), field)
}

/// The reason of a status.
pub(crate) fn reason(status: &Status) -> String {
    refusal(status).1
}
