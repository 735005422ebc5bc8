//! Builds snapshots from records.

use std::sync::Arc;

use super::{
    compile::CompiledLink,
    intern::Interner,
    record::{Broken, PartnerState, Record},
    snapshot::{LinkBySlug, OpenShop, PartnerEntry, ShopEntry, ShopRow, Snapshot},
};
use crate::domain::{
    host::Host,
    name::{PartnerCode, ShopId, Slug},
    revision::Revision,
    shop::ShopSettings,
};

/// Makes each snapshot from the one before, and shares what is equal between links.
#[derive(Debug, Default)]
pub struct Writer {
    interner: Interner,
    newest: Arc<Snapshot>,
}

impl Writer {
    /// Begins with an empty index.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the newest snapshot.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.newest
    }

    /// Applies records and returns the snapshot with all of them; a record older than what is held is ignored.
    pub fn apply(&mut self, records: impl IntoIterator<Item = Record>, revision: Revision) -> Arc<Snapshot> {
        let mut next = (*self.newest).clone();
        next.revision = next.revision.max(revision);
        for record in records {
            self.apply_one(&mut next, record);
        }
        self.newest = Arc::new(next);
        self.interner.sweep();
        self.newest.clone()
    }

    fn apply_one(&mut self, next: &mut Snapshot, record: Record) {
        match record {
            Record::Shop { shop, revision, settings, default_link } => {
                put_shop(next, shop, revision, settings, default_link);
            }
            Record::Partner { shop, code, revision, state } => {
                put_partner(entry(next, &shop), code, revision, state);
            }
            Record::Link { shop, slug, revision, state, sharing, routing, pending } => {
                let held = |entry: &Arc<ShopEntry>| entry.link(slug.as_str()).map(|link| link.revision);
                if next.shops.get(&shop).and_then(held).is_some_and(|held| held > revision) {
                    return;
                }
                let key = (shop, slug);
                if next.broken.get(&key).is_some_and(|broken| broken.revision <= revision) {
                    next.broken.remove(&key);
                }
                let (shop, slug) = key;
                let mut link = CompiledLink::new(slug, revision, state, sharing, routing, &mut self.interner);
                if let Some(pending) = pending {
                    link = link.followed_by(*pending, &mut self.interner);
                }
                let entry = entry(next, &shop);
                entry.counted.put(&link.slug, link.all_uses());
                let is_counting = !entry.counted.is_empty();
                let link = LinkBySlug(Arc::new(link));
                // The map would keep the old key, which is the old link.
                entry.links.remove(&link);
                entry.links.insert(link, ());
                if is_counting {
                    next.counting.insert(shop, ());
                } else {
                    next.counting.remove(&shop);
                }
            }
            Record::VisitorKeys(keys) => next.visitor_keys = keys.into(),
            Record::SplitKey(key) => next.split_key = key,
            Record::BrokenLink { shop, slug, revision, problem } => {
                let held = next.shops.get(&shop).and_then(|entry| entry.link(slug.as_str()));
                if held.is_some_and(|link| link.revision >= revision) {
                    return;
                }
                let key = (shop, slug);
                if next.broken.get(&key).is_none_or(|broken| broken.revision <= revision) {
                    let (shop, slug) = key.clone();
                    next.broken.insert(key, Arc::new(Broken { shop, slug, revision, problem }));
                }
            }
        }
    }
}

/// Returns the place of a shop, made if it is the first time that it is heard of.
fn entry<'a>(next: &'a mut Snapshot, shop: &ShopId) -> &'a mut ShopEntry {
    let entry = next.shops.entry(shop.clone()).or_insert_with(|| Arc::new(ShopEntry::new(shop.clone())));
    Arc::make_mut(entry)
}

