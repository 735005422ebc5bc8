//! The gateway's side of `ResolveStream`: to every server behind the names one connection with one stream, on which all
//! clicks of a worker share.
//!
//! - `addresses` finds the servers, once for the whole gateway;
//! - `lanes` keeps a `lane` to each of them, one set per worker;
//! - `pool` chooses among the lanes that are open;
//! - `desk` holds what is on the way over one of them.

pub mod addresses;
mod desk;
mod lane;
mod lanes;
mod pool;

use std::{sync::Arc, time::Duration};

use tokio::{
    task::JoinHandle,
    time::{Instant, timeout_at},
};

use self::{addresses::Servers, desk::Lost, pool::Pool};
use crate::{
    config::Secret,
    proto::{ResolveFailure, ResolveRequest, ResolveResponse},
    telemetry::gateway_metrics::{GatewayMetrics, NotAnswered, Tally},
};

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// No stream to the resolver is up; nothing was sent.
    Down,
    /// Every stream has as many unanswered items as it may have; nothing was sent.
    Busy,
    /// The stream broke before the answer came.
    Broken,
    /// The answer did not come in time.
    TimedOut,
    /// The resolver said so.
    Failed(ResolveFailure),
}

/// How the resolver is asked.
#[derive(Clone, Debug)]
pub struct ResolverSettings {
    /// The token for its servers.
    pub token: Option<Secret>,
    /// How long an answer is waited for.
    pub timeout: Duration,
}

/// Asks the resolver. Dropping it closes its connections.
#[derive(Debug)]
pub struct Resolver {
    pool: Arc<Pool>,
    lanes: JoinHandle<()>,
    tally: Tally,
    timeout: Duration,
}

impl Resolver {
    /// Begins to connect, and keeps connecting, on the runtime that it is called on.
    pub fn start(settings: &ResolverSettings, servers: Servers, metrics: &GatewayMetrics) -> Self {
        let pool = Arc::new(Pool::default());
        let lanes = lanes::keep(settings.clone(), servers, Arc::clone(&pool), metrics.clone());
        let tally = metrics.tally();
        Self { pool, lanes: tokio::spawn(lanes), tally, timeout: settings.timeout }
    }

    /// Asks where a visit goes. What was sent may have been counted, so it is never asked twice; what was not sent when
    /// its stream ended is asked elsewhere, for as long as there is time and somebody to ask.
    pub async fn ask(&self, visit: ResolveRequest) -> Result<ResolveResponse, Refusal> {
        let deadline = Instant::now() + self.timeout;
        let asked = timeout_at(deadline, self.ask_until(visit, deadline)).await;
        let answer = asked.unwrap_or(Err(Refusal::TimedOut));
        match &answer {
            Ok(_) | Err(Refusal::Failed(_)) => {}
            Err(Refusal::Down) => self.tally.not_answered(NotAnswered::Down),
            Err(Refusal::Busy) => self.tally.not_answered(NotAnswered::Busy),
            Err(Refusal::Broken) => self.tally.not_answered(NotAnswered::Broken),
            Err(Refusal::TimedOut) => self.tally.not_answered(NotAnswered::TimedOut),
        }
        answer
    }

    async fn ask_until(
        &self,
        mut visit: ResolveRequest,
        deadline: Instant,
    ) -> Result<ResolveResponse, Refusal> {
        loop {
            match self.put(&mut visit, deadline)?.await {
                Ok(answer) => return Ok(answer),
                Err(Lost::Sent(refusal)) => return Err(refusal),
                Err(Lost::Unsent(back)) => visit = *back,
            }
            self.tally.retried();
        }
    }

    /// Puts a visit on a stream, with the time that it has left.
    fn put(&self, visit: &mut ResolveRequest, deadline: Instant) -> Result<desk::Waiting, Refusal> {
        let now = Instant::now();
        self.pool.put(visit, now.into_std(), deadline.saturating_duration_since(now))
    }

    /// Returns whether a server that has an index can be asked, and is not silent.
    pub fn answers(&self) -> bool {
        self.pool.is_lively(Instant::now().into_std())
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.lanes.abort();
    }
}
