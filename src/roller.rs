//! Counts the clicks that arrived in PostgreSQL, a little behind them: what is counted in the click's own transaction
//! makes every writer wait for every other.
//!
//! Every server has a roller; whichever comes first goes on where the last one stopped.

use std::time::Duration;

use jiff::Timestamp;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use crate::{
    store::{
        Store, StoreError,
        clicks::{Rolled, Rollups},
    },
    telemetry::{log::Causes, metrics::Metrics},
};

/// Clicks that are counted in one transaction, if the ledger does not have more in one entry. Half as many are tried when
/// that takes too long, and twice as many again when it does not.
const PIECE: u64 = 200_000;
/// How long is waited before a new try: doubled from the one to the other while it does not help.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// How often visitors of days that are gone are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(3_600);
/// How long that waits at first: everybody who was there is searched, and clicks may have waited for this connection.
const FORGET_AFTER: Duration = Duration::from_secs(60);
/// How often conversions that wait are looked after, unless new clicks were counted.
const SETTLE_EVERY: Duration = Duration::from_secs(5);

/// Counts clicks.
pub struct Roller {
    store: Store,
    metrics: Metrics,
    /// How often it looks for new ones.
    interval: Duration,
}

impl Roller {
    /// Prepares a roller; it connects when it runs.
    pub fn new(store: Store, metrics: Metrics, interval: Duration) -> Self {
        Self { store, metrics, interval }
    }

    /// Counts until `stop` is true. It may be dropped at any time: a transaction is counted whole or not at all.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            () = self.roll_for_ever() => {}
            // A sender that is gone says stop too.
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    async fn roll_for_ever(&self) {
        let mut pause = BACK_OFF.0;
        loop {
            let mut counted = false;
            let Err(error) = self.roll(&mut counted).await;
            if counted {
                pause = BACK_OFF.0;
            }
            // Said once for each time that the database is away.
            if pause == BACK_OFF.0 {
                tracing::warn!(error = %Causes(&error), "clicks cannot be counted for now, statistics stand still");
            }
            self.metrics.roll_failures.inc();
            sleep(pause).await;
            pause = (pause * 2).min(BACK_OFF.1);
        }
    }

    /// Counts over one connection until it breaks.
    async fn roll(&self, works: &mut bool) -> Result<std::convert::Infallible, StoreError> {
        let mut rollups = self.store.rollups().await?;
        let (mut forget_at, mut settled): (Instant, Option<Instant>) = (Instant::now() + FORGET_AFTER, None);
        let mut piece = PIECE;
        loop {
            let rolled = match rollups.roll(piece).await {
                Err(StoreError::TooSlow(cause)) if piece > 1 => {
                    piece /= 2;
                    tracing::warn!(cause, piece, "counting takes too long, fewer clicks are counted at once");
                    self.metrics.roll_failures.inc();
                    // A statement may still be under way over this one.
                    rollups = self.store.rollups().await?;
                    continue;
                }
                rolled => rolled?,
            };
            *works = true;
            if let Rolled::Clicks(clicks) = rolled {
                self.metrics.clicks_rolled.inc_by(clicks);
                piece = (piece * 2).min(PIECE);
            }
            self.tell(&rollups).await?;
            if let Rolled::Clicks(_) = rolled {
                // New clicks may be those that conversions wait for.
                settled = None;
                continue;
            }
            while rollups.reroll_next(None).await? {}
            if settled.is_none_or(|last| last.elapsed() >= SETTLE_EVERY) {
                while rollups.settle_conversions().await? > 0 {}
                settled = Some(Instant::now());
            }
            if Instant::now() >= forget_at {
                rollups.forget_visitors().await?;
                forget_at = Instant::now() + FORGET_EVERY;
            }
            sleep(self.interval).await;
        }
    }

    async fn tell(&self, rollups: &Rollups) -> Result<(), StoreError> {
        let behind = rollups.behind().await?;
        self.metrics.rolled_position.set(behind.position);
        let waited = behind.since.map(|since| Timestamp::now().duration_since(since).as_secs_f64());
        self.metrics.roll_lag.set(waited.unwrap_or_default().max(0.0));
        Ok(())
    }
}
