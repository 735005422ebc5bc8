//! Three servers, a gateway and a PostgreSQL, and what befalls them.

use std::{net::SocketAddr, sync::atomic::Ordering};

use jiff::Timestamp;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use smartlinks::{
    gateway::resolver::addresses::Servers,
    store::{Store, StoreConfig},
};
use tempfile::TempDir;

use super::{Counts, Plan};
use crate::{
    clicks::{
        rolling::number,
        world::{Program, free_address, furnish},
    },
    gateway::fixture::{Door, Times, url},
    support::{
        http::get,
        own_postgres::OwnPostgres,
        server::{PATIENCE, eventually},
    },
};

const SERVERS: usize = 3;

/// What is done to PostgreSQL.
#[derive(Clone, Copy)]
enum Deed {
    Stop,
    Crash,
    /// It is stopped and copied.
    Save,
    /// It is put back to the copy.
    Restore,
}

/// When what is done, in answered clicks.
pub(super) struct Deeds {
    /// When which server is killed, and when it is started again.
    kills: Vec<(usize, usize, usize)>,
    /// When what is done to PostgreSQL, and when it is started again.
    postgres: Vec<(usize, Deed, usize)>,
}

impl Deeds {
    /// Spreads what is planned over the clicks, by its seed.
    pub(super) fn of(plan: &Plan) -> Self {
        let mut random = StdRng::seed_from_u64(plan.seed);
        let clicks = plan.clicks;
        let mut kills: Vec<_> = (0..plan.kills)
            .map(|_| {
                let at = random.random_range(clicks / 50..clicks * 9 / 10);
                (at, random.random_range(0..SERVERS), at + random.random_range(0..clicks / 100))
            })
            .collect();
        kills.sort_unstable();
        // Each has a stretch of its own, and happens somewhere in it: the copy after a third, the restore after two.
        let mut deeds: Vec<_> =
            (0..plan.stops).map(|stop| if stop % 2 == 0 { Deed::Stop } else { Deed::Crash }).collect();
        deeds.insert(plan.stops / 3, Deed::Save);
        deeds.insert(plan.stops * 2 / 3 + 1, Deed::Restore);
        let stretch = clicks * 9 / 10 / deeds.len();
        let when = |(place, deed)| {
            let at = place * stretch + random.random_range(stretch / 5..stretch / 2);
            (at, deed, at + random.random_range(0..stretch / 3))
        };
        let postgres = deeds.into_iter().enumerate().map(when).collect();
        Self { kills, postgres }
    }
}

/// Everything that runs.
pub(super) struct Town {
    pub(super) door: Door,
    pub(super) postgres: OwnPostgres,
    pub(super) houses: Vec<House>,
    revision: i64,
    pub(super) past: Past,
}

/// What PostgreSQL was like before it was put back.
#[derive(Default)]
pub(super) struct Past {
    /// The epoch of the ledger at the copy.
    pub(super) epoch: String,
    /// When the copy was made.
    pub(super) copied_at: Timestamp,
    /// How many clicks there were, at least, when it was put back.
    pub(super) clicks: i64,
}

/// A place for a server.
pub(super) struct House {
    pub(super) program: Option<Program>,
    folder: TempDir,
    address: SocketAddr,
    pub(super) metrics: SocketAddr,
}

impl House {
    /// Starts the server and waits until it answers.
    async fn start(&mut self, database_url: &str, revision: i64) {
        let metrics = self.metrics.to_string();
        let flags = [
            ["--metrics-listen", &metrics],
            ["--copy-interval", "200ms"],
            ["--statement-timeout", "2m"],
            ["--drain", "15s"],
        ];
        let (folder, address) = (self.folder.path(), self.address);
        let program = Program::serve_with(database_url, folder, address, revision, flags.as_flattened());
        self.program = Some(program.await);
    }

