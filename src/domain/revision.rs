//! Revisions: the count of committed admin transactions, and what their authors say of them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{fault::Problem, limits, name::check_text};

/// A revision: grows by one with every committed admin transaction. 0 is before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub i64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why something was written, in its author's words: at most 500 characters, lines allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comment(Box<str>);

impl Comment {
    /// Takes the text if it is not too long.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        check_text(text, "the comment", limits::COMMENT_CHARS, true)?;
        Ok(Self(text.into()))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
