//! Clicks into PostgreSQL and out of it, against COPY of the same rows: `cargo bench --bench clicks`, with `-- in` or
//! `-- out` one of both.
//!
//! PostgreSQL is a real one that forces what it writes to the disk. Both sides of a row use the same rows in turns.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

#[path = "support/around.rs"]
mod around;
#[path = "support/counting.rs"]
mod counting;
#[path = "support/crowd.rs"]
mod crowd;
#[path = "support/database.rs"]
mod database;

#[path = "support/rates.rs"]
mod rates;

use std::{
    env,
    pin::pin,
    thread,
    time::{Duration, Instant},
};

use counting::{Behind, Counting, Writer, all_is_counted, behind};
use crowd::{BATCH, Crowd};
use database::Database;
use futures_util::{SinkExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp};
use prost::bytes::Bytes;
use rates::{Rate, Rates};
use smartlinks::proto::{
    StreamClicksRequest, click_stats_client::ClickStatsClient, stream_clicks_response::Event,
};
use tokio::{runtime, time::sleep};
use tokio_postgres::Client;
use tonic::{Streaming, transport::Endpoint};

/// Rounds; the median counts.
const ROUNDS: usize = 5;
/// Batches of a round, and how many the log has that is streamed.
const BATCHES: usize = 20;
const STREAMED: usize = 40;

/// What a reader of the stream lets the server send ahead.
const WINDOW: u32 = 2 * 1_024 * 1_024;

/// All columns of a click.
const COLUMNS: &str = "at, batch, sequence, id, shop, slug, revision, channel, reason, rule, destination, partner, \
    program, attribution, traffic, traffic_why, country, device, os, browser, language, referrer, visitor, sub_ids, \
    visitor_total, link_total, partner_total, variant";

fn main() {
    let asked = |way: &str| env::args().any(|given| given == way);
    let runtime = runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    if asked("in") || !asked("out") {
        runtime.block_on(ingest());
    }
    if asked("out") || !asked("in") {
        runtime.block_on(backfill());
    }
}

/// Clicks go in, with and without being counted beside.
async fn ingest() {
    let database = Database::start().await;
    let (store, client) = (database.store(), around::client(&database).await);
    client.batch_execute("CREATE TABLE bare (LIKE clicks.click)").await.expect("a table");
    let mut rates =
        [Rates::new("COPY into a bare table"), Rates::new("clicks in"), Rates::new("clicks in and counted")];
    let mut worst = Behind::default();
    let mut writer = Writer::new(&store).await;
    let hour = SignedDuration::from_hours(1);
    // The first round warms up and does not count.
    for round in 0..=ROUNDS {
        let now = Timestamp::now();
        let crowd = |seed| Crowd::new(seed, (now - hour, now), BATCHES * BATCH).contents(BATCHES);
        let (first, second) = (crowd(round as u64 * 2), crowd(round as u64 * 2 + 1));
        let alone = Rate::of(BATCHES * BATCH, async {
            for contents in first {
                writer.add(contents).await;
            }
        })
        .await;
        let counting = Counting::start(&store);
        all_is_counted(&client).await;
        let watching = tokio::spawn(watch(around::client(&database).await));
        let counted = Rate::of(BATCHES * BATCH, async {
            for contents in second {
                writer.add(contents).await;
            }
            all_is_counted(&client).await;
        })
        .await;
        counting.stop().await;
        let seen = watching.await.expect("no panic");
        let rows = rows_of_last(&client, BATCHES * BATCH).await;
        client.batch_execute("TRUNCATE bare").await.expect("an empty table");
        let bare = Rate::of(BATCHES * BATCH, copy_in(&client, rows)).await;
        if round > 0 {
            rates.iter_mut().zip([bare, alone, counted]).for_each(|(rates, rate)| rates.push(rate));
            worst.clicks = worst.clicks.max(seen.clicks);
            worst.seconds = worst.seconds.max(seen.seconds);
        }
    }
    rates::print(&format!("{} clicks, in batches of {BATCH}", BATCHES * BATCH), "clicks/s", &rates);
    let [bare, alone, counted] = &rates;
    rates::compare(counted, bare, "≥ 0.25 ×");
    rates::compare(alone, bare, "no target: what counting costs");
    println!(
        "counting was at most {} clicks and {:.2} s behind; wanted: 200,000 or 2 s",
        worst.clicks, worst.seconds
    );
}

