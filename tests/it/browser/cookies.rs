//! Who is known again, and who is not.

use serde_json::json;

use super::{chromium::Browser, world::World};

/// Returns the totals that the gateway told so far.
fn totals(world: &World) -> Vec<i64> {
    let told = world.clicks().into_iter().filter_map(|click| click.request.visitor);
    told.map(|visitor| visitor.total_visits).collect()
}

/// Returns whether the browser has sent, and was asked to keep, a cookie.
fn cookies(world: &World) -> Vec<(bool, bool)> {
    let links = world.wire.all().into_iter().filter(|seen| (300..400).contains(&seen.status));
    links.map(|seen| (seen.header("cookie").is_some(), seen.answer_header("set-cookie").is_some())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn third_visit_goes_where_the_rule_says() {
    let (world, browser) = (World::open().await, Browser::desktop().await);
    let page =
        world.blog.put("/page", &format!("<a id=link href=\"{}\">Look</a>", world.loyal_link("third")));
    for landed in ["/welcome", "/welcome", "/thanks"] {
        // From another site, as most visitors come.
        browser.go(&page).await;
        browser.click("link").await;
        let at = browser.lands(&world.shop.origin).await;
        assert!(at.starts_with(&format!("{}{landed}?", world.shop.origin)), "{at}");
    }
    assert_eq!(totals(&world), [1, 2, 3]);
    assert_eq!(cookies(&world), [(false, true), (true, true), (true, true)]);
    // Scripts do not see it, not even on a page of the link's own host.
    browser.go(&world.loyal_link("none")).await;
    assert_eq!(browser.text("return document.cookie").await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn cookie_is_set_only_where_the_shop_says_so() {
    let (world, browser) = (World::open().await, Browser::desktop().await);
    for _ in 0..2 {
        browser.go(&world.link("plain")).await;
    }
    assert_eq!(cookies(&world), [(false, false), (false, false)]);
    assert_eq!(totals(&world), [1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn reload_and_back_are_no_visits() {
    let (world, browser) = (World::open().await, Browser::desktop().await);
    let page = world.blog.put("/page", "");
    for _ in 0..2 {
        browser.go(&page).await;
        browser.go(&world.loyal_link("third")).await;
        browser.reload().await;
        browser.back().await;
        browser.lands(&page).await;
        browser.forward().await;
        browser.lands(&world.shop.origin).await;
    }
    assert_eq!(totals(&world), [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_not_to_be_tracked_gets_no_cookie() {
    let (world, browser) = (World::open().await, Browser::desktop().await);
    browser.send_with_everything(json!({"Sec-GPC": "1"})).await;
    for _ in 0..3 {
        browser.go(&world.loyal_link("third")).await;
        assert!(browser.url().await.contains("/welcome?"));
    }
    assert_eq!(cookies(&world), [(false, false), (false, false), (false, false)]);
    // Whoever changes their mind begins anew.
    browser.send_with_everything(json!({})).await;
    browser.go(&world.loyal_link("third")).await;
    assert_eq!(cookies(&world).last(), Some(&(false, true)));
    assert_eq!(totals(&world), [1, 1, 1, 1]);
}
