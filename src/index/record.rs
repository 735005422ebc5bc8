//! What an index is made of: the form in which it is fed and kept on disk.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::{
    link::{LinkState, Routing, Sharing},
    name::{PartnerCode, ProgramId, ShopId, Slug, Tag},
    revision::Revision,
    shop::ShopSettings,
    split::SplitKey,
    visitor::SealedKey,
};

/// One object of the configuration at one revision.
///
/// Records may come in any order; of two records of the same object the one with the higher revision counts. Of two of
/// a link at the same revision, which differ in what is pending, the one that is applied last does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// A shop.
    Shop {
        /// Its id.
        shop: ShopId,
        /// The revision of its last write.
        revision: Revision,
        /// What decides about its clicks; `None` = deleted.
        settings: Option<ShopSettings>,
        /// The slug of its default partner link.
        default_link: Slug,
    },
    /// A partner.
    Partner {
        /// The shop.
        shop: ShopId,
        /// Its code.
        code: PartnerCode,
        /// The revision of its last write.
        revision: Revision,
        /// What rules and sharing look at; `None` = deleted.
        state: Option<PartnerState>,
    },
    /// A link.
    Link {
        /// The shop.
        shop: ShopId,
        /// Its slug.
        slug: Slug,
        /// The revision of its last write.
        revision: Revision,
        /// What it is in.
        state: LinkState,
        /// Whom it is shared with.
        sharing: Sharing,
        /// What decides where its clicks go.
        routing: Routing,
        /// What it is from a time on, committed ahead.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pending: Option<Box<PendingLink>>,
    },
    /// A link whose newest form could not be read: its last good form stays in use.
    BrokenLink {
        /// The shop.
        shop: ShopId,
        /// Its slug.
        slug: Slug,
        /// The revision of the form that could not be read.
        revision: Revision,
        /// What is wrong with it.
        problem: String,
    },
    /// The keys of the days whose visitors can still be told apart. They have no revision: the record that is applied last
    /// counts.
    VisitorKeys(Vec<SealedKey>),
    /// The key of splits. It has no revision either.
    SplitKey(SplitKey),
}

/// What a link is from a time on, committed ahead. The state that the link is in stays its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingLink {
    /// The revision of the publish that it belongs to.
    pub revision: Revision,
    /// The first instant at which it answers.
    pub effective_time: Timestamp,
    /// Whom the link is shared with from then on.
    pub sharing: Sharing,
    /// What decides where its clicks go from then on.
    pub routing: Routing,
}

/// What rules and sharing look at of a partner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartnerState {
    /// Older codes that still work.
    pub aliases: Vec<PartnerCode>,
    /// The program that it is in.
    pub program: Option<ProgramId>,
    /// Free words for rules.
    pub tags: Vec<Tag>,
    /// Whether it is credited.
    pub active: bool,
}

/// A link whose newest form could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The shop.
    pub shop: ShopId,
    /// The slug.
    pub slug: Slug,
    /// The revision of the form that could not be read.
    pub revision: Revision,
    /// What is wrong with it.
    pub problem: String,
}

/// How much an index holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Shops that are not deleted.
    pub shops: usize,
    /// Partners that are not deleted.
    pub partners: usize,
    /// Links, deleted ones included.
    pub links: usize,
}
