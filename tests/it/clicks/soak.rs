//! Load through the gateway while a server is killed and PostgreSQL comes and goes: every answered click is there once.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use http_body_util::Empty;
use hyper::{Request, body::Bytes};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use smartlinks::gateway::resolver::addresses::Servers;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::world::{Program, World, free_address};
use crate::{
    gateway::fixture::{Door, Times, url},
    support::{
        proxy::Proxy,
        server::{PATIENCE, eventually},
    },
};

const CLICKS: usize = 5_000;
const BROWSERS: usize = 16;

#[tokio::test(flavor = "multi_thread")]
async fn every_answered_click_is_in_postgres_once() {
    let world = World::new().await;
    let proxy = Proxy::open(&world.database).await;
    let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let mut programs = Vec::new();
    for folder in &folders {
        programs.push(Program::serve(proxy.url(), folder.path(), free_address(), world.revision).await);
    }
    let urls: Vec<_> = programs.iter().map(|program| url(program.address)).collect();
    let door = Door::open_before(Servers::start(&urls, PATIENCE), None, Times::default()).await;
    door.has_lanes("open", 3).await;

    let (sent, answered) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut browsers = JoinSet::new();
    for _ in 0..BROWSERS {
        let (sent, answered, address) = (Arc::clone(&sent), Arc::clone(&answered), door.address);
        browsers.spawn(async move {
            let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
            let mut ids: Vec<Uuid> = Vec::new();
            while sent.fetch_add(1, Ordering::Relaxed) < CLICKS {
                let request =
                    Request::get(format!("http://{address}/sale/anna")).header("host", "go.acme.example");
                let response = client.request(request.body(Empty::new()).unwrap()).await.unwrap();
                // A click that was with the server that was killed.
                if response.status() == 503 {
                    continue;
                }
                let location = response.headers()["location"].to_str().unwrap();
                ids.push(location.split("click_id=").nth(1).unwrap().parse().unwrap());
                answered.fetch_add(1, Ordering::Relaxed);
            }
            ids
        });
    }
    let reaches = |count: usize| {
        let answered = &answered;
        eventually(
            "more clicks",
            move || async move { (answered.load(Ordering::Relaxed) >= count).then_some(()) },
        )
    };
    reaches(500).await;
    proxy.cut();
    reaches(1_200).await;
    proxy.mend();
    reaches(1_800).await;
    let killed = programs.remove(0);
    let address = killed.address;
    killed.kill();
    proxy.cut();
    reaches(2_600).await;
    proxy.mend();
    programs.push(Program::serve(proxy.url(), folders[0].path(), address, world.revision).await);

    let ids: Vec<Uuid> = browsers.join_all().await.into_iter().flatten().collect();
    assert!(ids.len() > CLICKS - 200, "only {} were answered", ids.len());
    for program in programs {
        assert!(program.terminate().success());
    }
    // Those of the server that was killed may hold clicks whose answer was lost with it.
    let known = "SELECT count(*) FROM clicks.click WHERE id = ANY($1)";
    let there: i64 = world.client.query_one(known, &[&ids]).await.unwrap().get(0);
    assert_eq!(there, i64::try_from(ids.len()).unwrap());
    let twice = "SELECT count(*) - count(DISTINCT id) FROM clicks.click";
    assert_eq!(world.number(twice).await, 0);
    let unanswered = world.number("SELECT count(*) FROM clicks.click").await - there;
    assert!(unanswered < 200, "{unanswered} clicks that nobody was answered");
    assert_eq!(world.number("SELECT sum(lost) + sum(rejected) FROM clicks.ledger").await, 0);
    world.adds_up().await;
}
