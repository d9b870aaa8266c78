//! Toxicity from the tape: VPIN in buckets of trades or volume, de-biased and signed.
//!
//! Owns [`Vpin`]. Values are those of completed buckets only and change at a bucket's closing trade: anything else
//! would look ahead. Formulas: quant.md 3.

use std::collections::VecDeque;

use crate::pipeline::config::VpinMode;
use crate::pipeline::digest::Digester;
use crate::types::{Qty, Side, TimestampNs};

/// Trade counts for which the coin-flip baseline is tabulated; beyond, its asymptote is exact to 1e-4.
const BASELINE_TABLE: usize = 1025;

/// What closes a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BucketEnd {
    Trades(u64),
    Lots(i64),
}

#[derive(Clone, Copy, Default)]
struct Bucket {
    bought: i64,
    sold: i64,
    squares: f64,
    trades: u64,
}

/// The published toxicity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Toxicity {
    /// VPIN as measured, 0 to 1.
    pub raw: f64,
    /// With the value that coin flips would show taken off, 0 to 1.
    pub tau: f64,
    /// Net share bought, -1 to 1.
    pub signed: f64,
    /// What threatens the bid: net selling beyond chance, `max(-signed - v0, 0)`.
    pub tau_bid: f64,
    /// What threatens the ask: net buying beyond chance, `max(signed - v0, 0)`.
    pub tau_ask: f64,
}

/// Volume-synchronised probability of informed trading.
pub struct Vpin {
    end: BucketEnd,
    window: usize,
    gap_ns: u64,
    open: Bucket,
    closed: VecDeque<(i64, i64)>,
    effective_trades: Option<f64>,
    decay: f64,
    baseline: Vec<f64>,
    last_ts: TimestampNs,
    published: Option<Toxicity>,
}

impl Vpin {
    /// Before the first trade. `trades` is used in trade mode, `volume` in volume mode.
    pub fn new(mode: VpinMode, trades: u32, volume: Qty, buckets: u32, gap_ms: u64) -> Vpin {
        let window = buckets.max(1) as usize;
        Vpin {
            end: match mode {
                VpinMode::Trades => BucketEnd::Trades(u64::from(trades.max(1))),
                VpinMode::Volume => BucketEnd::Lots(volume.lots().max(1)),
            },
            window,
            gap_ns: gap_ms.saturating_mul(1_000_000),
            open: Bucket::default(),
            closed: VecDeque::with_capacity(window + 1),
            effective_trades: None,
            decay: (-1.0 / f64::from(buckets.max(1))).exp2(),
            baseline: baseline_table(BASELINE_TABLE),
            last_ts: TimestampNs::ZERO,
            published: None,
        }
    }

    /// Takes a print of the tape. Returns whether a bucket closed.
    pub fn on_trade(&mut self, ts: TimestampNs, aggressor: Side, qty: Qty) -> bool {
        if self.last_ts != TimestampNs::ZERO && ts.since(self.last_ts).nanos() > self.gap_ns {
            self.open = Bucket::default();
        }
        self.last_ts = self.last_ts.max(ts);
        let mut rest = qty.lots();
        if rest <= 0 {
            return false;
        }
        match self.end {
            BucketEnd::Trades(limit) => {
                self.fill(aggressor, rest);
                if self.open.trades >= limit {
                    self.close();
                    self.publish();
                    return true;
                }
                false
            }
            BucketEnd::Lots(limit) => {
                let mut any = false;
                // A print larger than the whole window closes more buckets than are kept: only the last ones matter.
                let whole = (rest / limit) as usize;
                if whole > self.window + 1 {
                    rest -= (whole - self.window - 1) as i64 * limit;
                }
                while rest > 0 {
                    let part = rest.min(limit - self.open.bought - self.open.sold);
                    self.fill(aggressor, part);
                    rest -= part;
                    if self.open.bought + self.open.sold >= limit {
                        self.close();
                        any = true;
                    }
                }
                if any {
                    self.publish();
                }
                any
            }
        }
    }

