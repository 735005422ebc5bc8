//! The folder: who owns it, what it is called, and which files it holds.

use std::{
    fmt,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use uuid::Uuid;

use super::{Sequence, SpoolError};

/// Names a folder for ever: PostgreSQL remembers by it which frames it has.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SourceId(Uuid);

impl SourceId {
    /// Makes a new one.
    pub(super) fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// Takes its bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// Returns its bytes.
    pub fn bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

const LOCK: &str = "lock";
const SOURCE: &str = "source";
const SHIPPED: &str = "shipped";
/// What the names of segments end in, after the number of their first frame.
const SEGMENT: &str = ".segment";
/// What the names of those end in that were set aside.
const ASIDE: &str = ".damaged";

/// Who makes the file of a segment: each has a name of its own, so that they do not meet.
#[derive(Clone, Copy, Debug)]
pub(super) enum Maker {
    /// The thread behind, before the file is needed.
    Ahead,
    /// Who writes, because none was made ahead.
    AtOnce,
}

impl Maker {
    fn name(self) -> &'static str {
        match self {
            Self::Ahead => "prepared-ahead",
            Self::AtOnce => "prepared-at-once",
        }
    }
}

/// The file of a segment that has no number yet.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) file: File,
    path: PathBuf,
}

/// A folder that this process owns.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// The system gives it up when the process ends, however it ends. `None` = the folder was given up before.
    lock: Mutex<Option<File>>,
    /// Held while a small file is replaced: each has one new form at a time.
    replacing: Mutex<()>,
}

impl Folder {
    /// Makes the folder if it is not there, and takes it.
    pub(super) fn open(path: &Path) -> Result<Self, SpoolError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(SpoolError::io("make the folder", path))?;
        let lock = take(path)?;
        let folder = Self { path: path.to_owned(), lock: Mutex::new(Some(lock)), replacing: Mutex::new(()) };
        folder.remove_prepared()?;
        Ok(folder)
    }

    /// Looks at a folder that may be somebody else's: nothing is to be written into it.
    pub(super) fn look(path: &Path) -> Self {
        Self { path: path.to_owned(), lock: Mutex::new(None), replacing: Mutex::new(()) }
    }

    /// Gives the folder up, to be opened again.
    pub(super) fn release(&self) {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Returns the folder's id, if it has one yet.
    pub(super) fn source(&self) -> Result<Option<SourceId>, SpoolError> {
        let path = self.path.join(SOURCE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(SpoolError::io("read", &path)(error)),
        };
        let id = Uuid::try_parse(text.trim()).map(SourceId);
        id.map(Some).map_err(|_| SpoolError::Foreign { path, problem: "is no id of a log of clicks" })
    }

    /// Gives the folder an id.
    pub(super) fn set_source(&self, source: SourceId) -> Result<(), SpoolError> {
        self.replace(SOURCE, &source.to_string())
    }

    /// Returns the last frame that was known to be in PostgreSQL; PostgreSQL itself knows better.
    pub(super) fn shipped(&self) -> Result<Sequence, SpoolError> {
        let path = self.path.join(SHIPPED);
        match fs::read_to_string(&path) {
            // What cannot be read is asked of PostgreSQL.
            Ok(text) => Ok(text.trim().parse().unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(SpoolError::io("read", &path)(error)),
        }
    }

    /// Remembers the last frame that is known to be in PostgreSQL. It is on the disk when this returns.
    pub(super) fn set_shipped(&self, shipped: Sequence) -> Result<(), SpoolError> {
        self.replace(SHIPPED, &shipped.to_string())
    }

    /// Returns the first frames of all segments, in order.
    pub(super) fn segments(&self) -> Result<Vec<Sequence>, SpoolError> {
        let names = self.names()?;
        let firsts = names.iter().filter_map(|name| name.strip_suffix(SEGMENT)?.parse().ok());
        let mut firsts: Vec<Sequence> = firsts.collect();
        firsts.sort_unstable();
        Ok(firsts)
    }

    /// Returns how many segments were set aside.
    pub(super) fn set_aside_count(&self) -> Result<usize, SpoolError> {
        Ok(self.names()?.iter().filter(|name| name.ends_with(ASIDE)).count())
    }

    fn names(&self) -> Result<Vec<String>, SpoolError> {
        let unreadable = || SpoolError::io("list", &self.path);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(unreadable())? {
            names.extend(entry.map_err(unreadable())?.file_name().into_string().ok());
        }
        Ok(names)
    }

    /// Returns where the segment with this first frame is.
    pub(super) fn segment(&self, first: Sequence) -> PathBuf {
        // As many digits as the greatest number has: names sort like numbers.
        self.path.join(format!("{first:020}{SEGMENT}"))
    }

    /// Makes the file of a segment that has no number yet, with its space reserved.
    pub(super) fn prepare(&self, maker: Maker, bytes: u64) -> Result<Prepared, SpoolError> {
        let path = self.path.join(maker.name());
        // One that could not be given a number is still there, and nobody has it any more.
        remove(&path)?;
        let options = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
        let file = options.map_err(SpoolError::io("make", &path))?;
        reserve(&file, bytes).map_err(|cause| {
            // Otherwise it would hold what it got.
            fs::remove_file(&path).ok();
            SpoolError::io("reserve space for", &path)(cause)
        })?;
        Ok(Prepared { file, path })
    }

    /// Gives a prepared file the name of its segment.
    pub(super) fn place(&self, prepared: Prepared, first: Sequence) -> Result<File, SpoolError> {
        let path = self.segment(first);
        fs::rename(&prepared.path, &path).map_err(SpoolError::io("name", &path))?;
        Ok(prepared.file)
    }

    /// Removes prepared files that nobody needs.
    pub(super) fn remove_prepared(&self) -> Result<(), SpoolError> {
        [Maker::Ahead, Maker::AtOnce].iter().try_for_each(|maker| remove(&self.path.join(maker.name())))
    }

    /// Removes a segment.
    pub(super) fn remove_segment(&self, first: Sequence) -> Result<(), SpoolError> {
        remove(&self.segment(first))
    }

    /// Puts a segment that is none out of the way, without losing it.
    pub(super) fn set_aside(&self, first: Sequence) -> Result<PathBuf, SpoolError> {
        let path = self.segment(first);
        let mut aside = path.with_extension("damaged");
        // What was set aside before stays: it may hold clicks.
        for more in 2.. {
            if !aside.exists() {
                break;
            }
            aside = path.with_extension(format!("{more}.damaged"));
        }
        fs::rename(&path, &aside).map_err(SpoolError::io("set aside", &path))?;
        Ok(aside)
    }

    /// Puts the names of new files on the disk.
    pub(super) fn sync(&self) -> Result<(), SpoolError> {
        let synced = File::open(&self.path).and_then(|folder| folder.sync_all());
        synced.map_err(SpoolError::io("sync", &self.path))
    }

    /// Writes a small file so that there is always an old or a new one.
    fn replace(&self, name: &str, text: &str) -> Result<(), SpoolError> {
        let _alone = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        let (path, new) = (self.path.join(name), self.path.join(format!("{name}.new")));
        let written = || {
            let options = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new);
            let mut file = options?;
            writeln!(file, "{text}")?;
            file.sync_all()?;
            fs::rename(&new, &path)
        };
        written().map_err(SpoolError::io("write", &path))?;
        self.sync()
    }
}

