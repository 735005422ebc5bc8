//! Writing: one write for a frame or for those that come together, behind a lock that is held for about as long as the
//! write takes.

use std::{
    fs::File,
    mem,
    ops::Range,
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, SystemTime},
};

use tokio::sync::watch;

use super::{
    FRAME_BYTES, Sequence, SourceId, SpoolError,
    folder::{Folder, Maker, Prepared},
    recovery::{self, Recovered},
    segment::{Framer, HEADER_BYTES, Header, PREFIX_BYTES},
    shelf::{Retention, Sealed, Shelf},
    sync,
};

/// How a folder is used.
#[derive(Clone, Debug)]
pub struct SpoolSettings {
    /// The folder.
    pub folder: PathBuf,
    /// Bytes of a segment.
    pub segment_bytes: u64,
    /// Bytes that all segments may take.
    pub limit_bytes: u64,
    /// Bytes of segments that are kept after PostgreSQL has them.
    pub retained_bytes: u64,
    /// How long they are kept.
    pub retained_for: Duration,
    /// How long a frame may wait for the disk.
    pub sync_every: Duration,
}

/// How much is in the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth {
    /// The last frame that was written.
    pub written: Sequence,
    /// The last frame that PostgreSQL is known to have.
    pub shipped: Sequence,
    /// Bytes of all segments.
    pub bytes: u64,
    /// Those of them that PostgreSQL has.
    pub retained_bytes: u64,
}

/// A log of clicks that is open. Clones share it; the last one closes it, with everything on the disk.
#[derive(Clone, Debug)]
pub struct Spool {
    inner: Arc<Inner>,
    syncing: Arc<Syncing>,
}

/// What the clones and the thread that syncs share.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) folder: Folder,
    pub(super) settings: SpoolSettings,
    writing: Mutex<Writing>,
    /// Tells the thread that syncs that there is something to do.
    pub(super) wake: Condvar,
    /// The last frame that the disk confirmed.
    pub(super) confirmed: watch::Sender<Sequence>,
}

/// What is changed by writing.
#[derive(Debug)]
pub(super) struct Writing {
    pub(super) source: SourceId,
    framer: Framer,
    pub(super) active: Active,
    pub(super) shelf: Shelf,
    /// The next segment's file, made ahead.
    pub(super) prepared: Option<Prepared>,
    /// Files that were written to their end and are not on the disk yet, with their true length.
    pub(super) unsynced: Vec<(Arc<File>, u64)>,
    pub(super) shipped: Sequence,
    /// When PostgreSQL last said how far it is.
    pub(super) heard: SystemTime,
    /// The last frame that was written when the log got another id: PostgreSQL may know those up to here by the old one.
    renewed: Sequence,
    /// The last frame that was confirmed before the disk failed.
    pub(super) failed: Option<Sequence>,
    pub(super) stopping: bool,
    buffer: Vec<u8>,
}

/// The segment that is being written.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) file: Arc<File>,
    pub(super) first: Sequence,
    /// The number that the next frame gets.
    pub(super) next: Sequence,
    /// Where it goes.
    pub(super) offset: u64,
}

