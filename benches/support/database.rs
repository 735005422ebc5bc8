//! PostgreSQL, and what brings clicks there, beside a server on its own runtime.

use std::{path::Path, time::Duration};

use smartlinks::{
    dev::postgres::{Cluster, ClusterOptions, Programs},
    roller::Roller,
    shipper::{Shipper, ShipperSettings},
    store::{Store, StoreConfig},
};
use tempfile::TempDir;
use tokio::{runtime::Runtime, sync::watch};

use crate::log::Log;

/// How long the server gathers clicks before it ships them, and how often it looks for some to count.
const GATHER: Duration = Duration::from_millis(200);
const ROLL_INTERVAL: Duration = Duration::from_millis(500);

/// A server with PostgreSQL's own defaults, which waits for the disk. It ends with this value.
pub(crate) struct Database {
    store: Store,
    // In this order: its folder is needed until it has stopped.
    _cluster: Cluster,
    _folder: TempDir,
}

impl Database {
    /// Starts one with all tables; `None` if there is no PostgreSQL on this machine.
    pub(crate) fn start(runtime: &Runtime) -> Option<Self> {
        let setting = std::env::var_os("SMARTLINKS_PG_BIN");
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let programs = Programs::find(setting.as_deref().map(Path::new), root).ok()?;
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let options = ClusterOptions::kept(folder.path().join("postgres"));
        runtime.block_on(async {
            let cluster = Cluster::start(&programs, options).await.expect("PostgreSQL starts");
            let store = Store::connect(&StoreConfig {
                url: cluster.url(),
                pool_size: 10,
                wait_timeout: Duration::from_secs(5),
                statement_timeout: Duration::from_secs(60),
                application_name: "smartlinks benchmark".to_owned(),
            });
            let store = store.expect("an address");
            store.migrate().await.expect("tables");
            Some(Self { store, _cluster: cluster, _folder: folder })
        })
    }

    /// Ships and counts the clicks of a log from now on, until what is returned is dropped.
    pub(crate) fn follow(&self, log: &Log, runtime: &Runtime) -> watch::Sender<bool> {
        let (stop, stopped) = watch::channel(false);
        let settings = ShipperSettings { gather: GATHER, retention_days: 400 };
        let (store, metrics) = (self.store.clone(), log.metrics.clone());
        let shipper = Shipper::new(log.spool.clone(), store.clone(), metrics.clone(), settings);
        let mut stopping = stopped.clone();
        runtime.spawn(async move {
            tokio::select! {
                () = shipper.run(stopped.clone()) => {}
                // A sender that is gone says stop too.
                _ = stopping.wait_for(|stop| *stop) => {}
            }
        });
        runtime.spawn(Roller::new(store, metrics, ROLL_INTERVAL).run(stop.subscribe()));
        stop
    }
}
