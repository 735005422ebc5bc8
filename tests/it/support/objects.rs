//! Sound objects to begin with.

use smartlinks::{
    domain::{
        condition::{Condition, Predicate},
        destination::Destination,
        host::{Host, Origin},
        link::{Description, Link, LinkState, Outcome, Routing, Rule, Sharing},
        name::{DisplayName, PartnerCode, ProgramId, RuleId, ShopId, Slug, Tag},
        one_of::OneOf,
        param::OwnParam,
        partner::{Partner, Program},
        policy::QueryPolicy,
        revision::{Comment, Revision},
        shop::{Shop, ShopSettings},
        utm::Utm,
        visitor::VisitorMode,
    },
    store::{Commit, CommitError, Committed, Expect, OnPending, Put, Store, Write},
};

pub(crate) fn shop_id(id: &str) -> ShopId {
    ShopId::parse(id).unwrap()
}

pub(crate) fn slug(slug: &str) -> Slug {
    Slug::parse(slug).unwrap()
}

pub(crate) fn code(code: &str) -> PartnerCode {
    PartnerCode::parse(code).unwrap()
}

pub(crate) fn program_id(id: &str) -> ProgramId {
    ProgramId::parse(id).unwrap()
}

pub(crate) fn tag(tag: &str) -> Tag {
    Tag::parse(tag).unwrap()
}

pub(crate) fn destination(text: &str) -> Destination {
    Destination::parse(text).unwrap()
}

fn name(text: &str) -> DisplayName {
    DisplayName::parse(text).unwrap()
}

/// A shop at `https://{id}.example` whose links are at `go.{id}.example`.
pub(crate) fn shop(id: &str) -> Shop {
    let host = format!("go.{id}.example");
    Shop {
        id: shop_id(id),
        display_name: name(&format!("Shop {id}")),
        settings: ShopSettings {
            base_url: Origin::parse(&format!("https://{id}.example")).unwrap(),
            link_hosts: vec![Host::parse(&host).unwrap()],
            public_url: Origin::parse(&format!("https://{host}")).unwrap(),
            destination_hosts: Vec::new(),
            partner_param: OwnParam::parse("ref").unwrap(),
            accepted_partner_params: Vec::new(),
            click_id_param: Some(OwnParam::parse("click_id").unwrap()),
            fallback_url: None,
            query_policy: QueryPolicy::default(),
            internal_addresses: Vec::new(),
            visitor_mode: VisitorMode::default(),
            sub_id_params: Vec::new(),
            time_zone: None,
            click_retention_days: None,
        },
    }
}

pub(crate) fn program(shop: &str, id: &str) -> Program {
    Program { shop: shop_id(shop), id: program_id(id), display_name: name(&format!("Program {id}")) }
}

pub(crate) fn partner(shop: &str, own: &str) -> Partner {
    Partner {
        shop: shop_id(shop),
        code: code(own),
        aliases: Vec::new(),
        display_name: name(&format!("Partner {own}")),
        program: None,
        tags: Vec::new(),
        active: true,
    }
}

pub(crate) fn link(shop: &str, own: &str) -> Link {
    Link {
        shop: shop_id(shop),
        slug: slug(own),
        is_default: false,
        display_name: name(&format!("Link {own}")),
        description: Description::default(),
        tags: Vec::new(),
        state: LinkState::Active,
        sharing: Sharing::Everyone,
        routing: Routing::to(destination(own)),
        golden_clicks: Vec::new(),
    }
}

/// The default partner link of a shop.
pub(crate) fn home(shop: &str) -> Link {
    Link { is_default: true, routing: Routing::to(destination("")), ..link(shop, "home") }
}

/// A rule that sends whom the predicate fits to `/{id}`.
pub(crate) fn rule(id: &str, predicate: Predicate) -> Rule {
    Rule {
        id: RuleId::parse(id).unwrap(),
        display_name: None,
        when: Condition::Is(predicate),
        then: Outcome::Destination(destination(id)),
        retired_variants: Vec::new(),
        utm: Utm::default(),
        enabled: true,
    }
}

/// The predicate for partners.
pub(crate) fn is_partner(own: &str) -> Predicate {
    Predicate::Partner(OneOf::new(vec![code(own)]).unwrap())
}

/// The predicate for programs.
pub(crate) fn is_in(program: &str) -> Predicate {
    Predicate::Program(OneOf::new(vec![program_id(program)]).unwrap())
}

/// Shares with these partners and programs.
pub(crate) fn selected(partners: &[&str], programs: &[&str]) -> Sharing {
    Sharing::selected(
        partners.iter().map(|own| code(own)).collect(),
        programs.iter().map(|id| program_id(id)).collect(),
    )
}

pub(crate) fn new<T>(value: T) -> Write<T> {
    Write { value, expect: Expect::New, deleted: false }
}

pub(crate) fn change<T>(value: T, read: Revision) -> Write<T> {
    Write { value, expect: Expect::Revision(read), deleted: false }
}

pub(crate) fn delete<T>(value: T, read: Revision) -> Write<T> {
    Write { value, expect: Expect::Revision(read), deleted: true }
}

/// A commit of these and nothing special.
pub(crate) fn commit(puts: Vec<Put>) -> Commit {
    Commit {
        actor: "tester".to_owned(),
        comment: Comment::default(),
        puts,
        request: None,
        allow_missing_references: false,
        dry_run: false,
        pending: OnPending::Refuse,
        publish: None,
    }
}

/// Writes these.
pub(crate) async fn put(store: &Store, puts: Vec<Put>) -> Result<Committed, CommitError> {
    store.commit(commit(puts)).await
}

/// Writes a shop with its default partner link.
pub(crate) async fn put_shop(store: &Store, id: &str) -> Committed {
    put(store, vec![Put::Shop(new(shop(id))), Put::Link(new(home(id)))]).await.unwrap()
}
