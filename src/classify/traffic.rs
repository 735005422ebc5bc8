//! Decides who or what is behind a request.

use std::{fmt, net::IpAddr};

use ipnet::IpNet;

use super::address;
use crate::domain::client::{Automation, AutomationKind, TrafficClass};

/// Holds what a request tells of who is behind it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Signals<'a> {
    /// What the user agent says of being software.
    pub automation: Option<&'a Automation>,
    /// Whether the headers of the request are known, but there is no user agent among them; browsers always send one.
    pub user_agent_missing: bool,
    /// The headers by which browsers mark what they load ahead.
    pub purpose: PurposeHeaders<'a>,
    /// Where the request came from.
    pub address: Option<IpAddr>,
    /// The networks of the shop's own people and machines.
    pub internal_addresses: &'a [IpNet],
    /// What the caller says.
    pub hints: Hints,
}

/// Holds the headers by which browsers mark what they load before anyone has asked for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct PurposeHeaders<'a> {
    /// `Sec-Purpose: prefetch`, `prefetch;prerender`: Chrome, Edge, Firefox, Safari today.
    pub sec_purpose: Option<&'a str>,
    /// `Purpose: prefetch`: Chrome and Safari before.
    pub purpose: Option<&'a str>,
    /// `X-Purpose: preview`: Safari's Top Sites.
    pub x_purpose: Option<&'a str>,
    /// `X-Moz: prefetch`: Firefox before.
    pub x_moz: Option<&'a str>,
}

/// Holds what the caller says of a click; a hint can move it away from human, never to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// The click is the shop's own.
    pub internal: bool,
    /// Nobody has asked for the page yet.
    pub prefetch: bool,
}

/// Says what decided on a class of traffic; its text is kept with the click.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why<'a> {
    /// Nothing speaks against a person.
    NothingElse,
    /// The caller said so.
    Hint,
    /// The address is one of the shop's own.
    InternalAddress,
    /// A header of this name said so.
    Header(&'static str),
    /// The user agent names this product.
    UserAgent(&'a str),
    /// There is no user agent.
    NoUserAgent,
}

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingElse => Ok(()),
            Self::Hint => f.write_str("hint"),
            Self::InternalAddress => f.write_str("internal_address"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::UserAgent(product) => write!(f, "user_agent:{product}"),
            Self::NoUserAgent => f.write_str("no_user_agent"),
        }
    }
}

/// Decides on the class of a request, and says what decided: internal before prefetch, preview, bot and human.
pub fn class<'a>(signals: &Signals<'a>) -> (TrafficClass, Why<'a>) {
    if signals.hints.internal {
        return (TrafficClass::Internal, Why::Hint);
    }
    if signals.address.is_some_and(|address| address::is_within(address, signals.internal_addresses)) {
        return (TrafficClass::Internal, Why::InternalAddress);
    }
    if let Some(header) = signals.purpose.ahead() {
        return (TrafficClass::Prefetch, Why::Header(header));
    }
    if signals.hints.prefetch {
        return (TrafficClass::Prefetch, Why::Hint);
    }
    match signals.automation {
        Some(Automation { kind: AutomationKind::Preview, name }) => {
            (TrafficClass::Preview, Why::UserAgent(name))
        }
        Some(Automation { kind: AutomationKind::Bot, name }) => (TrafficClass::Bot, Why::UserAgent(name)),
        None if signals.user_agent_missing => (TrafficClass::Bot, Why::NoUserAgent),
        None => (TrafficClass::Human, Why::NothingElse),
    }
}

impl PurposeHeaders<'_> {
    /// Returns the name of the header that says that the page is loaded ahead.
    fn ahead(&self) -> Option<&'static str> {
        let says = |value: Option<&str>, marks: &[&str]| {
            let mut tokens = value.unwrap_or_default().split([';', ',']).map(str::trim);
            tokens.any(|token| marks.iter().any(|mark| token.eq_ignore_ascii_case(mark)))
        };
        [
            ("sec-purpose", self.sec_purpose, &["prefetch", "prerender"][..]),
            ("purpose", self.purpose, &["prefetch", "prerender", "preview"]),
            ("x-purpose", self.x_purpose, &["prefetch", "preview"]),
            ("x-moz", self.x_moz, &["prefetch"]),
        ]
        .into_iter()
        .find_map(|(name, value, marks)| says(value, marks).then_some(name))
    }
}

