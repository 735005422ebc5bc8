//! Versions as user agents and hints write them.

use crate::domain::client::Version;

/// Reads the numbers that a text begins with.
pub(super) fn leading_version(text: &str) -> Option<Version> {
    let mut numbers = [0_u32; 5];
    let mut count = 0;
    let mut rest = text.as_bytes();
    while count < numbers.len() {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            break;
        }
        numbers[count] = rest[..digits].iter().try_fold(0_u32, |number, digit| {
            number.checked_mul(10).and_then(|number| number.checked_add(u32::from(digit - b'0')))
        })?;
        count += 1;
        match rest.get(digits) {
            Some(b'.' | b'_') => rest = &rest[digits + 1..],
            _ => break,
        }
    }
    (count > 0).then(|| Version::from_parts(numbers))
}

#[cfg(test)]
mod tests {
    use super::leading_version;

    #[test]
    fn leading_numbers_are_the_version() {
        let read = |text| leading_version(text).map(|version| version.to_string());
        assert_eq!(read("17_5_1").as_deref(), Some("17.5.1"));
        assert_eq!(read("15.22.29.28.arm64").as_deref(), Some("15.22.29.28"));
        assert_eq!(read("1.2.3.4.5.6.7").as_deref(), Some("1.2.3.4.5"));
        assert_eq!(read("7~bl").as_deref(), Some("7"));
        assert_eq!(read("99999999999"), None);
        assert_eq!(read("abc"), None);
        assert_eq!(read(""), None);
    }
}