/// The thread that syncs; ends when the last user of the log is gone.
#[derive(Debug)]
struct Syncing {
    inner: Arc<Inner>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Spool {
    /// Opens a folder, or makes it. Frames that a crash cut off are gone, everything before them is there.
    pub fn open(settings: SpoolSettings) -> Result<Self, SpoolError> {
        let folder = Folder::open(&settings.folder)?;
        let Recovered { source, shelf, next, shipped } = recovery::recover(&folder)?;
        let framer = Framer::new(source);
        let prepared = folder.prepare(Maker::AtOnce, settings.segment_bytes)?;
        let active = Active::begin(&folder, prepared, source, next)?;
        active.file.sync_all().map_err(SpoolError::io("sync", &folder.segment(next)))?;
        folder.sync()?;
        let writing = Writing {
            source,
            framer,
            active,
            shelf,
            prepared: None,
            unsynced: Vec::new(),
            shipped,
            heard: SystemTime::UNIX_EPOCH,
            renewed: 0,
            failed: None,
            stopping: false,
            buffer: Vec::new(),
        };
        let (confirmed, _) = watch::channel(next - 1);
        let inner = Inner { folder, settings, writing: Mutex::new(writing), wake: Condvar::new(), confirmed };
        let inner = Arc::new(inner);
        let thread = sync::start(Arc::clone(&inner))?;
        let syncing = Syncing { inner: Arc::clone(&inner), thread: Mutex::new(Some(thread)) };
        Ok(Self { inner, syncing: Arc::new(syncing) })
    }

    /// Writes a frame. When this returns, the end of this process cannot take it away; the end of the machine can until
    /// the disk has confirmed it, see [`Spool::confirmed`].
    pub fn append(&self, content: &[u8]) -> Result<Sequence, SpoolError> {
        let written = self.inner.write(&mut self.inner.lock(), &[content])?;
        Ok(written.start)
    }

    /// Writes frames as if one after the other, each with a fate of its own, but with one write for all that stand in
    /// the same segment.
    pub fn append_all(&self, contents: &[impl AsRef<[u8]>]) -> Vec<Result<Sequence, SpoolError>> {
        let mut fates = Vec::with_capacity(contents.len());
        let mut writing = self.inner.lock();
        while let Some(rest) = contents.get(fates.len()..).filter(|rest| !rest.is_empty()) {
            match self.inner.write(&mut writing, rest) {
                Ok(written) => fates.extend(written.map(Ok)),
                Err(error) => fates.push(Err(error)),
            }
        }
        fates
    }

    /// Returns the last frame that the disk confirmed, and follows it.
    pub fn confirmed(&self) -> watch::Receiver<Sequence> {
        self.inner.confirmed.subscribe()
    }

    /// Waits until the disk has confirmed a frame that was written; fails if it cannot any more.
    pub async fn wait_for(&self, sequence: Sequence) -> Result<(), SpoolError> {
        let mut confirmed = self.confirmed();
        loop {
            let seen = *confirmed.borrow_and_update();
            if seen >= sequence {
                return Ok(());
            }
            // Looked at after the number: whoever fails says so first, and wakes us then.
            if self.inner.lock().failed.is_some() || confirmed.changed().await.is_err() {
                return Err(SpoolError::Unconfirmed { confirmed: seen });
            }
        }
    }

    /// Brings everything to the disk and gives the folder up, although clones may be left; those take nothing more.
    pub fn close(&self) {
        self.syncing.end();
        self.inner.folder.release();
    }

    /// Notes that PostgreSQL has every frame up to this one, and none after it.
    pub fn set_shipped(&self, shipped: Sequence) {
        let before = self.inner.mark(shipped);
        // After a restore of PostgreSQL: what it lost must not count as shipped after a crash of ours.
        if shipped < before
            && let Err(error) = self.inner.note_shipped()
        {
            tracing::warn!(%error, "cannot note what PostgreSQL lost of the log of clicks");
        }
        self.inner.wake.notify_one();
    }

    /// Returns the id under which PostgreSQL knows the frames.
    pub fn source(&self) -> SourceId {
        self.inner.lock().source
    }

    /// Gives the log another id: PostgreSQL knows frames under the old one that are not those in this folder.
    pub fn renew_source(&self) -> Result<SourceId, SpoolError> {
        let source = SourceId::random();
        // First this, so that nothing ever counts as shipped under an id that PostgreSQL does not know.
        self.inner.mark(0);
        self.inner.note_shipped()?;
        self.inner.folder.set_source(source)?;
        let mut writing = self.inner.lock();
        (writing.source, writing.renewed) = (source, writing.active.next - 1);
        Ok(source)
    }

    /// Returns the id under which PostgreSQL knows the frames, and the last frame that it may know under an earlier one.
    pub fn source_since(&self) -> (SourceId, Sequence) {
        let writing = self.inner.lock();
        (writing.source, writing.renewed)
    }

    /// Tells how much there is.
    pub fn depth(&self) -> Depth {
        let writing = self.inner.lock();
        let (bytes, retained_bytes) = writing.shelf.bytes();
        Depth {
            written: writing.active.next - 1,
            shipped: writing.shipped,
            bytes: bytes + self.inner.settings.segment_bytes,
            retained_bytes,
        }
    }

    /// Returns the first frame that is still here, or the next that will be.
    pub fn oldest(&self) -> Sequence {
        let writing = self.inner.lock();
        writing.shelf.first().unwrap_or(writing.active.first)
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// Fails as when the disk does not confirm what was written.
    #[cfg(test)]
    pub(crate) fn fail(&self) {
        sync::fail(&self.inner, &SpoolError::Closed);
    }
}

impl Inner {
    pub(super) fn lock(&self) -> MutexGuard<'_, Writing> {
        // Nothing in here panics half-way: numbers change after the write that they stand for.
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn retention(&self) -> Retention {
        Retention { bytes: self.settings.retained_bytes, age: self.settings.retained_for }
    }

    /// Returns the first frame of the oldest segment, if it need not be kept, with the last that PostgreSQL has.
    pub(super) fn expired(&self) -> Option<(Sequence, Sequence)> {
        let writing = self.lock();
        let oldest = writing.shelf.expired(self.retention(), writing.heard)?;
        Some((oldest.first, writing.shipped))
    }

    /// Writes the first of these frames, and with the same write those after it that have room in the same segment.
    /// Returns their numbers; fails if the first cannot be written.
    fn write(
        &self,
        writing: &mut Writing,
        contents: &[impl AsRef<[u8]>],
    ) -> Result<Range<Sequence>, SpoolError> {
        if let Some(confirmed) = writing.failed {
            return Err(SpoolError::Unconfirmed { confirmed });
        }
        if writing.stopping {
            return Err(SpoolError::Closed);
        }
        let first = writing.active.next;
        let mut next = first;
        writing.buffer.clear();
        for content in contents.iter().map(AsRef::as_ref) {
            if content.is_empty() || content.len() > FRAME_BYTES {
                if next > first {
                    break;
                }
                return Err(SpoolError::TooLong { bytes: content.len() });
            }
            let end = writing.active.offset + (writing.buffer.len() + PREFIX_BYTES + content.len()) as u64;
            if end > self.settings.segment_bytes {
                if next > first {
                    break;
                }
                self.next_segment(writing)?;
            }
            writing.framer.write(next, content, &mut writing.buffer);
            next += 1;
        }
        let active = &mut writing.active;
        // What a failed write leaves is written over by the next one.
        let written = active.file.write_all_at(&writing.buffer, active.offset);
        if let Err(cause) = written {
            return Err(SpoolError::io("write", &self.folder.segment(active.first))(cause));
        }
        active.offset += writing.buffer.len() as u64;
        active.next = next;
        if first == *self.confirmed.borrow() + 1 {
            // The first since the last sync: the others find the thread awake.
            self.wake.notify_one();
        }
        Ok(first..next)
    }

    /// Begins the next segment, in the space of the oldest that PostgreSQL has if there is no other.
    fn next_segment(&self, writing: &mut Writing) -> Result<(), SpoolError> {
        let prepared = match writing.prepared.take() {
            Some(prepared) => prepared,
            None => self.make_room(writing)?,
        };
        let next = writing.active.next;
        let fresh = Active::begin(&self.folder, prepared, writing.source, next)?;
        writing.framer = Framer::new(writing.source);
        let full = mem::replace(&mut writing.active, fresh);
        let sealed = Sealed { first: full.first, last: next - 1, bytes: full.offset, shipped: None };
        writing.shelf.push(sealed);
        writing.shelf.mark(writing.shipped, SystemTime::now());
        writing.unsynced.push((full.file, full.offset));
        self.wake.notify_one();
        Ok(())
    }

    /// Tells whether one more segment is within the limit.
    pub(super) fn has_room(&self, writing: &Writing) -> bool {
        let active_and_next = 2 * self.settings.segment_bytes;
        writing.shelf.bytes().0 + active_and_next <= self.settings.limit_bytes
    }

    /// Makes a file for one more segment.
    fn make_room(&self, writing: &mut Writing) -> Result<Prepared, SpoolError> {
        loop {
            let fits = self.has_room(writing);
            let made = if fits {
                self.folder.prepare(Maker::AtOnce, self.settings.segment_bytes)
            } else {
                Err(self.full())
            };
            match made {
                Err(error) if !fits || error.is_no_space() => {
                    let Some(oldest) = writing.shelf.shipped() else { return Err(error) };
                    self.discard(oldest.first, writing.shipped)?;
                    writing.shelf.take(oldest.first);
                }
                made => return made,
            }
        }
    }

    /// Removes a segment that PostgreSQL has. That it does is on the disk first, for the numbers to go on from.
    pub(super) fn discard(&self, first: Sequence, shipped: Sequence) -> Result<(), SpoolError> {
        match self.folder.set_shipped(shipped) {
            // A full disk has no room for the note either. The name of the newest segment says as well where to go on.
            Err(error) if error.is_no_space() => {}
            noted => noted?,
        }
        self.folder.remove_segment(first)
    }

    /// Notes in memory what PostgreSQL has. Returns what was noted before.
    fn mark(&self, shipped: Sequence) -> Sequence {
        let mut writing = self.lock();
        writing.heard = SystemTime::now();
        let heard = writing.heard;
        writing.shelf.mark(shipped, heard);
        mem::replace(&mut writing.shipped, shipped)
    }

    /// Notes on the disk what PostgreSQL has, or less, without keeping anybody from writing.
    pub(super) fn note_shipped(&self) -> Result<(), SpoolError> {
        loop {
            let shipped = self.lock().shipped;
            self.folder.set_shipped(shipped)?;
            if self.lock().shipped >= shipped {
                return Ok(());
            }
            // Taken back meanwhile.
        }
    }

    fn full(&self) -> SpoolError {
        SpoolError::Full { limit: self.settings.limit_bytes }
    }
}

impl Active {
    /// Makes the prepared file the segment that begins with this frame.
    fn begin(
        folder: &Folder,
        prepared: Prepared,
        source: SourceId,
        first: Sequence,
    ) -> Result<Self, SpoolError> {
        let header = Header { source, first }.write();
        let written = prepared.file.write_all_at(&header, 0);
        written.map_err(SpoolError::io("write", &folder.segment(first)))?;
        let file = folder.place(prepared, first)?;
        Ok(Self { file: Arc::new(file), first, next: first, offset: HEADER_BYTES as u64 })
    }
}

impl Syncing {
    /// Ends the thread, with everything on the disk.
    fn end(&self) {
        self.inner.lock().stopping = true;
        self.inner.wake.notify_one();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // It says itself what went wrong.
            thread.join().ok();
        }
    }
}

impl Drop for Syncing {
    fn drop(&mut self) {
        self.end();
    }
}
