//! Whom a link is shared with, and who gains or loses it.

use smartlinks::{
    domain::link::Sharing,
    store::{Put, SharingChange},
};

use crate::support::{
    database::Database,
    objects::{
        code, delete, link, new, partner, program, program_id, put, put_shop, selected, shop_id, slug,
    },
};

#[tokio::test]
async fn names_come_in_pages_and_programs_on_the_first() {
    let database = Database::create().await;
    let store = database.store();
    put_shop(&store, "acme").await;
    let codes: Vec<String> = (0..25).map(|at| format!("p{:02}", (at * 7) % 25)).collect();
    let mut puts: Vec<Put> = codes.iter().map(|own| Put::Partner(new(partner("acme", own)))).collect();
    puts.extend(["gold", "silver"].map(|id| Put::Program(new(program("acme", id)))));
    let mut sale = link("acme", "sale");
    sale.sharing = selected(&codes.iter().map(String::as_str).collect::<Vec<_>>(), &["silver", "gold"]);
    puts.push(Put::Link(new(sale)));
    put(&store, puts).await.unwrap();

    let mut sorted = codes.clone();
    sorted.sort();
    for limit in 1..=26 {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store
                .link_sharing(&shop_id("acme"), &slug("sale"), after.as_ref(), limit)
                .await
                .unwrap()
                .unwrap();
            assert!(!page.everyone);
            let programs: &[_] =
                if after.is_none() { &[program_id("gold"), program_id("silver")] } else { &[] };
            assert_eq!(page.programs, programs);
            let Some(last) = page.partners.last() else { break };
            after = Some(last.clone());
            found.extend(page.partners.iter().map(ToString::to_string));
        }
        assert_eq!(found, sorted, "in pages of {limit}");
    }
    let home = store.link_sharing(&shop_id("acme"), &slug("home"), None, 10).await.unwrap().unwrap();
    assert!(home.everyone && home.partners.is_empty() && home.programs.is_empty());
    assert_eq!(store.link_sharing(&shop_id("acme"), &slug("nothing"), None, 10).await.unwrap(), None);
}

#[tokio::test]
async fn change_names_those_who_gain_and_lose() {
    let database = Database::create().await;
    let store = database.store();
    put_shop(&store, "acme").await;
    put_shop(&store, "zeta").await;
    let mut everyone = Vec::new();
    for (own, program) in [
        ("anna", None),
        ("bert", Some("gold")),
        ("cleo", Some("gold")),
        ("dora", Some("silver")),
        ("gone", None),
    ] {
        let mut partner = partner("acme", own);
        partner.program = program.map(program_id);
        partner.active = own != "cleo";
        everyone.push(partner);
    }
    let mut puts: Vec<Put> = everyone.iter().cloned().map(|one| Put::Partner(new(one))).collect();
    puts.extend(["gold", "silver"].map(|id| Put::Program(new(program("acme", id)))));
    puts.push(Put::Partner(new(partner("zeta", "zoe"))));
    let made = put(&store, puts).await.unwrap();
    put(&store, vec![Put::Partner(delete(partner("acme", "gone"), made.revision))]).await.unwrap();
    everyone.retain(|one| one.code != code("gone"));

    let sharings = [
        Sharing::Everyone,
        selected(&[], &[]),
        selected(&["anna"], &[]),
        selected(&["bert", "gone", "zoe"], &["gold"]),
        selected(&["dora"], &["gold", "silver"]),
    ];
    for before in &sharings {
        for after in &sharings {
            let holds = |sharing: &Sharing, at: usize| {
                sharing.includes(&everyone[at].code, everyone[at].program.as_ref())
            };
            let who = |wanted: bool| {
                let changed = (0..everyone.len()).filter(|&at| holds(before, at) != holds(after, at));
                changed
                    .filter(|&at| holds(after, at) == wanted)
                    .map(|at| everyone[at].code.clone())
                    .collect::<Vec<_>>()
            };
            let (gains, losses) = (who(true), who(false));
            let change = store.sharing_change(&shop_id("acme"), before, after, 2).await.unwrap();
            let expected = SharingChange {
                gain_count: gains.len(),
                gains: gains.into_iter().take(2).collect(),
                loss_count: losses.len(),
                losses: losses.into_iter().take(2).collect(),
            };
            assert_eq!(change, expected, "{before:?} to {after:?}");
        }
    }
}
