//! What analysis says of the rules that a write leaves behind: what it is refused for, and what it is warned of.

use jiff::Timestamp;

use super::warnings::warning;
use crate::{
    domain::{
        fact::Fact,
        fault::{Faults, Problem, Reason},
        limits,
        link::{Link, Routing, Rule},
        shop::ShopSettings,
    },
    index::analysis::{Analysis, Finding, FindingKind, VisitFact, Witness, analyse},
    proto::Warning,
};

/// Facts of a visit that a refusal tells of; `CheckLink` tells all.
const TOLD_FACTS: usize = 12;
/// Rules that are named when they were not decided.
const NAMED_RULES: usize = 10;

/// What rules that never decide are to a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Idle {
    /// A fault, if it is by this write's doing.
    Refused,
    /// Something to be warned of.
    Warned,
}

impl Idle {
    /// Reads the field of a request.
    pub(super) fn of(allow_warnings: bool) -> Self {
        if allow_warnings { Self::Warned } else { Self::Refused }
    }
}

/// Looks at the rules of one write.
pub(super) struct Review<'a> {
    shop: &'a ShopSettings,
    idle: Idle,
    now: Timestamp,
    /// What is left of the steps of the whole call.
    steps: u64,
    /// How many more warnings its answer takes.
    room: usize,
}

impl<'a> Review<'a> {
    pub(super) fn new(shop: &'a ShopSettings, idle: Idle, now: Timestamp) -> Self {
        let steps = limits::WRITE_STEPS * limits::WRITE_LINKS;
        Self { shop, idle, now, steps, room: limits::RULE_WARNINGS }
    }

    /// Adds what is found out about a link, which was another before or is new. Paths of faults are relative to the link,
    /// those of warnings are not.
    pub(super) fn of(
        &mut self,
        path: &str,
        before: Option<&Link>,
        after: &Link,
        faults: &mut Faults,
        warnings: &mut Vec<Warning>,
    ) {
        let findings = self.findings(after);
        let rules = &after.routing.rules;
        let (mut undecided, mut unfinished, mut told) = (Vec::new(), Vec::new(), Vec::new());
        let mut earlier = None;
        for finding in findings {
            let field = finding.path();
            let reason = finding.kind.refuses();
            let rule = finding.rule.and_then(|at| rules.get(at));
            if let Some((reason, rule)) = reason.filter(|_| self.idle == Idle::Refused).zip(rule)
                && self.is_news(before, after, rule, reason, &mut earlier)
            {
                let text =
                    format!("{}{}; change it, or set `allow_warnings`", finding.text, shown(&finding, rules));
                faults.add(field, Problem::new(reason, text));
            } else if finding.kind == FindingKind::Undecided {
                undecided.extend(rule.map(|rule| format!("`{}`", rule.id)));
            } else if finding.kind == FindingKind::Unfinished {
                unfinished.extend(rule.map(|rule| format!("`{}`", rule.id)));
            } else {
                told.push(warning(
                    format!("{path}.{field}"),
                    format!("{}{}", finding.text, shown(&finding, rules)),
                ));
            }
        }
        let more = told.split_off(told.len().min(self.room)).len();
        self.room -= told.len();
        warnings.append(&mut told);
        let mut tell = |text: String| warnings.push(warning(format!("{path}.rules"), text));
        if more > 0 {
            tell(format!("{more} more things are to be said of the rules; CheckLink says them"));
        }
        for (named, what) in [
            (undecided, "it was not decided whether they are ever reached"),
            (unfinished, "it was not looked to the end for what they need"),
        ] {
            if !named.is_empty() {
                let (count, some) = (named.len(), named[..named.len().min(NAMED_RULES)].join(", "));
                tell(format!("of {count} of the rules {what} ({some}); CheckLink takes longer over it"));
            }
        }
    }

    fn findings(&mut self, link: &Link) -> Vec<Finding> {
        if link.routing.rules.is_empty() {
            return Vec::new();
        }
        let steps = limits::WRITE_STEPS.min(self.steps);
        // Whether a server has a country database does not depend on the link: that is for CheckLink to say.
        let ask = Analysis { link, shop: self.shop, countries: true, now: self.now, steps, thorough: false };
        let report = analyse(&ask);
        self.steps -= report.steps;
        report.findings
    }

