//! `smartlinks dev` as a newcomer runs it: the real program, a terminal's signals, a browser's requests.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};

use crate::support::{
    dev::{Dev, command, free_ports},
    http,
};

const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                      Version/18.5 Mobile/15E148 Safari/604.1";
const DESKTOP: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 \
                       Safari/537.36";

/// Returns the processes whose command line names the folder.
fn processes_of(folder: &Path) -> Vec<String> {
    let name = folder.file_name().unwrap().to_str().unwrap();
    let listed = Command::new("ps").args(["-eo", "pid,args"]).output().unwrap();
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    listed.lines().filter(|line| line.contains(name) && !line.contains("ps -eo")).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn newcomers_walk() {
    let folder = tempfile::Builder::new().prefix("dev-walk-").tempdir().unwrap();
    let ports = free_ports();
    let dev = Dev::start(folder.path(), ports);
    let shop = format!("http://localhost:{}", ports[3]);

    // A phone and a desktop are sent to different pages, both with campaign and partner.
    for (user_agent, page) in
        [(IPHONE, "/sale/summer/app?utm_source=anna"), (DESKTOP, "/sale/summer?tab=all&utm_source=anna")]
    {
        let answer = http::get(&dev.door("/summer-sale/anna?x=%20y"), &[("user-agent", user_agent)]).await;
        assert_eq!(answer.status, 302);
        let location = answer.header("location");
        assert!(location.starts_with(&format!("{shop}/sale/summer")), "{location}");
        let begins = page.split_once("utm").unwrap().0;
        assert!(location.starts_with(&format!("{shop}{begins}")), "{location}");
        for part in ["x=%20y", "utm_source=anna", "utm_campaign=summer", "ref=anna", "click_id="] {
            assert!(location.contains(part), "{location} has no {part}");
        }
        // The page is real and shows what arrived.
        let landed = http::get(location, &[]).await;
        assert_eq!(landed.status, 200);
        assert!(landed.body.contains("<span class=\"partner\">anna</span>"));
        assert!(landed.body.contains("utm_campaign"));
    }

    // What runs on the same machine is believed for whom it asks.
    for (address, page) in
        [("193.99.144.80", "/delivery/eu"), ("8.8.8.8", "/delivery/world"), ("", "/delivery")]
    {
        let forwarded = [("x-forwarded-for", address)];
        let headers = if address.is_empty() { &[][..] } else { &forwarded };
        let answer = http::get(&dev.door("/europe/ben"), headers).await;
        let location = answer.header("location");
        assert!(location.starts_with(&format!("{shop}{page}?")), "{address}: {location}");
    }

    // The shop has a past: clicks of two weeks, orders, and what was sold.
    let question = format!(
        r#"{{"shop":"sample","start_time":"{}","end_time":"{}","granularity":"STATS_GRANULARITY_TOTAL",
             "measures":["STATS_MEASURE_DAILY_VISITORS","STATS_MEASURE_CONVERSIONS","STATS_MEASURE_REVENUE"]}}"#,
        Timestamp::now() - SignedDuration::from_hours(10 * 24),
        Timestamp::now(),
    );
    let began = Instant::now();
    loop {
        let told = dev.call("QueryStats", &question);
        let told: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
        let total = &told["series"][0]["total"];
        let count = |measure: &str| total[measure].as_i64().unwrap_or_default();
        if count("clicks") > 500 && count("daily_visitors") > 400 && count("conversions") > 15 {
            assert!(total["revenue"][1]["amount"].as_i64().unwrap() > 100_000, "{told}");
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{told}");
        std::thread::sleep(Duration::from_millis(50));
    }
    // Whoever comes for the third time is sent elsewhere.
    let mut cookie = String::new();
    for page in ["/welcome/first", "/welcome", "/welcome/regulars"] {
        let headers = [("user-agent", DESKTOP), ("cookie", &*cookie)];
        let answer = http::get(&dev.door("/welcome-back/anna"), &headers).await;
        let location = answer.header("location");
        assert!(location.starts_with(&format!("{shop}{page}?")), "{location}");
        cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
    }

    // The link is changed, and the next click goes elsewhere.
    let update = r#"{"link":{"shop":"sample","slug":"summer-sale","default_destination":"sale/autumn"},
                     "update_mask":"defaultDestination"}"#;
    let updated = dev.call("UpdateLink", update);
    assert!(updated.status.success(), "{updated:?}");
    let answer: serde_json::Value = serde_json::from_slice(&updated.stdout).unwrap();
    let lookup = format!(
        r#"{{"purpose":"PURPOSE_LOOKUP","shop":"sample","slug":"summer-sale","min_revision":{}}}"#,
        answer["revision"]
    );
    assert!(dev.call("Resolve", &lookup).status.success());
    let changed = http::get(&dev.door("/summer-sale/anna"), &[("user-agent", DESKTOP)]).await;
    assert!(changed.header("location").starts_with(&format!("{shop}/sale/autumn?")), "{changed:?}");

    // The metrics tell of it.
    let metrics = http::get(&format!("http://127.0.0.1:{}/metrics", ports[2]), &[]).await;
    assert!(metrics.body.contains("smartlinks_index_revision"));

    // A second start says what runs already.
    let second = command(folder.path(), free_ports()).output().unwrap();
    assert!(!second.status.success());
    let told = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(told.contains(&dev.child.id().to_string()), "{told}");

    // Ports in use are named by their settings, all at once.
    let elsewhere = tempfile::tempdir().unwrap();
    let refused = command(elsewhere.path(), ports).output().unwrap();
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    for setting in [
        "SMARTLINKS_LISTEN",
        "SMARTLINKS_GATEWAY_LISTEN",
        "SMARTLINKS_METRICS_LISTEN",
        "SMARTLINKS_SITE_LISTEN",
    ] {
        assert!(told.contains(setting), "{told}");
    }

    // Ctrl-C leaves no process; the data survives a restart, on other ports too.
    dev.interrupt();
    assert!(folder.path().join("state/clicks/source").is_file(), "clicks are not recorded");
    assert_eq!(processes_of(folder.path()), Vec::<String>::new());
    let other_ports = free_ports();
    let again = Dev::start(folder.path(), other_ports);
    let kept = http::get(&again.door("/summer-sale/anna"), &[("user-agent", DESKTOP)]).await;
    let shop = format!("http://localhost:{}", other_ports[3]);
    assert!(kept.header("location").starts_with(&format!("{shop}/sale/autumn?")), "{kept:?}");
    again.interrupt();
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_dev_leaves_nothing_that_stops_the_next_one() {
    let folder = tempfile::Builder::new().prefix("dev-kill-").tempdir().unwrap();
    let dev = Dev::start(folder.path(), free_ports());
    drop(dev);
    let again = Dev::start(folder.path(), free_ports());
    let answer = http::get(&again.door("/?ref=anna"), &[("user-agent", DESKTOP)]).await;
    assert!(answer.header("location").contains("ref=anna"), "{answer:?}");
    again.interrupt();
}
