//! Stands between browsers and a gateway, and writes down what passes, byte for byte.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream},
    net::{TcpListener, TcpStream},
};

use super::seen::Seen;

/// A request and its answer.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    /// As it stood in the request line.
    pub(super) method: String,
    /// As it stood in the request line.
    pub(super) target: String,
    /// The status of the answer.
    pub(super) status: u16,
    request: String,
    answer: String,
}

impl Exchange {
    /// Returns a header of the request.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        header(&self.request, name)
    }

    /// Returns a header of the answer.
    pub(super) fn answer_header(&self, name: &str) -> Option<&str> {
        header(&self.answer, name)
    }
}

/// Opens a port that leads to a gateway. Requests for the browser's little picture pass unseen.
pub(super) async fn open(gateway: SocketAddr) -> (SocketAddr, Seen<Exchange>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, seen) = (listener.local_addr().unwrap(), Seen::new());
    let exchanges = seen.clone();
    tokio::spawn(async move {
        while let Ok((browser, _)) = listener.accept().await {
            // Browsers leave in many ways.
            tokio::spawn(pass(browser, gateway, exchanges.clone()));
        }
    });
    (address, seen)
}

async fn pass(browser: TcpStream, gateway: SocketAddr, seen: Seen<Exchange>) -> io::Result<()> {
    let mut browser = BufStream::new(browser);
    let mut gateway = BufStream::new(TcpStream::connect(gateway).await?);
    loop {
        let request = head(&mut browser).await?;
        let mut words = request.split(' ').map(str::to_owned);
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        let body = body(&mut browser, &request).await?;
        send(&mut gateway, &request, &body).await?;
        let answer = head(&mut gateway).await?;
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let body = if method == "HEAD" { Vec::new() } else { self::body(&mut gateway, &answer).await? };
        if target != "/favicon.ico" {
            seen.add(Exchange { method, target, status, request, answer: answer.clone() });
        }
        send(&mut browser, &answer, &body).await?;
    }
}

/// Reads up to the empty line, which is part of it.
async fn head(from: &mut BufStream<TcpStream>) -> io::Result<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if from.read_line(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(head)
}

async fn body(from: &mut BufStream<TcpStream>, head: &str) -> io::Result<Vec<u8>> {
    assert_eq!(header(head, "transfer-encoding"), None, "{head}");
    let mut body = vec![0; header(head, "content-length").map_or(0, |length| length.parse().unwrap())];
    from.read_exact(&mut body).await?;
    Ok(body)
}

async fn send(to: &mut BufStream<TcpStream>, head: &str, body: &[u8]) -> io::Result<()> {
    to.write_all(head.as_bytes()).await?;
    to.write_all(body).await?;
    to.flush().await
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    lines.find(|(is, _)| is.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}
