//! Client hints: what a browser says of itself in headers of their own, and how it corrects what its user agent says.
//!
//! Why they count for more, and where the tables come from, is in `docs/decisions/0010-client-hints.md`.

mod brands;
mod correct;
mod field;

use std::sync::Arc;

use crate::domain::client::UserAgent;

/// Bounds how long a hint may be; a longer one counts as not sent, since a part of it would say something else.
const MAX_BYTES: usize = 1_024;

/// Holds the headers of client hints as they came; `None` = not sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientHints<'a> {
    /// `Sec-CH-UA`: the brands of the browser with their major versions.
    pub brands: Option<&'a str>,
    /// `Sec-CH-UA-Full-Version-List`: the same with full versions.
    pub full_versions: Option<&'a str>,
    /// `Sec-CH-UA-Mobile`.
    pub mobile: Option<&'a str>,
    /// `Sec-CH-UA-Platform`.
    pub platform: Option<&'a str>,
    /// `Sec-CH-UA-Platform-Version`.
    pub platform_version: Option<&'a str>,
    /// `Sec-CH-UA-Form-Factors`.
    pub form_factors: Option<&'a str>,
}

impl ClientHints<'_> {
    /// Corrects what a user agent says; without hints it is what comes back.
    ///
    /// What calls itself software stays as it is: nobody becomes a person by sending a browser's headers.
    pub fn correct(&self, said: Arc<UserAgent>) -> Arc<UserAgent> {
        if *self == Self::default() || said.automation.is_some() {
            return said;
        }
        Arc::new(correct::lay_over(&said, self))
    }
}
