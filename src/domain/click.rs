//! Clicks: what is remembered of a visit that somebody made.

use super::{
    click_id::ClickId,
    client::{Browser, DeviceClass, Os, TrafficClass},
    fact::Fact,
    geo::Country,
    name::{PartnerCode, ProgramId, RuleId, ShopId, Slug, VariantId},
    revision::Revision,
    visit::{Attribution, Channel, ResolveReason},
};

/// Tells one visitor of a shop from another, for as long as the shop's key lasts; not who it is.
pub type VisitorKey = [u8; 16];

/// What is remembered of a click. The visitor's address and query are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Click {
    /// The id, which holds the time.
    pub id: ClickId,
    /// The shop.
    pub shop: ShopId,
    /// The slug that was asked for, if there could be such a link.
    pub slug: Option<Slug>,
    /// The revision of the index that decided; the history has every object at it.
    pub revision: Revision,
    /// How the visitor came.
    pub channel: Channel,
    /// Why the visitor went where it went.
    pub reason: ResolveReason,
    /// The rule that decided.
    pub rule: Option<RuleId>,
    /// The variant that the visitor got.
    pub variant: Option<VariantId>,
    /// The destination or fallback that was chosen, as it is written; the location may hold anything of the visitor's.
    pub destination: String,
    /// The credited partner.
    pub partner: Option<PartnerCode>,
    /// The program that the partner was in.
    pub program: Option<ProgramId>,
    /// Who is credited, or why nobody is.
    pub attribution: Attribution,
    /// The class of traffic.
    pub traffic: TrafficClass,
    /// What decided on the class.
    pub traffic_why: String,
    /// The country, if known.
    pub country: Option<Country>,
    /// The kind of device, if known.
    pub device: Option<DeviceClass>,
    /// The operating system, if known.
    pub os: Option<Os>,
    /// The browser or app, if known.
    pub browser: Option<Browser>,
    /// The first language that the visitor's browser names, in small letters.
    pub language: Option<String>,
    /// The host of the referring page.
    pub referrer: Fact<String>,
    /// Which visitor it was, if the shop remembers visitors.
    pub visitor: Option<VisitorKey>,
    /// The query parameters that the shop keeps, with their values.
    pub sub_ids: Vec<(String, String)>,
    /// The counters that rules looked at.
    pub counters: Counters,
}

impl Click {
    /// Returns whether it counts in totals: a person's, and the link itself decided.
    pub fn counts(&self) -> bool {
        self.traffic == TrafficClass::Human && self.reason.is_of_link()
    }
}

/// Counts of human clicks, this one included, as they were when rules looked at them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Of the visitor in this shop.
    pub visitor: Option<u64>,
    /// Of the link.
    pub link: Option<u64>,
    /// Of the partner.
    pub partner: Option<u64>,
}

/// A click as the log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedClick {
    /// The id, which holds the time.
    pub id: ClickId,
    /// The shop.
    pub shop: ShopId,
    /// What conversions hold of it too.
    pub facts: ClickFacts,
    /// What decided on the class.
    pub traffic_why: String,
    /// Which visitor it was, if the shop remembers visitors.
    pub visitor: Option<VisitorKey>,
    /// The counters that rules looked at.
    pub counters: Counters,
}

/// What the log and conversions hold of a click. A member of a closed list that a newer version wrote, and that this one
/// does not know, is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClickFacts {
    /// The slug that was asked for, if there could be such a link.
    pub slug: Option<Slug>,
    /// The revision of the index that decided.
    pub revision: Revision,
    /// How the visitor came.
    pub channel: Option<Channel>,
    /// Why the visitor went where it went.
    pub reason: Option<ResolveReason>,
    /// The rule that decided.
    pub rule: Option<RuleId>,
    /// The variant that the visitor got.
    pub variant: Option<VariantId>,
    /// The destination or fallback that was chosen.
    pub destination: String,
    /// The credited partner.
    pub partner: Option<PartnerCode>,
    /// The program that the partner was in.
    pub program: Option<ProgramId>,
    /// Who is credited, or why nobody is.
    pub attribution: Option<Attribution>,
    /// The class of traffic.
    pub traffic: Option<TrafficClass>,
    /// The country, if known.
    pub country: Option<Country>,
    /// The kind of device, if known.
    pub device: Option<DeviceClass>,
    /// The operating system, if known.
    pub os: Option<Os>,
    /// The browser or app, if known.
    pub browser: Option<Browser>,
    /// The language, if known.
    pub language: Option<String>,
    /// The host of the referring page.
    pub referrer: Fact<String>,
    /// The query parameters that the shop keeps, with their values.
    pub sub_ids: Vec<(String, String)>,
}
