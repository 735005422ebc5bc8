//! Three servers behind one name under a steady load, one killed, one frozen, both back: `cargo bench --bench outage`.
//!
//! The servers are processes of their own: the benchmark starts itself again for each. So that one name has three
//! addresses, it runs in a mount namespace with a hosts file of its own; where that is not allowed it says so and takes
//! three URLs instead. The load is open: a click is due at its time whether or not the ones before were answered.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

#[path = "support/browser.rs"]
mod browser;
#[path = "support/world.rs"]
mod world;

use std::{
    cell::{Cell, RefCell},
    env, fs,
    io::{Read, stdin},
    net::{SocketAddr, TcpListener as StdListener, ToSocketAddrs},
    process::{Child, Command, Stdio, exit},
    rc::Rc,
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::{Duration, Instant},
};

use browser::{Browser, Click, Protocol};
use clap::Parser;
use smartlinks::{config::gateway::GatewayArgs, gateway::Gateway};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime,
    sync::watch,
    task::LocalSet,
    time::sleep_until,
};
use world::VISITS;

/// Tells a process of the benchmark that it is a server, and where it listens.
const SERVER: &str = "SMARTLINKS_OUTAGE_SERVER";
/// Tells it that its hosts file has the name.
const INSIDE: &str = "SMARTLINKS_OUTAGE_INSIDE";
/// The name of the servers.
const NAME: &str = "servers.outage.test";
/// Their addresses.
const HOSTS: [&str; 3] = ["127.0.0.2", "127.0.0.3", "127.0.0.4"];
/// Clicks a second.
const RATE: u32 = 2_000;
/// How long a phase lasts, and when in it something happens.
const PHASE: Duration = Duration::from_secs(6);
const EVENT: Duration = Duration::from_secs(1);
/// Browsers; more than ever wait at once.
const BROWSERS: usize = 256;

fn main() {
    if let Ok(address) = env::var(SERVER) {
        return serve(&address);
    }
    let named = env::var_os(INSIDE).is_some();
    if !named && let Some(ended) = run_with_the_name() {
        exit(ended);
    }
    bench(named);
}

/// Runs the benchmark in a namespace in which the name has three addresses. Returns what it ended with, or nothing if
/// there can be no such namespace.
fn run_with_the_name() -> Option<i32> {
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "--"]);
        command
    };
    let folder = tempfile::tempdir().ok()?;
    let hosts = folder.path().join("hosts");
    let lines = HOSTS.map(|host| format!("{host} {NAME}\n")).concat();
    fs::write(&hosts, format!("127.0.0.1 localhost\n{lines}")).ok()?;
    let mount = r#"mount --bind "$0" /etc/hosts && exec "$@""#;
    let can = unshare().args(["sh", "-c", mount]).arg(&hosts).arg("true").stderr(Stdio::null()).status();
    if !can.is_ok_and(|status| status.success()) {
        println!("no mount namespace of our own is allowed here: three URLs instead of one name");
        return None;
    }
    let own = env::current_exe().ok()?;
    let ran = unshare().args(["sh", "-c", mount]).arg(&hosts).arg(own).env(INSIDE, "1").status().ok()?;
    Some(ran.code().unwrap_or(1))
}

/// Serves until whoever started it is gone.
fn serve(address: &str) {
    world::serve_whole(address, world::resolver());
    stdin().read_to_end(&mut Vec::new()).ok();
}

/// A server in a process of its own. It ends with this value.
struct Server {
    address: SocketAddr,
    process: Child,
}

impl Server {
    fn start(address: SocketAddr) -> Self {
        let process = Command::new(env::current_exe().expect("a program"))
            .env(SERVER, address.to_string())
            .stdin(Stdio::piped())
            .spawn()
            .expect("a process");
        let server = Self { address, process };
        let begun = Instant::now();
        while std::net::TcpStream::connect(address).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "no server at {address}");
            thread::sleep(Duration::from_millis(10));
        }
        server
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.process.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "cannot send {signal}");
    }

    fn kill(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    gateway: GatewayArgs,
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().expect("no panic")
}

/// Starts the gateway as it runs. Returns where browsers connect and where its metrics are.
fn gateway(resolver: &str) -> (SocketAddr, SocketAddr) {
    let metrics = StdListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
    let (resolver, metrics_flag) = (format!("--resolver={resolver}"), format!("--metrics-listen={metrics}"));
    let flags = Flags::parse_from(["gateway", "--listen=127.0.0.1:0", &metrics_flag, &resolver]);
    let gateway = Gateway::bind(flags.gateway.read().expect("sound settings")).expect("a free port");
    let address = gateway.address();
    thread::spawn(move || {
        let (_stop, stopped) = watch::channel(false);
        gateway.run(&stopped).expect("workers");
    });
    (address, metrics)
}

