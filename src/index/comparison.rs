//! Compares an index with the tables that it was made from.

use super::{
    record::Record,
    snapshot::{ShopEntry, Snapshot},
};
use crate::domain::{
    fingerprint::{Fingerprints, IndexedKind},
    name::{ShopId, Slug},
    revision::Revision,
};

impl Snapshot {
    /// Returns the fingerprints of everything that the index holds, computed here and now: for a million links that is
    /// a good part of a second.
    pub fn fingerprints(&self) -> Fingerprints {
        let mut prints = Fingerprints::new();
        for shop in self.shops.values().filter(|shop| shop.open().is_some()) {
            let id = shop.id.as_str();
            if let Some(row) = &shop.row {
                prints.add(IndexedKind::Shop, id, "", row.revision);
            }
            for partner in shop.partners().filter(|partner| partner.state.is_some()) {
                prints.add(IndexedKind::Partner, id, partner.code.as_str(), partner.revision);
            }
            for link in shop.links() {
                let broken = self.broken.get(&(shop.id.clone(), link.slug.clone()));
                let revision = broken.map_or(link.revision, |broken| broken.revision);
                prints.add(IndexedKind::Link, id, link.slug.as_str(), revision);
            }
        }
        // Those that were never good are held by their problem alone.
        for broken in self.broken() {
            let shop = self.shops.get(&broken.shop);
            let is_open = shop.is_some_and(|shop| shop.open().is_some());
            if is_open && shop.is_some_and(|shop| shop.link(broken.slug.as_str()).is_none()) {
                prints.add(IndexedKind::Link, broken.shop.as_str(), broken.slug.as_str(), broken.revision);
            }
        }
        prints
    }

    /// Returns whether the index has seen a record, or a newer one of the same object.
    pub fn holds(&self, record: &Record) -> bool {
        let entry = |shop: &ShopId| self.shops.get(shop);
        let (held, revision) = match record {
            Record::Shop { shop, revision, .. } => {
                (entry(shop).and_then(|entry| Some(entry.row.as_ref()?.revision)), revision)
            }
            Record::Partner { shop, code, revision, .. } => {
                let partner = entry(shop).and_then(|entry| entry.partners.get(code));
                (partner.filter(|held| held.code == *code).map(|held| held.revision), revision)
            }
            Record::Link { shop, slug, revision, .. } | Record::BrokenLink { shop, slug, revision, .. } => {
                (self.link_revision(entry(shop).map(|entry| &**entry), shop, slug), revision)
            }
        };
        held.is_some_and(|held| held >= *revision)
    }

    /// Returns the newest revision of a link that was seen, readable or not.
    fn link_revision(&self, entry: Option<&ShopEntry>, shop: &ShopId, slug: &Slug) -> Option<Revision> {
        let good = entry.and_then(|entry| entry.link(slug.as_str())).map(|link| link.revision);
        let broken = self.broken.get(&(shop.clone(), slug.clone())).map(|broken| broken.revision);
        good.max(broken)
    }
}
