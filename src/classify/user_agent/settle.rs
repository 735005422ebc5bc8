//! Weighs what the words of a user agent tell against each other.

use crate::domain::{
    client::{Browser, DeviceClass, Os, UserAgent, Version},
    fact::Fact,
};

use super::{signs::Signs, version::leading_version};

/// Decides what a user agent says.
pub(super) fn settle(mut signs: Signs<'_>) -> UserAgent {
    signs.weigh_structure();
    let person = signs.evidence.is_empty();
    let os = os(&signs);
    let device = device(&signs, os, person);
    let (browser, browser_version) = browser(&signs, os, device, person);
    let os_version = os.and_then(|os| os_version(&signs, os));
    UserAgent {
        device: Fact::or_unknown(device),
        // Software that names no system tells nothing; a person's browser names one that is none of ours.
        os: Fact::or_unknown(os.or(person.then_some(Os::Other))),
        os_version: Fact::or_unknown(os_version),
        browser: Fact::or_unknown(browser),
        browser_version: Fact::or_unknown(browser_version),
        automation: signs.evidence.into_automation(),
    }
}

fn os(signs: &Signs<'_>) -> Option<Os> {
    let apple = signs.apple_version.is_some();
    match (signs.os, signs.device) {
        (None, Some(DeviceClass::Tv)) if apple => Some(Os::TvOs),
        (None, Some(DeviceClass::Wearable)) if apple => Some(Os::WatchOs),
        // Headsets say that they are desktops.
        (None, Some(DeviceClass::Wearable)) if signs.named == Some(Browser::MetaQuest) => Some(Os::Android),
        (None, _) => signs.base_os,
        // An iPad that asks for desktop pages says that it is a Mac.
        (Some(Os::MacOs), _) if signs.ios_only => Some(Os::Ios),
        (found, _) => found,
    }
}

fn device(signs: &Signs<'_>, os: Option<Os>, person: bool) -> Option<DeviceClass> {
    let by_mobile = |otherwise| if signs.mobile { DeviceClass::Mobile } else { otherwise };
    let usual = match os {
        Some(Os::Windows | Os::MacOs | Os::ChromeOs | Os::Bsd) => Some(DeviceClass::Desktop),
        Some(Os::Linux) => Some(by_mobile(DeviceClass::Desktop)),
        // Android's word for a phone is `Mobile`; without an engine it is no browser that could have said it.
        Some(Os::Android | Os::FireOs) if signs.named == Some(Browser::OperaMini) => {
            Some(DeviceClass::Mobile)
        }
        Some(Os::Android | Os::FireOs) if signs.engine => Some(by_mobile(DeviceClass::Tablet)),
        Some(Os::Android | Os::FireOs) => signs.mobile.then_some(DeviceClass::Mobile),
        Some(Os::Ios | Os::KaiOs) => Some(DeviceClass::Mobile),
        Some(Os::HarmonyOs) => Some(by_mobile(DeviceClass::Tablet)),
        Some(Os::Tizen) => Some(by_mobile(DeviceClass::Tv)),
        Some(Os::TvOs | Os::WebOs | Os::RokuOs | Os::Vidaa) => Some(DeviceClass::Tv),
        Some(Os::WatchOs | Os::VisionOs | Os::WearOs) => Some(DeviceClass::Wearable),
        Some(Os::PlayStation | Os::Xbox | Os::Nintendo) => Some(DeviceClass::Console),
        Some(Os::Other) | None if signs.mobile => Some(DeviceClass::Mobile),
        Some(Os::Other) | None => person.then_some(DeviceClass::Other),
    };
    match (os, signs.device) {
        (Some(Os::Ios), None) if signs.os == Some(Os::MacOs) => Some(DeviceClass::Tablet),
        (_, None) if signs.named == Some(Browser::TvBrowser) => Some(DeviceClass::Tv),
        // `Tablet PC` in old Internet Explorers is a mark of Windows, not of the device.
        (Some(Os::Windows), Some(DeviceClass::Tablet)) => usual,
        (_, Some(said)) => Some(said),
        (_, None) => usual,
    }
}

