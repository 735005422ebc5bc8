//! What is kept of visitors, and what is not.

use std::{fs, path::Path};

use smartlinks::{
    config::{Generations, serve::ServeSettings},
    proto::{
        Condition, CountIs, CreateLinkRequest, Link, Purpose, RequestHeaders, ResolveRequest, Rule, Shop,
        UpdateShopRequest, Visitor, VisitorMode, condition::Kind, count_is,
    },
};
use uuid::Uuid;

use super::world::{World, visit};
use crate::{
    admin::fixture::{link, mask, rule, shop},
    support::server::{TestServer, recording},
};

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0";
const ADDRESS: &str = "203.0.113.77";
const SECRET: &str = "a secret that all servers of this test have";

fn with_secret(world: &World, folder: &Path) -> ServeSettings {
    let visitor_keys = Some(Generations::new([SECRET]));
    ServeSettings { visitor_keys, ..recording(world.database.url(), folder) }
}

fn click(id: Uuid, address: &str, user_agent: &str) -> ResolveRequest {
    let headers = RequestHeaders { user_agent: Some(user_agent.to_owned()), ..RequestHeaders::default() };
    ResolveRequest {
        click_id: id.to_string(),
        client_address: address.to_owned(),
        headers: Some(headers),
        ..visit("sale", Purpose::Click)
    }
}

/// Sets how the shop `acme` tells visitors from each other.
async fn set(server: &TestServer, mode: VisitorMode) {
    let wire =
        Shop { visitor_mode: mode.into(), sub_id_params: vec!["sub".into(), "aff".into()], ..shop("acme") };
    let request = UpdateShopRequest {
        shop: Some(wire.clone()),
        update_mask: mask(&["visitor_mode", "sub_id_params"]),
        ..UpdateShopRequest::default()
    };
    let written = server.admin().update_shop(request).await.unwrap().into_inner();
    let written_shop = written.shop.unwrap();
    assert_eq!((written_shop.visitor_mode, written_shop.sub_id_params), (mode.into(), wire.sub_id_params));
    server.wait_for(written.revision).await;
}

