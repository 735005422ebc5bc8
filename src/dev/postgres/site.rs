//! The place of a server: its data folder, filled and free, the folder of its socket, its log.

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{
    Programs,
    account::Account,
    cluster::ClusterOptions,
    error::{ClusterError, io_error},
    socket, stale,
};

/// Settings for data that nobody will miss: nothing is forced to the disk.
const THROW_AWAY: &[(&str, &str)] = &[
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("max_connections", "300"),
    ("shared_buffers", "64MB"),
    ("jit", "off"),
];

/// A data folder that a server can be started on.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) data: PathBuf,
    pub(super) socket: PathBuf,
    pub(super) log: PathBuf,
    log_file: File,
}

impl Site {
    /// Fills the data folder if it is new, ends what still runs on it, and makes the folder of the socket.
    pub(super) fn prepare(
        programs: &Programs,
        options: &ClusterOptions,
        account: &Account,
    ) -> Result<Self, ClusterError> {
        let wanted = std::path::absolute(&options.data).map_err(io_error("find", &options.data))?;
        let data = account.place(wanted);
        let parent = data.parent().unwrap_or(Path::new("/"));
        match account {
            Account::Ourselves | Account::UserNamespace { .. } => {
                fs::create_dir_all(parent).map_err(io_error("make the folder", parent))?;
            }
            Account::Other { .. } => {
                account.make_folder(parent)?;
                if options.keep {
                    tracing::warn!(data = %data.display(), "as root the data is kept outside of the working folder");
                }
            }
        }
        let parent = fs::canonicalize(parent).map_err(io_error("find", parent))?;
        let data = parent.join(data.file_name().unwrap_or_default());
        initialise(programs, &data, options.keep, account)?;
        let data = fs::canonicalize(&data).map_err(io_error("find", data))?;
        check_version(programs, &data)?;
        stale::clear(&data)?;
        let socket = socket::folder_for(&data, account)?;
        let log = beside(&data, "log");
        let log_file = File::create(&log).map_err(io_error("write", &log))?;
        Ok(Self { data, socket, log, log_file })
    }

    /// The command that runs the server under a guard, in a process group of its own. The guard, a shell `script`, is
    /// given the signal that stops the server, then `words`, then the command of the server.
    pub(super) fn guard(
        &self,
        programs: &Programs,
        account: &Account,
        options: &ClusterOptions,
        script: &str,
        words: &[OsString],
    ) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script, "postgres-guard", if options.keep { "INT" } else { "QUIT" }]).args(words);
        command.args(account.prefix()).arg(programs.path("postgres"));
        command.arg("-D").arg(&self.data).arg("-k").arg(&self.socket).args(["-p", socket::PORT]);
        let ours = [("listen_addresses", ""), ("timezone", "UTC"), ("log_timezone", "UTC")];
        let careless: &[(&str, &str)] = if options.keep { &[] } else { THROW_AWAY };
        let given = options.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in ours.into_iter().chain(careless.iter().copied()).chain(given) {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        account.enter(&mut command);
        // Both copies of the log stay open in the guard; without them the server would write into our terminal.
        let copy = || self.log_file.try_clone().map_or_else(|_| Stdio::null(), Stdio::from);
        command.stdout(copy()).stderr(copy()).process_group(0);
        command
    }
}

/// Runs `initdb` if there is no data yet, in a folder that gets its name only when it is complete.
fn initialise(programs: &Programs, data: &Path, keep: bool, account: &Account) -> Result<(), ClusterError> {
    match fs::read_dir(data).map(|mut entries| entries.next().is_none()) {
        Ok(true) => fs::remove_dir(data).map_err(io_error("remove", data))?,
        Ok(false) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(io_error("read", data)(error)),
    }
    let growing = beside(data, "incomplete");
    match fs::remove_dir_all(&growing) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(io_error("remove", growing)(error));
        }
        Ok(()) | Err(_) => {}
    }
    let initdb = programs.path("initdb");
    let mut command = account.command(&initdb);
    command.arg("-D").arg(&growing).args([
        "--username=postgres",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C",
    ]);
    if !keep {
        command.arg("--no-sync");
    }
    let said = command.output().map_err(|source| ClusterError::Program { program: initdb, source })?;
    if !said.status.success() {
        let output = String::from_utf8_lossy(&said.stderr);
        return Err(ClusterError::Init { data: data.to_owned(), output: last_lines(&output) });
    }
    fs::rename(&growing, data).map_err(io_error("make", data))
}

fn check_version(programs: &Programs, data: &Path) -> Result<(), ClusterError> {
    let path = data.join("PG_VERSION");
    let made_by = match fs::read_to_string(&path) {
        Ok(text) => text.trim().to_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(ClusterError::NotOurs { data: data.to_owned() });
        }
        Err(error) => return Err(io_error("read", path)(error)),
    };
    if made_by == programs.major().to_string() {
        return Ok(());
    }
    Err(ClusterError::OtherVersion {
        data: data.to_owned(),
        made_by,
        major: programs.major(),
        bin: programs.bin().to_owned(),
    })
}

/// The path of a companion of the data folder, which itself may hold nothing of ours.
pub(super) fn beside(data: &Path, suffix: &str) -> PathBuf {
    let mut name = data.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(suffix);
    data.with_file_name(name)
}

/// The end of a text, for an error.
pub(super) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}
