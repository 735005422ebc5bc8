//! When a condition is within a bound: groups of literals, each of which says on which cells a choice falls.
//!
//! Three values become two here: that a condition is true, and that it is not, are two formulas. Neither needs a `not`.

/// A bound of a condition's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    All(Box<[Formula]>),
    /// Some member holds.
    Any(Box<[Formula]>),
    /// A choice falls on one of some cells.
    In(Literal),
}

impl Formula {
    pub(super) fn all(members: Vec<Self>) -> Self {
        let mut flat = Vec::with_capacity(members.len());
        for member in members {
            match member {
                Self::All(inner) => flat.extend(inner),
                Self::Any(_) | Self::In(_) => flat.push(member),
            }
        }
        single(flat, Self::All)
    }

    pub(super) fn any(members: Vec<Self>) -> Self {
        let mut flat = Vec::with_capacity(members.len());
        for member in members {
            match member {
                Self::Any(inner) => flat.extend(inner),
                Self::All(_) | Self::In(_) => flat.push(member),
            }
        }
        single(flat, Self::Any)
    }

    /// Calls `found` with every choice that is named.
    pub(super) fn for_each_choice(&self, found: &mut impl FnMut(u32)) {
        match self {
            Self::All(members) | Self::Any(members) => {
                members.iter().for_each(|member| member.for_each_choice(found));
            }
            Self::In(literal) => found(literal.choice),
        }
    }
}

/// A group of one is that one.
fn single(mut members: Vec<Formula>, group: fn(Box<[Formula]>) -> Formula) -> Formula {
    match (members.len(), members.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            members.extend(last);
            group(members.into())
        }
    }
}
