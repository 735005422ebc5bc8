//! Which of several destinations a visitor gets: weighted rendezvous hashing.
//!
//! Each variant has a number of its own for each visitor, made by SipHash-2-4 under the key of splits over shop, slug,
//! rule, variant and what tells the visitor from others. Read as a chance `u`, it is turned into `-log2(u) / weight`,
//! and the variant with the least wins. So shares are as the weights, and who changes a weight moves only visitors
//! to or from that variant: the numbers of the others stay as they were. Integers alone are computed with: every
//! machine comes to the same. `docs/semantics.md` says it for those who compute it elsewhere, with vectors to check.

use std::{hash::Hasher, net::IpAddr};

use siphasher::sip::SipHasher24;

use super::{facts::Facts, location::Place};
use crate::domain::{
    link::Outcome,
    split::SplitKey,
    variant::{Variant, Variants, Weight},
};

/// Stands between what is hashed; no name holds it, and the visitor comes last.
const BETWEEN: u8 = 0x1f;
/// Bits behind the point of a logarithm.
const FRACTION_BITS: u32 = 40;

/// Where a rule leads, ready to answer.
#[derive(Debug)]
pub(super) enum Then {
    Place(Place),
    /// Few rules have them; the box keeps the others small.
    Variants(Box<Split>),
}

/// Variants, ready to answer.
#[derive(Debug)]
pub(super) struct Split {
    variants: Variants,
    /// Of each variant.
    places: Box<[Place]>,
}

/// What a visitor is drawn by.
#[derive(Clone, Copy)]
pub(super) struct Drawn<'a> {
    pub(super) key: &'a SplitKey,
    pub(super) shop: &'a str,
    pub(super) slug: &'a str,
    pub(super) rule: &'a str,
    pub(super) visitor: Sign<'a>,
}

/// What tells a visitor from others without a doubt or as well as can be.
#[derive(Clone, Copy)]
pub(super) enum Sign<'a> {
    /// The id by which the visitor is known.
    Id(&'a str),
    /// Where the visit comes from. If neither is known, all such visits are one visitor's.
    Client(Option<IpAddr>, &'a str),
}

impl<'a> Sign<'a> {
    /// Returns the best that is known of a visitor and may be looked at.
    pub(super) fn of(facts: &Facts<'a>) -> Self {
        let headers = facts.visit.headers;
        let user_agent = headers.and_then(|headers| headers.user_agent).unwrap_or_default();
        let client = Self::Client(facts.visit.address.known(), user_agent);
        facts.visitor_id().map_or(client, Self::Id)
    }

    fn write(self, hash: &mut SipHasher24) {
        match self {
            Self::Id(id) => {
                hash.write(b"i");
                hash.write(id.as_bytes());
            }
            Self::Client(Some(address), user_agent) => {
                let address = match address {
                    IpAddr::V4(v4) => v4.to_ipv6_mapped(),
                    IpAddr::V6(v6) => v6,
                };
                hash.write(b"a");
                hash.write(&address.octets());
                hash.write(user_agent.as_bytes());
            }
            Self::Client(None, user_agent) => {
                hash.write(b"u");
                hash.write(user_agent.as_bytes());
            }
        }
    }
}

impl Split {
    /// Returns the variants in the order in which they are shown.
    pub(super) fn variants(&self) -> &Variants {
        &self.variants
    }
}

impl Then {
    /// Compiles where a rule leads.
    pub(super) fn new(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Destination(to) => Self::Place(Place::new(to)),
            Outcome::Variants(variants) => {
                let place = |variant: &Variant| Place::new(variant.destination.clone());
                let places = variants.as_slice().iter().map(place).collect();
                Self::Variants(Box::new(Split { variants, places }))
            }
        }
    }

    /// Returns what it was compiled from.
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::Place(place) => Outcome::Destination(place.destination().clone()),
            Self::Variants(split) => Outcome::Variants(split.variants.clone()),
        }
    }

    /// Returns where a visitor goes, who is asked for only if there is a choice.
    pub(super) fn choose<'a>(&self, drawn: impl FnOnce() -> Drawn<'a>) -> (&Place, Option<&Variant>) {
        match self {
            Self::Place(place) => (place, None),
            Self::Variants(split) => {
                let variants = split.variants.as_slice();
                let chosen = drawn().among(variants);
                (&split.places[chosen], Some(&variants[chosen]))
            }
        }
    }
}

impl Drawn<'_> {
    /// Returns which of the variants wins.
    fn among(&self, variants: &[Variant]) -> usize {
        let mut names = SipHasher24::new_with_key(self.key.bytes());
        for name in [self.shop, self.slug, self.rule] {
            names.write(name.as_bytes());
            names.write(&[BETWEEN]);
        }
        let mut best: Option<(usize, u64)> = None;
        for (at, variant) in variants.iter().enumerate().filter(|(_, variant)| variant.weight.number() > 0) {
            let mut hash = names;
            hash.write(variant.id.as_str().as_bytes());
            hash.write(&[BETWEEN]);
            self.visitor.write(&mut hash);
            let rarity = rarity(hash.finish());
            let is_better = best.is_none_or(|(held, least)| {
                let held = &variants[held];
                // Less for its weight, multiplied out: no division, so nothing is rounded.
                let (ours, theirs) = (weighed(rarity, held.weight), weighed(least, variant.weight));
                (ours, &variant.id) < (theirs, &held.id)
            });
            if is_better {
                best = Some((at, rarity));
            }
        }
        // One of them has a weight.
        best.map_or(0, |(at, _)| at)
    }
}

/// Multiplies a rarity of less than 2^47 by a weight of less than 2^14.
fn weighed(rarity: u64, weight: Weight) -> u64 {
    rarity * u64::from(weight.number())
}

/// Returns `-log2(u)` for `u = (hash + 1/2) / 2^64`, in units of 2^-40.
///
/// The bits of the logarithm come one by one: a number from 1 to 2 is squared, and where that is 2 or more the bit is 1
/// and it is halved. What is cut off on the way is cut off alike everywhere.
fn rarity(hash: u64) -> u64 {
    const WHOLE: u32 = 65;
    let odd = u128::from(hash) * 2 + 1;
    let whole = odd.ilog2();
    // From 1 to 2, with 63 bits behind the point.
    let mut number = (odd << 63) >> whole;
    let mut log = u64::from(whole);
    for _ in 0..FRACTION_BITS {
        number = (number * number) >> 63;
        let bit = number >> 64;
        number >>= bit;
        log = log << 1 | u64::from(bit == 1);
    }
    (u64::from(WHOLE) << FRACTION_BITS) - log
}

#[cfg(test)]
mod tests;
