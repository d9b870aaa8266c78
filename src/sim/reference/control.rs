//! A maker who quotes around a moving mid and is filled at random: the market of optimal-control models.
//!
//! Owns one simulation: each step the maker quotes distances from the mid, each side fills with a probability that
//! falls exponentially with the distance, then the mid moves. [`super::as2008`] and the GLFT rows of
//! `touchline model check` run it. It knows no model: distances come from the caller as a function of step and
//! inventory.
//!
//! Source: Avellaneda and Stoikov (2008), section 3.3.

use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

use super::random::{Moments, Purpose, generator};

/// How an intensity becomes the probability of a fill within one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// `lambda * dt`, cut at 1: what the 2008 paper's tables were made with.
    Literal,
    /// `1 - exp(-lambda * dt)`.
    Poisson,
}

/// How the mid moves in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shock {
    /// Up or down by `sigma * sqrt(dt)`.
    Binary,
    /// Normal with that standard deviation.
    Gaussian,
}

/// The market and the grid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Market {
    /// Mid at the start.
    pub s0: f64,
    /// Volatility of the mid per square root of a unit of time.
    pub sigma: f64,
    /// Fills per unit of time at distance zero.
    pub a: f64,
    /// Decay of the intensity with the distance.
    pub k: f64,
    /// Length of a step.
    pub dt: f64,
    /// Steps of a path.
    pub steps: usize,
    /// Form of the fill probability.
    pub arrivals: Arrivals,
    /// Form of the mid's moves.
    pub shock: Shock,
}

impl Market {
    /// The probability that a quote at `distance` fills in one step.
    pub fn fill_probability(&self, distance: f64) -> f64 {
        let expected = self.a * (-self.k * distance).exp() * self.dt;
        match self.arrivals {
            Arrivals::Literal => expected.min(1.0),
            Arrivals::Poisson => -(-expected).exp_m1(),
        }
    }
}

/// Statistics over the paths.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Cash plus inventory at the last mid.
    pub profit: Moments,
    /// Inventory at the end.
    pub inventory: Moments,
    /// Fills of a path, both sides.
    pub fills: Moments,
}

/// Runs `paths` paths. `distances(step, inventory)` is the distance of the bid below and of the ask above the mid;
/// infinity means no quote. Fills come at the step's quotes, then the mid moves.
pub fn simulate(market: &Market, paths: usize, seed: u64, distances: impl Fn(usize, i64) -> (f64, f64)) -> Outcome {
    let mut moves = generator(seed, Purpose::Price);
    let mut fills_rng = generator(seed, Purpose::Fill);
    let scale = market.sigma * market.dt.sqrt();
    let mut outcome = Outcome { profit: Moments::default(), inventory: Moments::default(), fills: Moments::default() };
    for _ in 0..paths {
        let (mut mid, mut cash, mut held, mut fills) = (market.s0, 0.0, 0i64, 0u32);
        for step in 0..market.steps {
            let (below, above) = distances(step, held);
            let (bought, sold): (f64, f64) = (fills_rng.random(), fills_rng.random());
            if bought < market.fill_probability(below) {
                cash -= mid - below;
                held += 1;
                fills += 1;
            }
            if sold < market.fill_probability(above) {
                cash += mid + above;
                held -= 1;
                fills += 1;
            }
            mid += match market.shock {
                Shock::Binary if moves.random::<bool>() => scale,
                Shock::Binary => -scale,
                Shock::Gaussian => {
                    let normal: f64 = StandardNormal.sample(&mut moves);
                    scale * normal
                }
            };
        }
        outcome.profit.push(cash + held as f64 * mid);
        outcome.inventory.push(held as f64);
        outcome.fills.push(f64::from(fills));
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_infinite_distance_never_fills_and_profit_is_then_zero() {
        let market = Market {
            s0: 100.0,
            sigma: 2.0,
            a: 140.0,
            k: 1.5,
            dt: 0.005,
            steps: 200,
            arrivals: Arrivals::Literal,
            shock: Shock::Binary,
        };
        let outcome = simulate(&market, 20, 1, |_, _| (f64::INFINITY, f64::INFINITY));
        assert_eq!((outcome.fills.mean(), outcome.profit.mean(), outcome.profit.std()), (0.0, 0.0, 0.0));
        assert_eq!(market.fill_probability(-10.0), 1.0);
        assert!((market.fill_probability(0.0) - 0.7).abs() < 1e-15);
        let poisson = Market { arrivals: Arrivals::Poisson, ..market };
        assert!((poisson.fill_probability(0.0) - (1.0 - (-0.7_f64).exp())).abs() < 1e-15);
    }
}
