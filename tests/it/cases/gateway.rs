//! The third level: a browser at the gateway, which asks the resolver over its stream.

use std::{net::SocketAddr, time::Duration};

use smartlinks::{
    domain::visit::Channel,
    gateway::{
        Limits,
        resolver::{Resolver, ResolverSettings, addresses::Servers},
        serve,
    },
    telemetry::gateway_metrics::GatewayMetrics,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use super::{
    expect::{Answer, Nowhere},
    file::{self, Case},
    grpc::{self, Served},
    report, snapshot,
    visit::{Headers, Visit},
};

/// A gateway in front of a resolver.
struct Door {
    address: SocketAddr,
    served: Served,
    /// The gateway ends when it is dropped.
    _stop: watch::Sender<bool>,
}

/// What came back: status, headers with small names, no body.
struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
}

impl Reply {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl Door {
    async fn open() -> Self {
        let served = Served::start().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let time = Duration::from_secs(20);
        let url = format!("http://{}", served.address).parse().unwrap();
        let (metrics, _) = GatewayMetrics::new();
        let settings = ResolverSettings { token: None, timeout: time };
        let resolver = Resolver::start(&settings, Servers::start(&[url], time), &metrics);
        let limits = Limits {
            connections: 100,
            idle: time,
            stop_delay: Duration::ZERO,
            drain: Duration::from_secs(1),
        };
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(serve(listener, resolver, metrics.tally(), limits, None, None, stopped));
        Self { address, served, _stop: stop }
    }

