//! Reading in order what the disk has confirmed.

use std::{fs::File, io, os::unix::fs::FileExt};

use super::{
    Sequence, Spool, SpoolError,
    segment::{Found, Framer, HEADER_BYTES, Header, PREFIX_BYTES},
    shelf::Sealed,
};

/// Bytes that are read at once: many frames, and at least one of any length.
const CHUNK_BYTES: usize = 256 * 1_024;

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub enum Batch {
    /// Frames without a gap.
    Frames {
        /// The number of the first.
        first: Sequence,
        /// Their contents.
        contents: Vec<Vec<u8>>,
    },
    /// Frames that cannot be read any more. Reading goes on behind them.
    Missing {
        /// The first.
        first: Sequence,
        /// The last.
        last: Sequence,
    },
    /// Nothing: everything that is confirmed was read.
    UpToDate,
}

/// Reads a log from one place on.
#[derive(Debug)]
pub struct Reader {
    spool: Spool,
    next: Sequence,
    place: Option<Place>,
}

/// Where in which file the next frame is.
#[derive(Debug)]
struct Place {
    file: File,
    framer: Framer,
    first: Sequence,
    offset: u64,
}

/// The part of a segment that may be read.
#[derive(Clone, Copy)]
struct Stretch {
    first: Sequence,
    last: Sequence,
}

impl Reader {
    /// Begins to read at this frame; 1 = the first there ever was.
    pub fn new(spool: Spool, next: Sequence) -> Self {
        Self { spool, next, place: None }
    }

    /// Returns the frame that is read next.
    pub fn next_sequence(&self) -> Sequence {
        self.next
    }

    /// Goes to another frame.
    pub fn seek(&mut self, next: Sequence) {
        if next != self.next {
            self.next = next;
            self.place = None;
        }
    }

