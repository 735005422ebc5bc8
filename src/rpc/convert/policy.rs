//! Query policies and campaign parameters.

use super::{
    Path,
    choice::{self, Choice},
    list, take,
};
use crate::{
    domain::{
        fault::{Faults, Problem, Reason},
        limits,
        policy::{PolicyParam, QueryOverride, QueryPass, QueryPolicy},
        utm::{Template, Utm},
    },
    proto,
};

/// Reads a query policy.
pub fn read(wire: &proto::QueryPolicy, path: &Path<'_>, faults: &mut Faults) -> Option<QueryPolicy> {
    let pass = pass(wire, path, faults);
    let on_conflict = choice::read_or_default(wire.on_conflict, &path.field("on_conflict"), faults);
    let at = path.field("overrides");
    at_most(wire.overrides.len(), limits::QUERY_OVERRIDES, &at, faults);
    let overrides = list(&wire.overrides, &at, faults, |wire, path, faults| {
        let name = take(PolicyParam::parse(&wire.name), &path.field("name"), faults);
        let on_conflict = choice::read(wire.on_conflict, &path.field("on_conflict"), faults);
        Some(QueryOverride { name: name?, on_conflict: on_conflict? })
    });
    Some(QueryPolicy { pass: pass?, on_conflict: on_conflict?, overrides: overrides? })
}

/// Writes a query policy.
pub fn write(policy: &QueryPolicy) -> proto::QueryPolicy {
    let (pass, listed) = match &policy.pass {
        QueryPass::All => (proto::QueryPass::All, Vec::new()),
        QueryPass::None => (proto::QueryPass::None, Vec::new()),
        QueryPass::Listed(names) => {
            (proto::QueryPass::Listed, names.iter().map(|name| name.as_str().to_owned()).collect())
        }
    };
    let write = |exception: &QueryOverride| proto::QueryOverride {
        name: exception.name.as_str().to_owned(),
        on_conflict: exception.on_conflict.number(),
    };
    proto::QueryPolicy {
        pass: pass.into(),
        listed,
        on_conflict: policy.on_conflict.number(),
        overrides: policy.overrides.iter().map(write).collect(),
    }
}

fn pass(wire: &proto::QueryPolicy, path: &Path<'_>, faults: &mut Faults) -> Option<QueryPass> {
    let (at, listed) = (path.field("pass"), path.field("listed"));
    let pass = super::enumerated(wire.pass, "way to pass the query", &at, faults)?;
    let pass = match pass {
        proto::QueryPass::Unspecified | proto::QueryPass::All => QueryPass::All,
        proto::QueryPass::None => QueryPass::None,
        proto::QueryPass::Listed => {
            at_most(wire.listed.len(), limits::LISTED_PARAMETERS, &listed, faults);
            if wire.listed.is_empty() {
                let text = "the list of parameters is missing; if none is to pass, write QUERY_PASS_NONE";
                faults.add(listed.to_string(), Problem::new(Reason::Required, text));
            }
            return list(&wire.listed, &listed, faults, |name, path, faults| {
                take(PolicyParam::parse(name), path, faults)
            })
            .map(QueryPass::Listed);
        }
    };
    if !wire.listed.is_empty() {
        let text = "a list of parameters goes with QUERY_PASS_LISTED alone";
        faults.add(listed.to_string(), Problem::new(Reason::Conflict, text));
    }
    Some(pass)
}

/// Refuses a list that is too long.
pub fn at_most(is: usize, most: usize, path: &Path<'_>, faults: &mut Faults) {
    if is > most {
        let text = format!("the list has {is} entries, at most {most} are allowed");
        faults.add(path.to_string(), Problem::new(Reason::TooLong, text));
    }
}

/// Reads campaign parameters.
pub fn read_utm(wire: &proto::Utm, path: &Path<'_>, faults: &mut Faults) -> Option<Utm> {
    let mut value = |text: &Option<String>, field| match text {
        Some(text) => take(Template::parse(text), &path.field(field), faults).map(Some),
        None => Some(None),
    };
    let (source, medium) = (value(&wire.source, "source"), value(&wire.medium, "medium"));
    let (campaign, term) = (value(&wire.campaign, "campaign"), value(&wire.term, "term"));
    let (content, id) = (value(&wire.content, "content"), value(&wire.id, "id"));
    Some(Utm {
        source: source?,
        medium: medium?,
        campaign: campaign?,
        term: term?,
        content: content?,
        id: id?,
    })
}

/// Writes campaign parameters; none at all if nothing is set.
pub fn write_utm(utm: &Utm) -> Option<proto::Utm> {
    let text = |value: &Option<Template>| value.as_ref().map(|value| value.as_str().to_owned());
    (!utm.is_unset()).then(|| proto::Utm {
        source: text(&utm.source),
        medium: text(&utm.medium),
        campaign: text(&utm.campaign),
        term: text(&utm.term),
        content: text(&utm.content),
        id: text(&utm.id),
    })
}
