//! Volatility of the mid from a grid of one second.
//!
//! Owns [`Sigma`]: the grid, the warm-up, floor and cap; the estimators are in `returns` and `ranges`. Fed by the lane
//! with every mid; reads no clock. It never invents a value: nothing is published before the warm-up, and a return
//! across a gap of the feed is discarded. Formulas: quant.md 2.6.

use serde::{Deserialize, Serialize};

use super::ranges::Parkinson;
use super::returns::{Ewma, Windowed};
use super::rolling_median::RollingMedian;
use crate::pipeline::config::{FeaturesConfig, SigmaKind};
use crate::pipeline::digest::Digester;
use crate::types::{HalfTicks, TimestampNs};

/// The grid's step: coarser than the flicker of the mid, finer than the half-life.
pub(super) const GRID_NS: u64 = 1_000_000_000;

/// The usual volatility is the median of the estimates at the last so many whole minutes that were seen: a day of them.
const DAY_MINUTES: usize = 1440;

/// Minutes before which nothing is called usual, and the cap does not bind.
const DAY_MINUTES_MIN: usize = 60;

/// Greatest estimate as a multiple of the usual one: a glitch of the feed must not widen quotes a hundredfold.
const CAP: f64 = 10.0;

/// Volatility of log mid returns, per square root of a second.
pub struct Sigma {
    estimator: Estimator,
    gap_ns: u64,
    warmup: u64,
    /// The estimate after the last grid second, without floor and cap.
    raw: Option<f64>,
    day: RollingMedian,
    last: Option<GridPoint>,
    mid: f64,
    mid_ts: u64,
}

#[derive(Clone, Copy)]
struct GridPoint {
    /// Index of the last grid second that was sampled.
    second: u64,
    /// Natural logarithm of the mid sampled there.
    log_mid: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Estimator {
    Ewma(Ewma),
    Windowed(Windowed),
    Parkinson(Parkinson),
}

/// What survives a restart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SigmaState {
    estimator: Estimator,
    raw: Option<f64>,
    day: RollingMedian,
    mid: f64,
}

impl Sigma {
    /// An estimator as configured, before its first mid.
    pub fn new(config: &FeaturesConfig) -> Sigma {
        let estimator = match config.sigma {
            SigmaKind::Ewma => Estimator::Ewma(Ewma::new(config.sigma_half_life_s)),
            SigmaKind::Windowed => Estimator::Windowed(Windowed::new(config.sigma_window as usize)),
            SigmaKind::Parkinson => {
                Estimator::Parkinson(Parkinson::new(config.parkinson_bar_s.into(), config.parkinson_bars as usize))
            }
        };
        Sigma {
            estimator,
            gap_ns: config.gap_ms.saturating_mul(1_000_000),
            warmup: config.sigma_warmup.into(),
            raw: None,
            day: RollingMedian::new(DAY_MINUTES),
            last: None,
            mid: 0.0,
            mid_ts: 0,
        }
    }

    /// Takes the mid of a valid book. Time that goes back counts as standing still.
    pub fn on_mid(&mut self, ts: TimestampNs, mid: HalfTicks) {
        let mid_ticks = mid.ticks_f64();
        if mid_ticks <= 0.0 {
            return;
        }
        let ts = ts.nanos().max(self.mid_ts);
        if ts - self.mid_ts > self.gap_ns {
            self.on_gap();
        }
        // The mid of a grid second is the last one before it, so seconds that have passed are sampled first.
        self.sample_until(ts);
        self.mid = mid_ticks;
        self.mid_ts = ts;
        if self.last.is_none() {
            self.last = Some(GridPoint { second: ts / GRID_NS, log_mid: mid_ticks.ln() });
        }
        if let Estimator::Parkinson(parkinson) = &mut self.estimator
            && parkinson.on_mid(ts / GRID_NS, mid_ticks)
        {
            self.raw = parkinson.per_sqrt_s().filter(|_| parkinson.covered_s() >= self.warmup);
        }
    }

