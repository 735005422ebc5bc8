//! What differs between two messages of one kind, field by field, by the descriptors of the contracts.

use std::{collections::HashMap, error::Error};

use prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value};

use super::json;

/// Messages that are compared as one value: taken apart, a condition that has one member more would read as if all of its
/// members had changed.
const WHOLE: &[&str] = &["smartlinks.v1.Condition"];
/// Fields by which entries of a list are known again, the first that they have.
const KEYS: &[&str] = &["id", "name"];

/// A message, ready to be compared.
#[derive(Clone, Debug)]
pub struct Comparable {
    descriptor: MessageDescriptor,
    fields: Map<String, Value>,
}

/// A field that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which: `rules[promo].when`.
    pub path: String,
    /// How.
    pub what: What,
}

/// How a field differs; values are JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// It was not there.
    Added(String),
    /// It is not there any more.
    Removed(String),
    /// It has another value: the old one, the new one.
    Changed(String, String),
    /// It stands elsewhere in its list: where it was, where it is.
    Moved(usize, usize),
}

impl Comparable {
    /// Reads a message whose full name is `name`.
    pub fn of(name: &str, message: &impl Message) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let descriptor = json::message(name).ok_or_else(|| format!("the contracts have no `{name}`"))?;
        let mut dynamic = DynamicMessage::new(descriptor.clone());
        dynamic.transcode_from(message)?;
        match dynamic.serialize_with_options(serde_json::value::Serializer, &json::options())? {
            Value::Object(fields) => Ok(Self { descriptor, fields }),
            other
            @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
                Err(format!("`{name}` is written as `{other}`").into())
            }
        }
    }

    /// Returns what differs in this message from an older one, in the order of the fields' numbers.
    pub fn since(&self, old: &Self) -> Vec<Difference> {
        let mut found = Vec::new();
        compare("", &self.descriptor, &old.fields, &self.fields, &mut found);
        found
    }
}

fn compare(
    path: &str,
    message: &MessageDescriptor,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    found: &mut Vec<Difference>,
) {
    for field in message.fields() {
        let (before, after) = (old.get(field.name()), new.get(field.name()));
        if before == after {
            continue;
        }
        let path = if path.is_empty() { field.name().to_owned() } else { format!("{path}.{}", field.name()) };
        match (field.kind(), before, after) {
            (kind, _, _) if field.is_list() => {
                let entries =
                    |list: Option<&Value>| list.and_then(Value::as_array).cloned().unwrap_or_default();
                compare_lists(&path, &kind, &entries(before), &entries(after), found);
            }
            (Kind::Message(inner), Some(Value::Object(before)), Some(Value::Object(after)))
                if !field.is_map() && !WHOLE.contains(&inner.full_name()) =>
            {
                compare(&path, &inner, before, after, found);
            }
            _ => {
                let what = match (before.cloned().or(unset(&field)), after.cloned().or(unset(&field))) {
                    (None, None) => continue,
                    (None, Some(after)) => What::Added(after.to_string()),
                    (Some(before), None) => What::Removed(before.to_string()),
                    (Some(before), Some(after)) => What::Changed(before.to_string(), after.to_string()),
                };
                found.push(Difference { path, what });
            }
        }
    }
}

/// Returns what a field means that is not written; nothing, if that it is not set is a meaning of its own.
fn unset(field: &FieldDescriptor) -> Option<Value> {
    if field.supports_presence() {
        return None;
    }
    Some(match field.kind() {
        Kind::String | Kind::Bytes => Value::String(String::new()),
        Kind::Bool => Value::Bool(false),
        Kind::Enum(names) => Value::String(names.default_value().name().to_owned()),
        // Of messages only a map is there without being set.
        Kind::Message(_) => Value::Object(Map::new()),
        Kind::Double
        | Kind::Float
        | Kind::Int32
        | Kind::Int64
        | Kind::Uint32
        | Kind::Uint64
        | Kind::Sint32
        | Kind::Sint64
        | Kind::Fixed32
        | Kind::Fixed64
        | Kind::Sfixed32
        | Kind::Sfixed64 => Value::from(0),
    })
}

