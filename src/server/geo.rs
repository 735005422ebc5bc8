//! The country database: read at the start, and again whenever its file changes.

use std::{fs, io, path::PathBuf, sync::Arc, time::Duration};

use tokio::{sync::watch, task::spawn_blocking, time::sleep};

use crate::classify::{
    Classifier,
    geo::{GeoDb, GeoError},
};

/// How often the file is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// Bytes of a database at most; those of whole countries have a few megabytes.
const MOST_BYTES: u64 = 512 * 1_024 * 1_024;

/// Reads a country database.
pub(super) fn read(path: &PathBuf) -> Result<GeoDb, String> {
    let describe = |error: io::Error| format!("cannot read {}: {error}", path.display());
    let size = fs::metadata(path).map_err(describe)?.len();
    if size > MOST_BYTES {
        return Err(format!("{} has {size} bytes, at most {MOST_BYTES} are read", path.display()));
    }
    let bytes = fs::read(path).map_err(describe)?;
    GeoDb::from_bytes(bytes).map_err(|error: GeoError| format!("cannot use {}: {error}", path.display()))
}

/// Puts each new form of the file in use until `stop` turns true. A form that cannot be used changes nothing.
pub(super) async fn follow(path: PathBuf, classifier: Arc<Classifier>, mut stop: watch::Receiver<bool>) {
    let mut seen = stamp(&path);
    loop {
        tokio::select! {
            () = sleep(LOOK_INTERVAL) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let now = stamp(&path);
        if now == seen || now.is_none() {
            continue;
        }
        seen = now;
        let path = path.clone();
        match spawn_blocking(move || read(&path)).await.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(geo) => {
                tracing::info!(geo.built_at = %geo.built_at(), "a new country database is in use");
                classifier.replace_geo(Some(geo));
            }
            Err(error) => {
                tracing::error!(error, "the new country database cannot be used, the old one stays")
            }
        }
    }
}

/// Returns what changes when the file does.
fn stamp(path: &PathBuf) -> Option<(std::time::SystemTime, u64)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
