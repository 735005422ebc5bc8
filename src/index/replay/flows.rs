//! Clicks that went and would go the same ways, counted together.

use std::collections::HashMap;

use crate::domain::{
    click::{ClickFacts, LoggedClick},
    click_id::ClickId,
    destination::page,
    name::{RuleId, VariantId},
    unkept::UnkeptFacts,
    visit::ResolveReason,
};

/// Where a click went or would have gone, and why.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct End {
    /// As it is written. Empty = the home page if the link decides, else nowhere.
    pub destination: String,
    /// Why; `None` = for one of several reasons, or one that this version does not know.
    pub reason: Option<ResolveReason>,
    /// The rule that decides, if that is sure.
    pub rule: Option<RuleId>,
    /// The variant, if that is sure.
    pub variant: Option<VariantId>,
}

impl End {
    /// Names a destination, and no reason.
    pub(super) fn at(destination: &str) -> Self {
        Self { destination: destination.to_owned(), reason: None, rule: None, variant: None }
    }

    /// Returns where a click went.
    pub fn of(click: &ClickFacts) -> Self {
        Self {
            destination: click.destination.clone(),
            reason: click.reason,
            rule: click.rule.clone(),
            variant: click.variant.clone(),
        }
    }

    /// Tells whether a visitor arrives nowhere.
    fn is_nowhere(&self) -> bool {
        self.destination.is_empty() && matches!(self.reason, Some(ResolveReason::Missed(_)))
    }

    /// Tells whether a visitor arrives at the same page.
    pub fn is_same_page(&self, other: &Self) -> bool {
        self.is_nowhere() == other.is_nowhere() && page(&self.destination) == page(&other.destination)
    }
}

/// What a draft would have done with a click.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It would have gone there.
    To(End),
    /// That cannot be said.
    Unjudged {
        /// The rule that would have decided, if only the variant is not sure.
        rule: Option<RuleId>,
        /// What would have to be known.
        missing: UnkeptFacts,
    },
}

/// What a draft means to a click.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It would have gone to the same page.
    Same,
    /// It would have gone to another page.
    Elsewhere,
    /// The draft would not have decided, at that time.
    Gone,
    /// That cannot be said.
    Unjudged,
}

impl Outcome {
    fn of(old: &End, fate: &Fate) -> Self {
        match fate {
            Fate::Unjudged { .. } => Self::Unjudged,
            Fate::To(new) if new.is_same_page(old) => Self::Same,
            Fate::To(End { reason: Some(ResolveReason::Missed(_)), .. }) => Self::Gone,
            Fate::To(_) => Self::Elsewhere,
        }
    }
}

/// Clicks that went one way and would have gone another, or the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Where they went.
    pub old: End,
    /// Where they would have gone.
    pub new: Fate,
    /// How many they are.
    pub clicks: u64,
    /// The first of them.
    pub samples: Vec<ClickId>,
}

impl Flow {
    /// Returns what the draft means to them.
    pub fn outcome(&self) -> Outcome {
        Outcome::of(&self.old, &self.new)
    }
}

/// How many clicks came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Those that would have gone to the same page.
    pub same: u64,
    /// Those that would have gone to another page.
    pub elsewhere: u64,
    /// Those for which the draft would not have decided.
    pub gone: u64,
    /// Those of which it cannot be said.
    pub unjudged: u64,
    /// How many of all these are in no flow, since there are too many flows.
    pub in_no_flow: u64,
}

impl Tally {
    /// Returns how many clicks were judged or tried to be.
    pub fn clicks(&self) -> u64 {
        self.same + self.elsewhere + self.gone + self.unjudged
    }
}

/// Counts clicks by where they went and would have gone. Takes the same memory however many there are.
#[derive(Debug)]
pub struct Flows {
    flows: usize,
    samples: usize,
    /// By place in `found`.
    places: HashMap<(End, Fate), usize>,
    found: Vec<(u64, Vec<ClickId>)>,
    tally: Tally,
}

impl Flows {
    /// Counts nothing yet. Keeps so many flows, and so many clicks of each as samples.
    pub fn new(flows: usize, samples: usize) -> Self {
        Self { flows, samples, places: HashMap::new(), found: Vec::new(), tally: Tally::default() }
    }

    /// Counts a click.
    pub fn add(&mut self, click: &LoggedClick, fate: Fate) {
        let old = End::of(&click.facts);
        match Outcome::of(&old, &fate) {
            Outcome::Same => self.tally.same += 1,
            Outcome::Elsewhere => self.tally.elsewhere += 1,
            Outcome::Gone => self.tally.gone += 1,
            Outcome::Unjudged => self.tally.unjudged += 1,
        }
        let way = (old, fate);
        let at = match self.places.get(&way) {
            Some(at) => *at,
            None if self.found.len() >= self.flows => {
                self.tally.in_no_flow += 1;
                return;
            }
            None => {
                self.places.insert(way, self.found.len());
                self.found.push((0, Vec::new()));
                self.found.len() - 1
            }
        };
        let (clicks, samples) = &mut self.found[at];
        *clicks += 1;
        if samples.len() < self.samples {
            samples.push(click.id);
        }
    }

    /// Returns how many clicks came to what.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Returns the flows, those with the most clicks first, else in the order in which they were met.
    pub fn into_flows(self) -> Vec<Flow> {
        let Self { places, mut found, .. } = self;
        let mut ways: Vec<_> = places.into_iter().collect();
        ways.sort_unstable_by_key(|(_, at)| *at);
        let counted = ways.into_iter().map(|((old, new), at)| {
            let (clicks, samples) = std::mem::take(&mut found[at]);
            Flow { old, new, clicks, samples }
        });
        let mut flows: Vec<_> = counted.collect();
        flows.sort_by_key(|flow| std::cmp::Reverse(flow.clicks));
        flows
    }
}
