//! The markout curve of a session that still runs.
//!
//! Owns fills that wait for their horizons, and sums. Fed on a cold thread with mids as they become known; bounded. The
//! report's curve, from the journal, has the better intervals: these take fills as independent.

use std::collections::VecDeque;

use super::markout::MARKOUT_HORIZONS;
use super::spread::FillSpread;
use crate::types::{HalfTicks, Price, Qty, Side, TimestampNs};

/// Fills that wait at most; more are counted and left out.
const WAITING_MAX: usize = 4096;

#[derive(Clone, Copy, Debug)]
struct Waiting {
    due: TimestampNs,
    side: Side,
    price: Price,
    qty: Qty,
    before: HalfTicks,
}

#[derive(Clone, Debug, Default)]
struct Horizon {
    waiting: VecDeque<Waiting>,
    fills: u64,
    lots: f64,
    sum: f64,
    lots_squared: f64,
    cross: f64,
    squares: f64,
}

impl Horizon {
    fn settle(&mut self, one: &Waiting, after: HalfTicks) {
        let value = FillSpread::of(one.side, one.price, one.before, after).realised as f64 / 2.0;
        let lots = one.qty.lots() as f64;
        self.fills += 1;
        self.lots += lots;
        self.sum += lots * value;
        self.lots_squared += lots * lots;
        self.cross += lots * lots * value;
        self.squares += (lots * value).powi(2);
    }
}

/// One point of the running curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunningPoint {
    /// The horizon, in seconds.
    pub horizon_s: f64,
    /// Fills whose horizon has passed.
    pub fills: u64,
    /// Mean realised half-spread in ticks, weighted by quantity.
    pub mean_ticks: Option<f64>,
    /// Its standard error as if fills were independent: a lower bound. `None` for fewer than two.
    pub error_ticks: Option<f64>,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct RunningMarkouts {
    horizons: [Horizon; MARKOUT_HORIZONS.len()],
    last: Option<HalfTicks>,
    now: TimestampNs,
    dropped: u64,
}

impl Default for RunningMarkouts {
    fn default() -> Self {
        RunningMarkouts {
            horizons: std::array::from_fn(|_| Horizon::default()),
            last: None,
            now: TimestampNs::ZERO,
            dropped: 0,
        }
    }
}

impl RunningMarkouts {
    /// The mid from `now` on. Fills whose horizon passed before now take the mid that held until now. Mids come by two
    /// roads: one that is older than the newest says nothing.
    pub fn on_mid(&mut self, now: TimestampNs, mid: HalfTicks) {
        if now < self.now {
            return;
        }
        self.now = now;
        if let Some(last) = self.last {
            for horizon in &mut self.horizons {
                while let Some(one) = horizon.waiting.front().copied().filter(|one| one.due < now) {
                    horizon.waiting.pop_front();
                    horizon.settle(&one, last);
                }
            }
        }
        self.last = Some(mid);
    }

    /// A fill, measured against the last mid; before any mid it is left out.
    pub fn on_fill(&mut self, at: TimestampNs, side: Side, price: Price, qty: Qty) {
        let Some(before) = self.last else {
            self.dropped += 1;
            return;
        };
        for (horizon, span) in self.horizons.iter_mut().zip(MARKOUT_HORIZONS) {
            let one = Waiting { due: at.plus(span), side, price, qty, before };
            if span.nanos() == 0 {
                horizon.settle(&one, before);
            } else if horizon.waiting.len() == WAITING_MAX {
                self.dropped += 1;
            } else {
                horizon.waiting.push_back(one);
            }
        }
    }

    /// The curve so far.
    pub fn points(&self) -> [RunningPoint; MARKOUT_HORIZONS.len()] {
        std::array::from_fn(|index| {
            let one = &self.horizons[index];
            let mean = (one.fills > 0).then(|| one.sum / one.lots);
            let error = mean.filter(|_| one.fills > 1).map(|mean| {
                // Sum of squared weighted residuals, expanded; rounding must not make it negative.
                let residuals = (one.squares - 2.0 * mean * one.cross + mean * mean * one.lots_squared).max(0.0);
                let n = one.fills as f64;
                (residuals * n / (n - 1.0)).sqrt() / one.lots
            });
            let horizon_s = MARKOUT_HORIZONS[index].secs_f64();
            RunningPoint { horizon_s, fills: one.fills, mean_ticks: mean, error_ticks: error }
        })
    }

    /// Fills, or horizons of fills, that were left out: before any mid, or too many waiting.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> TimestampNs {
        TimestampNs::from_millis(ms)
    }

    #[test]
    fn horizons_take_the_mid_that_held_when_they_passed() {
        let mut running = RunningMarkouts::default();
        running.on_fill(at(0), Side::Bid, Price::from_ticks(99), Qty::from_lots(1));
        assert_eq!(running.dropped(), 1);
        running.on_mid(at(1), HalfTicks::new(200));
        running.on_fill(at(10), Side::Bid, Price::from_ticks(99), Qty::from_lots(1));
        running.on_fill(at(10), Side::Ask, Price::from_ticks(102), Qty::from_lots(3));
        // At 110 ms the mid is still 100, at 1010 ms it is 103, set at that very time.
        running.on_mid(at(1_010), HalfTicks::new(206));
        running.on_mid(at(900), HalfTicks::new(2));
        running.on_mid(at(1_011), HalfTicks::new(300));
        let points = running.points();
        assert_eq!(points[0].mean_ticks, Some(1.75));
        assert_eq!(points[1].mean_ticks, Some(1.75));
        assert_eq!(points[2].mean_ticks, Some(0.25));
        assert_eq!((points[3].fills, points[3].mean_ticks), (0, None));
    }

    #[test]
    fn the_error_is_that_of_a_weighted_mean() {
        let mut running = RunningMarkouts::default();
        running.on_mid(at(0), HalfTicks::new(200));
        for (price, lots) in [(99, 1), (98, 2), (100, 3)] {
            running.on_fill(at(1), Side::Bid, Price::from_ticks(price), Qty::from_lots(lots));
        }
        let point = running.points()[0];
        let (mean, lots) = (5.0 / 6.0, 6.0);
        let residuals: f64 =
            [(1.0, 1.0), (2.0, 2.0), (0.0, 3.0)].iter().map(|(v, q): &(f64, f64)| (q * (v - mean)).powi(2)).sum();
        assert!((point.mean_ticks.unwrap() - mean).abs() < 1e-12);
        assert!((point.error_ticks.unwrap() - (residuals * 1.5).sqrt() / lots).abs() < 1e-12);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut running = RunningMarkouts::default();
        running.on_mid(at(0), HalfTicks::new(200));
        for _ in 0..WAITING_MAX + 2 {
            running.on_fill(at(1), Side::Bid, Price::from_ticks(99), Qty::from_lots(1));
        }
        // Five horizons wait, each left two out.
        assert_eq!(running.dropped(), 10);
    }
}
