//! Tells visitors from each other without keeping who they are.
//!
//! Under the mode DAILY a visitor is a keyed hash of shop, address and user agent. There is one key for each UTC day of
//! the installation, and the shop is part of what is hashed: what one shop has tells nothing about the visitors of
//! another. Keys lie encrypted wherever they lie, under a secret that is a file of the servers; when a day's key is
//! deleted, nobody can find out any more whose hashes they were.

use std::{fmt, net::IpAddr, sync::Arc};

use arc_swap::ArcSwap;
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use hmac::{Hmac, Mac};
use jiff::civil::Date;
use sha2::{Digest, Sha256};

use crate::domain::{click::VisitorKey, name::ShopId, visitor::SealedKey};

/// The form of a sealed key: this byte, the nonce, the encrypted key with its tag.
const FORM: u8 = 1;
const NONCE_BYTES: usize = 24;
const KEY_BYTES: usize = 32;
/// What the key of the encryption is made for.
const SEALING: &[u8] = b"smartlinks: the keys of visitors, form 1";
/// What is authenticated beside a key, before its day.
const SEALED: &[u8] = b"smartlinks: the key of visitors of ";
/// What the id of a visitor is hashed behind.
const BY_ID: &[u8] = b"smartlinks: a visitor by id\0";
/// How many opened keys are remembered: yesterday's, today's, tomorrow's and one more.
const REMEMBERED: usize = 4;

type HmacSha256 = Hmac<Sha256>;

/// Makes and uses the keys of days; without a secret it knows nobody.
#[derive(Default)]
pub struct VisitorKeys {
    /// The newest generation first; it seals, each opens.
    ciphers: Vec<XChaCha20Poly1305>,
    opened: ArcSwap<Vec<Opened>>,
}

/// A key ready for use.
#[derive(Clone)]
struct Opened {
    sealed: SealedKey,
    /// `None` = it was sealed with a secret that is not ours.
    keyed: Option<HmacSha256>,
}

impl fmt::Debug for VisitorKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VisitorKeys").field("generations", &self.ciphers.len()).finish_non_exhaustive()
    }
}

impl VisitorKeys {
    /// Takes the generations of the secret, the newest first; none = no visitor is known by address.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let cipher = |secret: &str| {
            let mut derived = Sha256::new();
            derived.update(SEALING);
            derived.update(Sha256::digest(secret));
            XChaCha20Poly1305::new(&derived.finalize())
        };
        Self { ciphers: secrets.into_iter().map(cipher).collect(), opened: ArcSwap::default() }
    }

    /// Makes a key for a day and seals it; `None` without a secret.
    pub fn make(&self, day: Date) -> Option<SealedKey> {
        let cipher = self.ciphers.first()?;
        let (nonce, key): ([u8; NONCE_BYTES], [u8; KEY_BYTES]) = (rand::random(), rand::random());
        let beside = beside(day);
        let encrypted = cipher.encrypt(&XNonce::from(nonce), Payload { msg: &key, aad: &beside }).ok()?;
        let sealed = [&[FORM][..], &nonce, &encrypted].concat();
        Some(SealedKey { day, sealed })
    }

    /// Returns whether there is a secret.
    pub fn has_secret(&self) -> bool {
        !self.ciphers.is_empty()
    }

    /// Returns whether a key was sealed with a secret of ours.
    pub fn opens(&self, sealed: &SealedKey) -> bool {
        self.open(sealed).is_some()
    }

    /// Returns what tells a visitor of a shop from others on the day of the key; `None` if it cannot be opened.
    pub fn of_day(
        &self,
        sealed: &SealedKey,
        shop: &ShopId,
        address: IpAddr,
        user_agent: &str,
    ) -> Option<VisitorKey> {
        let opened = self.opened.load();
        let remembered = opened.iter().find(|opened| opened.sealed == *sealed);
        let mut mac = match remembered {
            Some(opened) => opened.keyed.clone()?,
            None => self.remember(sealed)?,
        };
        let address = match address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        // Each part ends where it must: no two visitors are hashed alike.
        mac.update(shop.as_str().as_bytes());
        mac.update(&[0]);
        mac.update(&address.octets());
        mac.update(user_agent.as_bytes());
        first_half(&mac.finalize().into_bytes().into())
    }

    /// Opens a key and remembers what came of it.
    fn remember(&self, sealed: &SealedKey) -> Option<HmacSha256> {
        let keyed = self.open(sealed);
        if keyed.is_none() && self.has_secret() {
            tracing::error!(
                day = %sealed.day,
                "the visitors of a day are unknown: its key was sealed with another secret; let SMARTLINKS_VISITOR_KEY_FILE \
                 hold the secret of all servers, and behind it the one before",
            );
        }
        let opened = Opened { sealed: sealed.clone(), keyed: keyed.clone() };
        self.opened.rcu(|before| {
            let others = before.iter().filter(|other| other.sealed != *sealed).take(REMEMBERED - 1);
            Arc::new(std::iter::once(&opened).chain(others).cloned().collect::<Vec<_>>())
        });
        keyed
    }

    fn open(&self, sealed: &SealedKey) -> Option<HmacSha256> {
        let (form, rest) = sealed.sealed.split_first()?;
        let (nonce, encrypted) = rest.split_first_chunk::<NONCE_BYTES>()?;
        let beside = beside(sealed.day);
        let open = |cipher: &XChaCha20Poly1305| {
            cipher.decrypt(&XNonce::from(*nonce), Payload { msg: encrypted, aad: &beside }).ok()
        };
        let key = self.ciphers.iter().filter(|_| *form == FORM).find_map(open)?;
        HmacSha256::new_from_slice(&key).ok()
    }
}

