//! What differs between two revisions of an object.

use crate::{
    domain::limits,
    proto::{
        self, FieldChangeKind,
        diff::{Difference, What},
    },
};

/// Stands at the end of a value that was cut.
const CUT: char = '…';

/// Writes the first of what differs, and how much there is in all.
pub fn write(differences: Vec<Difference>) -> (Vec<proto::FieldChange>, i32) {
    let count = count(&differences);
    (differences.into_iter().take(limits::FIELD_CHANGES).map(write_one).collect(), count)
}

/// Writes the first paths of what differs, and how much there is in all.
pub fn write_paths(differences: Vec<Difference>) -> (Vec<String>, i32) {
    let count = count(&differences);
    let paths = differences.into_iter().take(limits::REVISION_FIELDS).map(|difference| difference.path);
    (paths.collect(), count)
}

fn count(differences: &[Difference]) -> i32 {
    i32::try_from(differences.len()).unwrap_or(i32::MAX)
}

fn write_one(Difference { path, what }: Difference) -> proto::FieldChange {
    let (kind, old_value, new_value) = match what {
        What::Added(new) => (FieldChangeKind::Added, String::new(), cut(new)),
        What::Removed(old) => (FieldChangeKind::Removed, cut(old), String::new()),
        What::Changed(old, new) => (FieldChangeKind::Changed, cut(old), cut(new)),
        What::Moved(from, to) => (FieldChangeKind::Moved, from.to_string(), to.to_string()),
    };
    proto::FieldChange { path, kind: kind.into(), old_value, new_value }
}

fn cut(mut value: String) -> String {
    if value.len() > limits::CHANGED_VALUE_BYTES {
        value.truncate(value.floor_char_boundary(limits::CHANGED_VALUE_BYTES));
        value.push(CUT);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_value_is_cut_between_characters() {
        let value = format!("a{}", "é".repeat(limits::CHANGED_VALUE_BYTES));
        let short = cut(value.clone());
        assert!(short.len() <= limits::CHANGED_VALUE_BYTES + CUT.len_utf8());
        assert!(value.starts_with(short.strip_suffix(CUT).unwrap()));
        let fits = "x".repeat(limits::CHANGED_VALUE_BYTES);
        assert_eq!(cut(fits.clone()), fits);
    }

    #[test]
    fn all_are_counted_and_the_first_are_told() {
        let difference = |at: usize| Difference { path: at.to_string(), what: What::Moved(at, 0) };
        let (told, count) = write((0..limits::FIELD_CHANGES + 5).map(difference).collect());
        assert_eq!((told.len(), count), (limits::FIELD_CHANGES, 1_005));
        let (paths, count) = write_paths((0..limits::REVISION_FIELDS + 7).map(difference).collect());
        assert_eq!((paths.len(), count), (limits::REVISION_FIELDS, 107));
    }
}
