//! The words that user agents are made of, and what each tells.
//!
//! Each word is one that the product itself sends. Checked against `tests/data/user_agents.tsv` and against the 2,118 user
//! agents that the npm package `crawler-user-agents` 1.60 (MIT) has collected of software.

use crate::domain::client::{
    AutomationKind::{self, Bot, Preview},
    Browser,
    DeviceClass::{self, Console, Mobile, Tablet, Tv, Wearable},
    Os,
};

/// Says what a word tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// Every user agent may have it.
    Noise,
    /// Old Internet Explorer, and software that would like to pass for a browser.
    Compatible,
    /// A browser's engine: people's browsers name one.
    Engine,
    /// Chrome, or something built on it.
    Chrome,
    /// Safari, or something that would like its pages.
    Safari,
    /// `Version/`: of Safari, and of Android's built-in browser.
    Version,
    /// The word `OS`: the version of an Apple system follows.
    Os,
    /// An Android app's view of a page.
    WebView,
    /// A phone's browser, as Android and Firefox say it.
    Mobile,
    /// A browser that names itself.
    Named(Browser),
    /// An app that shows the page inside itself.
    App(Browser),
    /// The version of such an app.
    AppVersion,
    /// Facebook's mark; its value tells which of its apps.
    FacebookApp,
    /// An operating system; a version follows.
    System(Os),
    /// An operating system that others imitate or are built on.
    BaseSystem(Os),
    /// The version of the operating system in the app's own words.
    SystemVersion,
    /// A kind of device.
    Device(DeviceClass),
    /// A device that tells its operating system too.
    DeviceOf(DeviceClass, Os),
    /// Software.
    Automation(AutomationKind),
}

use Sign::{App, Automation, BaseSystem, Device, DeviceOf, Engine, Named, Noise, System};

/// Finds what a word in small letters tells.
pub(super) fn sign(word: &[u8]) -> Option<Sign> {
    let index = WORDS.binary_search_by(|row| row.0.as_bytes().cmp(word)).ok()?;
    Some(WORDS[index].1)
}

/// Finds what a word in small letters tells by how it begins.
pub(super) fn sign_by_prefix(word: &[u8]) -> Option<Sign> {
    PREFIXES.iter().find(|(prefix, _)| word.starts_with(prefix.as_bytes())).map(|(_, sign)| *sign)
}

/// Lists words by how they begin: models, and names with a version stuck to them.
const PREFIXES: [(&str, Sign); 20] = [
    ("aft", DeviceOf(Tv, Os::FireOs)),
    ("appletv", DeviceOf(Tv, Os::TvOs)),
    ("aweme", App(Browser::TikTok)),
    ("bravia", Device(Tv)),
    ("bytedancewebview", App(Browser::TikTok)),
    ("com.zhiliaoapp.musically", App(Browser::TikTok)),
    ("ipad", DeviceOf(Tablet, Os::Ios)),
    ("iphone", DeviceOf(Mobile, Os::Ios)),
    ("ipod", DeviceOf(Mobile, Os::Ios)),
    ("kf", DeviceOf(Tablet, Os::FireOs)),
    ("mitv", Device(Tv)),
    ("musical_ly", App(Browser::TikTok)),
    ("pocketbook", Device(Tablet)),
    ("sm-p", Device(Tablet)),
    ("sm-r", Device(Wearable)),
    ("sm-t", Device(Tablet)),
    ("sm-x", Device(Tablet)),
    ("trill_", App(Browser::TikTok)),
    ("ultralite", App(Browser::TikTok)),
    ("webos.tv", DeviceOf(Tv, Os::WebOs)),
];

