//! The brands that browsers call themselves by.

use super::field::Member;
use crate::{
    classify::user_agent::version::leading_version,
    domain::client::{Browser, Version},
};

/// Says how much a brand tells of the browser; more comes later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// The engine, which many browsers share.
    Engine,
    /// Chrome, whose brand others may take.
    Common,
    /// An app's view of a page.
    WebView,
    /// A browser by its own name.
    Own,
}

/// Says whose versions a brand's are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Numbers {
    /// The engine's: that is how the browser is numbered.
    OfEngine,
    /// Its own. Some send the engine's all the same; those say nothing of the browser.
    Own,
}

use Numbers::{OfEngine, Own};

/// What a list of brands tells of the browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Brand {
    pub(super) browser: Browser,
    pub(super) standing: Standing,
    pub(super) version: Option<Version>,
    /// Whether the version is the full one.
    pub(super) is_full: bool,
}

/// Lists brands; of several that are sent the first of this list counts. All others, the made-up ones that Chromium adds
/// (`Not?A_Brand`) among them, are passed over.
const BRANDS: [(&str, Browser, Standing, Numbers); 21] = [
    ("Opera Mini Android", Browser::OperaMini, Standing::Own, Own),
    ("OperaMobile", Browser::Opera, Standing::Own, Own),
    ("Opera GX", Browser::Opera, Standing::Own, Own),
    ("Opera Air", Browser::Opera, Standing::Own, Own),
    ("Opera", Browser::Opera, Standing::Own, Own),
    ("Brave", Browser::Brave, Standing::Own, OfEngine),
    ("Brave Browser", Browser::Brave, Standing::Own, OfEngine),
    ("CocCoc", Browser::CocCoc, Standing::Own, Own),
    ("DuckDuckGo", Browser::DuckDuckGo, Standing::Own, Own),
    ("HuaweiBrowser", Browser::HuaweiBrowser, Standing::Own, Own),
    ("Miui Browser", Browser::MiBrowser, Standing::Own, Own),
    ("Oculus Browser", Browser::MetaQuest, Standing::Own, Own),
    ("Samsung Internet", Browser::SamsungInternet, Standing::Own, Own),
    ("Vivaldi", Browser::Vivaldi, Standing::Own, Own),
    ("Whale", Browser::Whale, Standing::Own, Own),
    ("YaBrowser", Browser::Yandex, Standing::Own, Own),
    ("Yandex", Browser::Yandex, Standing::Own, Own),
    ("Microsoft Edge", Browser::Edge, Standing::Own, OfEngine),
    ("Android WebView", Browser::AndroidWebView, Standing::WebView, OfEngine),
    ("Google Chrome", Browser::Chrome, Standing::Common, OfEngine),
    (ENGINE, Browser::Chrome, Standing::Engine, OfEngine),
];

/// The brand of the engine.
const ENGINE: &str = "Chromium";

/// Lists brands of software that nobody looks through.
const SOFTWARE: [&str; 3] = ["HeadlessChrome", "HeadlessEdg", "Lighthouse"];

/// Finds what two lists of brands tell of the browser: `short` with major versions, `full` with full ones.
pub(super) fn brand(short: &[Member<'_>], full: &[Member<'_>]) -> Option<Brand> {
    let is_sent = |name: &str| short.iter().chain(full).any(|member| member.text == name);
    let (name, browser, standing, numbers) = BRANDS.iter().copied().find(|(name, ..)| is_sent(name))?;
    let version = |list: &[Member<'_>]| {
        let of = |name: &str| list.iter().find(|member| member.text == name).map(|member| &*member.version);
        let text = of(name).filter(|text| numbers == OfEngine || of(ENGINE) != Some(*text));
        text.and_then(leading_version)
    };
    let (short, full) = (version(short), version(full));
    // Where the two differ, the full list holds the engine's.
    let full = full.filter(|full| short.is_none_or(|short| short.major() == full.major()));
    Some(Brand { browser, standing, version: full.or(short), is_full: full.is_some() })
}

/// Tells whether a browser has a brand that we know.
pub(super) fn has_brand(browser: Browser) -> bool {
    BRANDS.iter().any(|(_, known, ..)| *known == browser)
}

/// Finds the brand of software that nobody looks through.
pub(super) fn software(short: &[Member<'_>], full: &[Member<'_>]) -> Option<&'static str> {
    let is_sent = |name: &&str| short.iter().chain(full).any(|member| member.text == *name);
    SOFTWARE.into_iter().find(is_sent)
}

#[cfg(test)]
mod tests {
    use super::{Brand, Browser, Standing, brand, software};
    use crate::classify::user_agent::hints::field::list;

    fn told(short: &str, full: &str) -> Option<(Browser, String)> {
        let version = |brand: Brand| brand.version.map(|version| version.to_string()).unwrap_or_default();
        brand(&list(Some(short)), &list(Some(full))).map(|brand| (brand.browser, version(brand)))
    }

    #[test]
    fn the_name_that_says_most_counts() {
        for (brands, browser, version) in [
            (r#""Not?A_Brand";v="8", "Chromium";v="141", "Google Chrome";v="141""#, Browser::Chrome, "141"),
            (r#""Opera";v="117", "OperaMobile";v="87", "Chromium";v="132""#, Browser::Opera, "87"),
            (r#""Android WebView";v="140", "Opera Mini Android";v="95""#, Browser::OperaMini, "95"),
            (r#""Chromium";v="130", "YaBrowser";v="24.12", "Yowser";v="2.5""#, Browser::Yandex, "24.12"),
            (r#""Chromium";v="118", "Wavebox";v="118""#, Browser::Chrome, "118"),
        ] {
            assert_eq!(told(brands, ""), Some((browser, version.to_owned())), "{brands}");
        }
        assert_eq!(told(r#""Not?A_Brand";v="8""#, ""), None);
        assert_eq!(told("", ""), None);
    }

    #[test]
    fn the_full_version_counts_where_it_is_of_the_same_browser() {
        let opera = r#""Chromium";v="98", "Opera";v="84""#;
        let engine = r#""Chromium";v="98.0.4758.82", "Opera";v="98.0.4758.82""#;
        assert_eq!(told(opera, engine), Some((Browser::Opera, "84".to_owned())));
        assert_eq!(told("", engine), Some((Browser::Opera, String::new())));
        let own = r#""Chromium";v="98.0.4758.82", "Opera";v="84.0.4316.19""#;
        assert_eq!(told(opera, own), Some((Browser::Opera, "84.0.4316.19".to_owned())));
        let other = r#""Chromium";v="98.0.4758.82", "Opera";v="98.1""#;
        assert_eq!(told(opera, other), Some((Browser::Opera, "84".to_owned())));
        let edge = r#""Chromium";v="120", "Microsoft Edge";v="120""#;
        assert_eq!(told(edge, ""), Some((Browser::Edge, "120".to_owned())));
    }

    #[test]
    fn software_has_brands_too() {
        let of = |brands| software(&list(Some(brands)), &[]);
        assert_eq!(of(r#""Chromium";v="124", "HeadlessChrome";v="124""#), Some("HeadlessChrome"));
        assert_eq!(of(r#""Google Chrome";v="119", "Lighthouse";v="11.5.0""#), Some("Lighthouse"));
        assert_eq!(of(r#""Google Chrome";v="119""#), None);
    }

    #[test]
    fn standings_are_in_their_order() {
        assert!(Standing::Engine < Standing::Common && Standing::WebView < Standing::Own);
    }
}
