//! Between the messages of the contract and the values of the domain.
//!
//! Reading collects every fault with the path of the field as the caller wrote it, and returns `None` where there is no
//! value because of one. Writing cannot fail.

pub mod changes;
pub mod choice;
pub mod condition;
pub mod explanation;
pub mod finding;
pub mod golden;
pub mod link;
pub mod mask;
pub mod net;
pub mod partner;
pub mod policy;
pub mod predicate;
pub mod shop;
pub mod time;
pub mod visit;

#[cfg(test)]
mod round_trip;

use std::fmt;

use crate::domain::{
    fault::{Faults, Problem, Reason},
    host::shown,
};

/// Where the reader stands in a request. Only a fault makes a text of it.
#[derive(Clone, Copy, Debug)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

/// One step down from the parent.
#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Field(&'a str),
    Index(usize),
    Key(&'a str),
}

impl<'a> Path<'a> {
    /// Stands at a field of the request.
    pub const fn root(field: &'a str) -> Self {
        Self { parent: None, step: Step::Field(field) }
    }

    /// Steps to a field.
    pub const fn field(&'a self, name: &'a str) -> Path<'a> {
        Path { parent: Some(self), step: Step::Field(name) }
    }

    /// Steps to an entry of a list.
    pub const fn index(&'a self, at: usize) -> Path<'a> {
        Path { parent: Some(self), step: Step::Index(at) }
    }

    /// Steps to an entry of a map.
    pub const fn key(&'a self, key: &'a str) -> Path<'a> {
        Path { parent: Some(self), step: Step::Key(key) }
    }

    /// Puts faults, whose paths are relative to this place, where they belong.
    pub fn adopt(&self, relative: Faults, faults: &mut Faults) {
        for fault in relative.iter() {
            let path =
                if fault.path.is_empty() { self.to_string() } else { format!("{self}.{}", fault.path) };
            faults.add(path, fault.problem.clone());
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match (self.step, self.parent) {
            (Step::Field(name), None) => f.write_str(name),
            (Step::Field(name), Some(_)) => write!(f, ".{name}"),
            (Step::Index(at), _) => write!(f, "[{at}]"),
            (Step::Key(key), _) => write!(f, "[\"{}\"]", shown(key)),
        }
    }
}

/// Takes the value, or remembers what is wrong with it.
pub fn take<T, P: Into<Problem>>(result: Result<T, P>, path: &Path<'_>, faults: &mut Faults) -> Option<T> {
    result.map_err(|problem| faults.add(path.to_string(), problem.into())).ok()
}

/// Reads every entry of a list; `None` if one of them is at fault.
pub fn list<W, T>(
    entries: &[W],
    path: &Path<'_>,
    faults: &mut Faults,
    mut read: impl FnMut(&W, &Path<'_>, &mut Faults) -> Option<T>,
) -> Option<Vec<T>> {
    let mut values = Vec::with_capacity(entries.len());
    for (at, entry) in entries.iter().enumerate() {
        values.extend(read(entry, &path.index(at), faults));
    }
    (values.len() == entries.len()).then_some(values)
}

/// Reads every entry of a list of texts.
pub fn texts<T, P: Into<Problem>>(
    entries: &[String],
    path: &Path<'_>,
    faults: &mut Faults,
    parse: impl Fn(&str) -> Result<T, P>,
) -> Option<Vec<T>> {
    list(entries, path, faults, |text, at, faults| take(parse(text), at, faults))
}

/// Refuses a message that is not there.
pub fn required<'w, W>(
    message: Option<&'w W>,
    what: &str,
    path: &Path<'_>,
    faults: &mut Faults,
) -> Option<&'w W> {
    take(message.ok_or_else(|| Problem::required(what)), path, faults)
}

/// Reads a number of an enum: `None` for one that we do not know.
pub fn enumerated<E: TryFrom<i32>>(
    number: i32,
    what: &str,
    path: &Path<'_>,
    faults: &mut Faults,
) -> Option<E> {
    let unknown =
        |_| Problem::new(Reason::UnknownValue, format!("there is no {what} with the number {number}"));
    take(E::try_from(number).map_err(unknown), path, faults)
}

/// Says that an enum was left at its zero, where a choice is required.
pub fn unspecified(what: &str) -> Problem {
    Problem::new(Reason::Required, format!("{what} is missing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_reads_as_the_caller_wrote_it() {
        let root = Path::root("link");
        let rules = root.field("rules");
        let rule = rules.index(2);
        let when = rule.field("when");
        assert_eq!(
            when.field("all").index(0).field("country").to_string(),
            "link.rules[2].when.all[0].country"
        );
    }

    #[test]
    fn every_entry_at_fault_is_told() {
        let mut faults = Faults::new();
        let read = |text: &str| text.parse::<u8>().map_err(|_| Problem::required("a number"));
        let entries = ["1", "x", "2", "y"].map(str::to_owned);
        assert_eq!(texts(&entries, &Path::root("codes"), &mut faults, read), None);
        let paths: Vec<_> = faults.iter().map(|fault| fault.path.as_str()).collect();
        assert_eq!(paths, ["codes[1]", "codes[3]"]);
    }
}