    /// Puts a shop's index in use, and waits until the gateway has its resolver.
    async fn publish(&self, case: &Case) {
        self.served.publish(snapshot::snapshot_of(&case.shop));
        while self.send(b"GET /-/readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.status != 200
        {
            tokio::task::yield_now().await;
        }
    }

    async fn visit(&self, method: &str, visit: &Visit, headers: &Headers) -> Reply {
        let mut request =
            format!("{method} {} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", visit.url, visit.host);
        for (name, value) in [
            ("user-agent", &headers.user_agent),
            ("accept-language", &headers.accept_language),
            ("referer", &headers.referer),
            ("sec-purpose", &headers.purpose),
            ("sec-ch-ua", &headers.sec_ch_ua),
            ("sec-ch-ua-mobile", &headers.sec_ch_ua_mobile),
            ("sec-ch-ua-platform", &headers.sec_ch_ua_platform),
            ("sec-ch-ua-platform-version", &headers.sec_ch_ua_platform_version),
            ("sec-ch-ua-full-version-list", &headers.sec_ch_ua_full_version_list),
            ("sec-ch-ua-form-factors", &headers.sec_ch_ua_form_factors),
            ("sec-gpc", &headers.sec_gpc),
            ("dnt", &headers.dnt),
        ] {
            if let Some(value) = value {
                request.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        request.push_str("\r\n");
        self.send(request.as_bytes()).await
    }

    /// Sends bytes, and reads until the gateway closes.
    async fn send(&self, request: &[u8]) -> Reply {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let mut lines = text.split("\r\n").take_while(|line| !line.is_empty());
        let status =
            lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
        let headers = lines.map(|line| line.split_once(": ").unwrap());
        Reply {
            status: status.unwrap_or_else(|| panic!("no HTTP: {text:?}")),
            headers: headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect(),
        }
    }
}

/// Returns the headers of a visit that a browser could make. The address is that of the test, which is in no country.
fn of_a_browser(visit: &Visit) -> Option<&Headers> {
    let has_facts = visit.visitor.is_some()
        || !visit.attributes.is_empty()
        || !visit.told_country.is_empty()
        || visit.channel != Channel::Link;
    let by_caller = visit.timed || visit.addressed || visit.internal || visit.prefetch || has_facts;
    visit.headers.as_ref().filter(|_| !by_caller)
}

#[tokio::test]
async fn the_gateway_answers_what_a_browser_can_ask() {
    let door = Door::open().await;
    let (mut run, mut failures) = (0, Vec::new());
    for cases in grpc::by_shop(file::load()) {
        door.publish(&cases[0]).await;
        for case in cases {
            let Some(headers) = of_a_browser(&case.visit) else { continue };
            door.served.count_up_to(&case);
            run += 1;
            let reply = door.visit("GET", &case.visit, headers).await;
            let lookup = shown(&door.visit("HEAD", &case.visit, headers).await, &case);
            let as_click = if case.expect.is_ahead() {
                let declined = reply.status == 503 && reply.header("location").is_none();
                (!declined).then(|| format!("  status {} for what is loaded ahead", reply.status))
            } else {
                case.expect.differs_from_click(&shown(&reply, &case))
            };
            let as_lookup = case.expect.differs_from_lookup(&case.shop.settings, &lookup);
            failures.extend(as_click.map(|differs| format!("{case} as GET\n{differs}")));
            failures.extend(as_lookup.map(|differs| format!("{case} as HEAD\n{differs}")));
        }
    }
    report("visits to the gateway", run, &mut failures);
}

/// H3, H4: the same headers whatever the status.
#[tokio::test]
async fn every_redirect_is_private_and_keeps_the_path_from_other_sites() {
    let door = Door::open().await;
    let mut seen = Vec::new();
    for case in file::load().iter().filter(|case| case.file == "rules.yaml") {
        let Some(headers) = of_a_browser(&case.visit) else { continue };
        door.publish(case).await;
        let reply = door.visit("GET", &case.visit, headers).await;
        assert_eq!(reply.header("cache-control"), Some("private, no-store"), "{case}");
        assert_eq!(reply.header("referrer-policy"), Some("strict-origin-when-cross-origin"), "{case}");
        assert_eq!(reply.header("x-robots-tag"), Some("noindex"), "{case}");
        seen.push(reply.status);
    }
    for status in [301, 302, 307] {
        assert!(seen.contains(&status), "no {status} among {seen:?}");
    }
}

/// H3, L16, L17.
#[tokio::test]
async fn what_no_link_takes_is_refused_by_its_status() {
    let door = Door::open().await;
    let cases = file::load();
    door.publish(cases.iter().find(|case| case.file == "query_pass_through.yaml").unwrap()).await;
    let ask = |line: &[u8]| {
        let request = [line, b" HTTP/1.1\r\nhost: go.shop.example\r\nconnection: close\r\n\r\n"].concat();
        let door = &door;
        async move { door.send(&request).await }
    };
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let reply = ask(format!("{method} /s/anna").as_bytes()).await;
        assert_eq!(reply.status, 405, "{method}");
        assert_eq!(reply.header("allow"), Some("GET, HEAD"), "{method}");
    }
    let longest = format!("GET /s?{}", "a".repeat(8 * 1_024 - 3));
    assert_eq!(ask(longest.as_bytes()).await.status, 302);
    assert_eq!(ask(format!("{longest}a").as_bytes()).await.status, 414);
    assert_eq!(ask(b"GET /s?q=\xff\xfe").await.status, 400);
    assert_eq!(ask(b"GET /-/anna").await.status, 404);
}

/// Reads a reply as an answer to a case. A refusal has no reason, only a status: 410 for what was there and is over, else
/// 404.
fn shown(reply: &Reply, case: &Case) -> Result<Answer, Nowhere> {
    let redirects = (300..400).contains(&reply.status);
    if let Some(location) = reply.header("location").filter(|_| redirects) {
        let redirect = Some(reply.status);
        return Ok(Answer { location: location.to_owned(), redirect, ..Answer::default() });
    }
    let expected = case.expect.nowhere().unwrap_or_default();
    let status = match expected {
        "LINK_EXPIRED" | "LINK_PAUSED" | "LINK_DELETED" => 410,
        "LINK_NOT_STARTED" | "LINK_NOT_FOUND" | "SHOP_NOT_FOUND" => 404,
        _ => 0,
    };
    let as_expected = status == reply.status;
    Err(Nowhere(if as_expected { expected.to_owned() } else { format!("status {}", reply.status) }))
}
