//! What is erased is gone from the log, from what is counted and from conversions; the ledger proves it, whatever stops
//! it in between.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use smartlinks::{
    domain::{click::Click, erasure::ErasureScope},
    proto::{
        ClickFilter, EraseClicksRequest, EraseClicksResponse, EraseEverything, Erasure, StreamClicksRequest,
        erase_clicks_request::Scope, erasure, stream_clicks_request::Start, stream_clicks_response::Event,
    },
    store::{
        Put, Store,
        clicks::{Days, Rolled},
    },
};
use tonic::{Code, Status};
use uuid::Uuid;

use super::{
    erasing::counters_equal_the_log,
    orders::{World, order, refund, sound, try_record},
    rolling::{figures_equal_the_log, number},
};
use crate::{
    admin::fixture::refusal,
    support::{
        clicks::{Crowd, batch},
        database::Database,
        objects::{code, new, partner, put, shop_id},
        server::eventually,
    },
};

/// Which clicks.
type Choice = Box<dyn Fn(&Click) -> bool>;

/// A visitor of the crowd, and how it is written.
const VISITOR: ([u8; 16], &str) = ([3; 16], "03030303030303030303030303030303");

async fn try_erase(world: &World, shop: &str, scope: Option<Scope>) -> Result<EraseClicksResponse, Status> {
    let request = EraseClicksRequest { shop: shop.into(), scope };
    Ok(world.server.stats().erase_clicks(request).await?.into_inner())
}

async fn erase(world: &World, scope: Scope) -> EraseClicksResponse {
    try_erase(world, "acme", Some(scope)).await.unwrap()
}

/// Brings clicks of two shops, of which one has a partner, with an order for each of acme's, and returns them.
async fn bring(world: &mut World, count: usize) -> Vec<Click> {
    let mut anna = partner("acme", "anna");
    anna.aliases = [code("anna-b")].into();
    put(&world.database.store(), vec![Put::Partner(new(anna))]).await.unwrap();
    let now = Timestamp::now();
    let clicks = Crowd::new(8, (now - SignedDuration::from_hours(60), now)).clicks(count);
    world.writer.add(clicks.clone()).await;
    for shop in ["acme", "other"] {
        let orders = clicks.iter().filter(|click| click.shop.as_str() == shop).enumerate();
        let orders = orders.flat_map(|(at, click)| {
            let id = at.to_string();
            let mut order = order(click, &id, 100);
            order.properties = [("voucher".to_owned(), "x".to_owned())].into();
            [order, refund(click, &id, "r", 30)]
        });
        let orders: Vec<_> = orders.collect();
        for part in orders.chunks(1_000) {
            sound(&try_record(&world.server, shop, part.to_vec()).await.unwrap());
        }
    }
    clicks
}

/// Waits until everything is counted.
async fn counted(world: &World) {
    let client = &world.database.client().await;
    eventually("everything is counted", || async move {
        let behind = "SELECT head.position - roller.position + (SELECT count(*) FROM clicks.reroll)
            FROM clicks.head, clicks.roller";
        (number(client, behind).await == 0).then_some(())
    })
    .await;
}

fn count(clicks: &[Click], shop: &str, which: impl Fn(&Click) -> bool) -> i64 {
    i64::try_from(clicks.iter().filter(|click| click.shop.as_str() == shop && which(click)).count()).unwrap()
}

fn is_of(click: &Click, partner: &str) -> bool {
    click.partner.as_ref().is_some_and(|code| code.as_str() == partner)
}

fn day_of(click: &Click) -> String {
    click.id.time().to_zoned(TimeZone::UTC).date().to_string()
}

fn everything() -> Scope {
    Scope::Everything(EraseEverything {})
}

