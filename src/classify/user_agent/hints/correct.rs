//! Lays what the hints tell over what the user agent says.

use super::{
    ClientHints,
    brands::{self, Brand, Standing},
    field::{self, Member},
};
use crate::{
    classify::user_agent::version::leading_version,
    domain::{
        client::{Automation, AutomationKind, Browser, DeviceClass, Os, UserAgent, Version},
        fact::Fact,
    },
};

/// Corrects what a person's user agent says.
pub(super) fn lay_over(said: &UserAgent, hints: &ClientHints<'_>) -> UserAgent {
    let (short, full) = (field::list(hints.brands), field::list(hints.full_versions));
    let platform = field::text(hints.platform).and_then(|name| platform(&name));
    let mobile = field::boolean(hints.mobile);
    let os = os(said.os.known(), platform);
    let said_version = said.os_version.known().filter(|_| said.os.known() == os);
    let os_version = platform.filter(|platform| os == Some(*platform)).and_then(|platform| {
        let text = field::text(hints.platform_version)?;
        release(platform, leading_version(&text)?)
    });
    let (browser, browser_version) = browser(said, brands::brand(&short, &full));
    let software = brands::software(&short, &full);
    UserAgent {
        device: Fact::or_unknown(device(said, os, mobile, form_factor(&field::list(hints.form_factors)))),
        os: Fact::or_unknown(os),
        os_version: Fact::or_unknown(os_version.or(said_version)),
        browser: Fact::or_unknown(browser),
        browser_version: Fact::or_unknown(browser_version),
        automation: software.map(|name| Automation { kind: AutomationKind::Bot, name: name.into() }),
    }
}

/// Reads the name of a platform; names that are none of ours, `Unknown` among them, tell nothing.
fn platform(name: &str) -> Option<Os> {
    [
        ("Android", Os::Android),
        ("Chrome OS", Os::ChromeOs),
        ("Chromium OS", Os::ChromeOs),
        ("ChromeOS", Os::ChromeOs),
        ("FreeBSD", Os::Bsd),
        ("Linux", Os::Linux),
        ("NetBSD", Os::Bsd),
        ("OpenBSD", Os::Bsd),
        ("Windows", Os::Windows),
        ("iOS", Os::Ios),
        ("macOS", Os::MacOs),
    ]
    .into_iter()
    .find_map(|(known, os)| (name == known).then_some(os))
}

/// Decides on the system: the platform, unless the user agent names a system that is built on it.
fn os(said: Option<Os>, platform: Option<Os>) -> Option<Os> {
    let refines = said.zip(platform).is_some_and(|(said, platform)| is_built_on(said, platform));
    if refines { said } else { platform.or(said) }
}

fn is_built_on(os: Os, platform: Os) -> bool {
    matches!(
        (platform, os),
        (Os::Android, Os::FireOs | Os::HarmonyOs | Os::WearOs | Os::Vidaa)
            | (
                Os::Linux,
                Os::Android
                    | Os::FireOs
                    | Os::HarmonyOs
                    | Os::KaiOs
                    | Os::WearOs
                    | Os::Tizen
                    | Os::WebOs
                    | Os::RokuOs
                    | Os::Vidaa
                    | Os::PlayStation
                    | Os::Nintendo
            )
            | (Os::Windows, Os::Xbox)
            | (Os::Ios, Os::TvOs | Os::WatchOs | Os::VisionOs)
    )
}

/// Turns the version of a platform into that of the system.
fn release(os: Os, version: Version) -> Option<Version> {
    match os {
        Os::Windows => windows_release(version),
        Os::Android | Os::MacOs | Os::Ios | Os::ChromeOs => (version.major() > 0).then_some(version),
        // A kernel's.
        Os::Linux | Os::Bsd => None,
        Os::HarmonyOs
        | Os::FireOs
        | Os::KaiOs
        | Os::WatchOs
        | Os::VisionOs
        | Os::TvOs
        | Os::WearOs
        | Os::Tizen
        | Os::WebOs
        | Os::RokuOs
        | Os::Vidaa
        | Os::PlayStation
        | Os::Xbox
        | Os::Nintendo
        | Os::Other => None,
    }
}

