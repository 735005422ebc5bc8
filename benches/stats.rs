//! Figures as a shop's dashboard asks for them, over gRPC: `cargo bench --bench stats`.
//!
//! Of a million clicks of 90 days, or of as many as `SMARTLINKS_BENCH_CLICKS` says. They go in as those of a server do,
//! and the roller counts them.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

#[path = "support/around.rs"]
mod around;
#[path = "support/counting.rs"]
mod counting;
#[path = "support/crowd.rs"]
mod crowd;
#[path = "support/database.rs"]
mod database;

#[path = "support/questions.rs"]
mod questions;

use std::{env, time::Instant};

use counting::{Counting, Writer, all_is_counted};
use crowd::{BATCH, Crowd, SHOP, code, slug};
use database::Database;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use questions::{Times, dashboard, scan, wire};
use smartlinks::{
    proto::{
        BatchCreateLinksRequest, ConversionKind, ConversionResult, CreatePartnerRequest, CreateShopRequest,
        Link, ListPartnerLinksRequest, Money, NewConversion, Partner, RecordConversionsRequest, Selected,
        Sharing, Shop, click_stats_client::ClickStatsClient, link_admin_client::LinkAdminClient,
        sharing::With,
    },
    spool,
};
use tokio::{runtime, sync::mpsc};
use tonic::transport::{Channel, Endpoint};

/// Clicks, unless told otherwise.
const CLICKS: usize = 1_000_000;
/// The days that they are of.
const DAYS: i32 = 90;
/// How often each question is asked, in turns with the others.
const TURNS: usize = 100;
/// How often single clicks are read.
const SCANS: usize = 5;
/// Of so many clicks one leads to an order.
const PER_ORDER: usize = 100;
/// Links that the partner of the portal has.
const PORTAL_LINKS: usize = 500;

fn main() {
    let clicks = env::var("SMARTLINKS_BENCH_CLICKS").map_or(CLICKS, |text| text.parse().expect("a number"));
    let runtime = runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let database = runtime.block_on(Database::start());
    let (address, times, server) = runtime.block_on(async {
        let server = around::serve(&database).await;
        let address = format!("http://{}", server.address());
        let times = fill(&database, connect(&address).await, clicks).await;
        (address, times, server)
    });
    // The caller has a thread of its own.
    let caller = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    caller.block_on(ask(connect_lazily(&address), times, clicks));
    runtime.block_on(server.stop(std::future::pending()));
}

fn connect_lazily(address: &str) -> Endpoint {
    Endpoint::from_shared(address.to_owned()).expect("an address").tcp_nodelay(true)
}

async fn connect(address: &str) -> Channel {
    connect_lazily(address).connect().await.expect("a connection")
}

/// Makes the shop with its clicks and orders; returns what days there are.
async fn fill(database: &Database, channel: Channel, clicks: usize) -> Times {
    make_shop(LinkAdminClient::new(channel.clone())).await;
    let now = Timestamp::now();
    let begin = now - SignedDuration::from_hours(24 * i64::from(DAYS - 1));
    let begun = Instant::now();
    let store = database.store();
    let mut writer = Writer::new(&store).await;
    let counting = Counting::start(&store);
    let (batches, mut made) = mpsc::channel(4);
    let making = tokio::task::spawn_blocking(move || {
        let mut crowd = Crowd::new(1, (begin, now), clicks);
        while let Some(batch) = crowd.contents(1).pop() {
            batches.blocking_send(batch).expect("someone who takes it");
        }
    });
    let mut sold = Vec::new();
    while let Some(contents) = made.recv().await {
        let some =
            contents.iter().step_by(PER_ORDER).map(|content| spool::decode(content).expect("a click").id);
        sold.extend(some.filter(|id| id.time() < now - SignedDuration::from_hours(1)));
        writer.add(contents).await;
    }
    making.await.expect("no panic");
    let written = begun.elapsed();
    let client = around::client(database).await;
    all_is_counted(&client).await;
    println!(
        "{clicks} clicks of {DAYS} days, in batches of {BATCH}: in after {:.0} s, counted after {:.0} s",
        written.as_secs_f64(),
        begun.elapsed().as_secs_f64()
    );
    counting.stop().await;
    let mut stats = ClickStatsClient::new(channel);
    for (at, clicks) in sold.chunks(1_000).enumerate() {
        let order = |(number, click): (usize, &smartlinks::domain::click_id::ClickId)| NewConversion {
            order_id: format!("order-{at}-{number}"),
            kind: ConversionKind::Order.into(),
            click_id: click.to_string(),
            conversion_time: wire(click.time() + SignedDuration::from_mins(30)),
            amount: Some(Money {
                currency: ["EUR", "EUR", "USD"][number % 3].to_owned(),
                amount: 1_000 + number as i64,
            }),
            ..NewConversion::default()
        };
        let conversions = clicks.iter().enumerate().map(order).collect();
        let request = RecordConversionsRequest { shop: SHOP.to_owned(), conversions };
        let answer = stats.record_conversions(request).await.expect("an answer").into_inner();
        let applied =
            |outcome: &smartlinks::proto::ConversionOutcome| outcome.result() == ConversionResult::Applied;
        assert!(answer.outcomes.iter().all(applied), "an order was not taken");
    }
    client.batch_execute("VACUUM ANALYZE").await.expect("a vacuum");
    client.batch_execute("CHECKPOINT").await.expect("a checkpoint");
    let sizes = "SELECT relname::text, pg_table_size(oid) / 1048576, pg_indexes_size(oid) / 1048576, reltuples::bigint
        FROM pg_class WHERE relnamespace = 'clicks'::regnamespace AND relkind = 'r' AND relname ~ '^(stats|visitor)'
        UNION ALL
        SELECT 'click', (sum(pg_table_size(inhrelid)) / 1048576)::bigint,
            (sum(pg_indexes_size(inhrelid)) / 1048576)::bigint, NULL
        FROM pg_inherits WHERE inhparent = 'clicks.click'::regclass ORDER BY 1";
    println!("\n{:<34} {:>9} {:>9} {:>12}", "", "MiB", "index MiB", "rows");
    for row in client.query(sizes, &[]).await.expect("sizes") {
        let (name, table, index): (&str, i64, i64) = (row.get(0), row.get(1), row.get(2));
        let rows = row.get::<_, Option<i64>>(3).unwrap_or(clicks as i64);
        println!("{name:<34} {table:>9} {index:>9} {rows:>12}");
    }
    let day = |time: Timestamp| time.to_zoned(TimeZone::UTC).date();
    Times { first: day(begin), today: day(now) }
}

