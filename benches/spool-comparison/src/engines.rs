//! Three logs with one face: append from many threads, read from the old end, drop what was read.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use fjall::{Keyspace, PartitionCreateOptions, PartitionHandle};
use protobuf::well_known_types::Any;
use raft_engine::{Config, Engine, LogBatch, MessageExt, ReadableSize};
use smartlinks::spool::{Batch, Reader, Spool, SpoolSettings};

/// How long what was appended may wait for the disk, in all of them.
const SYNC_EVERY: Duration = Duration::from_millis(50);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Own,
    RaftEngine,
    Fjall,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Own, Self::RaftEngine, Self::Fjall];

    pub fn name(self) -> &'static str {
        match self {
            Self::Own => "own segments",
            Self::RaftEngine => "raft-engine",
            Self::Fjall => "fjall",
        }
    }

    pub fn open(self, folder: &Path) -> Log {
        match self {
            Self::Own => Log::Own(own(folder)),
            Self::RaftEngine => Log::RaftEngine(RaftLog::open(folder)),
            Self::Fjall => {
                let keyspace = fjall::Config::new(folder).fsync_ms(Some(50)).open().expect("a keyspace");
                let options = PartitionCreateOptions::default();
                let clicks = keyspace.open_partition("clicks", options).expect("a partition");
                Log::Fjall(keyspace, clicks)
            }
        }
    }
}

fn own(folder: &Path) -> Spool {
    let settings = SpoolSettings {
        folder: folder.to_owned(),
        segment_bytes: 32 << 20,
        limit_bytes: 64 << 30,
        retained_bytes: 0,
        retained_for: Duration::from_secs(3_600),
        sync_every: SYNC_EVERY,
    };
    Spool::open(settings).expect("a log")
}

pub enum Log {
    Own(Spool),
    RaftEngine(RaftLog),
    Fjall(Keyspace, PartitionHandle),
}

impl Log {
    /// Appends the click with this number of a thread, both from 0. fjall and raft-engine do not number across threads:
    /// here that costs them nothing.
    pub fn append(&self, thread: u64, number: u64, click: &[u8]) {
        match self {
            Self::Own(spool) => drop(spool.append(click).expect("room")),
            Self::RaftEngine(log) => log.append(thread, number, click),
            Self::Fjall(_, clicks) => clicks.insert(key(thread, number), click).expect("room"),
        }
    }

    /// Reads up to `most` clicks of a thread from this number on, as the shipper would, and returns how many.
    pub fn read(&self, thread: u64, from: u64, most: u64) -> u64 {
        match self {
            Self::Own(spool) => match Reader::new(spool.clone(), from + 1).batch(most as usize, usize::MAX) {
                Ok(Batch::Frames { contents, .. }) => contents.len() as u64,
                other => panic!("{other:?}"),
            },
            Self::RaftEngine(log) => {
                let last = log.engine.last_index(thread + 1).unwrap_or(0);
                let (begin, end) = (from + 1, (from + 1 + most).min(last + 1));
                if begin >= end {
                    return 0;
                }
                let mut entries = Vec::new();
                let fetched =
                    log.engine.fetch_entries_to::<Click>(thread + 1, begin, end, None, &mut entries);
                fetched.expect("entries");
                entries.len() as u64
            }
            Self::Fjall(_, clicks) => {
                let range = clicks.range(key(thread, from)..key(thread, from + most));
                range.map(|click| click.expect("a click").1.len()).filter(|bytes| *bytes > 0).count() as u64
            }
        }
    }

    /// Reads and drops everything of the first thread in batches, and returns how many clicks there were.
    pub fn drain(&self, batch: u64) -> u64 {
        match self {
            Self::Own(spool) => {
                let mut reader = Reader::new(spool.clone(), 1);
                let mut read = 0;
                while let Batch::Frames { contents, .. } =
                    reader.batch(batch as usize, usize::MAX).expect("frames")
                {
                    read += contents.len() as u64;
                    spool.set_shipped(read);
                }
                read
            }
            Self::RaftEngine(log) => {
                let mut read = 0;
                loop {
                    let taken = self.read(0, read, batch);
                    if taken == 0 {
                        return read;
                    }
                    read += taken;
                    log.engine.compact_to(1, read + 1);
                    // Looking for files to remove is the user's work; each batch would be too often.
                    if (read / batch).is_multiple_of(100) {
                        log.engine.purge_expired_files().expect("files");
                    }
                }
            }
            Self::Fjall(keyspace, clicks) => {
                let mut read = 0;
                loop {
                    let taken = self.read(0, read, batch);
                    if taken == 0 {
                        return read;
                    }
                    let mut gone = keyspace.batch();
                    (read..read + taken).for_each(|number| gone.remove(clicks, key(0, number)));
                    gone.commit().expect("room");
                    read += taken;
                }
            }
        }
    }

    /// Brings everything to the disk.
    pub fn close(self) {
        match self {
            Self::Own(spool) => spool.close(),
            Self::RaftEngine(log) => drop(log),
            Self::Fjall(keyspace, _) => keyspace.persist(fjall::PersistMode::SyncAll).expect("a disk"),
        }
    }
}

fn key(thread: u64, number: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&thread.to_be_bytes());
    key[8..].copy_from_slice(&number.to_be_bytes());
    key
}

/// An engine with a thread that syncs, as ours has. Each thread that appends has a group of its own: within one, entries
/// would have to be appended in the order of their numbers, so behind a lock.
pub struct RaftLog {
    engine: Arc<Engine>,
    ends: Arc<AtomicBool>,
    syncing: Option<JoinHandle<()>>,
}

/// An entry as raft-engine wants it: a message that knows its number.
struct Click;

impl MessageExt for Click {
    type Entry = Any;

    fn index(entry: &Any) -> u64 {
        entry.type_url.parse().expect("a number")
    }
}

impl RaftLog {
    fn open(folder: &Path) -> Self {
        let config = Config {
            dir: folder.to_str().expect("a path").to_owned(),
            purge_threshold: ReadableSize::gb(1),
            ..Config::default()
        };
        let engine = Arc::new(Engine::open(config).expect("an engine"));
        let ends = Arc::new(AtomicBool::new(false));
        let syncing = thread::spawn({
            let (engine, ends) = (Arc::clone(&engine), Arc::clone(&ends));
            move || {
                while !ends.load(Ordering::Relaxed) {
                    thread::sleep(SYNC_EVERY);
                    engine.sync().expect("a disk");
                }
            }
        });
        Self { engine, ends, syncing: Some(syncing) }
    }

    fn append(&self, thread: u64, number: u64, click: &[u8]) {
        let entry = Any { type_url: (number + 1).to_string(), value: click.to_vec(), ..Any::default() };
        let mut batch = LogBatch::with_capacity(1);
        batch.add_entries::<Click>(thread + 1, &[entry]).expect("an entry");
        self.engine.write(&mut batch, false).expect("room");
    }
}

impl Drop for RaftLog {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        self.syncing.take().map(JoinHandle::join);
        self.engine.sync().expect("a disk");
    }
}
