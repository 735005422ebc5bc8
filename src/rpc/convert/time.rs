//! Instants: `google.protobuf.Timestamp` and ours.

use jiff::Timestamp;

use super::{Path, take};
use crate::domain::fault::{Faults, Problem, Reason};

/// Reads an instant.
pub fn read(wire: &prost_types::Timestamp, path: &Path<'_>, faults: &mut Faults) -> Option<Timestamp> {
    let out_of_range = || {
        Problem::new(
            Reason::OutOfRange,
            format!("{} s and {} ns are no instant between the years 1 and 9999", wire.seconds, wire.nanos),
        )
    };
    // The contract's own range begins later than jiff's, and its fractions count forward, before 1970 too.
    let sound = (YEAR_1..=YEAR_9999).contains(&wire.seconds) && (0..1_000_000_000).contains(&wire.nanos);
    let read = sound.then(|| Timestamp::new(wire.seconds, wire.nanos).ok()).flatten();
    take(read.ok_or_else(out_of_range), path, faults)
}

/// Writes an instant.
pub fn write(time: Timestamp) -> prost_types::Timestamp {
    let (seconds, nanos) = (time.as_second(), time.subsec_nanosecond());
    // Before 1970 fractions of ours count backward.
    if nanos < 0 {
        return prost_types::Timestamp { seconds: seconds - 1, nanos: nanos + 1_000_000_000 };
    }
    prost_types::Timestamp { seconds, nanos }
}

/// 0001-01-01T00:00:00Z.
const YEAR_1: i64 = -62_135_596_800;
/// The last second that an instant of ours can have.
const YEAR_9999: i64 = 253_402_207_200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_read_back() {
        for text in ["1970-01-01T00:00:00Z", "2026-02-03T04:05:06.789012345Z", "1969-12-31T23:59:59.5Z"] {
            let time: Timestamp = text.parse().unwrap();
            let wire = write(time);
            assert!((0..1_000_000_000).contains(&wire.nanos));
            assert_eq!(read(&wire, &Path::root("time"), &mut Faults::new()), Some(time), "{text}");
        }
    }

    #[test]
    fn what_is_no_instant_is_refused() {
        for (seconds, nanos) in [(0, -1), (0, 1_000_000_000), (i64::MAX, 0), (i64::MIN, 0), (YEAR_1 - 1, 0)] {
            let mut faults = Faults::new();
            let wire = prost_types::Timestamp { seconds, nanos };
            assert_eq!(read(&wire, &Path::root("time"), &mut faults), None);
            assert_eq!(faults.iter().next().unwrap().problem.reason, Reason::OutOfRange);
        }
    }
}