#[cfg(test)]
mod tests {
    use super::{Automation, AutomationKind, Hints, PurposeHeaders, Signals, TrafficClass, Why, class};

    fn automation(kind: AutomationKind) -> Automation {
        Automation { kind, name: "Example".into() }
    }

    #[test]
    fn nothing_else_is_a_person() {
        assert_eq!(class(&Signals::default()), (TrafficClass::Human, Why::NothingElse));
        assert_eq!(Why::NothingElse.to_string(), "");
    }

    #[test]
    fn each_header_that_means_ahead_is_known() {
        for (sec_purpose, purpose, x_purpose, x_moz, name) in [
            (Some("prefetch"), None, None, None, "sec-purpose"),
            (Some("prefetch;prerender"), None, None, None, "sec-purpose"),
            (Some("Prefetch; anonymous-client-ip"), None, None, None, "sec-purpose"),
            (None, Some("prefetch"), None, None, "purpose"),
            (None, None, Some("preview"), None, "x-purpose"),
            (None, None, None, Some("prefetch"), "x-moz"),
        ] {
            let purpose = PurposeHeaders { sec_purpose, purpose, x_purpose, x_moz };
            let signals = Signals { purpose, ..Signals::default() };
            assert_eq!(class(&signals), (TrafficClass::Prefetch, Why::Header(name)));
        }
        let other = PurposeHeaders { sec_purpose: Some("fetch, prefetching"), ..PurposeHeaders::default() };
        assert_eq!(class(&Signals { purpose: other, ..Signals::default() }).0, TrafficClass::Human);
    }

    #[test]
    fn internal_wins_over_prefetch_over_preview_over_bot() {
        let networks = ["10.0.0.0/8".parse().unwrap()];
        let (preview, bot) = (automation(AutomationKind::Preview), automation(AutomationKind::Bot));
        let all = Signals {
            automation: Some(&preview),
            user_agent_missing: false,
            purpose: PurposeHeaders { sec_purpose: Some("prefetch"), ..PurposeHeaders::default() },
            address: Some("::ffff:10.1.2.3".parse().unwrap()),
            internal_addresses: &networks,
            hints: Hints::default(),
        };
        assert_eq!(class(&all), (TrafficClass::Internal, Why::InternalAddress));
        let outside = Signals { address: Some("11.1.2.3".parse().unwrap()), ..all };
        assert_eq!(class(&outside), (TrafficClass::Prefetch, Why::Header("sec-purpose")));
        let clicked = Signals { purpose: PurposeHeaders::default(), ..outside };
        assert_eq!(class(&clicked), (TrafficClass::Preview, Why::UserAgent("Example")));
        assert_eq!(class(&Signals { automation: Some(&bot), ..clicked }).0, TrafficClass::Bot);
    }

    #[test]
    fn hints_move_a_click_away_from_human() {
        let hinted =
            |internal, prefetch| Signals { hints: Hints { internal, prefetch }, ..Signals::default() };
        assert_eq!(class(&hinted(true, true)), (TrafficClass::Internal, Why::Hint));
        assert_eq!(class(&hinted(false, true)), (TrafficClass::Prefetch, Why::Hint));
        let bot = automation(AutomationKind::Bot);
        assert_eq!(class(&Signals { automation: Some(&bot), ..hinted(false, false) }).0, TrafficClass::Bot);
    }

    #[test]
    fn request_without_user_agent_is_a_bot() {
        let signals = Signals { user_agent_missing: true, ..Signals::default() };
        assert_eq!(class(&signals), (TrafficClass::Bot, Why::NoUserAgent));
        assert_eq!(Why::UserAgent("Googlebot").to_string(), "user_agent:Googlebot");
    }
}