    /// The book was lost: no return or bar may reach across.
    pub fn on_gap(&mut self) {
        self.last = None;
        if let Estimator::Parkinson(parkinson) = &mut self.estimator {
            parkinson.discard_bar();
        }
    }

    fn sample_until(&mut self, ts: u64) {
        let Some(mut last) = self.last else { return };
        let second = ts / GRID_NS;
        if last.second >= second {
            return;
        }
        let log_mid = self.mid.ln();
        // Bounded: a pause longer than the gap has reset the grid.
        while last.second < second {
            let log_return = log_mid - last.log_mid;
            match &mut self.estimator {
                Estimator::Ewma(ewma) => {
                    ewma.push(log_return);
                    self.raw = ewma.variance().filter(|_| ewma.count >= self.warmup).map(f64::sqrt);
                }
                Estimator::Windowed(windowed) => {
                    windowed.push(log_return);
                    self.raw = windowed.std().filter(|_| windowed.count() >= self.warmup);
                }
                Estimator::Parkinson(_) => {}
            }
            last = GridPoint { second: last.second + 1, log_mid };
            if last.second.is_multiple_of(60)
                && let Some(raw) = self.raw
            {
                self.day.push(raw.max(self.floor()));
            }
        }
        self.last = Some(last);
    }

    /// What half a tick a minute would show: without it a mid that stands still would take all skew away.
    fn floor(&self) -> f64 {
        0.5 / (self.mid * 60_f64.sqrt())
    }

    /// Volatility of log returns per square root of a second, not above ten times the usual one and not below half a
    /// tick a minute; `None` before the warm-up.
    pub fn per_sqrt_s(&self) -> Option<f64> {
        let cap = self.day.median(DAY_MINUTES_MIN).map_or(f64::INFINITY, |usual| CAP * usual);
        Some(self.raw?.min(cap).max(self.floor()))
    }

    /// Price volatility in ticks per square root of a second, at the last mid.
    pub fn ticks_per_sqrt_s(&self) -> Option<f64> {
        Some(self.per_sqrt_s()? * self.mid)
    }

    /// What survives a restart.
    pub fn state(&self) -> SigmaState {
        SigmaState { estimator: self.estimator.clone(), raw: self.raw, day: self.day.clone(), mid: self.mid }
    }

    /// Takes what an earlier session has seen. The time between counts as a gap. Returns false, and changes nothing
    /// that is published, when that session estimated otherwise.
    pub fn restore(&mut self, state: &SigmaState) -> bool {
        let is_sound =
            state.mid.is_finite() && state.raw.is_none_or(|raw| raw.is_finite() && raw >= 0.0 && state.mid > 0.0);
        if !is_sound {
            return false;
        }
        let fits = match (&mut self.estimator, &state.estimator) {
            (Estimator::Ewma(own), Estimator::Ewma(other)) => own.restore(other),
            (Estimator::Windowed(own), Estimator::Windowed(other)) => own.restore(other),
            (Estimator::Parkinson(own), Estimator::Parkinson(other)) => own.restore(other),
            _ => false,
        };
        if fits {
            self.day.restore(&state.day);
            self.raw = state.raw;
            self.mid = state.mid;
            // Not the time: the clock that begins now may be another one, and the grid begins anew in any case.
            self.on_gap();
        }
        fits
    }

