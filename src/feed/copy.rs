//! The copy of the index on disk, for a start without PostgreSQL.
//!
//! A file of lines of JSON: a head with the revision, a record a line, and an end with the number of records and the
//! CRC-32 of all bytes before it. It is written beside the old one and moved over it, so that there is always a whole
//! one. What does not add up is not used.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use crc32fast::Hasher;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    domain::revision::Revision,
    index::{Record, Snapshot, Writer},
};

/// The form of the file; another one is not read.
const FORMAT: u32 = 1;
/// The file in the folder.
const FILE: &str = "index.copy";
/// The file while it is written.
const NEW_FILE: &str = "index.copy.new";
/// Bytes of one line at most; a link with 1,000 rules and 10,000 partners stays below it.
const LINE_BYTES: usize = 64 * 1_024 * 1_024;
/// Records that are applied at a time.
const CHUNK: usize = 1_000;

#[derive(Serialize, Deserialize)]
struct Head {
    format: u32,
    revision: Revision,
    /// When the index was last known to be up to date.
    confirmed_at: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
struct End {
    records: u64,
    crc32: u32,
}

/// Why there is no copy to use.
#[derive(Debug)]
pub(super) enum CopyError {
    /// There is none.
    Missing,
    /// It cannot be read or written.
    Io(io::Error),
    /// It is not whole, or of another form.
    Unsound(String),
}

impl std::fmt::Display for CopyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing => f.write_str("there is none"),
            Self::Io(error) => error.fmt(f),
            Self::Unsound(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for CopyError {}

impl From<io::Error> for CopyError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound { Self::Missing } else { Self::Io(error) }
    }
}

/// What a copy held.
pub(super) struct Loaded {
    /// The index; its writer goes on from there.
    pub(super) writer: Writer,
    /// When it was last known to be up to date.
    pub(super) confirmed_at: Option<Timestamp>,
}

/// Writes the copy of an index into a folder, which is made if need be; only its owner may read it.
pub(super) fn save(
    folder: &Path,
    snapshot: &Snapshot,
    confirmed_at: Option<Timestamp>,
) -> Result<(), CopyError> {
    fs::create_dir_all(folder)?;
    let new = folder.join(NEW_FILE);
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    let mut out = Summed { out: BufWriter::with_capacity(1 << 20, file), sum: Hasher::new() };
    let head = Head { format: FORMAT, revision: snapshot.revision(), confirmed_at };
    out.line(&head)?;
    let mut records = 0;
    for record in snapshot.records() {
        out.line(&record)?;
        records += 1;
    }
    let crc32 = out.sum.clone().finalize();
    out.line(&End { records, crc32 })?;
    let file = out.out.into_inner().map_err(|error| error.into_error())?;
    file.sync_all()?;
    fs::rename(&new, folder.join(FILE))?;
    // The new name itself must survive a power cut too.
    File::open(folder)?.sync_all()?;
    Ok(())
}

/// Reads the copy in a folder.
pub(super) fn load(folder: &Path) -> Result<Loaded, CopyError> {
    let mut lines =
        Lines { input: BufReader::with_capacity(1 << 20, File::open(path(folder))?), sum: Hasher::new() };
    let first = lines.next()?.ok_or_else(|| unsound("it is empty"))?;
    let head: Head = serde_json::from_slice(&first).map_err(|error| unsound(format!("its head: {error}")))?;
    if head.format != FORMAT {
        return Err(unsound(format!("it has form {}, this server reads {FORMAT}", head.format)));
    }
    let mut writer = Writer::new();
    let (mut records, mut chunk) = (0, Vec::with_capacity(CHUNK));
    loop {
        let sum_before = lines.sum.clone().finalize();
        let line = lines.next()?.ok_or_else(|| unsound("its end is missing"))?;
        if let Ok(end) = serde_json::from_slice::<End>(&line) {
            if (end.records, end.crc32) != (records, sum_before) || lines.next()?.is_some() {
                return Err(unsound("its checksum is wrong"));
            }
            break;
        }
        let record = serde_json::from_slice::<Record>(&line);
        chunk.push(record.map_err(|error| unsound(format!("record {}: {error}", records + 1)))?);
        records += 1;
        if chunk.len() == CHUNK {
            writer.apply(chunk.drain(..), Revision::default());
        }
    }
    writer.apply(chunk, head.revision);
    Ok(Loaded { writer, confirmed_at: head.confirmed_at })
}

