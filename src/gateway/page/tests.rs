use hyper::body::Body as _;

use super::*;
use crate::gateway::texts::LANGUAGES;

const PAGES: [Page; 13] = [
    Page::NoLink,
    Page::NoShop,
    Page::NotStarted,
    Page::Expired,
    Page::Paused,
    Page::Deleted,
    Page::Malformed,
    Page::WrongMethod,
    Page::TooLong,
    Page::Failed,
    Page::Away,
    Page::Overloaded,
    Page::Late,
];

fn of(name: &'static str, value: &'static str) -> HeaderMap {
    [(HeaderName::from_static(name), HeaderValue::from_static(value))].into_iter().collect()
}

#[test]
fn every_page_has_its_status_and_reason() {
    let told = PAGES.map(|page| (page.status().as_u16(), page.reason()));
    let expected = [
        (404, "LINK_NOT_FOUND"),
        (404, "SHOP_NOT_FOUND"),
        (404, "LINK_NOT_STARTED"),
        (410, "LINK_EXPIRED"),
        (410, "LINK_PAUSED"),
        (410, "LINK_DELETED"),
        (400, "MALFORMED"),
        (405, "METHOD_NOT_ALLOWED"),
        (414, "TOO_LONG"),
        (502, "INTERNAL"),
        (503, "RESOLVER_UNAVAILABLE"),
        (503, "OVERLOADED"),
        (503, "DEADLINE_EXCEEDED"),
    ];
    assert_eq!(told, expected);
}

#[test]
fn every_page_is_written_in_every_language() {
    for language in LANGUAGES {
        for page in PAGES {
            let (title, advice) = page.text(language);
            let tag = language.tag;
            for (text, bytes) in [(title, 6..=70), (advice, 15..=160)] {
                assert!(bytes.contains(&text.len()), "{tag} {text:?} has {} bytes", text.len());
                assert!(
                    text.chars().all(|c| !"<>&\"'{}%$_\\".contains(c) && !c.is_control()),
                    "{tag} {text:?}"
                );
                assert_eq!(text.trim(), text, "{tag}");
                assert!(!text.contains("  "), "{tag} {text:?}");
            }
            assert!(!title.ends_with(['.', '。']), "{tag} {title:?}");
            assert!(advice.ends_with(['.', '。']), "{tag} {advice:?}");
            let html = page.html(language);
            assert!(html.contains(&format!("<html lang=\"{tag}\" ")), "{html}");
            assert_eq!(html.matches(title).count(), 2, "{html}");
            assert_eq!(html.matches(advice).count(), 1, "{html}");
            assert!(html.contains(if tag == "ar" { " dir=\"rtl\">" } else { " dir=\"ltr\">" }), "{html}");
            assert!(html.len() < 2_048, "{tag} has {} bytes", html.len());
        }
    }
}

#[test]
fn languages_differ_in_every_text() {
    for page in PAGES {
        for (at, language) in LANGUAGES.iter().enumerate() {
            for other in &LANGUAGES[..at] {
                let (mine, other_text) = (page.text(language), page.text(other));
                assert!(
                    mine.0 != other_text.0 && mine.1 != other_text.1,
                    "{} is {}",
                    language.tag,
                    other.tag
                );
            }
        }
    }
}

#[test]
fn policy_lets_in_the_one_style_and_nothing_else() {
    let response = Page::NoLink.answer(&Method::GET, &HeaderMap::new());
    let policy = response.headers()["content-security-policy"].to_str().unwrap();
    let html = Page::NoLink.html(&LANGUAGES[0]);
    let style = html.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
    let hash = STANDARD.encode(Sha256::digest(style));
    let expected = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    assert_eq!(policy, expected);
    for outside in ["src=", "href=", "url(", "@import", "style=", "<script", "http:", "https:"] {
        assert!(!html.contains(outside), "{outside}");
    }
}

#[test]
fn head_gets_the_headers_of_get() {
    for page in PAGES {
        for accept in ["text/html", "application/json"] {
            let get = page.answer(&Method::GET, &of("accept", accept));
            let head = page.answer(&Method::HEAD, &of("accept", accept));
            let length = get.body().size_hint().exact().unwrap();
            assert_eq!(head.headers()["content-length"], length.to_string().as_str());
            assert_eq!(head.body().size_hint().exact(), Some(0));
            let mut rest = head.headers().clone();
            rest.remove("content-length");
            assert_eq!(&rest, get.headers());
        }
    }
}

#[test]
fn programs_get_json_in_the_language_that_they_ask_for() {
    let mut headers = of("accept", "application/json");
    headers.extend(of("accept-language", "de-AT"));
    let response = Page::Expired.answer(&Method::GET, &headers);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["content-language"], "de");
    assert_eq!(response.headers()["vary"], "Accept, Accept-Language");
    assert!(!response.headers().contains_key("content-security-policy"));
    let json: serde_json::Value = serde_json::from_str(&Page::Expired.json(&LANGUAGES[1]).unwrap()).unwrap();
    assert_eq!(
        json,
        serde_json::json!({"status": 410, "reason": "LINK_EXPIRED", "message": "Dieser Link ist abgelaufen"})
    );
}

#[test]
fn no_answer_makes_a_browser_ask_again() {
    for response in [empty(StatusCode::FOUND), Page::NoLink.answer(&Method::GET, &HeaderMap::new())] {
        assert!(response.headers().contains_key("accept-ch"));
        assert!(!response.headers().contains_key("critical-ch"));
    }
}
