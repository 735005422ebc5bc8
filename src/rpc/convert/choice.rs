//! Enums whose members have the same names in the contract and in the domain.

use jiff::civil::Weekday;

use super::Path;
use crate::{
    domain::{
        client::{DeviceClass, TrafficClass},
        fault::{Faults, Problem, Reason},
        geo::Continent,
        link::RedirectKind,
        policy::QueryConflict,
        stats::{ConversionTime, Dimension, Granularity},
        unkept::UnkeptFact,
        visit::{Attribution, Channel, Miss, ResolveReason},
        visitor::VisitorMode,
    },
    proto,
    store::{PublishState, clicks::EntryKind},
};

/// A member of a closed list that stands in the contract as a number.
pub trait Choice: Sized + Copy {
    /// What the list holds, for messages.
    const WHAT: &'static str;

    /// Returns the member that a number means: `Ok(None)` for 0, the number of a choice that was not made.
    fn of(number: i32) -> Result<Option<Self>, Problem>;

    /// Returns the number of the member.
    fn number(self) -> i32;
}

macro_rules! choices {
    ($($domain:ident = proto::$wire:ident, $what:literal: $($member:ident)*;)*) => {$(
        impl Choice for $domain {
            const WHAT: &'static str = $what;

            fn of(number: i32) -> Result<Option<Self>, Problem> {
                match proto::$wire::try_from(number) {
                    Ok(proto::$wire::Unspecified) => Ok(None),
                    $( Ok(proto::$wire::$member) => Ok(Some(Self::$member)), )*
                    Err(_) => Err(no_such($what, number)),
                }
            }

            fn number(self) -> i32 {
                match self {
                    $( Self::$member => proto::$wire::$member.into(), )*
                }
            }
        }
    )*};
}

choices! {
    DeviceClass = proto::DeviceClass, "device class": Desktop Mobile Tablet Tv Console Wearable Other;
    TrafficClass = proto::TrafficClass, "traffic class": Human Bot Preview Prefetch Internal;
    Continent = proto::Continent, "continent":
        Africa Antarctica Asia Europe NorthAmerica Oceania SouthAmerica;
    Weekday = proto::Weekday, "weekday": Monday Tuesday Wednesday Thursday Friday Saturday Sunday;
    RedirectKind = proto::RedirectKind, "kind of redirect":
        Found MovedPermanently TemporaryRedirect PermanentRedirect;
    Channel = proto::Channel, "channel": Link Qr;
    VisitorMode = proto::VisitorMode, "visitor mode": None Daily Cookie;
    Attribution = proto::Attribution, "attribution":
        Credited NoPartner UnknownPartner InactivePartner NotShared;
    ConversionTime = proto::StatsConversionTime, "time of conversions": Conversion Click;
    PublishState = proto::PublishState, "state of a publish": Pending Effective Cancelled;
    EntryKind = proto::LedgerKind, "kind of entry": Clicks Conversions Erasure Expiry;
    Granularity = proto::StatsGranularity, "granularity": Total Hour Day Week Month;
    Dimension = proto::StatsDimension, "dimension":
        Link Partner Program Rule Country Device Os Browser Language Referrer Channel Class Reason Variant;
    UnkeptFact = proto::UnkeptFact, "fact that clicks do not keep":
        ClientAddress Query OsVersion BrowserVersion Language Partner PartnerTags VisitorTotalVisits LinkTotalVisits
        PartnerTotalVisits Attributes TrafficClass Visitor;
    QueryConflict = proto::QueryConflict, "way to settle a conflict": DestinationWins VisitorWins Append;
}

impl Choice for ResolveReason {
    const WHAT: &'static str = "reason";

