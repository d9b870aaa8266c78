//! Bulk classification of volume, for tapes that do not say who took.
//!
//! Owns [`BulkClassifier`]: volume of a bar of time is split by the bar's price change in units of the usual change.
//! Called by [`Vpin`](super::Vpin) when `features.vpin_sign` is `bvc`. A bar is known when the first trade after it
//! comes. Source: Easley, López de Prado, O'Hara (2012); quant.md 3.3, which also says why the true side is better.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::pipeline::digest::Digester;
use crate::stats::normal;

/// Changes that the deviation is made from at least: with fewer it says nothing, and volume stays unclassified.
const CHANGES_MIN: usize = 10;

/// A classified bar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BulkBar {
    /// Volume of the bar, in lots.
    pub lots: i64,
    /// Share of it that counts as bought, 0 to 1.
    pub bought_share: f64,
}

/// Splits the volume of bars of time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BulkClassifier {
    bar_ns: u64,
    window: usize,
    open: Option<OpenBar>,
    /// Last price of the bar before the open one, in ticks.
    close_before: Option<i64>,
    /// Price changes of the last bars, in ticks; their sums are whole numbers, so nothing drifts.
    changes: VecDeque<i64>,
    sum: i64,
    squares: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct OpenBar {
    index: u64,
    lots: i64,
    close: i64,
}

/// The share of a bar's volume that counts as bought: the normal distribution function of its price change in
/// deviations, and one half when prices have not moved at all.
pub fn bought_share(change: f64, deviation: f64) -> f64 {
    if deviation > 0.0 { normal::cdf(change / deviation) } else { 0.5 }
}

impl BulkClassifier {
    /// Bars of `bar_ns`; the deviation is that of the last `window` changes.
    pub fn new(bar_ns: u64, window: usize) -> BulkClassifier {
        BulkClassifier {
            bar_ns: bar_ns.max(1),
            window: window.max(2),
            open: None,
            close_before: None,
            changes: VecDeque::with_capacity(window.max(2) + 1),
            sum: 0,
            squares: 0,
        }
    }

    /// Takes a trade. Returns the bar that it ends, if that could be classified. Time that goes back falls into the
    /// open bar.
    pub fn on_trade(&mut self, ts_ns: u64, price_ticks: i64, lots: i64) -> Option<BulkBar> {
        let index = ts_ns / self.bar_ns;
        if let Some(open) = &mut self.open
            && index <= open.index
        {
            open.lots += lots;
            open.close = price_ticks;
            return None;
        }
        let ended = self.open.replace(OpenBar { index, lots, close: price_ticks });
        ended.and_then(|bar| self.classify(bar))
    }

    /// The tape broke off: the open bar is lost, and the next has no change.
    pub fn on_gap(&mut self) {
        self.open = None;
        self.close_before = None;
    }

    /// Whether another classifier's state can go on here.
    pub fn has_shape_of(&self, other: &BulkClassifier) -> bool {
        self.bar_ns == other.bar_ns && self.window == other.window && other.changes.len() <= self.window
    }

    /// Takes the changes that an earlier session has seen; what was open then is gone.
    pub fn restore(&mut self, other: &BulkClassifier) {
        self.on_gap();
        self.changes.clear();
        self.changes.extend(&other.changes);
        self.sum = self.changes.iter().sum();
        self.squares = self.changes.iter().map(|change| change * change).sum();
    }

    /// Adds its state to a digest.
    pub fn digest(&self, digester: &mut Digester) {
        for change in &self.changes {
            digester.i64(*change);
        }
        digester.i64(self.close_before.unwrap_or_default());
        if let Some(open) = self.open {
            digester.u64(open.index);
            digester.i64(open.lots);
            digester.i64(open.close);
        }
    }

