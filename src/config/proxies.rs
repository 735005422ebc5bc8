//! Settings of a gateway behind proxies: whom it believes what they say about the visitor.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    num::NonZeroUsize,
};

use http::HeaderName;
use ipnet::{IpNet, Ipv4Net};

use super::Reader;

/// Bounds the blocks of trusted proxies: twice what the largest content networks publish.
pub const TRUSTED_NETWORKS: usize = 500;
/// Bounds the proxies between a visitor and the gateway, counted.
const HOPS: usize = 16;
/// Bits before the IPv4 address in an IPv4-mapped IPv6 address.
const MAPPED_BITS: u8 = 96;

const TRUSTED_PROXIES: &str = "SMARTLINKS_GATEWAY_TRUSTED_PROXIES";
const FORWARDED_HEADER: &str = "SMARTLINKS_GATEWAY_FORWARDED_HEADER";
const COUNTRY_HEADER: &str = "SMARTLINKS_GATEWAY_COUNTRY_HEADER";

/// Headers that mean something else already, so that none can carry the country.
const TAKEN: [&str; 20] = [
    "accept",
    "accept-language",
    "connection",
    "content-length",
    "cookie",
    "dnt",
    "forwarded",
    "host",
    "purpose",
    "referer",
    "sec-gpc",
    "sec-purpose",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-moz",
    "x-purpose",
];
/// What the names of client hints begin with.
const CLIENT_HINTS: &str = "sec-ch-";

/// Flags of a gateway behind proxies.
#[derive(Clone, Debug, clap::Args)]
pub struct ProxyArgs {
    /// Whose word about the visitor's address is taken: addresses and CIDR blocks of proxies, comma-separated, or how many
    /// proxies there are; default: nobody's.
    #[arg(long, env = "SMARTLINKS_GATEWAY_TRUSTED_PROXIES", value_name = "LIST")]
    pub trusted_proxies: Option<String>,
    /// The header in which they say it: `x-forwarded-for` or `forwarded`. The other one is not read.
    #[arg(
        long,
        env = "SMARTLINKS_GATEWAY_FORWARDED_HEADER",
        default_value = "x-forwarded-for",
        value_name = "HEADER"
    )]
    pub forwarded_header: String,
    /// The header in which the nearest proxy says the visitor's country, for example `cf-ipcountry`; default: none.
    #[arg(long, env = "SMARTLINKS_GATEWAY_COUNTRY_HEADER", value_name = "HEADER")]
    pub country_header: Option<String>,
}

/// Whom a gateway believes what they say about the visitor, and where they say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxies {
    /// Whom.
    pub trusted: Trusted,
    /// Where they say the visitor's address.
    pub header: ForwardedHeader,
    /// Where the nearest one says the visitor's country.
    pub country: Option<HeaderName>,
}

/// Which proxies are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trusted {
    /// Those in these blocks.
    Networks(Vec<IpNet>),
    /// The nearest ones, so many of them.
    Hops(NonZeroUsize),
}

/// The header in which proxies say for whom they ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`.
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

impl Proxies {
    /// Trusts what runs on the same machine.
    pub fn loopback() -> Self {
        let trusted =
            [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()].map(|address: IpAddr| address.into());
        Self {
            trusted: Trusted::Networks(trusted.to_vec()),
            header: ForwardedHeader::XForwardedFor,
            country: None,
        }
    }
}

impl ProxyArgs {
    /// Checks the flags; inside, `None` stands for a gateway that believes nobody.
    pub fn read(&self, reader: &mut Reader) -> Option<Option<Proxies>> {
        let trusted = trusted(self.trusted_proxies.as_deref().unwrap_or_default(), reader);
        let header = match self.forwarded_header.trim().to_ascii_lowercase().as_str() {
            "x-forwarded-for" => Some(ForwardedHeader::XForwardedFor),
            "forwarded" => Some(ForwardedHeader::Forwarded),
            other => {
                reader.fault(FORWARDED_HEADER, format!("`{other}` is not `x-forwarded-for` or `forwarded`"));
                None
            }
        };
        let country = country_header(self.country_header.as_deref().unwrap_or_default(), reader);
        if matches!((&trusted, &country), (Some(None), Some(Some(_)))) {
            let text = format!("it is believed of trusted proxies only; set {TRUSTED_PROXIES} too");
            reader.fault(COUNTRY_HEADER, text);
        }
        let (trusted, header, country) = (trusted?, header?, country?);
        Some(trusted.map(|trusted| Proxies { trusted, header, country }))
    }
}

