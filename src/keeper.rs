//! Looks after what the time changes in PostgreSQL: opens days of clicks ahead and removes those that are too old; makes
//! the keys of visitors ahead and deletes them; writes publishes into their links whose time has come.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::sleep;

use crate::{
    store::{NotSettled, Settled, Settlements, Store, clicks::ShopExpiry},
    telemetry::{log::Causes, metrics::Metrics},
    visitors::VisitorKeys,
};

/// How often it looks.
const EVERY: Duration = Duration::from_secs(3_600);
/// How soon it looks again when it could not.
const AGAIN: Duration = Duration::from_secs(60);
/// How often it looks for publishes whose time has come: clicks do not wait for it, people who read links may.
const PUBLISHES_EVERY: Duration = Duration::from_secs(1);

/// Looks at once and every hour, until `stop` resolves. Of several servers one at a time does.
pub async fn run(store: Store, metrics: Metrics, retention_days: u16, stop: impl Future<Output = ()>) {
    let looking = async {
        loop {
            sleep(look(&store, &metrics, retention_days).await).await;
        }
    };
    tokio::select! {
        () = looking => {}
        () = stop => {}
    }
}

/// Looks after the keys of visitors at once and every hour, until `stop` resolves.
pub async fn keep_visitor_keys(
    store: Store,
    metrics: Metrics,
    keys: Arc<VisitorKeys>,
    stop: impl Future<Output = ()>,
) {
    let looking = async {
        loop {
            let wait = match store.keep_visitor_keys(|day| keys.make(day)).await {
                Ok(_) => EVERY,
                Err(error) => {
                    metrics.visitor_key_failures.inc();
                    tracing::warn!(error = %Causes(&error), "cannot look after the keys of visitors");
                    AGAIN
                }
            };
            sleep(wait).await;
        }
    };
    tokio::select! {
        () = looking => {}
        () = stop => {}
    }
}

/// Writes publishes into their links soon after their time, until `stop` resolves. Of several servers one does each.
pub async fn settle_publishes(store: Store, metrics: Metrics, stop: impl Future<Output = ()>) {
    let settling = async {
        // Each is said once, and again when it fails anew.
        let (mut failed_before, mut held_up) = (false, BTreeSet::new());
        loop {
            match store.settle_publishes().await {
                Ok(Settlements { done, failed }) => {
                    failed_before = false;
                    for NotSettled { publish, error } in &failed {
                        metrics.publish_failures.inc();
                        if !held_up.contains(&publish.id) {
                            let (shop, id) = (&publish.shop, publish.id.0);
                            tracing::error!(%shop, publish = id, error = %Causes(error),
                                "a publish whose time has come cannot be written into its links");
                        }
                    }
                    held_up = failed.iter().map(|failed| failed.publish.id).collect();
                    for Settled { publish, revision, links } in done {
                        metrics.publishes_settled.inc();
                        let (shop, id, revision) = (publish.shop, publish.id.0, revision.0);
                        tracing::info!(%shop, publish = id, revision, links, "a publish was written into its links");
                    }
                }
                Err(error) => {
                    metrics.publish_failures.inc();
                    if !std::mem::replace(&mut failed_before, true) {
                        tracing::warn!(error = %Causes(&error), "cannot look for publishes whose time has come");
                    }
                }
            }
            sleep(PUBLISHES_EVERY).await;
        }
    };
    tokio::select! {
        () = settling => {}
        () = stop => {}
    }
}

/// Looks once, and returns when to look again.
async fn look(store: &Store, metrics: &Metrics, retention_days: u16) -> Duration {
    match store.keep_click_days(Timestamp::now(), retention_days).await {
        Ok(kept) => {
            let kept = kept.unwrap_or_default();
            for (day, clicks) in kept.dropped {
                metrics.click_days_dropped.inc();
                tracing::info!(%day, clicks, "a day of clicks was older than their retention and was removed");
            }
            for day in kept.returned {
                tracing::warn!(%day, "a day of clicks that was put away is younger than the retention and is back");
            }
            if let Some(others) = kept.otherwise {
                tracing::warn!(
                    days = retention_days,
                    others,
                    "SMARTLINKS_CLICK_RETENTION_DAYS is not what it was; if servers differ, the shortest time counts"
                );
            }
            let is_unfinished =
                kept.shops.iter().any(|expiry| expiry.is_unfinished) || !kept.waiting.is_empty();
            for ShopExpiry { shop, first, clicks, .. } in kept.shops {
                metrics.shop_clicks_expired.inc_by(u64::try_from(clicks).unwrap_or_default());
                tracing::info!(%shop, %first, clicks, "clicks that the shop does not keep any more were removed");
            }
            if is_unfinished { AGAIN } else { EVERY }
        }
        Err(error) => {
            metrics.click_days_failures.inc();
            tracing::warn!(error = %Causes(&error), "cannot look after the days of clicks");
            AGAIN
        }
    }
}
