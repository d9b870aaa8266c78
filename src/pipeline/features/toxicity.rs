//! Toxicity from the tape: VPIN in buckets of trades or volume, de-biased and signed.
//!
//! Owns [`Vpin`]. Values are those of completed buckets only and change at a bucket's closing trade: anything else
//! would look ahead. Work is O(1) a trade, and bounded by the window for a trade that closes many buckets.
//! Source: Easley, López de Prado, O'Hara (2012); formulas: quant.md 3.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::bulk::BulkClassifier;
use super::chance::Chance;
use crate::pipeline::config::{FeaturesConfig, VpinMode, VpinSign};
use crate::pipeline::digest::Digester;
use crate::types::{Price, Qty, Side, TimestampNs};

/// What closes a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum BucketEnd {
    Trades(u64),
    Lots(i64),
}

/// Volume of a bucket, in lots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Bucket {
    bought: i64,
    sold: i64,
    /// Sum of the squares of its parts.
    squares: f64,
    parts: u64,
}

impl Bucket {
    fn lots(&self) -> i64 {
        self.bought + self.sold
    }

    fn add(&mut self, bought: i64, sold: i64) {
        let part = (bought + sold) as f64;
        self.bought += bought;
        self.sold += sold;
        self.squares += part * part;
        self.parts += 1;
    }
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
    chance: Chance,
    bulk: Option<BulkClassifier>,
    open: Bucket,
    /// Bought and sold lots of the completed buckets, oldest first, and their running sums: whole numbers, so nothing
    /// drifts.
    closed: VecDeque<(i64, i64)>,
    imbalance: i64,
    net: i64,
    all: i64,
    effective_parts: Option<f64>,
    decay: f64,
    last_ts: TimestampNs,
    published: Option<Toxicity>,
}

/// What survives a restart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VpinState {
    end: BucketEnd,
    window: usize,
    closed: Vec<(i64, i64)>,
    effective_parts: Option<f64>,
    bulk: Option<BulkClassifier>,
}

impl Vpin {
    /// Before the first trade. `volume` is what a bucket holds in volume mode.
    pub fn new(config: &FeaturesConfig, volume: Qty) -> Vpin {
        let window = config.vpin_buckets.max(1) as usize;
        let bar_ns = u64::from(config.bvc_bar_s) * 1_000_000_000;
        let (chance, bulk) = match config.vpin_sign {
            VpinSign::Aggressor => (Chance::coin_flips(), None),
            VpinSign::Bvc => (Chance::UniformShares, Some(BulkClassifier::new(bar_ns, config.bvc_bars as usize))),
        };
        Vpin {
            end: match config.vpin_mode {
                VpinMode::Trades => BucketEnd::Trades(u64::from(config.vpin_trades.max(1))),
                VpinMode::Volume => BucketEnd::Lots(volume.lots().max(1)),
            },
            window,
            gap_ns: config.gap_ms.saturating_mul(1_000_000),
            chance,
            bulk,
            open: Bucket::default(),
            closed: VecDeque::with_capacity(window + 1),
            imbalance: 0,
            net: 0,
            all: 0,
            effective_parts: None,
            decay: (-1.0 / window as f64).exp2(),
            last_ts: TimestampNs::ZERO,
            published: None,
        }
    }

    /// Takes a print of the tape. Returns whether a bucket closed. Prints without quantity are ignored.
    pub fn on_trade(&mut self, ts: TimestampNs, aggressor: Side, price: Price, qty: Qty) -> bool {
        if self.last_ts != TimestampNs::ZERO && ts.since(self.last_ts).nanos() > self.gap_ns {
            self.on_gap();
        }
        self.last_ts = self.last_ts.max(ts);
        let lots = qty.lots();
        if lots <= 0 {
            return false;
        }
        let is_closed = match (&mut self.bulk, aggressor) {
            (Some(bulk), _) => match bulk.on_trade(self.last_ts.nanos(), price.ticks(), lots) {
                Some(bar) => self.pour(bar.lots, |lots| (bar.bought_share * lots as f64).round() as i64),
                None => false,
            },
            (None, Side::Bid) => self.pour(lots, |lots| lots),
            (None, Side::Ask) => self.pour(lots, |_| 0),
        };
        if is_closed {
            self.publish();
        }
        is_closed
    }

    /// The tape broke off: what the open bucket holds and what comes next do not belong together.
    pub fn on_gap(&mut self) {
        self.open = Bucket::default();
        if let Some(bulk) = &mut self.bulk {
            bulk.on_gap();
        }
    }

    /// The toxicity of the last completed buckets; `None` until there are enough of them.
    pub fn value(&self) -> Option<Toxicity> {
        self.published
    }

