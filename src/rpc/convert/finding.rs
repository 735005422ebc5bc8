//! Findings of analysis.

use crate::{
    domain::{fact::Fact, link::Rule},
    index::analysis::{Finding, FindingKind, VisitFact, Witness},
    proto::{self, witness_fact::State},
};

/// Writes a finding about a link with these rules. `path` is where the link's fields stand in the request.
pub fn write(finding: &Finding, path: &str, rules: &[Rule]) -> proto::Finding {
    let name = |at: usize| rules.get(at).map(|rule| rule.id.to_string()).unwrap_or_default();
    let all = finding.rule.and_then(|at| rules.get(at)).map_or(&[][..], |rule| rule.then.variants());
    let witness = finding.witness.as_ref().map(|Witness { facts, decided_by, visit: _ }| proto::Witness {
        facts: facts.iter().map(write_fact).collect(),
        decided_by: decided_by.map(name).unwrap_or_default(),
    });
    proto::Finding {
        kind: write_kind(finding.kind).into(),
        rule: finding.rule.map(name).unwrap_or_default(),
        variants: finding.variants.iter().filter_map(|at| Some(all.get(*at)?.id.to_string())).collect(),
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
        FindingKind::Undecided | FindingKind::Unfinished => proto::FindingKind::Undecided,
        FindingKind::UnreachableVariant => proto::FindingKind::UnreachableVariant,
    }
}

fn write_fact(VisitFact { attribute, value }: &VisitFact) -> proto::WitnessFact {
    let state = match value {
        Fact::Known(value) => Some(State::Value(value.clone())),
        Fact::Absent => Some(State::Absent(proto::FactAbsent {})),
        Fact::Unknown => None,
    };
    proto::WitnessFact { attribute: attribute.clone(), state }
}
