use std::{collections::BTreeMap, net::IpAddr};

use proptest::prelude::*;

use super::{GeoDb, GeoError};
use crate::domain::fact::Fact;

/// Writes a small database: a tree with 24-bit records, one map per code, metadata.
fn database(networks: &[(&str, &str)], record: fn(&str) -> Vec<u8>) -> Vec<u8> {
    const NONE: usize = usize::MAX;
    let mut nodes = vec![[NONE; 2]];
    let mut leaves = BTreeMap::new();
    for (net, code) in networks {
        let (address, prefix) = net.split_once('/').unwrap();
        let (bits, prefix): (u128, u32) = match address.parse().unwrap() {
            IpAddr::V4(v4) => (u128::from(v4.to_bits()), 96 + prefix.parse::<u32>().unwrap()),
            IpAddr::V6(v6) => (v6.to_bits(), prefix.parse().unwrap()),
        };
        let mut node = 0;
        for depth in 0..prefix {
            let bit = usize::from(bits >> (127 - depth) & 1 == 1);
            if depth + 1 == prefix {
                leaves.insert((node, bit), *code);
            } else {
                if nodes[node][bit] == NONE {
                    nodes[node][bit] = nodes.len();
                    nodes.push([NONE; 2]);
                }
                node = nodes[node][bit];
            }
        }
    }
    let mut data = Vec::new();
    let mut offsets = BTreeMap::new();
    for code in leaves.values() {
        offsets.entry(*code).or_insert_with(|| {
            let at = data.len();
            data.extend(record(code));
            at
        });
    }
    let mut bytes = Vec::new();
    for (index, children) in nodes.iter().enumerate() {
        for (bit, child) in children.iter().enumerate() {
            let value = match leaves.get(&(index, bit)) {
                Some(code) => nodes.len() + 16 + offsets[code],
                None if *child == NONE => nodes.len(),
                None => *child,
            };
            bytes.extend(&u32::try_from(value).unwrap().to_be_bytes()[1..]);
        }
    }
    bytes.extend([0; 16]);
    bytes.extend(data);
    bytes.extend(b"\xab\xcd\xefMaxMind.com");
    bytes.push(0xe0 | 9);
    let mut number = |key: &str, value: u32| {
        bytes.extend(text(key));
        bytes.push(0xc0 | 4);
        bytes.extend(value.to_be_bytes());
    };
    number("node_count", u32::try_from(nodes.len()).unwrap());
    for (key, value) in [
        ("record_size", 24_u16),
        ("ip_version", 6),
        ("binary_format_major_version", 2),
        ("binary_format_minor_version", 0),
    ] {
        bytes.extend(text(key));
        bytes.push(0xa0 | 2);
        bytes.extend(value.to_be_bytes());
    }
    bytes.extend(text("build_epoch"));
    bytes.extend([8, 2]);
    bytes.extend(1_767_225_600_u64.to_be_bytes());
    bytes.extend(text("database_type"));
    bytes.extend(text("test-country"));
    bytes.extend(text("languages"));
    bytes.extend([0, 4]);
    bytes.extend(text("description"));
    bytes.push(0xe0);
    bytes
}

/// Writes a text of less than 29 bytes.
fn text(text: &str) -> Vec<u8> {
    let mut bytes = vec![0x40 | u8::try_from(text.len()).unwrap()];
    bytes.extend(text.as_bytes());
    bytes
}

fn flat(code: &str) -> Vec<u8> {
    [vec![0xe1], text("country_code"), text(code)].concat()
}

fn nested(code: &str) -> Vec<u8> {
    [vec![0xe1], text("country"), vec![0xe1], text("iso_code"), text(code)].concat()
}

const NETWORKS: [(&str, &str); 7] = [
    ("8.8.8.0/24", "US"),
    ("81.2.69.0/24", "GB"),
    ("2a00:1450::/32", "IE"),
    // What real databases say of ranges that no country has.
    ("192.168.0.0/16", "AU"),
    ("2001:db8::/32", "JP"),
    ("2002:808::/32", "US"),
    ("185.0.0.0/24", "XK"),
];