async fn make_shop(mut admin: LinkAdminClient<Channel>) {
    let shop = Shop {
        id: SHOP.to_owned(),
        display_name: "Shop".to_owned(),
        base_url: "https://shop.example".to_owned(),
        link_hosts: vec!["go.shop.example".to_owned()],
        ..Shop::default()
    };
    let request = CreateShopRequest { shop: Some(shop), ..CreateShopRequest::default() };
    admin.create_shop(request).await.expect("a shop");
    let partner = Partner {
        shop: SHOP.to_owned(),
        code: code(0),
        display_name: "Partner".to_owned(),
        ..Partner::default()
    };
    let request = CreatePartnerRequest { partner: Some(partner), ..CreatePartnerRequest::default() };
    admin.create_partner(request).await.expect("a partner");
    let link = |number| Link {
        slug: slug(number),
        display_name: format!("Link {number}"),
        default_destination: format!("pages/{number}"),
        sharing: Some(Sharing {
            with: Some(With::Selected(Selected { partners: vec![code(0)], programs: Vec::new() })),
        }),
        ..Link::default()
    };
    let request = BatchCreateLinksRequest {
        shop: SHOP.to_owned(),
        links: (0..PORTAL_LINKS).map(link).collect(),
        ..BatchCreateLinksRequest::default()
    };
    admin.batch_create_links(request).await.expect("links");
}

/// Asks everything in turns, and prints how long it took.
async fn ask(endpoint: Endpoint, times: Times, clicks: usize) {
    let channel = endpoint.connect().await.expect("a connection");
    let mut stats = ClickStatsClient::new(channel.clone());
    let mut admin = LinkAdminClient::new(channel);
    let questions = dashboard(times);
    let last = times.last(30, "UTC");
    let portal = ListPartnerLinksRequest {
        shop: SHOP.to_owned(),
        partner: code(0),
        page_size: 1_000,
        figures_start_time: last.start_time,
        figures_end_time: last.end_time,
        ..ListPartnerLinksRequest::default()
    };
    let mut took = vec![Vec::new(); questions.len() + 1];
    // The first turn warms up and does not count.
    for turn in 0..=TURNS {
        for ((name, request), took) in questions.iter().zip(&mut took) {
            let asked = Instant::now();
            let answer = stats.query_stats(request.clone()).await.expect("an answer").into_inner();
            if turn > 0 {
                took.push(asked.elapsed());
            }
            assert!(answer.total_clicks > 0, "{name}: no clicks");
        }
        let asked = Instant::now();
        let answer = admin.list_partner_links(portal.clone()).await.expect("an answer").into_inner();
        if turn > 0
            && let Some(took) = took.last_mut()
        {
            took.push(asked.elapsed());
        }
        // The default link is theirs too.
        assert_eq!(answer.links.len(), PORTAL_LINKS + 1);
    }
    println!("\n{TURNS} turns; wanted: ≤ 50 ms each");
    println!("{:<44} {:>9} {:>9} {:>9}", "", "p50 ms", "p99 ms", "most ms");
    let names =
        questions.iter().map(|(name, _)| *name).chain(["portal of a partner with 500 links, 30 days"]);
    for (name, mut took) in names.zip(took) {
        took.sort_unstable();
        let at =
            |share: f64| took[((took.len() as f64 * share) as usize).min(took.len() - 1)].as_secs_f64() * 1e3;
        println!("{name:<44} {:>9.1} {:>9.1} {:>9.1}", at(0.5), at(0.99), at(1.0));
    }
    // What a call may read of ten million clicks is about half of them.
    let days = if clicks > 5_000_000 { 30 } else { DAYS };
    let mut took = Vec::new();
    for turn in 0..=SCANS {
        let asked = Instant::now();
        stats.query_stats(scan(times, days)).await.expect("an answer");
        if turn > 0 {
            took.push(asked.elapsed().as_secs_f64());
        }
    }
    took.sort_by(f64::total_cmp);
    let read = clicks as f64 * f64::from(days) / f64::from(DAYS);
    let scale = 10_000_000.0 / read;
    println!(
        "\nsingle clicks, two dimensions, {days} days: {:.2} s for {read:.0} clicks, {:.2} s for 10,000,000 \
         ({:.2} – {:.2}); wanted: ≤ 1.5 s",
        took[took.len() / 2],
        took[took.len() / 2] * scale,
        took[0] * scale,
        took[took.len() - 1] * scale
    );
}
