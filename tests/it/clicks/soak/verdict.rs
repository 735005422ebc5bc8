//! What is in PostgreSQL in the end, against what was answered.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use futures_util::TryStreamExt;
use smartlinks::proto::CheckLedgerRequest;
use tokio::time::sleep;
use tokio_postgres::Client;
use uuid::Uuid;

use super::{
    Counts, STALLED,
    chaos::{self, Town},
};
use crate::{
    clicks::{
        rolling::{clicks_equal_the_log, number},
        world::adds_up,
    },
    support::server::eventually,
};

/// What was found.
pub(super) struct Verdict {
    rows: usize,
    /// Rows whose click nobody was answered.
    unanswered: usize,
    /// Clicks that the restore took out of PostgreSQL, at least.
    taken_back: i64,
    entries: i64,
    duplicates: i64,
    lost: usize,
}

impl Town {
    /// Waits until everything arrived and is counted, and compares; everything is stopped then.
    pub(super) async fn judge(&mut self, mut answered: Vec<Uuid>, counts: &Counts) -> Verdict {
        let mut lost = 0;
        for house in &self.houses {
            let began = Instant::now();
            while house.metric("spool_clicks").await > 0 {
                assert!(began.elapsed() < STALLED, "clicks are not shipped");
                sleep(Duration::from_millis(20)).await;
            }
            counts.unrecorded.fetch_add(house.metric("clicks_unrecorded_total").await, Ordering::Relaxed);
            lost += house.metric("clicks_lost_total").await;
        }
        let client = self.postgres.client().await;
        let left = "SELECT (SELECT position FROM clicks.head) - (SELECT position FROM clicks.roller)";
        eventually("clicks that are counted", || async { (number(&client, left).await == 0).then_some(()) })
            .await;

        let program = self.houses[0].program.as_ref().unwrap();
        let checked = program.stats().await.check_ledger(CheckLedgerRequest::default()).await.unwrap();
        let checked = checked.into_inner();
        assert!(checked.consistent, "{:?}", checked.differences);
        for house in &mut self.houses {
            assert!(house.program.take().unwrap().terminate().success());
        }

        let mut rows = ids(&client).await;
        rows.sort_unstable();
        answered.sort_unstable();
        assert!(rows.windows(2).all(|pair| pair[0] != pair[1]), "a click is there twice");
        let missing = answered.iter().filter(|id| rows.binary_search(id).is_err()).count();
        assert_eq!(missing, 0, "answered clicks are not there");
        let unanswered = rows.len() - answered.len();
        let unavailable = counts.unavailable.load(Ordering::Relaxed);
        assert!(
            unanswered <= unavailable,
            "{unanswered} clicks that nobody was answered, {unavailable} unavailable"
        );
        assert_eq!(checked.present, i64::try_from(rows.len()).unwrap());
        adds_up(&client).await;
        clicks_equal_the_log(&client).await;
        assert_eq!(number(&client, "SELECT sum(lost) + sum(rejected) FROM clicks.ledger").await, 0);
        assert_eq!(counts.unrecorded.load(Ordering::Relaxed), 0, "clicks were answered and not kept");
        assert_eq!(lost, 0, "clicks of a local log cannot be read");
        let kept = "SELECT coalesce(sum(applied), 0)::bigint FROM clicks.ledger WHERE at <= $1";
        let kept: i64 = client.query_one(kept, &[&self.past.copied_at]).await.unwrap().get(0);
        let taken_back = self.past.clicks - kept;
        assert!(taken_back > 0, "the restore took nothing back");
        assert_ne!(chaos::epoch(&self.postgres).await, self.past.epoch, "positions were taken back");
        let entries = number(&client, "SELECT count(*) FROM clicks.ledger").await;
        let duplicates = number(&client, "SELECT sum(duplicates) FROM clicks.ledger").await;
        drop(client);
        self.postgres.stop().await;
        Verdict { rows: rows.len(), unanswered, taken_back, entries, duplicates, lost }
    }
}

/// Returns the ids of all clicks.
async fn ids(client: &Client) -> Vec<Uuid> {
    let nothing: [i32; 0] = [];
    let rows = client.query_raw("SELECT id FROM clicks.click", nothing).await.unwrap();
    rows.map_ok(|row| row.get::<_, Uuid>(0)).try_collect().await.unwrap()
}

impl Verdict {
    pub(super) fn table(&self, counts: &Counts, loaded: Duration, whole: Duration) -> String {
        let get = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        let answered = get(&counts.answered);
        let rate = answered as f64 / loaded.as_secs_f64();
        let lines = [
            ("clicks sent", get(&counts.sent).to_string()),
            ("answered", answered.to_string()),
            ("503", get(&counts.unavailable).to_string()),
            ("SIGKILLs of servers", get(&counts.kills).to_string()),
            ("stops of PostgreSQL", get(&counts.stops).to_string()),
            ("crashes of PostgreSQL", get(&counts.crashes).to_string()),
            ("restores of PostgreSQL", get(&counts.restores).to_string()),
            ("taken back by the restore, shipped again", self.taken_back.to_string()),
            ("rows in PostgreSQL", self.rows.to_string()),
            ("answered and missing", "0".to_owned()),
            ("there twice", "0".to_owned()),
            ("kept and answered with 503", self.unanswered.to_string()),
            ("entries of the ledger", self.entries.to_string()),
            ("duplicates", self.duplicates.to_string()),
            ("ledger", "consistent".to_owned()),
            ("unrecorded", get(&counts.unrecorded).to_string()),
            ("lost", self.lost.to_string()),
            ("clicks a second", format!("{rate:.0}")),
            ("seconds in all", format!("{:.0}", whole.as_secs_f64())),
        ];
        lines.map(|(what, number)| format!("{what:<42} {number:>12}")).join("\n")
    }
}
