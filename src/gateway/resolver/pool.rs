//! The open streams of one worker, and the choice among them.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{Notify, watch};

use super::{
    Refusal,
    desk::{Desk, Waiting},
};
use crate::proto::ResolveRequest;

/// The streams that take items.
#[derive(Debug, Default)]
pub(super) struct Pool {
    streams: Mutex<Streams>,
    /// How many are open, those that stepped back left out.
    open: watch::Sender<usize>,
    turn: AtomicUsize,
    /// Wakes the lanes that wait before they try again.
    hurry: Notify,
}

#[derive(Debug, Default)]
struct Streams {
    open: Vec<Arc<Desk>>,
    /// Of servers whose addresses are gone.
    stepped_back: Vec<Arc<Desk>>,
}

impl Streams {
    /// Returns the streams to choose from.
    fn offered(&self) -> &[Arc<Desk>] {
        if self.open.is_empty() { &self.stepped_back } else { &self.open }
    }

    fn remove(&mut self, desk: &Arc<Desk>) {
        for streams in [&mut self.open, &mut self.stepped_back] {
            streams.retain(|other| !Arc::ptr_eq(other, desk));
        }
    }
}

impl Pool {
    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Streams)) {
        let mut streams = self.streams();
        change(&mut streams);
        self.open.send_replace(streams.open.len());
    }

    /// Offers a stream, as long as what is returned lives.
    pub(super) fn enter(self: &Arc<Self>, desk: &Arc<Desk>) -> Place {
        self.change(|streams| streams.open.push(Arc::clone(desk)));
        Place { pool: Arc::clone(self), desk: Arc::clone(desk) }
    }

    /// Offers a stream no more unless there is no other one; returns when there is.
    pub(super) async fn step_back(&self, desk: &Arc<Desk>) {
        self.change(|streams| {
            streams.remove(desk);
            streams.stepped_back.push(Arc::clone(desk));
        });
        // Its sender is the pool's own.
        self.open.subscribe().wait_for(|open| *open > 0).await.ok();
    }

    /// Puts an item on a stream; the visit is left as it is if there is no place for it.
    pub(super) fn put(
        &self,
        visit: &mut ResolveRequest,
        now: Instant,
        left: Duration,
    ) -> Result<Waiting, Refusal> {
        let streams = self.streams();
        let offered = streams.offered();
        let Some(best) = self.best(offered, now) else { return Err(Refusal::Down) };
        let mut refused = match best.put(visit, left) {
            Ok(waiting) => return Ok(waiting),
            Err(refused) => refused,
        };
        // Rare: a full stream, or one that ends in this moment.
        let mut others: Vec<_> = offered.iter().map(|desk| (desk.load(now), desk)).collect();
        others.sort_by_key(|(load, _)| *load);
        for (_, desk) in others {
            match desk.put(visit, left) {
                Ok(waiting) => return Ok(waiting),
                Err(Refusal::Down) => {}
                Err(why) => refused = why,
            }
        }
        Err(refused)
    }

    /// Takes the better of two streams, in turn every pair: nearly as even as the best of all, and no stampede to one
    /// that has just come. If it is silent, the best of all.
    fn best<'o>(&self, offered: &'o [Arc<Desk>], now: Instant) -> Option<&'o Arc<Desk>> {
        let count = offered.len();
        if count < 2 {
            return offered.first();
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let first = turn % count;
        let second = (first + 1 + turn / count % (count - 1)) % count;
        // Of two that are alike, the first.
        let (load, better) = [first, second]
            .map(|at| (offered[at].load(now), &offered[at]))
            .into_iter()
            .min_by_key(|(load, _)| *load)?;
        if load.is_silent { offered.iter().min_by_key(|desk| desk.load(now)) } else { Some(better) }
    }

    /// Tells whether there is a stream whose server is not silent.
    pub(super) fn is_lively(&self, now: Instant) -> bool {
        self.streams().offered().iter().any(|desk| !desk.load(now).is_silent)
    }

    /// Waits until a stream has ended: then the others are needed.
    pub(super) async fn hurried(&self) {
        self.hurry.notified().await;
    }

    /// Wakes the lanes that wait before they try again.
    pub(super) fn hurry(&self) {
        self.hurry.notify_waiters();
    }
}

/// The offer of a stream.
#[derive(Debug)]
pub(super) struct Place {
    pool: Arc<Pool>,
    desk: Arc<Desk>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.pool.change(|streams| streams.remove(&self.desk));
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use futures_util::{FutureExt, StreamExt};

    use super::*;
    use crate::{
        gateway::resolver::desk::{Outgoing, SILENCE, UNANSWERED},
        proto::{ResolveResponse, ResolveStreamResponse, resolve_stream_response::Outcome},
    };

    const SOON: Duration = Duration::from_secs(1);

    /// A pool with so many streams.
    fn pool(count: usize) -> (Arc<Pool>, Vec<(Place, Outgoing)>) {
        let pool = Arc::new(Pool::default());
        let streams = (0..count).map(|_| {
            let (desk, outgoing) = Desk::new();
            (pool.enter(&desk), outgoing)
        });
        let streams = streams.collect();
        (pool, streams)
    }

    fn put(pool: &Pool, now: Instant) -> Result<Waiting, Refusal> {
        pool.put(&mut ResolveRequest::default(), now, SOON)
    }

