//! Builds the small country database of the cases: MaxMind's format, version 2.0.

use std::net::IpAddr;

use ipnet::IpNet;
use maxminddb::Reader;

use super::file::{self, Defaults};

/// Marks the end of the data and the beginning of what is said about the file.
const METADATA: &[u8] = b"\xab\xcd\xefMaxMind.com";

/// Bytes between the tree and the data.
const GAP: u32 = 16;

/// What follows one bit of an address.
#[derive(Clone, Copy)]
enum Branch {
    Nothing,
    Node(usize),
    Data(usize),
}

/// Builds the database of the defaults.
pub(super) fn database(defaults: &Defaults) -> Vec<u8> {
    let mut tree = vec![[Branch::Nothing; 2]];
    let mut data = Vec::new();
    for (country, blocks) in &defaults.countries {
        let at = data.len();
        data.extend(map(&[
            ("country_code", text(country)),
            ("country", map(&[("iso_code", text(country))])),
        ]));
        for block in blocks {
            insert(&mut tree, block.parse().unwrap(), at);
        }
    }
    let nodes = u32::try_from(tree.len()).unwrap();
    let record = |branch: &Branch| match *branch {
        Branch::Nothing => nodes,
        Branch::Node(node) => u32::try_from(node).unwrap(),
        Branch::Data(at) => nodes + GAP + u32::try_from(at).unwrap(),
    };
    let mut file: Vec<u8> = tree.iter().flatten().flat_map(|branch| record(branch).to_be_bytes()).collect();
    file.extend([0; GAP as usize]);
    file.extend(data);
    file.extend(METADATA);
    file.extend(metadata(nodes));
    file
}

fn insert(tree: &mut Vec<[Branch; 2]>, block: IpNet, data: usize) {
    // IPv4 addresses are the last 32 of 128 bits.
    let (bits, length) = match block.network() {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)), 96 + block.prefix_len()),
        IpAddr::V6(v6) => (u128::from(v6), block.prefix_len()),
    };
    let mut node = 0;
    for depth in 0..length {
        let bit = usize::from(bits >> (127 - depth) & 1 == 1);
        if depth + 1 == length {
            tree[node][bit] = Branch::Data(data);
            return;
        }
        node = match tree[node][bit] {
            Branch::Node(next) => next,
            Branch::Nothing => {
                tree.push([Branch::Nothing; 2]);
                tree[node][bit] = Branch::Node(tree.len() - 1);
                tree.len() - 1
            }
            Branch::Data(_) => panic!("{block} is in a block that is listed already"),
        };
    }
}

fn metadata(nodes: u32) -> Vec<u8> {
    map(&[
        ("binary_format_major_version", number(5, 2)),
        ("binary_format_minor_version", number(5, 0)),
        ("build_epoch", number64(1_780_000_000)),
        ("database_type", text("Cases-Country")),
        ("description", map(&[("en", text("the countries of the cases"))])),
        ("ip_version", number(5, 6)),
        ("languages", vec![0, 4]),
        ("node_count", number(6, nodes)),
        ("record_size", number(5, 32)),
    ])
}

fn text(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap();
    let head = if length < 29 { vec![2 << 5 | length] } else { vec![2 << 5 | 29, length - 29] };
    [head, text.as_bytes().to_vec()].concat()
}

fn map(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = vec![7 << 5 | u8::try_from(entries.len()).unwrap()];
    for (key, value) in entries {
        bytes.extend(text(key));
        bytes.extend(value);
    }
    bytes
}

/// Writes an unsigned number of type 5 (16 bits) or 6 (32 bits).
fn number(kind: u8, number: u32) -> Vec<u8> {
    let bytes: Vec<u8> = number.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
    [vec![kind << 5 | u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

fn number64(number: u64) -> Vec<u8> {
    [vec![8, 2], number.to_be_bytes().to_vec()].concat()
}

#[test]
fn built_database_answers() {
    let defaults = file::defaults();
    let reader = Reader::from_source(database(&defaults)).unwrap();
    reader.verify().unwrap();
    for (country, blocks) in &defaults.countries {
        for block in blocks {
            let block: IpNet = block.parse().unwrap();
            let found = reader.lookup(block.network()).unwrap();
            let code: &str = found.decode_path(&["country_code".into()]).unwrap().unwrap();
            assert_eq!(code, country, "{block}");
        }
    }
    assert!(!reader.lookup("9.9.9.9".parse().unwrap()).unwrap().has_data());
}
