//! The skew per unit of inventory: kappa = gamma sigma² Delta / n.
//!
//! Owns [`Skew`]: renewed each second, smoothed, capped so that the whole position limit never skews further than is
//! allowed. Formula: quant.md 5.3 (Grossman-Miller; the division by the makers is a convention).

use super::Surroundings;
use crate::pipeline::config::{EstimatorsConfig, QuoterConfig};
use crate::pipeline::digest::Digester;
use crate::types::TimestampNs;

/// Ticks of skew for a unit of base at risk aversion `gamma`: `sigma_ticks` per square root of a second, `tick` in
/// quote currency, over a horizon in seconds and shared by `makers`.
pub fn kappa_ticks(gamma: f64, sigma_ticks: f64, tick: f64, horizon_s: f64, makers: f64) -> f64 {
    // gamma sigma² Delta / n is in quote currency; one of the two ticks of sigma² leaves as the answer's unit.
    gamma * sigma_ticks * sigma_ticks * tick * horizon_s / makers
}

/// The smoothed skew.
pub struct Skew {
    horizon_s: f64,
    makers: f64,
    half_life_s: f64,
    /// Greatest skew as a share of the mid.
    cap: f64,
    smoothed: Option<(TimestampNs, f64)>,
    capped: Option<f64>,
}

impl Skew {
    /// As configured.
    pub fn new(config: &EstimatorsConfig, quoter: &QuoterConfig) -> Skew {
        Skew {
            horizon_s: quoter.horizon_s,
            makers: quoter.makers,
            half_life_s: config.kappa_half_life_s,
            cap: quoter.skew_max_bps * 1e-4,
            smoothed: None,
            capped: None,
        }
    }

    /// Renews the skew. Without volatility, mid or gamma it stays what it was.
    pub fn advance(&mut self, now: TimestampNs, gamma: Option<f64>, around: &Surroundings, position_max_base: f64) {
        let (Some(gamma), Some(sigma), Some(mid)) = (gamma, around.sigma_ticks, around.mid) else { return };
        let fresh = kappa_ticks(gamma, sigma, around.tick, self.horizon_s, self.makers);
        let smoothed = match self.smoothed {
            Some((then, before)) => fresh + (before - fresh) * (-now.since(then).secs_f64() / self.half_life_s).exp2(),
            None => fresh,
        };
        self.smoothed = Some((now, smoothed));
        self.capped = Some(smoothed.min(self.cap * mid.ticks_f64() / position_max_base));
    }

    /// Ticks for a unit of base; `None` before volatility is known.
    pub fn kappa_ticks(&self) -> Option<f64> {
        self.capped
    }

    /// Adds its state to a digest.
    pub fn digest(&self, digester: &mut Digester) {
        digester.option_time(self.smoothed.map(|(then, _)| then));
        digester.option_f64(self.smoothed.map(|(_, value)| value));
        digester.option_f64(self.capped);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::HalfTicks;

    fn around(sigma_ticks: Option<f64>) -> Surroundings {
        Surroundings {
            mid: Some(HalfTicks::new(12_000_000)),
            sigma_ticks,
            position_base: 0.0,
            position_max_base: Some(0.05),
            equity: 0.0,
            tick: 0.01,
        }
    }

    #[test]
    fn volatility_that_changes_is_followed_with_the_half_life() {
        let mut skew = Skew::new(&EstimatorsConfig::default(), &QuoterConfig::default());
        skew.advance(TimestampNs::from_millis(1000), Some(4.205), &around(None), 0.05);
        assert_eq!(skew.kappa_ticks(), None, "no volatility, no skew");
        skew.advance(TimestampNs::from_millis(1000), Some(4.205), &around(Some(534.2)), 0.05);
        let first = skew.kappa_ticks().unwrap();
        assert!((first * 0.01 - 120.0).abs() < 0.01, "{first}");
        // Twice the volatility is four times the skew; after one half-life, half of the way there.
        skew.advance(TimestampNs::from_millis(31_000), Some(4.205), &around(Some(1068.4)), 0.05);
        let second = skew.kappa_ticks().unwrap();
        assert!((second / first - 2.5).abs() < 1e-12, "{second}");
    }

    #[test]
    fn the_whole_limit_never_skews_further_than_allowed() {
        let quoter = QuoterConfig { skew_max_bps: 1.0, ..QuoterConfig::default() };
        let mut skew = Skew::new(&EstimatorsConfig::default(), &quoter);
        skew.advance(TimestampNs::from_millis(1000), Some(42.05), &around(Some(534.2)), 0.05);
        // 1e-4 of 6 000 000 ticks.
        assert!((skew.kappa_ticks().unwrap() * 0.05 - 600.0).abs() < 1e-9);
    }
}
