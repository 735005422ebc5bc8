//! Back, forward, reload, and clicking once more.

use super::{chromium::Browser, world::World};

#[tokio::test(flavor = "multi_thread")]
async fn every_click_is_a_new_one_and_nothing_else_is() {
    let (world, browser) = (World::open().await, Browser::desktop().await);
    // The second kind is one that browsers remember if they may.
    for (link, status) in [("sale/anna", 302), ("moved/anna", 301)] {
        let page = world.page_with(link, "");
        let (clicks_before, seen_before) = (world.clicks().len(), world.shop.targets().len());

        browser.go(&page).await;
        browser.click("link").await;
        let first = browser.lands(&world.shop.origin).await;
        browser.back().await;
        assert_eq!(browser.url().await, page);
        assert_eq!(browser.text("return document.title").await, "/page");
        browser.forward().await;
        assert_eq!(browser.lands(&world.shop.origin).await, first);
        browser.reload().await;
        assert_eq!(browser.url().await, first);

        browser.back().await;
        browser.click("link").await;
        let second = browser.lands(&world.shop.origin).await;

        let clicks = world.clicks().split_off(clicks_before);
        assert_eq!(clicks.len(), 2, "{link}: {clicks:?}");
        for (click, landed) in clicks.iter().zip([&first, &second]) {
            assert!(landed.contains(&format!("&click_id={}", click.answer.click_id)), "{landed}");
        }
        assert_ne!(clicks[0].answer.click_id, clicks[1].answer.click_id);

        // The page was loaded again with the id of the first click.
        let of_first = format!("click_id={}", clicks[0].answer.click_id);
        let targets = world.shop.targets().split_off(seen_before);
        assert!(targets.iter().filter(|target| target.ends_with(&of_first)).count() >= 2, "{targets:?}");
        let answers = world.wire.all();
        let of_link = answers.iter().filter(|seen| seen.target == format!("/{link}"));
        for answer in of_link {
            assert_eq!(answer.status, status);
            assert_eq!(answer.answer_header("cache-control"), Some("private, no-store"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn address_typed_twice_is_two_clicks() {
    let (world, browser) = (World::open().await, Browser::desktop().await);
    for link in ["moved", "plain"] {
        let before = world.clicks().len();
        for _ in 0..2 {
            browser.go(&world.link(link)).await;
        }
        assert_eq!(world.clicks().len(), before + 2, "{link}");
    }
}
