//! What a draft of a link would have done with clicks that were recorded.
//!
//! Not all that rules look at is kept of a click. A draft judges a click if it comes to the same destination whatever
//! was not kept; else it says what is missing.

mod flows;

pub use self::flows::{End, Fate, Flow, Flows, Outcome, Tally};
use super::{
    compile::named_languages,
    matcher::{Truth, possible},
    recorded::Recorded,
};
use crate::domain::{
    click::{ClickFacts, LoggedClick},
    destination::Destination,
    language::LanguageRange,
    link::{self, Link, Routing, Rule, Sharing},
    name::VariantId,
    unkept::{UnkeptFact, UnkeptFacts},
    variant::Variant,
    visit::{Miss, ResolveReason},
};

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

    /// Says where a click would have gone. `was` is the link as it was at the click, if that is known: it tells which
    /// visitors keep their variant.
    pub fn judge(&self, click: &LoggedClick, was: Option<&Link>) -> Fate {
        if let Some(end) = self.missed(click) {
            return Fate::To(end);
        }
        let recorded = Recorded::new(click, &self.sharing, was);
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
fn end_of(rule: &Rule, click: &ClickFacts, was: Option<&Link>) -> Option<End> {
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
        .all(|other| same_page(other.destination.as_str(), first.destination.as_str()))
        .then(|| End { variant: None, ..end(&first.destination, None) })
}

/// Returns the variant that the click got, if its visitor keeps it: it has lost no weight, and no other has won any.
fn kept_variant<'d>(
    rule: &Rule,
    variants: &'d [Variant],
    click: &ClickFacts,
    was: Option<&Link>,
) -> Option<&'d Variant> {
    let got = click.variant.as_ref().filter(|_| click.rule.as_ref() == Some(&rule.id))?;
    let then = was?.routing.rules.iter().find(|then| then.id == rule.id)?.then.variants();
    let weight_then =
        |id: &VariantId| then.iter().find(|variant| variant.id == *id).map_or(0, |it| it.weight.number());
    let keeps = variants.iter().all(|now| {
        let (weight, before) = (now.weight.number(), weight_then(&now.id));
        if now.id == *got { weight >= before && before > 0 } else { weight <= before }
    });
    variants.iter().find(|variant| variant.id == *got).filter(|_| keeps)
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
                differ |= !same_page(&common.destination, &end.destination);
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

/// Tells whether two destinations are written for the same page; the leading `/` may be left out.
fn same_page(one: &str, other: &str) -> bool {
    one.strip_prefix('/').unwrap_or(one) == other.strip_prefix('/').unwrap_or(other)
}
