//! What volatility turned out to be, beside what was estimated.
//!
//! Owns [`compare_sigma`]: the mids of a recorded session in, a table out. Called by `touchline model check --data`;
//! nothing on the hot path. Formulas: quant.md 2.6.

use super::volatility::{GRID_NS, Sigma};
use crate::pipeline::config::{FeaturesConfig, SigmaKind};
use crate::types::{HalfTicks, TimestampNs};

/// Steps at which realised volatility is shown, in seconds: where it falls with the step, the mid flickers.
const STEPS_S: [u64; 4] = [1, 5, 10, 60];

/// Root of the mean squared return on a grid, per square root of a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RealisedVolatility {
    /// The grid's step, in seconds.
    pub step_s: u64,
    /// Returns, those across gaps left out.
    pub returns: u64,
    /// Volatility of log returns per square root of a second; `None` without returns.
    pub per_sqrt_s: Option<f64>,
    /// Its standard error, from the fourth powers of the returns.
    pub standard_error: Option<f64>,
}

/// What one estimator said during the session.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SigmaRow {
    /// The estimator.
    pub kind: SigmaKind,
    /// Seconds in which it had a value.
    pub samples: u64,
    /// Root of its mean variance, per square root of a second.
    pub per_sqrt_s: Option<f64>,
    /// Least and greatest value.
    pub range: Option<(f64, f64)>,
    /// Root mean variance in units of the realised volatility of one-second returns.
    pub of_realised: Option<f64>,
}

/// Estimated and realised volatility of a session.
#[derive(Clone, Debug, PartialEq)]
pub struct SigmaComparison {
    /// Realised, one row a step.
    pub realised: Vec<RealisedVolatility>,
    /// Estimated: windowed, EWMA, Parkinson.
    pub rows: Vec<SigmaRow>,
}

/// Runs the three estimators, each with the settings of `config`, over the mids of a session in their order. `None`
/// instead of a mid says that the book was lost.
pub fn compare_sigma(
    config: &FeaturesConfig,
    mids: impl IntoIterator<Item = (TimestampNs, Option<HalfTicks>)>,
) -> SigmaComparison {
    let gap_ns = config.gap_ms.saturating_mul(1_000_000);
    let mut grids = STEPS_S.map(|step_s| Grid::new(step_s, gap_ns));
    let mut watched = [SigmaKind::Windowed, SigmaKind::Ewma, SigmaKind::Parkinson].map(|kind| Watched {
        kind,
        sigma: Sigma::new(&FeaturesConfig { sigma: kind, ..config.clone() }),
        second: 0,
        samples: 0,
        squares: 0.0,
        range: None,
    });
    for (ts, mid) in mids {
        for grid in &mut grids {
            grid.on_mid(ts.nanos(), mid);
        }
        for watched in &mut watched {
            watched.on_mid(ts, mid);
        }
    }
    let realised: Vec<RealisedVolatility> = grids.iter().map(Grid::realised).collect();
    let base = realised[0].per_sqrt_s.filter(|value| *value > 0.0);
    SigmaComparison { rows: watched.iter().map(|watched| watched.row(base)).collect(), realised }
}

/// Sums of powers of the returns of one grid.
struct Grid {
    step_s: u64,
    gap_ns: u64,
    /// Point and log mid of the last sample.
    last: Option<(u64, f64)>,
    standing: Option<(u64, f64)>,
    returns: u64,
    squares: f64,
    fourths: f64,
}

impl Grid {
    fn new(step_s: u64, gap_ns: u64) -> Grid {
        Grid { step_s, gap_ns, last: None, standing: None, returns: 0, squares: 0.0, fourths: 0.0 }
    }

    fn on_mid(&mut self, ts: u64, mid: Option<HalfTicks>) {
        let Some(mid) = mid.map(HalfTicks::ticks_f64).filter(|mid| *mid > 0.0) else {
            (self.last, self.standing) = (None, None);
            return;
        };
        if self.standing.is_some_and(|(before, _)| ts.saturating_sub(before) > self.gap_ns) {
            (self.last, self.standing) = (None, None);
        }
        let point = ts / (self.step_s * GRID_NS);
        if let (Some((last_point, last_log)), Some((_, standing_log))) = (self.last, self.standing)
            && point > last_point
        {
            // Of the points that passed between two mids only the first can bring a return other than zero.
            let square = (standing_log - last_log) * (standing_log - last_log);
            self.squares += square;
            self.fourths += square * square;
            self.returns += point - last_point;
            self.last = Some((point, standing_log));
        }
        let log_mid = mid.ln();
        self.standing = Some((ts, log_mid));
        if self.last.is_none() {
            self.last = Some((point, log_mid));
        }
    }

    fn realised(&self) -> RealisedVolatility {
        let seconds = (self.returns * self.step_s) as f64;
        let per_sqrt_s = (self.returns > 0).then(|| (self.squares / seconds).sqrt());
        // Barndorff-Nielsen and Shephard: the variance of realised variance is two thirds of the sum of fourth powers.
        // Half of its relative error is the root's.
        let relative = (self.squares > 0.0).then(|| 0.5 * (self.fourths * 2.0 / 3.0).sqrt() / self.squares);
        RealisedVolatility {
            step_s: self.step_s,
            returns: self.returns,
            per_sqrt_s,
            standard_error: per_sqrt_s.zip(relative).map(|(value, relative)| value * relative),
        }
    }
}

/// An estimator that is asked once a second.
struct Watched {
    kind: SigmaKind,
    sigma: Sigma,
    second: u64,
    samples: u64,
    squares: f64,
    range: Option<(f64, f64)>,
}

