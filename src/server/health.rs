//! Health as load balancers ask for it: the resolver is well once it has an index, however old; the admin service and
//! the one of statistics are well while PostgreSQL answers; nobody is well once a stop has begun.

use tokio::sync::watch;
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::live::{Live, Status};

/// What Kubernetes asks about unless told otherwise.
const WHOLE_SERVER: &str = "";
/// The resolver by its full name.
pub(super) const RESOLVER: &str = "smartlinks.v1.LinkResolver";
/// The admin service by its full name.
pub(super) const ADMIN: &str = "smartlinks.v1.LinkAdmin";
/// The service of statistics by its full name.
pub(super) const STATS: &str = "smartlinks.v1.ClickStats";

/// Says of everything that it does not serve yet. tonic-health would call the whole server well from the beginning.
pub(super) async fn begin(reporter: &HealthReporter) {
    for service in [WHOLE_SERVER, RESOLVER, ADMIN, STATS] {
        reporter.set_service_status(service, ServingStatus::NotServing).await;
    }
}

/// Reports changes until `stop` turns true, which is reported too.
pub(super) async fn follow(
    reporter: HealthReporter,
    live: Live,
    mut database: watch::Receiver<bool>,
    mut stop: watch::Receiver<bool>,
) {
    let mut index = live.subscribe();
    loop {
        let has_index = index.borrow_and_update().revision.is_some();
        let has_database = *database.borrow_and_update();
        let all =
            [(WHOLE_SERVER, has_index), (RESOLVER, has_index), (ADMIN, has_database), (STATS, has_database)];
        for (service, is_well) in all {
            let status = if is_well { ServingStatus::Serving } else { ServingStatus::NotServing };
            reporter.set_service_status(service, status).await;
        }
        tokio::select! {
            // Only the first index changes anything.
            changed = first_index(&mut index, has_index) => if changed.is_err() { break },
            changed = database.changed() => if changed.is_err() { break },
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    begin(&reporter).await;
}

/// Waits for the first index; for ever if there is one.
async fn first_index(
    index: &mut watch::Receiver<Status>,
    has_index: bool,
) -> Result<(), watch::error::RecvError> {
    if has_index {
        return std::future::pending().await;
    }
    index.changed().await
}
