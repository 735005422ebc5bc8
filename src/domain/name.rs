//! The natural keys: immutable names that URLs, SQL, logs and the API share.

use std::{borrow::Borrow, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    destination::is_format,
    fault::{Problem, Reason},
    limits,
};

/// Checks `[a-z0-9]([a-z0-9_-]{0,62}[a-z0-9])?`, with `.` inside as well if `dots`.
fn check(text: &str, what: &str, dots: bool) -> Result<(), Problem> {
    if text.is_empty() {
        return Err(Problem::required(what));
    }
    if text.len() > limits::NAME_BYTES {
        let text = format!("{what} is {} bytes long, at most {} are allowed", text.len(), limits::NAME_BYTES);
        return Err(Problem::new(Reason::TooLong, text));
    }
    let edge = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let inner = |byte: u8| edge(byte) || byte == b'_' || byte == b'-' || (dots && byte == b'.');
    let bytes = text.as_bytes();
    if bytes.iter().all(|&byte| inner(byte)) && edge(bytes[0]) && edge(bytes[bytes.len() - 1]) {
        return Ok(());
    }
    let marks = if dots { "`_`, `-` and `.`" } else { "`_` and `-`" };
    Err(Problem::new(
        Reason::Malformed,
        format!("{what} may hold small letters a to z, digits, and between them {marks}"),
    ))
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident, $what:literal, dots: $dots:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the text if it obeys the grammar.
            pub fn parse(text: &str) -> Result<Self, Problem> {
                check(text, $what, $dots)?;
                Ok(Self(text.into()))
            }

            /// Takes the text with ASCII capitals made small, as look-ups do.
            pub fn fold(text: &str) -> Result<Self, Problem> {
                Self::parse(&text.to_ascii_lowercase())
            }

            /// Returns the text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Problem;

            fn try_from(text: String) -> Result<Self, Problem> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }
    )*};
}

names! {
    /// The id of a shop.
    ShopId, "the shop id", dots: false;
    /// The slug of a link.
    Slug, "the slug", dots: false;
    /// The id of a program.
    ProgramId, "the program id", dots: false;
    /// The code or an alias of a partner.
    PartnerCode, "the partner code", dots: true;
    /// The id of a rule.
    RuleId, "the rule id", dots: false;
    /// The id of a variant of a rule.
    VariantId, "the variant id", dots: false;
    /// A free word on a partner or link.
    Tag, "the tag", dots: false;
}

/// What people read: 1 to 120 characters, none of them a control character.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DisplayName(Box<str>);

impl DisplayName {
    /// Takes the text if it is not blank and not too long.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        if text.trim().is_empty() {
            return Err(Problem::required("the name"));
        }
        check_text(text, "the name", limits::DISPLAY_NAME_CHARS, false)?;
        Ok(Self(text.into()))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for DisplayName {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self, Problem> {
        Self::parse(&text)
    }
}

impl From<DisplayName> for String {
    fn from(name: DisplayName) -> String {
        name.0.into()
    }
}

/// Checks a text for people: its length in characters, and that it holds no control characters but line breaks.
pub fn check_text(text: &str, what: &str, most: usize, lines: bool) -> Result<(), Problem> {
    let chars = text.chars().count();
    if chars > most {
        let text = format!("{what} has {chars} characters, at most {most} are allowed");
        return Err(Problem::new(Reason::TooLong, text));
    }
    if text.chars().any(|c| c.is_control() && !(lines && matches!(c, '\n' | '\r' | '\t'))) {
        return Err(Problem::new(Reason::Malformed, format!("{what} holds a control character")));
    }
    if text.chars().any(is_format) {
        let text = format!("{what} holds an invisible character or one that turns the direction of writing");
        return Err(Problem::new(Reason::Malformed, text));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammar_is_as_documented() {
        let longest = "a".repeat(64);
        for good in ["a", "7", "a-b", "a_b", "summer-sale", "0--0", &longest] {
            assert!(Slug::parse(good).is_ok(), "{good}");
            assert!(PartnerCode::parse(good).is_ok(), "{good}");
        }
        let too_long = "a".repeat(65);
        for bad in
            ["", "-", "a-", "-a", "_a", "A", "a b", "a/b", "ä", "a.", ".a", &too_long, "a\n", "😀", "a+"]
        {
            assert!(Slug::parse(bad).is_err(), "{bad}");
            assert!(PartnerCode::parse(bad).is_err(), "{bad}");
        }
        assert!(Slug::parse("a.b").is_err());
        assert!(PartnerCode::parse("a.b").is_ok());
    }

    #[test]
    fn folding_takes_capitals_only() {
        assert_eq!(Slug::fold("Summer-SALE").unwrap().as_str(), "summer-sale");
        assert!(Slug::fold("Été").is_err());
    }

    #[test]
    fn names_are_counted_in_characters() {
        assert!(DisplayName::parse(&"é".repeat(120)).is_ok());
        assert_eq!(DisplayName::parse(&"é".repeat(121)).unwrap_err().reason, Reason::TooLong);
        assert_eq!(DisplayName::parse("  ").unwrap_err().reason, Reason::Required);
        assert_eq!(DisplayName::parse("a\u{0}b").unwrap_err().reason, Reason::Malformed);
    }
}