fn trusted(text: &str, reader: &mut Reader) -> Option<Option<Trusted>> {
    let text = text.trim();
    if text.is_empty() {
        return Some(None);
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let hops = text.parse().ok().filter(|hops: &NonZeroUsize| hops.get() <= HOPS);
        if hops.is_none() {
            reader.fault(TRUSTED_PROXIES, format!("`{text}` is not a number of proxies from 1 to {HOPS}"));
        }
        return Some(Some(Trusted::Hops(hops?)));
    }
    let pieces: Vec<&str> = text.split(',').map(str::trim).filter(|piece| !piece.is_empty()).collect();
    if pieces.len() > TRUSTED_NETWORKS {
        let text = format!("{} addresses and blocks are more than {TRUSTED_NETWORKS}", pieces.len());
        reader.fault(TRUSTED_PROXIES, text);
        return None;
    }
    let mut faults = Vec::new();
    let networks: Vec<IpNet> = pieces
        .into_iter()
        .filter_map(|piece| network(piece).map_err(|fault| faults.push(fault)).ok())
        .collect();
    if networks.is_empty() && faults.is_empty() {
        faults.push(format!("`{text}` names no address"));
    }
    if faults.is_empty() {
        return Some(Some(Trusted::Networks(networks)));
    }
    faults.into_iter().for_each(|fault| reader.fault(TRUSTED_PROXIES, fault));
    None
}

/// Reads an address or a block; IPv4-mapped IPv6 becomes IPv4, as it does in every address that is compared with it.
fn network(text: &str) -> Result<IpNet, String> {
    let block = text.parse::<IpAddr>().map(IpNet::from).or_else(|_| text.parse::<IpNet>());
    let block = block.map_err(|_| {
        format!("`{text}` is not an address or block such as `10.0.0.0/8`; a number of proxies stands alone")
    })?;
    let block = unmapped(block.trunc());
    if block.prefix_len() == 0 {
        return Err(format!(
            "`{text}` is everybody: a visitor could write any address; name the proxies, or say how many there are"
        ));
    }
    Ok(block)
}

/// Returns a block of IPv4-mapped addresses as the IPv4 block that it means.
fn unmapped(block: IpNet) -> IpNet {
    let IpNet::V6(v6) = block else { return block };
    let Some(v4) = v6.addr().to_ipv4_mapped() else { return block };
    let prefix = v6.prefix_len().checked_sub(MAPPED_BITS);
    prefix.and_then(|prefix| Ipv4Net::new(v4, prefix).ok()).map_or(block, IpNet::V4)
}

