//! The cookie by which a visitor is known again.

use std::collections::BTreeSet;

use serde_json::json;
use smartlinks::proto::{
    ResolveResponse, TrafficClass, Visitor, VisitorMode, resolve_stream_response::Outcome,
};

use tokio::sync::mpsc::UnboundedReceiver;

use super::fixture::{Answer, Door, Item, Told};
use crate::resolver::fixture::{Acme, HOST, Served, link, record};

const FIREFOX: &str =
    "user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0\r\n";
const SECRET: &str = "a secret of this test";

/// Returns a server of a shop of this mode, whose link `third` knows the third visit, and a gateway.
async fn open(mode: VisitorMode) -> (Acme, Served, Door) {
    let mut acme = Acme::new();
    let mode = mode.as_str_name().trim_start_matches("VISITOR_MODE_").to_ascii_lowercase();
    let shop = json!({"shop": {"shop": "acme", "revision": 2, "default_link": "home", "settings": {
        "base_url": "https://acme.example",
        "link_hosts": [HOST, "go.acme2.example"],
        "public_url": format!("https://{HOST}"),
        "partner_param": "ref",
        "click_id_param": null,
        "visitor_mode": mode,
    }}});
    let third = json!({"id": "third", "when": {"is": {"visitor_total_visits": {"at_least": 3}}}, "then": {"destination": "thanks"}});
    let third = link("third", 2, json!({"default_destination": "welcome", "rules": [third]}));
    let test = json!({"id": "half", "when": {"is": {"traffic": ["human"]}}, "then": {"variants": [
        {"id": "blue", "destination": "blue", "weight": 1}, {"id": "red", "destination": "red", "weight": 1}]}});
    let test = link("test", 2, json!({"default_destination": "none", "rules": [test]}));
    acme.publish(vec![record(shop), record(third), record(test)], 2);
    let server = acme.serve().await;
    let door = Door::open_with_cookies(server.address, SECRET).await;
    (acme, server, door)
}

/// Returns the pair that an answer sets.
fn pair(answer: &Answer) -> Option<String> {
    let cookie = answer.header("set-cookie")?;
    Some(cookie.split(';').next().unwrap().to_owned())
}

fn with(cookie: Option<&str>) -> String {
    let cookie = cookie.map(|cookie| format!("cookie: {cookie}\r\n"));
    format!("{FIREFOX}{}", cookie.unwrap_or_default())
}

#[tokio::test]
async fn third_visit_goes_where_the_rule_says() {
    let (_acme, _server, door) = open(VisitorMode::Cookie).await;
    let mut cookie = None;
    for page in ["welcome", "welcome", "thanks", "thanks"] {
        let answer = door.ask("GET", "/third", &with(cookie.as_deref())).await;
        assert_eq!(answer.header("location"), Some(&*format!("https://acme.example/{page}")));
        let set = answer.header("set-cookie").unwrap();
        assert!(set.starts_with("smartlinks_visitor=1."), "{set}");
        assert!(set.ends_with("; Max-Age=34560000; Path=/; HttpOnly; SameSite=Lax"), "{set}");
        assert_eq!(answer.header("cache-control"), Some("private, no-store"));
        cookie = pair(&answer);
    }
    // Another host of the same shop has its own.
    let cookie = cookie.unwrap();
    let other = format!(
        "GET /third HTTP/1.1\r\nhost: go.acme2.example\r\n{}connection: close\r\n\r\n",
        with(Some(&cookie))
    );
    assert_eq!(door.say(other).await.header("location"), Some("https://acme.example/welcome"));
    let forged = cookie.replace(".4.", ".9.");
    assert_ne!(forged, cookie);
    let answer = door.ask("GET", "/third", &with(Some(&forged))).await;
    assert_eq!(answer.header("location"), Some("https://acme.example/welcome"));
    assert!(pair(&answer).unwrap().contains(".1."), "{answer:?}");
}

/// The first visit is drawn by the id that its answer sets, so the second gets the same.
#[tokio::test]
async fn variant_of_the_first_visit_is_that_of_all_that_follow() {
    let (_acme, _server, door) = open(VisitorMode::Cookie).await;
    let mut seen = BTreeSet::new();
    for _ in 0..40 {
        let first = door.ask("GET", "/test", FIREFOX).await;
        let page = first.header("location").unwrap().to_owned();
        let mut cookie = pair(&first).unwrap();
        for _ in 0..3 {
            let head = door.ask("HEAD", "/test", &with(Some(&cookie))).await;
            assert_eq!(head.header("location"), Some(&*page), "a look-up gets what a click gets");
            let next = door.ask("GET", "/test", &with(Some(&cookie))).await;
            assert_eq!(next.header("location"), Some(&*page));
            cookie = pair(&next).unwrap();
        }
        seen.insert(page);
    }
    // One address and one browser: forty cookies alone tell them apart.
    let both = ["https://acme.example/blue", "https://acme.example/red"].map(str::to_owned);
    assert_eq!(seen, both.into());
    for (mode, wish) in
        [(VisitorMode::Daily, ""), (VisitorMode::None, ""), (VisitorMode::Cookie, "dnt: 1\r\n")]
    {
        let (_acme, _server, door) = open(mode).await;
        let mut pages = BTreeSet::new();
        for _ in 0..10 {
            let answer = door.ask("GET", "/test", &format!("{FIREFOX}{wish}")).await;
            pages.insert(answer.header("location").unwrap().to_owned());
        }
        assert_eq!(pages.len(), 1, "{mode:?}: address and User-Agent are the same each time");
    }
}

