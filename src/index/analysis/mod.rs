//! What can be found out about a link's rules without any visit: which of them never decide, and why.
//!
//! Never a false alarm: what is called impossible is impossible for every visit that there can be, unknown facts
//! included. Not everything is found: what was not decided is said. Every visit that is shown was run through the link.

mod build;
mod candidates;
mod collect;
mod destinations;
mod formula;
mod hints;
mod judge;
mod model;
mod sample;
mod search;
mod steps;
mod subject;
#[cfg(test)]
mod tests;
mod texts;

use jiff::Timestamp;

pub use sample::{SampleVisit, VisitFact};

use self::{
    judge::{Court, Verdict},
    model::Model,
    steps::Steps,
};
use super::{compile::CompiledLink, intern::Interner};
use crate::domain::{
    fault::Reason,
    link::{Link, LinkState, Sharing},
    revision::Revision,
    shop::ShopSettings,
};

/// Shares of the steps that one question may use, so that a hard one leaves the others theirs.
const SHARES: u64 = 16;

/// What is to be found out about a link.
#[derive(Clone, Copy, Debug)]
pub struct Analysis<'a> {
    /// The link. Its state does not matter: it is looked at as if it were active.
    pub link: &'a Link,
    /// Its shop.
    pub shop: &'a ShopSettings,
    /// Whether there is a country database.
    pub countries: bool,
    /// What has passed by now.
    pub now: Timestamp,
    /// How much may be thought.
    pub steps: u64,
    /// Whether what is no more than good to know is looked for too.
    pub thorough: bool,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Report {
    /// In the order of the rules, then what concerns the default destination.
    pub findings: Vec<Finding>,
    /// How many steps it took.
    pub steps: u64,
}

impl Report {
    /// Returns whether every question was decided.
    pub fn is_decided(&self) -> bool {
        let is_open = |kind| matches!(kind, FindingKind::Undecided | FindingKind::Unfinished);
        !self.findings.iter().any(|finding| is_open(finding.kind))
    }
}

/// One thing that was found.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What kind of thing.
    pub kind: FindingKind,
    /// The rule that it is about, by its place among the link's rules; `None` = the default destination.
    pub rule: Option<usize>,
    /// The variants of that rule that it is about, by their places among them; none = the rule itself.
    pub variants: Vec<usize>,
    /// The rules that are responsible, by their places.
    pub by: Vec<usize>,
    /// What it is, in a sentence without full stop.
    pub text: String,
    /// A visit that shows it.
    pub witness: Option<Witness>,
}

impl Finding {
    /// Returns where it stands, relative to the link.
    pub fn path(&self) -> String {
        match (self.rule, self.variants.first(), self.kind) {
            (None, _, _) => "default_destination".to_owned(),
            (Some(at), Some(variant), FindingKind::UnreachableVariant) => {
                format!("rules[{at}].variants.items[{variant}].weight")
            }
            (Some(at), Some(variant), _) => format!("rules[{at}].variants.items[{variant}].destination"),
            (Some(at), None, FindingKind::RepeatedDestination) => format!("rules[{at}].destination"),
            (Some(at), None, _) => format!("rules[{at}].when"),
        }
    }
}

/// Kinds of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindingKind {
    /// No visit can make the rule's condition true.
    Contradictory,
    /// One earlier rule takes every visit that the rule is true for.
    Shadowed,
    /// Several earlier rules together do.
    ShadowedTogether,
    /// The rule is true only with facts that are not there.
    NeedsData,
    /// The rule is true only at times that have passed.
    PassedWindow,
    /// Several rules, several variants of a rule, or a rule and the default, lead to the same place.
    RepeatedDestination,
    /// Visits that go to the default destination.
    FallsToDefault,
    /// No visit goes to the default destination.
    DefaultUnreachable,
    /// Whether it is ever reached was not found out.
    Undecided,
    /// That was found out; what else is good to know was not looked for to the end.
    Unfinished,
    /// Nobody gets the variant, although its rule is reached.
    UnreachableVariant,
}

impl FindingKind {
    /// Returns why a write is refused for it, if it is.
    pub fn refuses(self) -> Option<Reason> {
        match self {
            Self::Contradictory => Some(Reason::RuleContradictory),
            Self::Shadowed | Self::ShadowedTogether => Some(Reason::RuleShadowed),
            Self::NeedsData
            | Self::PassedWindow
            | Self::RepeatedDestination
            | Self::FallsToDefault
            | Self::DefaultUnreachable
            | Self::Undecided
            | Self::Unfinished
            | Self::UnreachableVariant => None,
        }
    }
}

/// A visit that was run through the link.
#[derive(Clone, Debug)]
pub struct Witness {
    /// What the link's rules look at, and what it is of this visit.
    pub facts: Vec<VisitFact>,
    /// The rule that decides, by its place; `None` = the default destination.
    pub decided_by: Option<usize>,
    /// The visit.
    pub visit: SampleVisit,
}

/// Finds out what there is to say about a link. The same question has the same answer, however fast the machine.
pub fn analyse(ask: &Analysis<'_>) -> Report {
    let routing = &ask.link.routing;
    let mut steps = Steps::new(ask.steps);
    let compiled = CompiledLink::new(
        ask.link.slug.clone(),
        Revision::default(),
        LinkState::Active,
        Sharing::Everyone,
        routing.clone(),
        &mut Interner::default(),
    );
    let mut model = Model::new(routing, ask.shop, compiled.languages(), ask.now, &mut steps);
    let entries = judge::entries(&model, routing, &mut steps);
    let hints = hints::Hints::new(ask, &mut model);
    let mut court = Court::new(&model, &entries, &compiled, routing, ask.shop, ask.now);
    let share = ask.steps / SHARES;
    let texts = texts::Texts { link: ask.link, entries: &entries };
    let mut findings = Vec::new();
    for place in 0..entries.len() {
        let verdict = steps.lend(share, |steps| court.rule(place, steps));
        let is_decided = verdict.is_ok();
        let is_reachable = match verdict {
            Ok(Verdict::Reached(_)) => true,
            Ok(Verdict::Never { by, taken }) => {
                let witness = taken.and_then(|cells| texts.witness(&court, &cells, Some(place)));
                findings.push(texts.never(place, &by, witness));
                false
            }
            Err(why) => {
                findings.push(texts.undecided(Some(place), why));
                true
            }
        };
        if is_reachable {
            let look = |steps: &mut Steps| hints.of_rule(place, &mut court, &texts, &mut findings, steps);
            // Once is enough to say that the steps ended.
            if steps.lend(share, look).is_err() && is_decided {
                findings.push(texts.unfinished(Some(place)));
            }
        }
        if is_reachable && ask.thorough {
            findings.extend(destinations::of_variants(place, &texts));
        }
    }
    if ask.thorough && !entries.is_empty() {
        findings.extend(destinations::repeated(&texts));
        let verdict = steps.lend(share, |steps| court.default(steps));
        match verdict {
            Ok(Verdict::Reached(cells)) => {
                let mut classes = Vec::new();
                let looked = steps.lend(share, |steps| hints.classes(&mut court, &mut classes, steps));
                findings.extend(texts.falls(&court, &cells, &classes));
                if looked.is_err() {
                    findings.push(texts.unfinished(None));
                }
            }
            Ok(Verdict::Never { by, .. }) => findings.push(texts.default_unreachable(&by)),
            Err(why) => findings.push(texts.undecided(None, why)),
        }
    }
    Report { findings, steps: ask.steps - steps.left() }
}
