//! Clicks.

use jiff::{SignedDuration, Timestamp};
use rand::{Rng, RngExt, rngs::StdRng, seq::IndexedRandom};
use smartlinks::{
    domain::{
        click::{Click, Counters},
        click_id::ClickId,
        client::{Browser, DeviceClass, Os, TrafficClass},
        fact::Fact,
        geo::Country,
        revision::Revision,
        visit::{Attribution, Channel, Miss, ResolveReason},
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
        variant: None,
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

/// Makes up clicks of two shops, between two times. There are few of everything, so that all of it meets.
pub(crate) struct Crowd {
    random: StdRng,
    times: (Timestamp, Timestamp),
}

impl Crowd {
    /// Makes up other clicks for each seed.
    pub(crate) fn new(seed: u64, times: (Timestamp, Timestamp)) -> Self {
        Self { random: rand::SeedableRng::seed_from_u64(seed), times }
    }

    /// Returns a click.
    pub(crate) fn click(&mut self) -> Click {
        let random = &mut self.random;
        let range = self.times.0.as_millisecond()..self.times.1.as_millisecond();
        let time = Timestamp::from_millisecond(random.random_range(range)).unwrap();
        let mut bits = [0; 10];
        random.fill_bytes(&mut bits);
        let reason = match random.random_range(0..10) {
            0 => ResolveReason::Missed(Miss::Expired),
            1 => ResolveReason::Missed(Miss::NotFound),
            2..6 => ResolveReason::Rule,
            _ => ResolveReason::Default,
        };
        let is_rule = reason == ResolveReason::Rule;
        let partner = one(random, &["anna", "ben", "c.d"], 3);
        Click {
            shop: name(random, &["acme", "other"], 0).unwrap(),
            slug: name(random, &["home", "sale", "x"], u32::from(!is_rule)),
            channel: if random.random_ratio(1, 4) { Channel::Qr } else { Channel::Link },
            reason,
            rule: if is_rule { name(random, &["phones", "fr"], 0) } else { None },
            variant: match bits[0] % 3 {
                0 if is_rule => Some("blue".to_owned().try_into().unwrap()),
                1 if is_rule => Some("red".to_owned().try_into().unwrap()),
                _ => None,
            },
            program: partner.and_then(|_| name(random, &["gold", "silver"], 2)),
            partner: partner.map(|code| code.to_owned().try_into().unwrap()),
            attribution: if partner.is_some() { Attribution::Credited } else { Attribution::NoPartner },
            traffic: if random.random_ratio(1, 5) { TrafficClass::Bot } else { TrafficClass::Human },
            country: one(random, &["DE", "FR", "IN"], 2).and_then(Country::from_code),
            device: one(random, &[DeviceClass::Mobile, DeviceClass::Desktop], 1),
            os: one(random, &Os::ALL[..3], 1),
            browser: one(random, &Browser::ALL[..3], 1),
            language: one(random, &["de", "fr-fr"], 1).map(str::to_owned),
            referrer: match random.random_range(0..4) {
                0 => Fact::Unknown,
                1 => Fact::Absent,
                _ => Fact::Known((*["blog.example", "news.example"].choose(random).unwrap()).to_owned()),
            },
            visitor: (random.random_ratio(4, 5)).then(|| [random.random_range(0..12); 16]),
            counters: Counters::default(),
            ..click(ClickId::new(time, bits))
        }
    }

    /// Returns so many clicks.
    pub(crate) fn clicks(&mut self, count: usize) -> Vec<Click> {
        (0..count).map(|_| self.click()).collect()
    }
}

/// Returns one of these, or none as if there were so many more.
fn one<T: Copy>(random: &mut StdRng, of: &[T], none: u32) -> Option<T> {
    let all = u32::try_from(of.len()).unwrap() + none;
    of.get(random.random_range(0..all) as usize).copied()
}

fn name<T: TryFrom<String, Error: std::fmt::Debug>>(
    random: &mut StdRng,
    of: &[&str],
    none: u32,
) -> Option<T> {
    one(random, of, none).map(|name| name.to_owned().try_into().unwrap())
}

/// Returns a batch of a local log that follows the number `after`.
pub(crate) fn batch(source: Uuid, after: u64, clicks: &[Click]) -> Delivery {
    let frames =
        clicks.iter().map(|click| Frame { content: b"as it was".to_vec(), click: Ok(click.clone()) });
    Delivery { source, after, first: after + 1, frames: frames.collect() }
}
