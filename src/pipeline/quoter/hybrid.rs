//! Inventory skew (Grossman-Miller) and toxicity spread (Glosten-Milgrom): the seed's formula.
//!
//! Owns [`Hybrid`] and the bare [`SeedFormula`]. Specification: quant.md 4 and 4.1. k, the base and
//! kappa are those that the estimators have learnt, and the configured ones until then.

use super::{ModelParameters, QuoteInputs, Quoter, WantedQuote};
use crate::pipeline::config::QuoterConfig;
use crate::pipeline::digest::Digester;
use crate::types::Qty;

/// half-spread = clamp(base + k tau), skew = clamp(kappa Q); everything in ticks and base units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeedFormula {
    /// Half-spread without toxicity.
    pub base_ticks: f64,
    /// What toxicity of 1 adds.
    pub k_ticks: f64,
    /// Least half-spread.
    pub floor_ticks: f64,
    /// Greatest half-spread; the floor wins over it.
    pub cap_ticks: f64,
    /// Skew per unit of base.
    pub kappa_ticks: f64,
    /// Greatest skew.
    pub skew_cap_ticks: f64,
}

/// Prices of the seed's formula.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeedQuote {
    /// Bid, in ticks, before rounding.
    pub bid_ticks: f64,
    /// Ask, in ticks, before rounding.
    pub ask_ticks: f64,
    /// Half-spread.
    pub half_spread_ticks: f64,
    /// Whether the floor held the half-spread up.
    pub floor_bound: bool,
}

impl SeedFormula {
    /// The quotes around `reference_ticks` with a position of `position_base` and toxicity `tau`. A long position
    /// moves both down.
    pub fn quote(&self, reference_ticks: f64, position_base: f64, tau: f64) -> SeedQuote {
        let wanted = self.base_ticks + self.k_ticks * tau;
        let half_spread_ticks = wanted.min(self.cap_ticks).max(self.floor_ticks);
        let skew = (self.kappa_ticks * position_base).clamp(-self.skew_cap_ticks, self.skew_cap_ticks);
        SeedQuote {
            bid_ticks: reference_ticks - half_spread_ticks - skew,
            ask_ticks: reference_ticks + half_spread_ticks - skew,
            half_spread_ticks,
            floor_bound: wanted < self.floor_ticks,
        }
    }
}

/// The seed's maker.
pub struct Hybrid {
    config: QuoterConfig,
    in_use: ModelParameters,
}

impl Hybrid {
    /// As configured.
    pub fn new(config: &QuoterConfig) -> Hybrid {
        Hybrid { config: config.clone(), in_use: ModelParameters::default() }
    }
}

impl Quoter for Hybrid {
    fn quote(&mut self, inputs: &QuoteInputs) -> Option<WantedQuote> {
        let tau = inputs.toxicity.map(|toxicity| toxicity.tau).or(self.config.tau_warm)?;
        let (config, estimates) = (&self.config, &inputs.estimates);
        // What is not learnt yet is configured: the whole position limit then skews by `full_skew_ticks`.
        let kappa_ticks = estimates.kappa_ticks.unwrap_or(config.full_skew_ticks / inputs.position_max_base);
        let k_ticks = estimates.k_ticks.unwrap_or(config.k_ticks);
        let share_of_mid = |bps: f64| bps * 1e-4 * inputs.reference_ticks;
        let fee_floor = if config.fee_floor && config.maker_fee_bps >= 0.0 {
            share_of_mid(config.maker_fee_bps) + config.edge_min_ticks
        } else {
            0.0
        };
        let formula = SeedFormula {
            base_ticks: estimates.base_ticks.unwrap_or(config.half_spread_ticks),
            k_ticks,
            floor_ticks: fee_floor.max(0.5),
            cap_ticks: share_of_mid(config.half_spread_max_bps),
            kappa_ticks,
            skew_cap_ticks: share_of_mid(config.skew_max_bps),
        };
        self.in_use =
            ModelParameters { k_ticks: Some(k_ticks), gamma: estimates.gamma, kappa_ticks: Some(kappa_ticks) };
        let quote = formula.quote(inputs.reference_ticks, inputs.position_base, tau);
        let usage = (inputs.position_base / inputs.position_max_base).clamp(-1.0, 1.0);
        let sized = |share: f64| {
            let lots = inputs.order_qty.lots() as f64 * share.clamp(0.0, config.size_max);
            Qty::from_lots(lots.floor() as i64)
        };
        Some(WantedQuote {
            bid_ticks: quote.bid_ticks,
            ask_ticks: quote.ask_ticks,
            bid_qty: sized(1.0 - config.size_skew * usage),
            ask_qty: sized(1.0 + config.size_skew * usage),
            half_spread_ticks: quote.half_spread_ticks,
            floor_bound: quote.floor_bound,
        })
    }

