//! Wake-ups: something may have been committed.

use super::Store;

/// Says when something may have been committed. A wake-up is never the data, and one may be lost: poll as well.
#[derive(Debug)]
pub struct Wakeups {}

impl Wakeups {
    /// Waits until something may have been committed since the call before. The first call, and the first after every
    /// new connection, returns at once. Call it before the query, so that nothing falls between.
    pub async fn woken(&mut self) {
        todo!()
    }
}

impl Store {
    /// Begins to listen on a connection of its own, which is made again as often as it is lost. Ends when the value
    /// is dropped.
    pub fn listen(&self) -> Wakeups {
        todo!()
    }
}
