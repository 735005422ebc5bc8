//! What stands on an answer that is no redirect, and the headers of all.

use http_body_util::BodyExt;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use smartlinks::proto::{Channel, resolve_request::Site};
use tokio::net::{TcpListener, TcpStream};

use super::fixture::{Answer, Door, Times, Told};
use crate::resolver::fixture::{Acme, HOST, Served};

/// Targets of the shop `acme` that lead nowhere, with status, reason and the English heading.
const NOWHERE: [(&str, u16, &str, &str); 7] = [
    ("/none", 404, "LINK_NOT_FOUND", "This link does not exist"),
    ("/sale/anna/x", 404, "LINK_NOT_FOUND", "This link does not exist"),
    ("/early", 404, "LINK_NOT_STARTED", "This link does not work yet"),
    ("/expired", 410, "LINK_EXPIRED", "This link has expired"),
    ("/paused", 410, "LINK_PAUSED", "This link is switched off"),
    ("/deleted", 410, "LINK_DELETED", "This link no longer exists"),
    ("/plain?a=\u{85}", 400, "MALFORMED", "This address cannot be read"),
];

fn assert_is_page(answer: &Answer, status: u16, tag: &str, heading: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(answer.header("content-language"), Some(tag));
    assert_eq!(answer.header("vary"), Some("Accept, Accept-Language"));
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(policy.ends_with("; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"), "{policy}");
    let body = &answer.body;
    assert!(body.starts_with(&format!("<!doctype html>\n<html lang=\"{tag}\" dir=")), "{body}");
    assert!(body.contains(&format!("<h1>{heading}</h1>")), "{body}");
    assert!(body.contains("<meta name=\"viewport\""), "{body}");
    assert_eq!(answer.header("content-length"), Some(body.len().to_string().as_str()));
}

fn assert_is_json(answer: &Answer, status: u16, reason: &str, message: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("vary"), Some("Accept, Accept-Language"));
    let told: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(told, serde_json::json!({"status": status, "reason": reason, "message": message}));
}

#[tokio::test]
async fn people_get_a_page_and_programs_get_json() {
    let acme = Acme::new();
    let server = acme.serve().await;
    let door = Door::open(server.address).await;
    for (target, status, reason, heading) in NOWHERE {
        for headers in ["", "accept: */*\r\n", "accept: text/html, application/json;q=0.9\r\n"] {
            assert_is_page(&door.ask("GET", target, headers).await, status, "en", heading);
        }
        for headers in ["accept: application/json\r\n", "accept: application/json, text/plain, */*\r\n"] {
            let answer = door.ask("GET", target, headers).await;
            assert_is_json(&answer, status, reason, heading);
            assert_eq!(answer.header("content-language"), Some("en"));
        }
    }
    let unknown =
        "GET /sale HTTP/1.1\r\nhost: other.example\r\naccept: application/json\r\nconnection: close\r\n\r\n";
    assert_is_json(&door.say(unknown).await, 404, "SHOP_NOT_FOUND", "This link does not exist");
    let posted = door.ask("POST", "/sale", "accept: application/json\r\n").await;
    assert_is_json(&posted, 405, "METHOD_NOT_ALLOWED", "This link can only be opened");
    let long = door.get(&format!("/plain?{}", "a".repeat(9_000))).await;
    assert_is_page(&long, 414, "en", "This address is too long");
}

#[tokio::test]
async fn pages_speak_the_visitors_language() {
    let acme = Acme::new();
    let server = acme.serve().await;
    let door = Door::open(server.address).await;
    for (wanted, tag, heading) in [
        ("de-AT,de;q=0.9,en;q=0.8", "de", "Dieser Link ist abgelaufen"),
        ("en;q=0.5, fr-CH", "fr", "Ce lien a expiré"),
        ("tlh, ja;q=0.1", "ja", "このリンクは有効期限が切れています"),
        ("zh-CN", "zh-Hans", "此链接已过期"),
        ("ar", "ar", "انتهت صلاحية هذا الرابط"),
        ("tlh", "en", "This link has expired"),
        ("de;q=0", "en", "This link has expired"),
        ("*", "en", "This link has expired"),
    ] {
        let language = format!("accept-language: {wanted}\r\n");
        assert_is_page(&door.ask("GET", "/expired", &language).await, 410, tag, heading);
        let json = format!("{language}accept: application/json\r\n");
        assert_is_json(&door.ask("GET", "/expired", &json).await, 410, "LINK_EXPIRED", heading);
    }
}

