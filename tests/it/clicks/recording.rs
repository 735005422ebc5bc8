//! A click becomes one row with all that is kept of it, whichever way it comes.

use smartlinks::proto::{
    Channel, Purpose, RequestHeaders, ResolveRequest, ResolveStreamRequest, resolve_request::Site,
    resolve_stream_response::Outcome,
};
use uuid::Uuid;

use super::world::{World, visit};
use crate::{
    gateway::fixture::Door,
    support::{
        http::{self, get},
        server::{TestServer, recording},
    },
};

const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                      Version/18.5 Mobile/15E148 Safari/604.1";

/// What of a row says where the visitor went and why, and who is credited.
const DECISION: &str = "concat_ws(' ', shop, coalesce(slug, '-'), reason, coalesce(rule, '-'), \
    '[' || destination || ']', attribution, coalesce(partner, '-'), coalesce(program, '-'))";
/// What of a row says who came, and how.
const VISITOR: &str = "concat_ws(' ', channel, traffic, '[' || traffic_why || ']', coalesce(country, '-'), \
    coalesce(device, '-'), coalesce(os, '-'), coalesce(browser, '-'), coalesce(language, '-'), \
    coalesce('[' || referrer || ']', '-'))";

fn click(slug: &str) -> ResolveRequest {
    visit(slug, Purpose::Click)
}

fn of(slug: &str, partner: &str) -> ResolveRequest {
    ResolveRequest { partner: partner.to_owned(), ..click(slug) }
}

fn at_bravo(slug: &str) -> ResolveRequest {
    ResolveRequest { site: Some(Site::Shop("bravo".to_owned())), ..click(slug) }
}

fn headers(user_agent: Option<&str>) -> RequestHeaders {
    RequestHeaders { user_agent: user_agent.map(str::to_owned), ..RequestHeaders::default() }
}

