//! What differs between two revisions of an object.

use crate::{
    domain::limits,
    proto::{
        self, FieldChangeKind,
        diff::{Difference, What},
    },
};

/// Stands where a value was cut.
const CUT: char = '…';
/// Bytes of a cut value before those that differ.
const BEFORE_DIFFERENCE: usize = 200;

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
        What::Changed(old, new) => {
            let start = start_of_difference(&old, &new);
            (FieldChangeKind::Changed, cut_from(start, old), cut_from(start, new))
        }
        What::Moved(from, to) => (FieldChangeKind::Moved, from.to_string(), to.to_string()),
    };
    proto::FieldChange { path, kind: kind.into(), old_value, new_value }
}

fn cut(value: String) -> String {
    cut_from(0, value)
}

/// Returns where two values are to begin so that what differs is seen: shortly before it, if one of them is cut.
fn start_of_difference(old: &str, new: &str) -> usize {
    if old.len().max(new.len()) <= limits::CHANGED_VALUE_BYTES {
        return 0;
    }
    let same = old.bytes().zip(new.bytes()).take_while(|(old, new)| old == new).count();
    if same + BEFORE_DIFFERENCE < limits::CHANGED_VALUE_BYTES {
        return 0;
    }
    // Up to where they differ both have the same characters.
    old.floor_char_boundary(same - BEFORE_DIFFERENCE)
}

/// Cuts a value at both ends.
fn cut_from(start: usize, value: String) -> String {
    let rest = &value[start..];
    let end = rest.floor_char_boundary(limits::CHANGED_VALUE_BYTES);
    match (start > 0, end < rest.len()) {
        (false, false) => value,
        (false, true) => format!("{}{CUT}", &rest[..end]),
        (true, false) => format!("{CUT}{rest}"),
        (true, true) => format!("{CUT}{}{CUT}", &rest[..end]),
    }
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
    fn cut_values_show_what_differs() {
        let long = |middle: &str| format!("{}{middle}{}", "é".repeat(3_000), "z".repeat(3_000));
        let change = |old: String, new: String| {
            write_one(Difference { path: "rules".into(), what: What::Changed(old, new) })
        };
        for (old, new) in [("DE", "FR"), ("ä", "ö"), ("", "x"), ("DE", "")] {
            let told = change(long(old), long(new));
            assert_ne!(told.old_value, told.new_value);
            for (value, middle) in [(&told.old_value, old), (&told.new_value, new)] {
                assert!(value.len() <= limits::CHANGED_VALUE_BYTES + 2 * CUT.len_utf8());
                assert!(value.starts_with("…é") && value.contains(&format!("é{middle}z")), "{value}");
            }
        }
        // What one of them has behind the end of the other.
        let told = change("x".repeat(2_500), "x".repeat(2_501));
        assert_ne!(told.old_value, told.new_value);
        let told = change("a".repeat(10), "b".repeat(3_000));
        assert_eq!(told.old_value, "a".repeat(10));
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
