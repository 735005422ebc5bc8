//! The thread behind the log: brings what is written to the disk, makes segments ahead, and removes those that are not
//! needed any more.

use std::{
    io, mem,
    sync::{Arc, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{Sequence, SpoolError, folder::Maker, writer::Inner};

/// How often old segments are looked after while nothing is written.
const IDLE: Duration = Duration::from_secs(10);

/// Starts the thread.
pub(super) fn start(inner: Arc<Inner>) -> Result<JoinHandle<()>, SpoolError> {
    let path = inner.settings.folder.clone();
    let thread = thread::Builder::new().name("spool".to_owned()).spawn(move || run(&inner));
    thread.map_err(SpoolError::io("start a thread for", &path))
}

fn run(inner: &Inner) {
    loop {
        let stopping = wait(inner);
        if let Err(error) = confirm(inner) {
            fail(inner, &error);
            return;
        }
        if stopping {
            if let Err(error) = close(inner) {
                tracing::warn!(%error, "cannot tidy the log of clicks at its end");
            }
            return;
        }
        tidy(inner);
    }
}

/// Waits until there is something to bring to the disk and its time has come. Returns whether it is the last time.
fn wait(inner: &Inner) -> bool {
    let every = inner.settings.sync_every;
    let begun = Instant::now();
    let mut writing = inner.lock();
    let mut since: Option<Instant> = None;
    loop {
        if writing.stopping || !writing.unsynced.is_empty() {
            return writing.stopping;
        }
        if writing.active.next > *inner.confirmed.borrow() + 1 && since.is_none() {
            since = Some(Instant::now());
        }
        let left = since.map(|since| every.saturating_sub(since.elapsed()));
        if left.is_some_and(|left| left.is_zero()) {
            return false;
        }
        // Without frames it looks now and then whether old segments may go, however often it is woken.
        let pause = left.unwrap_or_else(|| IDLE.saturating_sub(begun.elapsed()));
        let (woken, result) = inner.wake.wait_timeout(writing, pause).unwrap_or_else(PoisonError::into_inner);
        writing = woken;
        if result.timed_out() && since.is_none() {
            return writing.stopping;
        }
    }
}

/// Brings everything that is written to the disk, then says so.
fn confirm(inner: &Inner) -> Result<(), SpoolError> {
    let (sealed, active, written) = {
        let mut writing = inner.lock();
        let sealed = mem::take(&mut writing.unsynced);
        (sealed, Arc::clone(&writing.active.file), writing.active.next - 1)
    };
    if written == *inner.confirmed.borrow() && sealed.is_empty() {
        return Ok(());
    }
    let path = &inner.settings.folder;
    let synced = || -> io::Result<()> {
        for (file, bytes) in &sealed {
            file.set_len(*bytes)?;
            file.sync_all()?;
        }
        active.sync_data()
    };
    synced().map_err(SpoolError::io("sync", path))?;
    if !sealed.is_empty() {
        inner.folder.sync()?;
    }
    inner.confirmed.send_if_modified(|confirmed| {
        let is_news = *confirmed != written;
        *confirmed = written;
        is_news
    });
    Ok(())
}

/// Takes nothing more. What the disk did not confirm may or may not be there: the next start looks.
pub(super) fn fail(inner: &Inner, error: &SpoolError) {
    let confirmed: Sequence = *inner.confirmed.borrow();
    inner.lock().failed = Some(confirmed);
    // Whoever waits for a frame looks again.
    inner.confirmed.send_modify(|_| {});
    tracing::error!(%error, confirmed, "the log of clicks takes nothing more");
}

/// Makes the next segment ahead, and removes what is not needed any more.
fn tidy(inner: &Inner) {
    while let Some((oldest, shipped)) = inner.expired() {
        if let Err(error) = remove(inner, oldest, shipped) {
            tracing::warn!(%error, "cannot remove an old segment of clicks");
            break;
        }
    }
    if let Err(error) = prepare(inner) {
        tracing::debug!(%error, "cannot make the next segment of clicks yet");
    }
}

/// Removes a segment that PostgreSQL has, not under the lock: clicks go on while the disk works.
fn remove(inner: &Inner, oldest: Sequence, shipped: Sequence) -> Result<(), SpoolError> {
    inner.discard(oldest, shipped)?;
    inner.lock().shelf.take(oldest);
    Ok(())
}

/// Makes the next segment's file once half of the present one is used, in the space of the oldest that PostgreSQL has if
/// there is no other: whoever writes would have to wait for it.
fn prepare(inner: &Inner) -> Result<(), SpoolError> {
    loop {
        let (oldest, shipped) = {
            let writing = inner.lock();
            let is_half_used = writing.active.offset * 2 > inner.settings.segment_bytes;
            if writing.prepared.is_some() || !is_half_used {
                return Ok(());
            }
            if inner.has_room(&writing) {
                break;
            }
            let Some(oldest) = writing.shelf.shipped() else { return Ok(()) };
            (oldest.first, writing.shipped)
        };
        remove(inner, oldest, shipped)?;
    }
    // Not under the lock, as above.
    let prepared = inner.folder.prepare(Maker::Ahead, inner.settings.segment_bytes)?;
    prepared.file.sync_all().map_err(SpoolError::io("sync", &inner.settings.folder))?;
    inner.lock().prepared = Some(prepared);
    Ok(())
}

/// Leaves the folder as small as it can be.
fn close(inner: &Inner) -> Result<(), SpoolError> {
    let writing = inner.lock();
    let active = &writing.active;
    let cut = active.file.set_len(active.offset).and_then(|()| active.file.sync_all());
    cut.map_err(SpoolError::io("cut", &inner.folder.segment(active.first)))?;
    inner.folder.remove_prepared()?;
    inner.folder.set_shipped(writing.shipped)
}
