//! What the database refused, in the words and with the paths of the request.

use std::fmt::Display;

use jiff::Timestamp;

use super::no_shop;
use crate::{
    domain::{
        destination::Destination,
        fault::{Fault, Faults, Problem, Reason},
        host::{DestinationHost, Host, Origin},
        revision::Revision,
        shop::loop_problem,
    },
    proto::{self, ErrorReason, condition::Kind, rule::Then, sharing::With},
    rpc::{convert::Path, status::Failure},
    store::{CommitError, LoopEnd, MissingReference, Reference, References, Taken},
};

/// Names that a refusal tells.
const NAMED: usize = 10;

/// Where in the request an object stands that is put.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'a> {
    /// A shop.
    Shop(&'a str, &'a proto::Shop),
    /// A partner.
    Partner(&'a str, &'a proto::Partner),
    /// A link.
    Link(&'a str, &'a proto::Link),
    /// Names that a link is shared with.
    Selected(&'a str, &'a proto::Selected),
    /// Names at a path.
    Names(&'a str),
    /// An object that the request does not hold, under this name.
    Named(&'a str),
}

/// Refuses a time of a publish that has passed.
pub(super) fn passed(time: Timestamp) -> Fault {
    let text = format!("{time} has passed; leave it out to publish now");
    Problem::new(Reason::OutOfRange, text).at("effective_time")
}

/// Turns a refusal of the store into a failure of the call.
pub(super) fn failure(error: CommitError, places: &[Place<'_>]) -> Failure {
    let place =
        |put: usize| places.get(put).or(places.first()).copied().unwrap_or(Place::Named("the object"));
    match error {
        CommitError::Stale { .. } => Failure::conflict(),
        CommitError::Taken { put, name } => taken(place(put), &name),
        CommitError::MissingReferences(missing) => missing_references(&missing, place),
        CommitError::InUse { put, by } => in_use(place(put), &by),
        CommitError::LoopingHost { put, host, end } => looping(place(put), &host, &end),
        CommitError::PublishPending { put, publish, effective_time } => {
            pending(place(put), publish, effective_time)
        }
        CommitError::PublishDue { .. } => Failure::conflict(),
        CommitError::PublishPassed { effective_time } => passed(effective_time).into(),
        CommitError::PublishNotPending => not_pending(),
        CommitError::RequestIdReused => {
            let text = "this request id was used within 24 hours for a request that said something else";
            Problem::new(Reason::RequestIdReused, text).at("request_id").into()
        }
        CommitError::Store(error) => error.into(),
        // Only creates carry a request id, and they look at this themselves.
        CommitError::Repeated { .. } => Failure::conflict(),
    }
}

/// Says that a publish stands in the way of a write.
fn pending(place: Place<'_>, publish: Revision, time: Timestamp) -> Failure {
    let name = match place {
        Place::Link(path, link) => format!("{path}: on the link `{}`", link.slug),
        Place::Named(name) => format!("on {name}"),
        Place::Shop(path, _) | Place::Partner(path, _) | Place::Selected(path, _) | Place::Names(path) => {
            format!("{path}: on the link")
        }
    };
    let text = format!(
        "{name} the publish {publish} is pending, which takes effect at {time}; say with `pending_publish` whether to \
         leave or to cancel it"
    );
    let failure = Failure::new(ErrorReason::PublishPending, text);
    failure.with("publish", publish).with("effective_time", time)
}

/// Says that a publish is not pending.
pub(super) fn not_pending() -> Failure {
    let text = "the shop has no such pending publish: it took effect, was cancelled or never was; look with GetPublish";
    Failure::new(ErrorReason::PublishNotPending, text)
}

fn taken(place: Place<'_>, name: &Taken) -> Failure {
    let path = match (place, name) {
        (Place::Shop(path, _), Taken::Shop(_)) => format!("{path}.id"),
        (Place::Shop(path, shop), Taken::Host(host)) => {
            entry(&format!("{path}.link_hosts"), &shop.link_hosts, |text| {
                Host::parse(text).as_ref() == Ok(host)
            })
        }
        (Place::Shop(..), _) => "default_link_slug".to_owned(),
        (Place::Partner(path, partner), Taken::Code(code)) if partner.code != code.as_str() => {
            entry(&format!("{path}.aliases"), &partner.aliases, |alias| alias == code.as_str())
        }
        (Place::Partner(path, _), _) => format!("{path}.code"),
        (Place::Link(path, _), _) => format!("{path}.slug"),
        (Place::Names(path) | Place::Selected(path, _), _) => path.to_owned(),
        (Place::Named(_), Taken::Program(_)) => "program.id".to_owned(),
        (Place::Named(name), _) => name.to_owned(),
    };
    let (reason, text) = match name {
        Taken::Host(host) => {
            let text = format!("the host `{host}` already serves the links of a shop");
            (ErrorReason::HostTaken, text)
        }
        Taken::Shop(_) | Taken::Program(_) | Taken::Code(_) | Taken::Slug(_) => {
            let text = format!("{name} is taken, now or by something deleted; choose another one");
            (ErrorReason::AlreadyExists, text)
        }
    };
    Failure::new(reason, format!("{path}: {text}")).with("field", path)
}

fn missing_references<'a>(missing: &[MissingReference], place: impl Fn(usize) -> Place<'a>) -> Failure {
    let shop = missing.iter().find_map(|missing| match &missing.reference {
        Reference::Shop(shop) => Some(shop),
        Reference::Program(_) | Reference::Partner(_) => None,
    });
    if let Some(shop) = shop {
        return no_shop(shop);
    }
    let mut faults = Faults::new();
    for missing in missing {
        let text = format!("{} does not exist, or is deleted", missing.reference);
        faults.add(
            named_at(place(missing.put), &missing.reference),
            Problem::new(Reason::UnknownReference, text),
        );
    }
    faults.into()
}

/// Returns where an object names another one.
pub(super) fn named_at(place: Place<'_>, reference: &Reference) -> String {
    match place {
        Place::Link(path, link) => {
            in_link(link, reference, &Path::root(path)).unwrap_or_else(|| path.to_owned())
        }
        Place::Partner(path, _) => format!("{path}.program"),
        Place::Selected(path, selected) => {
            in_selected(selected, reference, &Path::root(path)).unwrap_or_else(|| path.to_owned())
        }
        Place::Shop(path, _) | Place::Names(path) | Place::Named(path) => path.to_owned(),
    }
}

fn in_link(link: &proto::Link, reference: &Reference, path: &Path<'_>) -> Option<String> {
    let sharing = path.field("sharing");
    if let Some(With::Selected(selected)) = link.sharing.as_ref().and_then(|sharing| sharing.with.as_ref())
        && let Some(found) = in_selected(selected, reference, &sharing.field("selected"))
    {
        return Some(found);
    }
    link.rules.iter().enumerate().find_map(|(at, rule)| {
        in_condition(rule.when.as_ref()?, reference, &path.field("rules").index(at).field("when"))
    })
}

/// Returns where names that are shared with hold a reference.
fn in_selected(selected: &proto::Selected, reference: &Reference, path: &Path<'_>) -> Option<String> {
    match reference {
        Reference::Shop(_) => None,
        Reference::Program(id) => position(&selected.programs, id.as_str(), &path.field("programs")),
        Reference::Partner(code) => position(&selected.partners, code.as_str(), &path.field("partners")),
    }
}

fn in_condition(condition: &proto::Condition, reference: &Reference, path: &Path<'_>) -> Option<String> {
    let group = |group: &proto::ConditionGroup, path: Path<'_>| {
        let mut members = group.conditions.iter().enumerate();
        members.find_map(|(at, member)| in_condition(member, reference, &path.index(at)))
    };
    match (condition.kind.as_ref()?, reference) {
        (Kind::All(members), _) => group(members, path.field("all")),
        (Kind::Any(members), _) => group(members, path.field("any")),
        (Kind::Not(member), _) => in_condition(member, reference, &path.field("not")),
        (Kind::Partner(is), Reference::Partner(code)) => {
            position(&is.codes, code.as_str(), &path.field("partner").field("codes"))
        }
        (Kind::Program(is), Reference::Program(id)) => {
            position(&is.programs, id.as_str(), &path.field("program").field("programs"))
        }
        // The other predicates, and those about the other kind of reference, name nothing.
        (_, Reference::Shop(_) | Reference::Program(_) | Reference::Partner(_)) => None,
    }
}

