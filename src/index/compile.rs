//! Turns links and shops into the forms that answers are made of: all thinking that does not depend on the visit.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    counted::Uses,
    facts::Facts,
    intern::Interner,
    location::Place,
    matcher::{Truth, evaluate},
    record::{PendingLink, Record},
    shortlist::Shortlist,
    split::Then,
};
use crate::domain::{
    condition::{Condition, Predicate},
    language::LanguageRange,
    link::{LinkState, RedirectKind, Routing, Rule, Sharing},
    name::{RuleId, ShopId, Slug},
    policy::{QueryPass, QueryPolicy},
    revision::Revision,
    utm::Utm,
};

/// A link, ready to answer. Independent of its shop's settings, so that an edit of the shop leaves it alone.
#[derive(Debug)]
pub(super) struct CompiledLink {
    pub(super) slug: Slug,
    pub(super) revision: Revision,
    pub(super) state: LinkState,
    pub(super) redirect: RedirectKind,
    /// `None` = everyone.
    pub(super) sharing: Option<Arc<Sharing>>,
    pub(super) default: Place,
    /// Few links have one; the box keeps the others small.
    pub(super) window: Option<Box<Window>>,
    pub(super) utm: Option<Arc<Utm>>,
    pub(super) policy: Option<Arc<QueryPolicy>>,
    /// The conditions of the enabled rules, apart from the rest: those of rules that do not match are all that is read.
    conditions: Box<[Arc<Condition>]>,
    /// The enabled rules.
    rules: Box<[CompiledRule]>,
    /// Which of many rules a visit can meet; `None` with few of them.
    shortlist: Option<Box<Shortlist>>,
    /// What all language conditions of the enabled rules name together: which language a visitor has depends on it.
    languages: Option<Arc<Box<[LanguageRange]>>>,
    /// Which counters the enabled rules look at.
    pub(super) uses: Uses,
    /// What the link is from a time on. Few links have one.
    pub(super) pending: Option<Box<Pending>>,
}

/// What a link is from a time on.
#[derive(Debug)]
pub(super) struct Pending {
    /// The first instant at which it answers.
    pub(super) effective: Timestamp,
    /// It has nothing pending itself.
    pub(super) link: CompiledLink,
}

/// When a link works.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) start: Option<Timestamp>,
    pub(super) expire: Option<Timestamp>,
    pub(super) expired: Option<Place>,
}

/// A rule, ready to answer.
#[derive(Debug)]
pub(super) struct CompiledRule {
    pub(super) id: Arc<RuleId>,
    pub(super) then: Then,
    pub(super) utm: Option<Arc<Utm>>,
}

impl CompiledLink {
    /// Compiles a link.
    pub(super) fn new(
        slug: Slug,
        revision: Revision,
        state: LinkState,
        sharing: Sharing,
        routing: Routing,
        interner: &mut Interner,
    ) -> Self {
        let enabled = || routing.rules.iter().filter(|rule| rule.enabled);
        let languages = named_languages(enabled().map(|rule| &rule.when));
        let (start, expire) = (routing.start_time, routing.expire_time);
        let window =
            (start.is_some() || expire.is_some() || routing.expired_destination.is_some()).then(|| {
                Box::new(Window { start, expire, expired: routing.expired_destination.map(Place::new) })
            });
        let mut conditions = Vec::new();
        let mut rules = Vec::new();
        for rule in routing.rules.into_iter().filter(|rule| rule.enabled) {
            conditions.push(interner.conditions.share(rule.when));
            rules.push(CompiledRule {
                id: interner.rules.share(rule.id),
                then: Then::new(rule.then),
                utm: shared_utm(rule.utm, interner),
            });
        }
        Self {
            slug,
            revision,
            state,
            redirect: routing.redirect,
            sharing: (sharing != Sharing::Everyone).then(|| interner.sharings.share(sharing)),
            default: Place::new(routing.default_destination),
            window,
            utm: shared_utm(routing.utm, interner),
            policy: routing.query_policy.map(|policy| interner.policies.share(ordered(policy))),
            languages: (!languages.is_empty()).then(|| interner.languages.share(languages)),
            shortlist: Shortlist::new(&conditions),
            uses: Uses::of(&conditions),
            conditions: conditions.into(),
            rules: rules.into(),
            pending: None,
        }
    }

    /// Adds what the link is from a time on.
    pub(super) fn followed_by(self, pending: PendingLink, interner: &mut Interner) -> Self {
        let PendingLink { revision, effective_time, sharing, routing } = pending;
        let link = Self::new(self.slug.clone(), revision, self.state, sharing, routing, interner);
        Self { pending: Some(Box::new(Pending { effective: effective_time, link })), ..self }
    }

    /// Returns the version of the link that answers visits of this time.
    pub(super) fn at(&self, time: Timestamp) -> &Self {
        match &self.pending {
            Some(pending) if time >= pending.effective => &pending.link,
            Some(_) | None => self,
        }
    }

