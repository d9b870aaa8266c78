//! Recursive least squares with exponential forgetting, with one coefficient or with an intercept.
//!
//! Pure numbers: no unit, no time. Used by the toxicity coefficient. Formulas: quant.md 5.1;
//! `g = P x / (lambda + x² P)`, `theta += g (y - theta x)`, `P = (P - g x P) / lambda`.

use serde::{Deserialize, Serialize};

use crate::pipeline::digest::Digester;

/// A regressor below this excites nothing: the sample is skipped, or P would only grow.
const EXCITATION_MIN: f64 = 1e-3;
/// Most that P may wind up to while samples say little.
const VARIANCE_MAX: f64 = 1e6;

/// What a step did with its sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepOutcome {
    /// The coefficients have moved.
    Taken,
    /// The regressor was too small to say anything.
    Skipped,
    /// A number was not finite; the coefficients are as before.
    NotFinite,
}

/// y = theta x.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rls {
    /// The coefficient.
    pub theta: f64,
    /// Its variance up to the noise's.
    pub variance: f64,
    lambda: f64,
}

impl Rls {
    /// Before the first sample; `lambda` in (0, 1] is the weight that the past keeps with each sample.
    pub fn new(theta: f64, variance: f64, lambda: f64) -> Rls {
        Rls { theta, variance, lambda }
    }

    /// Takes a sample.
    pub fn step(&mut self, x: f64, y: f64) -> StepOutcome {
        if x.abs() < EXCITATION_MIN {
            return StepOutcome::Skipped;
        }
        let gain = self.variance * x / (self.lambda + x * x * self.variance);
        let theta = self.theta + gain * (y - self.theta * x);
        let variance = (self.variance - gain * x * self.variance) / self.lambda;
        if !theta.is_finite() || !variance.is_finite() {
            return StepOutcome::NotFinite;
        }
        self.theta = theta;
        self.variance = variance.min(VARIANCE_MAX);
        StepOutcome::Taken
    }

    /// Whether it can go on under this forgetting.
    pub(super) fn is_usable(&self, lambda: f64) -> bool {
        self.lambda == lambda && self.theta.is_finite() && self.variance.is_finite() && self.variance >= 0.0
    }

    pub(super) fn digest(&self, digester: &mut Digester) {
        digester.f64(self.theta);
        digester.f64(self.variance);
    }
}

/// y = intercept + slope x.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct InterceptRls {
    /// Intercept.
    pub intercept: f64,
    /// Slope.
    pub slope: f64,
    /// Variances of intercept and slope and their covariance, up to the noise's.
    pub variance: [f64; 3],
    lambda: f64,
}

impl InterceptRls {
    /// Before the first sample.
    pub fn new(intercept: f64, slope: f64, variance: f64, lambda: f64) -> InterceptRls {
        InterceptRls { intercept, slope, variance: [variance, variance, 0.0], lambda }
    }

    /// Takes a sample.
    pub fn step(&mut self, x: f64, y: f64) -> StepOutcome {
        if x.abs() < EXCITATION_MIN {
            return StepOutcome::Skipped;
        }
        let [p00, p11, p01] = self.variance;
        // P phi with phi = (1, x), then the gain.
        let (a, b) = (p00 + p01 * x, p01 + p11 * x);
        let scale = self.lambda + a + b * x;
        let (g0, g1) = (a / scale, b / scale);
        let error = y - self.intercept - self.slope * x;
        let (intercept, slope) = (self.intercept + g0 * error, self.slope + g1 * error);
        let mut variance = [(p00 - g0 * a) / self.lambda, (p11 - g1 * b) / self.lambda, (p01 - g0 * b) / self.lambda];
        if ![intercept, slope].iter().chain(&variance).all(|value| value.is_finite()) {
            return StepOutcome::NotFinite;
        }
        // A matrix is capped as a whole, so that it stays one of variances.
        let most = variance[0].max(variance[1]);
        if most > VARIANCE_MAX {
            variance = variance.map(|value| value * (VARIANCE_MAX / most));
        }
        (self.intercept, self.slope, self.variance) = (intercept, slope, variance);
        StepOutcome::Taken
    }

