//! The folder of the server's socket: a short path that only we can enter.

use std::{
    env, fs, io,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};

use super::{
    account::{Account, name_of},
    error::{ClusterError, io_error},
};

/// The port names the socket; it is not listened on.
pub(super) const PORT: &str = "5432";

/// The longest path of a socket: 107 bytes on Linux, 103 on the BSDs and macOS.
const LONGEST: usize = 103;

/// Makes the folder for the socket of the server of `data`: the same one in every run, so that a printed command to
/// connect stays true. What an earlier server left in it is removed.
pub(super) fn folder_for(data: &Path, account: &Account) -> Result<PathBuf, ClusterError> {
    // A runtime folder is closed to everybody but its user.
    let runtime = match account {
        Account::Ourselves | Account::UserNamespace { .. } => env::var_os("XDG_RUNTIME_DIR"),
        Account::Other { .. } => None,
    };
    let bases = runtime.map(PathBuf::from).into_iter().chain([env::temp_dir(), PathBuf::from("/tmp")]);
    let mut refused = None;
    for base in bases.filter(|base| base.is_absolute()) {
        let folder = base.join(format!("smartlinks-{}", name_of(data)));
        if path_in(&folder).as_os_str().len() > LONGEST {
            refused.get_or_insert(ClusterError::SocketPathTooLong { path: folder });
            continue;
        }
        match account.make_folder(&folder) {
            Ok(()) => {
                remove_sockets(&folder)?;
                return Ok(folder);
            }
            Err(error) => {
                refused = Some(error);
            }
        }
    }
    Err(refused.unwrap_or(ClusterError::SocketPathTooLong { path: env::temp_dir() }))
}

/// Whether a server listens in `folder`.
pub(super) fn answers(folder: &Path) -> bool {
    UnixStream::connect(path_in(folder)).is_ok()
}

/// Removes the folder with what a server that was killed left in it.
pub(super) fn remove(folder: &Path) {
    if remove_sockets(folder).is_ok() {
        // Left behind it is only an empty folder that the next run uses again.
        let _ = fs::remove_dir(folder);
    }
}

fn path_in(folder: &Path) -> PathBuf {
    folder.join(format!(".s.PGSQL.{PORT}"))
}

fn remove_sockets(folder: &Path) -> Result<(), ClusterError> {
    let socket = path_in(folder);
    let lock = socket.with_extension(format!("{PORT}.lock"));
    for path in [socket, lock] {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error("remove", path)(error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}
