//! Tells what a predicate looks at. Asked only by whoever explains an answer.

use std::fmt::Display;

use jiff::civil::Weekday;

use super::Facts;
use crate::domain::{
    condition::{Attribute, Condition, Predicate},
    fact::Fact,
    limits,
    query::{Piece, pieces},
    unkept::UnkeptFact,
};

/// A fact of a visit that conditions look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject<'a> {
    /// When it is.
    Time,
    /// The country.
    Country,
    /// The class of device.
    Device,
    /// The operating system.
    Os,
    /// Its version.
    OsVersion,
    /// The browser.
    Browser,
    /// Its version.
    BrowserVersion,
    /// The language that the visitor has for the link.
    Language,
    /// The host of the referring page.
    ReferrerHost,
    /// The address.
    ClientAddress,
    /// The class of traffic.
    Traffic,
    /// The credited partner.
    Partner,
    /// The program that the partner is in.
    Program,
    /// The partner's tags.
    PartnerTags,
    /// How often the visitor has come.
    VisitorTotalVisits,
    /// How often people have clicked on the link.
    LinkTotalVisits,
    /// How often people have clicked by way of the partner.
    PartnerTotalVisits,
    /// The parameters of this name.
    Query(&'a str),
    /// The caller's fact of this name.
    Caller(&'a str),
}

/// A fact that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look<'a> {
    /// Which.
    pub subject: Subject<'a>,
    /// What it is, as the contract writes it.
    pub seen: Seen,
    /// What was made of it before it was compared; empty if nothing.
    pub read_as: String,
}

/// What was seen of a fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// This.
    Known(String),
    /// That there is none.
    Absent,
    /// Nothing: we could not look.
    Unknown,
    /// Something that is not kept.
    NotKept,
}

impl From<Fact<String>> for Seen {
    fn from(fact: Fact<String>) -> Self {
        match fact {
            Fact::Known(value) => Self::Known(value),
            Fact::Absent => Self::Absent,
            Fact::Unknown => Self::Unknown,
        }
    }
}

/// Returns the facts that a condition without members looks at.
pub(in crate::index) fn looks<'a>(leaf: &'a Condition, facts: &Facts<'a>) -> Vec<Look<'a>> {
    let subjects = match leaf {
        Condition::All(_) | Condition::Any(_) | Condition::Not(_) => Vec::new(),
        Condition::IsKnown(attribute) => vec![Subject::of_attribute(attribute)],
        Condition::Is(predicate) => {
            let first = Subject::of_predicate(predicate);
            [first].into_iter().chain(Subject::of_version(predicate)).collect()
        }
    };
    let look = |subject| Look { subject, seen: seen(subject, facts), read_as: read_as(leaf, facts) };
    subjects.into_iter().map(look).collect()
}

fn seen(subject: Subject<'_>, facts: &Facts<'_>) -> Seen {
    let found = value(subject, facts);
    let is_unkept = unkept(subject).is_some_and(|fact| facts.unkept.has(fact));
    match (subject, found) {
        // What is kept of the query shows what is in it, not what is not.
        (Subject::Query(_), found @ Fact::Known(_)) => found.into(),
        (_, _) if is_unkept => Seen::NotKept,
        (_, found) => found.into(),
    }
}

/// Returns the fact that a click may not keep.
fn unkept(subject: Subject<'_>) -> Option<UnkeptFact> {
    match subject {
        Subject::Device | Subject::Os | Subject::Browser | Subject::Country => None,
        Subject::ReferrerHost | Subject::Time => None,
        Subject::OsVersion => Some(UnkeptFact::OsVersion),
        Subject::BrowserVersion => Some(UnkeptFact::BrowserVersion),
        Subject::Language => Some(UnkeptFact::Language),
        Subject::ClientAddress => Some(UnkeptFact::ClientAddress),
        Subject::Query(_) => Some(UnkeptFact::Query),
        Subject::Traffic => Some(UnkeptFact::TrafficClass),
        Subject::Partner | Subject::Program => Some(UnkeptFact::Partner),
        Subject::PartnerTags => Some(UnkeptFact::PartnerTags),
        Subject::VisitorTotalVisits => Some(UnkeptFact::VisitorTotalVisits),
        Subject::LinkTotalVisits => Some(UnkeptFact::LinkTotalVisits),
        Subject::PartnerTotalVisits => Some(UnkeptFact::PartnerTotalVisits),
        Subject::Caller(_) => Some(UnkeptFact::Attributes),
    }
}

