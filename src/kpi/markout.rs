//! Where the mid went after each fill: adverse selection, measured.
//!
//! Owns the series of mids, the fills with what they were measured against, and the curves over them. Called by the
//! KPI accumulator and by tests on cold threads. Source: quant.md 10 and 14: quantity-weighted means of the realised
//! half-spread with intervals by a block bootstrap in time, `m_{t+h}` the last mid at or before `t + h`, none when
//! `t + h` lies behind the end. A ratio is of sums, never a mean of ratios.

use serde::Serialize;

use super::exact;
use super::spread::{FillSpread, effective};
use crate::stats::bootstrap::{Bootstrap, Estimate};
use crate::types::{DurationNs, HalfTicks, Instrument, Money, Price, Qty, Side, TimestampNs};

/// How long after a fill its markout is taken.
pub const MARKOUT_HORIZONS: [DurationNs; 6] = [
    DurationNs::ZERO,
    DurationNs::from_millis(100),
    DurationNs::from_secs(1),
    DurationNs::from_secs(5),
    DurationNs::from_secs(30),
    DurationNs::from_secs(60),
];
/// The horizon that single figures are told at: 5 s, as its index.
pub const MAIN_HORIZON: usize = 3;
/// The horizons of the realised-spread capture: 1, 5 and 30 s, as indices.
const CAPTURE_HORIZONS: [usize; 3] = [2, MAIN_HORIZON, 4];

/// Fills within so short a time come from one sweep of the book and count as one observation at least.
const BLOCK_LEAST: DurationNs = DurationNs::from_secs(5);
/// Cells that a bootstrap works on at most: a session of a day has cells of 21 s.
const CELLS_MAX: u64 = 4096;
const CELL_LEAST_NS: u64 = 1_000_000_000;

/// A horizon as summaries name it: `0s`, `0.1s`, `5s`.
pub fn horizon_name(horizon: DurationNs) -> String {
    format!("{}s", horizon.secs_f64())
}

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

    /// Until when the mids are known.
    pub fn end(&self) -> TimestampNs {
        self.end
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

    /// The three half-spreads after `horizon`. A horizon of nought is measured against the mid before the fill.
    pub fn spread(&self, mids: &MidSeries, horizon: DurationNs) -> Option<FillSpread> {
        let after = if horizon == DurationNs::ZERO { self.mid } else { mids.at(self.at.plus(horizon))? };
        Some(FillSpread::of(self.side, self.price, self.mid, after))
    }
}

/// One point of the markout curve.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CurvePoint {
    /// The horizon, in seconds.
    pub horizon_s: f64,
    /// Fills with a mid at that horizon.
    pub fills: u64,
    /// Mean realised half-spread in ticks, weighted by quantity; positive when the mid stayed on our side.
    pub mean_ticks: Option<f64>,
    /// Its standard error by the block bootstrap; `None` when the session has too few blocks.
    pub error_ticks: Option<f64>,
    /// Mean impact in ticks: effective less realised, over the same fills.
    pub impact_ticks: Option<f64>,
    /// Sum of quantity times impact, in quote currency: what adverse selection cost.
    #[serde(serialize_with = "exact::money")]
    pub impact_cost: Money,
    /// Whether `mean ± 1.96 error` leaves nought out.
    pub significant: Option<bool>,
}

/// Realised half-spread as a share of the market's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Capture {
    /// The horizon, in seconds.
    pub horizon_s: f64,
    /// Fills with a mid at that horizon and a two-sided book before them.
    pub fills: u64,
    /// `sum q rs_h / sum q (S / 2)`.
    pub ratio: Option<f64>,
    /// With its interval; `None` when the session has too few blocks.
    pub interval: Option<Estimate>,
    /// Both sums, in half ticks by lots, for ratios over several sessions.
    #[serde(skip)]
    pub sums: (f64, f64),
}

/// Sums of pairs in cells of time, which the bootstrap draws in blocks.
struct Cells {
    start: TimestampNs,
    cell_ns: u64,
    block: usize,
    over: Vec<f64>,
    under: Vec<f64>,
}

impl Cells {
    fn new(start: TimestampNs, end: TimestampNs, horizon: DurationNs) -> Cells {
        let span = end.since(start).nanos().saturating_sub(horizon.nanos());
        let cell_ns = CELL_LEAST_NS.max(span.div_ceil(CELLS_MAX));
        // Two fills closer than the horizon share part of their future.
        let block = horizon.nanos().max(BLOCK_LEAST.nanos()).div_ceil(cell_ns) as usize;
        let count = span.div_ceil(cell_ns) as usize;
        Cells { start, cell_ns, block, over: vec![0.0; count], under: vec![0.0; count] }
    }

