//! Structured fields (RFC 9651), the form in which hints are written.

use std::{borrow::Cow, convert::Infallible};

use sfv::{
    BareItemFromInput, KeyRef, Parser, StringRef,
    visitor::{EntryVisitor, Ignored, InnerListVisitor, ItemVisitor, ListVisitor, ParameterVisitor},
};

use super::MAX_BYTES;

/// Holds a text of a list, and the text of its parameter `v`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Member<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) version: Cow<'a, str>,
}

/// Reads `?1` or `?0`.
pub(super) fn boolean(header: Option<&str>) -> Option<bool> {
    Parser::new(bounded(header)?).parse_item().ok()
}

/// Reads one text: `"Windows"`.
pub(super) fn text(header: Option<&str>) -> Option<Cow<'_, str>> {
    let read: Cow<'_, StringRef> = Parser::new(bounded(header)?).parse_item().ok()?;
    Some(plain(read))
}

/// Reads a list of texts: `"Chromium";v="141", "Google Chrome";v="141"`; empty if it is malformed.
pub(super) fn list(header: Option<&str>) -> Vec<Member<'_>> {
    let members =
        bounded(header).map(|header| Parser::new(header).parse_list_with_visitor(Members::default()));
    members.and_then(Result::ok).unwrap_or_default()
}

/// Takes a header that is not too long: half of one would say something else.
fn bounded(header: Option<&str>) -> Option<&str> {
    header.filter(|header| header.len() <= MAX_BYTES)
}

fn plain(text: Cow<'_, StringRef>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_str()),
        Cow::Owned(text) => Cow::Owned(text.into()),
    }
}

/// Gathers the members of a list; what is no text is left out.
#[derive(Default)]
struct Members<'de>(Vec<Member<'de>>);

impl<'de> ListVisitor<'de> for Members<'de> {
    type Out = Vec<Member<'de>>;
    type Error = Infallible;

    fn entry(&mut self) -> Result<impl EntryVisitor<'de>, Infallible> {
        Ok(self)
    }

    fn finish(self) -> Result<Self::Out, Infallible> {
        Ok(self.0)
    }
}

impl<'de> EntryVisitor<'de> for &mut Members<'de> {
    type Error = Infallible;

    fn item(self) -> Result<impl ItemVisitor<'de>, Infallible> {
        Ok(self)
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'de>, Infallible> {
        Ok(Ignored)
    }
}

impl<'de> ItemVisitor<'de> for &mut Members<'de> {
    type Out = Option<()>;
    type Error = Infallible;

    fn bare_item(
        self,
        item: BareItemFromInput<'de>,
    ) -> Result<impl ParameterVisitor<'de, Out = Self::Out>, Infallible> {
        let BareItemFromInput::String(text) = item else { return Ok(None) };
        self.0.push(Member { text: plain(text), version: Cow::default() });
        Ok(self.0.last_mut())
    }
}

impl<'de> ParameterVisitor<'de> for &mut Member<'de> {
    type Out = ();
    type Error = Infallible;

    fn parameter(&mut self, key: &'de KeyRef, value: BareItemFromInput<'de>) -> Result<(), Infallible> {
        if key.as_str() == "v" {
            // Of a parameter that is there twice the last one counts, whatever it is.
            self.version =
                if let BareItemFromInput::String(text) = value { plain(text) } else { Cow::default() };
        }
        Ok(())
    }

    fn finish(self) -> Result<(), Infallible> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_BYTES, Member, boolean, list, text};

    fn members(header: &str) -> Vec<(String, String)> {
        let pair = |Member { text, version }| (text.into_owned(), version.into_owned());
        list(Some(header)).into_iter().map(pair).collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(text, version)| ((*text).to_owned(), (*version).to_owned())).collect()
    }

    #[test]
    fn lists_hold_texts_and_versions() {
        let chrome = r#""Google Chrome";v="141", "Not?A_Brand";v="8", "Chromium";v="141""#;
        let expected = [("Google Chrome", "141"), ("Not?A_Brand", "8"), ("Chromium", "141")];
        assert_eq!(members(chrome), pairs(&expected));
        assert_eq!(members(r#""(Not\"A\\Brand" ; a ;v="1";v="99" "#), pairs(&[]), "blanks before a `;`");
        assert_eq!(members(r#""(Not\"A\\Brand";a;v="1"; v="99""#), pairs(&[("(Not\"A\\Brand", "99")]));
        assert_eq!(members(r#""Tablet", "XR""#), pairs(&[("Tablet", ""), ("XR", "")]));
        assert_eq!(
            members(r#""a";v=1, b;v="2", ("c");v="3", 4, "d";v="5""#),
            pairs(&[("a", ""), ("d", "5")])
        );
        assert_eq!(members(""), pairs(&[]));
    }

    #[test]
    fn one_mistake_spoils_its_header() {
        for header in [
            r#""Chromium";v="141","#,
            r#""Chromium";v="141" "x""#,
            r#""Chromium;v=141"#,
            r#""Chromium";v="141", \"#,
            r#""Chromium";V="141""#,
            "\"Chr\u{f6}mium\";v=\"141\"",
            "Chromium/141 (x)",
        ] {
            assert_eq!(members(header), pairs(&[]), "{header}");
        }
        assert_eq!(list(None), []);
    }

    #[test]
    fn items_are_of_their_type() {
        assert_eq!((boolean(Some("?1")), boolean(Some(" ?0 "))), (Some(true), Some(false)));
        for header in ["", "1", "true", "\"?1\"", "?2", "?1, ?1"] {
            assert_eq!(boolean(Some(header)), None, "{header}");
        }
        assert_eq!(text(Some("\"Windows\"")).as_deref(), Some("Windows"));
        assert_eq!(text(Some("\"\"")).as_deref(), Some(""));
        for header in ["", "Windows", "14.0.0", "\"Windows", "\"a\", \"b\""] {
            assert_eq!(text(Some(header)), None, "{header}");
        }
    }

    #[test]
    fn what_is_too_long_counts_as_not_sent() {
        let of = |len: usize| format!("\"{}\"", "a".repeat(len - 2));
        assert!(text(Some(&of(MAX_BYTES))).is_some());
        assert_eq!(text(Some(&of(MAX_BYTES + 1))), None);
        assert_eq!(list(Some(&of(MAX_BYTES + 1))), []);
        assert_eq!(list(Some(&of(MAX_BYTES))).len(), 1);
    }
}