/// Checks the sum of what is counted of conversions against them.
async fn conversions_are_counted(world: &World) {
    let client = world.database.client().await;
    for (time, told_by) in [("at", "conversion"), ("click_at", "click")] {
        let wrong = format!(
            "SELECT count(*) FROM (
                SELECT shop, ({time} AT TIME ZONE 'UTC')::date AS day, coalesce(partner, '') AS partner,
                    coalesce(slug, '') AS slug, traffic, reason, currency,
                    count(*) FILTER (WHERE refund_id = '') AS conversions,
                    sum(CASE refund_id WHEN '' THEN amount ELSE -amount END) AS amount
                FROM clicks.conversion GROUP BY 1, 2, 3, 4, 5, 6, 7
             ) AS told FULL JOIN (SELECT * FROM clicks.stats_conversion_day WHERE told_by = '{told_by}') AS counted
                USING (shop, day, partner, slug, traffic, reason, currency, conversions, amount)
             WHERE told.shop IS NULL OR counted.told_by IS NULL"
        );
        assert_eq!(number(&client, &wrong).await, 0, "{told_by}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_scope_is_erased_whole_and_nothing_else() {
    for case in ["partner", "day", "visitor", "everything"] {
        let mut world = World::start().await;
        let clicks = bring(&mut world, 600).await;
        counted(&world).await;
        let client = world.database.client().await;
        let day = day_of(&clicks[0]);
        let (scope, is_meant): (Scope, Choice) = match case {
            "partner" => (Scope::Partner("Anna".into()), Box::new(|click| is_of(click, "anna"))),
            "day" => (Scope::Day(day.clone()), Box::new(move |click| day_of(click) == day)),
            "visitor" => {
                (Scope::Visitor(VISITOR.1.into()), Box::new(|click| click.visitor == Some(VISITOR.0)))
            }
            _ => (everything(), Box::new(|_| true)),
        };
        let meant = count(&clicks, "acme", &is_meant);
        assert!(meant > 5, "{case}");
        let answer = erase(&world, scope.clone()).await;
        assert_eq!(answer.removed_clicks, meant, "{case}");
        let (removed, nameless) = if case == "everything" { (2 * meant, 0) } else { (0, 2 * meant) };
        assert_eq!(
            (answer.removed_conversions, answer.anonymized_conversions),
            (removed, nameless),
            "{case}"
        );
        assert_eq!(answer.position, number(&client, "SELECT position FROM clicks.head").await);

        let left = "SELECT count(*) FROM clicks.click";
        assert_eq!(number(&client, left).await, 600 - meant);
        assert_eq!(
            number(&client, &format!("{left} WHERE shop = 'other'")).await,
            count(&clicks, "other", |_| true)
        );
        figures_equal_the_log(&client).await;
        conversions_are_counted(&world).await;
        let audit = world.check().await;
        assert_eq!((audit.present, audit.present_conversions), (600 - meant, 1_200 - removed));

        // Nothing tells of a visitor any more where the click is gone, and everything elsewhere.
        let named = "SELECT count(*) FROM clicks.conversion WHERE shop = 'acme' AND NOT (click_id IS NULL
            AND properties IS NULL AND country IS NULL AND device IS NULL AND os IS NULL AND browser IS NULL
            AND language IS NULL AND referrer IS NULL AND sub_ids IS NULL
            AND click_at = date_trunc('day', click_at, 'UTC') + interval '12 hours')";
        assert_eq!(number(&client, named).await, 2 * (count(&clicks, "acme", |_| true) - meant), "{case}");
        let anna = "SELECT count(*) FROM clicks.conversion WHERE shop = 'acme' AND partner = 'anna'";
        let annas = if case == "partner" || case == "everything" {
            0
        } else {
            2 * count(&clicks, "acme", |click| is_of(click, "anna"))
        };
        assert_eq!(number(&client, anna).await, annas, "{case}");
        let counters = "SELECT count(*) FROM clicks.counter_partner WHERE shop = 'acme' AND partner = 'anna'";
        assert_eq!(number(&client, counters).await, i64::from(case == "day" || case == "visitor"), "{case}");

        // What rules look at has lost just what was erased.
        counters_equal_the_log(&client, case).await;

        // Asked again there is nothing to do.
        assert_eq!(erase(&world, scope).await, EraseClicksResponse::default(), "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_stopped_in_between_goes_on() {
    let mut world = World::start().await;
    let clicks = bring(&mut world, 700).await;
    counted(&world).await;
    let (store, client) = (world.database.store(), world.database.client().await);
    let scope = ErasureScope::Partner("anna".to_owned().try_into().unwrap());
    let meant = count(&clicks, "acme", |click| is_of(click, "anna"));
    let mut removed = 0;
    // Dropped after some pieces, and in the middle of one.
    for pieces in 1..6 {
        let mut eraser = store.eraser(&shop_id("acme"), &scope).await.unwrap();
        for _ in 0..pieces {
            removed += eraser.step(2).await.unwrap().unwrap().clicks;
        }
        let span = std::time::Duration::from_micros(300 * pieces);
        if let Ok(erased) = tokio::time::timeout(span, eraser.step(2)).await {
            removed += erased.unwrap().unwrap().clicks;
        }
        drop(eraser);
        // The roller counts anew what the one who was stopped left.
        counted(&world).await;
        figures_equal_the_log(&client).await;
        world.check().await;
    }
    assert!(removed > 4 && removed < meant, "{removed} of {meant}");
    let before = number(&client, "SELECT sum(removed) FROM clicks.ledger").await;
    assert!(before >= removed);
    let answer = erase(&world, Scope::Partner("anna".into())).await;
    assert_eq!(answer.removed_clicks, meant - before);
    figures_equal_the_log(&client).await;
    conversions_are_counted(&world).await;
    assert_eq!(world.check().await.present, 700 - meant);
}

#[tokio::test]
async fn day_of_which_clicks_were_erased_is_kept_until_it_is_counted_anew() {
    let database = Database::create().await;
    let (store, client) = (database.store(), database.client().await);
    let then = Timestamp::now() - SignedDuration::from_hours(24 * 40);
    let clicks = Crowd::new(2, (then, then + SignedDuration::from_secs(1))).clicks(80);
    let mut ingestor = store.ingestor().await.unwrap();
    let days = Days::kept(Timestamp::now(), 60);
    ingestor.ingest(&batch(Uuid::from_u128(1), 0, &clicks), days).await.unwrap();
    roll_all(&store).await;
    let scope = ErasureScope::Visitor(VISITOR.0);
    let mut eraser = store.eraser(&shop_id("acme"), &scope).await.unwrap();
    // Stopped as soon as something is removed.
    while eraser.step(1).await.unwrap().unwrap().clicks == 0 {}
    drop(eraser);
    assert_eq!(store.keep_click_days(Timestamp::now(), 30).await.unwrap().unwrap().dropped, []);
    let mut rollups = store.rollups().await.unwrap();
    assert!(rollups.reroll_next(None).await.unwrap());
    assert!(!rollups.reroll_next(None).await.unwrap());
    roll_all(&store).await;
    let dropped: i64 = store
        .keep_click_days(Timestamp::now(), 30)
        .await
        .unwrap()
        .unwrap()
        .dropped
        .iter()
        .map(|(_, clicks)| clicks)
        .sum();
    assert_eq!(dropped, 79);
    let counted = number(&client, "SELECT sum(clicks) FROM clicks.stats_shop_quarter").await;
    assert_eq!(counted, 79);
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_tells_what_was_erased() {
    let mut world = World::start().await;
    let clicks = bring(&mut world, 100).await;
    let token = world.read(StreamClicksRequest::default()).await.pop().unwrap().0;
    let meant = count(&clicks, "acme", |_| true);
    erase(&world, Scope::Visitor(VISITOR.1.into())).await;
    erase(&world, everything()).await;
    let start = Some(Start::AfterToken(token));
    let rest = StreamClicksRequest { start, conversions: true, ..StreamClicksRequest::default() };
    let erasures = |events: Vec<(String, Event)>| -> Vec<Erasure> {
        let erasure = |(_, event)| match event {
            Event::Erasure(erasure) => Some(erasure),
            Event::Heartbeat(_) => None,
            Event::Clicks(_) | Event::Conversions(_) => panic!("nothing was added"),
        };
        events.into_iter().filter_map(erasure).collect()
    };
    let told = erasures(world.read(rest.clone()).await);
    assert!(told.iter().all(|erasure| erasure.shop == "acme"));
    assert_eq!(told.iter().map(|erasure| erasure.removed_clicks).sum::<i64>(), meant);
    assert_eq!(told.iter().map(|erasure| erasure.removed_conversions).sum::<i64>(), 2 * meant);
    assert_eq!(told[0].scope, Some(erasure::Scope::Visitor(VISITOR.1.into())));
    assert_eq!(told.last().unwrap().scope, Some(erasure::Scope::Everything(EraseEverything {})));
    let filter = Some(ClickFilter { shop: "other".into(), ..ClickFilter::default() });
    assert_eq!(erasures(world.read(StreamClicksRequest { filter, ..rest }).await), []);
    // From the beginning there is nothing of acme but that.
    let conversions = StreamClicksRequest { conversions: true, ..StreamClicksRequest::default() };
    for (_, event) in world.read(conversions).await {
        match event {
            Event::Clicks(clicks) => assert!(clicks.clicks.iter().all(|click| click.shop == "other")),
            Event::Conversions(all) => assert!(all.conversions.iter().all(|one| one.shop == "other")),
            Event::Erasure(_) | Event::Heartbeat(_) => {}
        }
    }
}

async fn roll_all(store: &Store) {
    let mut rollups = store.rollups().await.unwrap();
    while rollups.roll(1_000).await.unwrap() != Rolled::UpToDate {}
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_counted_of_days_that_are_gone_goes_too() {
    let mut world = World::start().await;
    bring(&mut world, 300).await;
    roll_all(&world.database.store()).await;
    let client = world.database.client().await;
    let days = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'clicks.click'::regclass";
    for row in client.query(days, &[]).await.unwrap() {
        let table: String = row.get(0);
        let drop = format!("ALTER TABLE clicks.click DETACH PARTITION {table}; DROP TABLE {table};");
        client.batch_execute(&drop).await.unwrap();
    }
    let of_partner =
        "SELECT count(*) FROM clicks.stats_link_partner_day WHERE shop = 'acme' AND partner = 'anna'";
    assert!(number(&client, of_partner).await > 0);
    let answer = erase(&world, Scope::Partner("anna".into())).await;
    assert!(answer.removed_clicks == 0 && answer.anonymized_conversions > 0);
    for table in ["stats_partner_day", "stats_link_partner_day", "stats_visitors_day", "visitor_day"] {
        let left = |partner: &str| {
            format!("SELECT count(*) FROM clicks.{table} WHERE shop = 'acme' AND partner = '{partner}'")
        };
        assert_eq!(number(&client, &left("anna")).await, 0, "{table}");
        assert!(number(&client, &left("ben")).await > 0, "{table}");
    }
    erase(&world, everything()).await;
    for table in
        ["stats_shop_quarter", "stats_link_day", "stats_dim_day", "stats_conversion_day", "counter_link"]
    {
        let left = |shop: &str| format!("SELECT count(*) FROM clicks.{table} WHERE shop = '{shop}'");
        assert_eq!(number(&client, &left("acme")).await, 0, "{table}");
        assert!(number(&client, &left("other")).await > 0, "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_of_erased_clicks_stay_what_they_are() {
    let mut world = World::start().await;
    let clicks = bring(&mut world, 60).await;
    let of_acme: Vec<_> = clicks.iter().filter(|click| click.shop.as_str() == "acme").collect();
    let erased = of_acme.iter().position(|click| is_of(click, "anna")).unwrap();
    erase(&world, Scope::Partner("anna".into())).await;
    let id = erased.to_string();
    let again = vec![order(of_acme[erased], &id, 100), refund(of_acme[erased], &id, "later", 70)];
    let results = sound(&world.record(again).await);
    assert_eq!(
        results,
        [smartlinks::proto::ConversionResult::AlreadyThere, smartlinks::proto::ConversionResult::Applied]
    );
    conversions_are_counted(&world).await;
    world.check().await;
}

#[tokio::test]
async fn what_was_put_aside_is_erased_too() {
    let database = Database::create().await;
    let (store, client) = (database.store(), database.client().await);
    let then = Timestamp::now() - SignedDuration::from_hours(24 * 40);
    let clicks = Crowd::new(5, (then, then + SignedDuration::from_secs(1))).clicks(80);
    let day = then.to_zoned(TimeZone::UTC).date();
    let left = "SELECT count(*) FROM clicks.rejected WHERE content <> '' AND shop IS NOT NULL";
    let (mut after, mut emptied) = (0, 0);
    for scope in [
        ErasureScope::Partner("anna".to_owned().try_into().unwrap()),
        ErasureScope::Visitor(VISITOR.0),
        ErasureScope::Day(day),
        ErasureScope::Everything,
    ] {
        client.batch_execute("UPDATE clicks.rejected SET shop = NULL").await.unwrap();
        let mut ingestor = store.ingestor().await.unwrap();
        let mut all = batch(Uuid::from_u128(1), after, &clicks);
        all.frames[0].click = Err("nobody knows whose".to_owned());
        let done = ingestor.ingest(&all, Days::kept(Timestamp::now(), 30)).await.unwrap();
        assert_eq!((done.applied, done.rejected), (0, 80));
        after += 80;
        let is_meant = |click: &Click| match &scope {
            ErasureScope::Partner(_) => is_of(click, "anna"),
            ErasureScope::Visitor(key) => click.visitor == Some(*key),
            ErasureScope::Day(_) | ErasureScope::Everything => true,
        };
        let meant = count(&clicks[1..], "acme", is_meant);
        assert!(meant > 0, "{scope:?}");
        let erased = store.erase_clicks(&shop_id("acme"), &scope).await.unwrap();
        assert_eq!((erased.rejected, erased.clicks, erased.position), (meant, 0, 0), "{scope:?}");
        assert_eq!(number(&client, left).await, 79 - meant);
        emptied += meant;
        let empty = "SELECT count(*) FROM clicks.rejected WHERE reason = 'erased' AND content = ''
            AND num_nonnulls(shop, click_at, partner, visitor) = 0";
        assert_eq!(number(&client, empty).await, emptied);
        assert_eq!(store.check_ledger(None, None).await.unwrap().differences, []);
        assert_eq!(store.erase_clicks(&shop_id("acme"), &scope).await.unwrap().rejected, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conversions_of_a_visitor_are_found_when_the_clicks_have_expired() {
    let mut world = World::start().await;
    let clicks = bring(&mut world, 200).await;
    let client = world.database.client().await;
    let meant = count(&clicks, "acme", |click| click.visitor == Some(VISITOR.0));
    client.batch_execute("DELETE FROM clicks.click").await.unwrap();
    let answer = erase(&world, Scope::Visitor(VISITOR.1.into())).await;
    assert_eq!((answer.removed_clicks, answer.anonymized_conversions), (0, 2 * meant));
    assert_eq!(answer.position, number(&client, "SELECT position FROM clicks.head").await);
    let named = "SELECT count(*) FROM clicks.conversion WHERE shop = 'acme' AND click_id IS NOT NULL";
    assert_eq!(number(&client, named).await, 2 * (count(&clicks, "acme", |_| true) - meant));
    let others = "SELECT count(*) FROM clicks.conversion WHERE shop = 'other' AND visitor = '\\x03030303030303030303030303030303'";
    assert!(number(&client, others).await > 0);
    assert_eq!(erase(&world, Scope::Visitor(VISITOR.1.into())).await, EraseClicksResponse::default());
    conversions_are_counted(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn erased_visitor_is_named_for_thirty_days() {
    let mut world = World::start().await;
    bring(&mut world, 200).await;
    let (client, store) = (world.database.client().await, world.database.store());
    erase(&world, Scope::Visitor(VISITOR.1.into())).await;
    let old = "UPDATE clicks.ledger SET at = at - interval '30 days 1 minute'";
    client.batch_execute(old).await.unwrap();
    let other = "05".repeat(16);
    erase(&world, Scope::Visitor(other.clone())).await;
    erase(&world, Scope::Partner("anna".into())).await;
    for _ in 0..2 {
        store.keep_click_days(Timestamp::now(), 30).await.unwrap().unwrap();
    }
    let named = format!("SELECT count(*) FROM clicks.ledger WHERE scope::text LIKE '%{}%'", VISITOR.1);
    assert_eq!(number(&client, &named).await, 0);
    let mut stream =
        world.server.stats().stream_clicks(StreamClicksRequest::default()).await.unwrap().into_inner();
    let mut scopes = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        if let Some(Event::Erasure(erasure)) = message.event {
            scopes.push(erasure.scope.unwrap());
        }
    }
    scopes.dedup();
    let expected = [
        erasure::Scope::Visitor(String::new()),
        erasure::Scope::Visitor(other),
        erasure::Scope::Partner("anna".into()),
    ];
    assert_eq!(scopes, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_requests_erase_nothing() {
    let mut world = World::start().await;
    bring(&mut world, 20).await;
    let visitor = |text: &str| Some(Scope::Visitor(text.into()));
    for (shop, scope, reason, field) in [
        ("", Some(everything()), "REQUIRED", "shop"),
        ("no shop", Some(everything()), "MALFORMED", "shop"),
        ("acme", None, "REQUIRED", "scope"),
        ("acme", Some(Scope::Partner(String::new())), "REQUIRED", "partner"),
        ("acme", Some(Scope::Partner("a b".into())), "MALFORMED", "partner"),
        ("acme", Some(Scope::Day(String::new())), "MALFORMED", "day"),
        ("acme", Some(Scope::Day("2026-13-01".into())), "MALFORMED", "day"),
        ("acme", visitor(""), "MALFORMED", "visitor"),
        ("acme", visitor("0303"), "MALFORMED", "visitor"),
    ] {
        let status = try_erase(&world, shop, scope).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::InvalidArgument, reason.to_owned(), field.to_owned()));
    }
    let status = try_erase(&world, "nobody", Some(everything())).await.unwrap_err();
    assert_eq!((status.code(), refusal(&status).1.as_str()), (Code::NotFound, "SHOP_NOT_FOUND"));
    let status = try_erase(&world, "acme", Some(Scope::Partner("nobody".into()))).await.unwrap_err();
    let unknown = (Code::InvalidArgument, "UNKNOWN_REFERENCE".to_owned(), "partner".to_owned());
    assert_eq!(refusal(&status), unknown);
    for scope in [Scope::Day("1999-01-01".into()), Scope::Visitor("0".repeat(32))] {
        assert_eq!(erase(&world, scope).await, EraseClicksResponse::default());
    }
    assert_eq!(world.check().await.present, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn partner_is_named_by_alias_too() {
    let mut world = World::start().await;
    let clicks = bring(&mut world, 100).await;
    let answer = erase(&world, Scope::Partner("Anna-B".into())).await;
    assert_eq!(answer.removed_clicks, count(&clicks, "acme", |click| is_of(click, "anna")));
}

#[tokio::test(flavor = "multi_thread")]
async fn server_erases_for_few_at_a_time() {
    let mut world = World::start().await;
    bring(&mut world, 20).await;
    counted(&world).await;
    // Whoever erases waits for whoever counts.
    let counting = world.database.client().await;
    counting.batch_execute("BEGIN; SELECT FROM clicks.roller FOR UPDATE").await.unwrap();
    let visitor = |digit: &str| Some(Scope::Visitor(digit.repeat(32)));
    let third = async {
        let client = &world.database.client().await;
        eventually("two who wait", || async move {
            let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                AND wait_event_type = 'Lock' AND query LIKE '%clicks.roller FOR UPDATE'";
            (number(client, waiting).await == 2).then_some(())
        })
        .await;
        let refused = try_erase(&world, "acme", visitor("3")).await.unwrap_err();
        counting.batch_execute("COMMIT").await.unwrap();
        refused
    };
    let (first, second, third) =
        tokio::join!(try_erase(&world, "acme", visitor("1")), try_erase(&world, "acme", visitor("2")), third);
    first.unwrap();
    second.unwrap();
    assert_eq!((third.code(), refusal(&third).1.as_str()), (Code::ResourceExhausted, "OVERLOADED"));
    try_erase(&world, "acme", visitor("3")).await.unwrap();
}
