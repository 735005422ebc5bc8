//! What analysis says of the rules that a write leaves behind: what it is refused for, and what it is warned of.

use jiff::Timestamp;

use super::warnings::warning;
use crate::{
    domain::{
        fact::Fact,
        fault::{Faults, Problem, Reason},
        limits,
        link::{Link, Rule},
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
}

impl<'a> Review<'a> {
    pub(super) fn new(shop: &'a ShopSettings, idle: Idle, now: Timestamp) -> Self {
        Self { shop, idle, now, steps: limits::WRITE_STEPS * limits::WRITE_LINKS }
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
        let mut undecided = Vec::new();
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
            } else {
                warnings.push(warning(
                    format!("{path}.{field}"),
                    format!("{}{}", finding.text, shown(&finding, rules)),
                ));
            }
        }
        if !undecided.is_empty() {
            let count = undecided.len();
            undecided.truncate(NAMED_RULES);
            let text = format!(
                "of {count} of the rules it was not decided whether they are ever reached ({}); CheckLink takes longer \
                 over it",
                undecided.join(", ")
            );
            warnings.push(warning(format!("{path}.rules"), text));
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
        if *rules == after.routing.rules {
            return false;
        }
        let same = |old: &&Rule| old.id == rule.id && old.when == rule.when && old.enabled == rule.enabled;
        if !rules.iter().any(|old| same(&old)) {
            return true;
        }
        let earlier = earlier.get_or_insert_with(|| self.findings(before));
        let was_so = |finding: &Finding| {
            finding.kind.refuses() == Some(reason)
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
