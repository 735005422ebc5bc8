//! What an index is made of.

use super::{
    Store,
    errors::StoreError,
    types::{Stored, StoredShop},
};
use crate::domain::{
    fingerprint::{Fingerprints, IndexedKind},
    link::{LinkState, Routing, Sharing},
    name::{ShopId, Slug},
    partner::Partner,
    revision::Revision,
};

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feed {
    /// The newest revision; everything up to it was read.
    pub head: Revision,
    /// What the rows are.
    pub changes: Changes,
}

/// What the rows of a feed are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changes {
    /// All there is: whatever was not among the rows is not there.
    Full,
    /// All that was written since the revision that was asked for.
    Since,
    /// None: the revision is too old, or not one of this database. Read everything.
    TooOld,
}

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub enum FeedRow {
    /// A shop; deleted if `delete_time` is set.
    Shop(StoredShop),
    /// A partner; deleted if `delete_time` is set.
    Partner(Stored<Partner>),
    /// A link; its state says whether it is deleted.
    Link(FeedLink),
    /// Something that does not parse.
    Unreadable {
        /// What it is.
        kind: IndexedKind,
        /// Its shop.
        shop: ShopId,
        /// Its code or slug; empty for a shop.
        key: String,
        /// The revision of its last write.
        revision: Revision,
        /// What is wrong.
        problem: String,
    },
}

/// What an index needs of a link.
#[derive(Clone, Debug, PartialEq)]
pub struct FeedLink {
    /// The shop.
    pub shop: ShopId,
    /// The slug.
    pub slug: Slug,
    /// The revision of its last write.
    pub revision: Revision,
    /// What it is in.
    pub state: LinkState,
    /// Whom it is shared with.
    pub sharing: Sharing,
    /// What decides where its clicks go.
    pub routing: Routing,
}

impl Store {
    /// Reads what was written after `since`, or everything, and hands it to `take` in pieces; all of it as of one
    /// instant. Whoever gets an error has to forget the pieces.
    pub async fn head_and_changes(
        &self,
        since: Option<Revision>,
        take: impl FnMut(Vec<FeedRow>) + Send,
    ) -> Result<Feed, StoreError> {
        todo!()
    }

    /// Returns the newest revision.
    pub async fn head(&self) -> Result<Revision, StoreError> {
        todo!()
    }

    /// Computes the fingerprints of all rows, and the revision they are of.
    pub async fn fingerprints(&self) -> Result<(Revision, Fingerprints), StoreError> {
        todo!()
    }

    /// Reads the rows of one bucket again, and the revision they are of.
    pub async fn rows_of_bucket(
        &self,
        kind: IndexedKind,
        bucket: u8,
    ) -> Result<(Revision, Vec<FeedRow>), StoreError> {
        todo!()
    }
}
