//! Volatility from the high and low of the mid in bars: Parkinson.
//!
//! Owns [`Parkinson`]. Fed by [`Sigma`](super::Sigma) with every mid. A bar that began before we looked, or that spans
//! a gap of the feed, is discarded; one in which the mid stood still is a valid zero. Sources: Parkinson (1980);
//! quant.md 2.6, whose table of the discreteness bias is used here and continued below five changes.

use serde::{Deserialize, Serialize};

use crate::pipeline::digest::Digester;

/// 1 / (4 ln 2): the variance of a Brownian bar from its squared log range.
const PARKINSON: f64 = 0.360_673_760_222_240_85;

/// What the range of a bar with so many changes of the mid shows, as a share of the true variance. One change gives
/// 1 / (4 ln 2) exactly; two to four are simulated like the rest of the table (two million bars, standard error
/// 0.0004), five on are those of quant.md.
const BIAS: [(f64, f64); 12] = [
    (1.0, PARKINSON),
    (2.0, 0.443),
    (3.0, 0.499),
    (4.0, 0.539),
    (5.0, 0.572),
    (10.0, 0.664),
    (20.0, 0.745),
    (50.0, 0.827),
    (100.0, 0.877),
    (200.0, 0.904),
    (500.0, 0.940),
    (1000.0, 0.961),
];

/// Variance of a bar from its high and low, as if the mid had been watched without pause.
pub fn parkinson_variance(high: f64, low: f64) -> f64 {
    let log_range = (high / low).ln();
    PARKINSON * log_range * log_range
}

/// What a bar's range shows of its variance when the mid changed only so often. Interpolated in one over the square
/// root of the count, in which the bias is nearly a line that ends at 1.
pub fn discreteness_factor(changes: u64) -> f64 {
    if changes == 0 {
        return 1.0;
    }
    let at = 1.0 / (changes as f64).sqrt();
    let above = BIAS.partition_point(|(count, _)| *count <= changes as f64);
    let (from_count, from) = BIAS[above - 1];
    let from_at = 1.0 / from_count.sqrt();
    let (to_at, to) = BIAS.get(above).map_or((0.0, 1.0), |(count, factor)| (1.0 / count.sqrt(), *factor));
    from + (to - from) * (from_at - at) / (from_at - to_at)
}

/// Mean variance of bars.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Parkinson {
    bar_s: u64,
    capacity: usize,
    bars: Vec<f64>,
    next: usize,
    open: Option<OpenBar>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct OpenBar {
    index: u64,
    high: f64,
    low: f64,
    last: f64,
    changes: u64,
    /// It began after its own start: it says too little and is not counted.
    is_partial: bool,
}

impl OpenBar {
    /// The bar that begins with the mid that stood before.
    fn carried(index: u64, mid: f64) -> OpenBar {
        OpenBar { index, high: mid, low: mid, last: mid, changes: 0, is_partial: false }
    }
}

impl Parkinson {
    pub(super) fn new(bar_s: u64, capacity: usize) -> Parkinson {
        Parkinson { bar_s, capacity, bars: Vec::with_capacity(capacity), next: 0, open: None }
    }

    /// Takes a mid. Returns whether a bar was counted.
    pub(super) fn on_mid(&mut self, second: u64, mid: f64) -> bool {
        let index = second / self.bar_s;
        let Some(mut open) = self.open else {
            self.open = Some(OpenBar { is_partial: true, ..OpenBar::carried(index, mid) });
            return false;
        };
        let mut is_counted = false;
        // Bounded: a pause longer than the gap has taken the open bar away. Bars that passed without a mid are zeros.
        while open.index < index {
            if !open.is_partial {
                self.keep(parkinson_variance(open.high, open.low) / discreteness_factor(open.changes));
                is_counted = true;
            }
            open = OpenBar::carried(open.index + 1, open.last);
        }
        if mid != open.last {
            open.high = open.high.max(mid);
            open.low = open.low.min(mid);
            open.last = mid;
            open.changes += 1;
        }
        self.open = Some(open);
        is_counted
    }

    pub(super) fn discard_bar(&mut self) {
        self.open = None;
    }

    /// Seconds that the counted bars cover.
    pub(super) fn covered_s(&self) -> u64 {
        self.bars.len() as u64 * self.bar_s
    }

    /// Summed anew at a bar's end: it has a few values, and they are asked for once a bar.
    pub(super) fn per_sqrt_s(&self) -> Option<f64> {
        if self.bars.is_empty() {
            return None;
        }
        let mean = self.bars.iter().sum::<f64>() / self.bars.len() as f64;
        Some((mean / self.bar_s as f64).sqrt())
    }

    pub(super) fn restore(&mut self, other: &Parkinson) -> bool {
        let fits = other.bar_s == self.bar_s
            && other.capacity == self.capacity
            && other.bars.len() <= self.capacity
            && other.next < self.capacity
            && (other.bars.len() == self.capacity || other.next == other.bars.len())
            && other.bars.iter().all(|bar| bar.is_finite() && *bar >= 0.0);
        if fits {
            self.bars.clear();
            self.bars.extend_from_slice(&other.bars);
            self.next = other.next;
            self.open = other.open;
        }
        fits
    }

