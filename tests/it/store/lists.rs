//! Lists: every page size gives the same sequence, filters say what they mean.

use jiff::Timestamp;
use smartlinks::{
    domain::{
        link::{Description, Link, LinkState, Sharing},
        name::{DisplayName, ShopId, Slug},
    },
    store::{
        LinkCursor, LinkFilter, LinkOrder, ListLinks, ListedLink, PartnerFilter, Put, Store, StoreError,
        Stored,
    },
};

use crate::support::{
    database::Database,
    objects::{
        change, code, delete, destination, home, is_partner, link, new, partner, program, program_id, put,
        put_shop, rule, selected, shop, shop_id, tag,
    },
};

const NAMES: [&str; 7] = ["beta", "Alpha", "alpha", "\u{c9}clair", "\u{e9}clair", "zeta", "Beta"];

fn list(filter: LinkFilter, order: LinkOrder) -> ListLinks {
    ListLinks { shop: shop_id("acme"), filter, order, after: None, limit: 1_000 }
}

async fn slugs(store: &Store, filter: LinkFilter) -> Vec<String> {
    let links = store.list_links(&list(filter, LinkOrder::Slug)).await.unwrap();
    links.iter().map(|link| link.value.slug.to_string()).collect()
}

/// Reads what a partner sees, in pages of all sizes.
async fn seen_by(store: &Store, partner: &str, search: Option<&str>) -> Vec<String> {
    let mut walks = Vec::new();
    for limit in [1, 2, 3, 100] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = (after.as_ref(), limit);
            let now = Timestamp::UNIX_EPOCH;
            let links =
                store.partner_links(&shop_id("acme"), &code(partner), search, now, page).await.unwrap();
            assert!(links.len() <= limit);
            let Some(last) = links.last() else { break };
            after = Some(LinkCursor::after(LinkOrder::Slug, last));
            seen.extend(links.iter().map(|link| link.value.slug.to_string()));
        }
        walks.push(seen);
    }
    assert!(walks.iter().all(|walk| *walk == walks[0]), "{walks:?}");
    walks.remove(0)
}

#[tokio::test]
async fn partner_sees_what_is_active_and_has_not_expired() {
    let database = Database::create().await;
    let store = database.store();
    put_shop(&store, "acme").await;
    let mut anna = partner("acme", "anna");
    anna.program = Some(program_id("gold"));
    put(&store, vec![Put::Program(new(program("acme", "gold"))), Put::Partner(new(anna))]).await.unwrap();
    let ways = [Sharing::Everyone, selected(&["anna"], &[]), selected(&[], &["gold"])];
    let mut links = Vec::new();
    for (at, sharing) in ways.into_iter().cycle().take(60).enumerate() {
        let mut link = link("acme", &format!("l{at:02}"));
        link.sharing = sharing;
        link.state = if at < 20 { LinkState::Paused } else { LinkState::Active };
        let end = if at < 40 { Timestamp::UNIX_EPOCH } else { Timestamp::MAX };
        link.routing.expire_time = (at < 50).then_some(end);
        links.push(Put::Link(new(link)));
    }
    put(&store, links).await.unwrap();
    let open: Vec<_> =
        std::iter::once("home".to_owned()).chain((40..60).map(|at| format!("l{at}"))).collect();
    assert_eq!(seen_by(&store, "anna", None).await, open);
}

/// Reads a list in pages of this many.
async fn in_pages(store: &Store, mut list: ListLinks, limit: usize) -> Vec<Stored<ListedLink>> {
    list.limit = limit;
    let mut all = Vec::new();
    loop {
        let page = store.list_links(&list).await.unwrap();
        assert!(page.len() <= limit);
        let Some(last) = page.last() else { return all };
        // Through its written form, as in a page token.
        let cursor = serde_json::to_string(&LinkCursor::after(list.order, last)).unwrap();
        list.after = Some(serde_json::from_str(&cursor).unwrap());
        all.extend(page);
    }
}

