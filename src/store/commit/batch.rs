//! A commit as columns: what is put, ready to be sent, made before the transaction begins.

use std::collections::BTreeSet;

use super::{Expect, Put, Write};
use crate::{
    domain::{
        condition::Predicate,
        host::Host,
        link::{Link, LinkState, Sharing},
        name::{PartnerCode, ProgramId, ShopId},
        partner::{Partner, Program},
        shop::Shop,
    },
    store::{
        errors::StoreError,
        rows::{HOST, Json, PARTNER, PROGRAM, state_text},
        types::{Kind, folded},
    },
};

/// Stands between the texts of a row that a search looks at.
pub(in crate::store) const BETWEEN: char = '\u{1f}';
/// Stands before the text that partners' searches do not look at.
pub(in crate::store) const HIDDEN: char = '\u{1e}';

/// What every row has: which put it is, its keys, and what was read of it.
#[derive(Debug, Default)]
pub(super) struct Keys {
    pub(super) put: Vec<i32>,
    pub(super) shop: Vec<String>,
    pub(super) key: Vec<String>,
    /// The revision that was read; `None` for what is new.
    pub(super) read: Vec<Option<i64>>,
    pub(super) deleted: Vec<bool>,
}

impl Keys {
    pub(super) fn is_empty(&self) -> bool {
        self.put.is_empty()
    }

    fn add(&mut self, put: i32, shop: &ShopId, key: &str, expect: Expect, deleted: bool) {
        self.put.push(put);
        self.shop.push(shop.as_str().to_owned());
        self.key.push(key.to_owned());
        self.read.push(match expect {
            Expect::New => None,
            Expect::Revision(revision) => Some(revision.0),
        });
        self.deleted.push(deleted);
    }
}

/// Hosts of shops.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    pub(super) put: Vec<i32>,
    pub(super) shop: Vec<String>,
    pub(super) host: Vec<String>,
}

impl Hosts {
    fn add(&mut self, put: i32, shop: &ShopId, host: &Host) {
        self.put.push(put);
        self.shop.push(shop.as_str().to_owned());
        self.host.push(host.as_str().to_owned());
    }
}

#[derive(Debug, Default)]
pub(super) struct Shops {
    pub(super) keys: Keys,
    pub(super) display_name: Vec<String>,
    pub(super) settings: Vec<Json>,
    /// Of new shops; the others keep theirs.
    pub(super) default_link: Vec<Option<String>>,
    pub(super) link_hosts: Hosts,
    /// Where they lead to.
    pub(super) destinations: Hosts,
}

#[derive(Debug, Default)]
pub(super) struct Programs {
    pub(super) keys: Keys,
    pub(super) display_name: Vec<String>,
}

#[derive(Debug, Default)]
pub(super) struct Partners {
    pub(super) keys: Keys,
    /// Joined by commas: an array of arrays cannot hold lists of different lengths.
    pub(super) aliases: Vec<String>,
    pub(super) display_name: Vec<String>,
    pub(super) program: Vec<Option<String>>,
    pub(super) tags: Vec<String>,
    pub(super) active: Vec<bool>,
    pub(super) search_text: Vec<String>,
    pub(super) codes: Codes,
}

/// Codes that partners use.
#[derive(Debug, Default)]
pub(super) struct Codes {
    pub(super) put: Vec<i32>,
    pub(super) shop: Vec<String>,
    pub(super) code: Vec<String>,
    pub(super) partner: Vec<String>,
}

#[derive(Debug, Default)]
pub(super) struct Links {
    pub(super) keys: Keys,
    pub(super) is_default: Vec<bool>,
    pub(super) display_name: Vec<String>,
    pub(super) description: Vec<String>,
    pub(super) name_key: Vec<String>,
    pub(super) search_text: Vec<String>,
    pub(super) tags: Vec<String>,
    pub(super) state: Vec<&'static str>,
    pub(super) shared_with_everyone: Vec<bool>,
    pub(super) shared_partners: Vec<i32>,
    pub(super) shared_programs: Vec<i32>,
    pub(super) routing: Vec<Json>,
    pub(super) golden_clicks: Vec<Json>,
    pub(super) shares: Names,
    pub(super) references: Names,
}

/// Names in links.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) put: Vec<i32>,
    pub(super) shop: Vec<String>,
    pub(super) slug: Vec<String>,
    pub(super) kind: Vec<&'static str>,
    pub(super) name: Vec<String>,
}