    /// The toxicity of the last completed buckets; `None` until there are enough of them.
    pub fn value(&self) -> Option<Toxicity> {
        self.published
    }

    /// Adds its state to a digest.
    pub fn digest(&self, digester: &mut Digester) {
        for (bought, sold) in self.closed.iter().chain([&(self.open.bought, self.open.sold)]) {
            digester.i64(*bought);
            digester.i64(*sold);
        }
        digester.f64(self.open.squares);
        digester.u64(self.open.trades);
        digester.option_f64(self.effective_trades);
        digester.time(self.last_ts);
    }

    fn fill(&mut self, aggressor: Side, lots: i64) {
        match aggressor {
            Side::Bid => self.open.bought += lots,
            Side::Ask => self.open.sold += lots,
        }
        self.open.squares += lots as f64 * lots as f64;
        self.open.trades += 1;
    }

    fn close(&mut self) {
        let bucket = std::mem::take(&mut self.open);
        let all = (bucket.bought + bucket.sold) as f64;
        let effective = all * all / bucket.squares;
        self.effective_trades = Some(match self.effective_trades {
            Some(before) => self.decay * before + (1.0 - self.decay) * effective,
            None => effective,
        });
        if self.closed.len() == self.window {
            self.closed.pop_front();
        }
        self.closed.push_back((bucket.bought, bucket.sold));
    }

    fn publish(&mut self) {
        if self.closed.len() < self.window {
            return;
        }
        let (mut imbalance, mut net, mut all) = (0_i64, 0_i64, 0_i64);
        for (bought, sold) in &self.closed {
            imbalance += (bought - sold).abs();
            net += bought - sold;
            all += bought + sold;
        }
        let raw = imbalance as f64 / all as f64;
        let signed = net as f64 / all as f64;
        let effective = self.effective_trades.unwrap_or(1.0);
        let chance = self.baseline_of(effective);
        let chance_net = self.baseline_of(effective * self.window as f64);
        // One effective trade a bucket has a baseline of 1: nothing can be told from chance.
        let tau = if chance < 1.0 { ((raw - chance) / (1.0 - chance)).clamp(0.0, 1.0) } else { 0.0 };
        self.published = Some(Toxicity {
            raw,
            tau,
            signed,
            tau_bid: (-signed - chance_net).max(0.0),
            tau_ask: (signed - chance_net).max(0.0),
        });
    }

    fn baseline_of(&self, trades: f64) -> f64 {
        let count = trades.round().max(1.0);
        self.baseline.get(count as usize).copied().unwrap_or_else(|| (2.0 / (std::f64::consts::PI * count)).sqrt())
    }
}

