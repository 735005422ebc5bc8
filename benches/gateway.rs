//! A click through gateway and resolver against nginx's `return 302`: `cargo bench --bench gateway`.
//!
//! The generator is one thread, the same for every row: each connection sends a request, reads the whole answer, sends
//! the next. nginx is taken from PATH or `.smartlinks/tools`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

#[path = "support/browser.rs"]
mod browser;
#[path = "support/figures.rs"]
mod figures;
#[path = "support/log.rs"]
mod log;
#[path = "support/world.rs"]
mod world;

use std::{
    cell::{Cell, RefCell},
    fs,
    net::{SocketAddr, TcpListener as StdListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    rc::Rc,
    thread,
    time::{Duration, Instant},
};

use browser::{Browser, Click, Protocol};
use clap::Parser;
use figures::{Clock, ROUND, ROUNDS, Round, Row};
use log::Log;
use smartlinks::{config::gateway::GatewayArgs, gateway::Gateway};
use tokio::{runtime, sync::watch, task::LocalSet};
use world::VISITS;

fn main() {
    let clicks = Rc::new((0..VISITS).map(Click::numbered).collect::<Vec<_>>());
    let log = Log::open();
    let [gateway, forgetful] = [log.resolver(), world::resolver()].map(|resolver| {
        let door = gateway(world::serve_whole("127.0.0.1:0", resolver));
        wait_for(door);
        door
    });
    for (protocol, name) in [(Protocol::Http1, "HTTP/1.1"), (Protocol::Http2, "HTTP/2 without TLS")] {
        let Some(nginx) = Nginx::start(protocol) else {
            println!("nginx is neither in PATH nor in .smartlinks/tools; run scripts/setup bench");
            return;
        };
        for connections in [32, 128] {
            let mut rows =
                [Row::new("nginx, return 302"), Row::new("gateway"), Row::new("gateway, nothing kept")];
            for round in 0..=ROUNDS {
                let doors = [nginx.address, gateway, forgetful];
                let measured = doors.map(|door| measure(&clicks, door, protocol, connections));
                log.forget();
                if round > 0 {
                    rows.iter_mut().zip(measured).for_each(|(row, figures)| row.rounds.push(figures));
                }
            }
            let title =
                format!("{name}, {connections} connections, links with ten rules, clicks in the local log");
            figures::print(&title, &rows);
            println!();
            let wanted = if connections == 32 { "≥ 0.3 ×" } else { "≥ 0.4 ×, p99 ≤ 5 ms" };
            figures::compare(&rows[1], &rows[0], wanted);
            figures::compare(&rows[2], &rows[0], "no target");
        }
    }
    log.assert_complete();
}

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    gateway: GatewayArgs,
}

/// Starts the gateway as it runs.
fn gateway(resolver: SocketAddr) -> SocketAddr {
    let resolver = format!("--resolver=http://{resolver}");
    let flags = Flags::parse_from(["gateway", "--listen=127.0.0.1:0", &resolver]);
    let gateway = Gateway::bind(flags.gateway.read().expect("sound settings")).expect("a free port");
    let address = gateway.address();
    thread::spawn(move || {
        let (_stop, stopped) = watch::channel(false);
        gateway.run(&stopped).expect("workers");
    });
    address
}

/// Waits until a gateway has found its resolver.
fn wait_for(door: SocketAddr) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, async {
        let begun = Instant::now();
        let click = Click::numbered(0);
        while Browser::connect(door, 0, Protocol::Http1).await.ask(&click).await != 302 {
            assert!(begun.elapsed() < Duration::from_secs(10), "the gateway is not ready");
        }
    });
}

/// One round of the generator.
struct Run {
    clicks: Rc<Vec<Click>>,
    next: Cell<usize>,
    begun: Instant,
    nanos: RefCell<Vec<u64>>,
}

fn measure(clicks: &Rc<Vec<Click>>, door: SocketAddr, protocol: Protocol, connections: usize) -> Round {
    let clock = Clock::start();
    let (clicks, nanos) = (Rc::clone(clicks), RefCell::new(Vec::with_capacity(1_000_000)));
    let run = Rc::new(Run { clicks, next: Cell::new(0), begun: Instant::now(), nanos });
    let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, async {
        let browse = |number| tokio::task::spawn_local(browse(Rc::clone(&run), door, protocol, number));
        let tasks: Vec<_> = (0..connections).map(browse).collect();
        for task in tasks {
            task.await.expect("no panic");
        }
    });
    let took = run.begun.elapsed();
    Round::of(run.nanos.take(), took, &clock)
}

async fn browse(run: Rc<Run>, door: SocketAddr, protocol: Protocol, number: usize) {
    let mut browser = Browser::connect(door, number, protocol).await;
    while run.begun.elapsed() < ROUND {
        let at = run.next.get();
        run.next.set(at + 1);
        let sent = Instant::now();
        let status = browser.ask(&run.clicks[at % run.clicks.len()]).await;
        assert_eq!(status, 302, "a click was not redirected");
        run.nanos.borrow_mut().push(u64::try_from(sent.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }
}

/// nginx with as many workers as there are processors. It ends with this value.
struct Nginx {
    process: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Nginx {
    fn start(protocol: Protocol) -> Option<Self> {
        let folder = tempfile::tempdir().ok()?;
        let address = StdListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?;
        let (at, config) = (folder.path().display(), folder.path().join("nginx.conf"));
        let http2 = if protocol == Protocol::Http2 { " http2" } else { "" };
        let text = format!(
            "worker_processes auto; daemon off; pid {at}/pid; error_log {at}/error.log;\n\
             events {{ worker_connections 4096; }}\n\
             http {{ access_log off; keepalive_requests 1000000000; client_body_temp_path {at}/b; proxy_temp_path {at}/p;\n\
             fastcgi_temp_path {at}/f; uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;\n\
             server {{ listen {address}{http2}; location / {{ return 302 https://shop.example/pages/1?from=link; }} }} }}\n"
        );
        fs::write(&config, text).ok()?;
        let process = Command::new(nginx()?)
            .args([Path::new("-p"), folder.path(), Path::new("-c"), &config])
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let nginx = Self { process, address, _folder: folder };
        let begun = Instant::now();
        while std::net::TcpStream::connect(address).is_err() {
            if begun.elapsed() > Duration::from_secs(10) {
                return None;
            }
            thread::yield_now();
        }
        Some(nginx)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The master ends its workers when it is told to, not when it is killed.
        let told = Command::new("kill").arg(self.process.id().to_string()).status();
        if !told.is_ok_and(|status| status.success()) {
            self.process.kill().ok();
        }
        self.process.wait().ok();
    }
}

/// Finds nginx.
fn nginx() -> Option<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join(".smartlinks/tools/nginx");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).map(|folder| folder.join("nginx"));
    in_path.chain([own]).find(|program| program.is_file())
}