    /// Adds its state to a digest.
    pub fn digest(&self, digester: &mut Digester) {
        digester.f64(self.mid);
        digester.u64(self.mid_ts);
        digester.option_f64(self.raw);
        self.day.digest(digester);
        if let Some(last) = self.last {
            digester.u64(last.second);
            digester.f64(last.log_mid);
        }
        match &self.estimator {
            Estimator::Ewma(ewma) => ewma.digest(digester),
            Estimator::Windowed(windowed) => windowed.digest(digester),
            Estimator::Parkinson(parkinson) => parkinson.digest(digester),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KINDS: [SigmaKind; 3] = [SigmaKind::Ewma, SigmaKind::Windowed, SigmaKind::Parkinson];

    fn sigma(kind: SigmaKind) -> Sigma {
        Sigma::new(&FeaturesConfig { sigma: kind, sigma_warmup: 2, ..FeaturesConfig::default() })
    }

    /// Seconds after the start of a minute.
    fn at(second: u64) -> TimestampNs {
        TimestampNs::from_nanos(1_700_000_000_000_000_000 / 60_000_000_000 * 60_000_000_000 + second * GRID_NS)
    }

    fn floor_of(mid_ticks: f64) -> f64 {
        1.0 / (2.0 * mid_ticks * 60_f64.sqrt())
    }

    #[test]
    fn sigma_2_6_parkinson_bars_in_the_stream() {
        let mut sigma = sigma(SigmaKind::Parkinson);
        for (second, mid) in [(0, 200), (60, 200), (70, 202), (80, 198), (119, 200)] {
            sigma.on_mid(at(second), HalfTicks::new(mid));
        }
        assert_eq!(sigma.per_sqrt_s(), None, "the first bar began before we looked");
        sigma.on_mid(at(120), HalfTicks::new(200));
        // Half ticks of 202 and 198 are a high of 101 and a low of 99; the mid changed three times.
        let watched = 0.001_550_69;
        assert!((sigma.per_sqrt_s().unwrap() - watched / 0.499_f64.sqrt()).abs() < 1e-8);
    }

    #[test]
    fn nothing_is_published_before_the_warmup_and_never_below_the_floor() {
        for kind in [SigmaKind::Ewma, SigmaKind::Windowed] {
            let mut sigma = sigma(kind);
            sigma.on_mid(at(0), HalfTicks::new(20_000));
            sigma.on_mid(at(1), HalfTicks::new(20_000));
            assert_eq!(sigma.per_sqrt_s(), None);
            sigma.on_mid(at(2), HalfTicks::new(20_000));
            assert!((sigma.per_sqrt_s().unwrap() - floor_of(10_000.0)).abs() < 1e-18);
        }
    }

    #[test]
    fn no_return_or_bar_reaches_across_a_gap() {
        for kind in KINDS {
            for tell in [true, false] {
                let mut sigma = sigma(kind);
                for second in 0..130 {
                    sigma.on_mid(at(second), HalfTicks::new(20_000));
                }
                // Either the book says that it was lost, or the feed was silent for more than a minute.
                let resumes = if tell { 140 } else { 191 };
                if tell {
                    sigma.on_gap();
                }
                for second in resumes..resumes + 200 {
                    sigma.on_mid(at(second), HalfTicks::new(30_000));
                }
                let ours = sigma.per_sqrt_s().unwrap();
                assert!((ours - floor_of(15_000.0)).abs() < 1e-18, "{kind:?}: the jump was counted: {ours}");
            }
        }
    }

    #[test]
    fn an_estimate_above_ten_times_the_usual_one_is_capped_once_an_hour_was_seen() {
        for (minutes, is_capped) in [(50, false), (70, true)] {
            let mut sigma = sigma(SigmaKind::Ewma);
            for second in 0..minutes * 60 {
                // One tick of ten thousand up and down: 1e-4 a second.
                sigma.on_mid(at(second), HalfTicks::new(20_000 + 2 * (second % 2) as i64));
            }
            let usual = sigma.per_sqrt_s().unwrap();
            assert!((usual / 1e-4 - 1.0).abs() < 0.01, "{usual}");
            for second in minutes * 60..minutes * 60 + 30 {
                sigma.on_mid(at(second), HalfTicks::new(20_000 + 2000 * (second % 2) as i64));
            }
            let wild = sigma.per_sqrt_s().unwrap();
            if is_capped {
                assert!((wild / usual - 10.0).abs() < 0.01, "{wild}");
            } else {
                assert!(wild / usual > 100.0, "{wild}");
            }
        }
    }

    #[test]
    fn a_restored_sigma_says_what_the_saved_one_said_and_goes_on_like_it() {
        for kind in KINDS {
            let mut sigma = sigma(kind);
            for second in 0..4000 {
                sigma.on_mid(at(second), HalfTicks::new(20_000 + (second * 7919 % 101) as i64));
            }
            let json = serde_json::to_string(&sigma.state()).unwrap();
            let mut other = super::tests::sigma(kind);
            assert!(other.restore(&serde_json::from_str(&json).unwrap()), "{kind:?}");
            assert!((other.per_sqrt_s().unwrap() / sigma.per_sqrt_s().unwrap() - 1.0).abs() < 1e-12);
            sigma.on_gap();
            for second in 4010..4500 {
                for sigma in [&mut sigma, &mut other] {
                    sigma.on_mid(at(second), HalfTicks::new(20_000 + (second * 104_729 % 97) as i64));
                }
            }
            assert!((other.per_sqrt_s().unwrap() / sigma.per_sqrt_s().unwrap() - 1.0).abs() < 1e-12, "{kind:?}");
            for wrong in KINDS.into_iter().filter(|wrong| *wrong != kind) {
                assert!(!super::tests::sigma(wrong).restore(&sigma.state()));
            }
        }
    }

    /// Returns by their definition: the last mid before each grid second, second by second.
    fn naive_returns(mids: &[(u64, i64)]) -> Vec<f64> {
        let before = |second: u64| {
            mids.iter().rev().find(|(ms, _)| *ms < second * 1000).or(mids.first()).unwrap().1 as f64 / 2.0
        };
        let (first, last) = (mids[0].0 / 1000, mids[mids.len() - 1].0 / 1000);
        let mut from = mids[0].1 as f64 / 2.0;
        (first + 1..=last)
            .map(|second| {
                let to = before(second);
                to.ln() - std::mem::replace(&mut from, to).ln()
            })
            .collect()
    }

    proptest! {
        #[test]
        fn streamed_sigma_equals_that_of_the_whole_tape(
            steps in prop::collection::vec((1_u64..5000, 19_000_i64..21_000), 20..150),
        ) {
            let (mut ewma, mut windowed) = (sigma(SigmaKind::Ewma), sigma(SigmaKind::Windowed));
            let mut ms = 0;
            let mut mids = Vec::new();
            for (wait, mid) in steps {
                ms += wait;
                mids.push((ms, mid));
                for sigma in [&mut ewma, &mut windowed] {
                    sigma.on_mid(at(0).plus(crate::types::DurationNs::from_millis(ms)), HalfTicks::new(mid));
                }
            }
            let returns = naive_returns(&mids);
            prop_assume!(returns.len() > 2);
            let decay = 0.5_f64.powf(1.0 / 60.0);
            let weights: Vec<f64> = (0..returns.len()).rev().map(|age| decay.powi(age as i32)).collect();
            let want = weights.iter().zip(&returns).map(|(w, r)| w * r * r).sum::<f64>() / weights.iter().sum::<f64>();
            let floor = floor_of(mids[mids.len() - 1].1 as f64 / 2.0);
            let want = want.sqrt().max(floor);
            prop_assert!((ewma.per_sqrt_s().unwrap() / want - 1.0).abs() <= 1e-12, "{:?} {want}", ewma.per_sqrt_s());
            let last = &returns[returns.len().saturating_sub(300)..];
            let mean = last.iter().sum::<f64>() / last.len() as f64;
            let want = (last.iter().map(|r| (r - mean) * (r - mean)).sum::<f64>() / (last.len() - 1) as f64).sqrt();
            let want = want.max(floor);
            prop_assert!((windowed.per_sqrt_s().unwrap() / want - 1.0).abs() <= 1e-12);
        }
    }
}
