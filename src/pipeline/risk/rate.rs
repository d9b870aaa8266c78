//! How many orders may leave.
//!
//! Owns [`OrderRate`]: sliding windows of 1 s and 10 s and a count per UTC day, over all instruments, kept below the
//! venue's own limits; and the pause after the venue has said that it was too much all the same.

use std::collections::VecDeque;

use crate::pipeline::config::RiskConfig;
use crate::pipeline::digest::Digester;
use crate::types::{DurationNs, TimestampNs};

const SECOND: DurationNs = DurationNs::from_secs(1);
const TEN_SECONDS: DurationNs = DurationNs::from_secs(10);
const DAY_NS: u64 = 86_400_000_000_000;

struct Window {
    span: DurationNs,
    limit: usize,
    sent: VecDeque<TimestampNs>,
}

impl Window {
    fn new(span: DurationNs, limit: u32) -> Window {
        Window { span, limit: limit as usize, sent: VecDeque::with_capacity(limit as usize + 1) }
    }

    /// When the next order may leave. Time that goes back only makes the window stricter.
    fn free_at(&self) -> TimestampNs {
        if self.sent.len() < self.limit {
            return TimestampNs::ZERO;
        }
        self.sent.front().map_or(TimestampNs::ZERO, |oldest| oldest.plus(self.span))
    }

    fn record(&mut self, now: TimestampNs) {
        if self.sent.len() == self.limit {
            self.sent.pop_front();
        }
        self.sent.push_back(now);
    }
}

/// Budget of new orders. Cancels and queries are never held back by it.
pub struct OrderRate {
    windows: [Window; 2],
    day: u64,
    day_count: u32,
    day_limit: u32,
    paused_until: TimestampNs,
    refused_at: Option<TimestampNs>,
}

impl OrderRate {
    /// As configured.
    pub fn new(config: &RiskConfig) -> OrderRate {
        OrderRate {
            windows: [Window::new(SECOND, config.orders_per_1s), Window::new(TEN_SECONDS, config.orders_per_10s)],
            day: 0,
            day_count: 0,
            day_limit: config.orders_per_1d,
            paused_until: TimestampNs::ZERO,
            refused_at: None,
        }
    }

    /// When the next order may leave, at the earliest.
    pub fn free_at(&self) -> TimestampNs {
        let day_end = TimestampNs::from_nanos((self.day + 1).saturating_mul(DAY_NS));
        let day = if self.day_count >= self.day_limit { day_end } else { TimestampNs::ZERO };
        self.windows.iter().map(Window::free_at).fold(self.paused_until.max(day), TimestampNs::max)
    }

    /// Whether an order may leave now.
    pub fn allows(&self, now: TimestampNs) -> bool {
        now >= self.free_at()
    }

    /// Counts an order that leaves.
    pub fn record(&mut self, now: TimestampNs) {
        let day = now.nanos() / DAY_NS;
        if day > self.day {
            self.day = day;
            self.day_count = 0;
        }
        self.day_count += 1;
        for window in &mut self.windows {
            window.record(now);
        }
    }

    /// The venue said "too many": nothing leaves until its window must have ended. It does not say which window, so
    /// the second time within ten seconds is taken for the longer one.
    pub fn on_refused(&mut self, now: TimestampNs) {
        let again = self.refused_at.is_some_and(|at| now.since(at) <= TEN_SECONDS);
        self.refused_at = Some(now);
        self.paused_until = self.paused_until.max(now.plus(if again { TEN_SECONDS } else { SECOND }));
    }

    /// Adds its state to a digest.
    pub fn digest(&self, digester: &mut Digester) {
        for at in self.windows.iter().flat_map(|window| &window.sent) {
            digester.time(*at);
        }
        digester.u64(self.day);
        digester.u64(self.day_count.into());
        digester.time(self.paused_until);
        digester.option_time(self.refused_at);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn config() -> RiskConfig {
        RiskConfig { orders_per_1s: 3, orders_per_10s: 5, orders_per_1d: 40, ..RiskConfig::default() }
    }

    proptest! {
        #[test]
        fn no_window_ever_holds_more_than_its_limit(gaps in prop::collection::vec(0_u64..700, 1..400)) {
            let mut rate = OrderRate::new(&config());
            let mut sent: Vec<u64> = Vec::new();
            let mut now = DAY_NS / 1_000_000 - 60_000;
            for gap in gaps {
                now += gap;
                if rate.allows(TimestampNs::from_millis(now)) {
                    rate.record(TimestampNs::from_millis(now));
                    sent.push(now);
                }
            }
            for (index, at) in sent.iter().enumerate() {
                let within = |span: u64| sent[index..].iter().take_while(|later| **later < at + span).count();
                prop_assert!(within(1000) <= 3);
                prop_assert!(within(10_000) <= 5);
                prop_assert!(sent.iter().filter(|other| *other / 86_400_000 == at / 86_400_000).count() <= 40);
            }
        }
    }

    #[test]
    fn a_refusal_pauses_one_second_and_then_ten() {
        let mut rate = OrderRate::new(&config());
        rate.on_refused(TimestampNs::from_millis(0));
        assert!(!rate.allows(TimestampNs::from_millis(999)) && rate.allows(TimestampNs::from_millis(1000)));
        rate.on_refused(TimestampNs::from_millis(1100));
        assert!(!rate.allows(TimestampNs::from_millis(11_099)) && rate.allows(TimestampNs::from_millis(11_100)));
    }
}