fn geo() -> GeoDb {
    GeoDb::from_bytes(database(&NETWORKS, flat)).unwrap()
}

fn country(geo: &GeoDb, address: &str) -> Option<&'static str> {
    match geo.country(address.parse().unwrap()) {
        Fact::Known(country) => Some(country.as_str()),
        Fact::Unknown => None,
        Fact::Absent => panic!("a country is known or not"),
    }
}

#[test]
fn addresses_have_the_country_of_their_network() {
    let geo = geo();
    assert_eq!(country(&geo, "8.8.8.8"), Some("US"));
    assert_eq!(country(&geo, "2a00:1450::1"), Some("IE"));
    assert_eq!(country(&geo, "9.9.9.9"), None);
    assert_eq!(country(&geo, "2a01::1"), None);
    assert_eq!(geo.built_at().to_string(), "2026-01-01T00:00:00Z");
    assert_eq!(geo.kind(), "test-country");
}

#[test]
fn mapped_and_nat64_addresses_are_the_ipv4_address_inside() {
    let geo = geo();
    assert_eq!(country(&geo, "::ffff:8.8.8.8"), Some("US"));
    assert_eq!(country(&geo, "64:ff9b::8.8.8.8"), Some("US"));
    assert_eq!(country(&geo, "64:ff9b::192.168.1.1"), None);
}

#[test]
fn special_ranges_have_no_country_whatever_the_database_says() {
    let geo = geo();
    for address in ["192.168.1.1", "::ffff:192.168.1.1", "2001:db8::1", "2002:808:808::1", "2001::1"] {
        assert_eq!(country(&geo, address), None, "{address}");
    }
}

#[test]
fn code_outside_the_list_is_unknown() {
    assert_eq!(country(&geo(), "185.0.0.1"), None);
}

#[test]
fn nested_records_are_read_too() {
    let geo = GeoDb::from_bytes(database(&NETWORKS, nested)).unwrap();
    assert_eq!(country(&geo, "81.2.69.1"), Some("GB"));
}

#[test]
fn other_bytes_are_refused_in_words() {
    let error = GeoDb::from_bytes(b"<html>not found</html>".to_vec()).unwrap_err();
    assert!(matches!(error, GeoError::Malformed(_)));
    assert!(error.to_string().starts_with("not a country database in MMDB format: "), "{error}");

    let other = GeoDb::from_bytes(database(&[("8.8.8.0/24", "12")], flat)).unwrap_err();
    assert!(matches!(other, GeoError::NoCountries { kind } if kind == "test-country"));
}

#[test]
fn broken_databases_never_panic() {
    let bytes = database(&NETWORKS, flat);
    for end in 0..bytes.len() {
        if let Ok(geo) = GeoDb::from_bytes(bytes[..end].to_vec()) {
            geo.country("8.8.8.8".parse().unwrap());
        }
    }
    proptest!(|(at in 0..bytes.len(), value: u8)| {
        let mut bytes = bytes.clone();
        bytes[at] = value;
        if let Ok(geo) = GeoDb::from_bytes(bytes) {
            geo.country("8.8.8.8".parse().unwrap());
            geo.country("2a00:1450::1".parse().unwrap());
        }
    });
}

#[test]
fn addresses_without_a_country_are_not_asked_for() {
    // A database that knows a country for everything.
    let everything = [
        ("0.0.0.0/1", "AU"),
        ("128.0.0.0/1", "AU"),
        ("::1:0:0/96", "AU"),
        ("64::/16", "AU"),
        ("100::/8", "AU"),
        ("2000::/3", "AU"),
        ("4000::/2", "AU"),
        ("8000::/1", "AU"),
    ];
    let geo = GeoDb::from_bytes(database(&everything, flat)).unwrap();
    let table = include_str!("../../../tests/data/addresses.tsv");
    let mut special = 0;
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let (address, rest) = line.split_once('\t').unwrap();
        let expected = (!rest.starts_with('-')).then_some("AU");
        assert_eq!(country(&geo, address), expected, "{line}");
        special += usize::from(expected.is_none());
    }
    assert!(special >= 60, "the table lost rows: {special}");
}
