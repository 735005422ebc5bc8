//! What can be seen from outside: the log and the metrics.

pub mod gateway_metrics;
pub mod http;
pub mod log;
pub mod metrics;
pub mod metrics_server;
pub mod signal;