/// Returns what tells a visitor of a shop by an id that was made for this: long and random.
pub fn by_id(shop: &ShopId, id: &str) -> VisitorKey {
    let mut hash = Sha256::new();
    hash.update(BY_ID);
    hash.update(shop.as_str());
    hash.update([0]);
    hash.update(id);
    first_half(&hash.finalize().into()).unwrap_or_default()
}

/// Keeps a key from being passed off as that of another day.
fn beside(day: Date) -> Vec<u8> {
    [SEALED, day.to_string().as_bytes()].concat()
}

fn first_half(hash: &[u8; 32]) -> Option<VisitorKey> {
    hash.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0";

    fn shop(id: &str) -> ShopId {
        ShopId::parse(id).unwrap()
    }

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn visitor_is_the_same_on_one_day_in_one_shop_and_nowhere_else() {
        let keys = VisitorKeys::new(["secret"]);
        let (first, second) = (keys.make(day("2026-06-01")).unwrap(), keys.make(day("2026-06-02")).unwrap());
        let key =
            |sealed, of: &str, from: &str, by| keys.of_day(sealed, &shop(of), address(from), by).unwrap();
        let anna = key(&first, "acme", "192.0.2.7", FIREFOX);
        assert_eq!(key(&first, "acme", "192.0.2.7", FIREFOX), anna);
        assert_eq!(
            key(&first, "acme", "::ffff:192.0.2.7", FIREFOX),
            anna,
            "one address, written in two ways"
        );
        for other in [
            key(&second, "acme", "192.0.2.7", FIREFOX),
            key(&first, "acme2", "192.0.2.7", FIREFOX),
            key(&first, "acme", "192.0.2.8", FIREFOX),
            key(&first, "acme", "192.0.2.7", ""),
        ] {
            assert_ne!(other, anna);
        }
    }

    #[test]
    fn servers_with_one_secret_agree_and_others_know_nobody() {
        let made = VisitorKeys::new(["old"]).make(day("2026-06-01")).unwrap();
        let key = |secrets: &[&str], sealed: &SealedKey| {
            VisitorKeys::new(secrets.iter().copied()).of_day(
                sealed,
                &shop("acme"),
                address("192.0.2.7"),
                FIREFOX,
            )
        };
        let anna = key(&["old"], &made);
        assert!(anna.is_some());
        assert_eq!(key(&["new", "old"], &made), anna, "the older generation opens");
        assert_eq!(key(&["new"], &made), None);
        assert_eq!(key(&[], &made), None);
        assert!(VisitorKeys::new([]).make(day("2026-06-01")).is_none());
        let by_new = VisitorKeys::new(["new", "old"]).make(day("2026-06-01")).unwrap();
        assert_eq!(key(&["old"], &by_new), None, "the newer generation seals");
    }

    #[test]
    fn sealed_key_that_was_touched_is_not_used() {
        let keys = VisitorKeys::new(["secret"]);
        let made = keys.make(day("2026-06-01")).unwrap();
        let opens = |sealed| keys.of_day(&sealed, &shop("acme"), address("192.0.2.7"), FIREFOX).is_some();
        assert!(opens(made.clone()));
        assert!(!opens(SealedKey { day: day("2026-06-02"), ..made.clone() }), "passed off as another day's");
        for at in 0..made.sealed.len() {
            let mut touched = made.clone();
            touched.sealed[at] ^= 1;
            assert!(!opens(touched), "changed at {at}");
            let cut = SealedKey { sealed: made.sealed[..at].to_vec(), ..made.clone() };
            assert!(!opens(cut), "cut at {at}");
        }
        assert!(opens(made), "what failed does not stand in the way");
    }

    #[test]
    fn nothing_of_the_key_the_address_or_the_id_is_written() {
        let keys = VisitorKeys::new(["secret"]);
        let made = keys.make(day("2026-06-01")).unwrap();
        keys.of_day(&made, &shop("acme"), address("192.0.2.7"), FIREFOX);
        let shown = format!("{keys:?}");
        assert_eq!(shown, "VisitorKeys { generations: 1, .. }");
        assert_ne!(keys.make(day("2026-06-01")).unwrap(), made, "keys are drawn, not computed");
    }

    #[test]
    fn ids_are_hashed_per_shop() {
        let anna = by_id(&shop("acme"), "anna");
        assert_eq!(by_id(&shop("acme"), "anna"), anna);
        assert_ne!(by_id(&shop("acme2"), "anna"), anna);
        assert_ne!(by_id(&shop("acme"), "anna2"), anna);
        assert!(!anna.windows(4).any(|part| part == b"anna"));
    }
}
