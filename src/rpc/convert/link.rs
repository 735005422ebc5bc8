//! Links, their rules and their sharing.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    Path,
    choice::{self, Choice},
    condition, golden, list,
    mask::{Fields, Table},
    policy, required, take, texts, time,
};
use crate::{
    domain::{
        destination::Destination,
        fault::{Faults, Problem},
        golden::GoldenClick,
        link::{Description, Link, LinkState, Outcome, RedirectKind, Routing, Rule, Sharing},
        name::{DisplayName, PartnerCode, ProgramId, RuleId, ShopId, Slug, Tag, VariantId},
        policy::QueryPolicy,
        utm::Utm,
        variant::{Variant, Variants, Weight},
    },
    proto::{self, rule::Then, sharing::With},
};

/// The fields of a link.
pub const FIELDS: Table<proto::Link> = Table {
    object: "link",
    writable: &[
        ("display_name", |link| !link.display_name.is_empty()),
        ("description", |link| !link.description.is_empty()),
        ("default_destination", |link| !link.default_destination.is_empty()),
        ("sharing", |link| link.sharing.is_some()),
        ("rules", |link| !link.rules.is_empty()),
        ("utm", |link| link.utm.is_some()),
        ("query_policy", |link| link.query_policy.is_some()),
        ("redirect", |link| link.redirect != 0),
        ("start_time", |link| link.start_time.is_some()),
        ("expire_time", |link| link.expire_time.is_some()),
        ("expired_destination", |link| link.expired_destination.is_some()),
        ("tags", |link| !link.tags.is_empty()),
        ("golden_clicks", |link| !link.golden_clicks.is_empty()),
    ],
    keys: &["shop", "slug"],
    output_only: &[
        "state",
        "is_default",
        "sharing_summary",
        "etag",
        "revision",
        "create_time",
        "update_time",
        "delete_time",
    ],
};

/// New values of some fields of a link; `None` = the field stays as it is.
#[derive(Clone, Debug, Default)]
pub struct LinkEdit {
    display_name: Option<DisplayName>,
    description: Option<Description>,
    default_destination: Option<Destination>,
    sharing: Option<Sharing>,
    rules: Option<Vec<Rule>>,
    utm: Option<Utm>,
    query_policy: Option<Option<QueryPolicy>>,
    redirect: Option<RedirectKind>,
    start_time: Option<Option<Timestamp>>,
    expire_time: Option<Option<Timestamp>>,
    expired_destination: Option<Option<Destination>>,
    tags: Option<Vec<Tag>>,
    golden_clicks: Option<Vec<GoldenClick>>,
}

impl LinkEdit {
    /// Reads the fields that are written.
    pub fn read(wire: &proto::Link, fields: &Fields, path: &Path<'_>, faults: &mut Faults) -> Self {
        let mut edit = Self::default();
        if fields.has("display_name") {
            let parsed = DisplayName::parse(&wire.display_name);
            edit.display_name = take(parsed, &path.field("display_name"), faults);
        }
        if fields.has("description") {
            edit.description =
                take(Description::parse(&wire.description), &path.field("description"), faults);
        }
        if fields.has("default_destination") {
            let parsed = Destination::parse(&wire.default_destination);
            edit.default_destination = take(parsed, &path.field("default_destination"), faults);
        }
        if fields.has("sharing") {
            let path = path.field("sharing");
            edit.sharing = required(wire.sharing.as_ref(), "whom the link is shared with", &path, faults)
                .and_then(|wire| read_sharing(wire, &path, faults));
        }
        if fields.has("rules") {
            edit.rules = list(&wire.rules, &path.field("rules"), faults, read_rule);
        }
        if fields.has("utm") {
            let unset = proto::Utm::default();
            let wire = wire.utm.as_ref().unwrap_or(&unset);
            edit.utm = policy::read_utm(wire, &path.field("utm"), faults);
        }
        edit.read_redirection(wire, fields, path, faults);
        edit.read_window(wire, fields, path, faults);
        if fields.has("tags") {
            edit.tags = texts(&wire.tags, &path.field("tags"), faults, Tag::parse);
        }
        if fields.has("golden_clicks") {
            edit.golden_clicks =
                list(&wire.golden_clicks, &path.field("golden_clicks"), faults, golden::read);
        }
        edit
    }

    fn read_redirection(
        &mut self,
        wire: &proto::Link,
        fields: &Fields,
        path: &Path<'_>,
        faults: &mut Faults,
    ) {
        if fields.has("query_policy") {
            self.query_policy = match &wire.query_policy {
                Some(wire) => policy::read(wire, &path.field("query_policy"), faults).map(Some),
                None => Some(None),
            };
        }
        if fields.has("redirect") {
            self.redirect = choice::read_or_default(wire.redirect, &path.field("redirect"), faults);
        }
    }