    /// Whether it can go on under this forgetting.
    pub(super) fn is_usable(&self, lambda: f64) -> bool {
        let finite = [self.intercept, self.slope].iter().chain(&self.variance).all(|value| value.is_finite());
        self.lambda == lambda && finite && self.variance[0] >= 0.0 && self.variance[1] >= 0.0
    }

    pub(super) fn digest(&self, digester: &mut Digester) {
        digester.f64(self.intercept);
        digester.f64(self.slope);
        for value in self.variance {
            digester.f64(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// quant.md 5.1: lambda .99, P0 1000, theta0 0.
    #[test]
    fn the_specifications_table_is_met_to_its_digits() {
        let mut rls = Rls::new(0.0, 1000.0, 0.99);
        let rows = [
            (0.2, 0.3, 1.463772, 24.396194),
            (0.5, 0.4, 0.892697, 3.441392),
            (0.1, -0.1, 0.829114, 3.359376),
            (0.6, 0.7, 1.014725, 1.527423),
        ];
        for (x, y, theta, variance) in rows {
            assert_eq!(rls.step(x, y), StepOutcome::Taken);
            assert!((rls.theta - theta).abs() < 5e-7, "{rls:?}");
            assert!((rls.variance - variance).abs() < 5e-7, "{rls:?}");
        }
    }

    /// The recursion is the solution of the weighted normal equations with the prior's weight forgotten likewise.
    #[test]
    fn with_an_intercept_it_equals_the_normal_equations() {
        let (lambda, prior) = (0.97_f64, 50.0);
        let mut rls = InterceptRls::new(0.3, -0.2, prior, lambda);
        // Sums of w, w x, w x², w y, w x y; the prior is a sample of weight 1/P on each coefficient.
        let (mut s00, mut s01, mut s11) = (1.0 / prior, 0.0, 1.0 / prior);
        let (mut t0, mut t1) = (0.3 / prior, -0.2 / prior);
        for step in 0..200 {
            let x = 0.05 + f64::from(step % 17) / 20.0;
            let y = 0.7 + 1.9 * x + f64::from(step % 5) / 10.0;
            rls.step(x, y);
            (s00, s01, s11) = (lambda * s00 + 1.0, lambda * s01 + x, lambda * s11 + x * x);
            (t0, t1) = (lambda * t0 + y, lambda * t1 + x * y);
            let det = s00 * s11 - s01 * s01;
            assert!((rls.intercept - (s11 * t0 - s01 * t1) / det).abs() < 1e-7, "step {step}: {rls:?}");
            assert!((rls.slope - (s00 * t1 - s01 * t0) / det).abs() < 1e-7, "step {step}: {rls:?}");
        }
    }

    #[test]
    fn a_sample_that_says_nothing_changes_nothing_and_variance_never_winds_up() {
        let mut rls = Rls::new(2.0, 10.0, 0.5);
        assert_eq!(rls.step(9e-4, 1e9), StepOutcome::Skipped);
        assert_eq!(rls, Rls::new(2.0, 10.0, 0.5));
        assert_eq!(rls.step(0.5, f64::NAN), StepOutcome::NotFinite);
        assert_eq!(rls.step(f64::NAN, 1.0), StepOutcome::NotFinite);
        assert_eq!(rls, Rls::new(2.0, 10.0, 0.5));
        let mut intercept = InterceptRls::new(0.0, 0.0, 10.0, 0.5);
        for _ in 0..100 {
            rls.step(1.001e-3, 0.0);
            intercept.step(0.5, 1.0);
        }
        assert!(rls.variance <= VARIANCE_MAX && rls.variance > 1e5, "{rls:?}");
        assert!(intercept.variance.iter().all(|value| value.abs() <= VARIANCE_MAX), "{intercept:?}");
        assert!((intercept.intercept + 0.5 * intercept.slope - 1.0).abs() < 1e-6, "{intercept:?}");
    }
}
