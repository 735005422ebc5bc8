//! Links and their rules.

mod sharing;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::sharing::Sharing;
use super::{
    condition::Condition,
    destination::Destination,
    fault::{Faults, Problem, Reason},
    golden::{self, GoldenClick},
    limits,
    name::{DisplayName, RuleId, ShopId, Slug, Tag, VariantId, check_text},
    partner::check_tags,
    policy::QueryPolicy,
    shop::ShopSettings,
    utm::Utm,
    variant::{Variant, Variants},
};

/// A Smart Link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The shop.
    pub shop: ShopId,
    /// The slug.
    pub slug: Slug,
    /// Whether it is the shop's default partner link.
    pub is_default: bool,
    /// What partners see.
    pub display_name: DisplayName,
    /// What partners see below the name.
    pub description: Description,
    /// Free words to find it by.
    pub tags: Vec<Tag>,
    /// What it is in.
    pub state: LinkState,
    /// Whom it is shared with.
    pub sharing: Sharing,
    /// What decides where its clicks go.
    pub routing: Routing,
    /// Visits that writes of it try out; no click looks at them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub golden_clicks: Vec<GoldenClick>,
}

impl Link {
    /// Checks what one field alone cannot tell; paths are relative to the link.
    pub fn check(&self, shop: &ShopSettings) -> Faults {
        let mut faults = Faults::new();
        check_tags(&self.tags, &mut faults);
        self.sharing.check(&mut faults);
        self.routing.check(shop, &mut faults);
        golden::check(&self.golden_clicks, &mut faults);
        faults
    }

    /// Returns this link with all that an edit can write as it was in an older state of it; what is switched, its state,
    /// stays. Rules that were taken away since come back under their ids, which mean what they meant; those that go stay
    /// used.
    pub fn rolled_back(&self, old: &Self) -> Self {
        let Self { shop, slug, is_default, state, routing, .. } = self;
        let back: HashSet<&RuleId> = old.routing.rules.iter().map(|rule| &rule.id).collect();
        let retired = routing.retired_rules.iter().filter(|id| !back.contains(id)).cloned().collect();
        let mut retired_variants = routing.retired_variants.clone();
        let mut rules = old.routing.rules.clone();
        for rule in &mut rules {
            let since = retired_variants.remove(&rule.id).unwrap_or_default();
            let now = routing.rules.iter().find(|now| now.id == rule.id);
            rule.come_back(since.into_iter().chain(now.into_iter().flat_map(Rule::used_variants).cloned()));
        }
        let mut back_to = Routing { rules, retired_rules: retired, retired_variants, ..old.routing.clone() };
        for rule in routing.rules.iter().filter(|rule| !back.contains(&rule.id)) {
            back_to.retire(rule);
        }
        Self {
            shop: shop.clone(),
            slug: slug.clone(),
            is_default: *is_default,
            state: *state,
            routing: back_to,
            ..old.clone()
        }
    }
}

/// A link's description: at most 1,000 characters, lines allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Description(Box<str>);

impl Description {
    /// Takes the text if it is not too long.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        check_text(text, "the description", limits::DESCRIPTION_CHARS, true)?;
        Ok(Self(text.into()))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Description {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self, Problem> {
        Self::parse(&text)
    }
}

impl From<Description> for String {
    fn from(text: Description) -> String {
        text.0.into()
    }
}

/// What a link is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkState {
    /// It works between its start and its end.
    Active,
    /// It is switched off.
    Paused,
    /// It is deleted.
    Deleted,
}

/// How a browser is redirected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedirectKind {
    /// 302.
    #[default]
    Found,
    /// 301.
    MovedPermanently,
    /// 307.
    TemporaryRedirect,
    /// 308.
    PermanentRedirect,
}

