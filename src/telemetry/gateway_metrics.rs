//! The metrics of a gateway, and what each says. Their names are part of the contract with whoever watches us.
//!
//! What happens for every request goes through handles that each worker finds once.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

/// Upper bounds of the buckets of times, in seconds.
const BUCKETS: [f64; 14] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];
/// Statuses that have a handle; others are found when they are needed.
const STATUSES: [u16; 12] = [200, 301, 302, 307, 308, 400, 404, 405, 410, 414, 502, 503];

/// Labels of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabels {
    status: u16,
}

/// Labels of a click without an answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

/// Labels of a lane.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: &'static str,
}

/// Why the resolver gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAnswered {
    /// There was no server.
    Down,
    /// Every server had as much to answer as it may have.
    Busy,
    /// The stream broke after the request was sent.
    Broken,
    /// The answer did not come in time.
    TimedOut,
}

impl NotAnswered {
    const ALL: [Self; 4] = [Self::Down, Self::Busy, Self::Broken, Self::TimedOut];

    fn name(self) -> &'static str {
        match self {
            Self::Down => "DOWN",
            Self::Busy => "BUSY",
            Self::Broken => "BROKEN",
            Self::TimedOut => "TIMED_OUT",
        }
    }
}

/// What state the way to a server is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneState {
    /// There is no stream.
    Closed,
    /// The server answers.
    Open,
    /// The server has not answered for a while.
    Silent,
}

impl LaneState {
    const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::Silent];

    fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::Silent => "silent",
        }
    }
}

/// Every metric of a gateway.
#[derive(Clone, Debug)]
pub struct GatewayMetrics {
    requests: Family<StatusLabels, Counter>,
    seconds: Histogram,
    not_answered: Family<ReasonLabels, Counter>,
    retries: Counter,
    lanes: Family<StateLabels, Gauge>,
    addresses: Gauge,
    connections: Gauge,
}

impl GatewayMetrics {
    /// Makes the metrics and the registry that prints them.
    pub fn new() -> (Self, Registry) {
        let metrics = Self {
            requests: Family::default(),
            seconds: Histogram::new(BUCKETS),
            not_answered: Family::default(),
            retries: Counter::default(),
            lanes: Family::default(),
            addresses: Gauge::default(),
            connections: Gauge::default(),
        };
        // All that there can be is there from the beginning: what begins to grow from nothing is easily missed.
        for reason in NotAnswered::ALL {
            metrics.of(reason);
        }
        for state in LaneState::ALL {
            metrics.in_state(state);
        }
        let mut registry = Registry::with_prefix("smartlinks_gateway");
        metrics.register(&mut registry);
        (metrics, registry)
    }

    fn register(&self, to: &mut Registry) {
        to.register("requests", "Requests of browsers that were answered, by status", self.requests.clone());
        let help = "Time from the head of a request to its answer";
        to.register_with_unit("request", help, Unit::Seconds, self.seconds.clone());
        let help = "Clicks that the resolver did not answer, by why";
        to.register("not_answered", help, self.not_answered.clone());
        let help = "Clicks that were asked a second time because they were not sent the first time";
        to.register("retries", help, self.retries.clone());
        to.register("resolver_lanes", "Ways from workers to servers, by state", self.lanes.clone());
        let help = "Addresses behind the names of the resolver";
        to.register("resolver_addresses", help, self.addresses.clone());
        to.register("connections", "Connections of browsers", self.connections.clone());
    }

    fn of(&self, reason: NotAnswered) -> Counter {
        self.not_answered.get_or_create_owned(&ReasonLabels { reason: reason.name() })
    }

    fn in_state(&self, state: LaneState) -> Gauge {
        self.lanes.get_or_create_owned(&StateLabels { state: state.name() })
    }

    /// Returns the handles of a worker.
    pub fn tally(&self) -> Tally {
        let statuses =
            STATUSES.map(|status| (status, self.requests.get_or_create_owned(&StatusLabels { status })));
        let not_answered = NotAnswered::ALL.map(|reason| self.of(reason));
        Tally { statuses, not_answered, metrics: self.clone() }
    }

    /// Counts a lane, which is closed at first.
    pub fn lane(&self) -> LaneGauge {
        let gauges = LaneState::ALL.map(|state| self.in_state(state));
        gauges[LaneState::Closed as usize].inc();
        LaneGauge { gauges, state: LaneState::Closed }
    }

