//! Writes what a replay came to.

use prost::Message;

use crate::{
    domain::{limits, unkept::UnkeptFact},
    index::replay::{End, Fate, Flow, Outcome, Tally},
    proto::{self, ReplayOutcome, replay_flow::New},
    rpc::convert::choice::Choice,
};

/// Writes how far a replay is that reads up to a position.
pub(super) fn progress(clicks: u64, done: i64, up_to: i64) -> proto::ReplayProgress {
    // Positions are far below where a float is not exact any more.
    proto::ReplayProgress { clicks: count(clicks), log_share: done as f64 / up_to.max(1) as f64 }
}

/// Writes flows as messages that are none too great.
pub(super) fn messages(flows: Vec<Flow>) -> Vec<proto::ReplayFlows> {
    let (mut messages, mut bytes) = (Vec::<proto::ReplayFlows>::new(), 0);
    for flow in flows.into_iter().map(flow) {
        bytes += flow.encoded_len();
        match messages.last_mut() {
            Some(message) if bytes <= limits::PAGE_BYTES => message.flows.push(flow),
            Some(_) | None => {
                bytes = flow.encoded_len();
                messages.push(proto::ReplayFlows { flows: vec![flow] });
            }
        }
    }
    messages
}

/// Writes how many clicks came to what, in so many flows.
pub(super) fn result(tally: Tally, flows: usize) -> proto::ReplayResult {
    let Tally { same, elsewhere, gone, unjudged, in_no_flow } = tally;
    let outcomes = [
        (ReplayOutcome::Same, same),
        (ReplayOutcome::Elsewhere, elsewhere),
        (ReplayOutcome::Gone, gone),
        (ReplayOutcome::Unjudged, unjudged),
    ];
    let write = |(outcome, clicks): (ReplayOutcome, u64)| proto::ReplayOutcomeCount {
        outcome: outcome.into(),
        clicks: count(clicks),
    };
    proto::ReplayResult {
        outcomes: outcomes.into_iter().filter(|(_, clicks)| *clicks > 0).map(write).collect(),
        clicks: count(tally.clicks()),
        flows: i32::try_from(flows).unwrap_or(i32::MAX),
        clicks_in_no_flow: count(in_no_flow),
        ..Default::default()
    }
}

fn flow(flow: Flow) -> proto::ReplayFlow {
    let outcome = match flow.outcome() {
        Outcome::Same => ReplayOutcome::Same,
        Outcome::Elsewhere => ReplayOutcome::Elsewhere,
        Outcome::Gone => ReplayOutcome::Gone,
        Outcome::Unjudged => ReplayOutcome::Unjudged,
    };
    let Flow { old, new, clicks, samples } = flow;
    proto::ReplayFlow {
        outcome: outcome.into(),
        old: Some(end(old)),
        new: Some(match new {
            Fate::To(to) => New::End(end(to)),
            Fate::Unjudged { rule, missing } => New::Unjudged(proto::ReplayUnjudged {
                missing: missing.iter().map(UnkeptFact::number).collect(),
                rule_id: rule.map(|rule| rule.as_str().to_owned()).unwrap_or_default(),
            }),
        }),
        clicks: count(clicks),
        sample_click_ids: samples.iter().map(ToString::to_string).collect(),
    }
}

fn end(end: End) -> proto::ReplayEnd {
    let End { destination, reason, rule, variant } = end;
    proto::ReplayEnd {
        destination,
        reason: reason.map_or(0, Choice::number),
        rule_id: rule.map(|rule| rule.as_str().to_owned()).unwrap_or_default(),
        variant_id: variant.map(|variant| variant.as_str().to_owned()).unwrap_or_default(),
    }
}

fn count(clicks: u64) -> i64 {
    i64::try_from(clicks).unwrap_or(i64::MAX)
}
