//! Names of the query parameters that are ours.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    fault::{Problem, Reason},
    host::shown,
    limits,
    query::may_be_read_as,
    utm,
};

/// The name of a parameter that carries the partner or the click id: `[A-Za-z0-9_-]{1,64}`, no UTM name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OwnParam(Arc<str>);

impl OwnParam {
    /// Takes the name if it obeys the grammar and cannot be read as a UTM parameter.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if text.is_empty() {
            return Err(Problem::required("the parameter name"));
        }
        if text.len() > limits::NAME_BYTES || !text.bytes().all(plain) {
            let text =
                format!("the parameter name `{}` is not 1 to 64 letters, digits, `_` and `-`", shown(text));
            return Err(Problem::new(Reason::Malformed, text));
        }
        if let Some(utm) = utm::PARAMETERS.iter().find(|utm| utm.eq_ignore_ascii_case(text)) {
            let text =
                format!("the parameter name `{text}` is the campaign parameter `{utm}`, choose another one");
            return Err(Problem::new(Reason::Conflict, text));
        }
        Ok(Self(text.into()))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether a raw parameter name may be read as this one, by us or by the shop's language.
    pub fn is_named_by(&self, raw_name: &str) -> bool {
        may_be_read_as(raw_name, &self.0)
    }
}

impl fmt::Display for OwnParam {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for OwnParam {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self, Problem> {
        Self::parse(&text)
    }
}

impl From<OwnParam> for String {
    fn from(name: OwnParam) -> String {
        name.0.as_ref().to_owned()
    }
}
