//! How often links were clicked on, as rules may look at it: exact for the clicks of this server, and for those of others
//! as far as PostgreSQL was read.
//!
//! A counter is what PostgreSQL has counted, and behind it the clicks of this server that are not in that yet, known by
//! their numbers in the local log. Both change in one step, so that no click is counted twice or forgotten on the way. A
//! click takes its number before its link's rules are asked, and gives it back if it is not recorded.

mod tally;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use self::tally::Tally;
use crate::{
    domain::{
        click::Click,
        name::{PartnerCode, ShopId, Slug},
        visit::Totals,
    },
    index::{CountedShop, Counting},
};

/// The number of a click in the local log of this server.
type Sequence = u64;

/// The counters of this server. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Counters(Arc<RwLock<HashMap<ShopId, OfShop>>>);

/// The counters of a shop that rules look at.
#[derive(Debug, Default)]
struct OfShop {
    links: HashMap<Slug, Arc<Tally>>,
    partners: HashMap<PartnerCode, Arc<Tally>>,
    /// Up to which click of ours PostgreSQL had counted when partners were read: one that is not here then has no click.
    partners_read: Option<Sequence>,
}

/// A click of this server that has a number and is not recorded yet. If it is dropped, the number is given back.
#[derive(Debug)]
pub struct Ticket {
    link: Option<Taken>,
    partner: Option<Taken>,
}

/// A number that was taken, if the counter is known.
#[derive(Debug)]
struct Taken {
    tally: Arc<Tally>,
    number: Option<u64>,
}

/// What PostgreSQL has counted; what it does not name has no clicks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The last click of this server that is in it.
    pub rolled: Sequence,
    /// Clicks of links.
    pub links: Vec<(ShopId, Slug, u64)>,
    /// Clicks of partners.
    pub partners: Vec<(ShopId, PartnerCode, u64)>,
}

/// Clicks of this server, found in its local log.
#[derive(Debug, Default)]
pub struct Own {
    links: HashMap<(ShopId, Slug), Vec<Sequence>>,
    partners: HashMap<(ShopId, PartnerCode), Vec<Sequence>>,
}

impl Counters {
    /// Returns what rules see of the counters of a visit, and the ticket of a click that moves them.
    pub fn count(&self, counting: Counting<'_>) -> (Totals, Option<Ticket>) {
        let Counting { shop, link, partner, counts } = counting;
        if !counts {
            let link = link.and_then(|slug| self.next_of_link(shop, slug));
            return (
                Totals { link, partner: partner.and_then(|code| self.next_of_partner(shop, code)) },
                None,
            );
        }
        let link = link.map(|slug| Taken::from(self.link(shop, slug)));
        let partner = partner.map(|code| Taken::from(self.partner(shop, code)));
        let number = |taken: &Option<Taken>| taken.as_ref().and_then(|taken| taken.number);
        let totals = Totals { link: number(&link), partner: number(&partner) };
        (totals, Some(Ticket { link, partner }))
    }

    /// Counts for these links and partners from now on, and for no others.
    pub fn track(&self, counted: &[CountedShop]) {
        let mut shops = self.write();
        let kept: HashSet<&ShopId> = counted.iter().map(|counted| &counted.shop).collect();
        shops.retain(|shop, _| kept.contains(shop));
        for CountedShop { shop, links, partners } in counted {
            let of_shop = shops.entry(shop.clone()).or_default();
            of_shop.links.retain(|slug, _| links.binary_search(slug).is_ok());
            for slug in links {
                if !of_shop.links.contains_key(slug) {
                    of_shop.links.insert(slug.clone(), Arc::default());
                }
            }
            if !*partners {
                (of_shop.partners, of_shop.partners_read) = (HashMap::new(), None);
            }
        }
    }

    /// Returns whether any of the counters have never been read.
    pub fn are_unread(&self, counted: &[CountedShop]) -> bool {
        let shops = self.read();
        counted.iter().any(|CountedShop { shop, partners, .. }| {
            shops.get(shop).is_none_or(|of_shop| {
                let unread = |tally: &Arc<Tally>| !tally.lock().is_read();
                *partners && of_shop.partners_read.is_none() || of_shop.links.values().any(unread)
            })
        })
    }

