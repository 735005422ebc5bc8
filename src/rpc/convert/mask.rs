//! Update masks: which fields of an object a write is about.

use prost_types::FieldMask;

use super::Path;
use crate::domain::{
    fault::{Faults, Problem, Reason},
    host::shown,
};

/// The fields of an object as masks may name them.
pub struct Table<W: 'static> {
    /// What the object is called in messages.
    pub object: &'static str,
    /// Fields that can be written.
    pub writable: &'static [Writable<W>],
    /// Fields that say which object it is. A mask may name them; they never change.
    pub keys: &'static [&'static str],
    /// Fields that the server alone writes.
    pub output_only: &'static [&'static str],
}

/// The name of a field that can be written, and whether a message says something about it.
pub type Writable<W> = (&'static str, fn(&W) -> bool);

/// The fields that a write is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields(Vec<&'static str>);

impl Fields {
    /// Returns whether the field is written.
    pub fn has(&self, field: &str) -> bool {
        self.0.contains(&field)
    }

    /// Takes every field that can be written: a new object, or the mask `*`.
    pub fn all<W>(table: &Table<W>) -> Self {
        Self(table.writable.iter().map(|(name, _)| *name).collect())
    }

    /// Takes the fields that the mask names; without a mask those that the message says something about.
    pub fn read<W>(
        mask: Option<&FieldMask>,
        message: &W,
        table: &Table<W>,
        path: &Path<'_>,
        faults: &mut Faults,
    ) -> Self {
        let named = mask.map_or(&[][..], |mask| mask.paths.as_slice());
        if named.is_empty() {
            let said = table.writable.iter().filter(|(_, is_said)| is_said(message));
            return Self(said.map(|(name, _)| *name).collect());
        }
        if named == ["*"] {
            return Self::all(table);
        }
        let (paths, mut fields) = (path.field("paths"), Vec::new());
        for (at, name) in named.iter().enumerate() {
            match table.writable.iter().find(|(writable, _)| writable == name) {
                Some((writable, _)) => fields.push(*writable),
                None if table.keys.contains(&name.as_str()) => {}
                None => faults.add(paths.index(at).to_string(), table.problem_with(name)),
            }
        }
        Self(fields)
    }
}

impl<W> Table<W> {
    /// Says why a mask cannot name this field.
    fn problem_with(&self, name: &str) -> Problem {
        let (object, given) = (self.object, shown(name));
        let top = name.split(['.', '[']).next().unwrap_or_default();
        let text = if name == "*" {
            "`*` stands alone in a mask: it names every field".to_owned()
        } else if self.output_only.contains(&name) {
            format!("the field `{given}` of a {object} is output only")
        } else if self.writable.iter().any(|(writable, _)| *writable == top) {
            format!("`{given}` cannot be written by itself, name `{top}`: it is written whole")
        } else {
            let names: Vec<_> = self.writable.iter().map(|(writable, _)| format!("`{writable}`")).collect();
            format!("a {object} has no field `{given}`; there are {}", names.join(", "))
        };
        Problem::new(Reason::UnknownField, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Thing {
        name: &'static str,
    }

    const THING: Table<Thing> = Table {
        object: "thing",
        writable: &[("name", |thing| !thing.name.is_empty()), ("rules", |_| false)],
        keys: &["id"],
        output_only: &["etag"],
    };

    fn read(paths: &[&str], name: &'static str) -> (Fields, Vec<String>) {
        let mask = FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() };
        let mut faults = Faults::new();
        let fields =
            Fields::read(Some(&mask), &Thing { name }, &THING, &Path::root("update_mask"), &mut faults);
        (fields, faults.iter().map(|fault| format!("{}: {}", fault.path, fault.problem)).collect())
    }

    #[test]
    fn empty_mask_means_what_is_said_and_star_means_all() {
        assert_eq!(read(&[], "x").0, Fields(vec!["name"]));
        assert_eq!(read(&[], "").0, Fields(vec![]));
        assert_eq!(read(&["*"], "").0, Fields(vec!["name", "rules"]));
        assert_eq!(read(&["rules", "id"], "x"), (Fields(vec!["rules"]), vec![]));
    }

    #[test]
    fn what_cannot_be_written_is_refused_by_name() {
        for (path, text) in [
            ("*", "stands alone"),
            ("etag", "output only"),
            ("rules[0].id", "name `rules`"),
            ("rules.when", "name `rules`"),
            ("Name", "there are `name`, `rules`"),
            ("", "has no field"),
        ] {
            let (_, faults) = read(&["name", path], "x");
            assert_eq!(faults.len(), 1, "{path}");
            assert!(
                faults[0].starts_with("update_mask.paths[1]: ") && faults[0].contains(text),
                "{}",
                faults[0]
            );
        }
    }
}
