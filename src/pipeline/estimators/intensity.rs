//! How often an aggressing order reaches a distance from the mid: A exp(-k x).
//!
//! Owns [`OrderIntensity`]: a rolling window of how deep each aggressing order went, per side, and its fit. All prints
//! of one order count as one observation, the deepest. Formulas: quant.md 5.4 (maximum likelihood of the exceedance;
//! least squares on cumulative counts is worse and drops empty bins). The half-spread that an order must cross is taken
//! when it comes, so observations keep their meaning when the spread changes; an exponential has no memory, and for a
//! constant spread this is the specification's formula.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::pipeline::config::EstimatorsConfig;
use crate::pipeline::digest::Digester;
use crate::types::{HalfTicks, Price, Side, TimestampNs, Trade};

/// Observations kept for one side. When more come within the window, the oldest are let go and the window is as long as
/// those that are left.
const OBSERVATIONS_MAX: usize = 8192;

/// A pause without a book that is short against the window: its seconds are counted as seen.
const MOMENT_NS: u64 = 10_000_000_000;

/// A fit: orders that reach `x` ticks from the mid come at `a_per_s * exp(-k_per_tick * x)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
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

    /// Takes the fits of an earlier session or of a back-fill: they stand until there is enough to fit anew.
    pub fn restore(&mut self, fits: [Option<Intensity>; 2]) {
        for (side, fit) in self.sides.iter_mut().zip(fits) {
            side.fit = fit.filter(|fit| fit.a_per_s.is_finite() && fit.k_per_tick.is_finite() && fit.k_per_tick > 0.0);
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

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::sim::reference::random::{Moments, Purpose, generator};
    use crate::types::{InstrumentId, Qty, TradeId};

    const A: f64 = 0.9;
    const K: f64 = 0.3;
    const SPAN_S: f64 = 600.0;

    /// Least squares of the logarithm of cumulative counts on the distance: what is not used, and why.
    fn log_linear(depths: &[f64]) -> f64 {
        let points: Vec<(f64, f64)> = (0..20)
            .map(f64::from)
            .map(|from| (from, depths.iter().filter(|depth| **depth >= from).count()))
            .filter(|(_, count)| *count > 0)
            .map(|(from, count)| (from, (count as f64 / SPAN_S).ln()))
            .collect();
        let n = points.len() as f64;
        let (x, y) = points.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0 / n, sum.1 + point.1 / n));
        let (xy, xx) = points.iter().fold((0.0, 0.0), |sum, point| {
            (sum.0 + (point.0 - x) * (point.1 - y), sum.1 + (point.0 - x) * (point.0 - x))
        });
        -xy / xx
    }

    /// quant.md 5.4: A=.9, k=.3, T=600 s: MLE k .3006 ± .0129, A .9000 ± .0385; least squares k ± .0194.
    #[test]
    fn maximum_likelihood_has_the_specified_error_and_beats_least_squares() {
        let runs = if std::env::var_os("TOUCHLINE_LONG").is_some() { 2000 } else { 500 };
        let mut rng = generator(54, Purpose::Flow);
        let mut exponential = move |rate: f64| -> f64 {
            let uniform: f64 = rng.random();
            -(1.0 - uniform).ln() / rate
        };
        let (mut k, mut a, mut squares, mut error) =
            (Moments::default(), Moments::default(), Moments::default(), Moments::default());
        for _ in 0..runs {
            let mut depths = Vec::new();
            let mut time = exponential(A);
            while time < SPAN_S {
                depths.push(exponential(K));
                time += exponential(A);
            }
            let mean = depths.iter().sum::<f64>() / depths.len() as f64;
            let fit = fit(depths.len() as u64, mean, 0.0, SPAN_S).unwrap();
            k.push(fit.k_per_tick);
            a.push(fit.a_per_s);
            error.push(fit.k_error_per_tick);
            squares.push(log_linear(&depths));
        }
        assert!((k.mean() - 0.3006).abs() < 4.0 * k.error() + 1e-4, "{}", k.mean());
        assert!((a.mean() - 0.9).abs() < 4.0 * a.error() + 1e-4, "{}", a.mean());
        // A deviation from n runs has an error of 1/sqrt(2n).
        let off = 4.0 / (2.0 * f64::from(runs)).sqrt();
        assert!((k.std() / 0.0129 - 1.0).abs() < off, "{}", k.std());
        assert!((a.std() / 0.0385 - 1.0).abs() < off, "{}", a.std());
        assert!((error.mean() / k.std() - 1.0).abs() < off, "the standard error is that of the runs");
        assert!(squares.std() > 1.2 * k.std(), "{} {}", squares.std(), k.std());
    }

    #[test]
    fn what_is_no_decay_is_no_fit() {
        assert_eq!(fit(60, 0.0, 1.0, 600.0), None);
        assert_eq!(fit(60, -1.0, 1.0, 600.0), None);
        assert_eq!(fit(0, f64::NAN, 1.0, 600.0), None);
        assert_eq!(fit(60, 2.0, 1.0, 0.0), None);
        let made = fit(60, 2.0, 1.0, 600.0).unwrap();
        assert_eq!(made.k_per_tick, 0.5);
        assert!((made.a_per_s - 0.1 * 0.5_f64.exp()).abs() < 1e-15);
    }

    fn at(ms: u64) -> TimestampNs {
        TimestampNs::from_millis(1_000_000 + ms)
    }

    fn print(ms: u64, aggressor: Side, price: i64) -> Trade {
        Trade {
            instrument: InstrumentId(0),
            event_ts: at(ms),
            recv_ts: at(ms),
            id: TradeId(1),
            price: Price::from_ticks(price),
            qty: Qty::from_lots(1),
            aggressor,
        }
    }

    /// Mid 1000, half-spread 2; buyers reach 1002 and 1008 in turn, in three prints each.
    fn feed(intensity: &mut OrderIntensity, from: u64, orders: u64) {
        for order in from..from + orders {
            let deepest = if order % 2 == 0 { 1002 } else { 1008 };
            for price in [1001, deepest, 1002] {
                let trade = print(order * 1000, Side::Bid, price);
                intensity.on_print(at(order * 1000), &trade, HalfTicks::new(2000), HalfTicks::new(4));
            }
        }
    }

    #[test]
    fn an_order_is_its_deepest_print_and_counts_for_the_side_that_it_reaches() {
        let mut intensity = OrderIntensity::new(&EstimatorsConfig::default());
        feed(&mut intensity, 0, 101);
        intensity.advance(at(100_000));
        let [bid, ask] = intensity.fits();
        assert_eq!(bid, None, "buyers reach asks");
        let ask = ask.unwrap();
        // 100 orders closed: excesses 0 and 6 in turn, mean 3.
        assert_eq!((ask.observations, ask.k_per_tick), (100, 1.0 / 3.0));
        assert!((ask.a_per_s - (2.0_f64 / 3.0).exp()).abs() < 1e-12, "{ask:?}");
        assert!((ask.k_error_per_tick - 1.0 / 30.0).abs() < 1e-12);
    }

    #[test]
    fn too_few_orders_give_no_fit_and_old_ones_leave() {
        let mut intensity = OrderIntensity::new(&EstimatorsConfig::default());
        feed(&mut intensity, 0, 50);
        intensity.advance(at(50_000));
        assert_eq!(intensity.fits(), [None, None], "49 orders are closed");
        feed(&mut intensity, 50, 10);
        intensity.advance(at(51_000));
        assert_eq!(intensity.fits(), [None, None], "the next fit is five seconds after the last");
        intensity.advance(at(60_000));
        assert_eq!(intensity.fits()[1].unwrap().observations, 59);
        intensity.advance(at(700_000));
        assert_eq!(intensity.fits(), [None, None], "a whole window without orders ends the fit");
    }

    #[test]
    fn more_orders_than_are_kept_shorten_the_window_and_not_the_rate() {
        let mut intensity = OrderIntensity::new(&EstimatorsConfig::default());
        for order in 0..OBSERVATIONS_MAX as u64 * 2 {
            let trade = print(order * 20, Side::Ask, if order % 2 == 0 { 998 } else { 992 });
            intensity.on_print(at(order * 20), &trade, HalfTicks::new(2000), HalfTicks::new(4));
        }
        let end = OBSERVATIONS_MAX as u64 * 2 * 20;
        intensity.advance(at(end));
        let bid = intensity.fits()[0].unwrap();
        assert_eq!(bid.observations, OBSERVATIONS_MAX as u64);
        // 50 a second.
        assert!((bid.a_per_s / (50.0 * (2.0_f64 / 3.0).exp()) - 1.0).abs() < 1e-3, "{bid:?}");
    }

    #[test]
    fn a_lost_book_begins_the_window_anew_unless_it_was_a_moment() {
        let mut intensity = OrderIntensity::new(&EstimatorsConfig::default());
        feed(&mut intensity, 0, 60);
        intensity.on_gap(at(60_000));
        feed(&mut intensity, 65, 10);
        intensity.advance(at(80_000));
        assert_eq!(intensity.fits()[1].unwrap().observations, 68, "59 before, without the one that the gap cut, and 9");
        intensity.on_gap(at(81_000));
        feed(&mut intensity, 100, 61);
        intensity.advance(at(170_000));
        assert_eq!(intensity.fits()[1].unwrap().observations, 60);
    }
}
