//! One counter.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Sequence;

/// A counter that many clicks move at the same time.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<Count>);

/// What a counter is made of.
#[derive(Debug, Default)]
pub(super) struct Count {
    /// What PostgreSQL has counted; `None` = it was not read yet.
    total: Option<u64>,
    /// The last click of this server that is in it.
    rolled: Sequence,
    /// The clicks of this server after it, in order. Eight bytes for each, and no more of them than the local log holds.
    own: Vec<Sequence>,
    /// Clicks that have a number and are not in the local log yet.
    under_way: u64,
    /// Numbers between those that were taken whose clicks were not recorded: the next clicks get them.
    given_back: Vec<u64>,
}

impl Tally {
    /// Makes the counter of whoever has no clicks in PostgreSQL.
    pub(super) fn without_clicks(rolled: Sequence) -> Self {
        Self(Mutex::new(Count { total: Some(0), rolled, ..Count::default() }))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Count> {
        // Nothing in here panics half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Count {
    pub(super) fn is_read(&self) -> bool {
        self.total.is_some()
    }

    /// Returns how many clicks there are, those under way included.
    fn sum(&self) -> Option<u64> {
        self.total.map(|total| total + self.own.len() as u64 + self.under_way)
    }

    /// Returns the number that the next click gets.
    pub(super) fn next(&self) -> Option<u64> {
        let sum = self.sum()?;
        Some(self.given_back.iter().min().copied().unwrap_or(sum + 1))
    }

    /// Takes a number.
    pub(super) fn take(&mut self) -> Option<u64> {
        let number = self.next();
        self.given_back.retain(|given| Some(*given) != number);
        self.under_way += 1;
        number
    }

    /// Notes that the click of a number that was taken is in the local log.
    pub(super) fn written(&mut self, sequence: Sequence) {
        self.under_way -= 1;
        // PostgreSQL, or whoever read the local log, may have been faster.
        if sequence > self.rolled
            && let Err(at) = self.own.binary_search(&sequence)
        {
            self.own.insert(at, sequence);
        }
    }

    /// Takes a number back whose click is not recorded.
    pub(super) fn give_back(&mut self, number: Option<u64>) {
        self.under_way -= 1;
        // The last number is free again by itself.
        let last = self.sum().map(|sum| sum + self.given_back.len() as u64 + 1);
        self.given_back.extend(number.filter(|number| last.is_some_and(|last| *number < last)));
    }

    /// Takes over what PostgreSQL has counted, up to this click of ours, and clicks of the local log.
    pub(super) fn read(&mut self, total: u64, rolled: Sequence, more: Vec<Sequence>) {
        let before = self.sum();
        if !more.is_empty() {
            self.own.extend(more);
            self.own.sort_unstable();
            self.own.dedup();
        }
        let first = self.own.partition_point(|own| *own <= rolled);
        self.own.drain(..first);
        (self.total, self.rolled) = (Some(total), rolled);
        if self.sum() != before {
            // Others have clicked: those numbers are theirs.
            self.given_back.clear();
        }
    }
}