#[tokio::test]
async fn head_gets_the_same_headers_and_no_body() {
    let acme = Acme::new();
    let server = acme.serve().await;
    let door = Door::open(server.address).await;
    let targets =
        NOWHERE.iter().map(|row| row.0).chain(["/-/healthz", "/-/readyz", "/robots.txt", "/favicon.ico"]);
    for target in targets {
        for headers in ["", "accept: application/json\r\n"] {
            let (get, head) =
                (door.ask("GET", target, headers).await, door.ask("HEAD", target, headers).await);
            assert_eq!(head.without_date(), get.without_date(), "{target}");
            assert_eq!(get.header("content-length"), Some(get.body.len().to_string().as_str()));
            assert_eq!(head.body, "", "{target}");
        }
    }
}

#[tokio::test]
async fn head_over_http_2_says_the_length_too() {
    let acme = Acme::new();
    let server = acme.serve().await;
    let door = Door::open(server.address).await;
    let stream = TcpStream::connect(door.address).await.unwrap();
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut ask = async |method: &str| {
        let request = http::Request::builder().method(method).uri(format!("http://{HOST}/none"));
        let answer = sender.send_request(request.body(String::new()).unwrap()).await.unwrap();
        let (parts, body) = answer.into_parts();
        let length = parts.headers["content-length"].to_str().unwrap().parse::<usize>().unwrap();
        (parts.status.as_u16(), length, body.collect().await.unwrap().to_bytes().len())
    };
    let (get, head) = (ask("GET").await, ask("HEAD").await);
    assert_eq!((get.0, get.1), (404, get.2));
    assert_eq!(head, (404, get.1, 0));
}

#[tokio::test]
async fn nothing_of_a_request_is_echoed() {
    let acme = Acme::new();
    let server = acme.serve().await;
    let door = Door::open(server.address).await;
    let headers =
        "user-agent: e4c0\r\nreferer: https://e4c0.example/\r\naccept-language: e4c0\r\nx-e4c0: e4c0\r\n";
    for target in ["/e4c0/e4c0?e4c0=e4c0", "/e4c0/x/y", "/%65%34%63%30", "/-/e4c0", "/plain?e4c0=\u{85}"] {
        let answer = door.ask("GET", target, headers).await;
        assert!(answer.status >= 400, "{target}");
        assert!(!format!("{answer:?}").contains("e4c0"), "{answer:?}");
    }
}

#[tokio::test]
async fn every_answer_has_the_headers_that_keep_visitors_safe() {
    let acme = Acme::new();
    let server = acme.serve().await;
    let door = Door::open(server.address).await;
    let targets = NOWHERE.iter().map(|row| row.0);
    let others = ["/sale", "/moved", "/-/q/sale", "/-/healthz", "/-/readyz", "/robots.txt", "/favicon.ico"];
    for target in targets.chain(others) {
        for method in ["GET", "HEAD", "POST"] {
            let answer = door.ask(method, target, "content-length: 0\r\n").await;
            for (name, value) in [
                ("cache-control", "private, no-store"),
                ("referrer-policy", "strict-origin-when-cross-origin"),
                ("x-robots-tag", "noindex"),
                ("x-content-type-options", "nosniff"),
                (
                    "accept-ch",
                    "Sec-CH-UA-Platform-Version, Sec-CH-UA-Full-Version-List, Sec-CH-UA-Form-Factors",
                ),
            ] {
                assert_eq!(answer.header(name), Some(value), "{method} {target}");
            }
            // It would make the browser ask again at once: a second click.
            assert_eq!(answer.header("critical-ch"), None);
            assert_eq!(answer.header("set-cookie"), None);
        }
    }
}

