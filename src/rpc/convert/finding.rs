//! Findings of analysis.

use crate::{
    domain::fact::Fact,
    index::analysis::{Finding, FindingKind, VisitFact, Witness},
    proto::{self, visit_fact::State},
};

/// Writes a finding. `path` is where the link's fields stand in the request, `name` the id of the rule at a place.
pub fn write(finding: &Finding, path: &str, name: impl Fn(usize) -> String) -> proto::Finding {
    let witness = finding.witness.as_ref().map(|Witness { facts, decided_by, visit: _ }| proto::Witness {
        facts: facts.iter().map(write_fact).collect(),
        decided_by: decided_by.map(&name).unwrap_or_default(),
    });
    proto::Finding {
        kind: write_kind(finding.kind).into(),
        rule: finding.rule.map(&name).unwrap_or_default(),
        responsible_rules: finding.by.iter().map(|at| name(*at)).collect(),
        field: format!("{path}{}", finding.path()),
        description: finding.text.clone(),
        witness,
        refuses_write: finding.kind.refuses().is_some(),
    }
}

fn write_kind(kind: FindingKind) -> proto::FindingKind {
    match kind {
        FindingKind::Contradictory => proto::FindingKind::Contradictory,
        FindingKind::Shadowed => proto::FindingKind::Shadowed,
        FindingKind::ShadowedTogether => proto::FindingKind::ShadowedTogether,
        FindingKind::NeedsData => proto::FindingKind::NeedsData,
        FindingKind::PassedWindow => proto::FindingKind::PassedWindow,
        FindingKind::RepeatedDestination => proto::FindingKind::RepeatedDestination,
        FindingKind::FallsToDefault => proto::FindingKind::FallsToDefault,
        FindingKind::DefaultUnreachable => proto::FindingKind::DefaultUnreachable,
        FindingKind::Undecided => proto::FindingKind::Undecided,
    }
}

fn write_fact(VisitFact { attribute, value }: &VisitFact) -> proto::VisitFact {
    let state = match value {
        Fact::Known(value) => Some(State::Value(value.clone())),
        Fact::Absent => Some(State::Absent(proto::FactAbsent {})),
        Fact::Unknown => None,
    };
    proto::VisitFact { attribute: attribute.clone(), state }
}
