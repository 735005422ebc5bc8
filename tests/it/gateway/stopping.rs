//! The two steps of a stop.

use std::time::{Duration, Instant};

use tokio::{net::TcpStream, time::timeout};

use super::fixture::{Door, PATIENCE, Times, Told};
use crate::resolver::fixture::{Acme, Served};

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn during_the_delay_clicks_are_taken_and_load_balancers_sent_away() {
    let acme = Acme::new();
    let server = acme.serve().await;
    let times = Times { stop_delay: HOUR, ..Times::default() };
    let door = Door::open_with(server.address, times).await;
    door.is_ready().await;
    door.stop.send_replace(true);
    door.has_status("/-/readyz", 503).await;
    for _ in 0..10 {
        assert_eq!(door.get("/plain").await.status, 302);
        assert_eq!(door.get("/-/healthz").await.status, 200);
    }
    // Whoever holds the signal ends the delay.
    let Door { address, stop, server, .. } = door;
    drop(stop);
    timeout(PATIENCE, server).await.expect("the gateway did not stop").unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn delay_passes_by_itself_and_what_was_asked_is_answered() {
    let (told, mut items) = Told::new();
    let server = Served::start(told).await;
    let delay = Duration::from_millis(100);
    let door = Door::open_with(server.address, Times { stop_delay: delay, ..Times::default() }).await;
    door.is_ready().await;
    let begun = Instant::now();
    door.stop.send_replace(true);
    let click = door.get("/plain");
    let meanwhile = async {
        let item = items.recv().await.unwrap();
        // Long after the delay it is still waited for.
        while TcpStream::connect(door.address).await.is_ok() {}
        item.answer("https://a.example/");
    };
    let (answer, ()) = tokio::join!(click, meanwhile);
    assert_eq!(answer.status, 302);
    assert!(begun.elapsed() >= delay);
    timeout(PATIENCE, door.server).await.expect("the gateway did not stop").unwrap();
}
