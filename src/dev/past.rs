//! Two weeks of clicks and orders of the sample shop, so that there is something to stream and to query from the first
//! minute. The clicks are visits like any others, answered and recorded as if they had come at their times.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, ToSpan, tz::TimeZone};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use serde_json::{Value, json};
use tokio::time::sleep;
use tonic::transport::Channel;
use uuid::Builder;

use super::sample;
use crate::{
    proto::{self, Purpose, RequestHeaders, ResolveRequest, Visitor, resolve_request::Site},
    server::Server,
};

/// Days before today.
const DAYS: i64 = 14;
/// People who click, each now and then.
const VISITORS: usize = 500;
/// Clicks of a day: at first, and how many more each day has.
const CLICKS: (i64, i64) = (40, 5);
/// Of a thousand human clicks, how many become an order, and of a thousand orders how many are paid back.
const ORDERS: (u32, u32) = (45, 120);
/// Conversions of one call.
const CALL: usize = 500;
/// How often, and how long in between, orders are sent whose clicks have not arrived yet.
const TRIES: (usize, Duration) = (100, Duration::from_millis(200));

/// The links, with how much they are clicked.
const LINKS: &[(&str, u32)] = &[
    ("summer-sale", 40),
    ("", 14),
    ("welcome-back", 14),
    ("winter-coats", 12),
    ("app", 10),
    ("europe", 6),
    ("insiders", 4),
];
/// Who shared them, with how much they bring.
const PARTNERS: &[(&str, u32)] = &[("anna", 50), ("ben", 25), ("carla", 15), ("", 9), ("nobody-knows", 1)];
const COUNTRIES: &[(&str, u32)] =
    &[("DE", 40), ("AT", 12), ("CH", 10), ("FR", 10), ("GB", 10), ("US", 10), ("JP", 3), ("", 5)];
const LANGUAGES: &[(&str, u32)] =
    &[("de-DE,de;q=0.9,en;q=0.6", 55), ("en-GB,en;q=0.9", 25), ("fr-FR,fr;q=0.9", 12), ("", 8)];
const REFERRERS: &[(&str, u32)] =
    &[("https://annas.blog.example/coats", 40), ("https://www.news.example/", 15), ("", 45)];
const PLACEMENTS: &[(&str, u32)] = &[("placement=story", 30), ("placement=bio", 20), ("", 50)];
const AGENTS: &[(&str, u32)] = &[
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 \
         Mobile/15E148 Safari/604.1",
        38,
    ),
    (
        "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile \
         Safari/537.36",
        24,
    ),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
        24,
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 \
         Safari/605.1.15",
        10,
    ),
    ("Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0", 4),
];
/// What is no person, and clicks all the same.
const ROBOTS: &[(&str, u32)] = &[
    ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", 60),
    ("WhatsApp/2.23.20.0", 40),
];

/// A person who clicks.
struct Person {
    id: String,
    user_agent: &'static str,
    language: &'static str,
    country: &'static str,
    visits: i64,
}

/// Makes the clicks and orders of the days before `now`, and of the part of today that is behind.
pub(super) async fn make(server: &Server, channel: &Channel, now: Timestamp) -> Result<(), String> {
    // The same for everybody: what the pages show is what a newcomer sees.
    let mut random = StdRng::seed_from_u64(20);
    let mut people: Vec<Person> = (0..VISITORS).map(|number| person(number, &mut random)).collect();
    let mut orders = Vec::new();
    for (time, number) in times(now, &mut random).into_iter().zip(0_u64..) {
        let visit = visit(time, number, &mut people, &mut random);
        let human = visit.visitor.is_some();
        let click_id = visit.click_id.clone();
        let answered = server.visit_as_of(&visit, time).await;
        answered.map_err(|status| format!("sample clicks: {}", status.message()))?;
        if human && random.random_ratio(ORDERS.0, 1_000) {
            orders.extend(order(&click_id, time, orders.len(), now, &mut random));
        }
    }
    for orders in orders.chunks(CALL) {
        credit(channel, orders).await?;
    }
    Ok(())
}

fn person(number: usize, random: &mut StdRng) -> Person {
    Person {
        id: format!("sample-visitor-{number}"),
        user_agent: one_of(AGENTS, random),
        language: one_of(LANGUAGES, random),
        country: one_of(COUNTRIES, random),
        visits: 0,
    }
}

