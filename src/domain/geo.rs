//! Countries and continents.

mod countries;

use std::{fmt, str::FromStr};

use countries::COUNTRIES;

use super::named::{named_enum, serde_as_text};

named_enum! {
    /// Names one of the seven continents.
    pub enum Continent: "continent" {
        /// Africa.
        Africa = "africa",
        /// Antarctica, with the islands around it.
        Antarctica = "antarctica",
        /// Asia.
        Asia = "asia",
        /// Europe.
        Europe = "europe",
        /// North America, with Central America and the Caribbean.
        NorthAmerica = "north_america",
        /// Oceania.
        Oceania = "oceania",
        /// South America.
        SouthAmerica = "south_america",
    }
}

/// Names a country by its ISO 3166-1 code.
///
/// The list is the 249 officially assigned codes; `UK`, `EU` and user-assigned codes such as `XK` are not in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country(u8);

/// Lists the 27 member states, and the territories with a code of their own in which Union law applies in full.
const EUROPEAN_UNION: [&str; 34] = [
    "AT", "AX", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GF", "GP", "GR", "HR", "HU",
    "IE", "IT", "LT", "LU", "LV", "MF", "MQ", "MT", "NL", "PL", "PT", "RE", "RO", "SE", "SI", "SK", "YT",
];

/// Pairs codes that people write, and that ISO 3166-1 does not assign, with the country they mean.
const MEANT: [(&str, &str); 9] = [
    ("AN", "CW"),
    ("CS", "RS"),
    ("EL", "GR"),
    ("EN", "GB"),
    ("JA", "JP"),
    ("SU", "RU"),
    ("UK", "GB"),
    ("YU", "RS"),
    ("ZR", "CD"),
];

impl Country {
    /// Lists every country, ordered by code.
    pub const ALL: &'static [Self] = &{
        let mut all = [Self(0); COUNTRIES.len()];
        let mut i = 0;
        while i < all.len() {
            all[i] = Self(i as u8);
            i += 1;
        }
        all
    };

    /// Reads a code in any case.
    pub fn parse(text: &str) -> Result<Self, UnknownCountry> {
        Self::from_code(text).ok_or_else(|| UnknownCountry::new(text))
    }

    /// Reads a code in any case, without the cost of an error.
    pub fn from_code(text: &str) -> Option<Self> {
        let &[first, second] = text.as_bytes() else { return None };
        let code = [first.to_ascii_uppercase(), second.to_ascii_uppercase()];
        let index = COUNTRIES.binary_search_by(|row| row.0.as_bytes().cmp(&code[..])).ok()?;
        u8::try_from(index).ok().map(Self)
    }

    /// Returns the two capitals of the code.
    pub const fn as_str(self) -> &'static str {
        COUNTRIES[self.0 as usize].0
    }

    /// Returns the short English name.
    pub const fn name(self) -> &'static str {
        COUNTRIES[self.0 as usize].2
    }

    /// Returns the continent, by the table of `GeoNames` where a country lies on two.
    pub const fn continent(self) -> Continent {
        COUNTRIES[self.0 as usize].3
    }

    /// Tells whether the country is in the European Union.
    ///
    /// The 27 member states and AX, GF, GP, MF, MQ, RE, YT.
    pub fn in_eu(self) -> bool {
        EUROPEAN_UNION.binary_search(&self.as_str()).is_ok()
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Country({})", self.as_str())
    }
}

impl FromStr for Country {
    type Err = UnknownCountry;

    fn from_str(text: &str) -> Result<Self, UnknownCountry> {
        Self::parse(text)
    }
}

serde_as_text!(Country);

/// Says that a text is no country code, and which code was most likely meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownCountry {
    /// The text as it was given, cut to a readable length.
    pub given: String,
    /// The code that was most likely meant.
    pub nearest: Country,
}