impl Names {
    fn add(&mut self, put: i32, link: &Link, kind: &'static str, name: &str) {
        self.put.push(put);
        self.shop.push(link.shop.as_str().to_owned());
        self.slug.push(link.slug.as_str().to_owned());
        self.kind.push(kind);
        self.name.push(name.to_owned());
    }
}

/// Objects for the history, and what changed.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) kind: Vec<&'static str>,
    pub(super) shop: Vec<String>,
    pub(super) key: Vec<String>,
    pub(super) object: Vec<Json>,
    pub(super) deleted: Vec<bool>,
}

impl Log {
    fn add(&mut self, kind: Kind, shop: &ShopId, key: &str, object: Json, deleted: bool) {
        self.kind.push(kind.as_str());
        self.shop.push(shop.as_str().to_owned());
        self.key.push(key.to_owned());
        self.object.push(object);
        self.deleted.push(deleted);
    }
}

/// All that is put, by table.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) shops: Shops,
    pub(super) programs: Programs,
    pub(super) partners: Partners,
    pub(super) links: Links,
    pub(super) log: Log,
}

impl Batch {
    pub(super) fn of(puts: &[Put]) -> Result<Self, StoreError> {
        let mut batch = Self::default();
        for (at, put) in puts.iter().enumerate() {
            let at = i32::try_from(at).map_err(|error| StoreError::Other(error.into()))?;
            match put {
                Put::Shop(write) => batch.add_shop(at, write, puts)?,
                Put::Program(write) => batch.add_program(at, write)?,
                Put::Partner(write) => batch.add_partner(at, write)?,
                Put::Link(write) => batch.add_link(at, write)?,
            }
        }
        Ok(batch)
    }

    fn add_shop(&mut self, at: i32, write: &Write<Shop>, puts: &[Put]) -> Result<(), StoreError> {
        let Write { value: shop, expect, deleted } = write;
        let default_link = puts.iter().find_map(|put| match put {
            Put::Link(Write { value: link, .. }) if link.is_default && link.shop == shop.id => Some(link),
            Put::Link(_) | Put::Shop(_) | Put::Program(_) | Put::Partner(_) => None,
        });
        if *expect == Expect::New && default_link.is_none() {
            let text = format!("the new shop `{}` comes without its default partner link", shop.id);
            return Err(StoreError::Other(text.into()));
        }
        self.shops.keys.add(at, &shop.id, "", *expect, *deleted);
        self.shops.display_name.push(shop.display_name.as_str().to_owned());
        self.shops.settings.push(Json::of(&shop.settings)?);
        self.shops.default_link.push(default_link.map(|link| link.slug.as_str().to_owned()));
        if !deleted {
            let settings = &shop.settings;
            for host in settings.link_hosts.iter().collect::<BTreeSet<_>>() {
                self.shops.link_hosts.add(at, &shop.id, host);
            }
            let fallback = settings.fallback_url.as_ref().and_then(|to| to.authority()).map(|to| to.host);
            let listed = settings.destination_hosts.iter().map(|listed| &listed.host);
            let hosts = std::iter::once(&settings.base_url.authority().host).chain(listed).chain(&fallback);
            for host in hosts.collect::<BTreeSet<_>>() {
                self.shops.destinations.add(at, &shop.id, host);
            }
        }
        self.log.add(Kind::Shop, &shop.id, "", Json::of(shop)?, *deleted);
        Ok(())
    }

    fn add_program(&mut self, at: i32, write: &Write<Program>) -> Result<(), StoreError> {
        let Write { value: program, expect, deleted } = write;
        self.programs.keys.add(at, &program.shop, program.id.as_str(), *expect, *deleted);
        self.programs.display_name.push(program.display_name.as_str().to_owned());
        self.log.add(Kind::Program, &program.shop, program.id.as_str(), Json::of(program)?, *deleted);
        Ok(())
    }

