//! Goes through the words of a user agent once and notes what they tell.

use crate::domain::client::{AutomationKind, Browser, DeviceClass, Os};

use super::{
    automation::Evidence,
    table::{self, Sign},
    words::{Folded, Word, Words},
};

/// Holds what the words of a user agent tell, before it is weighed.
#[derive(Default)]
pub(super) struct Signs<'a> {
    pub(super) evidence: Evidence<'a>,
    pub(super) first: &'a str,
    pub(super) engine: bool,
    pub(super) mobile: bool,
    pub(super) web_view: bool,
    pub(super) safari: bool,
    /// The word after `compatible`.
    pub(super) compatible: Option<&'a str>,
    pub(super) chrome: Option<&'a str>,
    pub(super) version: Option<&'a str>,
    pub(super) rv: Option<&'a str>,
    pub(super) app: Option<Browser>,
    pub(super) named: Option<Browser>,
    pub(super) app_version: Option<&'a str>,
    pub(super) named_version: Option<&'a str>,
    pub(super) own_app_version: Option<&'a str>,
    pub(super) os: Option<Os>,
    pub(super) base_os: Option<Os>,
    pub(super) os_version: Option<&'a str>,
    /// The version behind the word `OS` of an Apple system.
    pub(super) apple_version: Option<&'a str>,
    /// The version of the system as an app says it.
    pub(super) own_os_version: Option<&'a str>,
    /// `Android 10; K`: the version and model that Chrome and its kin tell for every phone.
    pub(super) reduced_android: bool,
    /// A browser or device that there is on iPhone and iPad only, whatever else is said.
    pub(super) ios_only: bool,
    pub(super) device: Option<DeviceClass>,
}

/// Notes what the words of a user agent tell.
pub(super) fn gather(ua: &str) -> Signs<'_> {
    let mut signs = Signs::default();
    let mut words = Words::of(ua);
    let mut before = "";
    while let Some(word) = words.next() {
        let folded = Folded::of(word.name);
        if before.is_empty() {
            signs.first = word.name;
            signs.evidence.look_at_opening(&word, &folded);
        }
        signs.note(word, &folded, before, &words);
        if word.value.starts_with(|c: char| c.is_ascii_alphabetic())
            && let Some((name, value)) = word.value.split_once('/')
            // `XiaoMi/MiuiBrowser/14.9.1`: two names before one version.
            && let Some(sign) = table::sign(Folded::of(name).as_bytes())
        {
            signs.note_sign(sign, Word { name, value }, &words);
        }
        before = word.name;
    }
    signs
}

impl<'a> Signs<'a> {
    fn note(&mut self, word: Word<'a>, folded: &Folded, before: &'a str, after: &Words<'a>) {
        let name = folded.as_bytes();
        self.ios_only |= match name {
            b"crios" | b"fxios" | b"edgios" | b"opios" | b"opt" => true,
            b"fbdv" => word.value.starts_with("iP"),
            _ => false,
        };
        if let Some(sign) =
            table::sign(name).or_else(|| table::sign_by_prefix(name).filter(|_| is_model(word.name)))
        {
            // `like Chrome`, `like Android`: what follows is what it is not.
            if before != "like" {
                self.note_sign(sign, word, after);
            }
        } else if let Some(version) = word.name.strip_prefix("rv:") {
            self.rv = Some(version);
        } else {
            self.evidence.look_at_unknown(&word, folded, before);
        }
    }

    fn note_sign(&mut self, sign: Sign, word: Word<'a>, after: &Words<'a>) {
        match sign {
            Sign::Noise => {}
            Sign::Engine => self.engine = true,
            Sign::Compatible => {
                self.compatible = self.compatible.or_else(|| after.clone().next().map(|next| next.name))
            }
            Sign::Chrome => self.chrome = Some(word.value),
            Sign::Safari => self.safari = true,
            Sign::Version => self.version = self.version.or(numeric(word.value)),
            Sign::WebView => self.web_view = true,
            Sign::Mobile => self.mobile = true,
            Sign::Os => self.note_apple_version(after),
            Sign::Named(browser) => self.note_named(browser, word, after),
            Sign::App(browser) => self.note_app(browser, word, after),
            Sign::AppVersion => self.own_app_version = numeric(word.value).or(self.own_app_version),
            Sign::FacebookApp => {
                let value = Folded::of(word.value);
                let messenger =
                    [&b"messenger"[..], b"orca"].iter().any(|mark| value.as_bytes().starts_with(mark));
                self.app = Some(if messenger { Browser::Messenger } else { Browser::Facebook });
            }
            Sign::System(os) => self.note_system(os, word, after),
            Sign::BaseSystem(os) => self.base_os = self.base_os.or(Some(os)),
            Sign::SystemVersion => self.own_os_version = numeric(word.value).or(self.own_os_version),
            Sign::Device(device) => self.note_device(device),
            Sign::DeviceOf(device, os) => {
                self.note_device(device);
                self.note_device_os(os, word, after);
            }
            Sign::Automation(kind) => {
                self.evidence.add(kind, word.name);
                if word.name == "HeadlessChrome" {
                    self.chrome = Some(word.value);
                }
            }
        }
    }

    fn note_apple_version(&mut self, after: &Words<'a>) {
        let mut after = after.clone();
        let next = after.next();
        let next = if next.is_some_and(|word| word.name == "X") { after.next() } else { next };
        self.apple_version = self.apple_version.or_else(|| next.and_then(|word| numeric(word.name)));
    }

