//! When a condition is within a bound: groups of literals, each of which says on which cells a choice falls.
//!
//! Three values become two here: that a condition is true, and that it is not, are two formulas. Neither needs a `not`.

use std::sync::Arc;

/// Members up to which a group is taken into the one around it; what is larger stays by itself and is shared.
const FLAT: usize = 8;

/// A bound of a condition's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Bound {
    /// It is true.
    True,
    /// It is true or unknown.
    NotFalse,
    /// It is false or unknown.
    NotTrue,
    /// It is false.
    False,
}

impl Bound {
    pub(super) const ALL: [Self; 4] = [Self::True, Self::NotFalse, Self::NotTrue, Self::False];

    /// Returns the bound that `not` makes of it.
    pub(super) fn negated(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::NotFalse => Self::NotTrue,
            Self::NotTrue => Self::NotFalse,
            Self::False => Self::True,
        }
    }
}

/// Says that a choice falls on one of some cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Literal {
    pub(super) choice: u32,
    /// Where the set of the cells begins.
    pub(super) set: u32,
}

/// When something holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Formula {
    /// Every member holds; nothing to hold holds.
    All(Arc<[Formula]>),
    /// Some member holds.
    Any(Arc<[Formula]>),
    /// A choice falls on one of some cells.
    In(Literal),
}

impl Formula {
    pub(super) fn all(members: Vec<Self>) -> Self {
        let mut flat = Vec::with_capacity(members.len());
        for member in members {
            match member {
                Self::All(inner) if inner.len() <= FLAT => flat.extend(inner.iter().cloned()),
                Self::All(_) | Self::Any(_) | Self::In(_) => flat.push(member),
            }
        }
        single(flat, Self::All)
    }

    pub(super) fn any(members: Vec<Self>) -> Self {
        let mut flat = Vec::with_capacity(members.len());
        for member in members {
            match member {
                Self::Any(inner) if inner.len() <= FLAT => flat.extend(inner.iter().cloned()),
                Self::Any(_) | Self::All(_) | Self::In(_) => flat.push(member),
            }
        }
        single(flat, Self::Any)
    }
}

impl Default for Formula {
    /// Returns one that holds.
    fn default() -> Self {
        Self::All(Arc::default())
    }
}

/// A group of one is that one.
fn single(mut members: Vec<Formula>, group: fn(Arc<[Formula]>) -> Formula) -> Formula {
    match (members.len(), members.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            members.extend(last);
            group(members.into())
        }
    }
}