    /// Takes over what PostgreSQL has counted for these links and partners. `own` holds clicks of this server after that
    /// which may not be known here yet; of a counter that was never read, it must hold all.
    pub fn apply(&self, counted: &[CountedShop], reading: &Reading, mut own: Own) {
        let Reading { rolled, links, partners } = reading;
        let totals: HashMap<(&ShopId, &Slug), u64> =
            links.iter().map(|(shop, slug, clicks)| ((shop, slug), *clicks)).collect();
        for CountedShop { shop, links, .. } in counted {
            for slug in links {
                let more = own.links.remove(&(shop.clone(), slug.clone())).unwrap_or_default();
                let total = totals.get(&(shop, slug)).copied().unwrap_or_default();
                self.link(shop, slug).lock().read(total, *rolled, more);
            }
        }
        let mut named: HashMap<&ShopId, HashSet<&PartnerCode>> = HashMap::new();
        for (shop, code, clicks) in partners {
            let more = own.partners.remove(&(shop.clone(), code.clone())).unwrap_or_default();
            self.partner(shop, code).lock().read(*clicks, *rolled, more);
            named.entry(shop).or_default().insert(code);
        }
        for counted in counted.iter().filter(|counted| counted.partners) {
            let more = own.partners.extract_if(|(shop, _), _| *shop == counted.shop);
            for ((shop, code), more) in more {
                self.partner(&shop, &code).lock().read(0, *rolled, more);
            }
            self.end_partners(&counted.shop, *rolled, named.get(&counted.shop));
        }
    }

    /// Says of the other partners of a shop that PostgreSQL has no clicks of theirs.
    fn end_partners(&self, shop: &ShopId, rolled: Sequence, named: Option<&HashSet<&PartnerCode>>) {
        let others: Vec<Arc<Tally>> = {
            let mut shops = self.write();
            let Some(of_shop) = shops.get_mut(shop) else { return };
            // From here on a partner that is not there is one without clicks.
            of_shop.partners_read = Some(rolled);
            let others = of_shop.partners.iter();
            let others = others.filter(|(code, _)| !named.is_some_and(|named| named.contains(code)));
            others.map(|(_, tally)| Arc::clone(tally)).collect()
        };
        for tally in others {
            tally.lock().read(0, rolled, Vec::new());
        }
    }

    fn next_of_link(&self, shop: &ShopId, slug: &Slug) -> Option<u64> {
        self.read().get(shop)?.links.get(slug)?.lock().next()
    }

    fn next_of_partner(&self, shop: &ShopId, code: &PartnerCode) -> Option<u64> {
        let shops = self.read();
        let of_shop = shops.get(shop)?;
        match of_shop.partners.get(code) {
            Some(tally) => tally.lock().next(),
            None => of_shop.partners_read.map(|_| 1),
        }
    }

    /// Returns the counter of a link, made if it is not there: a click may come before [`Counters::track`].
    fn link(&self, shop: &ShopId, slug: &Slug) -> Arc<Tally> {
        if let Some(tally) = self.read().get(shop).and_then(|of_shop| of_shop.links.get(slug)) {
            return Arc::clone(tally);
        }
        let mut shops = self.write();
        Arc::clone(shops.entry(shop.clone()).or_default().links.entry(slug.clone()).or_default())
    }

    /// Returns the counter of a partner, made if it is not there.
    fn partner(&self, shop: &ShopId, code: &PartnerCode) -> Arc<Tally> {
        if let Some(tally) = self.read().get(shop).and_then(|of_shop| of_shop.partners.get(code)) {
            return Arc::clone(tally);
        }
        let mut shops = self.write();
        let OfShop { partners, partners_read, .. } = shops.entry(shop.clone()).or_default();
        let fresh = || partners_read.map_or_else(Tally::default, Tally::without_clicks);
        Arc::clone(partners.entry(code.clone()).or_insert_with(|| Arc::new(fresh())))
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<ShopId, OfShop>> {
        // Nothing in here panics half-way.
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<ShopId, OfShop>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Own {
    /// Adds a click that is in the local log with this number, if it is one that counts in these shops.
    pub fn add(&mut self, click: Click, sequence: Sequence, counted: &[CountedShop]) {
        if !click.counts() {
            return;
        }
        let Ok(at) = counted.binary_search_by(|counted| counted.shop.cmp(&click.shop)) else { return };
        let counted = &counted[at];
        if let Some(slug) = click.slug.filter(|slug| counted.links.binary_search(slug).is_ok()) {
            self.links.entry((click.shop.clone(), slug)).or_default().push(sequence);
        }
        if let Some(code) = click.partner.filter(|_| counted.partners) {
            self.partners.entry((click.shop, code)).or_default().push(sequence);
        }
    }
}

impl Ticket {
    /// Says that the click is in the local log, with this number.
    pub fn written(mut self, sequence: Sequence) {
        for Taken { tally, .. } in [self.link.take(), self.partner.take()].into_iter().flatten() {
            tally.lock().written(sequence);
        }
    }
}

impl Taken {
    fn from(tally: Arc<Tally>) -> Self {
        let number = tally.lock().take();
        Self { tally, number }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        for Taken { tally, number } in [self.link.take(), self.partner.take()].into_iter().flatten() {
            tally.lock().give_back(number);
        }
    }
}

#[cfg(test)]
mod tests;