/// Lists words in small letters, sorted.
#[rustfmt::skip]
const WORDS: &[(&str, Sign)] = &[
    ("2in1", Device(DeviceClass::Desktop)), ("__weibo__", App(Browser::Weibo)), ("aarch64", Noise),
    ("adbeat.com", Automation(Bot)), ("adr", System(Os::Android)), ("aiohttp", Automation(Bot)),
    ("akkoma", Automation(Preview)), ("aliapp", App(Browser::Alipay)),
    ("alipayclient", App(Browser::Alipay)), ("alohabrowser", Named(Browser::Aloha)), ("amd64", Noise),
    ("andr0id", System(Os::Android)), ("android", System(Os::Android)), ("androidtv", Device(Tv)),
    ("apache-httpclient", Automation(Bot)), ("apis-google", Automation(Bot)),
    ("app_version", Sign::AppVersion), ("appinsights", Automation(Bot)), ("applewebkit", Engine),
    ("archive.org_bot", Automation(Bot)), ("arkweb", Named(Browser::Other)), ("arm", Noise),
    ("arm_64", Noise), ("armv7l", Noise), ("armv8l", Noise), ("automotive", Device(DeviceClass::Other)),
    ("axios", Automation(Bot)), ("baiduboxapp", App(Browser::Baidu)), ("baidubrowser", App(Browser::Baidu)),
    ("barcelona", App(Browser::Threads)), ("basilisk", Named(Browser::Other)),
    ("bb10", Named(Browser::Other)), ("bidubrowser", App(Browser::Baidu)), ("bingpreview", Automation(Bot)),
    ("bingsapphire", App(Browser::BingApp)), ("bingweb", App(Browser::BingApp)),
    ("blackberry", Named(Browser::Other)), ("blackbox", Automation(Bot)),
    ("bluesky-domain-status-classifier", Automation(Bot)), ("blueskypreviewbot", Automation(Preview)),
    ("boox", Device(Tablet)), ("brave", Named(Browser::Brave)), ("bravebrowser", Named(Browser::Brave)),
    ("bufferlinkpreviewbot", Automation(Preview)), ("build", Noise), ("cardyb", Automation(Preview)),
    ("carplay", Device(DeviceClass::Other)), ("catchpoint", Automation(Bot)),
    ("cfnetwork", Automation(Bot)), ("channel", Noise), ("chatgpt-user", Automation(Bot)),
    ("checkly", Automation(Bot)), ("chrome", Sign::Chrome), ("chrome-lighthouse", Automation(Bot)),
    ("chromecast", Device(Tv)), ("chromium", Sign::Chrome), ("claude-code", Automation(Bot)),
    ("claude-user", Automation(Bot)), ("clickuplinkunfurler", Automation(Preview)),
    ("cloudflare-alwaysonline", Automation(Bot)), ("coc_coc_browser", Named(Browser::CocCoc)),
    ("cohere-ai", Automation(Bot)), ("collapsify", Automation(Bot)), ("compatible", Sign::Compatible),
    ("cookiehubscan", Automation(Bot)), ("cookiehubverify", Automation(Bot)), ("cpu", Noise),
    ("crios", Sign::Chrome), ("criticalcss.com", Automation(Bot)), ("crkey", Device(Tv)),
    ("crmo", Sign::Chrome), ("cros", System(Os::ChromeOs)), ("curl", Automation(Bot)),
    ("cypress", Automation(Bot)), ("dalvik", Automation(Bot)), ("dareboost", Automation(Bot)),
    ("dark", Noise), ("dart", Automation(Bot)), ("datadog", Automation(Bot)),
    ("datadogsynthetics", Automation(Bot)), ("datanyze", Automation(Bot)), ("daum", Automation(Bot)),
    ("daumoa", Automation(Bot)), ("ddg", Named(Browser::DuckDuckGo)), ("debian", BaseSystem(Os::Linux)),
    ("devin", Automation(Bot)), ("diffbot", Automation(Bot)), ("dillo", Named(Browser::Other)),
    ("dingtalkbot-linkservice", Automation(Preview)), ("discord", App(Browser::Discord)),
    ("discord-android", App(Browser::Discord)), ("discordbot", Automation(Preview)),
    ("dragonfly", System(Os::Bsd)), ("dtv", Device(Tv)), ("duckassistbot", Automation(Bot)),
    ("duckduckgo", Named(Browser::DuckDuckGo)), ("duplexweb-google", Automation(Bot)),
    ("ecosia", Named(Browser::Ecosia)), ("edg", Named(Browser::Edge)), ("edga", Named(Browser::Edge)),
    ("edge", Named(Browser::Edge)), ("edgios", Named(Browser::Edge)), ("edgw", Named(Browser::Edge)),
    ("elb-healthchecker", Automation(Bot)), ("electron", Named(Browser::Other)),
    ("elinks", Named(Browser::Other)), ("embedly", Automation(Preview)), ("en", Noise), ("en-us", Noise),
    ("epiphany", Named(Browser::Other)), ("evernoterichlinkbot", Automation(Preview)),
    ("facebook", App(Browser::Facebook)), ("facebookcatalog", Automation(Bot)),
    ("facebookexternalhit", Automation(Preview)), ("facebot", Automation(Preview)),
    ("falkon", Named(Browser::Other)), ("faraday", Automation(Bot)), ("fb4a", App(Browser::Facebook)),
    ("fb_iab", Sign::FacebookApp), ("fban", Sign::FacebookApp), ("fbav", Sign::AppVersion),
    ("fbsv", Sign::SystemVersion), ("fedora", BaseSystem(Os::Linux)), ("feedburner", Automation(Bot)),
    ("feeder.co", Automation(Bot)), ("feedly", Automation(Bot)), ("firefox", Named(Browser::Firefox)),
    ("flipboardproxy", Automation(Bot)), ("focus", Named(Browser::Firefox)), ("for", Noise),
    ("foregenix", Automation(Bot)), ("freebsd", System(Os::Bsd)), ("freshping", Automation(Bot)),
    ("friendica", Automation(Preview)), ("fxios", Named(Browser::Firefox)), ("gecko", Engine),
    ("gemini-deep-research", Automation(Bot)), ("github-camo", Automation(Bot)),
    ("glass", Device(Wearable)), ("go-http-client", Automation(Bot)), ("goanna", Engine),
    ("google-ads-conversions", Automation(Bot)), ("google-agent", Automation(Bot)),
    ("google-cloudvertexbot", Automation(Bot)), ("google-inspectiontool", Automation(Bot)),
    ("google-notebooklm", Automation(Bot)), ("google-pagerenderer", Automation(Preview)),
    ("google-read-aloud", Automation(Bot)), ("google-safety", Automation(Bot)),
    ("google-site-verification", Automation(Bot)), ("google-web-preview", Automation(Bot)),
    ("googleassociationservice", Automation(Bot)), ("googleimageproxy", Automation(Bot)),
    ("googleother", Automation(Bot)), ("googletv", Device(Tv)), ("gotosocial", Automation(Preview)),
    ("groupmebot", Automation(Preview)), ("gsa", App(Browser::GoogleApp)), ("gtmetrix", Automation(Bot)),
    ("guzzlehttp", Automation(Bot)), ("gzip", Noise), ("hardenize", Automation(Bot)),
    ("harmony", System(Os::HarmonyOs)), ("harmonyos", System(Os::HarmonyOs)),
    ("hbbtv", Named(Browser::TvBrowser)), ("headlesschrome", Automation(Bot)),
    ("headlesschromium", Sign::Chrome), ("heritrix", Automation(Bot)), ("hetrixtools", Automation(Bot)),
    ("heytapbrowser", Named(Browser::HeyTapBrowser)), ("hotjar", Automation(Bot)),
    ("htmlunit", Automation(Bot)), ("http.rb", Automation(Bot)), ("httpie", Automation(Bot)),
    ("httpx", Automation(Bot)), ("huaweibrowser", Named(Browser::HuaweiBrowser)), ("i686", Noise),
    ("ia_archiver", Automation(Bot)), ("iabmv", Noise), ("iemobile", Named(Browser::InternetExplorer)),
    ("iframely", Automation(Preview)), ("inettvbrowser", Device(Tv)), ("inoreader", Automation(Bot)),
    ("insomnia", Automation(Bot)), ("instagram", App(Browser::Instagram)), ("intel", Noise),
    ("ios", System(Os::Ios)), ("ipados", System(Os::Ios)), ("ips-agent", Automation(Bot)),
    ("j2me", Device(Mobile)), ("jakarta", Automation(Bot)), ("java", Automation(Bot)), ("jssdk", Noise),
    ("k", Noise), ("kaios", System(Os::KaiOs)), ("kakaotalk", App(Browser::KakaoTalk)),
    ("kakaotalk-scrap", Automation(Preview)), ("keybasebot", Automation(Preview)), ("khtml", Engine),
    ("kindle", Device(Tablet)), ("klar", Named(Browser::Firefox)), ("kobo", Device(Tablet)),
    ("konqueror", Named(Browser::Other)), ("kube-probe", Automation(Bot)),
    ("ladybird", Named(Browser::Other)), ("language", Noise), ("lemmy", Automation(Preview)),
    ("libwww-perl", Automation(Bot)), ("like", Noise), ("line", App(Browser::Line)),
    ("line-poker", Automation(Preview)), ("linkedinapp", App(Browser::LinkedIn)),
    ("linkedinbot", Automation(Preview)), ("links", Named(Browser::Other)), ("linktiger", Automation(Bot)),
    ("linux", BaseSystem(Os::Linux)), ("lynx", Named(Browser::Other)), ("mac", Noise),
    ("macintosh", System(Os::MacOs)), ("macos", System(Os::MacOs)), ("manus-user", Automation(Bot)),
    ("maple", Device(Tv)), ("masscan", Automation(Bot)), ("mastodon", Automation(Preview)),
    ("mattermost", Automation(Preview)), ("mattermost-bot", Automation(Preview)),
    ("maxthon", Named(Browser::Other)), ("mediapartners-google", Automation(Bot)),
    ("mediumbot-metatagfetcher", Automation(Preview)), ("meta-externalagent", Automation(Bot)),
    ("meta-externalfetcher", Automation(Bot)), ("meta-externalhit", Automation(Preview)),
    ("meta-webindexer", Automation(Bot)), ("metasr", Named(Browser::Sogou)),
    ("micromessenger", App(Browser::WeChat)), ("microsoftpreview", Automation(Preview)),
    ("midp", Device(Mobile)), ("miniature.io", Automation(Bot)), ("misskey", Automation(Preview)),
    ("mistralai-user", Automation(Bot)), ("miuibrowser", Named(Browser::MiBrowser)),
    ("mobile", Sign::Mobile), ("mozilla", Noise), ("mqqbrowser", Named(Browser::QqBrowser)),
    ("msie", Named(Browser::InternetExplorer)), ("musically", App(Browser::TikTok)),
    ("mxbrowser", Named(Browser::Other)), ("naver", App(Browser::Naver)), ("netbsd", System(Os::Bsd)),
    ("netcast", DeviceOf(Tv, Os::WebOs)), ("netfront", Engine), ("netnewswire", Automation(Bot)),
    ("netrange", Device(Tv)), ("netrangemmh", Device(Tv)), ("netsurf", Named(Browser::Other)),
    ("nettype", Noise), ("newrelicminion", Automation(Bot)), ("newrelicpinger", Automation(Bot)),
    ("newsblur", Automation(Bot)), ("nikto", Automation(Bot)),
    ("nintendo", DeviceOf(Console, Os::Nintendo)), ("nintendobrowser", Named(Browser::Nintendo)),
    ("nitro-optimizer-agent", Automation(Bot)), ("nmap", Automation(Bot)), ("node-fetch", Automation(Bot)),
    ("notionembedder", Automation(Preview)), ("novaact", Automation(Bot)), ("nt", Noise),
    ("nuclei", Automation(Bot)), ("nutch", Automation(Bot)), ("oculus", Device(Wearable)),
    ("oculusbrowser", Named(Browser::MetaQuest)), ("odklbot", Automation(Preview)),
    ("okhttp", Automation(Bot)), ("omi", Named(Browser::TvBrowser)), ("openbsd", System(Os::Bsd)),
    ("opengraph.io", Automation(Preview)), ("openharmony", System(Os::HarmonyOs)),
    ("opera", Named(Browser::Opera)), ("opios", Named(Browser::Opera)),
    ("oppobrowser", Named(Browser::HeyTapBrowser)), ("opr", Named(Browser::Opera)),
    ("oprgx", Named(Browser::Opera)), ("opt", Named(Browser::Opera)), ("opx", Named(Browser::Opera)),
    ("os", Sign::Os), ("palemoon", Named(Browser::Other)), ("pc", Device(DeviceClass::Desktop)),
    ("perplexity-user", Automation(Bot)), ("phantomjs", Automation(Bot)), ("phone", Device(Mobile)),
    ("pico", Device(Wearable)), ("pinterest", App(Browser::Pinterest)),
    ("playstation", DeviceOf(Console, Os::PlayStation)),
    ("playstation4", DeviceOf(Console, Os::PlayStation)),
    ("playstation5", DeviceOf(Console, Os::PlayStation)), ("playstore-google", Automation(Bot)),
    ("playwright", Automation(Bot)), ("pleroma", Automation(Preview)),
    ("polestar", Device(DeviceClass::Other)), ("postmanruntime", Automation(Bot)), ("ppc", Noise),
    ("prerender", Automation(Bot)), ("presto", Engine), ("printfriendly.com", Automation(Bot)),
    ("profile", Device(Mobile)), ("ptst", Automation(Bot)), ("puffin", Named(Browser::Puffin)),
    ("puppeteer", Automation(Bot)), ("pwabuilderhttpagent", Automation(Bot)),
    ("python-httpx", Automation(Bot)), ("python-requests", Automation(Bot)),
    ("python-urllib", Automation(Bot)), ("qq", App(Browser::Qq)), ("qqbrowser", Named(Browser::QqBrowser)),
    ("qtcarbrowser", Named(Browser::Other)), ("qtwebengine", Named(Browser::Other)),
    ("quark", Named(Browser::Quark)), ("quarkpc", Named(Browser::Quark)), ("quest", Device(Wearable)),
    ("quora-bot", Automation(Bot)), ("qutebrowser", Named(Browser::Other)),
    ("reddit", App(Browser::Reddit)), ("redditbot", Automation(Preview)), ("rigor", Automation(Bot)),
    ("rocket.chat", Automation(Preview)), ("roku", DeviceOf(Tv, Os::RokuOs)),
    ("ruxitsynthetic", Automation(Bot)), ("safari", Sign::Safari),
    ("samsungbrowser", Named(Browser::SamsungInternet)), ("scope3", Automation(Bot)),
    ("scrapy", Automation(Bot)), ("seamonkey", Named(Browser::Firefox)),
    ("securityheaders", Automation(Bot)), ("selenium", Automation(Bot)), ("servo", Engine),
    ("sharkey", Automation(Preview)), ("shield", Device(Tv)), ("shopify", Automation(Bot)),
    ("silk", Named(Browser::Silk)), ("silktide", Automation(Bot)), ("sindup", Automation(Bot)),
    ("site24x7", Automation(Bot)), ("siteimprove", Automation(Bot)), ("siteimprove.com", Automation(Bot)),
    ("skypeuripreview", Automation(Preview)), ("slack", App(Browser::Slack)),
    ("slack-imgproxy", Automation(Bot)), ("slack_ssb", App(Browser::Slack)),
    ("slackbot", Automation(Preview)), ("slackbot-linkexpanding", Automation(Preview)),
    ("slimerjs", Automation(Bot)), ("slurp", Automation(Bot)), ("smart-tv", Device(Tv)),
    ("smartcast", Device(Tv)), ("smarttv", Device(Tv)), ("smarttvbrowser", Named(Browser::TvBrowser)),
    ("snapchat", App(Browser::Snapchat)), ("snapurlpreview", Automation(Preview)),
    ("sogoumobilebrowser", Named(Browser::Sogou)), ("splash", Automation(Bot)), ("sqlmap", Automation(Bot)),
    ("statuscake", Automation(Bot)), ("steamchaturllookup", Automation(Preview)),
    ("sucuri", Automation(Bot)), ("summalybot", Automation(Preview)), ("synapse", Automation(Preview)),
    ("tablet", Device(Tablet)), ("teams", App(Browser::Teams)),
    ("teamsmobile-android", App(Browser::Teams)), ("teamsmobile-ios", App(Browser::Teams)),
    ("telegram", App(Browser::Telegram)), ("telegram-android", App(Browser::Telegram)),
    ("telegrambot", Automation(Preview)), ("tesla", Device(DeviceClass::Other)),
    ("thousandeyes", Automation(Bot)), ("tiktok", App(Browser::TikTok)), ("tizen", System(Os::Tizen)),
    ("tolino", Device(Tablet)), ("touchpad", Device(Tablet)), ("trident", Engine), ("tv", Device(Tv)),
    ("tvos", System(Os::TvOs)), ("twitter", App(Browser::X)), ("twitterandroid", App(Browser::X)),
    ("twitterbot", Automation(Preview)), ("u", Noise), ("ubrowser", Named(Browser::UcBrowser)),
    ("ubuntu", BaseSystem(Os::Linux)), ("ucbrowser", Named(Browser::UcBrowser)),
    ("ucweb", Named(Browser::UcBrowser)), ("undici", Automation(Bot)), ("uptime-kuma", Automation(Bot)),
    ("usb", Noise), ("vercel-screenshot", Automation(Bot)), ("version", Sign::Version),
    ("viber", App(Browser::Viber)), ("vidaa", DeviceOf(Tv, Os::Vidaa)), ("viera", Device(Tv)),
    ("visionos", System(Os::VisionOs)), ("vivaldi", Named(Browser::Vivaldi)),
    ("vivobrowser", Named(Browser::VivoBrowser)), ("vkandroidapp", App(Browser::Vk)),
    ("vkclient", App(Browser::Vk)), ("vkshare", Automation(Preview)), ("vr", Device(Wearable)),
    ("w3m", Named(Browser::Other)), ("watch", Device(Wearable)), ("watchos", System(Os::WatchOs)),
    ("watchtowr", Automation(Bot)), ("waterfox", Named(Browser::Other)), ("wayland", BaseSystem(Os::Linux)),
    ("wear", DeviceOf(Wearable, Os::WearOs)), ("wearos", DeviceOf(Wearable, Os::WearOs)),
    ("web0s", DeviceOf(Tv, Os::WebOs)), ("webappmanager", DeviceOf(Tv, Os::WebOs)), ("webkit", Engine),
    ("webos", DeviceOf(Tv, Os::WebOs)), ("wechat", App(Browser::WeChat)), ("weibo", App(Browser::Weibo)),
    ("wget", Automation(Bot)), ("whale", Named(Browser::Whale)), ("whatsapp", App(Browser::WhatsApp)),
    ("wifi", Noise), ("win64", Noise), ("windows", System(Os::Windows)),
    ("windowswechat", App(Browser::WeChat)), ("wordpress", Automation(Bot)), ("wow64", Noise),
    ("wv", Sign::WebView), ("x", Noise), ("x11", BaseSystem(Os::Linux)), ("x64", Noise), ("x86_64", Noise),
    ("xbox", DeviceOf(Console, Os::Xbox)), ("xhsdiscover", App(Browser::Xiaohongshu)),
    ("xiaohongshu", App(Browser::Xiaohongshu)), ("xing-contenttabreceiver", Automation(Preview)),
    ("xros", System(Os::VisionOs)), ("yabrowser", Named(Browser::Yandex)),
    ("yahoomailproxy", Automation(Bot)), ("yasearchbrowser", Named(Browser::Yandex)),
    ("yeti", Automation(Bot)), ("youchat", Automation(Bot)), ("youtube", App(Browser::YouTube)),
    ("yowser", Named(Browser::Yandex)), ("zalo", App(Browser::Zalo)), ("zgrab", Automation(Bot)),
];

#[cfg(test)]
mod tests {
    use super::{PREFIXES, Sign, WORDS, sign, sign_by_prefix};

    #[test]
    fn words_are_sorted_and_in_small_letters() {
        for pair in WORDS.windows(2) {
            assert!(pair[0].0 < pair[1].0, "{} stands before {}", pair[0].0, pair[1].0);
        }
        for word in WORDS.iter().chain(&PREFIXES) {
            assert_eq!(word.0, word.0.to_ascii_lowercase());
        }
    }

    #[test]
    fn words_are_found_whole_and_prefixes_by_their_beginning() {
        assert_eq!(sign(b"chrome"), Some(Sign::Chrome));
        assert_eq!(sign(b"chrom"), None);
        assert!(sign_by_prefix(b"sm-t733").is_some());
        assert_eq!(sign_by_prefix(b"sm-s918b"), None);
    }
}
