//! Behind proxies: whose address and country the resolver is told.

use clap::Parser;
use hyper_util::rt::{TokioExecutor, TokioIo};
use smartlinks::{
    config::{gateway::GatewayArgs, proxies::Proxies},
    gateway::{Gateway, resolver::addresses::Servers},
    proto::{Channel, ResolveRequest},
};
use tokio::{
    net::TcpStream,
    sync::{mpsc, watch},
    time::timeout,
};

use super::fixture::{Door, PATIENCE, Times, Told, url};
use crate::resolver::fixture::{Acme, HOST, Served};

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    args: GatewayArgs,
}

fn proxies(flags: &[&str]) -> Option<Proxies> {
    let flags = ["gateway"].iter().chain(flags);
    Command::parse_from(flags).args.read().unwrap().proxies
}

/// A gateway whose resolver answers everything and tells what it was asked.
struct Behind {
    door: Door,
    asked: mpsc::UnboundedReceiver<ResolveRequest>,
    _resolver: Served,
}

impl Behind {
    async fn open(flags: &[&str]) -> Self {
        let (told, mut items) = Told::new();
        let resolver = Served::start(told).await;
        let (requests, mut asked) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(item) = items.recv().await {
                // The test may be over.
                requests.send(item.request.clone()).ok();
                item.answer("https://shop.example/");
            }
        });
        let door = Door::open_behind(
            Servers::start(&[url(resolver.address)], PATIENCE),
            None,
            Times::default(),
            proxies(flags),
        )
        .await;
        // The first click that comes through was answered; those before it were not asked.
        door.has_status("/warm", 302).await;
        asked.recv().await.unwrap();
        Self { door, asked, _resolver: resolver }
    }

    /// Returns what the resolver was asked for a request with these header lines.
    async fn asked(&mut self, headers: &str) -> ResolveRequest {
        assert_eq!(self.door.ask("GET", "/plain", headers).await.status, 302);
        timeout(PATIENCE, self.asked.recv()).await.unwrap().unwrap()
    }

    async fn address(&mut self, headers: &str) -> String {
        self.asked(headers).await.client_address
    }
}

const FORWARDED: &str = "x-forwarded-for: 198.51.100.1, 192.0.2.7\r\nforwarded: for=198.51.100.2\r\n\
                         x-real-ip: 198.51.100.3\r\nx-country: DE\r\ncf-connecting-ip: 198.51.100.4\r\n";

#[tokio::test]
async fn without_settings_nobody_is_believed() {
    let mut behind = Behind::open(&[]).await;
    let request = behind.asked(FORWARDED).await;
    assert_eq!((request.client_address.as_str(), request.country.as_str()), ("127.0.0.1", ""));
}

#[tokio::test]
async fn peer_that_is_not_trusted_is_the_visitor() {
    let flags = ["--trusted-proxies=192.0.2.0/24, 10.0.0.0/8", "--country-header=x-country"];
    let mut behind = Behind::open(&flags).await;
    let request = behind.asked(FORWARDED).await;
    assert_eq!((request.client_address.as_str(), request.country.as_str()), ("127.0.0.1", ""));
}

#[tokio::test]
async fn trusted_blocks_are_passed_over() {
    let flags = ["--trusted-proxies=127.0.0.1, 192.0.2.0/24", "--country-header=X-Country"];
    let mut behind = Behind::open(&flags).await;
    let request = behind.asked(FORWARDED).await;
    assert_eq!((request.client_address.as_str(), request.country.as_str()), ("198.51.100.1", "DE"));
    for (headers, address) in [
        ("", "127.0.0.1"),
        ("x-forwarded-for: 198.51.100.9\r\n", "198.51.100.9"),
        ("x-forwarded-for: 1.1.1.1\r\nX-Forwarded-For: 198.51.100.9:1234\r\n", "198.51.100.9"),
        ("x-forwarded-for: [2001:db8::9]:80, 192.0.2.1\r\n", "2001:db8::9"),
        ("x-forwarded-for: ::ffff:198.51.100.9\r\n", "198.51.100.9"),
        ("x-forwarded-for: 198.51.100.9, unknown\r\n", ""),
        ("x-forwarded-for:\r\n", ""),
        ("forwarded: for=198.51.100.9\r\n", "127.0.0.1"),
    ] {
        assert_eq!(behind.address(headers).await, address, "{headers:?}");
    }
}

