//! Sums over settled fills: the markout curve, the realised capture, the spread captured.
//!
//! Quantity-weighted means with intervals by a block bootstrap in time; a ratio is of sums, never a mean of ratios. Owns
//! sums and cells of a bounded number, whatever the session's length. Called by the KPI accumulator. Source: quant.md 10
//! and 14.

use serde::Serialize;

use super::exact;
use super::markout::{HORIZONS, MAIN_HORIZON, MARKOUT_HORIZONS, SettledFill};
use crate::stats::bootstrap::{Bootstrap, Estimate};
use crate::types::{DurationNs, HalfTicks, Instrument, Money, TimestampNs};

/// The horizons of the realised-spread capture: 1, 5 and 30 s, as indices.
const CAPTURE_HORIZONS: [usize; 3] = [2, MAIN_HORIZON, 4];

/// Fills within so short a time come from one sweep of the book and count as one observation at least.
const BLOCK_LEAST: DurationNs = DurationNs::from_secs(5);
/// Cells that a bootstrap works on at most: they are a second wide, then two, then four.
const CELLS_MAX: usize = 4096;
const CELL_LEAST_NS: u64 = 1_000_000_000;

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

/// Sums of pairs in cells of time, which the bootstrap draws in blocks.
#[derive(Clone, Debug)]
struct Cells {
    start: TimestampNs,
    horizon: DurationNs,
    cell_ns: u64,
    pairs: Vec<(f64, f64)>,
}

impl Cells {
    fn new(start: TimestampNs, horizon: DurationNs) -> Cells {
        Cells { start, horizon, cell_ns: CELL_LEAST_NS, pairs: Vec::new() }
    }

    fn add(&mut self, at: TimestampNs, over: f64, under: f64) {
        let since = at.since(self.start).nanos();
        while since / self.cell_ns >= CELLS_MAX as u64 {
            self.widen();
        }
        let cell = (since / self.cell_ns) as usize;
        self.reach(cell + 1);
        self.pairs[cell].0 += over;
        self.pairs[cell].1 += under;
    }

    fn reach(&mut self, cells: usize) {
        if self.pairs.len() < cells {
            self.pairs.resize(cells, (0.0, 0.0));
        }
    }

    /// Makes the cells twice as wide.
    fn widen(&mut self) {
        self.cell_ns *= 2;
        for at in 0..self.pairs.len().div_ceil(2) {
            let second = self.pairs.get(2 * at + 1).copied().unwrap_or_default();
            let first = self.pairs[2 * at];
            self.pairs[at] = (first.0 + second.0, first.1 + second.1);
        }
        self.pairs.truncate(self.pairs.len().div_ceil(2));
    }

    /// The ratio of both sums with its interval, over the time in which fills can have a mid at the horizon.
    fn estimate(mut self, end: TimestampNs) -> Option<Estimate> {
        let span = end.since(self.start).nanos().saturating_sub(self.horizon.nanos());
        while span.div_ceil(self.cell_ns) > CELLS_MAX as u64 {
            self.widen();
        }
        let count = span.div_ceil(self.cell_ns) as usize;
        self.reach(count);
        // A fill at the very end of the span belongs to its last cell.
        while self.pairs.len() > count.max(1) {
            if let Some((over, under)) = self.pairs.pop()
                && let Some(last) = self.pairs.last_mut()
            {
                *last = (last.0 + over, last.1 + under);
            }
        }
        // Two fills closer than the horizon share part of their future.
        let block = self.horizon.nanos().max(BLOCK_LEAST.nanos()).div_ceil(self.cell_ns) as usize;
        let (over, under): (Vec<f64>, Vec<f64>) = self.pairs[..count.min(self.pairs.len())].iter().copied().unzip();
        Bootstrap::stationary(block).ratio_of_sums(&over, &under)
    }
}

/// Sums of one horizon.
#[derive(Clone, Debug)]
struct Point {
    fills: u64,
    lots: i128,
    realised: i128,
    impact: i128,
    impact_cost: Money,
    cells: Cells,
}

/// Sums of one horizon of the capture, in half ticks times lots.
#[derive(Clone, Debug)]
struct Captured {
    fills: u64,
    over: i128,
    under: i128,
    cells: Cells,
}

/// Sums of the spread captured.
#[derive(Clone, Debug, Default)]
struct Earned {
    lots: i128,
    earned: i128,
    bps: f64,
    over: i128,
    under: i128,
    without_touch: u64,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct MarkoutSums {
    instrument: Instrument,
    points: [Point; HORIZONS],
    captured: [Captured; CAPTURE_HORIZONS.len()],
    earned: Earned,
}

impl MarkoutSums {
    /// Sums of a session that starts at `start`.
    pub fn new(instrument: Instrument, start: TimestampNs) -> MarkoutSums {
        let cells = |horizon| Cells::new(start, MARKOUT_HORIZONS[horizon]);
        let (nought, cost) = (0, Money::ZERO);
        MarkoutSums {
            instrument,
            points: std::array::from_fn(|at| Point {
                fills: 0,
                lots: nought,
                realised: nought,
                impact: nought,
                impact_cost: cost,
                cells: cells(at),
            }),
            captured: CAPTURE_HORIZONS.map(|at| Captured { fills: 0, over: nought, under: nought, cells: cells(at) }),
            earned: Earned::default(),
        }
    }

