//! Which links look at counters: nobody else pays for them.

use std::sync::Arc;

use super::snapshot::{Map, Snapshot};
use crate::domain::{
    condition::{Attribute, Condition, Predicate},
    name::{PartnerCode, ShopId, Slug},
};

/// Which counters the rules of a link look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Uses {
    /// The link's own.
    pub(super) link: bool,
    /// The credited partner's.
    pub(super) partner: bool,
}

impl Uses {
    /// Finds out which counters conditions look at.
    pub(super) fn of(conditions: &[Arc<Condition>]) -> Self {
        let mut uses = Self::default();
        conditions.iter().for_each(|condition| uses.add(condition));
        uses
    }

    fn add(&mut self, condition: &Condition) {
        match condition {
            Condition::All(group) | Condition::Any(group) => {
                group.members().iter().for_each(|member| self.add(member));
            }
            Condition::Not(member) => self.add(member),
            Condition::IsKnown(attribute) => {
                self.link |= *attribute == Attribute::LinkTotalVisits;
                self.partner |= *attribute == Attribute::PartnerTotalVisits;
            }
            Condition::Is(predicate) => {
                self.link |= matches!(predicate, Predicate::LinkTotalVisits(_));
                self.partner |= matches!(predicate, Predicate::PartnerTotalVisits(_));
            }
        }
    }

    /// Returns which either of two looks at.
    pub(super) fn and(self, other: Self) -> Self {
        Self { link: self.link || other.link, partner: self.partner || other.partner }
    }

    fn any(self) -> bool {
        self.link || self.partner
    }
}

/// The links of a shop that look at counters.
#[derive(Clone, Debug, Default)]
pub(super) struct Counted {
    links: Map<Slug, Uses>,
    /// How many of them look at those of partners.
    of_partners: usize,
}

impl Counted {
    /// Notes what a link looks at now.
    pub(super) fn put(&mut self, slug: &Slug, uses: Uses) {
        if !uses.any() && self.links.is_empty() {
            return;
        }
        let before = self.links.remove(slug).unwrap_or_default();
        self.of_partners -= usize::from(before.partner);
        self.of_partners += usize::from(uses.partner);
        if uses.any() {
            self.links.insert(slug.clone(), uses);
        }
    }

    /// Returns whether some link looks at the counters of partners: then clicks on every link of the shop move them.
    pub(super) fn looks_at_partners(&self) -> bool {
        self.of_partners > 0
    }

    /// Returns whether no link looks at any counter.
    pub(super) fn is_empty(&self) -> bool {
        self.links.is_empty()
    }
}

/// The counters that a visit moves or its rules look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counting<'a> {
    /// The shop.
    pub shop: &'a ShopId,
    /// The link, if its own rules look at it.
    pub link: Option<&'a Slug>,
    /// The credited partner, if some link of the shop looks at partners.
    pub partner: Option<&'a PartnerCode>,
    /// Whether the visit moves them: a person's click.
    pub counts: bool,
}

/// What has to be counted in a shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountedShop {
    /// The shop.
    pub shop: ShopId,
    /// The links whose own counters are looked at, in order.
    pub links: Vec<Slug>,
    /// Whether all its partners are counted.
    pub partners: bool,
}

impl Snapshot {
    /// Returns what has to be counted, by shop.
    pub fn counted(&self) -> Vec<CountedShop> {
        let entries = self.counting.keys().filter_map(|shop| self.shops.get(shop));
        let mut shops: Vec<_> = entries
            .map(|entry| {
                let own = entry.counted.links.iter().filter(|(_, uses)| uses.link);
                let mut links: Vec<_> = own.map(|(slug, _)| slug.clone()).collect();
                links.sort_unstable();
                CountedShop { shop: entry.id.clone(), links, partners: entry.counted.looks_at_partners() }
            })
            .collect();
        shops.sort_unstable_by(|left, right| left.shop.cmp(&right.shop));
        shops
    }
}
