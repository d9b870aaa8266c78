//! How much of a Sharpe ratio survives its sample, its tails and the number of tries.
//!
//! Owns the probabilistic and deflated Sharpe ratio and the least track record. Called by the KPIs, by sweeps and by
//! the table of oracles. All ratios are **per period**; kurtosis is **raw** (normal 3): excess kurtosis would make every
//! tail look thin. Source: Bailey and Lopez de Prado (2012, 2014).

use super::normal;

/// Euler and Mascheroni's constant.
const EULER_GAMMA: f64 = 0.577_215_664_9;

/// `1 - g3 SR + (g4 - 1) / 4 SR^2`: what skew and tails do to the variance of the estimate.
fn tail_factor(ratio: f64, skewness: f64, kurtosis: f64) -> f64 {
    1.0 - skewness * ratio + (kurtosis - 1.0) / 4.0 * ratio * ratio
}

/// Chance that the true ratio is above `benchmark`, from `count` periods; `None` when the sample is too short or its
/// moments contradict each other.
pub fn psr(ratio: f64, benchmark: f64, count: u64, skewness: f64, kurtosis: f64) -> Option<f64> {
    let factor = tail_factor(ratio, skewness, kurtosis);
    if count < 2 || factor.is_nan() || factor <= 0.0 {
        return None;
    }
    Some(normal::cdf((ratio - benchmark) * (count as f64 - 1.0).sqrt() / factor.sqrt()))
}

/// The ratio that the best of `trials` configurations without skill is expected to show, when their ratios vary by
/// `variance`. One trial promises nothing, hence 0.
pub fn best_of_trials(variance: f64, trials: u64) -> f64 {
    let n = trials as f64;
    let at = |p: f64| normal::quantile(p);
    let (Some(first), Some(second)) = (at(1.0 - 1.0 / n), at(1.0 - 1.0 / (n * std::f64::consts::E))) else {
        return 0.0;
    };
    variance.sqrt() * ((1.0 - EULER_GAMMA) * first + EULER_GAMMA * second)
}

/// Deflated Sharpe ratio: [`psr`] against [`best_of_trials`]. `trials` counts all configurations ever tried.
pub fn dsr(ratio: f64, variance: f64, trials: u64, count: u64, skewness: f64, kurtosis: f64) -> Option<f64> {
    psr(ratio, best_of_trials(variance, trials), count, skewness, kurtosis)
}

/// Periods needed until [`psr`] reaches `confidence`; `None` when the ratio does not beat the benchmark.
pub fn least_track_record(ratio: f64, benchmark: f64, skewness: f64, kurtosis: f64, confidence: f64) -> Option<f64> {
    let z = normal::quantile(confidence)?;
    let edge = ratio - benchmark;
    (edge > 0.0).then(|| 1.0 + tail_factor(ratio, skewness, kurtosis) * (z / edge).powi(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACK: u64 = 1250;

    fn daily(annual: f64) -> f64 {
        annual / 250.0_f64.sqrt()
    }

    #[test]
    fn the_papers_deflated_ratios() {
        let variance = 0.5 / 250.0;
        assert!((best_of_trials(variance, 100) - 0.113_172).abs() < 5e-7);
        for (trials, g3, g4, want) in
            [(100, -3.0, 10.0, 0.900_397), (46, -3.0, 10.0, 0.950_502), (88, 0.0, 3.0, 0.950_491)]
        {
            let got = dsr(daily(2.5), variance, trials, TRACK, g3, g4).unwrap();
            assert!((got - want).abs() < 5e-7, "{trials}: {got}");
        }
    }

    #[test]
    fn excess_kurtosis_would_flatter() {
        let raw = dsr(daily(2.5), 0.002, 100, TRACK, -3.0, 10.0).unwrap();
        let excess = dsr(daily(2.5), 0.002, 100, TRACK, -3.0, 7.0).unwrap();
        assert!(excess > raw + 1e-3, "{excess} {raw}");
    }

    #[test]
    fn the_least_track_records() {
        // A true ratio of 2 a year against 1, at 95 %: years.
        for (periods, g3, g4, want) in
            [(252.0, 0.0, 3.0, 2.7310), (52.0, 0.0, 3.0, 2.8288), (12.0, 0.0, 3.0, 3.2398), (12.0, -0.72, 5.78, 4.9913)]
        {
            let root: f64 = f64::sqrt(periods);
            let years = least_track_record(2.0 / root, 1.0 / root, g3, g4, 0.95).unwrap() / periods;
            assert!((years - want).abs() < 5e-5, "{periods}: {years}");
        }
        assert_eq!(least_track_record(0.1, 0.1, 0.0, 3.0, 0.95), None);
    }

    #[test]
    fn edges_are_answered_and_not_invented() {
        assert_eq!(psr(0.1, 0.0, 1, 0.0, 3.0), None);
        // Moments that no sample has.
        assert_eq!(psr(1.0, 0.0, 10, 5.0, 1.0), None);
        assert!((psr(0.1, 0.1, 100, 0.0, 3.0).unwrap() - 0.5).abs() < 1e-12);
        assert_eq!(best_of_trials(1.0, 1), 0.0);
    }
}
