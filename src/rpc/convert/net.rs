//! Blocks of addresses.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use crate::domain::{
    fault::{Problem, Reason},
    host::shown,
};

/// Bits before the IPv4 address in an IPv4-mapped IPv6 address.
const MAPPED_BITS: u8 = 96;

/// Takes an address or a CIDR block. What stands behind the prefix is dropped; IPv4-mapped IPv6 becomes IPv4.
pub fn parse(text: &str) -> Result<IpNet, Problem> {
    if text.is_empty() {
        return Err(Problem::required("the address"));
    }
    let block = match text.parse::<IpAddr>() {
        Ok(address) => Ok(IpNet::from(address)),
        Err(_) => text.parse::<IpNet>(),
    };
    let block = block.map_err(|_| {
        let text = format!("`{}` is no address or block such as `198.51.100.0/24`", shown(text));
        Problem::new(Reason::Malformed, text)
    })?;
    Ok(unmapped(block.trunc()))
}

/// Writes an address by itself if the block holds no other, else the block.
pub fn write(block: &IpNet) -> String {
    if block.prefix_len() == block.max_prefix_len() { block.addr().to_string() } else { block.to_string() }
}

/// Returns a block of IPv4-mapped addresses as the IPv4 block that it means.
fn unmapped(block: IpNet) -> IpNet {
    let IpNet::V6(v6) = block else { return block };
    let Some(v4) = v6.addr().to_ipv4_mapped() else { return block };
    let prefix = v6.prefix_len().checked_sub(MAPPED_BITS);
    prefix.and_then(|prefix| Ipv4Net::new(v4, prefix).ok()).map_or(block, IpNet::V4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_blocks_are_taken() {
        for (text, written) in [
            ("198.51.100.7", "198.51.100.7"),
            ("198.51.100.7/24", "198.51.100.0/24"),
            ("2001:DB8::/32", "2001:db8::/32"),
            ("::ffff:198.51.100.7", "198.51.100.7"),
            ("::ffff:198.51.100.0/120", "198.51.100.0/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(write(&parse(text).unwrap()), written, "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in
            ["", "198.51.100.7/33", "198.51.100", "shop.example", "[::1]", "::1/129", "1.2.3.4:80", " ::1"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