/// Reads Windows: from 13 on it is 11, below 10, and 0.1, 0.2 and 0.3 stand for 7, 8 and 8.1.
fn windows_release(version: Version) -> Option<Version> {
    match version.major() {
        0 => [(Version::new(0, 1), (7, 0)), (Version::new(0, 2), (8, 0)), (Version::new(0, 3), (8, 1))]
            .into_iter()
            .find_map(|(known, (major, minor))| (version == known).then_some(Version::new(major, minor))),
        1..13 => Some(Version::new(10, 0)),
        13.. => Some(Version::new(11, 0)),
    }
}

/// Decides on the browser and its version.
fn browser(said: &UserAgent, brand: Option<Brand>) -> (Option<Browser>, Option<Version>) {
    let (browser, version) = (said.browser.known(), said.browser_version.known());
    let Some(brand) = brand.filter(|brand| says_more(brand, browser)) else { return (browser, version) };
    let same = version.filter(|_| browser == Some(brand.browser));
    let told = match (brand.version, same) {
        // The user agent may say more of the same version than a brand with its major one.
        (Some(told), Some(said)) if !brand.is_full && told.major() == said.major() => Some(told.max(said)),
        (Some(told), _) => Some(told),
        (None, same) => same,
    };
    (Some(brand.browser), told)
}

/// Tells whether a brand says more of the browser than the user agent does. An app that names itself keeps its name.
fn says_more(brand: &Brand, said: Option<Browser>) -> bool {
    match (said, brand.standing) {
        (None, _) => true,
        (Some(said), _) if said == brand.browser => true,
        (Some(Browser::Other), Standing::Own) | (Some(Browser::Chrome), Standing::WebView) => true,
        (Some(said), Standing::Own) => brands::has_brand(said),
        (Some(_), Standing::WebView | Standing::Common | Standing::Engine) => false,
    }
}

/// Reads what kinds of device it is; of several the rarer counts.
fn form_factor(factors: &[Member<'_>]) -> Option<DeviceClass> {
    [
        ("Watch", DeviceClass::Wearable),
        ("XR", DeviceClass::Wearable),
        ("Automotive", DeviceClass::Other),
        ("Tablet", DeviceClass::Tablet),
        ("Mobile", DeviceClass::Mobile),
        ("EInk", DeviceClass::Tablet),
        ("Desktop", DeviceClass::Desktop),
    ]
    .into_iter()
    .find_map(|(name, class)| factors.iter().any(|factor| factor.text == name).then_some(class))
}

/// Decides on the class of device: what a form factor cannot say stays, then the form factor counts, then `?1`.
fn device(
    said: &UserAgent,
    os: Option<Os>,
    mobile: Option<bool>,
    form_factor: Option<DeviceClass>,
) -> Option<DeviceClass> {
    let class = said.device.known();
    if let Some(DeviceClass::Tv | DeviceClass::Console | DeviceClass::Wearable) = class {
        return class;
    }
    // An emulated phone says `?1` and yet that it is a desktop.
    let form_factor = form_factor.filter(|told| *told != DeviceClass::Desktop || mobile != Some(true));
    let told = form_factor.or((mobile == Some(true)).then_some(DeviceClass::Mobile));
    // A class that was concluded from another system is none.
    told.or_else(|| if os == said.os.known() { class } else { usual(os?, mobile) })
}

fn usual(os: Os, mobile: Option<bool>) -> Option<DeviceClass> {
    let is_desktop = matches!(os, Os::Windows | Os::MacOs | Os::ChromeOs | Os::Linux | Os::Bsd);
    let is_tablet = os == Os::Android && mobile == Some(false);
    is_desktop.then_some(DeviceClass::Desktop).or(is_tablet.then_some(DeviceClass::Tablet))
}
