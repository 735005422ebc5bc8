//! Routes, statuses and headers.

use hyper_util::rt::{TokioExecutor, TokioIo};
use smartlinks::proto::{
    ErrorReason, Purpose, ResolveFailure, resolve_request::Site, resolve_stream_response::Outcome,
};
use tonic::Code;

use super::fixture::{Answer, Door, Times, Told};
use crate::resolver::fixture::{Acme, HOST, Served};

fn assert_is_private(answer: &Answer) {
    assert_eq!(answer.header("cache-control"), Some("private, no-store"), "{answer:?}");
    assert_eq!(answer.header("x-robots-tag"), Some("noindex"), "{answer:?}");
    assert_eq!(answer.header("referrer-policy"), Some("strict-origin-when-cross-origin"), "{answer:?}");
}

#[tokio::test]
async fn every_link_is_answered_by_its_kind_and_state() {
    let acme = Acme::new();
    let server = acme.serve().await;
    let door = Door::open(server.address).await;
    for (target, status) in [
        ("/", 302),
        ("/?ref=anna", 302),
        ("/sale", 302),
        ("/SALE/", 302),
        ("/s%61le/ANNA", 302),
        ("/sale/nobody", 302),
        ("/moved", 301),
        ("/temporary", 307),
        ("/permanent", 308),
        ("/none", 404),
        ("/early", 404),
        ("/expired", 410),
        ("/paused", 410),
        ("/deleted", 410),
        ("/sale/anna/x", 404),
        ("/sale//", 404),
        ("/%ff", 404),
        ("/-", 404),
        ("/-/nothing", 404),
        ("/-/healthz", 200),
        ("/-/readyz", 200),
    ] {
        let answer = door.get(target).await;
        assert_eq!(answer.status, status, "{target}");
        assert_is_private(&answer);
        let is_redirect = (301..309).contains(&status);
        assert_eq!(answer.header("location").is_some(), is_redirect, "{target}");
        assert_eq!(answer.body.is_empty(), is_redirect, "{target}");
        let kind = match status {
            200 => Some("text/plain; charset=utf-8"),
            _ => (!is_redirect).then_some("text/html; charset=utf-8"),
        };
        assert_eq!(answer.header("content-type"), kind, "{target}");
    }
}

#[tokio::test]
async fn partner_of_path_or_query_is_credited() {
    let acme = Acme::new();
    let server = acme.serve().await;
    let door = Door::open(server.address).await;
    for target in ["/plain/annie", "/plain/anna?ref=bob", "/plain?ref=ANNA"] {
        let answer = door.get(target).await;
        let location = answer.header("location").unwrap();
        assert!(location.starts_with("https://acme.example/p?ref=anna&click_id="), "{target} {location}");
    }
}

#[tokio::test]
async fn head_is_a_lookup() {
    let acme = Acme::new();
    let server = acme.serve().await;
    let door = Door::open(server.address).await;
    let answer = door.ask("HEAD", "/plain/anna", "").await;
    assert_eq!((answer.status, answer.body.as_str()), (302, ""));
    assert_eq!(answer.header("location"), Some("https://acme.example/p?ref=anna"));
    assert_eq!(door.ask("HEAD", "/none", "").await.status, 404);
}

#[tokio::test]
async fn visit_says_what_the_browser_said() {
    let (told, mut items) = Told::new();
    let server = Served::start(told).await;
    let door = Door::open_with(server.address, Times::default()).await;
    let headers = "user-agent: Mozilla/5.0\r\naccept-language: de\r\nreferer: https://a.example/\r\n\
                   sec-purpose: prefetch\r\nx-forwarded-for: 198.51.100.1\r\nforwarded: for=198.51.100.1\r\n";
    let asking = async {
        loop {
            let answer = door.ask("GET", "/Sale/Anna?q=1", headers).await;
            if answer.status != 503 {
                return answer;
            }
        }
    };
    let answering = async {
        let item = items.recv().await.unwrap();
        let request = item.request.clone();
        item.answer("https://shop.example/");
        request
    };
    let (answer, request) = tokio::join!(asking, answering);
    assert_eq!(answer.header("location"), Some("https://shop.example/"));
    assert_eq!(request.purpose(), Purpose::Click);
    assert_eq!(request.site, Some(Site::Host(HOST.to_owned())));
    assert_eq!(
        (request.slug.as_str(), request.partner.as_str(), request.query.as_str()),
        ("Sale", "Anna", "q=1")
    );
    assert_eq!(request.client_address, "127.0.0.1");
    let headers = request.headers.unwrap();
    assert_eq!(headers.user_agent.as_deref(), Some("Mozilla/5.0"));
    assert_eq!(headers.accept_language.as_deref(), Some("de"));
    assert_eq!(headers.referer.as_deref(), Some("https://a.example/"));
    assert_eq!(headers.purpose_header.as_deref(), Some("prefetch"));
}

