//! The metrics of the index and of resolving, and what each says; `rpc` has those of calls. Their names are part of
//! the contract with whoever watches us.

use std::sync::atomic::{AtomicI64, AtomicU64};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

/// Labels of a resolved visit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ResolveLabels {
    /// `RULE`, `DEFAULT`, `LINK_EXPIRED`, …; `NOWHERE` if there was no answer.
    pub reason: &'static str,
    /// `link` or `qr`: how the visitor came.
    pub channel: &'static str,
}

/// Labels of a load of the index.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SourceLabels {
    /// `database` or `disk`.
    pub source: &'static str,
}

/// Every metric of a server.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Visits that were resolved, in streams too.
    pub resolved: Family<ResolveLabels, Counter>,
    /// Rules that were passed over because something was unknown.
    pub rules_undecided: Counter,
    /// The revision that the index holds.
    pub index_revision: Gauge<i64, AtomicI64>,
    /// When the index was last known to be up to date, in seconds since 1970.
    pub index_confirmed: Gauge<f64, AtomicU64>,
    /// Links in the index.
    pub index_links: Gauge<i64, AtomicI64>,
    /// Links whose newest form could not be read.
    pub index_broken_links: Gauge<i64, AtomicI64>,
    /// Whole loads of the index.
    pub index_loads: Family<SourceLabels, Counter>,
    /// Changes that the feed has published.
    pub feed_changes: Counter,
    /// Reads of the feed that failed.
    pub feed_failures: Counter,
    /// Differences that the periodic comparison mended; should stay 0.
    pub feed_repairs: Counter,
    /// Clicks that were written into the local log.
    pub clicks_recorded: Counter,
    /// Clicks that were answered and could not be written; should stay 0.
    pub clicks_unrecorded: Counter,
    /// Clicks that were refused because they could not be written.
    pub clicks_refused: Counter,
    /// Clicks of the local log that PostgreSQL does not have yet.
    pub spool_clicks: Gauge<i64, AtomicI64>,
    /// How long the oldest click of the local log has waited that PostgreSQL does not have yet, in seconds.
    pub spool_oldest: Gauge<f64, AtomicU64>,
    /// Bytes of the local log.
    pub spool_bytes: Gauge<i64, AtomicI64>,
    /// Clicks that were added to PostgreSQL.
    pub clicks_shipped: Counter,
    /// Clicks that were there already.
    pub clicks_duplicate: Counter,
    /// Clicks that could not be added and were put aside.
    pub clicks_rejected: Counter,
    /// Clicks of the local log that could not be read any more; should stay 0.
    pub clicks_lost: Counter,
    /// Tries to ship that failed.
    pub ship_failures: Counter,
    /// Days of clicks that were too old and were removed.
    pub click_days_dropped: Counter,
    /// Names of closed lists in clicks and conversions that were streamed, and that this version does not know.
    pub unknown_names: Counter,
    /// Clicks that were removed because their shop keeps them for a shorter time.
    pub shop_clicks_expired: Counter,
    /// Looks after the days of clicks that failed.
    pub click_days_failures: Counter,
    /// Looks after the keys of visitors that failed.
    pub visitor_key_failures: Counter,
    /// Publishes that this server wrote into their links.
    pub publishes_settled: Counter,
    /// Looks for publishes whose time has come that failed, and publishes that could not be written into their links.
    pub publish_failures: Counter,
    /// The position of the ledger up to which clicks are counted.
    pub rolled_position: Gauge<i64, AtomicI64>,
    /// How long the oldest entry that is not counted has waited, in seconds.
    pub roll_lag: Gauge<f64, AtomicU64>,
    /// Clicks that this server counted.
    pub clicks_rolled: Counter,
    /// Tries to count that failed.
    pub roll_failures: Counter,
    /// When the counters that rules look at were last read, in seconds since 1970; 0 = never, or no rule looks.
    pub counters_read: Gauge<f64, AtomicU64>,
    /// Reads of those counters that failed.
    pub counter_failures: Counter,
    /// Copies of the index written to disk.
    pub copies: Counter,
    /// Copies that could not be written.
    pub copy_failures: Counter,
}

impl Metrics {
    /// Makes the metrics and the registry that prints them.
    pub fn new() -> (Self, Registry) {
        let metrics = Self {
            resolved: Family::default(),
            rules_undecided: Counter::default(),
            index_revision: Gauge::default(),
            index_confirmed: Gauge::default(),
            index_links: Gauge::default(),
            index_broken_links: Gauge::default(),
            index_loads: Family::default(),
            feed_changes: Counter::default(),
            feed_failures: Counter::default(),
            feed_repairs: Counter::default(),
            clicks_recorded: Counter::default(),
            clicks_unrecorded: Counter::default(),
            clicks_refused: Counter::default(),
            spool_clicks: Gauge::default(),
            spool_oldest: Gauge::default(),
            spool_bytes: Gauge::default(),
            clicks_shipped: Counter::default(),
            clicks_duplicate: Counter::default(),
            clicks_rejected: Counter::default(),
            clicks_lost: Counter::default(),
            ship_failures: Counter::default(),
            click_days_dropped: Counter::default(),
            unknown_names: Counter::default(),
            shop_clicks_expired: Counter::default(),
            click_days_failures: Counter::default(),
            visitor_key_failures: Counter::default(),
            publishes_settled: Counter::default(),
            publish_failures: Counter::default(),
            rolled_position: Gauge::default(),
            roll_lag: Gauge::default(),
            clicks_rolled: Counter::default(),
            roll_failures: Counter::default(),
            counters_read: Gauge::default(),
            counter_failures: Counter::default(),
            copies: Counter::default(),
            copy_failures: Counter::default(),
        };
        let mut registry = Registry::with_prefix("smartlinks");
        metrics.register(&mut registry);
        (metrics, registry)
    }