    fn classify(&mut self, bar: OpenBar) -> Option<BulkBar> {
        let change = bar.close - self.close_before.replace(bar.close)?;
        if self.changes.len() == self.window
            && let Some(oldest) = self.changes.pop_front()
        {
            self.sum -= oldest;
            self.squares -= oldest * oldest;
        }
        self.changes.push_back(change);
        self.sum += change;
        self.squares += change * change;
        let deviation = self.deviation()?;
        Some(BulkBar { lots: bar.lots, bought_share: bought_share(change as f64, deviation) })
    }

    /// Sample deviation of the last changes, the newest among them: it is known when its bar is.
    fn deviation(&self) -> Option<f64> {
        let count = self.changes.len();
        if count < CHANGES_MIN.min(self.window) {
            return None;
        }
        let count = count as i128;
        let spread = count * i128::from(self.squares) - i128::from(self.sum) * i128::from(self.sum);
        Some((spread as f64 / (count * (count - 1)) as f64).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BAR: u64 = 10_000_000_000;

    #[test]
    fn vpin_3_3_bulk_classification_oracle() {
        for (change, want) in [(1.0, 0.841_345), (-0.5, 0.308_538), (0.0, 0.5), (2.0, 0.977_250)] {
            assert!((bought_share(change, 1.0) - want).abs() < 5e-7);
            assert!((bought_share(change * 7.0, 7.0) - want).abs() < 5e-7);
        }
        assert_eq!(bought_share(3.0, 0.0), 0.5, "prices that never move split volume evenly");
    }

    #[test]
    fn a_bar_is_known_at_the_first_trade_after_it_and_never_before_the_deviation_is() {
        let mut bulk = BulkClassifier::new(BAR, 10);
        let mut bars = Vec::new();
        for step in 0..14_u64 {
            // Two trades a bar; prices alternate, so that changes are one tick up and one down.
            assert_eq!(bulk.on_trade(step * BAR + BAR / 2, 100 + (step % 2) as i64, 3), bars.pop().flatten());
            bars.push(None);
            let known = bulk.on_trade(step * BAR + BAR - 1, 100 + (step % 2) as i64, 4);
            assert_eq!(known, None, "inside a bar nothing is known");
            if step >= 10 {
                let deviation = (10.0_f64 / 9.0).sqrt();
                let change = if step % 2 == 1 { 1.0 } else { -1.0 };
                bars[0] = Some(BulkBar { lots: 7, bought_share: normal::cdf(change / deviation) });
            }
        }
    }

    proptest! {
        #[test]
        fn streamed_shares_equal_those_of_the_whole_tape(
            bars in prop::collection::vec((1_u64..4, -50_i64..50, 1_i64..100), 1..60),
            window in 2_usize..20,
        ) {
            let mut bulk = BulkClassifier::new(BAR, window);
            let (mut ts, mut price) = (0, 1000);
            let (mut prices, mut streamed) = (Vec::new(), Vec::new());
            for (skip, change, lots) in bars {
                ts += skip * BAR;
                price += change;
                prices.push((price, lots));
                streamed.extend(bulk.on_trade(ts, price, lots));
            }
            let mut want = Vec::new();
            // The last bar is still open.
            for at in 1..prices.len().saturating_sub(1) {
                let from = (at + 1).saturating_sub(window).max(1);
                let changes: Vec<f64> = (from..=at).map(|bar| (prices[bar].0 - prices[bar - 1].0) as f64).collect();
                if changes.len() < 10.min(window) {
                    continue;
                }
                let mean = changes.iter().sum::<f64>() / changes.len() as f64;
                let squares: f64 = changes.iter().map(|change| (change - mean) * (change - mean)).sum();
                let deviation = (squares / (changes.len() - 1) as f64).sqrt();
                want.push((prices[at].1, bought_share(changes[changes.len() - 1], deviation)));
            }
            prop_assert_eq!(streamed.len(), want.len());
            for (bar, (lots, share)) in streamed.iter().zip(&want) {
                prop_assert_eq!(bar.lots, *lots);
                prop_assert!((bar.bought_share - share).abs() <= 1e-12 * share.max(1e-3), "{bar:?} {share}");
            }
        }
    }
}
