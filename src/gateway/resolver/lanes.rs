//! One lane to every server.

use std::{collections::HashMap, convert::Infallible, net::SocketAddr, sync::Arc};

use tokio::{sync::oneshot, task::JoinSet};

use super::{ResolverSettings, addresses::Servers, lane::Lane, pool::Pool};
use crate::telemetry::gateway_metrics::GatewayMetrics;

/// Keeps a lane to every server that is found, on the runtime that it is called on. Dropping it cuts all lanes.
pub(super) async fn keep(
    settings: ResolverSettings,
    mut servers: Servers,
    pool: Arc<Pool>,
    metrics: GatewayMetrics,
) {
    // Dropping its value tells a lane that its server is gone.
    let mut kept: HashMap<SocketAddr, oneshot::Sender<Infallible>> = HashMap::new();
    let mut lanes = JoinSet::new();
    loop {
        let found = servers.found();
        metrics.set_addresses(found.len());
        kept.retain(|address, _| found.contains_key(address));
        for (address, url) in found {
            kept.entry(address).or_insert_with(|| {
                let (stay, gone) = oneshot::channel();
                let (pool, servers) = (Arc::clone(&pool), servers.clone());
                lanes.spawn(Lane::new(address, url, &settings, pool, servers, &metrics).keep_open(gone));
                stay
            });
        }
        servers.changed().await;
        while lanes.try_join_next().is_some() {}
    }
}