/// What decides where the clicks of a link go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routing {
    /// Where a visit goes that no rule sends elsewhere.
    pub default_destination: Destination,
    /// Asked in this order.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// Ids of rules that were taken away: none comes back.
    #[serde(default)]
    pub retired_rules: Vec<RuleId>,
    /// Ids of the variants that these had: a rule that a rollback brings back does not use them for others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub retired_variants: BTreeMap<RuleId, Vec<VariantId>>,
    /// Campaign parameters.
    #[serde(default)]
    pub utm: Utm,
    /// Replaces the shop's policy whole.
    #[serde(default)]
    pub query_policy: Option<QueryPolicy>,
    /// How browsers are redirected.
    #[serde(default)]
    pub redirect: RedirectKind,
    /// The first instant at which the link works.
    #[serde(default)]
    pub start_time: Option<Timestamp>,
    /// The first instant at which it does not work any more.
    #[serde(default)]
    pub expire_time: Option<Timestamp>,
    /// Where clicks go after that.
    #[serde(default)]
    pub expired_destination: Option<Destination>,
}

impl Routing {
    /// Leads to a destination and nothing else.
    pub fn to(default_destination: Destination) -> Self {
        Self {
            default_destination,
            rules: Vec::new(),
            retired_rules: Vec::new(),
            retired_variants: BTreeMap::new(),
            utm: Utm::default(),
            query_policy: None,
            redirect: RedirectKind::default(),
            start_time: None,
            expire_time: None,
            expired_destination: None,
        }
    }

    /// Remembers the ids of a rule that is taken away.
    pub fn retire(&mut self, rule: &Rule) {
        let used: Vec<VariantId> = rule.used_variants().cloned().collect();
        if !used.is_empty() {
            self.retired_variants.insert(rule.id.clone(), used);
        }
        self.retired_rules.push(rule.id.clone());
    }

    /// Returns every destination with its path relative to the link.
    pub fn destinations(&self) -> impl Iterator<Item = (String, &Destination)> {
        let default = ("default_destination".to_owned(), &self.default_destination);
        let expired = self.expired_destination.iter().map(|to| ("expired_destination".to_owned(), to));
        let rules = self.rules.iter().enumerate().flat_map(|(at, rule)| {
            rule.then.destinations().map(move |(path, to)| (format!("rules[{at}].{path}"), to))
        });
        std::iter::once(default).chain(rules).chain(expired)
    }

    fn check(&self, shop: &ShopSettings, faults: &mut Faults) {
        if self.rules.len() > limits::RULES {
            let text = format!("there are {} rules, at most {} are allowed", self.rules.len(), limits::RULES);
            faults.add("rules", Problem::new(Reason::TooLong, text));
            return;
        }
        if self.retired_rules.len() > limits::RETIRED_RULES {
            let most = limits::RETIRED_RULES;
            let text = format!(
                "more than {most} rules of this link were taken away; change rules instead of replacing them"
            );
            faults.add("rules", Problem::new(Reason::TooLong, text));
        }
        if self.retired_variants.values().map(Vec::len).sum::<usize>() > limits::RETIRED_RULE_VARIANTS {
            let most = limits::RETIRED_RULE_VARIANTS;
            let text = format!(
                "more than {most} variants went with the rules of this link that were taken away; change rules instead \
                 of replacing them"
            );
            faults.add("rules", Problem::new(Reason::TooLong, text));
        }
        let retired: HashSet<&RuleId> = self.retired_rules.iter().collect();
        let mut seen = HashSet::new();
        for (at, rule) in self.rules.iter().enumerate() {
            let id_path = || format!("rules[{at}].id");
            if !seen.insert(&rule.id) {
                faults.add(
                    id_path(),
                    Problem::new(Reason::Duplicate, format!("the rule id `{}` stands twice", rule.id)),
                );
            }
            if retired.contains(&rule.id) {
                let text =
                    format!("the rule id `{}` was used before and taken away, choose another one", rule.id);
                faults.add(id_path(), Problem::new(Reason::Duplicate, text));
            }
            if let Err(problem) = rule.when.check_size() {
                faults.add(format!("rules[{at}].when"), problem);
            }
            rule.check_variants(at, faults);
        }
        for (path, destination) in self.destinations() {
            if let Err(problem) = shop.check_destination(destination) {
                faults.add(path, problem);
            }
        }
        if let Some(policy) = &self.query_policy {
            shop.check_policy(policy, "query_policy", faults);
        }
        if let (Some(start), Some(end)) = (self.start_time, self.expire_time)
            && start >= end
        {
            let text = format!("the link expires at {end}, which is not after its start at {start}");
            faults.add("expire_time", Problem::new(Reason::OutOfRange, text));
        }
    }
}