impl<'a> Subject<'a> {
    /// Returns what is known or not.
    pub(in crate::index) fn of_attribute(attribute: &'a Attribute) -> Self {
        match attribute {
            Attribute::Device => Self::Device,
            Attribute::Os => Self::Os,
            Attribute::OsVersion => Self::OsVersion,
            Attribute::Browser => Self::Browser,
            Attribute::BrowserVersion => Self::BrowserVersion,
            Attribute::Language => Self::Language,
            Attribute::Country => Self::Country,
            Attribute::ReferrerHost => Self::ReferrerHost,
            Attribute::ClientAddress => Self::ClientAddress,
            Attribute::Partner => Self::Partner,
            Attribute::VisitorTotalVisits => Self::VisitorTotalVisits,
            Attribute::LinkTotalVisits => Self::LinkTotalVisits,
            Attribute::PartnerTotalVisits => Self::PartnerTotalVisits,
            Attribute::Caller(name) => Self::Caller(name.as_str()),
        }
    }

    /// Returns what a predicate looks at first; of a system or browser that is the family.
    pub(in crate::index) fn of_predicate(predicate: &'a Predicate) -> Self {
        match predicate {
            Predicate::Device(_) => Self::Device,
            Predicate::Os { .. } => Self::Os,
            Predicate::Browser { .. } => Self::Browser,
            Predicate::Language(_) => Self::Language,
            Predicate::Country(_) | Predicate::Continent(_) | Predicate::InEu {} => Self::Country,
            Predicate::NewVisitor {} | Predicate::VisitorTotalVisits(_) => Self::VisitorTotalVisits,
            Predicate::LinkTotalVisits(_) => Self::LinkTotalVisits,
            Predicate::PartnerTotalVisits(_) => Self::PartnerTotalVisits,
            Predicate::ReferrerHost { .. } => Self::ReferrerHost,
            Predicate::Query { name, .. } => Self::Query(name.as_str()),
            Predicate::ClientAddress(_) => Self::ClientAddress,
            Predicate::Traffic(_) => Self::Traffic,
            Predicate::Time(_) | Predicate::Weekly(_) => Self::Time,
            Predicate::Partner(_) => Self::Partner,
            Predicate::Program(_) => Self::Program,
            Predicate::PartnerTag(_) => Self::PartnerTags,
            Predicate::Caller { name, .. } => Self::Caller(name.as_str()),
        }
    }

    /// Returns the version that goes with a family, if a predicate asks for one.
    fn of_version(predicate: &Predicate) -> Option<Self> {
        if let Predicate::Os { versions, .. } = predicate {
            return (!versions.is_any()).then_some(Self::OsVersion);
        }
        let Predicate::Browser { versions, .. } = predicate else { return None };
        (!versions.is_any()).then_some(Self::BrowserVersion)
    }
}

fn weekday(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "Monday",
        Weekday::Tuesday => "Tuesday",
        Weekday::Wednesday => "Wednesday",
        Weekday::Thursday => "Thursday",
        Weekday::Friday => "Friday",
        Weekday::Saturday => "Saturday",
        Weekday::Sunday => "Sunday",
    }
}

