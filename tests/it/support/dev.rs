//! `smartlinks dev`, the real program, with data and ports of a test's own.

use std::{
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::country;

/// It, until this value ends.
pub(crate) struct Dev {
    pub(crate) child: Child,
    /// Of the server, the gateway, the metrics and the shop's pages.
    pub(crate) ports: [u16; 4],
}

/// Returns ports that nobody listens on.
pub(crate) fn free_ports() -> [u16; 4] {
    // All are held until all are known, so that they differ.
    let listeners: [_; 4] = std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

/// Returns the command that starts it.
pub(crate) fn command(folder: &Path, ports: [u16; 4]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_smartlinks"));
    command.arg("dev").arg("--folder").arg(folder).stdout(Stdio::piped()).stderr(Stdio::piped());
    let settings = ["LISTEN", "GATEWAY_LISTEN", "METRICS_LISTEN", "SITE_LISTEN"];
    command.env("SMARTLINKS_GEO_DB", country::database());
    for (setting, port) in settings.into_iter().zip(ports) {
        command.env(format!("SMARTLINKS_{setting}"), format!("127.0.0.1:{port}"));
    }
    command
}

impl Dev {
    /// Starts and waits until it says that Ctrl-C stops it.
    pub(crate) fn start(folder: &Path, ports: [u16; 4]) -> Self {
        let mut child = command(folder, ports).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        if !lines.any(|line| line.unwrap().starts_with("Ctrl-C stops everything")) {
            let mut log = String::new();
            child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
            panic!("it did not start:\n{log}");
        }
        // What it prints later must not block it.
        std::thread::spawn(move || lines.count());
        let mut log = child.stderr.take().unwrap();
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { child, ports }
    }

    /// Returns an address of the gateway.
    pub(crate) fn door(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.ports[1])
    }

    /// Calls the server as a person does.
    pub(crate) fn call(&self, method: &str, request: &str) -> std::process::Output {
        let server = format!("http://127.0.0.1:{}", self.ports[0]);
        Command::new(env!("CARGO_BIN_EXE_smartlinks"))
            .args(["call", "--server", &server, method, request])
            .output()
            .unwrap()
    }

    /// Does what Ctrl-C in a terminal does, and waits for the end.
    pub(crate) fn interrupt(mut self) {
        let sent = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let began = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < Duration::from_secs(30), "it did not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // A test that failed must not leave it behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
