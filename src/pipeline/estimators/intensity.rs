//! How often an aggressing order reaches a distance from the mid: A exp(-k x).
//!
//! Owns [`OrderIntensity`]: a rolling window of how deep each aggressing order went, per side, and its fit. All prints
//! of one order count as one observation, the deepest. Formulas: quant.md 5.4 (maximum likelihood of the exceedance;
//! least squares on cumulative counts is worse and drops empty bins). The half-spread that an order must cross is taken
//! when it comes, so observations keep their meaning when the spread changes; an exponential has no memory, and for a
//! constant spread this is the specification's formula.

use std::collections::VecDeque;

use crate::pipeline::config::EstimatorsConfig;
use crate::pipeline::digest::Digester;
use crate::types::{HalfTicks, Price, Side, TimestampNs, Trade};

/// Observations kept for one side. When more come within the window, the oldest are let go and the window is as long as
/// those that are left.
const OBSERVATIONS_MAX: usize = 8192;

/// A pause without a book that is short against the window: its seconds are counted as seen.
const MOMENT_NS: u64 = 10_000_000_000;

/// A fit: orders that reach `x` ticks from the mid come at `a_per_s * exp(-k_per_tick * x)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Intensity {
    /// Rate at the mid, per second.
    pub a_per_s: f64,
    /// Decay, per tick.
    pub k_per_tick: f64,
    /// Standard error of the decay, per tick.
    pub k_error_per_tick: f64,
    /// Orders that it was made from.
    pub observations: u64,
}

/// The maximum-likelihood fit to orders that went `excess_mean` ticks beyond `half_spread_ticks` on average, seen over
/// `span_s` seconds. `None` for no decay, no time or no observation.
pub fn fit(observations: u64, excess_mean: f64, half_spread_ticks: f64, span_s: f64) -> Option<Intensity> {
    let k_per_tick = 1.0 / excess_mean;
    let a_per_s = observations as f64 / span_s * (k_per_tick * half_spread_ticks).exp();
    let usable = observations > 0 && k_per_tick > 0.0 && k_per_tick.is_finite() && a_per_s.is_finite() && span_s > 0.0;
    usable.then(|| Intensity {
        a_per_s,
        k_per_tick,
        k_error_per_tick: k_per_tick / (observations as f64).sqrt(),
        observations,
    })
}

#[derive(Clone, Copy, Debug)]
struct Observation {
    ts: TimestampNs,
    /// Beyond the half-spread, in half ticks.
    excess: i64,
    half_spread: i64,
}

/// The aggressing order whose prints are coming in.
#[derive(Clone, Copy, Debug)]
struct OpenOrder {
    read_ts: TimestampNs,
    event_ts: TimestampNs,
    aggressor: Side,
    mid: HalfTicks,
    half_spread: HalfTicks,
    deepest: Price,
}

/// One side's window. Sums are whole numbers, so what leaves the window leaves no trace in them.
struct Window {
    observations: VecDeque<Observation>,
    excess: i64,
    half_spread: i64,
    /// An observation was let go before its time: the window begins with the oldest one left.
    cut: bool,
    fit: Option<Intensity>,
}

/// The estimator of both sides.
pub struct OrderIntensity {
    window_ns: u64,
    refit_ns: u64,
    least: u64,
    open: Option<OpenOrder>,
    /// By the side that is reached.
    sides: [Window; 2],
    /// When watching began, without a gap since.
    since: Option<TimestampNs>,
    lost_at: Option<TimestampNs>,
    next_fit: TimestampNs,
}

impl OrderIntensity {
    /// As configured, before the first print.
    pub fn new(config: &EstimatorsConfig) -> OrderIntensity {
        let window = || Window {
            observations: VecDeque::with_capacity(OBSERVATIONS_MAX),
            excess: 0,
            half_spread: 0,
            cut: false,
            fit: None,
        };
        OrderIntensity {
            window_ns: u64::from(config.intensity_window_s) * 1_000_000_000,
            refit_ns: u64::from(config.intensity_refit_s) * 1_000_000_000,
            least: u64::from(config.intensity_min),
            open: None,
            sides: [window(), window()],
            since: None,
            lost_at: None,
            next_fit: TimestampNs::ZERO,
        }
    }

