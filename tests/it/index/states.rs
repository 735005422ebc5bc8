//! Which shop and link answer, and in which state, line by line of the small print.

use smartlinks::domain::{
    host::Host,
    link::{LinkState, RedirectKind},
    revision::Revision,
    visit::{Attribution, Miss, ResolveReason},
};

use super::world::{Ask, NOW, Nowhere, World, destination, time};

fn at(when: &str) -> Ask {
    Ask { time: time(when), ..Ask::default() }
}

#[test]
fn h1_hosts_are_found_without_case_port_and_final_dot() {
    let world = World::to("/s").with(|world| world.shop.link_hosts.push(Host::parse("2001:db8::1").unwrap()));
    let world = world.with(|world| world.shop.link_hosts.push(Host::parse("127.0.0.1").unwrap()));
    let snapshot = world.snapshot();
    let found = |host: &str| Ask { host: Some(host.into()), ..Ask::default() }.resolve(&snapshot);
    for host in [
        "go.shop.example",
        "GO.Shop.Example",
        "go.shop.example:8080",
        "go.shop.example.",
        "Go.shop.example.:443",
        "[2001:db8::1]",
        "[2001:DB8:0::1]:8080",
        "2001:db8::1",
        "127.0.0.1:8080",
        "127.0.0.1",
    ] {
        assert_eq!(found(host).unwrap().location, "https://shop.example/s", "{host}");
    }
    for host in [
        "",
        ".",
        ":",
        "shop.example",
        "go.shop.example..",
        "x.go.shop.example",
        "[2001:db8::2]",
        "[::",
        "::1",
        "127.0.0.2",
    ] {
        assert_eq!(found(host), Err(Nowhere::NoShop), "{host}");
    }
}

#[test]
fn shop_is_found_by_its_id() {
    let answer = World::to("/s").answer(&Ask::default());
    assert_eq!((answer.shop.as_str(), answer.revision), ("acme", Revision(1)));
    assert_eq!(answer.redirect, RedirectKind::Found);
}

#[test]
fn h2_slugs_are_found_without_case() {
    let answer = World::to("/s").answer(&Ask { slug: "SaLe".into(), ..Ask::default() });
    assert_eq!(answer.slug.unwrap().as_str(), "sale");
}

#[test]
fn empty_slug_is_the_default_link() {
    let answer = World::to("/s").answer(&Ask { slug: String::new(), ..Ask::default() });
    assert_eq!((answer.slug.unwrap().as_str(), answer.reason), ("sale", ResolveReason::Default));
}

#[test]
fn e1_states_lead_to_the_fallback_or_nowhere() {
    let expired = |world: World| world.window(None, Some("2026-01-01T00:00:00Z"));
    for (change, miss) in [
        ((|world: World| world.with(|w| w.state = LinkState::Paused)) as fn(World) -> World, Miss::Paused),
        (|world| world.with(|w| w.state = LinkState::Deleted), Miss::Deleted),
        (|world| world.window(Some("2027-01-01T00:00:00Z"), None), Miss::NotStarted),
        (|world| world.window(None, Some("2026-01-01T00:00:00Z")), Miss::Expired),
    ] {
        assert_eq!(change(World::to("/s")).resolve(&Ask::default()), Err(Nowhere::NoFallback(miss)));
        let world = change(World::to("/s").fallback("https://help.example/"));
        let answer = world.answer(&Ask::query("a=1"));
        assert_eq!(
            (answer.location.as_str(), answer.reason),
            ("https://help.example/", ResolveReason::Missed(miss))
        );
        assert_eq!(answer.slug.unwrap().as_str(), "sale");
    }
    // Only what has expired has a destination of its own.
    for (state, location) in [
        (LinkState::Active, "https://shop.example/over"),
        (LinkState::Paused, "https://help.example/"),
        (LinkState::Deleted, "https://help.example/"),
    ] {
        let world = expired(World::to("/s").fallback("https://help.example/"));
        let world = world.with(|world| {
            world.state = state;
            world.routing.expired_destination = Some(destination("/over"));
            world.routing.redirect = RedirectKind::MovedPermanently;
        });
        assert_eq!(world.answer(&Ask::default()).location, location);
    }
}

#[test]
fn e2_start_is_in_the_window_and_expiry_is_not() {
    let world = World::to("/s").window(Some("2026-06-01T00:00:00Z"), Some("2026-06-02T00:00:00Z"));
    let reason = |when| world.resolve(&at(when)).map(|answer| answer.reason);
    assert_eq!(reason("2026-05-31T23:59:59.999999999Z"), Err(Nowhere::NoFallback(Miss::NotStarted)));
    assert_eq!(reason("2026-06-01T00:00:00Z"), Ok(ResolveReason::Default));
    assert_eq!(reason("2026-06-01T23:59:59.999999999Z"), Ok(ResolveReason::Default));
    assert_eq!(reason("2026-06-02T00:00:00Z"), Err(Nowhere::NoFallback(Miss::Expired)));
}

#[test]
fn e3_unknown_slug_leads_to_the_fallback_or_nowhere() {
    let ask = Ask { slug: "no-such".into(), query: "a=1".into(), ..Ask::partner("anna") };
    assert_eq!(World::to("/s").resolve(&ask), Err(Nowhere::NoFallback(Miss::NotFound)));
    let answer = World::to("/s").fallback("https://help.example").answer(&ask);
    assert_eq!(answer.location, "https://help.example", "verbatim");
    assert_eq!(answer.reason, ResolveReason::Missed(Miss::NotFound));
    assert_eq!((answer.slug, answer.partner), (None, None));
    assert_eq!(
        answer.attribution,
        Attribution::NotShared,
        "a link that does not exist is shared with nobody"
    );
}

#[test]
fn q8_state_comes_before_rules_and_before_the_window() {
    let world =
        World::to("/s").window(Some("2027-01-01T00:00:00Z"), None).with(|w| w.state = LinkState::Paused);
    assert_eq!(world.resolve(&at(NOW)), Err(Nowhere::NoFallback(Miss::Paused)));
}

#[test]
fn unknown_shop_is_nowhere() {
    let empty = smartlinks::index::Snapshot::empty();
    assert_eq!(Ask::default().resolve(&empty), Err(Nowhere::NoShop));
    assert_eq!(empty.revision(), Revision(0));
}