/// Returns the times of all clicks in order: more by the day, more in the evening, fewer at night.
fn times(now: Timestamp, random: &mut StdRng) -> Vec<Timestamp> {
    let today = now.to_zoned(TimeZone::UTC).start_of_day().expect("a day of UTC has a beginning");
    let mut times = Vec::new();
    for day in 0..=DAYS {
        let begin = today.timestamp() - SignedDuration::from_hours((DAYS - day) * 24);
        for _ in 0..CLICKS.0 + day * CLICKS.1 {
            // The later of two is rather late than early.
            let second = random.random_range(0..86_400_000).max(random.random_range(0..86_400_000));
            times.push(begin + SignedDuration::from_millis(second));
        }
    }
    times.retain(|time| *time < now);
    times.sort_unstable();
    times
}

fn visit(time: Timestamp, number: u64, people: &mut [Person], random: &mut StdRng) -> ResolveRequest {
    let mut bytes = [0; 10];
    bytes[..2].copy_from_slice(&random.random::<u16>().to_be_bytes());
    bytes[2..].copy_from_slice(&number.to_be_bytes());
    let millis = u64::try_from(time.as_millisecond()).unwrap_or_default();
    let robot = random.random_ratio(8, 100).then(|| one_of(ROBOTS, random));
    let at = random.random_range(0..people.len());
    let person = &mut people[at];
    if robot.is_none() {
        person.visits += 1;
    }
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    ResolveRequest {
        purpose: Purpose::Click.into(),
        site: Some(Site::Shop("sample".to_owned())),
        slug: one_of(LINKS, random).to_owned(),
        partner: one_of(PARTNERS, random).to_owned(),
        query: one_of(PLACEMENTS, random).to_owned(),
        country: person.country.to_owned(),
        headers: Some(RequestHeaders {
            user_agent: Some(robot.unwrap_or(person.user_agent).to_owned()),
            accept_language: text(person.language).filter(|_| robot.is_none()),
            referer: text(one_of(REFERRERS, random)).filter(|_| robot.is_none()),
            ..RequestHeaders::default()
        }),
        visitor: robot.is_none().then(|| Visitor {
            id: person.id.clone(),
            total_visits: person.visits,
            ..Visitor::default()
        }),
        channel: if random.random_ratio(6, 100) { proto::Channel::Qr } else { proto::Channel::Link }.into(),
        click_id: Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid().to_string(),
        ..ResolveRequest::default()
    }
}

/// Returns an order within two hours of its click, and now and then that it was paid back two days later.
fn order(click_id: &str, time: Timestamp, number: usize, now: Timestamp, random: &mut StdRng) -> Vec<Value> {
    let ordered = time + SignedDuration::from_secs(random.random_range(60..7_200));
    if ordered >= now {
        return Vec::new();
    }
    let cents = random.random_range(1_990..19_990);
    let currency = if random.random_ratio(1, 5) { "CHF" } else { "EUR" };
    let amount = |cents: i64| json!({ "currency": currency, "amount": cents });
    // With a part of the click's time: what an earlier start made of other days has other numbers.
    let id = format!("sample-{:05}-{}", 10_001 + number, &click_id[9..13]);
    let mut made = vec![json!({
        "order_id": id, "kind": "CONVERSION_KIND_ORDER", "click_id": click_id,
        "conversion_time": ordered.to_string(), "amount": amount(cents),
    })];
    let paid_back = ordered + 48.hours();
    if random.random_ratio(ORDERS.1, 1_000) && paid_back < now {
        made.push(json!({
            "order_id": id, "refund_id": format!("{id}-r"), "kind": "CONVERSION_KIND_REFUND",
            "conversion_time": paid_back.to_string(), "amount": amount(cents / 2),
        }));
    }
    made
}

/// Credits orders when their clicks have arrived in PostgreSQL.
async fn credit(channel: &Channel, orders: &[Value]) -> Result<(), String> {
    let request = json!({ "shop": "sample", "conversions": orders });
    for _ in 0..TRIES.0 {
        let answer = sample::call(channel.clone(), "RecordConversions", &request).await;
        let answer = answer.map_err(|status| format!("sample orders: {}", status.message()))?;
        let printed = crate::proto::json::print(&answer)?;
        if !printed.contains("CONVERSION_RESULT_REFUSED") {
            return Ok(());
        }
        sleep(TRIES.1).await;
    }
    Err("sample orders: their clicks have not arrived in PostgreSQL".to_owned())
}

/// Chooses by weight.
fn one_of(choices: &[(&'static str, u32)], random: &mut StdRng) -> &'static str {
    choices.choose_weighted(random, |(_, weight)| *weight).map_or("", |(choice, _)| choice)
}
