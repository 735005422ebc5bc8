//! Requests that browsers make without a click: loading ahead, pings, HEAD.

use serde_json::json;
use smartlinks::proto::{Purpose, TrafficClass};

use super::{chromium::Browser, tap::Visit, world::World};

fn is_prefetch(visit: &Visit) -> bool {
    visit.answer.traffic_class() == TrafficClass::Prefetch
}

/// Returns classes and click ids of the clicks so far.
fn classes(world: &World) -> Vec<(TrafficClass, String)> {
    let clicks = world.clicks().into_iter();
    clicks.map(|click| (click.answer.traffic_class(), click.answer.click_id)).collect()
}

/// Opens a page with a link that the browser loads ahead as told by `how`, waits until it has, and clicks on the link.
/// The gateway hears of both: of a prefetch, and of a person's click with an id of its own, which the shop gets.
async fn load_ahead_and_click(how: impl FnOnce(&World) -> String) {
    let (world, browser) = (World::open().await, Browser::desktop().await);
    browser.go(&world.page_with_more("plain", "", &how(&world))).await;
    let ahead = world.visits.first("a request ahead", is_prefetch).await;
    assert_eq!(ahead.request.purpose(), Purpose::Click);
    let marked = ahead.request.headers.unwrap().purpose_header;
    assert!(marked.as_ref().is_some_and(|purpose| purpose.starts_with("prefetch")), "{marked:?}");
    let declined = world.wire.first("its answer", |seen| seen.header("sec-purpose").is_some()).await;
    assert_eq!((declined.status, declined.answer_header("location")), (503, None));
    browser.click("link").await;
    let landed = browser.lands(&world.shop.origin).await;
    let clicks = classes(&world);
    let [(TrafficClass::Prefetch, ahead), (TrafficClass::Human, clicked)] = &clicks[..] else {
        panic!("a prefetch and a click, not {clicks:?}");
    };
    assert_ne!(ahead, clicked);
    assert!(landed.ends_with(&format!("click_id={clicked}")), "{landed}");
    assert_eq!(world.shop.targets().len(), 1, "the page was loaded for the click alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn link_that_a_page_prefetches_counts_when_clicked() {
    load_ahead_and_click(|world| format!("<link rel=prefetch href=\"{}\">", world.link("plain"))).await;
}

/// Without the gateway's refusal Chromium would keep redirect and page, and the click would never be heard of.
#[tokio::test(flavor = "multi_thread")]
async fn link_that_speculation_rules_load_ahead_counts_when_clicked() {
    for how in ["prefetch", "prerender"] {
        load_ahead_and_click(|world| {
            let rules = json!({how: [{"urls": [world.link("plain")], "eagerness": "immediate"}]});
            format!("<script type=speculationrules>{rules}</script>")
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ping_of_an_anchor_is_no_click() {
    let (world, browser) = (World::open().await, Browser::desktop().await);
    let ping = format!("ping=\"{}\"", world.link("moved"));
    browser.go(&world.page_with("plain", &ping)).await;
    browser.click("link").await;
    browser.lands(&world.shop.origin).await;
    let ping = world.wire.first("the ping", |seen| seen.method == "POST").await;
    assert_eq!((&*ping.target, ping.status, ping.answer_header("allow")), ("/moved", 405, Some("GET, HEAD")));
    assert_eq!(ping.header("content-type"), Some("text/ping"));
    let clicks = world.clicks();
    assert_eq!(clicks.len(), 1, "{clicks:?}");
    assert_eq!((&*clicks[0].answer.slug, clicks[0].answer.traffic_class()), ("plain", TrafficClass::Human));
}

#[tokio::test(flavor = "multi_thread")]
async fn head_by_a_script_counts_nothing() {
    let (world, browser) = (World::open().await, Browser::desktop().await);
    browser.lift_content_policy().await;
    browser.go(&world.link("-/healthz")).await;
    let kind = "const answer = await fetch('/plain?by=script', {method: 'HEAD', redirect: 'manual'}); \
                return answer.type";
    assert_eq!(browser.text(kind).await, "opaqueredirect");
    let asked = world.wire.first("the request", |seen| seen.method == "HEAD").await;
    let location = format!("{}/plain?by=script", world.shop.origin);
    assert_eq!((asked.status, asked.answer_header("location")), (302, Some(&*location)));
    let lookup = world.visits.first("the look-up", |visit| visit.request.query == "by=script").await;
    assert_eq!((lookup.request.purpose(), &*lookup.answer.click_id), (Purpose::Lookup, ""));
    assert!(world.clicks().is_empty());
    assert!(world.shop.targets().is_empty());
}
