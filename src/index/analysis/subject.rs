//! What the tests of conditions look at: one subject for each attribute, and for each name of a parameter or fact.

pub(super) use crate::index::matcher::Subject;

use crate::domain::condition::{Attribute, Condition, Predicate, VersionRange};

/// One test of one subject. What looks at two subjects in a condition is two tests here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Test<'a> {
    /// A predicate; of systems and browsers only the family.
    Holds(&'a Predicate),
    /// The version of the operating system is in a range with ends.
    OsVersion(&'a VersionRange),
    /// The version of the browser is in a range with ends.
    BrowserVersion(&'a VersionRange),
    /// The attribute is known.
    IsKnown(&'a Attribute),
    /// There is nothing to look at.
    Missing(Subject<'a>),
    /// By the address, or by the class of traffic: it is one of the shop's own people.
    Internal(Subject<'a>),
    /// The time has not passed yet.
    NotPassed,
}

impl<'a> Test<'a> {
    /// Returns what the test looks at.
    pub(super) fn subject(self) -> Subject<'a> {
        match self {
            Self::Holds(predicate) => Subject::of_predicate(predicate),
            Self::OsVersion(_) => Subject::OsVersion,
            Self::BrowserVersion(_) => Subject::BrowserVersion,
            Self::IsKnown(attribute) => Subject::of_attribute(attribute),
            Self::Missing(subject) | Self::Internal(subject) => subject,
            Self::NotPassed => Subject::Time,
        }
    }

    /// Returns whether a condition of the link compares a value here.
    pub(super) fn compares(self) -> bool {
        match self {
            Self::Holds(_) | Self::OsVersion(_) | Self::BrowserVersion(_) => true,
            Self::IsKnown(_) | Self::Missing(_) | Self::Internal(_) | Self::NotPassed => false,
        }
    }

    /// Returns how the test is asked alone.
    pub(super) fn question(self) -> Question {
        let predicate = match self {
            Self::Holds(Predicate::Os { families, .. }) => {
                Predicate::Os { families: families.clone(), versions: VersionRange::default() }
            }
            Self::Holds(Predicate::Browser { families, .. }) => {
                Predicate::Browser { families: families.clone(), versions: VersionRange::default() }
            }
            Self::Holds(predicate) => predicate.clone(),
            Self::IsKnown(attribute) => return Question::Condition(Condition::IsKnown(attribute.clone())),
            Self::OsVersion(range) | Self::BrowserVersion(range) => return Question::Version(range.clone()),
            Self::Missing(_) => return Question::IsMissing,
            Self::Internal(_) => return Question::IsInternal,
            Self::NotPassed => return Question::HasNotPassed,
        };
        Question::Condition(Condition::Is(predicate))
    }
}

/// How a test is asked of one value.
#[derive(Clone, Debug)]
pub(super) enum Question {
    /// By the evaluator.
    Condition(Condition),
    /// Of a version that is looked at.
    Version(VersionRange),
    /// Of the value itself.
    IsMissing,
    /// Of the class of traffic that comes of it.
    IsInternal,
    /// Of the time.
    HasNotPassed,
}
