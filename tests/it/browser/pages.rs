//! What a person reads who cannot be sent anywhere.

use std::net::TcpListener;

use super::{chromium::Browser, wire, world::World};
use crate::gateway::fixture::{Door, Times};

/// Returns what people see of a page.
async fn visible_text(browser: &Browser) -> String {
    browser.text("return document.body.innerText.trim()").await
}

/// Tells whether people can read it: words, and no markup.
fn is_readable(text: &str) -> bool {
    text.split_whitespace().count() >= 3 && !text.contains(['<', '>', '{', '}'])
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_link_shows_a_page() {
    let (world, browser) = (World::open().await, Browser::desktop().await);
    browser.go(&world.page_with("no-such-link", "")).await;
    browser.click("link").await;
    browser.lands(&world.link("no-such-link")).await;
    assert_eq!(world.wire.first("the answer", |seen| seen.target == "/no-such-link").await.status, 404);
    let text = visible_text(&browser).await;
    assert!(is_readable(&text), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn gateway_without_a_resolver_shows_a_page() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let door = Door::open_with(nobody, Times::default()).await;
    let (address, wire) = wire::open(door.address).await;
    let browser = Browser::desktop().await;
    browser.go(&format!("http://{address}/sale")).await;
    let answer = wire.first("the answer", |seen| seen.target == "/sale").await;
    assert_eq!(answer.status, 503);
    assert!(answer.answer_header("retry-after").is_some());
    let text = visible_text(&browser).await;
    assert!(is_readable(&text), "{text}");
}