/// Makes one text of several, up to how much of a fact is told.
fn joined<'t>(parts: impl Iterator<Item = &'t str>, between: &str) -> Option<String> {
    let mut all: Option<String> = None;
    for part in parts {
        let text = all.get_or_insert_default();
        if !text.is_empty() {
            text.push_str(between);
        }
        text.push_str(part);
        if text.len() > limits::EXPLAINED_VALUE_BYTES {
            text.truncate(text.floor_char_boundary(limits::EXPLAINED_VALUE_BYTES));
            text.push('…');
            break;
        }
    }
    all
}

fn text<T: Display>(fact: Fact<T>) -> Fact<String> {
    fact.map(|value| value.to_string())
}

fn value(subject: Subject<'_>, facts: &Facts<'_>) -> Fact<String> {
    let (visit, agent) = (facts.visit, &facts.visit.agent);
    match subject {
        Subject::Device => agent.device.map(|device| device.as_str().to_owned()),
        Subject::Os => agent.os.map(|os| os.as_str().to_owned()),
        Subject::OsVersion => text(agent.os_version),
        Subject::Browser => agent.browser.map(|browser| browser.as_str().to_owned()),
        Subject::BrowserVersion => text(agent.browser_version),
        Subject::Language => text(facts.language()),
        Subject::Country => visit.country.map(|country| country.as_str().to_owned()),
        Subject::ClientAddress => text(visit.address),
        Subject::ReferrerHost => text(facts.referrer_host()),
        Subject::Query(name) => {
            let is_named = |piece: &Piece<'_>| piece.name().is_some_and(|found| found == name);
            Fact::or_absent(joined(pieces(visit.query).filter(is_named).map(|piece| piece.0), "&"))
        }
        Subject::Traffic => Fact::Known(facts.traffic.as_str().to_owned()),
        Subject::Time => Fact::Known(visit.time.to_string()),
        Subject::Partner => text(Fact::or_absent(facts.partner.map(|partner| &partner.code))),
        Subject::Program => text(Fact::or_absent(facts.partner.and_then(|partner| partner.program()))),
        Subject::PartnerTags => {
            let tags = facts.partner.map_or(&[][..], |partner| partner.tags());
            Fact::or_absent(joined(tags.iter().map(|tag| tag.as_str()), ", "))
        }
        Subject::VisitorTotalVisits => text(facts.visitor_total()),
        Subject::LinkTotalVisits => text(facts.link_total()),
        Subject::PartnerTotalVisits => text(facts.partner_total()),
        Subject::Caller(name) => Fact::or_unknown(visit.attributes.get(name).cloned()),
    }
}

/// Returns what a predicate made of its fact before it compared.
fn read_as<'a>(leaf: &'a Condition, facts: &Facts<'a>) -> String {
    let Condition::Is(predicate) = leaf else { return String::new() };
    match predicate {
        Predicate::Continent(_) => {
            let continent = facts.visit.country.known().map(|country| country.continent().as_str());
            continent.unwrap_or_default().to_owned()
        }
        Predicate::Weekly(hours) => {
            let (day, hour) = facts.weekday_and_hour(hours.zone());
            format!("{}, hour {hour} in {}", weekday(day), hours.zone().as_str())
        }
        Predicate::Device(_)
        | Predicate::Os { .. }
        | Predicate::Browser { .. }
        | Predicate::Language(_)
        | Predicate::Country(_)
        | Predicate::InEu {}
        | Predicate::NewVisitor {}
        | Predicate::VisitorTotalVisits(_)
        | Predicate::LinkTotalVisits(_)
        | Predicate::PartnerTotalVisits(_)
        | Predicate::ReferrerHost { .. }
        | Predicate::Query { .. }
        | Predicate::ClientAddress(_)
        | Predicate::Traffic(_)
        | Predicate::Time(_)
        | Predicate::Partner(_)
        | Predicate::Program(_)
        | Predicate::PartnerTag(_)
        | Predicate::Caller { .. } => String::new(),
    }
}
