//! Collects what the rules of a link test.

use std::collections::{BTreeMap, HashSet};

use super::subject::{Subject, Test};
use crate::domain::{
    condition::{Condition, Predicate},
    link::Routing,
};

/// Returns the test of the version that goes with a predicate, if it asks for one.
pub(super) fn version_test(predicate: &Predicate) -> Option<Test<'_>> {
    match predicate {
        Predicate::Os { versions, .. } if !versions.is_any() => Some(Test::OsVersion(versions)),
        Predicate::Browser { versions, .. } if !versions.is_any() => Some(Test::BrowserVersion(versions)),
        Predicate::Os { .. }
        | Predicate::Browser { .. }
        | Predicate::Device(_)
        | Predicate::Language(_)
        | Predicate::Country(_)
        | Predicate::Continent(_)
        | Predicate::InEu {}
        | Predicate::NewVisitor {}
        | Predicate::VisitorTotalVisits(_)
        | Predicate::LinkTotalVisits(_)
        | Predicate::PartnerTotalVisits(_)
        | Predicate::ReferrerHost { .. }
        | Predicate::Query { .. }
        | Predicate::ClientAddress(_)
        | Predicate::Traffic(_)
        | Predicate::Time(_)
        | Predicate::Weekly(_)
        | Predicate::Partner(_)
        | Predicate::Program(_)
        | Predicate::PartnerTag(_)
        | Predicate::Caller { .. } => None,
    }
}

/// Returns every test of the enabled rules by what it looks at, with those that laws and questions of ours add.
pub(super) fn tests_by_subject<'a>(
    routing: &'a Routing,
    internal: bool,
) -> BTreeMap<Subject<'a>, Vec<Test<'a>>> {
    let mut found = Tests::default();
    for rule in routing.rules.iter().filter(|rule| rule.enabled) {
        found.of(&rule.when);
    }
    let subjects: Vec<Subject<'a>> = found.by_subject.keys().copied().collect();
    for subject in &subjects {
        match subject {
            Subject::Time => found.add(Test::NotPassed),
            Subject::Traffic => {}
            Subject::Program | Subject::PartnerTags | Subject::PartnerTotalVisits => {
                found.add(Test::Missing(*subject));
                found.add(Test::Missing(Subject::Partner));
            }
            Subject::Country
            | Subject::Device
            | Subject::Os
            | Subject::OsVersion
            | Subject::Browser
            | Subject::BrowserVersion
            | Subject::Language
            | Subject::ReferrerHost
            | Subject::ClientAddress
            | Subject::Partner
            | Subject::VisitorTotalVisits
            | Subject::LinkTotalVisits
            | Subject::Query(_)
            | Subject::Caller(_) => found.add(Test::Missing(*subject)),
        }
    }
    if internal && subjects.contains(&Subject::ClientAddress) && subjects.contains(&Subject::Traffic) {
        found.add(Test::Internal(Subject::ClientAddress));
        found.add(Test::Internal(Subject::Traffic));
    }
    if routing.start_time.is_some() || routing.expire_time.is_some() {
        found.add(Test::NotPassed);
    }
    found.by_subject
}

/// Returns every test of a condition, each once.
pub(super) fn tests_of(condition: &Condition) -> impl Iterator<Item = Test<'_>> {
    let mut found = Tests::default();
    found.of(condition);
    found.by_subject.into_values().flatten()
}

/// Tests by what they look at, each once.
#[derive(Default)]
struct Tests<'a> {
    seen: HashSet<Test<'a>>,
    by_subject: BTreeMap<Subject<'a>, Vec<Test<'a>>>,
}

impl<'a> Tests<'a> {
    fn of(&mut self, condition: &'a Condition) {
        match condition {
            Condition::All(group) | Condition::Any(group) => {
                group.members().iter().for_each(|member| self.of(member));
            }
            Condition::Not(member) => self.of(member),
            Condition::IsKnown(attribute) => self.add(Test::IsKnown(attribute)),
            Condition::Is(predicate) => {
                self.add(Test::Holds(predicate));
                version_test(predicate).into_iter().for_each(|test| self.add(test));
            }
        }
    }

    fn add(&mut self, test: Test<'a>) {
        if self.seen.insert(test) {
            self.by_subject.entry(test.subject()).or_default().push(test);
        }
    }
}
