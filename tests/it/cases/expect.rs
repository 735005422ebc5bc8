//! What a case expects, and how that is compared with what came.

use serde::Deserialize;
use smartlinks::domain::{param::OwnParam, shop::ShopSettings};

/// What must come of a visit; only what is set is compared.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expect {
    location: Option<String>,
    /// Where a look-up goes, if not to `location` without the click id parameter.
    lookup: Option<String>,
    nowhere: Option<String>,
    reason: Option<String>,
    rule: Option<String>,
    variant: Option<String>,
    partner: Option<String>,
    attribution: Option<String>,
    redirect: Option<u16>,
    class: Option<String>,
}

/// What came of a visit, as far as a level shows it.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) location: String,
    pub(super) click_id: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) rule: Option<String>,
    pub(super) variant: Option<String>,
    pub(super) partner: Option<String>,
    pub(super) attribution: Option<String>,
    pub(super) redirect: Option<u16>,
    pub(super) class: Option<String>,
}

/// Why a visit goes nowhere: `LINK_PAUSED`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Nowhere(pub(super) String);

const CLICK_ID: &str = "{click_id}";

impl Expect {
    /// Returns why the visit must go nowhere.
    pub(super) fn nowhere(&self) -> Option<&str> {
        self.nowhere.as_deref()
    }

    /// Tells whether nobody has clicked yet.
    pub(super) fn is_ahead(&self) -> bool {
        self.class.as_deref() == Some("prefetch")
    }

    /// Says how the answer to a click differs.
    pub(super) fn differs_from_click(&self, came: &Result<Answer, Nowhere>) -> Option<String> {
        self.differs(self.location.as_deref(), came)
    }

    /// Says how the answer to a look-up differs.
    pub(super) fn differs_from_lookup(
        &self,
        shop: &ShopSettings,
        came: &Result<Answer, Nowhere>,
    ) -> Option<String> {
        let location = self.lookup.clone().or_else(|| {
            let location = self.location.as_deref()?;
            Some(without_click_id(location, shop.click_id_param.as_ref()))
        });
        self.differs(location.as_deref(), came)
    }

    fn differs(&self, location: Option<&str>, came: &Result<Answer, Nowhere>) -> Option<String> {
        match (location, &self.nowhere, came) {
            (None, Some(expected), Err(Nowhere(got))) => {
                (expected != got).then(|| pair("nowhere", expected, got))
            }
            (None, Some(expected), Ok(got)) => Some(pair("nowhere", expected, &got.location)),
            (Some(expected), None, Err(Nowhere(got))) => {
                Some(pair("location", expected, &format!("nowhere: {got}")))
            }
            (Some(expected), None, Ok(got)) => {
                let differences = self.differences(expected, got);
                (!differences.is_empty()).then(|| differences.join("\n"))
            }
            (Some(_), Some(_), _) | (None, None, _) => {
                Some("  the case says neither or both of location and nowhere".into())
            }
        }
    }

    fn differences(&self, location: &str, got: &Answer) -> Vec<String> {
        let mut differences = Vec::new();
        if !fits(location, got) {
            let id = got.click_id.as_ref().map(|id| format!(" (click id {id})")).unwrap_or_default();
            differences.push(pair("location", location, &format!("{}{id}", got.location)));
        }
        let redirect = self.redirect.map(|redirect| redirect.to_string());
        let got_redirect = got.redirect.map(|redirect| redirect.to_string());
        for (what, expected, got) in [
            ("reason", &self.reason, &got.reason),
            ("rule", &self.rule, &got.rule),
            ("variant", &self.variant, &got.variant),
            ("partner", &self.partner, &got.partner),
            ("attribution", &self.attribution, &got.attribution),
            ("redirect", &redirect, &got_redirect),
            ("class", &self.class, &got.class),
        ] {
            if let (Some(expected), Some(got)) = (expected, got)
                && expected != got
            {
                differences.push(pair(what, expected, got));
            }
        }
        differences
    }
}

fn pair(what: &str, expected: &str, got: &str) -> String {
    format!("  {what}\n    expected {expected}\n    got      {got}")
}

/// Compares a location with its pattern: every `{click_id}` is the one id of the click, a UUID of version 7.
fn fits(pattern: &str, got: &Answer) -> bool {
    let Some(at) = pattern.find(CLICK_ID) else { return pattern == got.location };
    let Some(id) = got.location.get(at..at + 36) else { return false };
    let is_id = uuid::Uuid::try_parse(id).is_ok_and(|id| id.get_version_num() == 7);
    is_id
        && got.click_id.as_deref().is_none_or(|own| own == id)
        && pattern.replace(CLICK_ID, id) == got.location
}

/// Leaves out the click id parameter, and the ids in campaign values.
fn without_click_id(location: &str, param: Option<&OwnParam>) -> String {
    let without_param = param.and_then(|param| {
        let param = format!("{param}={CLICK_ID}");
        let at = location.rfind(&param)?;
        let (before, after) = (&location[..at - 1], &location[at + param.len()..]);
        Some(format!("{before}{after}"))
    });
    without_param.unwrap_or_else(|| location.to_owned()).replace(CLICK_ID, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "019975d0-0000-7000-8000-000000000000";

    #[test]
    fn click_ids_are_compared_as_ids() {
        let answer = |location: String| Answer { location, click_id: Some(ID.into()), ..Answer::default() };
        assert!(fits("/s?click_id={click_id}", &answer(format!("/s?click_id={ID}"))));
        assert!(fits("/s?u={click_id}&c={click_id}", &answer(format!("/s?u={ID}&c={ID}"))));
        assert!(!fits("/s?click_id={click_id}", &answer("/s?click_id=".into())));
        assert!(!fits("/s?click_id={click_id}", &answer(format!("/s?click_id={}", ID.replace('9', "8")))));
        assert!(!fits("/s?click_id={click_id}", &answer(format!("/s?click_id={ID}#x"))));
    }

    #[test]
    fn lookups_leave_the_click_id_out() {
        let param = OwnParam::parse("click_id").unwrap();
        for (click, lookup) in [
            ("/s?ref=a&click_id={click_id}#x", "/s?ref=a#x"),
            ("/s?click_id={click_id}", "/s"),
            ("/s?utm_id=a-{click_id}&click_id={click_id}", "/s?utm_id=a-"),
            ("/s?a=1", "/s?a=1"),
        ] {
            assert_eq!(without_click_id(click, Some(&param)), lookup);
        }
    }
}
