//! One throw-away server for many test processes.
//!
//! A test runner may start a process per test, and a server per process would cost a second each. So the first
//! process that needs a server starts it, every process that uses it holds a shared lock on a file, its *lease*, and
//! the guard of the server tries to lock that file for itself: once it has succeeded for [`IDLE`] seconds in a row, it
//! stops the server and deletes the data. The system gives locks back when a process ends, however it ends.

use std::{
    fs::{self, File, OpenOptions},
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
};

use super::{
    Programs,
    account::Account,
    cluster::{Cluster, ClusterOptions, remove_throw_away, url, wait_ready},
    error::{ClusterError, io_error},
    site::Site,
    socket,
    stale::{self, Postmaster},
};

/// For how many seconds nobody may have used the server before it stops.
const IDLE: u32 = 10;

/// Runs the server until nobody has held the lease, which is standard input, for a while. It keeps the lease to
/// itself while it stops the server, so that whoever comes then waits and starts a new one.
const GUARD: &str = r#"
signal=$1; patience=$2; data=$3; socket=$4; shift 4
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
idle=0
while kill -0 "$server" 2>/dev/null; do
    sleep 1
    if flock -n -x 3; then
        idle=$((idle + 1))
        [ "$idle" -ge "$patience" ] && break
        flock -u 3
    else
        idle=0
    fi
done
while kill -s "$signal" "$server" 2>/dev/null; do sleep 0.1; done
wait "$server"
rm -rf "$data" "$data.log" "$socket"
"#;

/// A place in a throw-away server that other processes use too.
#[derive(Debug)]
pub struct SharedCluster {
    socket: PathBuf,
    _stay: Stay,
}

/// What keeps the server running for us.
#[derive(Debug)]
enum Stay {
    /// The lock on the lease.
    Lease { _file: File },
    /// A server of our own, where the program `flock` is missing.
    Own { _cluster: Cluster },
}

impl SharedCluster {
    /// Joins the server that is run in `folder`, or starts it. It runs at least as long as the value lives.
    pub fn join(programs: &Programs, folder: &Path) -> Result<Self, ClusterError> {
        Self::join_until_idle(programs, folder, IDLE)
    }

    /// The same with another patience, which counts for whoever starts the server.
    pub(super) fn join_until_idle(
        programs: &Programs,
        folder: &Path,
        idle: u32,
    ) -> Result<Self, ClusterError> {
        // Every version has its own server, so that a run under another one does not get the wrong server.
        let folder = folder.join(programs.major().to_string());
        fs::create_dir_all(&folder).map_err(io_error("make the folder", &folder))?;
        if !can_watch_locks() {
            let data = folder.join(format!("data-{}", process::id()));
            let cluster = Cluster::start_blocking(programs, ClusterOptions::throw_away(data))?;
            return Ok(Self { socket: cluster.socket().to_owned(), _stay: Stay::Own { _cluster: cluster } });
        }
        let lease_path = folder.join("lease");
        let lease = open(&lease_path)?;
        lease.lock_shared().map_err(io_error("lock", &lease_path))?;
        let start_path = folder.join("start");
        let start = open(&start_path)?;
        start.lock().map_err(io_error("lock", &start_path))?;
        let socket = match running(&folder) {
            Some(socket) => socket,
            None => start_server(programs, &folder, &lease_path, idle)?,
        };
        Ok(Self { socket, _stay: Stay::Lease { _file: lease } })
    }

    /// The address of the database `postgres`.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// The address of another database of this server.
    pub fn url_of(&self, database: &str) -> String {
        url(&self.socket, database)
    }
}

/// Where the data is, by what the process that started the server wrote down: it need not be in `folder`.
fn running(folder: &Path) -> Option<PathBuf> {
    let data = PathBuf::from(fs::read_to_string(folder.join("where")).ok()?);
    let server = Postmaster::read(&data)?;
    (server.ready && server.is_server_of(&data) && socket::answers(&server.socket)).then_some(server.socket)
}

fn start_server(
    programs: &Programs,
    folder: &Path,
    lease_path: &Path,
    idle: u32,
) -> Result<PathBuf, ClusterError> {
    let account = Account::choose()?;
    let options = ClusterOptions::throw_away(folder.join("data"));
    // What an earlier server left, when its guard was killed with it, is in the way.
    let where_path = folder.join("where");
    if let Ok(data) = fs::read_to_string(&where_path) {
        stale::clear(Path::new(&data))?;
        remove_throw_away(Path::new(&data));
    }
    let site = Site::prepare(programs, &options, &account)?;
    fs::write(&where_path, site.data.as_os_str().as_encoded_bytes())
        .map_err(io_error("write", &where_path))?;
    // A lock belongs to an opening of the file, not to the file: the guard needs one of its own.
    let lease = open(lease_path)?;
    let words = [idle.to_string().into(), site.data.clone().into(), site.socket.clone().into()];
    let mut command = site.guard(programs, &account, &options, GUARD, &words);
    let mut guard = command
        .stdin(Stdio::from(lease))
        .spawn()
        .map_err(|source| ClusterError::Program { program: programs.path("postgres"), source })?;
    let ready = wait_ready(&site.data, &site.socket, &site.log, &mut guard);
    if ready.is_err() {
        // The guard ends with the server.
        stale::clear(&site.data)?;
    }
    ready.map(|()| site.socket)
}

fn open(path: &Path) -> Result<File, ClusterError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(io_error("open", path))
}

fn can_watch_locks() -> bool {
    let asked = Command::new("flock").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    cfg!(target_os = "linux") && asked.is_ok_and(|status| status.success())
}