    fn unanswered(streams: &[(Place, Outgoing)]) -> Vec<usize> {
        streams.iter().map(|(place, _)| place.desk.load(Instant::now()).unanswered).collect()
    }

    /// Sends everything that waits for the wire.
    fn send(stream: &mut (Place, Outgoing)) -> Vec<u64> {
        iter::from_fn(|| stream.1.next().now_or_never().flatten()).map(|message| message.item).collect()
    }

    /// Lets a server answer these items.
    fn reply(stream: &(Place, Outgoing), items: Vec<u64>, now: Instant) {
        for item in items {
            let outcome = Some(Outcome::Answer(ResolveResponse::default()));
            stream.0.desk.take(ResolveStreamResponse { item, outcome }, now);
        }
    }

    /// Sends everything, and lets the server answer it.
    fn answer(stream: &mut (Place, Outgoing), now: Instant) {
        let items = send(stream);
        reply(stream, items, now);
    }

    #[test]
    fn without_a_stream_it_says_so() {
        let (pool, _) = pool(0);
        assert_eq!(put(&pool, Instant::now()).unwrap_err(), Refusal::Down);
        assert!(!pool.is_lively(Instant::now()));
    }

    #[test]
    fn load_is_even() {
        let (pool, streams) = pool(3);
        let now = Instant::now();
        let _waiting: Vec<_> = (0..300).map(|_| put(&pool, now).unwrap()).collect();
        for count in unanswered(&streams) {
            assert!((95..=105).contains(&count), "{:?}", unanswered(&streams));
        }
    }

    #[test]
    fn server_that_does_not_answer_gets_little_more() {
        let (pool, mut streams) = pool(3);
        let now = Instant::now();
        let mut waiting = Vec::new();
        for _ in 0..300 {
            waiting.push(put(&pool, now).unwrap());
            streams[1..].iter_mut().for_each(|stream| answer(stream, now));
        }
        assert!(unanswered(&streams)[0] <= 2, "{:?}", unanswered(&streams));
    }

    #[test]
    fn silent_server_is_asked_only_if_there_is_no_other() {
        let (pool, mut streams) = pool(2);
        let begun = Instant::now();
        let first: Vec<_> = (0..4).map(|_| put(&pool, begun).unwrap()).collect();
        let mut asked = send(&mut streams[0]);
        answer(&mut streams[1], begun);
        let later = Instant::now() + SILENCE * 2;
        let mut waiting: Vec<_> = (0..100).map(|_| put(&pool, later).unwrap()).collect();
        assert_eq!(unanswered(&streams), [2, 100]);
        // Now both are silent: nothing is refused.
        send(&mut streams[1]);
        let latest = Instant::now() + SILENCE * 4;
        assert!(!pool.is_lively(latest));
        waiting.extend((0..10).map(|_| put(&pool, latest).unwrap()));
        assert_eq!(unanswered(&streams), [12, 100]);
        // What arrives brings the first one back.
        asked.extend(send(&mut streams[0]));
        reply(&streams[0], asked, latest);
        assert!(pool.is_lively(latest));
        waiting.extend((0..10).map(|_| put(&pool, latest).unwrap()));
        assert_eq!(unanswered(&streams), [10, 100]);
        drop(first);
    }

    #[test]
    fn stream_that_stepped_back_is_asked_until_another_one_is_there() {
        let (pool, mut streams) = pool(2);
        let now = Instant::now();
        let desks = [0, 1].map(|at| Arc::clone(&streams[at].0.desk));
        let mut leaving = desks.each_ref().map(|desk| Box::pin(pool.step_back(desk)));
        assert_eq!((&mut leaving[0]).now_or_never(), Some(()), "the other one is there");
        assert_eq!((&mut leaving[1]).now_or_never(), None);
        // Nobody left yet, and the two are all that there is.
        let mut waiting: Vec<_> = (0..10).map(|_| put(&pool, now).unwrap()).collect();
        assert_eq!(unanswered(&streams), [5, 5]);
        assert!(pool.is_lively(now));
        let (desk, outgoing) = Desk::new();
        streams.push((pool.enter(&desk), outgoing));
        assert_eq!((&mut leaving[1]).now_or_never(), Some(()));
        waiting.extend((0..10).map(|_| put(&pool, now).unwrap()));
        assert_eq!(unanswered(&streams), [5, 5, 10]);
        drop(leaving);
        streams.clear();
        assert_eq!(put(&pool, now).unwrap_err(), Refusal::Down);
    }

    #[test]
    fn full_or_ending_stream_is_passed_over() {
        let (pool, mut streams) = pool(2);
        let now = Instant::now();
        let mut waiting: Vec<_> = (0..2 * UNANSWERED).map(|_| put(&pool, now).unwrap()).collect();
        assert_eq!(put(&pool, now).unwrap_err(), Refusal::Busy);
        answer(&mut streams[1], now);
        waiting.extend((0..10).map(|_| put(&pool, now).unwrap()));
        streams[1].0.desk.end();
        assert_eq!(put(&pool, now).unwrap_err(), Refusal::Busy);
        streams.pop();
        assert_eq!(unanswered(&streams), [UNANSWERED]);
    }
}