fn browser(
    signs: &Signs<'_>,
    os: Option<Os>,
    device: Option<DeviceClass>,
    person: bool,
) -> (Option<Browser>, Option<Version>) {
    let read = |text: Option<&str>| text.and_then(leading_version);
    if !person && !signs.engine {
        return (None, None);
    }
    if let Some(app) = signs.app {
        return (Some(app), read(signs.own_app_version.or(signs.app_version)));
    }
    if let Some(named) = signs.named {
        // What stands behind these names is the version of something else.
        let told = !matches!(named, Browser::Other | Browser::TvBrowser);
        return (Some(named), read(signs.named_version.filter(|_| told)));
    }
    let television = matches!(os, Some(Os::Tizen | Os::WebOs | Os::RokuOs | Os::Vidaa))
        || (device == Some(DeviceClass::Tv) && os == Some(Os::Linux));
    if television {
        return (Some(Browser::TvBrowser), None);
    }
    if os == Some(Os::PlayStation) {
        return (Some(Browser::PlayStation), None);
    }
    if let Some(chrome) = signs.chrome {
        let inside_app = signs.web_view || (os == Some(Os::Android) && signs.version.is_some());
        let browser = if inside_app { Browser::AndroidWebView } else { Browser::Chrome };
        return (Some(browser), read(Some(chrome)));
    }
    if signs.rv.is_some() && signs.compatible.is_none() && os == Some(Os::Windows) && !signs.safari {
        // Internet Explorer 11 does not name itself.
        return (Some(Browser::InternetExplorer), read(signs.rv));
    }
    let apple = matches!(os, Some(Os::Ios | Os::MacOs | Os::TvOs | Os::WatchOs | Os::VisionOs));
    match os {
        _ if apple && signs.safari => (Some(Browser::Safari), read(signs.version)),
        _ if apple && signs.engine => (Some(Browser::AppleWebView), None),
        Some(Os::Android) if signs.safari => (Some(Browser::AndroidBrowser), read(signs.version)),
        _ => ((person || (signs.engine && os.is_some())).then_some(Browser::Other), None),
    }
}

fn os_version(signs: &Signs<'_>, os: Os) -> Option<Version> {
    let read = |text: Option<&str>| text.and_then(leading_version);
    match os {
        Os::Windows if signs.device == Some(DeviceClass::Mobile) => read(signs.os_version),
        Os::Windows => read(signs.os_version).and_then(windows_release),
        Os::MacOs => read(signs.apple_version).filter(|version| !is_frozen_macos(*version)),
        Os::Ios if signs.os == Some(Os::MacOs) => read(signs.own_os_version),
        Os::Ios => read(signs.own_os_version).or_else(|| ios_version(signs)),
        Os::TvOs | Os::WatchOs | Os::VisionOs => read(signs.os_version.or(signs.apple_version)),
        Os::Android => read(signs.os_version.filter(|_| !signs.reduced_android)),
        // What Chrome says on every one of them.
        Os::ChromeOs => read(signs.os_version).filter(|version| *version != Version::new(14_541, 0)),
        Os::Linux
        | Os::HarmonyOs
        | Os::FireOs
        | Os::KaiOs
        | Os::WearOs
        | Os::Tizen
        | Os::WebOs
        | Os::RokuOs
        | Os::Vidaa
        | Os::PlayStation
        | Os::Xbox
        | Os::Nintendo
        | Os::Bsd
        | Os::Other => read(signs.os_version),
    }
}

/// Turns the version of the NT kernel into the release; 10.0 is Windows 10 as well as 11.
fn windows_release(version: Version) -> Option<Version> {
    [((6, 1), Version::new(7, 0)), ((6, 2), Version::new(8, 0)), ((6, 3), Version::new(8, 1))]
        .into_iter()
        .find_map(|((major, minor), release)| (version == Version::new(major, minor)).then_some(release))
        .or((version < Version::new(10, 0)).then_some(version))
}

/// Tells whether this is what Safari, Chrome and Firefox say since macOS 10.15, whatever they run on.
fn is_frozen_macos(version: Version) -> bool {
    version >= Version::new(10, 15) && version < Version::new(10, 16)
}

/// Reads the version of iOS: from iOS 26 on Safari says 18.6 or 18.7, and its own version is the system's.
fn ios_version(signs: &Signs<'_>) -> Option<Version> {
    let said = leading_version(signs.apple_version?)?;
    if said < Version::new(18, 6) || said >= Version::new(19, 0) {
        return Some(said);
    }
    match signs.version.and_then(leading_version) {
        Some(safari) if safari >= Version::new(26, 0) => Some(safari),
        Some(_) => Some(said),
        None => None,
    }
}
