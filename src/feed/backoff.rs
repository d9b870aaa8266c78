//! Waiting before the next connection attempt: doubling, capped, jittered.

use std::time::Duration;

/// Decides how long to wait before attempt after attempt.
#[derive(Clone, Debug)]
pub struct Backoff {
    least: Duration,
    most: Duration,
    attempts: u32,
    state: u64,
}

impl Backoff {
    /// Waits from `least` to `most`; `seed` makes engines that lost the same venue come back at different times.
    pub fn new(least: Duration, most: Duration, seed: u64) -> Backoff {
        Backoff { least, most, attempts: 0, state: seed }
    }

    /// How long to wait now: between half and the whole of `least` doubled once for every attempt, at most `most`.
    pub fn wait(&mut self) -> Duration {
        // 20 doublings of a millisecond are 17 minutes: far above any cap, far below an overflow.
        let ceiling = self.least.saturating_mul(1 << self.attempts.min(20)).min(self.most);
        self.attempts = self.attempts.saturating_add(1);
        let half = ceiling / 2;
        half + half.mul_f64(self.unit())
    }

    /// Starts over after a connection that worked.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }

    /// splitmix64, as a number in [0, 1).
    fn unit(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_never_vanish() {
        let (least, most) = (Duration::from_millis(100), Duration::from_secs(2));
        for seed in 0..50 {
            let mut backoff = Backoff::new(least, most, seed);
            for attempt in 0..100_u32 {
                let ceiling = least.saturating_mul(1 << attempt.min(20)).min(most);
                let wait = backoff.wait();
                assert!(wait >= ceiling / 2 && wait <= ceiling, "{wait:?} at attempt {attempt}");
            }
            backoff.reset();
            assert!(backoff.wait() <= least);
        }
    }
}