    /// Returns whether a rule never decides by this write's doing.
    fn is_news(
        &mut self,
        before: Option<&Link>,
        after: &Link,
        rule: &Rule,
        reason: Reason,
        earlier: &mut Option<Vec<Finding>>,
    ) -> bool {
        let Some(before) = before else { return true };
        let rules = &before.routing.rules;
        let times = |routing: &Routing| (routing.start_time, routing.expire_time);
        if *rules == after.routing.rules && times(&before.routing) == times(&after.routing) {
            return false;
        }
        let same = |old: &&Rule| old.id == rule.id && old.when == rule.when && old.enabled == rule.enabled;
        if !rules.iter().any(|old| same(&old)) {
            return true;
        }
        let earlier = earlier.get_or_insert_with(|| self.findings(before));
        // What was not decided may have been so.
        let was_so = |finding: &Finding| {
            (finding.kind.refuses() == Some(reason) || finding.kind == FindingKind::Undecided)
                && finding.rule.and_then(|at| rules.get(at)).is_some_and(|old| old.id == rule.id)
        };
        !earlier.iter().any(was_so)
    }
}

/// Tells of the visit that shows a finding.
fn shown(finding: &Finding, rules: &[Rule]) -> String {
    let Some(Witness { facts, decided_by, .. }) = &finding.witness else { return String::new() };
    let mut told: Vec<String> = facts.iter().take(TOLD_FACTS).map(fact).collect();
    if facts.len() > TOLD_FACTS {
        told.push("…".to_owned());
    }
    let to = match decided_by.and_then(|at| rules.get(at)) {
        Some(rule) => format!("rule `{}`", rule.id),
        None => "the default destination".to_owned(),
    };
    format!("; a visit with {} goes to {to}", told.join(", "))
}

fn fact(VisitFact { attribute, value }: &VisitFact) -> String {
    match value {
        Fact::Known(value) => format!("{attribute} = `{value}`"),
        Fact::Absent => format!("{attribute} absent"),
        Fact::Unknown => format!("{attribute} unknown"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn shop() -> ShopSettings {
        serde_json::from_value(json!({
            "base_url": "https://shop.example",
            "link_hosts": ["go.shop.example"],
            "public_url": "https://go.shop.example",
            "partner_param": "ref",
            "click_id_param": "click_id",
        }))
        .unwrap()
    }

    fn link(conditions: &[Json]) -> Link {
        let rule = |(at, when): (usize, &Json)| json!({"id": format!("r{at}"), "when": when, "then": {"destination": "a"}});
        let rules: Vec<Json> = conditions.iter().enumerate().map(rule).collect();
        serde_json::from_value(json!({
            "shop": "acme",
            "slug": "sale",
            "is_default": false,
            "display_name": "Sale",
            "description": "",
            "tags": [],
            "state": "active",
            "sharing": "everyone",
            "routing": {"default_destination": "", "rules": rules, "redirect": "found"},
        }))
        .unwrap()
    }

    fn device(class: &str) -> Json {
        json!({"is": {"device": [class]}})
    }

    /// Returns the faults and warnings about a change.
    fn look(review: &mut Review<'_>, before: &Link, after: &Link) -> (Faults, Vec<Warning>) {
        let (mut faults, mut warnings) = (Faults::new(), Vec::new());
        review.of("link", Some(before), after, &mut faults, &mut warnings);
        (faults, warnings)
    }

    #[test]
    fn rule_is_not_refused_because_there_are_no_steps_to_see_that_it_was_so_before() {
        let (shop, now) = (shop(), Timestamp::UNIX_EPOCH);
        let before = link(&[device("mobile"), device("mobile")]);
        let after = link(&[device("mobile"), device("mobile"), device("tv")]);
        let mut is_warned = false;
        for steps in (0..30_000).step_by(101) {
            let mut review = Review { steps, ..Review::new(&shop, Idle::Refused, now) };
            let (faults, warnings) = look(&mut review, &before, &after);
            assert!(faults.is_empty(), "{steps}: {faults:?}");
            is_warned |= warnings.iter().any(|warning| warning.field == "link.rules[1].when");
        }
        assert!(is_warned);
        let added = link(&[device("mobile"), device("tv"), device("mobile")]);
        let (faults, _) = look(&mut Review::new(&shop, Idle::Refused, now), &before, &added);
        assert!(!faults.is_empty());
    }

    #[test]
    fn warnings_of_a_call_are_bounded() {
        let (shop, now) = (shop(), Timestamp::UNIX_EPOCH);
        let many = link(&vec![device("mobile"); limits::RULE_WARNINGS + 30]);
        let mut review = Review::new(&shop, Idle::Warned, now);
        let (_, warnings) = look(&mut review, &many, &many);
        assert_eq!(warnings.len(), limits::RULE_WARNINGS + 1);
        let last = warnings.last().unwrap();
        assert_eq!(last.field, "link.rules");
        assert!(last.description.starts_with("29 more things"), "{}", last.description);
        let (_, warnings) = look(&mut review, &many, &link(&[device("tv"), device("tv")]));
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].description.starts_with("1 more"), "{}", warnings[0].description);
    }
}
