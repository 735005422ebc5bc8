//! Reads user agents: which device, system and browser, and whether it is software.
//!
//! A table of words decides, with a few rules for what stands between them; why not a library, and what was measured, is
//! in `docs/decisions/0001-user-agents.md`. Client hints correct what was read.

mod automation;
mod hints;
mod memo;
mod settle;
mod signs;
mod table;
#[cfg(test)]
mod tests;
mod version;
mod words;

pub use hints::ClientHints;
pub use memo::UserAgents;

use crate::domain::client::UserAgent;

/// Bounds how much of a user agent is read; the longest that browsers send have about 500 bytes.
pub const MAX_BYTES: usize = 1_024;

/// Reads a user agent.
pub fn parse(ua: &str) -> UserAgent {
    settle::settle(signs::gather(cut(ua)))
}

/// Cuts a user agent to what is read of it.
fn cut(ua: &str) -> &str {
    &ua[..ua.floor_char_boundary(MAX_BYTES)]
}
