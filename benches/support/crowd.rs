//! Clicks that differ as those of a shop do: few links and partners have most of them.

use jiff::Timestamp;
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
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
    spool,
    store::clicks::{Delivery, Frame},
};
use uuid::Uuid;

pub(crate) const SHOP: &str = "shop";
pub(crate) const LINKS: usize = 2_000;
pub(crate) const PARTNERS: usize = 500;
const LINKS_OF_A_PARTNER: usize = 40;
/// Clicks of a batch at most, as of the shipper.
pub(crate) const BATCH: usize = 10_000;

const COUNTRIES: [&str; 24] = [
    "DE", "AT", "CH", "FR", "IT", "ES", "NL", "BE", "PL", "GB", "US", "CA", "SE", "DK", "NO", "FI", "CZ",
    "PT", "IE", "GR", "JP", "IN", "BR", "AU",
];
const LANGUAGES: [&str; 12] =
    ["de-de", "de-at", "de", "en-gb", "en-us", "en", "fr-fr", "it-it", "es-es", "nl-nl", "pl-pl", "sv-se"];

/// Makes clicks in the order of their times.
pub(crate) struct Crowd {
    random: StdRng,
    seed: u64,
    times: (i64, i64),
    count: usize,
    made: usize,
}

impl Crowd {
    /// Spreads so many clicks evenly over a time, other ones for each seed.
    pub(crate) fn new(seed: u64, (start, end): (Timestamp, Timestamp), count: usize) -> Self {
        let times = (start.as_millisecond(), end.as_millisecond());
        Self { random: StdRng::seed_from_u64(seed), seed: seed << 32, times, count, made: 0 }
    }

    /// Returns the next batches, as they stand in a local log.
    pub(crate) fn contents(&mut self, batches: usize) -> Vec<Vec<Vec<u8>>> {
        let mut batch =
            || -> Vec<_> { self.by_ref().take(BATCH).map(|click| spool::encode(&click)).collect() };
        (0..batches).map(|_| batch()).filter(|batch| !batch.is_empty()).collect()
    }
}

impl Iterator for Crowd {
    type Item = Click;

    fn next(&mut self) -> Option<Click> {
        if self.made == self.count {
            return None;
        }
        let (start, end) = self.times;
        let millis = start + ((end - start) as f64 * self.made as f64 / self.count as f64) as i64;
        self.made += 1;
        let random = &mut self.random;
        let mut bits = [0; 10];
        random.fill_bytes(&mut bits);
        let partner = few(random, PARTNERS);
        // A partner has some links of its own choice, and shares few of them often.
        let link = (partner * 37 + few(random, LINKS_OF_A_PARTNER)) % LINKS;
        let is_credited = random.random_ratio(4, 5);
        let reason = match random.random_range(0..100) {
            0..2 => ResolveReason::Missed(Miss::Expired),
            2..4 => ResolveReason::Missed(Miss::Paused),
            4..60 => ResolveReason::Rule,
            _ => ResolveReason::Default,
        };
        let rule = (reason == ResolveReason::Rule).then(|| format!("r{}", random.random_range(0..10)));
        let (traffic, why) = match random.random_range(0..100) {
            0..10 => (TrafficClass::Bot, "Googlebot"),
            10..13 => (TrafficClass::Preview, "Slackbot"),
            _ => (TrafficClass::Human, "nothing else"),
        };
        // There are about as many visitors as clicks on a day, so many come once and some several times.
        let visitor = random.random_ratio(9, 10).then(|| {
            let days = ((end - start) as f64 / 86_400_000.0).max(1.0);
            let visitors = (self.count as f64 / days) as u64;
            let [high, low] =
                [self.seed ^ (millis as u64 / 86_400_000), random.random_range(0..visitors.max(1))];
            let mixed = low.wrapping_add(1).wrapping_mul(0xD6E8_FEB8_6659_FD93);
            (u128::from(high.wrapping_mul(0x9E37_79B9_7F4A_7C15)) << 64 | u128::from(mixed)).to_be_bytes()
        });
        let referrer = match random.random_range(0..10) {
            0..3 => Fact::Absent,
            3 => Fact::Unknown,
            _ => Fact::Known(format!("blog{}.example", few(random, 300))),
        };
        let name = |name: String| name.try_into().expect("a name");
        Some(Click {
            id: ClickId::new(Timestamp::from_millisecond(millis).expect("a time"), bits),
            shop: SHOP.to_owned().try_into().expect("a name"),
            slug: Some(slug(link).try_into().expect("a name")),
            revision: Revision(1_000),
            channel: if random.random_ratio(1, 10) { Channel::Qr } else { Channel::Link },
            reason,
            destination: match &rule {
                Some(rule) => format!("/pages/{link}/{rule}?from=link"),
                None => format!("/pages/{link}?from=link"),
            },
            variant: None,
            rule: rule.map(|rule| rule.try_into().expect("a name")),
            partner: is_credited.then(|| code(partner)).map(name),
            program: is_credited.then(|| format!("program{}", partner % 7).try_into().expect("a name")),
            attribution: if is_credited { Attribution::Credited } else { Attribution::NoPartner },
            traffic,
            traffic_why: why.to_owned(),
            country: Country::from_code(COUNTRIES[few(random, COUNTRIES.len())]),
            device: Some([DeviceClass::Mobile, DeviceClass::Desktop, DeviceClass::Tablet][few(random, 3)]),
            os: Some(Os::ALL[few(random, 6)]),
            browser: Some(Browser::ALL[few(random, 8)]),
            language: Some(LANGUAGES[few(random, LANGUAGES.len())].to_owned()),
            referrer,
            visitor,
            sub_ids: if random.random_ratio(3, 10) {
                vec![("s1".to_owned(), format!("campaign-{}", few(random, 50)))]
            } else {
                Vec::new()
            },
            counters: Counters::default(),
        })
    }
}

/// Returns a number below another, each about so often as its place says: the second half as often as the first, the third
/// a third. So it is with links, partners and referring pages (Zipf's law).
fn few(random: &mut StdRng, of: usize) -> usize {
    let place: f64 = random.random();
    // The share of those up to a number grows with its logarithm.
    (((of + 1) as f64).powf(place) - 1.0) as usize
}

pub(crate) fn slug(link: usize) -> String {
    format!("link-{link}")
}

pub(crate) fn code(partner: usize) -> String {
    format!("partner{partner}")
}

/// Makes a batch of contents that follows the number `after` of a local log, as the shipper does.
pub(crate) fn delivery(source: Uuid, after: u64, contents: Vec<Vec<u8>>) -> Delivery {
    let frame = |content: Vec<u8>| {
        let click = spool::decode(&content).map_err(|unreadable| unreadable.to_string());
        Frame { content, click }
    };
    Delivery { source, after, first: after + 1, frames: contents.into_iter().map(frame).collect() }
}
