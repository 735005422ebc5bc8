//! Erasures: what of the clicks of a shop is removed because someone asked.

use jiff::civil::Date;

use super::{
    click::VisitorKey,
    fault::{Problem, Reason},
    name::PartnerCode,
};

/// Which clicks of a shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErasureScope {
    /// Those credited to a partner.
    Partner(PartnerCode),
    /// Those of a UTC day.
    Day(Date),
    /// Those of a visitor.
    Visitor(VisitorKey),
    /// All.
    Everything,
}

/// Stands for a visitor who was erased, and whose key is forgotten since. Nobody's hash or random id comes out like this.
pub const FORGOTTEN_VISITOR: VisitorKey = [0; 16];

/// Writes a visitor's key in hexadecimal.
pub fn write_visitor(key: VisitorKey) -> String {
    format!("{:032x}", u128::from_be_bytes(key))
}

/// Reads a visitor's key as it is written.
pub fn read_visitor(text: &str) -> Result<VisitorKey, Problem> {
    let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let key = if is_hex { u128::from_str_radix(text, 16).ok() } else { None };
    let malformed = || Problem::new(Reason::Malformed, "a visitor is written with 32 hexadecimal digits");
    key.map(u128::to_be_bytes).ok_or_else(malformed)
}

/// Reads a UTC day, `2026-11-22`.
pub fn read_day(text: &str) -> Result<Date, Problem> {
    let malformed = || Problem::new(Reason::Malformed, "a day is written as `2026-11-22`");
    let date = if text.len() == 10 { Date::strptime("%Y-%m-%d", text).ok() } else { None };
    date.ok_or_else(malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visitors_and_days_read_back() {
        let key = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255];
        assert_eq!(write_visitor(key), "000102030405060708090a0b0c0d0eff");
        assert_eq!(read_visitor(&write_visitor(key)), Ok(key));
        assert_eq!(read_day("2026-11-22").unwrap().to_string(), "2026-11-22");
        for bad in ["", "0", "+00102030405060708090a0b0c0d0eff", "é00102030405060708090a0b0c0d0ef"] {
            assert!(read_visitor(bad).is_err(), "{bad}");
        }
        for bad in ["", "2026-02-30", "2026-2-3", "22.11.2026", "2026-11-22T00"] {
            assert!(read_day(bad).is_err(), "{bad}");
        }
    }
}
