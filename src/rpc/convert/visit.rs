//! Facts of a visit that callers send, be it to go somewhere or to be tried out.

use std::{collections::HashMap, net::IpAddr};

use super::Path;
use crate::domain::{
    fault::{Faults, Problem, Reason},
    host::shown,
    limits,
};

/// Reads the query: one leading `?` is dropped, and nothing may end the query or the header that it will stand in.
pub fn query<'a>(raw: &'a str, path: &Path<'_>, faults: &mut Faults) -> &'a str {
    let query = raw.strip_prefix('?').unwrap_or(raw);
    if query.len() > limits::QUERY_BYTES {
        let text =
            format!("the query has {} bytes, at most {} are allowed", query.len(), limits::QUERY_BYTES);
        faults.add(path.to_string(), Problem::new(Reason::TooLong, text));
    }
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    if query.bytes().all(plain) {
        return query;
    }
    if let Some(bad) = query.chars().find(|&c| c == '#' || c == ' ' || c.is_control()) {
        let text = format!("the query holds the character U+{:04X}, percent-encode it", u32::from(bad));
        faults.add(path.to_string(), Problem::new(Reason::Malformed, text));
    }
    query
}

/// Reads an address; the empty text is none.
pub fn address(text: &str, path: &Path<'_>, faults: &mut Faults) -> Option<IpAddr> {
    if text.is_empty() {
        return None;
    }
    let address = text.parse::<IpAddr>().ok().map(|address| address.to_canonical());
    if address.is_none() {
        let text = format!("`{}` is not an IPv4 or IPv6 address without port", shown(text));
        faults.add(path.to_string(), Problem::new(Reason::Malformed, text));
    }
    address
}

/// Checks the facts of a caller.
pub fn check_attributes(attributes: &HashMap<String, String>, path: &Path<'_>, faults: &mut Faults) {
    if attributes.len() > limits::ATTRIBUTES {
        let most = limits::ATTRIBUTES;
        let text = format!("there are {} attributes, at most {most} are allowed", attributes.len());
        faults.add(path.to_string(), Problem::new(Reason::TooLong, text));
        return;
    }
    let is_bad = |name: &str, value: &str| !is_attribute_name(name) || value.len() > limits::VALUE_BYTES;
    let mut bad: Vec<_> = attributes.iter().filter(|(name, value)| is_bad(name, value)).collect();
    // A map has no order; the faults have one.
    bad.sort_unstable();
    for (name, value) in bad {
        let path = path.key(name).to_string();
        if !is_attribute_name(name) {
            let text = "the name of an attribute is 1 to 64 letters, digits, `_`, `.` and `-`";
            faults.add(path.clone(), Problem::new(Reason::Malformed, text));
        }
        if value.len() > limits::VALUE_BYTES {
            let most = limits::VALUE_BYTES;
            let text = format!("the value has {} bytes, at most {most} are allowed", value.len());
            faults.add(path, Problem::new(Reason::TooLong, text));
        }
    }
}

fn is_attribute_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    (1..=limits::NAME_BYTES).contains(&name.len()) && name.bytes().all(plain)
}
