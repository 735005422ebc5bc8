//! Clicks.

use jiff::{SignedDuration, Timestamp};
use smartlinks::{
    domain::{
        click::{Click, Counters},
        click_id::ClickId,
        client::TrafficClass,
        fact::Fact,
        revision::Revision,
        visit::{Attribution, Channel, ResolveReason},
    },
    store::clicks::{Days, Delivery, Frame, Ingestor},
};
use uuid::Uuid;

use super::database::Database;

/// Returns the id of the click with this number, so long ago.
pub(crate) fn at(number: u64, ago: SignedDuration) -> ClickId {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&number.to_be_bytes());
    ClickId::new(Timestamp::now() - ago, random)
}

/// Returns a click.
pub(crate) fn click(id: ClickId) -> Click {
    Click {
        id,
        shop: "acme".to_owned().try_into().unwrap(),
        slug: Some("sale".to_owned().try_into().unwrap()),
        revision: Revision(3),
        channel: Channel::Link,
        reason: ResolveReason::Default,
        rule: None,
        destination: "/sale".to_owned(),
        partner: Some("anna".to_owned().try_into().unwrap()),
        program: None,
        attribution: Attribution::Credited,
        traffic: TrafficClass::Human,
        traffic_why: "nothing else".to_owned(),
        country: None,
        device: None,
        os: None,
        browser: None,
        language: Some("de".to_owned()),
        referrer: Fact::Absent,
        visitor: Some([4; 16]),
        sub_ids: vec![("s1".to_owned(), "x".to_owned())],
        counters: Counters { link: Some(9), ..Counters::default() },
    }
}

/// Adds clicks as a shipper does.
pub(crate) struct Writer {
    ingestor: Ingestor,
    source: Uuid,
    written: u64,
}

impl Writer {
    pub(crate) async fn new(database: &Database, source: u128) -> Self {
        let ingestor = database.store().ingestor().await.unwrap();
        Self { ingestor, source: Uuid::from_u128(source), written: 0 }
    }

    /// Adds one entry of the ledger.
    pub(crate) async fn add(&mut self, clicks: Vec<Click>) {
        let count = clicks.len() as u64;
        let frames =
            clicks.into_iter().map(|click| Frame { content: Vec::new(), click: Ok(click) }).collect();
        let delivery = Delivery { source: self.source, after: self.written, first: self.written + 1, frames };
        self.ingestor.ingest(&delivery, Days::kept(Timestamp::now(), 30)).await.unwrap();
        self.written += count;
    }

    /// Adds clicks with these numbers of now.
    pub(crate) async fn add_new(&mut self, numbers: std::ops::Range<u64>) {
        self.add(numbers.map(|number| click(at(number, SignedDuration::ZERO))).collect()).await;
    }
}
