//! What a draft of a link would have done with clicks that were recorded.
//!
//! Not all that rules look at is kept of a click. A draft judges a click if it comes to the same destination whatever
//! was not kept; else it says what is missing.

mod flows;

use std::collections::HashMap;

pub use self::flows::{End, Fate, Flow, Flows, Outcome, Tally};
use super::{
    compile::named_languages,
    matcher::{Truth, possible},
    recorded::Recorded,
};
use crate::domain::{
    click::{ClickFacts, LoggedClick},
    destination::{Destination, page},
    language::LanguageRange,
    link::{self, Link, Routing, Rule, Sharing},
    name::{RuleId, VariantId},
    unkept::{UnkeptFact, UnkeptFacts},
    variant::Variant,
    visit::{Miss, ResolveReason},
};

/// What a draft looks at of its link as it was at a click: it tells which visitors keep their variant.
#[derive(Clone, Debug)]
pub struct Before {
    /// Whether it was shared with just those with whom the draft is.
    shared_alike: bool,
    /// The weights of the variants of its rules.
    weights: HashMap<RuleId, Vec<(VariantId, u16)>>,
}

/// A draft of a link, ready to judge clicks as if it were active.
#[derive(Debug)]
pub struct Draft {
    sharing: Sharing,
    /// Its disabled rules are not in it.
    routing: Routing,
    /// Every language that its rules name.
    languages: Box<[LanguageRange]>,
    /// Where visits go for which the link does not decide.
    fallback: Option<Destination>,
}

impl Draft {
    /// Takes a link as it is to be, and its shop's fallback.
    pub fn new(link: Link, fallback: Option<Destination>) -> Self {
        let Link { sharing, mut routing, .. } = link;
        routing.rules.retain(|rule| rule.enabled);
        let languages = named_languages(routing.rules.iter().map(|rule| &rule.when));
        Self { sharing, routing, languages, fallback }
    }

    /// Takes what is looked at of the link as it was.
    pub fn before(&self, was: &Link) -> Before {
        let split = was.routing.rules.iter().filter(|rule| !rule.then.variants().is_empty());
        let weight = |variant: &Variant| (variant.id.clone(), variant.weight.number());
        let weights = |rule: &Rule| (rule.id.clone(), rule.then.variants().iter().map(weight).collect());
        Before { shared_alike: was.sharing == self.sharing, weights: split.map(weights).collect() }
    }

    /// Says where a click would have gone. `was` is the link as it was at the click, if that is known.
    pub fn judge(&self, click: &LoggedClick, was: Option<&Before>) -> Fate {
        if let Some(end) = self.missed(click) {
            return Fate::To(end);
        }
        let shared_alike = was.is_some_and(|was| was.shared_alike);
        let recorded = Recorded::new(click, &self.sharing, shared_alike);
        let visit = recorded.visit();
        let facts = recorded.facts(&visit, &self.languages);
        let (mut rules, mut missing, mut is_decided) = (Vec::new(), UnkeptFacts::NONE, false);
        for rule in &self.routing.rules {
            let found = possible(&rule.when, &facts);
            if found.truths.may_be(Truth::True) {
                rules.push(rule);
                missing = missing.and(found.missing);
            }
            if found.truths.is(Truth::True) {
                is_decided = true;
                break;
            }
        }
        match (rules.as_slice(), is_decided) {
            ([], _) => Fate::To(self.default()),
            ([rule], true) => end_of(rule, &click.facts, was).map_or_else(
                || Fate::Unjudged {
                    rule: Some(rule.id.clone()),
                    missing: UnkeptFacts::NONE.with(UnkeptFact::Visitor),
                },
                Fate::To,
            ),
            (rules, _) => {
                let ends = rules.iter().map(|rule| end_of(rule, &click.facts, was));
                one_of(ends.chain((!is_decided).then(|| Some(self.default()))), missing)
            }
        }
    }

