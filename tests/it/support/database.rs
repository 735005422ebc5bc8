//! A database per test: a copy of a migrated template, on the throw-away server that all tests of a run share.
//!
//! The server stops by itself when the last test process has gone. A database is held by an advisory lock of its test's
//! session; what nobody holds any more, because its test ended or was killed, is dropped by whoever comes next.

use std::{
    env,
    fmt::Write,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::Path,
    process,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use smartlinks::{
    dev::postgres::{Programs, SharedCluster},
    store::{Store, StoreConfig},
};
use tokio_postgres::{Client, NoTls};

/// Keeps two processes from making the template at once.
const TEMPLATE_LOCK: i64 = 1;

/// A database that is the test's own.
pub(crate) struct Database {
    url: String,
    /// Holds the lock on the name.
    _holder: Client,
    _cluster: SharedCluster,
}

impl Database {
    /// Makes a database with all tables and no rows.
    pub(crate) async fn create() -> Self {
        Self::make(true).await
    }

    /// Makes a database without tables.
    pub(crate) async fn create_empty() -> Self {
        Self::make(false).await
    }

    async fn make(migrated: bool) -> Self {
        let cluster = tokio::task::spawn_blocking(join_cluster).await.unwrap();
        let holder = connect(&cluster.url()).await;
        let template = if migrated { template(&cluster, &holder).await } else { "template0".to_owned() };
        sweep(&holder).await;
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}_{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        holder.execute("SELECT pg_advisory_lock(hashtext($1))", &[&name]).await.unwrap();
        holder.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE {template}")).await.unwrap();
        Self { url: cluster.url_of(&name), _holder: holder, _cluster: cluster }
    }

    /// The address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The settings with which tests reach it.
    pub(crate) fn config(&self) -> StoreConfig {
        StoreConfig {
            url: self.url.clone(),
            pool_size: 20,
            wait_timeout: Duration::from_secs(20),
            statement_timeout: Duration::from_secs(60),
            application_name: "smartlinks test".to_owned(),
        }
    }

    /// A store on it.
    pub(crate) fn store(&self) -> Store {
        Store::connect(&self.config()).unwrap()
    }

    /// A connection past the store.
    pub(crate) async fn client(&self) -> Client {
        connect(&self.url).await
    }
}

fn join_cluster() -> SharedCluster {
    let setting = env::var_os("SMARTLINKS_PG_BIN");
    let programs =
        Programs::find(setting.as_deref().map(Path::new), Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    SharedCluster::join(&programs, &Path::new(env!("CARGO_TARGET_TMPDIR")).join("postgres")).unwrap()
}

/// Connects past the store.
pub(crate) async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    // Ends when the client is dropped.
    tokio::spawn(connection);
    client
}

/// Returns the template of these migrations, and makes it first if there is none.
async fn template(cluster: &SharedCluster, admin: &Client) -> String {
    let name = format!("template_{}", hash_of_migrations());
    admin.execute("SELECT pg_advisory_lock($1)", &[&TEMPLATE_LOCK]).await.unwrap();
    if !exists(admin, &name).await {
        let unfinished = format!("{name}_unfinished");
        // Of a process that was killed.
        admin.batch_execute(&format!("DROP DATABASE IF EXISTS {unfinished} WITH (FORCE)")).await.unwrap();
        admin.batch_execute(&format!("CREATE DATABASE {unfinished} TEMPLATE template0")).await.unwrap();
        let store = Store::connect(&StoreConfig {
            url: cluster.url_of(&unfinished),
            pool_size: 1,
            wait_timeout: Duration::from_secs(20),
            statement_timeout: Duration::from_secs(60),
            application_name: "smartlinks test".to_owned(),
        });
        store.unwrap().migrate().await.unwrap();
        // Waits until the migration's connection is closed.
        admin.batch_execute(&format!("ALTER DATABASE {unfinished} RENAME TO {name}")).await.unwrap();
    }
    admin.execute("SELECT pg_advisory_unlock($1)", &[&TEMPLATE_LOCK]).await.unwrap();
    name
}

async fn exists(admin: &Client, database: &str) -> bool {
    admin.query_opt("SELECT FROM pg_database WHERE datname = $1", &[&database]).await.unwrap().is_some()
}

/// Drops the databases that nobody holds.
async fn sweep(admin: &Client) {
    let rows = admin
        .query("SELECT datname::text FROM pg_database WHERE datname LIKE 'test\\_%'", &[])
        .await
        .unwrap();
    for row in rows {
        let name: String = row.get(0);
        let free = admin.query_one("SELECT pg_try_advisory_lock(hashtext($1))", &[&name]).await.unwrap();
        if free.get(0) {
            admin.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await.unwrap();
            admin.execute("SELECT pg_advisory_unlock(hashtext($1))", &[&name]).await.unwrap();
        }
    }
}

fn hash_of_migrations() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut migrations: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    migrations.sort();
    let mut hasher = DefaultHasher::new();
    for migration in migrations {
        migration.file_name().hash(&mut hasher);
        fs::read(migration.join("up.sql")).unwrap().hash(&mut hasher);
    }
    let mut text = String::new();
    write!(text, "{:016x}", hasher.finish()).unwrap();
    text
}
