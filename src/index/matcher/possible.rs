//! What a condition may be for a visit of which not every fact was kept: every truth that some value of those facts
//! could give, and maybe more, but never fewer.
//!
//! Each test of a fact that was not kept may have several outcomes; groups combine the sets of their members member by
//! member. That two tests look at the same fact is not made use of.

use super::{Truth, holds, is_known};
use crate::{
    domain::{
        client::Version,
        condition::{Attribute, Condition, Predicate, QueryTest, VersionRange},
        fact::Fact,
        one_of::OneOf,
        unkept::{UnkeptFact, UnkeptFacts},
    },
    index::facts::Facts,
};

/// A set of truths; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::index) struct Truths(u8);

impl Truths {
    const ALL: Self = Self(0b111);
    const YES_OR_NO: Self = Self(0b011);

    pub(in crate::index) fn of(truth: Truth) -> Self {
        Self(match truth {
            Truth::True => 0b001,
            Truth::False => 0b010,
            Truth::Unknown => 0b100,
        })
    }

    /// Tells whether this may be the truth.
    pub(in crate::index) fn may_be(self, truth: Truth) -> bool {
        self.0 & Self::of(truth).0 != 0
    }

    /// Tells whether nothing else may be.
    pub(in crate::index) fn is(self, truth: Truth) -> bool {
        self == Self::of(truth)
    }

    fn is_one(self) -> bool {
        self.0.is_power_of_two()
    }

    pub(in crate::index) fn not(self) -> Self {
        Self(self.0 & 0b100 | (self.0 & 0b001) << 1 | (self.0 & 0b010) >> 1)
    }

    pub(in crate::index) fn and(self, other: Self) -> Self {
        let may = |set: Self, truth| set.may_be(truth);
        let is_true = may(self, Truth::True) && may(other, Truth::True);
        let is_false = may(self, Truth::False) || may(other, Truth::False);
        let is_unknown = may(self, Truth::Unknown) && !other.is(Truth::False)
            || may(other, Truth::Unknown) && !self.is(Truth::False);
        Self(u8::from(is_true) | u8::from(is_false) << 1 | u8::from(is_unknown) << 2)
    }

    pub(in crate::index) fn or(self, other: Self) -> Self {
        self.not().and(other.not()).not()
    }
}

/// What a condition may be, and what would have to be known to say more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::index) struct Possible {
    pub(in crate::index) truths: Truths,
    /// Empty if there is only one truth.
    pub(in crate::index) missing: UnkeptFacts,
}

impl Possible {
    fn known(truth: Truth) -> Self {
        Self { truths: Truths::of(truth), missing: UnkeptFacts::NONE }
    }

    fn unkept(fact: UnkeptFact, truths: Truths) -> Self {
        Self { truths, missing: UnkeptFacts::NONE.with(fact) }
    }

    fn combined(self, other: Self, combine: fn(Truths, Truths) -> Truths) -> Self {
        let truths = combine(self.truths, other.truths);
        let missing = if truths.is_one() { UnkeptFacts::NONE } else { self.missing.and(other.missing) };
        Self { truths, missing }
    }
}

/// Evaluates a condition for facts of which some were not kept.
pub(in crate::index) fn possible<'a>(condition: &'a Condition, facts: &Facts<'a>) -> Possible {
    match condition {
        Condition::All(group) => {
            let members = group.members().iter().map(|member| possible(member, facts));
            members.fold(Possible::known(Truth::True), |all, member| all.combined(member, Truths::and))
        }
        Condition::Any(group) => {
            let members = group.members().iter().map(|member| possible(member, facts));
            members.fold(Possible::known(Truth::False), |any, member| any.combined(member, Truths::or))
        }
        Condition::Not(member) => {
            let Possible { truths, missing } = possible(member, facts);
            Possible { truths: truths.not(), missing }
        }
        Condition::IsKnown(attribute) => may_be_known(attribute, facts),
        Condition::Is(predicate) => may_hold(predicate, facts),
    }
}

fn may_be_known(attribute: &Attribute, facts: &Facts<'_>) -> Possible {
    let fact = match attribute {
        Attribute::Device
        | Attribute::Os
        | Attribute::Browser
        | Attribute::Country
        | Attribute::ReferrerHost
        | Attribute::Partner => None,
        // Who names a language has one, be it none that is asked for.
        Attribute::Language => Some(UnkeptFact::Language).filter(|_| facts.language().is_unknown()),
        Attribute::OsVersion => Some(UnkeptFact::OsVersion),
        Attribute::BrowserVersion => Some(UnkeptFact::BrowserVersion),
        Attribute::ClientAddress => Some(UnkeptFact::ClientAddress),
        Attribute::VisitorTotalVisits => Some(UnkeptFact::VisitorTotalVisits),
        Attribute::LinkTotalVisits => Some(UnkeptFact::LinkTotalVisits),
        Attribute::PartnerTotalVisits => Some(UnkeptFact::PartnerTotalVisits),
        Attribute::Caller(_) => Some(UnkeptFact::Attributes),
    };
    match fact.filter(|fact| facts.unkept.has(*fact)) {
        Some(fact) => Possible::unkept(fact, Truths::YES_OR_NO),
        None => Possible::known(is_known(attribute, facts).into()),
    }
}