/// Returns where the copy is.
pub(super) fn path(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

fn unsound(what: impl Into<String>) -> CopyError {
    CopyError::Unsound(what.into())
}

/// Writes lines and sums up their bytes.
struct Summed {
    out: BufWriter<File>,
    sum: Hasher,
}

impl Summed {
    fn line(&mut self, value: &impl Serialize) -> Result<(), CopyError> {
        let mut line = serde_json::to_vec(value).map_err(|error| CopyError::Io(error.into()))?;
        line.push(b'\n');
        self.sum.update(&line);
        Ok(self.out.write_all(&line)?)
    }
}

/// Reads lines and sums up their bytes.
struct Lines {
    input: BufReader<File>,
    sum: Hasher,
}

impl Lines {
    /// Returns the next line, or nothing at the end.
    fn next(&mut self) -> Result<Option<Vec<u8>>, CopyError> {
        let mut line = Vec::new();
        let most = u64::try_from(LINE_BYTES).unwrap_or(u64::MAX);
        io::Read::take(&mut self.input, most).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(None);
        }
        if !line.ends_with(b"\n") {
            return Err(unsound("a line is cut off"));
        }
        self.sum.update(&line);
        Ok(Some(line))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::domain::{
        destination::Destination,
        link::{LinkState, Routing, Sharing},
        name::{ShopId, Slug},
        visitor::SealedKey,
    };

    fn index(links: usize) -> Writer {
        let mut writer = Writer::new();
        let link = |at| Record::Link {
            shop: ShopId::parse("acme").unwrap(),
            slug: Slug::parse(&format!("link-{at}")).unwrap(),
            revision: Revision(at),
            state: LinkState::Active,
            sharing: Sharing::Everyone,
            routing: Routing::to(Destination::parse(&format!("page/{at}?é=1#x")).unwrap()),
            pending: None,
        };
        let last = i64::try_from(links).unwrap();
        writer.apply((1..=last).map(link), Revision(last));
        writer
    }

    fn lines(snapshot: &Snapshot) -> Vec<String> {
        let mut lines: Vec<_> =
            snapshot.records().map(|record| serde_json::to_string(&record).unwrap()).collect();
        lines.sort();
        lines
    }

    #[test]
    fn copy_reads_back_equal_and_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("made/when/needed");
        let confirmed_at = Some("2026-06-01T12:00:00Z".parse().unwrap());
        // More than one chunk, and not a whole number of them.
        let saved = index(2 * CHUNK + 7);
        save(&inside, saved.snapshot(), None).unwrap();
        save(&inside, saved.snapshot(), confirmed_at).unwrap();
        assert_eq!(fs::metadata(path(&inside)).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&inside).unwrap().count(), 1, "nothing is left beside it");
        let loaded = load(&inside).unwrap();
        assert_eq!(loaded.confirmed_at, confirmed_at);
        assert_eq!(loaded.writer.snapshot().revision(), saved.snapshot().revision());
        assert_eq!(lines(loaded.writer.snapshot()), lines(saved.snapshot()));
    }

    #[test]
    fn keys_of_visitors_are_copied_as_they_came() {
        let folder = tempfile::tempdir().unwrap();
        let keys = ["2026-06-01", "2026-06-02"]
            .map(|day| SealedKey { day: day.parse().unwrap(), sealed: vec![1, 2, 255] });
        let mut writer = index(2);
        writer.apply([Record::VisitorKeys(keys.to_vec())], Revision(2));
        save(folder.path(), writer.snapshot(), None).unwrap();
        let loaded = load(folder.path()).unwrap();
        assert_eq!(**loaded.writer.snapshot().visitor_keys(), keys);
        // What is gone is gone from the next copy too.
        writer.apply([Record::VisitorKeys(Vec::new())], Revision(2));
        save(folder.path(), writer.snapshot(), None).unwrap();
        assert!(!fs::read_to_string(path(folder.path())).unwrap().contains("visitor_keys"));
    }

    #[test]
    fn torn_copy_is_not_used_wherever_it_is_torn() {
        let folder = tempfile::tempdir().unwrap();
        save(folder.path(), index(5).snapshot(), None).unwrap();
        let whole = fs::read(path(folder.path())).unwrap();
        for length in 0..whole.len() {
            fs::write(path(folder.path()), &whole[..length]).unwrap();
            assert!(matches!(load(folder.path()), Err(CopyError::Unsound(_))), "torn at {length}");
        }
        fs::write(path(folder.path()), &whole).unwrap();
        assert!(load(folder.path()).is_ok());
    }

    #[test]
    fn changed_copy_is_not_used_whatever_changed() {
        let folder = tempfile::tempdir().unwrap();
        save(folder.path(), index(5).snapshot(), None).unwrap();
        let whole = fs::read(path(folder.path())).unwrap();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            fs::write(path(folder.path()), &changed).unwrap();
            assert!(load(folder.path()).is_err(), "changed at {at}");
        }
        let mut longer = whole.clone();
        longer.extend_from_slice(b"{}\n");
        fs::write(path(folder.path()), &longer).unwrap();
        assert!(load(folder.path()).is_err());
    }

    #[test]
    fn missing_copy_is_told_from_one_that_cannot_be_used() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(load(folder.path()), Err(CopyError::Missing)));
        fs::write(path(folder.path()), "{\"format\":2,\"revision\":1,\"confirmed_at\":null}\n").unwrap();
        let Err(CopyError::Unsound(text)) = load(folder.path()) else { panic!("another form was read") };
        assert!(text.contains("form 2"), "{text}");
    }
}
