//! Servers that an earlier run left behind, because it or the machine was killed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::error::{ClusterError, io_error};

/// How long a server may take to disconnect its clients and write its data out.
pub(super) const FAST: Duration = Duration::from_secs(10);
/// How long it may take to drop everything.
pub(super) const IMMEDIATE: Duration = Duration::from_secs(5);

const POLL: Duration = Duration::from_millis(20);

/// What a running server wrote into the `postmaster.pid` of its data folder.
#[derive(Debug)]
pub(super) struct Postmaster {
    /// Its process.
    pub(super) pid: u32,
    /// The folder of its socket.
    pub(super) socket: PathBuf,
    /// Whether it accepts connections.
    pub(super) ready: bool,
}

impl Postmaster {
    /// Reads the file; a server writes it line by line, and what is not there yet is empty.
    pub(super) fn read(data: &Path) -> Option<Self> {
        let text = fs::read_to_string(data.join("postmaster.pid")).ok()?;
        let line = |number: usize| text.lines().nth(number).unwrap_or_default().trim();
        // A negative number is a server in single-user mode.
        let pid = line(0).parse::<i64>().ok()?.unsigned_abs();
        Some(Self {
            pid: u32::try_from(pid).ok()?,
            socket: PathBuf::from(line(4)),
            ready: line(7) == "ready",
        })
    }

    /// Whether the process is alive and is the server of `data`, not one that got its number later.
    pub(super) fn is_server_of(&self, data: &Path) -> bool {
        if Path::new("/proc/self").exists() {
            // A server works in its data folder.
            return fs::read_link(format!("/proc/{}/cwd", self.pid)).is_ok_and(|cwd| cwd == data);
        }
        let asked = Command::new("ps").args(["-o", "command=", "-p", &self.pid.to_string()]).output();
        asked.is_ok_and(|said| String::from_utf8_lossy(&said.stdout).contains(&*data.to_string_lossy()))
    }
}

/// Stops the server that an earlier run left on `data`, if there is one, so that a new one can start.
pub(super) fn clear(data: &Path) -> Result<(), ClusterError> {
    let Some(found) = Postmaster::read(data) else { return Ok(()) };
    if found.is_server_of(data) {
        tracing::warn!(data = %data.display(), pid = found.pid, "stopping a PostgreSQL that an earlier run left behind");
        return if stop(&found, data) {
            Ok(())
        } else {
            Err(ClusterError::Leftover { data: data.to_owned(), pid: found.pid })
        };
    }
    if signal(found.pid, "0") {
        // The number belongs to a stranger now, for whose sake the server would refuse to start.
        let path = data.join("postmaster.pid");
        fs::remove_file(&path).map_err(io_error("remove", path))?;
    }
    Ok(())
}

/// Asks a server to stop, more urgently if it does not, and says whether it is gone.
pub(super) fn stop(server: &Postmaster, data: &Path) -> bool {
    for (name, patience) in [("INT", FAST), ("QUIT", IMMEDIATE), ("KILL", IMMEDIATE)] {
        signal(server.pid, name);
        if wait_until(patience, || !server.is_server_of(data)) {
            return true;
        }
    }
    false
}

/// Waits until something holds, and says whether it came to hold in time.
pub(super) fn wait_until(patience: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    loop {
        if holds() {
            return true;
        }
        if started.elapsed() > patience {
            return false;
        }
        thread::sleep(POLL);
    }
}

/// Sends a signal by its name; the standard library only knows how to kill. Says whether there was such a process.
fn signal(pid: u32, name: &str) -> bool {
    Command::new("sh")
        .args(["-c", "kill -s \"$1\" \"$2\"", "signal", name, &pid.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