    fn add(&mut self, at: TimestampNs, over: f64, under: f64) {
        let cell = (at.since(self.start).nanos() / self.cell_ns) as usize;
        // A fill at the very end of the span belongs to its last cell.
        if let Some(cell) = self.over.len().checked_sub(1).map(|last| cell.min(last)) {
            self.over[cell] += over;
            self.under[cell] += under;
        }
    }

    fn estimate(&self) -> Option<Estimate> {
        Bootstrap::stationary(self.block).ratio_of_sums(&self.over, &self.under)
    }
}

/// The markout curve over fills: one point for each of [`MARKOUT_HORIZONS`]. `start` is the session's.
pub fn curve(instrument: &Instrument, start: TimestampNs, fills: &[FillSample], mids: &MidSeries) -> Vec<CurvePoint> {
    MARKOUT_HORIZONS
        .iter()
        .map(|&horizon| {
            let mut cells = Cells::new(start, mids.end(), horizon);
            let (mut count, mut lots, mut realised, mut impact) = (0_u64, 0_i128, 0_i128, 0_i128);
            let mut impact_cost = Money::ZERO;
            for fill in fills {
                let Some(spread) = fill.spread(mids, horizon) else { continue };
                count += 1;
                let qty = fill.qty.lots();
                lots += i128::from(qty);
                realised += i128::from(qty) * i128::from(spread.realised);
                impact += i128::from(qty) * i128::from(spread.impact);
                impact_cost += instrument.value(HalfTicks::new(spread.impact), instrument.atoms(fill.qty));
                cells.add(fill.at, qty as f64 * spread.realised as f64 / 2.0, qty as f64);
            }
            let mean = |sum: i128| (lots > 0).then(|| sum as f64 / lots as f64 / 2.0);
            let mean_ticks = mean(realised);
            let error_ticks = if count < 2 { None } else { cells.estimate().map(|estimate| estimate.error) };
            CurvePoint {
                horizon_s: horizon.secs_f64(),
                fills: count,
                mean_ticks,
                error_ticks,
                impact_ticks: mean(impact),
                impact_cost,
                significant: mean_ticks.zip(error_ticks).map(|(mean, error)| mean.abs() > 1.96 * error),
            }
        })
        .collect()
}

/// The realised-spread capture over fills at 1, 5 and 30 s.
pub fn captures(start: TimestampNs, fills: &[FillSample], mids: &MidSeries) -> Vec<Capture> {
    CAPTURE_HORIZONS
        .iter()
        .map(|&index| {
            let horizon = MARKOUT_HORIZONS[index];
            let mut cells = Cells::new(start, mids.end(), horizon);
            let (mut count, mut over, mut under) = (0_u64, 0_i128, 0_i128);
            for fill in fills {
                let Some((spread, touch)) = fill.spread(mids, horizon).zip(fill.touch_ticks) else { continue };
                count += 1;
                // Half of a spread of n ticks is n half ticks: both sums are in half ticks times lots.
                let (captured, quoted) = (fill.qty.lots() * spread.realised, fill.qty.lots() * touch);
                over += i128::from(captured);
                under += i128::from(quoted);
                cells.add(fill.at, captured as f64, quoted as f64);
            }
            Capture {
                horizon_s: horizon.secs_f64(),
                fills: count,
                ratio: (under > 0).then(|| over as f64 / under as f64),
                interval: if count < 2 { None } else { cells.estimate() },
                sums: (over as f64, under as f64),
            }
        })
        .collect()
}

/// Quantity-weighted spread captured against the mid of the moment, both halves.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SpreadCaptured {
    /// Mean of `2 es`, in ticks.
    pub mean_ticks: Option<f64>,
    /// Mean of `2 es` over the mid, in 1e-4.
    pub mean_bps: Option<f64>,
    /// `sum q es / sum q (S / 2)`, S the market's spread before the fill.
    pub quoted_ratio: Option<f64>,
    /// Fills left out of the ratio: no two-sided book before them.
    pub without_touch: u64,
}

