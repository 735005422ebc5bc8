//! As whom the server runs: PostgreSQL refuses root.

use std::{
    env, fs,
    os::unix::{
        fs::{DirBuilderExt, MetadataExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::error::{ClusterError, io_error};

/// How folders under the system's temporary one begin that hold the data of another user.
const ELSEWHERE: &str = "smartlinks-data-";

/// As whom the server runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Account {
    /// As the user we are.
    Ourselves,
    /// As root outside, so that root's folders stay in reach, but as user `inside` to its own eyes.
    UserNamespace {
        /// A number that has a name in the user table: `initdb` looks it up.
        inside: u32,
    },
    /// As another user, for root without user namespaces.
    Other {
        /// The user.
        uid: u32,
        /// The group.
        gid: u32,
    },
}

impl Account {
    /// The account to use here: ourselves, unless we are root.
    pub(super) fn choose() -> Result<Self, ClusterError> {
        if id(&["-u"]) != Some(0) {
            return Ok(Self::Ourselves);
        }
        let nobody = id(&["-u", "nobody"]).filter(|uid| *uid != 0).zip(id(&["-g", "nobody"]));
        let namespace = Self::UserNamespace { inside: nobody.map_or(1000, |(uid, _)| uid) };
        if namespace.works() {
            return Ok(namespace);
        }
        nobody.map(|(uid, gid)| Self::Other { uid, gid }).filter(Self::works).ok_or(ClusterError::Root)
    }

    /// What goes before the program and its arguments.
    pub(super) fn prefix(&self) -> Vec<String> {
        match self {
            Self::Ourselves | Self::Other { .. } => Vec::new(),
            Self::UserNamespace { inside } => {
                vec!["unshare".to_owned(), "--user".to_owned(), format!("--map-user={inside}")]
            }
        }
    }

    /// Starts `program` as this account, which must see nothing of the working folder.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut words = self.prefix().into_iter();
        let mut command = match words.next() {
            Some(first) => Command::new(first),
            None => Command::new(program),
        };
        command.args(words);
        if let Self::UserNamespace { .. } = self {
            command.arg(program);
        }
        self.enter(&mut command);
        command
    }

    /// Makes `command` run as the other user, where that is what we do.
    pub(super) fn enter(&self, command: &mut Command) {
        command.current_dir("/").env("LC_ALL", "C").stdin(Stdio::null());
        if let Self::Other { uid, gid } = self {
            // The standard library drops the supplementary groups of root with this.
            command.uid(*uid).gid(*gid);
        }
    }

    /// Where the data that should be at `wanted` can be: another user cannot enter root's folders, so there it is
    /// a folder of the system's temporary one, the same in every run.
    pub(super) fn place(&self, wanted: PathBuf) -> PathBuf {
        match self {
            Self::Ourselves | Self::UserNamespace { .. } => wanted,
            Self::Other { .. } => {
                env::temp_dir().join(format!("{ELSEWHERE}{}", name_of(&wanted))).join("data")
            }
        }
    }

    /// Whether [`Account::place`] chose another place, whose folder then is for this data alone.
    pub(super) fn placed_elsewhere(data: &Path) -> bool {
        let parent = data.parent().and_then(Path::file_name);
        parent.is_some_and(|name| name.to_string_lossy().starts_with(ELSEWHERE))
    }

    /// Makes the folder `path`, which only this account can enter. One that exists must be of that kind.
    pub(super) fn make_folder(&self, path: &Path) -> Result<(), ClusterError> {
        let made = fs::DirBuilder::new().mode(0o700).create(path);
        match made {
            Ok(()) => match self {
                Self::Ourselves | Self::UserNamespace { .. } => Ok(()),
                Self::Other { uid, gid } => {
                    chown(path, Some(*uid), Some(*gid)).map_err(io_error("give away", path))
                }
            },
            Err(refused) => match fs::symlink_metadata(path) {
                Ok(found) if found.is_dir() && self.owns(&found) => Ok(()),
                Ok(_) | Err(_) => Err(io_error("make the folder", path)(refused)),
            },
        }
    }

    /// Whether a folder is ours and closed to everybody else.
    fn owns(&self, found: &fs::Metadata) -> bool {
        let owner = match self {
            Self::Ourselves => id(&["-u"]),
            Self::UserNamespace { .. } => Some(0),
            Self::Other { uid, .. } => Some(*uid),
        };
        owner == Some(found.uid()) && found.mode() & 0o077 == 0
    }

    fn works(&self) -> bool {
        self.command(Path::new("true")).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }
}

/// Asks `id` for a number; the standard library cannot tell who we are.
fn id(args: &[&str]) -> Option<u32> {
    let said = Command::new("id").args(args).stderr(Stdio::null()).output().ok()?;
    String::from_utf8(said.stdout).ok()?.trim().parse().ok()
}

/// A short name for a path, the same in every run and release (64 bits of FNV-1a).
pub(super) fn name_of(path: &Path) -> String {
    let hash = path.as_os_str().as_encoded_bytes().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}
