//! Cuts a user agent into words.

/// Holds one word of a user agent: `Chrome/141.0.0.0` has a name and a value, `Linux` only a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word<'a> {
    /// What stands before the first `/`.
    pub(super) name: &'a str,
    /// What stands behind it, or nothing.
    pub(super) value: &'a str,
}

/// Goes through the words of a user agent, which are divided by white space, brackets, commas and semicolons.
#[derive(Clone)]
pub(super) struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self { rest: text }
    }
}

fn divides(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'(' | b')' | b';' | b',')
}

fn decorates(c: char) -> bool {
    matches!(c, '[' | ']' | '"' | '\'' | '+' | '{' | '}' | '<' | '>' | '|' | ':')
}

impl<'a> Iterator for Words<'a> {
    type Item = Word<'a>;

    fn next(&mut self) -> Option<Word<'a>> {
        loop {
            let bytes = self.rest.as_bytes();
            let start = bytes.iter().position(|byte| !divides(*byte))?;
            let len = bytes[start..].iter().position(|byte| divides(*byte)).unwrap_or(bytes.len() - start);
            // All bytes that divide are ASCII, so both ends are between characters.
            let word = self.rest[start..start + len].trim_matches(decorates);
            self.rest = &self.rest[start + len..];
            if word.is_empty() {
                continue;
            }
            let (name, value) = word.split_once('/').unwrap_or((word, ""));
            return Some(Word { name: name.trim_matches(decorates), value });
        }
    }
}

/// Holds a name in small letters, cut to what the tables and signs need.
pub(super) struct Folded {
    bytes: [u8; Self::MAX],
    len: usize,
}

impl Folded {
    const MAX: usize = 48;

    pub(super) fn of(name: &str) -> Self {
        let mut bytes = [0; Self::MAX];
        let len = name.len().min(Self::MAX);
        bytes[..len].copy_from_slice(&name.as_bytes()[..len]);
        bytes[..len].make_ascii_lowercase();
        Self { bytes, len }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::{Folded, Word, Words};

    #[test]
    fn words_have_names_and_values() {
        let words: Vec<_> =
            Words::of("Mozilla/5.0 (X11; Linux) [FB_IAB/FB4A;] [LinkedInApp]/9.31 +http://a.b/c").collect();
        let word = |name, value| Word { name, value };
        assert_eq!(
            words,
            [
                word("Mozilla", "5.0"),
                word("X11", ""),
                word("Linux", ""),
                word("FB_IAB", "FB4A"),
                word("LinkedInApp", "9.31"),
                word("http", "/a.b/c"),
            ]
        );
    }

    #[test]
    fn nothing_has_no_words() {
        for text in ["", " ", "();,", "++ []"] {
            assert_eq!(Words::of(text).next(), None, "{text:?}");
        }
    }

    #[test]
    fn names_are_folded_and_cut() {
        assert_eq!(Folded::of("FxiOS").as_bytes(), b"fxios");
        assert_eq!(Folded::of(&"é".repeat(100)).as_bytes().len(), 48);
    }
}
