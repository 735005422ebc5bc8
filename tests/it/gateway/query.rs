//! The visitor's query, from the socket to the Location.

use http::Request;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::fixture::Door;
use crate::resolver::fixture::{Acme, HOST};

/// Returns the query that arrives at the shop.
async fn arrives(door: &Door, query: &[u8]) -> Result<String, u16> {
    let head =
        [b"HEAD /plain?", query, b" HTTP/1.1\r\nhost: ", HOST.as_bytes(), b"\r\nconnection: close\r\n\r\n"];
    let answer = door.say(head.concat()).await;
    let location = answer.header("location").ok_or(answer.status)?;
    Ok(location.strip_prefix("https://acme.example/p").unwrap().to_owned())
}

/// Queries that browsers, mail programs and people make. Each arrives byte for byte.
const QUERIES: [&str; 45] = [
    "a=1",
    "a=b+c",
    "a=b%2Bc",
    "a=b%20c",
    "a=%2b&A=%2B",
    "a=%zz&b=%&c=%2",
    "%",
    "%%%",
    "a;b=c;d",
    ";",
    "a=1&a=2&a=1",
    "&a=1&&b=2&",
    "&",
    "&&&",
    "a",
    "a=",
    "=a",
    "=",
    "a=&b=&c=&==",
    "a==b==c",
    "a=/?@:!$'()*,-._~",
    "?a=1",
    "?",
    "??",
    "a=1?b=2",
    "a=[]{}|^`\\",
    "a[]=1&a[]=2&a[x][y]=3",
    "a=b|c",
    "a=^",
    "a=`b`",
    "a={{b}}",
    "a=\\b\\",
    "a='b'",
    "a=//x.example/../..",
    "u=https://x.example/?y=1",
    "u=https%3A%2F%2Fx.example%2F%3Fy%3D1%23z",
    "a=%23b",
    "%00=%0d%0a",
    "a=%C3%BC&b=%ff%fe",
    "a=ü😀",
    "ключ=значение",
    "a=\u{a0}\u{200b}\u{feff}",
    "a=0&b=00&0=1",
    "utm_source=x&utm_source=y",
    "fbclid=IwAR0_-x&gclid=Cj0KCQjw~",
];

#[tokio::test]
async fn bytes_arrive_as_they_were_sent() {
    let acme = Acme::new();
    let server = acme.serve().await;
    let door = Door::open(server.address).await;
    for query in QUERIES {
        let expected = format!("?{query}");
        assert_eq!(arrives(&door, query.as_bytes()).await, Ok(expected), "{query}");
    }
    assert_eq!(arrives(&door, b"").await, Ok(String::new()));
}

#[tokio::test]
async fn bytes_arrive_over_http_2_too() {
    let acme = Acme::new();
    let server = acme.serve().await;
    let door = Door::open(server.address).await;
    let stream = TcpStream::connect(door.address).await.unwrap();
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    for query in QUERIES {
        let request = Request::head(format!("http://{HOST}/plain?{query}")).body(String::new()).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        let location = answer.headers()["location"].as_bytes();
        assert_eq!(location, format!("https://acme.example/p?{query}").as_bytes(), "{query}");
    }
}

#[tokio::test]
async fn own_names_of_the_visitor_do_not_arrive() {
    let acme = Acme::new();
    let server = acme.serve().await;
    let door = Door::open(server.address).await;
    assert_eq!(arrives(&door, b"a=1&re%66=x&CLICK_ID=y&b=2").await, Ok("?a=1&b=2".to_owned()));
}

#[tokio::test]
async fn fragment_in_the_target_is_not_part_of_the_query() {
    let acme = Acme::new();
    let server = acme.serve().await;
    let door = Door::open(server.address).await;
    assert_eq!(arrives(&door, b"a=1#b").await, Ok("?a=1".to_owned()));
}

#[tokio::test]
async fn what_is_no_text_is_refused() {
    let acme = Acme::new();
    let server = acme.serve().await;
    let door = Door::open(server.address).await;
    for query in [&b"a=\xff"[..], b"a=\xc3", b"a=\x80b", b"a=\x01", b"a=\x7f", b"a=\xc2\x85"] {
        assert_eq!(arrives(&door, query).await, Err(400), "{query:?}");
    }
    // No browser sends these as they are.
    for query in [&b"a b"[..], b"a=<b>", b"a=\"b\""] {
        assert_eq!(arrives(&door, query).await, Err(400), "{query:?}");
    }
}
