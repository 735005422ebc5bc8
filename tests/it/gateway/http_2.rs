//! HTTP/2 by prior knowledge: what a connection may do, frame by frame.

use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, time::timeout};

use super::fixture::{Browser, Door, PATIENCE, Times, Told};
use crate::resolver::fixture::{Acme, HOST, Served};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Returns the header block of a GET: method, scheme, path, authority, by the first entries of the static table.
fn get(path: &str) -> Vec<u8> {
    let literal = |name: u8, value: &str| {
        let mut bytes = vec![name, u8::try_from(value.len()).unwrap()];
        bytes.extend(value.as_bytes());
        bytes
    };
    [vec![0x82, 0x86], literal(0x04, path), literal(0x01, HOST)].concat()
}

/// A connection that has said hello.
struct Peer(Browser);

impl Peer {
    async fn connect(door: &Door) -> Self {
        let mut browser = door.connect().await;
        browser.send([PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await;
        Self(browser)
    }

    async fn next(&mut self) -> Option<Frame> {
        let head = self.0.exactly(9).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let payload = self.0.exactly(usize::try_from(length).unwrap()).await?;
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// Reads on to a frame of this kind, if there is one before the end.
    async fn until(&mut self, kind: u8) -> Option<Frame> {
        let reading = async {
            loop {
                let frame = self.next().await?;
                if frame.kind == kind && (kind != SETTINGS || frame.flags & ACK == 0) {
                    return Some(frame);
                }
            }
        };
        timeout(PATIENCE, reading).await.expect("nothing came")
    }

    /// Returns the error with which the gateway ends the connection.
    async fn error(&mut self) -> u32 {
        let payload = self.until(GOAWAY).await.expect("it did not say why it went").payload;
        u32::from_be_bytes(payload[4..8].try_into().unwrap())
    }
}

fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())
}

#[tokio::test]
async fn plain_get_is_answered() {
    let acme = Acme::new();
    let server = acme.serve().await;
    let door = Door::open(server.address).await;
    let mut peer = Peer::connect(&door).await;
    peer.0.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, &get("/plain"))).await;
    let answer = peer.until(HEADERS).await.unwrap();
    assert_eq!((answer.stream, answer.flags), (1, END_STREAM | END_HEADERS));
}

#[tokio::test]
async fn limits_are_told_at_the_beginning() {
    let acme = Acme::new();
    let server = acme.serve().await;
    let door = Door::open(server.address).await;
    let settings = Peer::connect(&door).await.until(SETTINGS).await.unwrap().payload;
    let told: Vec<_> = settings
        .chunks(6)
        .map(|pair| {
            let value = u32::from_be_bytes(pair[2..].try_into().unwrap());
            (u16::from_be_bytes([pair[0], pair[1]]), value)
        })
        .collect();
    // MAX_CONCURRENT_STREAMS and MAX_HEADER_LIST_SIZE.
    assert!(told.contains(&(3, 100)), "{told:?}");
    assert!(told.contains(&(6, 32 * 1_024)), "{told:?}");
}

#[tokio::test]
async fn browser_that_takes_everything_back_is_sent_away() {
    let acme = Acme::new();
    let server = acme.serve().await;
    let door = Door::open(server.address).await;
    let mut peer = Peer::connect(&door).await;
    let both =
        |stream| [frame(HEADERS, END_STREAM | END_HEADERS, stream, &get("/plain")), reset(stream)].concat();
    let flood: Vec<u8> = (0..200).flat_map(|at| both(2 * at + 1)).collect();
    peer.0.send(flood).await;
    assert_eq!(peer.error().await, ENHANCE_YOUR_CALM);
}

#[tokio::test]
async fn stream_beyond_the_limit_is_refused_and_the_others_are_answered() {
    let (told, mut items) = Told::new();
    let server = Served::start(told).await;
    let door = Door::open_with(server.address, Times::default()).await;
    // Streams are held open by a resolver that does not answer; wait until it is asked at all.
    let asked = async {
        loop {
            let waiting = door.get("/warm");
            tokio::select! {
                answer = waiting => assert_eq!(answer.status, 503),
                item = items.recv() => return item.unwrap(),
            }
        }
    };
    timeout(PATIENCE, asked).await.unwrap().answer("https://shop.example/");
    let mut peer = Peer::connect(&door).await;
    // Only a browser that knows the limit is held to it.
    peer.until(SETTINGS).await.unwrap();
    peer.0.send(frame(SETTINGS, ACK, 0, &[])).await;
    let asks = |at: u32| frame(HEADERS, END_STREAM | END_HEADERS, 2 * at + 1, &get("/plain"));
    peer.0.send((0..101).flat_map(asks).collect::<Vec<_>>()).await;
    let refused = peer.until(RST_STREAM).await.unwrap();
    assert_eq!((refused.stream, refused.payload), (201, REFUSED_STREAM.to_be_bytes().to_vec()));
    for _ in 0..100 {
        timeout(PATIENCE, items.recv()).await.unwrap().unwrap().answer("https://shop.example/");
    }
    for _ in 0..100 {
        peer.until(HEADERS).await.unwrap();
    }
}

#[tokio::test]
async fn long_header_list_is_431() {
    let acme = Acme::new();
    let server = acme.serve().await;
    let door = Door::open(server.address).await;
    let stream = TcpStream::connect(door.address).await.unwrap();
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    for (bytes, status) in [(1_000, 302), (40_000, 431), (1_000, 302)] {
        let request =
            http::Request::builder().uri(format!("http://{HOST}/plain")).header("x", "v".repeat(bytes));
        let answer = sender.send_request(request.body(String::new()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), status, "{bytes}");
    }
}

#[tokio::test]
async fn endless_header_block_is_cut_off() {
    let acme = Acme::new();
    let server = acme.serve().await;
    let door = Door::open(server.address).await;
    let mut peer = Peer::connect(&door).await;
    peer.0.send(frame(HEADERS, END_STREAM, 1, &get("/plain"))).await;
    let more = frame(CONTINUATION, 0, 1, &[0x00, 1, b'x', 1, b'v'].repeat(2_000));
    let sending = async { while peer.0.try_send(&more).await.is_ok() {} };
    timeout(PATIENCE, sending).await.expect("the gateway reads on and on");
}

#[tokio::test]
async fn pings_and_settings_without_end_do_not_keep_a_connection() {
    let acme = Acme::new();
    let server = acme.serve().await;
    let times = Times { idle: std::time::Duration::from_millis(200), ..Times::default() };
    let door = Door::open_with(server.address, times).await;
    for noise in [frame(PING, 0, 0, &[0; 8]), frame(SETTINGS, 0, 0, &[])] {
        let mut peer = Peer::connect(&door).await;
        let sending = async {
            while peer.0.try_send(&noise).await.is_ok() {
                // Reads what comes back, so that the gateway is never stopped by a full pipe.
                if peer.next().await.is_none_or(|frame| frame.kind == GOAWAY) {
                    return;
                }
            }
        };
        timeout(PATIENCE, sending).await.expect("the connection was kept");
    }
}
