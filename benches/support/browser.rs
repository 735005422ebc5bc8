//! Browsers that ask as fast as they get answers, over HTTP/1.1 or HTTP/2.

use std::net::{Ipv4Addr, SocketAddr};

use http::{Request, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::{body::Bytes, client::conn::http2};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::spawn_local,
};

use crate::world::{AGENTS, HOST, agent, target};

/// How a browser speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    /// By prior knowledge, without TLS; one request at a time on each connection.
    Http2,
}

/// A request, ready to be sent in either way.
pub(crate) struct Click {
    http1: Vec<u8>,
    http2: Request<Empty<Bytes>>,
}

impl Click {
    /// Returns the click with this number.
    pub(crate) fn numbered(number: usize) -> Self {
        let (slug, partner, query) = target(number);
        let agent = agent(number % AGENTS);
        let referer = format!("https://blog{}.example/post", number % 97);
        let headers = [
            ("user-agent", agent.as_str()),
            ("accept", "text/html"),
            ("accept-language", "de-DE,de;q=0.9,en;q=0.8"),
            ("referer", &referer),
        ];
        Self::new(&format!("/{slug}/{partner}?{query}"), &headers)
    }

    fn new(target: &str, headers: &[(&str, &str)]) -> Self {
        let mut http1 = format!("GET {target} HTTP/1.1\r\nhost: {HOST}\r\n");
        let whole = format!("http://{HOST}{target}").parse::<Uri>().expect("an address");
        let mut http2 = Request::builder().uri(whole);
        for (name, value) in headers {
            http1 += &format!("{name}: {value}\r\n");
            http2 = http2.header(*name, *value);
        }
        http1 += "\r\n";
        Self { http1: http1.into_bytes(), http2: http2.body(Empty::new()).expect("a request") }
    }
}

/// A connection with little around it.
pub(crate) enum Browser {
    Http1 { stream: TcpStream, buffer: Vec<u8> },
    Http2(http2::SendRequest<Empty<Bytes>>),
}

impl Browser {
    /// Connects from one of 250 addresses; on a `LocalSet`, like everything here.
    pub(crate) async fn connect(door: SocketAddr, number: usize, protocol: Protocol) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        let last = u8::try_from(number % 250 + 2).unwrap_or(2);
        socket.bind((Ipv4Addr::new(127, 0, 0, last), 0).into()).expect("an address of this machine");
        let stream = socket.connect(door).await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        match protocol {
            Protocol::Http1 => Self::Http1 { stream, buffer: Vec::with_capacity(4_096) },
            Protocol::Http2 => {
                let (requests, connection) =
                    http2::handshake(Local, TokioIo::new(stream)).await.expect("a connection");
                // Ends when the requests do.
                spawn_local(async { connection.await.ok() });
                Self::Http2(requests)
            }
        }
    }

    /// Sends a request and returns the status when the whole answer is there.
    pub(crate) async fn ask(&mut self, click: &Click) -> u16 {
        match self {
            Self::Http1 { stream, buffer } => {
                stream.write_all(&click.http1).await.expect("a connection");
                buffer.clear();
                loop {
                    let read = stream.read_buf(buffer).await.expect("a connection");
                    assert!(read > 0, "the connection was closed");
                    if let Some(status) = whole_answer(buffer) {
                        return status;
                    }
                }
            }
            Self::Http2(requests) => {
                let answer = requests.send_request(click.http2.clone()).await.expect("an answer");
                let status = answer.status().as_u16();
                answer.into_body().collect().await.expect("a whole answer");
                status
            }
        }
    }
}

/// Runs the tasks of HTTP/2 connections on the generator's own thread.
#[derive(Clone, Copy)]
struct Local;

impl<F: Future + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, task: F) {
        spawn_local(async { drop(task.await) });
    }
}

/// Returns the status once head and body are there.
fn whole_answer(bytes: &[u8]) -> Option<u16> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..end]).expect("a head in ASCII");
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    (bytes.len() >= end + length.expect("a length")).then(|| head[9..12].parse().ok())?
}