fn position(names: &[String], name: &str, path: &Path<'_>) -> Option<String> {
    names.iter().position(|listed| listed == name).map(|at| path.index(at).to_string())
}

fn looping(place: Place<'_>, host: &Host, end: &LoopEnd) -> Failure {
    let leads_there = |text: &str| {
        Destination::parse(text)
            .is_ok_and(|to| to.authority().is_some_and(|authority| authority.host == *host))
    };
    let path = match (place, end) {
        (Place::Shop(path, shop), LoopEnd::LinkHost) => loop_in_shop(path, shop, host),
        (Place::Shop(path, shop), LoopEnd::Shop(_) | LoopEnd::Link(..)) => {
            entry(&format!("{path}.link_hosts"), &shop.link_hosts, |text| {
                Host::parse(text).as_ref() == Ok(host)
            })
        }
        (Place::Link(path, link), _) => loop_in_link(path, link, leads_there),
        (Place::Partner(path, _) | Place::Selected(path, _) | Place::Names(path) | Place::Named(path), _) => {
            path.to_owned()
        }
    };
    let problem = match end {
        LoopEnd::LinkHost => loop_problem(host),
        LoopEnd::Shop(shop) => {
            let text = format!("the shop `{shop}` leads clicks to `{host}`: they would go in circles");
            Problem::new(Reason::RedirectLoop, text)
        }
        LoopEnd::Link(shop, slug) => {
            let text = format!(
                "the link `{slug}` of the shop `{shop}` leads to `{host}`: its clicks would go in circles"
            );
            Problem::new(Reason::RedirectLoop, text)
        }
    };
    problem.at(path).into()
}

