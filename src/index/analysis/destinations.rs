//! Where rules lead, and whether anybody gets there.

use std::collections::HashMap;

use super::{Finding, texts::Texts};
use crate::domain::{link::Outcome, utm::Utm, variant::Variants};

/// Where a rule leads those whom it takes.
#[derive(PartialEq, Eq, Hash)]
enum Place<'a> {
    One(&'a str),
    /// To several places, by shares.
    Split(&'a Variants),
}

impl<'a> Place<'a> {
    /// Looks at the destinations that anybody gets.
    fn of(outcome: &'a Outcome) -> Self {
        match outcome {
            Outcome::Destination(to) => Self::One(to.page()),
            Outcome::Variants(variants) => {
                let mut got = variants.as_slice().iter().filter(|variant| variant.weight.number() > 0);
                match got.next() {
                    Some(first) if got.all(|other| other.destination.page() == first.destination.page()) => {
                        Self::One(first.destination.page())
                    }
                    Some(_) | None => Self::Split(variants),
                }
            }
        }
    }
}

/// Finds rules that lead to the same place with the same campaign.
pub(super) fn repeated(texts: &Texts<'_>) -> Vec<Finding> {
    let routing = &texts.link.routing;
    let mut groups: Vec<(Place<'_>, &Utm, Vec<usize>)> = Vec::new();
    let mut places: HashMap<(Place<'_>, &Utm), usize> = HashMap::new();
    for entry in texts.entries {
        let rule = &routing.rules[entry.at];
        let group = *places.entry((Place::of(&rule.then), &rule.utm)).or_insert(groups.len());
        match groups.get_mut(group) {
            Some((_, _, members)) => members.push(entry.at),
            None => groups.push((Place::of(&rule.then), &rule.utm, vec![entry.at])),
        }
    }
    let told = groups.into_iter().filter_map(|(place, utm, members)| {
        let as_default = place == Place::One(routing.default_destination.page()) && utm.is_unset();
        (members.len() > 1 || as_default).then(|| texts.repeated(&members, as_default))
    });
    told.collect()
}

/// Finds variants of a rule that nobody gets, and those that lead to the same place.
pub(super) fn of_variants(place: usize, texts: &Texts<'_>) -> Vec<Finding> {
    let variants = texts.link.routing.rules[texts.entries[place].at].then.variants();
    let mut found = Vec::new();
    let mut groups: Vec<(&str, Vec<usize>)> = Vec::new();
    for (at, variant) in variants.iter().enumerate() {
        if variant.weight.number() == 0 {
            found.push(texts.empty(place, at));
            continue;
        }
        match groups.iter_mut().find(|(to, _)| *to == variant.destination.page()) {
            Some((_, members)) => members.push(at),
            None => groups.push((variant.destination.page(), vec![at])),
        }
    }
    let alike = groups.into_iter().filter(|(_, members)| members.len() > 1);
    found.extend(alike.map(|(_, members)| texts.alike(place, members)));
    found
}