    fn read_window(&mut self, wire: &proto::Link, fields: &Fields, path: &Path<'_>, faults: &mut Faults) {
        let mut instant = |wire: &Option<prost_types::Timestamp>, field| match wire {
            Some(wire) => time::read(wire, &path.field(field), faults).map(Some),
            None => Some(None),
        };
        if fields.has("start_time") {
            self.start_time = instant(&wire.start_time, "start_time");
        }
        if fields.has("expire_time") {
            self.expire_time = instant(&wire.expire_time, "expire_time");
        }
        if fields.has("expired_destination") {
            self.expired_destination = match &wire.expired_destination {
                Some(text) => {
                    take(Destination::parse(text), &path.field("expired_destination"), faults).map(Some)
                }
                None => Some(None),
            };
        }
    }

    /// Makes a new link; `None` if something that it needs was at fault.
    pub fn create(self, shop: ShopId, slug: Slug) -> Option<Link> {
        Some(Link {
            shop,
            slug,
            is_default: false,
            display_name: self.display_name?,
            description: self.description?,
            tags: self.tags?,
            state: LinkState::Active,
            sharing: self.sharing?,
            routing: Routing {
                default_destination: self.default_destination?,
                rules: self.rules?,
                retired_rules: Vec::new(),
                retired_variants: BTreeMap::new(),
                utm: self.utm?,
                query_policy: self.query_policy?,
                redirect: self.redirect?,
                start_time: self.start_time?,
                expire_time: self.expire_time?,
                expired_destination: self.expired_destination?,
            },
            golden_clicks: self.golden_clicks?,
        })
    }

    /// Writes the new values into a link. The ids of rules and variants that are taken away stay used.
    pub fn apply(&self, link: &mut Link) {
        put(&self.display_name, &mut link.display_name);
        put(&self.description, &mut link.description);
        put(&self.sharing, &mut link.sharing);
        put(&self.tags, &mut link.tags);
        put(&self.golden_clicks, &mut link.golden_clicks);
        let routing = &mut link.routing;
        if let Some(rules) = &self.rules {
            for old in std::mem::replace(&mut routing.rules, rules.clone()) {
                match routing.rules.iter_mut().find(|rule| rule.id == old.id) {
                    Some(rule) => rule.retire_variants_of(old),
                    None => routing.retire(&old),
                }
            }
        }
        put(&self.default_destination, &mut routing.default_destination);
        put(&self.utm, &mut routing.utm);
        put(&self.query_policy, &mut routing.query_policy);
        put(&self.redirect, &mut routing.redirect);
        put(&self.start_time, &mut routing.start_time);
        put(&self.expire_time, &mut routing.expire_time);
        put(&self.expired_destination, &mut routing.expired_destination);
    }
}

/// Writes a new value, if there is one.
pub fn put<T: Clone>(new: &Option<T>, place: &mut T) {
    if let Some(new) = new {
        place.clone_from(new);
    }
}

/// Reads whom a link is shared with.
pub fn read_sharing(wire: &proto::Sharing, path: &Path<'_>, faults: &mut Faults) -> Option<Sharing> {
    match required(wire.with.as_ref(), "`everyone` or `selected`", path, faults)? {
        With::Everyone(proto::Everyone {}) => Some(Sharing::Everyone),
        With::Selected(selected) => {
            let (partners, programs) = read_selected(selected, &path.field("selected"), faults)?;
            Some(Sharing::selected(partners, programs))
        }
    }
}

/// Reads names of partners and programs.
pub fn read_selected(
    wire: &proto::Selected,
    path: &Path<'_>,
    faults: &mut Faults,
) -> Option<(Vec<PartnerCode>, Vec<ProgramId>)> {
    let partners = texts(&wire.partners, &path.field("partners"), faults, PartnerCode::parse);
    let programs = texts(&wire.programs, &path.field("programs"), faults, ProgramId::parse);
    Some((partners?, programs?))
}

/// Writes whom a link is shared with.
pub fn write_sharing(sharing: &Sharing) -> proto::Sharing {
    let with = match sharing {
        Sharing::Everyone => With::Everyone(proto::Everyone {}),
        Sharing::Selected { partners, programs } => With::Selected(proto::Selected {
            partners: partners.iter().map(PartnerCode::to_string).collect(),
            programs: programs.iter().map(ProgramId::to_string).collect(),
        }),
    };
    proto::Sharing { with: Some(with) }
}

/// Writes how many a link is shared with.
pub fn write_summary(sharing: &Sharing) -> proto::SharingSummary {
    // The numbers are at most 10,000 and 500.
    let count = |entries: usize| i32::try_from(entries).unwrap_or(i32::MAX);
    match sharing {
        Sharing::Everyone => proto::SharingSummary { everyone: true, partners: 0, programs: 0 },
        Sharing::Selected { partners, programs } => proto::SharingSummary {
            everyone: false,
            partners: count(partners.len()),
            programs: count(programs.len()),
        },
    }
}