/// Watches until counting has begun and is done; returns how far it was behind at most.
async fn watch(client: Client) -> Behind {
    let (mut worst, mut begun) = (Behind::default(), false);
    loop {
        let now = behind(&client).await;
        worst.clicks = worst.clicks.max(now.clicks);
        worst.seconds = worst.seconds.max(now.seconds);
        begun |= now.clicks > 0;
        if begun && now.clicks == 0 {
            // Between two batches, perhaps.
            sleep(Duration::from_millis(200)).await;
            if behind(&client).await.clicks == 0 {
                return worst;
            }
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Returns the rows that came last, as COPY writes them.
async fn rows_of_last(client: &Client, count: usize) -> Vec<Bytes> {
    let statement = format!(
        "COPY (SELECT {COLUMNS} FROM clicks.click WHERE batch > (SELECT max(batch) FROM clicks.ledger) - {batches})
         TO STDOUT (FORMAT binary)",
        batches = count / BATCH
    );
    let rows = client.copy_out(&statement).await.expect("rows");
    let rows: Vec<Bytes> = rows.try_collect().await.expect("rows");
    assert!(rows.len() >= count, "{} rows", rows.len());
    rows
}

async fn copy_in(client: &Client, rows: Vec<Bytes>) {
    let statement = format!("COPY bare ({COLUMNS}) FROM STDIN (FORMAT binary)");
    let mut sink = pin!(client.copy_in::<_, Bytes>(&statement).await.expect("a table"));
    for row in rows {
        sink.feed(row).await.expect("a row");
    }
    sink.finish().await.expect("rows");
}

/// A stream reads the whole log.
async fn backfill() {
    let database = Database::start().await;
    let mut writer = Writer::new(&database.store()).await;
    let now = Timestamp::now();
    let time = (now - SignedDuration::from_hours(48), now);
    for contents in Crowd::new(7, time, STREAMED * BATCH).contents(STREAMED) {
        writer.add(contents).await;
    }
    let server = around::serve(&database).await;
    let client = around::client(&database).await;
    all_is_counted(&client).await;
    client.batch_execute("VACUUM ANALYZE").await.expect("a vacuum");
    let url = format!("http://{}", server.address());
    let mut rates = [Rates::new("COPY TO, binary"), Rates::new("COPY TO, text"), Rates::new("StreamClicks")];
    for round in 0..=ROUNDS {
        let measured = [
            Rate::of(STREAMED * BATCH, copy_out(&client, "(FORMAT binary)")).await,
            Rate::of(STREAMED * BATCH, copy_out(&client, "")).await,
            Rate::of(STREAMED * BATCH, stream(url.clone())).await,
        ];
        if round > 0 {
            rates.iter_mut().zip(measured).for_each(|(rates, rate)| rates.push(rate));
        }
    }
    rates::print(&format!("{} clicks of two days", STREAMED * BATCH), "clicks/s", &rates);
    let [binary, text, stream] = &rates;
    rates::compare(stream, binary, "≥ 0.4 ×");
    rates::compare(stream, text, "≥ 0.4 ×");
    server.stop(std::future::pending()).await;
}

async fn copy_out(client: &Client, format: &str) {
    let statement = format!("COPY (SELECT {COLUMNS} FROM clicks.click) TO STDOUT {format}");
    let mut rows = pin!(client.copy_out(&statement).await.expect("rows"));
    let mut count = 0;
    while rows.try_next().await.expect("a row").is_some() {
        count += 1;
    }
    assert!(count >= STREAMED * BATCH, "{count} rows");
}

/// Reads everything over a connection of its own, on a thread of its own.
async fn stream(url: String) {
    let reading = move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            // Whoever reads much lets the server send more before it answers than HTTP/2's 64 KiB, less than a message.
            let endpoint = Endpoint::from_shared(url)
                .expect("an address")
                .tcp_nodelay(true)
                .initial_stream_window_size(WINDOW)
                .initial_connection_window_size(WINDOW);
            let mut client = ClickStatsClient::new(endpoint.connect().await.expect("a connection"))
                .max_decoding_message_size(16 * 1_024 * 1_024);
            let stream = client.stream_clicks(StreamClicksRequest::default()).await.expect("a stream");
            count(stream.into_inner()).await
        })
    };
    let count = tokio::task::spawn_blocking(move || thread::spawn(reading).join().expect("no panic")).await;
    assert_eq!(count.expect("no panic"), STREAMED * BATCH);
}

async fn count(mut stream: Streaming<smartlinks::proto::StreamClicksResponse>) -> usize {
    let begun = Instant::now();
    let mut count = 0;
    while let Some(message) = stream.message().await.expect("a message") {
        if let Some(Event::Clicks(clicks)) = message.event {
            count += clicks.clicks.len();
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "the stream takes too long");
    }
    count
}
