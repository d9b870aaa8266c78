//! The market of Easley, Kiefer, O'Hara and Paperman (1996): news with a probability, uninformed and informed arrivals.
//!
//! Owns the simulation of a maker who quotes `+-h` around the prior and settles at the value, its exact profit, and the
//! expected imbalance that VPIN approximates. Called by `touchline model check` and tests. It shows where a spread of
//! "toxicity times range" comes from: the zero-profit half-spread is `PIN * J`.

use rand::RngExt;
use rand_distr::{Distribution, Poisson};

use super::random::{Moments, Purpose, generator};

/// Parameters of a period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ekop {
    /// Probability of news.
    pub alpha: f64,
    /// Mean number of informed orders when there is news.
    pub mu: f64,
    /// Mean number of uninformed orders a side.
    pub epsilon: f64,
    /// News moves the value by plus or minus this.
    pub jump: f64,
}

impl Ekop {
    /// The probability that an order is informed: `alpha mu / (alpha mu + 2 epsilon)`.
    pub fn pin(&self) -> f64 {
        self.alpha * self.mu / self.orders()
    }

    /// Mean number of orders of a period.
    pub fn orders(&self) -> f64 {
        self.alpha * self.mu + 2.0 * self.epsilon
    }

    /// Expected profit of a period at half-spread `h`.
    pub fn profit(&self, h: f64) -> f64 {
        self.orders() * h - self.alpha * self.mu * self.jump
    }

    /// `E|buys - sells| / E[orders]`: what VPIN estimates, exactly, from the distribution of the difference (Skellam).
    pub fn imbalance(&self) -> f64 {
        let news = mean_abs_difference(self.epsilon + self.mu, self.epsilon);
        let calm = mean_abs_difference(self.epsilon, self.epsilon);
        (self.alpha * news + (1.0 - self.alpha) * calm) / self.orders()
    }

    /// Plays `periods` periods; one result for each half-spread, all on the same orders.
    ///
    /// `None` when a rate is not a positive number.
    pub fn simulate(&self, half_spreads: &[f64], periods: usize, seed: u64) -> Option<EkopRun> {
        let mut flow = generator(seed, Purpose::Flow);
        let mut news = generator(seed, Purpose::News);
        let (noise, informed) = (Poisson::new(self.epsilon).ok()?, Poisson::new(self.mu).ok()?);
        let mut run = EkopRun { profit: vec![Moments::default(); half_spreads.len()], imbalance: 0.0 };
        let (mut apart, mut orders) = (0.0, 0.0);
        for _ in 0..periods {
            let (is_news, is_up): (f64, bool) = (news.random(), news.random());
            let (mut buys, mut sells) = (noise.sample(&mut flow), noise.sample(&mut flow));
            let mut value = 0.0;
            if is_news < self.alpha {
                let extra = informed.sample(&mut flow);
                value = if is_up { self.jump } else { -self.jump };
                *(if is_up { &mut buys } else { &mut sells }) += extra;
            }
            for (profit, h) in run.profit.iter_mut().zip(half_spreads) {
                profit.push(h * (buys + sells) - value * (buys - sells));
            }
            apart += (buys - sells).abs();
            orders += buys + sells;
        }
        run.imbalance = apart / orders;
        Some(run)
    }
}

/// What a simulation gave.
#[derive(Clone, Debug, PartialEq)]
pub struct EkopRun {
    /// Profit of a period for each half-spread.
    pub profit: Vec<Moments>,
    /// `sum |buys - sells| / sum (buys + sells)`.
    pub imbalance: f64,
}

/// `E|X - Y|` of independent Poisson variables.
fn mean_abs_difference(mean_x: f64, mean_y: f64) -> f64 {
    let (x, y) = (poisson_masses(mean_x), poisson_masses(mean_y));
    let row = |(i, p): (usize, &f64)| -> f64 { y.iter().enumerate().map(|(j, q)| p * q * i.abs_diff(j) as f64).sum() };
    x.iter().enumerate().map(row).sum()
}

/// The probabilities of 0, 1, 2, … as far as they matter (12 standard deviations).
fn poisson_masses(mean: f64) -> Vec<f64> {
    let last = (mean + 12.0 * mean.sqrt() + 20.0) as usize;
    let mut log = -mean;
    (0..=last)
        .map(|count| {
            if count > 0 {
                log += mean.ln() - (count as f64).ln();
            }
            log.exp()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKET: Ekop = Ekop { alpha: 0.4, mu: 30.0, epsilon: 20.0, jump: 1.0 };

    #[test]
    fn the_zero_profit_half_spread_is_pin_times_the_jump() {
        assert!((MARKET.pin() - 0.230_769_230_769).abs() < 1e-12);
        let periods = if std::env::var_os("TOUCHLINE_LONG").is_some() { 200_000 } else { 40_000 };
        let spreads = [0.15, 0.20, MARKET.pin(), 0.25, 0.30];
        let run = MARKET.simulate(&spreads, periods, 1996).unwrap();
        for ((h, profit), want) in spreads.iter().zip(&run.profit).zip([-4.2, -1.6, 0.0, 1.0, 3.6]) {
            assert!((MARKET.profit(*h) - want).abs() < 1e-12, "theory at {h}");
            let off = 4.0 * profit.error();
            assert!((profit.mean() - want).abs() < off, "{h}: {} and not {want} +- {off}", profit.mean());
        }
        assert!((run.imbalance - MARKET.imbalance()).abs() < 0.004, "{}", run.imbalance);
    }

    #[test]
    fn the_imbalance_lies_above_pin_by_the_noise_of_poisson_orders() {
        for (alpha, mu, epsilon, pin, imbalance) in [
            (0.4, 30.0, 20.0, 0.230_769, 0.288_816),
            (0.2, 100.0, 50.0, 0.166_667, 0.219_792),
            (0.5, 200.0, 100.0, 0.333_333, 0.352_128),
        ] {
            let market = Ekop { alpha, mu, epsilon, jump: 1.0 };
            assert!((market.pin() - pin).abs() < 6e-7 && (market.imbalance() - imbalance).abs() < 6e-7);
        }
    }

    #[test]
    fn rates_that_are_no_rates_are_refused() {
        assert!(Ekop { mu: -1.0, ..MARKET }.simulate(&[0.1], 1, 1).is_none());
    }
}
