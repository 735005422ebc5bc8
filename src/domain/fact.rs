//! What is known of one attribute of a visit.

use serde::{Deserialize, Serialize};

/// Holds an attribute of a visit, or says which kind of nothing there is.
///
/// The difference matters to rules: a predicate on an absent fact is false and its `not` is true, while a predicate on
/// an unknown fact is unknown and so is its `not`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact<T> {
    /// We looked and found this.
    Known(T),
    /// We looked and there is none.
    Absent,
    /// We could not look.
    #[default]
    Unknown,
}

impl<T> Fact<T> {
    /// Borrows what is inside.
    pub const fn as_ref(&self) -> Fact<&T> {
        match self {
            Self::Known(value) => Fact::Known(value),
            Self::Absent => Fact::Absent,
            Self::Unknown => Fact::Unknown,
        }
    }

    /// Applies a function to what is known, and leaves the kinds of nothing as they are.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Fact<U> {
        match self {
            Self::Known(value) => Fact::Known(f(value)),
            Self::Absent => Fact::Absent,
            Self::Unknown => Fact::Unknown,
        }
    }

    /// Returns the value, if there is one.
    pub fn known(self) -> Option<T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Absent | Self::Unknown => None,
        }
    }

    /// Tells whether we could not look.
    pub const fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }

    /// Takes `None` as "there is none".
    pub fn or_absent(value: Option<T>) -> Self {
        value.map_or(Self::Absent, Self::Known)
    }

    /// Takes `None` as "could not look".
    pub fn or_unknown(value: Option<T>) -> Self {
        value.map_or(Self::Unknown, Self::Known)
    }
}

impl<T: Copy> Fact<&T> {
    /// Copies what is borrowed.
    pub fn copied(self) -> Fact<T> {
        self.map(|value| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::Fact;

    #[test]
    fn map_keeps_the_kind_of_nothing() {
        assert_eq!(Fact::Known(2).map(|n| n + 1), Fact::Known(3));
        assert_eq!(Fact::<u8>::Absent.map(|n| n + 1), Fact::Absent);
        assert_eq!(Fact::<u8>::Unknown.map(|n| n + 1), Fact::Unknown);
    }

    #[test]
    fn default_is_unknown() {
        assert!(Fact::<u8>::default().is_unknown());
        assert_eq!(Fact::or_absent(None::<u8>), Fact::Absent);
        assert_eq!(Fact::or_unknown(None::<u8>), Fact::Unknown);
    }
}
