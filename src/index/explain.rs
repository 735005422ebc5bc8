//! Tells why a visit goes where it goes: the same decision, with everything that was looked at on the way.

mod click;
mod steps;

use std::borrow::Cow;

use jiff::Timestamp;

pub use self::{
    click::{ClickExplanation, Met, explain_click},
    steps::{Part, Step},
};
use super::{
    compile::CompiledLink,
    credit::{NamedBy, find, named},
    facts::Facts,
    matcher::{Look, Truth, Truths, evaluate, looks},
    resolve::{Asked, Chosen, Way},
    split::{Sign, Then},
};
use crate::{
    classify::traffic::Why,
    domain::{
        condition::{Condition, Group},
        limits,
        link::{LinkState, Sharing},
        name::{PartnerCode, ProgramId, RuleId, Slug},
        revision::Revision,
        variant::{Variant, Variants},
        visit::Resolution,
    },
};

/// Why a visit goes where it goes.
#[derive(Clone, Debug)]
pub struct Explanation<'a> {
    /// When the visit is.
    pub time: Timestamp,
    /// The answer that is explained.
    pub resolution: Resolution,
    /// What decided on the class of traffic.
    pub traffic_why: Why<'a>,
    /// What the link is in; `None` without a link.
    pub window: Option<Window<'a>>,
    /// Who is credited and why.
    pub credit: Credit<'a>,
    /// The enabled rules in their order; none if the link is not asked.
    pub rules: Vec<ExplainedRule<'a>>,
    /// How the variant was drawn, if the rule that decided has variants.
    pub draw: Option<Draw<'a>>,
    /// What was chosen, as it is written; empty if the visit goes nowhere.
    pub destination: String,
    /// What the location is made of.
    pub steps: Vec<Step<'a>>,
}

/// What a link is in and when it works: looked at before its rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window<'a> {
    /// Its slug.
    pub slug: &'a Slug,
    /// The revision of its last write.
    pub revision: Revision,
    /// What it is in.
    pub state: LinkState,
    /// When it starts.
    pub start: Option<Timestamp>,
    /// When it expires.
    pub expire: Option<Timestamp>,
    /// The publish that is pending on it.
    pub pending: Option<PendingPublish>,
}

/// A publish that is committed ahead on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingPublish {
    /// Its revision.
    pub revision: Revision,
    /// The first instant at which its version of the link answers.
    pub effective_time: Timestamp,
}

/// Who is credited, and why nobody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credit<'a> {
    /// What names a partner, and the name as it was sent.
    pub named: Option<(NamedBy<'a>, Cow<'a, str>)>,
    /// The code of the partner that this is, credited or not.
    pub partner: Option<&'a PartnerCode>,
    /// How the link is shared with the partner; `None` without a link or a partner.
    pub shared: Option<SharedBy<'a>>,
}

/// How a link is shared with a partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SharedBy<'a> {
    /// It is shared with every partner.
    Everyone,
    /// The partner is selected.
    Code,
    /// The partner's program is.
    Program(&'a ProgramId),
    /// It is shared with others.
    Nothing,
}

/// A rule, and what it says to the visit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedRule<'a> {
    /// Its id.
    pub id: &'a RuleId,
    /// What comes of it.
    pub standing: Standing,
    /// Its condition; `None` if it is not enabled, or if there is no room for it.
    pub when: Option<Node<'a>>,
}

/// What comes of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It decides: it is the first that matches.
    Decides,
    /// It does not match.
    DoesNotMatch,
    /// A fact is unknown that would tell whether it matches; so it does not.
    Unknown,
    /// A rule before it decides, so it is not asked.
    NotAsked,
    /// What would tell whether it matches is not kept.
    NotKept,
    /// It is not enabled.
    Disabled,
}

/// A condition, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node<'a> {
    /// Whether it holds.
    pub verdict: Verdict,
    /// What it is made of.
    pub told: Told<'a>,
}

/// What is known of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// We could not look.
    Unknown,
    /// Somebody looked, but what was seen is not kept.
    NotKept,
}

impl From<Truths> for Verdict {
    fn from(truths: Truths) -> Self {
        let sure = [(Truth::True, Self::True), (Truth::False, Self::False), (Truth::Unknown, Self::Unknown)];
        sure.into_iter().find(|(truth, _)| truths.is(*truth)).map_or(Self::NotKept, |(_, verdict)| verdict)
    }
}