    /// A later name counts for more: browsers write their own behind those that they imitate.
    fn note_named(&mut self, browser: Browser, word: Word<'a>, after: &Words<'a>) {
        if browser == Browser::Opera
            && let Some(mini) = after.clone().next().filter(|next| next.name == "Mini")
        {
            (self.named, self.named_version) = (Some(Browser::OperaMini), numeric(mini.value));
            return;
        }
        if matches!(self.named, Some(Browser::OperaMini | Browser::MetaQuest)) {
            return;
        }
        let version = version_of(word, after);
        if self.named != Some(browser) || version.is_some() {
            (self.named, self.named_version) = (Some(browser), version);
        }
    }

    fn note_app(&mut self, app: Browser, word: Word<'a>, after: &Words<'a>) {
        if self.app.is_some_and(|found| found != app) {
            return;
        }
        self.app = Some(app);
        let version = if app == Browser::X {
            numeric(word.value).or_else(|| x_version(after))
        } else if app == Browser::TikTok {
            numeric(word.value).or_else(|| word.name.rsplit_once('_').and_then(|(_, stuck)| numeric(stuck)))
        } else {
            version_of(word, after)
        };
        self.app_version =
            if word.value.is_empty() { self.app_version.or(version) } else { version.or(self.app_version) };
    }

    fn note_system(&mut self, os: Os, word: Word<'a>, after: &Words<'a>) {
        let mut next = after.clone();
        let (first, second) = (next.next(), next.next());
        let behind = |word: Option<Word<'a>>| word.and_then(|word| numeric(word.name));
        let version = numeric(word.value).or_else(|| behind(first)).or_else(|| behind(second));
        if os == Os::Ios {
            self.own_os_version = version.or(self.own_os_version);
        }
        match self.os {
            None => (self.os, self.os_version) = (Some(os), version),
            Some(found) if found == os => self.os_version = self.os_version.or(version),
            Some(_) => return,
        }
        if os == Os::Android && second.is_some_and(|word| word.name == "K") {
            self.reduced_android = true;
        }
    }

    /// A device is surer of its system than the names of systems around it, which it is built on or imitates.
    fn note_device_os(&mut self, os: Os, word: Word<'a>, after: &Words<'a>) {
        let imitated = [None, Some(os), Some(Os::Android), Some(Os::Windows), Some(Os::MacOs)];
        if imitated.contains(&self.os) && (self.os != Some(os) || self.os_version.is_none()) {
            self.os = Some(os);
            self.os_version = if os == Os::PlayStation {
                playstation_version(after)
            } else {
                let digits = word.value.find(|c: char| c.is_ascii_digit()).filter(|_| os == Os::RokuOs);
                digits.and_then(|at| numeric(&word.value[at..]))
            };
        }
    }

    fn note_device(&mut self, device: DeviceClass) {
        let weight = |device| match device {
            DeviceClass::Console => 6,
            DeviceClass::Wearable => 5,
            DeviceClass::Other => 4,
            DeviceClass::Tv => 3,
            DeviceClass::Tablet => 2,
            DeviceClass::Mobile => 1,
            DeviceClass::Desktop => 0,
        };
        if self.device.is_none_or(|found| weight(found) < weight(device)) {
            self.device = Some(device);
        }
    }

    /// Adds what only the whole tells: no browser lacks an engine, and none but old ones say `compatible`.
    pub(super) fn weigh_structure(&mut self) {
        if !self.evidence.is_empty() {
            return;
        }
        let named = self.app.is_some() || self.named.is_some();
        let device = self.device.is_some() && !self.first.eq_ignore_ascii_case("mozilla");
        if !self.engine && !named && !device {
            self.evidence.add(AutomationKind::Bot, self.first);
        } else if let Some(name) = self.compatible.filter(|_| !named) {
            self.evidence.add(AutomationKind::Bot, name);
        }
    }
}

/// Tells a model such as `KFTRWI` or `AFTKA` from a word that begins like it.
fn is_model(name: &str) -> bool {
    let shouted = name.starts_with("KF") || name.starts_with("AFT");
    let looks_like_one = matches!(
        name.as_bytes(),
        [b'k' | b'K', b'f' | b'F', ..] | [b'a' | b'A', b'f' | b'F', b't' | b'T', ..]
    );
    !looks_like_one || (shouted && name.len() <= 8 && !name.bytes().any(|byte| byte.is_ascii_lowercase()))
}

/// Takes a text that begins with a digit.
fn numeric(text: &str) -> Option<&str> {
    text.starts_with(|c: char| c.is_ascii_digit()).then_some(text)
}

fn version_of<'a>(word: Word<'a>, after: &Words<'a>) -> Option<&'a str> {
    if word.value.is_empty() {
        after.clone().next().and_then(|next| numeric(next.name))
    } else {
        numeric(word.value)
    }
}

/// Reads `Twitter for iPhone/10.38`.
fn x_version<'a>(after: &Words<'a>) -> Option<&'a str> {
    let mut next = after.clone();
    let follows = next.next().is_some_and(|word| word.name == "for");
    next.next().filter(|_| follows).and_then(|word| numeric(word.value))
}

/// Reads `PlayStation 4 11.50` and `PlayStation 5/9.00`.
fn playstation_version<'a>(after: &Words<'a>) -> Option<&'a str> {
    let mut next = after.clone();
    let model = next.next().filter(|word| numeric(word.name).is_some())?;
    numeric(model.value).or_else(|| next.next().and_then(|word| numeric(word.name)))
}
