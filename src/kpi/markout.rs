//! Where the mid went after each fill: adverse selection, measured.
//!
//! Owns the series of mids and the mean over fills. Called by the report and by tests on cold threads, after the
//! session. Source: the specification of adverse-selection accounting (realised half-spread
//! `rs_h = d * (m_{t+h} - p)`, `m_{t+h}` the last mid at or before `t + h`; none when `t + h` lies behind the end).

use crate::types::{DurationNs, HalfTicks, Price, Qty, Side, TimestampNs};

/// The mids of one instrument in the order of time.
#[derive(Clone, Debug, Default)]
pub struct MidSeries {
    points: Vec<(TimestampNs, HalfTicks)>,
    end: TimestampNs,
}

impl MidSeries {
    /// Adds the mid that holds from `at` on. Times must not go back; a mid that does not change costs nothing.
    pub fn push(&mut self, at: TimestampNs, mid: HalfTicks) {
        self.end = self.end.max(at);
        match self.points.last_mut() {
            Some((_, last)) if *last == mid => {}
            // Several mids at one time: the last one stands.
            Some((time, last)) if *time == at => *last = mid,
            _ => self.points.push((at, mid)),
        }
    }

    /// Says that the last mid still held at `at`.
    pub fn extend_to(&mut self, at: TimestampNs) {
        self.end = self.end.max(at);
    }

    /// The last mid at or before `at`; `None` before the first and after the end.
    pub fn at(&self, at: TimestampNs) -> Option<HalfTicks> {
        if at > self.end {
            return None;
        }
        let after = self.points.partition_point(|(time, _)| *time <= at);
        after.checked_sub(1).map(|index| self.points[index].1)
    }

    /// The last mid of all.
    pub fn last(&self) -> Option<HalfTicks> {
        self.points.last().map(|(_, mid)| *mid)
    }

    /// Realised half-spread of a fill after `horizon`, in half ticks: positive when the mid stayed on our side.
    pub fn markout(&self, fill: TimestampNs, side: Side, price: Price, horizon: DurationNs) -> Option<i64> {
        let later = self.at(fill.plus(horizon))?;
        Some(side.sign() * (later.get() - HalfTicks::from(price).get()))
    }
}

/// A quantity-weighted mean with its standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeanMarkout {
    /// Mean realised half-spread in ticks, weighted by quantity.
    pub mean_ticks: f64,
    /// Standard error of the mean in ticks, as if fills were independent; they come in clusters, so it is a lower bound.
    pub error_ticks: f64,
    /// Fills that have a mid at that horizon.
    pub fills: u64,
}

/// The mean over fills (markout in half ticks, quantity); `None` for fewer than two fills.
pub fn mean_markout(fills: impl IntoIterator<Item = (i64, Qty)>) -> Option<MeanMarkout> {
    let samples: Vec<(f64, f64)> =
        fills.into_iter().map(|(half_ticks, qty)| (half_ticks as f64 / 2.0, qty.lots() as f64)).collect();
    let weight: f64 = samples.iter().map(|(_, weight)| weight).sum();
    if samples.len() < 2 || weight <= 0.0 {
        return None;
    }
    let mean = samples.iter().map(|(value, weight)| value * weight).sum::<f64>() / weight;
    // Variance of a weighted mean (ratio estimator): sum of squared weighted residuals over the squared weight.
    let spread: f64 = samples.iter().map(|(value, weight)| (weight * (value - mean)).powi(2)).sum();
    let n = samples.len() as f64;
    let error = (spread * n / (n - 1.0)).sqrt() / weight;
    Some(MeanMarkout { mean_ticks: mean, error_ticks: error, fills: samples.len() as u64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> TimestampNs {
        TimestampNs::from_millis(ms)
    }

    #[test]
    fn the_specifications_example_holds() {
        // Sell aggressor hits bid 99.99, mid before 100.00, 5 s later 99.994: es .010, rs .004. Tick 0.002.
        let mut mids = MidSeries::default();
        mids.push(at(0), HalfTicks::new(100_000));
        mids.push(at(4_000), HalfTicks::new(99_994));
        mids.extend_to(at(60_000));
        let price = Price::from_ticks(49_995);
        let effective = mids.at(at(1)).unwrap().get() - HalfTicks::from(price).get();
        assert_eq!(effective, 10);
        assert_eq!(mids.markout(at(1), Side::Bid, price, DurationNs::from_secs(5)), Some(4));
        assert_eq!(mids.markout(at(1), Side::Ask, price, DurationNs::from_secs(5)), Some(-4));
    }

    #[test]
    fn a_horizon_behind_the_end_has_no_markout() {
        let mut mids = MidSeries::default();
        mids.push(at(10), HalfTicks::new(7));
        mids.extend_to(at(20));
        assert_eq!(mids.at(at(9)), None);
        assert_eq!(mids.at(at(20)), Some(HalfTicks::new(7)));
        assert_eq!(mids.at(at(21)), None);
    }

    #[test]
    fn the_mean_is_weighted_by_quantity() {
        let mean = mean_markout([(2, Qty::from_lots(1)), (8, Qty::from_lots(3))]).unwrap();
        assert!((mean.mean_ticks - 3.25).abs() < 1e-12);
        assert_eq!(mean_markout([(2, Qty::from_lots(1))]), None);
        // Equal weights: the usual standard error of a mean. Values 1, 2, 3: sd 1, error 1/sqrt(3).
        let mean = mean_markout([2, 4, 6].map(|value| (value, Qty::from_lots(5)))).unwrap();
        assert!((mean.error_ticks - 1.0 / 3.0_f64.sqrt()).abs() < 1e-12);
    }
}
