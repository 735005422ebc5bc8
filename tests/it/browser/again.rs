//! Back, forward, reload, and clicking once more.

use super::{chromium::Browser, world::World};

#[tokio::test(flavor = "multi_thread")]
async fn every_click_is_a_new_one_and_nothing_else_is() {
    let (world, browser) = (World::open().await, Browser::desktop().await);
    // The second kind is one that browsers remember if they may.
    for (link, status) in [("sale/anna", 302), ("moved/anna", 301)] {
        let page = world.page_with(link, "");
        let before = world.clicks().len();

        browser.go(&page).await;
        browser.click("link").await;
        let first = browser.lands(&world.shop.origin).await;
        browser.back().await;
        assert_eq!(browser.lands(&page).await, page);
        assert_eq!(browser.text("return document.title").await, "/page");
        browser.forward().await;
        assert_eq!(browser.lands(&world.shop.origin).await, first);

        // The page comes again, with the id of the first click.
        let shown = world.shop.targets();
        browser.reload().await;
        assert_eq!(browser.url().await, first);
        let reloaded = world.shop.targets().split_off(shown.len());
        assert_eq!(reloaded, [shown.last().unwrap().as_str()]);

        browser.back().await;
        browser.lands(&page).await;
        browser.click("link").await;
        let second = browser.lands(&world.shop.origin).await;

        let clicks = world.clicks().split_off(before);
        assert_eq!(clicks.len(), 2, "{link}: {clicks:?}");
        for (click, landed) in clicks.iter().zip([&first, &second]) {
            assert!(landed.contains(&format!("&click_id={}", click.answer.click_id)), "{landed}");
        }
        assert_ne!(clicks[0].answer.click_id, clicks[1].answer.click_id);

        let answers: Vec<_> =
            world.wire.all().into_iter().filter(|seen| seen.target == format!("/{link}")).collect();
        assert_eq!(answers.len(), 2);
        for answer in answers {
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