fn put_shop(
    next: &mut Snapshot,
    shop: ShopId,
    revision: Revision,
    settings: Option<ShopSettings>,
    default_link: Slug,
) {
    let entry = entry(next, &shop);
    if entry.row.as_ref().is_some_and(|held| held.revision > revision) {
        return;
    }
    let hosts =
        |row: &ShopRow| row.open.as_ref().map_or_else(Vec::new, |open| open.settings.link_hosts.clone());
    let row = Arc::new(ShopRow { revision, default_link, open: settings.map(OpenShop::new) });
    let gained = hosts(&row);
    let lost = entry.row.replace(row).map_or_else(Vec::new, |row| hosts(&row));
    for host in lost {
        if next.hosts.get(&host) == Some(&shop) {
            next.hosts.remove(&host);
        }
    }
    for host in gained {
        if is_newest_claim(next, &host, revision) {
            next.hosts.insert(host, shop.clone());
        }
    }
}

/// Returns whether a shop at this revision may take a host: in records that come out of order, the shop that has given
/// the host away may come after the one that got it.
fn is_newest_claim(next: &Snapshot, host: &Host, revision: Revision) -> bool {
    let holder = next.hosts.get(host).and_then(|shop| next.shops.get(shop));
    holder.and_then(|entry| entry.row.as_ref()).is_none_or(|row| row.revision <= revision)
}

fn put_partner(shop: &mut ShopEntry, code: PartnerCode, revision: Revision, state: Option<PartnerState>) {
    let partners = &mut shop.partners;
    if let Some(held) = partners.get(&code).filter(|held| held.code == code).cloned() {
        if held.revision > revision {
            return;
        }
        shop.live_partners -= usize::from(held.state.is_some());
        for alias in held.state.iter().flat_map(|state| &state.aliases) {
            if partners.get(alias).is_some_and(|named| named.code == code) {
                partners.remove(alias);
            }
        }
    }
    shop.live_partners += usize::from(state.is_some());
    let partner = Arc::new(PartnerEntry { code: code.clone(), revision, state });
    for alias in partner.state.iter().flat_map(|state| &state.aliases) {
        // A code is stronger than an alias, should stored data ever hold both.
        if partners.get(alias).is_none_or(|named| named.code != *alias) {
            partners.insert(alias.clone(), partner.clone());
        }
    }
    partners.insert(code, partner);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        destination::Destination,
        link::{LinkState, Routing, Sharing},
        utm::{Template, Utm},
    };

    fn link(revision: i64) -> Record {
        let campaign = Template::parse(&format!("edit-{revision}")).unwrap();
        Record::Link {
            shop: ShopId::parse("acme").unwrap(),
            slug: Slug::parse(&format!("link-{}", revision % 10)).unwrap(),
            revision: Revision(revision),
            state: LinkState::Active,
            sharing: Sharing::Everyone,
            routing: Routing {
                utm: Utm { campaign: Some(campaign), ..Utm::default() },
                ..Routing::to(Destination::parse("/s").unwrap())
            },
            pending: None,
        }
    }

    #[test]
    fn edits_leave_no_garbage_behind() {
        let mut writer = Writer::new();
        for revision in 1..=20_000 {
            writer.apply([link(revision)], Revision(revision));
        }
        assert_eq!(writer.snapshot().counts().links, 10);
        assert!(writer.interner.len() < 2_500, "{} values are held for 10 links", writer.interner.len());
    }

    #[test]
    fn equal_values_of_links_are_held_once() {
        let mut writer = Writer::new();
        let same = |slug: i64| match link(7) {
            Record::Link { shop, revision, state, sharing, routing, .. } => {
                let slug = Slug::parse(&format!("link-{slug}")).unwrap();
                Record::Link { shop, slug, revision, state, sharing, routing, pending: None }
            }
            other @ (Record::Shop { .. }
            | Record::Partner { .. }
            | Record::BrokenLink { .. }
            | Record::VisitorKeys(_)
            | Record::SplitKey(_)) => other,
        };
        writer.apply((0..100).map(same), Revision(7));
        assert_eq!(writer.interner.len(), 1);
    }
}
