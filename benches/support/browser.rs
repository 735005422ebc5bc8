//! A browser with nothing around it.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use crate::world::{AGENTS, HOST, agent, target};

/// Returns the click with this number.
pub(crate) fn request(number: usize) -> Vec<u8> {
    let (slug, partner, query) = target(number);
    let agent = agent(number % AGENTS);
    let head = format!(
        "GET /{slug}/{partner}?{query} HTTP/1.1\r\nHost: {HOST}\r\nUser-Agent: {agent}\r\nAccept: text/html\r\n\
         Accept-Language: de-DE,de;q=0.9,en;q=0.8\r\nReferer: https://blog{}.example/post\r\n\r\n",
        number % 97
    );
    head.into_bytes()
}

/// A connection of HTTP/1.1 with nothing around it.
pub(crate) struct Browser {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Browser {
    /// Connects from one of 250 addresses.
    pub(crate) async fn connect(door: SocketAddr, number: usize) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        let last = u8::try_from(number % 250 + 2).unwrap_or(2);
        socket.bind((Ipv4Addr::new(127, 0, 0, last), 0).into()).expect("an address of this machine");
        let stream = socket.connect(door).await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        Self { stream, buffer: Vec::with_capacity(4_096) }
    }

    /// Sends a request and returns the status when the whole answer is there.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> u16 {
        self.stream.write_all(request).await.expect("a connection");
        self.buffer.clear();
        loop {
            let read = self.stream.read_buf(&mut self.buffer).await.expect("a connection");
            assert!(read > 0, "the connection was closed");
            if let Some(status) = whole_answer(&self.buffer) {
                return status;
            }
        }
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