fn read_rule(wire: &proto::Rule, path: &Path<'_>, faults: &mut Faults) -> Option<Rule> {
    let id = take(RuleId::parse(&wire.id), &path.field("id"), faults);
    let display_name = match wire.display_name.as_str() {
        "" => Some(None),
        name => take(DisplayName::parse(name), &path.field("display_name"), faults).map(Some),
    };
    let when_path = path.field("when");
    let when = required(wire.when.as_ref(), "the condition", &when_path, faults)
        .and_then(|wire| condition::read(wire, &when_path, faults));
    let then = match &wire.then {
        Some(Then::Destination(text)) => {
            take(Destination::parse(text), &path.field("destination"), faults).map(Outcome::Destination)
        }
        Some(Then::Variants(wire)) => {
            read_variants(wire, &path.field("variants"), faults).map(Outcome::Variants)
        }
        None => {
            let text = "the destination; set it to the empty text for the home page, or write variants";
            faults.add(path.field("destination").to_string(), Problem::required(text));
            None
        }
    };
    let unset = proto::Utm::default();
    let utm = policy::read_utm(wire.utm.as_ref().unwrap_or(&unset), &path.field("utm"), faults);
    Some(Rule {
        id: id?,
        display_name: display_name?,
        when: when?,
        then: then?,
        retired_variants: Vec::new(),
        utm: utm?,
        enabled: wire.enabled.unwrap_or(true),
    })
}

fn read_variants(wire: &proto::Variants, path: &Path<'_>, faults: &mut Faults) -> Option<Variants> {
    let items = list(&wire.items, &path.field("items"), faults, |wire, path, faults| {
        let id = take(VariantId::parse(&wire.id), &path.field("id"), faults);
        let destination = take(Destination::parse(&wire.destination), &path.field("destination"), faults);
        let weight = take(Weight::parse(wire.weight.into()), &path.field("weight"), faults);
        Some(Variant { id: id?, destination: destination?, weight: weight? })
    })?;
    Variants::new(items).map_err(|relative| path.adopt(relative, faults)).ok()
}

fn write_variant(variant: &Variant) -> proto::Variant {
    proto::Variant {
        id: variant.id.to_string(),
        destination: variant.destination.as_str().to_owned(),
        weight: variant.weight.number().into(),
    }
}

fn write_rule(rule: &Rule) -> proto::Rule {
    let then = match &rule.then {
        Outcome::Destination(to) => Then::Destination(to.as_str().to_owned()),
        Outcome::Variants(variants) => {
            Then::Variants(proto::Variants { items: variants.as_slice().iter().map(write_variant).collect() })
        }
    };
    proto::Rule {
        id: rule.id.to_string(),
        display_name: rule.display_name.as_ref().map(|name| name.as_str().to_owned()).unwrap_or_default(),
        when: Some(condition::write(&rule.when)),
        then: Some(then),
        utm: policy::write_utm(&rule.utm),
        enabled: Some(rule.enabled),
    }
}

/// Writes a link, without what only its row knows: revision, etag and times.
pub fn write(link: &Link) -> proto::Link {
    let routing = &link.routing;
    proto::Link {
        shop: link.shop.to_string(),
        slug: link.slug.to_string(),
        display_name: link.display_name.as_str().to_owned(),
        description: link.description.as_str().to_owned(),
        default_destination: routing.default_destination.as_str().to_owned(),
        sharing: Some(write_sharing(&link.sharing)),
        rules: routing.rules.iter().map(write_rule).collect(),
        utm: policy::write_utm(&routing.utm),
        query_policy: routing.query_policy.as_ref().map(policy::write),
        redirect: routing.redirect.number(),
        start_time: routing.start_time.map(time::write),
        expire_time: routing.expire_time.map(time::write),
        expired_destination: routing.expired_destination.as_ref().map(|to| to.as_str().to_owned()),
        tags: link.tags.iter().map(Tag::to_string).collect(),
        golden_clicks: link.golden_clicks.iter().map(golden::write).collect(),
        state: write_state(link.state).into(),
        is_default: link.is_default,
        sharing_summary: Some(write_summary(&link.sharing)),
        ..proto::Link::default()
    }
}

/// Writes the state of a link.
pub fn write_state(state: LinkState) -> proto::LinkState {
    match state {
        LinkState::Active => proto::LinkState::Active,
        LinkState::Paused => proto::LinkState::Paused,
        LinkState::Deleted => proto::LinkState::Deleted,
    }
}

/// Reads the state of a link in a filter.
pub fn read_state(number: i32, path: &Path<'_>, faults: &mut Faults) -> Option<LinkState> {
    match super::enumerated(number, "state of a link", path, faults)? {
        proto::LinkState::Unspecified => {
            faults.add(path.to_string(), Problem::required("the state"));
            None
        }
        proto::LinkState::Active => Some(LinkState::Active),
        proto::LinkState::Paused => Some(LinkState::Paused),
        proto::LinkState::Deleted => Some(LinkState::Deleted),
    }
}
