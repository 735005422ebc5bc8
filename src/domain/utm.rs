//! Campaign parameters and their templates.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    fault::{Problem, Reason},
    host::shown,
    limits,
};

/// A placeholder in a UTM value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// The code of the credited partner.
    Partner,
    /// The program of the credited partner.
    Program,
    /// The slug of the link.
    Slug,
    /// The id of the rule that decided.
    Rule,
    /// The id of the variant that was chosen.
    Variant,
    /// The country code in capitals.
    Country,
    /// The class of device in small letters.
    Device,
    /// The click id.
    ClickId,
}

impl Placeholder {
    /// Every placeholder with its name between the braces.
    pub const ALL: [(&'static str, Self); 8] = [
        ("partner", Self::Partner),
        ("program", Self::Program),
        ("slug", Self::Slug),
        ("rule", Self::Rule),
        ("variant", Self::Variant),
        ("country", Self::Country),
        ("device", Self::Device),
        ("click_id", Self::ClickId),
    ];
}

/// A part of a UTM value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// Text that stands as it is.
    Text(&'a str),
    /// What is filled in.
    Placeholder(Placeholder),
}

/// A UTM value whose braces all belong to known placeholders; may be empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template(Arc<str>);

impl Template {
    /// Takes a text of at most 512 bytes without control characters.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        if text.len() > limits::UTM_VALUE_BYTES {
            let most = limits::UTM_VALUE_BYTES;
            let text = format!("the value is {} bytes long, at most {most} are allowed", text.len());
            return Err(Problem::new(Reason::TooLong, text));
        }
        if text.chars().any(char::is_control) {
            return Err(Problem::new(Reason::Malformed, "the value holds a control character"));
        }
        for part in parts(text) {
            part.map_err(|bad| {
                let names: Vec<_> = Placeholder::ALL.iter().map(|(name, _)| format!("{{{name}}}")).collect();
                let text = format!("`{}` is no placeholder; there are {}", shown(bad), names.join(" "));
                Problem::new(Reason::UnknownValue, text)
            })?;
        }
        Ok(Self(text.into()))
    }

    /// Returns the text as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the parts in order.
    pub fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        // The constructor has seen that every part is sound.
        parts(&self.0).filter_map(Result::ok)
    }
}

/// Cuts a text at its placeholders; what begins at a stray brace is an error.
fn parts(text: &str) -> impl Iterator<Item = Result<Part<'_>, &str>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some(brace) = rest.find(['{', '}']) else {
            return Some(Ok(Part::Text(std::mem::take(&mut rest))));
        };
        if brace > 0 {
            let (before, after) = rest.split_at(brace);
            rest = after;
            return Some(Ok(Part::Text(before)));
        }
        let end = rest.find('}').map_or(rest.len(), |at| at + 1);
        let (placeholder, after) = rest.split_at(end);
        rest = after;
        let name = placeholder.strip_prefix('{').and_then(|name| name.strip_suffix('}'));
        let known = Placeholder::ALL.iter().find(|(known, _)| Some(*known) == name);
        Some(known.map(|&(_, known)| Part::Placeholder(known)).ok_or(placeholder))
    })
}

impl TryFrom<String> for Template {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self, Problem> {
        Self::parse(&text)
    }
}

impl From<Template> for String {
    fn from(template: Template) -> String {
        template.0.as_ref().to_owned()
    }
}

/// The six UTM parameters in the order in which they stand in an address.
pub const PARAMETERS: [&str; 6] =
    ["utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "utm_id"];

/// The UTM values of a link or rule; `None` = not set here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Utm {
    /// `utm_source`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Template>,
    /// `utm_medium`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub medium: Option<Template>,
    /// `utm_campaign`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub campaign: Option<Template>,
    /// `utm_term`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub term: Option<Template>,
    /// `utm_content`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Template>,
    /// `utm_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Template>,
}

impl Utm {
    /// Returns the values in the order of [`PARAMETERS`].
    pub fn values(&self) -> [Option<&Template>; 6] {
        [&self.source, &self.medium, &self.campaign, &self.term, &self.content, &self.id].map(Option::as_ref)
    }

    /// Returns whether nothing is set.
    pub fn is_unset(&self) -> bool {
        self.values().iter().all(Option::is_none)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_brace_belongs_to_a_placeholder() {
        for good in [
            "",
            "x",
            "{partner}",
            "a-{country}-{device}{click_id}",
            "{slug}/{rule}{variant}{program}",
            "é 日",
        ] {
            assert!(Template::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "{",
            "}",
            "{partner",
            "a}b",
            "{{x}}",
            "{{partner}}",
            "{Partner}",
            "{ partner }",
            "{}",
            "{x}",
            "a\n",
        ] {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
        let template = Template::parse("c-{country}!").unwrap();
        let parts: Vec<_> = template.parts().collect();
        assert_eq!(parts, [Part::Text("c-"), Part::Placeholder(Placeholder::Country), Part::Text("!")]);
    }
}
