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
/// How often some of the conversions that wait are looked after. A look that takes long makes room: see [`REST`].
const SETTLE_EVERY: Duration = Duration::from_secs(1);
/// How many times as long as a look at conversions took is waited until the next.
const REST: u32 = 20;

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
        let (mut pause, mut chores) = (BACK_OFF.0, Chores::new());
        loop {
            let mut counted = false;
            let Err(error) = self.roll(&mut chores, &mut counted).await;
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
    async fn roll(
        &self,
        chores: &mut Chores,
        works: &mut bool,
    ) -> Result<std::convert::Infallible, StoreError> {
        let mut rollups = self.store.rollups().await?;
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
            // By their time and not when there is nothing to count: that may never be.
            let is_more = chores.do_some(&mut rollups).await?;
            if !is_more && !matches!(rolled, Rolled::Clicks(_)) {
                sleep(self.interval).await;
            }
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

/// What whoever counts does besides, in pieces.
struct Chores {
    settle_at: Instant,
    forget_at: Instant,
}

impl Chores {
    fn new() -> Self {
        let now = Instant::now();
        Self { settle_at: now, forget_at: now + FORGET_AFTER }
    }

    /// Does a piece of each that is due; returns whether there is more at once.
    async fn do_some(&mut self, rollups: &mut Rollups) -> Result<bool, StoreError> {
        let now = Instant::now();
        // What goes wrong with one is told when the others have had their turn.
        let rerolled = rollups.reroll_next(None).await;
        let mut is_more = false;
        if self.settle_at <= now {
            let begun = Instant::now();
            rollups.settle_conversions().await?;
            self.settle_at = Instant::now() + SETTLE_EVERY.max(begun.elapsed() * REST);
        }
        if self.forget_at <= now {
            if rollups.forget_visitors().await? {
                is_more = true;
            } else {
                self.forget_at = Instant::now() + FORGET_EVERY;
            }
        }
        Ok(rerolled? || is_more)
    }
}
