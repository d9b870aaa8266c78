//! Where the mid went after each fill: adverse selection, measured.
//!
//! Owns the mids of the last minute and the fills whose horizons have not passed; what is settled leaves, so that a session
//! of any length takes the memory of a minute. Called by the KPI accumulator on cold threads; `curve` sums what was settled.
//! Source: quant.md 10 and 14: `m_{t+h}` is the last mid at or before `t + h`, none when `t + h` lies behind the end.

use std::collections::VecDeque;

use super::spread::{FillSpread, effective};
use crate::types::{DurationNs, HalfTicks, Price, Qty, Side, TimestampNs};

/// How many horizons there are.
pub const HORIZONS: usize = 6;
/// How long after a fill its markout is taken, shortest first.
pub const MARKOUT_HORIZONS: [DurationNs; HORIZONS] = [
    DurationNs::ZERO,
    DurationNs::from_millis(100),
    DurationNs::from_secs(1),
    DurationNs::from_secs(5),
    DurationNs::from_secs(30),
    DurationNs::from_secs(60),
];
/// The horizon that single figures are told at: 5 s, as its index.
pub const MAIN_HORIZON: usize = 3;

/// A horizon as summaries name it: `0s`, `0.1s`, `5s`.
pub fn horizon_name(horizon: DurationNs) -> String {
    format!("{}s", horizon.secs_f64())
}

/// The mids of one instrument in the order of time, of which the oldest may be forgotten.
#[derive(Clone, Debug, Default)]
struct MidSeries {
    points: VecDeque<(TimestampNs, HalfTicks)>,
    end: TimestampNs,
}

impl MidSeries {
    /// Adds the mid that holds from `at` on. Times must not go back; a mid that does not change costs nothing.
    fn push(&mut self, at: TimestampNs, mid: HalfTicks) {
        self.end = self.end.max(at);
        match self.points.back_mut() {
            Some((_, last)) if *last == mid => {}
            // Several mids at one time: the last one stands.
            Some((time, last)) if *time == at => *last = mid,
            _ => self.points.push_back((at, mid)),
        }
    }

    /// The last mid at or before `at`; `None` before the first and after the end.
    fn at(&self, at: TimestampNs) -> Option<HalfTicks> {
        if at > self.end {
            return None;
        }
        let after = self.points.partition_point(|(time, _)| *time <= at);
        after.checked_sub(1).map(|index| self.points[index].1)
    }

    /// Forgets what no question about `at` or later needs.
    fn forget_before(&mut self, at: TimestampNs) {
        while self.points.get(1).is_some_and(|(time, _)| *time <= at) {
            self.points.pop_front();
        }
    }
}

/// A fill with the market that it met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FillSample {
    /// When we knew.
    pub at: TimestampNs,
    /// Side of our order.
    pub side: Side,
    /// Price.
    pub price: Price,
    /// Quantity.
    pub qty: Qty,
    /// The mid before it.
    pub mid: HalfTicks,
    /// Best ask less best bid of others before it, in ticks; `None` without a two-sided book.
    pub touch_ticks: Option<i64>,
}

impl FillSample {
    /// Effective half-spread, in half ticks.
    pub fn effective(&self) -> i64 {
        effective(self.side, self.price, self.mid)
    }
}

/// A fill of which everything is known that ever will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettledFill {
    /// The fill.
    pub sample: FillSample,
    /// The mid at each of [`MARKOUT_HORIZONS`]; `None` where the session had ended. After no time at all it is the mid
    /// before the fill.
    pub mids: [Option<HalfTicks>; HORIZONS],
}

