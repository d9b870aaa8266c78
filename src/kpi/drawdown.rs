//! The deepest fall of the equity below its highest point so far.

use serde::Serialize;

use super::exact;
use crate::types::{DurationNs, Money, TimestampNs};

/// Falls below the peak; the equity at the start counts as the first peak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrawdownTracker {
    peak: Money,
    below: bool,
    /// When the equity left its peak, while it is below.
    left_at: TimestampNs,
    now: TimestampNs,
    deepest: Money,
    longest: DurationNs,
}

/// The deepest and the longest fall.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Drawdown {
    /// Greatest fall below an earlier peak, in quote currency; never negative.
    #[serde(serialize_with = "exact::money")]
    pub deepest: Money,
    /// Longest time below a peak until the equity stood there again, or until the end, in seconds.
    pub longest_s: f64,
}

impl DrawdownTracker {
    /// Starts with the equity at `start`.
    pub fn new(start: TimestampNs, equity: Money) -> DrawdownTracker {
        DrawdownTracker {
            peak: equity,
            below: false,
            left_at: start,
            now: start,
            deepest: Money::ZERO,
            longest: DurationNs::ZERO,
        }
    }

    /// The equity from `now` on.
    pub fn on_equity(&mut self, now: TimestampNs, equity: Money) {
        self.now = self.now.max(now);
        if equity >= self.peak {
            if self.below {
                self.longest = self.longest.max(self.now.since(self.left_at));
            }
            self.below = false;
            self.peak = equity;
            return;
        }
        if !self.below {
            self.below = true;
            self.left_at = self.now;
        }
        self.deepest = self.deepest.max(self.peak - equity);
    }

    /// The falls until `end`.
    pub fn total(&self, end: TimestampNs) -> Drawdown {
        let open = if self.below { end.since(self.left_at) } else { DurationNs::ZERO };
        Drawdown { deepest: self.deepest, longest_s: self.longest.max(open).secs_f64() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> TimestampNs {
        TimestampNs::from_millis(s * 1000)
    }

    fn run(steps: &[(u64, i64)], end: u64) -> (String, f64) {
        let mut tracker = DrawdownTracker::new(at(0), Money::ZERO);
        for &(s, e8) in steps {
            tracker.on_equity(at(s), Money::from_e8(e8 * 100_000_000));
        }
        let total = tracker.total(at(end));
        (total.deepest.to_string(), total.longest_s)
    }

    #[test]
    fn falls_by_hand() {
        // Up to 5, down to 2 (3 deep, from 20 to 50), up to 9, down to 7 until the end.
        assert_eq!(run(&[(10, 5), (20, 3), (30, 2), (50, 5), (60, 9), (70, 7)], 75), ("3".to_owned(), 30.0));
        assert_eq!(run(&[(10, 5), (20, 3), (30, 2), (50, 5), (60, 9), (70, 7)], 200), ("3".to_owned(), 130.0));
    }

    #[test]
    fn the_equity_at_the_start_is_a_peak() {
        assert_eq!(run(&[(10, -4), (20, -1)], 20), ("4".to_owned(), 10.0));
        assert_eq!(run(&[(10, 0), (20, 1), (30, 1)], 90), ("0".to_owned(), 0.0));
        assert_eq!(run(&[], 90), ("0".to_owned(), 0.0));
    }
}
