//! The written form of ranges.

use serde::{Deserialize, Serialize};

/// The written form of a range; an end that is not set is not written.
#[derive(Serialize, Deserialize)]
pub(super) struct Ends<T> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) below: Option<T>,
}
