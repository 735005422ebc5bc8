//! Keeps two `smartlinks dev` out of one folder.

use std::{
    error::Error,
    fmt,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    process,
};

/// The exclusive right to a folder, given back when it is dropped or when the process ends, however it ends.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the lock `dev.lock` in `folder`, which is created when missing, and writes our process id into it.
    pub fn take(folder: &Path) -> Result<Self, LockError> {
        let path = folder.join("dev.lock");
        let broken = |source| LockError::Io { path: path.clone(), source };
        fs::create_dir_all(folder).map_err(broken)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(broken)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).map_err(broken)?;
                return Err(LockError::Held { folder: folder.to_owned(), pid: holder.trim().parse().ok() });
            }
            Err(TryLockError::Error(source)) => return Err(broken(source)),
        }
        file.set_len(0).map_err(broken)?;
        file.rewind().map_err(broken)?;
        writeln!(file, "{}", process::id()).map_err(broken)?;
        Ok(Self { _file: file })
    }
}

/// Why a folder could not be locked.
#[derive(Debug)]
pub enum LockError {
    /// Another process has the folder.
    Held {
        /// The folder both want.
        folder: PathBuf,
        /// Who has it, where it got as far as saying so.
        pid: Option<u32>,
    },
    /// The lock file could not be opened or written.
    Io {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held { folder, pid: Some(pid) } => {
                write!(
                    f,
                    "`smartlinks dev` already runs in {} as process {pid}: stop it or use another folder",
                    folder.display()
                )
            }
            Self::Held { folder, pid: None } => {
                write!(
                    f,
                    "`smartlinks dev` already runs in {}: stop it or use another folder",
                    folder.display()
                )
            }
            Self::Io { path, source } => write!(f, "cannot lock {}: {source}", path.display()),
        }
    }
}

impl Error for LockError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Held { .. } => None,
            Self::Io { source, .. } => Some(source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_taker_is_told_who_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let first = FolderLock::take(folder.path()).unwrap();
        let refused = FolderLock::take(folder.path()).unwrap_err();
        assert!(
            refused.to_string().contains(&format!("as process {}", process::id())),
            "says who holds it: {refused}"
        );
        drop(first);
        FolderLock::take(folder.path()).unwrap();
    }
}