    fn of(number: i32) -> Result<Option<Self>, Problem> {
        match proto::ResolveReason::try_from(number) {
            Ok(proto::ResolveReason::Unspecified) => Ok(None),
            Ok(proto::ResolveReason::Rule) => Ok(Some(Self::Rule)),
            Ok(proto::ResolveReason::Default) => Ok(Some(Self::Default)),
            Ok(proto::ResolveReason::LinkExpired) => Ok(Some(Self::Missed(Miss::Expired))),
            Ok(proto::ResolveReason::LinkPaused) => Ok(Some(Self::Missed(Miss::Paused))),
            Ok(proto::ResolveReason::LinkNotStarted) => Ok(Some(Self::Missed(Miss::NotStarted))),
            Ok(proto::ResolveReason::LinkDeleted) => Ok(Some(Self::Missed(Miss::Deleted))),
            Ok(proto::ResolveReason::LinkNotFound) => Ok(Some(Self::Missed(Miss::NotFound))),
            Err(_) => Err(no_such(Self::WHAT, number)),
        }
    }

    fn number(self) -> i32 {
        reason(self).into()
    }
}

/// Returns the reason as it stands in the contract.
pub fn reason(reason: ResolveReason) -> proto::ResolveReason {
    match reason {
        ResolveReason::Rule => proto::ResolveReason::Rule,
        ResolveReason::Default => proto::ResolveReason::Default,
        ResolveReason::Missed(Miss::Expired) => proto::ResolveReason::LinkExpired,
        ResolveReason::Missed(Miss::Paused) => proto::ResolveReason::LinkPaused,
        ResolveReason::Missed(Miss::NotStarted) => proto::ResolveReason::LinkNotStarted,
        ResolveReason::Missed(Miss::Deleted) => proto::ResolveReason::LinkDeleted,
        ResolveReason::Missed(Miss::NotFound) => proto::ResolveReason::LinkNotFound,
    }
}

/// Says that no member of a list has this number.
pub fn no_such(what: &str, number: i32) -> Problem {
    Problem::new(Reason::UnknownValue, format!("there is no {what} with the number {number}"))
}

/// Reads a choice that may be left to the default.
pub fn read_or_default<C: Choice + Default>(number: i32, path: &Path<'_>, faults: &mut Faults) -> Option<C> {
    super::take(C::of(number).map(Option::unwrap_or_default), path, faults)
}

/// Reads a choice that must be made.
pub fn read<C: Choice>(number: i32, path: &Path<'_>, faults: &mut Faults) -> Option<C> {
    let chosen = C::of(number).and_then(|choice| choice.ok_or_else(|| Problem::required(C::WHAT)));
    super::take(chosen, path, faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers_read_back<C: Choice + PartialEq + std::fmt::Debug>(all: &[C]) {
        for choice in all {
            assert_eq!(C::of(choice.number()).unwrap(), Some(*choice));
        }
        let next = i32::try_from(all.len()).unwrap() + 1;
        assert_eq!(C::of(0).unwrap(), None);
        assert_eq!(C::of(next).unwrap_err().reason, Reason::UnknownValue, "{} has a number {next}", C::WHAT);
        assert_eq!(C::of(-1).unwrap_err().reason, Reason::UnknownValue);
    }

    #[test]
    fn every_choice_has_its_number() {
        numbers_read_back(DeviceClass::ALL);
        numbers_read_back(TrafficClass::ALL);
        numbers_read_back(Continent::ALL);
        numbers_read_back(Channel::ALL);
        numbers_read_back(VisitorMode::ALL);
        numbers_read_back(PublishState::ALL);
        numbers_read_back(Granularity::ALL);
        numbers_read_back(Dimension::ALL);
        numbers_read_back(&[1, 2, 3, 4, 5, 6, 7].map(|day| Weekday::from_monday_one_offset(day).unwrap()));
        numbers_read_back(&[
            RedirectKind::Found,
            RedirectKind::MovedPermanently,
            RedirectKind::TemporaryRedirect,
            RedirectKind::PermanentRedirect,
        ]);
        numbers_read_back(&[
            QueryConflict::DestinationWins,
            QueryConflict::VisitorWins,
            QueryConflict::Append,
        ]);
    }
}