    fn parameters(&self) -> ModelParameters {
        self.in_use
    }

    /// It keeps nothing: what it quotes follows from its inputs.
    fn digest(&self, _: &mut Digester) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::estimators::Estimates;

    fn inputs() -> QuoteInputs {
        QuoteInputs {
            reference_ticks: 6_000_000.0,
            position_base: 0.0,
            position_max_base: 0.05,
            order_qty: Qty::from_lots(1000),
            sigma_ticks: Some(534.2),
            toxicity: None,
            estimates: Estimates::default(),
            tick: 0.01,
        }
    }

    #[test]
    fn what_is_learnt_wins_over_what_is_configured() {
        let config = QuoterConfig { fee_floor: false, full_skew_ticks: 10.0, ..QuoterConfig::default() };
        let mut hybrid = Hybrid::new(&config);
        let held = QuoteInputs { position_base: 0.05, ..inputs() };
        let quote = hybrid.quote(&held).unwrap();
        // 5 + 20 * 0.5, and the whole limit skews by 10.
        assert_eq!((quote.half_spread_ticks, quote.ask_ticks), (15.0, 6_000_000.0 + 15.0 - 10.0));
        let estimates = Estimates {
            k_ticks: Some(40.0),
            base_ticks: Some(2.0),
            gamma: Some(4.2),
            kappa_ticks: Some(400.0),
            ..Estimates::default()
        };
        let quote = hybrid.quote(&QuoteInputs { estimates, ..held }).unwrap();
        assert_eq!((quote.half_spread_ticks, quote.ask_ticks), (22.0, 6_000_000.0 + 22.0 - 20.0));
        let in_use = ModelParameters { k_ticks: Some(40.0), gamma: Some(4.2), kappa_ticks: Some(400.0) };
        assert_eq!(hybrid.parameters(), in_use);
    }

    #[test]
    fn the_half_spread_never_falls_below_the_commission() {
        let config = QuoterConfig { half_spread_ticks: 0.0, k_ticks: 0.0, ..QuoterConfig::default() };
        let quote = Hybrid::new(&config).quote(&inputs()).unwrap();
        assert!(quote.floor_bound);
        assert_eq!(quote.half_spread_ticks, 6000.0);
        let free = QuoterConfig { fee_floor: false, ..config };
        assert_eq!(Hybrid::new(&free).quote(&inputs()).unwrap().half_spread_ticks, 0.5);
    }

    #[test]
    fn size_leans_against_the_position() {
        let mut hybrid = Hybrid::new(&QuoterConfig::default());
        let quote = hybrid.quote(&QuoteInputs { position_base: 0.025, ..inputs() }).unwrap();
        assert_eq!((quote.bid_qty.lots(), quote.ask_qty.lots()), (500, 1500));
        let quote = hybrid.quote(&QuoteInputs { position_base: -0.06, ..inputs() }).unwrap();
        assert_eq!((quote.bid_qty.lots(), quote.ask_qty.lots()), (1500, 0));
    }

    #[test]
    fn without_a_warm_toxicity_there_is_no_quote() {
        let config = QuoterConfig { tau_warm: None, ..QuoterConfig::default() };
        assert_eq!(Hybrid::new(&config).quote(&inputs()), None);
    }
}
