//! The second level: `LinkResolver` over a real connection, as a click and as a look-up.

use std::{net::SocketAddr, sync::Arc};

use jiff::Timestamp;
use smartlinks::{
    counters::{Counters, Own, Reading},
    domain::name::{PartnerCode, Slug},
    index::{CountedShop, Snapshot},
    live::{Live, Source},
    proto::{
        Attribution, Purpose, RedirectKind, RequestHeaders, ResolveReason, ResolveRequest, ResolveResponse,
        TrafficClass, Visitor, link_resolver_client::LinkResolverClient,
        link_resolver_server::LinkResolverServer, resolve_request::Site,
    },
    recorder::Recorder,
    rpc::{caller::Caller, convert::choice::Choice, link_resolver::Resolver},
    telemetry::metrics::Metrics,
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Code, Request, Status,
    transport::{Channel, Server},
};
use tonic_types::StatusExt;

use super::{
    expect::{Answer, Nowhere},
    file::{self, Case},
    report, snapshot,
    visit::{Headers, Visit},
};

/// A resolver without a database behind it, whose index the test chooses.
pub(super) struct Served {
    pub(super) address: SocketAddr,
    live: Live,
    counters: Counters,
    /// Streams end when it is dropped.
    _stop: watch::Sender<bool>,
    server: JoinHandle<()>,
}

impl Served {
    /// Serves on a free port; every caller counts as one on this machine.
    pub(super) async fn start() -> Self {
        let (stop, stopped) = watch::channel(false);
        let live = Live::new();
        let counters = Counters::default();
        let (metrics, _registry) = Metrics::new();
        let resolver = Resolver::new(
            live.clone(),
            Arc::new(snapshot::classifier()),
            Recorder::ignoring(),
            counters.clone(),
            Arc::default(),
            &metrics,
            stopped,
        );
        let service = LinkResolverServer::with_interceptor(resolver, |mut request: Request<()>| {
            request.extensions_mut().insert(Caller::Local);
            Ok(request)
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving =
            Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener));
        let server = tokio::spawn(async { serving.await.unwrap() });
        Self { address, live, counters, _stop: stop, server }
    }

    /// Puts an index in use.
    pub(super) fn publish(&self, snapshot: Arc<Snapshot>) {
        self.live.publish(snapshot, Source::Database);
    }

    /// Puts the counters where the visit wants them.
    pub(super) fn count_up_to(&self, case: &Case) {
        let Visit { link_total, partner_total, .. } = case.visit;
        let Some((slug, partner, _)) = case.visit.parts() else { return };
        let shop = || case.shop.id.clone();
        // The visit is one more. Who never was is told by its absence.
        let before = |total: Option<u64>| total.map(|total| total - 1).filter(|before| *before > 0);
        let link = Slug::fold(&slug).ok().map(|slug| (shop(), slug));
        let partner = PartnerCode::fold(&partner).ok().map(|code| (shop(), code));
        let counted = CountedShop {
            shop: shop(),
            links: link.iter().filter(|_| link_total.is_some()).map(|(_, slug)| slug.clone()).collect(),
            partners: partner_total.is_some(),
        };
        let reading = Reading {
            rolled: 0,
            links: link
                .zip(before(link_total))
                .map(|((shop, slug), clicks)| (shop, slug, clicks))
                .into_iter()
                .collect(),
            partners: partner
                .zip(before(partner_total))
                .map(|((shop, code), clicks)| (shop, code, clicks))
                .into_iter()
                .collect(),
        };
        // What was there before is forgotten.
        self.counters.track(&[]);
        self.counters.track(std::slice::from_ref(&counted));
        if link_total.is_some() || partner_total.is_some() {
            self.counters.apply(&[counted], &reading, Own::default());
        }
    }