#[tokio::test]
async fn hints_that_were_asked_for_are_passed_on() {
    let (told, mut items) = Told::new();
    let server = Served::start(told).await;
    let door = Door::open_with(server.address, Times::default()).await;
    let headers = "sec-ch-ua-platform-version: \"15.0.0\"\r\nsec-ch-ua-full-version-list: \"A\";v=\"1.2\"\r\n\
                   sec-ch-ua-form-factors: \"Mobile\"\r\n";
    let asking = async { while door.ask("GET", "/plain", headers).await.status == 503 {} };
    let answering = async {
        let item = items.recv().await.unwrap();
        let headers = item.request.headers.clone().unwrap();
        item.answer("https://shop.example/");
        headers
    };
    let ((), headers) = tokio::join!(asking, answering);
    assert_eq!(headers.sec_ch_ua_platform_version.as_deref(), Some("\"15.0.0\""));
    assert_eq!(headers.sec_ch_ua_full_version_list.as_deref(), Some("\"A\";v=\"1.2\""));
    assert_eq!(headers.sec_ch_ua_form_factors.as_deref(), Some("\"Mobile\""));
}

#[tokio::test]
async fn qr_code_leads_where_the_link_does() {
    let acme = Acme::new();
    let server = acme.serve().await;
    let door = Door::open(server.address).await;
    for (target, status) in [
        ("/-/q/plain", 302),
        ("/-/q/plain/", 302),
        ("/-/q/pl%61in/ANNA?a=1", 302),
        ("/-/Q/PLAIN/ANNA", 302),
        ("/-/q", 404),
        ("/-/q/", 404),
        ("/-/q//", 404),
        ("/-/q/none", 404),
        ("/-/q/expired", 410),
        ("/-/q/plain/anna/x", 404),
        ("/-/q/plain//", 404),
    ] {
        assert_eq!(door.get(target).await.status, status, "{target}");
    }
    let head = door.ask("HEAD", "/-/q/plain/annie?a=%20", "").await;
    assert_eq!(head.header("location"), Some("https://acme.example/p?a=%20&ref=anna"));
}

#[tokio::test]
async fn resolver_is_told_how_the_visitor_came() {
    let (told, mut items) = Told::new();
    let server = Served::start(told).await;
    let door = Door::open_with(server.address, Times::default()).await;
    for (target, channel) in [("/-/q/Sale/Anna?a=1", Channel::Qr), ("/Sale/Anna?a=1", Channel::Link)] {
        let asking = async { while door.get(target).await.status == 503 {} };
        let answering = async {
            let item = items.recv().await.unwrap();
            let request = item.request.clone();
            item.answer("https://shop.example/");
            request
        };
        let ((), request) = tokio::join!(asking, answering);
        assert_eq!(request.channel(), channel, "{target}");
        assert_eq!(request.site, Some(Site::Host(HOST.to_owned())));
        let named = (request.slug.as_str(), request.partner.as_str(), request.query.as_str());
        assert_eq!(named, ("Sale", "Anna", "a=1"));
    }
}

#[tokio::test]
async fn robots_and_icons_are_answered_without_the_resolver() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let door = Door::open_with(nobody, Times::default()).await;
    let robots = door.get("/robots.txt").await;
    assert_eq!((robots.status, robots.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    assert_eq!(robots.body, "User-agent: *\nDisallow:\n");
    assert_eq!(door.get("/favicon.ico").await.status, 404);
    assert_eq!(door.get("/sale/anna/x").await.status, 404);
    let answer = door.ask("GET", "/plain", "accept-language: nl\r\n").await;
    assert_is_page(&answer, 503, "nl", "Deze link kan nu niet worden geopend");
    assert_eq!(answer.header("retry-after"), Some("1"));
    let told = door.ask("GET", "/plain", "accept: application/json\r\n").await;
    assert_is_json(&told, 503, "RESOLVER_UNAVAILABLE", "This link cannot be opened right now");
    assert_eq!(told.header("retry-after"), Some("1"));
}
