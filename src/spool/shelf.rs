//! The segments that are written to their end, in order.

use std::{
    collections::VecDeque,
    time::{Duration, SystemTime},
};

use super::Sequence;

/// A segment that is written to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sealed {
    pub(super) first: Sequence,
    pub(super) last: Sequence,
    /// Bytes of the file.
    pub(super) bytes: u64,
    /// Since when all of it is known to be in PostgreSQL.
    pub(super) shipped: Option<SystemTime>,
}

/// What is kept of segments that PostgreSQL has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retention {
    pub(super) bytes: u64,
    pub(super) age: Duration,
}

/// All of them. Those that PostgreSQL has come first.
#[derive(Debug, Default)]
pub(super) struct Shelf(VecDeque<Sealed>);

impl Shelf {
    pub(super) fn push(&mut self, segment: Sealed) {
        self.0.push_back(segment);
    }

    /// Returns the segment with this frame.
    pub(super) fn find(&self, sequence: Sequence) -> Option<Sealed> {
        let at = self.0.partition_point(|segment| segment.last < sequence);
        self.0.get(at).filter(|segment| segment.first <= sequence).copied()
    }

    /// Returns the first frame after this one that is in a segment.
    pub(super) fn after(&self, sequence: Sequence) -> Option<Sequence> {
        let at = self.0.partition_point(|segment| segment.first <= sequence);
        self.0.get(at).map(|segment| segment.first)
    }

    /// Returns the first frame of all.
    pub(super) fn first(&self) -> Option<Sequence> {
        self.0.front().map(|segment| segment.first)
    }

    /// Returns the bytes of all, and of those that PostgreSQL has.
    pub(super) fn bytes(&self) -> (u64, u64) {
        let all = self.0.iter().map(|segment| segment.bytes).sum();
        let shipped = self.0.iter().take_while(|segment| segment.shipped.is_some());
        (all, shipped.map(|segment| segment.bytes).sum())
    }

    /// Notes what PostgreSQL has: more than before, or after a restore less.
    pub(super) fn mark(&mut self, shipped: Sequence, now: SystemTime) {
        for segment in &mut self.0 {
            match segment.shipped {
                None if segment.last <= shipped => segment.shipped = Some(now),
                Some(_) if segment.last > shipped => segment.shipped = None,
                Some(_) | None => {}
            }
        }
    }

    /// Returns the oldest segment, if PostgreSQL has it.
    pub(super) fn shipped(&self) -> Option<Sealed> {
        self.0.front().filter(|segment| segment.shipped.is_some()).copied()
    }

    /// Returns the oldest segment, if PostgreSQL has it and it need not be kept. Its age counts up to when PostgreSQL was
    /// heard of last: one that is away may come back without it.
    pub(super) fn expired(&self, keep: Retention, heard: SystemTime) -> Option<Sealed> {
        let (_, shipped_bytes) = self.bytes();
        self.shipped().filter(|segment| {
            // A clock that went back makes nothing older.
            let age = segment.shipped.map(|since| heard.duration_since(since).unwrap_or_default());
            age.is_some_and(|age| age >= keep.age || shipped_bytes > keep.bytes)
        })
    }

    /// Takes away the oldest segment, if it is this one.
    pub(super) fn take(&mut self, first: Sequence) {
        self.0.pop_front_if(|segment| segment.first == first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelf() -> Shelf {
        let mut shelf = Shelf::default();
        for (first, last) in [(1, 10), (11, 20), (25, 30)] {
            shelf.push(Sealed { first, last, bytes: 100, shipped: None });
        }
        shelf
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn segments_are_found_by_their_frames() {
        let shelf = shelf();
        let first = |sequence| shelf.find(sequence).map(|segment| segment.first);
        assert_eq!([0, 1, 10, 11, 20].map(first), [None, Some(1), Some(1), Some(11), Some(11)]);
        assert_eq!([21, 24, 25, 30, 31].map(first), [None, None, Some(25), Some(25), None]);
        assert_eq!(
            [0, 10, 21, 25].map(|sequence| shelf.after(sequence)),
            [Some(1), Some(11), Some(25), None]
        );
    }

    #[test]
    fn only_what_postgres_has_is_taken_away() {
        let mut shelf = shelf();
        assert_eq!(shelf.shipped(), None);
        shelf.mark(19, at(5));
        assert_eq!(shelf.bytes(), (300, 100));
        assert_eq!(shelf.shipped().unwrap().first, 1);
        shelf.take(11);
        assert_eq!(shelf.first(), Some(1), "only the oldest goes");
        shelf.take(1);
        assert_eq!(shelf.shipped(), None);
    }

    #[test]
    fn shipped_segments_are_kept_for_a_while_within_a_size() {
        let keep = Retention { bytes: 150, age: Duration::from_secs(60) };
        let mut shelf = shelf();
        shelf.mark(20, at(0));
        // 200 bytes are kept, 150 may be.
        assert_eq!(shelf.expired(keep, at(1)).unwrap().first, 1);
        shelf.take(1);
        assert_eq!(shelf.expired(keep, at(59)), None);
        assert_eq!(shelf.expired(keep, at(60)).unwrap().first, 11);
        shelf.take(11);
        assert_eq!(shelf.expired(keep, at(1_000)), None);
    }

    #[test]
    fn clock_that_steps_back_removes_nothing() {
        let keep = Retention { bytes: 1_000, age: Duration::from_secs(60) };
        let mut shelf = shelf();
        shelf.mark(20, at(100_000));
        assert_eq!(shelf.expired(keep, at(1_000)), None);
        assert_eq!(shelf.expired(keep, at(100_059)), None);
        assert_eq!(shelf.expired(keep, at(100_060)).unwrap().first, 1);
    }

    #[test]
    fn restored_database_takes_the_mark_back() {
        let mut shelf = shelf();
        shelf.mark(30, at(0));
        shelf.mark(15, at(9));
        assert_eq!(shelf.bytes(), (300, 100));
        shelf.mark(20, at(10));
        assert_eq!(shelf.find(11).unwrap().shipped, Some(at(10)));
        assert_eq!(shelf.find(1).unwrap().shipped, Some(at(0)));
    }
}