    /// Returns a metric of the server.
    pub(super) async fn metric(&self, name: &str) -> usize {
        let page = get(&format!("http://{}/metrics", self.metrics), &[]).await.body;
        let line = page.lines().find_map(|line| line.strip_prefix(&format!("smartlinks_{name} ")));
        line.unwrap_or_else(|| panic!("{name} is not in {page}")).parse().unwrap()
    }
}

impl Town {
    pub(super) async fn open(plan: &Plan) -> Self {
        let postgres = OwnPostgres::start(plan.settings).await;
        let database = StoreConfig {
            url: postgres.url().to_owned(),
            pool_size: 2,
            wait_timeout: PATIENCE,
            statement_timeout: PATIENCE,
            application_name: "smartlinks test".to_owned(),
        };
        Store::connect(&database).unwrap().migrate().await.unwrap();
        let revision = furnish(postgres.url()).await;
        let mut houses = Vec::new();
        for _ in 0..SERVERS {
            let folder = tempfile::tempdir().unwrap();
            let (address, metrics) = (free_address(), free_address());
            let mut house = House { program: None, folder, address, metrics };
            house.start(postgres.url(), revision).await;
            houses.push(house);
        }
        let urls: Vec<_> = houses.iter().map(|house| url(house.address)).collect();
        let door = Door::open_before(Servers::start(&urls, PATIENCE), None, Times::default()).await;
        door.has_lanes("open", i64::try_from(SERVERS).unwrap()).await;
        Self { door, postgres, houses, revision, past: Past::default() }
    }

    /// Does what is to be done, when it is time for it; in the end everything runs again.
    pub(super) async fn suffer(&mut self, deeds: &Deeds, counts: &Counts) {
        let Self { postgres, houses, revision, past, .. } = self;
        let database_url = postgres.url().to_owned();
        let kills = async {
            for &(at, victim, again) in &deeds.kills {
                counts.reach(at).await;
                let house = &mut houses[victim];
                counts.unrecorded.fetch_add(house.metric("clicks_unrecorded_total").await, Ordering::Relaxed);
                house.program.take().expect("it runs").kill();
                counts.kills.fetch_add(1, Ordering::Relaxed);
                counts.reach(again).await;
                house.start(&database_url, *revision).await;
            }
        };
        let postgres = async {
            for &(at, deed, again) in &deeds.postgres {
                counts.reach(at).await;
                befall(postgres, deed, past, counts).await;
                counts.reach(again).await;
                postgres.start_again().await;
            }
        };
        tokio::join!(kills, postgres);
    }
}

/// Does something to PostgreSQL, which is stopped then.
async fn befall(postgres: &mut OwnPostgres, deed: Deed, past: &mut Past, counts: &Counts) {
    let done = match deed {
        Deed::Stop => {
            postgres.stop().await;
            &counts.stops
        }
        Deed::Crash => {
            postgres.crash().await;
            &counts.crashes
        }
        Deed::Save => {
            past.epoch = epoch(postgres).await;
            postgres.stop().await;
            past.copied_at = Timestamp::now();
            postgres.save();
            &counts.stops
        }
        Deed::Restore => {
            let client = postgres.client().await;
            let since = "SELECT count(*) FROM clicks.ledger WHERE at > $1 AND applied > 0";
            eventually("clicks that came after the copy", || async {
                let entries: i64 = client.query_one(since, &[&past.copied_at]).await.unwrap().get(0);
                (entries > 0).then_some(())
            })
            .await;
            past.clicks = number(&client, "SELECT count(*) FROM clicks.click").await;
            drop(client);
            postgres.stop().await;
            postgres.restore();
            &counts.restores
        }
    };
    done.fetch_add(1, Ordering::Relaxed);
}

/// Returns the epoch of the ledger.
pub(super) async fn epoch(postgres: &OwnPostgres) -> String {
    let client = postgres.client().await;
    client.query_one("SELECT epoch::text FROM clicks.head", &[]).await.unwrap().get(0)
}
