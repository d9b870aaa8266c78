//! The published tables of Avellaneda and Stoikov (2008), simulated again.
//!
//! Owns the paper's parameters, its two strategies and the exact moments of the symmetric one. Called by
//! `touchline model check` and tests. The tables to meet are those of *Quantitative Finance* 8(3), not those of the
//! 2006 working paper, which no reading of it reproduces; and they are met only when "with probability `lambda dt`" is
//! taken literally.

use crate::models::avellaneda::Avellaneda;

pub use super::control::Market;
use super::control::{Arrivals, Outcome, Shock, simulate};

/// Length of a path; the paper's T.
const HORIZON: f64 = 1.0;

/// The paper's market: `s = 100, T = 1, sigma = 2, dt = 0.005, k = 1.5, A = 140`, the probability of a fill literal.
pub const PAPER: Market = Market {
    s0: 100.0,
    sigma: 2.0,
    a: 140.0,
    k: 1.5,
    dt: 0.005,
    steps: 200,
    arrivals: Arrivals::Literal,
    shock: Shock::Binary,
};

/// Who quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// The optimal spread around the reservation price, which moves against the inventory.
    Inventory,
    /// The time average of that spread, centred on the mid.
    Symmetric,
}

fn model(market: &Market, gamma: f64) -> Avellaneda {
    Avellaneda { gamma, sigma: market.sigma, k: market.k }
}

/// Average of the optimal spread over the grid `t = 0 .. T - dt`, in price units.
pub fn mean_spread(market: &Market, gamma: f64) -> f64 {
    let model = model(market, gamma);
    let total: f64 = (0..market.steps).map(|step| model.spread(HORIZON - step as f64 * market.dt)).sum();
    total / market.steps as f64
}

/// Runs one cell of the table.
pub fn run(market: &Market, gamma: f64, strategy: Strategy, paths: usize, seed: u64) -> Outcome {
    match strategy {
        Strategy::Inventory => {
            let model = model(market, gamma);
            simulate(market, paths, seed, |step, held| {
                let offsets = model.offsets(held as f64, HORIZON - step as f64 * market.dt);
                (offsets.bid, offsets.ask)
            })
        }
        Strategy::Symmetric => {
            let half = mean_spread(market, gamma) / 2.0;
            simulate(market, paths, seed, |_, _| (half, half))
        }
    }
}

/// Exact moments of the symmetric strategy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exact {
    /// Mean profit.
    pub mean: f64,
    /// Standard deviation of the profit.
    pub std: f64,
    /// Standard deviation of the inventory at the end.
    pub std_inventory: f64,
    /// Mean number of fills.
    pub fills: f64,
}

/// What [`run`] with [`Strategy::Symmetric`] tends to: fills are Bernoulli and independent of the mid.
pub fn symmetric_exact(market: &Market, gamma: f64) -> Exact {
    let half = mean_spread(market, gamma) / 2.0;
    let (n, p) = (market.steps as f64, market.fill_probability(half));
    let per_step = 2.0 * p * (1.0 - p);
    let earned = half * half * n * per_step;
    let carried = market.sigma * market.sigma * market.dt * per_step * n * (n + 1.0) / 2.0;
    Exact {
        mean: 2.0 * n * p * half,
        std: (earned + carried).sqrt(),
        std_inventory: (n * per_step).sqrt(),
        fills: 2.0 * n * p,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// gamma; published or own value of (mean, std, std of inventory) for the inventory and the symmetric strategy.
    type Cell = (f64, [f64; 3], [f64; 3]);

    const TABLE: [Cell; 4] = [
        (0.01, [68.36, 8.96, 5.23], [68.6661, 13.6775, 8.7117]),
        (0.1, [64.89, 6.55, 2.92], [68.2228, 13.4558, 8.3994]),
        (0.5, [48.56, 5.90, 1.95], [59.9179, 12.3213, 6.9184]),
        (1.0, [31.43, 4.83, 1.64], [43.6853, 10.7332, 5.1714]),
    ];

    fn assert_near(outcome: &Outcome, want: [f64; 3], rel: f64, what: &str) {
        let (mean, off) = (outcome.profit.mean(), 4.0 * outcome.profit.error());
        assert!((mean - want[0]).abs() <= off, "{what}: mean {mean} and not {} +- {off}", want[0]);
        for (got, want) in [(outcome.profit.std(), want[1]), (outcome.inventory.std(), want[2])] {
            assert!((got / want - 1.0).abs() <= rel, "{what}: deviation {got} and not {want}");
        }
        assert!(outcome.inventory.mean().abs() <= 4.0 * outcome.inventory.error(), "{what}: mean inventory");
    }

    #[test]
    fn the_published_table_is_reproduced_and_inventory_control_costs_mean_and_saves_risk() {
        let long = std::env::var_os("TOUCHLINE_LONG").is_some();
        let (paths, rel) = if long { (10_000, 0.04) } else { (1_000, 0.12) };
        for (gamma, inventory, symmetric) in TABLE {
            let ours = run(&PAPER, gamma, Strategy::Inventory, paths, 2008);
            let flat = run(&PAPER, gamma, Strategy::Symmetric, paths, 2008);
            assert_near(&ours, inventory, rel, &format!("inventory {gamma}"));
            assert_near(&flat, symmetric, rel, &format!("symmetric {gamma}"));
            assert!(ours.profit.std() < flat.profit.std(), "risk of profit at {gamma}");
            assert!(ours.inventory.std() < flat.inventory.std(), "risk of inventory at {gamma}");
            // At gamma 0.01 the means differ by 0.3: fewer paths cannot tell them apart.
            if long || gamma > 0.05 {
                assert!(ours.profit.mean() < flat.profit.mean(), "mean at {gamma}");
            }
        }
    }

    #[test]
    fn the_symmetric_strategy_has_the_exact_moments_of_its_closed_form() {
        for (gamma, _, want) in TABLE {
            let exact = symmetric_exact(&PAPER, gamma);
            for (got, want) in [(exact.mean, want[0]), (exact.std, want[1]), (exact.std_inventory, want[2])] {
                assert!((got - want).abs() < 6e-5, "gamma {gamma}: {got} and not {want}");
            }
        }
        let fills: Vec<f64> = TABLE.iter().map(|cell| symmetric_exact(&PAPER, cell.0).fills).collect();
        for (got, want) in fills.iter().zip([101.80, 91.47, 55.59, 28.82]) {
            assert!((got - want).abs() < 6e-3, "{got} and not {want}");
        }
    }

    #[test]
    fn the_mean_spread_is_the_grid_average() {
        for (gamma, want) in [(0.01, 1.34901), (0.1, 1.49177), (0.5, 2.15573), (1.0, 3.03165)] {
            assert!((mean_spread(&PAPER, gamma) - want).abs() < 6e-6, "{gamma}: {}", mean_spread(&PAPER, gamma));
        }
    }

    #[test]
    fn poisson_arrivals_earn_an_eighth_less_than_literal_ones() {
        let market = Market { arrivals: Arrivals::Poisson, ..PAPER };
        let outcome = run(&market, 0.1, Strategy::Inventory, 1_000, 2008);
        assert_near(&outcome, [57.17, 6.35, 3.00], 0.12, "poisson");
        let exact = symmetric_exact(&market, 0.1);
        for (got, want) in [(exact.mean, 60.9848), (exact.std, 12.9205), (exact.std_inventory, 8.0653)] {
            assert!((got - want).abs() < 6e-5, "{got} and not {want}");
        }
    }
}
