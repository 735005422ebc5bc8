//! Decimals, compared exactly.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::fault::{Problem, Reason};

/// Digits on each side of the point.
const DIGITS: usize = 18;
/// The greatest decimal, in units of the last digit.
const MOST: i128 = 10_i128.pow(2 * DIGITS as u32) - 1;

/// A decimal with at most 18 digits on each side of the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Decimal(i128);

impl Decimal {
    /// Takes `12`, `-12.50`, `+0.5`; no exponent, no white space, digits on both sides of a point.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
        let digits =
            |part: &str| (1..=DIGITS).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(fraction) {
            return None;
        }
        let scaled: i128 = format!("{whole}{fraction:0<DIGITS$}").parse().ok()?;
        Some(Self(if negative { -scaled } else { scaled }))
    }

    /// Returns the next greater decimal, if there is one.
    pub fn next(self) -> Option<Self> {
        (self.0 < MOST).then(|| Self(self.0 + 1))
    }

    /// Returns the next smaller decimal, if there is one.
    pub fn previous(self) -> Option<Self> {
        (self.0 > -MOST).then(|| Self(self.0 - 1))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let digits = format!("{:0>width$}", self.0.unsigned_abs(), width = DIGITS + 1);
        let (whole, fraction) = digits.split_at(digits.len() - DIGITS);
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        write!(f, "{sign}{whole}{point}{fraction}")
    }
}

impl TryFrom<String> for Decimal {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self, Problem> {
        Self::parse(&text).ok_or_else(|| {
            Problem::new(
                Reason::Malformed,
                "a decimal is written `-12.50`, with at most 18 digits on each side",
            )
        })
    }
}

impl From<Decimal> for String {
    fn from(decimal: Decimal) -> String {
        decimal.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_compare_as_numbers_and_print_short() {
        let decimal = |text| Decimal::parse(text).unwrap();
        assert!(decimal("10") > decimal("9.99"));
        assert!(decimal("-10") < decimal("-9.99"));
        assert_eq!(decimal("+1.50"), decimal("1.5"));
        assert_eq!(decimal("-0"), decimal("0"));
        assert!(decimal("0.000000000000000001") > decimal("0"));
        assert_eq!(decimal("-12.50").to_string(), "-12.5");
        assert_eq!(decimal("007").to_string(), "7");
        for bad in
            ["", "-", ".5", "5.", "1e3", " 1", "1,5", "1.2.3", "½", "0x1", "1234567890123456789", "--1"]
        {
            assert_eq!(Decimal::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn nothing_lies_between_neighbours() {
        let decimal = |text| Decimal::parse(text).unwrap();
        assert_eq!(decimal("0").next(), Some(decimal("0.000000000000000001")));
        assert_eq!(decimal("10").previous(), Some(decimal("9.999999999999999999")));
        let most = decimal("999999999999999999.999999999999999999");
        assert_eq!((most.next(), most.previous().unwrap().next()), (None, Some(most)));
        let least = decimal("-999999999999999999.999999999999999999");
        assert_eq!((least.previous(), least.next().unwrap().previous()), (None, Some(least)));
    }
}