async fn visitor(world: &World, id: Uuid) -> Option<Vec<u8>> {
    world.client.query_one("SELECT visitor FROM clicks.click WHERE id = $1", &[&id]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn visitor_of_a_day_has_one_key_on_every_server_and_no_address_anywhere() {
    let world = World::new().await;
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut ids = Vec::new();
    for folder in &folders {
        let server = world.serve(with_secret(&world, folder.path())).await;
        server.has_visitor_keys(2).await;
        for (address, user_agent) in
            [(ADDRESS, FIREFOX), ("::ffff:203.0.113.77", FIREFOX), ("203.0.113.78", FIREFOX), (ADDRESS, "x")]
        {
            let id = Uuid::now_v7();
            server.resolver().resolve(click(id, address, user_agent)).await.unwrap();
            ids.push(id);
        }
        server.stop().await;
        for file in files(folder.path()) {
            let bytes = fs::read(&file).unwrap();
            let holds = |text: &[u8]| bytes.windows(text.len()).any(|part| part == text);
            assert!(!holds(b"203.0.113") && !holds(FIREFOX.as_bytes()), "{}", file.display());
            assert!(!holds(&[203, 0, 113, 77]), "{}", file.display());
        }
    }
    world.has_exactly(ids.clone()).await;
    let mut keys = Vec::new();
    for id in &ids {
        keys.push(visitor(&world, *id).await.unwrap());
    }
    assert!(keys.iter().all(|key| key.len() == 16));
    assert_eq!(keys[0], keys[1], "one address, written in two ways");
    assert_eq!(keys[..4], keys[4..], "the other server has the same keys");
    assert!(keys[0] != keys[2] && keys[0] != keys[3] && keys[2] != keys[3]);
    let rows = world.client.query("SELECT click::text FROM clicks.click", &[]).await.unwrap();
    for row in rows {
        let row: String = row.get(0);
        assert!(!row.contains("203.0.113") && !row.contains("Gecko"), "{row}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_follows_the_mode_and_the_wish() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let server = world.serve(with_secret(&world, folder.path())).await;
    server.has_visitor_keys(2).await;
    let often = Kind::VisitorTotalVisits(CountIs { test: Some(count_is::Test::AtLeast(3)) });
    let often = Rule { when: Some(Condition { kind: Some(often) }), ..rule("often", "DE") };
    let third = Link { rules: vec![often], ..link("third") };
    let request = CreateLinkRequest { link: Some(third), ..CreateLinkRequest::default() };
    server.admin().create_link(request).await.unwrap();
    let known = |from_cookie| Some(Visitor { id: "card-0815".to_owned(), total_visits: 3, from_cookie });
    let mut kept = Vec::new();
    for mode in [VisitorMode::None, VisitorMode::Daily, VisitorMode::Cookie] {
        set(&server, mode).await;
        for (slug, visitor, gpc, rule) in [
            ("third", None, false, false),
            ("third", known(true), false, mode == VisitorMode::Cookie),
            ("third", known(false), false, true),
            ("third", known(true), true, false),
            ("third", known(false), true, true),
            ("sale", known(true), false, false),
        ] {
            let id = Uuid::now_v7();
            let mut request = click(id, ADDRESS, FIREFOX);
            request.slug = slug.to_owned();
            request.visitor = visitor.clone();
            request.headers.as_mut().unwrap().sec_gpc = gpc.then(|| "1".to_owned());
            let answer = server.resolver().resolve(request).await.unwrap().into_inner();
            assert_eq!(!answer.rule_id.is_empty(), rule, "{mode:?} {slug} {visitor:?} {gpc}");
            assert!(answer.counted);
            let by_cookie = mode == VisitorMode::Cookie && !gpc;
            let is_offered = visitor.as_ref().is_some_and(|visitor| visitor.from_cookie);
            assert_eq!(answer.set_visitor_cookie, by_cookie && is_offered);
            let is_known = match mode {
                VisitorMode::None | VisitorMode::Unspecified => false,
                VisitorMode::Daily => !gpc,
                VisitorMode::Cookie => by_cookie && visitor.is_some(),
            };
            let total = (by_cookie && visitor.is_some() && slug == "third").then_some(3);
            kept.push((id, is_known, total, format!("{mode:?} {slug} {visitor:?} {gpc}")));
        }
    }
    server.stop().await;
    world.has_exactly(kept.iter().map(|(id, ..)| *id).collect()).await;
    for (id, is_known, total, what) in kept {
        let query = "SELECT visitor IS NOT NULL, visitor_total FROM clicks.click WHERE id = $1";
        let row = world.client.query_one(query, &[&id]).await.unwrap();
        assert_eq!((row.get::<_, bool>(0), row.get::<_, Option<i64>>(1)), (is_known, total), "{what}");
    }
    let distinct = "SELECT count(DISTINCT visitor) FROM clicks.click";
    assert_eq!(world.number(distinct).await, 2, "one by address and one by id");
    for file in files(folder.path()) {
        let bytes = fs::read(&file).unwrap();
        assert!(!bytes.windows(9).any(|part| part == b"card-0815"), "{}", file.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sub_ids_are_kept_as_they_came_first_and_not_too_long() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let server = world.serve(recording(world.database.url(), folder.path())).await;
    set(&server, VisitorMode::None).await;
    let long = format!("sub={}é", "a".repeat(255));
    let cut = "a".repeat(255);
    let mut kept = Vec::new();
    for (query, expected) in [
        ("", None),
        ("other=1&SUB=1", None),
        ("aff=2&sub=a%20b&sub=c", Some(vec!["sub", "a b", "aff", "2"])),
        ("sub&aff=", Some(vec!["sub", "", "aff", ""])),
        ("s%75b=+%00x", Some(vec!["sub", " x"])),
        (&long, Some(vec!["sub", &cut])),
    ] {
        let id = Uuid::now_v7();
        let request = ResolveRequest { query: query.to_owned(), ..click(id, "", FIREFOX) };
        let request = ResolveRequest { client_address: String::new(), ..request };
        server.resolver().resolve(request).await.unwrap();
        let expected = expected.map(|pairs| pairs.into_iter().map(str::to_owned).collect::<Vec<_>>());
        kept.push((id, expected));
    }
    server.stop().await;
    world.has_exactly(kept.iter().map(|(id, _)| *id).collect()).await;
    for (id, expected) in kept {
        let query = "SELECT sub_ids FROM clicks.click WHERE id = $1";
        let row = world.client.query_one(query, &[&id]).await.unwrap();
        assert_eq!(row.get::<_, Option<Vec<String>>>(0), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_made_ahead_and_deleted_after_two_days() {
    let world = World::new().await;
    let insert = "INSERT INTO visitor_key (day, sealed)
        SELECT (now() AT TIME ZONE 'UTC')::date + days, '\\x01' FROM unnest(ARRAY[-9, -2, -1, 0]) AS days";
    world.client.execute(insert, &[]).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let server = world.serve(with_secret(&world, folder.path())).await;
    server.has_visitor_keys(3).await;
    let days = "SELECT array_agg(day - (now() AT TIME ZONE 'UTC')::date ORDER BY day) FROM visitor_key";
    let days: Vec<i32> = world.client.query_one(days, &[]).await.unwrap().get(0);
    assert_eq!(days, [-1, 0, 1]);
    let today = "SELECT length(sealed) FROM visitor_key WHERE day = (now() AT TIME ZONE 'UTC')::date";
    assert_eq!(world.number(today).await, 1, "the key that was there first counts");
    // It cannot be opened: the visitor is unknown, and the click is kept all the same.
    let id = Uuid::now_v7();
    server.resolver().resolve(click(id, ADDRESS, FIREFOX)).await.unwrap();
    // A key that is gone is gone from the index without any other change.
    world.client.execute("DELETE FROM visitor_key WHERE length(sealed) = 1", &[]).await.unwrap();
    server.has_visitor_keys(1).await;
    server.stop().await;
    world.has_exactly(vec![id]).await;
    assert_eq!(visitor(&world, id).await, None);
    let copy = fs::read_to_string(folder.path().join("index.copy")).unwrap();
    assert_eq!(copy.matches("visitor_keys").count(), 1);
    let sealed: Vec<u8> = world.client.query_one("SELECT sealed FROM visitor_key", &[]).await.unwrap().get(0);
    assert_eq!(sealed.len(), 1 + 24 + 32 + 16);
}

/// Lists every file below a folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
