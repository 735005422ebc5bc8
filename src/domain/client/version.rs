//! Versions of operating systems and browsers.

use std::{fmt, str::FromStr};

use crate::domain::named::serde_as_text;

/// Counts the numbers that a version may have; `Instagram 342.0.0.33.103` has as many.
const PARTS: usize = 5;

/// Holds a version as numbers; parts that are not written count as 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version([u32; PARTS]);

impl Version {
    /// Makes a version of two numbers.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self([major, minor, 0, 0, 0])
    }

    /// Makes a version of its numbers.
    pub const fn from_parts(parts: [u32; 5]) -> Self {
        Self(parts)
    }

    /// Reads one to five numbers with dots between them, and nothing else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = [0; PARTS];
        let mut parts = text.split('.');
        for number in &mut numbers {
            let Some(part) = parts.next() else { break };
            // `u32::from_str` would accept a sign.
            if !part.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            *number = part.parse().ok()?;
        }
        parts.next().is_none().then_some(Self(numbers))
    }

    /// Returns the first number.
    pub const fn major(self) -> u32 {
        self.0[0]
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, rest @ ..] = self.0;
        write!(f, "{major}")?;
        let written = rest.iter().rposition(|part| *part != 0).map_or(0, |last| last + 1);
        rest[..written].iter().try_for_each(|part| write!(f, ".{part}"))
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({self})")
    }
}

/// Says that a text is not a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidVersion {
    /// The text as it was given, cut to a readable length.
    pub given: String,
}

impl fmt::Display for InvalidVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not a version, write one to five numbers with dots, such as 17.5", self.given)
    }
}

impl std::error::Error for InvalidVersion {}

impl FromStr for Version {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        Self::parse(text).ok_or_else(|| InvalidVersion { given: text.chars().take(40).collect() })
    }
}

serde_as_text!(Version);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Version;

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    #[test]
    fn versions_compare_number_by_number() {
        assert!(version("17.5") >= version("17"));
        assert!(version("9") < version("10"));
        assert!(version("126.0.6478.127") > version("126.0.6478.9"));
        assert_eq!(version("17.0.0"), version("17"));
    }

    #[test]
    fn versions_are_written_without_needless_zeros() {
        assert_eq!(version("17.0").to_string(), "17");
        assert_eq!(version("0.10.0").to_string(), "0.10");
        assert_eq!(version("342.0.0.33.103").to_string(), "342.0.0.33.103");
        assert_eq!(serde_json::to_string(&version("8.1")).unwrap(), "\"8.1\"");
    }

    #[test]
    fn anything_else_is_no_version() {
        for text in ["", ".", "1.", "1..2", "+1", "-1", "1.2b", "1.2.3.4.5.6", "99999999999", "１", "17_5"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics_and_written_versions_read_back(text in "\\PC*", parts in prop::collection::vec(0u32.., 1..6)) {
            let _ = Version::parse(&text);
            let written = parts.iter().map(u32::to_string).collect::<Vec<_>>().join(".");
            let read = version(&written);
            prop_assert_eq!(version(&read.to_string()), read);
        }
    }
}