#[tokio::test]
async fn every_page_size_gives_the_same_sequence() {
    let database = Database::create().await;
    let store = database.store();
    // Created first, so that no order but "the default one first" puts it first.
    put_shop(&store, "acme").await;
    put_shop(&store, "zeta").await;
    put(&store, vec![Put::Link(new(link("zeta", "elsewhere")))]).await.unwrap();
    let mut first = Vec::new();
    for batch in 0..4 {
        let links = NAMES.iter().enumerate().map(|(at, name)| {
            let mut link = link("acme", &format!("l{}-{batch}", (at * 5 + batch) % 7));
            link.display_name = DisplayName::parse(name).unwrap();
            link
        });
        let links: Vec<Link> = links.collect();
        let made =
            put(&store, links.iter().cloned().map(|link| Put::Link(new(link))).collect()).await.unwrap();
        if batch == 0 {
            first = links.into_iter().map(|link| (link, made.revision)).collect();
        }
    }
    // Last written is not newest.
    let again = first.into_iter().take(3).map(|(link, read)| Put::Link(change(link, read))).collect();
    put(&store, again).await.unwrap();

    for order in [LinkOrder::Slug, LinkOrder::DisplayName, LinkOrder::Newest, LinkOrder::LastWritten] {
        let whole = store.list_links(&list(LinkFilter::default(), order)).await.unwrap();
        assert_eq!(whole.len(), 29);
        assert!(whole[0].value.is_default);
        let rest = &whole[1..];
        let key = |link: &Stored<ListedLink>| {
            let slug: Slug = link.value.slug.clone();
            let name = link.value.display_name.as_str().to_lowercase();
            match order {
                LinkOrder::Slug => (String::new(), 0, slug),
                LinkOrder::DisplayName => (name, 0, slug),
                LinkOrder::Newest => (String::new(), -link.create_time.as_microsecond(), slug),
                LinkOrder::LastWritten => (String::new(), -link.revision.0, slug),
            }
        };
        assert!(rest.is_sorted_by_key(key), "{order:?}");
        for limit in (1..=30).chain([1_000]) {
            let pages = in_pages(&store, list(LinkFilter::default(), order), limit).await;
            assert_eq!(pages, whole, "{order:?} in pages of {limit}");
        }
        let searched = LinkFilter { search: Some("alpha".to_owned()), ..LinkFilter::default() };
        let whole = store.list_links(&list(searched.clone(), order)).await.unwrap();
        assert_eq!(whole.len(), 8);
        assert_eq!(
            in_pages(&store, list(searched, order), 3).await,
            whole,
            "{order:?} without the default link"
        );
    }
    let other = in_pages(&store, list(LinkFilter::default(), LinkOrder::Slug), 5).await;
    let cursor = LinkCursor::after(LinkOrder::Slug, &other[3]);
    let mixed = ListLinks { after: Some(cursor), ..list(LinkFilter::default(), LinkOrder::Newest) };
    assert!(matches!(store.list_links(&mixed).await, Err(StoreError::Other(_))));
}

