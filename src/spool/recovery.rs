//! What a folder holds when it is opened.

use std::{
    fs::{self, File},
    time::SystemTime,
};

use super::{
    Sequence, SourceId, SpoolError,
    folder::Folder,
    segment::{Found, Framer, HEADER_BYTES, Header, PREFIX_BYTES},
    shelf::{Sealed, Shelf},
};

/// A folder as it was found.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) source: SourceId,
    pub(super) shelf: Shelf,
    /// The number that the next frame gets.
    pub(super) next: Sequence,
    pub(super) shipped: Sequence,
}

/// Looks through a folder. Only the newest segment is read: the others are as long as the next one's name says.
pub(super) fn recover(folder: &Folder) -> Result<Recovered, SpoolError> {
    let shipped = folder.shipped()?;
    let mut firsts = folder.segments()?;
    let mut shelf = Shelf::default();
    let mut next = shipped + 1;
    let mut newest = None;
    while let Some(&first) = firsts.last() {
        next = next.max(first);
        let end = end_of(folder, first)?;
        match end {
            End::Frames { header, last, bytes } => {
                newest = Some(header);
                next = next.max(last + 1);
                push_all(folder, &firsts, last, bytes, &mut shelf)?;
                break;
            }
            // Begun and never used. The next to begin may have the same name.
            End::Empty => folder.remove_segment(first)?,
            End::NotOurs => {
                let aside = folder.set_aside(first)?;
                tracing::error!(file = %aside.display(), "a segment of clicks has no readable header, it is set aside");
            }
        }
        firsts.pop();
    }
    let source = match (folder.source()?, newest) {
        (Some(source), _) => source,
        // The file is gone and the segments know.
        (None, Some(header)) => keep(folder, header.source)?,
        (None, None) => keep(folder, SourceId::random())?,
    };
    shelf.mark(shipped, SystemTime::now());
    Ok(Recovered { source, shelf, next, shipped })
}

fn keep(folder: &Folder, source: SourceId) -> Result<SourceId, SpoolError> {
    folder.set_source(source)?;
    Ok(source)
}

/// Puts every segment on the shelf; of the last the end was looked for.
fn push_all(
    folder: &Folder,
    firsts: &[Sequence],
    last: Sequence,
    bytes: u64,
    shelf: &mut Shelf,
) -> Result<(), SpoolError> {
    for (at, &first) in firsts.iter().enumerate() {
        let sealed = match firsts.get(at + 1) {
            Some(next) => {
                let path = folder.segment(first);
                let file = fs::metadata(&path).map_err(SpoolError::io("look at", &path))?;
                Sealed { first, last: next - 1, bytes: file.len(), shipped: None }
            }
            None => Sealed { first, last, bytes, shipped: None },
        };
        shelf.push(sealed);
    }
    Ok(())
}

/// How the newest segment ends.
enum End {
    Frames { header: Header, last: Sequence, bytes: u64 },
    Empty,
    NotOurs,
}

/// Finds the last whole frame of a segment and cuts off what follows.
fn end_of(folder: &Folder, first: Sequence) -> Result<End, SpoolError> {
    let path = folder.segment(first);
    let bytes = fs::read(&path).map_err(SpoolError::io("read", &path))?;
    let Some((header, at, next)) = whole_frames(&bytes, first) else { return Ok(End::NotOurs) };
    let rest = bytes[at..].iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    if rest > 0 {
        tracing::warn!(file = %path.display(), bytes = rest, "a segment of clicks ends in what is no whole frame, it is cut");
    }
    if next == first {
        return Ok(End::Empty);
    }
    let file = File::options().write(true).open(&path).map_err(SpoolError::io("open", &path))?;
    let cut = file.set_len(at as u64).and_then(|()| file.sync_all());
    cut.map_err(SpoolError::io("cut", &path))?;
    Ok(End::Frames { header, last: next - 1, bytes: at as u64 })
}

/// Returns the header of a segment, where its last whole frame ends, and the number that follows it; `None` if it is not
/// the segment that begins with this frame.
pub(super) fn whole_frames(bytes: &[u8], first: Sequence) -> Option<(Header, usize, Sequence)> {
    let header = Header::read(bytes).filter(|header| header.first == first)?;
    let framer = Framer::new(header.source);
    let (mut at, mut next) = (HEADER_BYTES, first);
    while let Found::Frame(content) = framer.read(next, &bytes[at..]) {
        at += PREFIX_BYTES + content.len();
        next += 1;
    }
    Some((header, at, next))
}
