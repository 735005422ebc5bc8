//! Lets the index be compared with the tables that it was read from.

use super::{
    record::Record,
    snapshot::{ShopEntry, Snapshot},
};
use crate::domain::{
    fingerprint::{Fingerprints, IndexedKind},
    revision::Revision,
};

impl Snapshot {
    /// Computes the fingerprints of everything that the index holds. Takes about a second for a million links.
    pub fn fingerprints(&self) -> Fingerprints {
        let mut prints = Fingerprints::new();
        for shop in self.shops.values() {
            let Some(row) = shop.row.as_ref().filter(|row| row.open.is_some()) else { continue };
            let id = shop.id.as_str();
            prints.add(IndexedKind::Shop, id, "", row.revision);
            for partner in shop.partners().filter(|partner| partner.state.is_some()) {
                prints.add(IndexedKind::Partner, id, partner.code.as_str(), partner.revision);
            }
            for link in shop.links() {
                prints.add(IndexedKind::Link, id, link.slug.as_str(), link.revision);
            }
        }
        // The newest form of a broken link was seen, if not understood.
        for broken in self.broken() {
            let Some(shop) = self.shops.get(&broken.shop).filter(|shop| shop.open().is_some()) else {
                continue;
            };
            let (id, slug) = (broken.shop.as_str(), broken.slug.as_str());
            if let Some(good) = shop.link(slug) {
                prints.remove(IndexedKind::Link, id, slug, good.revision);
            }
            prints.add(IndexedKind::Link, id, slug, broken.revision);
        }
        prints
    }

    /// Returns whether the index has seen an object at the revision of this record or a later one.
    pub fn holds(&self, record: &Record) -> bool {
        let (shop, revision) = match record {
            Record::Shop { shop, revision, .. }
            | Record::Partner { shop, revision, .. }
            | Record::Link { shop, revision, .. }
            | Record::BrokenLink { shop, revision, .. } => (shop, *revision),
        };
        let entry = self.shops.get(shop);
        let held = match record {
            Record::Shop { .. } => entry.and_then(|entry| entry.row.as_ref()).map(|row| row.revision),
            Record::Partner { code, .. } => {
                entry.and_then(|entry| entry.partner(code)).map(|held| held.revision)
            }
            Record::Link { slug, .. } | Record::BrokenLink { slug, .. } => {
                let good = entry.and_then(|entry: &std::sync::Arc<ShopEntry>| entry.link(slug.as_str()));
                let broken = self.broken.get(&(shop.clone(), slug.clone())).map(|broken| broken.revision);
                good.map(|link| link.revision).max(broken)
            }
        };
        held.is_some_and(|held: Revision| held >= revision)
    }
}