/// A rule of a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its id.
    pub id: RuleId,
    /// What people read.
    #[serde(default)]
    pub display_name: Option<DisplayName>,
    /// The condition.
    pub when: Condition,
    /// Where a visit goes that fits.
    pub then: Outcome,
    /// Ids of variants that were taken away: none comes back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retired_variants: Vec<VariantId>,
    /// Campaign parameters, field by field over the link's.
    #[serde(default)]
    pub utm: Utm,
    /// Whether it is asked at all.
    #[serde(default = "enabled")]
    pub enabled: bool,
}

impl Rule {
    /// Checks that no variant has the id of one that was taken away.
    fn check_variants(&self, at: usize, faults: &mut Faults) {
        let most = limits::RETIRED_VARIANTS;
        if self.retired_variants.len() > most {
            let text = format!(
                "more than {most} variants of this rule were taken away; change variants instead of replacing them"
            );
            faults.add(format!("rules[{at}].variants.items"), Problem::new(Reason::TooLong, text));
        }
        for (item, variant) in self.then.variants().iter().enumerate() {
            if self.retired_variants.contains(&variant.id) {
                let text = format!(
                    "the variant id `{}` was used before and taken away, choose another one",
                    variant.id
                );
                let path = format!("rules[{at}].variants.items[{item}].id");
                faults.add(path, Problem::new(Reason::Duplicate, text));
            }
        }
    }

    /// Remembers the ids that the rule had before this write, of variants that it has no more.
    pub fn retire_variants_of(&mut self, before: Rule) {
        let mut retired = before.retired_variants;
        let gone = before.then.variants().iter().map(|variant| &variant.id);
        let has = |id: &VariantId| self.then.variants().iter().any(|variant| variant.id == *id);
        retired.extend(gone.filter(|id| !has(id)).cloned());
        self.retired_variants = retired;
    }

    /// Returns the ids of the variants that it has and had.
    fn used_variants(&self) -> impl Iterator<Item = &VariantId> {
        self.retired_variants.iter().chain(self.then.variants().iter().map(|variant| &variant.id))
    }

    /// Takes the ids of variants that it has itself back into use, and remembers all others that were used since.
    fn come_back(&mut self, since: impl Iterator<Item = VariantId>) {
        let used: BTreeSet<VariantId> = self.retired_variants.drain(..).chain(since).collect();
        let is_back = |id: &VariantId| self.then.variants().iter().any(|variant| variant.id == *id);
        self.retired_variants = used.into_iter().filter(|id| !is_back(id)).collect();
    }
}

/// Rules are asked unless they are told not to be.
fn enabled() -> bool {
    true
}

/// Where a rule leads.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// To one destination.
    Destination(Destination),
    /// To one of several, the same for the same visitor.
    Variants(Variants),
}

impl Outcome {
    /// Returns every destination with its path relative to the rule.
    pub fn destinations(&self) -> impl Iterator<Item = (String, &Destination)> {
        let one = match self {
            Self::Destination(to) => Some(("destination".to_owned(), to)),
            Self::Variants(_) => None,
        };
        let several = self.variants().iter().enumerate();
        let several =
            several.map(|(at, variant)| (format!("variants.items[{at}].destination"), &variant.destination));
        one.into_iter().chain(several)
    }

    /// Returns the variants; none if there is one destination.
    pub fn variants(&self) -> &[Variant] {
        match self {
            Self::Destination(_) => &[],
            Self::Variants(variants) => variants.as_slice(),
        }
    }
}
