//! A click as the content of a frame: a protobuf message that only grows.
//!
//! Not a part of the contracts: nobody but this program reads it. Names stand in it as text, so that a list that grew in
//! between does not turn one value into another; numbers of fields are never used twice.

use std::{error::Error, fmt, str::FromStr};

use prost::Message;
use uuid::Uuid;

use crate::domain::{
    click::{Click, Counters},
    click_id::ClickId,
    client::{Browser, DeviceClass, Os},
    fact::Fact,
    geo::Country,
    name::{PartnerCode, ProgramId, RuleId, Slug, VariantId},
    revision::Revision,
};

/// Why a frame is no click that this version reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable(String);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Unreadable {}

#[derive(Clone, PartialEq, Message)]
struct Record {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    #[prost(string, tag = "2")]
    shop: String,
    #[prost(string, optional, tag = "3")]
    slug: Option<String>,
    #[prost(int64, tag = "4")]
    revision: i64,
    #[prost(string, tag = "5")]
    channel: String,
    #[prost(string, tag = "6")]
    reason: String,
    #[prost(string, optional, tag = "7")]
    rule: Option<String>,
    #[prost(string, tag = "8")]
    destination: String,
    #[prost(string, optional, tag = "9")]
    partner: Option<String>,
    #[prost(string, optional, tag = "10")]
    program: Option<String>,
    #[prost(string, tag = "11")]
    attribution: String,
    #[prost(string, tag = "12")]
    traffic: String,
    #[prost(string, tag = "13")]
    traffic_why: String,
    #[prost(string, optional, tag = "14")]
    country: Option<String>,
    #[prost(string, optional, tag = "15")]
    device: Option<String>,
    #[prost(string, optional, tag = "16")]
    os: Option<String>,
    #[prost(string, optional, tag = "17")]
    browser: Option<String>,
    #[prost(string, optional, tag = "18")]
    language: Option<String>,
    /// Empty: there was none. Not there: nobody could look.
    #[prost(string, optional, tag = "19")]
    referrer: Option<String>,
    #[prost(bytes = "vec", optional, tag = "20")]
    visitor: Option<Vec<u8>>,
    /// Name and value in turn.
    #[prost(string, repeated, tag = "21")]
    sub_ids: Vec<String>,
    #[prost(uint64, optional, tag = "22")]
    visitor_total: Option<u64>,
    #[prost(uint64, optional, tag = "23")]
    link_total: Option<u64>,
    #[prost(uint64, optional, tag = "24")]
    partner_total: Option<u64>,
    #[prost(string, optional, tag = "25")]
    variant: Option<String>,
}

/// Writes a click: what `Record` would write, without making one first.
pub fn encode(click: &Click) -> Vec<u8> {
    let mut fields = Fields(Vec::with_capacity(TYPICAL_BYTES));
    fields.bytes(1, click.id.uuid().as_bytes());
    fields.bytes(2, click.shop.as_str().as_bytes());
    fields.optional(3, click.slug.as_ref().map(Slug::as_str));
    fields.number(4, click.revision.0.cast_unsigned());
    fields.bytes(5, click.channel.as_str().as_bytes());
    fields.bytes(6, click.reason.as_str().as_bytes());
    fields.optional(7, click.rule.as_ref().map(RuleId::as_str));
    fields.bytes(8, click.destination.as_bytes());
    fields.optional(9, click.partner.as_ref().map(PartnerCode::as_str));
    fields.optional(10, click.program.as_ref().map(ProgramId::as_str));
    fields.bytes(11, click.attribution.as_str().as_bytes());
    fields.bytes(12, click.traffic.as_str().as_bytes());
    fields.bytes(13, click.traffic_why.as_bytes());
    fields.optional(14, click.country.map(Country::as_str));
    fields.optional(15, click.device.map(DeviceClass::as_str));
    fields.optional(16, click.os.map(Os::as_str));
    fields.optional(17, click.browser.map(Browser::as_str));
    fields.optional(18, click.language.as_ref());
    fields.optional(
        19,
        match &click.referrer {
            Fact::Known(host) => Some(host.as_str()),
            Fact::Absent => Some(""),
            Fact::Unknown => None,
        },
    );
    fields.optional(20, click.visitor);
    for (name, value) in &click.sub_ids {
        fields.optional(21, Some(name));
        fields.optional(21, Some(value));
    }
    fields.optional_number(22, click.counters.visitor);
    fields.optional_number(23, click.counters.link);
    fields.optional_number(24, click.counters.partner);
    fields.optional(25, click.variant.as_ref().map(VariantId::as_str));
    fields.0
}

