//! Stream tokens: a place in the ledger of an epoch. They are bound to no filter, and carry no authority.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    domain::fault::{Problem, Reason},
    store::clicks::Place,
};

/// The first byte of every token; changes when what follows does.
const VERSION: u8 = 1;
/// Bytes before the checksum: version, epoch, position, number within the next entry.
const CONTENT_BYTES: usize = 1 + 16 + 8 + 8;
/// Bytes of the checksum, which tells a token of ours from anything else of the same length.
const CHECK_BYTES: usize = 6;

/// Writes a token for a place.
pub(super) fn write(epoch: Uuid, place: Place) -> String {
    let mut bytes = Vec::with_capacity(CONTENT_BYTES + CHECK_BYTES);
    bytes.push(VERSION);
    bytes.extend(epoch.as_bytes());
    bytes.extend(place.done.to_be_bytes());
    bytes.extend(place.within.to_be_bytes());
    bytes.extend(checksum(&bytes));
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads a token; the empty text is the beginning.
pub(super) fn read(token: &str) -> Result<Option<(Uuid, Place)>, Problem> {
    if token.is_empty() {
        return Ok(None);
    }
    let invalid = |text: &str| Problem::new(Reason::InvalidStreamToken, text);
    let garbled =
        || invalid("the token is garbled or not one of a stream; send the last one that a stream sent you");
    if token.len() > 2 * (CONTENT_BYTES + CHECK_BYTES) {
        return Err(garbled());
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| garbled())?;
    let (content, check) = bytes.split_at_checked(CONTENT_BYTES).ok_or_else(garbled)?;
    if check != checksum(content) {
        return Err(garbled());
    }
    if content[0] != VERSION {
        return Err(invalid("the token is of another version of the server; begin anew"));
    }
    let number = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&content[at..at + 8]);
        i64::from_be_bytes(bytes)
    };
    let mut epoch = [0; 16];
    epoch.copy_from_slice(&content[1..17]);
    let place = Place { done: number(17), within: number(25) };
    if place.done < 0 || place.within < 0 {
        return Err(garbled());
    }
    Ok(Some((Uuid::from_bytes(epoch), place)))
}

fn checksum(content: &[u8]) -> [u8; CHECK_BYTES] {
    let mut hash = Sha256::new();
    hash.update("stream of clicks");
    hash.update(content);
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&hash.finalize()[..CHECK_BYTES]);
    check
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: Uuid = Uuid::from_u128(0x0123_4567_89ab_cdef);

    #[test]
    fn token_reads_back_and_is_short() {
        for (done, within) in [(0, 0), (1, 0), (41, 9_999), (i64::MAX, i64::MAX)] {
            let place = Place { done, within };
            let token = write(EPOCH, place);
            assert_eq!(read(&token), Ok(Some((EPOCH, place))));
            assert!(token.len() <= 100, "{token}");
        }
        assert_eq!(read(""), Ok(None));
    }

    #[test]
    fn every_changed_sign_is_noticed() {
        let token = write(EPOCH, Place { done: 41, within: 7 });
        for at in 0..token.len() {
            for sign in ['A', 'b', '0', '-', '*', '='] {
                let mut changed = token.clone();
                changed.replace_range(at..=at, &sign.to_string());
                if changed != token {
                    assert_eq!(read(&changed).unwrap_err().reason, Reason::InvalidStreamToken, "{changed}");
                }
            }
            assert!(read(&token[..at]).is_err() || at == 0);
        }
        assert!(read(&format!("{token}A")).is_err());
        assert!(read(&"A".repeat(10_000)).is_err());
        assert!(read("é").is_err());
    }

    #[test]
    fn place_that_cannot_be_is_refused() {
        assert!(read(&write(EPOCH, Place { done: -1, within: 0 })).is_err());
        assert!(read(&write(EPOCH, Place { done: 0, within: -1 })).is_err());
    }
}
