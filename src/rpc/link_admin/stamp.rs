//! What only the row of an object knows: revision, etag and times.

use jiff::Timestamp;

use super::etag;
use crate::{
    domain::revision::Revision,
    proto,
    rpc::convert::time,
    store::{Committed, Stored},
};

/// Revision, etag and times of an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    /// 0 = it was not written.
    pub(super) revision: Revision,
    pub(super) create_time: Option<Timestamp>,
    pub(super) update_time: Option<Timestamp>,
    pub(super) delete_time: Option<Timestamp>,
}

impl Stamp {
    /// Takes the stamp of a row.
    pub(super) fn of<T>(stored: &Stored<T>) -> Self {
        Self {
            revision: stored.revision,
            create_time: Some(stored.create_time),
            update_time: Some(stored.update_time),
            delete_time: stored.delete_time,
        }
    }

    /// Takes the stamp of an object that a commit made.
    pub(super) fn new(done: Option<Committed>) -> Self {
        let Some(done) = done else { return Self::default() };
        Self {
            revision: done.revision,
            create_time: Some(done.time),
            update_time: Some(done.time),
            delete_time: None,
        }
    }

    /// Returns the stamp of the object after a commit; the same if nothing was written.
    pub(super) fn after(self, done: Option<Committed>, deleted: bool) -> Self {
        let Some(done) = done else { return self };
        Self {
            revision: done.revision,
            update_time: Some(done.time),
            delete_time: deleted.then_some(done.time),
            ..self
        }
    }

    fn etag(self) -> String {
        if self.revision == Revision::default() { String::new() } else { etag(self.revision) }
    }
}

macro_rules! stamped {
    ($($message:ident)*) => {$(
        impl Stamped for proto::$message {
            fn stamped(self, stamp: Stamp) -> Self {
                Self {
                    etag: stamp.etag(),
                    revision: stamp.revision.0,
                    create_time: stamp.create_time.map(time::write),
                    update_time: stamp.update_time.map(time::write),
                    delete_time: stamp.delete_time.map(time::write),
                    ..self
                }
            }
        }
    )*};
}

/// A message of an object, which shows its stamp.
pub(super) trait Stamped: Sized {
    /// Writes the stamp into the message.
    fn stamped(self, stamp: Stamp) -> Self;
}

stamped! { Shop Program Partner Link }
