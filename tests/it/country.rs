//! The country database that `make run` fetches, read for real.

use std::{fs, path::PathBuf};

use smartlinks::{classify::geo::GeoDb, domain::fact::Fact};

/// Returns the database that the set-up has fetched, or the one that is named.
pub(crate) fn database() -> PathBuf {
    let fetched = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".smartlinks/geo/country.mmdb");
    let path = std::env::var_os("SMARTLINKS_GEO_DB").map_or_else(fetched, PathBuf::from);
    assert!(path.is_file(), "{} is not there: run `make test`, which fetches it", path.display());
    path
}

#[test]
fn real_database_knows_well_known_addresses_and_not_special_ones() {
    let geo = GeoDb::from_bytes(fs::read(database()).unwrap()).unwrap();
    let country = |address: &str| match geo.country(address.parse().unwrap()) {
        Fact::Known(country) => Some(country.as_str()),
        Fact::Absent | Fact::Unknown => None,
    };
    let known = [("8.8.8.8", "US"), ("193.99.144.80", "DE"), ("2a01:4f8::1", "DE"), ("212.58.244.22", "GB")];
    for (address, code) in known {
        assert_eq!(country(address), Some(code), "{address}");
        let inside = address.parse::<std::net::Ipv4Addr>().map(|v4| v4.to_ipv6_mapped().to_string());
        if let Ok(mapped) = inside {
            assert_eq!(country(&mapped), Some(code), "{mapped}");
        }
    }
    for address in
        ["192.168.1.1", "172.16.0.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "127.0.0.1", "::1"]
    {
        assert_eq!(country(address), None, "{address}");
    }
}
