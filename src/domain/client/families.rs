//! The families of operating systems and browsers that rules can name.

use crate::domain::named::named_enum;

named_enum! {
    /// Names a family of operating systems.
    pub enum Os: "operating system" {
        /// Android on phones, tablets, televisions and headsets.
        Android = "android",
        /// iOS and iPadOS: one family.
        Ios = "ios",
        /// Windows, on phones too.
        Windows = "windows",
        /// macOS; an iPad that asks for desktop pages says so too.
        MacOs = "macos",
        /// `ChromeOS`.
        ChromeOs = "chrome_os",
        /// Linux and other free desktops.
        Linux = "linux",
        /// `HarmonyOS` and `OpenHarmony`.
        HarmonyOs = "harmony_os",
        /// Fire OS on Amazon's tablets and televisions.
        FireOs = "fire_os",
        /// `KaiOS` on feature phones.
        KaiOs = "kai_os",
        /// watchOS.
        WatchOs = "watchos",
        /// visionOS.
        VisionOs = "visionos",
        /// tvOS.
        TvOs = "tvos",
        /// Wear OS.
        WearOs = "wear_os",
        /// Tizen on televisions, watches and appliances.
        Tizen = "tizen",
        /// webOS on televisions.
        WebOs = "webos",
        /// Roku OS.
        RokuOs = "roku_os",
        /// VIDAA on televisions.
        Vidaa = "vidaa",
        /// The system of the `PlayStation` consoles.
        PlayStation = "playstation",
        /// The system of the Xbox consoles.
        Xbox = "xbox",
        /// The system of Nintendo's consoles.
        Nintendo = "nintendo",
        /// FreeBSD, OpenBSD, NetBSD.
        Bsd = "bsd",
        /// A system that fits no other family.
        Other = "other",
    }
}

named_enum! {
    /// Names a family of browsers, or an app that shows pages inside itself.
    pub enum Browser: "browser" {
        /// Google Chrome, and Chromium browsers that do not name themselves.
        Chrome = "chrome",
        /// Safari.
        Safari = "safari",
        /// Firefox, Firefox Focus, Tor Browser.
        Firefox = "firefox",
        /// Microsoft Edge.
        Edge = "edge",
        /// Internet Explorer.
        InternetExplorer = "internet_explorer",
        /// Opera, Opera GX, Opera Touch.
        Opera = "opera",
        /// Opera Mini, whose pages pass through Opera's servers.
        OperaMini = "opera_mini",
        /// Samsung Internet.
        SamsungInternet = "samsung_internet",
        /// Brave, where it says so.
        Brave = "brave",
        /// Vivaldi.
        Vivaldi = "vivaldi",
        /// The `DuckDuckGo` browser.
        DuckDuckGo = "duckduckgo",
        /// Ecosia.
        Ecosia = "ecosia",
        /// Yandex Browser.
        Yandex = "yandex",
        /// UC Browser.
        UcBrowser = "uc_browser",
        /// QQ Browser.
        QqBrowser = "qq_browser",
        /// Mi Browser.
        MiBrowser = "mi_browser",
        /// Huawei Browser.
        HuaweiBrowser = "huawei_browser",
        /// `HeyTap` Browser on Oppo, Realme and `OnePlus` phones.
        HeyTapBrowser = "heytap_browser",
        /// Vivo Browser.
        VivoBrowser = "vivo_browser",
        /// Naver Whale.
        Whale = "whale",
        /// Cốc Cốc.
        CocCoc = "coc_coc",
        /// Sogou Explorer.
        Sogou = "sogou",
        /// Quark.
        Quark = "quark",
        /// Puffin.
        Puffin = "puffin",
        /// Aloha.
        Aloha = "aloha",
        /// Amazon Silk.
        Silk = "silk",
        /// Oculus and Meta Quest Browser.
        MetaQuest = "meta_quest",
        /// The stock browser of old Android.
        AndroidBrowser = "android_browser",
        /// The browser built into a television.
        TvBrowser = "tv_browser",
        /// The browser of the `PlayStation` consoles.
        PlayStation = "playstation",
        /// The browser of Nintendo's consoles.
        Nintendo = "nintendo",
        /// The Google app.
        GoogleApp = "google_app",
        /// The Bing app.
        BingApp = "bing_app",
        /// The Baidu app and browser.
        Baidu = "baidu",
        /// Facebook.
        Facebook = "facebook",
        /// Messenger.
        Messenger = "messenger",
        /// Instagram.
        Instagram = "instagram",
        /// Threads.
        Threads = "threads",
        /// `WhatsApp`.
        WhatsApp = "whatsapp",
        /// `TikTok` and Douyin.
        TikTok = "tiktok",
        /// Snapchat.
        Snapchat = "snapchat",
        /// Pinterest.
        Pinterest = "pinterest",
        /// X, once Twitter.
        X = "x",
        /// `LinkedIn`.
        LinkedIn = "linkedin",
        /// Reddit.
        Reddit = "reddit",
        /// `YouTube`.
        YouTube = "youtube",
        /// Telegram.
        Telegram = "telegram",
        /// Viber.
        Viber = "viber",
        /// Discord.
        Discord = "discord",
        /// Slack.
        Slack = "slack",
        /// Microsoft Teams.
        Teams = "teams",
        /// Line.
        Line = "line",
        /// `KakaoTalk`.
        KakaoTalk = "kakaotalk",
        /// Naver.
        Naver = "naver",
        /// `WeChat`.
        WeChat = "wechat",
        /// QQ.
        Qq = "qq",
        /// Weibo.
        Weibo = "weibo",
        /// Xiaohongshu (`RedNote`).
        Xiaohongshu = "xiaohongshu",
        /// Alipay.
        Alipay = "alipay",
        /// Zalo.
        Zalo = "zalo",
        /// VK.
        Vk = "vk",
        /// An Android app that does not name itself.
        AndroidWebView = "android_webview",
        /// An app on iOS or macOS that does not name itself.
        AppleWebView = "apple_webview",
        /// A browser that fits no other family.
        Other = "other",
    }
}
