//! Inventory skew (Grossman-Miller) and toxicity spread (Glosten-Milgrom): the seed's formula.
//!
//! Owns [`Hybrid`] and the bare [`SeedFormula`]. Specification: quant.md 4 and 4.1. k, the base and
//! kappa are those that the estimators have learnt, and the configured ones until then.

use super::frame::{Frame, Laid};
use super::{ModelParameters, QuoteInputs, Quoter, WantedQuote};
use crate::pipeline::config::{QuoterConfig, ToxicityKind};
use crate::pipeline::digest::Digester;

/// half-spread = clamp(base + k tau), skew = clamp(kappa Q); everything in ticks and base units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeedFormula {
    /// Half-spread without toxicity.
    pub base_ticks: f64,
    /// What toxicity of 1 adds.
    pub k_ticks: f64,
    /// Skew per unit of base.
    pub kappa_ticks: f64,
    /// Floors and caps.
    pub frame: Frame,
}

impl SeedFormula {
    /// The quotes around `reference_ticks` with a position of `position_base` and the toxicity that each side is
    /// charged with, bid first. A long position moves both down.
    pub fn quote(&self, reference_ticks: f64, position_base: f64, tau: [f64; 2]) -> Laid {
        let halves = tau.map(|tau| self.base_ticks + self.k_ticks * tau);
        self.frame.lay(reference_ticks, halves, self.kappa_ticks * position_base)
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

    /// What bid and ask are charged for; `None` while toxicity is neither measured nor assumed. An assumed one has no
    /// direction, so it threatens both sides.
    fn tau(&self, inputs: &QuoteInputs) -> Option<[f64; 2]> {
        match (self.config.toxicity, inputs.toxicity) {
            (ToxicityKind::Off, _) => Some([0.0; 2]),
            (ToxicityKind::Symmetric, Some(toxicity)) => Some([toxicity.tau; 2]),
            (ToxicityKind::Signed, Some(toxicity)) => Some([toxicity.tau_bid, toxicity.tau_ask]),
            (_, None) => self.config.tau_warm.map(|tau| [tau; 2]),
        }
    }
}

impl Quoter for Hybrid {
    fn quote(&mut self, inputs: &QuoteInputs) -> Option<WantedQuote> {
        let tau = self.tau(inputs)?;
        let (config, estimates) = (&self.config, &inputs.estimates);
        // What is not learnt yet is configured: the whole position limit then skews by `full_skew_ticks`.
        let kappa_ticks = estimates.kappa_ticks.unwrap_or(config.full_skew_ticks / inputs.position_max_base);
        let k_ticks = estimates.k_ticks.unwrap_or(config.k_ticks);
        let formula = SeedFormula {
            base_ticks: estimates.base_ticks.unwrap_or(config.half_spread_ticks),
            k_ticks,
            kappa_ticks,
            frame: Frame::new(config, inputs),
        };
        self.in_use =
            ModelParameters { k_ticks: Some(k_ticks), gamma: estimates.gamma, kappa_ticks: Some(kappa_ticks) };
        Some(formula.quote(inputs.reference_ticks, inputs.position_base, tau).sized(config, inputs))
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
    use crate::pipeline::features::Toxicity;

    fn inputs() -> QuoteInputs {
        super::super::sample::inputs()
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

    #[test]
    fn signed_toxicity_widens_the_threatened_side_alone() {
        // Net buying beyond chance: whoever sells to it is hurt.
        let toxicity = Some(Toxicity { raw: 0.6, tau: 0.5, signed: 0.4, tau_bid: 0.0, tau_ask: 0.3 });
        let quote = |kind| {
            let config = QuoterConfig { toxicity: kind, fee_floor: false, ..QuoterConfig::default() };
            let quote = Hybrid::new(&config).quote(&QuoteInputs { toxicity, ..inputs() }).unwrap();
            (6_000_000.0 - quote.bid_ticks, quote.ask_ticks - 6_000_000.0)
        };
        let near = |found: (f64, f64), expected: (f64, f64)| {
            assert!((found.0 - expected.0).abs() < 1e-6 && (found.1 - expected.1).abs() < 1e-6, "{found:?}");
        };
        // A base of 5 ticks and 20 for a toxicity of 1.
        near(quote(ToxicityKind::Symmetric), (15.0, 15.0));
        near(quote(ToxicityKind::Signed), (5.0, 11.0));
        near(quote(ToxicityKind::Off), (5.0, 5.0));
        let warm = QuoterConfig { toxicity: ToxicityKind::Signed, fee_floor: false, ..QuoterConfig::default() };
        assert_eq!(Hybrid::new(&warm).quote(&inputs()).unwrap().half_spread_ticks, 15.0);
        let off = QuoterConfig { toxicity: ToxicityKind::Off, tau_warm: None, ..QuoterConfig::default() };
        assert!(Hybrid::new(&off).quote(&inputs()).is_some(), "what is not used need not be warm");
    }
}