    /// Returns where the click goes if the draft does not decide at its time.
    fn missed(&self, click: &LoggedClick) -> Option<End> {
        let (time, routing) = (click.id.time(), &self.routing);
        let miss = if routing.start_time.is_some_and(|start| time < start) {
            Miss::NotStarted
        } else if routing.expire_time.is_some_and(|expire| time >= expire) {
            Miss::Expired
        } else {
            return None;
        };
        let own = routing.expired_destination.as_ref().filter(|_| miss == Miss::Expired);
        let destination = own.or(self.fallback.as_ref()).map_or("", Destination::as_str);
        Some(End { reason: Some(ResolveReason::Missed(miss)), ..End::at(destination) })
    }

    fn default(&self) -> End {
        let reason = Some(ResolveReason::Default);
        End { reason, ..End::at(self.routing.default_destination.as_str()) }
    }
}

/// Returns where a rule leads the visitor of a click; `None` = to one of several destinations.
fn end_of(rule: &Rule, click: &ClickFacts, was: Option<&Before>) -> Option<End> {
    let end = |to: &Destination, variant: Option<&VariantId>| End {
        reason: Some(ResolveReason::Rule),
        rule: Some(rule.id.clone()),
        variant: variant.cloned(),
        ..End::at(to.as_str())
    };
    let variants = match &rule.then {
        link::Outcome::Destination(to) => return Some(end(to, None)),
        link::Outcome::Variants(variants) => variants.as_slice(),
    };
    let mut drawn = variants.iter().filter(|variant| variant.weight.number() > 0);
    let (first, second) = (drawn.next()?, drawn.next());
    if second.is_none() {
        return Some(end(&first.destination, Some(&first.id)));
    }
    if let Some(kept) = kept_variant(rule, variants, click, was) {
        return Some(end(&kept.destination, Some(&kept.id)));
    }
    let mut others = second.into_iter().chain(drawn);
    others
        .all(|other| other.destination.page() == first.destination.page())
        .then(|| End { variant: None, ..end(&first.destination, None) })
}

/// Returns the variant that the click got, if its visitor keeps it: against each other variant it has lost nothing. The
/// least rarity for its weight wins, so what counts is how weights are to one another.
fn kept_variant<'d>(
    rule: &Rule,
    variants: &'d [Variant],
    click: &ClickFacts,
    was: Option<&Before>,
) -> Option<&'d Variant> {
    let got = click.variant.as_ref().filter(|_| click.rule.as_ref() == Some(&rule.id))?;
    let then = was?.weights.get(&rule.id)?;
    let before =
        |id: &VariantId| then.iter().find(|(then, _)| then == id).map_or(0, |(_, it)| u32::from(*it));
    let now = |variant: &Variant| u32::from(variant.weight.number());
    let kept = variants.iter().find(|variant| variant.id == *got)?;
    let (kept_now, kept_before) = (now(kept), before(&kept.id));
    let keeps = variants.iter().all(|other| kept_now * before(&other.id) >= now(other) * kept_before);
    (kept_before > 0 && keeps).then_some(kept)
}

/// Says where a click goes of which not everything is known that decides: to a destination only if there is no other.
fn one_of(ends: impl Iterator<Item = Option<End>>, missing: UnkeptFacts) -> Fate {
    let (mut common, mut missing, mut differ) = (None::<End>, missing, false);
    for end in ends {
        match (&mut common, end) {
            (_, None) => {
                missing = missing.with(UnkeptFact::Visitor);
                differ = true;
            }
            (None, Some(end)) => common = Some(end),
            (Some(common), Some(end)) => {
                differ |= page(&common.destination) != page(&end.destination);
                common.reason = common.reason.filter(|reason| Some(*reason) == end.reason);
                common.rule = common.rule.take().filter(|rule| Some(rule) == end.rule.as_ref());
                common.variant = common.variant.take().filter(|it| Some(it) == end.variant.as_ref());
            }
        }
    }
    match common {
        Some(end) if !differ => Fate::To(end),
        Some(_) | None => Fate::Unjudged { rule: None, missing },
    }
}
