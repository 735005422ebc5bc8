//! Whether a rule, or the default destination, is ever reached.
//!
//! A visit is looked for that fits the rule. If an earlier rule takes it, one is looked for that this rule does not take
//! either, and so on: most rules need few of those before them to be judged. Where no visit is left, those that were
//! needed are the reason.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;

use super::{
    build::{Builder, Built},
    formula::Formula,
    model::Model,
    sample::SampleVisit,
    search::Search,
    steps::{Spent, Steps},
};
use crate::{
    domain::{
        link::{Routing, Rule},
        name::RuleId,
        shop::ShopSettings,
    },
    index::{
        compile::CompiledLink,
        matcher::{Truth, evaluate},
    },
};

/// An enabled rule.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its place among all rules of the link.
    pub(super) at: usize,
    /// Of its condition.
    pub(super) nodes: usize,
    pub(super) is_true: Formula,
    pub(super) is_not: Formula,
    /// The choices that it looks at, in order.
    pub(super) choices: Vec<u32>,
}

impl Entry {
    /// Returns whether the rule looks at one of these choices.
    pub(super) fn names(&self, choices: &[u32]) -> bool {
        choices.iter().any(|choice| self.choices.binary_search(choice).is_ok())
    }
}

/// What rules are judged with. Entries stand in the order in which rules are asked; places below are places among them.
pub(super) struct Court<'m, 'a> {
    pub(super) model: &'m Model<'a>,
    pub(super) entries: &'m [Entry],
    link: &'m CompiledLink,
    places: HashMap<&'m RuleId, usize>,
    routing: &'m Routing,
    shop: &'m ShopSettings,
    now: Timestamp,
    /// Finds visits.
    exact: Search<'m, 'a>,
    /// Proves that there are none.
    proof: Search<'m, 'a>,
    has_loose: bool,
}

/// Whether something is reached.
pub(super) enum Verdict {
    /// By such a visit.
    Reached(Vec<usize>),
    /// These take all that would come; with one of the visits that they take. Nobody = nothing ever comes.
    Never { by: Vec<usize>, taken: Option<Vec<usize>> },
}

/// Why there is no verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Undecided {
    /// It would take more steps.
    Steps,
    /// It hangs on visits of which only so much is known that they cannot be made up.
    Loose,
}

impl From<Spent> for Undecided {
    fn from(Spent: Spent) -> Self {
        Self::Steps
    }
}

impl<'m, 'a> Court<'m, 'a> {
    pub(super) fn new(
        model: &'m Model<'a>,
        entries: &'m [Entry],
        link: &'m CompiledLink,
        routing: &'m Routing,
        shop: &'m ShopSettings,
        now: Timestamp,
    ) -> Self {
        let places = entries.iter().enumerate().map(|(place, entry)| (&routing.rules[entry.at].id, place));
        let (exact, proof) = (Search::new(model, true), Search::new(model, false));
        let has_loose = model.has_loose();
        let places = places.collect();
        Self { model, entries, link, places, routing, shop, now, exact, proof, has_loose }
    }

    /// Makes the visit with these cells.
    pub(super) fn sample(&self, cells: &[usize]) -> SampleVisit {
        let values = self.model.choices.iter().zip(cells).map(|(choice, at)| &choice.cells[*at].value);
        values.fold(SampleVisit::at(self.now), SampleVisit::with)
    }

    /// Asks the link itself which rule decides on a visit.
    pub(super) fn first(&self, sample: &SampleVisit) -> Option<usize> {
        self.first_counted(sample).0
    }

    /// Asks the link which rule decides, and how many nodes of conditions that asks.
    fn first_counted(&self, sample: &SampleVisit) -> (Option<usize>, usize) {
        let (decides, nodes) = sample.ask(self.link, self.link.languages(), self.shop, |link, facts| {
            let decides = link.first_match(facts).0;
            (decides.map(|rule| Arc::clone(&rule.id)), link.nodes_asked(facts, decides))
        });
        (decides.and_then(|id| self.places.get(&*id).copied()), nodes)
    }

    /// Judges whether a rule decides on any visit.
    pub(super) fn rule(&mut self, place: usize, steps: &mut Steps) -> Result<Verdict, Undecided> {
        let goal = &self.entries[place].is_true;
        self.reach(&[goal], place, Some(place), steps)
    }

    /// Judges whether the default destination is reached.
    pub(super) fn default(&mut self, steps: &mut Steps) -> Result<Verdict, Undecided> {
        self.reach(&[], self.entries.len(), None, steps)
    }

