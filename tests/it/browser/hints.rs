//! Client hints that a browser gives only when asked: the first answer asks, the second click has them.

use super::{chromium::Browser, world::World};

#[tokio::test(flavor = "multi_thread")]
async fn second_click_carries_the_hints_that_the_first_answer_asked_for() {
    let (world, browser) = (World::open().await, Browser::phone().await);
    for _ in 0..2 {
        browser.go(&world.page_with("sale/anna", "")).await;
        browser.click("link").await;
        browser.lands(&world.shop.origin).await;
    }
    let clicks = world.clicks();
    assert_eq!(clicks.len(), 2);
    let hints = |number: usize| clicks[number].request.headers.clone().unwrap();
    let (first, second) = (hints(0), hints(1));

    assert_eq!(first.sec_ch_ua_platform.as_deref(), Some("\"Android\""));
    assert_eq!(first.sec_ch_ua_platform_version, None);
    assert_eq!(first.sec_ch_ua_full_version_list, None);
    assert_eq!(first.sec_ch_ua_form_factors, None);

    assert_eq!(second.sec_ch_ua_platform.as_deref(), Some("\"Android\""));
    assert_eq!(second.sec_ch_ua_platform_version.as_deref(), Some("\"15.0.0\""));
    assert_eq!(second.sec_ch_ua_full_version_list.as_deref(), Some("\"Chromium\";v=\"141.0.7390.54\""));
    assert!(second.sec_ch_ua_form_factors.is_some());
}
