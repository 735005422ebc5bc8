//! Compares an index with the tables that it was made from.

use super::{record::Record, snapshot::Snapshot};
use crate::domain::{
    fingerprint::{Fingerprints, IndexedKind},
    name::{ShopId, Slug},
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
                if let Some(pending) = &link.pending {
                    prints.add(IndexedKind::Link, id, link.slug.as_str(), pending.link.revision);
                }
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

    /// Returns the record of a link in its last good form.
    pub fn link_record(&self, shop: &ShopId, slug: &Slug) -> Option<Record> {
        let entry = self.shops.get(shop)?;
        Some(entry.link(slug.as_str())?.record(shop))
    }
}
