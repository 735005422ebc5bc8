//! Load through the gateway while servers are killed, PostgreSQL is stopped, killed and put back to an earlier state:
//! every answered click is in PostgreSQL once.

mod chaos;
mod load;
mod verdict;

use std::{
    env,
    fmt::{self, Display},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::time::sleep;

use self::chaos::{Deeds, Town};

/// How long nothing may get on before it is given up.
const STALLED: Duration = Duration::from_secs(120);
/// How often the full form says how far it is.
const SAY_EVERY: Duration = Duration::from_secs(5);

/// What is done, and how much of it.
struct Plan {
    /// Decides when what happens, and to whom.
    seed: u64,
    /// Clicks that are to be answered.
    clicks: usize,
    browsers: usize,
    kills: usize,
    /// Stops of PostgreSQL, every other one of which is a crash.
    stops: usize,
    /// Settings of PostgreSQL.
    settings: &'static [(&'static str, &'static str)],
}

/// What happened so far.
#[derive(Default)]
struct Counts {
    sent: AtomicUsize,
    answered: AtomicUsize,
    /// Answered with 503: nobody knows whether they were kept.
    unavailable: AtomicUsize,
    kills: AtomicUsize,
    stops: AtomicUsize,
    crashes: AtomicUsize,
    restores: AtomicUsize,
    /// Clicks that servers say they answered and did not keep.
    unrecorded: AtomicUsize,
    /// All that is to be done was done.
    over: AtomicBool,
}

impl Counts {
    /// Waits until so many clicks are answered; fails if none is for too long.
    async fn reach(&self, answered: usize) {
        let (mut seen, mut since) = (0, Instant::now());
        loop {
            let now = self.answered.load(Ordering::Relaxed);
            if now >= answered {
                return;
            }
            if now != seen {
                (seen, since) = (now, Instant::now());
            }
            assert!(since.elapsed() < STALLED, "no click was answered for {STALLED:?}");
            sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let get = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        write!(
            f,
            "{} sent, {} answered, {} unavailable; {} kills of servers; PostgreSQL: {} stops, {} crashes, {} restores",
            get(&self.sent),
            get(&self.answered),
            get(&self.unavailable),
            get(&self.kills),
            get(&self.stops),
            get(&self.crashes),
            get(&self.restores),
        )
    }
}

/// Says now and then how far it is, until all is over.
async fn tell(counts: &Counts) {
    let began = Instant::now();
    let mut said = began;
    while !counts.over.load(Ordering::Relaxed) {
        if said.elapsed() >= SAY_EVERY {
            said = Instant::now();
            eprintln!("{:>5} s  {counts}", began.elapsed().as_secs());
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Does all of it and returns the table of what came of it; fails if a click is missing or there twice.
async fn soak(plan: &Plan) -> String {
    eprintln!("seed {}", plan.seed);
    let counts = Counts::default();
    let mut town = Town::open(plan).await;
    let address = town.door.address;
    let began = Instant::now();
    let all = async {
        let deeds = Deeds::of(plan);
        let (ids, ()) = tokio::join!(load::browse(plan, &counts, address), town.suffer(&deeds, &counts));
        let loaded = began.elapsed();
        let verdict = town.judge(ids, &counts).await;
        counts.over.store(true, Ordering::Relaxed);
        (loaded, verdict)
    };
    let ((loaded, verdict), ()) = tokio::join!(all, tell(&counts));
    verdict.table(&counts, loaded, began.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answered_click_is_in_postgres_once() {
    // What the disk does is not looked at here, and takes long.
    let settings: &[_] = &[("fsync", "off"), ("full_page_writes", "off")];
    soak(&Plan { seed: 1, clicks: 4_000, browsers: 16, kills: 2, stops: 2, settings }).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: `make soak`"]
async fn full() {
    let setting = |name: &str| env::var(name).ok().map(|value| value.parse().expect(name));
    let clicks = setting("SMARTLINKS_SOAK_CLICKS").unwrap_or(1_000_000);
    let by_the_clock = || u64::try_from(Timestamp::now().as_millisecond()).unwrap();
    let seed = setting("SMARTLINKS_SOAK_SEED").map_or_else(by_the_clock, |seed| seed as u64);
    let plan = Plan { seed, clicks, browsers: 64, kills: 24, stops: 6, settings: &[] };
    eprintln!("{}", soak(&plan).await);
}
