//! Refusals of one side: pauses instead of loops.
//!
//! Owns [`SideBackoff`]. Three times the same refusal within a second pauses the side, longer each time, until the
//! venue takes an order again.

use crate::pipeline::digest::Digester;
use crate::types::{DurationNs, RejectReason, TimestampNs};

/// A refusal is the same one again within this time.
const WINDOW: DurationNs = DurationNs::from_secs(1);

/// Pauses double up to this multiple of the first.
const PAUSE_MAX: u64 = 30;

/// Pause after a refusal that time alone mends: clock, balance.
const SHORT_PAUSE: DurationNs = DurationNs::from_secs(1);

/// Pause after our own link or gateway took no more orders.
const LINK_PAUSE: DurationNs = DurationNs::from_millis(10);

/// Pauses of one side.
#[derive(Clone, Copy, Debug)]
pub struct SideBackoff {
    first_pause: DurationNs,
    last: [Option<(RejectReason, TimestampNs)>; 2],
    pauses: u64,
    until: TimestampNs,
    awaits_market: bool,
}

impl SideBackoff {
    /// No refusals yet.
    pub fn new(first_pause_ms: u64) -> SideBackoff {
        SideBackoff {
            first_pause: DurationNs::from_millis(first_pause_ms),
            last: [None; 2],
            pauses: 0,
            until: TimestampNs::ZERO,
            awaits_market: false,
        }
    }

    /// Takes a refusal.
    pub fn on_reject(&mut self, now: TimestampNs, reason: RejectReason) {
        match reason {
            // Our view of the book is older than the venue's: the same view would give the same price.
            RejectReason::WouldCross => self.awaits_market = true,
            RejectReason::InsufficientBalance | RejectReason::Clock => self.pause(now, SHORT_PAUSE),
            RejectReason::NotSent => self.pause(now, LINK_PAUSE),
            _ => {}
        }
        let same = |entry: &Option<(RejectReason, TimestampNs)>| {
            entry.is_some_and(|(last, at)| last == reason && now.since(at) <= WINDOW)
        };
        if self.last.iter().all(same) {
            let factor = (1_u64 << self.pauses.min(16)).min(PAUSE_MAX);
            self.pause(now, DurationNs::from_nanos(self.first_pause.nanos().saturating_mul(factor)));
            self.pauses += 1;
            self.last = [None; 2];
        } else {
            self.last = [self.last[1], Some((reason, now))];
        }
    }

    /// The venue took an order: refusals are over.
    pub fn on_accepted(&mut self) {
        self.pauses = 0;
        self.last = [None; 2];
    }

    /// A newer market has been seen.
    pub fn on_market(&mut self) {
        self.awaits_market = false;
    }

    /// Whether the side may place now.
    pub fn allows(&self, now: TimestampNs) -> bool {
        !self.awaits_market && now >= self.until
    }

    /// When the pause ends; a time gone by when there is none.
    pub fn until(&self) -> TimestampNs {
        self.until
    }

    /// Adds its state to a digest.
    pub fn digest(&self, digester: &mut Digester) {
        digester.time(self.until);
        digester.u64(self.pauses);
        digester.flag(self.awaits_market);
    }

    fn pause(&mut self, now: TimestampNs, span: DurationNs) {
        self.until = self.until.max(now.plus(span));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_same_refusal_within_a_second_pauses_the_side() {
        let mut side = SideBackoff::new(1000);
        let at = TimestampNs::from_millis;
        side.on_reject(at(0), RejectReason::Filter);
        side.on_reject(at(400), RejectReason::Filter);
        assert!(side.allows(at(400)));
        side.on_reject(at(800), RejectReason::Filter);
        assert!(!side.allows(at(1799)) && side.allows(at(1800)));
        for millis in [1800, 1801, 1802] {
            side.on_reject(at(millis), RejectReason::Filter);
        }
        assert!(!side.allows(at(3801)), "the second pause is twice as long");
        side.on_accepted();
        for millis in [5000, 5001, 5002] {
            side.on_reject(at(millis), RejectReason::Filter);
        }
        assert!(side.allows(at(6002)), "an accepted order forgives");
    }

    #[test]
    fn slow_or_different_refusals_do_not_pause() {
        let mut side = SideBackoff::new(1000);
        let at = TimestampNs::from_millis;
        for millis in [0, 900, 1901, 3000] {
            side.on_reject(at(millis), RejectReason::Filter);
        }
        side.on_reject(at(3001), RejectReason::Other);
        side.on_reject(at(3002), RejectReason::Filter);
        assert!(side.allows(at(3002)));
    }

    #[test]
    fn a_crossing_refusal_waits_for_a_newer_market() {
        let mut side = SideBackoff::new(1000);
        side.on_reject(TimestampNs::from_millis(0), RejectReason::WouldCross);
        assert!(!side.allows(TimestampNs::from_millis(500)));
        side.on_market();
        assert!(side.allows(TimestampNs::from_millis(500)));
    }
}