    /// Returns which counters are looked at, now or from a time on.
    pub(super) fn all_uses(&self) -> Uses {
        let pending = self.pending.as_ref().map(|pending| pending.link.uses);
        pending.map_or(self.uses, |uses| self.uses.and(uses))
    }

    /// Returns whom the link is shared with.
    pub(super) fn sharing(&self) -> &Sharing {
        self.sharing.as_deref().unwrap_or(&Sharing::Everyone)
    }

    /// Returns the first rule that matches, and how many of those asked before it could not be decided.
    pub(super) fn first_match<'a>(&'a self, facts: &Facts<'a>) -> (Option<&'a CompiledRule>, u32) {
        let mut undecided = 0;
        let matches = |at: &usize| match evaluate(&self.conditions[*at], facts) {
            Truth::True => true,
            Truth::False => false,
            Truth::Unknown => {
                undecided += 1;
                false
            }
        };
        let first = match &self.shortlist {
            None => (0..self.conditions.len()).find(matches),
            Some(shortlist) => shortlist.candidates(facts).find(matches),
        };
        (first.map(|at| &self.rules[at]), undecided)
    }

    /// Returns how many nodes the conditions have that [`Self::first_match`] asks before it finds this rule, or none.
    pub(super) fn nodes_asked<'a>(&'a self, facts: &Facts<'a>, found: Option<&CompiledRule>) -> usize {
        let nodes = |asked: &mut dyn Iterator<Item = usize>| {
            let mut nodes = 0;
            for at in asked {
                nodes += self.conditions[at].nodes();
                if found.is_some_and(|found| found.id == self.rules[at].id) {
                    break;
                }
            }
            nodes
        };
        match &self.shortlist {
            None => nodes(&mut (0..self.conditions.len())),
            Some(shortlist) => nodes(&mut shortlist.candidates(facts)),
        }
    }

    /// Returns the enabled rules in their order, with their conditions.
    pub(super) fn rules(&self) -> impl Iterator<Item = (&RuleId, &Condition)> {
        self.rules.iter().zip(&self.conditions).map(|(rule, when)| (&*rule.id, &**when))
    }

    /// Returns the languages that the visitor's is chosen from.
    pub(super) fn languages(&self) -> &[LanguageRange] {
        self.languages.as_deref().map_or(&[], |languages| languages)
    }

    /// Returns the record that it could be made from.
    pub(super) fn record(&self, shop: &ShopId) -> Record {
        Record::Link {
            shop: shop.clone(),
            slug: self.slug.clone(),
            revision: self.revision,
            state: self.state,
            sharing: self.sharing().clone(),
            routing: self.routing(),
            pending: self.pending.as_ref().map(|pending| {
                Box::new(PendingLink {
                    revision: pending.link.revision,
                    effective_time: pending.effective,
                    sharing: pending.link.sharing().clone(),
                    routing: pending.link.routing(),
                })
            }),
        }
    }

    /// Returns a routing that gives the same answers; names and disabled rules are not kept.
    pub(super) fn routing(&self) -> Routing {
        let utm = |utm: &Option<Arc<Utm>>| utm.as_deref().cloned().unwrap_or_default();
        let window = self.window.as_deref();
        Routing {
            rules: self
                .rules
                .iter()
                .zip(&self.conditions)
                .map(|(rule, when)| Rule {
                    id: (*rule.id).clone(),
                    display_name: None,
                    when: (**when).clone(),
                    then: rule.then.outcome(),
                    retired_variants: Vec::new(),
                    utm: utm(&rule.utm),
                    enabled: true,
                })
                .collect(),
            utm: utm(&self.utm),
            query_policy: self.policy.as_deref().cloned(),
            redirect: self.redirect,
            start_time: window.and_then(|window| window.start),
            expire_time: window.and_then(|window| window.expire),
            expired_destination: window
                .and_then(|window| window.expired.as_ref())
                .map(|place| place.destination().clone()),
            ..Routing::to(self.default.destination().clone())
        }
    }
}

fn shared_utm(utm: Utm, interner: &mut Interner) -> Option<Arc<Utm>> {
    (!utm.is_unset()).then(|| interner.utms.share(utm))
}

/// Returns all languages that conditions name, each once.
pub(super) fn named_languages<'a>(conditions: impl Iterator<Item = &'a Condition>) -> Box<[LanguageRange]> {
    let mut languages = Vec::new();
    for condition in conditions {
        condition.for_each_predicate(&mut |predicate| {
            if let Predicate::Language(ranges) = predicate {
                languages.extend(ranges.iter().copied());
            }
        });
    }
    languages.sort_unstable();
    languages.dedup();
    languages.into()
}

/// Puts the names of a policy in order, so that a query with thousands of parameters cannot make a look-up slow.
pub(super) fn ordered(mut policy: QueryPolicy) -> QueryPolicy {
    if let QueryPass::Listed(names) = &mut policy.pass {
        names.sort_unstable();
    }
    // Stable, and the first of equal names stays: that is the one that counts.
    policy.overrides.sort_by(|left, right| left.name.cmp(&right.name));
    policy.overrides.dedup_by(|later, earlier| later.name == earlier.name);
    policy
}