fn loop_in_shop(path: &str, shop: &proto::Shop, host: &Host) -> String {
    if Origin::parse(&shop.base_url).is_ok_and(|origin| origin.authority().host == *host) {
        return format!("{path}.base_url");
    }
    let listed = |text: &String| DestinationHost::parse(text).is_ok_and(|listed| listed.host == *host);
    match shop.destination_hosts.iter().position(listed) {
        Some(at) => format!("{path}.destination_hosts[{at}]"),
        None => format!("{path}.fallback_url"),
    }
}

fn loop_in_link(path: &str, link: &proto::Link, leads_there: impl Fn(&str) -> bool) -> String {
    if leads_there(&link.default_destination) {
        return format!("{path}.default_destination");
    }
    if link.expired_destination.as_deref().is_some_and(&leads_there) {
        return format!("{path}.expired_destination");
    }
    let in_rule = |rule: &proto::Rule| match &rule.then {
        Some(Then::Destination(to)) => leads_there(to).then(|| "destination".to_owned()),
        Some(Then::Variants(variants)) => {
            let at = variants.items.iter().position(|variant| leads_there(&variant.destination))?;
            Some(format!("variants.items[{at}].destination"))
        }
        None => None,
    };
    let place = |(at, rule)| Some(format!("{path}.rules[{at}].{}", in_rule(rule)?));
    link.rules.iter().enumerate().find_map(place).unwrap_or_else(|| path.to_owned())
}

/// Returns the path of the first entry of a list that fits, else of the list.
fn entry(path: &str, list: &[String], fits: impl Fn(&str) -> bool) -> String {
    list.iter().position(|text| fits(text)).map_or(path.to_owned(), |at| format!("{path}[{at}]"))
}

/// Says who still names an object that was to be deleted.
fn in_use(place: Place<'_>, by: &References) -> Failure {
    let object = match place {
        Place::Named(name) | Place::Names(name) => name.to_owned(),
        Place::Shop(path, _) | Place::Partner(path, _) | Place::Link(path, _) | Place::Selected(path, _) => {
            path.to_owned()
        }
    };
    let users =
        [counted(by.link_count, "link", &by.links), counted(by.partner_count, "partner", &by.partners)];
    let users: Vec<_> = users.into_iter().flatten().collect();
    let text = format!("{object} is still in use by {}; change them first, or force it", users.join(" and "));
    Failure::new(ErrorReason::InUse, text).with("links", by.link_count).with("partners", by.partner_count)
}

/// Says how many there are and which the first are.
pub(super) fn counted(count: usize, what: &str, names: &[impl Display]) -> Option<String> {
    if count == 0 {
        return None;
    }
    let told: Vec<_> = names.iter().take(NAMED).map(|name| format!("`{name}`")).collect();
    let more = if count > told.len() { ", …" } else { "" };
    let plural = if count == 1 { "" } else { "s" };
    Some(format!("{count} {what}{plural} ({}{more})", told.join(", ")))
}
