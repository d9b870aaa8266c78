//! Floor 1: bare formulas of market making, without a venue, a clock or a configuration.
//!
//! Quoters use them live and reference simulations use them in time of their own, so that both run the same arithmetic.
//! Units are the caller's: any one price unit, any one unit of quantity, seconds. Nothing here rounds to ticks.

pub mod avellaneda;
pub mod expected;
pub mod glft;

/// Distances of the two quotes from the reference price, both counted away from it; a negative one quotes through it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Offsets {
    /// How far below the reference the bid lies.
    pub bid: f64,
    /// How far above the reference the ask lies.
    pub ask: f64,
}

impl Offsets {
    /// Half of the distance between the quotes.
    pub fn half_spread(self) -> f64 {
        (self.bid + self.ask) / 2.0
    }

    /// How far the middle of the quotes lies below the reference: positive for a long position.
    pub fn skew(self) -> f64 {
        (self.bid - self.ask) / 2.0
    }
}

/// (1/gamma) ln(1 + gamma/k): what a risk-averse maker asks per fill when demand falls off as exp(-k distance). Without
/// risk aversion it is 1/k.
pub fn fill_premium(gamma: f64, k: f64) -> f64 {
    // Below this the logarithm's argument is one to the last digits, and its first term is all there is.
    if gamma < 1e-8 { 1.0 / k } else { (gamma / k).ln_1p() / gamma }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fill_premium_has_a_limit_without_risk_aversion() {
        assert_eq!(fill_premium(0.0, 1.5), 1.0 / 1.5);
        assert!((fill_premium(1e-8, 1.5) - 1.0 / 1.5).abs() < 1e-8);
        assert!((fill_premium(1e-7, 1.5) - fill_premium(1e-9, 1.5)).abs() < 1e-7);
        // Table B, first row.
        assert!((fill_premium(0.01, 0.3) - 3.278_982).abs() < 1e-6);
    }
}
