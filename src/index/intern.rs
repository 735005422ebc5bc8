//! Shares equal values between links, and forgets those that nobody uses any more.

use std::{collections::HashSet, hash::Hash, sync::Arc};

use foldhash::fast::FixedState;

use crate::domain::{
    condition::Condition, language::LanguageRange, link::Sharing, name::RuleId, policy::QueryPolicy, utm::Utm,
};

/// New values after which a sweep is worth its time, whatever the size of the pool.
const SWEEP_AFTER: usize = 1_024;

/// What links share. Destinations are not in it: most differ, and a pool's own memory would outweigh what it saves.
#[derive(Debug, Default)]
pub(super) struct Interner {
    pub(super) conditions: Pool<Condition>,
    pub(super) rules: Pool<RuleId>,
    pub(super) sharings: Pool<Sharing>,
    pub(super) utms: Pool<Utm>,
    pub(super) policies: Pool<QueryPolicy>,
    pub(super) languages: Pool<Box<[LanguageRange]>>,
}

impl Interner {
    /// Forgets values that nobody uses, where enough new ones have come to make that worth its time.
    pub(super) fn sweep(&mut self) {
        self.conditions.sweep();
        self.rules.sweep();
        self.sharings.sweep();
        self.utms.sweep();
        self.policies.sweep();
        self.languages.sweep();
    }

    /// Returns how many values are held.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.conditions.values.len()
            + self.rules.values.len()
            + self.sharings.values.len()
            + self.utms.values.len()
            + self.policies.values.len()
            + self.languages.values.len()
    }
}

/// Equal values, each once.
#[derive(Debug)]
pub(super) struct Pool<T> {
    values: HashSet<Arc<T>, FixedState>,
    /// The size at which the next sweep is due: twice what the last one left, so that sweeps cost a constant per value.
    sweep_at: usize,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self { values: HashSet::default(), sweep_at: SWEEP_AFTER }
    }
}

impl<T: Hash + Eq> Pool<T> {
    /// Returns the one copy of a value.
    pub(super) fn share(&mut self, value: T) -> Arc<T> {
        if let Some(held) = self.values.get(&value) {
            return held.clone();
        }
        let value = Arc::new(value);
        self.values.insert(value.clone());
        value
    }

    fn sweep(&mut self) {
        if self.values.len() < self.sweep_at {
            return;
        }
        self.values.retain(|value| Arc::strong_count(value) > 1);
        self.sweep_at = self.values.len() * 2 + SWEEP_AFTER;
        self.values.shrink_to(self.sweep_at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_one() {
        let mut pool = Pool::default();
        let first = pool.share("a".to_owned());
        assert!(Arc::ptr_eq(&first, &pool.share("a".to_owned())));
        assert!(!Arc::ptr_eq(&first, &pool.share("b".to_owned())));
    }

    #[test]
    fn unused_values_are_bounded() {
        let mut pool = Pool::default();
        let used: Vec<_> = (0..100).map(|n| pool.share(n)).collect();
        for n in 100..100_000 {
            pool.share(n);
            pool.sweep();
        }
        assert!(pool.values.len() <= 2 * (used.len() + SWEEP_AFTER));
        assert!(used.iter().all(|value| Arc::ptr_eq(value, &pool.share(**value))));
    }
}
