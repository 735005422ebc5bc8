//! A PostgreSQL that belongs to one test: it may be stopped, killed, and put back to an earlier state.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use smartlinks::dev::postgres::{Cluster, ClusterOptions, Programs};
use tempfile::TempDir;
use tokio_postgres::Client;

use super::database;

/// A server with data that survives its stops.
pub(crate) struct OwnPostgres {
    /// `None` = it is stopped. Dropped before its folder.
    cluster: Option<Cluster>,
    programs: Programs,
    options: ClusterOptions,
    data: PathBuf,
    url: String,
    _folder: TempDir,
}

impl OwnPostgres {
    /// Starts a server with these settings of its own, and an empty database.
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        let setting = env::var_os("SMARTLINKS_PG_BIN");
        let programs =
            Programs::find(setting.as_deref().map(Path::new), Path::new(env!("CARGO_MANIFEST_DIR")));
        let (programs, folder) = (programs.unwrap(), tempfile::tempdir().unwrap());
        let kept = ClusterOptions::kept(folder.path().join("data"));
        let options =
            settings.iter().fold(kept, |options, (name, value)| options.with_setting(*name, *value));
        let cluster = Cluster::start(&programs, options.clone()).await.unwrap();
        let (data, url) = (cluster.data().to_owned(), cluster.url());
        Self { cluster: Some(cluster), programs, options, data, url, _folder: folder }
    }

    /// Returns its address, the same after each start.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Connects.
    pub(crate) async fn client(&self) -> Client {
        database::connect(&self.url).await
    }

    /// Stops it in order, its clients disconnected.
    pub(crate) async fn stop(&mut self) {
        self.cluster.take().expect("it runs").stop().await.unwrap();
    }

    /// Stops it as the end of its machine does: nothing is written out, the next start reads its write-ahead log.
    pub(crate) async fn crash(&mut self) {
        let file = fs::read_to_string(self.data.join("postmaster.pid")).unwrap();
        let sent = Command::new("kill").args(["-QUIT", file.lines().next().unwrap()]).status().unwrap();
        assert!(sent.success());
        self.stop().await;
    }

    /// Starts it again.
    pub(crate) async fn start_again(&mut self) {
        self.cluster = Some(Cluster::start(&self.programs, self.options.clone()).await.unwrap());
    }

    /// Starts it again as a standby that takes over, as after a failover: on another timeline.
    pub(crate) async fn promote(&mut self) {
        fs::write(self.data.join("standby.signal"), "").unwrap();
        self.start_again().await;
        let promoted = self.client().await.query_one("SELECT pg_promote()", &[]).await.unwrap();
        assert!(promoted.get::<_, bool>(0), "it did not take over");
    }

    /// Copies what it holds while it is stopped.
    pub(crate) fn save(&self) {
        self.copy(&self.data, &self.saved());
    }

    /// Puts it, while it is stopped, back to what it held at the last [`OwnPostgres::save`].
    pub(crate) fn restore(&self) {
        fs::remove_dir_all(&self.data).unwrap();
        self.copy(&self.saved(), &self.data);
    }

    fn saved(&self) -> PathBuf {
        self.data.with_extension("saved")
    }

    fn copy(&self, from: &Path, to: &Path) {
        assert!(self.cluster.is_none(), "it runs");
        // With owners and modes: they may be another user's.
        let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
        assert!(copied.success());
    }
}

impl Drop for OwnPostgres {
    fn drop(&mut self) {
        self.cluster.take();
        // As root without user namespaces it does not lie in the test's folder.
        fs::remove_dir_all(self.saved()).ok();
        fs::remove_dir_all(&self.data).ok();
    }
}