impl SettledFill {
    /// The three half-spreads after a horizon, by its index.
    pub fn spread(&self, horizon: usize) -> Option<FillSpread> {
        let FillSample { side, price, mid, .. } = self.sample;
        Some(FillSpread::of(side, price, mid, self.mids[horizon]?))
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Settling {
    mids: MidSeries,
    waiting: VecDeque<FillSample>,
}

impl Settling {
    /// The mid that holds from `at` on. Times must not go back.
    pub fn on_mid(&mut self, at: TimestampNs, mid: HalfTicks) {
        self.mids.push(at, mid);
    }

    /// A fill that waits for its horizons.
    pub fn on_fill(&mut self, fill: FillSample) {
        self.waiting.push_back(fill);
    }

    /// Time has come to `now`, the last mid still holding: the next fill whose horizons have all passed. To be called until
    /// there is none.
    pub fn settle(&mut self, now: TimestampNs) -> Option<SettledFill> {
        self.mids.end = self.mids.end.max(now);
        let [.., longest] = MARKOUT_HORIZONS;
        let oldest = self.waiting.front().map_or(now, |fill| fill.at);
        self.mids.forget_before(oldest);
        // A mid of that very moment may still come.
        self.waiting.pop_front_if(|fill| fill.at.plus(longest) < now).map(|fill| self.of(fill))
    }

    /// The session has ended: the next fill with what is known of it. To be called until there is none.
    pub fn settle_rest(&mut self) -> Option<SettledFill> {
        self.waiting.pop_front().map(|fill| self.of(fill))
    }

    fn of(&self, sample: FillSample) -> SettledFill {
        let mid = |horizon: DurationNs| match horizon {
            DurationNs::ZERO => Some(sample.mid),
            _ => self.mids.at(sample.at.plus(horizon)),
        };
        SettledFill { sample, mids: MARKOUT_HORIZONS.map(mid) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> TimestampNs {
        TimestampNs::from_millis(ms)
    }

    fn bought(ms: u64) -> FillSample {
        let (price, qty) = (Price::from_ticks(3), Qty::from_lots(1));
        FillSample { at: at(ms), side: Side::Bid, price, qty, mid: HalfTicks::new(7), touch_ticks: None }
    }

    #[test]
    fn a_horizon_behind_the_end_has_no_markout() {
        let mut settling = Settling::default();
        settling.on_mid(at(10), HalfTicks::new(7));
        settling.on_fill(bought(15));
        assert_eq!(settling.settle(at(115)), None);
        let settled = settling.settle_rest().unwrap();
        assert_eq!(settled.mids, [Some(HalfTicks::new(7)), Some(HalfTicks::new(7)), None, None, None, None]);
        assert_eq!(settled.spread(1), Some(FillSpread { effective: 1, impact: 0, realised: 1 }));
        assert_eq!((settled.spread(2), settling.settle_rest()), (None, None));
    }

    #[test]
    fn a_horizon_takes_the_last_mid_at_or_before_it() {
        let mut settling = Settling::default();
        settling.on_mid(at(0), HalfTicks::new(7));
        settling.on_fill(bought(0));
        settling.on_mid(at(100), HalfTicks::new(8));
        settling.on_mid(at(100), HalfTicks::new(9));
        settling.on_mid(at(1_001), HalfTicks::new(11));
        assert_eq!(settling.settle(at(60_000)), None, "a mid of the last horizon's moment may still come");
        settling.on_mid(at(60_000), HalfTicks::new(13));
        let settled = settling.settle(at(60_001)).unwrap();
        assert_eq!(settled.mids.map(|mid| mid.unwrap().get()), [7, 9, 9, 11, 11, 13]);
    }

    #[test]
    fn a_long_session_keeps_the_mids_of_a_minute() {
        let mut settling = Settling::default();
        let (mut settled, mut most) = (0, 0);
        for step in 0..100_000_u64 {
            settling.on_mid(at(step * 100), HalfTicks::new(1_000 + step as i64 % 7));
            if step.is_multiple_of(10) {
                settling.on_fill(bought(step * 100));
            }
            while let Some(fill) = settling.settle(at(step * 100)) {
                assert!(fill.mids.iter().all(Option::is_some));
                settled += 1;
            }
            most = most.max(settling.mids.points.len());
        }
        assert_eq!(settled, 10_000 - 60);
        assert!(most < 620, "{most}");
    }
}
