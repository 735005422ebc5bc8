//! Ranges of addresses that no country has, whatever a database says of them.
//!
//! Sources: the IANA IPv4 and IPv6 Special-Purpose Address Registries with the RFC of each entry, and the multicast and
//! site-local ranges of the IANA address space registries. 6to4 (`2002::/16`) and Teredo (within `2001::/23`) are among them:
//! where such a tunnel ends says nothing of the visitor. IPv4-mapped addresses and NAT64's `64:ff9b::/96` are not: they are
//! read as the IPv4 address inside.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const V4: [([u8; 4], u32); 18] = [
    ([0, 0, 0, 0], 8),       // this network, RFC 791
    ([10, 0, 0, 0], 8),      // private use, RFC 1918
    ([100, 64, 0, 0], 10),   // shared between provider and customer, RFC 6598
    ([127, 0, 0, 0], 8),     // loopback, RFC 1122
    ([169, 254, 0, 0], 16),  // link-local, RFC 3927
    ([172, 16, 0, 0], 12),   // private use, RFC 1918
    ([192, 0, 0, 0], 24),    // IETF protocol assignments, RFC 6890
    ([192, 0, 2, 0], 24),    // documentation, RFC 5737
    ([192, 31, 196, 0], 24), // AS112, RFC 7535
    ([192, 52, 193, 0], 24), // AMT, RFC 7450
    ([192, 88, 99, 0], 24),  // 6to4 relays, RFC 7526
    ([192, 168, 0, 0], 16),  // private use, RFC 1918
    ([192, 175, 48, 0], 24), // AS112, RFC 7534
    ([198, 18, 0, 0], 15),   // benchmarks, RFC 2544
    ([198, 51, 100, 0], 24), // documentation, RFC 5737
    ([203, 0, 113, 0], 24),  // documentation, RFC 5737
    ([224, 0, 0, 0], 4),     // multicast, RFC 5771
    ([240, 0, 0, 0], 4),     // reserved, RFC 1112, and the limited broadcast, RFC 8190
];

const V6: [([u16; 4], u32); 13] = [
    ([0, 0, 0, 0], 64),              // unspecified, loopback, IPv4-compatible, RFC 4291
    ([0x64, 0xff9b, 1, 0], 48),      // local NAT64, RFC 8215
    ([0x100, 0, 0, 0], 63),          // discard-only and dummy prefixes, RFC 6666 and RFC 9780
    ([0x2001, 0, 0, 0], 23),         // IETF protocol assignments with Teredo and ORCHID, RFC 2928
    ([0x2001, 0xdb8, 0, 0], 32),     // documentation, RFC 3849
    ([0x2002, 0, 0, 0], 16),         // 6to4, RFC 3056
    ([0x2620, 0x4f, 0x8000, 0], 48), // AS112, RFC 7534
    ([0x3fff, 0, 0, 0], 20),         // documentation, RFC 9637
    ([0x5f00, 0, 0, 0], 16),         // segment routing, RFC 9602
    ([0xfc00, 0, 0, 0], 7),          // unique local, RFC 4193
    ([0xfe80, 0, 0, 0], 10),         // link-local, RFC 4291
    ([0xfec0, 0, 0, 0], 10),         // site-local, RFC 3879
    ([0xff00, 0, 0, 0], 8),          // multicast, RFC 4291
];

/// Tells whether an address is of a range that no country has.
pub(super) fn is_special(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let bits = v4.to_bits();
            V4.iter().any(|(net, prefix)| (bits ^ Ipv4Addr::from(*net).to_bits()) >> (32 - prefix) == 0)
        }
        IpAddr::V6(v6) => {
            let bits = v6.to_bits();
            V6.iter().any(|([a, b, c, d], prefix)| {
                (bits ^ Ipv6Addr::new(*a, *b, *c, *d, 0, 0, 0, 0).to_bits()) >> (128 - prefix) == 0
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_special;

    #[test]
    fn special_ranges_are_known_to_their_last_address() {
        for text in [
            "0.1.2.3",
            "10.255.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.1.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.9",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.255",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "64:ff9b:1::1",
            "100::1",
            "100:0:0:1::1",
            "2001::1",
            "2001:10::1",
            "2001:db8::1",
            "2002:808:808::1",
            "3fff:fff::1",
            "5f00::1",
            "fd00::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(is_special(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn neighbours_of_special_ranges_are_not_special() {
        for text in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "198.17.255.255",
            "198.20.0.0",
            "203.0.112.255",
            "223.255.255.255",
            "64:ff9b::808:808",
            "2001:200::1",
            "2001:db7:ffff::1",
            "2001:db9::1",
            "2003::1",
            "2a00:1450::1",
            "2600::1",
        ] {
            assert!(!is_special(text.parse().unwrap()), "{text}");
        }
    }
}
