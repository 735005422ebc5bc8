//! What HTTP/1 allows and browsers hardly do: old versions, bodies, pipelines, upgrades, expectations, dribbling.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::fixture::{Answer, Door, PATIENCE, Times};
use crate::resolver::fixture::{Acme, HOST};

/// Opens a gateway with this time of silence, and sends it bytes over one connection, which it closes.
async fn answers(bytes: &[u8]) -> Vec<Answer> {
    let acme = Acme::new();
    let server = acme.serve().await;
    let door = Door::open(server.address).await;
    let mut browser = door.connect().await;
    browser.send(bytes).await;
    Answer::all(&browser.rest().await)
}

fn statuses(answers: &[Answer]) -> Vec<u16> {
    answers.iter().map(|answer| answer.status).collect()
}

#[tokio::test]
async fn http_1_0_is_answered_and_closed() {
    for (request, status) in [
        (format!("GET /plain HTTP/1.0\r\nhost: {HOST}\r\n\r\n"), 302),
        (format!("HEAD /plain HTTP/1.0\r\nhost: {HOST}\r\n\r\n"), 302),
        (format!("GET http://{HOST}/none HTTP/1.0\r\n\r\n"), 404),
        // Nobody knows whose link it is.
        ("GET /plain HTTP/1.0\r\n\r\n".to_owned(), 400),
    ] {
        let answers = answers(request.as_bytes()).await;
        assert_eq!(statuses(&answers), [status], "{request}");
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let one = |target: &str, rest: &str| format!("GET {target} HTTP/1.1\r\nhost: {HOST}\r\n{rest}\r\n");
    let all = one("/plain?a=1", "")
        + &one("/none", "")
        + &one("/moved", "")
        + &one("/expired", "connection: close\r\n");
    let answers = answers((all + &one("/plain", "")).as_bytes()).await;
    assert_eq!(statuses(&answers), [302, 404, 301, 410]);
    assert!(answers[0].header("location").unwrap().starts_with("https://acme.example/p?a=1&"));
}

#[tokio::test]
async fn body_of_a_request_is_no_request() {
    // What stands in a body is never taken for the next request.
    let hidden = format!("GET /moved HTTP/1.1\r\nhost: {HOST}\r\n\r\n");
    let next = format!("GET /none HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n\r\n");
    let length = format!("content-length: {}\r\n\r\n{hidden}", hidden.len());
    let chunked = format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n{hidden}\r\n0\r\n\r\n", hidden.len());
    for (method, status) in [("GET", 302), ("HEAD", 302), ("POST", 405)] {
        for body in [&length, &chunked] {
            let request = format!("{method} /plain HTTP/1.1\r\nhost: {HOST}\r\n{body}{next}");
            let answers = answers(request.as_bytes()).await;
            // The connection may be closed instead of reading the body.
            let expected = [status, 404];
            assert!(
                !answers.is_empty() && expected.starts_with(&statuses(&answers)),
                "{request}: {answers:?}"
            );
        }
    }
}

#[tokio::test]
async fn two_lengths_of_a_body_are_refused() {
    for lengths in [
        "content-length: 1\r\ncontent-length: 2\r\n",
        "content-length: x\r\n",
        "content-length: -1\r\n",
        "transfer-encoding: gzip\r\n",
    ] {
        let request = format!("GET /plain HTTP/1.1\r\nhost: {HOST}\r\n{lengths}connection: close\r\n\r\n");
        assert_eq!(statuses(&answers(request.as_bytes()).await), [400], "{lengths}");
    }
}

#[tokio::test]
async fn endless_body_is_not_read() {
    let acme = Acme::new();
    let server = acme.serve().await;
    let door = Door::open(server.address).await;
    let mut browser = door.connect().await;
    let head = format!("GET /plain HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 1000000000000\r\n\r\n");
    browser.send(head).await;
    assert_eq!(browser.answer_without_body().await.status, 302);
    let sending = async { while browser.try_send(&[b'x'; 64 * 1_024]).await.is_ok() {} };
    timeout(PATIENCE, sending).await.expect("the gateway reads on and on");
}

#[tokio::test]
async fn expectation_of_100_gets_the_answer_at_once() {
    let request =
        format!("GET /plain HTTP/1.1\r\nhost: {HOST}\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n");
    assert_eq!(statuses(&answers(request.as_bytes()).await), [302]);
}

#[tokio::test]
async fn upgrades_are_not_taken() {
    for upgrade in [
        "upgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAoAAAAAIAAAAA\r\nconnection: upgrade, http2-settings, close\r\n",
        "upgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nconnection: upgrade, close\r\n",
    ] {
        let request = format!("GET /plain HTTP/1.1\r\nhost: {HOST}\r\n{upgrade}\r\n");
        let answers = answers(request.as_bytes()).await;
        assert_eq!(statuses(&answers), [302], "{upgrade}");
        assert_eq!(answers[0].header("upgrade"), None);
    }
}

#[tokio::test]
async fn odd_targets_are_answered() {
    for (line, status) in [
        (format!("GET http://{HOST}/plain HTTP/1.1"), 302),
        (format!("GET http://{HOST} HTTP/1.1"), 302),
        (format!("GET https://{HOST}/plain HTTP/1.1"), 302),
        ("OPTIONS * HTTP/1.1".to_owned(), 405),
        (format!("CONNECT {HOST}:443 HTTP/1.1"), 405),
        ("GET * HTTP/1.1".to_owned(), 404),
        ("GET plain HTTP/1.1".to_owned(), 404),
        ("GET  HTTP/1.1".to_owned(), 400),
        ("GET /pl ain HTTP/1.1".to_owned(), 400),
        ("G\u{e4}T /plain HTTP/1.1".to_owned(), 400),
        ("get /plain HTTP/1.1".to_owned(), 405),
        ("GET /plain HTTP/3.0".to_owned(), 400),
        ("\u{16}\u{3}\u{1}TLS".to_owned(), 400),
    ] {
        let request = format!("{line}\r\nhost: {HOST}\r\nconnection: close\r\n\r\n");
        assert_eq!(statuses(&answers(request.as_bytes()).await), [status], "{line}");
    }
}

#[tokio::test]
async fn dribbled_head_is_cut_off() {
    let acme = Acme::new();
    let server = acme.serve().await;
    let times = Times { idle: Duration::from_millis(200), ..Times::default() };
    let door = Door::open_with(server.address, times).await;
    let head = format!("GET /plain HTTP/1.1\r\nhost: {HOST}\r\nx: {}", "x".repeat(1_000));
    // What HTTP/2 begins with, and settings that change nothing.
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned() + &"\0\0\0\u{4}\0\0\0\0\0".repeat(100);
    for bytes in [head, preface] {
        let mut browser = door.connect().await;
        let begun = Instant::now();
        let mut sent = 0;
        // Never silent for long, and never done.
        for byte in bytes.as_bytes() {
            let is_taken = browser.try_send(&[*byte]).await.is_ok();
            if !is_taken || browser.is_closed_within(Duration::from_millis(20)).await {
                break;
            }
            sent += 1;
            assert!(begun.elapsed() < PATIENCE, "the gateway waits on and on");
        }
        assert!(sent < bytes.len(), "the gateway took it all");
    }
}