fn bench(named: bool) {
    let port =
        StdListener::bind("127.0.0.2:0").and_then(|free| free.local_addr()).expect("a free port").port();
    let servers = HOSTS.map(|host| Server::start(format!("{host}:{port}").parse().expect("an address")));
    let urls = servers.each_ref().map(|server| format!("http://{}", server.address)).join(",");
    let resolver = if named { format!("http://{NAME}:{port}") } else { urls };
    if named {
        let found = (NAME, port).to_socket_addrs().map(Iterator::count);
        assert!(found.is_ok_and(|count| count >= HOSTS.len()), "the name does not have three addresses");
    }
    let servers = Arc::new(Mutex::new(servers));
    let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (door, metrics) = gateway(&resolver);
    let bench = Bench { door, metrics, clicks: Rc::new((0..VISITS).map(Click::numbered).collect()) };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    LocalSet::new().block_on(&runtime, async {
        bench.wait_for("open", workers * HOSTS.len()).await;
        println!("three servers behind {resolver}; {RATE} clicks/s, {PHASE:?} a phase");
        println!(
            "{:<34} {:>7} {:>9} {:>7} {:>9} {:>9} {:>9} {:>9} {:>9}",
            "", "clicks", "answered", "failed", "not sent", "p50 µs", "p99 µs", "p99.9 µs", "most µs"
        );
        // What came up in the warm-up is of no interest.
        bench.phase("", || {}).await;
        bench.phase("three servers", || {}).await;
        let these = Arc::clone(&servers);
        bench.phase("one is killed", move || lock(&these)[0].kill()).await;
        let these = Arc::clone(&servers);
        bench.phase("one is gone, another is frozen", move || lock(&these)[1].signal("-STOP")).await;
        bench.phase("one is gone, another stays frozen", || {}).await;
        let these = Arc::clone(&servers);
        bench
            .phase("both come back", move || {
                lock(&these)[1].signal("-CONT");
                let address = lock(&these)[0].address;
                lock(&these)[0] = Server::start(address);
            })
            .await;
        bench.wait_for("open", workers * HOSTS.len()).await;
        bench.phase("three servers again", || {}).await;
    });
}

struct Bench {
    door: SocketAddr,
    metrics: SocketAddr,
    clicks: Rc<Vec<Click>>,
}

/// What the browsers of a phase share.
struct Run {
    begun: Instant,
    next: Cell<u32>,
    nanos: RefCell<Vec<u64>>,
    failed: Cell<u64>,
}

impl Bench {
    /// Clicks for a while, lets something happen in between, waits for the last answer, and prints a line.
    async fn phase(&self, name: &str, event: impl FnOnce() + Send + 'static) {
        let before = self.sent_in_vain().await;
        let mut browsers = Vec::with_capacity(BROWSERS);
        for number in 0..BROWSERS {
            let protocol = if number % 8 == 0 { Protocol::Http2 } else { Protocol::Http1 };
            browsers.push(Browser::connect(self.door, number, protocol).await);
        }
        let run = Rc::new(Run {
            begun: Instant::now(),
            next: Cell::new(0),
            nanos: RefCell::new(Vec::with_capacity(100_000)),
            failed: Cell::new(0),
        });
        let tasks: Vec<_> = browsers
            .into_iter()
            .map(|browser| {
                tokio::task::spawn_local(browse(Rc::clone(&run), Rc::clone(&self.clicks), browser))
            })
            .collect();
        sleep_until((run.begun + EVENT).into()).await;
        // Not on this thread: browsers must not wait for it.
        let event = tokio::task::spawn_blocking(event);
        for task in tasks {
            task.await.expect("no panic");
        }
        event.await.expect("no panic");
        let in_vain = self.sent_in_vain().await - before;
        if name.is_empty() {
            return;
        }
        let mut nanos = run.nanos.take();
        nanos.sort_unstable();
        let (answered, failed) = (nanos.len(), run.failed.get());
        let at = |share: f64| nanos[((answered as f64 * share) as usize).min(answered - 1)] / 1_000;
        println!(
            "{name:<34} {:>7} {answered:>9} {failed:>7} {:>9} {:>9} {:>9} {:>9} {:>9}",
            run.next.get().min(RATE * PHASE.as_secs() as u32),
            failed - in_vain,
            at(0.5),
            at(0.99),
            at(0.999),
            at(1.0),
        );
    }

    /// Returns how many clicks were sent to a server that did not answer them.
    async fn sent_in_vain(&self) -> u64 {
        let page = self.scrape().await;
        ["BROKEN", "TIMED_OUT"]
            .map(|why| value(&page, &format!("smartlinks_gateway_not_answered_total{{reason=\"{why}\"}}")))
            .iter()
            .sum()
    }

    /// Waits until so many lanes are in a state.
    async fn wait_for(&self, state: &str, count: usize) {
        let begun = Instant::now();
        let name = format!("smartlinks_gateway_resolver_lanes{{state=\"{state}\"}}");
        while value(&self.scrape().await, &name) != count as u64 {
            assert!(begun.elapsed() < Duration::from_secs(20), "no {count} lanes are {state}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn scrape(&self) -> String {
        let mut stream = TcpStream::connect(self.metrics).await.expect("metrics");
        let request = b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.expect("metrics");
        let mut page = String::new();
        stream.read_to_string(&mut page).await.expect("metrics");
        page
    }
}

/// Returns the value of a metric.
fn value(page: &str, name: &str) -> u64 {
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    line.unwrap_or_else(|| panic!("no metric {name}"))
}

/// Takes one click after the other, each at its time.
async fn browse(run: Rc<Run>, clicks: Rc<Vec<Click>>, mut browser: Browser) {
    loop {
        let number = run.next.get();
        run.next.set(number + 1);
        let after = Duration::from_secs(1) * number / RATE;
        if after >= PHASE {
            return;
        }
        let due = run.begun + after;
        // A timer is up to a millisecond late, and that is not the gateway's fault. A click that had to wait for a
        // browser was due when it was due.
        let due = if Instant::now() < due {
            sleep_until(due.into()).await;
            Instant::now()
        } else {
            due
        };
        let status = browser.ask(&clicks[number as usize % clicks.len()]).await;
        if status == 302 {
            let nanos = u64::try_from(due.elapsed().as_nanos()).unwrap_or(u64::MAX);
            run.nanos.borrow_mut().push(nanos);
        } else {
            run.failed.set(run.failed.get() + 1);
        }
    }
}