fn may_hold<'a>(predicate: &'a Predicate, facts: &Facts<'a>) -> Possible {
    let agent = &facts.visit.agent;
    let unless_unkept = |fact, truths| {
        if facts.unkept.has(fact) {
            Possible::unkept(fact, truths)
        } else {
            Possible::known(holds(predicate, facts))
        }
    };
    match predicate {
        Predicate::Device(_)
        | Predicate::Country(_)
        | Predicate::Continent(_)
        | Predicate::InEu {}
        | Predicate::ReferrerHost { .. }
        | Predicate::Time(_)
        | Predicate::Weekly(_) => Possible::known(holds(predicate, facts)),
        Predicate::Os { families, versions } if facts.unkept.has(UnkeptFact::OsVersion) => {
            of_version(families, agent.os, versions, UnkeptFact::OsVersion)
        }
        Predicate::Browser { families, versions } if facts.unkept.has(UnkeptFact::BrowserVersion) => {
            of_version(families, agent.browser, versions, UnkeptFact::BrowserVersion)
        }
        Predicate::Os { .. } | Predicate::Browser { .. } => Possible::known(holds(predicate, facts)),
        // Who names a language has one, be it none that is asked for.
        Predicate::Language(_) if facts.language().is_unknown() => {
            unless_unkept(UnkeptFact::Language, Truths::ALL)
        }
        Predicate::Language(_) => unless_unkept(UnkeptFact::Language, Truths::YES_OR_NO),
        Predicate::NewVisitor {} | Predicate::VisitorTotalVisits(_) => {
            unless_unkept(UnkeptFact::VisitorTotalVisits, Truths::ALL)
        }
        Predicate::LinkTotalVisits(_) => unless_unkept(UnkeptFact::LinkTotalVisits, Truths::ALL),
        Predicate::PartnerTotalVisits(_) => unless_unkept(UnkeptFact::PartnerTotalVisits, Truths::ALL),
        Predicate::Query { test, .. } => {
            // What is kept of the query shows what is in it, not what is not.
            let shows = match test {
                QueryTest::Present
                | QueryTest::Equals(_)
                | QueryTest::Contains(_)
                | QueryTest::StartsWith(_) => true,
                QueryTest::WithoutValue => false,
            };
            match holds(predicate, facts) {
                Truth::True if shows => Possible::known(Truth::True),
                Truth::True | Truth::False | Truth::Unknown => {
                    unless_unkept(UnkeptFact::Query, Truths::YES_OR_NO)
                }
            }
        }
        Predicate::ClientAddress(_) => unless_unkept(UnkeptFact::ClientAddress, Truths::ALL),
        Predicate::Traffic(_) => unless_unkept(UnkeptFact::TrafficClass, Truths::YES_OR_NO),
        Predicate::Partner(_) | Predicate::Program(_) => {
            unless_unkept(UnkeptFact::Partner, Truths::YES_OR_NO)
        }
        Predicate::PartnerTag(_) if facts.unkept.has(UnkeptFact::Partner) => {
            Possible::unkept(UnkeptFact::Partner, Truths::YES_OR_NO)
        }
        Predicate::PartnerTag(_) => unless_unkept(UnkeptFact::PartnerTags, Truths::YES_OR_NO),
        Predicate::Caller { .. } => unless_unkept(UnkeptFact::Attributes, Truths::ALL),
    }
}

/// Tests a family whose version was not kept.
fn of_version<T: Ord>(
    families: &OneOf<T>,
    family: Fact<T>,
    range: &VersionRange,
    version: UnkeptFact,
) -> Possible {
    let any = VersionRange::default();
    match super::versioned(families, family, &any, Fact::<Version>::Unknown) {
        Truth::True if !range.is_any() => Possible::unkept(version, Truths::ALL),
        truth @ (Truth::True | Truth::False | Truth::Unknown) => Possible::known(truth),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUTHS: [Truth; 3] = [Truth::True, Truth::False, Truth::Unknown];

    fn sets() -> impl Iterator<Item = Truths> + Clone {
        (1..=0b111).map(Truths)
    }

    fn and(left: Truth, right: Truth) -> Truth {
        match (left, right) {
            (Truth::False, _) | (_, Truth::False) => Truth::False,
            (Truth::True, Truth::True) => Truth::True,
            (Truth::Unknown, Truth::True | Truth::Unknown) | (Truth::True, Truth::Unknown) => Truth::Unknown,
        }
    }

    fn not(truth: Truth) -> Truth {
        match truth {
            Truth::True => Truth::False,
            Truth::False => Truth::True,
            Truth::Unknown => Truth::Unknown,
        }
    }

    /// The set of what members of two sets give together.
    fn each(left: Truths, right: Truths, combine: impl Fn(Truth, Truth) -> Truth) -> Truths {
        let members = |set: Truths| TRUTHS.into_iter().filter(move |truth| set.may_be(*truth));
        let results = members(left).flat_map(|one| members(right).map(move |other| (one, other)));
        Truths(results.fold(0, |set, (one, other)| set | Truths::of(combine(one, other)).0))
    }

    #[test]
    fn sets_combine_as_their_members_do() {
        for left in sets() {
            assert_eq!(left.not(), each(left, left, |one, _| not(one)));
            for right in sets() {
                assert_eq!(left.and(right), each(left, right, and), "{left:?} {right:?}");
                let or = |one, other| not(and(not(one), not(other)));
                assert_eq!(left.or(right), each(left, right, or), "{left:?} {right:?}");
            }
        }
    }
}
