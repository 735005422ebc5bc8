//! Many objects under one revision.

use smartlinks::{
    domain::{link::Link, name::PartnerCode, partner::Partner},
    store::{CommitError, PartnerFilter, Put, Taken},
};

use crate::support::{
    database::Database,
    objects::{
        change, code, is_in, link, new, partner, program, program_id, put, put_shop, rule, selected, shop_id,
        slug, tag,
    },
};

#[tokio::test]
async fn thousand_links_are_made_and_changed_under_one_revision() {
    let database = Database::create().await;
    let store = database.store();
    put_shop(&store, "acme").await;
    put(&store, vec![Put::Partner(new(partner("acme", "anna"))), Put::Program(new(program("acme", "gold")))])
        .await
        .unwrap();
    let links: Vec<Link> = (0..1_000)
        .map(|at| {
            let mut link = link("acme", &format!("l{at:04}"));
            link.sharing = selected(&["anna"], &["gold"]);
            link.tags = vec![tag("many"), tag(&format!("t{}", at % 10))];
            link.routing.rules = vec![rule("r1", is_in("gold"))];
            link
        })
        .collect();
    let made = put(&store, links.iter().cloned().map(|link| Put::Link(new(link))).collect()).await.unwrap();
    let slugs: Vec<_> = links.iter().map(|link| link.slug.clone()).collect();
    let read = store.get_links(&shop_id("acme"), &slugs).await.unwrap();
    assert!(read.iter().all(|stored| stored.revision == made.revision));
    assert!(read.into_iter().map(|stored| stored.value).eq(links.iter().cloned()));

    let edited: Vec<Link> = links
        .iter()
        .map(|link| Link { sharing: selected(&["anna"], &[]), tags: Vec::new(), ..link.clone() })
        .collect();
    let edits = |read| edited.iter().cloned().map(|link| Put::Link(change(link, read))).collect::<Vec<_>>();
    let mut one_stale = edits(made.revision);
    one_stale[700] = Put::Link(change(edited[700].clone(), smartlinks::domain::revision::Revision(1)));
    assert!(matches!(put(&store, one_stale).await, Err(CommitError::Stale { put: 700 })));
    let mut one_taken = edits(made.revision);
    one_taken[3] = Put::Link(new(edited[3].clone()));
    let outcome = put(&store, one_taken).await;
    assert!(
        matches!(&outcome, Err(CommitError::Taken { put: 3, name: Taken::Slug(taken) }) if *taken == slug("l0003")),
        "{outcome:?}"
    );
    let changed = put(&store, edits(made.revision)).await.unwrap();
    assert_eq!(changed.revision.0, made.revision.0 + 1);
    let read = store.get_links(&shop_id("acme"), &slugs).await.unwrap();
    assert!(read.into_iter().map(|stored| stored.value).eq(edited.iter().cloned()));
}

#[tokio::test]
async fn ten_thousand_partners_move_under_one_revision() {
    let database = Database::create().await;
    let store = database.store();
    put_shop(&store, "acme").await;
    put(&store, ["gold", "silver"].map(|id| Put::Program(new(program("acme", id)))).to_vec()).await.unwrap();
    let partners: Vec<Partner> = (0..10_000)
        .map(|at| {
            let mut partner = partner("acme", &format!("p{at:05}"));
            partner.program = Some(program_id("gold"));
            partner
        })
        .collect();
    let made =
        put(&store, partners.iter().cloned().map(|one| Put::Partner(new(one))).collect()).await.unwrap();
    let codes: Vec<PartnerCode> = partners.iter().map(|one| one.code.clone()).collect();
    let read = store.get_partners(&shop_id("acme"), &codes).await.unwrap();
    assert_eq!(read.len(), 10_000);
    let moves = read.into_iter().map(|stored| {
        Put::Partner(change(Partner { program: Some(program_id("silver")), ..stored.value }, stored.revision))
    });
    let moved = put(&store, moves.collect()).await.unwrap();
    assert_eq!(moved.revision.0, made.revision.0 + 1);
    let of = |id: &str| PartnerFilter { program: Some(program_id(id)), ..PartnerFilter::default() };
    let acme = shop_id("acme");
    assert_eq!(store.list_partners(&acme, &of("gold"), None, 1).await.unwrap(), []);
    let last = store.list_partners(&acme, &of("silver"), Some(&code("p09998")), 10).await.unwrap();
    assert_eq!(
        last.iter().map(|one| (one.value.code.as_str(), one.revision)).collect::<Vec<_>>(),
        [("p09999", moved.revision)]
    );

    // A link that is shared with all of them by code, of whom one is taken off.
    let mut sale = link("acme", "sale");
    sale.sharing = smartlinks::domain::link::Sharing::selected(codes.clone(), Vec::new());
    let made = put(&store, vec![Put::Link(new(sale.clone()))]).await.unwrap();
    sale.sharing = smartlinks::domain::link::Sharing::selected(codes[1..].to_vec(), vec![program_id("gold")]);
    put(&store, vec![Put::Link(change(sale.clone(), made.revision))]).await.unwrap();
    assert_eq!(store.get_link(&acme, &slug("sale")).await.unwrap().unwrap().value, sale);
}
