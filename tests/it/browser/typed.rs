//! Addresses as people type and paste them: their query arrives as the browser sent it.

use serde_json::json;

use super::{chromium::Browser, world::World};

#[tokio::test(flavor = "multi_thread")]
async fn unusual_queries_arrive_as_they_were_sent() {
    let (world, browser) = (World::open().await, Browser::desktop().await);
    let long = format!("long={}", "0123456789abcdef".repeat(7 * 64));
    // What is typed, and what a browser makes of it.
    let queries = [
        ("a=|^{}[]", "a=|^{}[]"),
        ("a='`", "a=%27`"),
        ("a=b c", "a=b%20c"),
        ("a=\"<b>\"", "a=%22%3Cb%3E%22"),
        ("größe=süß", "gr%C3%B6%C3%9Fe=s%C3%BC%C3%9F"),
        ("a=😀", "a=%F0%9F%98%80"),
        ("a=%zz&b=%&c=%2", "a=%zz&b=%&c=%2"),
        ("a=%2B&b=+", "a=%2B&b=+"),
        ("a=%2f&b=%2F", "a=%2f&b=%2F"),
        ("a&&b", "a&&b"),
        ("=x", "=x"),
        ("?x=?y", "?x=?y"),
        ("a=1&a=2&a=1", "a=1&a=2&a=1"),
        ("a;b=c;d", "a;b=c;d"),
        ("a=\\", "a=\\"),
        ("a=1\t&b=2", "a=1&b=2"),
        ("u=https://x.example/?y=1", "u=https://x.example/?y=1"),
        ("utm_source=x&utm_source=y", "utm_source=x&utm_source=y"),
        ("%00=%0d%0a", "%00=%0d%0a"),
        (&long, &long),
        ("", ""),
    ];
    for (number, (typed, sent)) in queries.into_iter().enumerate() {
        let url = world.link(&format!("plain?{typed}"));
        let of_url = browser.run("return new URL(arguments[0]).search", json!([url])).await;
        let question_mark = if sent.is_empty() { "" } else { "?" };
        assert_eq!(of_url, format!("{question_mark}{sent}"), "{typed}");
        browser.go(&url).await;

        let exchanges = world.wire.all();
        assert_eq!(exchanges.len(), number + 1, "{typed}");
        let on_the_wire = &exchanges[number].target;
        assert_eq!(*on_the_wire, format!("/plain?{sent}"), "{typed}");
        let id = &world.clicks()[number].answer.click_id;
        let and = if sent.is_empty() { "" } else { "&" };
        assert_eq!(world.shop.targets()[number], format!("{on_the_wire}{and}click_id={id}"), "{typed}");
    }
}