impl UnknownCountry {
    fn new(text: &str) -> Self {
        let given: String = text.chars().take(40).collect();
        let capitals = given.to_ascii_uppercase();
        let meant = MEANT.iter().find(|(wrong, _)| *wrong == capitals).map(|(_, right)| *right);
        let long_code = || COUNTRIES.iter().find(|row| row.1 == capitals).map(|row| row.0);
        // A longer text is rather a name than a code.
        let by_name = || {
            let score =
                |country: &Country| strsim::jaro_winkler(&country.name().to_ascii_uppercase(), &capitals);
            let all = Country::ALL.iter().copied();
            all.max_by(|a, b| score(a).total_cmp(&score(b))).filter(|_| capitals.len() > 2)
        };
        let by_code = || {
            let score = |country: &Country| strsim::jaro_winkler(country.as_str(), &capitals);
            let mut best = Country::ALL[0];
            for country in Country::ALL {
                if score(country) > score(&best) {
                    best = *country;
                }
            }
            best
        };
        let nearest =
            meant.or_else(long_code).and_then(Country::from_code).or_else(by_name).unwrap_or_else(by_code);
        Self { given, nearest }
    }
}

impl fmt::Display for UnknownCountry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { given, nearest } = self;
        write!(f, "unknown country code {given:?}, the nearest is {nearest} ({})", nearest.name())
    }
}

impl std::error::Error for UnknownCountry {}

#[cfg(test)]
mod tests {
    use super::{COUNTRIES, Continent, Country, EUROPEAN_UNION};

    fn country(code: &str) -> Country {
        Country::parse(code).unwrap()
    }

    #[test]
    fn tables_are_sorted_and_complete() {
        assert!(COUNTRIES.is_sorted_by(|a, b| a.0 < b.0));
        assert!(EUROPEAN_UNION.is_sorted());
        assert_eq!(Country::ALL.len(), 249);
        assert_eq!(Country::ALL.iter().filter(|country| country.in_eu()).count(), 34);
        for code in EUROPEAN_UNION {
            country(code);
        }
    }

    #[test]
    fn codes_are_read_in_any_case_and_written_in_capitals() {
        assert_eq!(country("de").as_str(), "DE");
        assert_eq!(country("dE").name(), "Germany");
        for country in Country::ALL {
            assert_eq!(Country::parse(country.as_str()), Ok(*country));
        }
    }

    #[test]
    fn unknown_code_names_the_nearest() {
        for (wrong, right) in [
            ("UK", "GB"),
            ("uk", "GB"),
            ("EL", "GR"),
            ("germany", "DE"),
            ("Germny", "DE"),
            ("USA", "US"),
            ("DEU", "DE"),
            ("FRA", "FR"),
        ] {
            assert_eq!(Country::parse(wrong).unwrap_err().nearest.as_str(), right, "{wrong}");
        }
        assert_eq!(
            Country::parse("UK").unwrap_err().to_string(),
            "unknown country code \"UK\", the nearest is GB (United Kingdom)"
        );
        for wrong in ["", "D", "XX", "EU", "日本", "\u{0}\u{0}"] {
            assert!(Country::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn continents_follow_the_named_table() {
        for (code, continent) in [
            ("RU", Continent::Europe),
            ("CY", Continent::Europe),
            ("TR", Continent::Asia),
            ("GE", Continent::Asia),
            ("EG", Continent::Africa),
            ("GL", Continent::NorthAmerica),
            ("GF", Continent::SouthAmerica),
            ("AQ", Continent::Antarctica),
            ("TL", Continent::Oceania),
        ] {
            assert_eq!(country(code).continent(), continent, "{code}");
        }
    }

    #[test]
    fn union_counts_its_territories_and_not_its_neighbours() {
        for code in ["DE", "FR", "RE", "AX", "YT"] {
            assert!(country(code).in_eu(), "{code}");
        }
        for code in ["GB", "CH", "NO", "GL", "NC", "PF", "AW", "MC"] {
            assert!(!country(code).in_eu(), "{code}");
        }
    }

    #[test]
    fn serde_uses_the_code() {
        assert_eq!(serde_json::to_string(&country("at")).unwrap(), "\"AT\"");
        assert!(serde_json::from_str::<Country>("\"UK\"").is_err());
        assert_eq!(serde_json::from_str::<Continent>("\"north_america\"").unwrap(), Continent::NorthAmerica);
    }
}
