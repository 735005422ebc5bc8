//! What is wrong with something that a caller sent.

use std::fmt;

/// Names why a value was refused; stands in the contract as `ErrorReason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A field that must be set is not.
    Required,
    /// A value breaks the grammar of its field.
    Malformed,
    /// A text or list is over its limit.
    TooLong,
    /// A number or time is outside its range.
    OutOfRange,
    /// A code or name is not one that we know.
    UnknownValue,
    /// The same name stands twice.
    Duplicate,
    /// Two fields contradict each other.
    Conflict,
    /// A destination would leave the shop.
    UnsafeDestination,
    /// A destination leads to a link host.
    RedirectLoop,
    /// A field that never changes was to be changed.
    Immutable,
    /// An update mask names a field that cannot be written.
    UnknownField,
    /// A page token is garbled or belongs to another list.
    InvalidPageToken,
    /// A program or partner that is named does not exist.
    UnknownReference,
    /// A request id came back with another request.
    RequestIdReused,
    /// A stream token is garbled or foreign.
    InvalidStreamToken,
    /// No visit can make a rule's condition true.
    RuleContradictory,
    /// Earlier rules take every visit that a rule is true for.
    RuleShadowed,
    /// A golden click would go elsewhere than it has to.
    GoldenClickFailed,
}

/// What is wrong with one value, without saying where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Why it was refused.
    pub reason: Reason,
    /// What is wrong and what to write instead: lowercase, no full stop.
    pub text: String,
}

impl Problem {
    /// Makes a problem.
    pub fn new(reason: Reason, text: impl Into<String>) -> Self {
        Self { reason, text: text.into() }
    }

    /// Says that a field must be set.
    pub fn required(what: &str) -> Self {
        Self::new(Reason::Required, format!("{what} is missing"))
    }

    /// Says where the value stands.
    pub fn at(self, path: impl Into<String>) -> Fault {
        Fault { path: path.into(), problem: self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Problem {}

/// A problem and the path of the field at fault, as the caller wrote it: `link.rules[2].when.all[0].country`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The path of the field.
    pub path: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// How many faults are told at once; who has more learns that there are more.
const MOST: usize = 100;

/// Everything that is wrong with a request: all faults at once, in the order of the request, the first hundred.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    first: Vec<Fault>,
    /// How many there are besides.
    more: usize,
}

impl Faults {
    /// Starts with nothing wrong.
    pub fn new() -> Self {
        Self::default()
    }

    /// Remembers what is wrong with the field at `path`.
    pub fn add(&mut self, path: impl Into<String>, problem: Problem) {
        if self.first.len() < MOST {
            self.first.push(problem.at(path));
        } else {
            self.more += 1;
        }
    }

    /// Takes the value, or remembers what is wrong with it.
    pub fn check<T>(&mut self, path: impl Into<String>, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.add(path, problem)).ok()
    }

    /// Takes over other faults.
    pub fn extend(&mut self, others: Faults) {
        self.first.extend(others.first);
        self.more += others.more + self.first.len().saturating_sub(MOST);
        self.first.truncate(MOST);
    }

    /// Returns whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// Returns how many there are, those that are not kept included.
    pub fn count(&self) -> usize {
        self.first.len() + self.more
    }

    /// Returns the value if nothing is wrong, else the faults.
    ///
    /// A value that is missing without a fault would be an error of ours; it is reported as one fault without a path.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Faults> {
        match value {
            Some(value) if self.first.is_empty() => Ok(value),
            _ if self.first.is_empty() => Err(Problem::required("a field").at("").into()),
            _ => Err(self),
        }
    }

    /// Returns the first hundred in order.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.first.iter()
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self { first: vec![fault], more: 0 }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.first.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{}: {}", fault.path, fault.problem)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
