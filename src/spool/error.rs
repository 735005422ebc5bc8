//! What can go wrong with a folder of clicks.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{FRAME_BYTES, Sequence};

/// Why a click is not in the log, or the log cannot be opened or read.
#[derive(Clone, Debug)]
pub enum SpoolError {
    /// Another process owns the folder.
    Owned {
        /// The folder.
        folder: PathBuf,
        /// Its owner, as far as it said.
        owner: String,
    },
    /// The system refused.
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system says.
        cause: Arc<io::Error>,
    },
    /// A file is not what its name says.
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Everything that may be used is taken by clicks that PostgreSQL does not have yet.
    Full {
        /// Bytes that segments may take.
        limit: u64,
    },
    /// A frame is longer than any may be.
    TooLong {
        /// Its bytes.
        bytes: usize,
    },
    /// The disk did not confirm what was written: nothing more is taken, since nobody can know what of it is left.
    Unconfirmed {
        /// The last frame that the disk confirmed.
        confirmed: Sequence,
    },
    /// The log was closed.
    Closed,
}

impl SpoolError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |cause| Self::Io { action, path, cause: Arc::new(cause) }
    }

    /// Tells whether the disk itself is full, which older segments may mend.
    pub(super) fn is_no_space(&self) -> bool {
        match self {
            Self::Io { cause, .. } => {
                matches!(cause.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            Self::Owned { .. }
            | Self::Foreign { .. }
            | Self::Full { .. }
            | Self::TooLong { .. }
            | Self::Unconfirmed { .. }
            | Self::Closed => false,
        }
    }
}

impl fmt::Display for SpoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owned { folder, owner } => write!(
                f,
                "the folder {} belongs to {owner}; stop it, or set another folder",
                folder.display()
            ),
            Self::Io { action, path, cause } => {
                let help = if cause.kind() == io::ErrorKind::PermissionDenied {
                    "; the folder and what is in it must belong to the user that runs this, with the modes 0700 and 0600"
                } else if self.is_no_space() {
                    "; make room on its disk"
                } else {
                    ""
                };
                write!(f, "cannot {action} {}: {cause}{help}", path.display())
            }
            Self::Foreign { path, problem } => write!(f, "the file {} {problem}", path.display()),
            Self::Full { limit } => write!(
                f,
                "the log of clicks is full: {limit} bytes wait for PostgreSQL; bring it back or raise the limit"
            ),
            Self::TooLong { bytes } => {
                write!(
                    f,
                    "a click of {bytes} bytes is too long for the log, at most {FRAME_BYTES} are allowed"
                )
            }
            Self::Unconfirmed { confirmed } => write!(
                f,
                "the disk did not confirm what was written after click {confirmed}; check the disk and restart"
            ),
            Self::Closed => f.write_str("the log of clicks is closed, the server stops; ask another one"),
        }
    }
}

impl std::error::Error for SpoolError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { cause, .. } => Some(cause),
            Self::Owned { .. }
            | Self::Foreign { .. }
            | Self::Full { .. }
            | Self::TooLong { .. }
            | Self::Unconfirmed { .. }
            | Self::Closed => None,
        }
    }
}