#[tokio::test]
async fn address_of_the_peer_is_what_rules_see() {
    let acme = Acme::new();
    let server = acme.serve().await;
    let door = Door::open(server.address).await;
    let answer = door.ask("HEAD", "/sale", "x-forwarded-for: 198.51.100.1\r\n").await;
    assert_eq!(answer.header("location"), Some("https://acme.example/local"));
}

#[tokio::test]
async fn other_methods_are_refused() {
    let acme = Acme::new();
    let server = acme.serve().await;
    let door = Door::open(server.address).await;
    for (method, target) in [("POST", "/sale"), ("PUT", "/"), ("OPTIONS", "*"), ("DELETE", "/-/healthz")] {
        let answer = door.ask(method, target, "content-length: 0\r\n").await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
}

#[tokio::test]
async fn request_without_one_host_is_refused() {
    let acme = Acme::new();
    let server = acme.serve().await;
    let door = Door::open(server.address).await;
    for head in [
        "GET /sale HTTP/1.1\r\nconnection: close\r\n\r\n",
        "GET /sale HTTP/1.1\r\nhost: a\r\nhost: b\r\nconnection: close\r\n\r\n",
        "GET /sale HTTP/1.1\r\nhost: u@a\r\nconnection: close\r\n\r\n",
    ] {
        assert_eq!(door.say(head).await.status, 400, "{head}");
    }
    let unknown = "GET /sale HTTP/1.1\r\nhost: other.example\r\nconnection: close\r\n\r\n";
    assert_eq!(door.say(unknown).await.status, 404);
    let absolute =
        format!("GET http://{HOST}/sale HTTP/1.1\r\nhost: other.example\r\nconnection: close\r\n\r\n");
    assert_eq!(door.say(absolute).await.status, 302);
}

#[tokio::test]
async fn http_2_by_prior_knowledge_gets_the_same() {
    let acme = Acme::new();
    let server = acme.serve().await;
    let door = Door::open(server.address).await;
    let stream = tokio::net::TcpStream::connect(door.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut get = |method: &str, target: &str| {
        let uri = format!("http://{HOST}{target}");
        let request = http::Request::builder().method(method).uri(uri).body(String::new()).unwrap();
        sender.send_request(request)
    };
    let answers = tokio::join!(get("HEAD", "/plain/anna?a=1"), get("GET", "/none"), get("POST", "/sale"));
    let redirect = answers.0.unwrap();
    assert_eq!(redirect.status(), 302);
    assert_eq!(redirect.headers()["location"], "https://acme.example/p?a=1&ref=anna");
    assert_eq!(answers.1.unwrap().status(), 404);
    assert_eq!(answers.2.unwrap().status(), 405);
}

#[tokio::test]
async fn odd_answers_of_the_resolver_do_no_harm() {
    let (told, mut items) = Told::new();
    let server = Served::start(told).await;
    let door = Door::open_with(server.address, Times::default()).await;
    tokio::spawn(async move {
        while let Some(item) = items.recv().await {
            let failure = |code: Code, reason: ErrorReason| {
                let reason = reason.into();
                Outcome::Failure(ResolveFailure { code: code as i32, reason, ..ResolveFailure::default() })
            };
            match item.request.slug.as_str() {
                "split" => item.answer("https://shop.example/\r\nset-cookie: a=b"),
                "bytes" => item.answer("https://shop.example/ü?q=%zz&;+"),
                "bad" => item.end(failure(Code::InvalidArgument, ErrorReason::Malformed)),
                "away" => item.end(failure(Code::Unavailable, ErrorReason::IndexNotLoaded)),
                "late" => item.end(failure(Code::DeadlineExceeded, ErrorReason::DeadlineExceeded)),
                "ours" => item.end(failure(Code::Internal, ErrorReason::Internal)),
                _ => item.end(failure(Code::NotFound, ErrorReason::LinkNotFound)),
            }
        }
    });
    door.is_ready().await;
    let answer = door.get("/split").await;
    assert_eq!((answer.status, answer.header("location"), answer.header("set-cookie")), (502, None, None));
    assert_eq!(door.get("/bytes").await.header("location"), Some("https://shop.example/ü?q=%zz&;+"));
    assert_eq!(door.get("/bad").await.status, 400);
    assert_eq!(door.get("/ours").await.status, 502);
    for target in ["/away", "/late"] {
        let answer = door.get(target).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
        assert_is_private(&answer);
    }
}
