//! Golden clicks: visits that are made up, kept with a link, and where each has to go.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    client::{Browser, DeviceClass, Os, UserAgent, Version},
    destination::{Destination, page},
    fact::Fact,
    fault::{Faults, Problem, Reason},
    geo::Country,
    limits,
    name::{DisplayName, PartnerCode, RuleId},
    visit::Totals,
};

/// A visit that is made up, and where it has to go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoldenClick {
    /// What people call it.
    pub name: DisplayName,
    /// The visit.
    pub visit: TestVisit,
    /// The destination that has to be chosen.
    pub destination: Destination,
    /// The rule that has to decide; `None` = it does not matter which.
    #[serde(default)]
    pub rule: Option<RuleId>,
}

impl GoldenClick {
    /// Says what is wrong with where its visit goes: the destination that was chosen, and the rule that decided.
    pub fn judge(&self, chosen: Option<&str>, rule: Option<&RuleId>) -> Result<(), Problem> {
        let same = |chosen: &str| page(chosen) == self.destination.page();
        let wanted = self.rule.as_ref().is_none_or(|wanted| rule == Some(wanted));
        if wanted && chosen.is_some_and(same) {
            return Ok(());
        }
        let by = |rule: Option<&RuleId>| {
            rule.map_or("by no rule".to_owned(), |rule| format!("by the rule `{rule}`"))
        };
        let expected = match &self.rule {
            Some(rule) => format!("{} {}", shown(&self.destination), by(Some(rule))),
            None => shown(&self.destination),
        };
        let got = match chosen.map(Destination::parse) {
            Some(Ok(chosen)) => format!("to {} {}", shown(&chosen), by(rule)),
            Some(Err(_)) | None => "nowhere".to_owned(),
        };
        let text =
            format!("the golden click `{}` has to go to {expected}, and goes {got}", self.name.as_str());
        Err(Problem::new(Reason::GoldenClickFailed, text))
    }
}

/// Writes a destination so that the same one always reads alike.
fn shown(destination: &Destination) -> String {
    match destination.authority() {
        Some(_) => format!("`{}`", destination.as_str()),
        None => format!("`/{}`", destination.page()),
    }
}

/// Checks what one golden click alone cannot tell; paths are relative to the link.
pub fn check(golden_clicks: &[GoldenClick], faults: &mut Faults) {
    let (is, most) = (golden_clicks.len(), limits::GOLDEN_CLICKS);
    if is > most {
        let text = format!("there are {is} golden clicks, at most {most} are allowed");
        faults.add("golden_clicks", Problem::new(Reason::TooLong, text));
        return;
    }
    let mut seen = HashSet::new();
    for (at, golden) in golden_clicks.iter().enumerate() {
        if !seen.insert(golden.name.as_str()) {
            let text = format!("the name `{}` stands twice", golden.name.as_str());
            faults.add(format!("golden_clicks[{at}].name"), Problem::new(Reason::Duplicate, text));
        }
    }
}

/// What is known of a visit that is made up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TestVisit {
    /// The partner that the path names.
    pub partner: Option<PartnerCode>,
    /// The raw query, without `?`.
    pub query: String,
    /// The country.
    pub country: Option<Country>,
    /// The address.
    pub address: Option<IpAddr>,
    /// The header.
    pub user_agent: Option<String>,
    /// The class of device, whatever the user agent says.
    pub device: Option<DeviceClass>,
    /// The same of the operating system.
    pub os: Option<Os>,
    /// The same of its version.
    pub os_version: Option<Version>,
    /// The same of the browser.
    pub browser: Option<Browser>,
    /// The same of its version.
    pub browser_version: Option<Version>,
    /// The header.
    pub accept_language: Option<String>,
    /// The header.
    pub referer: Option<String>,
    /// The id by which a caller knows the visitor; empty = none.
    pub visitor_id: String,
    /// How often the visitor has come; `None` = not known.
    pub visitor_total_visits: Option<u64>,
    /// How often people have clicked on the link, and by way of the partner, this visit included.
    #[serde(default)]
    pub totals: Totals,
    /// Facts of the caller.
    pub attributes: HashMap<String, String>,
    /// When it is; `None` = when it is tried out.
    pub time: Option<Timestamp>,
    /// Whether the visitor is one of the shop's own people.
    pub internal: bool,
}

impl TestVisit {
    /// Lays what is said of the visitor's software over what its user agent says.
    pub fn correct(&self, agent: &UserAgent) -> UserAgent {
        fn over<T: Clone>(said: Option<T>, read: &Fact<T>) -> Fact<T> {
            said.map_or(read.clone(), Fact::Known)
        }
        UserAgent {
            device: over(self.device, &agent.device),
            os: over(self.os, &agent.os),
            os_version: over(self.os_version, &agent.os_version),
            browser: over(self.browser, &agent.browser),
            browser_version: over(self.browser_version, &agent.browser_version),
            automation: agent.automation.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden(destination: &str, rule: Option<&str>) -> GoldenClick {
        GoldenClick {
            name: DisplayName::parse("Germans").unwrap(),
            visit: TestVisit::default(),
            destination: Destination::parse(destination).unwrap(),
            rule: rule.map(|id| RuleId::parse(id).unwrap()),
        }
    }

    #[test]
    fn click_that_goes_where_it_has_to_is_right_however_that_is_written() {
        let promo = RuleId::parse("promo").unwrap();
        assert_eq!(golden("de", None).judge(Some("/de"), Some(&promo)), Ok(()));
        assert_eq!(golden("/de", Some("promo")).judge(Some("de"), Some(&promo)), Ok(()));
        assert_eq!(golden("", None).judge(Some("/"), None), Ok(()));
    }

    #[test]
    fn click_that_goes_elsewhere_is_told_with_the_rule() {
        let promo = RuleId::parse("promo").unwrap();
        let text = |golden: GoldenClick, chosen, rule| golden.judge(chosen, rule).unwrap_err().text;
        assert_eq!(
            text(golden("de", None), Some("fr"), Some(&promo)),
            "the golden click `Germans` has to go to `/de`, and goes to `/fr` by the rule `promo`"
        );
        assert_eq!(
            text(golden("de", Some("other")), Some("de"), Some(&promo)),
            "the golden click `Germans` has to go to `/de` by the rule `other`, and goes to `/de` by the rule `promo`"
        );
        assert_eq!(
            text(golden("https://shop.example/a", None), Some(""), None),
            "the golden click `Germans` has to go to `https://shop.example/a`, and goes to `/` by no rule"
        );
        assert_eq!(
            text(golden("de", None), None, None),
            "the golden click `Germans` has to go to `/de`, and goes nowhere"
        );
    }
}
