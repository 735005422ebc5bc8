//! What the store takes and returns.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::{
    link::{Description, LinkState, Routing, Sharing},
    name::{DisplayName, PartnerCode, ProgramId, ShopId, Slug, Tag},
    named::named_enum,
    revision::Revision,
    shop::Shop,
};

named_enum! {
    /// A kind of object that is stored.
    pub enum Kind: "kind of object" {
        /// A shop.
        Shop = "shop",
        /// A program of a shop.
        Program = "program",
        /// A partner of a shop.
        Partner = "partner",
        /// A link of a shop.
        Link = "link",
    }
}

/// An object as it is stored. Its etag derives from the revision.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored<T> {
    /// The object.
    pub value: T,
    /// The revision of its last write; of a link, its sharing included.
    pub revision: Revision,
    /// When it was created.
    pub create_time: Timestamp,
    /// When it was last written.
    pub update_time: Timestamp,
    /// When it was deleted; `None` while it exists.
    pub delete_time: Option<Timestamp>,
}

/// An object as a write left it, and that write.
#[derive(Clone, Debug, PartialEq)]
pub struct Past<T> {
    /// The object.
    pub value: T,
    /// The revision of the write.
    pub revision: Revision,
    /// When it was written.
    pub time: Timestamp,
    /// Who asked for it.
    pub actor: String,
    /// Why.
    pub comment: String,
    /// The publish that the write is of.
    pub publish: Option<Revision>,
}

/// The name of a publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishKey {
    /// The shop.
    pub shop: ShopId,
    /// The revision under which it was committed.
    pub id: Revision,
}

/// A time that a partner spent in a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The program; `None` = in none.
    pub program: Option<ProgramId>,
    /// The revision from which on the partner was in it.
    pub start_revision: Revision,
    /// When that was written.
    pub start_time: Timestamp,
    /// Who asked for it.
    pub actor: String,
    /// Why.
    pub comment: String,
    /// The revision and the time from which on it was so no more; `None` = it still is.
    pub end: Option<(Revision, Timestamp)>,
}

/// A shop as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredShop {
    /// The shop.
    pub stored: Stored<Shop>,
    /// The slug of its default partner link.
    pub default_link: Slug,
}

/// A link as lists show it: with the number of those it is shared with instead of their names.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedLink {
    /// The shop.
    pub shop: ShopId,
    /// The slug.
    pub slug: Slug,
    /// Whether it is the shop's default partner link.
    pub is_default: bool,
    /// What partners see.
    pub display_name: DisplayName,
    /// What partners see below the name.
    pub description: Description,
    /// Free words to find it by.
    pub tags: Vec<Tag>,
    /// What it is in.
    pub state: LinkState,
    /// How many it is shared with.
    pub sharing: SharingSummary,
    /// What decides where its clicks go.
    pub routing: Routing,
}

/// How many a link is shared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharingSummary {
    /// Whether it is shared with everyone.
    pub everyone: bool,
    /// How many partners are selected by code.
    pub partners: usize,
    /// How many programs are selected.
    pub programs: usize,
}

/// The order of a list of links; the default partner link comes first in any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkOrder {
    /// By slug.
    #[default]
    Slug,
    /// By name, without case, then by slug.
    DisplayName,
    /// Newest first, then by slug.
    Newest,
    /// Last written first, then by slug.
    LastWritten,
}

/// Which links a list shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkFilter {
    /// Only those in one of these states; empty = active and paused.
    pub states: Vec<LinkState>,
    /// Only those with all of these tags.
    pub tags: Vec<Tag>,
    /// Only those whose slug, name, description or default destination contains this text, without case.
    pub search: Option<String>,
    /// Only those shared with the partner of this code or alias, be it with everyone, by code or by program; none if
    /// there is no such partner or it is deleted.
    pub shared_with_partner: Option<PartnerCode>,
    /// Only those shared with this program by name.
    pub shared_with_program: Option<ProgramId>,
}

/// What list of links is asked for.
#[derive(Clone, Debug)]
pub struct ListLinks {
    /// The shop.
    pub shop: ShopId,
    /// Which of its links.
    pub filter: LinkFilter,
    /// In which order.
    pub order: LinkOrder,
    /// The last entry of the page before.
    pub after: Option<LinkCursor>,
    /// How many at most.
    pub limit: usize,
}

