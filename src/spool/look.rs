//! A look at a folder from outside, while a server may be writing into it.

use std::{fs, io, path::Path};

use super::{Sequence, SourceId, SpoolError, folder::Folder, recovery::whole_frames};

/// What is seen of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// The id under which PostgreSQL knows its frames; `None` = there is no log yet.
    pub source: Option<SourceId>,
    /// The last frame that was written.
    pub written: Sequence,
    /// How many segments there are.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
    /// How many segments could not be used and were set aside.
    pub set_aside: usize,
    /// Bytes that the disk has left.
    pub free_bytes: u64,
}

/// Looks at a folder without taking or changing it. Only the newest segments are read.
pub fn look(path: &Path) -> Result<Look, SpoolError> {
    let folder = Folder::look(path);
    let firsts = folder.segments()?;
    let mut bytes = 0;
    for first in &firsts {
        match fs::metadata(folder.segment(*first)) {
            Ok(file) => bytes += file.len(),
            // Removed in this moment.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(SpoolError::io("look at", &folder.segment(*first))(error)),
        }
    }
    let disk = rustix::fs::statvfs(path).map_err(io::Error::from).map_err(SpoolError::io("look at", path))?;
    Ok(Look {
        source: folder.source()?,
        written: written(&folder, &firsts)?,
        segments: firsts.len(),
        bytes,
        set_aside: folder.set_aside_count()?,
        free_bytes: disk.f_bavail.saturating_mul(disk.f_frsize),
    })
}

/// Returns the last frame that was written, or that was known to be in PostgreSQL when there is none.
fn written(folder: &Folder, firsts: &[Sequence]) -> Result<Sequence, SpoolError> {
    let Some(&newest) = firsts.last() else { return folder.shipped() };
    let path = folder.segment(newest);
    let bytes = fs::read(&path).map_err(SpoolError::io("read", &path))?;
    match whole_frames(&bytes, newest) {
        Some((_, _, next)) => Ok(next - 1),
        None => {
            Err(SpoolError::Foreign { path, problem: "has no readable header; the next start sets it aside" })
        }
    }
}