/// Asks for each and checks what is kept of it.
async fn are_kept(cases: Vec<(ResolveRequest, &str)>, columns: &str) {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let server = world.serve(recording(world.database.url(), folder.path())).await;
    let mut expected = Vec::new();
    for (mut request, row) in cases {
        let id = Uuid::now_v7();
        request.click_id = id.to_string();
        // Whether it goes anywhere or not.
        server.resolver().resolve(request).await.ok();
        expected.push((id, row));
    }
    server.stop().await;
    for (id, row) in &expected {
        let query = format!("SELECT {columns}, revision, visitor, sub_ids FROM clicks.click WHERE id = $1");
        let kept =
            world.client.query_one(&query, &[id]).await.unwrap_or_else(|error| panic!("{row}: {error}"));
        assert_eq!(kept.get::<_, String>(0), *row);
        assert_eq!(kept.get::<_, i64>(1), world.revision);
        assert_eq!((kept.get::<_, Option<Vec<u8>>>(2), kept.get::<_, Option<Vec<String>>>(3)), (None, None));
    }
    let time = "SELECT count(*) FROM clicks.click WHERE abs(extract(epoch FROM at - clock_timestamp())) > 60";
    assert_eq!(world.number(time).await, 0, "the time is that of the id");
    world.has_exactly(expected.into_iter().map(|(id, _)| id).collect()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_decision_is_kept() {
    let german = ResolveRequest { country: "DE".to_owned(), ..of("sale", "ANNA") };
    let cases = vec![
        (german, "acme sale rule german [land/DE] credited anna gold"),
        (of("SALE", "bert"), "acme sale default - [page/sale] credited bert -"),
        (click("sale"), "acme sale default - [page/sale] no_partner - -"),
        (click(""), "acme home default - [] no_partner - -"),
        (of("sale", "nobody"), "acme sale default - [page/sale] unknown_partner - -"),
        (of("sale", "carl"), "acme sale default - [page/sale] inactive_partner - -"),
        (of("gold", "bert"), "acme gold default - [page/gold] not_shared - -"),
        (of("late", "anna"), "acme late expired - [too/late] credited anna gold"),
        // Nowhere, and kept all the same.
        (of("over", "anna"), "acme over expired - [] credited anna gold"),
        (click("paused"), "acme paused paused - [] no_partner - -"),
        (click("early"), "acme early not_started - [] no_partner - -"),
        (click("deleted"), "acme deleted deleted - [] no_partner - -"),
        (of("None", "anna"), "acme none not_found - [] not_shared - -"),
        (click("no such/slug"), "acme - not_found - [] no_partner - -"),
        (at_bravo("sale"), "bravo sale default - [page/sale] no_partner - -"),
        (at_bravo("none"), "bravo none not_found - [https://bravo.example/sorry] no_partner - -"),
    ];
    are_kept(cases, DECISION).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_visitor_is_kept_with_class_and_reason() {
    let with = |headers: RequestHeaders| ResolveRequest { headers: Some(headers), ..click("sale") };
    let whole = RequestHeaders {
        accept_language: Some("de-AT,de;q=0.9".to_owned()),
        referer: Some("https://user@Blog.Example:8080/post?secret=1".to_owned()),
        ..headers(Some(IPHONE))
    };
    let scanned = ResolveRequest {
        channel: Channel::Qr.into(),
        country: "at".to_owned(),
        client_address: "192.0.2.7".to_owned(),
        ..with(whole)
    };
    let ahead = RequestHeaders { purpose_header: Some("prefetch".to_owned()), ..headers(Some(IPHONE)) };
    let cases = vec![
        (scanned, "qr human [] AT mobile ios safari de-at [blog.example]"),
        // A caller that knows nothing of the visitor.
        (click("sale"), "link human [] - - - - - -"),
        (with(headers(None)), "link bot [no_user_agent] - - - - - []"),
        (with(headers(Some("curl/8.5.0"))), "link bot [user_agent:curl] - - - - - []"),
        (
            with(headers(Some("facebookexternalhit/1.1"))),
            "link preview [user_agent:facebookexternalhit] - - - - - []",
        ),
        (with(ahead), "link prefetch [header:purpose] - mobile ios safari - []"),
        (
            ResolveRequest { prefetch: true, ..with(headers(Some(IPHONE))) },
            "link prefetch [hint] - mobile ios safari - []",
        ),
        (
            ResolveRequest { internal: true, ..with(headers(Some(IPHONE))) },
            "link internal [hint] - mobile ios safari - []",
        ),
    ];
    are_kept(cases, VISITOR).await;
}

/// Sends visits over a stream and returns the ids of their clicks.
async fn over_stream(server: &TestServer, visits: Vec<ResolveRequest>) -> Vec<String> {
    let items: Vec<_> = (0..)
        .zip(visits)
        .map(|(item, request)| ResolveStreamRequest { item, request: Some(request), timeout: None })
        .collect();
    let mut answers = server.resolver().resolve_stream(tokio_stream::iter(items)).await.unwrap().into_inner();
    let mut ids = Vec::new();
    while let Some(answer) = answers.message().await.unwrap() {
        match answer.outcome.unwrap() {
            Outcome::Answer(answer) => ids.push(answer.click_id),
            other @ (Outcome::Failure(_) | Outcome::Closing(_)) => panic!("{other:?}"),
        }
    }
    ids
}

fn id_in(location: &str) -> Uuid {
    location.split("click_id=").nth(1).expect(location).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_records_clicks_and_nothing_else() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let server = world.serve(recording(world.database.url(), folder.path())).await;
    let door = Door::open(server.address()).await;
    let url = |path: &str| format!("http://{}{path}", door.address);
    let host = [("host", "go.acme.example"), ("user-agent", IPHONE), ("accept-language", "nl")];
    let mut ids = Vec::new();

    let answer = server.resolver().resolve(of("sale", "anna")).await.unwrap().into_inner();
    ids.push(answer.click_id.parse().unwrap());
    let streamed =
        over_stream(&server, vec![of("sale", "anna"), visit("sale", Purpose::Lookup), click("home")]);
    let streamed = streamed.await;
    ids.extend(streamed.iter().filter(|id| !id.is_empty()).map(|id| id.parse::<Uuid>().unwrap()));
    assert_eq!(ids.len(), 3);
    for path in ["/sale/anna", "/-/q/sale/anna", "/"] {
        let answer = get(&url(path), &host).await;
        assert_eq!(answer.status, 302, "{path}");
        ids.push(id_in(answer.header("location")));
    }
    // Who only asks leaves nothing, and neither does who asks for what is nobody's.
    server.resolver().resolve(visit("sale", Purpose::Lookup)).await.unwrap();
    server.resolver().resolve(visit("paused", Purpose::Lookup)).await.unwrap_err();
    assert_eq!(http::send(hyper::Method::HEAD, &url("/sale/anna"), &host).await.status, 302);
    assert_eq!(get(&url("/sale/anna"), &[("host", "nobody.example")]).await.status, 404);
    assert_eq!(get(&url("/-/readyz"), &host).await.status, 200);

    server.stop().await;
    world.has_exactly(ids.clone()).await;
    let kept =
        "SELECT concat_ws(' ', slug, channel, coalesce(partner, '-'), device, language) FROM clicks.click
        WHERE id = ANY($1) ORDER BY id";
    let rows = world.client.query(kept, &[&&ids[3..]]).await.unwrap();
    let rows: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(rows, ["sale link anna mobile nl", "sale qr anna mobile nl", "home link - mobile nl"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn click_that_two_servers_answer_counts_once() {
    let world = World::new().await;
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let id = Uuid::now_v7();
    for folder in &folders {
        let server = world.serve(recording(world.database.url(), folder.path())).await;
        for _ in 0..3 {
            let request = ResolveRequest { click_id: id.to_string(), ..click("sale") };
            let answer = server.resolver().resolve(request).await.unwrap().into_inner();
            assert_eq!(answer.click_id, id.to_string());
        }
        server.stop().await;
    }
    world.has_exactly(vec![id]).await;
    assert_eq!(world.number("SELECT sum(duplicates) FROM clicks.ledger").await, 5);
}
