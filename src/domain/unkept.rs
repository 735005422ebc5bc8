//! Facts of a visit that its click does not keep.

use super::named::named_enum;

named_enum! {
    /// A fact that rules look at and clicks do not keep, or not always.
    pub enum UnkeptFact: "fact that clicks do not keep" {
        /// The visitor's address.
        ClientAddress = "client_address",
        /// The visitor's query, but for the parameters that the shop keeps.
        Query = "query",
        /// The version of the operating system.
        OsVersion = "os_version",
        /// The version of the browser.
        BrowserVersion = "browser_version",
        /// The languages behind the first.
        Language = "language",
        /// The partner that was named and not credited.
        Partner = "partner",
        /// The tags that the partner had.
        PartnerTags = "partner_tags",
        /// How often the visitor had come: kept only if a rule looked at it, and the shop's mode allows it.
        VisitorTotalVisits = "visitor_total_visits",
        /// How often people had clicked on the link: kept only if a rule looked at it.
        LinkTotalVisits = "link_total_visits",
        /// How often people had clicked by way of the partner: kept only if a rule looked at it.
        PartnerTotalVisits = "partner_total_visits",
        /// What the caller told of the visitor.
        Attributes = "attributes",
        /// The class of traffic, if a newer version wrote one that is not known here.
        TrafficClass = "traffic_class",
        /// What decides which variant the visitor gets.
        Visitor = "visitor",
    }
}

/// A set of [`UnkeptFact`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct UnkeptFacts(u16);

impl UnkeptFacts {
    /// No fact.
    pub const NONE: Self = Self(0);

    /// Puts a fact in.
    #[must_use]
    pub const fn with(self, fact: UnkeptFact) -> Self {
        Self(self.0 | 1 << fact as u16)
    }

    /// Puts all of another set in.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Tells whether a fact is in.
    pub const fn has(self, fact: UnkeptFact) -> bool {
        self.0 >> fact as u16 & 1 == 1
    }

    /// Tells whether no fact is in.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the facts in order.
    pub fn iter(self) -> impl Iterator<Item = UnkeptFact> {
        UnkeptFact::ALL.iter().copied().filter(move |fact| self.has(*fact))
    }
}

impl FromIterator<UnkeptFact> for UnkeptFacts {
    fn from_iter<I: IntoIterator<Item = UnkeptFact>>(facts: I) -> Self {
        facts.into_iter().fold(Self::NONE, Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_holds_what_was_put_in() {
        for fact in UnkeptFact::ALL {
            let set = UnkeptFacts::NONE.with(*fact);
            assert_eq!(set.iter().collect::<Vec<_>>(), [*fact]);
            assert!(!set.is_empty());
        }
        let all: UnkeptFacts = UnkeptFact::ALL.iter().copied().collect();
        assert_eq!(all.iter().collect::<Vec<_>>(), UnkeptFact::ALL);
        assert!(UnkeptFacts::NONE.is_empty() && UnkeptFacts::NONE.iter().next().is_none());
    }
}
