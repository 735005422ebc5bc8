//! One server, started and stopped with us.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::Duration,
};

use tokio::task;

use super::{
    Programs,
    account::Account,
    error::ClusterError,
    site::{Site, beside, last_lines},
    socket,
    stale::{self, FAST, IMMEDIATE, Postmaster, wait_until},
};

/// How long a server may take to start; after a crash it first reads its write-ahead log.
const START: Duration = Duration::from_secs(60);

/// Runs the server, and stops it with the signal `$1` when standard input, a pipe from us, is closed.
///
/// The signal is repeated because a shell starts background work with SIGINT and SIGQUIT ignored, until the server
/// has come far enough to install its own handlers.
const GUARD: &str = r#"
signal=$1; shift
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
status=1
{ read -r nothing <&3; while kill -s "$signal" "$server"; do sleep 1; done; } 2>/dev/null &
watch=$!
trap 'kill -s "$signal" "$server"' TERM HUP
while kill -0 "$server" 2>/dev/null; do wait "$server"; status=$?; done
kill "$watch" 2>/dev/null
exit "$status"
"#;

/// What kind of server to start, and where its data is.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    pub(super) data: PathBuf,
    pub(super) keep: bool,
    pub(super) settings: Vec<(String, String)>,
}

impl ClusterOptions {
    /// A server whose data survives, in the folder `data`.
    pub fn kept(data: impl Into<PathBuf>) -> Self {
        Self { data: data.into(), keep: true, settings: Vec::new() }
    }

    /// A server that is quick because it is careless; the folder `data`, which must be new, is deleted at the end.
    pub fn throw_away(data: impl Into<PathBuf>) -> Self {
        Self { data: data.into(), keep: false, settings: Vec::new() }
    }

    /// The same with one more setting of PostgreSQL, over ours.
    #[must_use]
    pub fn with_setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }
}

/// A running server. When it is dropped the server stops; so it does when our process dies.
#[derive(Debug)]
pub struct Cluster {
    data: PathBuf,
    socket: PathBuf,
    guard: Child,
    keep: bool,
}

impl Cluster {
    /// Starts a server and waits until it accepts connections. A server that an earlier run left behind on the same
    /// folder is stopped first.
    pub async fn start(programs: &Programs, options: ClusterOptions) -> Result<Self, ClusterError> {
        let programs = programs.clone();
        task::spawn_blocking(move || Self::start_blocking(&programs, options))
            .await
            .unwrap_or(Err(ClusterError::Interrupted))
    }

    pub(super) fn start_blocking(programs: &Programs, options: ClusterOptions) -> Result<Self, ClusterError> {
        let account = Account::choose()?;
        let site = Site::prepare(programs, &options, &account)?;
        let mut command = site.guard(programs, &account, &options, GUARD, &[]);
        let guard = command
            .stdin(Stdio::piped())
            .spawn()
            .map_err(|source| ClusterError::Program { program: programs.path("postgres"), source })?;
        let mut cluster = Self { data: site.data, socket: site.socket, guard, keep: options.keep };
        wait_ready(&cluster.data, &cluster.socket, &site.log, &mut cluster.guard)?;
        tracing::info!(data = %cluster.data.display(), socket = %cluster.socket.display(), "PostgreSQL is ready");
        Ok(cluster)
    }

    /// The address of the database `postgres`, for clients that read `postgres://` (tokio-postgres, psql).
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// The address of another database of this server.
    pub fn url_of(&self, database: &str) -> String {
        url(&self.socket, database)
    }

    /// The folder that holds the data. As root on a machine without user namespaces it is not the one asked for.
    pub fn data(&self) -> &Path {
        &self.data
    }

    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Disconnects the clients, stops the server and waits for it, but not for ever.
    pub async fn stop(mut self) -> Result<(), ClusterError> {
        let task = task::spawn_blocking(move || {
            if self.stop_blocking() {
                Ok(())
            } else {
                Err(ClusterError::NotStopped { data: self.data.clone() })
            }
        });
        task.await.unwrap_or(Err(ClusterError::Interrupted))
    }

    /// Leaves the server without its guard, as when the system ends processes for want of memory.
    #[cfg(test)]
    pub(super) fn kill_guard(&mut self) {
        // Killed, not asked: a guard that is asked stops its server.
        let stdin = self.guard.stdin.take();
        self.guard.kill().and_then(|()| self.guard.wait()).unwrap();
        std::mem::forget(stdin);
    }

    fn stop_blocking(&mut self) -> bool {
        if matches!(self.guard.try_wait(), Ok(Some(_))) && self.guard.stdin.is_none() {
            return true;
        }
        drop(self.guard.stdin.take());
        let ended = |guard: &mut Child| matches!(guard.try_wait(), Ok(Some(_)) | Err(_));
        let mut gone = wait_until(FAST, || ended(&mut self.guard));
        if !gone {
            if let Some(server) = Postmaster::read(&self.data) {
                stale::stop(&server, &self.data);
            }
            gone = wait_until(IMMEDIATE, || ended(&mut self.guard));
        }
        if gone {
            socket::remove(&self.socket);
            if !self.keep {
                remove_throw_away(&self.data);
            }
        }
        gone
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !self.stop_blocking() {
            tracing::error!(data = %self.data.display(), "PostgreSQL does not stop");
        }
    }
}

/// Waits until the server of `guard` accepts connections.
pub(super) fn wait_ready(
    data: &Path,
    socket: &Path,
    log: &Path,
    guard: &mut Child,
) -> Result<(), ClusterError> {
    let mut ended = false;
    let ready = wait_until(START, || {
        ended = !matches!(guard.try_wait(), Ok(None));
        ended || (socket::answers(socket) && Postmaster::read(data).is_some_and(|server| server.ready))
    });
    let log = log.to_owned();
    match (ended, ready) {
        (true, _) => Err(ClusterError::Ended { tail: tail(&log), log }),
        (false, false) => Err(ClusterError::NotReady { waited: START, tail: tail(&log), log }),
        (false, true) => Ok(()),
    }
}

/// The address of a database behind the socket in `folder`.
pub(super) fn url(folder: &Path, database: &str) -> String {
    let escape = |text: &str| -> String {
        text.bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => {
                    char::from(byte).to_string()
                }
                other => format!("%{other:02X}"),
            })
            .collect()
    };
    format!("postgres://postgres@/{}?host={}", escape(database), escape(&folder.to_string_lossy()))
}

/// Deletes the data of a server that was to be thrown away, and its log.
pub(super) fn remove_throw_away(data: &Path) {
    let mut results = vec![fs::remove_dir_all(data), fs::remove_file(beside(data, "log"))];
    if let Some(parent) = data.parent()
        && Account::placed_elsewhere(data)
    {
        results.push(fs::remove_dir(parent));
    }
    for error in results.into_iter().filter_map(Result::err) {
        if error.kind() != io::ErrorKind::NotFound {
            tracing::warn!(data = %data.display(), %error, "cannot delete the data of a throw-away PostgreSQL");
        }
    }
}

fn tail(log: &Path) -> String {
    last_lines(&String::from_utf8_lossy(&fs::read(log).unwrap_or_default()))
}