    /// Takes a print. Prints of one venue time and one aggressor are one order; it counts when the next one comes.
    pub fn on_print(&mut self, ts: TimestampNs, trade: &Trade, mid: HalfTicks, half_spread: HalfTicks) {
        if self.lost_at.take().is_some_and(|lost_at| ts.since(lost_at).nanos() > MOMENT_NS) {
            self.begin_anew();
        }
        self.since.get_or_insert(ts);
        if let Some(open) = &mut self.open {
            if open.event_ts == trade.event_ts && open.aggressor == trade.aggressor {
                if trade.price.ticks_above(open.deepest) * open.aggressor.sign() > 0 {
                    open.deepest = trade.price;
                }
                return;
            }
            let done = *open;
            self.count(&done);
        }
        self.open = Some(OpenOrder {
            read_ts: ts,
            event_ts: trade.event_ts,
            aggressor: trade.aggressor,
            mid,
            half_spread,
            deepest: trade.price,
        });
    }

    fn count(&mut self, order: &OpenOrder) {
        let reached = (HalfTicks::from(order.deepest).get() - order.mid.get()) * order.aggressor.sign();
        let excess = reached - order.half_spread.get();
        if excess < 0 {
            return;
        }
        let side = &mut self.sides[order.aggressor.opposite().index()];
        if side.observations.len() == OBSERVATIONS_MAX {
            side.drop_oldest();
            side.cut = true;
        }
        let half_spread = order.half_spread.get();
        side.observations.push_back(Observation { ts: order.read_ts, excess, half_spread });
        side.excess += excess;
        side.half_spread += half_spread;
    }

    /// The book was lost. What happens meanwhile is not seen against a mid: after more than a moment, rates are counted
    /// from anew.
    pub fn on_gap(&mut self, ts: TimestampNs) {
        self.open = None;
        self.lost_at.get_or_insert(ts);
    }

    fn begin_anew(&mut self) {
        self.since = None;
        for side in &mut self.sides {
            side.observations.clear();
            (side.excess, side.half_spread, side.cut) = (0, 0, false);
        }
    }

    /// Lets go what has left the window, and fits anew when it is time.
    pub fn advance(&mut self, now: TimestampNs) {
        if now < self.next_fit {
            return;
        }
        self.next_fit = TimestampNs::from_nanos(now.nanos() + self.refit_ns);
        let Some(since) = self.since else { return };
        for side in &mut self.sides {
            while side.observations.front().is_some_and(|oldest| now.since(oldest.ts).nanos() > self.window_ns) {
                side.drop_oldest();
                side.cut = false;
            }
            let begin = match side.observations.front() {
                Some(oldest) if side.cut => oldest.ts,
                _ => since.max(TimestampNs::from_nanos(now.nanos().saturating_sub(self.window_ns))),
            };
            let count = side.observations.len() as u64;
            if count < self.least {
                // A whole window with too few orders says that the last fit is over; a window that has just begun
                // says nothing yet.
                let whole = now.since(since).nanos() >= self.window_ns;
                side.fit = side.fit.filter(|_| !whole);
                continue;
            }
            // Half ticks to ticks.
            let mean = |sum: i64| sum as f64 / (2.0 * count as f64);
            let made = fit(count, mean(side.excess), mean(side.half_spread), now.since(begin).secs_f64());
            side.fit = made.or(side.fit);
        }
    }

    /// The fits, by the side that is reached; `None` before the first.
    pub fn fits(&self) -> [Option<Intensity>; 2] {
        [self.sides[0].fit, self.sides[1].fit]
    }

    /// Adds its state to a digest.
    pub fn digest(&self, digester: &mut Digester) {
        digester.option_time(self.since);
        digester.option_time(self.lost_at);
        digester.time(self.next_fit);
        if let Some(open) = &self.open {
            digester.time(open.event_ts);
            digester.i64(open.deepest.ticks() * open.aggressor.sign());
            digester.i64(open.mid.get());
        }
        for side in &self.sides {
            digester.u64(side.observations.len() as u64);
            digester.i64(side.excess);
            digester.i64(side.half_spread);
            digester.option_time(side.observations.front().map(|oldest| oldest.ts));
            digester.option_f64(side.fit.map(|fit| fit.a_per_s));
            digester.option_f64(side.fit.map(|fit| fit.k_per_tick));
        }
    }
}

impl Window {
    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.observations.pop_front() {
            self.excess -= oldest.excess;
            self.half_spread -= oldest.half_spread;
        }
    }
}