    /// Says how many addresses there are.
    pub fn set_addresses(&self, count: usize) {
        self.addresses.set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}

/// The handles of one worker: counting finds nothing and takes no lock but that of the histogram.
#[derive(Debug)]
pub struct Tally {
    statuses: [(u16, Counter); STATUSES.len()],
    not_answered: [Counter; NotAnswered::ALL.len()],
    metrics: GatewayMetrics,
}

impl Tally {
    /// Counts an answer.
    pub fn answered(&self, status: u16, took: Duration) {
        match self.statuses.iter().find(|(known, _)| *known == status) {
            Some((_, counter)) => counter.inc(),
            None => self.metrics.requests.get_or_create(&StatusLabels { status }).inc(),
        };
        self.metrics.seconds.observe(took.as_secs_f64());
    }

    /// Counts a click without an answer.
    pub fn not_answered(&self, reason: NotAnswered) {
        self.not_answered[reason as usize].inc();
    }

    /// Counts a click that is asked a second time.
    pub fn retried(&self) {
        self.metrics.retries.inc();
    }

    /// Counts a connection as long as what is returned lives.
    pub fn connected(&self) -> Connected {
        self.metrics.connections.inc();
        Connected(self.metrics.connections.clone())
    }
}

/// A connection that is counted.
#[derive(Debug)]
pub struct Connected(Gauge);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A lane that is counted under its state.
#[derive(Debug)]
pub struct LaneGauge {
    gauges: [Gauge; LaneState::ALL.len()],
    state: LaneState,
}

impl LaneGauge {
    /// Returns its state.
    pub fn state(&self) -> LaneState {
        self.state
    }

    /// Counts it under another state.
    pub fn set(&mut self, state: LaneState) {
        self.gauges[self.state as usize].dec();
        self.gauges[state as usize].inc();
        self.state = state;
    }
}

impl Drop for LaneGauge {
    fn drop(&mut self) {
        self.gauges[self.state as usize].dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::print;

    #[test]
    fn every_metric_is_printed() {
        let (metrics, registry) = GatewayMetrics::new();
        let tally = metrics.tally();
        tally.answered(302, Duration::from_micros(300));
        tally.answered(418, Duration::from_micros(300));
        tally.not_answered(NotAnswered::TimedOut);
        tally.retried();
        metrics.set_addresses(3);
        let connected = tally.connected();
        let text = print(&registry);
        for line in [
            "smartlinks_gateway_requests_total{status=\"302\"} 1",
            "smartlinks_gateway_requests_total{status=\"418\"} 1",
            "smartlinks_gateway_request_seconds_count 2",
            "smartlinks_gateway_request_seconds_bucket{le=\"0.0005\"} 2",
            "smartlinks_gateway_not_answered_total{reason=\"TIMED_OUT\"} 1",
            "smartlinks_gateway_not_answered_total{reason=\"DOWN\"} 0",
            "smartlinks_gateway_retries_total 1",
            "smartlinks_gateway_resolver_addresses 3",
            "smartlinks_gateway_connections 1",
        ] {
            assert!(text.contains(line), "{text} has no {line}");
        }
        assert_eq!(text.matches("# HELP").count(), 7);
        drop(connected);
        assert!(print(&registry).contains("smartlinks_gateway_connections 0"));
    }

    #[test]
    fn lane_is_counted_under_one_state() {
        let (metrics, registry) = GatewayMetrics::new();
        let counts = || {
            let text = print(&registry);
            let name = |state| format!("smartlinks_gateway_resolver_lanes{{state=\"{state}\"}} ");
            let count = |state| text.lines().find_map(|line| line.strip_prefix(&name(state))?.parse().ok());
            ["closed", "open", "silent"].map(|state| count(state).unwrap_or(-1))
        };
        assert_eq!(counts(), [0, 0, 0]);
        let mut lane = metrics.lane();
        let _other = metrics.lane();
        assert_eq!(counts(), [2, 0, 0]);
        lane.set(LaneState::Open);
        assert_eq!(counts(), [1, 1, 0]);
        lane.set(LaneState::Silent);
        assert_eq!(counts(), [1, 0, 1]);
        drop(lane);
        assert_eq!(counts(), [1, 0, 0]);
    }
}
