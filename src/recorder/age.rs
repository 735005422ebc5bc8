//! How long clicks have waited in the local log.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use crate::spool::Sequence;

/// Notes that are kept; beyond it every other one is dropped, and they are made half as often.
const NOTES: usize = 4_096;

/// When clicks were written: each note says up to which number they were there by then.
#[derive(Debug, Default)]
pub(super) struct Notes {
    notes: VecDeque<(Sequence, Timestamp)>,
    /// How far apart they are at least.
    apart: SignedDuration,
}

impl Notes {
    /// Notes that everything up to a number was there at a time.
    pub(super) fn add(&mut self, written: Sequence, at: Timestamp) {
        let is_near = |(last, then): &(Sequence, Timestamp)| {
            *last >= written || at.duration_since(*then).abs() < self.apart
        };
        if self.notes.back().is_some_and(is_near) {
            return;
        }
        self.notes.push_back((written, at));
        if self.notes.len() > NOTES {
            let mut is_kept = false;
            self.notes.retain(|_| {
                is_kept = !is_kept;
                is_kept
            });
            self.apart = (self.apart * 2).max(SignedDuration::from_secs(2));
        }
    }

    /// Returns how long the first click behind a number has waited; nothing if none does.
    pub(super) fn waited(&mut self, shipped: Sequence, now: Timestamp) -> SignedDuration {
        while self.notes.front().is_some_and(|(written, _)| *written <= shipped) {
            self.notes.pop_front();
        }
        if self.notes.is_empty() {
            self.apart = SignedDuration::ZERO;
        }
        let since = self.notes.front().map(|(_, at)| now.duration_since(*at));
        // The clock may have been set back.
        since.unwrap_or_default().max(SignedDuration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn oldest_click_that_is_not_shipped_counts() {
        let mut notes = Notes::default();
        assert_eq!(notes.waited(0, second(100)).as_secs(), 0);
        for (written, at) in [(5, 100), (5, 101), (9, 102), (20, 110)] {
            notes.add(written, second(at));
        }
        for (shipped, now, waited) in
            [(0, 111, 11), (4, 112, 12), (5, 112, 10), (8, 90, 0), (19, 115, 5), (20, 120, 0)]
        {
            assert_eq!(notes.waited(shipped, second(now)).as_secs(), waited, "{shipped}");
        }
    }

    #[test]
    fn notes_of_days_stay_few_and_keep_the_oldest() {
        let mut notes = Notes::default();
        for at in 1..=200_000 {
            notes.add(at, second(i64::try_from(at).unwrap()));
        }
        assert!(notes.notes.len() <= NOTES);
        assert_eq!(notes.waited(0, second(200_000)).as_secs(), 199_999);
        let waited = notes.waited(100_000, second(200_000)).as_secs();
        assert!((99_000..=100_000).contains(&waited), "{waited}");
    }
}