    /// Counts a fill.
    pub fn add(&mut self, fill: &SettledFill) {
        let (at, qty) = (fill.sample.at, fill.sample.qty.lots());
        for (horizon, point) in self.points.iter_mut().enumerate() {
            let Some(spread) = fill.spread(horizon) else { continue };
            point.fills += 1;
            point.lots += i128::from(qty);
            point.realised += i128::from(qty) * i128::from(spread.realised);
            point.impact += i128::from(qty) * i128::from(spread.impact);
            point.impact_cost +=
                self.instrument.value(HalfTicks::new(spread.impact), self.instrument.atoms(fill.sample.qty));
            point.cells.add(at, qty as f64 * spread.realised as f64 / 2.0, qty as f64);
        }
        for (horizon, captured) in CAPTURE_HORIZONS.iter().zip(&mut self.captured) {
            let Some((spread, touch)) = fill.spread(*horizon).zip(fill.sample.touch_ticks) else { continue };
            captured.fills += 1;
            // Half of a spread of n ticks is n half ticks: both sums are in half ticks times lots.
            let (realised, quoted) = (qty * spread.realised, qty * touch);
            captured.over += i128::from(realised);
            captured.under += i128::from(quoted);
            captured.cells.add(at, realised as f64, quoted as f64);
        }
        let (effective, sum) = (fill.sample.effective(), &mut self.earned);
        let qty = i128::from(qty);
        sum.lots += qty;
        sum.earned += qty * i128::from(effective);
        sum.bps += qty as f64 * 2.0 * effective as f64 / fill.sample.mid.get() as f64;
        match fill.sample.touch_ticks {
            Some(touch) if touch > 0 => {
                sum.over += qty * i128::from(effective);
                sum.under += qty * i128::from(touch);
            }
            _ => sum.without_touch += 1,
        }
    }

    /// The curve of a session that ends at `end`: one point for each of [`MARKOUT_HORIZONS`].
    pub fn curve(&self, end: TimestampNs) -> Vec<CurvePoint> {
        let told = |(point, horizon): (&Point, DurationNs)| {
            let mean = |sum: i128| (point.lots > 0).then(|| sum as f64 / point.lots as f64 / 2.0);
            let mean_ticks = mean(point.realised);
            let error_ticks = if point.fills < 2 { None } else { point.cells.clone().estimate(end) };
            let error_ticks = error_ticks.map(|estimate| estimate.error);
            CurvePoint {
                horizon_s: horizon.secs_f64(),
                fills: point.fills,
                mean_ticks,
                error_ticks,
                impact_ticks: mean(point.impact),
                impact_cost: point.impact_cost,
                significant: mean_ticks.zip(error_ticks).map(|(mean, error)| mean.abs() > 1.96 * error),
            }
        };
        self.points.iter().zip(MARKOUT_HORIZONS).map(told).collect()
    }

    /// The realised-spread capture at 1, 5 and 30 s.
    pub fn captures(&self, end: TimestampNs) -> Vec<Capture> {
        let told = |(captured, &horizon): (&Captured, &usize)| Capture {
            horizon_s: MARKOUT_HORIZONS[horizon].secs_f64(),
            fills: captured.fills,
            ratio: (captured.under > 0).then(|| captured.over as f64 / captured.under as f64),
            interval: if captured.fills < 2 { None } else { captured.cells.clone().estimate(end) },
            sums: (captured.over as f64, captured.under as f64),
        };
        self.captured.iter().zip(&CAPTURE_HORIZONS).map(told).collect()
    }

