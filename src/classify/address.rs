//! Addresses in the one form that geography, CIDR predicates and visitor keys use.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

/// Turns an IPv4-mapped IPv6 address (`::ffff:8.8.8.8`) into the IPv4 address that it is.
pub const fn normalize(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// Turns a network of IPv4-mapped IPv6 addresses into the IPv4 network that it is.
pub fn normalize_net(net: IpNet) -> IpNet {
    let mapped = match net {
        IpNet::V6(v6) if v6.prefix_len() >= 96 => {
            v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96))
        }
        IpNet::V4(_) | IpNet::V6(_) => None,
    };
    mapped.and_then(|(v4, prefix)| Ipv4Net::new(v4, prefix).ok()).map_or(net, IpNet::V4)
}

/// Tells whether an address lies in one of the networks; mapped addresses count as IPv4 on both sides.
pub fn is_within(address: IpAddr, networks: &[IpNet]) -> bool {
    let address = normalize(address);
    networks.iter().any(|net| normalize_net(*net).contains(&address))
}

/// Returns the IPv4 address inside one of NAT64's well-known prefix (`64:ff9b::/96`).
pub(super) fn behind_nat64(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(v6) = address else { return None };
    let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = v6.segments() else { return None };
    let [[a, b], [c, d]] = [high.to_be_bytes(), low.to_be_bytes()];
    Some(Ipv4Addr::new(a, b, c, d))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{behind_nat64, is_within, normalize};

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn mapped_address_is_the_ipv4_address() {
        assert_eq!(normalize(ip("::ffff:8.8.8.8")), ip("8.8.8.8"));
        assert_eq!(normalize(ip("2a00::1")), ip("2a00::1"));
        // IPv4-compatible addresses are something else.
        assert_eq!(normalize(ip("::8.8.8.8")), ip("::8.8.8.8"));
    }

    #[test]
    fn mapped_counts_as_ipv4_on_both_sides() {
        let networks = |text: &str| vec![text.parse().unwrap()];
        assert!(is_within(ip("::ffff:10.1.2.3"), &networks("10.0.0.0/8")));
        assert!(is_within(ip("10.1.2.3"), &networks("::ffff:10.0.0.0/104")));
        assert!(!is_within(ip("11.1.2.3"), &networks("::ffff:10.0.0.0/104")));
        assert!(is_within(ip("2001:db8::1"), &networks("2001:db8::/32")));
        assert!(!is_within(ip("10.1.2.3"), &networks("::/0")));
        assert!(!is_within(ip("10.1.2.3"), &[]));
    }

    #[test]
    fn nat64_holds_an_ipv4_address() {
        assert_eq!(behind_nat64(ip("64:ff9b::808:808")), Some([8, 8, 8, 8].into()));
        assert_eq!(behind_nat64(ip("64:ff9b:1::808:808")), None);
        assert_eq!(behind_nat64(ip("8.8.8.8")), None);
    }
}
