//! What happened so far.

use tokio::{sync::watch, time::timeout};

use crate::support::server::PATIENCE;

/// A list that grows and can be waited for.
#[derive(Clone)]
pub(super) struct Seen<T>(watch::Sender<Vec<T>>);

impl<T: Clone> Seen<T> {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(Vec::new()))
    }

    pub(super) fn add(&self, what: T) {
        self.0.send_modify(|all| all.push(what));
    }

    pub(super) fn all(&self) -> Vec<T> {
        self.0.borrow().clone()
    }

    /// Waits for the first that fits.
    pub(super) async fn first(&self, what: &str, fits: impl Fn(&T) -> bool) -> T {
        let mut list = self.0.subscribe();
        let found = timeout(PATIENCE, list.wait_for(|all| all.iter().any(&fits))).await;
        let found = found.unwrap_or_else(|_| panic!("waited in vain for: {what}")).unwrap();
        found.iter().find(|one| fits(one)).unwrap().clone()
    }
}