#[tokio::test]
async fn cookie_is_secure_where_a_trusted_proxy_says_https() {
    let (_acme, _server, door) = open(VisitorMode::Cookie).await;
    for (said, is_secure) in [
        ("x-forwarded-proto: https\r\n", true),
        ("x-forwarded-proto: HTTPS, http\r\n", true),
        ("x-forwarded-proto: http\r\n", false),
        ("", false),
    ] {
        let answer = door.ask("GET", "/third", &format!("{FIREFOX}{said}")).await;
        assert_eq!(answer.header("set-cookie").unwrap().ends_with("; Secure"), is_secure, "{said}");
    }
}

#[tokio::test]
async fn no_cookie_without_consent() {
    for mode in [VisitorMode::None, VisitorMode::Daily] {
        let (_acme, _server, door) = open(mode).await;
        let answer = door.ask("GET", "/third", FIREFOX).await;
        assert_eq!((answer.status, answer.header("set-cookie")), (302, None), "{mode:?}");
    }
    let (_acme, _server, door) = open(VisitorMode::Cookie).await;
    let cookie = pair(&door.ask("GET", "/third", FIREFOX).await).unwrap();
    for (wish, is_set) in [("sec-gpc: 1", false), ("dnt: 1", false), ("dnt: 0", true), ("sec-gpc: 0", true)] {
        for before in [None, Some(&*cookie)] {
            let answer = door.ask("GET", "/third", &format!("{}{wish}\r\n", with(before))).await;
            assert_eq!(answer.status, 302);
            assert_eq!(answer.header("set-cookie").is_some(), is_set, "{wish} {before:?}");
        }
    }
}

/// Q6: what is no person's click on a link that decides leaves the total as it is.
#[tokio::test]
async fn total_grows_only_by_visits_that_count() {
    let (_acme, _server, door) = open(VisitorMode::Cookie).await;
    let cookie = pair(&door.ask("GET", "/third", FIREFOX).await).unwrap();
    let sent = with(Some(&cookie));
    for (method, target, headers, status) in [
        ("HEAD", "/third", sent.clone(), 302),
        ("GET", "/third", format!("{sent}sec-purpose: prefetch\r\n"), 503),
        ("GET", "/third", format!("user-agent: curl/8.5.0\r\ncookie: {cookie}\r\n"), 302),
        ("GET", "/third", format!("user-agent: WhatsApp/2.23\r\ncookie: {cookie}\r\n"), 302),
        ("GET", "/paused", sent.clone(), 410),
        ("GET", "/none", sent.clone(), 404),
        ("GET", "/-/healthz", sent.clone(), 200),
    ] {
        let answer = door.ask(method, target, &headers).await;
        assert_eq!(
            (answer.status, answer.header("set-cookie")),
            (status, None),
            "{method} {target} {headers}"
        );
    }
    let second = pair(&door.ask("GET", "/plain", &sent).await).unwrap();
    assert!(second.contains(".2."), "{second}");
}

#[tokio::test]
async fn resolver_is_told_and_decides() {
    let (told, mut items) = Told::new();
    let server = Served::start(told).await;
    let door = Door::open_with_cookies(server.address, SECRET).await;
    let ask = async |cookie: Option<&str>, answer: ResolveResponse, items: &mut UnboundedReceiver<Item>| {
        let asking = with(cookie);
        let asking = door.ask("GET", "/sale", &asking);
        let (answered, visitor) = tokio::join!(asking, async {
            let item = items.recv().await.unwrap();
            let visitor = item.request.visitor.clone().unwrap();
            let location = "https://acme.example/".to_owned();
            item.end(Outcome::Answer(ResolveResponse { location, ..answer }));
            visitor
        });
        (pair(&answered), visitor)
    };
    let set = ResolveResponse { set_visitor_cookie: true, counted: true, ..ResolveResponse::default() };
    let (cookie, first) = ask(None, set.clone(), &mut items).await;
    assert_eq!(first, Visitor { id: first.id.clone(), total_visits: 1, from_cookie: true });
    let cookie = cookie.unwrap();
    assert!(cookie.starts_with(&format!("smartlinks_visitor=1.{}.1.", first.id)), "{cookie}");
    let (again, second) = ask(Some(&cookie), set.clone(), &mut items).await;
    assert_eq!(second, Visitor { total_visits: 2, ..first.clone() });
    assert!(again.unwrap().starts_with(&format!("smartlinks_visitor=1.{}.2.", first.id)));
    // Counted, but no consent; and what is loaded ahead is declined whatever the resolver says.
    let counted = ResolveResponse { set_visitor_cookie: false, ..set.clone() };
    assert_eq!(ask(Some(&cookie), counted, &mut items).await.0, None);
    let (_, other) = ask(Some("smartlinks_visitor=1.x.7.1.x"), ResolveResponse::default(), &mut items).await;
    assert_eq!(other.total_visits, 1);
    assert_ne!(other.id, first.id);
    let human = ResolveResponse { traffic_class: TrafficClass::Human.into(), ..set };
    assert!(ask(None, human, &mut items).await.0.is_some());
}

#[tokio::test]
async fn without_a_secret_nothing_is_told() {
    let (told, mut items) = Told::new();
    let server = Served::start(told).await;
    let door = Door::open(server.address).await;
    let (answer, visitor) = tokio::join!(door.ask("GET", "/sale", FIREFOX), async {
        let item = items.recv().await.unwrap();
        let visitor = item.request.visitor.clone();
        let answer = ResolveResponse {
            location: "https://acme.example/".to_owned(),
            set_visitor_cookie: true,
            ..ResolveResponse::default()
        };
        item.end(Outcome::Answer(answer));
        visitor
    });
    assert_eq!((visitor, answer.header("set-cookie")), (None, None));
}