    /// Judges whether visits that fulfil the goal come past the rules before.
    fn reach(
        &mut self,
        goal: &[&'m Formula],
        before: usize,
        target: Option<usize>,
        steps: &mut Steps,
    ) -> Result<Verdict, Undecided> {
        let entries = self.entries;
        let mut by = Vec::new();
        let mut taken: Vec<Vec<usize>> = Vec::new();
        while let Some(cells) = self.exact.find(past(entries, goal, &by), steps)? {
            steps.take(cells.len())?;
            let sample = self.sample(&cells);
            let (first, nodes) = self.first_counted(&sample);
            steps.take(nodes)?;
            if !sample.is_sendable() {
                return Err(Undecided::Loose);
            }
            match first {
                _ if first == target => return Ok(Verdict::Reached(cells)),
                Some(place) if place < before && !by.contains(&place) => by.push(place),
                Some(_) | None => return Err(Undecided::Loose),
            }
            taken.push(cells);
        }
        if self.has_loose && self.proof.find(past(entries, goal, &by), steps)?.is_some() {
            by = (0..before).collect();
            if self.proof.find(past(entries, goal, &by), steps)?.is_some() {
                return Err(Undecided::Loose);
            }
        }
        match self.shrink(goal, before, &mut by, &taken, steps) {
            // Without steps for it, more are named than are needed, which is no less true.
            Ok(()) | Err(Spent) => Ok(Verdict::Never { by, taken: taken.into_iter().next() }),
        }
    }

    /// Leaves out of those that are responsible whoever is not needed; one alone is best.
    fn shrink(
        &mut self,
        goal: &[&'m Formula],
        before: usize,
        by: &mut Vec<usize>,
        taken: &[Vec<usize>],
        steps: &mut Steps,
    ) -> Result<(), Spent> {
        if by.len() < 2 {
            return Ok(());
        }
        let samples: Vec<SampleVisit> = taken.iter().map(|cells| self.sample(cells)).collect();
        for place in 0..before {
            steps.take(1 + samples.len() * self.entries[place].nodes)?;
            // Who takes all takes those that were seen.
            if samples.iter().all(|sample| self.fits(place, sample))
                && self.proof.find(past(self.entries, goal, &[place]), steps)?.is_none()
            {
                *by = vec![place];
                return Ok(());
            }
        }
        for at in (0..by.len()).rev() {
            let mut fewer = by.clone();
            fewer.remove(at);
            if self.proof.find(past(self.entries, goal, &fewer), steps)?.is_none() {
                *by = fewer;
            }
        }
        by.sort_unstable();
        Ok(())
    }

    /// Returns whether the condition of a rule is true of a visit, whatever rules stand before it.
    pub(super) fn fits(&self, place: usize, sample: &SampleVisit) -> bool {
        let when = &self.routing.rules[self.entries[place].at].when;
        sample.ask(when, self.link.languages(), self.shop, evaluate) == Truth::True
    }

    /// Returns whether any visit at all fulfils all of this; for sure if it says no.
    pub(super) fn may_be(
        &mut self,
        goals: impl IntoIterator<Item = &'m Formula>,
        steps: &mut Steps,
    ) -> Result<bool, Spent> {
        Ok(self.proof.find(goals, steps)?.is_some())
    }

    /// Returns a visit that fulfils all of this.
    pub(super) fn example(
        &mut self,
        goals: impl IntoIterator<Item = &'m Formula>,
        steps: &mut Steps,
    ) -> Result<Option<Vec<usize>>, Spent> {
        self.exact.find(goals, steps)
    }
}

/// Returns the goals, and that some rules are not true.
fn past<'m>(entries: &'m [Entry], goal: &[&'m Formula], by: &[usize]) -> impl Iterator<Item = &'m Formula> {
    let past = by.iter().map(|place| &entries[*place].is_not).collect::<Vec<_>>();
    goal.iter().copied().chain(past)
}

/// Makes the entries of the enabled rules. Those for which no step was left are empty; so is the purse of whoever asks.
pub(super) fn entries<'a>(model: &Model<'a>, routing: &'a Routing, steps: &mut Steps) -> Vec<Entry> {
    let mut builder = Builder::new(model);
    let enabled = routing.rules.iter().enumerate().filter(|(_, rule)| rule.enabled);
    let entry = |(at, rule): (usize, &'a Rule)| {
        let Built { is_true, is_not, choices } = builder.build(&rule.when, steps).unwrap_or_default();
        Entry { at, nodes: rule.when.nodes(), is_true, is_not, choices }
    };
    enabled.map(entry).collect()
}
