//! Links that somebody follows, and where they land.

use smartlinks::proto::{ResolveReason, TrafficClass};

use super::{chromium::Browser, world::World};

#[tokio::test(flavor = "multi_thread")]
async fn desktop_lands_where_the_link_leads() {
    let (world, browser) = (World::open().await, Browser::desktop().await);
    browser.go(&world.page_with("sale/anna?color=red", "")).await;
    browser.click("link").await;
    let url = browser.lands(&world.shop.origin).await;

    let clicks = world.clicks();
    let [click] = &clicks[..] else { panic!("one click, not {clicks:?}") };
    let id = &click.answer.click_id;
    let arrived = format!(
        "/sale/summer?tab=all&color=red&utm_source=anna&utm_medium=affiliate&utm_campaign=summer&ref=anna&click_id={id}"
    );
    assert_eq!(world.shop.targets(), [arrived.as_str()]);
    assert_eq!(url, format!("{}{arrived}#top", world.shop.origin));
    assert_eq!(browser.text("return location.hash").await, "#top");
    assert_eq!(click.answer.reason(), ResolveReason::Default);
    assert_eq!(click.answer.traffic_class(), TrafficClass::Human);
    assert_eq!(click.answer.partner, "anna");
}

#[tokio::test(flavor = "multi_thread")]
async fn phone_lands_at_the_page_for_phones() {
    let (world, browser) = (World::open().await, Browser::phone().await);
    browser.go(&world.page_with("sale/anna", "")).await;
    browser.click("link").await;
    browser.lands(&format!("{}/sale/app?utm_source=anna&", world.shop.origin)).await;
    let clicks = world.clicks();
    assert_eq!(clicks.len(), 1);
    assert_eq!(
        (&*clicks[0].answer.rule_id, clicks[0].answer.traffic_class()),
        ("phone", TrafficClass::Human)
    );
    // What every browser of this kind says unasked.
    let headers = clicks[0].request.headers.clone().unwrap();
    assert_eq!(headers.sec_ch_ua_mobile.as_deref(), Some("?1"));
    assert_eq!(headers.sec_ch_ua_platform.as_deref(), Some("\"Android\""));
    assert!(headers.sec_ch_ua.unwrap().contains("Chromium"));
}

#[tokio::test(flavor = "multi_thread")]
async fn language_is_the_browsers() {
    let world = World::open().await;
    for (languages, page) in [("de-AT,de", "/sale/de?"), ("en-GB,en", "/sale/summer?")] {
        let browser = Browser::desktop_of(languages).await;
        browser.go(&world.link("sale")).await;
        let url = browser.url().await;
        assert!(url.starts_with(&format!("{}{page}", world.shop.origin)), "{languages}: {url}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn referrer_decides_where_the_page_lets_it_be_seen() {
    let (world, browser) = (World::open().await, Browser::desktop().await);
    let blog = Some(format!("{}/", world.blog.origin));
    for (number, attributes, page, referer) in [
        (1, "", "/from/blog", &blog),
        (2, "target=_blank rel=noopener", "/from/blog", &blog),
        (3, "target=_blank rel='noopener noreferrer'", "/from/elsewhere", &None),
        (4, "referrerpolicy=no-referrer", "/from/elsewhere", &None),
    ] {
        browser.go(&world.page_with(&format!("press?number={number}"), attributes)).await;
        browser.click("link").await;
        let query = format!("?number={number}&");
        let arrival = world.shop.seen.first("the visitor", |target| target.contains(&query)).await;
        assert!(arrival.starts_with(page), "{attributes}: {arrival:?}");
        let clicks = world.clicks();
        assert_eq!(clicks.len(), number);
        assert_eq!(clicks[number - 1].request.headers.clone().unwrap().referer, *referer, "{attributes}");
    }
    assert_eq!(browser.tabs().await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn fragment_stays_unless_the_destination_has_one() {
    let (world, browser) = (World::open().await, Browser::desktop().await);
    for (link, fragment) in [("plain#mine", "#mine"), ("plain", ""), ("sale#mine", "#top"), ("sale", "#top")]
    {
        browser.go(&world.link(link)).await;
        assert_eq!(browser.text("return location.hash").await, fragment, "{link}");
    }
    assert_eq!(world.clicks().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn browser_that_nobody_sits_before_is_a_bot() {
    let (world, browser) = (World::open().await, Browser::unmasked().await);
    browser.go(&world.link("plain")).await;
    let clicks = world.clicks();
    assert_eq!((clicks.len(), clicks[0].answer.traffic_class()), (1, TrafficClass::Bot));
    assert!(clicks[0].request.headers.clone().unwrap().user_agent.unwrap().contains("HeadlessChrome"));
}
