//! Texts with a check of their own.

use super::fault::{Problem, Reason};

/// Declares a text with a check of its own.
macro_rules! checked_texts {
    ($($(#[$doc:meta])* $name:ident, $check:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// Takes the text if it passes.
            pub fn parse(text: &str) -> Result<Self, Problem> {
                let check: fn(&str) -> Result<(), Problem> = $check;
                check(text)?;
                Ok(Self(text.into()))
            }

            /// Returns the text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Problem;

            fn try_from(text: String) -> Result<Self, Problem> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> String {
                text.0.into()
            }
        }
    )*};
}

pub(super) use checked_texts;

/// Checks the length of a text in bytes, and that it holds no U+0000, which the database cannot keep.
pub(super) fn length(text: &str, what: &str, most: usize, required: bool) -> Result<(), Problem> {
    if required && text.is_empty() {
        return Err(Problem::required(what));
    }
    if text.len() > most {
        let text = format!("{what} is {} bytes long, at most {most} are allowed", text.len());
        return Err(Problem::new(Reason::TooLong, text));
    }
    if text.contains('\0') {
        return Err(Problem::new(Reason::Malformed, format!("{what} holds the character U+0000")));
    }
    Ok(())
}