    /// The spread captured.
    pub fn captured(&self) -> SpreadCaptured {
        let Earned { lots, earned, bps, over, under, without_touch } = self.earned;
        SpreadCaptured {
            // Twice a half-spread in half ticks is a whole one in ticks.
            mean_ticks: (lots > 0).then(|| earned as f64 / lots as f64),
            mean_bps: (lots > 0).then(|| bps / lots as f64 * 1e4),
            quoted_ratio: (under > 0).then(|| over as f64 / under as f64),
            without_touch,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::markout::{FillSample, Settling};
    use super::super::samples::instrument;
    use super::*;
    use crate::types::{Price, Qty, Side};

    fn at(ms: u64) -> TimestampNs {
        TimestampNs::from_millis(ms)
    }

    fn sample(ms: u64, side: Side, price: i64, lots: i64, mid: i64, touch_ticks: Option<i64>) -> FillSample {
        let (price, qty) = (Price::from_ticks(price), Qty::from_lots(lots));
        FillSample { at: at(ms), side, price, qty, mid: HalfTicks::new(mid), touch_ticks }
    }

    /// Sums over fills, with mids from their times on, until an end.
    fn sums(tick_e8: i64, fills: &[FillSample], mids: &[(u64, i64)], end: TimestampNs) -> MarkoutSums {
        let (mut settling, mut sums) = (Settling::default(), MarkoutSums::new(instrument(tick_e8, tick_e8), at(0)));
        for (ms, mid) in mids {
            settling.on_mid(at(*ms), HalfTicks::new(*mid));
        }
        fills.iter().for_each(|fill| settling.on_fill(*fill));
        while let Some(fill) = settling.settle(end) {
            sums.add(&fill);
        }
        while let Some(fill) = settling.settle_rest() {
            sums.add(&fill);
        }
        sums
    }

    #[test]
    fn curve_and_capture_by_hand() {
        // Two buys: 1 lot at 99 and 3 lots at 98, mid 100 (200 half ticks), spread 4; then the mid falls to 97 at 3 s.
        let fills = [sample(1_000, Side::Bid, 99, 1, 200, Some(4)), sample(1_500, Side::Bid, 98, 3, 200, Some(4))];
        let sums = sums(1_000_000, &fills, &[(0, 200), (3_000, 194)], at(40_000));
        let points = sums.curve(at(40_000));
        let means: Vec<Option<f64>> = points.iter().map(|point| point.mean_ticks).collect();
        // Effective 1 and 2: (1 + 6) / 4. After the fall: -2 and -1, (-2 - 3) / 4. Nothing is known after 60 s.
        assert_eq!(means, [Some(1.75), Some(1.75), Some(1.75), Some(-1.25), Some(-1.25), None]);
        assert_eq!(points[3].impact_ticks, Some(3.0));
        // 4 lots of 0.01 lost 3 ticks of 0.01.
        assert_eq!(points[3].impact_cost.to_string(), "0.0012");
        assert_eq!(points[5].fills, 0);
        let capture = sums.captures(at(40_000));
        assert_eq!(capture[0].ratio, Some(7.0 / 8.0));
        assert_eq!(capture[1].ratio, Some(-5.0 / 8.0));
        let spread = sums.captured();
        assert_eq!((spread.mean_ticks, spread.quoted_ratio, spread.without_touch), (Some(3.5), Some(0.875), 0));
        assert!((spread.mean_bps.unwrap() - 350.0).abs() < 1e-9);
    }

    #[test]
    fn nothing_is_said_of_no_fills_or_of_an_unknown_spread() {
        let none = sums(1, &[], &[(0, 200)], at(100_000));
        for point in none.curve(at(100_000)) {
            assert_eq!((point.mean_ticks, point.error_ticks, point.fills), (None, None, 0));
        }
        assert_eq!(none.captured(), SpreadCaptured::default());
        let fills = [sample(1, Side::Ask, 101, 1, 200, None), sample(2, Side::Ask, 101, 1, 200, Some(0))];
        let unknown = sums(1, &fills, &[(0, 200)], at(100_000));
        let spread = unknown.captured();
        assert_eq!((spread.mean_ticks, spread.quoted_ratio, spread.without_touch), (Some(2.0), None, 2));
        assert_eq!(unknown.captures(at(100_000))[0].ratio, None);
    }

    #[test]
    fn a_short_session_has_a_mean_but_no_interval() {
        let fills: Vec<FillSample> =
            (0..200).map(|i| sample(i * 100, Side::Ask, 100 + i as i64 % 3, 1, 200, Some(2))).collect();
        let error = |seconds: u64| {
            let end = at(seconds * 1000);
            sums(1, &fills, &[(0, 200)], end).curve(end)[2].error_ticks
        };
        // Eight blocks of 5 s at a horizon of 1 s.
        assert_eq!(error(40), None);
        assert!(error(41).unwrap() > 0.0);
    }

    #[test]
    fn cells_widen_as_a_session_grows_and_lose_nothing() {
        let mut cells = Cells::new(at(0), DurationNs::ZERO);
        for second in 0..20_000_u64 {
            cells.add(at(second * 1000), second as f64 % 3.0, 1.0);
        }
        assert_eq!((cells.cell_ns, cells.pairs.len()), (8_000_000_000, 2_500));
        let (over, under) = cells.pairs.iter().fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
        assert_eq!((over, under), (19_999.0, 20_000.0));
        let estimate = cells.estimate(at(20_000_000)).unwrap();
        assert!((estimate.value - over / under).abs() < 1e-12 && estimate.error > 0.0, "{estimate:?}");
    }
}
