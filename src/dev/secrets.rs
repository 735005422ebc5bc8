//! Secrets of a service that nobody else uses: made at the first start, kept beside the data.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};

use crate::config::Generations;

/// The folder of the secrets.
const FOLDER: &str = "secrets";

/// Returns the secret of this name, made if there is none yet.
pub(super) fn kept(folder: &Path, name: &str) -> Result<Generations, String> {
    let folder = folder.join(FOLDER);
    let path = folder.join(name);
    let told = |error: std::io::Error| format!("cannot keep the secret {}: {error}", path.display());
    match fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => return Ok(Generations::new([text.trim()])),
        // Cut off while it was made.
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(told(error)),
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(told)?;
    let secret = STANDARD_NO_PAD.encode(rand::random::<[u8; 32]>());
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path).map_err(told)?;
    file.write_all(secret.as_bytes()).map_err(told)?;
    Ok(Generations::new([&*secret]))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn secret_is_made_once_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let first = kept(folder.path(), "visitors").unwrap();
        assert_eq!(kept(folder.path(), "visitors").unwrap(), first);
        assert_ne!(kept(folder.path(), "cookies").unwrap(), first);
        let path = folder.path().join(FOLDER).join("visitors");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, "").unwrap();
        assert_ne!(kept(folder.path(), "visitors").unwrap(), first, "one that was cut off is made anew");
    }
}
