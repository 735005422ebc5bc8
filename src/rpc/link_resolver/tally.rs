//! Counts answers by their reason.

use prometheus_client::metrics::counter::Counter;

use super::answer;
use crate::{
    domain::visit::ResolveReason,
    proto,
    telemetry::metrics::{Metrics, ResolveLabels},
};

/// Reasons of the contract, the unused first one included, which counts visits that go nowhere.
const REASONS: usize = 8;

/// One counter for each reason, found once: counting takes no lock.
#[derive(Debug)]
pub(super) struct Tally {
    reasons: [Counter; REASONS],
    undecided_rules: Counter,
}

impl Tally {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let reasons = std::array::from_fn(|number| {
            let number = i32::try_from(number).unwrap_or_default();
            let name = match proto::ResolveReason::try_from(number) {
                Ok(proto::ResolveReason::Unspecified) | Err(_) => "NOWHERE",
                Ok(reason) => reason.as_str_name().trim_start_matches("RESOLVE_REASON_"),
            };
            metrics.resolved.get_or_create_owned(&ResolveLabels { reason: name })
        });
        Self { reasons, undecided_rules: metrics.rules_undecided.clone() }
    }

    /// Counts an answer, and the rules that were asked for it and could not be decided.
    pub(super) fn count(&self, reason: ResolveReason, undecided_rules: u32) {
        self.of(answer::reason(reason)).inc();
        if undecided_rules > 0 {
            self.undecided_rules.inc_by(undecided_rules.into());
        }
    }

    /// Counts a visit that goes nowhere. The host that it asked for is nobody's: it is no label.
    pub(super) fn count_nowhere(&self) {
        self.of(proto::ResolveReason::Unspecified).inc();
    }

    fn of(&self, reason: proto::ResolveReason) -> &Counter {
        &self.reasons[reason as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::visit::Miss;

    #[test]
    fn every_reason_has_its_counter() {
        let (metrics, _) = Metrics::new();
        let tally = Tally::new(&metrics);
        for (reason, label) in [
            (ResolveReason::Rule, "RULE"),
            (ResolveReason::Default, "DEFAULT"),
            (ResolveReason::Missed(Miss::Expired), "LINK_EXPIRED"),
            (ResolveReason::Missed(Miss::Paused), "LINK_PAUSED"),
            (ResolveReason::Missed(Miss::NotStarted), "LINK_NOT_STARTED"),
            (ResolveReason::Missed(Miss::Deleted), "LINK_DELETED"),
            (ResolveReason::Missed(Miss::NotFound), "LINK_NOT_FOUND"),
        ] {
            tally.count(reason, 2);
            let counter = metrics.resolved.get_or_create_owned(&ResolveLabels { reason: label });
            assert_eq!(counter.get(), 1, "{label}");
        }
        assert_eq!(metrics.rules_undecided.get(), 7 * 2);
        tally.count_nowhere();
        let nowhere = metrics.resolved.get_or_create_owned(&ResolveLabels { reason: "NOWHERE" });
        assert_eq!(nowhere.get(), 1);
    }
}
