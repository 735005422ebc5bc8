//! The servers behind the names of `SMARTLINKS_RESOLVER`, looked up again and again, once for the whole gateway.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use futures_util::future::join_all;
use http::Uri;
use tokio::{
    net::lookup_host,
    sync::{Notify, watch},
    time::{Instant, sleep_until, timeout},
};

/// Addresses that are used at most; of more, those that sort first.
pub const MOST_ADDRESSES: usize = 64;
/// How long one look-up may take.
const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(5);
/// How much time is between two look-ups at least, however often a lane asks for one.
const LEAST_PAUSE: Duration = Duration::from_secs(1);
/// The port of an URL without one.
const HTTP_PORT: u16 = 80;

/// Every address with the URL that led to it: calls name the server as the URL does.
pub type Found = BTreeMap<SocketAddr, Uri>;

/// The servers as they were last found. Clones share them.
#[derive(Clone, Debug)]
pub struct Servers {
    found: watch::Receiver<Found>,
    again: Arc<Notify>,
}

impl Servers {
    /// Begins to look names up, on the runtime that it is called on; literal addresses are there at once.
    pub fn start(urls: &[Uri], refresh: Duration) -> Self {
        Self::start_with(
            urls,
            refresh,
            |host, port| async move { Ok(lookup_host((host, port)).await?.collect()) },
        )
    }

    /// Begins to look names up by the given means: host and port come to addresses.
    pub fn start_with<L, F>(urls: &[Uri], refresh: Duration, look_up: L) -> Self
    where
        L: Fn(String, u16) -> F + Send + Sync + 'static,
        F: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    {
        let (literal, names): (Vec<Name>, Vec<Name>) =
            urls.iter().map(Name::of).partition(|name| !name.found.is_empty());
        let known = all(literal.iter());
        tell_unused(known.len());
        let (publisher, found) = watch::channel(used(known));
        let again = Arc::new(Notify::new());
        if !names.is_empty() {
            let search = Search { literal, names, look_up, publisher };
            tokio::spawn(search.run(refresh, Arc::clone(&again)));
        }
        Self { found, again }
    }

    /// Asks for a look-up soon: a server may have gone elsewhere.
    pub(super) fn look_again(&self) {
        self.again.notify_one();
    }

    /// Returns what was last found.
    pub(super) fn found(&mut self) -> Found {
        self.found.borrow_and_update().clone()
    }

    /// Waits until something else is found, for ever if nothing is looked for any more.
    pub(super) async fn changed(&mut self) {
        if self.found.changed().await.is_err() {
            std::future::pending().await
        }
    }
}

/// A name and what was last found behind it.
struct Name {
    url: Uri,
    host: String,
    port: u16,
    found: Vec<SocketAddr>,
    /// Whether the last look-up failed: that is told of once, not at every try.
    is_failing: bool,
}

impl Name {
    fn of(url: &Uri) -> Self {
        // The settings were checked: there is a host.
        let host = url.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = url.port_u16().unwrap_or(HTTP_PORT);
        let literal = host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, port));
        Self { url: url.clone(), host, port, found: literal.into_iter().collect(), is_failing: false }
    }

    /// Takes what a look-up found. A failed one changes nothing: what was there may well be there still.
    fn take(&mut self, looked_up: io::Result<Vec<SocketAddr>>) {
        let looked_up = looked_up.and_then(|found| match found.is_empty() {
            true => Err(io::Error::other("the name has no address")),
            false => Ok(found),
        });
        match looked_up {
            Ok(found) => {
                if self.is_failing {
                    tracing::info!(name = self.host, "the name is found again");
                }
                self.is_failing = false;
                self.found = found;
            }
            Err(error) => {
                if !self.is_failing {
                    let kept = self.found.len();
                    tracing::warn!(name = self.host, %error, kept, "cannot look up a name of SMARTLINKS_RESOLVER");
                }
                self.is_failing = true;
            }
        }
    }
}

/// Puts together what was found; of an address behind two names, the first counts.
fn all<'n>(names: impl Iterator<Item = &'n Name>) -> Found {
    let mut found = Found::new();
    for name in names {
        for address in &name.found {
            found.entry(*address).or_insert_with(|| name.url.clone());
        }
    }
    found
}

/// Returns those that are used.
fn used(mut found: Found) -> Found {
    while found.len() > MOST_ADDRESSES {
        found.pop_last();
    }
    found
}

fn tell_unused(count: usize) {
    if count > MOST_ADDRESSES {
        tracing::warn!(servers = count, used = MOST_ADDRESSES, "not all servers are used");
    }
}

/// Looks names up until nobody wants to know any more.
struct Search<L> {
    literal: Vec<Name>,
    names: Vec<Name>,
    look_up: L,
    publisher: watch::Sender<Found>,
}

