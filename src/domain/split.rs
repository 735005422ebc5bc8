//! The key of splits: what decides, beside the weights, which visitor gets which variant.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Bytes of a key of SipHash.
const KEY_BYTES: usize = 16;

/// The key under which visitors are hashed to variants. Another key draws every visitor anew.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitKey {
    key: [u8; KEY_BYTES],
    is_secret: bool,
}

impl SplitKey {
    /// Makes the key of a secret.
    pub fn of_secret(secret: &str) -> Self {
        Self { key: derived(b"smartlinks: splits by a secret\0", secret.as_bytes()), is_secret: true }
    }

    /// Makes the key that all servers of an installation share without a secret.
    pub fn of_installation(id: Uuid) -> Self {
        Self { key: derived(b"smartlinks: splits of an installation\0", id.as_bytes()), is_secret: false }
    }

    /// Takes a key as it is, to check what others computed.
    pub const fn of_bytes(key: [u8; KEY_BYTES]) -> Self {
        Self { key, is_secret: false }
    }

    /// Returns the key.
    pub fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.key
    }

    /// Returns whether it was made of a secret, which is not to be written down.
    pub fn is_secret(&self) -> bool {
        self.is_secret
    }
}

impl Default for SplitKey {
    /// Returns the key of an index that belongs to no installation.
    fn default() -> Self {
        Self::of_bytes([0; KEY_BYTES])
    }
}

impl fmt::Debug for SplitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SplitKey").field("is_secret", &self.is_secret).finish_non_exhaustive()
    }
}

fn derived(purpose: &[u8], from: &[u8]) -> [u8; KEY_BYTES] {
    let mut hash = Sha256::new();
    hash.update(purpose);
    hash.update(from);
    let hash: [u8; 32] = hash.finalize().into();
    *hash.first_chunk().unwrap_or(&[0; KEY_BYTES])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_as_documented_and_never_shown() {
        // printf 'smartlinks: splits by a secret\0open sesame' | sha256sum | cut -c1-32
        let secret = SplitKey::of_secret("open sesame");
        assert_eq!(
            format!("{:032x}", u128::from_be_bytes(*secret.bytes())),
            "ebe4ef2fc17ce5e7102df11c03a80016"
        );
        let installation = SplitKey::of_installation(Uuid::from_u128(7));
        assert_eq!(
            format!("{:032x}", u128::from_be_bytes(*installation.bytes())),
            "0cb316d01a553ac9e78b11b5171419fa"
        );
        assert!(secret.is_secret() && !installation.is_secret());
        assert_eq!(format!("{secret:?}"), "SplitKey { is_secret: true, .. }");
    }
}
