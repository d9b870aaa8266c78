//! Order flow that excites itself: Hawkes processes with exponential kernels, one-sided and two-sided.
//!
//! Owns the exact simulation (Ogata's thinning; between events the intensity only falls, so its value just after an
//! event bounds it), the stationary rate and the dispersion of counts. Called by `touchline model check` and tests;
//! flow of a synthetic market can be drawn from [`Hawkes::sample`].
//!
//! Source: Hawkes (1971); Ogata (1981).

use rand::RngExt;
use rand_distr::{Distribution, Exp1};

use super::random::{Moments, Purpose, generator};

/// Parameters: `lambda_i(t) = mu + sum alpha_same e^{-beta (t - t_i)} + sum alpha_cross e^{-beta (t - t_j)}`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hawkes {
    /// Background rate a side.
    pub mu: f64,
    /// What an event adds to the intensity of its own side.
    pub alpha_same: f64,
    /// What an event adds to the intensity of the other side.
    pub alpha_cross: f64,
    /// Decay a second.
    pub beta: f64,
}

/// Parameters for which no stationary process exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotStationary;

impl Hawkes {
    /// A process without cross excitation: the two sides are independent one-sided processes.
    ///
    /// # Errors
    /// When a rate is negative or not finite, or when each event begets at least one more.
    pub fn new(mu: f64, alpha_same: f64, alpha_cross: f64, beta: f64) -> Result<Hawkes, NotStationary> {
        let process = Hawkes { mu, alpha_same, alpha_cross, beta };
        let sane = [mu, alpha_same, alpha_cross].iter().all(|rate| rate.is_finite() && *rate >= 0.0);
        if sane && beta.is_finite() && beta > 0.0 && process.branching() < 1.0 {
            Ok(process)
        } else {
            Err(NotStationary)
        }
    }

    /// Mean number of events that an event begets directly, on both sides.
    pub fn branching(&self) -> f64 {
        (self.alpha_same + self.alpha_cross) / self.beta
    }

    /// Stationary events a second of one side.
    pub fn rate(&self) -> f64 {
        self.mu / (1.0 - self.branching())
    }

    /// Variance over mean of one side's count in a window of `window` seconds, without cross excitation. It rises from
    /// 1 to `1 / (1 - n)^2` as the window grows.
    pub fn fano(&self, window: f64) -> f64 {
        let limit = 1.0 / (1.0 - self.branching()).powi(2);
        let reach = (self.beta - self.alpha_same) * window;
        limit + (1.0 - limit) * -(-reach).exp_m1() / reach
    }

    /// Times in `[0, horizon)` with their side (`true` for the second), in order.
    pub fn sample(&self, horizon: f64, seed: u64) -> Vec<(f64, bool)> {
        let mut rng = generator(seed, Purpose::Flow);
        let mut events = Vec::new();
        let (mut now, mut excited) = (0.0, [0.0_f64; 2]);
        loop {
            let bound = 2.0 * self.mu + excited[0] + excited[1];
            let wait: f64 = Exp1.sample(&mut rng);
            now += wait / bound;
            if now >= horizon || !now.is_finite() {
                return events;
            }
            let decay = (-self.beta * wait / bound).exp();
            excited = excited.map(|part| part * decay);
            let mark: f64 = rng.random::<f64>() * bound;
            let first = self.mu + excited[0];
            if mark >= first + self.mu + excited[1] {
                continue;
            }
            let is_second = mark >= first;
            let own = usize::from(is_second);
            excited[own] += self.alpha_same;
            excited[1 - own] += self.alpha_cross;
            events.push((now, is_second));
        }
    }

    /// Rate and dispersion of one side's counts in windows of `window` seconds of a sample.
    pub fn counts(&self, horizon: f64, window: f64, seed: u64) -> Counts {
        let mut bins = vec![0u32; (horizon / window) as usize];
        let mut events = 0usize;
        for (at, _) in self.sample(horizon, seed).into_iter().filter(|(_, is_second)| !is_second) {
            events += 1;
            if let Some(bin) = bins.get_mut((at / window) as usize) {
                *bin += 1;
            }
        }
        let mut moments = Moments::default();
        bins.iter().for_each(|count| moments.push(f64::from(*count)));
        Counts { rate: events as f64 / horizon, fano: moments.std().powi(2) / moments.mean(), windows: bins.len() }
    }
}

/// What the counts of a sample show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Counts {
    /// Events a second.
    pub rate: f64,
    /// Variance over mean of the counts.
    pub fano: f64,
    /// Windows counted.
    pub windows: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_and_the_dispersion_are_the_stationary_ones() {
        let process = Hawkes::new(0.5, 0.8, 0.0, 1.2).unwrap();
        assert!((process.rate() - 1.5).abs() < 1e-12);
        assert!((process.fano(1e9) - 9.0).abs() < 1e-6 && (process.fano(1e-6) - 1.0).abs() < 1e-5);
        let counts = process.counts(2e5, 200.0, 1971);
        // Var(N_T) = rate * fano * T; a variance from n windows has a relative error of sqrt(2 / n).
        let rate_error = (1.5_f64 * 9.0 / 2e5).sqrt();
        assert!((counts.rate - 1.5).abs() < 4.0 * rate_error, "{counts:?}");
        let fano = process.fano(200.0);
        assert!((counts.fano - fano).abs() < 4.0 * fano * (2.0 / counts.windows as f64).sqrt(), "{counts:?}");
    }

    #[test]
    fn cross_excitation_raises_the_rate_of_both_sides() {
        let process = Hawkes::new(0.5, 0.4, 0.2, 1.2).unwrap();
        assert!((process.rate() - 1.0).abs() < 1e-12);
        let events = process.sample(50_000.0, 7);
        let seconds = events.iter().filter(|(_, is_second)| *is_second).count() as f64;
        for rate in [seconds / 5e4, (events.len() as f64 - seconds) / 5e4] {
            assert!((rate - 1.0).abs() < 4.0 * (4.0_f64 / 5e4).sqrt(), "{rate}");
        }
        assert!(events.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn a_process_that_explodes_is_refused() {
        assert_eq!(Hawkes::new(0.5, 1.2, 0.0, 1.2), Err(NotStationary));
        assert_eq!(Hawkes::new(0.5, f64::NAN, 0.0, 1.2), Err(NotStationary));
    }
}
