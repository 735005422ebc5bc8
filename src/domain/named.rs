//! Closed lists whose members have a small written name: one macro, so that all of them read and fail alike.

use std::fmt;

/// Says that a text is not a member of a closed list, and which member it comes closest to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownName {
    /// What the list holds, for the message: "operating system".
    pub kind: &'static str,
    /// The text as it was given, cut to a readable length.
    pub given: String,
    /// The member that was most likely meant.
    pub nearest: &'static str,
}

impl UnknownName {
    /// Finds the nearest of `names` for a text that is none of them.
    pub fn new(kind: &'static str, given: &str, names: impl IntoIterator<Item = &'static str>) -> Self {
        let given: String = given.chars().take(40).collect();
        let folded = given.to_ascii_lowercase().replace([' ', '-'], "_");
        let nearest = names
            .into_iter()
            .map(|name| (strsim::jaro_winkler(&folded, name), name))
            .reduce(|best, next| if next.0 > best.0 { next } else { best })
            .map_or("", |(_, name)| name);
        Self { kind, given, nearest }
    }
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown {} {:?}, the nearest is {:?}", self.kind, self.given, self.nearest)
    }
}

impl std::error::Error for UnknownName {}

/// Declares an enum together with the list of its members and their names.
macro_rules! named_enum {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident: $kind:literal {
            $( $(#[$variant_meta:meta])* $variant:ident = $text:literal, )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $name {
            $( $(#[$variant_meta])* $variant, )+
        }

        impl $name {
            /// Lists every member, in order.
            pub const ALL: &'static [Self] = &[$( Self::$variant, )+];

            /// Returns the name that rules, the API and the click log use.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $( Self::$variant => $text, )+
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::domain::named::UnknownName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $( $text => Ok(Self::$variant), )+
                    _ => Err($crate::domain::named::UnknownName::new(
                        $kind,
                        text,
                        Self::ALL.iter().map(|member| member.as_str()),
                    )),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        $crate::domain::named::serde_as_text!($name);
    };
}

/// Writes a type as its `Display` text and reads it with its `FromStr`.
macro_rules! serde_as_text {
    ($name:ident) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use {named_enum, serde_as_text};

#[cfg(test)]
mod tests {
    use super::UnknownName;

    #[test]
    fn nearest_name_is_found_whatever_the_case_and_the_separator() {
        let names = ["ios", "samsung_internet", "safari"];
        assert_eq!(UnknownName::new("browser", "Samsung Internet", names).nearest, "samsung_internet");
        assert_eq!(UnknownName::new("browser", "safary", names).nearest, "safari");
    }

    #[test]
    fn long_text_is_cut_in_the_message() {
        let error = UnknownName::new("browser", &"x".repeat(4_000), ["ios"]);
        assert!(error.to_string().len() < 100);
    }
}
