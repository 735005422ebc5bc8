//! The local log of clicks: what was answered is here before the answer leaves, and stays until PostgreSQL has it.
//!
//! A folder of segments. A segment is a file that is written once from its beginning to its end: a header, then frames,
//! each with its length and a checksum. Frames are numbered from 1 without gaps for the whole life of the folder. What is
//! read and shipped is only what the disk has confirmed, so that no number is ever given to two different clicks.

mod error;
mod folder;
mod look;
mod reader;
mod record;
mod recovery;
mod segment;
mod shelf;
mod sync;
#[cfg(test)]
mod tests;
mod writer;

pub use error::SpoolError;
pub use folder::{SourceId, is_log};
pub use look::{Look, look};
pub use reader::{Batch, Reader};
pub use record::{Unreadable, decode, decode_counting, encode};
pub use writer::{Depth, Spool, SpoolSettings};

/// The number of a frame, from 1; 0 = none yet.
pub type Sequence = u64;

/// Bytes of one frame's content at most.
pub const FRAME_BYTES: usize = 64 * 1_024;
