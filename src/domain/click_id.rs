//! Ids of clicks: UUIDv7, whose time is the time of the click.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::{
    fault::{Problem, Reason},
    limits,
};

/// The id of a click.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClickId(Uuid);

impl ClickId {
    /// Bytes of the written form.
    pub const TEXT_BYTES: usize = uuid::fmt::Hyphenated::LENGTH;

    /// Makes an id from a time and random bits, of which 74 are used.
    pub fn new(time: Timestamp, random: [u8; 10]) -> Self {
        let millis = u64::try_from(time.as_millisecond()).unwrap_or_default();
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// Takes an id that a caller made: a UUIDv7 at most 24 hours old and at most 5 minutes ahead.
    pub fn parse(text: &str, now: Timestamp) -> Result<Self, Problem> {
        let id = Uuid::try_parse(text).ok().and_then(Self::from_uuid);
        let id = id.ok_or_else(|| Problem::new(Reason::Malformed, "the click id is no UUID of version 7"))?;
        if id.is_of_about(now) {
            return Ok(id);
        }
        let text =
            format!("the click id is of {}, which is more than 24 hours ago or 5 minutes ahead", id.time());
        Err(Problem::new(Reason::OutOfRange, text))
    }

    /// Tells whether the click is at most 24 hours old and at most 5 minutes ahead.
    pub fn is_of_about(self, now: Timestamp) -> bool {
        let oldest = now - SignedDuration::from_hours(limits::CLICK_ID_AGE_HOURS);
        let newest = now + SignedDuration::from_mins(limits::CLICK_ID_AHEAD_MINUTES);
        (oldest..=newest).contains(&self.time())
    }

    /// Takes an id of whatever time; `None` if it is no UUIDv7.
    pub fn from_uuid(id: Uuid) -> Option<Self> {
        (id.get_version_num() == 7).then_some(Self(id))
    }

    /// Returns the id as a UUID.
    pub fn uuid(self) -> Uuid {
        self.0
    }

    /// Writes the id into a buffer, without any other memory.
    pub fn write(self, buffer: &mut [u8; Self::TEXT_BYTES]) -> &str {
        self.0.hyphenated().encode_lower(buffer)
    }

    /// Returns the time in the id, to the millisecond.
    pub fn time(self) -> Timestamp {
        let (seconds, nanos) = self.0.get_timestamp().map_or((0, 0), |time| time.to_unix());
        // 48 bits of milliseconds reach the year 10889, a timestamp the year 9999.
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        Timestamp::new(seconds, i32::try_from(nanos).unwrap_or_default()).unwrap_or(Timestamp::MAX)
    }
}

impl fmt::Display for ClickId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_in_the_id() {
        let now: Timestamp = "2026-06-01T12:00:00.123Z".parse().unwrap();
        let id = ClickId::new(now, [0xff; 10]);
        assert_eq!(id.time(), now);
        assert_eq!(id.write(&mut [0; ClickId::TEXT_BYTES]), id.to_string());
        assert_eq!(ClickId::parse(&id.to_string(), now), Ok(id));
    }

    #[test]
    fn callers_ids_are_of_about_now() {
        let now: Timestamp = "2026-06-01T12:00:00Z".parse().unwrap();
        let at = |time: &str| ClickId::parse(&ClickId::new(time.parse().unwrap(), [7; 10]).to_string(), now);
        assert!(at("2026-05-31T12:00:00Z").is_ok());
        assert!(at("2026-06-01T12:05:00Z").is_ok());
        for bad in [
            "2026-05-31T11:59:59.999Z",
            "2026-06-01T12:05:00.001Z",
            "1970-01-01T00:00:00Z",
            "2099-01-01T00:00:00Z",
        ] {
            assert_eq!(at(bad).unwrap_err().reason, Reason::OutOfRange);
        }
        for bad in ["", "x", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "ffffffff-ffff-7fff-bfff-ffffffffffff"] {
            assert!(ClickId::parse(bad, now).is_err(), "{bad}");
        }
    }
}