    /// What survives a restart: completed buckets. The open one does not, as after any gap.
    pub fn state(&self) -> VpinState {
        VpinState {
            end: self.end,
            window: self.window,
            closed: self.closed.iter().copied().collect(),
            effective_parts: self.effective_parts,
            bulk: self.bulk.clone(),
        }
    }

    /// Takes the buckets that an earlier session has completed. Returns false, and changes nothing, when those were
    /// other buckets.
    pub fn restore(&mut self, state: &VpinState) -> bool {
        let fits = state.end == self.end
            && state.window == self.window
            && state.closed.len() <= self.window
            && state.closed.iter().all(|(bought, sold)| *bought >= 0 && *sold >= 0 && bought + sold > 0)
            && state.effective_parts.is_some() != state.closed.is_empty()
            && state.effective_parts.is_none_or(|parts| parts.is_finite() && parts > 0.0);
        let bulk_fits = match (&self.bulk, &state.bulk) {
            (Some(own), Some(other)) => own.has_shape_of(other),
            (None, None) => true,
            _ => false,
        };
        if !(fits && bulk_fits) {
            return false;
        }
        self.open = Bucket::default();
        (self.imbalance, self.net, self.all) = (0, 0, 0);
        self.closed.clear();
        for bucket in &state.closed {
            self.keep(*bucket);
        }
        self.effective_parts = state.effective_parts;
        if let (Some(own), Some(other)) = (&mut self.bulk, &state.bulk) {
            own.restore(other);
        }
        self.published = None;
        self.publish();
        true
    }

    /// Adds its state to a digest.
    pub fn digest(&self, digester: &mut Digester) {
        for (bought, sold) in self.closed.iter().chain([&(self.open.bought, self.open.sold)]) {
            digester.i64(*bought);
            digester.i64(*sold);
        }
        digester.f64(self.open.squares);
        digester.u64(self.open.parts);
        digester.option_f64(self.effective_parts);
        digester.time(self.last_ts);
        if let Some(bulk) = &self.bulk {
            bulk.digest(digester);
        }
    }

    /// Pours volume into buckets; `bought` says how much of the first so many lots was bought. Returns whether a
    /// bucket closed.
    fn pour(&mut self, lots: i64, bought: impl Fn(i64) -> i64) -> bool {
        let limit = match self.end {
            BucketEnd::Trades(limit) => {
                let bought = bought(lots);
                self.open.add(bought, lots - bought);
                let is_full = self.open.parts >= limit;
                if is_full {
                    self.close();
                }
                return is_full;
            }
            BucketEnd::Lots(limit) => limit,
        };
        let mut is_any_closed = false;
        let mut done = 0;
        while done < lots {
            let part = (lots - done).min(limit - self.open.lots());
            let part_bought = bought(done + part) - bought(done);
            self.open.add(part_bought, part - part_bought);
            done += part;
            if self.open.lots() < limit {
                break;
            }
            self.close();
            is_any_closed = true;
            // Of more whole buckets than are kept only the last ones matter; each of the others holds one part.
            let skipped = (lots - done) / limit - self.window as i64;
            if skipped > 0 {
                done += skipped * limit;
                let kept = self.decay.powi(i32::try_from(skipped).unwrap_or(i32::MAX));
                self.effective_parts = self.effective_parts.map(|parts| kept * parts + (1.0 - kept));
            }
        }
        is_any_closed
    }

    fn close(&mut self) {
        let bucket = std::mem::take(&mut self.open);
        let all = bucket.lots() as f64;
        let effective = all * all / bucket.squares;
        self.effective_parts = Some(match self.effective_parts {
            Some(before) => self.decay * before + (1.0 - self.decay) * effective,
            None => effective,
        });
        self.keep((bucket.bought, bucket.sold));
    }

    fn keep(&mut self, (bought, sold): (i64, i64)) {
        if self.closed.len() == self.window
            && let Some((bought, sold)) = self.closed.pop_front()
        {
            self.imbalance -= (bought - sold).abs();
            self.net -= bought - sold;
            self.all -= bought + sold;
        }
        self.closed.push_back((bought, sold));
        self.imbalance += (bought - sold).abs();
        self.net += bought - sold;
        self.all += bought + sold;
    }

    fn publish(&mut self) {
        let Some(effective) = self.effective_parts.filter(|_| self.closed.len() == self.window) else { return };
        let raw = self.imbalance as f64 / self.all as f64;
        let signed = self.net as f64 / self.all as f64;
        let chance = self.chance.imbalance(effective);
        let chance_net = match self.chance {
            Chance::CoinFlips(_) => self.chance.imbalance(effective * self.window as f64),
            // A bar may reach over several buckets, which are not independent then: the value of one is the safe one.
            Chance::UniformShares => chance,
        };
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
}

#[cfg(test)]
#[path = "toxicity_tests.rs"]
mod tests;
