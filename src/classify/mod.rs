//! Turns raw request facts into visit attributes.
//!
//! Pure: its data, the country database, is handed in as bytes and may be replaced at any time. Every reader takes any
//! text without panicking and looks at a bounded part of it.

pub mod address;
pub mod geo;
pub mod language;
pub mod referrer;
pub mod traffic;
pub mod user_agent;

use std::{
    net::IpAddr,
    sync::{Arc, LazyLock},
};

use arc_swap::ArcSwapOption;

use self::{
    geo::GeoDb,
    user_agent::{ClientHints, UserAgents},
};
use crate::domain::{client::UserAgent, fact::Fact, geo::Country};

/// Holds what classifying needs to remember and to look up.
#[derive(Debug)]
pub struct Classifier {
    user_agents: UserAgents,
    geo: ArcSwapOption<GeoDb>,
}

impl Classifier {
    /// Makes a classifier with a memo for user agents and, if there is one, a country database.
    pub fn new(user_agents: UserAgents, geo: Option<GeoDb>) -> Self {
        Self { user_agents, geo: ArcSwapOption::from_pointee(geo) }
    }

    /// Returns what a user agent says, corrected by the hints; all is unknown where there is neither.
    pub fn user_agent(&self, ua: Option<&str>, hints: &ClientHints<'_>) -> Arc<UserAgent> {
        static MISSING: LazyLock<Arc<UserAgent>> = LazyLock::new(Arc::default);
        hints.correct(ua.map_or_else(|| Arc::clone(&MISSING), |ua| self.user_agents.get(ua)))
    }

    /// Finds the country of an address; unknown without a database.
    pub fn country(&self, address: IpAddr) -> Fact<Country> {
        self.geo.load().as_ref().map_or(Fact::Unknown, |geo| geo.country(address))
    }

    /// Puts another country database in the place of the present one; requests under way finish with the one they have.
    pub fn replace_geo(&self, geo: Option<GeoDb>) {
        self.geo.store(geo.map(Arc::new));
    }

    /// Returns the present country database.
    pub fn geo(&self) -> Option<Arc<GeoDb>> {
        self.geo.load_full()
    }

    /// Returns how many user agents are remembered.
    pub fn remembered_user_agents(&self) -> usize {
        self.user_agents.len()
    }
}

impl Default for Classifier {
    fn default() -> Self {
        Self::new(UserAgents::default(), None)
    }
}

#[cfg(test)]
mod tests {
    use super::{Arc, Classifier, ClientHints, Fact};
    use crate::domain::client::{Os, UserAgent};

    #[test]
    fn without_data_everything_is_unknown() {
        let classifier = Classifier::default();
        assert_eq!(*classifier.user_agent(None, &ClientHints::default()), UserAgent::default());
        assert_eq!(classifier.country("8.8.8.8".parse().unwrap()), Fact::Unknown);
        assert!(classifier.geo().is_none());
    }

    #[test]
    fn user_agents_are_remembered() {
        let classifier = Classifier::default();
        let firefox = Some("Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0");
        let read = classifier.user_agent(firefox, &ClientHints::default());
        assert_eq!(read.os, Fact::Known(Os::Linux));
        assert!(Arc::ptr_eq(&read, &classifier.user_agent(firefox, &ClientHints::default())));
        // Hints are laid over a copy: their number has no bound.
        let hints = ClientHints { platform: Some("\"Windows\""), ..ClientHints::default() };
        assert_eq!(classifier.user_agent(firefox, &hints).os, Fact::Known(Os::Windows));
        assert_eq!(classifier.remembered_user_agents(), 1);
    }

    #[test]
    fn classifier_is_shared_between_threads() {
        fn assert_shared<T: Send + Sync>() {}
        assert_shared::<Classifier>();
    }
}
