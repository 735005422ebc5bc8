//! What a visitor's software is: device class, operating system, browser, versions, traffic class.

mod families;
mod version;

use serde::{Deserialize, Serialize};

pub use families::{Browser, Os};
pub use version::{InvalidVersion, Version};

use super::{fact::Fact, named::named_enum};

named_enum! {
    /// Says what kind of device a visitor holds.
    pub enum DeviceClass: "device class" {
        /// A computer: desktop or laptop.
        Desktop = "desktop",
        /// A phone, or a small player such as the iPod touch.
        Mobile = "mobile",
        /// A tablet or an e-reader.
        Tablet = "tablet",
        /// A television, a set-top box or a streaming stick.
        Tv = "tv",
        /// A game console.
        Console = "console",
        /// Something worn: a watch, glasses, a headset for virtual reality.
        Wearable = "wearable",
        /// A device that fits no other class, such as a car.
        Other = "other",
    }
}

named_enum! {
    /// Says who or what is behind a request.
    pub enum TrafficClass: "traffic class" {
        /// A person who followed the link.
        Human = "human",
        /// Software that reads pages on its own or on someone's behalf.
        Bot = "bot",
        /// A fetch made because someone shares the link in this moment, to show its title and picture.
        Preview = "preview",
        /// A browser that loads the page before anyone has asked for it.
        Prefetch = "prefetch",
        /// The shop's own people and machines.
        Internal = "internal",
    }
}

/// Says that a user agent is software and which kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Automation {
    /// What the software is for.
    pub kind: AutomationKind,
    /// The product in the user agent that told us, such as `Googlebot`; cut to a readable length.
    pub name: Box<str>,
}

named_enum! {
    /// Divides software that fetches links by why it does.
    pub enum AutomationKind: "kind of automation" {
        /// Everything that is not a link preview.
        Bot = "bot",
        /// A link preview.
        Preview = "preview",
    }
}

/// Holds what a user agent says about the visitor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UserAgent {
    /// The kind of device.
    pub device: Fact<DeviceClass>,
    /// The family of the operating system.
    pub os: Fact<Os>,
    /// The version of the operating system; unknown where browsers no longer say it.
    pub os_version: Fact<Version>,
    /// The browser, or the app inside which the page is shown.
    pub browser: Fact<Browser>,
    /// The version of the browser or app.
    pub browser_version: Fact<Version>,
    /// Set if this is software and not a person.
    pub automation: Option<Automation>,
}

#[cfg(test)]
mod tests {
    use super::{Browser, DeviceClass, Os, TrafficClass};

    fn assert_names<T>(all: &[T], name: fn(T) -> &'static str)
    where
        T: Copy + PartialEq + std::fmt::Debug + std::str::FromStr<Err: std::fmt::Debug>,
    {
        for member in all {
            let text = name(*member);
            assert_eq!(text.parse::<T>().unwrap(), *member);
            assert!(
                text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
            );
            assert_eq!(all.iter().filter(|other| name(**other) == text).count(), 1, "{text} is there twice");
        }
    }

    #[test]
    fn names_read_back() {
        assert_names(DeviceClass::ALL, DeviceClass::as_str);
        assert_names(Os::ALL, Os::as_str);
        assert_names(Browser::ALL, Browser::as_str);
        assert_names(TrafficClass::ALL, TrafficClass::as_str);
    }

    #[test]
    fn wrong_name_is_refused_with_the_nearest() {
        let error = "Chrome OS".parse::<Os>().unwrap_err();
        assert_eq!(error.to_string(), "unknown operating system \"Chrome OS\", the nearest is \"chrome_os\"");
        assert_eq!("phone".parse::<DeviceClass>().unwrap_err().kind, "device class");
    }

    #[test]
    fn serde_uses_the_name() {
        assert_eq!(serde_json::to_string(&Browser::SamsungInternet).unwrap(), "\"samsung_internet\"");
        assert!(serde_json::from_str::<Os>("\"iPadOS\"").is_err());
    }
}
