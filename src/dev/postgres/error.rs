//! What can go wrong with a private PostgreSQL, in words that say what to do.

use std::{error::Error, fmt, io, path::PathBuf, time::Duration};

/// Why the programs of the server were not found.
#[derive(Debug)]
pub enum FindError {
    /// The folder that was set has no working `initdb` and `postgres`.
    NotInSetting {
        /// What `SMARTLINKS_PG_BIN` says.
        folder: PathBuf,
    },
    /// The folder that was set holds a version that we do not start.
    TooOld {
        /// What `SMARTLINKS_PG_BIN` says.
        folder: PathBuf,
        /// The version in it.
        major: u32,
        /// The oldest that will do.
        oldest: u32,
    },
    /// They are in none of the usual places.
    Nowhere {
        /// What to type.
        command: String,
    },
}

impl fmt::Display for FindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInSetting { folder } => write!(
                f,
                "no working PostgreSQL server programs (initdb, postgres) in {}: correct or unset SMARTLINKS_PG_BIN",
                folder.display()
            ),
            Self::TooOld { folder, major, oldest } => write!(
                f,
                "PostgreSQL {major} in {} is too old, {oldest} or newer is needed: correct or unset SMARTLINKS_PG_BIN",
                folder.display()
            ),
            Self::Nowhere { command } => write!(
                f,
                "no PostgreSQL server programs (initdb, postgres) found: run `{command}`, or set SMARTLINKS_PG_BIN \
                 to their folder"
            ),
        }
    }
}

impl Error for FindError {}

/// Why the server did not start or stop.
#[derive(Debug)]
pub enum ClusterError {
    /// A file or folder could not be made, read or removed.
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A program did not start at all.
    Program {
        /// Which.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// We are root, and there is no way on this machine to run the server as someone else.
    Root,
    /// `initdb` failed.
    Init {
        /// The folder it was to fill.
        data: PathBuf,
        /// The end of what it printed.
        output: String,
    },
    /// The data belongs to another major version.
    OtherVersion {
        /// The data folder.
        data: PathBuf,
        /// The version that made it.
        made_by: String,
        /// The version we found.
        major: u32,
        /// Where we found it.
        bin: PathBuf,
    },
    /// The folder has files in it but is not a data folder.
    NotOurs {
        /// The data folder.
        data: PathBuf,
    },
    /// No folder for sockets is short enough.
    SocketPathTooLong {
        /// The shortest that was tried.
        path: PathBuf,
    },
    /// A server of an earlier run still has the data folder and would not stop.
    Leftover {
        /// The data folder.
        data: PathBuf,
        /// The server.
        pid: u32,
    },
    /// The server ended instead of accepting connections.
    Ended {
        /// Its log.
        log: PathBuf,
        /// The end of its log.
        tail: String,
    },
    /// The server does not accept connections.
    NotReady {
        /// How long we waited.
        waited: Duration,
        /// Its log.
        log: PathBuf,
        /// The end of its log.
        tail: String,
    },
    /// The program is ending, so nothing is started or waited for any more.
    Interrupted,
    /// The server did not stop, however it was asked.
    NotStopped {
        /// The data folder.
        data: PathBuf,
    },
}

impl fmt::Display for ClusterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { what, path, source } => write!(f, "cannot {what} {}: {source}", path.display()),
            Self::Program { program, source } => write!(f, "cannot run {}: {source}", program.display()),
            Self::Root => write!(
                f,
                "PostgreSQL refuses to run as root, and this machine allows neither a user namespace nor becoming \
                 `nobody`: run as an ordinary user, or set SMARTLINKS_DATABASE_URL to a server that runs"
            ),
            Self::Init { data, output } => {
                write!(f, "initdb could not fill {}: {}", data.display(), output.trim_end())
            }
            Self::OtherVersion { data, made_by, major, bin } => write!(
                f,
                "the data in {} was made by PostgreSQL {made_by}, but {} is PostgreSQL {major}: set SMARTLINKS_PG_BIN \
                 to the programs of {made_by}, or delete the folder to begin anew",
                data.display(),
                bin.display()
            ),
            Self::NotOurs { data } => write!(
                f,
                "{} has files in it but is no PostgreSQL data folder: move them away or use another folder",
                data.display()
            ),
            Self::SocketPathTooLong { path } => write!(
                f,
                "{} is too long for a socket: set TMPDIR to a folder with a short path",
                path.display()
            ),
            Self::Leftover { data, pid } => write!(
                f,
                "a PostgreSQL of an earlier run (process {pid}) still uses {} and does not stop: end it by hand",
                data.display()
            ),
            Self::Ended { log, tail } => {
                write!(f, "PostgreSQL ended at once, its log {} says: {}", log.display(), tail.trim_end())
            }
            Self::NotReady { waited, log, tail } => write!(
                f,
                "PostgreSQL accepts no connections after {} s, its log {} says: {}",
                waited.as_secs(),
                log.display(),
                tail.trim_end()
            ),
            Self::Interrupted => f.write_str("the program ends while PostgreSQL starts or stops"),
            Self::NotStopped { data } => {
                write!(f, "the PostgreSQL in {} does not stop: end it by hand", data.display())
            }
        }
    }
}

impl Error for ClusterError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { source, .. } | Self::Program { source, .. } => Some(source),
            Self::Root
            | Self::Init { .. }
            | Self::OtherVersion { .. }
            | Self::NotOurs { .. }
            | Self::SocketPathTooLong { .. }
            | Self::Leftover { .. }
            | Self::Ended { .. }
            | Self::NotReady { .. }
            | Self::Interrupted
            | Self::NotStopped { .. } => None,
        }
    }
}

/// Says what was tried on which path, for `map_err`.
pub(super) fn io_error(
    what: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(io::Error) -> ClusterError {
    let path = path.into();
    move |source| ClusterError::Io { what, path, source }
}
