//! The maker of Guéant, Lehalle and Fernandez-Tapia (2012) against one who quotes the same spread without skew.
//!
//! Owns the parameters of the paper's figures and the simulation of both makers. Called by `touchline model check` and
//! tests; the formulas are in [`crate::models::glft`]. Both makers stop quoting the side that would take them beyond
//! the largest inventory.

use super::control::{Arrivals, Market, Outcome, Shock, simulate};
use crate::models::glft::{Glft, GlftError, Table};

/// Risk aversion of the paper's figures, per tick.
const GAMMA: f64 = 0.01;

/// Largest inventory in fills.
pub const LARGEST: usize = 30;

/// The market of the paper's figures in ticks and seconds: 600 s on a grid of 0.1 s.
pub const PAPER: Market = Market {
    s0: 0.0,
    sigma: 0.3,
    a: 0.9,
    k: 0.3,
    dt: 0.1,
    steps: 6_000,
    arrivals: Arrivals::Poisson,
    shock: Shock::Binary,
};

/// The model of those figures with the volatility and the rate given.
pub fn model(sigma: f64, a: f64) -> Glft {
    Glft { gamma: GAMMA, sigma, a, k: 0.3, size: 1.0, drift: 0.0, impact: 0.0 }
}

/// Both makers on the same random numbers: the optimal one, and the one with its mean spread and no skew.
///
/// # Errors
/// When the model's quotes cannot be solved.
pub fn run(paths: usize, seed: u64) -> Result<(Outcome, Outcome), GlftError> {
    let model = model(PAPER.sigma, PAPER.a);
    let mut table = Table::new();
    table.fill_stationary(&model, LARGEST)?;
    let largest = LARGEST as i64;
    let never = f64::INFINITY;
    let of = |held: i64| (table.bid(held).unwrap_or(never), table.ask(held).unwrap_or(never));
    let quotes: Vec<(f64, f64)> = (-largest..=largest).map(of).collect();
    let optimal = simulate(&PAPER, paths, seed, |_, held| quotes[(held + largest) as usize]);
    let half = model.closed_form(0.0).half_spread();
    let flat = simulate(&PAPER, paths, seed, |_, held| {
        (if held < largest { half } else { never }, if held > -largest { half } else { never })
    });
    Ok((optimal, flat))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skewing_keeps_the_mean_and_saves_a_third_of_the_risk() {
        let long = std::env::var_os("TOUCHLINE_LONG").is_some();
        let (paths, rel) = if long { (4_000, 0.05) } else { (400, 0.15) };
        let (optimal, flat) = run(paths, 2012).unwrap();
        // The table's own standard errors are 1.2 and 1.8.
        for (outcome, mean, std, std_q) in [(&optimal, 1297.3, 72.7, 4.95), (&flat, 1298.0, 113.6, 16.1)] {
            let off = 4.0 * (outcome.profit.error().powi(2) + 1.8 * 1.8).sqrt();
            assert!((outcome.profit.mean() - mean).abs() < off, "mean {} and not {mean}", outcome.profit.mean());
            assert!((outcome.profit.std() / std - 1.0).abs() < rel, "deviation {}", outcome.profit.std());
            assert!((outcome.inventory.std() / std_q - 1.0).abs() < rel, "inventory {}", outcome.inventory.std());
        }
        assert!(optimal.profit.std() < 0.75 * flat.profit.std());
    }
}