    pub(super) fn digest(&self, digester: &mut Digester) {
        for value in &self.bars {
            digester.f64(*value);
        }
        digester.u64(self.next as u64);
        if let Some(open) = self.open {
            digester.u64(open.index);
            for value in [open.high, open.low, open.last] {
                digester.f64(value);
            }
            digester.u64(open.changes);
            digester.flag(open.is_partial);
        }
    }

    fn keep(&mut self, variance: f64) {
        if self.bars.len() < self.capacity {
            self.bars.push(variance);
        } else {
            self.bars[self.next] = variance;
        }
        self.next = (self.next + 1) % self.capacity;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sigma_2_6_parkinson_oracle() {
        let variance = parkinson_variance(101.0, 99.0);
        assert!((variance - 1.442_791_2e-4).abs() < 5e-12, "{variance}");
        assert!((variance.sqrt() - 0.012_011_62).abs() < 5e-9);
        assert!(((variance / 60.0).sqrt() - 0.001_550_69).abs() < 5e-9);
        assert!((PARKINSON - 1.0 / (4.0 * 2.0_f64.ln())).abs() < 1e-15);
        assert_eq!(parkinson_variance(100.0, 100.0), 0.0, "high equal to low is a valid zero");
    }

    #[test]
    fn sigma_2_6_discreteness_bias_oracle() {
        for (changes, want) in
            [(5, 0.572), (10, 0.664), (20, 0.745), (50, 0.827), (100, 0.877), (200, 0.904), (500, 0.940), (1000, 0.961)]
        {
            assert!((discreteness_factor(changes) - want).abs() < 1e-12);
        }
        let mut last = 0.0;
        for changes in 1..20_000 {
            let factor = discreteness_factor(changes);
            assert!(factor > last && factor < 1.0, "{changes}: {factor}");
            last = factor;
        }
        assert!(last > 0.99);
    }

    #[test]
    fn bars_that_began_before_we_looked_or_span_a_gap_are_discarded() {
        let mut parkinson = Parkinson::new(60, 5);
        parkinson.on_mid(30, 100.0);
        assert!(!parkinson.on_mid(60, 100.0), "we looked from its middle on");
        assert!(parkinson.on_mid(120, 100.0));
        assert_eq!(parkinson.per_sqrt_s(), Some(0.0), "a mid that stood still is a valid zero");
        parkinson.on_mid(130, 110.0);
        parkinson.discard_bar();
        // The book comes back in the next bar: neither the one it left nor the one it returns to is whole.
        assert!(!parkinson.on_mid(190, 200.0));
        assert!(!parkinson.on_mid(240, 200.0));
        assert!(parkinson.on_mid(300, 200.0));
        assert_eq!(parkinson.per_sqrt_s(), Some(0.0), "the jump across the gap was counted");
    }

    /// Bars by their definition from the whole list of mids.
    fn naive(mids: &[(u64, f64)], bar_s: u64, capacity: usize) -> Option<f64> {
        let first = mids[0].0 / bar_s;
        let last = mids[mids.len() - 1].0 / bar_s;
        let mut bars = Vec::new();
        for bar in first + 1..last {
            let before = mids.iter().rev().find(|(second, _)| second / bar_s < bar).unwrap().1;
            let mut inside = vec![before];
            inside.extend(mids.iter().filter(|(second, _)| second / bar_s == bar).map(|(_, mid)| *mid));
            let high = inside.iter().copied().fold(f64::MIN, f64::max);
            let low = inside.iter().copied().fold(f64::MAX, f64::min);
            let changes = inside.windows(2).filter(|pair| pair[0] != pair[1]).count() as u64;
            bars.push(parkinson_variance(high, low) / discreteness_factor(changes));
        }
        let bars = &bars[bars.len().saturating_sub(capacity)..];
        (!bars.is_empty()).then(|| (bars.iter().sum::<f64>() / bars.len() as f64 / bar_s as f64).sqrt())
    }

    proptest! {
        #[test]
        fn streamed_ranges_equal_those_of_the_whole_list(
            steps in prop::collection::vec((0_u64..25, 9_900_u32..10_100), 2..200),
            capacity in 1_usize..6,
        ) {
            let mut parkinson = Parkinson::new(10, capacity);
            let mut second = 0;
            let mut mids = Vec::new();
            for (wait, mid) in steps {
                second += wait;
                mids.push((second, f64::from(mid)));
                parkinson.on_mid(second, f64::from(mid));
            }
            match (parkinson.per_sqrt_s(), naive(&mids, 10, capacity)) {
                (Some(ours), Some(want)) => prop_assert!((ours - want).abs() <= 1e-12 * want, "{ours} {want}"),
                (ours, want) => prop_assert_eq!(ours, want),
            }
        }
    }
}
