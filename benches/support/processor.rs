//! Time of the processor: on a machine with other work, what a watch shows says little.

use std::{fs, thread, time::Duration};

/// Returns how long this thread has been on a processor. On Linux.
pub(crate) fn time() -> Duration {
    // The system adds up when it changes from one thread to another.
    thread::yield_now();
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("the times of Linux's scheduler");
    let nanos = text.split(' ').next().and_then(|word| word.parse().ok()).expect("nanoseconds");
    Duration::from_nanos(nanos)
}