/// The spread captured over fills.
pub fn captured(fills: &[FillSample]) -> SpreadCaptured {
    let (mut lots, mut earned, mut bps, mut over, mut under, mut without) = (0_i128, 0_i128, 0.0, 0_i128, 0_i128, 0);
    for fill in fills {
        let qty = i128::from(fill.qty.lots());
        let es = i128::from(fill.effective());
        lots += qty;
        earned += qty * es;
        bps += fill.qty.lots() as f64 * 2.0 * fill.effective() as f64 / fill.mid.get() as f64;
        match fill.touch_ticks {
            Some(touch) if touch > 0 => {
                over += qty * es;
                under += qty * i128::from(touch);
            }
            _ => without += 1,
        }
    }
    SpreadCaptured {
        // Twice a half-spread in half ticks is a whole one in ticks.
        mean_ticks: (lots > 0).then(|| earned as f64 / lots as f64),
        mean_bps: (lots > 0).then(|| bps / lots as f64 * 1e4),
        quoted_ratio: (under > 0).then(|| over as f64 / under as f64),
        without_touch: without,
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::instrument;
    use super::*;

    fn at(ms: u64) -> TimestampNs {
        TimestampNs::from_millis(ms)
    }

    fn sample(ms: u64, side: Side, price: i64, lots: i64, mid: i64, touch_ticks: Option<i64>) -> FillSample {
        let (price, qty) = (Price::from_ticks(price), Qty::from_lots(lots));
        FillSample { at: at(ms), side, price, qty, mid: HalfTicks::new(mid), touch_ticks }
    }

    #[test]
    fn a_horizon_behind_the_end_has_no_markout() {
        let mut mids = MidSeries::default();
        mids.push(at(10), HalfTicks::new(7));
        mids.extend_to(at(20));
        assert_eq!(mids.at(at(9)), None);
        assert_eq!(mids.at(at(20)), Some(HalfTicks::new(7)));
        assert_eq!(mids.at(at(21)), None);
        let fill = sample(15, Side::Bid, 3, 1, 7, None);
        assert_eq!(fill.spread(&mids, DurationNs::from_millis(6)), None);
        assert!(fill.spread(&mids, DurationNs::from_millis(5)).is_some());
    }

    #[test]
    fn curve_and_capture_by_hand() {
        // Two buys: 1 lot at 99 and 3 lots at 98, mid 100 (200 half ticks), spread 4; then the mid falls to 97 at 3 s.
        let mut mids = MidSeries::default();
        mids.push(at(0), HalfTicks::new(200));
        mids.push(at(3_000), HalfTicks::new(194));
        mids.extend_to(at(40_000));
        let fills = [sample(1_000, Side::Bid, 99, 1, 200, Some(4)), sample(1_500, Side::Bid, 98, 3, 200, Some(4))];
        let points = curve(&instrument(1_000_000, 1_000_000), at(0), &fills, &mids);
        let means: Vec<Option<f64>> = points.iter().map(|point| point.mean_ticks).collect();
        // Effective 1 and 2: (1 + 6) / 4. After the fall: -2 and -1, (-2 - 3) / 4. Nothing is known after 60 s.
        assert_eq!(means, [Some(1.75), Some(1.75), Some(1.75), Some(-1.25), Some(-1.25), None]);
        assert_eq!(points[3].impact_ticks, Some(3.0));
        // 4 lots of 0.01 lost 3 ticks of 0.01.
        assert_eq!(points[3].impact_cost.to_string(), "0.0012");
        assert_eq!(points[5].fills, 0);
        let capture = captures(at(0), &fills, &mids);
        assert_eq!(capture[0].ratio, Some(7.0 / 8.0));
        assert_eq!(capture[1].ratio, Some(-5.0 / 8.0));
        let spread = captured(&fills);
        assert_eq!((spread.mean_ticks, spread.quoted_ratio, spread.without_touch), (Some(3.5), Some(0.875), 0));
        assert!((spread.mean_bps.unwrap() - 350.0).abs() < 1e-9);
    }

    #[test]
    fn nothing_is_said_of_no_fills_or_of_an_unknown_spread() {
        let mut mids = MidSeries::default();
        mids.push(at(0), HalfTicks::new(200));
        mids.extend_to(at(100_000));
        for point in curve(&instrument(1, 1), at(0), &[], &mids) {
            assert_eq!((point.mean_ticks, point.error_ticks, point.fills), (None, None, 0));
        }
        assert_eq!(captured(&[]), SpreadCaptured::default());
        let unknown = [sample(1, Side::Ask, 101, 1, 200, None), sample(2, Side::Ask, 101, 1, 200, Some(0))];
        let spread = captured(&unknown);
        assert_eq!((spread.mean_ticks, spread.quoted_ratio, spread.without_touch), (Some(2.0), None, 2));
        assert_eq!(captures(at(0), &unknown[..1], &mids)[0].ratio, None);
    }

    #[test]
    fn a_short_session_has_a_mean_but_no_interval() {
        let mut mids = MidSeries::default();
        mids.push(at(0), HalfTicks::new(200));
        let fills: Vec<FillSample> =
            (0..200).map(|i| sample(i * 100, Side::Ask, 100 + i as i64 % 3, 1, 200, Some(2))).collect();
        let error = |seconds: u64| {
            let mut mids = mids.clone();
            mids.extend_to(at(seconds * 1000));
            curve(&instrument(1, 1), at(0), &fills, &mids)[2].error_ticks
        };
        // Eight blocks of 5 s at a horizon of 1 s.
        assert_eq!(error(40), None);
        assert!(error(41).unwrap() > 0.0);
    }
}
