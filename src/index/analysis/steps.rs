//! How much may be thought: counted in steps, not in time, so that the same question has the same answer everywhere.

/// What is left of the steps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steps {
    left: u64,
}

/// The steps are used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spent;

impl Steps {
    pub(super) fn new(left: u64) -> Self {
        Self { left }
    }

    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// Takes steps; fails when there are not that many.
    pub(super) fn take(&mut self, steps: usize) -> Result<(), Spent> {
        let left = self.left.checked_sub(steps as u64);
        self.left = left.unwrap_or_default();
        left.map(|_| ()).ok_or(Spent)
    }

    /// Lends a part to a question that may fail alone.
    pub(super) fn lend<T>(&mut self, most: u64, ask: impl FnOnce(&mut Self) -> T) -> T {
        let lent = most.min(self.left);
        let mut part = Self { left: lent };
        let answer = ask(&mut part);
        self.left -= lent - part.left;
        answer
    }
}