fn compare_lists(path: &str, kind: &Kind, old: &[Value], new: &[Value], found: &mut Vec<Difference>) {
    let Kind::Message(entry) = kind else {
        return compare_sets(path, old, new, found);
    };
    let key = KEYS.iter().copied().find(|key| entry.get_field_by_name(key).is_some());
    match key.and_then(|key| places(key, old).zip(places(key, new)).zip(Some(key))) {
        Some(((old_places, new_places), key)) => {
            compare_entries(path, entry, (old, &old_places), (new, &new_places), key, found);
        }
        None => {
            let text = |list: &[Value]| Value::from(list.to_vec()).to_string();
            found.push(Difference { path: path.to_owned(), what: What::Changed(text(old), text(new)) });
        }
    }
}

/// Compares lists of plain values, whose order means nothing.
fn compare_sets(path: &str, old: &[Value], new: &[Value], found: &mut Vec<Difference>) {
    let texts = |list: &[Value]| list.iter().map(Value::to_string).collect::<Vec<_>>();
    let (old_texts, new_texts) = (texts(old), texts(new));
    let beyond = |list: &[String], than: &[String]| {
        let than: std::collections::HashSet<&String> = than.iter().collect();
        (0..list.len()).filter(|&at| !than.contains(&list[at])).collect::<Vec<_>>()
    };
    let at = |value: &Value| format!("{path}[{}]", value.as_str().map_or(value.to_string(), str::to_owned));
    for gone in beyond(&old_texts, &new_texts) {
        found.push(Difference { path: at(&old[gone]), what: What::Removed(old_texts[gone].clone()) });
    }
    for come in beyond(&new_texts, &old_texts) {
        found.push(Difference { path: at(&new[come]), what: What::Added(new_texts[come].clone()) });
    }
}

/// Returns where in a list which key stands; nothing if one has no key or another's.
fn places<'a>(key: &str, list: &'a [Value]) -> Option<HashMap<&'a str, usize>> {
    let keys = list.iter().enumerate().map(|(at, entry)| Some((entry.get(key)?.as_str()?, at)));
    let places: HashMap<&str, usize> = keys.collect::<Option<_>>()?;
    (places.len() == list.len()).then_some(places)
}

type Places<'a> = HashMap<&'a str, usize>;

/// Compares lists whose entries are known by a key: an entry that stands elsewhere is the same entry.
fn compare_entries(
    path: &str,
    entry: &MessageDescriptor,
    (old, old_places): (&[Value], &Places<'_>),
    (new, new_places): (&[Value], &Places<'_>),
    key: &str,
    found: &mut Vec<Difference>,
) {
    let name = |value: &Value| value[key].as_str().unwrap_or_default().to_owned();
    let kept: Vec<(usize, usize)> = new
        .iter()
        .enumerate()
        .filter_map(|(to, value)| Some((*old_places.get(name(value).as_str())?, to)))
        .collect();
    let stays = growing(&kept.iter().map(|(from, _)| *from).collect::<Vec<_>>());
    let mut kept = kept.into_iter().zip(stays).peekable();
    for (to, value) in new.iter().enumerate() {
        let path = format!("{path}[{}]", name(value));
        let Some(((from, _), stays)) = kept.next_if(|((_, at), _)| *at == to) else {
            found.push(Difference { path, what: What::Added(value.to_string()) });
            continue;
        };
        if !stays {
            found.push(Difference { path: path.clone(), what: What::Moved(from, to) });
        }
        if let (Value::Object(before), Value::Object(after)) = (&old[from], value) {
            compare(&path, entry, before, after, found);
        }
    }
    for value in old {
        if !new_places.contains_key(name(value).as_str()) {
            let path = format!("{path}[{}]", name(value));
            found.push(Difference { path, what: What::Removed(value.to_string()) });
        }
    }
}

/// Returns which of the numbers, all different, belong to one of the longest rows among them that only grow.
fn growing(numbers: &[usize]) -> Vec<bool> {
    // For every length the place of the smallest number that ends a row of it, and what stands before each in its row.
    let (mut ends, mut before): (Vec<usize>, Vec<Option<usize>>) = (Vec::new(), Vec::new());
    for (at, number) in numbers.iter().enumerate() {
        let longest = ends.partition_point(|&end| numbers[end] < *number);
        before.push(longest.checked_sub(1).map(|last| ends[last]));
        if longest == ends.len() {
            ends.push(at);
        } else {
            ends[longest] = at;
        }
    }
    let mut grows = vec![false; numbers.len()];
    let mut next = ends.last().copied();
    while let Some(at) = next {
        grows[at] = true;
        next = before[at];
    }
    grows
}

#[cfg(test)]
mod tests;
