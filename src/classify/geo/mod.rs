//! Finds the country of an address.
//!
//! Which database, and where it is wrong, is in `docs/decisions/0002-geography.md`.

mod special;
#[cfg(test)]
mod tests;

use std::{fmt, net::IpAddr};

use jiff::Timestamp;
use maxminddb::{MaxMindDbError, PathElement, Reader, WithinOptions};

use super::address;
use crate::domain::{fact::Fact, geo::Country};

/// Holds a database of countries in the MMDB format.
pub struct GeoDb {
    reader: Reader<Vec<u8>>,
    layout: Layout,
    built_at: Timestamp,
    kind: Box<str>,
}

/// Says where the code of the country stands in a record.
#[derive(Clone, Copy)]
enum Layout {
    /// `{"country_code": "DE"}`, as in ip-location-db.
    Flat,
    /// `{"country": {"iso_code": "DE"}}`, as in `MaxMind`'s databases and those made like them.
    Nested,
}

impl Layout {
    const fn path(self) -> &'static [PathElement<'static>] {
        match self {
            Self::Flat => &[PathElement::Key("country_code")],
            Self::Nested => &[PathElement::Key("country"), PathElement::Key("iso_code")],
        }
    }
}

/// Bounds the records that are looked at to find out what a database holds.
const RECORDS_TRIED: usize = 1_000;

impl GeoDb {
    /// Takes the bytes of a database, and makes sure that there are countries in it.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, GeoError> {
        let reader = Reader::from_source(bytes).map_err(GeoError::Malformed)?;
        let metadata = reader.metadata();
        let kind = metadata.database_type.as_str().into();
        let built_at =
            i64::try_from(metadata.build_epoch).ok().and_then(|at| Timestamp::from_second(at).ok());
        let layout = Self::layout(&reader)?;
        Ok(Self { layout, built_at: built_at.unwrap_or(Timestamp::UNIX_EPOCH), kind, reader })
    }

    fn layout(reader: &Reader<Vec<u8>>) -> Result<Layout, GeoError> {
        for record in
            reader.networks(WithinOptions::default()).map_err(GeoError::Malformed)?.take(RECORDS_TRIED)
        {
            let record = record.map_err(GeoError::Malformed)?;
            for layout in [Layout::Flat, Layout::Nested] {
                if let Ok(Some(code)) = record.decode_path::<&str>(layout.path())
                    && Country::from_code(code).is_some()
                {
                    return Ok(layout);
                }
            }
        }
        Err(GeoError::NoCountries { kind: reader.metadata().database_type.clone() })
    }

    /// Returns when the database was made.
    pub const fn built_at(&self) -> Timestamp {
        self.built_at
    }

    /// Returns what the database calls itself.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Finds the country of an address; unknown for special-purpose ranges and addresses that are not in the database.
    pub fn country(&self, address: IpAddr) -> Fact<Country> {
        let address = address::normalize(address);
        let address = address::behind_nat64(address).map_or(address, IpAddr::V4);
        if special::is_special(address) {
            return Fact::Unknown;
        }
        let record = self.reader.lookup(address).ok();
        let code = record.and_then(|record| record.decode_path::<&str>(self.layout.path()).ok().flatten());
        Fact::or_unknown(code.and_then(Country::from_code))
    }
}

impl fmt::Debug for GeoDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GeoDb")
            .field("kind", &self.kind)
            .field("built_at", &self.built_at)
            .finish_non_exhaustive()
    }
}

/// Says why bytes are no database of countries.
#[derive(Debug)]
pub enum GeoError {
    /// They are not in the MMDB format, or broken.
    Malformed(MaxMindDbError),
    /// They are in the format, but hold something else than countries.
    NoCountries {
        /// What the database calls itself.
        kind: String,
    },
}

impl fmt::Display for GeoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(cause) => write!(f, "not a country database in MMDB format: {cause}"),
            Self::NoCountries { kind } => {
                write!(
                    f,
                    "the database {kind:?} holds no country codes, give one such as geo-whois-asn-country"
                )
            }
        }
    }
}

impl std::error::Error for GeoError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Malformed(cause) => Some(cause),
            Self::NoCountries { .. } => None,
        }
    }
}
