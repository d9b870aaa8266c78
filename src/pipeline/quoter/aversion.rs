//! The risk aversion of `as` and `glft`: configured or fixed by a skew, and steered as the risk budget steers it.
//!
//! Owns [`Aversion`]. The estimator learns the gamma of the hybrid's skew, gamma sigma² Delta / n, in which only
//! gamma / n matters. Another model's gamma is another number for the same wish, so what carries over is by how much it
//! was steered from where it started. Specification: quant.md 5.2 and 0.10.

use super::QuoteInputs;
use crate::pipeline::config::QuoterConfig;
use crate::pipeline::digest::Digester;
use crate::pipeline::estimators::gamma_at_full_skew;

/// A gamma per quote unit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aversion {
    given: Option<f64>,
    /// This model's gamma where it started, and the hybrid's.
    start: Option<(f64, f64)>,
    in_use: Option<f64>,
}

impl Aversion {
    pub(super) fn new(config: &QuoterConfig) -> Aversion {
        Aversion { given: config.gamma, start: None, in_use: config.gamma }
    }

    /// Gamma now. `at_full_skew` gives the one at which the whole position limit skews by `full_skew_ticks`; it is asked
    /// once, at the first published volatility.
    pub(super) fn now(
        &mut self,
        config: &QuoterConfig,
        inputs: &QuoteInputs,
        sigma_ticks: f64,
        at_full_skew: impl FnOnce() -> f64,
    ) -> f64 {
        let given = self.given;
        let (start, hybrid) = *self.start.get_or_insert_with(|| {
            let hybrid = || {
                let (full, horizon_s, makers) = (config.full_skew_ticks, config.horizon_s, config.makers);
                gamma_at_full_skew(full, sigma_ticks, inputs.tick, horizon_s, makers, inputs.position_max_base)
            };
            (given.unwrap_or_else(at_full_skew), given.unwrap_or_else(hybrid))
        });
        let steered = inputs.estimates.gamma.map_or(1.0, |learnt| learnt / hybrid);
        let gamma = if steered.is_finite() { start * steered } else { start };
        self.in_use = Some(gamma);
        gamma
    }

    pub(super) fn in_use(&self) -> Option<f64> {
        self.in_use
    }

    pub(super) fn digest(&self, digester: &mut Digester) {
        digester.option_f64(self.start.map(|start| start.0));
        digester.option_f64(self.start.map(|start| start.1));
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use crate::pipeline::estimators::Estimates;

    #[test]
    fn what_the_risk_budget_steers_carries_over() {
        let config = QuoterConfig::default();
        let inputs = sample::inputs();
        let hybrid = gamma_at_full_skew(10.0, 534.2, 0.01, 10.0, 10.0, 0.05);
        let mut aversion = Aversion::new(&config);
        assert_eq!(aversion.now(&config, &inputs, 534.2, || 7.0), 7.0);
        let learnt = |factor: f64| Estimates { gamma: Some(hybrid * factor), ..Estimates::default() };
        let steered = QuoteInputs { estimates: learnt(3.0), ..inputs };
        // Fixed by now: another volatility and another answer do not move where it started.
        assert!((aversion.now(&config, &steered, 900.0, || 1.0) - 21.0).abs() < 1e-9);
        assert!((aversion.in_use().unwrap() - 21.0).abs() < 1e-9);

        let given = QuoterConfig { gamma: Some(2.0), ..config };
        let mut aversion = Aversion::new(&given);
        let steered = QuoteInputs { estimates: Estimates { gamma: Some(3.0), ..Estimates::default() }, ..inputs };
        assert!((aversion.now(&given, &steered, 534.2, || 7.0) - 3.0).abs() < 1e-12);
    }
}
