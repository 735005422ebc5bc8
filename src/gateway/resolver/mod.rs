//! The gateway's side of `ResolveStream`: one connection with one stream per lane, on which all clicks share.

mod desk;
mod lane;

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use http::Uri;
use tokio::time::timeout;
use tonic::Code;

use self::lane::Lane;
use crate::{
    config::Secret,
    proto::{Purpose, ResolveFailure, ResolveRequest, ResolveResponse, resolve_request::Site},
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

/// Where the resolver is and how long it may take.
#[derive(Clone, Debug)]
pub struct ResolverSettings {
    /// The server.
    pub server: Uri,
    /// The token for it.
    pub token: Option<Secret>,
    /// Connections, each with one stream.
    pub connections: usize,
    /// How long an answer is waited for.
    pub timeout: Duration,
}

/// Asks the resolver. Dropping it closes its connections.
#[derive(Debug)]
pub struct Resolver {
    lanes: Vec<Lane>,
    next: AtomicUsize,
    timeout: Duration,
}

impl Resolver {
    /// Begins to connect, and keeps connecting, on the runtime that it is called on.
    pub fn start(settings: &ResolverSettings) -> Self {
        let lanes = (0..settings.connections).map(|_| Lane::start(settings)).collect();
        Self { lanes, next: AtomicUsize::new(0), timeout: settings.timeout }
    }

    /// Asks where a visit goes. Never asks twice: what was sent may have been counted.
    pub async fn ask(&self, visit: ResolveRequest) -> Result<ResolveResponse, Refusal> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let mut visit = visit;
        let mut refusal = Refusal::Down;
        for at in 0..self.lanes.len() {
            let lane = &self.lanes[first.wrapping_add(at) % self.lanes.len()];
            match lane.desk().put(&mut visit, self.timeout) {
                Ok(answer) => return timeout(self.timeout, answer).await.unwrap_or(Err(Refusal::TimedOut)),
                // Not sent: the next lane may take it.
                Err(why) => refusal = why,
            }
        }
        Err(refusal)
    }

    /// Returns whether the resolver answers look-ups, as it does once it has an index.
    pub async fn answers(&self) -> bool {
        // No shop has this id: being told so is all that is wanted.
        let nobody = Some(Site::Shop("-".to_owned()));
        let visit =
            ResolveRequest { purpose: Purpose::Lookup.into(), site: nobody, ..ResolveRequest::default() };
        match self.ask(visit).await {
            Ok(_) => true,
            Err(Refusal::Failed(failure)) => failure.code == Code::NotFound as i32,
            Err(Refusal::Down | Refusal::Busy | Refusal::Broken | Refusal::TimedOut) => false,
        }
    }
}