    fn add_partner(&mut self, at: i32, write: &Write<Partner>) -> Result<(), StoreError> {
        let Write { value: partner, expect, deleted } = write;
        let (shop, code) = (&partner.shop, partner.code.as_str());
        let to = &mut self.partners;
        to.keys.add(at, shop, code, *expect, *deleted);
        to.aliases.push(joined(partner.aliases.iter().map(|alias| alias.as_str())));
        to.display_name.push(partner.display_name.as_str().to_owned());
        to.program.push(partner.program.as_ref().map(|program| program.as_str().to_owned()));
        to.tags.push(joined(partner.tags.iter().map(|tag| tag.as_str())));
        to.active.push(partner.active);
        let mut search_text = code.to_owned();
        let aliases = partner.aliases.iter().map(|alias| alias.as_str());
        for text in aliases.chain([folded(partner.display_name.as_str()).as_str()]) {
            search_text.push(BETWEEN);
            search_text.push_str(text);
        }
        to.search_text.push(search_text);
        // A partner's own code was taken when it was made.
        let own = (*expect == Expect::New).then_some(&partner.code);
        for used in own.into_iter().chain(&partner.aliases) {
            to.codes.put.push(at);
            to.codes.shop.push(shop.as_str().to_owned());
            to.codes.code.push(used.as_str().to_owned());
            to.codes.partner.push(code.to_owned());
        }
        self.log.add(Kind::Partner, shop, code, Json::of(partner)?, *deleted);
        Ok(())
    }

    fn add_link(&mut self, at: i32, write: &Write<Link>) -> Result<(), StoreError> {
        let Write { value: link, expect, deleted } = write;
        let state = if *deleted { LinkState::Deleted } else { link.state };
        let deleted = state == LinkState::Deleted;
        let to = &mut self.links;
        to.keys.add(at, &link.shop, link.slug.as_str(), *expect, deleted);
        to.is_default.push(link.is_default);
        let (name, description) = (link.display_name.as_str(), link.description.as_str());
        to.display_name.push(name.to_owned());
        to.description.push(description.to_owned());
        to.name_key.push(folded(name));
        let destination = link.routing.default_destination.as_str();
        let search_text = format!("{}{BETWEEN}{name}{BETWEEN}{description}{HIDDEN}{destination}", link.slug);
        to.search_text.push(folded(&search_text));
        to.tags.push(joined(link.tags.iter().map(|tag| tag.as_str())));
        to.state.push(state_text(state));
        let (everyone, partners, programs): (bool, &[PartnerCode], &[ProgramId]) = match &link.sharing {
            Sharing::Everyone => (true, &[], &[]),
            Sharing::Selected { partners, programs } => (false, partners, programs),
        };
        to.shared_with_everyone.push(everyone);
        to.shared_partners.push(i32::try_from(partners.len()).unwrap_or(i32::MAX));
        to.shared_programs.push(i32::try_from(programs.len()).unwrap_or(i32::MAX));
        partners.iter().for_each(|code| to.shares.add(at, link, PARTNER, code.as_str()));
        programs.iter().for_each(|id| to.shares.add(at, link, PROGRAM, id.as_str()));
        for (kind, name) in names_in_routing(link) {
            to.references.add(at, link, kind, &name);
        }
        to.routing.push(Json::of(&link.routing)?);
        to.golden_clicks.push(Json::of(&link.golden_clicks)?);
        let object =
            if state == link.state { Json::of(link)? } else { Json::of(&Link { state, ..link.clone() })? };
        self.log.add(Kind::Link, &link.shop, link.slug.as_str(), object, deleted);
        Ok(())
    }
}

/// Joins names for `string_to_array`; none of them holds a comma.
fn joined<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(",")
}

/// Returns what conditions and destinations of a link name, each once.
fn names_in_routing(link: &Link) -> BTreeSet<(&'static str, String)> {
    let mut names = BTreeSet::new();
    for (_, destination) in link.routing.destinations() {
        if let Some(authority) = destination.authority() {
            names.insert((HOST, authority.host.as_str().to_owned()));
        }
    }
    for rule in &link.routing.rules {
        rule.when.for_each_predicate(&mut |predicate| match predicate {
            Predicate::Partner(codes) => {
                names.extend(codes.iter().map(|code| (PARTNER, code.as_str().to_owned())));
            }
            Predicate::Program(ids) => names.extend(ids.iter().map(|id| (PROGRAM, id.as_str().to_owned()))),
            Predicate::Device(_)
            | Predicate::Os { .. }
            | Predicate::Browser { .. }
            | Predicate::Language(_)
            | Predicate::Country(_)
            | Predicate::Continent(_)
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
            | Predicate::Weekly(_)
            | Predicate::PartnerTag(_)
            | Predicate::Caller { .. } => {}
        });
    }
    names
}
