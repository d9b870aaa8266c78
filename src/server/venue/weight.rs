//! The weight of requests in the current minute. The real limit is per address; everyone here is 127.0.0.1.

use crate::types::TimestampNs;

/// Binance's REQUEST_WEIGHT limit a minute.
pub const WEIGHT_LIMIT: u32 = 6_000;

/// Counts weight in minutes that start at :00.
#[derive(Clone, Copy, Debug, Default)]
pub struct WeightWindow {
    minute: u64,
    used: u32,
}

impl WeightWindow {
    /// Adds a request's weight. Returns the seconds until the minute ends when the limit is exceeded.
    ///
    /// # Errors
    /// Seconds to wait.
    pub fn add(&mut self, now: TimestampNs, weight: u32) -> Result<(), u64> {
        self.turn(now);
        self.used = self.used.saturating_add(weight);
        if self.used > WEIGHT_LIMIT {
            return Err(60 - (now.millis() / 1_000) % 60);
        }
        Ok(())
    }

    /// Gives back what a success does not cost.
    pub fn refund(&mut self, weight: u32) {
        self.used = self.used.saturating_sub(weight);
    }

    /// Weight used in the minute of `now`.
    pub fn used(&mut self, now: TimestampNs) -> u32 {
        self.turn(now);
        self.used
    }

    fn turn(&mut self, now: TimestampNs) {
        let minute = now.millis() / 60_000;
        if minute != self.minute {
            *self = WeightWindow { minute, used: 0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds_until_the_minute_turns() {
        let mut window = WeightWindow::default();
        let now = TimestampNs::from_millis(60_000 * 10 + 45_000);
        assert_eq!(window.add(now, WEIGHT_LIMIT), Ok(()));
        assert_eq!(window.add(now, 1), Err(15));
        window.refund(2);
        assert_eq!(window.add(now, 1), Ok(()));
        let next = TimestampNs::from_millis(60_000 * 11);
        assert_eq!(window.used(next), 0);
        assert_eq!(window.add(next, 1), Ok(()));
    }
}
