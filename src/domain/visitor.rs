//! Visitors: how a shop tells them from each other, and what is known of one from earlier visits.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::named::named_enum;

named_enum! {
    /// How a shop's visitors are told from each other.
    #[derive(Default)]
    pub enum VisitorMode: "visitor mode" {
        /// Not at all.
        None = "none",
        /// Within a UTC day, by a keyed hash of address and user agent.
        #[default]
        Daily = "daily",
        /// From visit to visit, by a cookie.
        Cookie = "cookie",
    }
}

impl VisitorMode {
    /// Returns the mode that holds for a visitor who may have asked not to be tracked.
    pub fn respecting(self, opted_out: bool) -> Self {
        if opted_out { Self::None } else { self }
    }

    /// Returns whether this is the default.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A visitor whom the caller knows again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownVisitor<'a> {
    /// Tells the visitor from others of the shop; empty = not known.
    pub id: &'a str,
    /// How often the visitor has come, this visit included.
    pub total_visits: Option<u64>,
    /// Whether this comes from our cookie, or is offered for the first one; else it is the caller's own knowledge.
    pub from_cookie: bool,
}

impl KnownVisitor<'_> {
    /// Returns whether rules may look at it under the mode that holds for the visit: what the caller knows by itself is
    /// no business of ours, what a cookie tells is.
    pub fn counts_under(&self, mode: VisitorMode) -> bool {
        match mode {
            VisitorMode::Cookie => true,
            VisitorMode::None | VisitorMode::Daily => !self.from_cookie,
        }
    }
}

/// The key of a day's visitors, encrypted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SealedKey {
    /// The UTC day.
    pub day: Date,
    /// The encrypted key; only the room that sealed it reads it.
    pub sealed: Vec<u8>,
}