#[tokio::test]
async fn hops_are_counted() {
    let mut behind = Behind::open(&["--trusted-proxies=2", "--country-header=x-country"]).await;
    let request = behind.asked(FORWARDED).await;
    assert_eq!((request.client_address.as_str(), request.country.as_str()), ("198.51.100.1", "DE"));
    for (headers, address) in [
        ("", ""),
        ("x-forwarded-for: 198.51.100.9\r\n", ""),
        ("x-forwarded-for: 198.51.100.9\r\nx-forwarded-for: 192.0.2.1\r\n", "198.51.100.9"),
        ("x-forwarded-for: 1.1.1.1, 198.51.100.9, 192.0.2.1\r\n", "198.51.100.9"),
    ] {
        assert_eq!(behind.address(headers).await, address, "{headers:?}");
    }
}

#[tokio::test]
async fn forwarded_is_read_where_it_is_named() {
    let mut behind = Behind::open(&["--trusted-proxies=127.0.0.1", "--forwarded-header=forwarded"]).await;
    for (headers, address) in [
        (FORWARDED, "198.51.100.2"),
        ("forwarded: for=1.1.1.1, FOR=\"[2001:db8::9]:80\";proto=https\r\n", "2001:db8::9"),
        (
            "forwarded: for=\"1.1.1.1\r\nforwarded: for=198.51.100.9;host=\"a,for=1.1.1.1\"\r\n",
            "198.51.100.9",
        ),
        ("forwarded: for=_hidden\r\n", ""),
        ("x-forwarded-for: 198.51.100.9\r\n", "127.0.0.1"),
    ] {
        assert_eq!(behind.address(headers).await, address, "{headers:?}");
    }
}

#[tokio::test]
async fn country_is_two_letters_on_one_line() {
    let mut behind = Behind::open(&["--trusted-proxies=1", "--country-header=x-country"]).await;
    for (headers, country) in [
        ("x-country: us\r\n", "us"),
        ("x-country:   US  \r\n", "US"),
        ("x-country: XX\r\n", "XX"),
        ("x-country: XX1\r\n", ""),
        ("x-country: T1\r\n", ""),
        ("x-country:\r\n", ""),
        ("x-country: DE\r\nx-country: US\r\n", ""),
        ("x-country: DE,US\r\n", ""),
        ("", ""),
    ] {
        assert_eq!(behind.asked(headers).await.country, country, "{headers:?}");
    }
}

#[tokio::test]
async fn http_2_is_read_the_same() {
    let mut behind = Behind::open(&["--trusted-proxies=1", "--country-header=x-country"]).await;
    let stream = TcpStream::connect(behind.door.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::builder()
        .uri(format!("http://{HOST}/-/q/plain"))
        .header("x-forwarded-for", "1.1.1.1")
        .header("x-forwarded-for", "2001:db8::1")
        .header("x-country", "FR")
        .body(String::new())
        .unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), 302);
    let request = behind.asked.recv().await.unwrap();
    assert_eq!((request.client_address.as_str(), request.country.as_str()), ("2001:db8::1", "FR"));
    assert_eq!(request.channel(), Channel::Qr);
}

#[tokio::test]
async fn settings_reach_every_worker_and_rules_see_the_visitor() {
    let acme = Acme::new();
    let server = acme.serve().await;
    let resolver = format!("--resolver=http://{}", server.address);
    let flags = ["gateway", "--listen=127.0.0.1:0", "--workers=2", "--trusted-proxies=127.0.0.1", &resolver];
    let gateway = Gateway::bind(Command::parse_from(flags).args.read().unwrap()).unwrap();
    let (stop, stopped) = watch::channel(false);
    let address = gateway.address();
    let running = std::thread::spawn(move || gateway.run(&stopped));
    let door = Door::at(address, stop);
    door.is_ready().await;
    // Connections fall to either worker, and either may not have found the resolver yet.
    let location = async |headers: &str| {
        loop {
            let answer = door.ask("HEAD", "/sale", headers).await;
            match answer.status {
                503 => {}
                _ => return answer.header("location").map(str::to_owned),
            }
        }
    };
    for _ in 0..20 {
        assert_eq!(location("").await.as_deref(), Some("https://acme.example/local"));
        let behind = location("x-forwarded-for: 198.51.100.1\r\n").await;
        assert_eq!(behind.as_deref(), Some("https://acme.example/sale?own=1"));
    }
    door.stop.send_replace(true);
    tokio::task::spawn_blocking(move || running.join().unwrap().unwrap()).await.unwrap();
}
