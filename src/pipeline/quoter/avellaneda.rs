//! Avellaneda and Stoikov's maker: the quotes of the 2008 paper with a constant horizon in place of the time left.
//!
//! Owns [`AvellanedaStoikov`]; the formula is in [`crate::models::avellaneda`]. An order is the model's unit, so gamma
//! counts per order. Specification: quant.md 6.1.

use super::aversion::Aversion;
use super::frame::{Frame, before_volatility, intensity};
use super::{ModelParameters, QuoteInputs, Quoter, WantedQuote};
use crate::models::avellaneda::Avellaneda;
use crate::pipeline::config::QuoterConfig;
use crate::pipeline::digest::Digester;

/// The maker of `quoter.kind: as`.
pub struct AvellanedaStoikov {
    config: QuoterConfig,
    aversion: Aversion,
    kappa_ticks: Option<f64>,
}

impl AvellanedaStoikov {
    /// As configured.
    pub fn new(config: &QuoterConfig) -> AvellanedaStoikov {
        AvellanedaStoikov { config: config.clone(), aversion: Aversion::new(config), kappa_ticks: None }
    }
}

impl Quoter for AvellanedaStoikov {
    fn quote(&mut self, inputs: &QuoteInputs) -> Option<WantedQuote> {
        let config = &self.config;
        let Some(sigma) = inputs.sigma_ticks.filter(|sigma| *sigma > 0.0) else {
            self.kappa_ticks = Some(config.full_skew_ticks / inputs.position_max_base);
            return Some(before_volatility(config, inputs));
        };
        // In ticks: a profit of one tick on one unit of base is worth `tick` quote units.
        let gamma = self.aversion.now(config, inputs, sigma, || {
            let full = inputs.position_max_base;
            Avellaneda::gamma_for_skew(sigma, full, config.horizon_s, config.full_skew_ticks) / inputs.tick
        });
        let size = inputs.order_qty.lots() as f64 * inputs.lot;
        let (_, k) = intensity(config, inputs);
        let model = Avellaneda { gamma: gamma * inputs.tick * size, sigma, k };
        let offsets = model.offsets(inputs.position_base / size, config.horizon_s);
        self.kappa_ticks = Some(model.skew(1.0 / size, config.horizon_s));
        let frame = Frame::new(config, inputs);
        let laid = frame.lay(inputs.reference_ticks, [offsets.half_spread(); 2], offsets.skew());
        Some(laid.sized(config, inputs))
    }

    fn parameters(&self) -> ModelParameters {
        ModelParameters { k_ticks: None, gamma: self.aversion.in_use(), kappa_ticks: self.kappa_ticks }
    }

    fn digest(&self, digester: &mut Digester) {
        self.aversion.digest(digester);
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn config() -> QuoterConfig {
        QuoterConfig { fee_floor: false, half_spread_max_bps: 1000.0, skew_max_bps: 1000.0, ..QuoterConfig::default() }
    }

    #[test]
    fn prices_are_those_of_the_formula_per_order() {
        // gamma 0.1 per quote unit, a tick of 0.01, an order of 0.01: 1e-5 per tick and order.
        let config = QuoterConfig { gamma: Some(0.1), intensity_decay_per_tick: 0.02, ..config() };
        let inputs = QuoteInputs { position_base: 0.02, ..sample::inputs() };
        let quote = AvellanedaStoikov::new(&config).quote(&inputs).unwrap();
        let (gamma, variance) = (1e-5, 534.2 * 534.2);
        let half = gamma * variance * 10.0 / 2.0 + (gamma / 0.02_f64).ln_1p() / gamma;
        let skew = 2.0 * gamma * variance * 10.0;
        assert!((quote.bid_ticks - (6_000_000.0 - half - skew)).abs() < 1e-6, "{quote:?}");
        assert!((quote.ask_ticks - (6_000_000.0 + half - skew)).abs() < 1e-6, "{quote:?}");
    }

    #[test]
    fn gamma_is_fixed_by_the_skew_of_the_whole_limit() {
        let mut model = AvellanedaStoikov::new(&config());
        let full = QuoteInputs { position_base: 0.05, ..sample::inputs() };
        let quote = model.quote(&full).unwrap();
        assert!((f64::midpoint(quote.bid_ticks, quote.ask_ticks) - (6_000_000.0 - 10.0)).abs() < 1e-6, "{quote:?}");
        let gamma = model.parameters().gamma.unwrap();
        model.quote(&QuoteInputs { sigma_ticks: Some(1068.4), ..full }).unwrap();
        assert_eq!(model.parameters().gamma, Some(gamma), "kept from then on");
        assert!((model.parameters().kappa_ticks.unwrap() - 4.0 * 10.0 / 0.05).abs() < 1e-6);
    }

    #[test]
    fn without_volatility_the_configured_spread_and_skew_hold() {
        let inputs = QuoteInputs { sigma_ticks: None, position_base: 0.025, ..sample::inputs() };
        let quote = AvellanedaStoikov::new(&config()).quote(&inputs).unwrap();
        assert_eq!((quote.bid_ticks, quote.ask_ticks), (5_999_990.0, 6_000_000.0));
        assert_eq!((quote.bid_qty.lots(), quote.ask_qty.lots()), (500, 1500));
    }
}
