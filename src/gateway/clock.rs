//! Our clock and the venue's.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::types::TimestampNs;

/// The system's clock, UTC.
pub fn wall_now() -> TimestampNs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimestampNs::from_nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// How far the venue's clock is from ours. Shared by all gateways; set by whoever measured it last.
#[derive(Clone, Debug, Default)]
pub struct VenueClock {
    offset_ns: Arc<AtomicI64>,
}

impl VenueClock {
    /// Takes a measurement: the venue stated `venue_ts` in an answer to a request sent and answered at those times.
    pub fn observe(&self, sent: TimestampNs, answered: TimestampNs, venue_ts: TimestampNs) {
        // The venue read its clock somewhere between; the middle is off by half a round trip at most.
        let middle = sent.nanos() / 2 + answered.nanos() / 2;
        self.offset_ns.store(venue_ts.nanos().wrapping_sub(middle) as i64, Ordering::Relaxed);
    }

    /// The venue's clock minus ours.
    pub fn offset_ns(&self) -> i64 {
        self.offset_ns.load(Ordering::Relaxed)
    }

    /// What the venue's clock shows at `now`, in milliseconds, for `timestamp`.
    pub fn venue_millis(&self, now: TimestampNs) -> u64 {
        now.nanos().saturating_add_signed(self.offset_ns()) / 1_000_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_venue_that_is_ahead_or_behind_is_followed() {
        let clock = VenueClock::default();
        let at = TimestampNs::from_millis;
        clock.observe(at(1000), at(1010), at(2505));
        assert_eq!((clock.offset_ns(), clock.venue_millis(at(2000))), (1_500_000_000, 3500));
        clock.observe(at(10_000), at(10_000), at(4000));
        assert_eq!(clock.venue_millis(at(11_000)), 5000);
    }
}