/// What VPIN shows when every trade's side is a coin flip: E|2 Bin(N, 1/2) - N| / N for N from 0 on.
fn baseline_table(len: usize) -> Vec<f64> {
    let mut table = vec![1.0; len];
    // C(2m, m) / 4^m, which serves both N = 2m and N = 2m + 1.
    let mut central = 1.0;
    for half in 1..len.div_ceil(2) {
        central *= (2 * half - 1) as f64 / (2 * half) as f64;
        table[2 * half] = central;
        if 2 * half + 1 < len {
            table[2 * half + 1] = central;
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now(step: usize) -> TimestampNs {
        TimestampNs::from_millis(1000 + step as u64)
    }

    #[test]
    fn volume_bucket_oracle() {
        let mut vpin = Vpin::new(VpinMode::Volume, 0, Qty::from_lots(5), 4, 60_000);
        let tape = [(Side::Bid, 3), (Side::Ask, 1), (Side::Bid, 2), (Side::Bid, 6), (Side::Ask, 4), (Side::Ask, 4)];
        let mut values = Vec::new();
        for (step, (side, lots)) in tape.into_iter().enumerate() {
            let before = vpin.closed.len();
            vpin.on_trade(now(step), side, Qty::from_lots(lots));
            for (bought, sold) in vpin.closed.iter().skip(before) {
                values.push((bought - sold).abs() as f64 / 5.0);
            }
        }
        assert_eq!(values, [0.6, 1.0, 0.2, 1.0]);
        assert!((vpin.value().unwrap().raw - 0.7).abs() < 1e-15);
    }

    #[test]
    fn baseline_oracles() {
        let table = baseline_table(BASELINE_TABLE);
        for (trades, want) in [
            (10, 0.246_094),
            (20, 0.176_197),
            (25, 0.161_180),
            (50, 0.112_275),
            (100, 0.079_589),
            (200, 0.056_348),
            (1000, 0.025_225),
        ] {
            assert!((table[trades] - want).abs() < 5e-7, "{trades}: {}", table[trades]);
        }
    }

    /// One-sided informed share a in buckets of N trades, against E|2 Bin(N, (1+a)/2) - N| / N.
    #[test]
    fn persistent_flow_oracle() {
        for (per_bucket, informed, want) in
            [(50_u32, 0.0, 0.112_275), (50, 0.2, 0.209_43), (50, 0.5, 0.5), (200, 0.2, 0.200_09)]
        {
            let mut vpin = Vpin::new(VpinMode::Trades, per_bucket, Qty::ZERO, 4000, 60_000);
            let mut state: u64 = 7;
            for step in 0..4000 * per_bucket as usize {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let uniform = (state >> 11) as f64 / (1_u64 << 53) as f64;
                let side = if uniform < (1.0 + informed) / 2.0 { Side::Bid } else { Side::Ask };
                vpin.on_trade(now(step), side, Qty::from_lots(3));
            }
            let raw = vpin.value().unwrap().raw;
            // The s.d. of one bucket is below 0.1 at N = 50: 4000 buckets give 0.0016; four of those.
            assert!((raw - want).abs() < 0.0064, "N={per_bucket} a={informed}: {raw}");
        }
    }

    #[test]
    fn coin_flips_are_not_toxic_and_one_sided_flow_is() {
        let mut vpin = Vpin::new(VpinMode::Trades, 50, Qty::ZERO, 10, 60_000);
        for step in 0..499 {
            vpin.on_trade(now(step), Side::Bid, Qty::from_lots(1));
            assert_eq!(vpin.value(), None, "published before enough buckets had closed");
        }
        assert!(vpin.on_trade(now(499), Side::Bid, Qty::from_lots(1)));
        let toxicity = vpin.value().unwrap();
        assert_eq!((toxicity.raw, toxicity.tau, toxicity.signed), (1.0, 1.0, 1.0));
        assert!(toxicity.tau_ask > 0.9 && toxicity.tau_bid == 0.0, "buyers threaten the ask");
        for step in 500..549 {
            vpin.on_trade(now(step), Side::Ask, Qty::from_lots(1));
            assert_eq!(vpin.value(), Some(toxicity), "an open bucket must not show");
        }
    }

    proptest! {
        #[test]
        fn every_value_is_in_its_range(
            tape in prop::collection::vec((any::<bool>(), 0_i64..10_000), 1..600),
            volume_mode in any::<bool>(),
        ) {
            let mode = if volume_mode { VpinMode::Volume } else { VpinMode::Trades };
            let mut vpin = Vpin::new(mode, 7, Qty::from_lots(1000), 3, 60_000);
            for (step, (bought, lots)) in tape.into_iter().enumerate() {
                let side = if bought { Side::Bid } else { Side::Ask };
                vpin.on_trade(now(step), side, Qty::from_lots(lots));
                if let Some(toxicity) = vpin.value() {
                    prop_assert!((0.0..=1.0).contains(&toxicity.raw));
                    prop_assert!((0.0..=1.0).contains(&toxicity.tau));
                    prop_assert!(toxicity.signed.abs() <= toxicity.raw + 1e-12);
                }
            }
        }
    }
}