impl<L, F> Search<L>
where
    L: Fn(String, u16) -> F,
    F: Future<Output = io::Result<Vec<SocketAddr>>>,
{
    async fn run(mut self, refresh: Duration, again: Arc<Notify>) {
        loop {
            let begun = Instant::now();
            self.look_all_up().await;
            let soon = LEAST_PAUSE.min(refresh);
            let asked = async {
                again.notified().await;
                sleep_until(begun + soon).await;
            };
            let is_failing = self.names.iter().any(|name| name.is_failing);
            tokio::select! {
                () = self.publisher.closed() => return,
                () = sleep_until(begun + if is_failing { soon } else { refresh }) => {}
                () = asked => {}
            }
        }
    }

    async fn look_all_up(&mut self) {
        let look_up = &self.look_up;
        join_all(self.names.iter_mut().map(async |name| {
            let looked_up = timeout(LOOK_UP_TIMEOUT, look_up(name.host.clone(), name.port)).await;
            name.take(looked_up.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())));
        }))
        .await;
        let found = all(self.literal.iter().chain(&self.names));
        let count = found.len();
        let found = used(found);
        let is_new = self.publisher.send_if_modified(|known| {
            let is_new = *known != found;
            *known = found;
            is_new
        });
        if is_new {
            tracing::info!(servers = count, "the servers behind SMARTLINKS_RESOLVER have changed");
            tell_unused(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    fn urls(texts: &[&str]) -> Vec<Uri> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    /// What look-ups come to, and how many there were.
    #[derive(Clone, Default)]
    struct Book(Arc<(Mutex<Option<Vec<SocketAddr>>>, AtomicUsize)>);

    impl Book {
        fn write(&self, found: Option<&[&str]>) {
            *self.0.0.lock().unwrap() = found.map(addresses);
        }

        fn look_ups(&self) -> usize {
            self.0.1.load(Ordering::Relaxed)
        }

        fn servers(&self, texts: &[&str], refresh: Duration) -> Servers {
            let book = self.clone();
            Servers::start_with(&urls(texts), refresh, move |_, _| {
                book.0.1.fetch_add(1, Ordering::Relaxed);
                let found = book.0.0.lock().unwrap().clone();
                async move { found.ok_or_else(|| io::Error::other("no such name")) }
            })
        }
    }

    const OFTEN: Duration = Duration::from_millis(10);

    #[tokio::test]
    async fn literal_addresses_are_there_at_once_and_never_looked_up() {
        let book = Book::default();
        let mut servers = book.servers(&["http://127.0.0.1:1", "http://[::1]:2", "http://127.0.0.1"], OFTEN);
        let found: Vec<_> = servers.found().into_keys().collect();
        assert_eq!(found, addresses(&["127.0.0.1:1", "127.0.0.1:80", "[::1]:2"]));
        assert_eq!(book.look_ups(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn names_are_looked_up_again_and_a_failure_keeps_what_was_found() {
        let book = Book::default();
        book.write(Some(&["10.0.0.1:7", "10.0.0.2:7"]));
        let mut servers = book.servers(&["http://resolver:7", "http://127.0.0.1:1"], OFTEN);
        servers.changed().await;
        let found = servers.found();
        let keys: Vec<_> = found.keys().copied().collect();
        assert_eq!(keys, addresses(&["10.0.0.1:7", "10.0.0.2:7", "127.0.0.1:1"]));
        assert_eq!(found[&keys[0]], "http://resolver:7");
        // Neither a failure nor an empty answer takes anything away.
        for nothing in [None, Some(&[][..])] {
            book.write(nothing);
            let seen = book.look_ups();
            while book.look_ups() < seen + 3 {
                tokio::time::sleep(OFTEN).await;
            }
            assert_eq!(servers.found(), found);
        }
        book.write(Some(&["10.0.0.3:7"]));
        servers.changed().await;
        let keys: Vec<_> = servers.found().into_keys().collect();
        assert_eq!(keys, addresses(&["10.0.0.3:7", "127.0.0.1:1"]));
    }

    #[tokio::test(start_paused = true)]
    async fn lane_may_ask_for_a_look_up_but_not_all_the_time() {
        let book = Book::default();
        book.write(Some(&["10.0.0.1:7"]));
        let hour = Duration::from_secs(3_600);
        let mut servers = book.servers(&["http://resolver:7"], hour);
        servers.changed().await;
        let begun = Instant::now();
        book.write(Some(&["10.0.0.2:7"]));
        for _ in 0..100 {
            servers.look_again();
        }
        servers.changed().await;
        assert_eq!(book.look_ups(), 2);
        assert!((LEAST_PAUSE..hour).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn look_up_that_failed_is_made_again_soon() {
        let book = Book::default();
        let hour = Duration::from_secs(3_600);
        let mut servers = book.servers(&["http://resolver:7"], hour);
        let begun = Instant::now();
        while book.look_ups() < 3 {
            tokio::time::sleep(OFTEN).await;
        }
        book.write(Some(&["10.0.0.1:7"]));
        servers.changed().await;
        assert!((LEAST_PAUSE..LEAST_PAUSE * 5).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn look_up_that_hangs_is_given_up() {
        let count = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&count);
        let mut servers = Servers::start_with(&urls(&["http://resolver:7"]), OFTEN, move |_, _| {
            let hangs = counter.fetch_add(1, Ordering::Relaxed) == 0;
            async move {
                if hangs {
                    std::future::pending::<()>().await;
                }
                Ok(addresses(&["10.0.0.1:7"]))
            }
        });
        servers.changed().await;
        assert_eq!(servers.found().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn number_of_addresses_is_bounded() {
        let found = (0..200).map(|last| SocketAddr::from(([10, 0, 0, last], 7))).collect::<Vec<_>>();
        let mut servers = Servers::start_with(&urls(&["http://resolver:7"]), OFTEN, move |_, _| {
            let found = found.clone();
            async move { Ok(found) }
        });
        servers.changed().await;
        assert_eq!(servers.found().len(), MOST_ADDRESSES);
        let literal = (0..200).map(|last| format!("http://10.0.0.{last}:7").parse().unwrap());
        let mut servers = Servers::start(&literal.collect::<Vec<_>>(), OFTEN);
        assert_eq!(servers.found().len(), MOST_ADDRESSES);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_who_wants_to_know_ends_the_search() {
        let book = Book::default();
        book.write(Some(&["10.0.0.1:7"]));
        let mut servers = book.servers(&["http://resolver:7"], OFTEN);
        servers.changed().await;
        let left = Arc::downgrade(&servers.again);
        drop(servers);
        while left.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    }
}