/// Bytes of most clicks.
const TYPICAL_BYTES: usize = 512;

/// Fields of a message, one after the other.
struct Fields(Vec<u8>);

impl Fields {
    /// Writes a field that is there even if it is empty.
    fn optional(&mut self, number: u32, bytes: Option<impl AsRef<[u8]>>) {
        let Some(bytes) = bytes else { return };
        self.key(number, 2);
        self.varint(bytes.as_ref().len() as u64);
        self.0.extend(bytes.as_ref());
    }

    /// Writes a field that is not there if it is empty.
    fn bytes(&mut self, number: u32, bytes: &[u8]) {
        self.optional(number, Some(bytes).filter(|bytes| !bytes.is_empty()));
    }

    /// Writes a number that is there even if it is 0.
    fn optional_number(&mut self, number: u32, value: Option<u64>) {
        let Some(value) = value else { return };
        self.key(number, 0);
        self.varint(value);
    }

    /// Writes a number that is not there if it is 0.
    fn number(&mut self, number: u32, value: u64) {
        self.optional_number(number, Some(value).filter(|value| *value != 0));
    }

    fn key(&mut self, number: u32, wire_type: u32) {
        self.varint((number << 3 | wire_type).into());
    }

    fn varint(&mut self, mut value: u64) {
        while value > 0x7f {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// Reads a click.
pub fn decode(content: &[u8]) -> Result<Click, Unreadable> {
    decode_counting(content, &mut 0)
}

/// Reads a click, and counts the names that this version does not know and that a click may be without: a newer version
/// wrote them, and for their sake no click is put aside.
pub fn decode_counting(content: &[u8], unknown: &mut u64) -> Result<Click, Unreadable> {
    let record = Record::decode(content).map_err(|error| Unreadable(error.to_string()))?;
    let id = Uuid::from_slice(&record.id).ok().and_then(ClickId::from_uuid);
    let (pairs, rest) = record.sub_ids.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Unreadable("the last kept parameter has no value".to_owned()));
    }
    let visitor = record.visitor.map(<[u8; 16]>::try_from).transpose();
    Ok(Click {
        id: id.ok_or_else(|| Unreadable("the click id is no UUID of version 7".to_owned()))?,
        shop: name("shop", record.shop)?,
        slug: record.slug.map(|slug| name("slug", slug)).transpose()?,
        revision: Revision(record.revision),
        channel: listed("channel", &record.channel)?,
        reason: listed("reason", &record.reason)?,
        rule: record.rule.map(|rule| name("rule", rule)).transpose()?,
        variant: record.variant.map(|variant| name("variant", variant)).transpose()?,
        destination: record.destination,
        partner: record.partner.map(|partner| name("partner", partner)).transpose()?,
        program: record.program.map(|program| name("program", program)).transpose()?,
        attribution: listed("attribution", &record.attribution)?,
        traffic: listed("class of traffic", &record.traffic)?,
        traffic_why: record.traffic_why,
        country: known(record.country, Country::from_code, unknown),
        device: known(record.device, |device| device.parse().ok(), unknown),
        os: known(record.os, |os| os.parse().ok(), unknown),
        browser: known(record.browser, |browser| browser.parse().ok(), unknown),
        language: record.language,
        referrer: match record.referrer {
            Some(host) if host.is_empty() => Fact::Absent,
            Some(host) => Fact::Known(host),
            None => Fact::Unknown,
        },
        visitor: visitor.map_err(|_| Unreadable("the key of the visitor has not 16 bytes".to_owned()))?,
        sub_ids: pairs.iter().cloned().map(|[name, value]| (name, value)).collect(),
        counters: Counters {
            visitor: record.visitor_total,
            link: record.link_total,
            partner: record.partner_total,
        },
    })
}

fn no(what: &str, text: &str) -> Unreadable {
    Unreadable(format!("the {what} {text:?} is none"))
}

fn known<T>(text: Option<String>, read: fn(&str) -> Option<T>, unknown: &mut u64) -> Option<T> {
    let text = text?;
    let known = read(&text);
    *unknown += u64::from(known.is_none());
    known
}

fn name<T: TryFrom<String>>(what: &str, text: String) -> Result<T, Unreadable> {
    let shown = text.clone();
    T::try_from(text).map_err(|_| no(what, &shown))
}

fn listed<T: FromStr>(what: &str, text: &str) -> Result<T, Unreadable> {
    text.parse().map_err(|_| no(what, text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{
        client::TrafficClass,
        visit::{Attribution, Channel, Miss, ResolveReason},
    };

    fn click() -> Click {
        Click {
            id: ClickId::new("2026-11-22T10:00:00.123Z".parse().unwrap(), [7; 10]),
            shop: "acme".to_owned().try_into().unwrap(),
            slug: Some("sale".to_owned().try_into().unwrap()),
            revision: Revision(12),
            channel: Channel::Qr,
            reason: ResolveReason::Rule,
            rule: Some("phones".to_owned().try_into().unwrap()),
            variant: Some("blue".to_owned().try_into().unwrap()),
            destination: "/sale?x=ü".to_owned(),
            partner: Some("anna".to_owned().try_into().unwrap()),
            program: Some("gold".to_owned().try_into().unwrap()),
            attribution: Attribution::Credited,
            traffic: TrafficClass::Human,
            traffic_why: "nothing else".to_owned(),
            country: Country::from_code("DE"),
            device: Some(DeviceClass::Mobile),
            os: Some(Os::ALL[0]),
            browser: Some(Browser::ALL[0]),
            language: Some("de-at".to_owned()),
            referrer: Fact::Known("blog.example".to_owned()),
            visitor: Some([9; 16]),
            sub_ids: vec![("s1".to_owned(), "a=b".to_owned()), ("s2".to_owned(), String::new())],
            counters: Counters { visitor: Some(3), link: Some(u64::MAX), partner: Some(0) },
        }
    }

    #[test]
    fn clicks_are_read_as_written() {
        assert_eq!(decode(&encode(&click())), Ok(click()));
        let bare = Click {
            slug: None,
            channel: Channel::Link,
            reason: ResolveReason::Missed(Miss::NotFound),
            rule: None,
            variant: None,
            partner: None,
            program: None,
            attribution: Attribution::NoPartner,
            country: None,
            device: None,
            os: None,
            browser: None,
            language: None,
            referrer: Fact::Absent,
            visitor: None,
            sub_ids: Vec::new(),
            counters: Counters::default(),
            ..click()
        };
        assert_eq!(decode(&encode(&bare)), Ok(bare.clone()));
        let unknown = Click { referrer: Fact::Unknown, ..bare.clone() };
        assert_eq!(decode(&encode(&unknown)), Ok(unknown.clone()));
        for click in [click(), bare, unknown] {
            let written = encode(&click);
            assert_eq!(Record::decode(&written[..]).unwrap().encode_to_vec(), written, "{click:?}");
        }
    }

    #[test]
    fn clicks_of_before_there_were_variants_are_read() {
        // The content of a frame of the version before.
        let before = Click { variant: None, ..click() };
        let mut record = Record::decode(&encode(&click())[..]).unwrap();
        record.variant = None;
        let content = record.encode_to_vec();
        assert!(!content.windows(4).any(|part| part == b"blue"));
        assert_eq!(decode(&content), Ok(before));
    }

    #[test]
    fn what_this_version_does_not_know_is_said() {
        let mut record = Record::decode(&encode(&click())[..]).unwrap();
        record.channel = "telepathy".to_owned();
        let error = decode(&record.encode_to_vec()).unwrap_err();
        assert_eq!(error.to_string(), "the channel \"telepathy\" is none");
    }

    #[test]
    fn names_that_a_click_may_be_without_put_no_click_aside() {
        let mut record = Record::decode(&encode(&click())[..]).unwrap();
        record.country = Some("XQ".to_owned());
        record.device = Some("ring".to_owned());
        record.os = Some("next".to_owned());
        record.browser = Some("holodeck".to_owned());
        let mut unknown = 0;
        let read = decode_counting(&record.encode_to_vec(), &mut unknown);
        assert_eq!(read, Ok(Click { country: None, device: None, os: None, browser: None, ..click() }));
        assert_eq!(unknown, 4);
    }

    proptest! {
        #[test]
        fn garbage_never_panics(content in prop::collection::vec(any::<u8>(), 0..400)) {
            decode(&content).ok();
        }
    }
}
