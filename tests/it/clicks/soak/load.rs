//! Browsers that click until enough clicks are answered.

use std::{net::SocketAddr, sync::atomic::Ordering, time::Duration};

use futures_util::future::join_all;
use http_body_util::Empty;
use hyper::{Request, body::Bytes};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::time::sleep;
use uuid::Uuid;

use super::{Counts, Plan};

/// What is clicked on, in turns.
const PATHS: [&str; 5] = ["/sale/anna", "/gold/anna", "/sale/bert", "/home/nobody", "/"];
const USER_AGENT: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                          Version/18.5 Mobile/15E148 Safari/604.1";
/// What a browser waits after an answer that says that nobody is there.
const PAUSE: Duration = Duration::from_millis(5);

/// Clicks until so many clicks as planned are answered, and returns their ids.
pub(super) async fn browse(plan: &Plan, counts: &Counts, address: SocketAddr) -> Vec<Uuid> {
    let browsers = (0..plan.browsers).map(|_| click(plan.clicks, counts, address));
    join_all(browsers).await.into_iter().flatten().collect()
}

async fn click(goal: usize, counts: &Counts, address: SocketAddr) -> Vec<Uuid> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let mut ids = Vec::new();
    while counts.answered.load(Ordering::Relaxed) < goal {
        let path = PATHS[counts.sent.fetch_add(1, Ordering::Relaxed) % PATHS.len()];
        let request = Request::get(format!("http://{address}{path}"));
        let request = request.header("host", "go.acme.example").header("user-agent", USER_AGENT);
        let response = client.request(request.body(Empty::new()).unwrap()).await.unwrap();
        // A click that was with a server that was killed.
        if response.status() == 503 {
            counts.unavailable.fetch_add(1, Ordering::Relaxed);
            sleep(PAUSE).await;
            continue;
        }
        let location = response.headers()["location"].to_str().unwrap();
        ids.push(location.split("click_id=").nth(1).unwrap().parse().unwrap());
        counts.answered.fetch_add(1, Ordering::Relaxed);
    }
    ids
}
