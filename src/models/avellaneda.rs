//! Avellaneda and Stoikov (2008): reservation price and spread of a maker who liquidates at the end.
//!
//! Owns [`Avellaneda`], pure arithmetic. The `as` quoter calls it with a constant horizon in place of the time left,
//! the reference simulation with the time left. Specification: quant.md 6.1, numbers in 11.

use super::{Offsets, fill_premium};

/// Constants of the model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Avellaneda {
    /// Absolute risk aversion, per unit of money.
    pub gamma: f64,
    /// Volatility, price per square root of a second.
    pub sigma: f64,
    /// How fast fills become rarer with distance, per price.
    pub k: f64,
}

impl Avellaneda {
    /// The price at which the maker is indifferent to one unit more, `time_left` seconds before the end.
    pub fn reservation_price(&self, mid: f64, position: f64, time_left: f64) -> f64 {
        mid - self.skew(position, time_left)
    }

    /// How far the reservation price lies below the mid.
    pub fn skew(&self, position: f64, time_left: f64) -> f64 {
        position * self.gamma * self.sigma * self.sigma * time_left
    }

    /// Distance between bid and ask. It does not depend on the position.
    pub fn spread(&self, time_left: f64) -> f64 {
        self.gamma * self.sigma * self.sigma * time_left + 2.0 * fill_premium(self.gamma, self.k)
    }

    /// Distances of the quotes from the mid.
    pub fn offsets(&self, position: f64, time_left: f64) -> Offsets {
        let (half, skew) = (self.spread(time_left) / 2.0, self.skew(position, time_left));
        Offsets { bid: half + skew, ask: half - skew }
    }

    /// The gamma at which `position` moves the quotes by `skew` over `horizon` seconds.
    pub fn gamma_for_skew(sigma: f64, position: f64, horizon: f64, skew: f64) -> f64 {
        skew / (sigma * sigma * horizon * position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paper(gamma: f64) -> Avellaneda {
        Avellaneda { gamma, sigma: 2.0, k: 1.5 }
    }

    /// quant.md 11: the time average of the spread over 200 steps, which the paper prints as 1.35, 1.49 and 3.02.
    #[test]
    fn average_spreads_of_the_published_tables() {
        for (gamma, expected) in [(0.01, 1.349_01), (0.1, 1.491_77), (0.5, 2.155_73), (1.0, 3.031_65)] {
            let mean = (0..200).map(|step| paper(gamma).spread(1.0 - f64::from(step) * 0.005)).sum::<f64>() / 200.0;
            assert!((mean - expected).abs() < 1e-5, "gamma {gamma}: {mean}");
        }
    }

    #[test]
    fn a_long_position_lowers_both_quotes_by_the_skew() {
        let model = paper(0.1);
        assert!((model.reservation_price(100.0, 3.0, 0.5) - (100.0 - 3.0 * 0.1 * 4.0 * 0.5)).abs() < 1e-12);
        let (flat, long) = (model.offsets(0.0, 0.5), model.offsets(3.0, 0.5));
        assert!((long.bid - flat.bid - 0.6).abs() < 1e-12 && (flat.ask - long.ask - 0.6).abs() < 1e-12);
        assert!((long.half_spread() - flat.half_spread()).abs() < 1e-12 && (long.skew() - 0.6).abs() < 1e-12);
        let gamma = Avellaneda::gamma_for_skew(2.0, 3.0, 0.5, 0.6);
        assert!((gamma - 0.1).abs() < 1e-12);
    }

    #[test]
    fn without_risk_aversion_the_half_spread_is_the_inverse_of_k() {
        assert_eq!(paper(0.0).offsets(5.0, 1.0), Offsets { bid: 1.0 / 1.5, ask: 1.0 / 1.5 });
        let nearly = paper(1e-9).offsets(0.0, 1.0).bid;
        assert!((nearly - 1.0 / 1.5).abs() < 1e-8, "{nearly}");
    }
}