/// What a condition is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told<'a> {
    /// Every member holds.
    All(Vec<Node<'a>>),
    /// Some member holds.
    Any(Vec<Node<'a>>),
    /// The member does not hold.
    Not(Box<Node<'a>>),
    /// One test.
    Test(&'a Condition, Vec<Look<'a>>),
}

/// How a variant was drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draw<'a> {
    /// By what the visitor is told from others.
    pub by: DrawnBy,
    /// The variants in the order in which they are shown.
    pub variants: &'a Variants,
    /// The one that won; `None` if that is not kept.
    pub chosen: Option<&'a Variant>,
}

/// By what a visitor is told from others where variants are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrawnBy {
    /// By the id by which the visitor is known.
    VisitorId,
    /// By address and user agent.
    AddressAndUserAgent,
    /// By the address.
    Address,
    /// By the user agent.
    UserAgent,
    /// By nothing: all such visits get the same.
    Nothing,
    /// By what is not kept.
    NotKept,
}

impl<'a> Asked<'a> {
    /// Answers, and tells why.
    pub fn explain(&'a self) -> Explanation<'a> {
        let resolution = self.answer();
        let (window, facts, chosen) = match self.to {
            Way::Open(link) => {
                let facts = self.facts(link);
                let chosen = self.choose(link, &facts);
                (Some(self.window(link)), Some((link, facts)), Some((link, chosen)))
            }
            Way::Missed(link, miss) => {
                (Some(self.window(link)), None, Chosen::missed(link, miss).map(|chosen| (link, chosen)))
            }
            Way::Nowhere => (None, None, None),
        };
        let rule = chosen.as_ref().and_then(|(_, chosen)| chosen.rule);
        let decides = rule.map(|rule| &*rule.id);
        let rules = facts.as_ref().map(|(link, facts)| rules(link, facts, decides)).unwrap_or_default();
        let draw =
            chosen.as_ref().zip(facts.as_ref()).and_then(|((_, chosen), (_, facts))| draw(chosen, facts));
        let (destination, steps) = match &chosen {
            Some((link, chosen)) => {
                (chosen.place.destination().as_str().to_owned(), steps::of(self, link, chosen))
            }
            None => match (&self.open.settings.fallback_url, &resolution.to) {
                (Some(fallback), Ok(target)) => {
                    (fallback.as_str().to_owned(), steps::of_fallback(fallback, &target.location))
                }
                (Some(_) | None, Ok(_) | Err(_)) => (String::new(), Vec::new()),
            },
        };
        Explanation {
            time: self.visit.time,
            resolution,
            traffic_why: self.traffic.1,
            window,
            credit: self.explain_credit(),
            rules,
            draw,
            destination,
            steps,
        }
    }

    /// Tells of the version of a link that answers.
    fn window(&'a self, link: &'a CompiledLink) -> Window<'a> {
        let window = link.window.as_deref();
        let pending = self.shop.link(link.slug.as_str()).and_then(|link| link.pending.as_deref());
        Window {
            slug: &link.slug,
            revision: link.revision,
            state: link.state,
            start: window.and_then(|window| window.start),
            expire: window.and_then(|window| window.expire),
            pending: pending.map(|pending| PendingPublish {
                revision: pending.link.revision,
                effective_time: pending.effective,
            }),
        }
    }

    fn explain_credit(&'a self) -> Credit<'a> {
        let named = named(&self.open.own, self.visit);
        let found = named.as_ref().and_then(|(_, text)| find(self.shop, text));
        let found = found.filter(|partner| partner.state.is_some());
        let link = match self.to {
            Way::Open(link) | Way::Missed(link, _) => Some(link),
            Way::Nowhere => None,
        };
        let shared = found
            .zip(link)
            .map(|(partner, link)| shared_by(link.sharing(), &partner.code, partner.program()));
        Credit { named, partner: found.map(|partner| &partner.code), shared }
    }
}

fn shared_by<'a>(sharing: &Sharing, partner: &PartnerCode, program: Option<&'a ProgramId>) -> SharedBy<'a> {
    match (sharing, program) {
        (Sharing::Everyone, _) => SharedBy::Everyone,
        (Sharing::Selected { .. }, _) if sharing.includes(partner, None) => SharedBy::Code,
        (Sharing::Selected { .. }, Some(program)) if sharing.includes(partner, Some(program)) => {
            SharedBy::Program(program)
        }
        (Sharing::Selected { .. }, Some(_) | None) => SharedBy::Nothing,
    }
}