    pub(super) async fn client(&self) -> LinkResolverClient<Channel> {
        LinkResolverClient::connect(format!("http://{}", self.address)).await.unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Sorts the cases by shop, so that each index is published once.
pub(super) fn by_shop(mut cases: Vec<Case>) -> Vec<Vec<Case>> {
    cases.sort_by_key(|case| Arc::as_ptr(&case.shop));
    let mut shops: Vec<Vec<Case>> = Vec::new();
    for case in cases {
        match shops.last_mut() {
            Some(same) if Arc::ptr_eq(&same[0].shop, &case.shop) => same.push(case),
            Some(_) | None => shops.push(vec![case]),
        }
    }
    shops
}

#[tokio::test]
async fn grpc_answers_every_case() {
    let served = Served::start().await;
    let mut client = served.client().await;
    let (mut run, mut failures) = (0, Vec::new());
    for cases in by_shop(file::load()) {
        served.publish(snapshot::snapshot_of(&cases[0].shop));
        for case in cases {
            let Some(request) = request(&case.visit) else { continue };
            served.count_up_to(&case);
            run += 1;
            // A click is of now: a visit at another time can only be asked for.
            if !case.visit.timed {
                let click = ResolveRequest { purpose: Purpose::Click.into(), ..request.clone() };
                let came = ask(&mut client, click).await;
                let differs = case.expect.differs_from_click(&came);
                failures.extend(differs.map(|differs| format!("{case} as a click\n{differs}")));
            }
            let visit_time = case.visit.timed.then(|| written(case.visit.time));
            let lookup = ResolveRequest { purpose: Purpose::Lookup.into(), visit_time, ..request };
            let came = ask(&mut client, lookup).await;
            let differs = case.expect.differs_from_lookup(&case.shop.settings, &came);
            failures.extend(differs.map(|differs| format!("{case} as a look-up\n{differs}")));
        }
    }
    report("visits over gRPC", run, &mut failures);
}

#[tokio::test]
async fn what_would_end_the_query_is_refused_over_grpc() {
    let served = Served::start().await;
    let mut client = served.client().await;
    let cases = file::load();
    let case = cases.iter().find(|case| case.file == "query_pass_through.yaml").unwrap();
    served.publish(snapshot::snapshot_of(&case.shop));
    let asked = |query: &str| {
        let visit = Visit { url: "/s/anna".to_owned(), ..case.visit.clone() };
        ResolveRequest {
            purpose: Purpose::Lookup.into(),
            query: query.to_owned(),
            ..request(&visit).unwrap()
        }
    };
    for (query, location) in [
        ("?x=1", "https://shop.example/s?x=1&ref=anna"),
        ("??x=1", "https://shop.example/s??x=1&ref=anna"),
        ("x=ü", "https://shop.example/s?x=ü&ref=anna"),
    ] {
        let answer = client.resolve(asked(query)).await.unwrap().into_inner();
        assert_eq!(answer.location, location, "{query}");
    }
    for query in ["a=1#b", "a=b c", "a=\r\nset-cookie: x=1", "a=\0", "a=\u{7f}", "a=\u{85}"] {
        let status = client.resolve(asked(query)).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{query:?}: {status}");
        assert_eq!(fields(&status), ["query"], "{query:?}");
    }
}

/// C13, as far as it concerns visits.
#[tokio::test]
async fn visits_over_grpc_have_limits() {
    let served = Served::start().await;
    let mut client = served.client().await;
    let cases = file::load();
    let case = cases.iter().find(|case| case.file == "query_pass_through.yaml").unwrap();
    served.publish(snapshot::snapshot_of(&case.shop));
    let visit = Visit { url: "/s/anna".to_owned(), ..case.visit.clone() };
    let asked = |query: usize, attributes: usize| ResolveRequest {
        purpose: Purpose::Lookup.into(),
        query: "a".repeat(query),
        attributes: (0..attributes).map(|n| (format!("a{n}"), String::new())).collect(),
        ..request(&visit).unwrap()
    };
    assert!(client.resolve(asked(8 * 1_024, 50)).await.is_ok());
    for (request, field) in [(asked(8 * 1_024 + 1, 50), "query"), (asked(8 * 1_024, 51), "attributes")] {
        let status = client.resolve(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        assert_eq!(fields(&status), [field]);
    }
    let unset = ResolveRequest { purpose: Purpose::Unspecified.into(), ..asked(1, 1) };
    assert_eq!(fields(&client.resolve(unset).await.unwrap_err()), ["purpose"]);
}

/// Names the fields at fault.
fn fields(status: &Status) -> Vec<String> {
    let details = status.get_details_bad_request();
    let violations = details.into_iter().flat_map(|details| details.field_violations);
    violations.map(|violation| violation.field).collect()
}

/// Writes a visit as a caller sends it; `None` if its path only means something to the gateway.
fn request(visit: &Visit) -> Option<ResolveRequest> {
    let (slug, partner, query) = visit.parts()?;
    let headers = |headers: &Headers| RequestHeaders {
        user_agent: headers.user_agent.clone(),
        accept_language: headers.accept_language.clone(),
        referer: headers.referer.clone(),
        purpose_header: headers.purpose.clone(),
        sec_ch_ua: headers.sec_ch_ua.clone(),
        sec_ch_ua_mobile: headers.sec_ch_ua_mobile.clone(),
        sec_ch_ua_platform: headers.sec_ch_ua_platform.clone(),
        sec_ch_ua_platform_version: headers.sec_ch_ua_platform_version.clone(),
        sec_ch_ua_full_version_list: headers.sec_ch_ua_full_version_list.clone(),
        sec_ch_ua_form_factors: headers.sec_ch_ua_form_factors.clone(),
        sec_gpc: headers.sec_gpc.clone(),
        dnt: headers.dnt.clone(),
    };
    Some(ResolveRequest {
        site: Some(Site::Host(visit.host.clone())),
        slug,
        partner,
        query: query.to_owned(),
        client_address: visit.address.clone().unwrap_or_default(),
        headers: visit.headers.as_ref().map(headers),
        country: visit.told_country.clone(),
        channel: visit.channel.number(),
        attributes: visit.attributes.clone(),
        internal: visit.internal,
        prefetch: visit.prefetch,
        visitor: visit.visitor.as_ref().map(|visitor| Visitor {
            id: visitor.id.clone(),
            total_visits: visitor.total_visits,
            from_cookie: visitor.from_cookie,
        }),
        ..ResolveRequest::default()
    })
}

fn written(time: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() }
}

async fn ask(client: &mut LinkResolverClient<Channel>, request: ResolveRequest) -> Result<Answer, Nowhere> {
    client.resolve(request).await.map(|answer| shown(answer.into_inner())).map_err(|status| nowhere(&status))
}

fn shown(answer: ResolveResponse) -> Answer {
    let after = |prefix: &str, name: &str| Some(name.strip_prefix(prefix).unwrap_or(name).to_owned());
    let redirect = match answer.redirect() {
        RedirectKind::Unspecified => 0,
        RedirectKind::Found => 302,
        RedirectKind::MovedPermanently => 301,
        RedirectKind::TemporaryRedirect => 307,
        RedirectKind::PermanentRedirect => 308,
    };
    Answer {
        reason: after("RESOLVE_REASON_", ResolveReason::as_str_name(&answer.reason())),
        attribution: after("ATTRIBUTION_", Attribution::as_str_name(&answer.attribution())),
        class: after("TRAFFIC_CLASS_", TrafficClass::as_str_name(&answer.traffic_class()))
            .map(|class| class.to_ascii_lowercase()),
        redirect: Some(redirect),
        click_id: Some(answer.click_id),
        location: answer.location,
        rule: Some(answer.rule_id),
        variant: Some(answer.variant_id),
        partner: Some(answer.partner),
    }
}

fn nowhere(status: &Status) -> Nowhere {
    let reason = status.get_details_error_info().map(|info| info.reason);
    match (status.code(), reason) {
        (Code::NotFound, Some(reason)) => Nowhere(reason),
        (code, reason) => Nowhere(format!("{code:?} {reason:?}: {}", status.message())),
    }
}