    /// Reads up to so many frames and about so many bytes; frames of more than one segment come one by one.
    pub fn batch(&mut self, most_frames: usize, most_bytes: usize) -> Result<Batch, SpoolError> {
        let confirmed = *self.spool.inner().confirmed.borrow();
        if self.next > confirmed {
            return Ok(Batch::UpToDate);
        }
        let stretch = match self.stretch(confirmed) {
            Ok(stretch) => stretch,
            Err(goes_on) => return Ok(self.skip_to(goes_on)),
        };
        if self.place.as_ref().is_none_or(|place| place.first != stretch.first) {
            match self.open(stretch) {
                Ok(Some(place)) => self.place = Some(place),
                Ok(None) => return Ok(self.skip_to(stretch.last + 1)),
                // Removed in this moment: it is about to be taken from the shelf too.
                Err(SpoolError::Io { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => {
                    return Ok(self.skip_to(stretch.last + 1));
                }
                Err(error) => return Err(error),
            }
        }
        self.read(stretch, most_frames, most_bytes)
    }

    /// Returns the segment that the next frame is in, or the first frame behind the gap that it is in.
    fn stretch(&self, confirmed: Sequence) -> Result<Stretch, Sequence> {
        let writing = self.spool.inner().lock();
        if self.next >= writing.active.first {
            return Ok(Stretch { first: writing.active.first, last: confirmed });
        }
        match writing.shelf.find(self.next) {
            Some(Sealed { first, last, .. }) => Ok(Stretch { first, last: last.min(confirmed) }),
            None => Err(writing.shelf.after(self.next).unwrap_or(writing.active.first)),
        }
    }

    /// Tells of the frames before this one as missing, and goes on with it.
    fn skip_to(&mut self, next: Sequence) -> Batch {
        let missing = Batch::Missing { first: self.next, last: next - 1 };
        self.seek(next);
        missing
    }

    /// Opens a segment and finds the next frame in it; `None` if it cannot be found.
    fn open(&self, stretch: Stretch) -> Result<Option<Place>, SpoolError> {
        let path = self.spool.inner().folder.segment(stretch.first);
        let file = File::open(&path).map_err(SpoolError::io("open", &path))?;
        let mut header = [0; HEADER_BYTES];
        if let Err(error) = file.read_exact_at(&mut header, 0) {
            let cut = error.kind() == io::ErrorKind::UnexpectedEof;
            return if cut { Ok(None) } else { Err(SpoolError::io("read", &path)(error)) };
        }
        let Some(header) = Header::read(&header).filter(|header| header.first == stretch.first) else {
            return Ok(None);
        };
        let framer = Framer::new(header.source);
        let mut place = Place { file, framer, first: stretch.first, offset: HEADER_BYTES as u64 };
        let mut at = stretch.first;
        while at < self.next {
            let (passed, whole) = place.pass(at, self.next)?;
            at += passed;
            if !whole {
                return Ok(None);
            }
        }
        Ok(Some(place))
    }

    fn read(&mut self, stretch: Stretch, most_frames: usize, most_bytes: usize) -> Result<Batch, SpoolError> {
        let Some(place) = &mut self.place else { return Ok(Batch::UpToDate) };
        let first = self.next;
        let (mut contents, mut taken) = (Vec::new(), 0);
        while self.next <= stretch.last && contents.len() < most_frames && taken < most_bytes {
            let before = self.next;
            let most = (stretch.last + 1 - self.next).min((most_frames - contents.len()) as u64);
            let frames = place.frames(self.next, most, most_bytes - taken)?;
            for content in frames {
                taken += content.len();
                contents.push(content);
                self.next += 1;
            }
            if self.next == before {
                break;
            }
        }
        if !contents.is_empty() {
            return Ok(Batch::Frames { first, contents });
        }
        // A frame that was confirmed and cannot be read: if only its content is spoilt, the next stands behind it.
        let behind = place.step_over(self.next)?;
        let last = if behind && self.next < stretch.last { self.next } else { stretch.last };
        let missing = Batch::Missing { first, last };
        if last == first && behind {
            self.next += 1;
        } else {
            self.seek(last + 1);
        }
        Ok(missing)
    }
}

impl Place {
    /// Reads from the present place on.
    fn chunk(&self) -> Result<Vec<u8>, SpoolError> {
        let mut bytes = vec![0; CHUNK_BYTES];
        let mut filled = 0;
        while filled < bytes.len() {
            match self.file.read_at(&mut bytes[filled..], self.offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(SpoolError::Io {
                        action: "read the segment that begins with",
                        path: self.first.to_string().into(),
                        cause: error.into(),
                    });
                }
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    /// Takes frames from the present place on: as many as stand in one chunk whole, within these bounds.
    fn frames(&mut self, next: Sequence, most: u64, most_bytes: usize) -> Result<Vec<Vec<u8>>, SpoolError> {
        let chunk = self.chunk()?;
        let (mut at, mut taken, mut frames) = (0, 0, Vec::new());
        while (frames.len() as u64) < most && taken < most_bytes {
            let sequence = next + frames.len() as u64;
            let Found::Frame(content) = self.framer.read(sequence, &chunk[at..]) else { break };
            at += PREFIX_BYTES + content.len();
            taken += content.len();
            frames.push(content.to_vec());
        }
        self.offset += at as u64;
        Ok(frames)
    }

    /// Passes frames up to one. Returns how many, and whether they were all whole.
    fn pass(&mut self, at: Sequence, until: Sequence) -> Result<(u64, bool), SpoolError> {
        let passed = self.frames(at, until - at, usize::MAX)?.len() as u64;
        if passed > 0 {
            return Ok((passed, true));
        }
        Ok((1, self.step_over(at)?))
    }

    /// Goes behind a spoilt frame, if what its length says leads to the next whole one.
    fn step_over(&mut self, spoilt: Sequence) -> Result<bool, SpoolError> {
        let chunk = self.chunk()?;
        let Some(length) = chunk.first_chunk::<4>() else { return Ok(false) };
        let behind = (PREFIX_BYTES).saturating_add(u32::from_le_bytes(*length) as usize);
        let Some(rest) = chunk.get(behind..) else { return Ok(false) };
        let is_whole = matches!(self.framer.read(spoilt + 1, rest), Found::Frame(_));
        if is_whole {
            self.offset += behind as u64;
        }
        Ok(is_whole)
    }
}
