//! Page tokens: where a page ended, bound to the list, filter and order that it came from.
//!
//! A token carries no authority: whoever holds one may ask for nothing that they could not ask for without it.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use prost::Message;
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use crate::domain::fault::{Problem, Reason};

/// The first byte of every token; changes when what follows does.
const VERSION: u8 = 1;
/// Bytes of the hash of list, filter and order.
const HASH_BYTES: usize = 8;
/// Bytes of a token that we look at: the longest cursor is a name of 120 characters.
const MAX_BYTES: usize = 4_096;

/// What a token is bound to: a list with its filter and order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding([u8; HASH_BYTES]);

impl Binding {
    /// Binds to a list and a request for it whose page fields are empty.
    pub fn new(list: &str, request: &impl Message) -> Self {
        let mut hash = Sha256::new();
        hash.update(list.as_bytes());
        hash.update([0]);
        hash.update(request.encode_to_vec());
        let mut bytes = [0; HASH_BYTES];
        bytes.copy_from_slice(&hash.finalize()[..HASH_BYTES]);
        Self(bytes)
    }

    /// Writes a token for the page that ended at the cursor.
    pub fn write(self, cursor: &impl Serialize) -> Result<String, serde_json::Error> {
        let mut bytes = vec![VERSION];
        bytes.extend(self.0);
        serde_json::to_writer(&mut bytes, cursor)?;
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads a token; the empty text is the first page.
    pub fn read<C: DeserializeOwned>(self, token: &str) -> Result<Option<C>, Problem> {
        if token.is_empty() {
            return Ok(None);
        }
        let invalid = |text: &str| Problem::new(Reason::InvalidPageToken, text);
        let garbled = || invalid("the page token is garbled; begin with the first page again");
        if token.len() > MAX_BYTES {
            return Err(garbled());
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| garbled())?;
        let (version, rest) = bytes.split_first().ok_or_else(garbled)?;
        let (hash, cursor) = rest.split_at_checked(HASH_BYTES).ok_or_else(garbled)?;
        if *version != VERSION {
            return Err(invalid(
                "the page token is of another version of the server; begin with the first page again",
            ));
        }
        if hash != self.0 {
            return Err(invalid(
                "the page token belongs to another list, filter or order; begin with the first page again",
            ));
        }
        serde_json::from_slice(cursor).map(Some).map_err(|_| garbled())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::name::Slug, proto};

    fn binding(list: &str, search: &str) -> Binding {
        Binding::new(list, &proto::ListLinksRequest { search: search.into(), ..Default::default() })
    }

    #[test]
    fn token_reads_back_for_its_own_list_and_filter_alone() {
        let slug = Slug::parse("summer").unwrap();
        let token = binding("links", "x").write(&slug).unwrap();
        assert_eq!(binding("links", "x").read(&token), Ok(Some(slug)));
        for foreign in [binding("partners", "x"), binding("links", "y")] {
            let problem = foreign.read::<Slug>(&token).unwrap_err();
            assert_eq!(problem.reason, Reason::InvalidPageToken);
        }
        assert_eq!(binding("links", "x").read::<Slug>(""), Ok(None));
    }

    #[test]
    fn garbled_token_is_refused_whole() {
        let token = binding("links", "").write(&Slug::parse("summer").unwrap()).unwrap();
        let cut = &token[..token.len() - 3];
        let long = "A".repeat(MAX_BYTES + 1);
        for garbled in ["x", "!!", cut, "AAAA", &long, "é"] {
            let problem = binding("links", "").read::<Slug>(garbled).unwrap_err();
            assert_eq!(problem.reason, Reason::InvalidPageToken, "{garbled}");
        }
    }

    #[test]
    fn cursor_that_breaks_its_grammar_is_refused() {
        let token = binding("links", "").write(&"Not A Slug").unwrap();
        assert!(binding("links", "").read::<Slug>(&token).is_err());
    }
}
