//! Remembers what was read, because the same few thousand user agents send nearly all clicks.

use std::sync::Arc;

use quick_cache::sync::Cache;

use super::{cut, parse};
use crate::domain::client::UserAgent;

/// Remembers the user agents that were seen lately.
///
/// Bounded twice: by entries, and by [`MAX_BYTES`](super::MAX_BYTES) per key. Reading one that is known takes no lock that
/// another reader holds for long and allocates nothing.
#[derive(Debug)]
pub struct UserAgents {
    read: Cache<Box<str>, Arc<UserAgent>>,
}

impl UserAgents {
    /// Bounds the entries where nothing else is asked for: some 5 MiB of common user agents, 20 MiB at worst.
    pub const DEFAULT_ENTRIES: usize = 16_384;

    /// Makes a memo of at most so many entries.
    pub fn new(entries: usize) -> Self {
        Self { read: Cache::new(entries.max(1)) }
    }

    /// Returns what a user agent says, reading it if it was not seen lately.
    pub fn get(&self, ua: &str) -> Arc<UserAgent> {
        let key = cut(ua);
        if let Some(known) = self.read.get(key) {
            return known;
        }
        let read = Arc::new(parse(key));
        self.read.insert(key.into(), Arc::clone(&read));
        read
    }

    /// Returns how many user agents are remembered.
    pub fn len(&self) -> usize {
        self.read.len()
    }

    /// Tells whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.read.is_empty()
    }
}

impl Default for UserAgents {
    fn default() -> Self {
        Self::new(Self::DEFAULT_ENTRIES)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{UserAgents, parse};
    use crate::classify::user_agent::MAX_BYTES;

    #[test]
    fn same_user_agent_is_read_once() {
        let memo = UserAgents::default();
        let first = memo.get("curl/8.7.1");
        assert_eq!(*first, parse("curl/8.7.1"));
        assert!(Arc::ptr_eq(&first, &memo.get("curl/8.7.1")));
        assert_eq!(memo.len(), 1);
    }

    #[test]
    fn memo_is_bounded_in_entries_and_in_key_length() {
        let memo = UserAgents::new(100);
        for number in 0..10_000 {
            memo.get(&format!("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/{number}"));
        }
        assert!(memo.len() <= 100, "{}", memo.len());

        let long = "x".repeat(MAX_BYTES * 10);
        assert!(Arc::ptr_eq(&memo.get(&long), &memo.get(&long[..MAX_BYTES])));
    }
}
