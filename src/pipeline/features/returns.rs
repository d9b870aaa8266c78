//! Volatility from returns of one second: EWMA and window.
//!
//! Owns [`Ewma`] and [`Windowed`]. Fed by [`Sigma`](super::Sigma) once a second of the grid; O(1) a return, whatever
//! the window. Formulas: quant.md 2.6.

use serde::{Deserialize, Serialize};

use super::exact_sum::ExactSum;
use crate::pipeline::digest::Digester;

/// Exponentially weighted mean of squared returns; the mean return is taken as zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Ewma {
    pub(super) decay: f64,
    biased: f64,
    /// decay^count: the weight that the (absent) past before the first return would have.
    weight_left: f64,
    pub(super) count: u64,
}

impl Ewma {
    pub(super) fn new(half_life_s: f64) -> Ewma {
        Ewma { decay: (-1.0 / half_life_s).exp2(), biased: 0.0, weight_left: 1.0, count: 0 }
    }

    pub(super) fn push(&mut self, log_return: f64) {
        self.biased = self.decay * self.biased + (1.0 - self.decay) * log_return * log_return;
        self.weight_left *= self.decay;
        self.count += 1;
    }

    /// Without the correction the first minutes would be far too low.
    pub(super) fn variance(&self) -> Option<f64> {
        (self.count > 0).then(|| self.biased / (1.0 - self.weight_left))
    }

    pub(super) fn restore(&mut self, other: &Ewma) -> bool {
        let numbers = [other.biased, other.weight_left];
        let fits = other.decay == self.decay && numbers.iter().all(|number| number.is_finite() && *number >= 0.0);
        if fits {
            self.clone_from(other);
        }
        fits
    }

    pub(super) fn digest(&self, digester: &mut Digester) {
        digester.f64(self.biased);
        digester.f64(self.weight_left);
        digester.u64(self.count);
    }
}

/// Sample standard deviation over the last returns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Windowed {
    window: usize,
    ring: Vec<f64>,
    next: usize,
    sum: ExactSum,
    squares: ExactSum,
}

impl Windowed {
    pub(super) fn new(window: usize) -> Windowed {
        Windowed {
            window,
            ring: Vec::with_capacity(window),
            next: 0,
            sum: ExactSum::default(),
            squares: ExactSum::default(),
        }
    }

    pub(super) fn push(&mut self, log_return: f64) {
        if self.ring.len() < self.window {
            self.ring.push(log_return);
        } else {
            let oldest = std::mem::replace(&mut self.ring[self.next], log_return);
            self.sum.add(-oldest);
            self.squares.add_square(oldest, -1.0);
        }
        self.sum.add(log_return);
        self.squares.add_square(log_return, 1.0);
        self.next = (self.next + 1) % self.window;
    }

    pub(super) fn count(&self) -> u64 {
        self.ring.len() as u64
    }

    pub(super) fn std(&self) -> Option<f64> {
        if self.ring.len() < 2 {
            return None;
        }
        let count = self.ring.len() as f64;
        let squares = self.squares.minus_square_over(self.sum, count);
        Some((squares.max(0.0) / (count - 1.0)).sqrt())
    }

    pub(super) fn restore(&mut self, other: &Windowed) -> bool {
        let fits = other.window == self.window
            && other.ring.len() <= self.window
            && other.next < self.window
            && (other.ring.len() == self.window || other.next == other.ring.len())
            && other.ring.iter().all(|value| value.is_finite());
        if fits {
            let mut fresh = Windowed::new(self.window);
            // The oldest first, so that the ring stands as it stood.
            let start = if other.ring.len() == self.window { other.next } else { 0 };
            for at in 0..other.ring.len() {
                fresh.push(other.ring[(start + at) % self.window]);
            }
            *self = fresh;
        }
        fits
    }

    pub(super) fn digest(&self, digester: &mut Digester) {
        // The sums are those of the ring, whatever has passed through it.
        for at in 0..self.ring.len() {
            let start = if self.ring.len() == self.window { self.next } else { 0 };
            digester.f64(self.ring[(start + at) % self.window]);
        }
        digester.f64(self.sum.value());
        digester.f64(self.squares.value());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sigma_2_6_ewma_decay_oracle_and_bias_correction() {
        let mut ewma = Ewma::new(60.0);
        assert!((ewma.decay - 0.988_514).abs() < 1e-6);
        assert_eq!(ewma.variance(), None);
        for _ in 0..5 {
            ewma.push(0.01);
            assert!((ewma.variance().unwrap() - 1e-4).abs() < 1e-15, "equal squares must average to themselves");
        }
    }

    #[test]
    fn sigma_2_6_windowed_is_the_sample_std_with_one_degree_taken() {
        let mut windowed = Windowed::new(3);
        windowed.push(9.0);
        assert_eq!(windowed.std(), None);
        for value in [1.0, 2.0, 4.0] {
            windowed.push(value);
        }
        assert!((windowed.std().unwrap() - 1.527_525_231_651_946_6).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn streamed_volatility_equals_that_of_the_whole_list(
            returns in prop::collection::vec((-1.0_f64..1.0, 0_u32..4), 2..300),
            window in 2_usize..50,
            half_life in 1.0_f64..200.0,
        ) {
            // From one thousandth to one: a large return that leaves the window must leave nothing behind.
            let returns: Vec<f64> = returns.iter().map(|(value, scale)| value * 0.1_f64.powi(*scale as i32)).collect();
            let (mut ewma, mut windowed) = (Ewma::new(half_life), Windowed::new(window));
            for value in &returns {
                ewma.push(*value);
                windowed.push(*value);
            }
            let decay = 0.5_f64.powf(1.0 / half_life);
            let weights: Vec<f64> = (0..returns.len()).rev().map(|age| decay.powi(age as i32)).collect();
            let weighted: f64 = weights.iter().zip(&returns).map(|(weight, value)| weight * value * value).sum();
            let want = weighted / weights.iter().sum::<f64>();
            prop_assert!((ewma.variance().unwrap() - want).abs() <= 1e-12 * want.max(1e-30));

            let last = &returns[returns.len().saturating_sub(window)..];
            let mean = last.iter().sum::<f64>() / last.len() as f64;
            let want = (last.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (last.len() - 1) as f64).sqrt();
            prop_assert!((windowed.std().unwrap() - want).abs() <= 1e-12 * want.max(1e-3), "{:?} {want}", windowed.std());
        }
    }
}
