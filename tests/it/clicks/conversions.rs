//! Orders are credited to their clicks once, whoever sends them how often, and stand in stream and figures.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use smartlinks::{
    domain::click::Click,
    proto::{
        ClickFilter, Conversion, ConversionKind, ConversionResult, ListPartnerLinksRequest, Money,
        NewConversion, StreamClicksRequest, stream_clicks_request::Start, stream_clicks_response::Event,
    },
};
use tokio::task::JoinSet;
use tonic::Code;

use super::{
    orders::{World, order, refund, results, sound, time, try_record},
    rolling::number,
};
use crate::{
    admin::fixture::refusal,
    support::{
        clicks::{at, click},
        requests::create_link,
        server::{TestServer, eventually, execute},
    },
};

const APPLIED: ConversionResult = ConversionResult::Applied;
const THERE: ConversionResult = ConversionResult::AlreadyThere;
const REFUSED: ConversionResult = ConversionResult::Refused;
const WAITING: ConversionResult = ConversionResult::Waiting;

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

/// Returns the click with this number of so many hours ago.
fn ago(number: u64, ago: i64) -> Click {
    click(at(number, hours(ago)))
}

fn with_conversions() -> StreamClicksRequest {
    StreamClicksRequest { conversions: true, ..StreamClicksRequest::default() }
}

/// Returns the conversions among events.
fn conversions(events: Vec<(String, Event)>) -> Vec<Conversion> {
    let conversions = events.into_iter().filter_map(|(_, event)| match event {
        Event::Conversions(conversions) => Some(conversions.conversions),
        Event::Clicks(_) | Event::Heartbeat(_) | Event::Erasure(_) => None,
    });
    conversions.flatten().collect()
}

type Change = fn(&mut NewConversion);

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_is_told_with_its_field() {
    let mut world = World::start().await;
    let one = ago(1, 1);
    world.writer.add(vec![one.clone()]).await;
    let cases: [(Change, &str); 24] = [
        (|c| c.order_id.clear(), "order_id REQUIRED"),
        (|c| c.order_id = "x".repeat(129), "order_id TOO_LONG"),
        (|c| c.order_id = "a\tb".into(), "order_id MALFORMED"),
        (|c| c.kind = 0, "kind REQUIRED"),
        (|c| c.kind = 9, "kind UNKNOWN_VALUE"),
        (|c| c.refund_id = "r".into(), "refund_id CONFLICT"),
        (|c| c.kind = ConversionKind::Refund.into(), "refund_id REQUIRED"),
        (
            |c| {
                c.kind = ConversionKind::Refund.into();
                c.refund_id = "r".into();
            },
            "click_id CONFLICT",
        ),
        (|c| c.click_id.clear(), "click_id REQUIRED"),
        (|c| c.click_id = "x".into(), "click_id MALFORMED"),
        (|c| c.click_id = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6".into(), "click_id MALFORMED"),
        (|c| c.click_id = ago(9, 25).id.to_string(), "click_id UNKNOWN_REFERENCE"),
        (|c| c.click_id = ago(9, 24 * 365 * 56).id.to_string(), "click_id UNKNOWN_REFERENCE"),
        (
            |c| {
                c.click_id = ago(9, -24 * 365).id.to_string();
                c.conversion_time = time(Timestamp::now());
            },
            "conversion_time OUT_OF_RANGE",
        ),
        (|c| c.conversion_time = None, "conversion_time REQUIRED"),
        (|c| c.conversion_time = time(Timestamp::now() - hours(2)), "conversion_time OUT_OF_RANGE"),
        (|c| c.conversion_time = time(Timestamp::now() + hours(1)), "conversion_time OUT_OF_RANGE"),
        (|c| c.amount = None, "amount REQUIRED"),
        (|c| c.amount = Some(Money { currency: "EUR".into(), amount: -1 }), "amount.amount OUT_OF_RANGE"),
        (
            |c| c.amount = Some(Money { currency: "EUR".into(), amount: i64::MAX }),
            "amount.amount OUT_OF_RANGE",
        ),
        (|c| c.amount = Some(Money { currency: "eur".into(), amount: 1 }), "amount.currency UNKNOWN_VALUE"),
        (|c| c.amount = Some(Money { currency: String::new(), amount: 1 }), "amount.currency REQUIRED"),
        (
            |c| c.properties = (0..21).map(|name| (name.to_string(), String::new())).collect(),
            "properties TOO_LONG",
        ),
        (|c| c.properties = [("k".into(), "x".repeat(513))].into(), "properties[\"k\"] TOO_LONG"),
    ];
    // One call each, then all of them in one with a sound one behind.
    let mut all = Vec::new();
    for (number, (change, fault)) in cases.iter().enumerate() {
        let mut conversion = order(&one, &format!("bad{number}"), 500);
        change(&mut conversion);
        let answer = world.record(vec![conversion.clone()]).await;
        assert_eq!(results(&answer), [(REFUSED, format!("conversions[0].{fault}"))]);
        assert_eq!(answer.position, 0);
        all.push(conversion);
    }
    all.push(order(&one, "good", 500));
    let answer = world.record(all).await;
    for (number, (_, fault)) in cases.iter().enumerate() {
        assert_eq!(results(&answer)[number], (REFUSED, format!("conversions[{number}].{fault}")));
    }
    assert_eq!(results(&answer)[cases.len()], (APPLIED, String::new()));
    assert_eq!(answer.position, 2);
    world.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn call_that_is_wrong_as_a_whole_is_refused() {
    let world = World::start().await;
    let one = ago(1, 1);
    let many = |count: usize| (0..count).map(|id| order(&one, &id.to_string(), 1)).collect::<Vec<_>>();
    for (shop, count, reason, field) in [
        ("acme", 0, "REQUIRED", "conversions"),
        ("acme", 1_001, "TOO_LONG", "conversions"),
        ("", 1, "REQUIRED", "shop"),
        ("no shop", 1, "MALFORMED", "shop"),
    ] {
        let status = try_record(&world.server, shop, many(count)).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::InvalidArgument, reason.to_owned(), field.to_owned()));
    }
    let status = try_record(&world.server, "nobody", many(1)).await.unwrap_err();
    assert_eq!((status.code(), refusal(&status).1.as_str()), (Code::NotFound, "SHOP_NOT_FOUND"));
}

