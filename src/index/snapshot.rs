//! The index at one revision: maps that share their unchanged parts with those of the revisions before and after.

use std::{
    borrow::Borrow,
    hash::{Hash, Hasher},
    sync::Arc,
};

use foldhash::fast::FixedState;
use imbl::{GenericHashMap, shared_ptr::DefaultSharedPtr};

use super::{
    compile::{CompiledLink, ordered},
    counted::Counted,
    own::OwnNames,
    record::{Broken, Counts, PartnerState, Record},
};
use crate::domain::{
    host::Host,
    name::{PartnerCode, ProgramId, ShopId, Slug, Tag},
    policy::QueryPolicy,
    revision::Revision,
    shop::ShopSettings,
    split::SplitKey,
    visitor::SealedKey,
};

/// A map that is cheap to copy. Its order is the same on every machine; only admins choose what is in it.
pub(super) type Map<K, V> = GenericHashMap<K, V, FixedState, DefaultSharedPtr>;

/// Everything that resolving needs, at one revision. Never changes; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub(super) revision: Revision,
    pub(super) shops: Map<ShopId, Arc<ShopEntry>>,
    pub(super) hosts: Map<Host, ShopId>,
    pub(super) broken: Map<(ShopId, Slug), Arc<Broken>>,
    pub(super) visitor_keys: Arc<[SealedKey]>,
    pub(super) split_key: SplitKey,
    /// The shops in which some link looks at counters.
    pub(super) counting: Map<ShopId, ()>,
}

/// A shop with all that belongs to it. Partners and links may come before the shop itself.
#[derive(Clone, Debug)]
pub(super) struct ShopEntry {
    pub(super) id: ShopId,
    /// `None` = the shop itself has not come yet.
    pub(super) row: Option<Arc<ShopRow>>,
    /// By code and by alias.
    pub(super) partners: Map<PartnerCode, Arc<PartnerEntry>>,
    /// How many of them are not deleted; counting them at every publish would cost more than the publish.
    pub(super) live_partners: usize,
    pub(super) links: Map<LinkBySlug, ()>,
    pub(super) counted: Counted,
}

/// What a shop decides, ready to answer.
#[derive(Debug)]
pub(super) struct ShopRow {
    pub(super) revision: Revision,
    pub(super) default_link: Slug,
    /// `None` = deleted.
    pub(super) open: Option<OpenShop>,
}

/// A shop that is not deleted.
#[derive(Debug)]
pub(super) struct OpenShop {
    pub(super) settings: ShopSettings,
    pub(super) own: OwnNames,
    pub(super) policy: QueryPolicy,
}

impl OpenShop {
    pub(super) fn new(settings: ShopSettings) -> Self {
        let own = OwnNames::new(&settings);
        let policy = ordered(settings.query_policy.clone());
        Self { settings, own, policy }
    }
}

/// A partner.
#[derive(Debug)]
pub(super) struct PartnerEntry {
    pub(super) code: PartnerCode,
    pub(super) revision: Revision,
    /// `None` = deleted.
    pub(super) state: Option<PartnerState>,
}

impl PartnerEntry {
    /// Returns the program that the partner is in.
    pub(super) fn program(&self) -> Option<&ProgramId> {
        self.state.as_ref()?.program.as_ref()
    }

    /// Returns the partner's tags.
    pub(super) fn tags(&self) -> &[Tag] {
        self.state.as_ref().map_or(&[], |state| &state.tags)
    }
}

/// A link as the key that it is found by, so that the map holds one pointer per link.
#[derive(Clone, Debug)]
pub(super) struct LinkBySlug(pub(super) Arc<CompiledLink>);

impl Borrow<str> for LinkBySlug {
    fn borrow(&self) -> &str {
        self.0.slug.as_str()
    }
}

impl Hash for LinkBySlug {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.slug.as_str().hash(state);
    }
}

impl PartialEq for LinkBySlug {
    fn eq(&self, other: &Self) -> bool {
        self.0.slug == other.0.slug
    }
}

impl Eq for LinkBySlug {}

impl ShopEntry {
    /// Makes a shop of which nothing is known yet.
    pub(super) fn new(id: ShopId) -> Self {
        let (partners, links) = (Map::default(), Map::default());
        Self { id, row: None, partners, live_partners: 0, links, counted: Counted::default() }
    }

    /// Returns the shop's settings, unless it is deleted or has not come yet.
    pub(super) fn open(&self) -> Option<&OpenShop> {
        self.row.as_ref()?.open.as_ref()
    }

    /// Returns a link by its slug in small letters.
    pub(super) fn link(&self, slug: &str) -> Option<&Arc<CompiledLink>> {
        self.links.get_key_value(slug).map(|(link, ())| &link.0)
    }

    /// Returns every partner once.
    pub(super) fn partners(&self) -> impl Iterator<Item = &PartnerEntry> {
        self.partners.iter().filter(|(name, partner)| **name == partner.code).map(|(_, partner)| &**partner)
    }

    /// Returns every link.
    pub(super) fn links(&self) -> impl Iterator<Item = &CompiledLink> {
        self.links.keys().map(|LinkBySlug(link)| &**link)
    }

    fn records(&self) -> impl Iterator<Item = Record> {
        let shop = &self.id;
        let row = self.row.iter().map(|row| Record::Shop {
            shop: shop.clone(),
            revision: row.revision,
            settings: row.open.as_ref().map(|open| open.settings.clone()),
            default_link: row.default_link.clone(),
        });
        let partners = self.partners().map(|partner| Record::Partner {
            shop: shop.clone(),
            code: partner.code.clone(),
            revision: partner.revision,
            state: partner.state.clone(),
        });
        let links = self.links().map(|link| link.record(shop));
        row.chain(partners).chain(links)
    }
}

impl Snapshot {
    /// Returns an index of nothing, at the revision before the first.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Returns the revision that the index shows.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Returns how much the index holds.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for shop in self.shops.values() {
            counts.shops += usize::from(shop.open().is_some());
            counts.partners += shop.live_partners;
            counts.links += shop.links.len();
        }
        counts
    }

    /// Returns the links whose newest form could not be read, in no particular order.
    pub fn broken(&self) -> impl Iterator<Item = &Broken> {
        self.broken.values().map(|broken| &**broken)
    }

    /// Returns the keys of the days whose visitors can still be told apart.
    pub fn visitor_keys(&self) -> &Arc<[SealedKey]> {
        &self.visitor_keys
    }

    /// Returns all that is needed to build the index again. Names that only people read, disabled rules and the ids of
    /// rules and variants taken away are not in it: no answer depends on them. Nor is a key of splits that was made of a
    /// secret.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        let broken = self.broken().cloned().map(|Broken { shop, slug, revision, problem }| {
            Record::BrokenLink { shop, slug, revision, problem }
        });
        let keys = (!self.visitor_keys.is_empty()).then(|| Record::VisitorKeys(self.visitor_keys.to_vec()));
        let split_key = (!self.split_key.is_secret()).then_some(Record::SplitKey(self.split_key));
        self.shops.values().flat_map(|shop| shop.records()).chain(broken).chain(keys).chain(split_key)
    }
}