    fn register(&self, to: &mut Registry) {
        to.register("resolved", "Visits that were resolved, by reason and channel", self.resolved.clone());
        let undecided = self.rules_undecided.clone();
        to.register(
            "rules_undecided",
            "Rules that were asked and passed over because something was unknown",
            undecided,
        );
        to.register("index_revision", "The revision that the index holds", self.index_revision.clone());
        let confirmed = self.index_confirmed.clone();
        let help = "When the index was last known to be up to date, since 1970";
        to.register_with_unit("index_confirmed_timestamp", help, Unit::Seconds, confirmed);
        to.register("index_links", "Links in the index, deleted ones included", self.index_links.clone());
        let broken = self.index_broken_links.clone();
        to.register("index_broken_links", "Links whose newest form could not be read", broken);
        to.register("index_loads", "Whole loads of the index, by source", self.index_loads.clone());
        to.register("feed_changes", "Changes that the feed has published", self.feed_changes.clone());
        to.register("feed_failures", "Reads of the feed that failed", self.feed_failures.clone());
        to.register(
            "feed_repairs",
            "Differences that the comparison mended; should stay 0",
            self.feed_repairs.clone(),
        );
        to.register("clicks_recorded", "Clicks written into the local log", self.clicks_recorded.clone());
        let unrecorded = self.clicks_unrecorded.clone();
        let help = "Clicks that were answered and could not be written; should stay 0";
        to.register("clicks_unrecorded", help, unrecorded);
        let refused = self.clicks_refused.clone();
        to.register("clicks_refused", "Clicks refused because they could not be written", refused);
        let waiting = self.spool_clicks.clone();
        to.register("spool_clicks", "Clicks of the local log that PostgreSQL does not have yet", waiting);
        let help = "How long the oldest click has waited that PostgreSQL does not have yet";
        to.register_with_unit("spool_oldest", help, Unit::Seconds, self.spool_oldest.clone());
        to.register_with_unit("spool", "How much the local log takes", Unit::Bytes, self.spool_bytes.clone());
        to.register("clicks_shipped", "Clicks that were added to PostgreSQL", self.clicks_shipped.clone());
        let duplicate = self.clicks_duplicate.clone();
        to.register("clicks_duplicate", "Clicks that were shipped and were there already", duplicate);
        let rejected = self.clicks_rejected.clone();
        to.register("clicks_rejected", "Clicks that could not be added and were put aside", rejected);
        let lost = self.clicks_lost.clone();
        to.register("clicks_lost", "Clicks of the local log that cannot be read; should stay 0", lost);
        to.register("ship_failures", "Tries to ship clicks that failed", self.ship_failures.clone());
        let dropped = self.click_days_dropped.clone();
        to.register("click_days_dropped", "Days of clicks that were too old and were removed", dropped);
        let unknown = self.unknown_names.clone();
        to.register(
            "unknown_names",
            "Names in clicks, shipped or streamed, that a newer version wrote",
            unknown,
        );
        let expired = self.shop_clicks_expired.clone();
        to.register(
            "shop_clicks_expired",
            "Clicks removed because their shop keeps them for less long",
            expired,
        );
        let failures = self.click_days_failures.clone();
        to.register("click_days_failures", "Looks after the days of clicks that failed", failures);
        let settled = self.publishes_settled.clone();
        to.register(
            "publishes_settled",
            "Publishes that were written into their links at their time",
            settled,
        );
        let failures = self.publish_failures.clone();
        to.register(
            "publish_failures",
            "Looks for publishes whose time has come that failed, and publishes that could not be written",
            failures,
        );
        let failures = self.visitor_key_failures.clone();
        to.register("visitor_key_failures", "Looks after the keys of visitors that failed", failures);
        let rolled = self.rolled_position.clone();
        to.register("rolled_position", "The position of the ledger up to which clicks are counted", rolled);
        let help = "How long the oldest entry of the ledger has waited that is not counted";
        to.register_with_unit("roll_lag", help, Unit::Seconds, self.roll_lag.clone());
        to.register("clicks_rolled", "Clicks that this server counted", self.clicks_rolled.clone());
        to.register("roll_failures", "Tries to count clicks that failed", self.roll_failures.clone());
        let help =
            "When the counters of rules were last read, since 1970; 0 = never, or no rule looks at one";
        to.register_with_unit("counters_read_timestamp", help, Unit::Seconds, self.counters_read.clone());
        let failures = self.counter_failures.clone();
        to.register("counter_failures", "Reads of the counters of rules that failed", failures);
        to.register("index_copies", "Copies of the index written to disk", self.copies.clone());
        to.register("index_copy_failures", "Copies that could not be written", self.copy_failures.clone());
    }
}

/// Prints a registry in the `OpenMetrics` text format.
pub fn print(registry: &Registry) -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = encode(&mut text, registry);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_printed_with_its_help() {
        let (metrics, registry) = Metrics::new();
        metrics.index_revision.set(7);
        metrics.resolved.get_or_create(&ResolveLabels { reason: "RULE", channel: "qr" }).inc();
        // A family is printed from its first label set on.
        metrics.index_loads.get_or_create(&SourceLabels { source: "database" }).inc();
        let text = print(&registry);
        for line in [
            "smartlinks_index_revision 7",
            "smartlinks_resolved_total{reason=\"RULE\",channel=\"qr\"} 1",
            "# EOF",
        ] {
            assert!(text.contains(line), "{text}");
        }
        assert_eq!(text.matches("# HELP").count(), 36);
    }
}
