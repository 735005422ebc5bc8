//! The country database that `make run` fetches, read for real.

use std::{collections::BTreeSet, fs, path::PathBuf};

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
    let table = include_str!("../data/addresses.tsv");
    let mut wrong = Vec::new();
    let mut countries = BTreeSet::new();
    let mut count = 0;
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let [address, expected, what] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        let found = match geo.country(address.parse().unwrap()) {
            Fact::Known(country) => country.as_str(),
            Fact::Absent | Fact::Unknown => "-",
        };
        wrong.extend((found != expected).then(|| format!("{address} ({what}): {found}, not {expected}")));
        countries.insert(expected);
        count += 1;
    }
    assert!(wrong.is_empty(), "{} of {count} addresses\n{}", wrong.len(), wrong.join("\n"));
    assert!(count >= 150 && countries.len() > 25, "the table lost rows: {count}");
}