#[tokio::test(flavor = "multi_thread")]
async fn order_counts_once_and_is_paid_back_at_most_once() {
    let mut world = World::start().await;
    let one = ago(1, 30);
    world.writer.add(vec![one.clone()]).await;
    let mut first = order(&one, "A 1", 1_000);
    first.properties = [("voucher".to_owned(), "x".to_owned())].into();
    let answer = world.record(vec![first.clone(), first.clone()]).await;
    assert_eq!(sound(&answer), [APPLIED, THERE]);
    assert_eq!(answer.position, 2);
    let again = world.record(vec![first.clone()]).await;
    assert_eq!((sound(&again), again.position), (vec![THERE], 0));
    let other =
        world.record(vec![NewConversion { amount: order(&one, "", 999).amount, ..first.clone() }]).await;
    assert_eq!(results(&other), [(REFUSED, "conversions[0].amount.amount CONFLICT".to_owned())]);

    let parts = vec![
        refund(&one, "A 2", "r", 1),
        refund(&one, "A 1", "r1", 400),
        refund(&one, "A 1", "r2", 601),
        refund(&one, "A 1", "r2", 600),
        refund(&one, "A 1", "r1", 400),
        refund(&one, "A 1", "r3", 1),
    ];
    let answer = world.record(parts).await;
    let expected = [
        (REFUSED, "conversions[0].order_id UNKNOWN_REFERENCE".to_owned()),
        (APPLIED, String::new()),
        (REFUSED, "conversions[2].amount.amount OUT_OF_RANGE".to_owned()),
        (APPLIED, String::new()),
        (THERE, String::new()),
        (REFUSED, "conversions[5].amount.amount OUT_OF_RANGE".to_owned()),
    ];
    assert_eq!(results(&answer), expected);
    let recorded = conversions(world.read(with_conversions()).await);
    let seen: Vec<_> =
        recorded.iter().map(|one| (one.refund_id.as_str(), one.amount.as_ref().unwrap().amount)).collect();
    assert_eq!(seen, [("", 1_000), ("r1", 400), ("r2", 600)]);
    for conversion in &recorded {
        assert_eq!(conversion.click_id, one.id.to_string());
        assert_eq!((conversion.partner.as_str(), conversion.slug.as_str()), ("anna", "sale"));
        assert_eq!(conversion.sub_ids["s1"], "x");
    }
    assert_eq!(recorded[0].properties["voucher"], "x");
    assert_eq!(world.check().await.present_conversions, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn order_waits_for_a_click_that_is_on_its_way() {
    let mut world = World::start().await;
    let late = ago(1, 2);
    let both = || vec![order(&late, "1", 700), refund(&late, "1", "back", 200)];
    let answer = world.record(both()).await;
    assert_eq!((sound(&answer), answer.position), (vec![WAITING, WAITING], 0));
    assert_eq!(sound(&world.record(both()).await), [THERE, THERE]);
    assert_eq!(conversions(world.read(with_conversions()).await), []);
    let over = world.record(vec![refund(&late, "1", "more", 501)]).await;
    assert_eq!(results(&over), [(REFUSED, "conversions[0].amount.amount OUT_OF_RANGE".to_owned())]);
    world.writer.add(vec![late.clone()]).await;
    let world = &world;
    let credited = eventually("the order is credited", || async move {
        let found = conversions(world.read(with_conversions()).await);
        (!found.is_empty()).then_some(found)
    })
    .await;
    let kinds: Vec<_> = credited.iter().map(Conversion::kind).collect();
    assert_eq!(kinds, [ConversionKind::Order, ConversionKind::Refund]);
    assert!(credited.iter().all(|one| one.click_id == late.id.to_string() && one.partner == "anna"));
    assert_eq!(sound(&world.record(both()).await), [THERE, THERE]);
    assert_eq!(world.check().await.present_conversions, 2);
    let client = world.database.client().await;
    assert_eq!(number(&client, "SELECT count(*) FROM clicks.conversion_waiting").await, 0);
    let revenue = "SELECT sum(amount) FROM clicks.stats_conversion_day WHERE told_by = 'click'";
    assert_eq!(number(&client, revenue).await, 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn order_whose_click_never_comes_is_put_aside() {
    let world = World::start().await;
    let never = ago(1, 2);
    let mut paid = order(&never, "1", 700);
    paid.properties = [("voucher".to_owned(), "of a visitor".to_owned())].into();
    let answer = world.record(vec![paid, refund(&never, "1", "back", 200)]).await;
    assert_eq!(sound(&answer), [WAITING, WAITING]);
    execute(&world.database, "UPDATE clicks.conversion_waiting SET since = now() - interval '8 days'").await;
    let client = &world.database.client().await;
    eventually("it is put aside", || async move {
        (number(client, "SELECT count(*) FROM clicks.conversion_waiting").await == 0).then_some(())
    })
    .await;
    let aside = "SELECT convert_from(content, 'UTF8')::jsonb ->> 'order_id', reason FROM clicks.rejected";
    let rows = client.query(aside, &[]).await.unwrap();
    let rows: Vec<(String, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(
        rows,
        [
            ("1".to_owned(), "its click did not come".to_owned()),
            ("1".to_owned(), "its click did not come".to_owned())
        ]
    );
    // The click may be one that was erased.
    let telling = format!(
        "SELECT count(*) FROM clicks.rejected WHERE convert_from(content, 'UTF8') ~ 'voucher|properties|{}'",
        never.id.uuid()
    );
    assert_eq!(number(client, &telling).await, 0);
    let sums = world.check().await.sums;
    assert_eq!((sums[0].delivered, sums[0].rejected), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_have_a_thousand_outcomes() {
    let mut world = World::start().await;
    let clicks: Vec<_> = (0..250).map(|number| ago(number, 1)).collect();
    world.writer.add(clicks.clone()).await;
    world
        .record(
            clicks[..50].iter().enumerate().map(|(at, click)| order(click, &format!("o{at}"), 10)).collect(),
        )
        .await;
    let (fresh, old) = (|number| ago(number, 3), |number| ago(number, 48));
    let kind = |at: usize| match at % 4 {
        0 => order(&clicks[at / 4], &format!("o{}", at / 4), 10),
        1 => order(&fresh(5_000 + at as u64), &format!("w{at}"), 10),
        2 => order(&old(9_000 + at as u64), &format!("x{at}"), 10),
        _ => refund(&clicks[at / 4], &format!("o{}", at / 4), "all", 10),
    };
    let answer = world.record((0..1_000).map(kind).collect()).await;
    for (at, (result, fault)) in results(&answer).into_iter().enumerate() {
        let expected = match at % 4 {
            0 if at / 4 < 50 => THERE,
            0 | 3 => APPLIED,
            1 => WAITING,
            _ => REFUSED,
        };
        assert_eq!(result, expected, "{at}: {fault}");
        assert_eq!(fault.is_empty(), expected != REFUSED);
    }
    let sums = world.check().await.sums;
    assert_eq!((sums[1].entries, sums[1].applied, sums[1].duplicates), (2, 50 + 200 + 250, 50));
    assert_eq!(conversions(world.read(with_conversions()).await).len(), 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_who_race_apply_each_order_once() {
    let mut world = World::start().await;
    let clicks: Vec<_> = (0..40).map(|number| ago(number, 1)).collect();
    world.writer.add(clicks.clone()).await;
    let second = TestServer::ready(world.database.url()).await;
    let mut callers = JoinSet::new();
    for caller in 0..6 {
        let mut client = if caller % 2 == 0 { world.server.stats() } else { second.stats() };
        let mut batch: Vec<_> =
            clicks.iter().enumerate().map(|(at, click)| order(click, &format!("o{at}"), 100)).collect();
        // Two of them pay back more together than there is.
        batch.extend(
            clicks
                .iter()
                .enumerate()
                .map(|(at, click)| refund(click, &format!("o{at}"), &format!("by{caller}"), 40)),
        );
        if caller % 3 == 0 {
            batch[..40].reverse();
        }
        callers.spawn(async move {
            let request =
                smartlinks::proto::RecordConversionsRequest { shop: "acme".into(), conversions: batch };
            client.record_conversions(request).await.unwrap().into_inner()
        });
    }
    let (mut orders, mut refunds) = (0, 0);
    while let Some(answer) = callers.join_next().await {
        let answer = answer.unwrap();
        let applied = |outcomes: &[smartlinks::proto::ConversionOutcome]| {
            outcomes.iter().filter(|outcome| outcome.result() == APPLIED).count()
        };
        orders += applied(&answer.outcomes[..40]);
        refunds += applied(&answer.outcomes[40..]);
    }
    assert_eq!((orders, refunds), (40, 80));
    assert_eq!(world.check().await.present_conversions, 120);
    let client = world.database.client().await;
    assert_eq!(
        number(&client, "SELECT sum(amount) FROM clicks.stats_conversion_day WHERE told_by = 'click'").await,
        800
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_has_conversions_where_they_were_committed_and_resumes_anywhere() {
    let mut world = World::start().await;
    let clicks: Vec<_> = (0..90).map(|number| ago(number, 1)).collect();
    let mut expected = Vec::new();
    for (at, part) in clicks.chunks(30).enumerate() {
        world.writer.add(part.to_vec()).await;
        expected.extend(part.iter().map(|click| click.id.to_string()));
        let orders: Vec<_> = part
            .iter()
            .enumerate()
            .map(|(number, click)| order(click, &format!("{at}-{number}"), 5))
            .collect();
        expected.extend(orders.iter().map(|order| order.order_id.clone()));
        world.record(orders).await;
    }
    let names = |events: &[(String, Event)]| -> Vec<String> {
        let names = |event: &Event| match event {
            Event::Clicks(clicks) => clicks.clicks.iter().map(|click| click.id.clone()).collect(),
            Event::Conversions(all) => all.conversions.iter().map(|one| one.order_id.clone()).collect(),
            Event::Heartbeat(_) | Event::Erasure(_) => Vec::new(),
        };
        events.iter().flat_map(|(_, event)| names(event)).collect()
    };
    let all = world.read(with_conversions()).await;
    assert_eq!(names(&all), expected);
    for (at, (token, _)) in all.iter().enumerate() {
        let start = Some(Start::AfterToken(token.clone()));
        let rest = world.read(StreamClicksRequest { start, ..with_conversions() }).await;
        assert_eq!([names(&all[..=at]), names(&rest)].concat(), expected);
    }
    // Who does not ask gets none, under the same tokens.
    let clicks_only = world.read(StreamClicksRequest::default()).await;
    assert_eq!(names(&clicks_only).len(), 90);
    let filter =
        Some(ClickFilter { shop: "acme".into(), partners: vec!["ben".into()], ..Default::default() });
    assert_eq!(
        names(&world.read(StreamClicksRequest { filter, ..with_conversions() }).await),
        Vec::<String>::new()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn partner_sees_what_its_links_brought() {
    let mut world = World::start().await;
    let mut admin = world.server.admin();
    for slug in ["sale", "quiet"] {
        admin.create_link(create_link("acme", slug, "/x")).await.unwrap();
    }
    let partner = smartlinks::proto::CreatePartnerRequest {
        partner: Some(smartlinks::proto::Partner {
            shop: "acme".into(),
            code: "anna".into(),
            display_name: "Anna".into(),
            active: Some(true),
            ..Default::default()
        }),
        ..Default::default()
    };
    admin.create_partner(partner).await.unwrap();
    let one = ago(1, 1);
    let mut two = ago(2, 1);
    two.visitor = Some([9; 16]);
    let mut foreign = ago(3, 1);
    foreign.partner = Some("ben".to_owned().try_into().unwrap());
    world.writer.add(vec![one.clone(), two.clone(), foreign.clone(), ago(4, 24 * 5)]).await;
    let mut dollars = order(&two, "d", 3_000);
    dollars.amount.as_mut().unwrap().currency = "USD".into();
    world
        .record(vec![order(&one, "e", 2_000), refund(&one, "e", "r", 500), dollars, order(&foreign, "f", 9)])
        .await;
    let request =
        ListPartnerLinksRequest { shop: "acme".into(), partner: "anna".into(), ..Default::default() };
    let without = admin.list_partner_links(request.clone()).await.unwrap().into_inner();
    assert!(without.links.iter().all(|link| link.figures.is_none()) && without.links.len() == 3);
    let now = Timestamp::now();
    let request = ListPartnerLinksRequest {
        figures_start_time: time(now - hours(48)),
        figures_end_time: time(now),
        ..request
    };
    let listed = admin.list_partner_links(request.clone()).await.unwrap().into_inner().links;
    let figures: BTreeMap<_, _> = listed.into_iter().map(|link| (link.slug, link.figures.unwrap())).collect();
    let (sale, quiet) = (&figures["sale"], &figures["quiet"]);
    assert_eq!((sale.clicks, sale.daily_visitors, sale.conversions), (2, Some(2), Some(2)));
    let money = |currency: &str, amount| Money { currency: currency.into(), amount };
    assert_eq!(sale.revenue, [money("EUR", 1_500), money("USD", 3_000)]);
    assert_eq!((quiet.clicks, quiet.daily_visitors, quiet.conversions), (0, Some(0), Some(0)));
    assert_eq!(quiet.revenue, []);
    for (request, reason, field) in [
        (
            ListPartnerLinksRequest { figures_end_time: None, ..request.clone() },
            "REQUIRED",
            "figures_end_time",
        ),
        (
            ListPartnerLinksRequest { figures_start_time: None, ..request.clone() },
            "REQUIRED",
            "figures_start_time",
        ),
        (
            ListPartnerLinksRequest { figures_end_time: request.figures_start_time, ..request.clone() },
            "OUT_OF_RANGE",
            "figures_end_time",
        ),
    ] {
        let status = admin.list_partner_links(request).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::InvalidArgument, reason.to_owned(), field.to_owned()));
    }
}
