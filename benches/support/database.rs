//! A PostgreSQL of the benchmark's own, as durable as one that is meant.

use std::{env, path::Path, time::Duration};

use smartlinks::{
    dev::postgres::{Cluster, ClusterOptions, Programs},
    store::{Store, StoreConfig},
};

/// What a server has that is meant: what it says is written is on the disk.
const SETTINGS: [(&str, &str); 6] = [
    ("fsync", "on"),
    ("synchronous_commit", "on"),
    ("full_page_writes", "on"),
    ("shared_buffers", "1GB"),
    ("max_wal_size", "8GB"),
    ("checkpoint_timeout", "30min"),
];

/// A server that ends with this value, and a database with all tables and no rows.
pub(crate) struct Database {
    _cluster: Cluster,
    pub(crate) url: String,
}

impl Database {
    pub(crate) async fn start() -> Self {
        let setting = env::var_os("SMARTLINKS_PG_BIN");
        let found = Programs::find(setting.as_deref().map(Path::new), Path::new(env!("CARGO_MANIFEST_DIR")));
        let programs = found.unwrap_or_else(|error| panic!("{error}"));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-{}", std::process::id()));
        let options = SETTINGS.iter().fold(ClusterOptions::throw_away(folder), |options, (name, value)| {
            options.with_setting(*name, *value)
        });
        let cluster = Cluster::start(&programs, options).await.unwrap_or_else(|error| panic!("{error}"));
        let database = Self { url: cluster.url(), _cluster: cluster };
        database.store().migrate().await.expect("migrations");
        database
    }

    /// Returns a store on it.
    pub(crate) fn store(&self) -> Store {
        let config = StoreConfig {
            url: self.url.clone(),
            pool_size: 10,
            wait_timeout: Duration::from_secs(20),
            statement_timeout: Duration::from_secs(60),
            application_name: "smartlinks bench".to_owned(),
        };
        Store::connect(&config).expect("a sound address")
    }
}
