//! Counts answers by their reason and by how the visitor came.

use prometheus_client::metrics::counter::Counter;

use crate::{
    domain::visit::{Channel, ResolveReason},
    proto,
    rpc::convert::choice,
    telemetry::metrics::{Metrics, ResolveLabels},
};

/// Reasons of the contract, the unused first one included, which counts visits that go nowhere.
const REASONS: usize = 8;

/// One counter for each channel and reason, found once: counting takes no lock.
#[derive(Debug)]
pub(super) struct Tally {
    by_link: [Counter; REASONS],
    by_qr: [Counter; REASONS],
    undecided_rules: Counter,
}

impl Tally {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let by = |channel: Channel| {
            std::array::from_fn(|number| {
                let number = i32::try_from(number).unwrap_or_default();
                let reason = match proto::ResolveReason::try_from(number) {
                    Ok(proto::ResolveReason::Unspecified) | Err(_) => "NOWHERE",
                    Ok(reason) => reason.as_str_name().trim_start_matches("RESOLVE_REASON_"),
                };
                let labels = ResolveLabels { reason, channel: channel.as_str() };
                metrics.resolved.get_or_create_owned(&labels)
            })
        };
        let undecided_rules = metrics.rules_undecided.clone();
        Self { by_link: by(Channel::Link), by_qr: by(Channel::Qr), undecided_rules }
    }

    /// Counts an answer, and the rules that were asked for it and could not be decided.
    pub(super) fn count(&self, channel: Channel, reason: ResolveReason, undecided_rules: u32) {
        self.of(channel, choice::reason(reason)).inc();
        if undecided_rules > 0 {
            self.undecided_rules.inc_by(undecided_rules.into());
        }
    }

    /// Counts a visit that goes nowhere. The host that it asked for is nobody's: it is no label.
    pub(super) fn count_nowhere(&self, channel: Channel) {
        self.of(channel, proto::ResolveReason::Unspecified).inc();
    }

    fn of(&self, channel: Channel, reason: proto::ResolveReason) -> &Counter {
        let reasons = match channel {
            Channel::Link => &self.by_link,
            Channel::Qr => &self.by_qr,
        };
        &reasons[reason as usize]
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
        let counted =
            |channel, reason| metrics.resolved.get_or_create_owned(&ResolveLabels { reason, channel }).get();
        for (reason, label) in [
            (ResolveReason::Rule, "RULE"),
            (ResolveReason::Default, "DEFAULT"),
            (ResolveReason::Missed(Miss::Expired), "LINK_EXPIRED"),
            (ResolveReason::Missed(Miss::Paused), "LINK_PAUSED"),
            (ResolveReason::Missed(Miss::NotStarted), "LINK_NOT_STARTED"),
            (ResolveReason::Missed(Miss::Deleted), "LINK_DELETED"),
            (ResolveReason::Missed(Miss::NotFound), "LINK_NOT_FOUND"),
        ] {
            tally.count(Channel::Link, reason, 2);
            tally.count(Channel::Qr, reason, 0);
            tally.count(Channel::Qr, reason, 0);
            assert_eq!((counted("link", label), counted("qr", label)), (1, 2), "{label}");
        }
        assert_eq!(metrics.rules_undecided.get(), 7 * 2);
        tally.count_nowhere(Channel::Qr);
        assert_eq!((counted("link", "NOWHERE"), counted("qr", "NOWHERE")), (0, 1));
    }
}
