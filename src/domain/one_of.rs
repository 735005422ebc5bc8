//! Lists that hold at least one value.

use serde::{Deserialize, Serialize};

use super::{
    fault::{Problem, Reason},
    limits,
};

/// The values of one predicate: 1 to 500, each once, in their own order so that equal predicates are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<T>", into = "Vec<T>", bound(serialize = "T: Clone + Serialize"))]
#[serde(bound(deserialize = "T: Ord + Deserialize<'de>"))]
pub struct OneOf<T>(Box<[T]>);

impl<T: Ord> OneOf<T> {
    /// Sorts the values and drops repetitions.
    pub fn new(mut values: Vec<T>) -> Result<Self, Problem> {
        if values.is_empty() {
            return Err(Problem::required("the list of values"));
        }
        if values.len() > limits::PREDICATE_VALUES {
            let most = limits::PREDICATE_VALUES;
            let text = format!("the list has {} values, at most {most} are allowed", values.len());
            return Err(Problem::new(Reason::TooLong, text));
        }
        values.sort_unstable();
        values.dedup();
        Ok(Self(values.into()))
    }

    /// Returns whether the value is listed.
    pub fn contains<Q>(&self, value: &Q) -> bool
    where
        T: std::borrow::Borrow<Q>,
        Q: Ord + ?Sized,
    {
        self.0.binary_search_by(|listed| listed.borrow().cmp(value)).is_ok()
    }
}

impl<T> OneOf<T> {
    /// Returns the values in their order.
    pub fn as_slice(&self) -> &[T] {
        &self.0
    }

    /// Returns the values in their order.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }
}

impl<T: Ord> TryFrom<Vec<T>> for OneOf<T> {
    type Error = Problem;

    fn try_from(values: Vec<T>) -> Result<Self, Problem> {
        Self::new(values)
    }
}

impl<T> From<OneOf<T>> for Vec<T> {
    fn from(values: OneOf<T>) -> Vec<T> {
        values.0.into()
    }
}