impl Watched {
    fn on_mid(&mut self, ts: TimestampNs, mid: Option<HalfTicks>) {
        let Some(mid) = mid else {
            self.sigma.on_gap();
            return;
        };
        self.sigma.on_mid(ts, mid);
        let second = ts.nanos() / GRID_NS;
        if second <= self.second {
            return;
        }
        self.second = second;
        if let Some(value) = self.sigma.per_sqrt_s() {
            self.samples += 1;
            self.squares += value * value;
            let (least, most) = self.range.unwrap_or((value, value));
            self.range = Some((least.min(value), most.max(value)));
        }
    }

    fn row(&self, realised: Option<f64>) -> SigmaRow {
        let per_sqrt_s = (self.samples > 0).then(|| (self.squares / self.samples as f64).sqrt());
        SigmaRow {
            kind: self.kind,
            samples: self.samples,
            per_sqrt_s,
            range: self.range,
            of_realised: per_sqrt_s.zip(realised).map(|(estimated, realised)| estimated / realised),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    const TRUTH: f64 = 1e-4;

    /// A geometric Brownian motion in steps of a tenth of a second.
    fn gbm(seed: u64, seconds: u64) -> Vec<(TimestampNs, Option<HalfTicks>)> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut log_mid = 2e8_f64.ln();
        (0..seconds * 10)
            .map(|step| {
                let normal: f64 = StandardNormal.sample(&mut rng);
                log_mid += TRUTH * 0.1_f64.sqrt() * normal;
                let ts = TimestampNs::from_millis(1_700_000_040_000 + step * 100 + 50);
                (ts, Some(HalfTicks::new(log_mid.exp().round() as i64)))
            })
            .collect()
    }

    fn spread(values: &[f64]) -> (f64, f64) {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        (mean, (values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / (count - 1.0)).sqrt())
    }

    /// quant.md 2.6, acceptance: on paths of 3600 returns the mean variance lies within three standard errors of the
    /// truth, and windowed and EWMA scatter by sigma / sqrt(2 n_eff).
    #[test]
    fn sigma_2_6_acceptance_on_a_geometric_brownian_motion() {
        for kind in [SigmaKind::Ewma, SigmaKind::Windowed, SigmaKind::Parkinson] {
            let (mut path_means, mut values) = (Vec::new(), Vec::new());
            for seed in 0..24 {
                let mut sigma = Sigma::new(&FeaturesConfig { sigma: kind, ..FeaturesConfig::default() });
                let mut of_path = Vec::new();
                for (step, (ts, mid)) in gbm(seed, 3600).into_iter().enumerate() {
                    sigma.on_mid(ts, mid.unwrap());
                    // Every five minutes the windows have nothing in common any more, and the EWMA nearly nothing.
                    if step % 3000 == 2999 && step > 4000 {
                        of_path.push(sigma.per_sqrt_s().unwrap() / TRUTH);
                    }
                }
                path_means.push(of_path.iter().map(|value| value * value).sum::<f64>() / of_path.len() as f64);
                values.extend(of_path);
            }
            let (mean, deviation) = spread(&path_means);
            let error = deviation / (path_means.len() as f64).sqrt();
            assert!(error < 0.025, "{kind:?}: the test would not see a bias");
            assert!((mean - 1.0).abs() < 3.0 * error, "{kind:?}: {mean} +- {error}");
            let effective = match kind {
                SigmaKind::Ewma => 2.0 / (1.0 - 0.988_514) - 1.0,
                SigmaKind::Windowed => 300.0,
                SigmaKind::Parkinson => continue,
            };
            let (_, scatter) = spread(&values);
            let want = 1.0 / (2.0_f64 * effective).sqrt();
            // 264 values: the relative error of their deviation is 1 / sqrt(528), and four of those are 0.17.
            assert!((scatter / want - 1.0).abs() < 0.2, "{kind:?}: {scatter} {want}");
        }
    }

    #[test]
    fn estimated_volatility_of_a_session_lies_beside_the_realised() {
        let comparison = compare_sigma(&FeaturesConfig::default(), gbm(99, 3600));
        assert_eq!(comparison.realised.iter().map(|row| row.step_s).collect::<Vec<_>>(), [1, 5, 10, 60]);
        assert_eq!(comparison.realised[0].returns, 3599);
        for row in &comparison.realised {
            let (value, error) = (row.per_sqrt_s.unwrap(), row.standard_error.unwrap());
            // The error of n normal returns is sigma / sqrt(2 n), up to a scatter of the fourth powers.
            assert!((error / (value / (2.0 * row.returns as f64).sqrt()) - 1.0).abs() < 0.4, "{row:?}");
            assert!((value - TRUTH).abs() < 4.0 * error, "{row:?}");
        }
        for row in &comparison.rows {
            assert!(row.samples > 3400, "{row:?}");
            assert!((row.of_realised.unwrap() - 1.0).abs() < 0.12, "{row:?}");
        }
    }

    #[test]
    fn a_lost_book_and_a_silent_feed_bring_no_return() {
        let at =
            |ms: u64, mid: Option<i64>| (TimestampNs::from_millis(1_700_000_000_000 + ms), mid.map(HalfTicks::new));
        let mids = [
            at(0, Some(20_000)),
            at(1500, Some(20_000)),
            at(1600, None),
            at(2500, Some(30_000)),
            at(3500, Some(30_000)),
            at(70_000, Some(40_000)),
            at(71_500, Some(40_000)),
        ];
        let comparison = compare_sigma(&FeaturesConfig::default(), mids);
        assert_eq!((comparison.realised[0].returns, comparison.realised[0].per_sqrt_s), (3, Some(0.0)));
        assert!(comparison.rows.iter().all(|row| row.per_sqrt_s.is_none() && row.of_realised.is_none()));
    }
}