/// Where in a list of links a page ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkCursor {
    /// Whether it ended with the default partner link, which stands before every order.
    pub is_default: bool,
    /// By what the order compares the entry.
    pub key: LinkKey,
    /// By what it compares entries that are alike.
    pub slug: Slug,
}

/// By what an order compares a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkKey {
    /// The slug alone.
    Slug,
    /// The name in small letters.
    DisplayName(String),
    /// When it was created, in microseconds.
    Newest(i64),
    /// The revision of its last write.
    LastWritten(i64),
}

/// Which partners a list shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartnerFilter {
    /// Only those whose code, alias or name contains this text, without case.
    pub search: Option<String>,
    /// Only those in this program.
    pub program: Option<ProgramId>,
    /// Only those with this tag.
    pub tag: Option<Tag>,
    /// Whether to list deleted ones too.
    pub show_deleted: bool,
}

/// A page of those a link is shared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharingPage {
    /// Whether it is shared with everyone; then there are no names.
    pub everyone: bool,
    /// Ids of programs, in order; on the first page only.
    pub programs: Vec<ProgramId>,
    /// Codes of partners, in order.
    pub partners: Vec<PartnerCode>,
}

/// Whose sharing changes: partners that exist, active or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SharingChange {
    /// How many gain the link.
    pub gain_count: usize,
    /// Who gains it, by code; the first of them.
    pub gains: Vec<PartnerCode>,
    /// How many lose the link.
    pub loss_count: usize,
    /// Who loses it, by code; the first of them.
    pub losses: Vec<PartnerCode>,
}

/// Something that other objects of the same shop name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// The shop itself.
    Shop(ShopId),
    /// A program.
    Program(ProgramId),
    /// A partner, by its code.
    Partner(PartnerCode),
}

/// Who names something; deleted objects do not count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References {
    /// How many links name it in conditions or sharing; of a shop, how many it has besides its default partner link.
    pub link_count: usize,
    /// The first of them by slug.
    pub links: Vec<Slug>,
    /// How many partners are in the program.
    pub partner_count: usize,
    /// The first of them by code.
    pub partners: Vec<PartnerCode>,
}

impl References {
    /// Returns whether nobody names it.
    pub fn is_empty(&self) -> bool {
        self.link_count == 0 && self.partner_count == 0
    }
}

/// How many links and partners [`References`] names at most.
pub const NAMED_REFERENCES: usize = 20;

/// Returns how an order compares names: without case.
pub(super) fn folded(text: &str) -> String {
    text.to_lowercase()
}

impl LinkCursor {
    /// Returns where a page in this order ends whose last entry is this link.
    pub fn after(order: LinkOrder, link: &Stored<ListedLink>) -> Self {
        let key = match order {
            LinkOrder::Slug => LinkKey::Slug,
            LinkOrder::DisplayName => LinkKey::DisplayName(folded(link.value.display_name.as_str())),
            LinkOrder::Newest => LinkKey::Newest(link.create_time.as_microsecond()),
            LinkOrder::LastWritten => LinkKey::LastWritten(link.revision.0),
        };
        Self { is_default: link.value.is_default, key, slug: link.value.slug.clone() }
    }

    /// Returns whether a page in this order can end here.
    pub fn fits(&self, order: LinkOrder) -> bool {
        match (order, &self.key) {
            (LinkOrder::Slug, LinkKey::Slug)
            | (LinkOrder::DisplayName, LinkKey::DisplayName(_))
            | (LinkOrder::LastWritten, LinkKey::LastWritten(_)) => true,
            (LinkOrder::Newest, LinkKey::Newest(microsecond)) => {
                Timestamp::from_microsecond(*microsecond).is_ok()
            }
            (LinkOrder::Slug | LinkOrder::DisplayName | LinkOrder::Newest | LinkOrder::LastWritten, _) => {
                false
            }
        }
    }
}

impl SharingSummary {
    /// Counts.
    pub fn of(sharing: &Sharing) -> Self {
        match sharing {
            Sharing::Everyone => Self { everyone: true, partners: 0, programs: 0 },
            Sharing::Selected { partners, programs } => {
                Self { everyone: false, partners: partners.len(), programs: programs.len() }
            }
        }
    }
}