fn country_header(text: &str, reader: &mut Reader) -> Option<Option<HeaderName>> {
    let text = text.trim();
    if text.is_empty() {
        return Some(None);
    }
    let Ok(name) = HeaderName::try_from(text) else {
        reader.fault(COUNTRY_HEADER, format!("`{text}` is not the name of a header such as `cf-ipcountry`"));
        return None;
    };
    if TAKEN.contains(&name.as_str()) || name.as_str().starts_with(CLIENT_HINTS) {
        reader.fault(
            COUNTRY_HEADER,
            format!("the header `{name}` means something else; name the one with the country"),
        );
        return None;
    }
    Some(Some(name))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: ProxyArgs,
    }

    fn read(flags: &[&str]) -> Result<Option<Proxies>, String> {
        let mut reader = Reader::default();
        let flags = ["gateway"].iter().chain(flags);
        let read = Command::parse_from(flags).args.read(&mut reader);
        reader.finish(read).map_err(|faults| faults.to_string())
    }

    fn trusts(list: &str) -> Result<Trusted, String> {
        read(&[&format!("--trusted-proxies={list}")]).map(|proxies| proxies.unwrap().trusted)
    }

    fn networks(list: &[&str]) -> Result<Trusted, String> {
        Ok(Trusted::Networks(list.iter().map(|block| block.parse().unwrap()).collect()))
    }

    #[test]
    fn nobody_is_believed_unless_named() {
        for flags in
            [&[][..], &["--trusted-proxies= "], &["--forwarded-header=forwarded", "--country-header="]]
        {
            assert_eq!(read(flags), Ok(None), "{flags:?}");
        }
    }

    #[test]
    fn list_holds_addresses_and_blocks() {
        assert_eq!(trusts("10.0.0.0/8, 192.0.2.7,"), networks(&["10.0.0.0/8", "192.0.2.7/32"]));
        assert_eq!(trusts("2001:db8::/32,::1"), networks(&["2001:db8::/32", "::1/128"]));
        assert_eq!(trusts("10.1.2.3/8"), networks(&["10.0.0.0/8"]));
        assert_eq!(trusts("::ffff:10.0.0.0/104,::ffff:192.0.2.7"), networks(&["10.0.0.0/8", "192.0.2.7/32"]));
        let many = vec!["192.0.2.7"; TRUSTED_NETWORKS].join(",");
        assert!(trusts(&many).is_ok());
        assert!(trusts(&format!("{many},192.0.2.7")).unwrap_err().starts_with(TRUSTED_PROXIES));
    }

    #[test]
    fn number_counts_proxies() {
        let hops = |count| Ok(Trusted::Hops(NonZeroUsize::new(count).unwrap()));
        assert_eq!(trusts("1"), hops(1));
        assert_eq!(trusts(" 16 "), hops(16));
        for bad in ["0", "17", "99999999999999999999", "-1", "1,2", "1, 10.0.0.0/8"] {
            assert!(trusts(bad).unwrap_err().starts_with("SMARTLINKS_GATEWAY_TRUSTED_PROXIES: `"), "{bad}");
        }
    }

    #[test]
    fn every_piece_that_names_no_proxy_is_a_fault() {
        let faults =
            trusts("proxy.example, 10.0.0.0/33, 0.0.0.0/0, ::/0, fe80::1%eth0, 10.0.0.1:80").unwrap_err();
        let named: Vec<_> = faults.lines().map(|line| line.split('`').nth(1).unwrap()).collect();
        assert_eq!(
            named,
            ["proxy.example", "10.0.0.0/33", "0.0.0.0/0", "::/0", "fe80::1%eth0", "10.0.0.1:80"]
        );
        assert!(faults.lines().all(|line| line.starts_with("SMARTLINKS_GATEWAY_TRUSTED_PROXIES: ")));
        assert!(trusts(",").is_err());
    }

    #[test]
    fn one_header_is_read() {
        let header = |name: &str| {
            let name = format!("--forwarded-header={name}");
            read(&["--trusted-proxies=1", &name]).map(|proxies| proxies.unwrap().header)
        };
        assert_eq!(header("Forwarded"), Ok(ForwardedHeader::Forwarded));
        assert_eq!(header("X-Forwarded-For"), Ok(ForwardedHeader::XForwardedFor));
        for bad in ["x-real-ip", "", "forwarded,x-forwarded-for"] {
            assert!(header(bad).unwrap_err().starts_with("SMARTLINKS_GATEWAY_FORWARDED_HEADER: `"), "{bad}");
        }
    }

    #[test]
    fn country_is_in_a_header_of_its_own_and_of_a_trusted_proxy() {
        let country = |name: &str| {
            let name = format!("--country-header={name}");
            read(&["--trusted-proxies=1", &name]).map(|proxies| proxies.unwrap().country)
        };
        assert_eq!(country("CF-IPCountry"), Ok(Some(HeaderName::from_static("cf-ipcountry"))));
        for bad in ["cf ipcountry", "länder", "a:b", "Host", "User-Agent", "X-Forwarded-For", "Sec-CH-UA"] {
            assert!(country(bad).unwrap_err().starts_with("SMARTLINKS_GATEWAY_COUNTRY_HEADER: "), "{bad}");
        }
        let alone = read(&["--country-header=cf-ipcountry"]).unwrap_err();
        assert!(alone.starts_with("SMARTLINKS_GATEWAY_COUNTRY_HEADER: "), "{alone}");
        assert!(alone.contains("SMARTLINKS_GATEWAY_TRUSTED_PROXIES"), "{alone}");
    }
}
