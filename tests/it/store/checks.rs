//! What crosses objects: names, references, hosts.

use smartlinks::{
    domain::{
        host::{DestinationHost, Host, Origin},
        link::Link,
        name::PartnerCode,
        shop::Shop,
    },
    store::{
        Commit, CommitError, Committed, LoopEnd, MissingReference, Put, Reference, References, Store, Taken,
    },
};

use crate::support::{
    database::Database,
    objects::{
        change, code, commit, delete, destination, home, is_in, is_partner, link, new, partner, program,
        program_id, put, put_shop, rule, selected, shop, shop_id, slug,
    },
};

fn taken(outcome: Result<Committed, CommitError>) -> (usize, Taken) {
    match outcome {
        Err(CommitError::Taken { put, name }) => (put, name),
        other => panic!("{other:?}"),
    }
}

fn missing(outcome: Result<Committed, CommitError>) -> Vec<(usize, Reference)> {
    match outcome {
        Err(CommitError::MissingReferences(missing)) => {
            missing.into_iter().map(|MissingReference { put, reference }| (put, reference)).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn in_use(outcome: Result<Committed, CommitError>) -> References {
    match outcome {
        Err(CommitError::InUse { put: 0, by }) => by,
        other => panic!("{other:?}"),
    }
}

fn looping(outcome: Result<Committed, CommitError>) -> (usize, String, LoopEnd) {
    match outcome {
        Err(CommitError::LoopingHost { put, host, end }) => (put, host.to_string(), end),
        other => panic!("{other:?}"),
    }
}

async fn put_one(store: &Store, one: Put) -> Result<Committed, CommitError> {
    put(store, vec![one]).await
}

#[tokio::test]
async fn ids_and_slugs_are_never_used_twice() {
    let database = Database::create().await;
    let store = database.store();
    let made = put_shop(&store, "acme").await;
    put_one(&store, Put::Program(new(program("acme", "gold")))).await.unwrap();
    let sale = put_one(&store, Put::Link(new(link("acme", "sale")))).await.unwrap();
    for round in ["while it is there", "after it was deleted"] {
        let again = vec![Put::Link(new(link("acme", "other"))), Put::Link(new(link("acme", "sale")))];
        assert_eq!(taken(put(&store, again).await), (1, Taken::Slug(slug("sale"))), "{round}");
        if round == "while it is there" {
            put_one(&store, Put::Link(delete(link("acme", "sale"), sale.revision))).await.unwrap();
        }
    }
    let again = put_one(&store, Put::Program(new(program("acme", "gold")))).await;
    assert_eq!(taken(again), (0, Taken::Program(program_id("gold"))));
    put_one(&store, Put::Shop(delete(shop("acme"), made.revision))).await.unwrap();
    let again = put(&store, vec![Put::Shop(new(shop("acme"))), Put::Link(new(home("acme")))]).await;
    assert_eq!(taken(again), (0, Taken::Shop(shop_id("acme"))));
    let twice = vec![Put::Link(new(link("zeta", "twice"))), Put::Link(new(link("zeta", "twice")))];
    put_shop(&store, "zeta").await;
    assert_eq!(taken(put(&store, twice).await), (1, Taken::Slug(slug("twice"))), "within one commit");
    // In another shop the same names are other names.
    put_one(&store, Put::Link(new(link("zeta", "sale")))).await.unwrap();
}

#[tokio::test]
async fn codes_and_aliases_are_never_used_twice() {
    let database = Database::create().await;
    let store = database.store();
    put_shop(&store, "acme").await;
    let with = |own: &str, aliases: &[&str]| {
        let mut partner = partner("acme", own);
        partner.aliases = aliases.iter().map(|alias| code(alias)).collect();
        partner
    };
    let anna = put_one(&store, Put::Partner(new(with("anna", &["annie"])))).await.unwrap();
    let refused = |own: &'static str, aliases: &'static [&'static str], name: &'static str| {
        let write = Put::Partner(new(with(own, aliases)));
        let store = &store;
        async move {
            assert_eq!(taken(put_one(store, write).await), (0, Taken::Code(code(name))), "{own} {aliases:?}")
        }
    };
    refused("anna", &[], "anna").await;
    refused("annie", &[], "annie").await;
    refused("bert", &["anna"], "anna").await;
    refused("bert", &["b", "annie"], "annie").await;
    // An alias that was taken away stays used, does not work any more, and may come back to its partner alone.
    let without = put_one(&store, Put::Partner(change(with("anna", &[]), anna.revision))).await.unwrap();
    refused("bert", &["annie"], "annie").await;
    assert_eq!(store.get_partner(&shop_id("acme"), &code("annie")).await.unwrap(), None);
    let back =
        put_one(&store, Put::Partner(change(with("anna", &["annie"]), without.revision))).await.unwrap();
    assert!(store.get_partner(&shop_id("acme"), &code("annie")).await.unwrap().is_some());
    // Neither is free when the partner is deleted.
    put_one(&store, Put::Partner(delete(with("anna", &["annie"]), back.revision))).await.unwrap();
    refused("anna", &[], "anna").await;
    refused("annie", &[], "annie").await;
    refused("bert", &["annie"], "annie").await;
    let both = vec![Put::Partner(new(with("cleo", &["c"]))), Put::Partner(new(with("carl", &["c"])))];
    assert_eq!(taken(put(&store, both).await), (1, Taken::Code(code("c"))), "within one commit");
    put_one(&store, Put::Partner(new(with("bert", &["b"])))).await.unwrap();
}

fn shop_at(id: &str, hosts: &[&str]) -> Shop {
    let mut shop = shop(id);
    shop.settings.link_hosts = hosts.iter().map(|host| Host::parse(host).unwrap()).collect();
    shop.settings.public_url = Origin::parse(&format!("https://{}", hosts[0])).unwrap();
    shop
}

fn with_home(shop: Shop) -> Vec<Put> {
    let home = home(shop.id.as_str());
    vec![Put::Shop(new(shop)), Put::Link(new(home))]
}

#[tokio::test]
async fn host_belongs_to_one_shop() {
    let database = Database::create().await;
    let store = database.store();
    let acme = put(&store, with_home(shop_at("acme", &["a.example", "b.example"]))).await.unwrap();
    let host = |host: &str| Taken::Host(Host::parse(host).unwrap());
    let zeta = with_home(shop_at("zeta", &["z.example", "b.example"]));
    assert_eq!(taken(put(&store, zeta.clone()).await), (0, host("b.example")));
    // Given up, it is free.
    let acme =
        put_one(&store, Put::Shop(change(shop_at("acme", &["a.example"]), acme.revision))).await.unwrap();
    let zeta = put(&store, zeta).await.unwrap();
    let back =
        put_one(&store, Put::Shop(change(shop_at("acme", &["a.example", "b.example"]), acme.revision))).await;
    assert_eq!(taken(back), (0, host("b.example")));
    // So it is when its shop is deleted.
    put_one(&store, Put::Shop(delete(shop_at("zeta", &["z.example", "b.example"]), zeta.revision)))
        .await
        .unwrap();
    put_one(&store, Put::Shop(change(shop_at("acme", &["a.example", "b.example"]), acme.revision)))
        .await
        .unwrap();
}

#[tokio::test]
async fn destination_that_leads_to_a_link_host_is_refused() {
    let database = Database::create().await;
    let store = database.store();
    put_shop(&store, "acme").await;
    for at in 0..4 {
        let mut zeta = shop("zeta");
        let settings = &mut zeta.settings;
        match at {
            0 => settings.base_url = Origin::parse("http://go.acme.example:8080").unwrap(),
            1 => settings.destination_hosts = vec![DestinationHost::parse("go.acme.example:81").unwrap()],
            2 => settings.fallback_url = Some(destination("https://go.acme.example/x")),
            _ => settings.link_hosts.push(Host::parse("more.zeta.example").unwrap()),
        }
        let outcome = put(&store, with_home(zeta)).await;
        if at < 3 {
            assert_eq!(looping(outcome), (0, "go.acme.example".to_owned(), LoopEnd::LinkHost), "{at}");
        } else {
            outcome.unwrap();
        }
    }
    let mut sale = link("zeta", "sale");
    sale.routing.expired_destination = Some(destination("https://go.acme.example/x"));
    assert_eq!(looping(put_one(&store, Put::Link(new(sale.clone()))).await).2, LoopEnd::LinkHost);
    let mut sale = link("zeta", "sale");
    let mut to_loop = rule("loop", is_partner("anna"));
    to_loop.then = smartlinks::domain::link::Outcome::Destination(destination("http://go.zeta.example"));
    sale.routing.rules.push(to_loop);
    let outcome = put(&store, vec![Put::Partner(new(partner("zeta", "anna"))), Put::Link(new(sale))]).await;
    assert_eq!(looping(outcome), (1, "go.zeta.example".to_owned(), LoopEnd::LinkHost));
}

#[tokio::test]
async fn link_host_that_destinations_lead_to_is_refused() {
    let database = Database::create().await;
    let store = database.store();
    let mut zeta = shop("zeta");
    zeta.settings.destination_hosts = vec![DestinationHost::parse("pages.example").unwrap()];
    let made = put(&store, with_home(zeta.clone())).await.unwrap();
    let mut sale = link("zeta", "sale");
    sale.routing = smartlinks::domain::link::Routing::to(destination("https://pages.example/sale"));
    let sale_made = put_one(&store, Put::Link(new(sale.clone()))).await.unwrap();

    let refused = || async {
        looping(put(&store, with_home(shop_at("acme", &["go.acme.example", "pages.example"]))).await)
    };
    let zeta_id = shop_id("zeta");
    assert_eq!(refused().await, (0, "pages.example".to_owned(), LoopEnd::Shop(zeta_id.clone())));
    // The shop does not list the host any more, but the link still leads there.
    zeta.settings.destination_hosts.clear();
    let zeta_made = put_one(&store, Put::Shop(change(zeta.clone(), made.revision))).await.unwrap();
    assert_eq!(refused().await, (0, "pages.example".to_owned(), LoopEnd::Link(zeta_id, slug("sale"))));
    let of_base = looping(put(&store, with_home(shop_at("acme", &["zeta.example"]))).await);
    assert_eq!(of_base.2, LoopEnd::Shop(shop_id("zeta")));
    // Deleted links lead nowhere, until they come back.
    let deleted = put_one(&store, Put::Link(delete(sale.clone(), sale_made.revision))).await.unwrap();
    put(&store, with_home(shop_at("acme", &["go.acme.example", "pages.example"]))).await.unwrap();
    let back = looping(put_one(&store, Put::Link(change(sale, deleted.revision))).await);
    assert_eq!(back, (0, "pages.example".to_owned(), LoopEnd::LinkHost));
    // So do deleted shops.
    put_one(&store, Put::Shop(delete(zeta, zeta_made.revision))).await.unwrap();
    put(&store, with_home(shop_at("beta", &["zeta.example"]))).await.unwrap();
}

fn naming(own: &str) -> Link {
    let mut link = link("acme", own);
    link.sharing = selected(&["anna"], &["gold"]);
    link.routing.rules = vec![rule("r1", is_partner("bert")), rule("r2", is_in("silver"))];
    link
}

fn named() -> Vec<Put> {
    let partners = ["anna", "bert"].map(|own| Put::Partner(new(partner("acme", own))));
    let programs = ["gold", "silver"].map(|id| Put::Program(new(program("acme", id))));
    partners.into_iter().chain(programs).collect()
}

fn names() -> [Reference; 4] {
    [
        Reference::Partner(code("anna")),
        Reference::Program(program_id("gold")),
        Reference::Partner(code("bert")),
        Reference::Program(program_id("silver")),
    ]
}

#[tokio::test]
async fn what_is_named_must_exist() {
    let database = Database::create().await;
    let store = database.store();
    put_shop(&store, "acme").await;
    let outcome =
        put(&store, vec![Put::Link(new(link("acme", "plain"))), Put::Link(new(naming("sale")))]).await;
    assert_eq!(missing(outcome), names().map(|name| (1, name)));
    // Of the same commit is early enough, of another shop is not.
    put_shop(&store, "zeta").await;
    let elsewhere = ["anna", "bert"].map(|own| Put::Partner(new(partner("zeta", own))));
    put(&store, elsewhere.to_vec()).await.unwrap();
    assert_eq!(missing(put_one(&store, Put::Link(new(naming("sale")))).await).len(), 4);
    let mut together = vec![Put::Link(new(naming("sale")))];
    together.extend(named());
    put(&store, together).await.unwrap();

    let mut carl = partner("acme", "carl");
    carl.program = Some(program_id("bronze"));
    let bronze = Reference::Program(program_id("bronze"));
    assert_eq!(missing(put_one(&store, Put::Partner(new(carl))).await), [(0, bronze)]);
    for orphan in [
        Put::Link(new(link("nowhere", "sale"))),
        Put::Partner(new(partner("nowhere", "anna"))),
        Put::Program(new(program("nowhere", "gold"))),
    ] {
        let nowhere = Reference::Shop(shop_id("nowhere"));
        assert_eq!(missing(put_one(&store, orphan).await), [(0, nowhere)]);
    }
}

#[tokio::test]
async fn names_that_were_there_before_do_not_stand_in_the_way() {
    let database = Database::create().await;
    let store = database.store();
    put_shop(&store, "acme").await;
    let people = put(&store, named()).await.unwrap();
    let sale = put_one(&store, Put::Link(new(naming("sale")))).await.unwrap();
    let forced = |puts| Commit { allow_missing_references: true, ..commit(puts) };
    let gone = vec![
        Put::Partner(delete(partner("acme", "anna"), people.revision)),
        Put::Program(delete(program("acme", "silver"), people.revision)),
    ];
    store.commit(forced(gone)).await.unwrap();
    // Pausing a link must not fail for what was deleted under it, nor must a new name hide among the old ones.
    let mut edited = naming("sale");
    edited.state = smartlinks::domain::link::LinkState::Paused;
    let paused = put_one(&store, Put::Link(change(edited.clone(), sale.revision))).await.unwrap();
    edited.sharing = selected(&["anna", "nobody"], &["gold"]);
    let outcome = put_one(&store, Put::Link(change(edited.clone(), paused.revision))).await;
    assert_eq!(missing(outcome), [(0, Reference::Partner(code("nobody")))]);
    // Taken out, it cannot come back but by force.
    edited.sharing = selected(&[], &["gold"]);
    let without = put_one(&store, Put::Link(change(edited, paused.revision))).await.unwrap();
    let back = Put::Link(change(naming("sale"), without.revision));
    assert_eq!(missing(put_one(&store, back.clone()).await), [(0, Reference::Partner(code("anna")))]);
    store.commit(forced(vec![back])).await.unwrap();
}

#[tokio::test]
async fn what_is_named_is_deleted_by_force_only() {
    let database = Database::create().await;
    let store = database.store();
    let made = put_shop(&store, "acme").await;
    let people = put(&store, named()).await.unwrap();
    let sale = put_one(&store, Put::Link(new(naming("sale")))).await.unwrap();
    let deletions = || {
        [
            Put::Partner(delete(partner("acme", "anna"), people.revision)),
            Put::Program(delete(program("acme", "gold"), people.revision)),
            Put::Partner(delete(partner("acme", "bert"), people.revision)),
            Put::Program(delete(program("acme", "silver"), people.revision)),
        ]
    };
    let by_sale = References { link_count: 1, links: vec![slug("sale")], ..References::default() };
    for (deletion, name) in deletions().into_iter().zip(names()) {
        assert_eq!(in_use(put_one(&store, deletion).await), by_sale);
        assert_eq!(store.references_of(&shop_id("acme"), &name).await.unwrap(), by_sale);
    }
    let of_shop = in_use(put_one(&store, Put::Shop(delete(shop("acme"), made.revision))).await);
    assert_eq!(of_shop, by_sale);
    // Deleted links name nobody.
    put_one(&store, Put::Link(delete(naming("sale"), sale.revision))).await.unwrap();
    for name in names() {
        assert!(store.references_of(&shop_id("acme"), &name).await.unwrap().is_empty());
    }
    let mut carl = partner("acme", "carl");
    carl.program = Some(program_id("gold"));
    let carl_made = put_one(&store, Put::Partner(new(carl.clone()))).await.unwrap();
    let by_carl = References { partner_count: 1, partners: vec![code("carl")], ..References::default() };
    let [_, gold, ..] = deletions();
    assert_eq!(in_use(put_one(&store, gold).await), by_carl);
    // Whoever moves out in the same commit is not in the way.
    carl.program = None;
    let [_, gold, ..] = deletions();
    put(&store, vec![Put::Partner(change(carl, carl_made.revision)), gold]).await.unwrap();
    let [anna, ..] = deletions();
    put_one(&store, anna).await.unwrap();
    put_one(&store, Put::Shop(delete(shop("acme"), made.revision))).await.unwrap();
    let late = missing(put_one(&store, Put::Link(new(link("acme", "late")))).await);
    assert_eq!(late, [(0, Reference::Shop(shop_id("acme")))]);
}

#[tokio::test]
async fn references_are_counted_beyond_those_that_are_named() {
    let database = Database::create().await;
    let store = database.store();
    put_shop(&store, "acme").await;
    put(&store, named()).await.unwrap();
    let links = (0..30).map(|at| Put::Link(new(naming(&format!("l{at:02}"))))).collect();
    put(&store, links).await.unwrap();
    let found = store.references_of(&shop_id("acme"), &Reference::Partner(code("bert"))).await.unwrap();
    assert_eq!((found.link_count, found.links.len()), (30, smartlinks::store::NAMED_REFERENCES));
    assert_eq!(found.links[0], slug("l00"));
    let nobody = Reference::Partner(PartnerCode::parse("nobody").unwrap());
    assert!(store.references_of(&shop_id("acme"), &nobody).await.unwrap().is_empty());
}

#[tokio::test]
async fn shop_has_one_default_link() {
    let database = Database::create().await;
    let store = database.store();
    let outcome = put(&store, vec![Put::Shop(new(shop("acme"))), Put::Link(new(link("acme", "sale")))]).await;
    assert!(matches!(outcome, Err(CommitError::Store(_))), "{outcome:?}");
    put_shop(&store, "acme").await;
    let second = put(&store, vec![Put::Link(new(Link { slug: slug("home2"), ..home("acme") }))]).await;
    assert_eq!(taken(second), (0, Taken::Slug(slug("home2"))));
    let gone = put(&store, vec![Put::Link(delete(home("acme"), store.head().await.unwrap()))]).await;
    assert!(matches!(gone, Err(CommitError::Store(_))), "{gone:?}");
}

#[tokio::test]
async fn forced_deletion_leaves_nobody_in_a_program() {
    let database = Database::create().await;
    let store = database.store();
    put_shop(&store, "acme").await;
    let mut anna = partner("acme", "anna");
    anna.program = Some(program_id("gold"));
    let gold = program("acme", "gold");
    let puts = vec![Put::Program(new(gold.clone())), Put::Partner(new(anna.clone()))];
    let made = put(&store, puts).await.unwrap().revision;
    let forced = |puts| Commit { allow_missing_references: true, ..commit(puts) };
    // Whoever forces it read the members before anna became one.
    let early = store.commit(forced(vec![Put::Program(delete(gold.clone(), made))])).await.unwrap_err();
    assert!(matches!(early, CommitError::Stale { put: 0 }), "{early:?}");
    anna.program = None;
    let both = vec![Put::Program(delete(gold, made)), Put::Partner(change(anna, made))];
    store.commit(forced(both)).await.unwrap();
}