/// Tells whether a folder holds a log of clicks.
pub fn is_log(folder: &Path) -> bool {
    folder.join(SOURCE).is_file()
}

/// Takes the folder for this process.
fn take(folder: &Path) -> Result<File, SpoolError> {
    let path = folder.join(LOCK);
    let options =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
    let mut lock = options.map_err(SpoolError::io("open", &path))?;
    match lock.try_lock() {
        Ok(()) => {
            let said = lock.set_len(0).and_then(|()| write!(lock, "{}", std::process::id()));
            said.map_err(SpoolError::io("write", &path))?;
            Ok(lock)
        }
        Err(TryLockError::WouldBlock) => {
            let mut owner = String::new();
            // Who it is helps, and is not always said.
            lock.read_to_string(&mut owner).ok();
            let owner =
                if owner.is_empty() { "another process".to_owned() } else { format!("process {owner}") };
            Err(SpoolError::Owned { folder: folder.to_owned(), owner })
        }
        Err(TryLockError::Error(error)) => Err(SpoolError::io("lock", &path)(error)),
    }
}

/// Reserves space, so that a full disk is noticed now and not at a click.
fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    use rustix::{
        fs::{FallocateFlags, fallocate},
        io::Errno,
    };
    match fallocate(file, FallocateFlags::empty(), 0, bytes) {
        // File systems that cannot promise space take zeros.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
            let mut writer = file;
            io::copy(&mut io::repeat(0).take(bytes), &mut writer).map(drop)
        }
        reserved => Ok(reserved?),
    }
}

fn remove(path: &Path) -> Result<(), SpoolError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(SpoolError::io("remove", path)(error)),
        _ => Ok(()),
    }
}
