//! Conditions: groups here, predicates in [`super::predicate`].

use super::{Path, list, predicate, take};
use crate::{
    domain::{
        condition::{Attribute, AttributeName, Condition, Group},
        fault::{Faults, Problem, Reason},
    },
    proto::{self, condition::Kind},
};

/// Reads a condition.
pub fn read(wire: &proto::Condition, path: &Path<'_>, faults: &mut Faults) -> Option<Condition> {
    let none = || {
        let text = "the condition is empty, or of a kind that this server does not know";
        Problem::new(Reason::Required, text)
    };
    match take(wire.kind.as_ref().ok_or_else(none), path, faults)? {
        Kind::All(members) => group(members, &path.field("all"), faults).map(Condition::All),
        Kind::Any(members) => group(members, &path.field("any"), faults).map(Condition::Any),
        Kind::Not(member) => {
            let member = read(member, &path.field("not"), faults)?;
            Some(Condition::Not(Box::new(member)))
        }
        Kind::IsKnown(asked) => attribute(asked, &path.field("is_known"), faults).map(Condition::IsKnown),
        Kind::Device(_)
        | Kind::Os(_)
        | Kind::Browser(_)
        | Kind::Language(_)
        | Kind::Country(_)
        | Kind::Continent(_)
        | Kind::InEu(_)
        | Kind::NewVisitor(_)
        | Kind::VisitorTotalVisits(_)
        | Kind::LinkTotalVisits(_)
        | Kind::PartnerTotalVisits(_)
        | Kind::ReferrerHost(_)
        | Kind::QueryParameter(_)
        | Kind::ClientAddress(_)
        | Kind::TrafficClass(_)
        | Kind::Time(_)
        | Kind::WeeklyHours(_)
        | Kind::Partner(_)
        | Kind::Program(_)
        | Kind::PartnerTag(_)
        | Kind::Attribute(_) => predicate::read(wire.kind.as_ref()?, path, faults).map(Condition::Is),
    }
}

/// Writes a condition.
pub fn write(condition: &Condition) -> proto::Condition {
    let kind = match condition {
        Condition::All(members) => Kind::All(write_group(members)),
        Condition::Any(members) => Kind::Any(write_group(members)),
        Condition::Not(member) => Kind::Not(Box::new(write(member))),
        Condition::IsKnown(asked) => Kind::IsKnown(write_attribute(asked)),
        Condition::Is(predicate) => predicate::write(predicate),
    };
    proto::Condition { kind: Some(kind) }
}

/// Reads the members of a group; their paths leave `conditions` out: `all[0]`.
fn group(wire: &proto::ConditionGroup, path: &Path<'_>, faults: &mut Faults) -> Option<Group> {
    let members = list(&wire.conditions, path, faults, read)?;
    take(Group::new(members), path, faults)
}

fn write_group(group: &Group) -> proto::ConditionGroup {
    proto::ConditionGroup { conditions: group.members().iter().map(write).collect() }
}

fn attribute(wire: &proto::AttributeIsKnown, path: &Path<'_>, faults: &mut Faults) -> Option<Attribute> {
    let (at, name) = (path.field("attribute"), path.field("name"));
    let asked = super::enumerated::<proto::Attribute>(wire.attribute, "attribute", &at, faults)?;
    let attribute = match asked {
        proto::Attribute::Unspecified => {
            faults.add(at.to_string(), Problem::required("the attribute"));
            return None;
        }
        proto::Attribute::Caller => {
            let name = take(AttributeName::parse(&wire.name), &name, faults)?;
            return Some(Attribute::Caller(name));
        }
        proto::Attribute::Device => Attribute::Device,
        proto::Attribute::Os => Attribute::Os,
        proto::Attribute::OsVersion => Attribute::OsVersion,
        proto::Attribute::Browser => Attribute::Browser,
        proto::Attribute::BrowserVersion => Attribute::BrowserVersion,
        proto::Attribute::Language => Attribute::Language,
        proto::Attribute::Country => Attribute::Country,
        proto::Attribute::ReferrerHost => Attribute::ReferrerHost,
        proto::Attribute::ClientAddress => Attribute::ClientAddress,
        proto::Attribute::Partner => Attribute::Partner,
        proto::Attribute::VisitorTotalVisits => Attribute::VisitorTotalVisits,
        proto::Attribute::LinkTotalVisits => Attribute::LinkTotalVisits,
        proto::Attribute::PartnerTotalVisits => Attribute::PartnerTotalVisits,
    };
    if !wire.name.is_empty() {
        let text = "a name goes with the attribute ATTRIBUTE_CALLER alone";
        faults.add(name.to_string(), Problem::new(Reason::Conflict, text));
        return None;
    }
    Some(attribute)
}

fn write_attribute(attribute: &Attribute) -> proto::AttributeIsKnown {
    let (asked, name) = match attribute {
        Attribute::Device => (proto::Attribute::Device, ""),
        Attribute::Os => (proto::Attribute::Os, ""),
        Attribute::OsVersion => (proto::Attribute::OsVersion, ""),
        Attribute::Browser => (proto::Attribute::Browser, ""),
        Attribute::BrowserVersion => (proto::Attribute::BrowserVersion, ""),
        Attribute::Language => (proto::Attribute::Language, ""),
        Attribute::Country => (proto::Attribute::Country, ""),
        Attribute::ReferrerHost => (proto::Attribute::ReferrerHost, ""),
        Attribute::ClientAddress => (proto::Attribute::ClientAddress, ""),
        Attribute::Partner => (proto::Attribute::Partner, ""),
        Attribute::VisitorTotalVisits => (proto::Attribute::VisitorTotalVisits, ""),
        Attribute::LinkTotalVisits => (proto::Attribute::LinkTotalVisits, ""),
        Attribute::PartnerTotalVisits => (proto::Attribute::PartnerTotalVisits, ""),
        Attribute::Caller(name) => (proto::Attribute::Caller, name.as_str()),
    };
    proto::AttributeIsKnown { attribute: asked.into(), name: name.to_owned() }
}