#[tokio::test]
async fn search_takes_every_character_as_itself() {
    let database = Database::create().await;
    let store = database.store();
    put_shop(&store, "acme").await;
    let texts = [
        ("percent", "100% off", "", "x"),
        ("percents", "100 percent off", "", "x"),
        ("under", "a_b", "", "x"),
        ("over", "axb", "", "x"),
        ("back", r"a\b", "", "x"),
        ("accent", "\u{c9}T\u{c9}", "", "x"),
        ("described", "name", "Two\nLines, 50% each", "x"),
        ("led", "other", "", "shoes/RED?a=50%25"),
    ];
    let links = texts.map(|(own, name, description, to)| {
        let mut link = link("acme", own);
        link.display_name = DisplayName::parse(name).unwrap();
        link.description = Description::parse(description).unwrap();
        link.routing.default_destination = destination(to);
        Put::Link(new(link))
    });
    put(&store, links.to_vec()).await.unwrap();
    for (search, found) in [
        ("100%", vec!["percent"]),
        ("%", vec!["described", "led", "percent"]),
        ("_", vec!["under"]),
        ("a_b", vec!["under"]),
        (r"\", vec!["back"]),
        (r"a\b", vec!["back"]),
        ("\u{e9}t\u{e9}", vec!["accent"]),
        ("TWO\nlines", vec!["described"]),
        ("red?A=50%25", vec!["led"]),
        ("PERCENT", vec!["percent", "percents"]),
        ("nothing like it", vec![]),
        ("\0", vec![]),
        // The slug and the name, and what stands between them.
        ("percent\u{1f}100", vec![]),
    ] {
        let filter = LinkFilter { search: Some(search.to_owned()), ..LinkFilter::default() };
        assert_eq!(slugs(&store, filter).await, found, "{search}");
    }
    // Partners do not see where a link leads, and so cannot search for it.
    put(&store, vec![Put::Partner(new(partner("acme", "anna")))]).await.unwrap();
    for (search, found) in [("shoes", vec![]), ("50%", vec!["described"]), ("OTHER", vec!["led"])] {
        assert_eq!(seen_by(&store, "anna", Some(search)).await, found, "{search}");
    }
}

#[tokio::test]
async fn links_are_filtered_by_state_tags_and_sharing() {
    let database = Database::create().await;
    let store = database.store();
    put_shop(&store, "acme").await;
    let mut people = Vec::new();
    for (own, aliases, program) in
        [("anna", vec!["annie"], None), ("bert", vec![], Some("gold")), ("cleo", vec![], Some("silver"))]
    {
        let mut partner = partner("acme", own);
        partner.aliases = aliases.into_iter().map(code).collect();
        partner.program = program.map(program_id);
        people.push(Put::Partner(new(partner)));
    }
    people.extend(["gold", "silver"].map(|id| Put::Program(new(program("acme", id)))));
    put(&store, people).await.unwrap();
    let mut links = Vec::new();
    for (own, sharing, tags) in [
        ("by-code", selected(&["anna", "bert"], &[]), vec!["a", "b"]),
        ("by-program", selected(&[], &["gold"]), vec!["a"]),
        ("by-both", selected(&["bert"], &["gold", "silver"]), vec!["b"]),
        ("for-nobody", selected(&[], &[]), vec![]),
    ] {
        let mut link = link("acme", own);
        link.sharing = sharing;
        link.tags = tags.into_iter().map(tag).collect();
        // What a condition names is not whom the link is shared with.
        link.routing.rules = vec![rule("r1", is_partner("cleo"))];
        links.push(Put::Link(new(link)));
    }
    let mut paused = link("acme", "paused");
    paused.state = LinkState::Paused;
    links.push(Put::Link(new(paused)));
    let gone = link("acme", "gone");
    links.push(Put::Link(new(gone.clone())));
    let made = put(&store, links).await.unwrap();
    put(&store, vec![Put::Link(delete(gone, made.revision))]).await.unwrap();

    let by = |name: &str| LinkFilter { shared_with_partner: Some(code(name)), ..LinkFilter::default() };
    for (name, found) in [
        ("anna", vec!["home", "by-code", "paused"]),
        ("annie", vec!["home", "by-code", "paused"]),
        ("bert", vec!["home", "by-both", "by-code", "by-program", "paused"]),
        ("cleo", vec!["home", "by-both", "paused"]),
        ("nobody", vec![]),
    ] {
        assert_eq!(slugs(&store, by(name)).await, found, "{name}");
        let active: Vec<_> = found.into_iter().filter(|slug| *slug != "paused").collect();
        assert_eq!(seen_by(&store, name, None).await, active, "{name}");
    }
    let gold = LinkFilter { shared_with_program: Some(program_id("gold")), ..LinkFilter::default() };
    assert_eq!(slugs(&store, gold).await, ["by-both", "by-program"]);
    let states = |states: &[LinkState]| LinkFilter { states: states.to_vec(), ..LinkFilter::default() };
    assert_eq!(slugs(&store, states(&[LinkState::Deleted])).await, ["gone"]);
    assert_eq!(slugs(&store, states(&[LinkState::Paused, LinkState::Deleted])).await, ["gone", "paused"]);
    assert_eq!(slugs(&store, states(&[])).await.len(), 6);
    let tags = |tags: &[&str]| LinkFilter {
        tags: tags.iter().map(|name| tag(name)).collect(),
        ..LinkFilter::default()
    };
    assert_eq!(slugs(&store, tags(&["a"])).await, ["by-code", "by-program"]);
    assert_eq!(slugs(&store, tags(&["a", "b"])).await, ["by-code"]);
    let mixed = LinkFilter { tags: vec![tag("b")], ..by("cleo") };
    assert_eq!(slugs(&store, mixed).await, ["by-both"]);

    let listed = store.list_links(&list(by("cleo"), LinkOrder::Slug)).await.unwrap();
    let counts: Vec<_> = listed
        .iter()
        .map(|link| link.value.sharing)
        .map(|of| (of.everyone, of.partners, of.programs))
        .collect();
    assert_eq!(counts, [(true, 0, 0), (false, 1, 2), (true, 0, 0)]);

    let anna = store.get_partner(&shop_id("acme"), &code("anna")).await.unwrap().unwrap();
    let forced = smartlinks::store::Commit {
        allow_missing_references: true,
        dry_run: false,
        ..crate::support::objects::commit(vec![Put::Partner(delete(anna.value, anna.revision))])
    };
    store.commit(forced).await.unwrap();
    assert_eq!(slugs(&store, by("anna")).await, Vec::<String>::new(), "deleted partners have no links");
}

#[tokio::test]
async fn partners_are_listed_by_code_and_filtered() {
    let database = Database::create().await;
    let store = database.store();
    put_shop(&store, "acme").await;
    put(&store, vec![Put::Program(new(program("acme", "gold")))]).await.unwrap();
    let mut people = Vec::new();
    for at in 0..20 {
        let mut partner = partner("acme", &format!("p{:02}", (at * 7) % 20));
        partner.aliases = vec![code(&format!("alias-{at}"))];
        partner.program = (at % 2 == 0).then(|| program_id("gold"));
        partner.tags = if at % 5 == 0 { vec![tag("vip")] } else { Vec::new() };
        partner.display_name = DisplayName::parse(&format!("N\u{c4}ME {at}%")).unwrap();
        people.push(partner);
    }
    let made = put(&store, people.iter().cloned().map(|one| Put::Partner(new(one))).collect()).await.unwrap();
    let gone = people[1].clone();
    put(&store, vec![Put::Partner(delete(gone.clone(), made.revision))]).await.unwrap();
    people.sort_by(|one, other| one.code.cmp(&other.code));

    let acme: ShopId = shop_id("acme");
    let all = |filter: PartnerFilter| {
        let (store, acme) = (&store, &acme);
        async move {
            let whole = store.list_partners(acme, &filter, None, 1_000).await.unwrap();
            for limit in 1..=21 {
                let (mut pages, mut after) = (Vec::new(), None);
                loop {
                    let page = store.list_partners(acme, &filter, after.as_ref(), limit).await.unwrap();
                    let Some(last) = page.last() else { break };
                    after = Some(last.value.code.clone());
                    pages.extend(page);
                }
                assert_eq!(pages, whole, "in pages of {limit}");
            }
            whole.into_iter().map(|stored| stored.value).collect::<Vec<_>>()
        }
    };
    let expected = |keep: &dyn Fn(&smartlinks::domain::partner::Partner) -> bool| {
        people.iter().filter(|one| one.code != gone.code && keep(one)).cloned().collect::<Vec<_>>()
    };
    let none = PartnerFilter::default;
    assert_eq!(all(none()).await, expected(&|_| true));
    assert_eq!(all(PartnerFilter { show_deleted: true, ..none() }).await, people);
    let gold = PartnerFilter { program: Some(program_id("gold")), ..none() };
    assert_eq!(all(gold).await, expected(&|one| one.program.is_some()));
    assert_eq!(
        all(PartnerFilter { tag: Some(tag("vip")), ..none() }).await,
        expected(&|one| !one.tags.is_empty())
    );
    for (search, count) in
        [("n\u{e4}me 1%", 0), ("N\u{c4}me 2%", 1), ("ALIAS-2", 1), ("p0", 9), ("%", 19), ("_", 0)]
    {
        let found = all(PartnerFilter { search: Some(search.to_owned()), ..none() }).await;
        assert_eq!(found.len(), count, "{search}");
    }
    let some = store
        .get_partners(&acme, &[code("p03"), code("p01"), code("nobody"), code("alias-1")])
        .await
        .unwrap();
    assert_eq!(some.iter().map(|one| one.value.code.as_str()).collect::<Vec<_>>(), ["p01", "p03"]);
}

#[tokio::test]
async fn shops_and_programs_are_listed_by_id() {
    let database = Database::create().await;
    let store = database.store();
    for id in ["b", "a", "c-1", "c_1", "c1"] {
        put_shop(&store, id).await;
        put(&store, vec![Put::Program(new(program("b", id)))]).await.unwrap();
    }
    let b = store.get_shop(&shop_id("b")).await.unwrap().unwrap().stored;
    let gone = store.get_program(&shop_id("b"), &program_id("a")).await.unwrap().unwrap();
    put(&store, vec![Put::Program(delete(gone.value, gone.revision))]).await.unwrap();
    put(
        &store,
        vec![Put::Shop(delete(
            shop("a"),
            store.get_shop(&shop_id("a")).await.unwrap().unwrap().stored.revision,
        ))],
    )
    .await
    .unwrap();

    let shops = |after: Option<&'static str>, limit, show_deleted| {
        let store = &store;
        async move {
            let after = after.map(shop_id);
            let shops = store.list_shops(after.as_ref(), limit, show_deleted).await.unwrap();
            shops.into_iter().map(|shop| shop.stored.value.id.to_string()).collect::<Vec<_>>()
        }
    };
    // Byte by byte: `-` before digits before `_`.
    assert_eq!(shops(None, 10, true).await, ["a", "b", "c-1", "c1", "c_1"]);
    assert_eq!(shops(None, 2, false).await, ["b", "c-1"]);
    assert_eq!(shops(Some("c-1"), 2, false).await, ["c1", "c_1"]);
    let programs = |after: Option<&'static str>, limit, show_deleted| {
        let (store, b) = (&store, &b);
        async move {
            let after = after.map(program_id);
            let programs =
                store.list_programs(&b.value.id, after.as_ref(), limit, show_deleted).await.unwrap();
            programs.into_iter().map(|program| program.value.id.to_string()).collect::<Vec<_>>()
        }
    };
    assert_eq!(programs(None, 10, true).await, ["a", "b", "c-1", "c1", "c_1"]);
    assert_eq!(programs(None, 3, false).await, ["b", "c-1", "c1"]);
    assert_eq!(programs(Some("c1"), 3, false).await, ["c_1"]);
    assert!(store.get_program(&shop_id("b"), &program_id("a")).await.unwrap().unwrap().delete_time.is_some());
    assert_eq!(home("b").slug, store.get_shop(&b.value.id).await.unwrap().unwrap().default_link);
}
