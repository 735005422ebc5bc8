//! A click through gateway and resolver against nginx's `return 302`: `cargo bench --bench gateway`.
//!
//! The generator is one thread with plain sockets, the same for every row: it sends a request, reads the whole answer,
//! sends the next. nginx is taken from PATH or `.smartlinks/tools`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

#[path = "support/browser.rs"]
mod browser;
#[path = "support/figures.rs"]
mod figures;
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

use browser::{Browser, request};
use clap::Parser;
use figures::{Clock, ROUND, ROUNDS, Round, Row};
use smartlinks::{
    config::gateway::GatewayArgs,
    gateway::{
        Gateway, Limits,
        resolver::{Resolver, ResolverSettings, addresses::Servers},
        serve,
    },
    telemetry::gateway_metrics::GatewayMetrics,
};
use tokio::{net::TcpListener, runtime, sync::watch, task::LocalSet};
use world::VISITS;

fn main() {
    let requests = Rc::new((0..VISITS).map(request).collect::<Vec<_>>());
    let resolver = world::serve_whole("127.0.0.1:0", world::resolver());
    let doors = [per_processor(resolver), one_runtime(resolver)];
    let Some(nginx) = Nginx::start() else {
        println!("nginx is neither in PATH nor in .smartlinks/tools; run scripts/setup bench");
        return;
    };
    for door in doors {
        wait_for(door);
    }
    for connections in [32, 128] {
        let mut rows = [
            Row::new("nginx, return 302"),
            Row::new("gateway, a runtime per processor"),
            Row::new("gateway, one runtime for all"),
        ];
        for round in 0..=ROUNDS {
            let measured = [nginx.address, doors[0], doors[1]].map(|at| measure(&requests, at, connections));
            if round > 0 {
                rows.iter_mut().zip(measured).for_each(|(row, figures)| row.rounds.push(figures));
            }
        }
        figures::print(&format!("{connections} connections, links with ten rules, nothing recorded"), &rows);
        println!();
        let wanted = if connections == 32 { "≥ 0.3 ×" } else { "≥ 0.4 ×, p99 ≤ 5 ms" };
        figures::compare(&rows[1], &rows[0], wanted);
        figures::compare(&rows[1], &rows[2], "no target: is a runtime per processor worth it?");
    }
}

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    gateway: GatewayArgs,
}

/// Starts the gateway as it runs.
fn per_processor(resolver: SocketAddr) -> SocketAddr {
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

/// Starts the same with one runtime whose threads share everything.
fn one_runtime(resolver: SocketAddr) -> SocketAddr {
    let runtime = runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        runtime.block_on(async {
            let (metrics, _) = GatewayMetrics::new();
            let url = format!("http://{resolver}").parse().expect("an address");
            let settings = ResolverSettings { token: None, timeout: Duration::from_secs(2) };
            let servers = Servers::start(&[url], Duration::from_secs(5));
            let resolver = Resolver::start(&settings, servers, &metrics);
            let limits = Limits {
                connections: 10_000,
                idle: Duration::from_secs(30),
                stop_delay: Duration::ZERO,
                drain: Duration::from_secs(1),
            };
            let (_stop, stopped) = watch::channel(false);
            serve(listener, resolver, metrics.tally(), limits, stopped).await;
        });
    });
    address
}

/// Waits until a gateway has found its resolver.
fn wait_for(door: SocketAddr) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let begun = Instant::now();
        loop {
            let mut browser = Browser::connect(door, 0).await;
            if browser.ask(b"GET /-/readyz HTTP/1.1\r\nHost: a\r\n\r\n").await == 200 {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "the gateway is not ready");
        }
    });
}

/// One round of the generator.
struct Run {
    requests: Rc<Vec<Vec<u8>>>,
    next: Cell<usize>,
    begun: Instant,
    nanos: RefCell<Vec<u64>>,
}

fn measure(requests: &Rc<Vec<Vec<u8>>>, door: SocketAddr, connections: usize) -> Round {
    let clock = Clock::start();
    let (requests, nanos) = (Rc::clone(requests), RefCell::new(Vec::with_capacity(1_000_000)));
    let run = Rc::new(Run { requests, next: Cell::new(0), begun: Instant::now(), nanos });
    let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, async {
        let tasks: Vec<_> = (0..connections)
            .map(|number| tokio::task::spawn_local(browse(Rc::clone(&run), door, number)))
            .collect();
        for task in tasks {
            task.await.expect("no panic");
        }
    });
    let (took, share) = (run.begun.elapsed(), clock.share());
    Round::of(run.nanos.take(), took, share)
}

async fn browse(run: Rc<Run>, door: SocketAddr, number: usize) {
    let mut browser = Browser::connect(door, number).await;
    while run.begun.elapsed() < ROUND {
        let at = run.next.get();
        run.next.set(at + 1);
        let sent = Instant::now();
        let status = browser.ask(&run.requests[at % run.requests.len()]).await;
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
    fn start() -> Option<Self> {
        let folder = tempfile::tempdir().ok()?;
        let address = StdListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?;
        let (at, config) = (folder.path().display(), folder.path().join("nginx.conf"));
        let text = format!(
            "worker_processes auto; daemon off; pid {at}/pid; error_log {at}/error.log;\n\
             events {{ worker_connections 4096; }}\n\
             http {{ access_log off; keepalive_requests 1000000000; client_body_temp_path {at}/b; proxy_temp_path {at}/p;\n\
             fastcgi_temp_path {at}/f; uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;\n\
             server {{ listen {address}; location / {{ return 302 https://shop.example/pages/1?from=link; }} }} }}\n"
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
