//! Addresses: one between any two ends of blocks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::{super::sample::Value, Test, predicates, sorted};
use crate::{
    classify::address::{normalize, normalize_net},
    domain::{condition::Predicate, fact::Fact},
};

/// Returns unknown, and the first address of everything that blocks tell apart.
pub(super) fn addresses(tests: &[Test<'_>], internal: &[IpNet]) -> Vec<Value> {
    let listed = predicates(tests).filter_map(|predicate| {
        let Predicate::ClientAddress(blocks) = predicate else { return None };
        Some(blocks.iter())
    });
    let ends = listed.flatten().chain(internal).flat_map(|block| ends(normalize_net(*block)));
    // IPv4 in IPv6 is IPv4: what lies around it begins anew behind it.
    let mapped = Ipv6Addr::from_bits(0xffff_ffff_ffff + 1);
    let whole = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into(), mapped.into()];
    let all = sorted(ends.chain(whole).map(normalize));
    [Fact::Unknown].into_iter().chain(all.into_iter().map(Fact::Known)).map(Value::Address).collect()
}

/// Returns the first address of a block, and the first one behind it.
fn ends(block: IpNet) -> impl Iterator<Item = IpAddr> {
    let behind = match block.broadcast() {
        IpAddr::V4(last) => last.to_bits().checked_add(1).map(|bits| Ipv4Addr::from_bits(bits).into()),
        IpAddr::V6(last) => last.to_bits().checked_add(1).map(|bits| Ipv6Addr::from_bits(bits).into()),
    };
    std::iter::once(block.network()).chain(behind)
}