fn rules<'a>(link: &'a CompiledLink, facts: &Facts<'a>, decides: Option<&RuleId>) -> Vec<ExplainedRule<'a>> {
    let mut is_decided = false;
    let mut teller = Teller::new(facts, |part| Truths::of(evaluate(part, facts)));
    let explain = |(id, condition): (&'a RuleId, &'a Condition)| {
        let (verdict, when) = teller.tell(condition, decides == Some(id));
        let standing = standing(verdict, is_decided);
        is_decided |= decides == Some(id);
        ExplainedRule { id, standing, when }
    };
    link.rules().map(explain).collect()
}

/// Tells of conditions, as long as there is room.
struct Teller<'f, 'a, F> {
    facts: &'f Facts<'a>,
    /// Judges a condition.
    judge: F,
    /// How many more nodes are told.
    room: usize,
}

impl<'f, 'a, F: Fn(&'a Condition) -> Truths> Teller<'f, 'a, F> {
    fn new(facts: &'f Facts<'a>, judge: F) -> Self {
        Self { facts, judge, room: limits::EXPLAINED_NODES }
    }

    /// Says what a condition comes to and, if there is room or it must be, tells of each of its parts.
    fn tell(&mut self, condition: &'a Condition, always: bool) -> (Verdict, Option<Node<'a>>) {
        let nodes = condition.nodes();
        if nodes > self.room && !always {
            return ((self.judge)(condition).into(), None);
        }
        self.room = self.room.saturating_sub(nodes);
        let (node, _) = self.node(condition);
        (node.verdict, Some(node))
    }

    /// Tells of a condition and each of its parts; what a group comes to follows from its members.
    fn node(&self, condition: &'a Condition) -> (Node<'a>, Truths) {
        let each = |group: &'a Group| -> (Vec<_>, Vec<_>) {
            group.members().iter().map(|member| self.node(member)).unzip()
        };
        let (told, truths) = match condition {
            Condition::All(group) => {
                let (nodes, truths) = each(group);
                (Told::All(nodes), truths.into_iter().fold(Truths::of(Truth::True), Truths::and))
            }
            Condition::Any(group) => {
                let (nodes, truths) = each(group);
                (Told::Any(nodes), truths.into_iter().fold(Truths::of(Truth::False), Truths::or))
            }
            Condition::Not(member) => {
                let (node, truths) = self.node(member);
                (Told::Not(Box::new(node)), truths.not())
            }
            Condition::IsKnown(_) | Condition::Is(_) => {
                (Told::Test(condition, looks(condition, self.facts)), (self.judge)(condition))
            }
        };
        (Node { verdict: truths.into(), told }, truths)
    }
}

fn standing(verdict: Verdict, is_decided: bool) -> Standing {
    match verdict {
        Verdict::True | Verdict::False | Verdict::Unknown | Verdict::NotKept if is_decided => {
            Standing::NotAsked
        }
        Verdict::True => Standing::Decides,
        Verdict::False => Standing::DoesNotMatch,
        Verdict::Unknown => Standing::Unknown,
        Verdict::NotKept => Standing::NotKept,
    }
}

fn draw<'a>(chosen: &Chosen<'a>, facts: &Facts<'a>) -> Option<Draw<'a>> {
    let (Then::Variants(split), Some(chosen)) = (&chosen.rule?.then, chosen.variant) else { return None };
    let by = match Sign::of(facts) {
        Sign::Id(_) => DrawnBy::VisitorId,
        Sign::Client(Some(_), "") => DrawnBy::Address,
        Sign::Client(Some(_), _) => DrawnBy::AddressAndUserAgent,
        Sign::Client(None, "") => DrawnBy::Nothing,
        Sign::Client(None, _) => DrawnBy::UserAgent,
    };
    Some(Draw { by, variants: split.variants(), chosen: Some(chosen) })
}
